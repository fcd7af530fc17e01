//! Has the configuration of a unit changed since its process was started with it?
//!
//! ```text
//!   main process starts ─▶ of each file: path, inode, size, time ─▶ one number, kept
//!   somebody asks       ─▶ the same again                         ─▶ is it the same number?
//! ```
//!
//! Looked at are the files of `[configtest] files`, the configuration file of the instance and the templates of
//! `[[render]]`. Nothing is read, and never more than [`MOST_ENTRIES`] names are looked at: where there are more, nobody
//! can tell.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::Pattern;

use crate::engine::UnitId;
use crate::model::{Text, Unit};

use super::environment::Environment;
use super::exchange::exchange;
use super::remote::Remote;

/// A configuration of more files than this is somebody's data. Looking at so many takes some tens of milliseconds.
pub const MOST_ENTRIES: usize = 10_000;

/// Directories under a `**` are entered to this depth.
const MAX_DEPTH: usize = 16;

/// What the main processes were started with, of units whose files are known.
#[derive(Debug, Default)]
pub struct Fingerprints {
    by_unit: BTreeMap<UnitId, u64>,
}

impl Fingerprints {
    /// The unit is about to read its configuration.
    pub fn take(&mut self, unit: UnitId, spec: &Unit, environment: impl FnOnce() -> Option<Environment>) {
        self.by_unit.remove(&unit);
        // The daemon reads them next, wherever they lie.
        let (remote, mut left) = (Remote::default(), MOST_ENTRIES);
        let fingerprint = fingerprint(spec, environment, &remote, &mut left);
        self.by_unit.extend(fingerprint.map(|fingerprint| (unit, fingerprint)));
    }

    /// Has it changed since? False also where nobody can tell: of files that are not on this machine, and of more than
    /// are `left` to be looked at.
    pub fn is_changed(
        &self,
        unit: UnitId,
        spec: &Unit,
        environment: impl FnOnce() -> Option<Environment>,
        remote: &Remote,
        left: &mut usize,
    ) -> bool {
        let then = self.by_unit.get(&unit);
        then.is_some_and(|then| fingerprint(spec, environment, remote, left).is_some_and(|now| now != *then))
    }

    /// The id is free.
    pub fn forget(&mut self, unit: UnitId) {
        self.by_unit.remove(&unit);
    }

    /// Two units change places.
    pub fn exchange(&mut self, one: UnitId, other: UnitId) {
        exchange(&mut self.by_unit, one, other);
    }
}

/// None: there is nothing to look at, or too much.
fn fingerprint(
    spec: &Unit,
    environment: impl FnOnce() -> Option<Environment>,
    remote: &Remote,
    left: &mut usize,
) -> Option<u64> {
    let program = spec.program()?;
    let patterns = program.configtest.as_ref().map_or(&[][..], |test| &test.files);
    if patterns.is_empty() && program.renders.is_empty() && spec.instance_file.is_none() {
        return None;
    }
    let environment = environment()?;
    let settle = |text: &Text| text.expand(|name| environment.get(name)).ok();
    let mut sight = Sight { hash: 0, left, remote };
    for pattern in patterns {
        sight.pattern(&settle(pattern)?)?;
    }
    for render in program.renders.iter() {
        sight.file(Path::new(&settle(&render.from)?))?;
    }
    if let Some(file) = &spec.instance_file {
        sight.file(file)?;
    }
    Some(sight.hash)
}

/// What was seen so far. The numbers of the files are added up, so that the order in which a directory lists them
/// means nothing.
struct Sight<'a> {
    hash: u64,
    left: &'a mut usize,
    remote: &'a Remote,
}

impl Sight<'_> {
    fn count(&mut self) -> Option<()> {
        *self.left = self.left.checked_sub(1)?;
        Some(())
    }

    /// None: a look at it may take for ever.
    fn is_near(&self, path: &Path) -> Option<()> {
        (!self.remote.holds(path)).then_some(())
    }

    /// A link is looked through: what it leads to is what the daemon reads.
    fn file(&mut self, path: &Path) -> Option<()> {
        self.count()?;
        self.is_near(path)?;
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        fs::metadata(path).ok().map(|about| stamp(&about)).hash(&mut hasher);
        self.hash = self.hash.wrapping_add(hasher.finish());
        Some(())
    }

    /// All files of a pattern. One that is written wrong stands for itself alone.
    fn pattern(&mut self, pattern: &str) -> Option<()> {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        let mut ahead = vec![(PathBuf::from("/"), 0, 0)];
        while let Some((path, place, depth)) = ahead.pop() {
            let Some(part) = parts.get(place) else {
                self.file(&path)?;
                continue;
            };
            let is_last = place + 1 == parts.len();
            if *part == "**" {
                ahead.extend((!is_last).then(|| (path.clone(), place + 1, depth)));
                for (name, entry) in self.list(&path)? {
                    // A link is never entered: it could lead upwards.
                    match entry.file_type() {
                        Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                            ahead.push((path.join(name), place, depth + 1));
                        }
                        Ok(kind) if !kind.is_dir() && is_last => self.file(&path.join(name))?,
                        _ => {}
                    }
                }
            } else if part.contains(['*', '?', '[']) {
                let matches = Pattern::new(part).ok()?;
                for (name, _) in self.list(&path)? {
                    if name.to_str().is_some_and(|name| matches.matches(name)) {
                        ahead.push((path.join(name), place + 1, depth));
                    }
                }
            } else {
                ahead.push((path.join(part), place + 1, depth));
            }
        }
        Some(())
    }

    /// What a directory holds and does not hide. What cannot be listed holds nothing.
    fn list(&mut self, directory: &Path) -> Option<Vec<(std::ffi::OsString, fs::DirEntry)>> {
        self.is_near(directory)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            self.count()?;
            let name = entry.file_name();
            if !is_hidden(&name) {
                found.push((name, entry));
            }
        }
        Some(found)
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn stamp(about: &Metadata) -> (u64, u64, i64, i64) {
    // A directory's time changes with every file in it that is made and renamed away.
    if about.is_dir() {
        return (about.ino(), 0, 0, 0);
    }
    (about.ino(), about.size(), about.mtime(), about.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::load::scratch::Scratch;
    use std::os::unix::fs::symlink;

    fn seen(scratch: &Scratch, pattern: &str) -> Option<u64> {
        seen_with(scratch, pattern, MOST_ENTRIES, &Remote::default())
    }

    fn seen_with(scratch: &Scratch, pattern: &str, mut left: usize, remote: &Remote) -> Option<u64> {
        let mut sight = Sight { hash: 0, left: &mut left, remote };
        sight.pattern(&format!("{}/{pattern}", scratch.path("").display()))?;
        Some(sight.hash)
    }

    #[test]
    fn a_file_that_is_changed_made_removed_or_replaced_is_seen() {
        let scratch = Scratch::new();
        scratch.file("conf/a.conf", "1");
        scratch.file("conf/sub/deep/b.conf", "1");
        let mut last = seen(&scratch, "conf/**");
        assert_eq!(seen(&scratch, "conf/**"), last);
        let mut differs = |what: &str| {
            let now = seen(&scratch, "conf/**");
            assert_ne!(now, last, "{what}");
            last = now;
        };
        scratch.file("conf/a.conf", "12");
        differs("changed");
        scratch.file("conf/sub/c.conf", "");
        differs("made");
        std::fs::remove_file(scratch.path("conf/sub/c.conf")).unwrap();
        differs("removed");
        scratch.file("conf/new", "1");
        std::fs::rename(scratch.path("conf/new"), scratch.path("conf/sub/deep/b.conf")).unwrap();
        differs("replaced");
        scratch.file("conf/.hidden", "1");
        assert_eq!(seen(&scratch, "conf/**"), last);
    }

    #[test]
    fn a_pattern_sees_its_own_files_only_and_a_missing_one_is_something_to_see() {
        let scratch = Scratch::new();
        scratch.file("conf/a.conf", "1");
        let (all, one) = (seen(&scratch, "conf/*.conf"), seen(&scratch, "conf/b.conf"));
        scratch.file("conf/a.txt", "1");
        assert_eq!(seen(&scratch, "conf/*.conf"), all);
        scratch.file("conf/b.conf", "1");
        assert_ne!(seen(&scratch, "conf/*.conf"), all);
        assert_ne!(seen(&scratch, "conf/b.conf"), one);
        let anywhere = seen(&scratch, "**/b.conf");
        scratch.file("conf/b.conf", "12");
        assert_ne!(seen(&scratch, "**/b.conf"), anywhere);
    }

    #[test]
    fn links_are_looked_through_and_never_entered() {
        let scratch = Scratch::new();
        scratch.file("conf/a.conf", "1");
        scratch.file("real", "1");
        symlink("../real", scratch.path("conf/link.conf")).unwrap();
        symlink("..", scratch.path("conf/up")).unwrap();
        let before = seen(&scratch, "conf/**").unwrap();
        scratch.file("real", "12");
        assert_ne!(seen(&scratch, "conf/**"), Some(before));
    }

    #[test]
    fn of_too_many_files_nobody_can_tell() {
        let scratch = Scratch::new();
        for number in 0..20 {
            scratch.file(&format!("conf/{number}"), "");
        }
        assert_eq!(seen_with(&scratch, "conf/*", 20, &Remote::default()), None);
        assert!(seen_with(&scratch, "conf/*", 40, &Remote::default()).is_some());
    }

    #[test]
    fn of_files_on_another_machine_nobody_can_tell() {
        let scratch = Scratch::new();
        scratch.file("conf/near/a", "");
        scratch.file("conf/far/a", "");
        let far = format!("1 1 0:1 / {} rw - nfs4 server:/ rw", scratch.path("conf/far").display());
        let remote = Remote::parse(&far);
        for (pattern, is_seen) in [("conf/near/*", true), ("conf/far/*", false), ("conf/**", false)] {
            assert_eq!(seen_with(&scratch, pattern, 40, &remote).is_some(), is_seen, "{pattern}");
        }
    }
}

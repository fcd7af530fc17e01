//! What differs on disk from what runs: looked at when somebody asks, never otherwise.
//!
//! ```text
//!   its unit file, or its instance's, is gone           ─▶ the next sync stops it
//!   its unit file or a drop-in is newer than our reading ─▶ "its unit file" changed
//!   the fingerprint of its configuration is another      ─▶ "its configuration" changed
//! ```
//!
//! A list looks at all units, so one [`Glance`] has a bound for all of them together, and looks at no file system that
//! could keep it waiting.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::engine::UnitId;
use crate::machine::units;
use crate::model::{Moment, Unit};
use crate::sys::clock;
use crate::unitfile::command;

use super::Init;
use super::fingerprint::MOST_ENTRIES;
use super::remote::Remote;

/// A directory of units is the administrator's, and so are its drop-ins.
const MOST_DROP_INS: usize = 10_000;

/// What one answer may look at, and what it has seen.
pub(super) struct Glance {
    /// When the units were read, by the wall clock.
    read_at: u64,
    remote: Remote,
    /// Names that may still be looked at.
    left: usize,
    /// The directories of drop-ins that there are, by the name of their unit or template.
    drop_ins: HashMap<String, Vec<PathBuf>>,
    /// Instances share the file of their template.
    files: HashMap<Rc<Path>, UnitFile>,
}

/// How a unit stands to the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDisk {
    /// The file that it was made from and that is no more.
    pub gone: Option<PathBuf>,
    /// What differs from what its process was started with, in words.
    pub changed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnitFile {
    Same,
    Changed,
    Gone,
}

impl Init {
    /// The main process of a unit is about to read its configuration.
    pub(super) fn note_configuration(&mut self, id: UnitId, unit: &Unit) {
        let environment =
            || unit.program().and_then(|program| self.launcher.unit_environment(unit, &program.process).ok());
        self.fingerprints.take(id, unit, environment);
    }

    /// Before the first look of an answer.
    pub(super) fn glance(&self) -> Glance {
        Glance {
            read_at: read_at_wall(self.read_at, self.now, clock::wall_usec()),
            remote: Remote::look(),
            left: MOST_ENTRIES,
            drop_ins: drop_ins(&self.paths.directories),
            files: HashMap::new(),
        }
    }

    /// How a unit stands to the disk.
    pub(super) fn look_at_disk(&self, id: UnitId, glance: &mut Glance) -> OnDisk {
        let view = self.engine.unit(id);
        let Some(unit) = view.unit() else { return OnDisk::default() };
        let mut seen = OnDisk::default();
        match glance.unit_file(unit, &self.paths.directories) {
            UnitFile::Same => {}
            UnitFile::Changed => seen.changed.push("its unit file".to_owned()),
            UnitFile::Gone => seen.gone = Some(unit.source.to_path_buf()),
        }
        if let Some(file) = &unit.instance_file
            && seen.gone.is_none()
            && !glance.remote.holds(file)
            && is_gone(file)
        {
            seen.gone = Some(file.to_path_buf());
        }
        let environment =
            || unit.program().and_then(|program| self.launcher.unit_environment(unit, &program.process).ok());
        let Glance { remote, left, .. } = glance;
        if seen.gone.is_none()
            && view.main_pid().is_some()
            && self.fingerprints.is_changed(id, unit, environment, remote, left)
        {
            seen.changed.push("its configuration".to_owned());
        }
        seen
    }
}

impl Glance {
    /// Has the unit's file, or a drop-in of it, been touched since the units were read?
    fn unit_file(&mut self, unit: &Unit, directories: &[PathBuf]) -> UnitFile {
        if *unit.source == *Path::new(command::SOURCE) {
            return UnitFile::Same;
        }
        let known = self.files.get(&unit.source).copied();
        let own = known.unwrap_or_else(|| self.look_at(&unit.source, directories));
        if known.is_none() {
            self.files.insert(unit.source.clone(), own);
        }
        if own != UnitFile::Same {
            return own;
        }
        let name = unit.name.as_str();
        let template = unit.name.instance().map(|instance| name.trim_end_matches(instance));
        let above = [Some(name), template].into_iter().flatten().filter_map(|stem| self.drop_ins.get(stem));
        let is_touched = above.flatten().any(|directory| {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().take(MOST_DROP_INS);
            let files = entries.map(|entry| entry.path());
            files.chain([directory.clone()]).any(|path| self.is_newer(std::fs::metadata(path).ok()))
        });
        if is_touched { UnitFile::Changed } else { UnitFile::Same }
    }

    fn look_at(&self, source: &Path, directories: &[PathBuf]) -> UnitFile {
        if self.remote.holds(source) {
            return UnitFile::Same;
        }
        if !is_gone(source) {
            let is_newer = self.is_newer(std::fs::metadata(source).ok());
            return if is_newer { UnitFile::Changed } else { UnitFile::Same };
        }
        // A file of the same name in a lesser directory takes its place.
        let name = source.file_name().unwrap_or_default();
        let is_replaced = directories.iter().any(|directory| !is_gone(&directory.join(name)));
        if is_replaced { UnitFile::Changed } else { UnitFile::Gone }
    }

    fn is_newer(&self, about: Option<Metadata>) -> bool {
        about.is_some_and(|about| {
            i128::from(about.ctime()) * 1_000_000 + i128::from(about.ctime_nsec()) / 1000
                > i128::from(self.read_at)
        })
    }
}

/// What cannot be looked at is there for all that is known.
fn is_gone(path: &Path) -> bool {
    // What sexton brings along is no file, and always there.
    if units::text(path).is_some() {
        return false;
    }
    matches!(std::fs::metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// All `NAME.d` in the directories of units.
fn drop_ins(directories: &[PathBuf]) -> HashMap<String, Vec<PathBuf>> {
    let mut found = HashMap::<String, Vec<PathBuf>>::new();
    for directory in directories {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".d")) {
                found.entry(stem.to_owned()).or_default().push(entry.path());
            }
        }
    }
    found
}

/// When the units were read, by the wall clock as it goes now, in microseconds: a board without a battery sets it
/// after boot, and what was noted by it before would mean nothing.
fn read_at_wall(read_at: Moment, now: Moment, wall_now: u64) -> u64 {
    let ago = u64::try_from(now.since(read_at).as_micros()).unwrap_or(u64::MAX);
    wall_now.saturating_sub(ago)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::Entry;
    use crate::run::load::scratch::Scratch;
    use crate::run::load::{UnitPaths, load};
    use std::time::Duration;

    #[test]
    fn a_clock_that_was_set_after_boot_moves_the_time_of_reading_with_it() {
        let read_at = Moment::default() + Duration::from_secs(5);
        let now = read_at + Duration::from_secs(60);
        assert_eq!(read_at_wall(read_at, now, 1_700_000_000_000_000), 1_699_999_940_000_000);
        assert_eq!(read_at_wall(now, read_at, 7), 7);
    }

    /// How the one unit of a directory stands to it, once `change` was made to what was read.
    fn after(change: impl FnOnce(&Scratch)) -> UnitFile {
        let scratch = Scratch::new();
        scratch.file("etc/w@.toml", "[instances]\nnames = [\"1\"]\n[service]\nexec = [\"/bin/true\"]\n");
        scratch.file("etc/w@.d/one.toml", "description = \"one\"\n");
        let directories = vec![scratch.path("etc"), scratch.path("usr")];
        let loaded = load(&UnitPaths {
            directories: directories.clone(),
            settings: scratch.path("none"),
            command: None,
            own: crate::run::load::OwnUnits::None,
            library: crate::run::load::Library::Left,
        });
        let [Entry::Unit(unit)] = &loaded.entries[..] else { panic!("{:?}", loaded.diagnostics) };
        // A change of the same tick of the kernel's clock would not be seen: it is a change of before.
        let read_at = std::fs::metadata(scratch.path("etc/w@.d/one.toml")).unwrap();
        let read_at = u64::try_from(read_at.ctime() * 1_000_000 + read_at.ctime_nsec() / 1000).unwrap();
        while clock::wall_usec() < read_at + 20_000 {
            std::thread::yield_now();
        }
        change(&scratch);
        let drop_ins = drop_ins(&directories);
        let mut glance = Glance {
            read_at,
            remote: Remote::default(),
            left: MOST_ENTRIES,
            drop_ins,
            files: HashMap::new(),
        };
        glance.unit_file(unit, &directories)
    }

    #[test]
    fn a_unit_file_is_changed_gone_or_replaced() {
        assert_eq!(after(|_| {}), UnitFile::Same);
        assert_eq!(after(|scratch| scratch.file("etc/other.toml", "")), UnitFile::Same);
        assert_eq!(after(|scratch| scratch.file("etc/w@.toml", "")), UnitFile::Changed);
        assert_eq!(after(|scratch| scratch.file("etc/w@.d/one.toml", "")), UnitFile::Changed);
        assert_eq!(after(|scratch| scratch.file("usr/w@1.d/two.toml", "")), UnitFile::Changed);
        let remove = |scratch: &Scratch| std::fs::remove_file(scratch.path("etc/w@.toml")).unwrap();
        assert_eq!(after(remove), UnitFile::Gone);
        assert_eq!(
            after(|scratch| {
                remove(scratch);
                scratch.file("usr/w@.toml", "");
            }),
            UnitFile::Changed
        );
    }
}

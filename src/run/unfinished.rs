//! `[[prepare]]` with `creates` that was begun and has not ended well: what it creates may be there and not be whole.
//!
//! ```text
//!   spawned ─▶ noted ─┬─ ended well ────────────────────────▶ struck out
//!                     └─ failed, killed, the power went ────▶ stays: the next start runs it again, or refuses
//! ```
//!
//! The note is an empty file that is called after the path, so that it is there after the next boot too, and it is made before
//! the command runs: a file system that keeps the order of names has it whenever it has what the command made. Where it cannot
//! be written, and for what is gone after a boot all the same, sexton remembers as long as it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::engine::{Role, Trial, UnitId};
use crate::machine;
use crate::model::Text;
use crate::model::unit::Program;
use crate::sys::files;

/// Where the notes are.
const NOTES: &str = "unfinished";

/// No file system takes a longer name.
const LONGEST_NAME: usize = 255;

/// What is not finished.
#[derive(Debug)]
pub struct Unfinished {
    notes: PathBuf,
    /// What was begun in this life of sexton, and did not end well.
    known: BTreeSet<String>,
    /// What each unit is creating now.
    running: BTreeMap<UnitId, String>,
}

impl Default for Unfinished {
    fn default() -> Unfinished {
        Unfinished::in_directory(Path::new(machine::STATE).join(NOTES))
    }
}

impl Unfinished {
    fn in_directory(notes: PathBuf) -> Unfinished {
        Unfinished { notes, known: BTreeSet::new(), running: BTreeMap::new() }
    }

    /// Did a command that creates this path not end well, and is none at it now?
    pub(super) fn has(&self, path: &str) -> bool {
        let is_noted = || self.note(path).is_some_and(|note| files::exists(&note).unwrap_or(false));
        !self.running.values().any(|running| running == path) && (self.known.contains(path) || is_noted())
    }

    /// Why nothing is started on it, and what is to be done.
    pub(super) fn refusal(&self, path: &str) -> String {
        let whole = match self.note(path).filter(|note| files::exists(note).unwrap_or(false)) {
            Some(note) => format!("; if it is whole, remove '{}'", note.display()),
            None => String::new(),
        };
        format!(
            "'{path}' is only half made, as the command that makes it did not end well: remove what it has left{whole}"
        )
    }

    /// A command of the unit that creates this path is about to run.
    pub(super) fn begins(&mut self, unit: UnitId, path: String) {
        if let Some(note) = self.note(&path) {
            // Where it cannot be written it is known as long as sexton runs.
            let _ = fs::create_dir_all(&self.notes).and_then(|()| {
                let mut options = File::options();
                options.create(true).append(true).mode(0o644).custom_flags(libc::O_NOFOLLOW).open(note)
            });
        }
        self.known.insert(path.clone());
        self.running.insert(unit, path);
    }

    /// It has ended. Answers what it has left that is not whole.
    pub(super) fn ended(&mut self, unit: UnitId, well: bool) -> Option<String> {
        let path = self.running.remove(&unit)?;
        if !well {
            return files::exists(Path::new(&path)).unwrap_or(false).then_some(path);
        }
        if let Some(note) = self.note(&path) {
            let _ = fs::remove_file(note); // Where it was not written there is none.
        }
        self.known.remove(&path);
        None
    }

    /// The file of a path, if it is one that a boot does not take away.
    fn note(&self, path: &str) -> Option<PathBuf> {
        let name = path.trim_start_matches('/').replace('%', "%25").replace('-', "%2d").replace('/', "-");
        let stays = path.starts_with('/') && !path.starts_with("/run/") && name.len() <= LONGEST_NAME;
        stays.then(|| self.notes.join(name))
    }
}

/// Does a process in this role prepare something?
pub(super) fn prepares(role: Role) -> bool {
    matches!(role, Role::Prepare(_) | Role::Trial(Trial::Prepare(_)))
}

/// What a process in this role creates.
pub(super) fn creation(program: &Program, role: Role) -> Option<&Text> {
    let (Role::Prepare(place) | Role::Trial(Trial::Prepare(place))) = role else { return None };
    program.hooks.prepare.get(usize::from(place))?.creates.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: UnitId = UnitId(3);

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sexton-unfinished-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn what_was_begun_and_not_ended_well_is_known_in_the_next_life_too() {
        let notes = scratch("begun");
        let mut unfinished = Unfinished::in_directory(notes.clone());
        unfinished.begins(UNIT, "/var/lib/some-data".to_owned());
        assert!(!unfinished.has("/var/lib/some-data"), "a command is at it now");
        let mut next_life = Unfinished::in_directory(notes.clone());
        assert!(next_life.has("/var/lib/some-data") && !next_life.has("/var/lib/some/data"));
        next_life.begins(UNIT, "/var/lib/some-data".to_owned());
        assert_eq!(next_life.ended(UNIT, true), None);
        assert!(!next_life.has("/var/lib/some-data"));
        assert!(!Unfinished::in_directory(notes.clone()).has("/var/lib/some-data"));
        let _ = fs::remove_dir_all(notes);
    }

    #[test]
    fn what_is_half_made_is_answered_and_stays_known_where_nothing_can_be_written() {
        let notes = scratch("half");
        fs::write(&notes, "").unwrap_or_else(|e| panic!("{e}"));
        let mut unfinished = Unfinished::in_directory(notes.clone());
        let made = notes.display().to_string();
        unfinished.begins(UNIT, made.clone());
        assert_eq!(unfinished.ended(UNIT, false), Some(made.clone()));
        assert!(unfinished.has(&made));
        unfinished.begins(UNIT, "/run/nothing/there".to_owned());
        assert_eq!(unfinished.ended(UNIT, false), None);
        assert_eq!(unfinished.ended(UNIT, false), None, "that one was ended already");
        let _ = fs::remove_file(notes);
    }
}

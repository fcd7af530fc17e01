//! What differs on disk from what runs: told when somebody asks for one unit, never looked for otherwise.

use std::path::{Path, PathBuf};

use std::os::unix::fs::MetadataExt;

use crate::engine::UnitId;
use crate::model::{Moment, Unit};
use crate::sys::clock;
use crate::unitfile::command;

use super::Init;

impl Init {
    /// The main process of a unit is about to read its configuration.
    pub(super) fn note_configuration(&mut self, id: UnitId, unit: &Unit) {
        let environment =
            || unit.program().and_then(|program| self.launcher.unit_environment(unit, &program.process).ok());
        self.fingerprints.take(id, unit, environment);
    }

    /// What differs from what the unit's process was started with, in words.
    pub(super) fn changed_since_start(&self, id: UnitId) -> Vec<String> {
        let view = self.engine.unit(id);
        let Some(unit) = view.unit() else { return Vec::new() };
        let mut changed = Vec::new();
        match self.look_at_unit_file(unit) {
            UnitFile::Same => {}
            UnitFile::Changed => changed.push("its unit file".to_owned()),
            UnitFile::Gone => changed.push("its unit file, which is gone".to_owned()),
        }
        let environment =
            || unit.program().and_then(|program| self.launcher.unit_environment(unit, &program.process).ok());
        if view.main_pid().is_some() && self.fingerprints.is_changed(id, unit, environment) {
            changed.push("its configuration".to_owned());
        }
        changed
    }

    /// Has the unit's file, or a drop-in of it, been touched since the units were read?
    fn look_at_unit_file(&self, unit: &Unit) -> UnitFile {
        if *unit.source == *Path::new(command::SOURCE) {
            return UnitFile::Same;
        }
        let Ok(about) = std::fs::metadata(&unit.source) else { return UnitFile::Gone };
        let read_at = read_at_wall(self.read_at, self.now, clock::wall_usec());
        let is_newer = |changed: i64, nanos: i64| {
            i128::from(changed) * 1_000_000 + i128::from(nanos) / 1000 > i128::from(read_at)
        };
        if is_newer(about.ctime(), about.ctime_nsec()) {
            return UnitFile::Changed;
        }
        let mut stems = vec![unit.name.as_str().to_owned()];
        stems.extend(
            unit.name.instance().map(|instance| unit.name.as_str().trim_end_matches(instance).to_owned()),
        );
        let directories = self.paths.directories.iter();
        let drop_ins =
            directories.flat_map(|above| stems.iter().map(move |stem| above.join(format!("{stem}.d"))));
        let is_touched = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|about| is_newer(about.ctime(), about.ctime_nsec()))
        };
        let touched = drop_ins.into_iter().any(|directory| {
            is_touched(&directory) || files_in(&directory).iter().any(|path| is_touched(path))
        });
        if touched { UnitFile::Changed } else { UnitFile::Same }
    }
}

/// A unit has a handful of drop-ins.
const MOST_DROP_INS: usize = 100;

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.take(MOST_DROP_INS).map(|entry| entry.path()).collect()
}

enum UnitFile {
    Same,
    Changed,
    Gone,
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
    use std::time::Duration;

    #[test]
    fn a_clock_that_was_set_after_boot_moves_the_time_of_reading_with_it() {
        let read_at = Moment::default() + Duration::from_secs(5);
        let now = read_at + Duration::from_secs(60);
        assert_eq!(read_at_wall(read_at, now, 1_700_000_000_000_000), 1_699_999_940_000_000);
        assert_eq!(read_at_wall(now, read_at, 7), 7);
    }
}

//! What is looked at before a start, and before a trial: the directories that have to be there, the files of
//! `[[render]]`, the paths and the space that `[require]` names, and what `[[prepare]]` would create.

use std::path::Path;

use crate::engine::{Finding, Purpose, UnitId};
use crate::model::unit::{HalfMade, Program, Require};
use crate::model::{ExecStage, SpawnError, Text, Unit};
use crate::sys::dirs::{self, Owner};
use crate::sys::files;

use super::environment::{DEFAULT_PATH, Environment};
use super::launch::{self, Launcher, settle};
use super::render::Renderer;
use super::unfinished::Unfinished;

/// Makes the directories and the rendered files of a unit and looks at what it requires. The error is that of a
/// directory, of a file, or of a variable that is not set.
pub fn inspect(
    unit: UnitId,
    spec: &Unit,
    program: &Program,
    purpose: Purpose,
    launcher: &Launcher,
    renderer: &mut Renderer,
    unfinished: &Unfinished,
) -> Result<Finding, SpawnError> {
    let asks_nothing = *program.require == Require::default()
        && program.hooks.prepare.is_empty()
        && program.renders.is_empty();
    if asks_nothing && program.dirs.is_empty() {
        return Ok(Finding::Met { prepare: Vec::new() });
    }
    if !program.dirs.is_empty() {
        let (uid, gid) = launch::owner(&program.process)?;
        for directory in program.dirs.iter() {
            dirs::make(Path::new(directory.kind.root()), directory, Some(Owner { uid, gid })).map_err(
                |error| SpawnError {
                    stage: ExecStage::Directories,
                    subject: directory.path.clone(),
                    cause: launch::cause(&error),
                },
            )?;
        }
    }
    if asks_nothing {
        return Ok(Finding::Met { prepare: Vec::new() });
    }
    let environment = launcher.unit_environment(spec, &program.process)?;
    // What is not meant for this machine may lack its templates too.
    if let Some(finding) = look_whether_to_skip(&program.require, &environment)? {
        return Ok(finding);
    }
    renderer.make(unit, program, &environment, purpose)?;
    if let Some(finding) = look(&program.require, &environment)? {
        return Ok(finding);
    }
    let mut prepare = Vec::with_capacity(program.hooks.prepare.len());
    for hook in &program.hooks.prepare {
        prepare.push(match &hook.creates {
            Some(path) => {
                let path = settle(path, &environment, "creates")?;
                let is_half_made = exists(&path) && unfinished.has(&path);
                if is_half_made && hook.half_made == HalfMade::Refuse {
                    return Ok(Finding::Unmet(unfinished.refusal(&path)));
                }
                is_half_made || !exists(&path)
            }
            None => true,
        });
    }
    Ok(Finding::Met { prepare })
}

fn look_whether_to_skip(require: &Require, environment: &Environment) -> Result<Option<Finding>, SpawnError> {
    for text in &require.skip_unless_exists {
        let path = settle(text, environment, "require")?;
        if !exists(&path) {
            return Ok(Some(Finding::Skip(format!("'{path}' does not exist"))));
        }
    }
    Ok(None)
}

/// The first thing that is not as it should be.
fn look(require: &Require, environment: &Environment) -> Result<Option<Finding>, SpawnError> {
    let settled = |text: &Text| settle(text, environment, "require");
    for text in &require.exists {
        let path = settled(text)?;
        if !exists(&path) {
            return Ok(Some(Finding::Unmet(format!("'{path}' does not exist"))));
        }
    }
    for text in &require.executable {
        let name = settled(text)?;
        let search = environment.get("PATH").unwrap_or(DEFAULT_PATH);
        if files::find_program(&name, search, Path::new("/")).is_err() {
            return Ok(Some(Finding::Unmet(format!("'{name}' is no program that can be executed"))));
        }
    }
    for (text, wanted) in &require.free_space {
        let path = settled(text)?;
        match files::free_space(Path::new(&path)) {
            Ok(free) if free >= *wanted => {}
            Ok(free) => {
                let words = format!("'{path}' has {} free, of {} wanted", size(free), size(*wanted));
                return Ok(Some(Finding::Unmet(words)));
            }
            Err(error) => {
                let words = format!("cannot tell the free space of '{path}': {error}");
                return Ok(Some(Finding::Unmet(words)));
            }
        }
    }
    Ok(None)
}

/// A path that cannot be looked at counts as missing: the start would fail of it all the same.
fn exists(path: &str) -> bool {
    files::exists(Path::new(path)).unwrap_or(false)
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_said_in_the_largest_unit_that_fits() {
        assert_eq!(size(64 << 20), "64 MiB");
        assert_eq!(size(1000), "1000 bytes");
        assert_eq!(size(3 << 30), "3 GiB");
    }
}

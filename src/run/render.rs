//! The files of `[[render]]`: made from their templates before each test and each start.
//!
//! ```text
//!   template ─▶ fill ─▶ as it is already? nothing is touched
//!                   └─▶ (a trial: what is there is kept beside it) ─▶ written beside, renamed
//!   settle:  Keep ─▶ what was kept is dropped      Restore ─▶ it is put back
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::{Purpose, Renders, UnitId};
use crate::model::spawn::{Cause, errno_words};
use crate::model::unit::{Program, Render};
use crate::model::{ExecStage, SpawnError};
use crate::sys::dirs::Owner;
use crate::sys::replace::{self, Kept, Wished};
use crate::sys::{files, walk};

use super::environment::Environment;
use super::exchange::exchange;
use super::fill::{self, fill};
use super::launch::{self, settle};

/// The files that were there before a trial.
#[derive(Debug, Default)]
pub struct Renderer {
    former: BTreeMap<UnitId, Vec<(PathBuf, Kept)>>,
}

impl Renderer {
    /// Makes the files of a unit, as its user's. The first that cannot be made is the error; the others are not tried.
    pub fn make(
        &mut self,
        unit: UnitId,
        program: &Program,
        environment: &Environment,
        purpose: Purpose,
    ) -> Result<(), SpawnError> {
        if program.renders.is_empty() {
            return Ok(());
        }
        let (uid, gid) = launch::owner(&program.process)?;
        for render in program.renders.iter() {
            let to = PathBuf::from(settle(&render.to, environment, "render")?);
            let failed =
                |cause| SpawnError { stage: ExecStage::Render, subject: to.display().to_string(), cause };
            let bytes = read_and_fill(render, environment).map_err(failed)?;
            let wished = Wished { bytes: &bytes, mode: render.mode, owner: Some(Owner { uid, gid }) };
            self.put(unit, &to, &wished, purpose).map_err(|error| failed(cause(&error)))?;
        }
        Ok(())
    }

    fn put(&mut self, unit: UnitId, to: &Path, wished: &Wished<'_>, purpose: Purpose) -> io::Result<()> {
        let spot = walk::find(to)?;
        if replace::is_so(&spot, wished) {
            return Ok(());
        }
        if purpose == Purpose::Trial {
            let of_unit = self.former.entry(unit).or_default();
            // A second trial replaces what the first one made, and that is nobody's configuration.
            if !of_unit.iter().any(|(known, _)| known == to) {
                of_unit.push((to.to_owned(), replace::keep(&spot)?));
            }
        }
        replace::write(&spot, wished)
    }

    /// Ends the trial of a unit. What could not be put back is answered, a line each.
    pub fn settle(&mut self, unit: UnitId, verdict: Renders) -> Vec<String> {
        let former = self.former.remove(&unit).unwrap_or_default();
        let settled = former.into_iter().filter_map(|(path, kept)| {
            let act = match verdict {
                Renders::Keep => replace::forget,
                Renders::Restore => replace::restore,
            };
            let error = walk::find(&path).and_then(|spot| act(&spot, kept)).err()?;
            Some(match verdict {
                Renders::Keep => {
                    format!("cannot remove what was kept of '{}': {}", path.display(), words(&error))
                }
                Renders::Restore => format!("cannot put '{}' back: {}", path.display(), words(&error)),
            })
        });
        settled.collect()
    }

    /// Two units have changed places.
    pub fn exchange(&mut self, one: UnitId, other: UnitId) {
        exchange(&mut self.former, one, other);
    }
}

fn read_and_fill(render: &Render, environment: &Environment) -> Result<Vec<u8>, Cause> {
    let from =
        settle(&render.from, environment, "render").map_err(|error| Cause::Words(error.to_string()))?;
    let template = walk::open_file(Path::new(&from))
        .and_then(|file| files::read_open(file, fill::LARGEST as u64))
        .map_err(|error| Cause::Words(format!("cannot read '{from}': {}", words(&error))))?;
    fill(&template, render, environment).map_err(|error| Cause::Words(format!("{from}:{error}")))
}

fn cause(error: &io::Error) -> Cause {
    match error.raw_os_error() {
        // What ran out may come back, which only a number tells.
        Some(errno) if errno != libc::ELOOP => Cause::Errno(errno),
        _ => Cause::Words(words(error)),
    }
}

fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ELOOP) => "a link on the way is not root's, and is not followed".to_owned(),
        Some(libc::EINVAL) => "it is not a regular file".to_owned(),
        Some(libc::EFBIG) => format!("it is larger than {} KiB", fill::LARGEST >> 10),
        Some(errno) => errno_words(errno),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::{Hooks, Process, Ready, Require, Restart, Stop};
    use crate::model::{Command, Text};
    use crate::run::load::scratch::Scratch;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::rc::Rc;

    /// A program that is made `to` from `from`, with the parameter `port`.
    fn program(scratch: &Scratch, files: &[(&str, &str)], port: &str) -> Program {
        let text = |name: &str| Text::parse(scratch.path(name).to_str().unwrap()).unwrap();
        let render = |(from, to): &(&str, &str)| Render {
            from: text(from),
            to: text(to),
            mode: 0o640,
            parameters: [("port".to_owned(), port.to_owned())].into(),
        };
        Program {
            exec: Command::new(vec![Text::parse("/bin/true").unwrap()]).unwrap(),
            process: Rc::new(Process::default()),
            require: Rc::new(Require::default()),
            dirs: [].into(),
            hooks: Rc::new(Hooks::default()),
            ready: Rc::new(Ready::default()),
            stop: Rc::new(Stop::default()),
            restart: Rc::new(Restart::default()),
            configtest: None,
            reload: None,
            renders: files.iter().map(render).collect(),
            resources: None,
            log: Rc::default(),
        }
    }

    const UNIT: UnitId = UnitId(3);

    fn make(renderer: &mut Renderer, program: &Program, purpose: Purpose) -> Result<(), String> {
        renderer.make(UNIT, program, &Environment::default(), purpose).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_made_with_its_bits_and_what_is_right_is_not_touched() {
        let scratch = Scratch::new();
        scratch.file("in", "listen %{port}\n");
        let program = program(&scratch, &[("in", "out")], "80");
        let mut renderer = Renderer::default();
        make(&mut renderer, &program, Purpose::Start).unwrap();
        let about = fs::metadata(scratch.path("out")).unwrap();
        assert_eq!(fs::read_to_string(scratch.path("out")).unwrap(), "listen 80\n");
        assert_eq!(about.permissions().mode() & 0o7777, 0o640);
        make(&mut renderer, &program, Purpose::Trial).unwrap();
        assert_eq!(fs::metadata(scratch.path("out")).unwrap().ino(), about.ino());
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 2, "nothing is left beside it");
    }

    #[test]
    fn a_trial_leaves_what_was_there_or_what_it_made() {
        let scratch = Scratch::new();
        scratch.file("in", "%{port}");
        scratch.file("old", "1");
        let files = [("in", "old"), ("in", "new")];
        let mut renderer = Renderer::default();
        make(&mut renderer, &program(&scratch, &files, "2"), Purpose::Trial).unwrap();
        make(&mut renderer, &program(&scratch, &files, "3"), Purpose::Trial).unwrap();
        let read = |name: &str| fs::read_to_string(scratch.path(name)).ok();
        assert_eq!((read("old").as_deref(), read("new").as_deref()), (Some("3"), Some("3")));
        assert_eq!(renderer.settle(UNIT, Renders::Restore), [""; 0]);
        assert_eq!((read("old").as_deref(), read("new")), (Some("1"), None), "of before the first trial");
        make(&mut renderer, &program(&scratch, &files, "4"), Purpose::Trial).unwrap();
        let other = UnitId(9);
        renderer.exchange(UNIT, other);
        assert_eq!(renderer.settle(UNIT, Renders::Restore), [""; 0]);
        assert_eq!(renderer.settle(other, Renders::Keep), [""; 0]);
        assert_eq!((read("old").as_deref(), read("new").as_deref()), (Some("4"), Some("4")));
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 3);
    }

    #[test]
    fn what_cannot_be_made_says_why_and_leaves_what_is_there() {
        let scratch = Scratch::new();
        scratch.file("in", "\n%{prt}");
        scratch.file("out", "as before");
        let dir = scratch.path("").display().to_string();
        let mut renderer = Renderer::default();
        let mut said = |from: &str, to: &str| {
            let error =
                make(&mut renderer, &program(&scratch, &[(from, to)], "1"), Purpose::Trial).unwrap_err();
            error.replace(&dir, "")
        };
        assert_eq!(
            said("in", "out"),
            "cannot make the file '/out': /in:2:1: there is nothing called '%{prt}'; did you mean '%{port}'?"
        );
        assert_eq!(
            said("none", "out"),
            "cannot make the file '/out': cannot read '/none': no such file or directory"
        );
        assert_eq!(said("", "out"), "cannot make the file '/out': cannot read '': it is not a regular file");
        scratch.file("good", "");
        assert_eq!(said("good", "none/out"), "cannot make the file '/none/out': no such file or directory");
        scratch.file("large", "x".repeat(fill::LARGEST + 1));
        assert!(said("large", "out").ends_with("'/large': it is larger than 1024 KiB"));
        assert_eq!(fs::read_to_string(scratch.path("out")).unwrap(), "as before");
    }
}

//! `sexton chore NAME`: what the units of sexton's own run on a machine. Nobody types it.

use std::ffi::OsStr;
use std::io::Write;

use crate::machine::chores::{Job, find};
use crate::model::Settings;
use crate::model::kernel_line::{KernelLine, LONGEST};
use crate::run::load::{self, UnitPaths};
use crate::sys::files;

use super::Exit;

/// Does the chore of this name.
pub fn run(name: &OsStr) -> Exit {
    let Some(act) = name.to_str().and_then(find) else {
        // Nobody is left to tell where standard error cannot be written to.
        let _ = writeln!(std::io::stderr(), "there is no chore '{}'", name.display());
        return Exit::Usage;
    };
    let settings = settings();
    let mut job = Job::new(&settings, line().debug);
    act(&mut job);
    if job.has_failed() { Exit::Failed } else { Exit::Done }
}

/// What `sexton.toml` says. PID 1 has told by now what is wrong with it.
fn settings() -> Settings {
    let paths = UnitPaths { directories: Vec::new(), ..UnitPaths::system() };
    load::load(&paths).settings
}

fn line() -> KernelLine {
    let bytes = files::read_bounded("/proc/cmdline".as_ref(), LONGEST as u64).unwrap_or_default();
    KernelLine::parse(&String::from_utf8_lossy(&bytes))
}

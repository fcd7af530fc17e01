//! The wrapper: as tini and dumb-init, side by side with Debian's own, and what it does beyond them.

mod beside;
mod bytes;
mod catatonit;
mod ends;
mod hygiene;
mod signals;
mod terminal;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{Finished, needs, sexton};

static PLACES: AtomicU32 = AtomicU32::new(0);

/// A directory with the binary under its three names, gone on drop.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Place {
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/sexton-wrapper.{}.{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for name in ["sexton", "tini", "dumb-init"] {
            symlink(sexton(), path.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        Place(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays behind harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Debian's program of this name.
pub fn debian(name: &str) -> PathBuf {
    PathBuf::from(needs(name, name))
}

/// The variables that change what any of them does.
const VARIABLES: [&str; 7] = [
    "TINI_SUBREAPER",
    "TINI_VERBOSITY",
    "TINI_KILL_PROCESS_GROUP",
    "DUMB_INIT_SETSID",
    "DUMB_INIT_DEBUG",
    "POSIXLY_CORRECT",
    "LISTEN_PID",
];

/// Runs a program to its end, with these variables beside the usual ones.
pub fn run(program: &Path, words: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "-s", "KILL", "60"]).arg(program).args(words).stdin(Stdio::null());
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied().collect::<BTreeMap<_, _>>());
    #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
    let output = command.output().unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished {
        code: output.status.code().unwrap_or(255),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

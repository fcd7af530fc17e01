//! The stage of the demo: namespaces that only this process and what it starts are in, and sexton as their PID 1.
//!
//! ```text
//!   sexton demo ── enters new namespaces: user (when not root), mount, pid, network, host name, IPC
//!        └── sexton demo-init, PID 1: a /proc and a /tmp of its own ── writes the units there
//!                 └── becomes sexton up /tmp/sexton-demo
//! ```
//!
//! Nothing is written outside: the file system that everything is written to is in no other mount namespace.
//! When this process ends, however it does, the kernel kills PID 1, and with it everything on the stage.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use include_dir::{Dir, DirEntry, include_dir};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::cli::Trouble;
use crate::control::client::Client;
use crate::model::spawn::errno_words;
use crate::sys::namespace::{self, Outside};

/// Where the units lie on the stage; they name this place themselves.
pub(super) const DIRECTORY: &str = "/tmp/sexton-demo";

/// Where PID 1 writes what its units say.
const CONSOLE: &str = "console";

static UNITS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/demo");

/// How long PID 1 may take to listen: it needs milliseconds, and a machine under load much more.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running PID 1, and where it can be spoken to.
#[derive(Debug)]
pub(super) struct Stage {
    init: Child,
    socket: PathBuf,
}

impl Stage {
    /// Makes the namespaces around this process and starts sexton in them.
    pub(super) fn build() -> Result<Stage, Trouble> {
        let outside = namespace::enter().map_err(|error| forbidden(&error))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("demo-init").arg(outside.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        #[allow(clippy::disallowed_methods, reason = "the demo is no PID 1 and has this one child")]
        let init = command.spawn().map_err(|error| trouble("start PID 1", &error))?;
        Ok(Stage { init, socket: Path::new(DIRECTORY).join("run/control") })
    }

    /// A connection to PID 1, as soon as it listens.
    pub(super) fn connect(&mut self) -> Result<Client, Trouble> {
        let started = Instant::now();
        loop {
            match Client::connect(&self.socket) {
                Ok(mut client) => {
                    client.set_timeout(PATIENCE);
                    return Ok(client);
                }
                Err(error) if started.elapsed() >= PATIENCE => return Err(error.into()),
                Err(_) => {}
            }
            if let Some(status) = self.ended()? {
                let console = fs::read_to_string(Path::new(DIRECTORY).join(CONSOLE)).unwrap_or_default();
                return Err(Trouble::Words(format!("PID 1 ended before it listened ({status}): {console}")));
            }
            #[allow(
                clippy::disallowed_methods,
                reason = "nothing tells that a socket appears which is not there yet"
            )]
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn ended(&mut self) -> Result<Option<String>, Trouble> {
        #[allow(clippy::disallowed_methods, reason = "the demo is no PID 1 and has this one child")]
        let status = self.init.try_wait().map_err(|error| trouble("wait for PID 1", &error))?;
        Ok(status.map(|status| status.to_string()))
    }

    /// Waits until PID 1 has ended; its exit code, or `None` where a signal ended it.
    pub(super) fn exit_code(&mut self) -> Result<Option<i32>, Trouble> {
        #[allow(clippy::disallowed_methods, reason = "the demo is no PID 1 and has this one child")]
        let status = self.init.wait().map_err(|error| trouble("wait for PID 1", &error))?;
        Ok(status.code())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // PID 1 may have ended already; then there is nothing to kill, and with it everything else is gone.
        let _ = self.init.kill();
        #[allow(clippy::disallowed_methods, reason = "the demo is no PID 1 and has this one child")]
        let _ = self.init.wait();
    }
}

/// `sexton demo-init`: PID 1 before it is sexton. Returns only when it cannot become it. Outside of namespaces that were made
/// for it, it changes nothing: what it mounts would hide what is there, for good.
pub(super) fn become_init(outside: Outside) -> Trouble {
    // What the demo started must not outlive it, whatever ends it.
    if let Err(errno) = prctl::set_pdeathsig(Signal::SIGKILL) {
        return trouble("follow the demo", &errno.into());
    }
    match namespace::furnish(outside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Trouble::Words(format!("{error}; demo-init is a part of 'sexton demo'"));
        }
        Err(error) => return forbidden(&error),
    }
    match furnish() {
        Err(error) => trouble("set the stage", &error),
        Ok(console) => trouble("become sexton", &become_sexton(console)),
    }
}

/// Returns only where that fails.
fn become_sexton(console: File) -> io::Error {
    let root = Path::new(DIRECTORY);
    let errors = match console.try_clone() {
        Ok(errors) => errors,
        Err(error) => return error,
    };
    let mut command = Command::new(root.join("bin/sexton"));
    command.arg("up").arg(root).arg("--run-dir").arg(root.join("run"));
    command.env_clear().env("PATH", root.join("bin")).stdout(console).stderr(errors);
    command.exec()
}

/// Writes the units, and the program under the name by which they call it; answers the console that PID 1 gets.
fn furnish() -> io::Result<File> {
    let root = Path::new(DIRECTORY);
    fs::create_dir_all(root.join("bin"))?;
    // The program may lie where the private /tmp hides it, so a copy comes along.
    fs::copy("/proc/self/exe", root.join("bin/sexton"))?;
    let mut directories = vec![&UNITS];
    while let Some(directory) = directories.pop() {
        fs::create_dir_all(root.join(directory.path()))?;
        for entry in directory.entries() {
            match entry {
                DirEntry::Dir(below) => directories.push(below),
                DirEntry::File(file) => fs::write(root.join(file.path()), file.contents())?,
            }
        }
    }
    File::create(root.join(CONSOLE))
}

fn trouble(verb: &str, error: &io::Error) -> Trouble {
    Trouble::Words(format!("cannot {verb}: {}", in_words(error)))
}

fn forbidden(error: &io::Error) -> Trouble {
    Trouble::Words(format!(
        "cannot make namespaces: {}; the demo needs a kernel that lets you make user namespaces, or root with \
         CAP_SYS_ADMIN (in a container: --privileged)",
        in_words(error)
    ))
}

fn in_words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_the_demo_name_the_place_where_they_lie() {
        let template = UNITS.get_file("greeter@.toml").and_then(|file| file.contents_utf8()).unwrap();
        assert!(template.contains(&format!("files = \"{DIRECTORY}/greeters/*.conf\"")));
        assert_eq!(UNITS.get_dir("greeters").map(|directory| directory.files().count()), Some(3));
    }

    #[test]
    fn a_kernel_that_forbids_namespaces_is_said_to_with_what_would_help() {
        let error = io::Error::from_raw_os_error(libc::EPERM);
        let words = forbidden(&error).to_string();
        assert!(words.starts_with("cannot make namespaces: operation not permitted; "), "{words}");
        assert!(words.contains("--privileged"), "{words}");
    }
}

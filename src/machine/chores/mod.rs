//! The chores: what is done once at boot, each in a process of its own that may block and may fail.
//!
//! ```text
//!   config/machine/NAME.toml ──▶ sexton chore NAME ──▶ find(NAME) ──▶ act(Job) ──▶ 0, or 1 when anything went wrong
//! ```
//!
//! What is wrong is said with its place, and what can be done beside it is done: a broken line of a file costs that line.

mod button;
mod disks;
pub(super) mod drivers;
mod kept;
mod mounts;
mod names;
mod network;
mod shells;
mod sysctl;
mod tmpfiles;
mod tries;

pub use shells::SUMMARY;

use std::io::Write;

use crate::model::Settings;

/// What a chore is given.
#[derive(Debug)]
pub struct Job<'a> {
    /// What `sexton.toml` says.
    pub settings: &'a Settings,
    /// Small steps are told too.
    pub debug: bool,
    /// Something went wrong.
    failed: bool,
}

impl Job<'_> {
    /// A job that has not begun.
    pub fn new(settings: &Settings, debug: bool) -> Job<'_> {
        Job { settings, debug, failed: false }
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}"); // Nobody is left to tell that nobody hears it.
    }

    /// Says a small step, where somebody wants to hear of those.
    pub fn trace(&mut self, line: &str) {
        if self.debug {
            self.say(line);
        }
    }

    /// Says what went wrong; the chore will have failed.
    pub fn fail(&mut self, line: &str) {
        self.failed = true;
        let _ = writeln!(std::io::stderr(), "{line}"); // as above
    }

    /// Did anything go wrong?
    pub fn has_failed(&self) -> bool {
        self.failed
    }
}

type Act = fn(&mut Job<'_>);

const ACTS: &[(&str, Act)] = &[
    ("boot-done", tries::done),
    ("boot-failed", tries::failed),
    ("clock", kept::time),
    ("console", shells::console),
    ("devices", drivers::found),
    ("fsck", disks::check),
    ("fstab", disks::mount),
    ("hostname", names::host),
    ("loopback", names::loopback),
    ("machine-id", names::machine_id),
    ("modules", drivers::named),
    ("mounts", mounts::act),
    ("network", network::act),
    ("power-button", button::act),
    ("rescue", shells::rescue),
    ("root", disks::root),
    ("seed", kept::seed),
    ("swap", disks::swap),
    ("sysctl", sysctl::act),
    ("tmpfiles", tmpfiles::act),
];

/// What a chore of this name does.
pub fn find(name: &str) -> Option<Act> {
    ACTS.iter().find(|(known, _)| *known == name).map(|(_, act)| *act)
}

#[cfg(test)]
mod tests {
    use super::super::units;
    use super::*;

    #[test]
    fn every_unit_of_sextons_own_runs_a_chore_that_there_is() {
        for (name, text) in units::UNITS {
            let exec = text.lines().find(|line| line.starts_with("exec = "));
            let words: Vec<&str> = exec.unwrap_or_default().split('"').skip(1).step_by(2).collect();
            if let ["/proc/self/exe", "chore", chore] = words.as_slice() {
                assert!(find(chore).is_some(), "{name}: {chore}");
            }
        }
    }
}

//! Why a process could not be started: which step, on what, and what the kernel said.
//!
//! The steps of a start are a list with a sentence each, so that "cannot start nginx" always goes on
//! with where it broke: `cannot change to user 'www-data': no such user`.

use std::fmt;

/// A step on the way from a unit to a running program, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExecStage {
    /// Reading a file of variables.
    EnvFile,
    /// Settling `${NAME}`.
    Expand,
    /// Looking a user or a group up.
    Account,
    /// Making a directory of `[dirs]`.
    Directories,
    /// Making a file of `[[render]]` from its template.
    Render,
    /// Finding the program in `PATH`.
    Program,
    /// Making a pipe or a socket for it.
    Pipe,
    /// Making the unit's cgroup, or joining it.
    Cgroup,
    /// `clone(2)`.
    Fork,
    /// `setpgid(2)`, or `setsid(2)` where there is a terminal.
    ProcessGroup,
    /// Opening and placing descriptors 0 to 2 and those it was promised.
    Descriptors,
    /// Making a terminal its controlling one.
    Terminal,
    /// `setrlimit(2)`.
    Limits,
    /// `setpriority(2)`.
    Nice,
    /// `ioprio_set(2)`.
    IoClass,
    /// `sched_setaffinity(2)`.
    Cpus,
    /// Writing `/proc/self/oom_score_adj`.
    OomScore,
    /// `capset(2)`, and `prctl(2)` for what bounds it.
    Capabilities,
    /// `prctl(2)`.
    NoNewPrivileges,
    /// `setgroups(2)`.
    Groups,
    /// `setresgid(2)`.
    Group,
    /// `setresuid(2)`.
    User,
    /// `chdir(2)`.
    Directory,
    /// A path of `[require] readable`.
    Readable,
    /// A path of `[require] writable`.
    Writable,
    /// Restoring the signal mask and dispositions.
    Signals,
    /// `execve(2)`.
    Exec,
}

/// A start that did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    /// Which step failed.
    pub stage: ExecStage,
    /// What it was done to: a path, a user, a resource; may be empty.
    pub subject: String,
    /// What was said: the kernel's error number, or our own words where no system call failed.
    pub cause: Cause,
}

/// What was said when a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An error number of the kernel.
    Errno(i32),
    /// Our own words, such as "no such user".
    Words(String),
}

impl ExecStage {
    /// All stages, by their number.
    pub const ALL: [ExecStage; 27] = [
        ExecStage::EnvFile,
        ExecStage::Expand,
        ExecStage::Account,
        ExecStage::Directories,
        ExecStage::Render,
        ExecStage::Program,
        ExecStage::Pipe,
        ExecStage::Cgroup,
        ExecStage::Fork,
        ExecStage::ProcessGroup,
        ExecStage::Descriptors,
        ExecStage::Terminal,
        ExecStage::Limits,
        ExecStage::Nice,
        ExecStage::IoClass,
        ExecStage::Cpus,
        ExecStage::OomScore,
        ExecStage::Capabilities,
        ExecStage::NoNewPrivileges,
        ExecStage::Groups,
        ExecStage::Group,
        ExecStage::User,
        ExecStage::Directory,
        ExecStage::Readable,
        ExecStage::Writable,
        ExecStage::Signals,
        ExecStage::Exec,
    ];

    /// What was being done, to be followed by the subject.
    pub fn verb(self) -> &'static str {
        match self {
            ExecStage::EnvFile => "read the environment file",
            ExecStage::Expand => "settle the variables of",
            ExecStage::Account => "find the account",
            ExecStage::Directories => "make the directory",
            ExecStage::Render => "make the file",
            ExecStage::Program => "find the program",
            ExecStage::Pipe => "make a pipe or socket for",
            ExecStage::Cgroup => "enter the cgroup of",
            ExecStage::Fork => "create a process",
            ExecStage::ProcessGroup => "leave the process group of sexton",
            ExecStage::Descriptors => "place the descriptor",
            ExecStage::Terminal => "take the terminal",
            ExecStage::Limits => "set the limit",
            ExecStage::Nice => "set the niceness",
            ExecStage::IoClass => "set the I/O class",
            ExecStage::Cpus => "bind it to the processors",
            ExecStage::OomScore => "set the OOM score",
            ExecStage::Capabilities => "give it the capability",
            ExecStage::NoNewPrivileges => "keep it from new privileges",
            ExecStage::Groups => "set the supplementary groups",
            ExecStage::Group => "change to group",
            ExecStage::User => "change to user",
            ExecStage::Directory => "change to directory",
            ExecStage::Readable => "read",
            ExecStage::Writable => "write",
            ExecStage::Signals => "restore the signals",
            ExecStage::Exec => "execute",
        }
    }
}

impl SpawnError {
    /// True when the same start can work a moment later, because what ran out may come back: processes,
    /// memory, descriptors. Such a failure has a timer of its own and no part in the restart limit.
    #[doc(alias = "EAGAIN")]
    pub fn is_transient(&self) -> bool {
        let scarce = [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EINTR];
        matches!(self.cause, Cause::Errno(errno) if scarce.contains(&errno))
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.stage.verb())?;
        if !self.subject.is_empty() {
            write!(f, " '{}'", self.subject)?;
        }
        match &self.cause {
            Cause::Errno(errno) => write!(f, ": {}", errno_words(*errno)),
            Cause::Words(words) => write!(f, ": {words}"),
        }
    }
}

impl std::error::Error for SpawnError {}

/// What the C library says of an error number, in lower case and without the number.
pub fn errno_words(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_says_the_step_the_thing_and_the_cause() {
        let error = SpawnError {
            stage: ExecStage::User,
            subject: "www-data".into(),
            cause: Cause::Words("no such user".into()),
        };
        assert_eq!(error.to_string(), "cannot change to user 'www-data': no such user");
        let error =
            SpawnError { stage: ExecStage::Fork, subject: String::new(), cause: Cause::Errno(libc::EAGAIN) };
        assert_eq!(error.to_string(), "cannot create a process: resource temporarily unavailable");
    }

    #[test]
    fn what_ran_out_may_come_back_and_what_is_wrong_stays_wrong() {
        let error =
            |errno| SpawnError { stage: ExecStage::Exec, subject: String::new(), cause: Cause::Errno(errno) };
        assert!(error(libc::EAGAIN).is_transient() && error(libc::EMFILE).is_transient());
        assert!(!error(libc::ENOENT).is_transient() && !error(libc::EACCES).is_transient());
    }

    #[test]
    fn every_stage_has_its_number_and_a_sentence_of_its_own() {
        let mut verbs = Vec::new();
        for (number, stage) in ExecStage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, number);
            assert!(!verbs.contains(&stage.verb()), "{stage:?}");
            verbs.push(stage.verb());
        }
    }
}

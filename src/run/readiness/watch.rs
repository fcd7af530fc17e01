//! What is watched for, for one unit: the way, and the pace of its tries.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use regex_lite::Regex;

use super::attempt::{Attempt, Target, words};
use crate::model::command::{Text, Unset};
use crate::model::unit::{Readiness, Ready};
use crate::model::{ExitStatus, Moment, Pid};
use crate::sys::poll::Poller;

/// The wait after the first try, doubled up to the unit's interval: most daemons are ready in milliseconds.
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// What a probe prints is looked at up to here; the rest is read and thrown away, so that it never waits.
const MAX_OUTPUT: usize = 4096;
/// As much of it as a note shows.
const SHOWN_OUTPUT: usize = 60;

/// One unit's watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) way: Way,
    pub(super) pace: Pace,
    /// The timer that is set for it.
    pub(super) due: Option<Moment>,
}

/// What is watched.
#[derive(Debug)]
pub(super) enum Way {
    /// Nothing here: somebody tells, and until then this is the note.
    Told(String),
    /// The read end of the pipe; none once its other end is closed.
    Descriptor(Option<OwnedFd>),
    /// An address, and the try that is under way.
    Address(Target, Option<Attempt>),
    /// A command that is run again and again.
    Command { matches: Option<Regex>, probe: Probe },
    /// A file, and what was there before the start.
    File { path: PathBuf, before: Option<Stamp> },
}

/// The probe of a unit.
#[derive(Debug)]
pub(super) enum Probe {
    /// None runs.
    Idle,
    /// One is about to be started; the read end of its output, where that is looked at.
    Wished(Option<OwnedFd>),
    /// It runs.
    Running { pid: Pid, output: Option<OwnedFd>, seen: Vec<u8> },
}

/// How long to wait between tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    next: Duration,
    longest: Duration,
}

/// Which file it is and when it was last touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Pace {
        Pace { next: FIRST_WAIT.min(interval), longest: interval }
    }

    /// One that begins slower.
    pub(super) fn from(first: Duration, longest: Duration) -> Pace {
        Pace { next: first, longest }
    }

    /// The interval that it grows to.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// The wait before the next try; the one after that will be longer.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next.min(self.longest).max(Duration::from_millis(1));
        self.next = (wait * 2).min(self.longest);
        wait
    }
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Stamp> {
        let of = |data: &Metadata| Stamp {
            device: data.dev(),
            inode: data.ino(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        };
        std::fs::metadata(path).map(|data| of(&data))
    }
}

/// A way that is prepared, and the descriptor that the process is to get for it.
pub(super) type Prepared = (Way, Option<OwnedFd>);

impl Way {
    /// Prepares to watch, before the process starts. `None`: there is nothing to watch. The error is one of
    /// `pipe(2)`; a path whose variables are not set is no error but a way that never leads anywhere.
    pub(super) fn prepare(
        ready: &Ready,
        expand: &dyn Fn(&Text) -> Result<String, Unset>,
    ) -> io::Result<Option<Prepared>> {
        let way = match &ready.how {
            Readiness::Exec => return Ok(None),
            Readiness::Notify => Way::Told("it has not sent READY=1".to_owned()),
            Readiness::Log(pattern) => Way::Told(format!("no line of its output matched '{pattern}'")),
            Readiness::Fd(_) => {
                let (read, write) = nonblocking_pipe()?;
                return Ok(Some((Way::Descriptor(Some(read)), Some(write))));
            }
            Readiness::Tcp(address) => Way::Address(Target::Tcp(*address), None),
            Readiness::Http(target) => Way::Address(Target::Http(target.clone()), None),
            Readiness::Unix(path) => match expand(path) {
                Ok(path) => Way::Address(Target::Unix(path.into()), None),
                Err(unset) => Way::Told(unset.to_string()),
            },
            Readiness::File(path) => match expand(path) {
                Ok(path) => {
                    let path = PathBuf::from(path);
                    let before = Stamp::of(&path).ok();
                    Way::File { path, before }
                }
                Err(unset) => Way::Told(unset.to_string()),
            },
            Readiness::Command { matches: None, .. } => Way::Command { matches: None, probe: Probe::Idle },
            Readiness::Command { matches: Some(pattern), .. } => match Regex::new(pattern) {
                Ok(regex) => Way::Command { matches: Some(regex), probe: Probe::Idle },
                Err(error) => Way::Told(format!("'{pattern}' is no regular expression: {error}")),
            },
        };
        Ok(Some((way, None)))
    }

    /// What there is to say before anything was tried.
    pub(super) fn first_note(&self) -> String {
        match self {
            Way::Told(note) => note.clone(),
            Way::Descriptor(Some(_)) => "it has not written a newline to its descriptor".to_owned(),
            Way::Descriptor(None) => "it closed its descriptor without writing a newline".to_owned(),
            Way::Address(target, _) => format!("{}: no answer yet", target.name()),
            Way::Command { .. } => "its probe has not ended yet".to_owned(),
            Way::File { path, .. } => format!("'{}' was not looked at yet", path.display()),
        }
    }

    /// The descriptor that is waited on.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Way::Descriptor(fd) => fd.as_ref().map(AsFd::as_fd),
            Way::Address(_, attempt) => attempt.as_ref().map(Attempt::fd),
            Way::Command { probe: Probe::Running { output, .. }, .. } => output.as_ref().map(AsFd::as_fd),
            Way::Command { probe: Probe::Idle | Probe::Wished(_), .. } | Way::Told(_) | Way::File { .. } => {
                None
            }
        }
    }
}

/// Is the file there, and not the one that was there before the start?
pub(super) fn look_at_file(path: &Path, before: Option<Stamp>) -> Result<(), String> {
    match Stamp::of(path) {
        Ok(stamp) if Some(stamp) != before => Ok(()),
        Ok(_) => Err(format!("'{}' is the one of an earlier run", path.display())),
        Err(error) => Err(format!("'{}': {}", path.display(), words(&error))),
    }
}

/// What one read of a descriptor found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Newline,
    Nothing,
    End,
}

/// Reads what a daemon wrote to its readiness descriptor.
pub(super) fn read_newline(fd: &OwnedFd) -> Found {
    let mut chunk = [0; 256];
    match read(fd, &mut chunk) {
        Ok(0) => Found::End,
        Ok(count) if chunk.iter().take(count).any(|byte| *byte == b'\n') => Found::Newline,
        Ok(_) => Found::Nothing,
        Err(error) if is_passing(&error) => Found::Nothing,
        Err(_) => Found::End,
    }
}

/// Reads what a probe printed and is there now; `End` when no more will come.
pub(super) fn read_output(fd: &OwnedFd, seen: &mut Vec<u8>) -> Found {
    let mut chunk = [0; MAX_OUTPUT];
    match read(fd, &mut chunk) {
        Ok(0) => Found::End,
        Ok(count) => {
            seen.extend(chunk.iter().take(count.min(MAX_OUTPUT.saturating_sub(seen.len()))));
            Found::Newline
        }
        Err(error) if is_passing(&error) => Found::Nothing,
        Err(_) => Found::End,
    }
}

/// What a probe that ended says.
pub(super) fn judge(status: ExitStatus, seen: &[u8], matches: Option<&Regex>) -> Result<(), String> {
    if !status.is_success() {
        return Err(format!("its probe {status}"));
    }
    let text = String::from_utf8_lossy(seen);
    match matches {
        Some(regex) if !regex.is_match(&text) => {
            let shown: String = text.trim().chars().take(SHOWN_OUTPUT).collect();
            let shown = shown.replace(char::is_control, " ");
            Err(format!("its probe printed '{shown}', which does not match '{regex}'"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A pipe whose read end does not block. The write end goes to a process that expects it to.
pub(super) fn nonblocking_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read.into(), write.into()))
}

/// Closes a descriptor that was waited on.
pub(super) fn unwatch(poller: &Poller, fd: Option<OwnedFd>) {
    if let Some(fd) = fd {
        let _ = poller.remove(fd.as_fd()); // It is closed next, which removes it too.
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn read(fd: &OwnedFd, chunk: &mut [u8]) -> io::Result<usize> {
    Ok(nix::unistd::read(fd, chunk)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_quickly_at_first_and_then_at_the_interval() {
        let mut pace = Pace::new(Duration::from_millis(100));
        let waits: Vec<u128> = (0..8).map(|_| pace.wait().as_millis()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 100, 100, 100]);
        assert_eq!(Pace::new(Duration::from_millis(2)).wait(), Duration::from_millis(2));
        assert_eq!(Pace::new(Duration::ZERO).wait(), Duration::from_millis(1), "never a busy loop");
    }

    #[test]
    fn a_probe_is_judged_by_its_status_and_its_words() {
        let pong = Regex::new("PONG").unwrap();
        let ok = ExitStatus::exited(0);
        assert_eq!(judge(ok, b"", None), Ok(()));
        assert_eq!(judge(ok, b"PONG\n", Some(&pong)), Ok(()));
        assert_eq!(
            judge(ExitStatus::exited(1), b"PONG", Some(&pong)).unwrap_err(),
            "its probe exited with code 1"
        );
        assert_eq!(
            judge(ok, b"LOADING \x1b[2J\xff\n", Some(&pong)).unwrap_err(),
            "its probe printed 'LOADING  [2J\u{fffd}', which does not match 'PONG'"
        );
    }

    #[test]
    fn a_file_counts_only_when_it_is_new_or_was_touched() {
        let path = std::env::temp_dir().join(format!("sexton-watch-{}", std::process::id()));
        assert!(look_at_file(&path, None).unwrap_err().ends_with("no such file or directory"));
        std::fs::write(&path, "old").unwrap();
        assert_eq!(look_at_file(&path, None), Ok(()));
        let before = Stamp::of(&path).ok();
        assert!(look_at_file(&path, before).unwrap_err().ends_with("is the one of an earlier run"));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/proc/self/status", &path).unwrap();
        assert_eq!(look_at_file(&path, before), Ok(()));
        std::fs::remove_file(&path).unwrap();
    }
}

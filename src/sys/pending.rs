//! A child that is on its way to its exec, and that nobody waits for.
//!
//! ```text
//!   fork ──▶ Pending ──look──▶ Coming ──┬──▶ Executed        the pipe ends: the exec has closed the other end
//!                                       └──▶ Failed          the child's last word, or none within a limit
//! ```
//!
//! The child is somebody else from its `setresuid` on, and every process of that user may stop it, for ever. So it shares
//! neither memory nor descriptors with its parent, and its parent looks for what it says when there is something to see.
//! Memory: before Linux 5.16 a signal that dumps a core, sent to one who shares it, killed all who shared it.
//!
//! See [pipe(7)](https://man7.org/linux/man-pages/man7/pipe.7.html).

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::fault::Fault;
use super::subjects::Subjects;
use crate::model::{Pid, SpawnError};

/// A child that was forked and was not yet seen to have executed its program.
#[derive(Debug)]
pub struct Pending {
    pid: Pid,
    report: File,
    subjects: Subjects,
}

/// How far a child has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is on its way.
    Coming,
    /// Its program runs, or it was killed before that: who kills a process a moment after its exec is told nothing else.
    Executed,
    /// It gave up, and ends.
    Failed(SpawnError),
}

impl Pending {
    /// `report` does not block.
    pub(super) fn new(pid: Pid, report: OwnedFd, subjects: Subjects) -> Pending {
        Pending { pid, report: File::from(report), subjects }
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How far it has come. Whatever its program did later, and whatever its end was, is not known before this is.
    pub fn look(&self) -> Progress {
        let mut word = [0; Fault::SIZE];
        loop {
            return match (&self.report).read(&mut word) {
                Ok(0) => Progress::Executed,
                // A write of so few bytes is whole.
                Ok(_) => Progress::Failed(self.subjects.error(Fault::from_bytes(word))),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Nothing else can be met here.
                Err(_) => Progress::Coming,
            };
        }
    }

    /// What is said of one that did not come to its exec within a limit.
    pub fn late(&self, limit: Duration) -> SpawnError {
        self.subjects.no_exec(format!(
            "it did not come to that within {} s: somebody may have stopped it, or a file system hangs",
            limit.as_secs()
        ))
    }
}

impl AsFd for Pending {
    /// Readable when there is something to [look](Pending::look) at.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }
}

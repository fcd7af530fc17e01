//! What a child that gave up tells its parent: in memory that both have, or as bytes in a pipe.
//!
//! ```text
//!   shared memory:     Report::write ──▶ Report::read        the parent is suspended in between
//!   memory of its own: Fault::to_bytes ──pipe──▶ Fault::from_bytes
//! ```
//!
//! The child calls this too: no allocation, no lock, no panic.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use crate::model::ExecStage;

/// What the child leaves behind when it could not exec.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Zero: nothing went wrong.
    stage: AtomicUsize,
    errno: AtomicI32,
    index: AtomicUsize,
    /// The child could not get a table of its own and did nothing.
    shared: AtomicBool,
}

/// What a child that gave up tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The step that failed.
    pub(super) stage: ExecStage,
    /// The kernel's word.
    pub(super) errno: i32,
    /// Which of several subjects of the step.
    pub(super) index: usize,
}

impl Fault {
    /// As bytes, in a pipe.
    pub(super) const SIZE: usize = 12;

    /// There is no child.
    pub(super) fn no_process(error: &std::io::Error) -> Fault {
        Fault { stage: ExecStage::Fork, errno: error.raw_os_error().unwrap_or(libc::EAGAIN), index: 0 }
    }

    pub(super) fn to_bytes(self) -> [u8; Fault::SIZE] {
        let [a, b, c, d] = (self.stage as u32).to_ne_bytes();
        let [e, f, g, h] = self.errno.to_ne_bytes();
        let [i, j, k, l] = (self.index as u32).to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// What [`Fault::to_bytes`] made of it. A stage that there is not is taken for the last one.
    pub(super) fn from_bytes([a, b, c, d, e, f, g, h, i, j, k, l]: [u8; Fault::SIZE]) -> Fault {
        let stage = ExecStage::ALL.get(u32::from_ne_bytes([a, b, c, d]) as usize);
        Fault {
            stage: stage.copied().unwrap_or(ExecStage::Exec),
            errno: i32::from_ne_bytes([e, f, g, h]),
            index: u32::from_ne_bytes([i, j, k, l]) as usize,
        }
    }
}

impl Report {
    /// What went wrong, if anything did.
    pub(super) fn read(&self) -> Option<Fault> {
        let number = self.stage.load(Ordering::Acquire).checked_sub(1)?;
        let stage = *ExecStage::ALL.get(number)?;
        let (errno, index) = (self.errno.load(Ordering::Relaxed), self.index.load(Ordering::Relaxed));
        Some(Fault { stage, errno, index })
    }

    /// The errno with which the child was refused a table of its own; it has done nothing at all then.
    pub(super) fn refused_table(&self) -> Option<i32> {
        self.shared.load(Ordering::Acquire).then(|| self.errno.load(Ordering::Relaxed))
    }

    /// The child could not get a table of its own.
    pub(super) fn refuse_table(&self, errno: i32) {
        self.errno.store(errno, Ordering::Relaxed);
        self.shared.store(true, Ordering::Release);
    }

    /// What went wrong.
    pub(super) fn write(&self, failed: Fault) {
        self.errno.store(failed.errno, Ordering::Relaxed);
        self.index.store(failed.index, Ordering::Relaxed);
        self.stage.store(failed.stage as usize + 1, Ordering::Release);
    }
}

//! Signals for a program that does nothing but wait for them: all are blocked, and the next is asked for by name.
//!
//! ```text
//!   take_all ──▶ everything waits in the kernel ──▶ next(deadline) ──▶ one signal, or the deadline
//! ```
//!
//! There is no descriptor, no handler and no timer, so there is nothing that could leak, and nothing that wakes up by itself.
//! What came before anybody asked is kept. A blocked signal is kept even where it is ignored.
//!
//! See [sigwaitinfo(2)](https://man7.org/linux/man-pages/man2/sigwaitinfo.2.html).

use std::io;
use std::mem::size_of;
use std::time::Duration;

use super::signals::{self, Arrived, Disposition, Sender};
use super::{call, clock};
use crate::model::{Moment, Pid, Signal};

/// What this process was started with, for the child to be started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    pub(super) mask: u64,
    pub(super) ignored_children: bool,
}

/// Blocks all signals. SIGCHLD gets its default: whoever starts a program with it ignored has the kernel throw away how its
/// children end.
#[doc(alias = "sigprocmask")]
pub fn take_all() -> io::Result<Before> {
    let mask = signals::change_mask(libc::SIG_SETMASK, u64::MAX)?;
    let ignored_children = signals::is_ignored(libc::SIGCHLD);
    if ignored_children {
        signals::set_disposition(libc::SIGCHLD, &Disposition::default())?;
    }
    Ok(Before { mask, ignored_children })
}

/// The next signal; `None` when the deadline has passed, or when the wait was interrupted and nothing came.
#[doc(alias = "sigtimedwait")]
pub fn next(deadline: Option<Moment>) -> Option<Arrived> {
    // SAFETY: all of `siginfo_t` is numbers and pointers, for which zero is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let left = deadline.map(|deadline| timespec(deadline.since(clock::now())));
    let time = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let (all, place) = (u64::MAX, &raw mut info);
    // SAFETY: `all` is a mask of the size that is given, `place` has room for the answer, `time` is null or a time.
    let answer =
        unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const all, place, time, size_of::<u64>()) };
    let number = i32::try_from(call::once(answer).ok()?).ok()?;
    // SI_USER, SI_QUEUE and SI_TKILL, the senders that are processes, are not positive.
    let sender = match info.si_code {
        code if code > 0 => Sender::Kernel,
        // SAFETY: a signal that a process sent says which.
        _ => Sender::Process(Pid::new(unsafe { info.si_pid() })),
    };
    Signal::from_number(number).map(|signal| Arrived { signal, sender })
}

fn timespec(left: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i32::try_from(left.as_secs()).unwrap_or(i32::MAX).into(),
        tv_nsec: libc::c_long::from(left.subsec_nanos().cast_signed()),
    }
}

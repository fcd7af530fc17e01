//! Reaping: the one place in sexton that waits for children.
//!
//! SIGCHLD is one bit: a hundred children that end at once may raise it once. So [`next()`] is called until
//! it has no child left to tell of. The C library's `waitpid` is used as it is, with its raw status: a
//! wrapper that knows signals only up to 31 fails *after* the kernel has let go of the child.
//!
//! See [waitpid(2)](https://man7.org/linux/man-pages/man2/waitpid.2.html).

use std::io;

use super::call;
use crate::model::{ExitStatus, Pid, Signal};

/// How often a wait that fails for no reason that it can have is tried again. No kernel does that; a seccomp
/// filter or a fault injector may, once.
const TRIES: usize = 3;

/// What [`next()`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reaped {
    /// This child ended, and its pid is free again: never signal it from here on.
    Child(Pid, ExitStatus),
    /// There are children, and all of them run.
    NoneReady,
    /// There are no children.
    NoChildren,
}

/// Takes the next child that ended, without waiting for one.
#[doc(alias = "waitpid")]
#[doc(alias = "WNOHANG")]
pub fn next() -> Reaped {
    for _ in 0..TRIES {
        match wait(-1, libc::WNOHANG | libc::__WALL) {
            Ok((pid, status)) => return pid.map_or(Reaped::NoneReady, |pid| Reaped::Child(pid, status)),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Reaped::NoChildren,
            Err(_) => {} // It is tried again, and the next SIGCHLD tries once more.
        }
    }
    Reaped::NoneReady
}

/// What [`next_change()`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Change {
    /// This child ended, and its pid is free again: never signal it from here on.
    Ended(Pid, ExitStatus),
    /// This child was stopped by this signal.
    Stopped(Pid, Signal),
    /// There are children, and none of them has anything to tell.
    NoneReady,
    /// There are no children.
    NoChildren,
}

/// As [`next()`], and a child that was stopped is told of too.
#[doc(alias = "WUNTRACED")]
pub fn next_change() -> Change {
    for _ in 0..TRIES {
        match wait_raw(-1, libc::WNOHANG | libc::__WALL | libc::WUNTRACED) {
            Ok((Some(pid), status)) => return change(pid, status),
            Ok((None, _)) => return Change::NoneReady,
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Change::NoChildren,
            Err(_) => {} // as in `next()`
        }
    }
    Change::NoneReady
}

fn change(pid: Pid, status: libc::c_int) -> Change {
    let signal = libc::WIFSTOPPED(status).then(|| Signal::from_number(libc::WSTOPSIG(status))).flatten();
    signal.map_or(Change::Ended(pid, ExitStatus::from_wait(status)), |signal| Change::Stopped(pid, signal))
}

/// The next child that ended, without taking it: its number is its own until [`take()`].
#[doc(alias = "WNOWAIT")]
pub fn peek() -> Option<Pid> {
    // SAFETY: all of `siginfo_t` is numbers and pointers, for which zero is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `info` is a valid place for the answer.
    call::retry(|| unsafe { libc::waitid(libc::P_ALL, 0, &mut info, options) }).ok()?;
    // SAFETY: what waitid fills in has this field; where it found nobody, it is still zero.
    Pid::new(unsafe { info.si_pid() })
}

/// Takes this child, if it has ended.
pub fn take(pid: Pid) -> Reaped {
    match wait(pid.get(), libc::WNOHANG | libc::__WALL) {
        Ok((Some(pid), status)) => Reaped::Child(pid, status),
        Ok((None, _)) | Err(_) => Reaped::NoneReady,
    }
}

/// Waits for a child that is known to be on its way out, so that nobody else learns of it.
pub(super) fn bury(pid: Pid) {
    // An error says that it is gone already.
    let _ = wait(pid.get(), libc::__WALL);
}

fn wait(which: libc::pid_t, options: libc::c_int) -> io::Result<(Option<Pid>, ExitStatus)> {
    wait_raw(which, options).map(|(pid, status)| (pid, ExitStatus::from_wait(status)))
}

fn wait_raw(which: libc::pid_t, options: libc::c_int) -> io::Result<(Option<Pid>, libc::c_int)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the answer.
    let pid = call::retry(|| unsafe { libc::waitpid(which, &mut status, options) })?;
    Ok((Pid::new(pid), status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_told_from_an_end_by_its_word() {
        let pid = Pid::new(7).unwrap();
        let stopped = libc::W_STOPCODE(libc::SIGTSTP);
        assert_eq!(change(pid, stopped), Change::Stopped(pid, Signal::from_number(20).unwrap()));
        assert_eq!(change(pid, 3 << 8), Change::Ended(pid, ExitStatus::exited(3)));
        let real_time = Signal::from_number(40).unwrap();
        assert_eq!(change(pid, 40), Change::Ended(pid, ExitStatus::killed(real_time)));
    }
}

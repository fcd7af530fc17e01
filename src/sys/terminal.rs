//! What a terminal says of itself, and whether there is one that controls sexton.
//!
//! See [ioctl_tty(2)](https://man7.org/linux/man-pages/man2/ioctl_tty.2.html) and
//! [tty(4)](https://man7.org/linux/man-pages/man4/tty.4.html).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use super::call;
use super::signals::SignalFd;
use crate::model::{Pid, Signal};

/// How many columns a terminal has; `None` where it does not say, or is none.
#[doc(alias = "TIOCGWINSZ")]
pub fn width(fd: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open for as long as it is borrowed, and `size` is the place that this request fills.
    call::retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut size) }).ok()?;
    Some(size.ws_col).filter(|columns| *columns > 0)
}

/// Can a terminal's keys and its hang-up reach this process? Only the kernel's plain no counts as one: where `/dev/tty`
/// is missing, nobody can tell.
pub fn may_control_us() -> bool {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let opened = File::options().read(true).custom_flags(flags).open("/dev/tty");
    !opened.is_err_and(|error| error.raw_os_error() == Some(libc::ENXIO))
}

/// Gives up the terminal at this descriptor, where it is that of the session which this process leads; true when it was.
/// Whoever leads a session of its own may take it then. Of the signals that go with it nothing is left, provided that
/// all signals are blocked.
#[doc(alias = "TIOCNOTTY")]
pub fn give_up(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut session: libc::pid_t = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and `session` is the place that this request fills.
    let asked = call::retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGSID, &mut session) });
    if asked.is_err() || u32::try_from(session) != Ok(std::process::id()) {
        return Ok(false);
    }
    // SAFETY: no pointers.
    call::retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCNOTTY) })?;
    let sent = SignalFd::of(&[Signal::HUP, Signal::CONT])?;
    while let Ok(Some(_)) = sent.next() {}
    Ok(true)
}

/// Standard output and error of this process become the terminal that its standard input is.
pub fn answer_on_input() -> io::Result<()> {
    for fd in 1..=2 {
        // SAFETY: no pointers; what was open under this number is closed by the call, and nobody here owns it.
        call::retry(|| unsafe { libc::dup2(0, fd) })?;
    }
    Ok(())
}

/// As long as this lives, what is typed on standard input is not shown.
#[derive(Debug)]
pub struct Quiet(nix::sys::termios::Termios);

impl Quiet {
    /// Begins; `None` where there is no terminal.
    #[doc(alias = "tcsetattr")]
    pub fn begin() -> Option<Quiet> {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet).ok()?;
        Some(Quiet(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0); // A terminal that is gone shows nothing.
    }
}

/// A terminal on a standard descriptor that controls this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal(RawFd);

impl Terminal {
    /// The first there is.
    pub fn find() -> Option<Terminal> {
        (0..=2).map(Terminal).find(|terminal| terminal.foreground().is_some())
    }

    /// Is it this process's group that it belongs to, so that its keys reach it?
    pub fn is_ours(self) -> bool {
        // SAFETY: no pointers. A group outside our pid namespace is 0, ours too if it is.
        self.foreground() == Some(unsafe { libc::getpgrp() })
    }

    /// Gives it to this group.
    #[doc(alias = "tcsetpgrp")]
    pub fn give_to(self, group: Pid) -> Result<(), i32> {
        self.set_foreground(group.get())
    }

    /// Takes it for the group of this process. It allocates nothing: a child does it before its exec.
    pub(super) fn take(self) -> Result<(), i32> {
        // SAFETY: no pointers.
        self.set_foreground(unsafe { libc::getpgrp() })
    }

    /// Makes it the controlling one of the session that this process leads; it is taken away from nobody.
    #[doc(alias = "TIOCSCTTY")]
    pub(super) fn take_control(self) -> Result<(), i32> {
        // SAFETY: no pointers; 0 says that it is taken away from nobody.
        number(unsafe { libc::ioctl(self.0, libc::TIOCSCTTY, 0) })
    }

    /// As [`give_up`]; false too where the kernel does not want that.
    pub fn give_up(self) -> bool {
        // SAFETY: standard descriptors are never closed by this program, and one that is not open is an error.
        give_up(unsafe { BorrowedFd::borrow_raw(self.0) }).unwrap_or(false)
    }

    #[doc(alias = "tcgetpgrp")]
    fn foreground(self) -> Option<libc::pid_t> {
        let mut group: libc::pid_t = 0;
        // SAFETY: `group` is the place that this request fills; a number that is no descriptor is an error.
        number(unsafe { libc::ioctl(self.0, libc::TIOCGPGRP, &mut group) }).ok().map(|()| group)
    }

    fn set_foreground(self, group: libc::pid_t) -> Result<(), i32> {
        // SAFETY: the request reads one number, which outlives the call.
        number(unsafe { libc::ioctl(self.0, libc::TIOCSPGRP, &raw const group) })
    }
}

/// Is this process a job of a shell that notices when it is stopped, and can go on with it? Its parent is of the same session,
/// and of another group.
pub fn is_job() -> bool {
    // SAFETY: no pointers.
    let parent = unsafe { libc::getppid() };
    // SAFETY: no pointers; 0 is the caller.
    let session = unsafe { libc::getsid(0) };
    // SAFETY: no pointers.
    let (own, other) = (session, unsafe { libc::getsid(parent) });
    // SAFETY: no pointers.
    let group = unsafe { libc::getpgid(parent) };
    // SAFETY: no pointers. A parent outside our pid namespace is 0, which would be the caller.
    parent > 0 && own == other && group != unsafe { libc::getpgrp() }
}

/// Does this error number say that there is no terminal to be had? That is no reason not to run.
pub(super) fn is_none(errno: i32) -> bool {
    [libc::ENOTTY, libc::EBADF, libc::ENXIO, libc::EPERM, libc::EIO].contains(&errno)
}

fn number(answer: libc::c_int) -> Result<(), i32> {
    call::once(answer).map(drop).map_err(|error| error.raw_os_error().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_terminal_has_no_width() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(width(file.as_fd()), None);
        assert!(!give_up(file.as_fd()).unwrap());
    }
}

//! What a terminal says of itself, and whether there is one that controls sexton.
//!
//! See [ioctl_tty(2)](https://man7.org/linux/man-pages/man2/ioctl_tty.2.html) and
//! [tty(4)](https://man7.org/linux/man-pages/man4/tty.4.html).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::call;
use super::signals::SignalFd;
use crate::model::Signal;

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

//! The hardware watchdog: a device that resets the machine unless it is spoken to in time.
//!
//! ```text
//!   open ─▶ set(timeout) ─▶ feed, feed, …      not fed in time ─▶ reset, by the hardware
//! ```
//!
//! It is never closed with the letter V, which would stop it: whoever ends without it means to be reset.
//!
//! See [the kernel's page](https://www.kernel.org/doc/html/latest/watchdog/watchdog-api.html).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use super::call;

/// `WDIOC_SETTIMEOUT` and `WDIOC_KEEPALIVE` of `linux/watchdog.h`.
const SET_TIMEOUT: libc::Ioctl = libc::_IOWR::<libc::c_int>(b'W' as u32, 6);
const KEEP_ALIVE: libc::Ioctl = libc::_IOR::<libc::c_int>(b'W' as u32, 5);

/// An armed watchdog.
#[derive(Debug)]
pub struct Watchdog(OwnedFd);

impl Watchdog {
    /// Opens it, and with that arms it, with the timeout that it has by itself.
    pub fn open(path: &Path) -> io::Result<Watchdog> {
        let path = call::c_path(path)?;
        let flags = libc::O_WRONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: `path` is a C string.
        let fd = call::retry(|| unsafe { libc::open(path.as_ptr(), flags) });
        Ok(Watchdog(call::owned(fd)?))
    }

    /// Sets how long it waits, in whole seconds, and begins anew. Answers what the device made of it.
    pub fn set(&self, timeout: Duration) -> io::Result<Duration> {
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        let mut seconds = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX).max(1);
        let place = &raw mut seconds;
        // SAFETY: the call reads and writes one number at `place`.
        call::retry(|| unsafe { libc::ioctl(self.0.as_raw_fd(), SET_TIMEOUT, place) })?;
        self.feed()?;
        Ok(Duration::from_secs(seconds.unsigned_abs().into()))
    }

    /// Begins the wait anew.
    pub fn feed(&self) -> io::Result<()> {
        let mut number: libc::c_int = 0;
        let place = &raw mut number;
        // SAFETY: the call may write one number at `place`.
        call::retry(|| unsafe { libc::ioctl(self.0.as_raw_fd(), KEEP_ALIVE, place) }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_watchdog_cannot_be_armed() {
        let missing = Watchdog::open(Path::new("/no/such/watchdog")).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        let other = Watchdog::open(Path::new("/dev/null")).unwrap();
        assert!(other.set(Duration::from_secs(5)).is_err() && other.feed().is_err());
    }
}

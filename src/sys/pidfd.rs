//! A process held by a descriptor: for one that is not sexton's child, whose number may become another's at any time.
//!
//! ```text
//!   open(pid) ──▶ ProcessFd ── readable: it ended ── signal() reaches this process or nobody
//! ```
//!
//! The kernel knows it since Linux 5.3. Where it is absent, or a seccomp profile forbids it, the error says so and
//! nobody guesses.
//!
//! See [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::call;
use crate::model::{Pid, Signal};

/// One process, whoever gets its number after it.
#[derive(Debug)]
pub struct ProcessFd {
    fd: OwnedFd,
}

impl ProcessFd {
    /// Takes hold of the process that has this number now; `ESRCH` when there is none.
    #[doc(alias = "pidfd_open")]
    pub fn open(pid: Pid) -> io::Result<ProcessFd> {
        // SAFETY: no pointers. The kernel closes the descriptor on exec of its own accord.
        let answer = call::retry(|| unsafe { libc::syscall(libc::SYS_pidfd_open, pid.get(), 0) });
        let fd = call::owned(answer.map(|fd| fd as RawFd))?;
        Ok(ProcessFd { fd })
    }

    /// Sends it a signal. `ESRCH` when it was reaped, whoever has its number now.
    #[doc(alias = "pidfd_send_signal")]
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.send(signal.number())
    }

    /// Does it have its number still? It runs then, or nobody has reaped it yet.
    pub fn keeps_its_number(&self) -> bool {
        match self.send(0) {
            Ok(()) => true,
            // Which says that it is there; a filter that forbids the call itself was met at `check`.
            Err(error) => error.raw_os_error() == Some(libc::EPERM),
        }
    }

    /// Holds that it is there and can be signalled; the error says which of the two is not so.
    pub fn check(&self) -> io::Result<()> {
        self.send(0)
    }

    fn send(&self, signal: libc::c_int) -> io::Result<()> {
        let (fd, info) = (self.fd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is open, and null says that the kernel is to fill in who sent the signal.
        call::retry(|| unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) }).map(drop)
    }
}

impl AsFd for ProcessFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::{Interest, Poller, Token};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a child of the test, which nobody else waits for")]
    fn it_reaches_its_process_tells_of_its_end_and_reaches_nobody_after_that() {
        let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let pid = Pid::new(child.id().cast_signed()).unwrap();
        let held = ProcessFd::open(pid).unwrap();
        assert!(held.check().is_ok() && held.keeps_its_number());
        let poller = Poller::new().unwrap();
        poller.add(held.as_fd(), Token::new(0, 1), Interest::Read).unwrap();
        let mut ready = Vec::new();
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert_eq!(ready, [], "it runs");
        held.signal(Signal::KILL).unwrap();
        poller.wait(&mut ready, Some(Duration::from_secs(20))).unwrap();
        assert!(ready.iter().all(|one| one.readable) && ready.len() == 1, "{ready:?}");
        assert!(held.keeps_its_number(), "nobody has reaped it yet");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!held.keeps_its_number());
        assert_eq!(held.signal(Signal::TERM).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn a_number_that_nobody_has_cannot_be_held() {
        let error = ProcessFd::open(Pid::new(i32::MAX).unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}

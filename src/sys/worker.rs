//! A copy of this process that does one thing which may never end: what hangs in the kernel then hangs there alone.
//!
//! ```text
//!   start(act) ──▶ fork ──▶ act() ──▶ _exit            wait_until(deadline): its status, or None: given up, and killed
//! ```
//!
//! It executes no program: at the end of a machine the disk with the programs may be what hangs.
//!
//! The one loop of an init reaps its children elsewhere (`reap`): this is for before that loop, for after it, and for helper
//! processes.
//!
//! See [fork(2)](https://man7.org/linux/man-pages/man2/fork.2.html).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::pidfd::ProcessFd;
use super::poll::{Interest, Poller, Token};
use super::{call, clock, kill};
use crate::model::{ExitStatus, Moment, Pid, Signal};

/// How often is looked where the kernel cannot tell of the end by itself.
const LOOK: Duration = Duration::from_millis(5);

/// A copy at work.
#[derive(Debug)]
#[must_use]
pub struct Worker(Pid);

/// Starts one. It ends with what `act` answers; the caller has one thread, or the copy may use no lock of another.
pub fn start(act: impl FnOnce() -> u8) -> io::Result<Worker> {
    // SAFETY: no pointers. The programs that call this have one thread, so the copy has all that it needs.
    let pid = call::once(unsafe { libc::fork() })?;
    if pid == 0 {
        let code = act();
        // SAFETY: it takes a number; unlike `exit` it runs nothing of the parent's.
        unsafe { libc::_exit(libc::c_int::from(code)) }
    }
    Pid::new(pid).map(Worker).ok_or_else(|| call::error(libc::ECHILD))
}

impl Worker {
    /// Waits for its end, up to this moment. Then it is killed and given up; one that hangs in the kernel stays there.
    pub fn wait_until(self, deadline: Moment) -> Option<ExitStatus> {
        let mut ready = Vec::new();
        let seen = ProcessFd::open(self.0).ok().and_then(|process| {
            let poller = Poller::new().ok()?;
            poller.add(process.as_fd(), Token::new(0, 0), Interest::Read).ok()?;
            Some((poller, process))
        });
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            let left = deadline.since(clock::now());
            if left.is_zero() {
                let _ = kill::process(self.0, Signal::KILL); // It is not reaped, so it is nobody else's number.
                return self.ended();
            }
            match &seen {
                Some((poller, _)) if poller.wait(&mut ready, Some(left)).is_ok() => {}
                _ => clock::pause(left.min(LOOK)),
            }
        }
    }

    fn ended(&self) -> Option<ExitStatus> {
        let mut status = 0;
        let pid = self.0.get();
        // SAFETY: `status` is the place that the call fills.
        let ended = call::retry(|| unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) });
        match ended {
            Ok(0) => None,
            Ok(_) => Some(ExitStatus::from_wait(status)),
            // Somebody else has taken it: nobody can tell, and nobody has to wait.
            Err(_) => Some(ExitStatus::from_wait(libc::W_EXITCODE(1, 0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_waited_for_and_one_that_hangs_is_given_up() {
        let later = |ms| clock::now() + Duration::from_millis(ms);
        let done = start(|| 7).unwrap().wait_until(later(60_000));
        assert_eq!(done.map(ExitStatus::as_exit_code), Some(7));
        let hangs = start(|| {
            loop {
                clock::pause(Duration::from_secs(60));
            }
        });
        let given_up = hangs.unwrap().wait_until(later(20));
        assert!(given_up.is_none_or(|status| status.as_exit_code() == 137), "{given_up:?}");
    }
}

//! The door: lets clients in, and does not spin when the kernel has run out of what a client takes.
//!
//! ```text
//!   accept ── a client
//!          ── EMFILE: the reserve is given up, once ──▶ accept: one more, whom only root can be
//!          └─ EMFILE again, ENOMEM: out of the poller ──▶ a second later: back into it
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::model::Moment;
use crate::sys::poll::{Interest, Poller, Token};
use crate::sys::socket;

/// How long nobody is let in after the kernel ran out of something: long enough to cost nothing, short enough
/// that a person who waits hardly notices.
const PAUSE: Duration = Duration::from_secs(1);

/// The listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    accepting: Accepting,
    /// A descriptor that stands for the one more client.
    reserve: Option<OwnedFd>,
}

/// Whether the poller watches the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    /// It does.
    Yes,
    /// It shall not, for [`PAUSE`] from when the time is told.
    Paused,
    /// It does not, until then.
    NotUntil(Moment),
}

impl Listener {
    /// A door that opens with the first [`resume`](Listener::resume).
    pub(super) fn new(socket: OwnedFd) -> Listener {
        let reserve = socket.try_clone().ok();
        Listener { socket, accepting: Accepting::NotUntil(Moment::default()), reserve }
    }

    /// The next client; `None` when none is waiting, or none can be let in for now.
    pub(super) fn accept(&mut self) -> Option<UnixStream> {
        loop {
            let error = match socket::accept(self.socket.as_fd()) {
                Ok(fd) => return Some(UnixStream::from(fd)),
                Err(error) => error,
            };
            match after_error(error.raw_os_error()) {
                AfterError::Wait => return None,
                AfterError::Next => {}
                AfterError::MakeRoom if self.reserve.take().is_some() => {}
                AfterError::MakeRoom | AfterError::Pause => {
                    self.accepting = Accepting::Paused;
                    return None;
                }
            }
        }
    }

    /// False when the last client took the place of the reserve.
    pub(super) fn has_reserve(&self) -> bool {
        self.reserve.is_some()
    }

    /// Takes a new reserve when a descriptor may be free again.
    pub(super) fn restore_reserve(&mut self) {
        if self.reserve.is_none() {
            self.reserve = self.socket.try_clone().ok();
        }
    }

    /// Goes out of the poller, or back into it, as the time demands.
    pub(super) fn resume(&mut self, poller: &Poller, token: Token, now: Moment) {
        let socket = self.socket.as_fd();
        match self.accepting {
            Accepting::Yes => {}
            Accepting::Paused => {
                let _ = poller.remove(socket); // It is in the set, and the kernel needs nothing to take it out.
                self.accepting = Accepting::NotUntil(now + PAUSE);
            }
            Accepting::NotUntil(until) if until > now => {}
            Accepting::NotUntil(_) => match poller.add(socket, token, Interest::Read) {
                Ok(()) => self.accepting = Accepting::Yes,
                Err(_) => self.accepting = Accepting::NotUntil(now + PAUSE), // The kernel ran out of something.
            },
        }
    }

    /// When [`resume`](Listener::resume) has something to do.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self.accepting {
            Accepting::Yes => None,
            Accepting::Paused => Some(Moment::default()),
            Accepting::NotUntil(until) => Some(until),
        }
    }
}

/// What to do when nobody could be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterError {
    /// Nobody is there: the poller will tell.
    Wait,
    /// That one is gone: on to the next.
    Next,
    /// The table of descriptors is full.
    MakeRoom,
    /// Anything else that ran out: trying again at once would spin.
    Pause,
}

/// See [accept(2)](https://man7.org/linux/man-pages/man2/accept.2.html).
fn after_error(errno: Option<i32>) -> AfterError {
    match errno {
        Some(libc::EAGAIN) => AfterError::Wait,
        Some(libc::ECONNABORTED | libc::EINTR) => AfterError::Next,
        Some(libc::EMFILE | libc::ENFILE) => AfterError::MakeRoom,
        _ => AfterError::Pause,
    }
}

#[cfg(test)]
mod tests;

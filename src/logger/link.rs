//! The line between PID 1 and the logger process, and when a new logger may be started.
//!
//! ```text
//!   Absent ──prepare──▶ Prepared ──attached──▶ Running ──died──▶ Absent, for a while
//!      ▲                   │                      └─ hung up: no line, still to be reaped
//!      └───not_attached────┘
//! ```
//!
//! A logger that keeps dying is started ever more slowly; one that lived for a while is replaced at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::protocol::Answer;
use crate::model::{Moment, Pid};
use crate::sys::handover::{receive_with_fds, send_with_fds};
use crate::sys::poll::{Interest, Poller, Token};
use crate::sys::socket;

/// The first wait before a logger that died young is replaced, doubled each time.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest wait: what services write meanwhile waits in their pipes, and they with it.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// A logger that lived this long did not die of its start.
const STABLE: Duration = Duration::from_secs(10);
/// When too many descriptors are on their way (`ETOOMANYREFS`) no event says that there are fewer.
const RETRY: Duration = Duration::from_millis(20);

#[derive(Debug)]
enum State {
    Absent { not_before: Moment },
    Prepared { near: OwnedFd, far: OwnedFd },
    Running { near: OwnedFd, pid: Pid, since: Moment },
    HungUp { pid: Pid, since: Moment },
}

/// Did the socket take the last message?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Enough,
    /// Writable says when there is room again.
    Full,
    /// Only time does.
    TryLater(Moment),
}

/// The line to the logger.
#[derive(Debug)]
pub(super) struct Link {
    token: Token,
    state: State,
    room: Room,
    interest: Interest,
    delay: Duration,
}

impl Link {
    pub(super) fn new(class: u8) -> Link {
        Link {
            token: Token::new(class, 0),
            state: State::Absent { not_before: Moment::default() },
            room: Room::Enough,
            interest: Interest::Read,
            delay: FIRST_DELAY,
        }
    }

    /// When a logger may be started; `None` while there is one.
    pub(super) fn may_start_at(&self) -> Option<Moment> {
        match self.state {
            State::Absent { not_before } => Some(not_before),
            State::Prepared { .. } | State::Running { .. } | State::HungUp { .. } => None,
        }
    }

    /// It may be started at once, whatever became of the last one.
    pub(super) fn forget_delay(&mut self) {
        if let State::Absent { not_before } = &mut self.state {
            *not_before = Moment::default();
        }
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Running { pid, .. } | State::HungUp { pid, .. } => Some(pid),
            State::Absent { .. } | State::Prepared { .. } => None,
        }
    }

    /// Has it let go of its end, and not been reaped?
    pub(super) fn is_hung_up(&self) -> bool {
        matches!(self.state, State::HungUp { .. })
    }

    /// Makes the two ends; answers the logger's.
    pub(super) fn prepare(&mut self) -> io::Result<BorrowedFd<'_>> {
        let (near, far) = socket::pair()?;
        self.state = State::Prepared { near, far };
        match &self.state {
            State::Prepared { far, .. } => Ok(far.as_fd()),
            State::Absent { .. } | State::Running { .. } | State::HungUp { .. } => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    pub(super) fn attached(&mut self, pid: Pid, poller: &Poller, now: Moment) -> io::Result<()> {
        let state = std::mem::replace(&mut self.state, State::HungUp { pid, since: now });
        let State::Prepared { near, .. } = state else { return Err(io::ErrorKind::NotConnected.into()) };
        poller.add(near.as_fd(), self.token, Interest::Read)?;
        self.interest = Interest::Read;
        self.room = Room::Enough;
        self.state = State::Running { near, pid, since: now };
        Ok(())
    }

    pub(super) fn not_attached(&mut self, now: Moment) {
        self.state = State::Absent { not_before: now + self.delay };
        self.delay = (self.delay * 2).min(MAX_DELAY);
    }

    pub(super) fn hung_up(&mut self, poller: &Poller) {
        let State::Running { near, pid, since } = &self.state else { return };
        let _ = poller.remove(near.as_fd()); // It is closed next, which removes it too.
        self.state = State::HungUp { pid: *pid, since: *since };
    }

    pub(super) fn died(&mut self, poller: &Poller, now: Moment) {
        self.hung_up(poller);
        let State::HungUp { since, .. } = self.state else { return };
        if now.since(since) >= STABLE {
            self.delay = FIRST_DELAY;
            self.state = State::Absent { not_before: now };
        } else {
            self.not_attached(now);
        }
    }

    /// Sends one message, whole; false when it was not sent and should be tried again.
    #[must_use]
    pub(super) fn send(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>], now: Moment) -> bool {
        let State::Running { near, .. } = &self.state else { return false };
        if self.room != Room::Enough {
            return false;
        }
        match send_with_fds(near.as_fd(), bytes, fds) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.room = Room::Full,
            Err(_) => self.room = Room::TryLater(now + RETRY),
        }
        false
    }

    /// Forgets that there was no room, where that may have changed.
    pub(super) fn begin_sending(&mut self, now: Moment) {
        match self.room {
            Room::TryLater(at) if now < at => {}
            Room::Enough | Room::Full | Room::TryLater(_) => self.room = Room::Enough,
        }
    }

    /// Waits for room where there was none.
    pub(super) fn end_sending(&mut self, poller: &Poller) {
        let interest = if self.room == Room::Full { Interest::ReadWrite } else { Interest::Read };
        if let State::Running { near, .. } = &self.state
            && interest != self.interest
            && poller.modify(near.as_fd(), self.token, interest).is_ok()
        {
            self.interest = interest;
        }
    }

    /// When sending is to be tried again though nothing tells.
    pub(super) fn retry_at(&self) -> Option<Moment> {
        match (&self.state, self.room) {
            (State::Running { .. }, Room::TryLater(at)) => Some(at),
            _ => None,
        }
    }

    /// The next answer, if there is one. What cannot be read is passed over.
    pub(super) fn receive(&mut self) -> Option<Answer> {
        let State::Running { near, .. } = &self.state else { return None };
        let mut message = [0; 64];
        let (len, _fds) = receive_with_fds(near.as_fd(), &mut message).ok()?;
        Answer::decode(message.get(..len)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::default() + Duration::from_millis(millis)
    }

    fn start(link: &mut Link, poller: &Poller, now: Moment) {
        link.prepare().unwrap();
        link.attached(Pid::new(7).unwrap(), poller, now).unwrap();
    }

    #[test]
    fn a_logger_that_keeps_dying_is_started_ever_more_slowly() {
        let poller = Poller::new().unwrap();
        let mut link = Link::new(1);
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert!(link.may_start_at().unwrap() <= now);
            start(&mut link, &poller, now);
            assert_eq!((link.may_start_at(), link.pid()), (None, Pid::new(7)));
            link.died(&poller, now);
            let next = link.may_start_at().unwrap();
            waits.push(next.since(now).as_millis());
            now = next;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        start(&mut link, &poller, now);
        let later = now + STABLE;
        link.died(&poller, later);
        assert_eq!(link.may_start_at(), Some(later), "one that lived is replaced at once");
    }

    #[test]
    fn a_start_that_failed_is_tried_again_later() {
        let mut link = Link::new(1);
        link.prepare().unwrap();
        link.not_attached(at(0));
        assert_eq!(link.may_start_at(), Some(at(100)));
        link.forget_delay();
        assert_eq!(link.may_start_at(), Some(Moment::default()));
    }

    #[test]
    fn one_who_does_not_read_fills_the_line_and_nothing_waits() {
        let poller = Poller::new().unwrap();
        let mut link = Link::new(1);
        let far = link.prepare().unwrap().try_clone_to_owned().unwrap();
        link.attached(Pid::new(7).unwrap(), &poller, at(0)).unwrap();
        while link.send(&[0; 4096], &[], at(0)) {}
        assert!(!link.send(b"small", &[], at(0)), "nothing overtakes");
        link.end_sending(&poller);
        let mut ready = Vec::new();
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert_eq!(ready, []);
        while receive_with_fds(far.as_fd(), &mut [0; 4096]).is_ok() {}
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.iter().any(|ready| ready.writable));
        link.begin_sending(at(0));
        assert!(link.send(b"small", &[], at(0)));
    }

    #[test]
    fn a_line_that_hung_up_leaves_the_poller() {
        let poller = Poller::new().unwrap();
        let mut link = Link::new(1);
        start(&mut link, &poller, at(0));
        link.hung_up(&poller);
        let mut ready = Vec::new();
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert_eq!((ready.len(), link.pid()), (0, Pid::new(7)));
        assert!(!link.send(b"x", &[], at(0)));
    }
}

//! epoll: which descriptors can be read or written now.
//!
//! ```text
//!   add(fd, Token, Interest) ──▶ kernel ──▶ wait() ──▶ Readiness { token, readable, writable, hung_up }
//! ```
//!
//! Level-triggered, but for [`Poller::add_edge`]. A descriptor that hung up must be removed by whoever added it: the kernel would
//! report it at every wait, forever, and the loop would spin.
//!
//! See [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::call;

/// How many events one wait brings at most; the rest comes with the next. It bounds the stack that a wait
/// needs and how long the loop is kept from its other work. Those that are still ready then come after those
/// that were not told of yet.
pub const EVENTS_PER_WAIT: usize = 64;

/// What a descriptor is known by: a class of descriptors and a place in that class's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// A token of a class.
    pub const fn new(class: u8, index: u32) -> Token {
        Token((class as u64) << 32 | index as u64)
    }

    /// Its class.
    pub const fn class(self) -> u8 {
        (self.0 >> 32) as u8
    }

    /// Its place in the class.
    pub const fn index(self) -> u32 {
        self.0 as u32
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    ReadWrite,
    /// Neither: only that the other side is gone, which is told whatever the interest.
    HangUp,
}

impl Interest {
    fn mask(self) -> u32 {
        let mask = match self {
            Interest::Read => libc::EPOLLIN,
            Interest::Write => libc::EPOLLOUT,
            Interest::ReadWrite => libc::EPOLLIN | libc::EPOLLOUT,
            Interest::HangUp => 0,
        };
        mask.cast_unsigned()
    }
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Which descriptor.
    pub token: Token,
    /// There is something to read, or the end of it.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The other side is gone, or the descriptor has an error. What was sent before can still be read.
    pub hung_up: bool,
}

/// A set of descriptors that is waited on.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// An empty set.
    #[doc(alias = "epoll_create1")]
    pub fn new() -> io::Result<Poller> {
        // SAFETY: no pointers.
        let fd = call::retry(|| unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) });
        Ok(Poller { epoll: call::owned(fd)? })
    }

    /// Adds a descriptor. Regular files cannot be waited on: `EPERM`.
    pub fn add(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest.mask())
    }

    /// Adds a descriptor that is told of once each time something becomes possible, reading or writing: for who then goes
    /// on until nothing more can be done.
    #[doc(alias = "EPOLLET")]
    pub fn add_edge(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let mask = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP).cast_unsigned() | libc::EPOLLET as u32;
        self.control(libc::EPOLL_CTL_ADD, fd, token, mask)
    }

    /// Changes what is waited for, or the token.
    pub fn modify(&self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest.mask())
    }

    /// Removes a descriptor. Do so before closing it: a copy of it in another process would keep it in the set.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, Token(0), 0)
    }

    #[doc(alias = "epoll_ctl")]
    fn control(
        &self,
        operation: libc::c_int,
        fd: BorrowedFd<'_>,
        token: Token,
        events: u32,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token.0 };
        let (epoll, fd) = (self.epoll.as_raw_fd(), fd.as_raw_fd());
        // SAFETY: both descriptors are open for as long as they are borrowed, and `event` is a valid event.
        call::retry(|| unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) }).map(drop)
    }

    /// Waits until something is ready or `timeout` has passed (`None`: for ever), and fills `out` with what is
    /// ready. A timeout is rounded up to the next millisecond, so that its deadline has passed when the wait is
    /// over. A signal ends the wait early, with nothing.
    #[doc(alias = "epoll_wait")]
    pub fn wait(&self, out: &mut Vec<Readiness>, timeout: Option<Duration>) -> io::Result<()> {
        out.clear();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_WAIT];
        let (epoll, room) = (self.epoll.as_raw_fd(), EVENTS_PER_WAIT as libc::c_int);
        // SAFETY: `events` has room for as many events as the kernel is told.
        let answer = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), room, milliseconds(timeout)) };
        let count = match call::once(answer) {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        out.extend(events.iter().take(count).map(|event| readiness(*event)));
        Ok(())
    }
}

fn readiness(event: libc::epoll_event) -> Readiness {
    let has = |mask: libc::c_int| event.events & mask.cast_unsigned() != 0;
    let hung_up = has(libc::EPOLLHUP | libc::EPOLLERR);
    Readiness {
        token: Token(event.u64),
        readable: has(libc::EPOLLIN) || hung_up,
        writable: has(libc::EPOLLOUT),
        hung_up,
    }
}

/// Rounded up; a timeout of more than 24 days, which the kernel's number cannot hold, is shortened to that.
fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    match timeout {
        None => -1,
        Some(timeout) => {
            libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn ready(poller: &Poller) -> Vec<Readiness> {
        let mut out = Vec::new();
        poller.wait(&mut out, Some(Duration::ZERO)).unwrap();
        out
    }

    #[test]
    fn a_token_keeps_its_class_and_its_index() {
        let token = Token::new(255, u32::MAX);
        assert_eq!((token.class(), token.index()), (255, u32::MAX));
        assert_ne!(Token::new(1, 0), Token::new(0, 1));
    }

    #[test]
    fn what_was_added_is_reported_until_it_is_removed() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let poller = Poller::new().unwrap();
        let token = Token::new(3, 9);
        poller.add(far.as_fd(), token, Interest::Read).unwrap();
        assert_eq!(ready(&poller), []);
        near.write_all(b"x").unwrap();
        let expected = Readiness { token, readable: true, writable: false, hung_up: false };
        assert_eq!(ready(&poller), [expected]);
        let other = Token::new(4, 0);
        poller.modify(far.as_fd(), other, Interest::ReadWrite).unwrap();
        assert_eq!(ready(&poller), [Readiness { token: other, writable: true, ..expected }]);
        poller.remove(far.as_fd()).unwrap();
        assert_eq!(ready(&poller), []);
    }

    #[test]
    fn a_descriptor_whose_other_side_is_gone_says_so_and_can_be_read_to_its_end() {
        let (near, far) = UnixStream::pair().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(far.as_fd(), Token::new(0, 0), Interest::Read).unwrap();
        drop(near);
        let ready = ready(&poller);
        assert!(ready.iter().all(|r| r.hung_up && r.readable) && ready.len() == 1, "{ready:?}");
    }

    #[test]
    fn who_only_wants_to_know_of_a_hang_up_is_not_woken_by_what_can_be_read() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(far.as_fd(), Token::new(0, 0), Interest::HangUp).unwrap();
        near.write_all(b"x").unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(ready(&poller), []);
        drop(near);
        assert!(ready(&poller).iter().all(|r| r.hung_up) && ready(&poller).len() == 1);
    }

    #[test]
    fn a_timeout_is_rounded_up_and_never_wraps() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_micros(1001))), 2);
        assert_eq!(milliseconds(Some(Duration::MAX)), libc::c_int::MAX);
    }
}

//! One try to connect: begun without waiting, carried on whenever the socket is ready.
//!
//! ```text
//!   begin ──▶ Connecting ──▶ (tcp: Succeeded)
//!                  └──▶ Sending ──▶ Reading ──▶ a status of 200 to 399: Succeeded      http
//!   unix: connected, or not, at once
//! ```
//!
//! A try that fails says in one line what it met: `127.0.0.1:6379: connection refused`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::socket::{MsgFlags, SockaddrStorage, getpeername, getsockname, recv, send};

use super::http::{self, Answer};
use crate::model::spawn::errno_words;
use crate::model::unit::HttpTarget;
use crate::sys::poll::Interest;
use crate::sys::socket::{connect_error, connect_tcp, connect_unix};

/// Where to connect.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Http(HttpTarget),
}

/// A try that is under way.
#[derive(Debug)]
pub(super) struct Attempt {
    fd: OwnedFd,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Connecting,
    Sending { sent: usize },
    Reading { head: Vec<u8> },
}

/// How a try stands.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes on when the socket is ready for this.
    Pending(Interest),
    Succeeded,
    /// What it met.
    Failed(String),
}

/// How a try began.
#[derive(Debug)]
pub(super) enum Begun {
    /// It waits until the socket can be written.
    UnderWay(Attempt),
    Succeeded,
    Failed(String),
}

impl Target {
    pub(super) fn begin(&self) -> Begun {
        let address = match self {
            Target::Unix(path) => return self.begin_unix(path),
            Target::Tcp(address) => *address,
            Target::Http(target) => target.address,
        };
        match connect_tcp(address) {
            Ok(fd) => Begun::UnderWay(Attempt { fd, stage: Stage::Connecting }),
            Err(error) => Begun::Failed(self.note(&error)),
        }
    }

    /// A Unix socket of another kind (a datagram socket of a log daemon) is as ready as one that accepts:
    /// the kernel only says so when somebody holds it open.
    #[doc(alias = "EPROTOTYPE")]
    fn begin_unix(&self, path: &std::path::Path) -> Begun {
        match connect_unix(path) {
            Ok(_connected) => Begun::Succeeded,
            Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => Begun::Succeeded,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Begun::Failed(format!("{}: too many connections wait to be accepted", self.name()))
            }
            Err(error) => Begun::Failed(self.note(&error)),
        }
    }

    /// How a note calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Target::Tcp(address) => address.to_string(),
            Target::Unix(path) => format!("'{}'", path.display()),
            Target::Http(target) => format!("http://{}{}", target.host, target.path),
        }
    }

    fn note(&self, error: &io::Error) -> String {
        format!("{}: {}", self.name(), words(error))
    }
}

impl Attempt {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Carries the try on as far as it goes. An event that was meant for an earlier socket does no harm.
    pub(super) fn advance(&mut self, target: &Target) -> Step {
        match self.step(target) {
            Ok(step) => step,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Step::Pending(match self.stage {
                Stage::Connecting | Stage::Sending { .. } => Interest::Write,
                Stage::Reading { .. } => Interest::Read,
            }),
            Err(error) => Step::Failed(target.note(&error)),
        }
    }

    fn step(&mut self, target: &Target) -> io::Result<Step> {
        let raw = self.fd.as_raw_fd();
        if let Stage::Connecting = self.stage {
            connect_error(self.fd.as_fd())?;
            match connection(raw)? {
                Connection::None => return Err(io::ErrorKind::WouldBlock.into()),
                Connection::ToItself => return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)),
                Connection::Stands => self.stage = Stage::Sending { sent: 0 },
            }
        }
        let Target::Http(http_target) = target else { return Ok(Step::Succeeded) };
        if let Stage::Sending { sent } = &mut self.stage {
            let request = http::request(http_target);
            while let Some(rest) = request.get(*sent..).filter(|rest| !rest.is_empty()) {
                *sent += send(raw, rest, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)?;
            }
            self.stage = Stage::Reading { head: Vec::new() };
        }
        let Stage::Reading { head } = &mut self.stage else { return Ok(Step::Pending(Interest::Read)) };
        let mut chunk = [0; http::MAX_HEAD];
        let count = recv(raw, &mut chunk, MsgFlags::MSG_DONTWAIT)?;
        head.extend(chunk.iter().take(count.min(http::MAX_HEAD - head.len().min(http::MAX_HEAD))));
        let said = |what: &str| Ok(Step::Failed(format!("{} {what}", target.name())));
        match Answer::read(head) {
            Answer::Status(200..=399) => Ok(Step::Succeeded),
            Answer::Status(status) => said(&format!("answered {status}")),
            Answer::Nonsense => said("gave an answer that is no HTTP"),
            Answer::Unfinished if count == 0 => said("closed the connection without an answer"),
            Answer::Unfinished => Ok(Step::Pending(Interest::Read)),
        }
    }
}

enum Connection {
    None,
    Stands,
    /// A connection to a port of this machine on which nobody listens can be given that very port as its own
    /// end, and then the two ends are one.
    ToItself,
}

fn connection(raw: i32) -> io::Result<Connection> {
    let peer = match getpeername::<SockaddrStorage>(raw) {
        Ok(peer) => peer,
        Err(nix::errno::Errno::ENOTCONN) => return Ok(Connection::None),
        Err(errno) => return Err(errno.into()),
    };
    let own = getsockname::<SockaddrStorage>(raw)?;
    Ok(if own == peer { Connection::ToItself } else { Connection::Stands })
}

/// What an error is called, without its number.
pub(super) fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_to_itself_is_no_connection() {
        // A socket that is bound to a port and connects to it meets itself.
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::empty(),
            None,
        )
        .unwrap();
        let any = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, 0);
        nix::sys::socket::bind(socket.as_raw_fd(), &any).unwrap();
        let own: nix::sys::socket::SockaddrIn = getsockname(socket.as_raw_fd()).unwrap();
        nix::sys::socket::connect(socket.as_raw_fd(), &own).unwrap();
        assert!(matches!(connection(socket.as_raw_fd()), Ok(Connection::ToItself)));
        let target = Target::Tcp(SocketAddr::from(([127, 0, 0, 1], own.port())));
        let mut attempt = Attempt { fd: socket, stage: Stage::Connecting };
        match attempt.advance(&target) {
            Step::Failed(note) => assert_eq!(note, format!("127.0.0.1:{}: connection refused", own.port())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_for_a_socket_that_is_not_connected_says_nothing() {
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK,
            None,
        )
        .unwrap();
        let mut attempt = Attempt { fd: socket, stage: Stage::Connecting };
        let target = Target::Tcp("127.0.0.1:1".parse().unwrap());
        assert!(matches!(attempt.advance(&target), Step::Pending(Interest::Write)));
    }

    #[test]
    fn a_datagram_socket_that_somebody_holds_is_ready() {
        let path = std::env::temp_dir().join(format!("sexton-attempt-{}", std::process::id()));
        let target = Target::Unix(path.clone());
        let holder = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(matches!(target.begin(), Begun::Succeeded));
        drop(holder);
        let note = format!("'{}': connection refused", path.display());
        assert!(matches!(target.begin(), Begun::Failed(said) if said == note));
        std::fs::remove_file(&path).unwrap();
        let note = format!("'{}': no such file or directory", path.display());
        assert!(matches!(target.begin(), Begun::Failed(said) if said == note));
    }
}

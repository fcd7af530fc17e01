//! The notify sockets: one a unit, so that what is said is known to be said of it.
//!
//! ```text
//!   open(unit, owner) ──▶ NOTIFY_SOCKET=/run/sexton/notify/7    0600, the unit's user; 0666 where that is root
//!   daemon ── READY=1, with its credentials ──▶ handle ── one of the unit's own? ──▶ (unit, Notification)
//! ```
//!
//! A daemon that is started as root often becomes somebody else before it is ready, so nobody is kept from its socket.
//!
//! A helper that says one thing and ends (`systemd-notify --ready`) is gone before anybody can look whose it was. On a
//! socket that is the unit's user's own its user vouches for it, though not for a main process that it names.
//!
//! Where the directory cannot be written the socket has an abstract name, which anybody in the network
//! namespace can send to: there too only the unit's own processes are listened to. Descriptors that come
//! along are closed by the kernel as the message is taken; for `BARRIER=1` that is the answer.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::socket::{self as nix_socket, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};

use super::exchange::exchange;
use crate::engine::UnitId;
use crate::model::Pid;
use crate::sys::clock;
use crate::sys::poll::{Interest, Poller, Readiness, Token};
use crate::sys::process::effective_uid;
use crate::sys::processes;
use crate::sys::socket::{Datagram, datagram_unix, receive_with_credentials};

mod message;

pub use message::{MAX_STATUS, Notification, parse};

/// The longest message that is read; systemd's own bound. A longer one is passed over whole, because half a
/// message can say the opposite.
const MAX_MESSAGE: usize = 4096;
/// Messages taken from one socket in a turn of the loop: a daemon that floods its socket costs the others no
/// more than this.
const MAX_MESSAGES: usize = 32;
/// Messages of an earlier run that are thrown away when a unit starts. The kernel queues far fewer.
const MAX_STALE: usize = 1024;

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    owner: Option<u32>,
    address: Address,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Path(PathBuf),
    Abstract(String),
}

/// The sockets of all units that have one.
#[derive(Debug)]
pub struct NotifySockets {
    directory: PathBuf,
    class: u8,
    /// Part of abstract names: several sextons, each of pid 1, can share a network namespace.
    born: u64,
    sockets: BTreeMap<UnitId, Socket>,
    /// Sockets are called by numbers that never come again: units may change places, or make place for others.
    next: u32,
}

impl NotifySockets {
    /// No sockets yet. They will lie in `run_directory/notify`; `class` is the class of their tokens.
    pub fn new(run_directory: &Path, class: u8) -> NotifySockets {
        let directory = run_directory.join("notify");
        NotifySockets { directory, class, born: clock::wall_usec(), sockets: BTreeMap::new(), next: 0 }
    }

    /// The value of `NOTIFY_SOCKET` for a process that is about to start. The socket is made at the unit's first
    /// start and kept; what an earlier run left in it is thrown away. `owner` is the unit's user.
    pub fn open(&mut self, unit: UnitId, owner: Option<u32>, poller: &Poller) -> io::Result<String> {
        if let Some(socket) = self.sockets.get(&unit).filter(|socket| socket.owner == owner) {
            let mut buffer = [0; 1];
            let stale = (0..MAX_STALE).map_while(|_| receive(socket, &mut buffer));
            let _thrown_away = stale.count();
            return Ok(socket.address.value());
        }
        self.close(unit, poller);
        let index = u32::try_from(unit.index()).unwrap_or(u32::MAX);
        let socket = self.make(self.next, owner)?;
        self.next = self.next.wrapping_add(1);
        poller.add(socket.fd.as_fd(), Token::new(self.class, index), Interest::Read)?;
        let value = socket.address.value();
        self.sockets.insert(unit, socket);
        Ok(value)
    }

    /// Takes what came in. `belongs` tells whether a process is one of the unit's own; what others say, or name
    /// as the main process, is passed over.
    pub fn handle(
        &mut self,
        ready: &Readiness,
        belongs: &dyn Fn(UnitId, Pid) -> bool,
        out: &mut Vec<(UnitId, Notification)>,
    ) {
        let unit = UnitId::from_index(ready.token.index() as usize);
        let Some(socket) = self.sockets.get(&unit) else { return };
        let mut buffer = [0; MAX_MESSAGE];
        for _ in 0..MAX_MESSAGES {
            let Some(heard) = receive(socket, &mut buffer) else { return };
            let Some(sender) = heard.pid else { continue };
            let said = parse(buffer.get(..heard.len).unwrap_or_default());
            if said.is_empty() {
                continue;
            }
            let is_known = belongs(unit, sender);
            let is_believed = is_known || (socket.is_of(heard.uid) && is_gone(sender));
            if !is_believed {
                continue;
            }
            let believed = |said: &Notification| match said {
                Notification::MainPid(pid) => is_known && belongs(unit, *pid),
                Notification::ExtendTimeout(_)
                | Notification::Status(_)
                | Notification::Reloading
                | Notification::Ready
                | Notification::Stopping => true,
            };
            out.extend(said.into_iter().filter(believed).map(|said| (unit, said)));
        }
    }

    /// Closes a unit's socket and removes its file.
    pub fn close(&mut self, unit: UnitId, poller: &Poller) {
        let Some(socket) = self.sockets.remove(&unit) else { return };
        let _ = poller.remove(socket.fd.as_fd()); // It is closed next, which removes it too.
        if let Address::Path(path) = socket.address {
            let _ = std::fs::remove_file(path); // What is left is replaced when the unit starts again.
        }
    }

    /// Two units change places, and their sockets with them.
    pub fn exchange(&mut self, one: UnitId, other: UnitId, poller: &Poller) {
        exchange(&mut self.sockets, one, other);
        for unit in [one, other] {
            if let Some(socket) = self.sockets.get(&unit) {
                let index = u32::try_from(unit.index()).unwrap_or(u32::MAX);
                // It was added when it was made, and what was added can be changed.
                let _ = poller.modify(socket.fd.as_fd(), Token::new(self.class, index), Interest::Read);
            }
        }
    }

    /// Closes all of them, when nothing runs any more.
    pub fn close_all(&mut self, poller: &Poller) {
        let units: Vec<UnitId> = self.sockets.keys().copied().collect();
        units.into_iter().for_each(|unit| self.close(unit, poller));
    }

    fn make(&self, number: u32, owner: Option<u32>) -> io::Result<Socket> {
        let path = self.directory.join(number.to_string());
        // Who begins as somebody else than root cannot become anybody.
        let mode = if owner.is_some_and(|user| user != 0) { 0o600 } else { 0o666 };
        let in_directory = self.make_directory().and_then(|()| datagram_unix(&path, mode, owner));
        let error = match in_directory {
            Ok(fd) => return Ok(Socket { fd, owner, address: Address::Path(path) }),
            Err(error) => error,
        };
        let scarce = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
        if error.raw_os_error().is_some_and(|errno| scarce.contains(&errno)) {
            return Err(error);
        }
        let name = format!("sexton/{}-{:x}/notify/{number}", std::process::id(), self.born);
        // Which of the two failed says less than that the directory cannot be used.
        let fd = abstract_socket(&name).map_err(|_| error)?;
        Ok(Socket { fd, owner, address: Address::Abstract(name) })
    }

    /// Others may pass through it to their own socket, and list nothing.
    fn make_directory(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o711).create(&self.directory) {
            Ok(()) => std::fs::set_permissions(&self.directory, Permissions::from_mode(0o711)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Address {
    fn value(&self) -> String {
        match self {
            Address::Path(path) => path.to_string_lossy().into_owned(),
            Address::Abstract(name) => format!("@{name}"),
        }
    }
}

impl Socket {
    /// Does nobody but this user, and root, reach it?
    fn is_of(&self, uid: u32) -> bool {
        matches!(self.address, Address::Path(_)) && uid == self.owner.unwrap_or_else(effective_uid)
    }
}

/// The next message and its sender; the length is 0 where it did not fit.
fn receive(socket: &Socket, buffer: &mut [u8]) -> Option<Datagram> {
    let datagram = receive_with_credentials(socket.fd.as_fd(), buffer).ok()?;
    Some(Datagram { len: if datagram.truncated { 0 } else { datagram.len }, ..datagram })
}

/// It has ended and was reaped; where nobody can be seen, nobody is known to be gone.
fn is_gone(pid: Pid) -> bool {
    processes::look(pid).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        && processes::are_visible()
}

#[doc(alias = "SO_PASSCRED")]
fn abstract_socket(name: &str) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = nix_socket::socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    nix_socket::setsockopt(&fd, sockopt::PassCred, &true)?;
    nix_socket::bind(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok(fd)
}

#[cfg(test)]
mod tests;

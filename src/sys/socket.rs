//! Sockets: where clients, daemons and helpers are heard.
//!
//! ```text
//!   listen_unix ──▶ accept ──▶ peer_credentials      the control socket
//!   datagram_unix ──▶ receive_with_credentials       one notify socket a unit
//!   connect_tcp, connect_unix ──▶ connect_error      probes: wait for "writable" in between
//!   pair ──▶ handover                                PID 1 and its helpers
//! ```
//!
//! All are non-blocking and close-on-exec. Nothing here raises SIGPIPE.
//!
//! See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::call;
use crate::model::Pid;

pub use super::message::{Datagram, receive_with_credentials};

/// Connections that wait to be accepted. More than the loop leaves waiting between two rounds, and small
/// enough that a flood is refused at the door.
const BACKLOG: libc::c_int = 128;

/// Who is at the other end of a Unix socket, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process that connected; `None` when it lives outside our pid namespace.
    pub pid: Option<Pid>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Listens on a stream socket at `path` with these permission bits. A socket that nobody listens on any
/// more is replaced; one that is alive, and anything that is no socket, is left alone: `EADDRINUSE`.
pub fn listen_unix(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    let fd = bound_unix(path, libc::SOCK_STREAM, mode)?;
    let raw = fd.as_raw_fd();
    // SAFETY: no pointers; `fd` is open.
    call::retry(|| unsafe { libc::listen(raw, BACKLOG) })?;
    Ok(fd)
}

/// A datagram socket at `path` with these permission bits, which belongs to `owner` and tells of each
/// message who sent it. An old socket is replaced as in [`listen_unix`].
#[doc(alias = "SO_PASSCRED")]
pub fn datagram_unix(path: &Path, mode: u32, owner: Option<u32>) -> io::Result<OwnedFd> {
    let fd = bound_unix(path, libc::SOCK_DGRAM, mode)?;
    set_option(&fd, libc::SO_PASSCRED, 1)?;
    if let Some(uid) = owner {
        let path = call::c_path(path)?;
        let same_group = u32::MAX;
        // SAFETY: `path` is a C string that outlives the call.
        call::retry(|| unsafe { libc::lchown(path.as_ptr(), uid, same_group) })?;
    }
    Ok(fd)
}

/// The next connection; `WouldBlock` when there is none.
#[doc(alias = "accept4")]
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let raw = listener.as_raw_fd();
    let (address, length) = (std::ptr::null_mut(), std::ptr::null_mut());
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: null for the address says that it is not asked for.
    call::owned(call::retry(|| unsafe { libc::accept4(raw, address, length, flags) }))
}

/// Who connected to, or made, the other end.
#[doc(alias = "SO_PEERCRED")]
pub fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let (raw, place) = (fd.as_raw_fd(), (&raw mut peer).cast());
    // SAFETY: `place` points to a `ucred`, which is what this option fills in, and `length` is its size.
    call::retry(|| unsafe {
        libc::getsockopt(raw, libc::SOL_SOCKET, libc::SO_PEERCRED, place, &mut length)
    })?;
    Ok(Credentials { pid: Pid::new(peer.pid), uid: peer.uid, gid: peer.gid })
}

/// Every supplementary group of who connected.
#[doc(alias = "SO_PEERGROUPS")]
pub fn peer_groups(fd: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<u32> = vec![0; 64];
    loop {
        let mut length = (groups.len() * size_of::<u32>()) as libc::socklen_t;
        let (raw, place) = (fd.as_raw_fd(), groups.as_mut_ptr().cast());
        // SAFETY: `place` has room for the `length` bytes that the kernel is told of.
        let answer = call::retry(|| unsafe {
            libc::getsockopt(raw, libc::SOL_SOCKET, libc::SO_PEERGROUPS, place, &mut length)
        });
        let needed = length as usize / size_of::<u32>();
        match answer {
            Ok(_) => {
                groups.truncate(needed);
                return Ok(groups);
            }
            // The kernel says how much room it needs; a peer's groups do not change any more.
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && needed > groups.len() => {
                groups.resize(needed, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Begins to connect. Once the descriptor is writable, [`connect_error`] tells what came of it.
pub fn connect_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let fd = new(family, libc::SOCK_STREAM)?;
    let answer = match address {
        SocketAddr::V4(address) => {
            let to = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            connect(&fd, &to)
        }
        SocketAddr::V6(address) => {
            let to = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            connect(&fd, &to)
        }
    };
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(fd),
        other => other.map(|()| fd),
    }
}

/// Connects to a stream socket. It is connected when this answers; `WouldBlock` says that too many others
/// wait there.
pub fn connect_unix(path: &Path) -> io::Result<OwnedFd> {
    let fd = new(libc::AF_UNIX, libc::SOCK_STREAM)?;
    connect(&fd, &unix_address(path)?)?;
    Ok(fd)
}

/// What came of a connection that was begun: `Ok` when it stands.
#[doc(alias = "SO_ERROR")]
pub fn connect_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut errno: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    let (raw, place) = (fd.as_raw_fd(), (&raw mut errno).cast());
    // SAFETY: `place` points to an int, which is what this option fills in, and `length` is its size.
    call::retry(|| unsafe { libc::getsockopt(raw, libc::SOL_SOCKET, libc::SO_ERROR, place, &mut length) })?;
    if errno == 0 { Ok(()) } else { Err(call::error(errno)) }
}

/// A socket that is only good for asking things of network interfaces.
pub(super) fn datagram_inet() -> io::Result<OwnedFd> {
    new(libc::AF_INET, libc::SOCK_DGRAM)
}

/// Two connected sockets that keep the bounds of messages.
#[doc(alias = "socketpair")]
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: `fds` has room for two descriptors.
    call::retry(|| unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    let [near, far] = fds;
    Ok((call::owned(Ok(near))?, call::owned(Ok(far))?))
}

pub(super) fn new(family: libc::c_int, kind: libc::c_int) -> io::Result<OwnedFd> {
    let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    call::owned(call::retry(|| unsafe { libc::socket(family, kind, 0) }))
}

/// `Address` must be one of the `sockaddr_` types.
fn connect<Address>(fd: &OwnedFd, address: &Address) -> io::Result<()> {
    let (raw, length) = (fd.as_raw_fd(), size_of::<Address>() as libc::socklen_t);
    let address: *const Address = address;
    // SAFETY: `address` points to a socket address of `length` bytes.
    call::retry(|| unsafe { libc::connect(raw, address.cast(), length) }).map(drop)
}

fn set_option(fd: &OwnedFd, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let (raw, place) = (fd.as_raw_fd(), (&raw const value).cast());
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `place` points to an int, and `length` is its size.
    call::retry(|| unsafe { libc::setsockopt(raw, libc::SOL_SOCKET, option, place, length) }).map(drop)
}

/// The address of a socket in the file system. The kernel has room for 107 bytes and a NUL.
fn unix_address(path: &Path) -> io::Result<libc::sockaddr_un> {
    let mut address =
        libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(call::error(libc::ENAMETOOLONG));
    }
    // An empty path would be an automatic name, one that begins with NUL an abstract one.
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(call::error(libc::EINVAL));
    }
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as libc::c_char;
    }
    Ok(address)
}

fn bound_unix(path: &Path, kind: libc::c_int, mode: u32) -> io::Result<OwnedFd> {
    let address = unix_address(path)?;
    let c_path = call::c_path(path)?;
    clear_stale(&c_path, &address, kind)?;
    let fd = new(libc::AF_UNIX, kind)?;
    let raw = fd.as_raw_fd();
    // The file is made with the socket's own bits and the umask: it is never more open than it shall be.
    // SAFETY: no pointers; `fd` is open.
    call::retry(|| unsafe { libc::fchmod(raw, mode) })?;
    let (place, length) = (&raw const address, size_of::<libc::sockaddr_un>() as libc::socklen_t);
    // SAFETY: `place` points to a socket address of `length` bytes.
    call::retry(|| unsafe { libc::bind(raw, place.cast(), length) })?;
    // What the umask took away is given back.
    // SAFETY: `c_path` is a C string that outlives the call.
    call::retry(|| unsafe { libc::chmod(c_path.as_ptr(), mode) })?;
    Ok(fd)
}

/// Removes the socket at `path` when nobody is behind it any more.
fn clear_stale(path: &CString, address: &libc::sockaddr_un, kind: libc::c_int) -> io::Result<()> {
    let in_use = call::error(libc::EADDRINUSE);
    match file_type(path) {
        Ok(libc::S_IFSOCK) => {}
        Ok(_) => return Err(in_use),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
        Err(error) => return Err(error),
    }
    match connect(&new(libc::AF_UNIX, kind)?, address) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {}
        _ => return Err(in_use),
    }
    // SAFETY: `path` is a C string that outlives the call.
    call::retry(|| unsafe { libc::unlink(path.as_ptr()) }).map(drop)
}

/// The `S_IF…` of what is at `path`; a symbolic link is one.
fn file_type(path: &CString) -> io::Result<libc::mode_t> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `path` is a C string and `status` has room for the answer.
    call::retry(|| unsafe { libc::lstat(path.as_ptr(), status.as_mut_ptr()) })?;
    // SAFETY: the kernel filled it in, and a `stat` of zeroes is valid in any case.
    let status = unsafe { status.assume_init() };
    Ok(status.st_mode & libc::S_IFMT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("sexton-socket-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_client_is_known_by_its_credentials() {
        let path = scratch("peer");
        let listener = listen_unix(&path, 0o600).unwrap();
        assert_eq!(accept(listener.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let client = connect_unix(&path).unwrap();
        connect_error(client.as_fd()).unwrap();
        let server = accept(listener.as_fd()).unwrap();
        let peer = peer_credentials(server.as_fd()).unwrap();
        assert_eq!(peer.pid, Pid::new(i32::try_from(std::process::id()).unwrap()));
        assert_eq!(peer.uid, nix::unistd::getuid().as_raw());
        let groups: Vec<u32> = nix::unistd::getgroups().unwrap().iter().map(|group| group.as_raw()).collect();
        assert_eq!(peer_groups(server.as_fd()).unwrap(), groups);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_socket_gets_its_permission_bits_whatever_the_umask() {
        for mode in [0o600, 0o666] {
            let path = scratch(&format!("mode-{mode:o}"));
            let _listener = listen_unix(&path, mode).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_stale_socket_is_replaced_a_live_one_never() {
        let path = scratch("stale");
        let live = listen_unix(&path, 0o600).unwrap();
        assert_eq!(listen_unix(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(live);
        let _again = listen_unix(&path, 0o600).unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_never_removed() {
        let path = scratch("file");
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(listen_unix(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let link = scratch("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(listen_unix(&link, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(!std::fs::metadata(&path).unwrap().file_type().is_socket());
        std::fs::remove_file(link).unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
        assert_eq!(listen_unix(&long, 0o600).unwrap_err().raw_os_error(), Some(libc::ENAMETOOLONG));
        assert_eq!(connect_unix(Path::new("")).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn a_refused_tcp_connection_shows_in_its_error_and_an_accepted_one_does_not() {
        use crate::sys::poll::{Interest, Poller, Token};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let outcome = || {
            let fd = match connect_tcp(address) {
                Ok(fd) => fd,
                Err(error) => return Err(error),
            };
            let poller = Poller::new()?;
            poller.add(fd.as_fd(), Token::new(0, 0), Interest::Write)?;
            poller.wait(&mut Vec::new(), Some(std::time::Duration::from_secs(10)))?;
            connect_error(fd.as_fd())
        };
        outcome().unwrap();
        drop(listener);
        assert_eq!(outcome().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}

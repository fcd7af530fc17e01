//! Messages that say who sent them. The socket module hands this on; those with descriptors are `handover`'s.
//!
//! See [recvmsg(2)](https://man7.org/linux/man-pages/man2/recvmsg.2.html) and
//! [cmsg(3)](https://man7.org/linux/man-pages/man3/cmsg.3.html).

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::call;
use crate::model::Pid;

/// Room for one control message of at most 32 bytes of data, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 48]);

/// One datagram, and who sent it as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// How many bytes of the buffer it filled; 0 is a message too.
    pub len: usize,
    /// The sender; `None` when it lives outside our pid namespace, or the kernel said nothing.
    pub pid: Option<Pid>,
    /// The sender's user; `u32::MAX`, which nobody has, when the kernel said nothing.
    pub uid: u32,
    /// It was longer than the buffer; the rest is gone.
    pub truncated: bool,
}

/// Takes the next message of a [`datagram_unix`](super::socket::datagram_unix); `WouldBlock` when there is
/// none. Descriptors that come with it are not taken: there is only room for the credentials, and what does
/// not fit is closed by the kernel.
#[doc(alias = "SCM_CREDENTIALS")]
pub fn receive_with_credentials(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Datagram> {
    let mut control = Control([0; 48]);
    let room = space(size_of::<libc::ucred>());
    let (len, header) = receive(fd, buffer, &mut control, room)?;
    let mut datagram =
        Datagram { len, pid: None, uid: u32::MAX, truncated: header.msg_flags & libc::MSG_TRUNC != 0 };
    if let Some(data) = control_data(&header, libc::SCM_CREDENTIALS, size_of::<libc::ucred>()) {
        // SAFETY: `data` points to the credentials that the kernel wrote into `control`, maybe unaligned.
        let sender = unsafe { data.cast::<libc::ucred>().read_unaligned() };
        datagram.pid = Pid::new(sender.pid);
        datagram.uid = sender.uid;
    }
    Ok(datagram)
}

/// `room` bytes of `control` are offered to the kernel.
fn header(io: &mut libc::iovec, control: &mut Control, room: usize) -> libc::msghdr {
    // SAFETY: all of `msghdr` is numbers and pointers, for which zero is valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = io;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = room.min(control.0.len()) as _;
    header
}

/// The answer's header points into `control`.
fn receive(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    control: &mut Control,
    room: usize,
) -> io::Result<(usize, libc::msghdr)> {
    let mut io = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut header = header(&mut io, control, room);
    let (raw, flags) = (fd.as_raw_fd(), libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT);
    // SAFETY: `header` points to `io` and `control`, and `io` to `buffer`, all of which outlive the call.
    let len = call::retry(|| unsafe { libc::recvmsg(raw, &mut header, flags) })?;
    Ok((usize::try_from(len).unwrap_or(0), header))
}

/// The data of the first control message when it is of this type and holds at least `needed` bytes.
fn control_data(header: &libc::msghdr, kind: libc::c_int, needed: usize) -> Option<*const u8> {
    // SAFETY: `header` describes a control buffer that the kernel filled in.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: it is null or points to a header that the kernel wrote.
    let message = unsafe { first.as_ref() }?;
    let fits = message.cmsg_len as usize >= control_length(needed);
    if message.cmsg_level != libc::SOL_SOCKET || message.cmsg_type != kind || !fits {
        return None;
    }
    // SAFETY: `first` is a valid header.
    Some(unsafe { libc::CMSG_DATA(first) })
}

#[doc(alias = "CMSG_SPACE")]
fn space(data: usize) -> usize {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_SPACE(data as libc::c_uint) as usize }
}

#[doc(alias = "CMSG_LEN")]
fn control_length(data: usize) -> usize {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_LEN(data as libc::c_uint) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::handover::send_with_fds;
    use crate::sys::socket;
    use std::io::Read;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::{UnixDatagram, UnixStream};
    use std::time::Duration;

    fn notify_socket(name: &str) -> (std::path::PathBuf, OwnedFd) {
        let path = std::env::temp_dir().join(format!("sexton-message-{name}-{}", std::process::id()));
        let fd = socket::datagram_unix(&path, 0o600, None).unwrap();
        (path, fd)
    }

    #[test]
    fn a_datagram_says_who_sent_it_and_an_empty_one_is_a_message() {
        let (path, fd) = notify_socket("who");
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"", &path).unwrap();
        sender.send_to(b"READY=1", &path).unwrap();
        let mut buffer = [0; 64];
        let empty = receive_with_credentials(fd.as_fd(), &mut buffer).unwrap();
        let me = Pid::new(i32::try_from(std::process::id()).unwrap());
        assert_eq!((empty.len, empty.pid, empty.truncated), (0, me, false));
        let ready = receive_with_credentials(fd.as_fd(), &mut buffer).unwrap();
        assert_eq!((ready.len, ready.pid), (7, me));
        let none = receive_with_credentials(fd.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_datagram_that_is_too_long_says_so() {
        let (path, fd) = notify_socket("long");
        UnixDatagram::unbound().unwrap().send_to(&[b'x'; 100], &path).unwrap();
        let datagram = receive_with_credentials(fd.as_fd(), &mut [0; 10]).unwrap();
        assert_eq!((datagram.len, datagram.truncated), (10, true));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn descriptors_sent_to_a_notify_socket_are_not_taken() {
        let (path, fd) = notify_socket("fds");
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        let (kept, watched) = socket::pair().unwrap();
        send_with_fds(sender.as_fd(), b"FDSTORE=1", &[watched.as_fd()]).unwrap();
        drop(watched);
        let datagram = receive_with_credentials(fd.as_fd(), &mut [0; 64]).unwrap();
        assert_eq!((datagram.len, datagram.pid.is_some()), (9, true));
        // The only other copy went with the message: its end shows that the kernel closed it. A child that
        // another test is starting may hold one more until its exec.
        let mut kept = UnixStream::from(kept);
        kept.set_nonblocking(false).unwrap();
        kept.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(kept.read(&mut [0; 8]).unwrap(), 0);
        std::fs::remove_file(path).unwrap();
    }
}

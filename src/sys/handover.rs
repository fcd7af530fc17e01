//! Many descriptors in one message of a [`pair`](super::socket::pair), and descriptors found at a known number.
//!
//! ```text
//!   PID 1 ── bytes + up to 253 descriptors ──▶ logger        one sendmsg for hundreds of pipes
//!   exec  ── descriptor 3 stays open       ──▶ inherited(3)
//! ```
//!
//! See [cmsg(3)](https://man7.org/linux/man-pages/man3/cmsg.3.html), SCM_RIGHTS.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::call;

/// Descriptors in one message; the kernel takes no more.
#[doc(alias = "SCM_MAX_FD")]
pub const MAX_DESCRIPTORS: usize = 253;

/// Room for one control message with [`MAX_DESCRIPTORS`], aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 1040]);

/// Sends one message with descriptors. It is sent whole or not at all: `WouldBlock` when there is no room,
/// `ETOOMANYREFS` when too many descriptors are on their way, `EINVAL` for more than [`MAX_DESCRIPTORS`].
#[doc(alias = "SCM_RIGHTS")]
pub fn send_with_fds(to: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.len() > MAX_DESCRIPTORS {
        return Err(call::error(libc::EINVAL));
    }
    let mut control = Control([0; 1040]);
    let mut io = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut header = header(&mut io, &mut control);
    header.msg_controllen = if fds.is_empty() { 0 } else { space(fds.len()) as _ };
    if !fds.is_empty() {
        put(&mut header, fds);
    }
    let (raw, flags) = (to.as_raw_fd(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
    // SAFETY: `header` points to `io` and `control`, which outlive the call; the kernel only reads `bytes`.
    call::retry(|| unsafe { libc::sendmsg(raw, &header, flags) }).map(drop)
}

/// Takes the next message with all the descriptors that came with it, in order; `WouldBlock` when there is
/// none. A length of 0 without descriptors: the other side is gone. When this process has no room for more
/// descriptors the kernel closes those that did not fit, and fewer come than were sent.
pub fn receive_with_fds(from: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; 1040]);
    let mut io = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut header = header(&mut io, &mut control);
    let (raw, flags) = (from.as_raw_fd(), libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT);
    // SAFETY: `header` points to `io` and `control`, and `io` to `buffer`, all of which outlive the call.
    let len = call::retry(|| unsafe { libc::recvmsg(raw, &mut header, flags) })?;
    Ok((usize::try_from(len).unwrap_or(0), take(&header)))
}

/// The descriptor that whoever started this process left open at `number`, as a close-on-exec copy; the
/// original is closed. `EBADF` when there is none.
#[doc(alias = "F_DUPFD_CLOEXEC")]
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(call::error(libc::EINVAL));
    }
    // SAFETY: no pointers.
    let copy = call::owned(call::retry(|| unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) }))?;
    // SAFETY: no pointers; a number that the caller says was left for us and nobody else here owns.
    call::once(unsafe { libc::close(number) })?;
    Ok(copy)
}

fn header(io: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all of `msghdr` is numbers and pointers, for which zero is valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = io;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    header
}

/// The control buffer must have room for all of `fds`.
fn put(header: &mut libc::msghdr, fds: &[BorrowedFd<'_>]) {
    // SAFETY: `header` describes a control buffer that has room for one header.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: `first` points into the control buffer, which is zeroed: a valid header.
    let Some(message) = (unsafe { first.as_mut() }) else { return };
    message.cmsg_level = libc::SOL_SOCKET;
    message.cmsg_type = libc::SCM_RIGHTS;
    message.cmsg_len = length(fds.len()) as _;
    // SAFETY: `first` is the header that was just filled in.
    let data = unsafe { libc::CMSG_DATA(first) }.cast::<RawFd>();
    for (index, fd) in fds.iter().enumerate() {
        // SAFETY: the control buffer has room for all of them behind the header, see `send_with_fds`.
        unsafe { data.wrapping_add(index).write_unaligned(fd.as_raw_fd()) };
    }
}

/// Takes the descriptors of the first control message: nothing else is ever sent on a pair.
#[allow(clippy::unnecessary_cast, reason = "the type of the length differs between C libraries")]
fn take(header: &libc::msghdr) -> Vec<OwnedFd> {
    // SAFETY: `header` describes a control buffer that the kernel filled in.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: it is null or points to a header that the kernel wrote.
    let Some(message) = (unsafe { first.as_ref() }) else { return Vec::new() };
    if message.cmsg_level != libc::SOL_SOCKET || message.cmsg_type != libc::SCM_RIGHTS {
        return Vec::new();
    }
    // SAFETY: `first` is a valid header.
    let data = unsafe { libc::CMSG_DATA(first) }.cast::<RawFd>();
    let fits = |index: &usize| message.cmsg_len as usize >= length(index + 1);
    let fds = (0..MAX_DESCRIPTORS).take_while(fits).map(|index| {
        // SAFETY: the message's own length says that this one is in it.
        let raw = unsafe { data.wrapping_add(index).read_unaligned() };
        // SAFETY: the kernel just made this descriptor for us, and each is read once.
        unsafe { OwnedFd::from_raw_fd(raw) }
    });
    fds.collect()
}

#[doc(alias = "CMSG_SPACE")]
fn space(count: usize) -> usize {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_SPACE((count * size_of::<RawFd>()) as libc::c_uint) as usize }
}

#[doc(alias = "CMSG_LEN")]
fn length(count: usize) -> usize {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_LEN((count * size_of::<RawFd>()) as libc::c_uint) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn many_descriptors_travel_in_one_message_and_in_order() {
        let (near, far) = socket::pair().unwrap();
        let pipes: Vec<_> = (0..200).map(|_| std::io::pipe().unwrap()).collect();
        let fds: Vec<_> = pipes.iter().map(|(read, _)| read.as_fd()).collect();
        send_with_fds(near.as_fd(), b"pipes", &fds).unwrap();
        let (len, received) = receive_with_fds(far.as_fd(), &mut [0; 64]).unwrap();
        assert_eq!((len, received.len()), (5, 200));
        for (index, ((_, mut write), read)) in pipes.into_iter().zip(received).enumerate() {
            write.write_all(&[index as u8]).unwrap();
            let mut byte = [0];
            std::fs::File::from(read).read_exact(&mut byte).unwrap();
            assert_eq!(byte, [index as u8]);
        }
    }

    #[test]
    fn a_message_needs_no_descriptor_and_takes_no_more_than_the_kernel_does() {
        let (near, far) = socket::pair().unwrap();
        send_with_fds(near.as_fd(), b"x", &[]).unwrap();
        let (len, fds) = receive_with_fds(far.as_fd(), &mut [0; 8]).unwrap();
        assert_eq!((len, fds.len()), (1, 0));
        let most = vec![near.as_fd(); MAX_DESCRIPTORS];
        send_with_fds(near.as_fd(), b"x", &most).unwrap();
        assert_eq!(receive_with_fds(far.as_fd(), &mut [0; 8]).unwrap().1.len(), MAX_DESCRIPTORS);
        let many = vec![near.as_fd(); MAX_DESCRIPTORS + 1];
        assert_eq!(send_with_fds(near.as_fd(), b"x", &many).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        drop(near);
        assert_eq!(receive_with_fds(far.as_fd(), &mut [0; 8]).unwrap().0, 0);
    }

    #[test]
    fn a_number_that_is_not_open_or_is_a_standard_one_is_refused() {
        assert_eq!(inherited(2).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert_eq!(inherited(1_000_000).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn a_descriptor_that_came_is_closed_on_exec_and_one_who_is_gone_is_an_error_and_no_signal() {
        let (near, far) = socket::pair().unwrap();
        let (one, other) = socket::pair().unwrap();
        send_with_fds(near.as_fd(), b"take it", &[other.as_fd()]).unwrap();
        drop(other);
        let (_, fds) = receive_with_fds(far.as_fd(), &mut [0; 8]).unwrap();
        // SAFETY: no pointers; the descriptor is open.
        let flags = unsafe { libc::fcntl(fds[0].as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        drop(fds);
        assert_eq!(send_with_fds(one.as_fd(), b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

//! Sockets between a virtual machine and its host: a number for each machine (CID), and a port.
//!
//! ```text
//!   2: the host    1: this machine itself    3 and more: guests, as the host has numbered them
//! ```
//!
//! See [vsock(7)](https://man7.org/linux/man-pages/man7/vsock.7.html).

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::call;
use super::socket::new;

/// The host of this machine.
pub const HOST: u32 = libc::VMADDR_CID_HOST;

/// Connections that wait to be accepted.
const BACKLOG: libc::c_int = 16;

/// Listens on a port, whoever it is that connects. `EAFNOSUPPORT`: the kernel has no such sockets, or their module is not
/// loaded.
pub fn listen(port: u32) -> io::Result<OwnedFd> {
    let fd = new(libc::AF_VSOCK, libc::SOCK_STREAM)?;
    let address = address(libc::VMADDR_CID_ANY, port);
    let (raw, place) = (fd.as_raw_fd(), (&raw const address).cast());
    // SAFETY: `place` points to a socket address of `SIZE` bytes.
    call::retry(|| unsafe { libc::bind(raw, place, SIZE) })?;
    // SAFETY: no pointers; `fd` is open.
    call::retry(|| unsafe { libc::listen(raw, BACKLOG) })?;
    Ok(fd)
}

/// The next connection and the machine that it comes from; `WouldBlock` when there is none.
#[doc(alias = "accept4")]
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, u32)> {
    let mut peer = address(libc::VMADDR_CID_ANY, 0);
    let mut length = SIZE;
    let (raw, place) = (listener.as_raw_fd(), (&raw mut peer).cast());
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `place` has room for the `length` bytes that the kernel is told of.
    let fd = call::owned(call::retry(|| unsafe { libc::accept4(raw, place, &mut length, flags) }))?;
    Ok((fd, peer.svm_cid))
}

/// Connects to a port of a machine, and waits until that is done: for who may block.
pub fn connect(cid: u32, port: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = call::owned(call::retry(|| unsafe { libc::socket(libc::AF_VSOCK, kind, 0) }))?;
    let address = address(cid, port);
    let (raw, place) = (fd.as_raw_fd(), (&raw const address).cast());
    // SAFETY: `place` points to a socket address of `SIZE` bytes.
    call::retry(|| unsafe { libc::connect(raw, place, SIZE) })?;
    Ok(fd)
}

const SIZE: libc::socklen_t = size_of::<libc::sockaddr_vm>() as libc::socklen_t;

fn address(cid: u32, port: u32) -> libc::sockaddr_vm {
    libc::sockaddr_vm {
        svm_family: libc::AF_VSOCK as libc::sa_family_t,
        svm_reserved1: 0,
        svm_port: port,
        svm_cid: cid,
        svm_zero: [0; 4],
    }
}

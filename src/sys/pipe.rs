//! Pipes, and files that live in memory only.
//!
//! See [pipe(2)](https://man7.org/linux/man-pages/man2/pipe.2.html) and
//! [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::call;

/// A pipe: the end to read and the end to write. Both block; both are closed on exec.
#[doc(alias = "pipe2")]
pub fn new() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: `fds` has room for two descriptors.
    call::retry(|| unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [read, write] = fds;
    Ok((call::owned(Ok(read))?, call::owned(Ok(write))?))
}

/// Reads and writes of this descriptor, and of every copy of it in any process, no longer wait.
#[doc(alias = "O_NONBLOCK")]
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let raw = fd.as_raw_fd();
    // SAFETY: no pointers; the descriptor is open.
    let flags = call::retry(|| unsafe { libc::fcntl(raw, libc::F_GETFL) })?;
    // SAFETY: no pointers; the descriptor is open.
    call::retry(|| unsafe { libc::fcntl(raw, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// How many bytes are in a pipe, as its read end has it.
#[doc(alias = "FIONREAD")]
pub fn unread(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    let (raw, room) = (fd.as_raw_fd(), &raw mut count);
    // SAFETY: `room` has room for the number; the descriptor is open.
    call::retry(|| unsafe { libc::ioctl(raw, libc::FIONREAD, room) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// An empty file in memory that can be sealed. `name` only shows in `/proc`.
#[doc(alias = "memfd_create")]
pub fn in_memory(name: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: `name` is a C string.
    call::owned(call::retry(|| unsafe { libc::memfd_create(name.as_ptr(), flags) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{ErrorKind, Read, Seek, Write};
    use std::os::fd::AsFd;

    #[test]
    fn a_pipe_that_must_not_wait_says_so_instead() {
        let (read, write) = new().unwrap();
        set_nonblocking(read.as_fd()).unwrap();
        let (mut read, mut write) = (File::from(read), File::from(write));
        assert_eq!(read.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        write.write_all(b"x").unwrap();
        assert_eq!(unread(read.as_fd()).unwrap(), 1);
        assert_eq!(read.read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(unread(read.as_fd()).unwrap(), 0);
    }

    #[test]
    fn a_file_in_memory_keeps_what_is_written() {
        let mut file = File::from(in_memory(c"sexton-test").unwrap());
        file.write_all(b"state").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "state");
    }
}

//! Standard output and standard error, written to without a buffer and without an allocation.
//!
//! See [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html): a pipe counts as writable when it has room for
//! `PIPE_BUF` bytes, 4,096, so that a line that is shorter is written whole and nobody is waited for.

use super::call;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output = 1,
    /// Standard error.
    Errors = 2,
}

/// Writes all of it, however long its reader takes. Where that does not work there is nobody to tell.
pub fn write(stream: Stream, text: &[u8]) {
    let mut rest = text;
    while !rest.is_empty() {
        let (fd, place, length) = (stream as libc::c_int, rest.as_ptr(), rest.len());
        // SAFETY: `place` has as many bytes as are said.
        let written = call::retry(|| unsafe { libc::write(fd, place.cast(), length) });
        match written.map(usize::try_from) {
            Ok(Ok(count)) if count > 0 => rest = rest.get(count..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// Writes a line, or nothing where its reader has no room for it now.
pub fn write_if_room(stream: Stream, line: &[u8]) {
    let mut asked = libc::pollfd { fd: stream as libc::c_int, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry, which outlives the call; 0 says that nothing is waited for.
    let answer = unsafe { libc::poll(&mut asked, 1, 0) };
    if answer == 1 && asked.revents & libc::POLLOUT != 0 {
        write(stream, line);
    }
}

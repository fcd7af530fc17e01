//! The one way from C's -1 and `errno` to [`io::Result`].
//!
//! [`retry`] repeats a call that a signal interrupted; [`once`] is for the few whose interruption means
//! something. Nothing else in `sys` looks at `errno`, except the child between clone and exec, which may
//! not build an [`io::Error`].

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a system call answers: -1 is an error in `errno`.
pub(super) trait Answer: Copy {
    /// Is this the -1 of an error?
    fn is_error(self) -> bool;
}

impl Answer for libc::c_int {
    fn is_error(self) -> bool {
        self == -1
    }
}

impl Answer for i64 {
    fn is_error(self) -> bool {
        self == -1
    }
}

impl Answer for isize {
    fn is_error(self) -> bool {
        self == -1
    }
}

/// Turns the answer of a call that was made once into a result.
pub(super) fn once<T: Answer>(answer: T) -> io::Result<T> {
    if answer.is_error() { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Makes a call, again for as long as a signal interrupts it.
#[doc(alias = "EINTR")]
pub(super) fn retry<T: Answer>(mut call: impl FnMut() -> T) -> io::Result<T> {
    loop {
        match once(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Takes a descriptor that a call just made.
pub(super) fn owned(answer: io::Result<RawFd>) -> io::Result<OwnedFd> {
    let fd = answer?;
    // SAFETY: `fd` comes straight from a system call that made it; nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A path as the kernel takes it; a path with a NUL byte is refused as `EINVAL`.
pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| error(libc::EINVAL))
}

/// An error from its number.
pub(super) fn error(errno: libc::c_int) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// A call that the kernel does not have, or that an older seccomp profile answers with `EPERM` because it
/// does not know it. Both mean: do it the old way.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_errno(errno: libc::c_int) {
        // SAFETY: the C library answers a valid pointer to this thread's errno, which lives as long as it.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: see above; nobody else writes this thread's errno.
        unsafe { *place = errno };
    }

    #[test]
    fn an_interrupted_call_is_made_again_and_other_errors_are_not() {
        let mut answers = [libc::EINTR, libc::EINTR, libc::EAGAIN].into_iter();
        let result = retry(|| {
            set_errno(answers.next().unwrap());
            -1
        });
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        assert_eq!(retry(|| 7).unwrap(), 7);
    }

    #[test]
    fn a_call_that_an_old_seccomp_profile_forbids_counts_as_absent() {
        assert!(is_absent(&error(libc::ENOSYS)) && is_absent(&error(libc::EPERM)));
        assert!(!is_absent(&error(libc::EACCES)));
    }

    #[test]
    fn a_path_with_a_nul_byte_is_refused() {
        assert_eq!(c_path(Path::new("a\0b")).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}

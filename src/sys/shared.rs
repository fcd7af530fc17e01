//! Memory that several processes see: the pages of a file, mapped.
//!
//! ```text
//!   store(at, bytes) ──▶ pages ──▶ whoever reads the file sees them, also when this process was killed
//! ```
//!
//! Nothing is ever borrowed from it: bytes are copied in and out, for another process may change them at any time.
//!
//! See [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

use super::call;

/// The pages. Nobody may make the file shorter while they are mapped: a store would be a SIGBUS.
#[derive(Debug)]
pub struct Shared {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the pages belong to no thread; all access is by copying through a shared reference of one owner.
unsafe impl Send for Shared {}

impl Shared {
    /// Maps a file as long as it is now, at most its first `most` bytes. An empty file cannot be mapped: `EINVAL`.
    #[doc(alias = "MAP_SHARED")]
    pub fn map(file: &File, most: usize) -> io::Result<Shared> {
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(most);
        let (protection, raw) = (libc::PROT_READ | libc::PROT_WRITE, file.as_raw_fd());
        let anywhere = std::ptr::null_mut();
        // SAFETY: a new mapping, at a place of the kernel's choice, of a descriptor that is open.
        let start = unsafe { libc::mmap(anywhere, len, protection, libc::MAP_SHARED, raw, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| call::error(libc::EINVAL))?;
        Ok(Shared { start, len })
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Are there none? There always are.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes in; nothing where they do not fit. Others see them before they see what is stored after them.
    pub fn store(&self, at: usize, bytes: &[u8]) {
        if at.checked_add(bytes.len()).is_none_or(|end| end > self.len) {
            return;
        }
        // SAFETY: `at` is within the mapping.
        let target = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: there is room for all of `bytes` behind `target`, and no reference to it exists anywhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        fence(Ordering::SeqCst);
    }

    /// Copies bytes out; zeros where there are none.
    pub fn load<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if at.checked_add(N).is_none_or(|end| end > self.len) {
            return bytes;
        }
        fence(Ordering::SeqCst);
        // SAFETY: `at` is within the mapping.
        let source = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: there are as many bytes behind `source`; what another process writes meanwhile is bytes as well.
        unsafe { std::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), N) };
        bytes
    }
}

impl Drop for Shared {
    #[doc(alias = "munmap")]
    fn drop(&mut self) {
        // SAFETY: exactly what `map` made, and nobody has a reference into it.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) }; // It cannot fail for what was mapped.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn what_is_stored_is_in_the_file_and_what_does_not_fit_is_nowhere() {
        let file = File::from(
            nix::sys::memfd::memfd_create("test", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap(),
        );
        assert!(Shared::map(&file, 8192).is_err(), "an empty file has no pages");
        file.set_len(4096).unwrap();
        let shared = Shared::map(&file, 8192).unwrap();
        shared.store(4090, b"sixsix");
        shared.store(4091, b"no one");
        shared.store(usize::MAX, b"no one");
        let mut read = [0; 6];
        file.read_exact_at(&mut read, 4090).unwrap();
        assert_eq!(&read, b"sixsix");
        file.write_all_at(b"other", 0).unwrap();
        assert_eq!(&shared.load::<5>(0), b"other");
        assert_eq!(shared.load::<5>(4094), [0; 5]);
        assert_eq!((shared.len(), shared.is_empty()), (4096, false));
    }
}

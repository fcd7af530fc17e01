//! The names in an open directory, read block by block into the caller's own memory.
//!
//! It allocates nothing, for a child between clone and exec reads `/proc/self/fd` with it too.
//!
//! See [getdents64(2)](https://man7.org/linux/man-pages/man2/getdents64.2.html).

use std::ffi::{CStr, c_long};
use std::os::fd::RawFd;

/// Does a directory hold a name that ends so? Where it cannot be read, it does not.
pub fn any_ends_with(directory: &CStr, ending: &[u8]) -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a C string.
    let opened = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, directory.as_ptr(), flags) };
    if opened < 0 {
        return false;
    }
    let mut block = Block::new();
    let mut found = false;
    while !found {
        let filled = block.fill(opened as RawFd);
        if filled <= 0 {
            break;
        }
        found = block.names(filled).any(|name| name.to_bytes().ends_with(ending));
    }
    // SAFETY: no pointers; the descriptor is this function's own.
    unsafe { libc::syscall(libc::SYS_close, opened) };
    found
}

/// Aligned as directory entries are; room for some sixty of them, and for the longest name many times over.
#[repr(C, align(8))]
pub(super) struct Block([u8; 2048]);

impl Block {
    pub(super) fn new() -> Block {
        Block([0; 2048])
    }

    /// Reads the next block. Answers how many bytes it has, 0 at the end, -1 for an error in `errno`.
    pub(super) fn fill(&mut self, directory: RawFd) -> c_long {
        let (place, room) = (self.0.as_mut_ptr(), self.0.len());
        // SAFETY: `place` has the room that the kernel is told.
        unsafe { libc::syscall(libc::SYS_getdents64, directory, place, room) }
    }

    /// The names in the first `filled` bytes, `.` and `..` among them.
    pub(super) fn names(&self, filled: c_long) -> Names<'_> {
        let filled = usize::try_from(filled).unwrap_or(0);
        Names { rest: self.0.get(..filled).unwrap_or_default() }
    }
}

/// What is left of a block of `linux_dirent64`: a length of two bytes at 16, at 19 a name that ends with NUL.
pub(super) struct Names<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let (low, high) = (*self.rest.get(16)?, *self.rest.get(17)?);
        let length = usize::from(u16::from_le_bytes([low, high]));
        let name = CStr::from_bytes_until_nul(self.rest.get(19..length)?).ok()?;
        self.rest = self.rest.get(length..)?;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn every_name_of_a_directory_of_many_blocks_is_read_once() {
        let path = std::env::temp_dir().join(format!("sexton-entries-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let mut expected = vec![".".to_owned(), "..".to_owned()];
        for number in 0..300 {
            let name = format!("{number}-{}", "x".repeat(number % 200));
            std::fs::write(path.join(&name), "").unwrap();
            expected.push(name);
        }
        let directory = std::fs::File::open(&path).unwrap();
        let (mut block, mut found) = (Block::new(), Vec::new());
        loop {
            let filled = block.fill(directory.as_raw_fd());
            if filled <= 0 {
                assert_eq!(filled, 0);
                break;
            }
            found.extend(block.names(filled).map(|name| name.to_str().unwrap().to_owned()));
        }
        let here = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        assert!(any_ends_with(&here, b"0-") && any_ends_with(&here, b"xxx"));
        assert!(!any_ends_with(&here, b".toml") && !any_ends_with(c"/no/such", b""));
        std::fs::remove_dir_all(path).unwrap();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_block_of_rubbish_has_an_end() {
        let mut block = Block::new();
        block.0.fill(0xff);
        assert_eq!(block.names(2048).count(), 0);
        assert_eq!(Block::new().names(2048).count(), 0);
        assert_eq!(Block::new().names(-1).count(), 0);
    }
}

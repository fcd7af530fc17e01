//! The small stack that every child runs on between clone and exec.
//!
//! ```text
//!   low                                             high
//!   ┌─────────────┬───────────────────────────────────┐
//!   │ guard page  │            32 KiB  ◀── grows down │ top
//!   └─────────────┴───────────────────────────────────┘
//! ```
//!
//! One is enough for all of them: the parent is suspended until its child has left the stack, or the child has a copy.
//!
//! See [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html).

use std::io;
use std::ptr::NonNull;

use super::call;

/// No function of the child keeps more than a few hundred bytes, but for the 2 KiB in which it reads
/// `/proc/self/fd` on old kernels; the rest is for an unoptimised build. Untouched pages cost nothing.
const SIZE: usize = 32 << 10;

/// At least a page everywhere that Linux runs.
const GUARD: usize = 64 << 10;

/// Memory for a child's stack.
#[derive(Debug)]
pub(super) struct Stack {
    lowest: NonNull<libc::c_void>,
}

// SAFETY: the memory is the owner's alone, whichever thread that is.
unsafe impl Send for Stack {}

impl Stack {
    pub(super) fn new() -> io::Result<Stack> {
        let (nowhere, kind) =
            (std::ptr::null_mut(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK);
        // SAFETY: a new mapping, wherever the kernel likes.
        let lowest = unsafe { libc::mmap(nowhere, GUARD + SIZE, libc::PROT_NONE, kind, -1, 0) };
        if lowest == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack { lowest: NonNull::new(lowest).ok_or_else(|| call::error(libc::ENOMEM))? };
        let usable = stack.lowest.as_ptr().wrapping_byte_add(GUARD);
        // SAFETY: these are the upper bytes of the mapping just made, which nobody uses yet.
        call::retry(|| unsafe { libc::mprotect(usable, SIZE, libc::PROT_READ | libc::PROT_WRITE) })?;
        Ok(stack)
    }

    /// Where a stack that grows down begins; aligned as every calling convention wants it.
    pub(super) fn top(&self) -> *mut libc::c_void {
        self.lowest.as_ptr().wrapping_byte_add(GUARD + SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no child runs on it: whoever spawned one waited for it, or gave it a copy.
        let _ = unsafe { libc::munmap(self.lowest.as_ptr(), GUARD + SIZE) };
        // An error would leave the memory mapped, and nobody could do anything about it.
    }
}

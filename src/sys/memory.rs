//! Gives back the memory of what has done its work: code, and stack that was deeper once.
//!
//! ```text
//!   __executable_start ── constants ── code ── etext │ data        given back: what is left of the line
//!   deepest ── what deep calls used ── IN_USE │ frames of now      given back: what is left of the line
//! ```
//!
//! Whoever touches a page of a program gets its neighbours mapped with it, so after reading the units nearly all of
//! sexton is resident, and most of it is never needed again. The pages stay in the kernel's cache; one that is needed
//! after all is mapped again without being read from disk.
//!
//! See [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).

use std::io;

use super::call;

/// The largest page of any machine that Linux runs on; a smaller start than the first page would be refused.
const PAGE: usize = 64 << 10;

/// The page of most machines.
const SMALL_PAGE: usize = 4 << 10;

/// What is kept of the stack below the frame of now: what the calls on the way to the kernel and back use, many times over.
const IN_USE: usize = 8 << 10;

/// How deep the stack may have been. It lies below everything else by more than this.
const DEEPEST: usize = 1 << 20;

// The linker sets them, around what is never written to.
unsafe extern "C" {
    static __executable_start: u8;
    static etext: u8;
}

/// Unmaps the pages of the program itself, to be mapped again as they are needed.
#[doc(alias = "MADV_DONTNEED")]
pub fn give_back_code() -> io::Result<()> {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    // Up to a whole page: what lies beyond may share its page with data.
    let length = end.addr().saturating_sub(start.addr()) / PAGE * PAGE;
    // SAFETY: these are pages of the executable that nobody may write to, so the file has all that was in them.
    let answer = unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
    match call::once(answer) {
        // There may be a gap between constants and code; what is mapped was given back all the same.
        Err(error) if error.raw_os_error() != Some(libc::ENOMEM) => Err(error),
        _ => Ok(()),
    }
}

/// Unmaps the pages of the stack below those in use; they are empty when calls go as deep again. `EINVAL` for another thread
/// than the first, below whose stack lies what is somebody's.
#[doc(alias = "MADV_DONTNEED")]
pub fn give_back_stack() -> io::Result<()> {
    if nix::unistd::gettid() != nix::unistd::getpid() {
        return Err(call::error(libc::EINVAL));
    }
    let frame = 0_u8;
    // Where a page is larger the kernel refuses, and all is kept.
    let end = (&raw const frame).addr().saturating_sub(IN_USE) / SMALL_PAGE * SMALL_PAGE;
    let start = std::ptr::without_provenance_mut(end.saturating_sub(DEEPEST));
    // SAFETY: the first thread's stack grows down to here and lies more than `DEEPEST` above all else; no frame is below this
    // one but that of the call itself, for which `IN_USE` is kept, and no signal has a handler.
    match call::once(unsafe { libc::madvise(start, DEEPEST, libc::MADV_DONTNEED) }) {
        // The stack was never as deep.
        Err(error) if error.raw_os_error() != Some(libc::ENOMEM) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_given_back_still_runs() {
        give_back_code().unwrap();
        assert_eq!("a constant".len(), 10);
    }

    #[test]
    fn the_stack_of_another_thread_is_left_alone() {
        assert_eq!(give_back_stack().unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}

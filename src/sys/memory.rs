//! Gives back the memory of code that has done its work.
//!
//! ```text
//!   __executable_start ── constants ── code ── etext │ data        given back: what is left of the line
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_given_back_still_runs() {
        give_back_code().unwrap();
        assert_eq!("a constant".len(), 10);
    }
}

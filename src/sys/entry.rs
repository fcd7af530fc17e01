//! The way in: `main` as the C library calls it.
//!
//! Rust's own start-up ignores SIGPIPE, makes an alternative stack and aborts when it cannot, and opens `/dev/null` or aborts
//! when there is none. An init may do none of this, so it comes before Rust's runtime and does without it.
//! What the runtime did at the end is done here: standard output is written out.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;

/// Defines `main` for a program without Rust's start-up. The function gets the arguments, the program's name first, and
/// answers the exit status.
#[macro_export]
macro_rules! begin_at {
    ($main:path) => {
        // SAFETY: the name is the one that the C library calls, with the arguments that it passes.
        #[allow(unsafe_code, reason = "it is how the C library finds it")]
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: ::std::ffi::c_int,
            arguments: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            $crate::sys::entry::enter(count, arguments, $main)
        }
    };
}

/// Runs `main` on the arguments that the C library was given.
pub fn enter(count: c_int, arguments: *const *const c_char, main: fn(Vec<OsString>) -> u8) -> c_int {
    let status = main(collect(count, arguments));
    // Where standard output is gone there is nobody to tell.
    let _ = std::io::stdout().flush();
    c_int::from(status)
}

fn collect(count: c_int, arguments: *const *const c_char) -> Vec<OsString> {
    let mut collected = Vec::new();
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the kernel gives as many pointers as it counts, and the C library passes them on.
        let argument = unsafe { arguments.add(index) };
        // SAFETY: as above; each is readable for as long as the process lives.
        let argument = unsafe { argument.read() };
        if argument.is_null() {
            break;
        }
        // SAFETY: each is a string with a NUL byte at its end, which nobody changes.
        let text = unsafe { CStr::from_ptr(argument) };
        collected.push(OsString::from_vec(text.to_bytes().to_vec()));
    }
    collected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_arrive_as_they_are_and_an_empty_list_is_one() {
        let texts = [c"sexton".as_ptr(), c"\xff x".as_ptr(), std::ptr::null()];
        let collected = collect(2, texts.as_ptr());
        assert_eq!(collected, [OsString::from("sexton"), OsString::from_vec(b"\xff x".to_vec())]);
        assert_eq!(collect(0, texts.as_ptr()), Vec::<OsString>::new());
        assert_eq!(collect(9, texts.as_ptr()).len(), 2, "it ends at the null pointer");
    }
}

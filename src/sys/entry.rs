//! The way in: `main` as the C library calls it.
//!
//! ```text
//!   main ──▶ early(arguments) ──▶ its exit status           the wrapper: nothing is copied, nothing allocated
//!                │ None
//!                └──▶ main(copied arguments) ──▶ its exit status, after standard output was written out
//! ```
//!
//! Rust's own start-up ignores SIGPIPE, makes an alternative stack and aborts when it cannot, and opens `/dev/null` or aborts
//! when there is none. An init may do none of this, so it comes before Rust's runtime and does without it.

use std::ffi::{OsString, c_char, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;

use super::arguments::Arguments;
use super::signals;

/// Defines `main` for a program without Rust's start-up. The first function looks at the arguments where they lie, and may
/// answer the exit status; otherwise the second gets them, the program's name first, and answers it.
#[macro_export]
macro_rules! begin_at {
    ($early:path, $main:path) => {
        // SAFETY: the name is the one that the C library calls, with the arguments that it passes.
        #[allow(unsafe_code, reason = "it is how the C library finds it")]
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: ::std::ffi::c_int,
            arguments: *mut *const ::std::ffi::c_char,
            variables: *mut *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            $crate::sys::entry::enter(count, arguments, variables, $early, $main)
        }
    };
}

/// Runs `early`, and then `main`, on what the C library was given.
pub fn enter(
    count: c_int,
    arguments: *mut *const c_char,
    variables: *mut *const c_char,
    early: fn(&mut Arguments) -> Option<u8>,
    main: fn(Vec<OsString>) -> u8,
) -> c_int {
    let mut arguments = Arguments::of_main(count, arguments, variables);
    if let Some(status) = early(&mut arguments) {
        return c_int::from(status);
    }
    signals::save_inherited();
    let status = main(collect(&arguments));
    // Where standard output is gone there is nobody to tell.
    let _ = std::io::stdout().flush();
    c_int::from(status)
}

fn collect(arguments: &Arguments) -> Vec<OsString> {
    let texts = (0..arguments.len()).filter_map(|index| arguments.bytes(index));
    texts.map(|text| OsString::from_vec(text.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_arrive_as_they_are_and_an_empty_list_is_one() {
        let collected = collect(&Arguments::of_test(&[c"sexton", c"\xff x"], &[]));
        assert_eq!(collected, [OsString::from("sexton"), OsString::from_vec(b"\xff x".to_vec())]);
        assert_eq!(collect(&Arguments::of_test(&[], &[])), Vec::<OsString>::new());
    }

    #[test]
    fn who_looks_early_may_have_the_last_word() {
        let mut texts = [c"x".as_ptr(), std::ptr::null()];
        let (count, list, none) = (1, texts.as_mut_ptr(), std::ptr::null_mut());
        assert_eq!(enter(count, list, none, |arguments| Some(arguments.len() as u8), |_| 9), 1);
        assert_eq!(enter(count, list, none, |_| None, |arguments| 6 + arguments.len() as u8), 7);
    }
}

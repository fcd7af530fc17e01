//! No unwinding: a panic prints its place and aborts.
//!
//! A release build never unwinds, and nobody reads backtraces of a stripped binary; yet the standard library brings an
//! unwinder and a symboliser that together are a sixth of the static executable. Here is the unwinder's way in, with
//! nothing behind it, so that the linker finds nobody who needs the rest. `build.rs` leaves the tables out.
//!
//! The names and shapes are those of the Itanium C++ ABI, level I; none of these is ever called, but for
//! `_Unwind_Backtrace`, where somebody sets `RUST_BACKTRACE`.

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`: there is no frame to be looked at.
const END_OF_STACK: c_int = 5;

/// Walks no frames.
// SAFETY: the name is the unwinder's, and its promise is kept: `_visit` is called for each frame that is found, which
// are none.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_visit: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Goes on with unwinding; there is none to go on with, and an end that is seen is better than a loop that is not.
// SAFETY: the name is the unwinder's; it never returns, as is promised.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume(_exception: *mut c_void) -> ! {
    std::process::abort()
}

/// Answers that ask about a frame: there is none, so each is zero.
macro_rules! of_no_frame {
    ($($name:ident),*) => {$(
        // SAFETY: the name is the unwinder's; there is no frame, so nobody has one to ask about.
        #[unsafe(no_mangle)]
        extern "C" fn $name(_frame: *mut c_void, _more: *mut c_void) -> usize {
            0
        }
    )*};
}

of_no_frame!(
    _Unwind_GetLanguageSpecificData,
    _Unwind_GetIPInfo,
    _Unwind_GetIP,
    _Unwind_GetRegionStart,
    _Unwind_GetTextRelBase,
    _Unwind_GetDataRelBase
);

/// Orders that change a frame: there is none.
macro_rules! to_no_frame {
    ($($name:ident),*) => {$(
        // SAFETY: the name is the unwinder's; there is no frame, so nothing is changed.
        #[unsafe(no_mangle)]
        extern "C" fn $name(_frame: *mut c_void, _first: usize, _second: usize) {}
    )*};
}

to_no_frame!(_Unwind_SetGR, _Unwind_SetIP);

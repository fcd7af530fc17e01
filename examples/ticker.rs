//! The service of the benchmarks: writes one byte to a pipe, holds it, and waits. No part of what is shipped.
//!
//! It keeps the pipe open for as long as it lives, so that its reader sees when the last one has ended.
//! It has no runtime, so that what is measured is who starts it and not how long it takes to start.

#![no_main]
#![allow(unsafe_code, reason = "nothing but system calls")]

use std::ffi::{c_char, c_int};

/// `ticker FIFO`
///
/// # Safety
/// The C library calls it, with as many words as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    if count < 2 {
        return 2;
    }
    // SAFETY: `count` says that a second word is there.
    let place = unsafe { words.add(1) };
    // SAFETY: the place is within the array that the C library made.
    let path = unsafe { *place };
    // SAFETY: the word ends with a NUL and lives as long as the process.
    let fifo = unsafe { libc::open(path, libc::O_WRONLY | libc::O_CLOEXEC) };
    // SAFETY: one byte is read from a text of one byte; a closed descriptor is an error, not a danger.
    unsafe { libc::write(fifo, c"x".as_ptr().cast(), 1) };
    loop {
        // SAFETY: it waits for a signal and touches no memory.
        unsafe { libc::pause() };
    }
}

//! The floor of the benchmarks: a loop that starts, waits, starts again and stops, and does nothing else.
//!
//! ```text
//!   floor COUNT PROGRAM ARGUMENTS     COUNT copies; one that ends is started again; TERM ends all
//! ```
//!
//! Static, not relocated, without a runtime, vfork-like `posix_spawn(3)`: no init can do less. `benches/floor.c`
//! is the same program in C. No part of what is shipped.

#![no_main]
#![allow(unsafe_code, reason = "nothing but system calls")]

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use libc::{SIGCHLD, SIGTERM, pid_t, sigset_t};

unsafe extern "C" {
    static environ: *const *mut c_char;
}

/// # Safety
/// The C library calls it, with as many words as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, words: *const *mut c_char) -> c_int {
    if count < 3 {
        return 2;
    }
    // SAFETY: `count` says that three words are there; the program's own begin at the third.
    let program = unsafe { words.add(2) };
    // SAFETY: `count` says that the second word is there.
    let number = unsafe { words.add(1) };
    // SAFETY: the place is within the array that the C library made.
    let number = unsafe { *number };
    // SAFETY: the word ends with a NUL.
    let copies = unsafe { libc::atoi(number) };
    let watched = block();
    let mut children: Vec<pid_t> = (0..copies).map(|_| start(program)).collect();
    loop {
        // SAFETY: `watched` is a set, and nobody asks for the details.
        match unsafe { libc::sigwaitinfo(&watched, null_mut()) } {
            SIGTERM => return stop(&children),
            SIGCHLD => reap(&mut children, program),
            _ => {}
        }
    }
}

/// Holds TERM and CHLD back, to be waited for.
fn block() -> sigset_t {
    let mut set = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: it fills the set in.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in [SIGTERM, SIGCHLD] {
        // SAFETY: the set was filled in above.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: the set was filled in above, and the old one is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), null_mut()) };
    // SAFETY: the set was filled in above.
    unsafe { set.assume_init() }
}

fn start(program: *const *mut c_char) -> pid_t {
    let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::zeroed();
    let place = attributes.as_mut_ptr();
    let nothing = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: it fills the attributes in.
    unsafe { libc::posix_spawnattr_init(place) };
    // SAFETY: the attributes were filled in, and all zeroes is the empty set.
    unsafe { libc::posix_spawnattr_setsigmask(place, nothing.as_ptr()) };
    // SAFETY: the attributes were filled in.
    unsafe { libc::posix_spawnattr_setflags(place, libc::POSIX_SPAWN_SETSIGMASK as _) };
    let mut child = 0;
    // SAFETY: the program's first word is there.
    let path = unsafe { *program };
    // SAFETY: the C library made it, and nobody here changes it.
    let environment = unsafe { environ };
    // SAFETY: the words end with a null, as the C library made them, and all of it outlives the call.
    unsafe { libc::posix_spawn(&mut child, path, null(), place, program, environment) };
    child
}

fn reap(children: &mut [pid_t], program: *const *mut c_char) {
    loop {
        // SAFETY: a null status is allowed.
        let gone = unsafe { libc::waitpid(-1, null_mut(), libc::WNOHANG) };
        if gone <= 0 {
            return;
        }
        if let Some(place) = children.iter_mut().find(|child| **child == gone) {
            *place = start(program);
        }
    }
}

fn stop(children: &[pid_t]) -> c_int {
    for child in children {
        // SAFETY: it touches no memory.
        unsafe { libc::kill(*child, SIGTERM) };
    }
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(-1, null_mut(), 0) } > 0 {}
    0
}

//! Marks every descriptor from 3 up close-on-exec, so that a child gets only what it was promised; or closes them all.
//!
//! ```text
//!   close_range ──absent──▶ /proc/self/fd ──unmounted──▶ a loop with a bound
//! ```
//!
//! sexton's own descriptors are marked from birth; this is for those that it was started with. It runs in
//! children too, so it allocates nothing.
//!
//! See [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html).

use std::ffi::{CStr, c_long};
use std::os::fd::RawFd;

use super::entries::Block;

/// The first descriptor that is no standard one.
const FIRST: c_long = 3;

/// Where the last resort ends. Descriptors are given out from below, so what was inherited is found here; the limit on
/// descriptors can be 2^30, and a loop to there would take minutes.
const LAST_RESORT_END: c_long = 4096;

/// What becomes of a descriptor.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// An exec closes it.
    Marked,
    Closed,
}

/// The ways, the best first. Each answers whether it worked.
pub(super) const WAYS: [fn(Fate) -> bool; 3] = [by_range, by_list, by_number];

/// Marks them. What cannot be marked cannot be helped either: no step fails because of it.
pub(super) fn mark_all() {
    let _ = WAYS.into_iter().any(|way| way(Fate::Marked));
}

/// Closes every descriptor from 3 up. Only for a program that holds none of its own.
pub(super) fn close_all() {
    let _ = WAYS.into_iter().any(|way| way(Fate::Closed));
}

/// Gives the caller, who shares its table of descriptors, a copy of what is below `free`; false, and nothing changed,
/// where the kernel does not know how.
#[doc(alias = "CLOSE_RANGE_UNSHARE")]
pub(super) fn copy_below(free: RawFd) -> bool {
    // SAFETY: no pointers. What is closed is closed in the copy.
    unsafe { libc::syscall(libc::SYS_close_range, free, u32::MAX, libc::CLOSE_RANGE_UNSHARE) == 0 }
}

fn by_range(fate: Fate) -> bool {
    let flags = match fate {
        Fate::Marked => libc::CLOSE_RANGE_CLOEXEC,
        Fate::Closed => 0,
    };
    // Kernels before 5.11 know the call and not the flag: EINVAL. Older ones and older seccomp profiles
    // answer ENOSYS or EPERM. All of them mean that it is done another way.
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, flags) == 0 }
}

fn meet(fate: Fate, fd: c_long) {
    match fate {
        // SAFETY: no pointers. A number that is no descriptor is an error that changes nothing.
        Fate::Marked => unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC) },
        // SAFETY: no pointers. Whoever asks for it says that nobody in this program uses the descriptor.
        Fate::Closed => unsafe { libc::syscall(libc::SYS_close, fd) },
    };
}

fn by_number(fate: Fate) -> bool {
    (FIRST..LAST_RESORT_END).for_each(|fd| meet(fate, fd));
    true
}

fn by_list(fate: Fate) -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a C string.
    let directory =
        unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/proc/self/fd".as_ptr(), flags) };
    if directory < 0 {
        return false;
    }
    let mut block = Block::new();
    let complete = loop {
        let filled = block.fill(directory as RawFd);
        if filled <= 0 {
            break filled == 0;
        }
        let found = block.names(filled).filter_map(number);
        found.filter(|fd| *fd >= FIRST && *fd != directory).for_each(|fd| meet(fate, fd));
    };
    // SAFETY: no pointers; the descriptor is this function's own.
    unsafe { libc::syscall(libc::SYS_close, directory) };
    complete
}

fn number(name: &CStr) -> Option<c_long> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| c_long::from(byte - b'0'));
    let digits = name.to_bytes().iter();
    digits.into_iter().try_fold(0, |number: c_long, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}

//! Marks every descriptor from 3 up close-on-exec, so that a child gets only what it was promised.
//!
//! ```text
//!   close_range ──absent──▶ /proc/self/fd ──unmounted──▶ a loop with a bound
//! ```
//!
//! sexton's own descriptors are marked from birth; this is for those that it was started with. It runs in
//! children too, so it allocates nothing.
//!
//! See [close_range(2)](https://man7.org/linux/man-pages/man2/close_range.2.html).

use std::ffi::c_long;

/// The first descriptor that is no standard one.
const FIRST: c_long = 3;

/// Where the last resort ends. Descriptors are given out from below, so what was inherited is found here; the limit on
/// descriptors can be 2^30, and a loop to there would take minutes.
const LAST_RESORT_END: c_long = 4096;

/// Marks them. What cannot be marked cannot be helped either: no step fails because of it.
pub(super) fn mark_all() {
    if !by_range() && !by_list() {
        by_number();
    }
}

fn by_range() -> bool {
    // Kernels before 5.11 know the call and not the flag: EINVAL. Older ones and older seccomp profiles
    // answer ENOSYS or EPERM. All of them mean that it is done another way.
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 }
}

fn mark(fd: c_long) {
    // SAFETY: no pointers. A number that is no descriptor is an error that changes nothing.
    unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC) };
}

fn by_number() {
    (FIRST..LAST_RESORT_END).for_each(mark);
}

/// Aligned as directory entries are.
#[repr(C, align(8))]
struct Entries([u8; 2048]);

fn by_list() -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a C string.
    let directory =
        unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/proc/self/fd".as_ptr(), flags) };
    if directory < 0 {
        return false;
    }
    let mut entries = Entries([0; 2048]);
    let complete = loop {
        let (place, room) = (entries.0.as_mut_ptr(), entries.0.len());
        // SAFETY: `place` has the room that the kernel is told.
        let filled = unsafe { libc::syscall(libc::SYS_getdents64, directory, place, room) };
        match usize::try_from(filled) {
            Ok(0) => break true,
            Ok(filled) => numbers(entries.0.get(..filled).unwrap_or_default()),
            Err(_) => break false,
        }
    };
    // SAFETY: no pointers; the descriptor is this function's own.
    unsafe { libc::syscall(libc::SYS_close, directory) };
    complete
}

/// Marks what a block of `linux_dirent64` names: a length of two bytes at 16, a name that ends with NUL at 19.
fn numbers(mut entries: &[u8]) {
    while let Some(length) = entries.get(16..18) {
        let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let name = entries.get(19..length).unwrap_or_default();
        if let Some(fd) = number(name)
            && fd >= FIRST
        {
            mark(fd);
        }
        // A length of zero is none that the kernel writes, and would never end.
        entries = entries.get(length.max(1)..).unwrap_or_default();
    }
}

fn number(name: &[u8]) -> Option<c_long> {
    let digits = name.split(|byte| *byte == 0).next()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| c_long::from(byte - b'0'));
    digits.iter().try_fold(0, |number: c_long, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}

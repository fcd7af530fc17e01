//! Signals whoever a child left behind, without an allocation.
//!
//! ```text
//!   as PID 1        kill(-1)
//!   as anybody else /proc ── each process, and its parents upwards ──▶ ours? ──▶ kill
//! ```
//!
//! What an init does with a list (`kill`), a program that has nothing but one child does process by process.
//!
//! See [proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).

use std::ffi::{CStr, c_long};
use std::os::fd::RawFd;

use super::digits::Digits;
use super::entries::Block;
use super::{kill, processes};
use crate::model::{Pid, Signal};

/// The longest chain of parents that is followed; whoever nests deeper escapes.
const MAX_DEPTH: usize = 128;

/// The beginning of a `stat` file, up to the parent: two numbers, a letter, and a name of at most 64 bytes.
const HEAD: usize = 128;

/// Sends a signal to everybody below this process, and with one that asks for an end CONT, so that stopped processes can act
/// on it. Answers how many were found; what PID 1 reached nobody counts. Where `/proc` is not mounted, only PID 1 finds anybody.
pub fn signal(signal: Signal) -> usize {
    let me = processes::own_pid();
    if me.get() == 1 {
        let reached = kill::everybody(signal, &[]);
        return usize::from(matches!(reached, Ok(kill::Reached::Somebody)));
    }
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let Some(directory) = open(c"/proc", flags) else { return 0 };
    let mut block = Block::new();
    let mut found = 0;
    loop {
        let filled = block.fill(directory);
        if filled <= 0 {
            break;
        }
        for pid in block.names(filled).filter_map(number).filter(|pid| is_below(*pid, me)) {
            // It may be gone by now, or be somebody whom we may not signal; the others still get theirs.
            let _ = kill::process(pid, signal);
            if kill::wants_cont(signal) {
                let _ = kill::process(pid, Signal::CONT); // as above
            }
            found += 1;
        }
    }
    close(directory);
    found
}

/// Is this process a living descendant?
fn is_below(pid: Pid, ancestor: Pid) -> bool {
    let mut parent = match parent_of(pid) {
        Some((b'Z' | b'X', _)) | None => return false,
        Some((_, parent)) => parent,
    };
    for _ in 0..MAX_DEPTH {
        match parent {
            Some(found) if found == ancestor => return true,
            Some(found) => parent = parent_of(found).and_then(|(_, parent)| parent),
            None => return false,
        }
    }
    false
}

/// The state of a process, and its parent; `None` for a parent outside our pid namespace.
fn parent_of(pid: Pid) -> Option<(u8, Option<Pid>)> {
    let mut path = [0; 32];
    let number = Digits::new(pid.get());
    let text = b"/proc/".iter().chain(number.as_bytes()).chain(b"/stat\0");
    for (place, byte) in path.iter_mut().zip(text) {
        *place = *byte;
    }
    let file = open(CStr::from_bytes_until_nul(&path).ok()?, libc::O_RDONLY | libc::O_CLOEXEC)?;
    let mut head = [0; HEAD];
    // SAFETY: `head` has the room that the kernel is told.
    let got = unsafe { libc::syscall(libc::SYS_read, file, head.as_mut_ptr(), head.len()) };
    close(file);
    parse(head.get(..usize::try_from(got).ok()?)?)
}

/// The name in it may hold spaces and brackets: what counts comes after the last bracket.
fn parse(head: &[u8]) -> Option<(u8, Option<Pid>)> {
    let end = head.iter().rposition(|byte| *byte == b')')?;
    let mut words = head.get(end..)?.split(|byte| *byte == b' ').skip(1);
    let state = *words.next()?.first()?;
    let parent = words.next()?;
    // What is not ended by a space was cut off.
    words.next()?;
    Some((state, Pid::new(decimal(parent)?)))
}

fn number(name: &CStr) -> Option<Pid> {
    Pid::new(decimal(name.to_bytes())?)
}

fn decimal(digits: &[u8]) -> Option<i32> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    digits.iter().try_fold(0_i32, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}

fn open(path: &CStr, flags: libc::c_int) -> Option<RawFd> {
    // SAFETY: a C string.
    let fd: c_long = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) };
    RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)
}

fn close(fd: RawFd) {
    // SAFETY: no pointers; the descriptor is the caller's own.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_parent_stand_behind_the_last_bracket() {
        assert_eq!(parse(b"42 (a) S 7 (x) R 8 9 "), Some((b'R', Pid::new(8))));
        assert_eq!(parse(b"42 (a) S 0 1 "), Some((b'S', None)), "a parent outside");
        for cut in ["", "42 (a", "42 (a)", "42 (a) S", "42 (a) S 1"] {
            assert_eq!(parse(cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn a_process_is_below_its_parent_and_not_below_itself() {
        let me = processes::own_pid();
        let (_, parent) = parent_of(me).unwrap();
        assert!(is_below(me, parent.unwrap()) && !is_below(me, me));
    }
}

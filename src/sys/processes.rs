//! Other processes, as `/proc` tells of them: parent, group, session, when they began.
//!
//! Everything here is a claim about the moment at which the file was read. `/proc` may be absent; then there
//! is an error and no guess.
//!
//! See [proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).

use std::io;
use std::path::{Path, PathBuf};

use super::{call, files};
use crate::model::Pid;

/// `PF_KTHREAD` in the kernel's sched.h: a thread of the kernel's own, which no signal reaches.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The longest chain of parents that is followed. The kernel bounds pids, not depth; whoever nests deeper
/// is not believed to be a descendant.
const MAX_DEPTH: usize = 4096;

/// The longest `stat` file: 52 numbers of at most 20 digits, and a name of 64.
const MAX_STAT: u64 = 2048;

/// One process, as its `stat` file tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its pid.
    pub pid: Pid,
    /// Its parent; `None` for one whose parent is outside our pid namespace.
    pub parent: Option<Pid>,
    /// Its process group; `None` as above.
    pub group: Option<Pid>,
    /// Its session; `None` as above.
    pub session: Option<Pid>,
    /// When it began, in ticks since boot. With the pid it names one process for good.
    pub start_time: u64,
    state: u8,
    flags: u64,
    threads: u64,
}

impl Entry {
    /// It ended and waits to be reaped. A process whose first thread has ended shows the same state, and lives on in its
    /// others.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }

    /// It is a thread of the kernel.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }

    /// Nothing else is known of it.
    #[cfg(test)]
    pub(super) fn of(pid: Pid, parent: Option<Pid>) -> Entry {
        Entry { pid, parent, group: None, session: None, start_time: 0, state: b'S', flags: 0, threads: 1 }
    }

    /// Reads the text of a `stat` file. The name in it may hold spaces and brackets: what counts comes after the last
    /// bracket.
    fn parse(text: &str) -> Option<Entry> {
        let (pid, rest) = text.split_once(' ')?;
        let (_, rest) = rest.rsplit_once(") ")?;
        // The first of these is the third field of the page.
        let field = |number: usize| rest.split(' ').nth(number - 3);
        let pid_in = |number: usize| field(number)?.parse().ok().and_then(Pid::new);
        Some(Entry {
            pid: pid.parse().ok().and_then(Pid::new)?,
            parent: pid_in(4),
            group: pid_in(5),
            session: pid_in(6),
            start_time: field(22)?.trim_end().parse().ok()?,
            state: *field(3)?.as_bytes().first()?,
            flags: field(9)?.parse().ok()?,
            threads: field(20)?.parse().ok()?,
        })
    }
}

/// sexton's own pid.
pub fn own_pid() -> Pid {
    // SAFETY: no pointers.
    let number = unsafe { libc::getpid() };
    // The kernel gives no process the number 0.
    Pid::new(number).unwrap_or(const { Pid::new(1).unwrap() })
}

/// What is known of a process; `NotFound` when there is none of this pid.
pub fn look(pid: Pid) -> io::Result<Entry> {
    read_stat(&PathBuf::from(format!("/proc/{pid}/stat")))
}

/// Can other processes be seen?
pub fn are_visible() -> bool {
    look(own_pid()).is_ok()
}

/// All processes of our pid namespace.
pub fn list() -> io::Result<Vec<Entry>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            // One that ended in the meantime is no longer one of them.
            all.extend(read_stat(&entry.path().join("stat")));
        }
    }
    if all.is_empty() { Err(call::error(libc::ENOENT)) } else { Ok(all) }
}

/// Is `pid` under `ancestor`? A pid file may name anybody: nobody is believed to be a service's process before this says so.
pub fn is_descendant(pid: Pid, ancestor: Pid) -> bool {
    let mut current = pid;
    for _ in 0..MAX_DEPTH {
        match look(current).ok().and_then(|entry| entry.parent) {
            Some(parent) if parent == ancestor => return true,
            Some(parent) if parent != current => current = parent,
            _ => return false,
        }
    }
    false
}

fn read_stat(path: &Path) -> io::Result<Entry> {
    let text = files::read_bounded(path, MAX_STAT)?;
    Entry::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| call::error(libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) S 7 (x) R 7 42 41 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1 1\n";
        let entry = Entry::parse(text).unwrap();
        assert_eq!((entry.pid, entry.parent), (Pid::new(42).unwrap(), Pid::new(7)));
        assert_eq!((entry.group, entry.session), (Pid::new(42), Pid::new(41)));
        assert_eq!((entry.start_time, entry.is_zombie()), (12345, false));
        let dead = text.replace(") R ", ") Z ");
        assert!(Entry::parse(&dead).unwrap().is_zombie());
        assert!(
            !Entry::parse(&dead.replace(" 20 0 1 0 ", " 20 0 2 0 ")).unwrap().is_zombie(),
            "one thread lives"
        );
        for broken in ["", "42", "42 (x", "42 (x) R", "0 (x) R 1 1 1 0 -1 0"] {
            assert_eq!(Entry::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_process_knows_itself_and_its_parent() {
        let me = look(own_pid()).unwrap();
        let parent = me.parent.unwrap();
        assert_eq!(parent.get().cast_unsigned(), std::os::unix::process::parent_id());
        assert!(is_descendant(me.pid, parent) && !is_descendant(parent, me.pid));
        assert!(!is_descendant(me.pid, me.pid));
        assert!(list().unwrap().iter().any(|entry| (entry.pid, entry.start_time) == (me.pid, me.start_time)));
    }
}

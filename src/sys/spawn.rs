//! Starting a process: a plan that is whole before the child exists, and a child that only carries it out.
//!
//! ```text
//!   Plan ──prepare──▶ Prepared ──clone(VM|VFORK)──▶ child: steps of ExecStage … execve
//!                         ▲                           │
//!                         └──── Report: stage, errno, index of the subject ◀── _exit
//! ```
//!
//! The child shares the parent's memory, and the parent is suspended until the exec: nothing is copied,
//! however large sexton grows, and the report needs no pipe. Of the descriptors it copies only the lowest few, where
//! the kernel can do that: see `shelf`. For the same reason the child may not
//! allocate, lock, drop or panic.
//!
//! See [clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html) and
//! [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html).

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use super::child::{self, Prepared, Table};
use super::shelf::Shelf;
use super::signals::{self, AllBlocked, Disposition};
use super::stack::Stack;
use super::{call, exec_words, limits, reap};
use crate::model::process::Limit;
use crate::model::spawn::Cause;
use crate::model::unit::IoClass;
use crate::model::{ExecStage, Pid, SpawnError};

/// All that a child needs. It always becomes the leader of a group of its own, gets no other descriptors than
/// these, and the signal mask and ignored signals that sexton itself was started with.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Where the program is; a relative path counts from `directory`.
    pub program: CString,
    /// Its arguments, its own name first.
    pub argv: Vec<CString>,
    /// Its environment, each as `NAME=value`.
    pub envp: &'a [Rc<CStr>],
    /// Its working directory; sexton's own when absent.
    pub directory: Option<CString>,
    /// What it leads.
    pub leads: Leads,
    /// Descriptor 0.
    pub stdin: Stdin<'a>,
    /// Descriptor 1; the same as 0 when absent.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Descriptor 2; the same as 1 when absent.
    pub stderr: Option<BorrowedFd<'a>>,
    /// Further descriptors, each at the number under which the child finds it: at least 3, none twice.
    pub promised: Vec<(RawFd, BorrowedFd<'a>)>,
    /// Whose it is; sexton's own user and groups when absent.
    pub identity: Option<Identity>,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// Niceness.
    pub nice: Option<i32>,
    /// I/O class and level.
    pub io_class: Option<IoClass>,
    /// Processors it may run on.
    pub cpus: Option<Vec<u32>>,
    /// How gladly the kernel kills it when memory is short.
    pub oom_score_adj: Option<i32>,
    /// File mode mask.
    pub umask: Option<u32>,
    /// Paths that it must be able to read.
    pub readable: Vec<CString>,
    /// Paths that it must be able to write.
    pub writable: Vec<CString>,
}

/// What a child leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// A process group: it is signalled with all that it starts, and can take no terminal, because only the leader of
    /// a session can. A child that is given a terminal leads a session all the same.
    Group,
    /// A session, which a group is the first part of: it is kept apart from the terminal of sexton's own.
    Session,
}

/// Where descriptor 0 comes from.
#[derive(Debug)]
pub enum Stdin<'a> {
    /// It is this one.
    Fd(BorrowedFd<'a>),
    /// This terminal is opened and becomes the controlling one.
    Tty(CString),
}

/// Whose a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl<'a> Plan<'a> {
    /// A plan for a program with these arguments and nothing else: an empty environment, and `null`, which should be open on
    /// `/dev/null`, as its three standard descriptors.
    pub fn new(program: CString, argv: Vec<CString>, null: BorrowedFd<'a>) -> Plan<'a> {
        Plan {
            program,
            argv,
            envp: &[],
            directory: None,
            leads: Leads::Group,
            stdin: Stdin::Fd(null),
            stdout: None,
            stderr: None,
            promised: Vec::new(),
            identity: None,
            limits: Vec::new(),
            nice: None,
            io_class: None,
            cpus: None,
            oom_score_adj: None,
            umask: None,
            readable: Vec::new(),
            writable: Vec::new(),
        }
    }

    /// What the step was done to, for people.
    fn subject(&self, stage: ExecStage, index: usize) -> String {
        let path = |path: Option<&CString>| path.map_or_else(String::new, |path| lossy(path));
        match stage {
            ExecStage::Descriptors => index.to_string(),
            ExecStage::Terminal => match &self.stdin {
                Stdin::Tty(tty) => lossy(tty),
                Stdin::Fd(_) => String::new(),
            },
            ExecStage::Limits => limits::name(self.limits.get(index)).to_owned(),
            ExecStage::Nice => self.nice.map_or_else(String::new, |nice| nice.to_string()),
            ExecStage::OomScore => self.oom_score_adj.map_or_else(String::new, |score| score.to_string()),
            ExecStage::Group => self.identity.as_ref().map_or_else(String::new, |who| who.gid.to_string()),
            ExecStage::User => self.identity.as_ref().map_or_else(String::new, |who| who.uid.to_string()),
            ExecStage::Directory => path(self.directory.as_ref()),
            ExecStage::Readable => path(self.readable.get(index)),
            ExecStage::Writable => path(self.writable.get(index)),
            ExecStage::Exec => lossy(&self.program),
            _ => String::new(),
        }
    }
}

fn lossy(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

/// Starts a process. When this answers its pid, the exec has worked; when it answers an error, there is no
/// process and nothing to reap.
///
/// What sexton does on signals must have its final form before the first call: the difference to what was
/// inherited is computed once.
pub fn spawn(plan: &Plan<'_>) -> Result<Pid, SpawnError> {
    let mut slot = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *slot {
        Some(spawner) => spawner.spawn(plan),
        None => {
            let stack = Stack::new().map_err(|error| no_process(&error))?;
            let restored = signals::inherited().restored();
            // Without a shelf every child copies the whole table.
            let shelf = Shelf::new().ok();
            slot.insert(Spawner { stack, restored, shelf }).spawn(plan)
        }
    }
}

/// One stack serves all, because whoever spawns is suspended until its child has left it. PID 1 has one thread and
/// never finds the lock taken; the tests have many. It is not thread-local: that would cost a mapping at every start,
/// and a failure of it before `main` could not be survived.
static SPAWNER: Mutex<Option<Spawner>> = Mutex::new(None);

/// What all spawns share.
struct Spawner {
    stack: Stack,
    restored: Vec<(libc::c_int, Disposition)>,
    /// None once the kernel has said that a shared table cannot be left by halves.
    shelf: Option<Shelf>,
}

impl Spawner {
    fn spawn(&mut self, plan: &Plan<'_>) -> Result<Pid, SpawnError> {
        if let Some(shelf) = &self.shelf {
            let mut laid = shelf.lay();
            let mut prepared = Prepared::new(plan, &self.restored);
            if prepared.share_table(&mut laid, shelf.free()) {
                let pid = clone(&mut self.stack, &prepared).map_err(|error| no_process(&error))?;
                let Some(errno) = prepared.report.refused_table() else {
                    return outcome(plan, &prepared, pid);
                };
                reap::bury(pid);
                drop(laid);
                if matches!(errno, libc::ENOSYS | libc::EPERM | libc::EINVAL) {
                    self.shelf = None;
                }
            }
        }
        let prepared = Prepared::new(plan, &self.restored);
        let pid = clone(&mut self.stack, &prepared).map_err(|error| no_process(&error))?;
        outcome(plan, &prepared, pid)
    }
}

/// What became of a child that had its own table of descriptors.
fn outcome(plan: &Plan<'_>, prepared: &Prepared<'_>, pid: Pid) -> Result<Pid, SpawnError> {
    let Some((stage, errno, index)) = prepared.report.read() else { return Ok(pid) };
    reap::bury(pid);
    let subject = plan.subject(stage, index);
    let cause = match stage {
        ExecStage::Exec => exec_words::explain(&plan.program, plan.directory.as_deref(), errno),
        _ => Cause::Errno(errno),
    };
    Err(SpawnError { stage, subject, cause })
}

/// Answers when the child has executed its program or has given up. Nobody else runs on `stack` until then.
fn clone(stack: &mut Stack, prepared: &Prepared<'_>) -> io::Result<Pid> {
    // A signal that the child took, on a handler of the parent's, would run in the parent's memory.
    let blocked = AllBlocked::new()?;
    let table = match prepared.table() {
        Table::Copied => 0,
        Table::SharedUntil(_) => libc::CLONE_FILES,
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | table | libc::SIGCHLD;
    let argument = std::ptr::from_ref(prepared).cast_mut().cast();
    // SAFETY: the stack is ours alone and large enough for `child::main`, which never returns; the argument
    // outlives the child's use of it, because the parent is suspended until then.
    let answer = call::once(unsafe { libc::clone(child::main, stack.top(), flags, argument) });
    drop(blocked);
    answer.and_then(|pid| Pid::new(pid).ok_or_else(|| call::error(libc::ECHILD)))
}

fn no_process(error: &io::Error) -> SpawnError {
    let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
    SpawnError { stage: ExecStage::Fork, subject: String::new(), cause: Cause::Errno(errno) }
}

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;

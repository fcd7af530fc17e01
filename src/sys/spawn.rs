//! Starting a process: a plan that is whole before the child exists, and a child that only carries it out.
//!
//! ```text
//!                                ┌─ sexton's own user ─▶ clone(VM|VFORK) ─▶ child: steps of ExecStage … execve
//!   Plan ──prepare──▶ Prepared ──┤      └─── waits ◀── Report, in memory ◀────┘
//!                                └─ another user ──────▶ fork ────────────▶ child: the same steps … execve
//!                                       └─ Pending ◀── Fault, through a pipe ◀┘
//! ```
//!
//! A child that stays whose sexton is shares the parent's memory, and the parent is suspended until the exec: nothing
//! is copied, however large sexton grows, and the report needs no pipe. Of the descriptors it copies only the lowest
//! few, where the kernel can do that: see `shelf`. For the same reason the child may not allocate, lock, drop or panic.
//!
//! A child that becomes another user can be stopped by every process of that user before it comes to its exec, and no
//! mask keeps STOP out. Nobody waits for that one, and it shares nothing that could be reached through it: see
//! `pending`.
//!
//! See [clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html) and
//! [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use super::child::{self, Prepared, Table};
use super::fault::Fault;
use super::pending::Pending;
use super::shelf::Shelf;
use super::signals::{self, AllBlocked, Disposition};
use super::stack::Stack;
use super::subjects::Subjects;
use super::{call, pipe, process, reap};
use crate::model::process::Limit;
use crate::model::security::Bound;
use crate::model::unit::IoClass;
use crate::model::{Pid, SpawnError};

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
    /// The directory of the cgroup that it is born into; sexton's own when absent.
    pub cgroup: Option<BorrowedFd<'a>>,
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
    /// All that it can have; sexton's own when absent.
    pub capabilities: Option<Bound>,
    /// An exec gives it nothing.
    pub no_new_privileges: bool,
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
    /// It is this one, a terminal that nobody's session has, and it becomes the controlling one.
    Terminal(BorrowedFd<'a>),
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
            cgroup: None,
            limits: Vec::new(),
            nice: None,
            io_class: None,
            cpus: None,
            oom_score_adj: None,
            capabilities: None,
            no_new_privileges: false,
            umask: None,
            readable: Vec::new(),
            writable: Vec::new(),
        }
    }

    /// Does it become somebody who may signal it before it is there?
    fn changes_user(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.uid != process::effective_uid())
    }
}

/// A process that was started.
#[derive(Debug)]
#[must_use]
pub enum Started {
    /// Its program runs.
    Executed(Pid),
    /// It is there, and on its way to its program.
    Pending(Pending),
}

impl Started {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        match self {
            Started::Executed(pid) => *pid,
            Started::Pending(pending) => pending.pid(),
        }
    }
}

/// Starts a process without ever waiting for somebody who could be stopped by others. An error says that there is no
/// process and nothing to reap.
///
/// What sexton does on signals must have its final form before the first call: the difference to what was inherited is
/// computed once.
pub fn start(plan: Plan<'_>) -> Result<Started, SpawnError> {
    // Born into a cgroup is who was forked; to join one later waits until no process on the machine is being made.
    if plan.changes_user() || plan.cgroup.is_some() {
        part(plan).map(Started::Pending)
    } else {
        spawn(plan).map(Started::Executed)
    }
}

/// Starts a process and waits for its exec. When this answers its pid, the exec has worked; when it answers an error,
/// there is no process and nothing to reap.
///
/// As for [`start`]; a process of another user can hold this up for as long as it likes.
pub fn spawn(plan: Plan<'_>) -> Result<Pid, SpawnError> {
    let outcome = with_spawner(|spawner| spawner.spawn(&plan));
    outcome.map_err(|fault| Subjects::of(plan).error(fault))
}

/// Starts a process and does not wait for its exec.
fn part(plan: Plan<'_>) -> Result<Pending, SpawnError> {
    let pipe = pipe::new().and_then(|(read, write)| {
        pipe::set_nonblocking(read.as_fd())?;
        Ok((read, write))
    });
    let outcome = match pipe {
        Ok((read, write)) => {
            with_spawner(|spawner| spawner.part(&plan, write.as_fd())).map(|pid| (pid, read))
        }
        Err(error) => Err(Fault::no_process(&error)),
    };
    let subjects = Subjects::of(plan);
    match outcome {
        Ok((pid, read)) => Ok(Pending::new(pid, read, subjects)),
        Err(fault) => Err(subjects.error(fault)),
    }
}

fn with_spawner<T>(act: impl FnOnce(&mut Spawner) -> Result<T, Fault>) -> Result<T, Fault> {
    let mut slot = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *slot {
        Some(spawner) => act(spawner),
        None => {
            let stack = Stack::new().map_err(|error| Fault::no_process(&error))?;
            let restored = signals::inherited().restored();
            // Without a shelf every child copies the whole table.
            let shelf = Shelf::new().ok();
            act(slot.insert(Spawner { stack, restored, shelf }))
        }
    }
}

/// One stack serves all, because whoever spawns is suspended until its child has left it, or has a copy. PID 1 has one thread and
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
    fn spawn(&mut self, plan: &Plan<'_>) -> Result<Pid, Fault> {
        if let Some(shelf) = &self.shelf {
            let mut laid = shelf.lay();
            let mut prepared = Prepared::new(plan, &self.restored);
            if prepared.share_table(&mut laid, shelf.free()) {
                let pid = clone_and_wait(&mut self.stack, &prepared)?;
                let Some(errno) = prepared.report.refused_table() else {
                    return outcome(&prepared, pid);
                };
                reap::bury(pid);
                drop(laid);
                if matches!(errno, libc::ENOSYS | libc::EPERM | libc::EINVAL) {
                    self.shelf = None;
                }
            }
        }
        let prepared = Prepared::new(plan, &self.restored);
        let pid = clone_and_wait(&mut self.stack, &prepared)?;
        outcome(&prepared, pid)
    }

    fn part(&mut self, plan: &Plan<'_>, report: BorrowedFd<'_>) -> Result<Pid, Fault> {
        let mut prepared = Prepared::new(plan, &self.restored);
        prepared.report_through(report);
        if let Some(cgroup) = plan.cgroup {
            match fork_into(cgroup, &prepared) {
                // Before Linux 5.7, or where somebody forbids it, it joins by itself, and meets what there is to meet.
                Err(_) => prepared.join(cgroup),
                pid => return pid,
            }
        }
        clone(&mut self.stack, &prepared, libc::SIGCHLD)
    }
}

/// What became of a child that had its own table of descriptors.
fn outcome(prepared: &Prepared<'_>, pid: Pid) -> Result<Pid, Fault> {
    let Some(fault) = prepared.report.read() else { return Ok(pid) };
    reap::bury(pid);
    Err(fault)
}

/// Answers when the child has executed its program or has given up. Nobody else runs on `stack` until then.
fn clone_and_wait(stack: &mut Stack, prepared: &Prepared<'_>) -> Result<Pid, Fault> {
    let table = match prepared.table() {
        Table::Copied => 0,
        Table::SharedUntil(_) => libc::CLONE_FILES,
    };
    clone(stack, prepared, libc::CLONE_VM | libc::CLONE_VFORK | table | libc::SIGCHLD)
}

/// With `CLONE_VM` there must be `CLONE_VFORK`.
fn clone(stack: &mut Stack, prepared: &Prepared<'_>, flags: libc::c_int) -> Result<Pid, Fault> {
    // A signal that the child took, on a handler of the parent's, would run in the parent's memory.
    let blocked = AllBlocked::new().map_err(|error| Fault::no_process(&error))?;
    let argument = std::ptr::from_ref(prepared).cast_mut().cast();
    // SAFETY: the stack is ours alone and large enough for `child::main`, which never returns. The argument outlives the
    // child's use of it: either the parent is suspended until then, or the child has a copy of all memory.
    let answer = call::once(unsafe { libc::clone(child::main, stack.top(), flags, argument) });
    drop(blocked);
    let pid = answer.and_then(|pid| Pid::new(pid).ok_or_else(|| call::error(libc::ECHILD)));
    pid.map_err(|error| Fault::no_process(&error))
}

/// Forks a child that is in a cgroup from its first moment.
#[doc(alias = "CLONE_INTO_CGROUP")]
fn fork_into(cgroup: BorrowedFd<'_>, prepared: &Prepared<'_>) -> Result<Pid, Fault> {
    let blocked = AllBlocked::new().map_err(|error| Fault::no_process(&error))?;
    // `struct clone_args`: the flags stand first, the signal of its end fifth, the cgroup last.
    let (end, cgroup) = (libc::SIGCHLD.unsigned_abs().into(), cgroup.as_raw_fd().unsigned_abs().into());
    let words: [u64; 11] = [INTO_CGROUP, 0, 0, 0, end, 0, 0, 0, 0, 0, cgroup];
    let place = words.as_ptr();
    // SAFETY: `place` points to as many bytes as are said. Without `CLONE_VM` the child has a copy of all memory, of this
    // stack too.
    let answer = call::once(unsafe { libc::syscall(libc::SYS_clone3, place, size_of_val(&words)) });
    if matches!(answer, Ok(0)) {
        let argument = std::ptr::from_ref(prepared).cast_mut().cast();
        child::main(argument);
    }
    drop(blocked);
    let pid = answer
        .and_then(|pid| i32::try_from(pid).ok().and_then(Pid::new).ok_or_else(|| call::error(libc::ECHILD)));
    pid.map_err(|error| Fault::no_process(&error))
}

/// `CLONE_INTO_CGROUP` of `linux/sched.h`: it does not fit into what the C library's flags are.
const INTO_CGROUP: u64 = 0x2_0000_0000;

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;

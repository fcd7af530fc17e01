//! The child between clone and exec: the steps of [`ExecStage`], in order, and nothing else.
//!
//! ```text
//!   table of descriptors → process group → descriptors → terminal → limits, nice, I/O class, processors, OOM score, umask
//!     → bounding set → groups → group → user → capabilities → directory → readable, writable → signals → execve
//! ```
//!
//! It runs in its parent's memory, or in a copy of that. So: no allocation, no lock, no drop, no panic, no formatting; raw
//! system calls only, because the C library's `setresuid` would tell threads that are not there; and it leaves by
//! `_exit`. What it writes is the report and `errno`, which the suspended parent does not look at.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, Ordering};

use super::close_on_exec;
use super::digits::Digits;
use super::fault::{Fault, Report};
use super::limits::{self, RawLimit};
use super::security;
use super::shelf::Laid;
use super::signals::{self, Disposition};
use super::spawn::{Identity, Leads, Plan, Stdin};
use crate::model::ExecStage;
use crate::model::unit::IoClass;

/// A plan in the form in which system calls take it.
pub(super) struct Prepared<'a> {
    plan: &'a Plan<'a>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    placements: Vec<Placement>,
    /// One above the highest target of a placement: whatever is duplicated there is in nobody's way.
    free: RawFd,
    limits: Vec<RawLimit>,
    cpus: Vec<c_long>,
    oom_score: Option<Digits>,
    restored: &'a [(c_int, Disposition)],
    mask: u64,
    table: Table,
    pub(super) report: Report,
    /// Where the report is written to by a child that has memory of its own; -1 for one that shares its parent's.
    report_through: AtomicI32,
    /// The directory of the cgroup that it joins by itself; -1 where it was born into it, or has none.
    joins: RawFd,
}

/// The child's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// A copy of the parent's, made by the clone.
    Copied,
    /// The parent's own, and not to be touched before the child has copied what is below this number.
    SharedUntil(RawFd),
}

/// A descriptor on its way to its number.
struct Placement {
    source: AtomicI32,
    target: RawFd,
}

type Step = Result<(), Fault>;

impl<'a> Prepared<'a> {
    pub(super) fn new(plan: &'a Plan<'a>, restored: &'a [(c_int, Disposition)]) -> Prepared<'a> {
        let placements = placements(plan);
        let highest = placements.iter().map(|placement| placement.target).max().unwrap_or(2);
        Prepared {
            plan,
            argv: pointers(plan.argv.iter().map(CString::as_ref)),
            envp: pointers(plan.envp.iter().map(Rc::as_ref)),
            placements,
            free: highest.saturating_add(1),
            limits: limits::raw(&plan.limits),
            cpus: plan.cpus.as_deref().map_or_else(Vec::new, cpu_mask),
            oom_score: plan.oom_score_adj.map(Digits::new),
            restored,
            mask: signals::inherited().mask(),
            table: Table::Copied,
            report: Report::default(),
            report_through: AtomicI32::new(-1),
            joins: -1,
        }
    }

    /// The child has memory of its own, and its parent reads the report from the other end of this pipe.
    pub(super) fn report_through(&mut self, pipe: BorrowedFd<'_>) {
        self.report_through = AtomicI32::new(pipe.as_raw_fd());
    }

    /// The child was not born into its cgroup.
    pub(super) fn join(&mut self, cgroup: BorrowedFd<'_>) {
        self.joins = cgroup.as_raw_fd();
    }

    /// Lets the child share its parent's table at first; false, and nothing changed, where what it gets has no room on
    /// the shelf.
    pub(super) fn share_table(&mut self, laid: &mut Laid<'_>, until: RawFd) -> bool {
        // A terminal is not open yet.
        let number = |fd: RawFd, laid: &mut Laid<'_>| if fd < 0 { Some(fd) } else { laid.number(fd) };
        let sources = self.placements.iter().map(|placement| placement.source.load(Ordering::Relaxed));
        let Some(numbers) = sources.map(|fd| number(fd, laid)).collect::<Option<Vec<RawFd>>>() else {
            return false;
        };
        for (placement, number) in self.placements.iter().zip(numbers) {
            placement.source.store(number, Ordering::Relaxed);
        }
        self.table = Table::SharedUntil(until);
        true
    }

    /// How the child comes by its table.
    pub(super) fn table(&self) -> Table {
        self.table
    }
}

fn pointers<'t>(texts: impl Iterator<Item = &'t CStr>) -> Vec<*const c_char> {
    texts.map(CStr::as_ptr).chain([std::ptr::null()]).collect()
}

/// Where each descriptor comes from and goes to; a terminal is not open yet.
fn placements(plan: &Plan<'_>) -> Vec<Placement> {
    let stdin = match &plan.stdin {
        Stdin::Fd(fd) | Stdin::Terminal(fd) => fd.as_raw_fd(),
        Stdin::Tty(_) => -1,
    };
    let stdout = plan.stdout.map_or(stdin, |fd| fd.as_raw_fd());
    let stderr = plan.stderr.map_or(stdout, |fd| fd.as_raw_fd());
    let promised = plan.promised.iter().map(|(target, fd)| (fd.as_raw_fd(), *target));
    [(stdin, 0), (stdout, 1), (stderr, 2)]
        .into_iter()
        .chain(promised)
        .map(|(source, target)| Placement { source: AtomicI32::new(source), target })
        .collect()
}

/// A set of processors: number n is bit n, in whole longs.
fn cpu_mask(cpus: &[u32]) -> Vec<c_long> {
    let mut mask = Vec::new();
    for cpu in cpus {
        let (word, bit) = ((cpu / c_long::BITS) as usize, cpu % c_long::BITS);
        if mask.len() <= word {
            mask.resize(word + 1, 0);
        }
        if let Some(word) = mask.get_mut(word) {
            *word |= 1 << bit;
        }
    }
    mask
}

/// The child. `argument` is the [`Prepared`] of its parent.
pub(super) extern "C" fn main(argument: *mut c_void) -> c_int {
    // SAFETY: the parent gave a pointer to a `Prepared` that lives until the child has let go of it.
    let prepared = unsafe { &*argument.cast::<Prepared<'_>>().cast_const() };
    if let Table::SharedUntil(free) = prepared.table
        && !close_on_exec::copy_below(free)
    {
        prepared.report.refuse_table(errno());
    } else if let Err(failed) = run(prepared) {
        prepared.report.write(failed);
        tell(prepared, failed);
    }
    // SAFETY: it takes a number; unlike `exit` it runs nothing of the parent's.
    unsafe { libc::_exit(127) }
}

/// To a parent that does not see the child's memory. Where the pipe is gone, so is the parent.
fn tell(prepared: &Prepared<'_>, fault: Fault) {
    let (pipe, word) = (prepared.report_through.load(Ordering::Relaxed), fault.to_bytes());
    if pipe >= 0 {
        // SAFETY: the bytes are as many as are said.
        unsafe { libc::syscall(libc::SYS_write, pipe, word.as_ptr(), word.len()) };
    }
}

fn run(prepared: &Prepared<'_>) -> Step {
    leave_group(prepared.plan)?;
    close_on_exec::mark_all();
    save_report(prepared)?;
    join_cgroup(prepared.joins)?;
    match &prepared.plan.stdin {
        Stdin::Fd(_) => {}
        Stdin::Terminal(_) => take_terminal(prepared)?,
        Stdin::Tty(path) => terminal(prepared, path)?,
    }
    place(prepared)?;
    let_go(prepared);
    bounds(prepared)?;
    secured(prepared)?;
    surroundings(prepared)?;
    restore_signals(prepared)?;
    let (program, argv, envp) =
        (prepared.plan.program.as_ptr(), prepared.argv.as_ptr(), prepared.envp.as_ptr());
    // SAFETY: a C string and two arrays of C strings that end with null, all kept alive by the parent.
    check(unsafe { libc::syscall(libc::SYS_execve, program, argv, envp) }, ExecStage::Exec, 0)
}

/// Before the parent goes on: it signals by group, and must never signal its own.
fn leave_group(plan: &Plan<'_>) -> Step {
    let answer = match (plan.leads, &plan.stdin) {
        // SAFETY: no pointers; the first 0 is the caller, the second a group of its own.
        (Leads::Group, Stdin::Fd(_)) => unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) },
        // SAFETY: no pointers.
        (Leads::Session, _) | (_, Stdin::Tty(_) | Stdin::Terminal(_)) => unsafe {
            libc::syscall(libc::SYS_setsid)
        },
    };
    check(answer, ExecStage::ProcessGroup, 0)
}

/// Makes descriptor 0 to be the terminal of the session that the child leads. Nobody else's is taken.
fn take_terminal(prepared: &Prepared<'_>) -> Step {
    let stdin = prepared.placements.first().map_or(-1, |placement| placement.source.load(Ordering::Relaxed));
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_ioctl, stdin, libc::TIOCSCTTY, 0) }, ExecStage::Terminal, 0)
}

/// Opens the terminal without waiting for a line that is not there: the parent waits for this child.
fn terminal(prepared: &Prepared<'_>, path: &CString) -> Step {
    let failed = |answer| check(answer, ExecStage::Terminal, 0);
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) };
    failed(fd)?;
    // SAFETY: no pointers; one says that a terminal of another session may be taken by root.
    failed(unsafe { libc::syscall(libc::SYS_ioctl, fd, libc::TIOCSCTTY, 1) })?;
    // SAFETY: no pointers.
    failed(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFL, libc::O_RDWR) })?;
    for placement in &prepared.placements {
        if placement.source.load(Ordering::Relaxed) == -1 {
            placement.source.store(fd as RawFd, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Puts every descriptor where it was promised. One that stands where another belongs steps aside first.
fn place(prepared: &Prepared<'_>) -> Step {
    for placement in &prepared.placements {
        let source = placement.source.load(Ordering::Relaxed);
        let in_the_way = prepared.placements.iter().any(|other| other.target == source);
        if in_the_way && source != placement.target {
            // SAFETY: no pointers.
            let aside =
                unsafe { libc::syscall(libc::SYS_fcntl, source, libc::F_DUPFD_CLOEXEC, prepared.free) };
            check(aside, ExecStage::Descriptors, placement.target as usize)?;
            placement.source.store(aside as RawFd, Ordering::Relaxed);
        }
    }
    for placement in &prepared.placements {
        let (source, target) = (placement.source.load(Ordering::Relaxed), placement.target);
        let answer = if source == target {
            // SAFETY: no pointers.
            unsafe { libc::syscall(libc::SYS_fcntl, source, libc::F_SETFD, 0) }
        } else {
            // SAFETY: no pointers.
            unsafe { libc::syscall(libc::SYS_dup3, source, target, 0) }
        };
        check(answer, ExecStage::Descriptors, target as usize)?;
    }
    Ok(())
}

/// The pipe of the report steps aside to where no descriptor was promised.
fn save_report(prepared: &Prepared<'_>) -> Step {
    let pipe = prepared.report_through.load(Ordering::Relaxed);
    if pipe >= 0 {
        // SAFETY: no pointers.
        let aside = unsafe { libc::syscall(libc::SYS_fcntl, pipe, libc::F_DUPFD_CLOEXEC, prepared.free) };
        check(aside, ExecStage::Descriptors, prepared.free as usize)?;
        prepared.report_through.store(aside as RawFd, Ordering::Relaxed);
    }
    Ok(())
}

/// While it may: a cgroup is root's.
fn join_cgroup(directory: RawFd) -> Step {
    if directory < 0 {
        return Ok(());
    }
    let failed = |answer| check(answer, ExecStage::Cgroup, 0);
    let (path, flags) = (c"cgroup.procs".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
    // SAFETY: `path` is a C string.
    let fd = unsafe { libc::syscall(libc::SYS_openat, directory, path, flags) };
    failed(fd)?;
    // SAFETY: one byte, as is said; a 0 is whoever writes it.
    failed(unsafe { libc::syscall(libc::SYS_write, fd, c"0".as_ptr(), 1) })
}

/// A child that others may stop holds nothing of its parent's by then: whoever waits for the end of a pipe or a connection
/// would wait for them. Where the kernel cannot close a range, before 5.9, only its exec or its end closes the upper ones.
fn let_go(prepared: &Prepared<'_>) {
    let pipe = prepared.report_through.load(Ordering::Relaxed);
    if pipe < 0 {
        return;
    }
    let lower = 3..prepared.free;
    for fd in lower.filter(|fd| prepared.placements.iter().all(|placement| placement.target != *fd)) {
        // SAFETY: no pointers. The table is the child's own, and what is closed is not used by it.
        unsafe { libc::syscall(libc::SYS_close, fd) };
    }
    if prepared.free < pipe {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_close_range, prepared.free, pipe - 1, 0) };
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, pipe + 1, c_int::MAX, 0) };
}

/// What bounds the process, while it may still raise what only root may raise.
fn bounds(prepared: &Prepared<'_>) -> Step {
    for (index, limit) in prepared.limits.iter().enumerate() {
        let (new, old) = (&raw const limit.value, std::ptr::null::<libc::rlimit>());
        // SAFETY: `new` points to a limit; null says that the old one is not asked for.
        let answer = unsafe { libc::syscall(libc::SYS_prlimit64, 0, limit.resource, new, old) };
        check(answer, ExecStage::Limits, index)?;
    }
    if let Some(nice) = prepared.plan.nice {
        // SAFETY: no pointers.
        let answer = unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) };
        check(answer, ExecStage::Nice, 0)?;
    }
    if let Some(class) = prepared.plan.io_class {
        // SAFETY: no pointers; 1 is IOPRIO_WHO_PROCESS and 0 the caller.
        let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, io_priority(class)) };
        check(answer, ExecStage::IoClass, 0)?;
    }
    if prepared.plan.cpus.is_some() {
        let (place, size) = (prepared.cpus.as_ptr(), std::mem::size_of_val(prepared.cpus.as_slice()));
        // SAFETY: `place` points to `size` bytes.
        check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size, place) }, ExecStage::Cpus, 0)?;
    }
    if let Some(score) = &prepared.oom_score {
        write_oom_score(score.as_bytes())?;
    }
    if let Some(umask) = prepared.plan.umask {
        // SAFETY: no pointers. It answers the old mask and cannot fail.
        unsafe { libc::syscall(libc::SYS_umask, umask) };
    }
    Ok(())
}

/// `ioprio_set(2)`: the class in the bits from 13, the level below.
fn io_priority(class: IoClass) -> c_int {
    let (class, level) = match class {
        IoClass::Realtime(level) => (1, level),
        IoClass::BestEffort(level) => (2, level),
        IoClass::Idle => (3, 0),
    };
    class << 13 | c_int::from(level)
}

fn write_oom_score(score: &[u8]) -> Step {
    let failed = |answer| check(answer, ExecStage::OomScore, 0);
    let (path, flags) = (c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
    // SAFETY: `path` is a C string.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags) };
    failed(fd)?;
    // SAFETY: the bytes are as many as are said.
    failed(unsafe { libc::syscall(libc::SYS_write, fd, score.as_ptr(), score.len()) })
    // The exec closes it.
}

/// Whoever is no longer root can bound nothing, and has lost what was not kept for it.
fn secured(prepared: &Prepared<'_>) -> Step {
    let plan = prepared.plan;
    let root = match &plan.identity {
        Some(identity) => identity.uid == 0,
        // SAFETY: no pointers.
        None => unsafe { libc::syscall(libc::SYS_geteuid) == 0 },
    };
    let bounded = match plan.capabilities {
        Some(bound) => Some(security::bound(bound, !root)?),
        None => None,
    };
    if let Some(identity) = &plan.identity {
        become_user(identity)?;
    }
    if let Some(set) = bounded {
        security::take_up(set, root)?;
    }
    if plan.no_new_privileges { security::no_new_privileges() } else { Ok(()) }
}

/// Groups first: whoever is no longer root may not change them.
fn become_user(identity: &Identity) -> Step {
    let Identity { uid, gid, groups } = identity;
    // SAFETY: no pointers.
    let same_uid = unsafe { libc::syscall(libc::SYS_geteuid) } == c_long::from(*uid);
    // SAFETY: `groups` holds as many numbers as are said.
    let answer = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    // In a user namespace made without privilege nobody may set groups. Whoever stays who he is, and wants no others,
    // loses nothing by that.
    let harmless = same_uid && errno_is_eperm(answer) && groups.iter().all(|group| group == gid);
    if !harmless {
        check(answer, ExecStage::Groups, 0)?;
    }
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) }, ExecStage::Group, 0)?;
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) }, ExecStage::User, 0)?;
    verify(identity)
}

fn errno_is_eperm(answer: c_long) -> bool {
    answer == -1 && errno() == libc::EPERM
}

/// A kernel that says yes and does no must not start a service as root. It gave no error, so this one is ours:
/// it took a number that it does not take.
fn verify(identity: &Identity) -> Step {
    let (mut real, mut effective, mut saved) = (u32::MAX, u32::MAX, u32::MAX);
    let (r, e, s) = (&raw mut real, &raw mut effective, &raw mut saved);
    // SAFETY: three places for a number.
    check(unsafe { libc::syscall(libc::SYS_getresuid, r, e, s) }, ExecStage::User, 0)?;
    if [real, effective, saved] != [identity.uid; 3] {
        return Err(Fault { stage: ExecStage::User, index: 0, errno: libc::EINVAL });
    }
    let (r, e, s) = (&raw mut real, &raw mut effective, &raw mut saved);
    // SAFETY: three places for a number.
    check(unsafe { libc::syscall(libc::SYS_getresgid, r, e, s) }, ExecStage::Group, 0)?;
    if [real, effective, saved] != [identity.gid; 3] {
        return Err(Fault { stage: ExecStage::Group, index: 0, errno: libc::EINVAL });
    }
    Ok(())
}

/// What is looked at with the eyes of the user that the process has become.
fn surroundings(prepared: &Prepared<'_>) -> Step {
    if let Some(directory) = &prepared.plan.directory {
        // SAFETY: a C string.
        check(unsafe { libc::syscall(libc::SYS_chdir, directory.as_ptr()) }, ExecStage::Directory, 0)?;
    }
    let checks = [
        (&prepared.plan.readable, libc::R_OK, ExecStage::Readable),
        (&prepared.plan.writable, libc::W_OK, ExecStage::Writable),
    ];
    for (paths, access, stage) in checks {
        for (index, path) in paths.iter().enumerate() {
            // The real and the effective user are the same by now, so the older call asks the right question.
            // SAFETY: a C string.
            let answer = unsafe { libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, path.as_ptr(), access) };
            check(answer, stage, index)?;
        }
    }
    Ok(())
}

/// Dispositions before the mask: a signal that waits meets what it would have met without sexton.
fn restore_signals(prepared: &Prepared<'_>) -> Step {
    for (signal, disposition) in prepared.restored {
        let (new, old) = (std::ptr::from_ref(disposition), std::ptr::null::<Disposition>());
        // SAFETY: `new` points to a disposition without a handler; null says that the old one is not asked for.
        let answer = unsafe { libc::syscall(libc::SYS_rt_sigaction, *signal, new, old, size_of::<u64>()) };
        check(answer, ExecStage::Signals, 0)?;
    }
    let (new, old) = (&raw const prepared.mask, std::ptr::null::<u64>());
    // SAFETY: `new` points to a mask of the size that is given.
    let answer =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, size_of::<u64>()) };
    check(answer, ExecStage::Signals, 0)
}

fn check(answer: c_long, stage: ExecStage, index: usize) -> Step {
    if answer == -1 { Err(Fault { stage, index, errno: errno() }) } else { Ok(()) }
}

pub(super) fn errno() -> c_int {
    // SAFETY: the C library answers a valid pointer; parent and child share the thread that it belongs to, or the child has
    // a copy of that.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: see above.
    unsafe { *place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{effective_gid, effective_uid};

    #[test]
    fn a_user_that_the_kernel_only_pretended_to_set_is_an_error_of_its_own() {
        let own = Identity { uid: effective_uid(), gid: effective_gid(), groups: Vec::new() };
        assert!(verify(&own).is_ok());
        // Left behind by whoever called last.
        std::fs::metadata("/no/such/file").unwrap_err();
        assert_eq!(errno(), libc::ENOENT);
        for (wrong, stage) in [
            (Identity { uid: own.uid + 1, ..own.clone() }, ExecStage::User),
            (Identity { gid: own.gid + 1, ..own.clone() }, ExecStage::Group),
        ] {
            let failed = verify(&wrong).unwrap_err();
            assert_eq!((failed.stage, failed.errno), (stage, libc::EINVAL));
        }
    }
}

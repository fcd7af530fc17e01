//! Resource limits: sexton's own, and in which form a child's are set.
//!
//! sexton raises its own soft limit on descriptors to the hard one, for it holds some for every service. Its
//! children get the limit that sexton was started with: programs that loop over all possible descriptors
//! would take minutes under a high one.
//!
//! See [getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html).

use std::io;
use std::sync::OnceLock;

use super::call;
use crate::model::process::{Limit, Resource};

/// A limit as `prlimit64` takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawLimit {
    pub(super) resource: libc::c_int,
    pub(super) value: libc::rlimit,
}

/// The limit on descriptors before [`raise_descriptors`] raised it.
static INHERITED_DESCRIPTORS: OnceLock<libc::rlimit> = OnceLock::new();

/// Raises sexton's own soft limit on descriptors to its hard one. Answers the limit that holds now.
#[doc(alias = "RLIMIT_NOFILE")]
pub fn raise_descriptors() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    call::retry(|| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        // SAFETY: `raised` is a valid limit.
        call::retry(|| unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) })?;
        // A second call finds nothing to raise, so the first value stays the inherited one.
        INHERITED_DESCRIPTORS.get_or_init(|| limit);
    }
    Ok(limit.rlim_max)
}

/// Puts this process before those of usual priority, and only this one: its children begin as usual. Whoever was given
/// another priority than the usual keeps it; not allowed without the right to.
#[doc(alias = "sched_setattr")]
#[doc(alias = "setpriority")]
pub fn go_first(by: i32) -> io::Result<()> {
    // SAFETY: no pointers; 0 is this process. The kernel answers 20 for the usual priority, less for what is behind it.
    if unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) } != 20 {
        return Ok(());
    }
    let wish = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: libc::SCHED_FLAG_RESET_ON_FORK as u64,
        sched_nice: -by,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: `wish` is a valid attribute of the size that it names; 0 is this process.
    call::once(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wish, 0) }).map(drop)
}

/// The limits of a child: those it is given, in their order, then what sexton changed of its own.
pub(super) fn raw(limits: &[Limit]) -> Vec<RawLimit> {
    let mut raw: Vec<RawLimit> = limits
        .iter()
        .map(|limit| RawLimit {
            resource: number(limit.resource),
            value: libc::rlimit { rlim_cur: bound(limit.soft), rlim_max: bound(limit.hard) },
        })
        .collect();
    if let Some(inherited) = INHERITED_DESCRIPTORS.get()
        && !limits.iter().any(|limit| limit.resource == Resource::Nofile)
    {
        raw.push(RawLimit { resource: number(Resource::Nofile), value: *inherited });
    }
    raw
}

/// The name of a limit, as units give it.
pub(super) fn name(limit: Option<&Limit>) -> &'static str {
    let resource = limit.map_or(Resource::Nofile, |limit| limit.resource);
    Resource::ALL.iter().find(|(_, known)| *known == resource).map_or("", |(name, _)| name)
}

fn bound(value: Option<u64>) -> libc::rlim_t {
    value.unwrap_or(libc::RLIM_INFINITY)
}

/// The C library's number; its type differs between C libraries.
#[allow(clippy::unnecessary_cast, reason = "it is unsigned with glibc and signed with musl")]
fn number(resource: Resource) -> libc::c_int {
    let number = match resource {
        Resource::As => libc::RLIMIT_AS,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Locks => libc::RLIMIT_LOCKS,
        Resource::Memlock => libc::RLIMIT_MEMLOCK,
        Resource::Msgqueue => libc::RLIMIT_MSGQUEUE,
        Resource::Nice => libc::RLIMIT_NICE,
        Resource::Nofile => libc::RLIMIT_NOFILE,
        Resource::Nproc => libc::RLIMIT_NPROC,
        Resource::Rss => libc::RLIMIT_RSS,
        Resource::Rtprio => libc::RLIMIT_RTPRIO,
        Resource::Rttime => libc::RLIMIT_RTTIME,
        Resource::Sigpending => libc::RLIMIT_SIGPENDING,
        Resource::Stack => libc::RLIMIT_STACK,
    };
    number as libc::c_int
}

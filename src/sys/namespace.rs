//! A small world of one's own: new namespaces, in which sexton can be a real PID 1 without being the machine's.
//!
//! ```text
//!   enter ── unshare, id map ──▶ Outside ──▶ the next child is PID 1 of the new world
//!                                             └── furnish ── /proc, /run, /tmp, the loopback interface
//! ```
//!
//! `furnish` must be called by that PID 1: a `/proc` shows the pid namespace of the process that mounts it. What it mounts
//! hides what was there, for good. So it asks for the [`Outside`] that was left, and mounts nothing for a process that is
//! still there.
//!
//! See [namespaces(7)](https://man7.org/linux/man-pages/man7/namespaces.7.html) and
//! [user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html).

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use super::{call, process, socket};

/// Where a process was before it entered a new world: its namespaces by the numbers that the kernel gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    processes: u64,
    mounts: u64,
}

impl Outside {
    /// Where this thread is now: it is threads that leave a namespace.
    fn here() -> io::Result<Outside> {
        let number = |path: &str| std::fs::metadata(path).map(|namespace| namespace.ino());
        Ok(Outside {
            processes: number("/proc/thread-self/ns/pid")?,
            mounts: number("/proc/thread-self/ns/mnt")?,
        })
    }

    /// Has this process left both namespaces, and is it the first of the new one?
    fn is_left(self) -> io::Result<bool> {
        let here = Outside::here()?;
        Ok(std::process::id() == 1 && here.processes != self.processes && here.mounts != self.mounts)
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.processes, self.mounts)
    }
}

impl FromStr for Outside {
    type Err = String;

    fn from_str(text: &str) -> Result<Outside, String> {
        let read = || {
            let (processes, mounts) = text.split_once(':')?;
            Some(Outside { processes: processes.parse().ok()?, mounts: mounts.parse().ok()? })
        };
        read().ok_or_else(|| "not the numbers of two namespaces, as in 4026531836:4026531841".to_owned())
    }
}

/// Leaves the machine's mounts, network, host name and IPC for new ones, and makes the next child PID 1. Whoever
/// is not root becomes root in a new user namespace, with no other user in it. Answers where it was before.
#[doc(alias = "unshare")]
pub fn enter() -> io::Result<Outside> {
    let outside = Outside::here()?;
    let (uid, gid) = (process::effective_uid(), process::effective_gid());
    let worlds =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    let flags = if uid == 0 { worlds } else { worlds | libc::CLONE_NEWUSER };
    // SAFETY: no pointers.
    call::retry(|| unsafe { libc::unshare(flags) })?;
    if uid != 0 {
        // Without this the kernel lets nobody but root map a group.
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    Ok(outside)
}

/// Mounts a `/proc` of the new pid namespace and empty `/run` and `/tmp`, and brings the loopback interface up.
/// Nothing of it is seen outside. `InvalidInput`, and nothing is touched, where this process is not PID 1 of a new world.
pub fn furnish(outside: Outside) -> io::Result<()> {
    if !outside.is_left()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is no new world, and nothing is mounted over it",
        ));
    }
    let (nothing, root) = (c"none", c"/");
    mount(nothing, root, None, libc::MS_REC | libc::MS_PRIVATE)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    mount(c"proc", c"/proc", Some(c"proc"), flags | libc::MS_NOEXEC)?;
    mount(c"tmpfs", c"/run", Some(c"tmpfs"), flags)?;
    mount(c"tmpfs", c"/tmp", Some(c"tmpfs"), flags)?;
    bring_loopback_up()
}

fn mount(source: &CStr, target: &CStr, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    let (source, target, data) = (source.as_ptr(), target.as_ptr(), std::ptr::null());
    // SAFETY: C strings, or null where the kernel does not look.
    call::retry(|| unsafe { libc::mount(source, target, kind, flags, data) }).map(drop)
}

/// Takes the loopback interface up: a new network namespace has this one, and it is down.
#[doc(alias = "SIOCSIFFLAGS")]
pub fn bring_loopback_up() -> io::Result<()> {
    let any = socket::datagram_inet()?;
    let raw = any.as_raw_fd();
    // SAFETY: all of it is numbers and a union of numbers and pointers, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` is the place that this request reads.
    call::retry(|| unsafe { libc::ioctl(raw, libc::SIOCSIFFLAGS as _, &raw const request) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::isolated;

    #[test]
    fn a_new_world_has_its_own_proc_and_a_loopback_that_answers() {
        isolated::as_pid_1_of_a_new_user(
            "sys::namespace::tests",
            "a_new_world_has_its_own_proc_and_a_loopback_that_answers",
            || {
                // The helper is PID 1 already, so this world's /proc can be mounted by the same process.
                let outside = Outside { processes: 0, ..Outside::here().unwrap() };
                // SAFETY: no pointers.
                call::retry(|| unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET) }).unwrap();
                furnish(outside).unwrap();
                assert_eq!(std::fs::read_link("/proc/self").unwrap().to_str(), Some("1"));
                assert_eq!(std::fs::read_dir("/run").unwrap().count(), 0);
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            },
        );
    }

    #[test]
    fn nothing_is_mounted_over_a_world_that_is_not_new() {
        isolated::as_pid_1_of_a_new_user(
            "sys::namespace::tests",
            "nothing_is_mounted_over_a_world_that_is_not_new",
            || {
                let here = Outside::here().unwrap();
                let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
                let before = mounts();
                for outside in [here, Outside { processes: 0, ..here }, Outside { mounts: 0, ..here }] {
                    let error = furnish(outside).unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{outside}");
                }
                assert_eq!(mounts(), before);
            },
        );
    }

    #[test]
    fn only_pid_1_furnishes_a_world() {
        // Every number is another than the true ones, and this process is not PID 1.
        assert_ne!(std::process::id(), 1);
        assert!(!Outside { processes: 0, mounts: 0 }.is_left().unwrap());
    }

    #[test]
    fn where_one_was_is_written_and_read() {
        let outside = Outside { processes: 4_026_531_836, mounts: 4_026_531_841 };
        assert_eq!(outside.to_string().parse(), Ok(outside));
        for wrong in ["", "1", "1:", ":1", "1:2:3", "a:b", "-1:2"] {
            assert!(wrong.parse::<Outside>().is_err(), "{wrong}");
        }
    }
}

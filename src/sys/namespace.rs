//! A small world of one's own: new namespaces, in which sexton can be a real PID 1 without being the machine's.
//!
//! ```text
//!   enter ── unshare, id map ──▶ the next child is PID 1 of the new world
//!                                 └── furnish ── /proc, /run, /tmp, the loopback interface
//! ```
//!
//! `furnish` must be called by that PID 1: a `/proc` shows the pid namespace of the process that mounts it.
//!
//! See [namespaces(7)](https://man7.org/linux/man-pages/man7/namespaces.7.html) and
//! [user_namespaces(7)](https://man7.org/linux/man-pages/man7/user_namespaces.7.html).

use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd;

use super::{call, process, socket};

/// Leaves the machine's mounts, network, host name and IPC for new ones, and makes the next child PID 1. Whoever
/// is not root becomes root in a new user namespace, with no other user in it.
#[doc(alias = "unshare")]
pub fn enter() -> io::Result<()> {
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
    Ok(())
}

/// Mounts a `/proc` of the new pid namespace and empty `/run` and `/tmp`, and brings the loopback interface up.
/// Nothing of it is seen outside.
pub fn furnish() -> io::Result<()> {
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

/// A new network namespace has this one interface, and it is down.
#[doc(alias = "SIOCSIFFLAGS")]
fn bring_loopback_up() -> io::Result<()> {
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
                // SAFETY: no pointers.
                call::retry(|| unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET) }).unwrap();
                furnish().unwrap();
                assert_eq!(std::fs::read_link("/proc/self").unwrap().to_str(), Some("1"));
                assert_eq!(std::fs::read_dir("/run").unwrap().count(), 0);
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            },
        );
    }
}

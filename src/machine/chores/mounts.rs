//! `mounts`: the file systems of the kernel, `/tmp`, and the cgroups with their controllers.

use std::fs;
use std::path::Path;

use nix::mount::MsFlags;

use super::Job;
use crate::machine::early::{self, Api, SAFE, words};
use crate::machine::{fstab, text};

const NO_USERS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// In this order: a directory of one may lie on another.
const ALL: [Api; 8] = [
    Api { kind: "proc", target: "/proc", flags: SAFE, data: "" },
    Api { kind: "sysfs", target: "/sys", flags: SAFE, data: "" },
    Api { kind: "devtmpfs", target: "/dev", flags: MsFlags::MS_NOSUID, data: "mode=0755" },
    Api {
        kind: "devpts",
        target: "/dev/pts",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        data: "gid=5,mode=0620,ptmxmode=0666",
    },
    Api { kind: "tmpfs", target: "/dev/shm", flags: NO_USERS, data: "mode=1777" },
    Api { kind: "tmpfs", target: "/run", flags: NO_USERS, data: "mode=0755,size=25%" },
    Api { kind: "tmpfs", target: "/tmp", flags: NO_USERS, data: "mode=1777" },
    Api { kind: "cgroup2", target: CGROUPS, flags: SAFE, data: "" },
];

const CGROUPS: &str = "/sys/fs/cgroup";

/// Links in `/dev` that programs expect.
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
];

pub(super) fn act(job: &mut Job<'_>) {
    // Whoever wants a disk for /tmp says so there.
    let table = text::read(Path::new(fstab::PATH)).unwrap_or_default();
    let (named, _) = fstab::parse(&table);
    for api in ALL.iter().filter(|api| !early::is_mounted(Path::new(api.target))) {
        if named.iter().any(|entry| entry.target == api.target) {
            continue;
        }
        match early::mount(api) {
            Ok(()) => job.trace(&format!("mounted {} on '{}'", api.kind, api.target)),
            Err(error) => {
                job.fail(&format!("cannot mount {} on '{}': {}", api.kind, api.target, words(&error)))
            }
        }
    }
    for (to, link) in LINKS.iter().filter(|(_, link)| fs::symlink_metadata(link).is_err()) {
        let _ = std::os::unix::fs::symlink(to, link); // Without them those who use them say what they miss.
    }
    enable_controllers(job);
}

/// What groups of units are to be limited by has to be handed down from the root of all groups.
#[doc(alias = "cgroup.subtree_control")]
fn enable_controllers(job: &mut Job<'_>) {
    let root = Path::new(CGROUPS);
    // A machine of cgroup v1 has no such file, and nothing to hand down.
    let Ok(there) = fs::read_to_string(root.join("cgroup.controllers")) else { return };
    for controller in there.split_whitespace() {
        // One by one: one that cannot be had must not keep the others out.
        match fs::write(root.join("cgroup.subtree_control"), format!("+{controller}")) {
            Ok(()) => job.trace(&format!("enabled the cgroup controller {controller}")),
            Err(error) => {
                job.say(&format!("cannot enable the cgroup controller '{controller}': {}", words(&error)))
            }
        }
    }
}

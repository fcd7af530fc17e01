//! What PID 1 itself cannot be without: `/proc`, `/sys`, `/dev`, `/run`, a console, the kernel's command line.
//!
//! ```text
//!   look: /proc is there, or is mounted ──▶ (the caller sees whether this is a machine) ──▶ prepare
//! ```
//!
//! These file systems have no disk behind them, so mounting them does not wait. All others are for the chores.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags};

use super::switch_root;
use crate::model::kernel_line::{KernelLine, LONGEST};
use crate::model::spawn::errno_words;
use crate::sys::{files, process};

/// A file system of the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// Its kind, and what is shown as its source.
    pub kind: &'static str,
    /// Where.
    pub target: &'static str,
    /// Options of the mount.
    pub flags: MsFlags,
    /// Options of its own.
    pub data: &'static str,
}

/// `/proc`.
const PROC: Api = Api { kind: "proc", target: "/proc", flags: SAFE, data: "" };

/// In which nothing is executed, no device is opened and no user is changed.
pub const SAFE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// What comes before everything else.
const FIRST: [Api; 3] = [
    Api { kind: "sysfs", target: "/sys", flags: SAFE, data: "" },
    Api { kind: "devtmpfs", target: "/dev", flags: MsFlags::MS_NOSUID, data: "mode=0755" },
    Api {
        kind: "tmpfs",
        target: "/run",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        data: "mode=0755,size=25%",
    },
];

/// What was found before the first unit.
#[derive(Clone, Debug, Default)]
pub struct Early {
    /// What the kernel was started with.
    pub line: KernelLine,
    /// What could not be done, a line each.
    pub problems: Vec<String>,
}

/// Was `/proc` there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Proc {
    /// It was there, or cannot be had.
    AsItWas,
    /// It is there from now on.
    Mounted,
}

/// Has `/proc` be there, by which alone a machine and a container are told apart.
pub fn look() -> Proc {
    if Path::new("/proc/self").exists() {
        return Proc::AsItWas;
    }
    // Where it cannot be had, everything else says so.
    mount(&PROC).map_or(Proc::AsItWas, |()| Proc::Mounted)
}

impl Proc {
    /// This is a container: what it was given is left as it was.
    pub fn leave(self) {
        if self == Proc::Mounted {
            let _ = nix::mount::umount2("/proc", MntFlags::MNT_DETACH); // One that stays does no harm.
        }
    }
}

/// Makes the machine one that PID 1 can work on. In an initramfs that only leads to the real root it does not return.
pub fn prepare() -> Early {
    let mut early = Early::default();
    for api in FIRST.iter().filter(|api| !is_mounted(Path::new(api.target))) {
        if let Err(error) = mount(api) {
            early.problems.push(format!("cannot mount {} on '{}': {}", api.kind, api.target, words(&error)));
        }
    }
    if let Err(error) = process::take_console() {
        early.problems.push(format!("cannot open '/dev/console': {}", words(&error)));
    }
    // What sexton says at boot is said once; the kernel would keep ten lines of it and drop the rest.
    let _ = fs::write("/proc/sys/kernel/printk_devkmsg", "on\n"); // Older kernels keep all of them anyway.
    match files::read_bounded(Path::new("/proc/cmdline"), LONGEST as u64) {
        Ok(bytes) => early.line = KernelLine::parse(&String::from_utf8_lossy(&bytes)),
        Err(error) => early.problems.push(format!("cannot read '/proc/cmdline': {}", words(&error))),
    }
    for word in &early.line.unknown {
        early.problems.push(format!("'{word}' on the kernel's command line means nothing here"));
    }
    if switch_root::is_meant(&early.line) {
        early.problems.push(switch_root::go(&early.line));
        early.line.rescue = true;
    }
    early
}

/// Mounts it, at a directory that is made where it is missing.
pub fn mount(api: &Api) -> io::Result<()> {
    let _ = fs::create_dir(api.target); // The mount tells what is wrong.
    let data = Some(api.data).filter(|data| !data.is_empty());
    nix::mount::mount(Some(api.kind), api.target, Some(api.kind), api.flags, data).map_err(io::Error::from)
}

/// Is another file system mounted here than on the directory above?
pub fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|about| about.dev()).ok();
    let above = path.parent().unwrap_or(path);
    device(path).is_some_and(|own| Some(own) != device(above))
}

/// The kernel's word without its number.
pub fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_told_from_a_directory() {
        assert!(is_mounted(Path::new("/proc")) && !is_mounted(Path::new("/proc/self")));
        assert!(!is_mounted(Path::new("/no/such")));
    }

    #[test]
    fn a_proc_that_is_there_is_left_alone() {
        assert_eq!(look(), Proc::AsItWas);
    }
}

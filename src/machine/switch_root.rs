//! From an initramfs to the real root, where nothing else is the business of the initramfs.
//!
//! ```text
//!   modules ─▶ the device of root= ─▶ mounted at /sysroot ─▶ /dev /proc /sys /run go along ─▶ the initramfs is emptied
//!     ─▶ /sysroot becomes / ─▶ the init of the real root, in the place of this one
//! ```
//!
//! There is nothing yet that PID 1 could keep from running, so it waits here itself, no longer than it says.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

use super::chores::{Job, drivers};
use super::console::Console;
use super::early::words;
use super::fstab::flags_and_data;
use super::volumes;
use crate::model::Settings;
use crate::model::kernel_line::KernelLine;

/// What an initramfs is where it is no tmpfs (`RAMFS_MAGIC` of <linux/magic.h>).
const RAMFS: FsType = FsType(0x8584_58f6);

/// Where the real root is mounted before it is `/`.
const PLACE: &str = "/sysroot";

/// What goes along.
const ALONG: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// How long the device is waited for: a disk that answers late, or a bus that is searched slowly.
const WAIT: Duration = Duration::from_secs(30);
/// With `rootwait`.
const LONG_WAIT: Duration = Duration::from_secs(600);

/// Inits that are tried where the command line names none.
const INITS: [&str; 4] = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];

/// Is this an initramfs, without units of its own, and is there a root to go to?
pub fn is_meant(line: &KernelLine) -> bool {
    let is_memory = statfs("/").is_ok_and(|about| [RAMFS, TMPFS_MAGIC].contains(&about.filesystem_type()));
    is_memory && line.root.is_some() && !Path::new("/etc/sexton/units").is_dir()
}

/// Goes. It only comes back with what went wrong; the initramfs is whole then.
pub fn go(line: &KernelLine) -> String {
    let mut console = Console::open();
    let spec = line.root.as_deref().unwrap_or_default();
    let settings = Settings::default();
    let mut job = Job::new(&settings, line.debug);
    drivers::named(&mut job);
    drivers::found(&mut job);
    let wait = if line.root_wait { LONG_WAIT } else { WAIT };
    let Some(device) = volumes::await_device(spec, wait) else {
        return format!("cannot find the root '{spec}' (waited {} s)", wait.as_secs());
    };
    if let Err(cause) = mount_root(line, &device) {
        return format!("cannot mount the root '{}': {cause}", device.display());
    }
    let inits = line.init.as_deref().into_iter().chain(INITS);
    let Some(init) = inits.map(str::to_owned).find(|init| is_program(init)) else {
        let _ = nix::mount::umount2(PLACE, MntFlags::MNT_DETACH); // It is left as it is found.
        return format!("there is no init on the root '{}'", device.display());
    };
    console.say(&format!("the root is '{}'; its init is {init}", device.display()));
    match enter(&init) {
        Ok(never) => match never {},
        Err(error) => format!("cannot go over to the root '{}': {}", device.display(), words(&error)),
    }
}

/// A link in the real root that leads from its own `/` counts as there.
fn is_program(init: &str) -> bool {
    let path = PathBuf::from(format!("{PLACE}{init}"));
    path.exists() || fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink())
}

fn mount_root(line: &KernelLine, device: &Path) -> Result<(), String> {
    let _ = fs::create_dir(PLACE); // The mount tells what is wrong.
    let options = line.root_flags.as_deref().unwrap_or_default();
    let (mut flags, data) = flags_and_data(options.split(',').filter(|option| !option.is_empty()));
    flags.set(MsFlags::MS_RDONLY, !line.root_writable);
    let data = Some(data.as_str()).filter(|data| !data.is_empty());
    let mut kinds = line.root_types.clone();
    if kinds.is_empty() {
        kinds.extend(volumes::look(device).map(|volume| volume.kind.to_owned()));
    }
    let mut last = "its kind of file system is not known; rootfstype= says it".to_owned();
    for kind in kinds {
        let _ = super::modules::Modules::of_this_kernel().load(&kind, ""); // Most are built in, or loaded already.
        match nix::mount::mount(Some(device), PLACE, Some(kind.as_str()), flags, data) {
            Ok(()) => return Ok(()),
            Err(error) => last = words(&io::Error::from(error)),
        }
    }
    Err(last)
}

fn enter(init: &str) -> io::Result<std::convert::Infallible> {
    let program = CString::new(init).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    for own in ALONG {
        let there = format!("{PLACE}{own}");
        let _ = fs::create_dir(&there); // A root that cannot be written has it, or the move says that it does not.
        let moved =
            nix::mount::mount(Some(own), there.as_str(), None::<&str>, MsFlags::MS_MOVE, None::<&str>);
        if moved.is_err() {
            let _ = nix::mount::umount2(own, MntFlags::MNT_DETACH); // The real init mounts it anew.
        }
    }
    let before = fs::metadata("/")?.dev();
    empty(Path::new("/"), before);
    std::env::set_current_dir(PLACE)?;
    nix::mount::mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    crate::sys::machine::change_root(Path::new("."))?;
    Ok(nix::unistd::execv(&program, &[&program])?)
}

/// Gives the memory of the initramfs back: everything on its own device goes, and nothing else.
fn empty(directory: &Path, device: u64) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.dev() != device {
            continue;
        }
        // What stays costs memory and nothing else.
        if about.is_dir() {
            empty(&path, device);
            let _ = fs::remove_dir(&path);
        } else {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_on_a_disk_is_no_initramfs() {
        // Whatever the tests run on, without root= there is nowhere to go.
        assert!(!is_meant(&KernelLine::default()));
    }
}

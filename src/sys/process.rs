//! What sexton does to its own process, once, before it starts others.
//!
//! See [prctl(2)](https://man7.org/linux/man-pages/man2/prctl.2.html) and
//! [reboot(2)](https://man7.org/linux/man-pages/man2/reboot.2.html).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{call, close_on_exec, pipe};
use crate::model::Signal;

/// How the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineEnd {
    /// Switched off.
    PowerOff,
    /// Started again.
    Reboot,
    /// Stopped, with the power on.
    Halt,
    /// Another kernel, which was loaded before, takes over.
    Kexec,
}

/// Opens what is closed of descriptors 0 to 2 on nothing, so that no file that is opened later gets their
/// numbers and then somebody's error messages. Descriptors from 3 up that sexton was started with are marked
/// close-on-exec: they are nobody's by accident.
pub fn tidy_descriptors() -> io::Result<()> {
    close_on_exec::mark_all();
    for fd in 0..=2 {
        if !is_open(fd) {
            // The lowest free number is given out, and all below are open.
            occupy(fd, open_nothing()?)?;
        }
    }
    Ok(())
}

/// Something that is open and has nothing in it: `/dev/null` or, where there is none, the reading end of a
/// pipe that nobody writes to. Reading that is the end of the file; writing to it is an error and, unlike
/// writing to a pipe that nobody reads, no signal.
pub fn open_nothing() -> io::Result<OwnedFd> {
    match File::options().read(true).write(true).open("/dev/null") {
        Ok(null) => Ok(null.into()),
        Err(_) => pipe::new().map(|(read, _write)| read),
    }
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: no pointers; a number that is no descriptor is an error.
    call::once(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
}

/// Makes `opened` the descriptor `number`, for good and for children too.
fn occupy(number: RawFd, opened: OwnedFd) -> io::Result<()> {
    if opened.as_raw_fd() == number {
        let number = opened.into_raw_fd();
        // SAFETY: no pointers; the descriptor is open.
        return call::retry(|| unsafe { libc::fcntl(number, libc::F_SETFD, 0) }).map(drop);
    }
    let raw = opened.as_raw_fd();
    // SAFETY: no pointers. The target is closed, so nothing of somebody else's is replaced.
    call::retry(|| unsafe { libc::dup2(raw, number) }).map(drop)
}

/// A copy of a standard descriptor. The original is never owned: dropping it would close it, and the next
/// file to be opened would be standard error.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

/// Descriptor 0, which is open from [`tidy_descriptors`] on.
pub fn standard_input() -> BorrowedFd<'static> {
    // SAFETY: nothing here closes descriptors 0 to 2.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Orphans among the descendants become children of this process, as they would of PID 1.
#[doc(alias = "PR_SET_CHILD_SUBREAPER")]
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: no pointers; the further arguments are not looked at.
    call::retry(|| unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// This process gets the signal when its parent ends. A parent that has ended by then is not noticed.
#[doc(alias = "PR_SET_PDEATHSIG")]
pub fn end_with_parent(signal: Signal) -> io::Result<()> {
    // SAFETY: no pointers; the further arguments are not looked at.
    call::retry(|| unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal.number(), 0, 0, 0) }).map(drop)
}

/// Goes to `/`, so that no file system is held by sexton standing in it. A child's directory is its plan's.
pub fn leave_directory() -> io::Result<()> {
    std::env::set_current_dir("/")
}

/// Tells the kernel how gladly it may kill sexton itself when memory is short. Without `/proc`, an error.
pub fn set_oom_score(score: i32) -> io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", score.to_string())
}

/// A path at which sexton's own program can be executed. It works though the file was replaced or removed.
pub fn own_executable() -> PathBuf {
    let link = Path::new("/proc/self/exe");
    match std::fs::symlink_metadata(link) {
        Ok(_) => link.to_owned(),
        // Without /proc the name that the kernel was given must do.
        Err(_) => executed_name().unwrap_or_else(|| PathBuf::from("/sbin/init")),
    }
}

/// The name that this program was executed by, which the kernel leaves above the stack.
#[doc(alias = "getauxval")]
fn executed_name() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: it takes a number and answers one.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return None;
    }
    // SAFETY: for this entry the kernel gives the address of a C string that stays as long as the process.
    let name = unsafe { std::ffi::CStr::from_ptr(std::ptr::with_exposed_provenance(address as usize)) };
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes())))
}

/// The user that sexton acts as.
pub fn effective_uid() -> u32 {
    // SAFETY: no pointers, and it cannot fail.
    unsafe { libc::geteuid() }
}

/// The group that sexton acts as.
pub fn effective_gid() -> u32 {
    // SAFETY: no pointers, and it cannot fail.
    unsafe { libc::getegid() }
}

/// Writes what is still in memory to the disks, however long that takes.
pub fn sync_disks() {
    // SAFETY: no pointers, and it cannot fail.
    unsafe { libc::sync() };
}

/// Ends the machine, or, in a pid namespace of a container, the container. It only returns with an error.
pub fn end_machine(how: MachineEnd) -> io::Error {
    let command = match how {
        MachineEnd::PowerOff => libc::RB_POWER_OFF,
        MachineEnd::Reboot => libc::RB_AUTOBOOT,
        MachineEnd::Halt => libc::RB_HALT_SYSTEM,
        MachineEnd::Kexec => libc::RB_KEXEC,
    };
    // SAFETY: it takes a number.
    match call::once(unsafe { libc::reboot(command) }) {
        Err(error) => error,
        // In a container the kernel kills PID 1 and then lets the call return.
        Ok(_) => call::error(libc::EINTR),
    }
}

/// Ctrl-Alt-Del becomes SIGINT to PID 1 instead of an immediate reboot.
#[doc(alias = "RB_DISABLE_CAD")]
pub fn take_ctrl_alt_del() -> io::Result<()> {
    // SAFETY: it takes a number.
    call::retry(|| unsafe { libc::reboot(libc::RB_DISABLE_CAD) }).map(drop)
}

/// Makes a descriptor that a helper was given under a number known to both sides its own. `None` for 0 to 2,
/// which are never owned, and for what is not open.
pub fn take_promised(number: RawFd) -> Option<OwnedFd> {
    if number <= 2 || !is_open(number) {
        return None;
    }
    // SAFETY: no pointers; the descriptor is open.
    let _ = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: it is open, it was given to this program by the one that started it, and the caller takes it once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Opens the console on those of descriptors 0 to 2 that the kernel left closed: it opens them before `/dev` is there.
pub fn take_console() -> io::Result<()> {
    if (0..=2).all(is_open) {
        return Ok(());
    }
    let console = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/console")?;
    let console = OwnedFd::from(console);
    if console.as_raw_fd() > 2 {
        for fd in (0..=2).filter(|fd| !is_open(*fd)) {
            occupy(fd, console.try_clone()?)?;
        }
        return Ok(());
    }
    // It has the lowest of the numbers that were free; the others follow.
    let number = console.as_raw_fd();
    occupy(number, console)?;
    for fd in (number + 1)..=2 {
        if !is_open(fd) {
            // SAFETY: no pointers; nothing is open under this number.
            call::retry(|| unsafe { libc::dup2(number, fd) })?;
        }
    }
    Ok(())
}

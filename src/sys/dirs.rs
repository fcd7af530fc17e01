//! Directories of units: made and removed without ever following a link that somebody else put there.
//!
//! ```text
//!   root (trusted) ── descriptor ── component ── component ── last: fchown, then fchmod
//!                                   └── each opened from the one before, never through a link ──┘
//! ```
//!
//! A service's user owns what is below its directory and may put anything there at any time. So a path is
//! never resolved as a whole, and what is opened is what is changed.
//!
//! See [openat2(2)](https://man7.org/linux/man-pages/man2/openat2.2.html) and
//! [unlinkat(2)](https://man7.org/linux/man-pages/man2/unlinkat.2.html).

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::call;
use super::entries::Block;
use crate::model::unit::Directory;

/// The deepest tree that is made or removed. Every level below the first costs a descriptor while it is
/// removed; no service nests its runtime directory like this.
const MAX_DEPTH: usize = 32;

/// How many entries are removed at most, which bounds how long the loop waits: a tmpfs removes this many in
/// some tenths of a second.
const MAX_REMOVED: usize = 65_536;

/// Permission bits of directories on the way that are missing.
const PARENT_MODE: u32 = 0o755;

/// Whose a directory shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Makes a unit's directory below `root`, which stands for the root of its kind and is trusted. One that is
/// there already gets the right owner and bits, and what is in it is left alone. Directories on the way are made as
/// sexton's own. `ELOOP` or `ENOTDIR`: there is a link, or something else, where a directory should be.
pub fn make(root: &Path, directory: &Directory, owner: Option<Owner>) -> io::Result<()> {
    let names = names(directory)?;
    let Some((last, parents)) = names.split_last() else { return Err(call::error(libc::EINVAL)) };
    let mut current = open_root(root)?;
    for name in parents {
        let made = make_child(&current, name)?;
        current = open_child(&current, name, Mounts::Cross)?;
        if made {
            change_mode(&current, PARENT_MODE)?;
        }
    }
    make_child(&current, last)?;
    let directory_fd = open_child(&current, last, Mounts::Cross)?;
    adjust(&directory_fd, directory.mode, owner)
}

/// Removes a unit's directory below `root` with all that is in it. Links are removed, not followed; other
/// file systems that are mounted in it are left alone, and then it stays, with `EBUSY` or `EXDEV`. What is not there
/// is no error.
pub fn remove(root: &Path, directory: &Directory) -> io::Result<()> {
    let names = names(directory)?;
    let Some((last, parents)) = names.split_last() else { return Err(call::error(libc::EINVAL)) };
    let found = || {
        let mut current = open_root(root)?;
        for name in parents {
            current = open_child(&current, name, Mounts::Cross)?;
        }
        remove_tree(current, last)
    };
    match found() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

/// The components of a directory's path below the root of its kind.
fn names(directory: &Directory) -> io::Result<Vec<CString>> {
    let invalid = || call::error(libc::EINVAL);
    let below = Path::new(&directory.path).strip_prefix(directory.kind.root()).map_err(|_| invalid())?;
    let mut names = Vec::new();
    for component in below.components() {
        let Component::Normal(name) = component else { return Err(invalid()) };
        names.push(CString::new(name.as_bytes()).map_err(|_| invalid())?);
    }
    if names.len() > MAX_DEPTH { Err(invalid()) } else { Ok(names) }
}

/// The root may be reached through links: whoever can place those is root himself.
fn open_root(root: &Path) -> io::Result<OwnedFd> {
    if !root.try_exists()? {
        std::fs::create_dir_all(root)?;
    }
    let (path, flags) = (call::c_path(root)?, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
    // SAFETY: `path` is a C string.
    call::owned(call::retry(|| unsafe { libc::open(path.as_ptr(), flags) }))
}

/// May another file system be entered?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mounts {
    Cross,
    Stay,
}

/// Opens a directory in a directory. The name is one component, so nothing but a link, or a mount, could lead away.
fn open_child(parent: &OwnedFd, name: &CStr, mounts: Mounts) -> io::Result<OwnedFd> {
    match open_child_strictly(parent, name, mounts) {
        Err(error) if call::is_absent(&error) => open_child_simply(parent, name, mounts),
        answer => answer,
    }
}

const DIRECTORY: libc::c_int =
    libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;

#[doc(alias = "openat2")]
fn open_child_strictly(parent: &OwnedFd, name: &CStr, mounts: Mounts) -> io::Result<OwnedFd> {
    // SAFETY: all of it is numbers, for which zero is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from(DIRECTORY.cast_unsigned());
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
    if mounts == Mounts::Stay {
        how.resolve |= libc::RESOLVE_NO_XDEV;
    }
    let (parent, how, size) = (parent.as_raw_fd(), &raw const how, size_of::<libc::open_how>());
    // SAFETY: `name` is a C string, and `how` points to as many bytes as are said.
    let answer =
        call::retry(|| unsafe { libc::syscall(libc::SYS_openat2, parent, name.as_ptr(), how, size) });
    call::owned(answer.and_then(|fd| RawFd::try_from(fd).map_err(|_| call::error(libc::EBADF))))
}

/// For kernels before 5.6 and seccomp profiles that do not know `openat2`.
fn open_child_simply(parent: &OwnedFd, name: &CStr, mounts: Mounts) -> io::Result<OwnedFd> {
    let raw = parent.as_raw_fd();
    // SAFETY: `name` is a C string.
    let child = call::owned(call::retry(|| unsafe { libc::openat(raw, name.as_ptr(), DIRECTORY) }))?;
    if mounts == Mounts::Stay && status(&child)?.st_dev != status(parent)?.st_dev {
        return Err(call::error(libc::EXDEV));
    }
    Ok(child)
}

/// Answers whether it was made, and not there already.
fn make_child(parent: &OwnedFd, name: &CStr) -> io::Result<bool> {
    // Until it has its owner and its bits nobody else can look into it.
    let (raw, mode) = (parent.as_raw_fd(), 0o700);
    // SAFETY: `name` is a C string.
    match call::retry(|| unsafe { libc::mkdirat(raw, name.as_ptr(), mode) }) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Owner first: changing it takes bits away. What is right already is not touched, so a read-only file
/// system with the right directory in it is good enough.
fn adjust(directory: &OwnedFd, mode: u32, owner: Option<Owner>) -> io::Result<()> {
    let now = status(directory)?;
    if let Some(Owner { uid, gid }) = owner
        && (now.st_uid, now.st_gid) != (uid, gid)
    {
        let raw = directory.as_raw_fd();
        // SAFETY: no pointers; the descriptor is open.
        call::retry(|| unsafe { libc::fchown(raw, uid, gid) })?;
    }
    if status(directory)?.st_mode & 0o7777 == mode { Ok(()) } else { change_mode(directory, mode) }
}

fn change_mode(directory: &OwnedFd, mode: u32) -> io::Result<()> {
    let raw = directory.as_raw_fd();
    // SAFETY: no pointers; the descriptor is open.
    call::retry(|| unsafe { libc::fchmod(raw, mode) }).map(drop)
}

fn status(file: &OwnedFd) -> io::Result<libc::stat> {
    let (raw, mut status) = (file.as_raw_fd(), MaybeUninit::<libc::stat>::zeroed());
    // SAFETY: `status` has room for the answer.
    call::retry(|| unsafe { libc::fstat(raw, status.as_mut_ptr()) })?;
    // SAFETY: it is all numbers, for which zero is valid too.
    Ok(unsafe { status.assume_init() })
}

/// Removes `name` in `parent`. Instead of recursion there is the way from the top to where we are.
fn remove_tree(parent: OwnedFd, name: &CStr) -> io::Result<()> {
    let mut way = vec![(name.to_owned(), open_child(&parent, name, Mounts::Stay)?)];
    let mut budget = MAX_REMOVED;
    while let Some((_, current)) = way.last() {
        match remove_some(current, &mut budget)? {
            Progress::Again => {}
            Progress::Into(name) if way.len() < MAX_DEPTH => {
                let child = open_child(current, &name, Mounts::Stay)?;
                way.push((name, child));
            }
            Progress::Into(_) => return Err(call::error(libc::ELOOP)),
            Progress::Empty => {
                if let Some((name, _)) = way.pop() {
                    let above = way.last().map_or(&parent, |(_, above)| above);
                    unlink(above, &name, libc::AT_REMOVEDIR)?;
                }
            }
        }
    }
    Ok(())
}

enum Progress {
    /// Something was removed, and there may be more.
    Again,
    /// This directory must be emptied first.
    Into(CString),
    /// There is nothing left.
    Empty,
}

/// Removes the first block of entries. The directory is read from its start each time, because removing moves
/// what is behind.
fn remove_some(directory: &OwnedFd, budget: &mut usize) -> io::Result<Progress> {
    let raw = directory.as_raw_fd();
    // SAFETY: no pointers; the descriptor is open.
    call::retry(|| unsafe { libc::lseek(raw, 0, libc::SEEK_SET) })?;
    let mut block = Block::new();
    let filled = call::retry(|| block.fill(raw))?;
    let mut progress = Progress::Empty;
    for name in block.names(filled).filter(|name| *name != c"." && *name != c"..") {
        *budget = budget.checked_sub(1).ok_or_else(|| call::error(libc::E2BIG))?;
        match unlink(directory, name, 0) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EISDIR | libc::EPERM)) => {}
            answer => {
                answer?;
                progress = Progress::Again;
                continue;
            }
        }
        match unlink(directory, name, libc::AT_REMOVEDIR) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => {
                return Ok(Progress::Into(name.to_owned()));
            }
            answer => answer?,
        }
        progress = Progress::Again;
    }
    Ok(progress)
}

/// What is gone already counts as removed.
fn unlink(parent: &OwnedFd, name: &CStr, flags: libc::c_int) -> io::Result<()> {
    let raw = parent.as_raw_fd();
    // SAFETY: `name` is a C string.
    match call::retry(|| unsafe { libc::unlinkat(raw, name.as_ptr(), flags) }) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "dirs_tests.rs"]
mod tests;

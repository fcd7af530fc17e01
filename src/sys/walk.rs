//! Opening what a path names, where somebody else may have a hand in the path.
//!
//! ```text
//!   /  ── component ── component ── … ── last
//!        each opened from the one before; a link is read and walked too, if root or sexton itself made it
//! ```
//!
//! sexton may read and write what a service's user may not. So a link that such a user put somewhere on the way is
//! an error, `ELOOP`, and never a way to a file of somebody else. Links of root's are followed: `/var/run` is one, and
//! the files of a Kubernetes ConfigMap are.
//!
//! See [open(2)](https://man7.org/linux/man-pages/man2/open.2.html) on `O_PATH`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use super::{call, process};

/// As many links as the kernel itself would follow.
const MAX_LINKS: usize = 40;

/// More components than any path has: a link may name hundreds, forty of them thousands.
const MAX_COMPONENTS: usize = 4096;

/// The directory of an absolute path, and the last name in it.
#[derive(Debug)]
pub struct Spot {
    /// The directory.
    pub directory: OwnedFd,
    /// The name in it. There may be nothing, or a link, of that name: it was not looked at.
    pub name: OsString,
}

/// Finds the directory of a path. `EINVAL`: the path is not absolute, or has no last name.
pub fn find(path: &Path) -> io::Result<Spot> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(call::error(libc::EINVAL));
    };
    let directory = walk(parent, path_flags() | OFlag::O_DIRECTORY)?;
    Ok(Spot { directory, name: name.to_owned() })
}

/// Opens a file to read it. Nothing is waited for: of a pipe without a writer there is nothing to read.
pub fn open_file(path: &Path) -> io::Result<File> {
    walk(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).map(File::from)
}

fn path_flags() -> OFlag {
    OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// `last` is how the last component is opened; what is on the way is only passed through.
fn walk(path: &Path, last: OFlag) -> io::Result<OwnedFd> {
    if !path.is_absolute() {
        return Err(call::error(libc::EINVAL));
    }
    let root = || open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let mut current = root()?;
    let mut ahead = components(path);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        let next = openat(&current, name.as_os_str(), path_flags(), Mode::empty())?;
        let about = fstat(&next)?;
        if !is_link(&about) {
            if ahead.is_empty() && !last.contains(OFlag::O_PATH) {
                // Whoever changed the name in between to a link meets O_NOFOLLOW.
                return Ok(openat(&current, name.as_os_str(), last | OFlag::O_NOFOLLOW, Mode::empty())?);
            }
            current = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS || !may_follow(&about) {
            return Err(call::error(libc::ELOOP));
        }
        let target = readlinkat(&next, "")?;
        let target = Path::new(&target);
        if target.is_absolute() {
            current = root()?;
        }
        ahead.append(&mut components(target));
        if ahead.len() > MAX_COMPONENTS {
            return Err(call::error(libc::ENAMETOOLONG));
        }
    }
    Ok(current)
}

/// The names of a path, the first one last.
fn components(path: &Path) -> Vec<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).map(OsStr::to_owned).collect()
}

fn is_link(about: &FileStat) -> bool {
    SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK
}

/// A sexton that is not root starts everything as itself: there is nobody whose links could lead it astray.
fn may_follow(link: &FileStat) -> bool {
    let own = process::effective_uid();
    own != 0 || link.st_uid == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn scratch(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("sexton-walk-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("real")).unwrap();
        path
    }

    #[test]
    fn links_of_root_are_walked_absolute_relative_and_upwards() {
        let dir = scratch("links");
        std::fs::write(dir.join("real/file"), "text").unwrap();
        symlink(dir.join("real"), dir.join("absolute")).unwrap();
        symlink("absolute/../real/./file", dir.join("relative")).unwrap();
        let mut text = String::new();
        open_file(&dir.join("relative")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        let spot = find(&dir.join("absolute/new")).unwrap();
        assert_eq!(spot.name, "new");
        let real = std::fs::metadata(dir.join("real")).unwrap();
        let found = fstat(&spot.directory).unwrap();
        assert_eq!(found.st_ino, std::os::unix::fs::MetadataExt::ino(&real));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_link_of_another_user_is_not_followed_by_root() {
        let dir = scratch("strange");
        std::fs::write(dir.join("real/file"), "secret").unwrap();
        symlink("real/file", dir.join("last")).unwrap();
        symlink("real", dir.join("middle")).unwrap();
        if process::effective_uid() != 0 {
            return std::fs::remove_dir_all(dir).unwrap();
        }
        for link in ["last", "middle"] {
            std::os::unix::fs::lchown(dir.join(link), Some(65534), Some(65534)).unwrap();
        }
        for path in ["last", "middle/file"] {
            let error = open_file(&dir.join(path)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "{path}");
        }
        assert!(find(&dir.join("middle/new")).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn circles_end_and_a_path_has_to_be_absolute() {
        let dir = scratch("circle");
        symlink("b", dir.join("a")).unwrap();
        symlink("a", dir.join("b")).unwrap();
        symlink("./c/c", dir.join("c")).unwrap();
        for name in ["a", "c"] {
            let error = open_file(&dir.join(name)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "{name}");
        }
        for path in ["relative/file", "", "/"] {
            assert_eq!(find(Path::new(path)).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{path}");
        }
        assert_eq!(open_file(&dir.join("none")).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        assert_eq!(open_file(&dir.join("real/none/x")).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        std::fs::remove_dir_all(dir).unwrap();
    }
}

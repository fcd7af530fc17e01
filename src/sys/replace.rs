//! Files that are replaced as a whole: whoever reads one sees the old or the new, never a part.
//!
//! ```text
//!   create .NAME.new beside it ─▶ write ─▶ fchown ─▶ fchmod ─▶ fsync ─▶ rename over NAME
//!   keep:    NAME is linked to .NAME.old first      restore: .NAME.old is renamed to NAME again
//! ```
//!
//! The directory may belong to a service's user, who can put anything anywhere in it at any time: nothing is opened
//! through a link, and what is changed is what was made here.
//!
//! See [rename(2)](https://man7.org/linux/man-pages/man2/rename.2.html).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, linkat, unlinkat};

use super::call;
use super::dirs::Owner;
use super::walk::Spot;

/// How a file shall be.
#[derive(Clone, Copy, Debug)]
pub struct Wished<'a> {
    /// What is in it.
    pub bytes: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    /// Whose it is; whoever makes it when absent.
    pub owner: Option<Owner>,
}

/// Is the file as it should be already? What cannot be read is not.
pub fn is_so(spot: &Spot, wished: &Wished<'_>) -> bool {
    read(spot, wished.bytes.len() as u64).is_ok_and(|(about, bytes)| {
        let owner = Owner { uid: about.uid(), gid: about.gid() };
        bytes == wished.bytes
            && about.mode() & 0o7777 == wished.mode
            && wished.owner.is_none_or(|wished| wished == owner)
    })
}

/// Puts a file in place of what is there. After an error everything is as before.
pub fn write(spot: &Spot, wished: &Wished<'_>) -> io::Result<()> {
    let beside = name_beside(&spot.name, ".new");
    let answer = make(&spot.directory, &beside, wished)
        .and_then(|()| Ok(renameat(&spot.directory, &*beside, &spot.directory, &*spot.name)?));
    if answer.is_err() {
        let _ = remove(&spot.directory, &beside); // What cannot be removed is taken over the next time.
    }
    answer
}

/// What was kept of a file for the time of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is beside its place, under another name.
    Beside,
    /// There was none.
    Nothing,
}

/// Keeps what is there, before it is replaced. The file itself stays where it is.
pub fn keep(spot: &Spot) -> io::Result<Kept> {
    let beside = name_beside(&spot.name, ".old");
    remove(&spot.directory, &beside)?;
    match linkat(&spot.directory, &*spot.name, &spot.directory, &*beside, AtFlags::empty()) {
        Ok(()) => Ok(Kept::Beside),
        Err(nix::errno::Errno::ENOENT) => Ok(Kept::Nothing),
        // Some file systems know no second name for a file.
        Err(nix::errno::Errno::EPERM | nix::errno::Errno::EOPNOTSUPP | nix::errno::Errno::EMLINK) => {
            let (about, bytes) = read(spot, MAX_COPIED)?;
            let owner = Some(Owner { uid: about.uid(), gid: about.gid() });
            let copy = Wished { bytes: &bytes, mode: about.mode() & 0o7777, owner };
            make(&spot.directory, &beside, &copy)?;
            Ok(Kept::Beside)
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts back what was kept.
pub fn restore(spot: &Spot, kept: Kept) -> io::Result<()> {
    match kept {
        Kept::Beside => {
            let beside = name_beside(&spot.name, ".old");
            renameat(&spot.directory, &*beside, &spot.directory, &*spot.name)?;
            // Two names of one file are left as they are by rename(2).
            remove(&spot.directory, &beside)
        }
        Kept::Nothing => remove(&spot.directory, &spot.name),
    }
}

/// Drops what was kept.
pub fn forget(spot: &Spot, kept: Kept) -> io::Result<()> {
    match kept {
        Kept::Beside => remove(&spot.directory, &name_beside(&spot.name, ".old")),
        Kept::Nothing => Ok(()),
    }
}

/// The largest file that is copied where it cannot be linked.
const MAX_COPIED: u64 = 4 << 20;

/// The longest name that a file system takes.
const MAX_NAME: usize = 255;

/// Hidden, and with an ending of its own: `include conf.d/*.conf` never sees it.
fn name_beside(name: &OsStr, ending: &str) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    const OURS: &[u8] = b".sexton";
    let room = MAX_NAME - 1 - OURS.len() - ending.len();
    let name = name.as_bytes();
    let mut beside = vec![b'.'];
    beside.extend_from_slice(name.get(..room).unwrap_or(name));
    beside.extend_from_slice(OURS);
    beside.extend_from_slice(ending.as_bytes());
    OsString::from_vec(beside)
}

fn make(directory: &OwnedFd, name: &OsStr, wished: &Wished<'_>) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // Until it has its owner and its bits nobody else can read it.
    let bits = Mode::S_IRUSR | Mode::S_IWUSR;
    // Of an earlier try that was cut short.
    remove(directory, name)?;
    let mut file = File::from(openat(directory, name, flags, bits)?);
    file.write_all(wished.bytes)?;
    // Owner first: changing it takes bits away.
    if let Some(Owner { uid, gid }) = wished.owner {
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (uid, gid) {
            fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
    }
    fchmod(&file, Mode::from_bits_truncate(wished.mode))?;
    file.sync_all()
}

/// What is there, if it is a regular file of at most `limit` bytes.
fn read(spot: &Spot, limit: u64) -> io::Result<(std::fs::Metadata, Vec<u8>)> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(openat(&spot.directory, &*spot.name, flags, Mode::empty())?);
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(call::error(libc::EINVAL));
    }
    if about.len() > limit {
        return Err(call::error(libc::EFBIG));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((about, bytes))
}

/// What is not there counts as removed.
fn remove(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Err(nix::errno::Errno::ENOENT) => Ok(()),
        answer => Ok(answer?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::walk::find;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sexton-replace-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn wished(text: &str) -> Wished<'_> {
        Wished { bytes: text.as_bytes(), mode: 0o640, owner: None }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_with_its_bits_and_nothing_is_left_beside_it() {
        let dir = scratch("write");
        let spot = find(&dir.join("f")).unwrap();
        write(&spot, &wished("one")).unwrap();
        std::fs::write(dir.join(".f.sexton.new"), "of a try that was cut short").unwrap();
        write(&spot, &wished("two")).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("f")).unwrap(), "two");
        assert_eq!(std::fs::metadata(dir.join("f")).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(names(&dir), ["f"]);
        assert!(is_so(&spot, &wished("two")));
        assert!(!is_so(&spot, &wished("twp")) && !is_so(&spot, &wished("tw")));
        assert!(!is_so(&spot, &Wished { mode: 0o600, ..wished("two") }));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_link_in_its_place_is_replaced_and_what_it_leads_to_is_untouched() {
        let dir = scratch("link");
        std::fs::write(dir.join("secret"), "secret").unwrap();
        symlink("secret", dir.join("f")).unwrap();
        symlink("secret", dir.join(".f.sexton.new")).unwrap();
        let spot = find(&dir.join("f")).unwrap();
        assert!(!is_so(&spot, &Wished { mode: 0o644, ..wished("secret") }));
        write(&spot, &wished("new")).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("secret")).unwrap(), "secret");
        assert!(std::fs::symlink_metadata(dir.join("f")).unwrap().is_file());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_was_kept_comes_back_as_the_same_file() {
        let dir = scratch("keep");
        let spot = find(&dir.join("f")).unwrap();
        assert_eq!(keep(&spot).unwrap(), Kept::Nothing);
        write(&spot, &wished("first")).unwrap();
        restore(&spot, Kept::Nothing).unwrap();
        assert_eq!(names(&dir), [""; 0]);
        write(&spot, &wished("old")).unwrap();
        let inode = std::fs::metadata(dir.join("f")).unwrap().ino();
        for replaced in [true, false] {
            assert_eq!(keep(&spot).unwrap(), Kept::Beside);
            if replaced {
                write(&spot, &wished("new")).unwrap();
            }
            restore(&spot, Kept::Beside).unwrap();
            assert_eq!(std::fs::metadata(dir.join("f")).unwrap().ino(), inode);
            assert_eq!(names(&dir), ["f"]);
        }
        keep(&spot).unwrap();
        write(&spot, &wished("new")).unwrap();
        forget(&spot, Kept::Beside).unwrap();
        assert_eq!((std::fs::read_to_string(dir.join("f")).unwrap().as_str(), names(&dir).len()), ("new", 1));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_in_its_place_is_an_error_and_stays() {
        let dir = scratch("directory");
        std::fs::create_dir(dir.join("f")).unwrap();
        let spot = find(&dir.join("f")).unwrap();
        assert_eq!(write(&spot, &wished("x")).unwrap_err().raw_os_error(), Some(libc::EISDIR));
        assert_eq!(names(&dir), ["f"]);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_longest_name_has_names_beside_it() {
        let longest = "x".repeat(255);
        assert_eq!(name_beside(longest.as_ref(), ".old").len(), 255);
        assert_eq!(name_beside("app.conf".as_ref(), ".new"), ".app.conf.sexton.new");
    }
}

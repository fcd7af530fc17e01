//! Files of others: read with a bound and without ever waiting for a writer.
//!
//! See [open(2)](https://man7.org/linux/man-pages/man2/open.2.html) and
//! [statvfs(3)](https://man7.org/linux/man-pages/man3/statvfs.3.html).

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::call;

/// What is asked for at first of a file that does not say how long it is.
const UNKNOWN: usize = 1024;

/// Reads a regular file of at most `limit` bytes, whole. A pipe, a device or a directory is `EINVAL`, a
/// longer file `EFBIG`.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, limit)
}

/// The same of a file that is open already; it was opened without waiting.
pub fn read_open(mut file: File, limit: u64) -> io::Result<Vec<u8>> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(call::error(libc::EINVAL));
    }
    if about.len() > limit {
        return Err(call::error(libc::EFBIG));
    }
    let size = usize::try_from(about.len()).unwrap_or(0);
    let mut bytes = vec![0; if size == 0 { UNKNOWN } else { size + 1 }];
    let got = file.read(&mut bytes)?;
    bytes.truncate(got);
    // Who asks for one byte more than there is, and does not get it, has read all. Otherwise the size is not believed:
    // the file is growing, or is one of /proc.
    if got != size || size == 0 {
        file.take(limit.saturating_add(1).saturating_sub(got as u64)).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > limit { Err(call::error(libc::EFBIG)) } else { Ok(bytes) }
}

fn open(path: &Path) -> io::Result<File> {
    let path = call::c_path(path)?;
    // Without O_NONBLOCK a pipe that nobody writes to would be waited for.
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_LARGEFILE;
    // That sexton looked is nobody's business: a time that is kept would be written to the disk. Only the owner of a file
    // may ask for it.
    // musl's open() asks the kernel a second time for O_CLOEXEC, for kernels that do not know it; its openat() does not.
    // SAFETY: a C string.
    let open = |flags| call::retry(|| unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), flags) });
    let opened = match open(flags | libc::O_NOATIME) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => open(flags),
        opened => opened,
    };
    call::owned(opened).map(File::from)
}

/// Is there anything at this path? A link that leads nowhere is nothing. An error says that nobody can tell.
pub fn exists(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Bytes that an ordinary user can still write to the file system of `path`.
#[doc(alias = "statvfs")]
pub fn free_space(path: &Path) -> io::Result<u64> {
    let path = call::c_path(path)?;
    let mut space = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` is a C string and `space` has room for the answer.
    call::retry(|| unsafe { libc::statvfs(path.as_ptr(), space.as_mut_ptr()) })?;
    // SAFETY: it is all numbers, for which zero is valid too.
    let space = unsafe { space.assume_init() };
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Why a program was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// There is none of this name in any directory of the search path.
    Nowhere,
    /// What is there is no regular file that may be executed.
    NotExecutable(PathBuf),
}

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotFound::Nowhere => f.write_str("no such program"),
            NotFound::NotExecutable(path) => write!(f, "'{}' is not executable", path.display()),
        }
    }
}

impl std::error::Error for NotFound {}

/// Where a program is: `name` itself when it has a slash in it, counted from `directory`, else the first of
/// that name in `search`, the value of a PATH. An empty part of it, which shells take for the working directory, is
/// passed over: nobody means it.
#[doc(alias = "execvp")]
pub fn find_program(name: &str, search: &str, directory: &Path) -> Result<PathBuf, NotFound> {
    if name.is_empty() {
        return Err(NotFound::Nowhere);
    }
    let mut refused = None;
    let places: Box<dyn Iterator<Item = PathBuf>> = if name.contains('/') {
        Box::new(std::iter::once(directory.join(name)))
    } else {
        let parts = search.split(':').filter(|part| !part.is_empty());
        Box::new(parts.map(|part| directory.join(part).join(name)))
    };
    for place in places {
        match place.metadata() {
            Ok(about) if about.is_file() && about.permissions().mode() & 0o111 != 0 => return Ok(place),
            // What cannot be seen from here, the process itself may see: the kernel has the last word.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && name.contains('/') => {
                return Ok(place);
            }
            Ok(_) => refused = refused.or(Some(place)),
            Err(_) => {}
        }
    }
    Err(refused.map_or(NotFound::Nowhere, NotFound::NotExecutable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sexton-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = scratch("bounded");
        std::fs::write(dir.join("f"), "12345").unwrap();
        assert_eq!(read_bounded(&dir.join("f"), 5).unwrap(), b"12345");
        let errno = |path: &Path, limit| read_bounded(path, limit).unwrap_err().raw_os_error();
        assert_eq!(errno(&dir.join("f"), 4), Some(libc::EFBIG));
        assert_eq!(errno(&dir, 4), Some(libc::EINVAL));
        assert_eq!(errno(&dir.join("none"), 4), Some(libc::ENOENT));
        assert_eq!(errno(Path::new("/dev/zero"), 4), Some(libc::EINVAL));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for() {
        let dir = scratch("fifo");
        nix::unistd::mkfifo(&dir.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = read_bounded(&dir.join("fifo"), 10).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_program_is_found_in_the_order_of_the_search_path() {
        let dir = scratch("path");
        for (place, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o755)] {
            std::fs::create_dir_all(dir.join(place)).unwrap();
            let program = dir.join(place).join("prog");
            std::fs::write(&program, "").unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let search = |name: &str, path: &str| find_program(name, path, &dir);
        let in_dir = |name: &str| dir.join(name).display().to_string();
        let all = format!("{}::{}:{}", in_dir("a"), in_dir("b"), in_dir("c"));
        assert_eq!(search("prog", &all), Ok(dir.join("b/prog")));
        assert_eq!(search("./c/prog", ""), Ok(dir.join("./c/prog")));
        let refused = search("prog", &in_dir("a")).unwrap_err();
        assert_eq!(refused.to_string(), format!("'{}' is not executable", in_dir("a/prog")));
        assert_eq!(search("none", &all).unwrap_err().to_string(), "no such program");
        assert_eq!(search("prog", ""), Err(NotFound::Nowhere));
        assert_eq!(search("", &all), Err(NotFound::Nowhere));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn free_space_is_that_of_an_ordinary_user() {
        assert!(free_space(Path::new("/tmp")).unwrap() > 0);
        assert_eq!(free_space(Path::new("/proc")).unwrap(), 0);
    }
}

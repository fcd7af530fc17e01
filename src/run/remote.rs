//! Which directories lie on another machine, or behind a program: whoever looks into one may wait for ever.
//!
//! ```text
//!   /proc/self/mountinfo:  36 35 0:32 / /srv rw,relatime shared:1 - nfs4 server:/srv rw,…
//!                                       where                       what
//! ```

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A machine has some tens of mounts, one full of containers some thousands.
const LARGEST: u64 = 4 << 20;

/// The file systems whose answers come from elsewhere. Those of FUSE are known by how their names begin.
const FAR: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "autofs", "virtiofs"];

/// The places where such file systems are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    places: Vec<PathBuf>,
}

impl Remote {
    /// As it is now. Where nobody tells, nothing counts as far.
    pub fn look() -> Remote {
        let mut bytes = Vec::new();
        if let Ok(file) = std::fs::File::open("/proc/self/mountinfo") {
            let _ = file.take(LARGEST).read_to_end(&mut bytes); // What was read until then counts.
        }
        Remote::parse(&String::from_utf8_lossy(&bytes))
    }

    /// Of what the kernel tells, one mount a line.
    pub fn parse(text: &str) -> Remote {
        let places = text.lines().filter_map(|line| {
            let (mount, what) = line.split_once(" - ")?;
            let kind = what.split(' ').next()?;
            let is_far = FAR.contains(&kind) || kind.starts_with("fuse");
            if is_far { unescaped(mount.split(' ').nth(4)?) } else { None }
        });
        Remote { places: places.collect() }
    }

    /// Does this path lie in one of them? Links on its way are not looked at.
    pub fn holds(&self, path: &Path) -> bool {
        self.places.iter().any(|place| path.starts_with(place))
    }
}

/// The kernel writes a blank as `\040`. None: it is not written so.
fn unescaped(word: &str) -> Option<PathBuf> {
    let mut parts = word.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_another_machine_is_known_by_its_mount() {
        let remote = Remote::parse(
            r"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
36 22 0:32 / /srv/my\040files rw shared:2 - nfs4 server:/srv rw,vers=4.2
37 22 0:33 / /home/x rw - fuse.sshfs x@y: rw
38 22 0:34 / /odd\04 rw - nfs server:/odd rw
a line that is none",
        );
        let far = ["/srv/my files/a", "/srv/my files", "/home/x/.conf"];
        let near = ["/srv/my", "/home/xy", "/"];
        assert!(far.iter().all(|path| remote.holds(Path::new(path))), "{remote:?}");
        assert!(!near.iter().any(|path| remote.holds(Path::new(path))), "{remote:?}");
    }

    #[test]
    fn a_machine_that_tells_nothing_has_nothing_far() {
        assert_eq!(Remote::parse(""), Remote::default());
        assert!(!Remote::look().holds(Path::new("/proc/self")));
    }
}

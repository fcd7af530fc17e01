//! `/proc/self/mountinfo`: what is mounted, in the order in which it was.

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The number of its file system's device.
    pub device: String,
    /// Where.
    pub target: String,
    /// What kind of file system.
    pub kind: String,
    /// What it was mounted from.
    pub source: String,
    /// It cannot be written.
    pub is_read_only: bool,
}

/// Kinds that have nothing on a disk and nobody behind them: they end with the machine.
const VIRTUAL: [&str; 24] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "tmpfs",
    "ramfs",
    "rootfs",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "pstore",
    "efivarfs",
    "bpf",
    "mqueue",
    "hugetlbfs",
    "configfs",
    "binfmt_misc",
    "autofs",
    "nsfs",
    "selinuxfs",
    "fusectl",
    "rpc_pipefs",
];

impl Mount {
    /// Is there nothing in it that could be lost?
    pub fn is_virtual(&self) -> bool {
        VIRTUAL.contains(&self.kind.as_str())
    }
}

/// Reads the table; lines that are none are passed over.
#[doc(alias = "mountinfo")]
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let device = before.next()?.to_owned();
    let target = unescape(before.nth(1)?);
    let options = before.next()?;
    let mut after = after.split(' ');
    let kind = after.next()?.to_owned();
    let source = unescape(after.next()?);
    let all = after.next().unwrap_or_default();
    let is_read_only = options.split(',').chain(all.split(',')).any(|option| option == "ro");
    Some(Mount { device, target, kind, source, is_read_only })
}

/// Space, tab, newline and backslash stand as `\040` and the like, here and in fstab.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 4).filter(|_| *byte == b'\\');
        let value = digits.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+'))
        });
        out.push(value.unwrap_or(*byte));
        at += if value.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What is mounted now; nothing where the kernel does not tell.
pub fn read() -> Vec<Mount> {
    std::fs::read("/proc/self/mountinfo")
        .map(|bytes| parse(&String::from_utf8_lossy(&bytes)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernels_is_read_whatever_stands_between() {
        let text = "36 35 98:0 / /mnt\\040x rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n\
                    22 1 0:20 / /proc ro - proc proc rw\nnonsense\n1 2 3 - x\n\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].target.as_str(), mounts[0].kind.as_str()), ("/mnt x", "ext3"));
        assert_eq!((mounts[0].source.as_str(), mounts[0].is_read_only), ("/dev/root", false));
        assert!(mounts[1].is_virtual() && mounts[1].is_read_only && !mounts[0].is_virtual());
    }

    #[test]
    fn an_escape_that_is_none_stands_for_itself() {
        for (written, meant) in [
            ("a\\040b", "a b"),
            ("a\\134", "a\\"),
            ("\\", "\\"),
            ("\\04", "\\04"),
            ("\\999", "\\999"),
            ("\\04\u{e9}", "\\04\u{e9}"),
            ("\\+12", "\\+12"),
        ] {
            assert_eq!(unescape(written), meant);
        }
    }
}

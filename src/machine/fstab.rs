//! `/etc/fstab`: what is mounted where, read line by line; a line that is none costs that line.
//!
//! ```text
//!   UUID=ab-cd  /srv  ext4  noatime,nofail,x-sexton.timeout=5s  0 2
//!   device      at    kind  options                             dump pass
//! ```

use std::fmt;
use std::time::Duration;

use nix::mount::MsFlags;

use super::mount_table::unescape;
use super::text;
use crate::model::time::parse_duration;

/// Where it is.
pub const PATH: &str = "/etc/fstab";

/// How long a device is waited for that is not there yet.
const WAIT: Duration = Duration::from_secs(10);
/// The same where the boot goes on without it.
const SHORT_WAIT: Duration = Duration::from_secs(2);

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which line it is.
    pub number: usize,
    /// The device, or how it is found: `UUID=`, `LABEL=`, `PARTUUID=`, `PARTLABEL=`.
    pub source: String,
    /// Where; `none` for swap.
    pub target: String,
    /// The kind of file system, or several, or `auto`.
    pub kind: String,
    /// Options, without those that speak to sexton.
    pub options: Vec<String>,
    /// When it is checked: 0 never, 1 the root, 2 the others.
    pub pass: u8,
    /// Who is missed by whom.
    pub wish: Wish,
    /// How long its device is waited for.
    pub wait: Duration,
}

/// What the options say to those who mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It is mounted, and missed when it cannot be.
    Mount,
    /// It is mounted, and told when it cannot be (`nofail`).
    MayFail,
    /// It is left to others (`noauto`).
    Leave,
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which line it is.
    pub number: usize,
    /// What is wrong with it.
    pub cause: Cause,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It has fewer than three words.
    TooShort,
    /// The place is neither a path nor `none`.
    NoPath(String),
    /// The sixth word is no number.
    NoPass(String),
    /// This option cannot be understood.
    Option(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PATH}:{}: ", self.number)?;
        match &self.cause {
            Cause::TooShort => write!(f, "a line has a device, a place and a kind; this line is passed over"),
            Cause::NoPath(word) => write!(f, "'{word}' is no place to mount at; this line is passed over"),
            Cause::NoPass(word) => write!(f, "'{word}' is no number of a pass; this line is passed over"),
            Cause::Option(word) => write!(f, "'{word}' is no option; this line is passed over"),
        }
    }
}

impl std::error::Error for Broken {}

/// Reads the table.
pub fn parse(text: &str) -> (Vec<Entry>, Vec<Broken>) {
    let (mut entries, mut broken) = (Vec::new(), Vec::new());
    for line in text::lines(text, &['#']) {
        match entry(line.number, &line.text) {
            Ok(entry) => entries.push(entry),
            Err(cause) => broken.push(Broken { number: line.number, cause }),
        }
    }
    (entries, broken)
}

fn entry(number: usize, line: &str) -> Result<Entry, Cause> {
    let words: Vec<String> = line.split_whitespace().map(unescape).collect();
    let [source, target, kind, rest @ ..] = words.as_slice() else { return Err(Cause::TooShort) };
    let is_swap = kind == "swap";
    if !(target.starts_with('/') || is_swap || target == "none") {
        return Err(Cause::NoPath(target.clone()));
    }
    let pass = match rest.get(2) {
        None => 0,
        Some(word) => word.parse().map_err(|_| Cause::NoPass(word.clone()))?,
    };
    let mut entry = Entry {
        number,
        source: source.clone(),
        target: trimmed(target),
        kind: kind.clone(),
        options: Vec::new(),
        pass,
        wish: Wish::Mount,
        wait: WAIT,
    };
    let mut wait = None;
    for option in rest.first().map_or("", String::as_str).split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("noauto", "") => entry.wish = Wish::Leave,
            ("nofail", "") if entry.wish == Wish::Mount => entry.wish = Wish::MayFail,
            (
                "nofail" | "auto" | "fail" | "_netdev" | "user" | "users" | "nouser" | "owner" | "group",
                "",
            ) => {}
            ("x-sexton.timeout" | "x-systemd.device-timeout", time) => {
                wait = Some(parse_duration(time).map_err(|_| Cause::Option(option.to_owned()))?);
            }
            (name, _) if name.starts_with("x-") || name == "comment" => {}
            _ => entry.options.push(option.to_owned()),
        }
    }
    entry.wait = wait.unwrap_or(if entry.wish == Wish::MayFail { SHORT_WAIT } else { WAIT });
    Ok(entry)
}

/// A place without the slash at its end.
fn trimmed(target: &str) -> String {
    match target.trim_end_matches('/') {
        "" if !target.is_empty() => "/".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// Options that are the kernel's own flags: set, or taken back.
const FLAGS: [(&str, MsFlags, bool); 26] = [
    ("defaults", MsFlags::empty(), true),
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("atime", MsFlags::MS_NOATIME, false),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("nostrictatime", MsFlags::MS_STRICTATIME, false),
    ("mand", MsFlags::MS_MANDLOCK, true),
    ("nomand", MsFlags::MS_MANDLOCK, false),
    ("silent", MsFlags::MS_SILENT, true),
    ("loud", MsFlags::MS_SILENT, false),
    ("bind", MsFlags::MS_BIND, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
];

/// Options as the kernel takes them: its own flags, and what is for the file system.
pub fn flags_and_data<'a>(options: impl IntoIterator<Item = &'a str>) -> (MsFlags, String) {
    let (mut flags, mut data) = (MsFlags::empty(), Vec::new());
    for option in options {
        match FLAGS.iter().find(|(name, _, _)| *name == option) {
            Some((_, flag, set)) => flags.set(*flag, *set),
            None if option == "loop" => {}
            None => data.push(option),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_mounted_where_and_who_misses_it() {
        let (entries, broken) = parse(
            "# a comment\nUUID=ab-cd /srv/ ext4 noatime,nofail,x-systemd.automount,commit=5 0 2\n\
             /dev/vda2 none swap sw,pri=5\n/dev/sdb1\t/mnt\\040x auto noauto,ro\n\
             LABEL=data /data xfs defaults,x-sexton.timeout=3s 0 0\n",
        );
        assert_eq!(broken, []);
        let [srv, swap, mnt, data] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!((srv.target.as_str(), srv.wish, srv.pass), ("/srv", Wish::MayFail, 2));
        assert_eq!(srv.options, ["noatime", "commit=5"]);
        assert_eq!((srv.wait, data.wait), (SHORT_WAIT, Duration::from_secs(3)));
        assert_eq!((swap.target.as_str(), swap.wish, swap.pass), ("none", Wish::Mount, 0));
        assert_eq!((mnt.target.as_str(), mnt.wish), ("/mnt x", Wish::Leave));
        let (flags, rest) = flags_and_data(srv.options.iter().map(String::as_str));
        assert_eq!((flags, rest.as_str()), (MsFlags::MS_NOATIME, "commit=5"));
    }

    #[test]
    fn a_line_that_cannot_be_used_costs_that_line_and_says_why() {
        let (entries, broken) = parse(
            "/dev/a\n/dev/b /b\n/dev/c c ext4\n/dev/d /d ext4 defaults 0 x\n/dev/e /e ext4 x-sexton.timeout=soon\n\
             \u{0}\n/dev/f / ext4 ro 0 1\n",
        );
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].target.as_str(), entries[0].number), ("/", 7));
        let said: Vec<String> = broken.iter().map(Broken::to_string).collect();
        let short =
            |n| format!("/etc/fstab:{n}: a line has a device, a place and a kind; this line is passed over");
        assert_eq!(
            said,
            [
                short(1),
                short(2),
                "/etc/fstab:3: 'c' is no place to mount at; this line is passed over".to_owned(),
                "/etc/fstab:4: 'x' is no number of a pass; this line is passed over".to_owned(),
                "/etc/fstab:5: 'x-sexton.timeout=soon' is no option; this line is passed over".to_owned(),
                short(6),
            ]
        );
        assert_eq!(parse(""), (vec![], vec![]));
        assert_eq!(parse(&"x\n".repeat(50_000)).1.len(), 50_000);
    }

    #[test]
    fn the_later_of_two_options_wins() {
        let flags = |options: &[&str]| flags_and_data(options.iter().copied()).0;
        assert_eq!(flags(&["ro", "rw"]), MsFlags::empty());
        assert_eq!(flags(&["rw", "ro", "defaults"]), MsFlags::MS_RDONLY);
        assert_eq!(flags(&["rbind"]), MsFlags::MS_BIND | MsFlags::MS_REC);
    }
}

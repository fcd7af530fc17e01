//! The kernel's command line, as far as it speaks to an init.
//!
//! ```text
//!   ro quiet root=UUID=… rootfstype=ext4 sexton.start=web,db sexton.debug init="/sbin/init" -- what follows is init's
//! ```
//!
//! The later of two equal words wins, as with the kernel. Whatever cannot be understood is kept aside, to be told.

use super::UnitName;
use super::log::LogTarget;

/// What of it is read; the kernel takes a few KiB.
pub const LONGEST: usize = 64 * 1024;

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelLine {
    /// `sexton.start=A,B`: started in place of what `sexton.toml` says.
    pub start: Vec<UnitName>,
    /// `sexton.rescue`: a shell on the console before everything else.
    pub rescue: bool,
    /// `sexton.debug`: every small step is told.
    pub debug: bool,
    /// `sexton.log=`: where the output of units goes.
    pub log: Option<LogTarget>,
    /// `root=`: the device of the real root.
    pub root: Option<String>,
    /// `rootfstype=`: what may be on it, in the order in which it is tried.
    pub root_types: Vec<String>,
    /// `rootflags=`: options of its mount.
    pub root_flags: Option<String>,
    /// `rw`: it is mounted for writing; `ro`, or nothing, not.
    pub root_writable: bool,
    /// `rootwait` or `rootdelay=`: its device may come late.
    pub root_wait: bool,
    /// `init=`: who is the init of the real root.
    pub init: Option<String>,
    /// Words that begin with `sexton.` and mean nothing, or nothing that can be.
    pub unknown: Vec<String>,
}

impl KernelLine {
    /// Reads it; everything of it can be wrong, and none of it is a reason not to boot.
    pub fn parse(text: &str) -> KernelLine {
        let mut line = KernelLine::default();
        let text = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
        for word in words(text) {
            if word == "--" {
                break;
            }
            line.take(&word);
        }
        line
    }

    fn take(&mut self, word: &str) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        match (name, value) {
            ("root", Some(value)) => self.root = Some(value.to_owned()),
            ("rootfstype", Some(value)) => {
                self.root_types =
                    value.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
            }
            ("rootflags", Some(value)) => self.root_flags = Some(value.to_owned()),
            ("init", Some(value)) if !value.is_empty() => self.init = Some(value.to_owned()),
            ("rw", None) => self.root_writable = true,
            ("ro", None) => self.root_writable = false,
            ("rootwait", None) | ("rootdelay" | "rootwait", Some(_)) => self.root_wait = true,
            _ => {
                if let Some(name) = name.strip_prefix("sexton.") {
                    self.take_own(name, value, word);
                }
            }
        }
    }

    fn take_own(&mut self, name: &str, value: Option<&str>, word: &str) {
        match (name, value) {
            ("rescue", None) => self.rescue = true,
            ("debug", None) => self.debug = true,
            ("start", Some(value)) => {
                let names = value.split(',').filter(|name| !name.is_empty());
                for name in names {
                    match UnitName::parse(name) {
                        Ok(name) => self.start.push(name),
                        Err(_) => self.unknown.push(word.to_owned()),
                    }
                }
            }
            ("log", Some("console")) => self.log = Some(LogTarget::Console),
            ("log", Some("file")) => self.log = Some(LogTarget::File),
            ("log", Some("null")) => self.log = Some(LogTarget::Null),
            _ => self.unknown.push(word.to_owned()),
        }
    }
}

/// The words; a part in double quotes is one with what it stands beside, and the quotes are gone.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut in_quotes, mut is_word) = (false, false);
    for c in text.chars() {
        match c {
            '"' => {
                in_quotes = !in_quotes;
                is_word = true;
            }
            c if c.is_whitespace() && !in_quotes => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            c => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_sexton_and_for_the_root_is_found_among_the_rest() {
        let line = KernelLine::parse(
            "BOOT_IMAGE=/vmlinuz root=UUID=ab-cd ro quiet rootfstype=ext4,xfs rootflags=\"data=ordered noatime\" \
             sexton.start=web,redis@1 sexton.debug rw sexton.log=file init=/sbin/sexton rootwait\n",
        );
        assert_eq!(line.root.as_deref(), Some("UUID=ab-cd"));
        assert_eq!(line.root_types, ["ext4", "xfs"]);
        assert_eq!(line.root_flags.as_deref(), Some("data=ordered noatime"));
        assert_eq!(line.start.iter().map(UnitName::as_str).collect::<Vec<_>>(), ["web", "redis@1"]);
        assert!(line.debug && line.root_writable && line.root_wait && !line.rescue);
        assert_eq!((line.log, line.init.as_deref()), (Some(LogTarget::File), Some("/sbin/sexton")));
        assert_eq!(line.unknown, [""; 0]);
    }

    #[test]
    fn what_means_nothing_is_told_and_stops_nothing() {
        let line =
            KernelLine::parse("sexton.nonsense sexton.log=moon sexton.start=../x,ok sexton.rescue=1 x");
        assert_eq!(
            line.unknown,
            ["sexton.nonsense", "sexton.log=moon", "sexton.start=../x,ok", "sexton.rescue=1"]
        );
        assert_eq!(line.start.len(), 1);
        assert_eq!(KernelLine::parse(""), KernelLine::default());
        assert_eq!(KernelLine::parse("\0\u{fffd} \"").root, None);
        assert_eq!(KernelLine::parse(&"sexton.start=a ".repeat(100_000)).start.len(), LONGEST / 15);
    }

    #[test]
    fn what_follows_two_dashes_is_not_the_kernels() {
        assert!(!KernelLine::parse("ro -- sexton.rescue").rescue);
        assert!(KernelLine::parse("ro \"sexton.rescue\"").rescue);
    }

    #[test]
    fn the_later_of_two_wins() {
        let line = KernelLine::parse("rw root=/dev/a ro root=/dev/b");
        assert_eq!((line.root.as_deref(), line.root_writable), (Some("/dev/b"), false));
    }
}

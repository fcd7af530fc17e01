//! Kernel modules without a modprobe: what depends on what, which file is which, what it is told.
//!
//! ```text
//!   name or alias ──▶ modules.dep: its file and those it needs ──▶ loaded, the last one first
//!        modules.alias ┘        modprobe.d: options, blacklist ┘
//! ```
//!
//! Names are compared with `-` as `_`, as the kernel does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::early::words;
use super::programs::{output_of, program};
use super::text::{self, files_of, lines};
use crate::sys::files;
use crate::sys::machine::{ModuleFile, load_module, load_module_image};

/// Debian's whole `modules.alias` has 1.5 MiB.
const LARGEST: u64 = 16 << 20;

/// The largest drivers of graphics cards have some ten MiB.
const LARGEST_MODULE: u64 = 64 << 20;

/// A chain of modules that need each other is never longer; a circle would be.
const MOST: usize = 256;

/// What is known of the modules of this kernel.
#[derive(Debug, Default)]
pub struct Modules {
    root: PathBuf,
    /// File and needs, by name.
    known: BTreeMap<String, (String, Vec<String>)>,
    options: BTreeMap<String, String>,
    unwanted: BTreeSet<String>,
    /// Loaded by this, or found loaded.
    done: BTreeSet<String>,
}

/// Why a module is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotLoaded {
    /// There is no such module.
    Unknown,
    /// The kernel, or reading it, said this.
    Cause(String),
}

impl std::fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotLoaded::Unknown => f.write_str("there is no such module"),
            NotLoaded::Cause(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for NotLoaded {}

/// A module's name as the kernel has it.
pub fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// `kernel/fs/ext4/ext4.ko.xz` is `ext4`.
fn name_of(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    file.split_once(".ko").map(|(name, _)| plain(name)).filter(|name| !name.is_empty())
}

/// Reads `modules.dep`: a file, and behind the colon those that it needs.
fn parse_needs(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let entry = |line: &str| {
        let (file, needs) = line.split_once(':')?;
        let needs = needs.split_whitespace().take(MOST).map(str::to_owned).collect();
        Some((name_of(file)?, (file.trim().to_owned(), needs)))
    };
    text.lines().filter_map(entry).collect()
}

impl Modules {
    /// What there is for the kernel that runs; empty where it has no modules.
    pub fn of_this_kernel() -> Modules {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let places = ["/lib/modules", "/usr/lib/modules"].map(|place| Path::new(place).join(release.trim()));
        let root = places.into_iter().find(|place| place.join("modules.dep").exists()).unwrap_or_default();
        let mut modules =
            Modules { known: parse_needs(&read(&root.join("modules.dep"))), root, ..Modules::default() };
        for file in files_of(&["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d"], ".conf") {
            modules.take_options(&text::read(&file).unwrap_or_default());
        }
        modules
    }

    /// Is there any?
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn take_options(&mut self, text: &str) {
        for line in lines(text, &['#']) {
            let mut words = line.text.split_whitespace();
            match (words.next(), words.next()) {
                (Some("options"), Some(name)) => {
                    let given: Vec<&str> = words.collect();
                    let all = self.options.entry(plain(name)).or_default();
                    if !all.is_empty() {
                        all.push(' ');
                    }
                    all.push_str(&given.join(" "));
                }
                (Some("blacklist"), Some(name)) => drop(self.unwanted.insert(plain(name))),
                _ => {}
            }
        }
    }

    /// Loads a module by its name, with what it needs. One that is there, or is built in, is fine.
    pub fn load(&mut self, name: &str, parameters: &str) -> Result<(), NotLoaded> {
        let name = plain(name);
        if self.done.contains(&name) || Path::new("/sys/module").join(&name).join("initstate").exists() {
            return Ok(());
        }
        let Some((file, needs)) = self.known.get(&name).cloned() else {
            let built_in = read(&self.root.join("modules.builtin"));
            let is_there = Path::new("/sys/module").join(&name).exists()
                || built_in.lines().any(|line| name_of(line).as_ref() == Some(&name));
            return if is_there { Ok(()) } else { Err(NotLoaded::Unknown) };
        };
        // What is needed by others of them stands behind those.
        for need in needs.iter().rev() {
            if let Some(need_name) = name_of(need).filter(|need| !self.done.contains(need)) {
                self.insert(&need_name, need, "")?;
            }
        }
        self.insert(&name, &file, parameters)
    }

    /// Loads what an alias of the hardware's stands for, unless somebody said that he does not want it.
    pub fn load_for_hardware(&mut self, name: &str) -> Result<(), NotLoaded> {
        if self.unwanted.contains(&plain(name)) { Ok(()) } else { self.load(name, "") }
    }

    fn insert(&mut self, name: &str, file: &str, parameters: &str) -> Result<(), NotLoaded> {
        let path = if file.starts_with('/') { PathBuf::from(file) } else { self.root.join(file) };
        let own = self.options.get(name).map_or("", String::as_str);
        let parameters = format!("{own} {parameters}");
        open_and_load(&path, parameters.trim())
            .map_err(|cause| NotLoaded::Cause(format!("'{}': {cause}", path.display())))?;
        self.done.insert(name.to_owned());
        Ok(())
    }

    /// The patterns of `modules.alias`, each with the module that it stands for.
    pub fn aliases(&self) -> Vec<(String, String)> {
        let entry = |line: &str| {
            let mut words = line.strip_prefix("alias ")?.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        read(&self.root.join("modules.alias")).lines().filter_map(entry).collect()
    }
}

fn open_and_load(path: &Path, parameters: &str) -> Result<(), String> {
    let parameters = CString::new(parameters).map_err(|_| "there is a NUL in its parameters".to_owned())?;
    let ending = path.extension().unwrap_or_default();
    let form = if ending == "ko" { ModuleFile::Plain } else { ModuleFile::Packed };
    let done = File::open(path).and_then(|file| load_module(&file, &parameters, form));
    let done = match done {
        // The kernel unpacks modules itself where it was built to (`CONFIG_MODULE_DECOMPRESS`); others know of no such flag.
        Err(error)
            if form == ModuleFile::Packed
                && matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL)) =>
        {
            load_module_image(&unpacked(path, &ending.to_string_lossy())?, &parameters)
        }
        done => done,
    };
    match done {
        Err(error) if error.raw_os_error() != Some(libc::EEXIST) => Err(words(&error)),
        _ => Ok(()),
    }
}

/// What a packed module is when it is unpacked, by the program for its form.
fn unpacked(path: &Path, ending: &str) -> Result<Vec<u8>, String> {
    let cannot = "this kernel cannot unpack modules";
    let names = [("gz", "gzip"), ("xz", "xz"), ("zst", "zstd")];
    let Some((_, name)) = names.into_iter().find(|(known, _)| *known == ending) else {
        return Err(format!("{cannot}, and what a '.{ending}' is is not known"));
    };
    let Some(program) = program(name) else {
        return Err(format!("{cannot}, and there is no '{name}' to do it"));
    };
    output_of(Command::new(program).arg("-dc").arg(path), LARGEST_MODULE)
        .map_err(|error| format!("{cannot}, and '{name}' did not: {error}"))
}

fn read(path: &Path) -> String {
    let bytes = files::read_bounded(path, LARGEST).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Does a pattern of `modules.alias` fit? Only `*`, `?` and `[…]` mean anything in it, and none of them costs more than the
/// product of both lengths.
pub fn fits(pattern: &str, alias: &str) -> bool {
    let (pattern, alias) = (pattern.as_bytes(), alias.as_bytes());
    let (mut p, mut a) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while a < alias.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, a));
                p += 1;
                continue;
            }
            Some(b'?') => {
                (p, a) = (p + 1, a + 1);
                continue;
            }
            Some(b'[') => {
                if let Some(next) = fits_class(pattern, p, alias.get(a).copied()) {
                    (p, a) = (next, a + 1);
                    continue;
                }
            }
            Some(byte) if Some(byte) == alias.get(a) => {
                (p, a) = (p + 1, a + 1);
                continue;
            }
            _ => {}
        }
        // Nothing fits here: the last star takes one byte more.
        let Some((at, taken)) = star else { return false };
        star = Some((at, taken + 1));
        (p, a) = (at + 1, taken + 1);
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Behind the class at `p`, if it has this byte.
fn fits_class(pattern: &[u8], p: usize, byte: Option<u8>) -> Option<usize> {
    let end = p + pattern.get(p..)?.iter().position(|byte| *byte == b']')?;
    let class = pattern.get(p + 1..end)?;
    let byte = byte?;
    let mut at = 0;
    while let Some(first) = class.get(at) {
        let range = class.get(at + 1..at + 3).filter(|range| range.first() == Some(&b'-'));
        let last = range.and_then(|range| range.get(1)).unwrap_or(first);
        if (*first..=*last).contains(&byte) {
            return Some(end + 1);
        }
        at += if range.is_some() { 3 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_known_by_its_name_with_what_it_needs() {
        let known = parse_needs(
            "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\nkernel/net/a-b.ko.xz:\nnonsense\n:\n",
        );
        assert_eq!(known.len(), 2);
        assert_eq!(known["ext4"].1, ["kernel/fs/jbd2/jbd2.ko", "kernel/lib/crc16.ko"]);
        assert_eq!(known["a_b"].0, "kernel/net/a-b.ko.xz");
        assert!(parse_needs(&"x.ko:".repeat(100)).len() == 1);
    }

    #[test]
    fn options_add_up_and_nonsense_among_them_is_passed_over() {
        let mut modules = Modules::default();
        modules.take_options(
            "# x\noptions a-b x=1\noptions a_b y=2 z\nblacklist bad-one\ninstall c /bin/true\noptions\n",
        );
        assert_eq!(modules.options["a_b"], "x=1 y=2 z");
        assert!(modules.unwanted.contains("bad_one"));
        assert_eq!(modules.load_for_hardware("bad-one"), Ok(()));
        assert_eq!(modules.load("no_such_module_here", ""), Err(NotLoaded::Unknown));
        assert_eq!(NotLoaded::Unknown.to_string(), "there is no such module");
        assert_eq!(NotLoaded::Cause("x".into()).to_string(), "x");
    }

    #[test]
    fn a_packed_module_that_the_kernel_cannot_unpack_is_unpacked_by_a_program() {
        let file = std::env::temp_dir().join(format!("sexton-module-{}.ko.gz", std::process::id()));
        // `gzip -n` of the word "module".
        let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\xcd\x4f\x29\xcd\x49\x05\0\x28\x26\x24\x0c\x06\0\0\0";
        fs::write(&file, packed).unwrap();
        assert_eq!(unpacked(&file, "gz").unwrap(), b"module");
        fs::write(&file, b"nothing that was packed").unwrap();
        assert!(
            unpacked(&file, "gz")
                .unwrap_err()
                .starts_with("this kernel cannot unpack modules, and 'gzip' did not")
        );
        assert!(unpacked(&file, "lzo").unwrap_err().ends_with("what a '.lzo' is is not known"));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn an_alias_fits_by_stars_and_classes() {
        for (pattern, alias) in [
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4"),
            ("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"),
            ("acpi*:PNP0C0C:*", "acpi:PNP0C0C:"),
            ("usb:v[0-9a]?b", "usb:vaxb"),
            ("*", ""),
        ] {
            assert!(fits(pattern, alias), "{pattern} {alias}");
        }
        for (pattern, alias) in
            [("a*b", "a"), ("", "a"), ("[0-9]", "x"), ("a[", "a["), ("a?", "a"), ("virtio:*", "pci:x")]
        {
            assert!(!fits(pattern, alias), "{pattern} {alias}");
        }
        assert!(!fits(&"*a".repeat(200), &"a".repeat(100)));
    }
}

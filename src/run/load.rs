//! Reads unit directories from disk and hands their text to `unitfile`: for `check` and for PID 1 alike.
//!
//! ```text
//!   /etc/sexton/units, /run/sexton/units, /usr/lib/sexton/units      NAME.toml: the first found wins
//!   the library inside the binary                                  what a unit or `start` names, and has no file
//!   NAME.d/*.toml in any of them                                     the first found of each name wins
//! ```
//!
//! Whatever lies in these directories, reading it neither blocks nor fills the memory: only regular files are
//! read, opened without waiting, and no more of them than [`LARGEST`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::{fs, io};

use crate::library;
use crate::machine::units;
use crate::model::spawn::errno_words;
use crate::sys::files;
use crate::unitfile::command::Command;
use crate::unitfile::diagnostic::{Diagnostic, Place};
use crate::unitfile::{self, Files, Input, Loaded, Own, UnitFile};

/// A unit is some hundred bytes. What is larger than this is no unit, and PID 1 does not read it.
pub const LARGEST: u64 = 1 << 20;

/// More files than these in a directory are not looked at: the list itself would fill the memory.
const MOST_FILES: usize = 200_000;

/// The settings may lie among the units, so no unit has this name.
const SETTINGS: &str = "sexton";

/// Where units are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitPaths {
    /// Directories, the most important first. The units of the first are started at boot when the settings do
    /// not say what is.
    pub directories: Vec<PathBuf>,
    /// `sexton.toml`; it may be missing.
    pub settings: PathBuf,
    /// What becomes the unit `main`.
    pub command: Option<Rc<Command>>,
    /// The units of sexton's own that are there beside them.
    pub own: OwnUnits,
    /// Is what has no file looked for in the library?
    pub library: Library,
}

/// Which units of sexton's own there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnUnits {
    /// None.
    #[default]
    None,
    /// Those of a machine.
    Machine,
}

/// What becomes of a name that no file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// The unit of the library that has it is taken.
    Searched,
    /// There is no such unit.
    Left,
}

impl UnitPaths {
    /// The directories of a system.
    pub fn system() -> UnitPaths {
        UnitPaths {
            directories: ["/etc/sexton/units", "/run/sexton/units", "/usr/lib/sexton/units"]
                .map(PathBuf::from)
                .into(),
            settings: PathBuf::from("/etc/sexton/sexton.toml"),
            command: None,
            own: OwnUnits::None,
            library: Library::Searched,
        }
    }

    /// One directory that holds all, its settings included: `sexton up DIR`.
    pub fn directory(directory: &Path) -> UnitPaths {
        UnitPaths {
            directories: vec![directory.to_owned()],
            settings: directory.join("sexton.toml"),
            command: None,
            own: OwnUnits::None,
            library: Library::Left,
        }
    }

    /// Is there a unit in the most important directory? What cannot be looked at has none.
    pub fn has_units(&self) -> bool {
        let entries = self.directories.first().and_then(|directory| fs::read_dir(directory).ok());
        let is_unit = |entry: io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                name.as_encoded_bytes().ends_with(b".toml") && !name.as_encoded_bytes().starts_with(b".")
            })
        };
        entries.is_some_and(|mut entries| entries.any(is_unit))
    }

    /// The same, and a command that becomes the unit `main`, in the present directory; none where there is no word. A
    /// word that is not UTF-8 comes back, as far as it is.
    pub fn with_command(self, words: Vec<OsString>) -> Result<UnitPaths, String> {
        let words: Result<Vec<String>, OsString> = words.into_iter().map(OsString::into_string).collect();
        let words = words.map_err(|word| word.to_string_lossy().into_owned())?;
        let directory =
            std::env::current_dir().ok().and_then(|path| path.into_os_string().into_string().ok());
        let command = (!words.is_empty()).then(|| Rc::new(Command { words, directory }));
        Ok(UnitPaths { command, ..self })
    }
}

/// Reads all units. What is wrong is in the answer, never a reason not to give one.
pub fn load(paths: &UnitPaths) -> Loaded {
    let (input, problems) = find(paths);
    let mut loaded = unitfile::load(&input, &mut Disk);
    if !problems.is_empty() {
        loaded.diagnostics.extend(problems);
        unitfile::resolve::sort(&mut loaded.diagnostics);
    }
    loaded
}

/// Finds the files, without reading one.
pub fn find(paths: &UnitPaths) -> (Input, Vec<Diagnostic>) {
    let mut found = Found::default();
    for (rank, directory) in paths.directories.iter().enumerate() {
        found.directory(directory, rank == 0);
    }
    let own = (paths.own == OwnUnits::Machine).then(|| found.own());
    let units = found.units.into_values().collect();
    let mut input = Input { units, command: paths.command.clone(), own, ..Input::default() };
    if paths.library == Library::Searched {
        input.library = library::names();
    }
    for (stem, files) in found.drop_ins {
        input.drop_ins.insert(stem, files.into_values().collect());
    }
    match fs::symlink_metadata(&paths.settings) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => input.settings = Some(Rc::from(paths.settings.as_path())),
    }
    (input, found.problems)
}

#[derive(Default)]
struct Found {
    units: BTreeMap<String, UnitFile>,
    drop_ins: BTreeMap<String, BTreeMap<String, Rc<Path>>>,
    problems: Vec<Diagnostic>,
}

impl Found {
    fn directory(&mut self, directory: &Path, at_boot: bool) {
        for (name, path) in self.entries(directory) {
            if let Some(stem) = name.strip_suffix(".d") {
                self.drop_ins_of(stem, &path);
            } else if let Some(stem) = name.strip_suffix(".toml").filter(|stem| *stem != SETTINGS) {
                let path = Rc::from(path.as_path());
                self.units.entry(stem.to_owned()).or_insert_with(|| UnitFile {
                    stem: stem.to_owned(),
                    path,
                    at_boot,
                });
            }
        }
    }

    /// The units of a machine, where no file has the name of one.
    fn own(&mut self) -> Own {
        for (name, _) in units::UNITS {
            let path = units::source(name);
            self.units.entry((*name).to_owned()).or_insert_with(|| UnitFile {
                stem: (*name).to_owned(),
                path: Rc::from(Path::new(&path)),
                at_boot: false,
            });
        }
        Own { base: units::BASE, names: units::NAMES, start: units::START }
    }

    fn drop_ins_of(&mut self, stem: &str, directory: &Path) {
        for (name, path) in self.entries(directory) {
            if name.ends_with(".toml") {
                let known = self.drop_ins.entry(stem.to_owned()).or_default();
                known.entry(name).or_insert_with(|| Rc::from(path.as_path()));
            }
        }
    }

    /// The entries of a directory. A directory that is not there has none; a file that hides is not one of them.
    fn entries(&mut self, directory: &Path) -> Vec<(String, PathBuf)> {
        let path = || Rc::from(directory);
        let listing = match fs::read_dir(directory).or_else(|_| fs::read_dir(directory)) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            // A file called `x.d` is none of ours.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory && directory.extension().is_some() => {
                return Vec::new();
            }
            Err(error) => {
                self.problems.push(Diagnostic::of_file(path(), format!("cannot list it: {}", words(&error))));
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for entry in listing.take(MOST_FILES) {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                Err(error) => {
                    self.problems
                        .push(Diagnostic::of_file(path(), format!("cannot list it: {}", words(&error))));
                    break;
                }
            };
            match name.into_string() {
                Ok(name) if name.starts_with('.') => {}
                Ok(name) => {
                    let path = directory.join(&name);
                    entries.push((name, path));
                }
                Err(name) => {
                    let file = Rc::from(directory.join(&name).as_path());
                    self.problems.push(Diagnostic::of_file(
                        file,
                        "a name that is not UTF-8 cannot be the name of a unit",
                    ));
                }
            }
        }
        if entries.len() == MOST_FILES {
            self.problems.push(Diagnostic::of_file(path(), format!("only {MOST_FILES} files are looked at")));
        }
        entries
    }
}

/// The disk.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&mut self, path: &Rc<Path>) -> Result<String, Box<Diagnostic>> {
        if let Some(text) = units::text(path) {
            return Ok(text.to_owned());
        }
        let of_library =
            path.to_str().and_then(|path| path.strip_prefix(library::PLACE)?.strip_suffix(".toml"));
        if let Some(text) = of_library.and_then(library::text) {
            return Ok(text.to_owned());
        }
        // What fails once, of a tired disk or for want of a descriptor, may work the next moment; a unit that is missed
        // at boot is missed until somebody looks.
        let bytes = read(path).or_else(|_| read(path)).map_err(|cause| {
            Box::new(Diagnostic::of_file(path.clone(), format!("cannot read it: {cause}")))
        })?;
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let place = Some(Place::find(&text, valid..valid + 1));
            Box::new(Diagnostic { place, ..Diagnostic::of_file(path.clone(), "this is not UTF-8") })
        })
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        match fs::read_dir(directory) {
            Ok(listing) => {
                // What is not UTF-8 can be no instance.
                let names =
                    listing.take(MOST_FILES).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                Ok(names.collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(words(&error)),
        }
    }

    fn exists(&mut self, path: &str) -> bool {
        Path::new(path).exists()
    }
}

/// The bytes of a regular file that is not too large. The error is the cause, in words.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    files::read_bounded(path, LARGEST).map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => "it is not a regular file".to_owned(),
        Some(libc::EFBIG) => format!("it is larger than {} KiB", LARGEST >> 10),
        _ => words(&error),
    })
}

fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}

/// A directory of its own for a test, gone when it is dropped.
#[cfg(test)]
pub(crate) mod scratch {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Scratch {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("sexton-load-{}-{number}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }

        /// A path in it; the directory itself for an empty name.
        pub(crate) fn path(&self, name: &str) -> PathBuf {
            if name.is_empty() { self.0.clone() } else { self.0.join(name) }
        }

        /// Writes a file, and the directories above it.
        pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // What is left in the temporary directory does no harm.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::scratch::Scratch;
    use super::*;
    use crate::model::unit::Entry;

    fn load_directory(scratch: &Scratch) -> Loaded {
        load(&UnitPaths::directory(&scratch.path("")))
    }

    /// What is said of the one file that is wrong beside a good one, without its directory.
    fn said_of_one(scratch: &Scratch) -> String {
        scratch.file("ok.toml", "");
        let loaded = load_directory(scratch);
        assert!(
            loaded.entries.iter().any(|entry| matches!(entry, Entry::Unit(u) if u.name.as_str() == "ok"))
        );
        assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
        let directory = format!("{}/", scratch.path("").display());
        loaded.diagnostics[0].to_string().replace(&directory, "")
    }

    #[test]
    fn a_directory_is_read_with_its_drop_ins_and_its_settings() {
        let scratch = Scratch::new();
        scratch.file("sexton.toml", "start = [\"a\"]\n[shutdown]\ntimeout = \"7s\"");
        scratch.file("a.toml", "description = \"one\"");
        scratch.file("a.d/x.toml", "description = \"two\"");
        scratch.file("a.d/README", "not this");
        scratch.file("b.toml.bak", "nor this");
        scratch.file(".c.toml", "nor this");
        let loaded = load_directory(&scratch);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let [Entry::Unit(unit)] = &loaded.entries[..] else { panic!("{:?}", loaded.entries) };
        assert_eq!((&*unit.description, unit.name.as_str()), ("two", "a"));
        assert_eq!(unit.source.to_path_buf(), scratch.path("a.toml"));
        assert_eq!(loaded.settings.shutdown_timeout.as_secs(), 7);
    }

    #[test]
    fn the_first_directory_that_has_a_unit_wins_and_only_its_units_start() {
        let scratch = Scratch::new();
        scratch.file("etc/a.toml", "description = \"etc\"");
        scratch.file("usr/a.toml", "description = \"usr\"");
        scratch.file("usr/b.toml", "description = \"usr\"");
        scratch.file("usr/a.d/1.toml", "docs = [\"usr\"]");
        scratch.file("usr/a.d/2.toml", "docs = [\"usr\"]");
        scratch.file("etc/a.d/2.toml", "docs = [\"etc\"]");
        let directories = vec![scratch.path("etc"), scratch.path("nowhere"), scratch.path("usr")];
        let loaded = load(&UnitPaths {
            directories,
            settings: scratch.path("none.toml"),
            command: None,
            own: OwnUnits::None,
            library: Library::Left,
        });
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let said: Vec<(&str, &[String])> = loaded
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Unit(unit) => Some((&*unit.description, &*unit.docs)),
                Entry::Broken { .. } => None,
            })
            .collect();
        assert_eq!(said, [("etc", &["etc".to_owned()][..]), ("usr", &[][..])]);
        assert_eq!(loaded.start.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn instances_are_found_on_disk() {
        let scratch = Scratch::new();
        scratch.file("conf/redis_1.conf", "");
        scratch.file("conf/redis_2.conf", "");
        let pattern = scratch.path("conf/redis_*.conf");
        let text =
            format!("[instances]\nfiles = \"{}\"\n[service]\nexec = [\"x\", \"%f\"]\n", pattern.display());
        scratch.file("redis@.toml", text);
        let loaded = load_directory(&scratch);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        assert_eq!(
            loaded.entries.iter().map(|entry| entry.name().as_str()).collect::<Vec<_>>(),
            ["redis@1", "redis@2"]
        );
    }

    #[test]
    fn a_file_of_ten_mebibytes_is_not_read() {
        let scratch = Scratch::new();
        scratch.file("big.toml", "#".repeat(10 << 20));
        assert_eq!(said_of_one(&scratch), "big.toml: cannot read it: it is larger than 1024 KiB");
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let scratch = Scratch::new();
        nix::unistd::mkfifo(&scratch.path("pipe.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(said_of_one(&scratch), "pipe.toml: cannot read it: it is not a regular file");
    }

    #[test]
    fn symbolic_links_may_lead_to_a_unit_but_not_in_circles() {
        let scratch = Scratch::new();
        scratch.file("store/x", "description = \"linked\"");
        symlink("store/x", scratch.path("x.toml")).unwrap();
        symlink("loop.toml", scratch.path("loop.toml")).unwrap();
        let said = said_of_one(&scratch);
        assert!(said.starts_with("loop.toml: cannot read it: too many levels of symbolic links"), "{said}");
    }

    #[test]
    fn a_circle_of_directories_is_not_walked() {
        let scratch = Scratch::new();
        symlink(".", scratch.path("a.d")).unwrap();
        symlink("loop.d", scratch.path("loop.d")).unwrap();
        let said = said_of_one(&scratch);
        assert!(said.starts_with("loop.d: cannot list it: too many levels of symbolic links"), "{said}");
    }

    #[test]
    fn a_directory_a_dangling_link_and_a_device_are_no_units() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path("dir.toml")).unwrap();
        assert_eq!(said_of_one(&scratch), "dir.toml: cannot read it: it is not a regular file");
        let scratch = Scratch::new();
        symlink("/nowhere/at/all", scratch.path("gone.toml")).unwrap();
        assert_eq!(said_of_one(&scratch), "gone.toml: cannot read it: no such file or directory");
        let scratch = Scratch::new();
        symlink("/dev/zero", scratch.path("zero.toml")).unwrap();
        assert_eq!(said_of_one(&scratch), "zero.toml: cannot read it: it is not a regular file");
    }

    #[test]
    fn what_is_not_utf_8_is_an_error_with_its_place() {
        let scratch = Scratch::new();
        scratch.file("latin.toml", b"a = 1\ndescription = \"caf\xe9\"\n");
        assert_eq!(said_of_one(&scratch), "latin.toml:2:19: this is not UTF-8");
        let scratch = Scratch::new();
        scratch.file("nul.toml", b"\0\0\0");
        assert!(said_of_one(&scratch).starts_with("nul.toml:1:1: "));
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_an_error() {
        let scratch = Scratch::new();
        fs::write(scratch.path("").join(OsStr::from_bytes(b"\xff.toml")), "").unwrap();
        assert!(said_of_one(&scratch).ends_with("a name that is not UTF-8 cannot be the name of a unit"));
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_units() {
        let loaded = load(&UnitPaths::directory(Path::new("/nowhere/at/all")));
        assert!(loaded.entries.is_empty() && loaded.diagnostics.is_empty());
    }
}

//! Reads unit directories from disk and hands their text to `unitfile`: for `check` and for PID 1 alike.
//!
//! ```text
//!   /etc/sexton/units, /run/sexton/units, /usr/lib/sexton/units      NAME.toml: the first found wins
//!   NAME.d/*.toml in any of them                                     the first found of each name wins
//! ```
//!
//! Whatever lies in these directories, reading it neither blocks nor fills the memory: only regular files are
//! read, opened without waiting, and no more of them than [`LARGEST`].

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::model::spawn::errno_words;
use crate::unitfile::diagnostic::{Diagnostic, Place};
use crate::unitfile::{self, Files, Input, Loaded, UnitFile};

/// A unit is some hundred bytes. What is larger than this is no unit, and PID 1 does not read it.
pub const LARGEST: u64 = 1 << 20;

/// More files than these in a directory are not looked at: the list itself would fill the memory.
const MOST_FILES: usize = 200_000;

/// Where units are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitPaths {
    /// Directories, the most important first. The units of the first are started at boot when the settings do
    /// not say what is.
    pub directories: Vec<PathBuf>,
    /// `sexton.toml`; it may be missing.
    pub settings: PathBuf,
}

impl UnitPaths {
    /// The directories of a system.
    pub fn system() -> UnitPaths {
        UnitPaths {
            directories: ["/etc/sexton/units", "/run/sexton/units", "/usr/lib/sexton/units"]
                .map(PathBuf::from)
                .into(),
            settings: PathBuf::from("/etc/sexton/sexton.toml"),
        }
    }

    /// One directory that holds all, its settings included: `sexton up DIR`.
    pub fn directory(directory: &Path) -> UnitPaths {
        UnitPaths { directories: vec![directory.to_owned()], settings: directory.join("sexton.toml") }
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
        let settings = Some(paths.settings.as_path()).filter(|path| path.parent() == Some(directory));
        found.directory(directory, settings, rank == 0);
    }
    let mut input = Input { units: found.units.into_values().collect(), ..Input::default() };
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
    fn directory(&mut self, directory: &Path, settings: Option<&Path>, at_boot: bool) {
        for (name, path) in self.entries(directory) {
            if let Some(stem) = name.strip_suffix(".d") {
                self.drop_ins_of(stem, &path);
            } else if let Some(stem) = name.strip_suffix(".toml").filter(|_| Some(path.as_path()) != settings)
            {
                let path = Rc::from(path.as_path());
                self.units.entry(stem.to_owned()).or_insert_with(|| UnitFile {
                    stem: stem.to_owned(),
                    path,
                    at_boot,
                });
            }
        }
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
        let listing = match fs::read_dir(directory) {
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
        let bytes = read(path).map_err(|cause| {
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
    // O_NONBLOCK: a pipe that nobody writes to would otherwise hold PID 1 for ever.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file: File =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| words(&error))?;
    let metadata = file.metadata().map_err(|error| words(&error))?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(LARGEST) as usize + 1);
    // The size is asked for and yet not believed: the file may be growing, or be one of /proc.
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| words(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} KiB", LARGEST >> 10));
    }
    Ok(bytes)
}

fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}

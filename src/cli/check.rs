//! `sexton check`: reads unit files as init would, and says everything that is wrong with them.
//!
//! ```text
//!   no PATH      the directories of the system and its settings
//!   a directory  its units, and its sexton.toml
//!   a file       that unit: the others of its directory are read too, because it may depend on them
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Serialize;

use super::library::{advice, outside};
use super::{Exit, style};
use crate::library::read;
use crate::machine::units;
use crate::model::Unit;
use crate::model::unit::Entry;
use crate::run::load::{self, Disk, Library, OwnUnits, UnitPaths};
use crate::unitfile::render::{Colour, render};
use crate::unitfile::resolve::sort;
use crate::unitfile::{self, Diagnostic, Files, Level};

/// Checks the units at `paths` and writes what is wrong, for people or as one JSON object. Answers how the
/// command ends: failed where there is an error, done where there are only warnings or nothing.
pub fn run(paths: &[PathBuf], json: bool, colour: style::Colour, out: &mut dyn Write) -> io::Result<Exit> {
    let checked = check(paths);
    let colour = match colour {
        style::Colour::On => Colour::Styled,
        style::Colour::Off => Colour::Plain,
    };
    if json {
        write_json(&checked, out)?
    } else {
        write_words(&checked, colour, out)?
    }
    let failed = checked.diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// What a check found.
struct Checked {
    units: usize,
    diagnostics: Vec<Diagnostic>,
}

fn check(paths: &[PathBuf]) -> Checked {
    let (directories, files): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().partition(|path| !is_file(path));
    let mut searched: Vec<PathBuf> = directories.into_iter().cloned().collect();
    let mut diagnostics = Vec::new();
    for path in searched.iter().filter(|path| !path.exists()) {
        diagnostics.push(Diagnostic::of_file(Rc::from(path.as_path()), "there is no such file or directory"));
    }
    for file in &files {
        let parent = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        if !searched.iter().any(|known| known == parent) {
            searched.push(parent.to_owned());
        }
    }
    // A unit may name those that sexton brings along on a machine; they are not what is checked here.
    let system = UnitPaths { own: OwnUnits::Machine, ..UnitPaths::system() };
    let unit_paths = match searched.first() {
        None => system,
        Some(first) => UnitPaths {
            settings: first.join("sexton.toml"),
            directories: searched,
            library: Library::Left,
            ..system
        },
    };
    let (input, problems) = load::find(&unit_paths);
    let mut loaded = unitfile::load(&input, &mut Disk);
    loaded.diagnostics.extend(problems);
    let warnings = unitfile::lint::lint(&loaded, &input, &mut Disk);
    loaded.diagnostics.extend(warnings);
    loaded.diagnostics.extend(of_other_versions(&loaded.entries));
    loaded.diagnostics.extend(advised(&loaded.entries));
    let is_own = |entry: &&Entry| matches!(entry, Entry::Unit(unit) if units::text(&unit.source).is_some());
    let mut units = loaded.entries.len() - loaded.entries.iter().filter(is_own).count();
    if paths.len() == files.len() && !files.is_empty() {
        let wanted = wanted_files(&files, &input);
        loaded.diagnostics.retain(|diagnostic| wanted.contains(&*diagnostic.file));
        units = loaded.entries.iter().filter(|entry| belongs(entry, &files)).count();
    }
    diagnostics.append(&mut loaded.diagnostics);
    sort(&mut diagnostics);
    Checked { units, diagnostics }
}

/// Units that say in `[library]` what they were tested with, where what is installed is another version.
fn of_other_versions(entries: &[Entry]) -> Vec<Diagnostic> {
    let sources = entries.iter().filter_map(|entry| match entry {
        Entry::Unit(unit) => Some(unit.source.clone()),
        Entry::Broken { .. } => None,
    });
    let sources: BTreeSet<Rc<Path>> = sources.collect();
    let warning = |source: Rc<Path>| {
        let text = Disk.read(&source).ok()?;
        let words = outside(&read(&stem(&source), &text)?)?;
        Some(Diagnostic { level: Level::Warning, ..Diagnostic::of_file(source, words) })
    };
    sources.into_iter().filter_map(warning).collect()
}

/// What units say in `[library]` of their daemons' own configuration.
fn advised(entries: &[Entry]) -> Vec<Diagnostic> {
    let mut by_source: BTreeMap<Rc<Path>, Vec<&Rc<Unit>>> = BTreeMap::new();
    for entry in entries {
        if let Entry::Unit(unit) = entry {
            by_source.entry(unit.source.clone()).or_default().push(unit);
        }
    }
    let warnings = by_source.into_iter().flat_map(|(source, units)| {
        let said = Disk.read(&source).map(|text| advice(&text, &units)).unwrap_or_default();
        said.into_iter().map(move |(words, help)| {
            let warning = Diagnostic::of_file(source.clone(), words);
            Diagnostic { level: Level::Warning, help: Some(help), ..warning }
        })
    });
    warnings.collect()
}

/// Anything that is there and is no directory: a pipe is a file too, and is refused where it is read.
fn is_file(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

/// The files that were asked for, each with the drop-ins of its unit.
fn wanted_files(files: &[&PathBuf], input: &unitfile::Input) -> BTreeSet<PathBuf> {
    let mut wanted = BTreeSet::new();
    for file in files {
        // A file is found by way of its directory, and named so in what is said of it.
        let directory = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        wanted.insert(file.file_name().map_or_else(|| file.to_path_buf(), |name| directory.join(name)));
        wanted.extend(input.drop_ins.get(&stem(file)).into_iter().flatten().map(|path| path.to_path_buf()));
    }
    wanted
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Is the unit one of the files, or an instance of one?
fn belongs(entry: &Entry, files: &[&PathBuf]) -> bool {
    let name = entry.name();
    let of = |file: &&PathBuf| {
        let stem = stem(file);
        stem == name.as_str() || name.instance().is_some() && stem.strip_suffix('@') == Some(name.prefix())
    };
    files.iter().any(of)
}

fn counts(checked: &Checked) -> (usize, usize) {
    let errors = checked.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error).count();
    (errors, checked.diagnostics.len() - errors)
}

fn write_words(checked: &Checked, colour: Colour, out: &mut dyn Write) -> io::Result<()> {
    for diagnostic in &checked.diagnostics {
        writeln!(out, "{}", render(diagnostic, colour))?;
    }
    let (errors, warnings) = counts(checked);
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let units = count(checked.units, "unit");
    writeln!(out, "{units}, {}, {}", count(errors, "error"), count(warnings, "warning"))
}

/// One diagnostic for a program. Lines and columns count from 1; the end is the column after the last character.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'d> {
    level: &'static str,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<usize>,
    message: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'d str>,
}

impl<'d> Finding<'d> {
    fn of(diagnostic: &'d Diagnostic) -> Finding<'d> {
        let place = diagnostic.place.as_ref();
        Finding {
            level: diagnostic.level.as_str(),
            file: diagnostic.file.display().to_string(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            end_line: place.map(|place| place.end_line),
            end_column: place.map(|place| place.end_column),
            message: &diagnostic.message,
            help: diagnostic.help.as_deref(),
        }
    }
}

/// The answer for a program.
#[derive(Serialize)]
struct Findings<'d> {
    units: usize,
    errors: Vec<Finding<'d>>,
}

fn write_json(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    let errors = checked.diagnostics.iter().map(Finding::of).collect();
    let findings = Findings { units: checked.units, errors };
    serde_json::to_writer(&mut *out, &findings)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::load::scratch::Scratch;

    fn check(paths: &[PathBuf], json: bool) -> (u8, String) {
        let mut out = Vec::new();
        let exit = run(paths, json, style::Colour::Off, &mut out).unwrap();
        (exit.code(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn errors_end_with_one_and_warnings_with_zero() {
        let scratch = Scratch::new();
        scratch.file("a.toml", "neds = []\n");
        scratch.file("b.toml", "[service]\nexec = [\"/nowhere/at all\"]\n");
        let (code, text) = check(&[scratch.path("")], false);
        assert_eq!(code, 1);
        assert!(text.contains("error: unknown key 'neds'") && text.contains("1 | neds = []"), "{text}");
        assert!(text.contains("warning: the program '/nowhere/at all' is not there"), "{text}");
        assert!(text.ends_with("\n2 units, 1 error, 1 warning\n"), "{text}");
        let (code, text) = check(&[scratch.path("b.toml")], false);
        assert_eq!(code, 0);
        assert!(text.ends_with("\n1 unit, 0 errors, 1 warning\n"), "{text}");
    }

    #[test]
    fn a_program_gets_one_object_with_places() {
        let scratch = Scratch::new();
        scratch.file("a.toml", "neds = []\n");
        let (code, text) = check(&[scratch.path("")], true);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let error = &value["errors"][0];
        assert_eq!((code, value["units"].as_u64()), (1, Some(1)));
        assert_eq!(error["file"], scratch.path("a.toml").display().to_string());
        assert_eq!((error["line"].as_u64(), error["column"].as_u64()), (Some(1), Some(1)));
        assert_eq!((error["endLine"].as_u64(), error["endColumn"].as_u64()), (Some(1), Some(5)));
        assert_eq!(error["message"], "unknown key 'neds'");
        assert_eq!(error["help"], "did you mean 'needs'?");
        assert_eq!(error["level"], "error");
    }

    #[test]
    fn one_file_is_checked_among_its_neighbours_and_they_are_not() {
        let scratch = Scratch::new();
        scratch.file("db@.toml", "[instances]\ncount = 2\n");
        scratch.file("web.toml", "needs = [\"db@1\", \"db@3\"]\n");
        scratch.file("bad.toml", "x = 1\n");
        let (code, text) = check(&[scratch.path("web.toml")], false);
        assert_eq!(code, 1);
        assert!(
            text.contains("the template 'db@' has no instance '3'") && !text.contains("bad.toml"),
            "{text}"
        );
        let (code, text) = check(&[scratch.path("db@.toml")], false);
        assert_eq!((code, text.as_str()), (0, "2 units, 0 errors, 0 warnings\n"));
    }

    /// Units with the advice of the library's own, and files in a place of the test's.
    fn advised_of(name: &str, from: &str, files: &[(&str, &str)]) -> String {
        let scratch = Scratch::new();
        let place = scratch.path("etc").display().to_string();
        let text = crate::library::text(name).unwrap().replace(from, &place);
        scratch.file(&format!("units/{name}.toml"), &text);
        for (path, text) in files {
            scratch.file(&format!("etc/{path}"), text);
        }
        let (code, text) = check(&[scratch.path("units")], false);
        assert_eq!(code, 0, "{text}");
        text.replace(&place, "ETC")
    }

    #[test]
    fn php_fpm_is_warned_of_requests_that_a_reload_drops() {
        let warned = "'ETC/**/*.conf' lacks what 'php-fpm' needs";
        let conf = |value: &str| format!("[global]\npid = x\n{value}\ninclude=y\n");
        for dropping in ["", ";process_control_timeout = 10", "process_control_timeout = 0"] {
            let text = advised_of("php-fpm", "/etc/php/8.2/fpm", &[("php-fpm.conf", &conf(dropping))]);
            assert!(text.contains(warned) && text.contains("a reload and a stop drop"), "{text}");
        }
        let kept =
            [("php-fpm.conf", &*conf("")), ("pool.d/a.conf", "[global]\nprocess_control_timeout = 10s\n")];
        let text = advised_of("php-fpm", "/etc/php/8.2/fpm", &kept);
        assert!(!text.contains("lacks"), "{text}");
        assert!(!advised_of("php-fpm", "/etc/php/8.2/fpm", &[]).contains("lacks"));
    }

    #[test]
    fn a_redis_that_cannot_save_is_warned_of() {
        let redis = |text: &str| advised_of("redis@", "/etc/redis", &[("redis_1.conf", text)]);
        for (text, warned) in [
            ("port 1\ndir /tmp\ndir /proc\n", "cannot write '/proc', which 'ETC/redis_1.conf' names"),
            ("port 1\n# dir /tmp\n", "'ETC/redis_1.conf' names no directory, and"),
        ] {
            // Where there is no user 'redis' nothing can be said of it.
            let text = redis(text);
            let known = std::fs::read_to_string("/etc/passwd").unwrap().contains("\nredis:");
            assert_eq!(text.contains(warned), known, "{text}");
        }
        assert!(!redis("port 1\ndir /tmp\n").contains("cannot write"));
    }

    #[test]
    fn instances_whose_own_files_name_one_port_are_warned_of() {
        let files = [("redis_1.conf", "port 7000\n"), ("redis_2.conf", "port 6379\nport 7000\n")];
        let text = advised_of("redis@", "/etc/redis", &files);
        assert!(text.contains("the files of 'redis@1' and 'redis@2' both say '7000'"), "{text}");
        let files =
            [("redis_1.conf", "port 7000\n"), ("redis_2.conf", "port 7001\n"), ("redis_3.conf", "port 0\n")];
        assert!(!advised_of("redis@", "/etc/redis", &files).contains("both say"));
    }

    #[test]
    fn instances_whose_files_name_no_port_share_the_default() {
        let warned = |file: &str, place: &str, files: &[(&str, &str)], words: &str| {
            let text = advised_of(file, place, files);
            assert!(text.contains(words), "{text}");
        };
        let redis = "the files of 'redis@1' and 'redis@2' come to '6379'";
        warned("redis@", "/etc/redis", &[("redis_1.conf", ""), ("redis_2.conf", "# port 1\n")], redis);
        warned("redis@", "/etc/redis", &[("redis_1.conf", "port 6379\n"), ("redis_2.conf", "")], redis);
        let puma = "the files of 'puma@a' and 'puma@b' come to 'tcp://0.0.0.0:9292'";
        warned("puma@", "/etc/puma", &[("a.rb", "threads 1\n"), ("b.rb", "app 1\n")], puma);
        let gunicorn = "the files of 'gunicorn@a' and 'gunicorn@b' come to '127.0.0.1:8000'";
        warned("gunicorn@", "/etc/gunicorn", &[("a.conf.py", "x = 1\n"), ("b.conf.py", "")], gunicorn);
        let two = "[instances]\nnames = [\"shop\", \"blog\"]\n";
        let mariadb = "the commands of 'mariadb@blog' and 'mariadb@shop' both say '3306'";
        warned("mariadb@", "/nowhere", &[("../units/mariadb@.d/two.toml", two)], mariadb);
        for (file, place, files) in [
            ("redis@", "/etc/redis", [("redis_1.conf", ""), ("redis_2.conf", "port 0\n")]),
            ("redis@", "/etc/redis", [("redis_1.conf", ""), ("redis_2.conf", "include /etc/other.conf\n")]),
            ("puma@", "/etc/puma", [("a.rb", ""), ("b.rb", "port ENV['PORT']\n")]),
            ("gunicorn@", "/etc/gunicorn", [("a.conf.py", ""), ("b.conf.py", "bind = ['a:1', 'b:2']\n")]),
        ] {
            let text = advised_of(file, place, &files);
            assert!(!text.contains("only one of them"), "{file}: {text}");
        }
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        let (code, text) = check(&[PathBuf::from("/nowhere/at/all")], false);
        assert_eq!(code, 1);
        assert!(text.contains("/nowhere/at/all: there is no such file or directory"), "{text}");
    }
}

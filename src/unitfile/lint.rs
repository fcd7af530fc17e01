//! What is allowed and will yet not work as its author thinks: warnings of `sexton check`.
//!
//! ```text
//!   two units, or two instances       with the same address, socket, pid file, directory or rendered file
//!   a program with its whole path     that is not there, and so for the template of a rendered file
//!   a reload by a signal              that no test comes before
//!   two processes at a restart        whose readiness, or pid file, cannot be told apart
//!   drop-ins                          for a unit that is not there
//! ```
//!
//! PID 1 never asks for these. Places are found by reading the file again, so nothing is kept for them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Level, Place, Span, nearest};
use super::program::settled;
use super::{Files, Input, Loaded};
use crate::model::Unit;
use crate::model::unit::{DirectoryKind, Entry, Program, Readiness, ReloadBy, Render};

/// Looks at all units that were loaded. The warnings come in no order.
pub fn lint(loaded: &Loaded, input: &Input, files: &mut dyn Files) -> Vec<Diagnostic> {
    let mut lint = Lint { input, files, warnings: Vec::new() };
    let units = || {
        loaded
            .entries
            .iter()
            .filter_map(|entry| if let Entry::Unit(unit) = entry { Some(unit) } else { None })
    };
    let mut owners: BTreeMap<Thing, Vec<&Rc<Unit>>> = BTreeMap::new();
    for unit in units() {
        let Some(program) = unit.program() else { continue };
        for thing in things(program) {
            owners.entry(thing).or_default().push(unit);
        }
    }
    owners.iter().filter(|(_, units)| units.len() > 1).for_each(|(thing, units)| lint.shared(thing, units));
    lint.programs(units());
    lint.reloads(units());
    lint.overlaps(units());
    lint.drop_ins(loaded);
    lint.warnings
}

/// Something that two units cannot both have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Thing {
    kind: ThingKind,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ThingKind {
    Tcp(&'static str),
    Socket,
    PidFile,
    Directory(&'static str),
    Rendered,
}

impl Thing {
    /// The tables and the key that name it in this unit.
    fn key(&self, unit: &Unit) -> Vec<String> {
        let [table, key] = match self.kind {
            ThingKind::Tcp(key) => ["ready", key],
            ThingKind::Socket => ["ready", "unix"],
            ThingKind::PidFile => ["process", "pid-file"],
            ThingKind::Directory(key) => ["dirs", key],
            ThingKind::Rendered => {
                let is_it = |render: &Render| render.to.as_str() == self.value;
                let index = unit.program().and_then(|program| program.renders.iter().position(is_it));
                return render_key(index.unwrap_or(0), "to");
            }
        };
        vec![table.to_owned(), key.to_owned()]
    }
}

/// A key of one of the `[[render]]` tables.
fn render_key(index: usize, key: &str) -> Vec<String> {
    vec!["render".to_owned(), index.to_string(), key.to_owned()]
}

impl fmt::Display for ThingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ThingKind::Tcp(_) => f.write_str("TCP address"),
            ThingKind::Socket => f.write_str("socket"),
            ThingKind::PidFile => f.write_str("pid file"),
            ThingKind::Directory(key) => write!(f, "{key} directory"),
            ThingKind::Rendered => f.write_str("rendered file"),
        }
    }
}

fn things(program: &Program) -> Vec<Thing> {
    let ready = match &program.ready.how {
        Readiness::Tcp(address) => Some((ThingKind::Tcp("tcp"), address.to_string())),
        Readiness::Http(target) => Some((ThingKind::Tcp("http"), target.address.to_string())),
        Readiness::Unix(path) => settled(path).map(|path| (ThingKind::Socket, path.to_owned())),
        _ => None,
    };
    let pid_file = program.process.pid_file.as_ref().and_then(settled);
    let mut things: Vec<(ThingKind, String)> = ready.into_iter().collect();
    things.extend(pid_file.map(|path| (ThingKind::PidFile, path.to_owned())));
    let rendered = program.renders.iter().filter_map(|render| settled(&render.to));
    things.extend(rendered.map(|path| (ThingKind::Rendered, path.to_owned())));
    for directory in program.dirs.iter() {
        let key = match directory.kind {
            DirectoryKind::Runtime => "runtime",
            DirectoryKind::State => "state",
            // Caches and logs are made to be shared.
            DirectoryKind::Cache | DirectoryKind::Log => continue,
        };
        things.push((ThingKind::Directory(key), directory.path.clone()));
    }
    things.into_iter().map(|(kind, value)| Thing { kind, value }).collect()
}

struct Lint<'a> {
    input: &'a Input,
    files: &'a mut dyn Files,
    warnings: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn shared(&mut self, thing: &Thing, units: &[&Rc<Unit>]) {
        let [first, .., last] = units else { return };
        // Units that are never up together may well use the same port.
        let apart = |a: &Unit, b: &Unit| a.conflicts.contains(&b.name) || b.conflicts.contains(&a.name);
        let clash = units.iter().enumerate().any(|(n, a)| units.iter().skip(n + 1).any(|b| !apart(a, b)));
        if !(units.len() > 16 || clash) {
            return;
        }
        let who = match units.len() {
            2 => format!("'{}' and '{}'", first.name, last.name),
            many => format!("'{}', '{}' and {} more units", first.name, last.name, many - 2),
        };
        let message = format!("{who} share the {} '{}'", thing.kind, thing.value);
        let same_file = units.iter().all(|unit| unit.source == first.source);
        let help = (same_file && first.name.instance().is_some())
            .then(|| "all instances of the template have it: use %i, %f or a parameter in it".to_owned());
        self.warn(last, &thing.key(last), message, help);
    }

    fn programs<'u>(&mut self, units: impl Iterator<Item = &'u Rc<Unit>>) {
        // The instances of a template have one program, and one warning.
        let mut seen: BTreeSet<(Rc<Path>, &str)> = BTreeSet::new();
        for unit in units {
            let Some(program) = unit.program() else { continue };
            let table = if unit.is_task() { "task" } else { "service" };
            let exec = program.exec.argv().first().and_then(settled);
            let exec = exec.map(|path| ("program", path, vec![table.to_owned(), "exec".to_owned()]));
            let templates = program.renders.iter().enumerate().filter_map(|(index, render)| {
                Some(("template", settled(&render.from)?, render_key(index, "from")))
            });
            for (what, path, key) in exec.into_iter().chain(templates) {
                if seen.insert((unit.source.clone(), path)) && !self.files.exists(path) {
                    self.warn(unit, &key, format!("the {what} '{path}' is not there"), None);
                }
            }
        }
    }

    /// A daemon that reads a broken configuration at a signal often ends there and then.
    fn reloads<'u>(&mut self, units: impl Iterator<Item = &'u Rc<Unit>>) {
        let mut seen: BTreeSet<Rc<Path>> = BTreeSet::new();
        for unit in units {
            let Some(program) = unit.program().filter(|program| program.configtest.is_none()) else {
                continue;
            };
            let Some(ReloadBy::Signal(signal)) = program.reload.as_ref().map(|reload| &reload.how) else {
                continue;
            };
            if seen.insert(unit.source.clone()) {
                let message = format!(
                    "nothing tests the configuration before {signal}, at which a broken one may end it"
                );
                let help = "give it a [configtest]: then a broken configuration never reaches it";
                self.warn(unit, &["reload", "signal"], message, Some(help.to_owned()));
            }
        }
    }

    /// While two processes of a unit run, what each of them shows has to be its own.
    fn overlaps<'u>(&mut self, units: impl Iterator<Item = &'u Rc<Unit>>) {
        let mut seen: BTreeSet<Rc<Path>> = BTreeSet::new();
        for unit in units {
            let Some(program) = unit.program().filter(|program| program.restart.overlap) else { continue };
            let (message, help) = match (&program.ready.how, &program.process.pid_file) {
                (_, Some(_)) => {
                    ("both processes write the same pid file, and only one of them is found in it", None)
                }
                (Readiness::Exec, None) => (
                    "without [ready] the new process counts as ready after a second, and the old one may be stopped too early",
                    Some("let it say when it serves: notify, fd or log"),
                ),
                (Readiness::Tcp(_) | Readiness::Unix(_) | Readiness::Http(_) | Readiness::File(_), None) => (
                    "what [ready] looks at is there already, from the old process: the new one counts as ready after a second",
                    Some("let it say itself when it serves: notify, fd or log"),
                ),
                (
                    Readiness::Notify | Readiness::Fd(_) | Readiness::Log(_) | Readiness::Command { .. },
                    None,
                ) => continue,
            };
            if seen.insert(unit.source.clone()) {
                self.warn(unit, &["restart", "overlap"], message.to_owned(), help.map(str::to_owned));
            }
        }
    }

    fn drop_ins(&mut self, loaded: &Loaded) {
        let known: BTreeSet<&str> = (self.input.units.iter().map(|file| file.stem.as_str()))
            .chain(loaded.entries.iter().map(|entry| entry.name().as_str()))
            .collect();
        for (stem, paths) in self.input.drop_ins.iter().filter(|(stem, _)| !known.contains(stem.as_str())) {
            let message = format!("it changes nothing: there is no unit '{stem}'");
            let help = nearest(stem, known.iter().copied()).map(|word| format!("did you mean '{word}.d'?"));
            for path in paths {
                let diagnostic = Diagnostic::of_file(path.clone(), message.clone());
                self.warnings.push(Diagnostic { level: Level::Warning, help: help.clone(), ..diagnostic });
            }
        }
    }

    /// Warns at the key of a unit, in whichever of its files it stands.
    fn warn(&mut self, unit: &Unit, key: &[impl AsRef<str>], message: String, help: Option<String>) {
        let of_template = unit.name.instance().map(|_| format!("{}@", unit.name.prefix()));
        let stems = [of_template.as_deref().unwrap_or_default(), unit.name.as_str()];
        let drop_ins = stems.iter().filter_map(|stem| self.input.drop_ins.get(*stem)).flatten();
        let paths: Vec<Rc<Path>> = std::iter::once(&unit.source).chain(drop_ins).cloned().collect();
        let found = paths.iter().rev().find_map(|path| {
            let text = self.files.read(path).ok()?;
            Some((path.clone(), Place::find(&text, find(&text, key)?)))
        });
        let (file, place) = match found {
            Some((file, place)) => (file, Some(place)),
            None => (unit.source.clone(), None),
        };
        let diagnostic = Diagnostic::of_file(file, message);
        self.warnings.push(Diagnostic { level: Level::Warning, place, help, ..diagnostic });
    }
}

/// Where a key's value stands in a text. A number is a place in an array of tables.
fn find(text: &str, key: &[impl AsRef<str>]) -> Option<Span> {
    let (root, _) = DeTable::parse_recoverable(text);
    let (first, below) = key.split_first()?;
    let mut value = root.get_ref().get(first.as_ref())?;
    for name in below {
        value = match value.get_ref() {
            DeValue::Table(table) => table.get(name.as_ref())?,
            DeValue::Array(items) => items.get(name.as_ref().parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value.span())
}

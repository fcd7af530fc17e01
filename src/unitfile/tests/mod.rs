//! The unit language, read from files in memory: what is understood, and what is said of what is not.

mod command;
mod graph;
mod hostile;
mod language;
mod lints;
mod page;
mod phases;
mod templates;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::{Diagnostic, Files, Input, Loaded, UnitFile};
use crate::model::Unit;
use crate::model::unit::Entry;

/// Files in memory. A path that ends in `.toml` is a unit, one in a `.d` directory a drop-in, and
/// `sexton.toml` the settings; everything else is there to be found by patterns.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(BTreeMap<String, String>);

impl Memory {
    /// These paths with these texts.
    pub(super) fn new(files: &[(&str, &str)]) -> Memory {
        Memory(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// What a walk over the directory would find.
    pub(super) fn input(&self) -> Input {
        let mut input = Input::default();
        for path in self.0.keys() {
            let rc: Rc<Path> = Rc::from(Path::new(path));
            match (path.strip_suffix(".toml"), path.split_once(".d/")) {
                (Some(_), Some((stem, _))) => input.drop_ins.entry(stem.to_owned()).or_default().push(rc),
                (Some("sexton"), None) => input.settings = Some(rc),
                (Some(stem), None) => {
                    input.units.push(UnitFile {
                        stem: stem.to_owned(),
                        path: rc,
                        at_boot: !stem.starts_with("lib"),
                    });
                }
                (None, _) => {}
            }
        }
        input
    }
}

impl Files for Memory {
    fn read(&mut self, path: &Rc<Path>) -> Result<String, Box<Diagnostic>> {
        let text = path.to_str().and_then(|path| self.0.get(path)).cloned();
        text.ok_or_else(|| {
            Box::new(Diagnostic::of_file(path.clone(), "cannot read it: no such file or directory"))
        })
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        let below = self.0.keys().filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
        let mut names: Vec<String> =
            below.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }

    fn exists(&mut self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

/// Loads these files.
pub(super) fn load(files: &[(&str, &str)]) -> Loaded {
    let mut memory = Memory::new(files);
    super::load(&memory.input(), &mut memory)
}

/// Loads these files, in which nothing may be wrong.
pub(super) fn good(files: &[(&str, &str)]) -> Vec<Rc<Unit>> {
    let loaded = load(files);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let units = loaded.entries.into_iter().map(|entry| match entry {
        Entry::Unit(unit) => unit,
        Entry::Broken { name, words } => panic!("{name}: {words}"),
    });
    units.collect()
}

/// Loads one unit, in which nothing may be wrong.
pub(super) fn one(text: &str) -> Rc<Unit> {
    good(&[("web.toml", text)]).remove(0)
}

/// All diagnostics, one line each, with the hint behind.
pub(super) fn said(loaded: &Loaded) -> Vec<String> {
    let line = |d: &Diagnostic| match &d.help {
        Some(help) => format!("{d} ({help})"),
        None => d.to_string(),
    };
    loaded.diagnostics.iter().map(line).collect()
}

/// What is said of one unit file called `web.toml`, without the file's name.
pub(super) fn errors(text: &str) -> Vec<String> {
    let said = said(&load(&[("web.toml", text)]));
    said.into_iter().map(|line| line.strip_prefix("web.toml:").unwrap_or(&line).to_owned()).collect()
}

//! TEXT → MODEL: reads unit files and says what is wrong with them, with place and caret. Pure.
//!
//! ```text
//!   Input (which files there are) ──→ load ──→ Loaded (units, settings, diagnostics)
//!                                      │
//!   for each file: document (parse, merge drop-ins, hold against schema) → unit, program, process (read) → draft
//!   for each template: template (find instances) → a draft each          then, over all: resolve → cycles → units
//! ```
//!
//! Files are asked for one at a time through [`Files`] and let go as soon as they are read: a thousand units
//! never stand in memory as text. What turns out wrong only later is shown by asking for its file again.

pub mod command;
mod cycles;
pub mod diagnostic;
pub mod document;
pub mod kind;
mod library;
pub mod lint;
pub mod log;
pub mod machine;
pub mod parts;
pub mod phases;
pub mod pool;
pub mod process;
pub mod program;
pub mod read;
pub mod render;
pub mod resolve;
mod resources;
pub mod schema;
mod security;
pub mod set;
pub mod settings;
pub mod substitute;
pub mod template;
pub mod unit;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

pub use diagnostic::{Diagnostic, Level};
pub use set::load;

use crate::model::unit::Entry;
use crate::model::{Settings, UnitName};

/// The world outside: files and directories, as far as reading units needs them.
pub trait Files {
    /// The text of a file, or what is wrong with it.
    fn read(&mut self, path: &Rc<Path>) -> Result<String, Box<Diagnostic>>;

    /// The names in a directory; none when it does not exist. The error is the cause, in words.
    fn list(&mut self, directory: &str) -> Result<Vec<String>, String>;

    /// Is there something at this path?
    fn exists(&mut self, path: &str) -> bool;
}

/// Which files there are.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Unit files, one a name, in the order of their names.
    pub units: Vec<UnitFile>,
    /// Drop-ins by the name of what they change, in the order in which they are merged.
    pub drop_ins: BTreeMap<String, Vec<Rc<Path>>>,
    /// `sexton.toml`, where there is one.
    pub settings: Option<Rc<Path>>,
    /// How many instances a template has, by its part before `@`, over the `count` of its file (`sexton scale`).
    pub counts: BTreeMap<String, u32>,
    /// What becomes the unit `main`.
    pub command: Option<Rc<command::Command>>,
    /// The units of sexton's own that are there on a machine.
    pub own: Option<Own>,
    /// Names of units that are there without a file, for whoever names one.
    pub library: Vec<&'static str>,
}

/// What is known of the units that a machine has of sexton's own; their files are among the others.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// What every unit comes after that is not needed for it.
    pub base: &'static str,
    /// The names of all of them: what they come after they say themselves.
    pub names: &'static [&'static str],
    /// What starts at boot, whatever the settings say.
    pub start: &'static [&'static str],
}

/// One unit file.
#[derive(Clone, Debug)]
pub struct UnitFile {
    /// Its name without `.toml`.
    pub stem: String,
    /// Where it is.
    pub path: Rc<Path>,
    /// It is started at boot when `sexton.toml` does not say what is.
    pub at_boot: bool,
}

/// What came of reading all of them.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Every unit and every instance, in the order of their names.
    pub entries: Vec<Entry>,
    /// What is to be started at boot, in the order of `start` or of the names.
    pub start: Vec<UnitName>,
    /// What `sexton.toml` says of sexton itself.
    pub settings: Settings,
    /// Everything that is wrong, file by file.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// How many errors, and how many warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error).count();
        (errors, self.diagnostics.len() - errors)
    }
}

#[cfg(test)]
mod tests;

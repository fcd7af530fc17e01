//! The library: what a unit of it says of itself in `[library]`, and which of its units a set of files names.
//!
//! `[library]` is for people and for `check`; PID 1 keeps none of it. A unit of the library is read only where `start`,
//! `needs` or `wants` names it and no file has that name.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;

use super::diagnostic::{Diagnostic, Level};
use super::kind::Kind;
use super::schema::{Key, key};
use super::set::{Content, Slot, Start};
use super::unit::Relation;
use super::{Input, UnitFile};
use crate::model::UnitName;

/// What its paths begin with.
const PLACE: &str = "library:/";

/// `[library]`.
pub(super) static LIBRARY: &[Key] = &[
    key("product", Kind::Text, "", "what the daemon is called by those who make it"),
    key("versions", Kind::Texts, "[]", "versions that it was tested with; `\"1.22\"` stands for 1.22.1 too"),
    key("tested", Kind::Flag, "false", "`true`: it is run with its daemon by the tests of sexton"),
    key("untested", Kind::Text, "", "what was not tested, and why"),
    key("source", Kind::Text, "", "where the daemon comes from, or what the unit was written after"),
    key("packages", Kind::Map, "{}", "by distribution: the package that brings the daemon"),
    key("suits", Kind::Texts, "[]", "distributions whose paths and users are the unit's"),
    key("differs", Kind::Map, "{}", "by distribution: what has to be changed there"),
    key("advice", Kind::Tables(ADVICE), "", "what `check` looks for in the daemon's own configuration"),
];

/// One of `[library] advice`.
static ADVICE: &[Key] = &[
    key(
        "files",
        Kind::Text,
        "the file of the instance",
        "pattern of the files that are looked at; with neither, it is the command, a word a line",
    ),
    key("find", Kind::Text, "", "regular expression; its first group is the value; must be given"),
    key(
        "when",
        Kind::Choice(&["found", "missing", "shared", "unwritable"]),
        "",
        "when it is said; must be given",
    ),
    key("says", Kind::Text, "", "what comes of it, or what is to be done"),
    key("default", Kind::Text, "", "of `\"shared\"`: the value of a file in which nothing matches"),
];

/// All that names units.
pub(super) struct Wished<'a> {
    /// What was read.
    pub(super) slots: &'a [Slot],
    /// Where each of them is.
    pub(super) index: &'a HashMap<UnitName, usize>,
    /// What the settings start.
    pub(super) start: &'a [Start],
}

impl Wished<'_> {
    /// Those of `library` that are named, and that neither a file nor a template has.
    pub(super) fn of(
        &self,
        library: &[&'static str],
        is_template: impl Fn(&str) -> bool,
    ) -> BTreeSet<&'static str> {
        if library.is_empty() {
            return BTreeSet::new();
        }
        let needed = self.slots.iter().flat_map(|slot| match &slot.content {
            Content::Draft(draft) => &draft.dependencies[..],
            Content::Broken(_) => &[],
        });
        let needed = needed.filter(|needed| matches!(needed.relation, Relation::Needs | Relation::Wants));
        let targets = needed.map(|needed| &*needed.target);
        let mut found = BTreeSet::new();
        for target in targets.chain(self.start.iter().map(|(target, _)| target.as_str())) {
            let file = match target.split_once('@') {
                Some((prefix, _)) if is_template(prefix) => continue,
                Some((prefix, _)) => format!("{prefix}@"),
                None => target.to_owned(),
            };
            if !UnitName::parse(target).is_ok_and(|name| self.index.contains_key(&name)) {
                found.extend(library.iter().find(|name| **name == file).copied());
            }
        }
        found
    }
}

/// Adds these units of the library, as if they were files.
pub(super) fn extend(input: &mut Input, named: BTreeSet<&'static str>) {
    input.library.retain(|name| !named.contains(name));
    for name in named {
        let path = Rc::from(Path::new(&format!("{PLACE}{name}.toml")));
        input.units.push(UnitFile { stem: name.to_owned(), path, at_boot: false });
    }
    input.units.sort_by(|a, b| a.stem.cmp(&b.stem));
}

/// That a unit has no file is said, for whoever thinks that it has.
pub(super) fn notice(file: &UnitFile) -> Option<Diagnostic> {
    file.path.to_str()?.strip_prefix(PLACE)?;
    let message = format!("no file is called '{}.toml', so this unit is the library's", file.stem);
    let help = format!("`sexton add {}` makes a copy of it that is your own", file.stem);
    let diagnostic = Diagnostic::of_file(file.path.clone(), message).with_help(help);
    Some(Diagnostic { level: Level::Warning, ..diagnostic })
}

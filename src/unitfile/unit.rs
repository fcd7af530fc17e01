//! One unit out of its tables: its line for people, its dependencies by name, its kind.
//!
//! Dependencies stay words here, each with its place; `resolve` turns them into units when all are known.

use std::path::Path;
use std::rc::Rc;

use toml::de::DeTable;

use super::diagnostic::{Span, Spot};
use super::read::{Reader, items, table};
use crate::model::name::{check_instance, check_prefix};
use crate::model::unit::{Kind, Program};
use crate::model::{Unit, UnitName};

/// A unit whose dependencies are still words.
#[derive(Debug)]
pub struct Draft {
    /// All but its dependencies.
    pub unit: Unit,
    /// Its dependencies in the order of the file.
    pub dependencies: Vec<Dependency>,
}

/// One dependency as it was written, `%` replaced.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// Which list it stands in.
    pub relation: Relation,
    /// `name`, `name@instance` or `name@*`.
    pub target: Rc<str>,
    /// Where.
    pub spot: Spot,
}

/// The lists of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// Started first and ready; if it ends for good, so does this.
    Needs,
    /// Started first; this carries on without it.
    Wants,
    /// Order only.
    After,
    /// Order only, the other direction.
    Before,
    /// Never up together.
    Conflicts,
}

impl Relation {
    /// Every list.
    pub const ALL: [Relation; 5] =
        [Relation::Needs, Relation::Wants, Relation::After, Relation::Before, Relation::Conflicts];

    /// The key.
    pub fn as_str(self) -> &'static str {
        match self {
            Relation::Needs => "needs",
            Relation::Wants => "wants",
            Relation::After => "after",
            Relation::Before => "before",
            Relation::Conflicts => "conflicts",
        }
    }
}

/// The tables that say something of a process, which a target does not have.
const OF_A_PROCESS: [&str; 16] = [
    "require",
    "process",
    "dirs",
    "prepare",
    "render",
    "configtest",
    "pre-start",
    "post-start",
    "pre-stop",
    "post-stop",
    "ready",
    "reload",
    "stop",
    "restart",
    "log",
    "security",
];

/// Where a unit comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its name.
    pub name: UnitName,
    /// The unit file.
    pub source: Rc<Path>,
    /// The file that made the instance.
    pub instance_file: Option<Rc<Path>>,
}

impl<'s> Reader<'_, 's> {
    /// Reads a whole unit. Nothing comes back when it cannot even be sketched; errors are in `problems` either way.
    pub fn unit(&mut self, root: &DeTable<'s>, origin: Origin) -> Option<Draft> {
        let clean = self.problems.errors() == 0;
        let description = self.part(|parts| &mut parts.description, |reader| reader.description(root));
        let docs = self.part(|parts| &mut parts.docs, |reader| reader.docs(root));
        let none = self.pool.names.usual();
        let dependencies = self.dependencies(root, &origin.name);
        let kind = self.kind(root, clean)?;
        let unit = Unit {
            name: origin.name,
            description,
            docs,
            source: origin.source,
            instance_file: origin.instance_file,
            needs: none.clone(),
            wants: none.clone(),
            after: none.clone(),
            before: none.clone(),
            conflicts: none,
            manual: self.flag(root, "manual").unwrap_or(false),
            essential: self.flag(root, "essential").unwrap_or(false),
            kind,
        };
        Some(Draft { unit, dependencies })
    }

    fn description(&mut self, root: &DeTable<'s>) -> Rc<str> {
        let description = root.get("description").and_then(|value| self.plain(value)).unwrap_or_default();
        self.pool.line(&description)
    }

    fn docs(&mut self, root: &DeTable<'s>) -> Rc<[String]> {
        let docs = items(root, "docs").iter().filter_map(|item| Some(self.plain(item)?.into_owned()));
        let docs = docs.collect();
        self.pool.docs.share(docs)
    }

    /// All that a service or a task runs.
    fn runs(&mut self, root: &DeTable<'s>, run: &DeTable<'s>, at: &Span) -> Option<Rc<Program>> {
        self.part(|parts| &mut parts.program, |reader| reader.program(root, run, at))
    }

    fn kind(&mut self, root: &DeTable<'s>, clean: bool) -> Option<Kind> {
        match (table(root, "service"), table(root, "task")) {
            (Some((run, at)), None) => self.runs(root, run, &at).map(Kind::Service),
            (None, Some((run, at))) => {
                self.not_of_a_task(root);
                self.runs(root, run, &at).map(Kind::Task)
            }
            (Some(_), Some((_, at))) => {
                self.problems.error(&at, "a unit is a [service] or a [task], not both");
                None
            }
            (None, None) => {
                let stray = OF_A_PROCESS.iter().find_map(|name| Some((name, root.get(*name)?)));
                if let (Some((name, value)), true) = (stray, clean) {
                    let message = format!("'{name}' needs a [service] or a [task]: without one nothing runs");
                    self.problems.error(&value.span(), message);
                }
                Some(Kind::Target)
            }
        }
    }

    /// What only a process that keeps running can have.
    fn not_of_a_task(&mut self, root: &DeTable<'s>) {
        let overlap = table(root, "restart").and_then(|(restart, _)| restart.get("overlap"));
        for (value, message) in [
            (root.get("ready"), "a task is ready when it has exited with 0: [ready] says nothing here"),
            (root.get("reload"), "a task reads its configuration when it runs: [reload] says nothing here"),
            (
                root.get("pre-stop"),
                "a task serves nobody who has to be prepared: only a service has [[pre-stop]]",
            ),
            (overlap, "a task does not run twice at once: only a service has 'overlap'"),
        ] {
            if let Some(value) = value {
                self.problems.error(&value.span(), message);
            }
        }
    }

    fn dependencies(&mut self, root: &DeTable<'s>, name: &UnitName) -> Vec<Dependency> {
        let mut list = Vec::new();
        for relation in Relation::ALL {
            for item in items(root, relation.as_str()) {
                let Some(target) = self.plain(item) else { continue };
                let span = item.span();
                if let Err((message, help)) = check_target(&target, name) {
                    match help {
                        Some(help) => self.problems.error_help(&span, message, help),
                        None => self.problems.error(&span, message),
                    }
                } else if let Some(spot) = self.problems.sources.spot(&span) {
                    list.push(Dependency { relation, target: self.pool.line(&target), spot });
                }
            }
        }
        list
    }
}

/// Is `target` something that can be depended on?
fn check_target(target: &str, name: &UnitName) -> Result<(), (String, Option<String>)> {
    let parts = target.split_once('@');
    let checked = match parts {
        Some((prefix, "*")) => check_prefix(prefix),
        Some((prefix, "")) => {
            let help = format!("'{prefix}@*' is all its instances, '{prefix}@NAME' one of them");
            return Err((format!("'{target}' is a template, not a unit"), Some(help)));
        }
        Some((prefix, instance)) => check_prefix(prefix).and_then(|()| check_instance(instance)),
        None => check_prefix(target),
    };
    let checked = checked.and_then(|()| match target.ends_with("@*") {
        true => Ok(()),
        false => UnitName::parse(target).map(|_| ()),
    });
    match checked {
        Err(error) => Err((format!("'{target}' is not the name of a unit: {error}"), None)),
        Ok(()) if target == name.as_str() => Err((format!("'{target}' depends on itself"), None)),
        Ok(()) => Ok(()),
    }
}

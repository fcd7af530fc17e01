//! What new unit files change: who is new, who is gone, who needs a new process and who does not.
//!
//! ```text
//!   old ∖ new   removed          exec, process, dirs, renders, pipes differ   replaced: only a new process follows
//!   new ∖ old   added            anything else differs                        amended: in place
//! ```
//!
//! Nothing is changed here: a sync that is refused has never happened.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::model::Unit;
use crate::model::unit::{Kind, Program, Readiness};

use super::Engine;
use super::event::UnitId;

/// The way from the units that the engine has to those that the files describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Units of a new name.
    pub(crate) added: Vec<Rc<Unit>>,
    /// Units whose files are gone.
    pub(crate) removed: Vec<UnitId>,
    /// Units whose process, where one runs, has to be started anew.
    pub(crate) replaced: Vec<(UnitId, Rc<Unit>)>,
    /// Units that take the change as they are.
    pub(crate) amended: Vec<(UnitId, Rc<Unit>)>,
}

impl Difference {
    /// True when there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.replaced.is_empty()
            && self.amended.is_empty()
    }

    /// What holds before anything is stopped: who is new, and who takes the change as it is.
    pub(crate) fn at_first(&self) -> Difference {
        Difference { added: self.added.clone(), amended: self.amended.clone(), ..Difference::default() }
    }

    /// What holds once all that goes or changes is down.
    pub(crate) fn at_last(&self) -> Difference {
        Difference { removed: self.removed.clone(), replaced: self.replaced.clone(), ..Difference::default() }
    }

    /// Units that go by their old definitions until then.
    pub(crate) fn outdated(&self) -> BTreeSet<UnitId> {
        self.removed.iter().copied().chain(self.replaced.iter().map(|(unit, _)| *unit)).collect()
    }

    /// Units that are there already and go or change.
    pub(crate) fn units(&self) -> impl Iterator<Item = UnitId> {
        let changed = self.replaced.iter().chain(&self.amended).map(|(unit, _)| *unit);
        self.removed.iter().copied().chain(changed)
    }

    /// The new definition of a unit that is there already, where it changes.
    pub(crate) fn definition(&self, unit: UnitId) -> Option<&Rc<Unit>> {
        let mut changed = self.replaced.iter().chain(&self.amended);
        changed.find(|(id, _)| *id == unit).map(|(_, new)| new)
    }
}

/// What a new definition asks of a unit that runs by the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    InPlace,
    NewProcess,
}

impl Engine {
    /// Compares all units with what the files describe now.
    pub(crate) fn difference(&self, units: &[Rc<Unit>]) -> Difference {
        let mut difference = Difference::default();
        let mut named = BTreeSet::new();
        for new in units {
            let Some(id) = self.find(new.name.as_str()) else {
                difference.added.push(new.clone());
                continue;
            };
            named.insert(id);
            // A unit whose file had errors runs nothing, but whoever mended it wants it to.
            let change = self.cell(id).unit().map_or(Change::NewProcess, |old| compare(old, new));
            match change {
                Change::None => {}
                Change::InPlace => difference.amended.push((id, new.clone())),
                Change::NewProcess => difference.replaced.push((id, new.clone())),
            }
        }
        difference.removed = self.ids().filter(|id| !named.contains(id)).collect();
        difference
    }
}

fn compare(old: &Rc<Unit>, new: &Rc<Unit>) -> Change {
    if Rc::ptr_eq(old, new) || old == new {
        return Change::None;
    }
    match (&old.kind, &new.kind) {
        (Kind::Target, Kind::Target) => Change::InPlace,
        (Kind::Service(old), Kind::Service(new)) | (Kind::Task(old), Kind::Task(new)) => {
            if starts_alike(old, new) { Change::InPlace } else { Change::NewProcess }
        }
        _ => Change::NewProcess,
    }
}

/// Would a process that was started by one be as one that was started by the other?
fn starts_alike(old: &Program, new: &Program) -> bool {
    // What it was given at its birth to show its readiness with.
    let promised = |how: &Readiness| match how {
        Readiness::Fd(number) => Some(*number),
        Readiness::Notify => Some(-1),
        _ => None,
    };
    old.exec == new.exec
        && old.process == new.process
        && old.dirs == new.dirs
        && old.renders == new.renders
        && old.log == new.log
        // Bounds are changed in place; into a cgroup a process is born.
        && old.resources.is_some() == new.resources.is_some()
        && promised(&old.ready.how) == promised(&new.ready.how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Options;
    use crate::engine::fixture::{self, Draft, service, target, task};
    use crate::model::unit::Entry;
    use std::time::Duration;

    fn units(drafts: Vec<Draft>) -> Vec<Rc<Unit>> {
        let good = |entry| match entry {
            Entry::Unit(unit) => Some(unit),
            Entry::Broken { .. } => None,
        };
        fixture::entries(drafts).into_iter().filter_map(good).collect()
    }

    fn difference(old: Vec<Draft>, new: Vec<Draft>) -> Difference {
        let options = Options { shutdown_timeout: Duration::from_secs(1), random_seed: 0 };
        Engine::new(fixture::entries(old), options).difference(&units(new))
    }

    #[test]
    fn units_read_anew_from_the_same_files_differ_in_nothing() {
        let drafts =
            || vec![service("db"), service("web").needs("db"), target("all").needs("web"), task("t")];
        assert!(difference(drafts(), drafts()).is_empty());
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told_apart() {
        let found = difference(vec![service("a"), service("b")], vec![service("b"), service("c")]);
        let added: Vec<&str> = found.added.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!((added, found.removed), (vec!["c"], vec![UnitId(0)]));
        assert!(found.replaced.is_empty() && found.amended.is_empty());
    }

    #[test]
    fn only_what_a_process_was_started_with_asks_for_a_new_process() {
        let old = || vec![service("a"), service("b")];
        let amended =
            difference(old(), vec![service("a").needs("b"), service("b").restart_policy(|r| r.limit = 9)]);
        assert_eq!(amended.amended.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [UnitId(0), UnitId(1)]);
        assert!(amended.replaced.is_empty());
        let replaced = difference(old(), vec![service("a").notify(), service("b").pid_file()]);
        assert_eq!(replaced.replaced.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [UnitId(0), UnitId(1)]);
        assert!(replaced.amended.is_empty());
    }

    #[test]
    fn another_kind_of_unit_is_another_process() {
        let found = difference(vec![service("a")], vec![task("a")]);
        assert_eq!(found.replaced.len(), 1);
    }

    #[test]
    fn a_unit_that_was_mended_has_to_be_started() {
        let found = difference(vec![fixture::broken("a")], vec![service("a")]);
        assert_eq!((found.replaced.len(), found.added.len()), (1, 0));
        assert!(found.definition(UnitId(0)).is_some());
    }
}

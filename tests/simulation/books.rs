//! The checker's own books: what is known of each unit from events and effects alone.

use std::collections::{BTreeMap, BTreeSet};

use sexton::engine::Role;
use sexton::model::unit::Entry;
use sexton::model::{Moment, Pid};

/// What the books say of one unit.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) needs: Vec<usize>,
    pub(crate) order: Vec<usize>,
    pub(crate) needed_by: Vec<usize>,
    pub(crate) conflicts: Vec<usize>,
    /// Orders to spawn without an answer.
    pub(crate) ordered: Vec<Role>,
    pub(crate) running: BTreeMap<Pid, Role>,
    pub(crate) main: Option<Pid>,
    pub(crate) shown: bool,
    pub(crate) named: bool,
    pub(crate) hooks_done: u16,
    pub(crate) task_ok: bool,
    pub(crate) was_ready: bool,
    /// It began to prepare from waiting, not after a deferral.
    pub(crate) afresh: bool,
    /// The present run was told to stop.
    pub(crate) told: bool,
    pub(crate) restarts: Vec<Moment>,
    pub(crate) comes_back: bool,
    /// The present stop began after the shutdown had.
    pub(crate) in_shutdown: bool,
    /// Groups in which somebody was left.
    pub(crate) left: BTreeSet<Pid>,
    /// Those of them that were told to end with KILL.
    pub(crate) killed: BTreeSet<Pid>,
}

impl Books {
    /// Its own start is at what comes before the main process.
    pub(crate) fn prepares(&self) -> bool {
        let prepares = |role: &Role| matches!(role, Role::Condition | Role::Prepare(_) | Role::ConfigTest);
        self.ordered.iter().any(prepares) || self.running.values().any(prepares)
    }
}

/// Empty books with the graph as the units draw it.
pub(crate) fn books(entries: &[Entry]) -> Vec<Books> {
    let place = |name: &sexton::model::UnitName| entries.iter().position(|entry| entry.name() == name);
    let mut books: Vec<Books> = entries.iter().map(|_| Books::default()).collect();
    for (index, entry) in entries.iter().enumerate() {
        let Entry::Unit(unit) = entry else { continue };
        books[index].needs = unit.needs.iter().filter_map(place).collect();
        books[index].order = unit.wants.iter().chain(unit.after.iter()).filter_map(place).collect();
        for other in unit.needs.iter().filter_map(place) {
            books[other].needed_by.push(index);
        }
        for other in unit.before.iter().filter_map(place) {
            books[other].order.push(index);
        }
        for other in unit.conflicts.iter().filter_map(place).filter(|other| *other != index) {
            books[index].conflicts.push(other);
            books[other].conflicts.push(index);
        }
    }
    books
}

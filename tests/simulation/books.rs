//! The checker's own books: what is known of each unit from events and effects alone.

use std::collections::{BTreeMap, BTreeSet};

use sexton::engine::{Reason, Role};
use sexton::model::unit::Entry;
use sexton::model::{Moment, Pid, Signal, UnitName};

/// What the books say of one unit.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) needs: Vec<usize>,
    pub(crate) wants: Vec<usize>,
    pub(crate) order: Vec<usize>,
    pub(crate) needed_by: Vec<usize>,
    pub(crate) conflicts: Vec<usize>,
    /// Orders to spawn without an answer.
    pub(crate) ordered: Vec<Role>,
    pub(crate) running: BTreeMap<Pid, Role>,
    pub(crate) main: Option<Pid>,
    /// Processes that were its main one and named another.
    pub(crate) former: BTreeSet<Pid>,
    /// Those of them that nobody ends with the unit.
    pub(crate) spared: BTreeSet<Pid>,
    pub(crate) shown: bool,
    pub(crate) named: bool,
    pub(crate) hooks_done: u16,
    pub(crate) task_ok: bool,
    pub(crate) was_ready: bool,
    /// It began to prepare from waiting, not after a deferral.
    pub(crate) afresh: bool,
    /// The present run was told to stop.
    pub(crate) told: bool,
    /// The step in which its main process was ordered last, and the one in which it was told to reload.
    pub(crate) main_ordered: u64,
    pub(crate) reload_ordered: u64,
    pub(crate) restarts: Vec<Moment>,
    /// What a process for its start has to be said to be for, where the books can tell.
    pub(crate) reason: Option<Reason>,
    /// The limit of restarts when it was decided that it comes back.
    pub(crate) limit: usize,
    pub(crate) may_come_back: bool,
    pub(crate) comes_back: bool,
    /// The present stop began after the shutdown had.
    pub(crate) in_shutdown: bool,
    /// Groups in which somebody was left.
    pub(crate) left: BTreeSet<Pid>,
    /// Those of them that were told to end with KILL.
    pub(crate) killed: BTreeSet<Pid>,
    /// Its hooks were changed in place since its main process was ordered.
    pub(crate) is_amended: bool,
    /// The daemon asked for more time, up to here; and when it was told to stop.
    pub(crate) extended: Option<Moment>,
    /// The last that was ordered for the present stop was a signal to its main process.
    pub(crate) signalled: Option<Signal>,
}

impl Books {
    /// Another unit than before: all but the graph is forgotten.
    pub(crate) fn forget_run(&mut self) {
        let old = std::mem::take(self);
        let Books { needs, wants, order, needed_by, conflicts, former, spared, left, killed, .. } = old;
        *self = Books {
            needs,
            wants,
            order,
            needed_by,
            conflicts,
            former,
            spared,
            left,
            killed,
            ..Books::default()
        };
    }

    /// After two runs changed their books: what belongs to the unit goes back to it.
    pub(crate) fn exchange_unit(&mut self, other: &mut Books) {
        std::mem::swap(&mut self.restarts, &mut other.restarts);
        std::mem::swap(&mut self.reason, &mut other.reason);
        std::mem::swap(&mut self.limit, &mut other.limit);
        std::mem::swap(&mut self.may_come_back, &mut other.may_come_back);
        std::mem::swap(&mut self.comes_back, &mut other.comes_back);
    }

    /// Its own start is at what comes before the main process.
    pub(crate) fn prepares(&self) -> bool {
        let prepares = |role: &Role| matches!(role, Role::Condition | Role::Prepare(_) | Role::ConfigTest);
        self.ordered.iter().any(prepares) || self.running.values().any(prepares)
    }
}

/// Draws the graph anew from the units that there are.
pub(crate) fn redraw(books: &mut Vec<Books>, specs: &[Option<Entry>]) {
    books.resize_with(specs.len().max(books.len()), Books::default);
    let place = |name: &UnitName| find(specs, name);
    for book in books.iter_mut() {
        let lists = [&mut book.needs, &mut book.order, &mut book.needed_by, &mut book.conflicts];
        lists.into_iter().for_each(Vec::clear);
        book.wants.clear();
    }
    for (index, spec) in specs.iter().enumerate() {
        let Some(Entry::Unit(unit)) = spec else { continue };
        books[index].needs = unit.needs.iter().filter_map(place).collect();
        books[index].wants = unit.wants.iter().filter_map(place).collect();
        let order = unit.wants.iter().chain(unit.after.iter()).filter_map(place);
        books[index].order.extend(order);
        for other in unit.needs.iter().filter_map(place) {
            books[other].needed_by.push(index);
        }
        for other in unit.before.iter().filter_map(place) {
            books[other].order.push(index);
        }
        let others = unit.conflicts.iter().filter(|other| **other != unit.name);
        for other in others.filter_map(place) {
            books[index].conflicts.push(other);
            books[other].conflicts.push(index);
        }
    }
}

fn find(specs: &[Option<Entry>], name: &UnitName) -> Option<usize> {
    specs.iter().position(|spec| spec.as_ref().is_some_and(|entry| entry.name() == name))
}

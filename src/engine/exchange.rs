//! New definitions take the place of old ones, in one moment: units come, go and change, and the graph with them.
//!
//! ```text
//!   amended, replaced   the cell keeps its place and its history, and gets the new definition
//!   removed             the cell is emptied; its place is given to a unit that comes later
//!   added               an empty place, or a new one behind the last
//! ```
//!
//! The graph is built anew and every counter is counted once: this is the one thing here that costs as much as
//! there are units, and it happens only when somebody had unit files read. A unit's place never changes while it
//! exists, so nothing else has to learn of it.

use std::time::Duration;

use crate::model::unit::{Entry, Kill};

use super::cell::{Body, Cell};
use super::difference::Difference;
use super::effect::Effect;
use super::event::{Request, UnitId};
use super::failure::Failure;
use super::graph::{EdgeKind, Graph};
use super::state::{State, StopStage, Wanted};
use super::transaction::Transaction;
use super::{Engine, cell_of};

impl Engine {
    /// Adds units to those that are there. One whose file had errors takes the place of its old self; any other
    /// entry of a name that is there already is passed over. Nothing is started. While a sync is on its way nothing is
    /// added: the free places are promised to its units, and it brings the new ones itself.
    pub fn extend(&mut self, entries: Vec<Entry>) {
        if self.is_syncing() {
            return;
        }
        let mut fresh = Vec::new();
        for entry in entries {
            match self.find(entry.name().as_str()) {
                Some(unit) if matches!(self.cell(unit).body, Body::Broken(_)) => {
                    self.mend(unit, entry);
                    fresh.push(unit);
                }
                Some(_) => {}
                None => fresh.push(self.place(cell_of(entry))),
            }
        }
        self.connect(&fresh);
    }

    /// Carries a difference out. What is removed or replaced is down by now; what is added is not started. `starts` are
    /// wished up next.
    pub(super) fn exchange(&mut self, difference: Difference, starts: &[UnitId]) -> Vec<UnitId> {
        let Difference { added, removed, replaced, amended } = difference;
        let (mut fresh, mut changed) = (Vec::new(), Vec::new());
        for (unit, new) in replaced.into_iter().chain(amended) {
            if self.cell(unit).unit().is_none() {
                self.mend(unit, Entry::Unit(new));
                fresh.push(unit);
            } else {
                self.cell_mut(unit).body = Body::Unit(new);
                self.look_at(unit);
                changed.push(unit);
            }
        }
        let added: Vec<UnitId> =
            added.into_iter().map(|unit| self.place(cell_of(Entry::Unit(unit)))).collect();
        fresh.extend(&added);
        // Last: whoever came was promised a place that nobody had at the time.
        for unit in removed {
            self.remove(unit);
        }
        self.connect(&fresh);
        for unit in changed {
            self.go_by_the_new(unit, starts);
        }
        added
    }

    /// A unit that runs has another definition: what it needs now may be going down, and its stop, which took as long as
    /// it takes, may have an end.
    fn go_by_the_new(&mut self, unit: UnitId, starts: &[UnitId]) {
        if let State::Stopping { stage: StopStage::Unhurried, .. } = self.cell(unit).state
            && self.kill_policy(unit) != Kill::Never
            && self.cell(unit).deadline.is_none()
        {
            self.arm(unit, Duration::ZERO);
        }
        self.follow_its_needs_down(unit);
        let cell = self.cell(unit);
        if !cell.standing.active || cell.goes_down() {
            return;
        }
        let goes = |need: &UnitId| {
            let need = self.cell(*need);
            need.standing.stopping_too && (need.wanted == Wanted::Down || need.doom.is_some())
        };
        let needs = self.graph.outgoing(unit).iter().filter(|edge| edge.kind == EdgeKind::Needs);
        let mut needs = needs.map(|edge| edge.unit).filter(|need| !starts.contains(need));
        if let Some(need) = needs.find(goes) {
            self.doom_dependents(need);
        }
    }

    /// The places that units will get which are added next, in their order.
    pub(super) fn promised_places(&self, n_added: usize) -> Vec<UnitId> {
        let behind = (self.cells.len()..).map(UnitId::from_index);
        self.free.iter().rev().copied().chain(behind).take(n_added).collect()
    }

    fn remove(&mut self, unit: UnitId) {
        self.set_deadline(unit, None);
        self.notes.remove(&unit);
        self.groups.remove(&unit);
        self.forget_departed(unit);
        self.cell_mut(unit).departed = true;
        self.departed.push(unit);
        self.do_this(Effect::Forget { unit });
    }

    /// Its id may soon be that of another unit: no request that is on its way knows it any more.
    fn forget_departed(&mut self, unit: UnitId) {
        let goes = |units: &mut Vec<UnitId>| units.retain(|other| *other != unit);
        for transaction in self.transactions.values_mut() {
            let Transaction { to_stop, to_start, tested, .. } = transaction;
            [to_stop, to_start, tested].into_iter().for_each(goes);
        }
        for (_, request) in &mut self.postponed {
            if let Request::Stop { units, .. } = request {
                goes(units);
            }
        }
        self.rolls.values_mut().for_each(|roll| roll.forget(unit));
    }

    /// Empties the places of units that departed in the last step: what was ordered in it still named them.
    pub(super) fn clear_places(&mut self) {
        self.clear_hidden();
        for unit in std::mem::take(&mut self.departed) {
            let mut empty = Cell::new(Body::Nobody);
            empty.standing = empty.compute_standing();
            *self.cell_mut(unit) = empty;
            self.free.push(unit);
        }
    }

    /// Puts a new unit where there is room.
    fn place(&mut self, mut cell: Cell) -> UnitId {
        cell.since = self.now;
        if let Some(unit) = self.free.pop() {
            *self.cell_mut(unit) = cell;
            return unit;
        }
        let unit = UnitId::from_index(self.cells.len());
        self.cells.push(cell);
        unit
    }

    /// A unit whose file had errors is read anew: it is stopped, or has other errors.
    fn mend(&mut self, unit: UnitId, entry: Entry) {
        let now = self.now;
        let cell = self.cell_mut(unit);
        let requests = std::mem::take(&mut cell.requests);
        *cell = Cell { since: now, requests, ..cell_of(entry) };
    }

    /// Builds the graph, and counts anew what every unit waits for. A defect of a unit that is not fresh was found
    /// when it was; it may run all the same.
    pub(super) fn connect(&mut self, fresh: &[UnitId]) {
        let entries: Vec<Option<Entry>> = self.cells.iter().map(entry_of).collect();
        let (graph, defects) = Graph::beside_old(&entries, &self.outdated);
        for defect in defects.into_iter().filter(|defect| fresh.contains(&defect.unit)) {
            let cell = self.cell_mut(defect.unit);
            cell.state = State::Failed;
            cell.failure = Some(Box::new(Failure::Load(defect.words)));
        }
        for unit in fresh {
            let cell = self.cell_mut(*unit);
            cell.standing = cell.compute_standing();
        }
        self.graph = graph;
        for index in 0..self.cells.len() {
            self.recount(UnitId::from_index(index));
        }
    }

    /// Counts what a unit waits for from its neighbours' standing.
    fn recount(&mut self, unit: UnitId) {
        let is_need = |kind: EdgeKind| kind == EdgeKind::Needs;
        let is_order = |kind: EdgeKind| !is_need(kind);
        let count = |found: usize| u32::try_from(found).unwrap_or(u32::MAX);
        let standing = |unit: UnitId| self.cell(unit).standing;
        let outgoing = self.graph.outgoing(unit);
        let incoming = self.graph.incoming(unit);
        let needs_missing =
            outgoing.iter().filter(|edge| is_need(edge.kind) && !standing(edge.unit).satisfied);
        let unsettled = outgoing.iter().filter(|edge| is_order(edge.kind) && standing(edge.unit).unsettled);
        let needed_by = incoming.iter().filter(|edge| is_need(edge.kind) && standing(edge.unit).active);
        let stopping = incoming.iter().filter(|edge| is_order(edge.kind) && standing(edge.unit).stopping_too);
        let needed_by = needed_by.count() + self.needed_by_former(unit);
        let counts = [needs_missing.count(), unsettled.count(), needed_by, stopping.count()].map(count);
        let cell = self.cell_mut(unit);
        let own = [
            &mut cell.needs_missing,
            &mut cell.order_unsettled,
            &mut cell.needed_by_active,
            &mut cell.order_stopping,
        ];
        let is_new = own.iter().zip(counts).any(|(own, count)| **own != count);
        own.into_iter().zip(counts).for_each(|(own, count)| *own = count);
        // What it waited for may have been an edge that is no more, or stay down.
        if is_new || matches!(cell.state, State::Waiting { .. }) {
            self.look_at(unit);
        }
    }
}

pub(super) fn entry_of(cell: &Cell) -> Option<Entry> {
    match &cell.body {
        _ if cell.departed => None,
        Body::Unit(unit) => Some(Entry::Unit(unit.clone())),
        Body::Broken(name) => {
            let words = match cell.failure.as_deref() {
                Some(Failure::Load(words)) => words.clone(),
                Some(_) | None => String::new(),
            };
            Some(Entry::Broken { name: name.clone(), words })
        }
        Body::Nobody => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{self, Draft, service};
    use crate::engine::{Options, Phase};
    use std::rc::Rc;

    use crate::model::Unit;

    fn engine(drafts: Vec<Draft>) -> Engine {
        let options = Options { shutdown_timeout: Duration::from_secs(1), random_seed: 0 };
        Engine::new(fixture::entries(drafts), options)
    }

    fn units(drafts: Vec<Draft>) -> Vec<Rc<Unit>> {
        let good = |entry| match entry {
            Entry::Unit(unit) => Some(unit),
            Entry::Broken { .. } => None,
        };
        fixture::entries(drafts).into_iter().filter_map(good).collect()
    }

    fn names(engine: &Engine) -> Vec<String> {
        engine.ids_by_name().iter().map(|id| engine.unit(*id).name().to_owned()).collect()
    }

    fn sync(engine: &mut Engine, drafts: Vec<Draft>) -> Vec<UnitId> {
        let difference = engine.difference(&units(drafts));
        engine.clear_places();
        let promised = engine.promised_places(difference.added.len());
        let added = engine.exchange(difference, &[]);
        assert_eq!(added, promised, "each gets the place that it was promised");
        added
    }

    #[test]
    fn the_place_of_a_unit_that_is_gone_is_given_to_one_that_comes_later() {
        let mut engine = engine(vec![service("a"), service("b"), service("c")]);
        assert_eq!(sync(&mut engine, vec![service("b"), service("c"), service("d")]), [UnitId(3)]);
        assert_eq!((names(&engine), engine.len()), (vec!["b".into(), "c".into(), "d".into()], 3));
        assert_eq!(engine.find("a"), None);
        for round in 0..100 {
            let name = format!("new-{round}");
            sync(&mut engine, vec![service("b"), service("c"), service(&name)]);
        }
        assert!(engine.cells.len() <= 5, "{} places for 3 units", engine.cells.len());
        assert_eq!(names(&engine), ["b", "c", "new-99"]);
    }

    #[test]
    fn a_new_edge_counts_from_the_moment_of_the_exchange() {
        let mut engine = engine(vec![service("a"), service("b")]);
        sync(&mut engine, vec![service("a").needs("b"), service("b")]);
        let (a, b) = (engine.find("a").unwrap(), engine.find("b").unwrap());
        assert_eq!(engine.cell(a).needs_missing, 1);
        assert_eq!(engine.dependents(b).collect::<Vec<_>>(), [a]);
        sync(&mut engine, vec![service("a"), service("b")]);
        assert_eq!((engine.cell(a).needs_missing, engine.dependents(b).count()), (0, 0));
    }

    #[test]
    fn a_unit_that_was_mended_is_stopped_and_one_with_a_dangling_need_fails() {
        let mut engine = engine(vec![fixture::broken("a")]);
        sync(&mut engine, vec![service("a"), service("lost").needs("nobody")]);
        let phase = |name| engine.unit(engine.find(name).unwrap()).phase();
        assert_eq!((phase("a"), phase("lost")), (Phase::Stopped, Phase::Failed));
    }
}

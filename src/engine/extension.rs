//! Taking in units that were not there at the beginning. What is there already is not touched.
//!
//! The graph is built anew and every counter is counted once: this is the one thing here that costs as much as
//! there are units, and it happens only when somebody had new unit files read.

use crate::model::unit::Entry;

use super::cell::{Body, Cell};
use super::event::UnitId;
use super::failure::Failure;
use super::graph::{EdgeKind, Graph};
use super::state::State;
use super::{Engine, cell_of};

impl Engine {
    /// Adds units behind those that are there. One whose file had errors takes the place of its old self; any other
    /// entry of a name that is there already is passed over. Nothing is started.
    pub fn extend(&mut self, entries: Vec<Entry>) {
        let n_old = self.cells.len();
        let mut new = Vec::new();
        for entry in entries {
            match self.find(entry.name().as_str()) {
                Some(unit) => self.mend(unit, entry),
                None => new.push(entry),
            }
        }
        let mut all: Vec<Entry> = self.cells.iter().filter_map(entry_of).collect();
        all.extend(new);
        let (graph, defects) = Graph::new(&all);
        let mut cells = std::mem::take(&mut self.cells).into_vec();
        cells.extend(all.into_iter().skip(n_old).map(cell_of));
        // A defect of an old unit was found when it was new; it may run all the same.
        for defect in defects.into_iter().filter(|defect| defect.unit.index() >= n_old) {
            if let Some(cell) = cells.get_mut(defect.unit.index()) {
                cell.state = State::Failed;
                cell.failure = Some(Box::new(Failure::Load(defect.words)));
            }
        }
        for cell in cells.iter_mut().skip(n_old) {
            cell.standing = cell.compute_standing();
        }
        self.cells = cells.into();
        self.graph = graph;
        for index in 0..self.cells.len() {
            self.recount(UnitId::from_index(index));
        }
    }

    /// A unit whose file had errors is read anew: it is stopped, or has other errors.
    fn mend(&mut self, unit: UnitId, entry: Entry) {
        let now = self.now;
        let cell = self.cell_mut(unit);
        if matches!(cell.body, Body::Broken(_)) {
            *cell = Cell { since: now, requests: std::mem::take(&mut cell.requests), ..cell_of(entry) };
            cell.standing = cell.compute_standing();
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
        let counts =
            [needs_missing.count(), unsettled.count(), needed_by.count(), stopping.count()].map(count);
        let cell = self.cell_mut(unit);
        [cell.needs_missing, cell.order_unsettled, cell.needed_by_active, cell.order_stopping] = counts;
    }
}

fn entry_of(cell: &Cell) -> Option<Entry> {
    match &cell.body {
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

//! What a run that nobody sees has to do with other units by itself, where its definition is not its unit's.
//!
//! ```text
//!   a successor   by new files, which do not hold yet     waits for what it is to need and to come after
//!   the one before   by files that hold no more           what only it needs is not stopped under it
//! ```

use super::Engine;
use super::event::{RequestId, UnitId};
use super::failure::{Outcome, Refusal};
use super::gate::{Members, Wish};
use super::graph::EdgeKind;
use super::overlap::{Hidden, Part};
use super::scope::unique;
use super::state::State;

impl Engine {
    /// What a run that was replaced needs and its unit does not any more.
    pub(super) fn own_needs(&self, hidden: UnitId) -> Vec<UnitId> {
        let Some(run) = self.hidden.get(&hidden).filter(|run| run.part == Part::Leaving) else {
            return Vec::new();
        };
        let is_its_units = |need: &UnitId| {
            let edges = self.graph.outgoing(run.of).iter();
            edges.clone().any(|edge| edge.unit == *need && edge.kind == EdgeKind::Needs)
        };
        let needs = run.cell.unit().into_iter().flat_map(|unit| unit.needs.iter());
        needs.filter_map(|name| self.find(name.as_str())).filter(|need| !is_its_units(need)).collect()
    }

    /// How many runs need this unit of which the graph does not know.
    pub(super) fn needed_by_former(&self, unit: UnitId) -> usize {
        self.hidden.keys().filter(|hidden| self.own_needs(**hidden).contains(&unit)).count()
    }

    /// A run that was replaced is gone.
    pub(super) fn give_back_needs(&mut self, needs: &[UnitId]) {
        for need in needs {
            let cell = self.cell_mut(*need);
            cell.needed_by_active = cell.needed_by_active.saturating_sub(1);
            if cell.needed_by_active == 0 {
                self.look_at(*need);
            }
        }
    }

    /// Is this the successor that a sync sends? What its unit needs and comes after until now is nothing to it.
    pub(super) fn comes_by_new_files(&self, unit: UnitId) -> bool {
        let Some(run) = self.hidden.get(&unit).filter(|run| run.part == Part::Coming) else { return false };
        self.gated(run.request).is_some_and(|gated| matches!(gated.wish, Wish::Sync { .. }))
    }

    /// Is something not up that the files of a successor say it needs?
    pub(super) fn lacks_a_new_need(&self, hidden: UnitId) -> bool {
        let needs = self.cell(hidden).unit().into_iter().flat_map(|unit| unit.needs.iter());
        let mut needs = needs.filter_map(|name| self.find(name.as_str()));
        needs.any(|need| !self.cell(need).standing.satisfied)
    }

    /// Does a successor wait for something that its own definition names? Where that is gone for good it is of no use.
    pub(super) fn waits_by_itself(&mut self, hidden: UnitId) -> bool {
        let Some(Hidden { cell, of, .. }) = self.hidden.get(&hidden) else { return false };
        let of = *of;
        let Some(unit) = cell.unit() else { return false };
        let find = |name: &crate::model::UnitName| self.find(name.as_str()).filter(|other| *other != of);
        let missing = |need: &UnitId| !self.cell(*need).standing.satisfied;
        let missing: Vec<UnitId> = unit.needs.iter().filter_map(find).filter(missing).collect();
        let comes_before =
            |other: &UnitId| self.cell(*other).unit().is_some_and(|o| o.before.contains(&unit.name));
        let others = self.graph.outgoing(of).iter().map(|edge| edge.unit).filter(comes_before);
        let mut order = unit.wants.iter().chain(unit.after.iter()).filter_map(find).chain(others);
        let waits = order.any(|other| self.cell(other).standing.unsettled);
        if let Some(need) = missing.iter().copied().find(|need| self.cell(*need).is_dead()) {
            self.overlap_is_doomed(of, need);
        }
        waits || !missing.is_empty()
    }

    /// Units that were to be replaced while they serve do not serve any more: they are restarted, and take along what
    /// needs them. What that adds is claimed, and all is tested anew. True where that keeps the request from going on.
    pub(super) fn widen(&mut self, id: RequestId) -> bool {
        let Some(gated) = self.gated(id) else { return true };
        let can = |unit: &UnitId| self.can_overlap(*unit) && !self.overlaps.contains_key(unit);
        let able: Vec<UnitId> = gated.overlaps.iter().copied().filter(can).collect();
        if able.len() == gated.overlaps.len() {
            return false;
        }
        let members = match &gated.wish {
            Wish::Restart { units } => {
                let scope = self.restart_scope_beside(units, &able);
                Members { tests: scope.tests(self), stops: scope.stops, overlaps: scope.overlaps }
            }
            Wish::Sync { sync } => self.sync_members(sync, able),
            Wish::Stop { .. } | Wish::Reload { .. } | Wish::Roll { .. } => return false,
        };
        let Members { tests, stops, overlaps } = &members;
        let all = tests.iter().chain(stops).chain(overlaps).copied();
        let new: Vec<UnitId> = unique(&all.filter(|unit| !gated.scope.contains(unit)).collect::<Vec<_>>());
        if let Some(refusal) = self.busy_beside(id, &new) {
            self.give_up(id, Outcome::Refused(refusal));
            return true;
        }
        for unit in &new {
            self.claims.insert(*unit, id);
        }
        self.join_gate(id, new, members)
    }

    /// Another request that has begun with one of these units.
    fn busy_beside(&self, id: RequestId, units: &[UnitId]) -> Option<Refusal> {
        let by = |unit: &UnitId| self.claims.get(unit).copied().or_else(|| self.sync_at_stops_of(*unit));
        let is_others = |unit: &UnitId| Some((*unit, by(unit).filter(|by| *by != id)?));
        units.iter().find_map(is_others).map(|(unit, by)| Refusal::Busy { unit, by: self.outer(by) })
    }

    /// Something has come up, or has settled.
    pub(super) fn wake_successors(&mut self) {
        let waits = |run: &Hidden| matches!(run.cell.state, State::Waiting { .. });
        let waiting: Vec<UnitId> =
            self.hidden.iter().filter(|(_, run)| waits(run)).map(|(hidden, _)| *hidden).collect();
        for hidden in waiting {
            self.look_at(hidden);
        }
    }
}

//! How a change reaches the neighbours: by their counters and a queue, never by recursion.
//!
//! A unit whose last missing piece has come is put in the queue; [`Engine::examine`] then asks of it, in
//! turn, what it could do now. The cost of a change is the number of its neighbours.

use super::cell::Standing;
use super::effect::Effect;
use super::event::UnitId;
use super::graph::EdgeKind;
use super::state::{Process, State, Wanted};
use super::transaction::Step;
use super::transition::Input;
use super::{Engine, Phase};

impl Engine {
    /// Puts a unit into another state. The deadline of the old one is gone.
    pub(super) fn enter(&mut self, unit: UnitId, state: State) {
        self.set_deadline(unit, None);
        let now = self.now;
        let cell = self.cell_mut(unit);
        let (from, to) = (cell.state.phase(), state.phase());
        let was_serving = cell.state.is_serving();
        cell.state = state;
        if from != to {
            cell.since = now;
            let failure = match to {
                Phase::Failed | Phase::Backoff => cell.failure.as_deref().cloned(),
                _ => None,
            };
            self.do_this(Effect::Changed { unit, from, to, failure });
        }
        self.refresh(unit);
        if !self.errands.is_empty() {
            self.errand_sees(unit, was_serving);
        }
        if !self.hidden.is_empty() {
            self.overlap_sees(unit);
        }
        if !self.rolls.is_empty() {
            self.roll_sees(unit);
        }
    }

    /// Changes the data of the present state and keeps its deadline.
    pub(super) fn amend(&mut self, unit: UnitId, state: State) {
        self.cell_mut(unit).state = state;
    }

    /// Puts a unit in the queue, once.
    pub(super) fn look_at(&mut self, unit: UnitId) {
        if !std::mem::replace(&mut self.cell_mut(unit).queued, true) {
            self.queue.push_back(unit);
        }
    }

    /// Tells the neighbours what changed of a unit's standing.
    pub(super) fn refresh(&mut self, unit: UnitId) {
        let has_two_runs = self.overlaps.contains_key(&unit);
        let cell = self.cell_mut(unit);
        let mut new = cell.compute_standing();
        if has_two_runs {
            (new.active, new.down, new.stopping_too) = (true, false, cell.goes_down());
        }
        let old = std::mem::replace(&mut cell.standing, new);
        if old == new {
            return;
        }
        if old.satisfied != new.satisfied || old.unsettled != new.unsettled {
            self.tell_later_ones(unit, old, new);
            if !self.hidden.is_empty() {
                self.wake_successors();
            }
        }
        if old.active != new.active || old.stopping_too != new.stopping_too {
            self.tell_earlier_ones(unit, old, new);
        }
        match (old.down, new.down) {
            (false, true) => self.n_up = self.n_up.saturating_sub(1),
            (true, false) => self.n_up += 1,
            (true, true) | (false, false) => {}
        }
        self.tell_requests(unit, old, new);
    }

    fn tell_later_ones(&mut self, unit: UnitId, old: Standing, new: Standing) {
        let Engine { graph, cells, queue, tally, .. } = self;
        for edge in graph.incoming(unit) {
            tally.work += 1;
            let Some(cell) = cells.get_mut(edge.unit.index()) else { continue };
            let freed = match edge.kind {
                EdgeKind::Needs => move_counter(&mut cell.needs_missing, !old.satisfied, !new.satisfied),
                EdgeKind::Wants | EdgeKind::After => {
                    move_counter(&mut cell.order_unsettled, old.unsettled, new.unsettled)
                }
            };
            if freed && !std::mem::replace(&mut cell.queued, true) {
                queue.push_back(edge.unit);
            }
        }
    }

    fn tell_earlier_ones(&mut self, unit: UnitId, old: Standing, new: Standing) {
        let Engine { graph, cells, queue, tally, .. } = self;
        for edge in graph.outgoing(unit) {
            tally.work += 1;
            let Some(cell) = cells.get_mut(edge.unit.index()) else { continue };
            let freed = match edge.kind {
                EdgeKind::Needs => move_counter(&mut cell.needed_by_active, old.active, new.active),
                EdgeKind::Wants | EdgeKind::After => {
                    move_counter(&mut cell.order_stopping, old.stopping_too, new.stopping_too)
                }
            };
            if freed && !std::mem::replace(&mut cell.queued, true) {
                queue.push_back(edge.unit);
            }
        }
    }

    fn tell_requests(&mut self, unit: UnitId, old: Standing, new: Standing) {
        let Engine { cells, hidden, transactions, ripe, nobody, .. } = self;
        let hidden = || hidden.get(&unit).map(|run| &run.cell);
        for (id, step) in &cells.get(unit.index()).or_else(hidden).unwrap_or(nobody).requests {
            let Some(transaction) = transactions.get_mut(id).filter(|t| t.step == *step) else { continue };
            let (was_missing, is_missing) = match transaction.step {
                Step::Stopping => (!old.down, !new.down),
                _ => (!old.satisfied, !new.satisfied),
            };
            if move_counter(&mut transaction.remaining, was_missing, is_missing) {
                ripe.push_back(*id);
            }
        }
    }

    /// What could this unit do now?
    pub(super) fn examine(&mut self, unit: UnitId) {
        self.tally.work += 1;
        if let Some(successor) = self.successor(unit) {
            self.look_at(successor);
        }
        let cell = self.cell_mut(unit);
        cell.queued = false;
        // Somebody may have wished up meanwhile what a sync has removed.
        if cell.departed {
            return;
        }
        if cell.goes_down() {
            // Before its main process runs nobody relies on it, and what it has begun must not go on.
            let idle = matches!(
                cell.state,
                State::Waiting { .. }
                    | State::Backoff
                    | State::Inspecting { .. }
                    | State::Preparing { .. }
                    | State::Starting { main: Process::Ordered(_) | Process::Deferred(_), .. }
            );
            let doomed_at_rest = matches!(cell.state, State::Stopped) && cell.doom.is_some();
            let at_rest = matches!(cell.state, State::Stopped | State::Failed);
            let free = cell.needed_by_active == 0 && cell.order_stopping == 0;
            if at_rest && cell.wanted == Wanted::Down {
                self.forget_kept(unit);
            }
            let goes = idle || doomed_at_rest || (free && !at_rest);
            if goes && !self.awaits_hooks(unit) && self.end_hooks(unit) {
                self.transition(unit, Input::Stop);
            }
            return;
        }
        if cell.wanted == Wanted::Down {
            return;
        }
        if cell.state == State::Stopped {
            self.transition(unit, Input::Await);
        }
        if let State::Waiting { .. } = self.cell(unit).state {
            self.examine_waiting(unit);
        }
    }

    /// Is something that it needs not up? A successor needs what its unit does, or its new files say.
    pub(super) fn lacks_a_need(&self, unit: UnitId) -> bool {
        match self.comes_by_new_files(unit) {
            true => self.lacks_a_new_need(unit),
            false => self.cell(self.stands_for(unit)).needs_missing > 0,
        }
    }

    fn examine_waiting(&mut self, unit: UnitId) {
        let of = self.stands_for(unit);
        let cell = self.cell(of);
        if (cell.needs_missing == 0 && cell.order_unsettled == 0) || self.comes_by_new_files(unit) {
            // Its errand, or the end of its successor, has it looked at again.
            if self.is_on_trial(unit) || self.awaits_successor(unit) || self.waits_by_itself(unit) {
                return;
            }
            return self.transition(unit, Input::Start);
        }
        // Whose need is gone for good is given up with its unit.
        if cell.needs_missing == 0 || of != unit {
            return;
        }
        let edges = self.graph.outgoing(unit);
        self.tally.work += edges.len() as u64;
        let needs = edges.iter().filter(|edge| edge.kind == EdgeKind::Needs);
        let dead = needs
            .map(|edge| edge.unit)
            .find(|need| self.cell(*need).is_dead() && !self.to_come.contains(need));
        if let Some(need) = dead {
            self.doom(unit, need);
        }
    }

    /// A unit ended for good: what needs it goes down, and what needs that.
    pub(super) fn doom_dependents(&mut self, unit: UnitId) {
        let mut ended = vec![unit];
        while let Some(unit) = ended.pop() {
            for index in 0..self.graph.incoming(unit).len() {
                let Some(edge) = self.graph.incoming(unit).get(index).copied() else { continue };
                self.tally.work += 1;
                if edge.kind == EdgeKind::Needs && self.cell(edge.unit).is_live() {
                    self.doom(edge.unit, unit);
                    ended.push(edge.unit);
                }
            }
        }
    }

    fn doom(&mut self, unit: UnitId, by: UnitId) {
        self.cell_mut(unit).doom = Some(by);
        self.overlap_is_doomed(unit, by);
        self.refresh(unit);
        self.look_at(unit);
    }
}

/// Moves a counter of missing things by what changed of one of them; true when the last one came.
fn move_counter(counter: &mut u32, was_missing: bool, is_missing: bool) -> bool {
    match (was_missing, is_missing) {
        (true, false) => {
            *counter = counter.saturating_sub(1);
            *counter == 0
        }
        (false, true) => {
            *counter += 1;
            false
        }
        (true, true) | (false, false) => false,
    }
}

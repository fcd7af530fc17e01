//! Two processes of one unit for a while: the new one is ready before the old one is told to stop.
//!
//! ```text
//!                       Overlapping                hooks         go: the runs change places
//!   the unit's cell     old: Ready ─────────────────────────┐ ┌──▶ new: Ready
//!                                                            ╳
//!   a hidden cell       new: Stopped ─▶ … ─▶ Ready (Coming) ─┘ └──▶ old: Stopping ─▶ … ─▶ forgotten (Leaving)
//!                             └─ fails, ends, is given up: forgotten; the old process was never touched
//! ```
//!
//! A hidden cell has no name, no neighbours (but see `beside.rs`) and no wishes; nobody else knows of it. Its ids begin
//! where those of units never come to, and none is used twice: what is told of a run that is gone is nobody's. As long as
//! a unit has one it counts as active, so what it needs is not stopped under the run that nobody sees.
//!
//! A unit whose old process ends by itself waits for its successor, which takes its place as soon as it is ready.

use std::time::Duration;

use crate::model::unit::{Program, Readiness};
use crate::model::{Moment, Pid};

use super::Engine;
use super::cell::{Body, Cell};
use super::difference::Difference;
use super::effect::{Effect, NextRun, Reason, Renders};
use super::event::RequestId;
use super::event::{Role, UnitId};
use super::failure::{Failure, Outcome, Refusal};
use super::progress::{Progress, TransactionPhase};
use super::state::{Ending, Phase, State, Wanted};
use super::transaction::Step;

/// The first id of a hidden cell. No machine has as many units.
const FIRST_HIDDEN: u32 = 1 << 31;

/// How long a successor has to live on whose readiness is no word of its own: a release that is broken mostly ends at
/// once, and the old process would have been told to stop by then.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// A run that stands beside the one that a unit shows.
#[derive(Debug)]
pub(super) struct Hidden {
    pub(super) cell: Cell,
    /// The unit.
    pub(super) of: UnitId,
    /// For which request, and under which number that is known outside.
    pub(super) request: RequestId,
    asker: RequestId,
    pub(super) part: Part,
}

/// What a hidden run is to its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Its successor, which is not ready.
    Coming,
    /// Its successor, which can take over at any time.
    Arrived,
    /// The one before.
    Leaving,
    /// Nothing any more; it is emptied with the next step.
    Gone,
}

/// The other run of a unit, for those who look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherRun {
    /// Is it the one to come, or the one before?
    pub which: Which,
    /// The name of its state.
    pub phase: Phase,
    /// Its main process.
    pub main_pid: Option<Pid>,
    /// When this state began.
    pub since: Moment,
}

/// Which of the two runs of a unit is not the one that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The new one, which is not ready yet.
    Successor,
    /// The old one, which stops.
    Predecessor,
}

impl Engine {
    /// Could a new process of this unit come up beside the one that runs?
    pub(super) fn can_overlap(&self, unit: UnitId) -> bool {
        let cell = self.cell(unit);
        let is_meant = cell.program().is_some_and(|program| program.restart.overlap);
        is_meant && cell.state.is_serving() && !cell.goes_down()
    }

    /// The changed units that could: by both definitions, and with all that the new one needs up already.
    pub(super) fn overlaps_of(&self, difference: &Difference) -> Vec<UnitId> {
        let is_up = |need: &crate::model::UnitName| {
            self.find(need.as_str()).is_some_and(|need| self.cell(need).standing.satisfied)
        };
        let can = |(unit, new): &&(UnitId, std::rc::Rc<crate::model::Unit>)| {
            let is_meant = new.program().is_some_and(|program| program.restart.overlap);
            is_meant && self.can_overlap(*unit) && new.needs.iter().all(is_up)
        };
        difference.replaced.iter().filter(can).map(|(unit, _)| *unit).collect()
    }

    /// A third run of a unit: the one before has not come to its end.
    pub(super) fn refuses_overlap(&self, units: &[UnitId]) -> Option<Refusal> {
        units.iter().find_map(|unit| {
            let other = self.hidden.get(self.overlaps.get(unit)?)?;
            Some(Refusal::Busy { unit: *unit, by: other.asker })
        })
    }

    /// All tests have passed: the successors set out. A unit that serves no longer is restarted like any other.
    pub(super) fn begin_overlap(&mut self, id: RequestId) {
        let now = self.now;
        if self.widen(id) {
            return;
        }
        let Some(gated) = self.gated_mut(id) else { return };
        gated.since = now;
        let units = gated.overlaps.clone();
        if units.is_empty() {
            return self.begin_hooks(id);
        }
        self.await_errands(id, Step::Overlapping, units.len());
        self.tell(id, Progress::Phase(TransactionPhase::Overlapping));
        for unit in units {
            self.send_successor(id, unit);
        }
    }

    fn send_successor(&mut self, id: RequestId, unit: UnitId) {
        let Some(spec) = self.tested_definition(id, unit) else { return };
        let mut cell = Cell::new(Body::Unit(spec));
        (cell.since, cell.wanted, cell.reason) = (self.now, Wanted::Up, Reason::Restart);
        // It was tested by the request, or is not to be.
        cell.tested = true;
        cell.standing = cell.compute_standing();
        let hidden = UnitId(FIRST_HIDDEN.wrapping_add(self.n_hidden));
        self.n_hidden = self.n_hidden.wrapping_add(1) % FIRST_HIDDEN;
        let asker = self.outer(id);
        self.hidden.insert(hidden, Hidden { cell, of: unit, request: id, asker, part: Part::Coming });
        self.overlaps.insert(unit, hidden);
        self.refresh(unit);
        self.look_at(hidden);
    }

    /// A run goes into another state: it, or the one beside it, is looked at once this event is through.
    pub(super) fn overlap_sees(&mut self, unit: UnitId) {
        if self.hidden.contains_key(&unit) {
            self.ripe_overlaps.push_back(unit);
        } else if let Some(hidden) = self.overlaps.get(&unit) {
            self.ripe_overlaps.push_back(*hidden);
        }
    }

    /// What a hidden run, and the unit that it belongs to, have come to.
    pub(super) fn examine_overlap(&mut self, hidden: UnitId) {
        let Some(Hidden { of, part, cell, .. }) = self.hidden.get(&hidden) else { return };
        let (of, part, is_over) = (*of, *part, cell.wanted == Wanted::Down);
        match (part, cell.state) {
            (Part::Gone, _) => {}
            (_, State::Stopped | State::Failed) if is_over => self.forget_run(hidden),
            (Part::Coming, State::Skipped) if !is_over => {
                let words = "something that `skip-unless-exists` names is not there".to_owned();
                self.note_failure(hidden, Failure::Unmet(words));
                self.dismiss(hidden);
            }
            (Part::Coming | Part::Arrived, State::Ready { .. }) if !is_over => {
                if !self.cell(of).state.is_serving() {
                    self.replace_early(of, hidden);
                } else if part == Part::Coming && cell.deadline.is_none() {
                    match cell.program().is_some_and(shows_itself) {
                        true => self.arrive(hidden),
                        false => self.arm(hidden, SETTLE),
                    }
                }
            }
            _ => {}
        }
    }

    /// The time for which a successor had to live on is over. False for every other deadline.
    pub(super) fn has_settled(&mut self, unit: UnitId) -> bool {
        let is_ready = |hidden: &&Hidden| matches!(hidden.cell.state, State::Ready { .. });
        if self.hidden.get(&unit).is_none_or(|hidden| !is_ready(&hidden)) {
            return false;
        }
        self.arrive(unit);
        true
    }

    fn arrive(&mut self, hidden: UnitId) {
        let Some(run) = self.hidden.get_mut(&hidden).filter(|run| run.part == Part::Coming) else { return };
        run.part = Part::Arrived;
        let request = run.request;
        self.one_less(request, Step::Overlapping);
    }

    /// Nothing more is missing of one of those for whom a request waits in this step.
    fn one_less(&mut self, id: RequestId, step: Step) {
        let Some(transaction) = self.transactions.get_mut(&id).filter(|t| t.step == step) else { return };
        transaction.remaining = transaction.remaining.saturating_sub(1);
        if transaction.remaining == 0 {
            self.ripe_gates.push_back(id);
        }
    }

    /// The old process has ended by itself: its successor takes its place at once, whatever its request still waits for.
    fn replace_early(&mut self, unit: UnitId, hidden: UnitId) {
        let Some(Hidden { request, part, .. }) = self.hidden.get(&hidden) else { return };
        let (request, part) = (*request, *part);
        let goes_on = self.transactions.get(&request).is_some_and(|t| t.step.can_be_given_up());
        // An errand of the old one is over first, and has this looked at again.
        if !goes_on || self.cell(unit).goes_down() || self.errands.contains_key(&unit) {
            return;
        }
        self.set_deadline(hidden, None);
        self.keep_renders(request, unit);
        self.exchange_runs(unit, hidden);
        if self.syncing == Some(request) {
            self.connect(&[]);
        }
        if part == Part::Coming {
            self.one_less(request, Step::Overlapping);
        }
    }

    /// What was tried of the unit is what it runs by now.
    fn keep_renders(&mut self, request: RequestId, unit: UnitId) {
        let Some(gated) = self.gated_mut(request) else { return };
        if gated.rendered.contains(&unit) {
            gated.rendered.retain(|rendered| *rendered != unit);
            self.do_this(Effect::SettleRenders { unit, verdict: Renders::Keep });
        }
    }

    /// The request goes: all its successors take over. Answers the runs that leave.
    pub(super) fn take_over(&mut self, id: RequestId, units: &[UnitId]) -> Vec<UnitId> {
        let pairs = units.iter().filter_map(|unit| Some((*unit, *self.overlaps.get(unit)?)));
        let pairs: Vec<(UnitId, UnitId)> = pairs.collect();
        let mut leaving = Vec::new();
        for (unit, hidden) in pairs {
            let Some(run) = self.hidden.get(&hidden).filter(|run| run.request == id) else { continue };
            match run.part {
                Part::Arrived => self.exchange_runs(unit, hidden),
                Part::Leaving => {}
                Part::Coming | Part::Gone => continue,
            }
            leaving.push(hidden);
        }
        leaving
    }

    /// The two runs of a unit change places, and the old one is told to stop.
    fn exchange_runs(&mut self, unit: UnitId, hidden: UnitId) {
        let deadlines = [unit, hidden].map(|run| self.cell(run).deadline);
        for run in [unit, hidden] {
            self.set_deadline(run, None);
        }
        let Some(shown) = self.cells.get_mut(unit.index()) else { return };
        let Some(Hidden { cell: other, part, .. }) = self.hidden.get_mut(&hidden) else { return };
        let before = shown.state.phase();
        std::mem::swap(&mut shown.body, &mut other.body);
        std::mem::swap(&mut shown.state, &mut other.state);
        std::mem::swap(&mut shown.since, &mut other.since);
        std::mem::swap(&mut shown.failure, &mut other.failure);
        (shown.reason, shown.tested, shown.kept) = (Reason::Restart, false, false);
        (*part, other.wanted, other.tested) = (Part::Leaving, Wanted::Down, false);
        let after = shown.state.phase();
        if has_renders(shown) {
            self.do_this(Effect::SettleRenders { unit: hidden, verdict: Renders::Keep });
        }
        self.do_this(Effect::Exchanged { unit, with: hidden });
        self.do_this(Effect::Changed { unit, from: before, to: after, failure: None });
        let [shown_groups, other_groups] = [unit, hidden].map(|run| self.groups.remove(&run));
        self.groups.extend(shown_groups.map(|groups| (hidden, groups)));
        self.groups.extend(other_groups.map(|groups| (unit, groups)));
        for (run, deadline) in [hidden, unit].into_iter().zip(deadlines) {
            self.set_deadline(run, deadline);
            self.refresh(run);
            self.look_at(run);
        }
        self.overlap_sees(hidden);
    }

    /// A successor that nobody wants any more stops, as any process of its unit would.
    pub(super) fn dismiss(&mut self, hidden: UnitId) {
        if let State::Ready { .. } = self.cell(hidden).state {
            self.set_deadline(hidden, None);
        }
        self.cell_mut(hidden).wanted = Wanted::Down;
        self.refresh(hidden);
        self.look_at(hidden);
        self.overlap_sees(hidden);
    }

    /// The successors that a request has sent and that have not taken over.
    pub(super) fn successors_of(&self, id: RequestId) -> Vec<UnitId> {
        let is_its = |run: &Hidden| run.request == id && matches!(run.part, Part::Coming | Part::Arrived);
        self.hidden.iter().filter(|(_, run)| is_its(run)).map(|(hidden, _)| *hidden).collect()
    }

    /// Has one of them ended, or is about to?
    pub(super) fn has_lost_a_successor(&self, id: RequestId) -> bool {
        self.successors_of(id).iter().any(|hidden| !self.cell(*hidden).state.is_serving())
    }

    /// Nothing of a hidden run is left.
    fn forget_run(&mut self, hidden: UnitId) {
        let needs = self.own_needs(hidden);
        let Some(run) = self.hidden.get_mut(&hidden) else { return };
        let part = std::mem::replace(&mut run.part, Part::Gone);
        let (of, request, requests) = (run.of, run.request, std::mem::take(&mut run.cell.requests));
        let (failure, last_end) = (run.cell.failure.take(), run.cell.last_end);
        let has_renders = has_renders(&run.cell);
        self.set_deadline(hidden, None);
        self.overlaps.remove(&of);
        self.gone.push(hidden);
        self.give_back_needs(&needs);
        for (id, _) in requests {
            if let Some(transaction) = self.transactions.get_mut(&id) {
                transaction.to_stop.retain(|unit| *unit != hidden);
            }
        }
        if part != Part::Leaving && has_renders {
            self.do_this(Effect::SettleRenders { unit: hidden, verdict: Renders::Restore });
        }
        self.drop_groups(hidden);
        self.do_this(Effect::Forget { unit: hidden });
        let shown = self.cell_mut(of);
        if part == Part::Leaving
            && shown.last_end.is_none_or(|end| last_end.is_some_and(|old| old.at > end.at))
        {
            shown.last_end = last_end;
        }
        self.refresh(of);
        self.look_at(of);
        if self.cell(of).is_dead() {
            self.forget_kept(of);
        }
        if part != Part::Leaving {
            self.successor_lost(request, of, failure);
        }
    }

    /// There will be no successor. Unless it is known already the request is given up by it.
    fn successor_lost(&mut self, id: RequestId, unit: UnitId, failure: Option<Box<Failure>>) {
        let Some(step) = self.transactions.get(&id).map(|transaction| transaction.step) else { return };
        if step == Step::Clearing {
            return self.one_less(id, Step::Clearing);
        }
        if !step.can_be_given_up() {
            return;
        }
        let failure = Failure::Successor(failure.unwrap_or_else(|| Box::new(Failure::Unkillable)));
        let outcome = match self.cell(unit).state.is_serving() {
            true => Outcome::Aborted { unit, failure, undone: Vec::new() },
            // Its own start was held back until now.
            false => Outcome::Failed { unit, failure, retry_in: Some(Duration::ZERO) },
        };
        self.give_up(id, outcome);
    }

    /// A unit that a successor is on its way to can go down for its needs: then that is of no use.
    pub(super) fn overlap_is_doomed(&mut self, unit: UnitId, by: UnitId) {
        let Some(run) = self.overlaps.get(&unit).and_then(|hidden| self.hidden.get(hidden)) else { return };
        let request = run.request;
        let is_coming = matches!(run.part, Part::Coming | Part::Arrived);
        if is_coming && self.transactions.get(&request).is_some_and(|t| t.step.can_be_given_up()) {
            let failure = Failure::Dependency(by);
            self.give_up(request, Outcome::Aborted { unit, failure, undone: Vec::new() });
        }
    }

    /// A hidden run came to its end; true when it is one. What stands beside it keeps the directories of both.
    pub(super) fn hidden_finished(&mut self, unit: UnitId, ending: Ending) -> bool {
        let Some(run) = self.hidden.get_mut(&unit) else { return false };
        run.cell.wanted = Wanted::Down;
        let is_lost = run.part != Part::Leaving && ending != Ending::Told;
        if let (true, None, Some(end)) = (is_lost, &run.cell.failure, run.cell.last_end) {
            let (role, status) = (Role::Main, end.status);
            run.cell.failure = Some(Box::new(Failure::Exited { role, status, before_ready: false }));
        }
        self.do_this(Effect::CleanUp { unit, next: NextRun::Overlaps });
        self.enter(unit, if is_lost { State::Failed } else { State::Stopped });
        true
    }

    /// A hidden run outlives KILL; true when it is one. Its request waits for it no longer.
    pub(super) fn hidden_outlives_kill(&mut self, unit: UnitId) -> bool {
        let Some(run) = self.hidden.get_mut(&unit) else { return false };
        let part = std::mem::replace(&mut run.part, Part::Leaving);
        let (of, request, failure) = (run.of, run.request, run.cell.failure.clone());
        if part != Part::Leaving {
            run.cell.wanted = Wanted::Down;
            self.successor_lost(request, of, failure);
            return true;
        }
        for (id, _) in std::mem::take(&mut run.cell.requests) {
            let failure = Failure::Unkillable;
            self.conclude(id, Outcome::Failed { unit: of, failure, retry_in: None });
            self.go_on_without(id, unit);
        }
        true
    }

    /// A request was answered because of this run, and goes on without it: what it holds down beside comes up again, and
    /// the definitions that it brought hold.
    fn go_on_without(&mut self, id: RequestId, hidden: UnitId) {
        let Some(transaction) = self.transactions.get_mut(&id).filter(|t| t.step == Step::Stopping) else {
            return;
        };
        transaction.to_stop.retain(|unit| *unit != hidden);
        transaction.remaining = transaction.remaining.saturating_sub(1);
        if transaction.remaining == 0 {
            self.ripe.push_back(id);
        }
    }

    /// Is it a run that never served, and that nobody heard of?
    pub(super) fn is_successor(&self, unit: UnitId) -> bool {
        self.hidden.get(&unit).is_some_and(|run| matches!(run.part, Part::Coming | Part::Arrived))
    }

    /// A run that was replaced stops for a restart, whatever is wished of its unit now.
    pub(super) fn is_replaced(&self, unit: UnitId) -> bool {
        self.hidden.get(&unit).is_some_and(|run| run.part == Part::Leaving)
    }

    /// A successor of this unit is on its way: the unit does not start by itself.
    pub(super) fn awaits_successor(&self, unit: UnitId) -> bool {
        self.overlaps.get(&unit).is_some_and(|hidden| self.is_successor(*hidden))
    }

    /// All hidden runs go down with everything else.
    pub(super) fn stop_hidden(&mut self) {
        for hidden in self.hidden.keys().copied().collect::<Vec<_>>() {
            self.cell_mut(hidden).requests = Vec::new();
            self.dismiss(hidden);
        }
    }

    /// The runs that are gone are emptied: what was ordered in the last step still named them.
    pub(super) fn clear_hidden(&mut self) {
        for hidden in std::mem::take(&mut self.gone) {
            self.hidden.remove(&hidden);
        }
    }

    /// The unit that a run belongs to: of a hidden one the one that it stands beside, else itself.
    pub fn stands_for(&self, unit: UnitId) -> UnitId {
        self.hidden.get(&unit).map_or(unit, |run| run.of)
    }

    /// The run that the unit waits to be taken over by.
    pub fn successor(&self, unit: UnitId) -> Option<UnitId> {
        self.overlaps.get(&unit).copied().filter(|hidden| self.is_successor(*hidden))
    }

    /// The id of the other run of a unit, where it has two.
    pub fn hidden_of(&self, unit: UnitId) -> Option<UnitId> {
        self.overlaps.get(&unit).copied()
    }

    /// The other run of a unit, where it has two.
    pub fn other_run(&self, unit: UnitId) -> Option<OtherRun> {
        let run = self.hidden.get(self.overlaps.get(&unit)?)?;
        let which = if run.part == Part::Leaving { Which::Predecessor } else { Which::Successor };
        let (phase, main_pid) = (run.cell.state.phase(), run.cell.state.main());
        Some(OtherRun { which, phase, main_pid, since: run.cell.since })
    }
}

/// Can nobody but the new process show that it is ready?
fn shows_itself(program: &Program) -> bool {
    match program.ready.how {
        Readiness::Notify | Readiness::Fd(_) | Readiness::Log(_) => true,
        Readiness::Exec
        | Readiness::Tcp(_)
        | Readiness::Unix(_)
        | Readiness::Http(_)
        | Readiness::Command { .. }
        | Readiness::File(_) => false,
    }
}

fn has_renders(cell: &Cell) -> bool {
    cell.program().is_some_and(|program| !program.renders.is_empty())
}

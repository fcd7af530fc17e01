//! Wishes, taken up: what each sets in motion. What it touches, and what refuses it, stands in `scope`.

use std::collections::BTreeSet;

use crate::model::Signal;

use super::Engine;
use super::effect::{Effect, Reason, Scope};
use super::event::{Dependents, Gate, Request, RequestId, RestartHow, Shutdown, UnitId};
use super::failure::{Failure, Outcome, Refusal};
use super::gate::{Members, Wish};
use super::graph::EdgeKind;
use super::progress::{Progress, TransactionPhase};
use super::scope::{StartScope, unique};
use super::state::{State, Wanted};
use super::transaction::{Answer, Step, Transaction};
use super::transition::Input;

/// The most requests on their way at once. Clients come to a handful; one that asks without end shall not make every
/// step of everybody else slower.
const MAX_REQUESTS: usize = 256;

/// Does anything refuse a start?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strictness {
    /// A request: what cannot be is refused, and nothing is touched.
    Strict,
    /// The boot: what cannot be fails for itself.
    Lenient,
}

impl Engine {
    pub(super) fn requested(&mut self, id: RequestId, request: Request) {
        let outcome = match request {
            Request::Shutdown(how) => Some(self.shut_down(how)),
            _ if self.closing.is_some() => Some(Outcome::Refused(Refusal::ShuttingDown)),
            _ if self.has_too_many(id, &request) => {
                Some(Outcome::Refused(Refusal::TooMany { requests: self.on_their_way() }))
            }
            Request::Boot { units } => {
                self.boot = units.iter().filter_map(|unit| self.unit_name(*unit)).collect();
                self.start(id, &units, Strictness::Lenient)
            }
            Request::Start { units } => self.start(id, &units, Strictness::Strict),
            Request::Stop { units, dependents } => self.stop(id, units, dependents),
            Request::Restart { units, gate, how: RestartHow::Rolling } => self.roll(id, &units, gate),
            Request::Restart { units, gate, how: RestartHow::Together } => self.restart(id, units, gate),
            Request::Reload { units, gate } => self.reload(id, units, gate),
            Request::Sync { definitions, gate } => self.sync(id, definitions, gate),
            Request::Abandon { request } => Some(self.abandon(request)),
            Request::Forget { request } => Some(self.forget_request(request)),
            Request::Reset { units } => Some(self.reset(&units)),
            Request::Signal { units, signal } => Some(self.signal(&units, signal)),
        };
        if let Some(outcome) = outcome {
            self.reply(id, outcome);
        }
    }

    /// Is there room for a request that somebody would have to wait for? What a roll does in its turn has its own.
    fn has_too_many(&self, id: RequestId, request: &Request) -> bool {
        let waits = match request {
            Request::Start { .. }
            | Request::Stop { .. }
            | Request::Restart { .. }
            | Request::Reload { .. }
            | Request::Sync { .. } => true,
            Request::Boot { .. }
            | Request::Abandon { .. }
            | Request::Forget { .. }
            | Request::Reset { .. }
            | Request::Signal { .. }
            | Request::Shutdown(_) => false,
        };
        waits && !self.inner.contains_key(&id) && self.on_their_way() >= MAX_REQUESTS
    }

    fn on_their_way(&self) -> usize {
        self.transactions.len() + self.postponed.len()
    }

    /// Nobody hears the answer: what can be given up is, and what only waits waits no longer.
    fn forget_request(&mut self, id: RequestId) -> Outcome {
        let outcome = self.abandon(id);
        let only_waits = |t: &Transaction| {
            t.gated.is_none() && (t.step, t.goal) != (Step::Stopping, Wanted::Up) && t.answer == Answer::Owed
        };
        if self.transactions.get(&id).is_some_and(only_waits) {
            self.conclude(id, Outcome::Forgotten);
        }
        outcome
    }

    fn shut_down(&mut self, how: Shutdown) -> Outcome {
        self.close(how, None);
        Outcome::Done
    }

    fn start(&mut self, id: RequestId, units: &[UnitId], strictness: Strictness) -> Option<Outcome> {
        let scope = self.start_scope(units);
        if strictness == Strictness::Strict
            && let Some(refusal) = self.refuses_start(&scope.hard).or_else(|| self.busy(scope.units()))
        {
            return Some(Outcome::Refused(refusal));
        }
        self.wish_up(id, &scope, units, Reason::Start);
        let to_start = scope.hard.clone();
        self.tell(id, Progress::Phase(TransactionPhase::Starting));
        self.begin_transaction(id, Transaction { to_start, ..Transaction::new(Wanted::Up, Step::Starting) });
        self.follow_needs_down(&scope);
        self.fail_what_cannot(id);
        None
    }

    /// A boot is answered like any other wish: by the first of its units that already has failed.
    pub(super) fn fail_what_cannot(&mut self, id: RequestId) {
        let Some(transaction) = self.transactions.get(&id) else { return };
        let denied = |unit: &&UnitId| self.cell(**unit).is_dead() || self.cell(**unit).wanted == Wanted::Down;
        let Some(unit) = transaction.to_start.iter().find(denied).copied() else { return };
        let with = self.graph.conflicts(unit).first().copied().unwrap_or(unit);
        let failure = self.cell(unit).failure.as_deref().cloned().unwrap_or(Failure::Conflict(with));
        self.conclude(id, Outcome::Failed { unit, failure, retry_in: None });
    }

    pub(super) fn wish_up(&mut self, id: RequestId, scope: &StartScope, named: &[UnitId], reason: Reason) {
        for unit in scope.hard.iter().chain(&scope.soft).copied() {
            self.tally.work += 1;
            let cell = self.cell(unit);
            if cell.unit().is_none() || matches!(cell.failure.as_deref(), Some(Failure::Load(_))) {
                continue;
            }
            // What a sync has taken down comes up by its new definition, which may be in another's way.
            if !cell.is_live() || cell.state == State::Stopped {
                let mut conflicts = self.graph.conflicts(unit).iter();
                if let Some(with) = conflicts.find(|other| self.is_in_the_way(**other)).copied() {
                    self.transition(unit, Input::Deny(Failure::Conflict(with)));
                    continue;
                }
            }
            self.displace(unit, Wanted::Up, id);
            let cell = self.cell_mut(unit);
            let fresh = !cell.is_live() || cell.state == State::Backoff;
            cell.wanted = Wanted::Up;
            cell.doom = None;
            if fresh {
                cell.reason = reason;
                cell.restarts = 0;
                cell.doublings = 0;
                cell.restart_times = Vec::new();
            }
            let waits_no_longer = matches!(cell.state, State::Failed | State::Backoff)
                || (cell.state == State::Skipped && named.contains(&unit));
            self.refresh(unit);
            if waits_no_longer {
                self.transition(unit, Input::Retry);
            }
            self.look_at(unit);
        }
    }

    /// A unit that was going down is wished up again while a restart still stops what it needs: it, and what
    /// needs it, join that restart, or each would wait for the other.
    fn follow_needs_down(&mut self, scope: &StartScope) {
        for unit in scope.hard.iter().chain(&scope.soft).copied() {
            self.follow_its_needs_down(unit);
        }
    }

    pub(super) fn follow_its_needs_down(&mut self, unit: UnitId) {
        let cell = self.cell(unit);
        if !cell.standing.active || cell.goes_down() {
            return;
        }
        let edges = self.graph.outgoing(unit);
        self.tally.work += edges.len() as u64;
        let needs = edges.iter().filter(|edge| edge.kind == EdgeKind::Needs).map(|edge| edge.unit);
        let restarts = needs.flat_map(|need| self.cell(need).requests.iter()).filter(|(id, step)| {
            let transaction = self.transactions.get(id);
            *step == Step::Stopping
                && transaction.is_some_and(|t| t.goal == Wanted::Up && t.step == Step::Stopping)
        });
        let Some((id, _)) = restarts.copied().next() else { return };
        let mut units = vec![unit];
        self.follow_dependents(&mut units);
        for unit in units {
            self.join_stops(id, unit);
        }
    }

    fn stop(&mut self, id: RequestId, units: Vec<UnitId>, dependents: Dependents) -> Option<Outcome> {
        if let Some(refusal) = self.refuses_stop(&units, dependents) {
            return Some(Outcome::Refused(refusal));
        }
        let stops = self.stop_scope(&units, dependents);
        if !self.postpone_stop(id, &stops, || Request::Stop { units: units.clone(), dependents }) {
            let wish = Wish::Stop { units, dependents };
            self.begin_gated(id, wish, Gate::Skipped, Members { stops, ..Members::default() });
        }
        None
    }

    /// The hooks are through: the units go down.
    pub(super) fn stop_now(&mut self, id: RequestId, units: &[UnitId], dependents: Dependents) {
        let to_stop = self.stop_scope(units, dependents);
        self.tell(id, Progress::Phase(TransactionPhase::Stopping));
        for unit in to_stop.iter().copied() {
            self.displace(unit, Wanted::Down, id);
            self.cell_mut(unit).wanted = Wanted::Down;
            self.refresh(unit);
            self.look_at(unit);
        }
        self.leave_down(&to_stop, id);
        self.begin_transaction(id, Transaction { to_stop, ..Transaction::new(Wanted::Down, Step::Stopping) });
    }

    fn restart(&mut self, id: RequestId, units: Vec<UnitId>, gate: Gate) -> Option<Outcome> {
        let scope = self.restart_scope(&units);
        if let Some(refusal) = self.refuses_whole_restart(&scope, &units) {
            return Some(Outcome::Refused(refusal));
        }
        let (tests, stops, overlaps) = (scope.tests(self), scope.stops, scope.overlaps);
        self.begin_gated(id, Wish::Restart { units }, gate, Members { tests, stops, overlaps });
        None
    }

    /// Tests and hooks are through: the units go down, and come up again. Successors are up already.
    pub(super) fn restart_now(
        &mut self,
        id: RequestId,
        units: &[UnitId],
        tested: Vec<UnitId>,
        overlaps: &[UnitId],
    ) {
        let replaced = self.take_over(id, overlaps);
        let scope = self.restart_scope_beside(units, overlaps);
        self.tell(id, Progress::Phase(TransactionPhase::Stopping));
        let (to_stop, start) = (scope.stops, scope.start);
        for unit in to_stop.iter().copied() {
            self.cell_mut(unit).holds += 1;
            self.refresh(unit);
            self.look_at(unit);
        }
        self.wish_up(id, &start, units, Reason::Restart);
        for unit in to_stop.iter().copied() {
            self.cell_mut(unit).reason = Reason::Restart;
        }
        let stops: BTreeSet<UnitId> = to_stop.iter().copied().collect();
        for unit in tested.iter().filter(|unit| !stops.contains(unit)) {
            self.cell_mut(*unit).tested = true;
        }
        let to_start = unique(&[start.hard.as_slice(), to_stop.as_slice()].concat());
        let to_stop = [to_stop, replaced].concat();
        self.begin_transaction(
            id,
            Transaction { to_stop, to_start, tested, ..Transaction::new(Wanted::Up, Step::Stopping) },
        );
        self.follow_needs_down(&start);
    }

    fn reload(&mut self, id: RequestId, units: Vec<UnitId>, gate: Gate) -> Option<Outcome> {
        if let Some(refusal) = self.refuses_reload(&units) {
            return Some(Outcome::Refused(refusal));
        }
        let units = unique(&units);
        let tests = units.clone();
        self.begin_gated(id, Wish::Reload { units }, gate, Members { tests, ..Members::default() });
        None
    }

    fn reset(&mut self, units: &[UnitId]) -> Outcome {
        for unit in units.iter().copied() {
            if let Some(Failure::Load(words)) = self.cell(unit).failure.as_deref() {
                return Outcome::Refused(Refusal::Broken { unit, words: words.clone() });
            }
        }
        for unit in units.iter().copied() {
            let cell = self.cell_mut(unit);
            cell.restarts = 0;
            cell.doublings = 0;
            cell.restart_times = Vec::new();
            if cell.state == State::Failed {
                cell.wanted = Wanted::Down;
                cell.failure = None;
                self.transition(unit, Input::Reset);
            }
        }
        Outcome::Done
    }

    fn signal(&mut self, units: &[UnitId], signal: Signal) -> Outcome {
        if let Some(unit) = units.iter().find(|unit| self.cell(**unit).state.main().is_none()).copied() {
            return Outcome::Refused(Refusal::NoProcess { unit });
        }
        for unit in units.iter().copied() {
            if let Some(pid) = self.cell(unit).state.main() {
                self.do_this(Effect::Signal { unit, pid, scope: Scope::Process, signal });
            }
        }
        Outcome::Done
    }
}

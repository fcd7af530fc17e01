//! Wishes: what each touches, what refuses it, and what it then sets in motion.
//!
//! ```text
//!   start U    U and what it needs must come up; what they want shall      refused: broken, conflict
//!   stop U     U goes down; with cascade what runs and needs it, before    refused: needed by one that runs
//!   restart U  U and what runs and needs it go down, then start U          refused: as start
//! ```

use std::collections::BTreeSet;

use crate::model::Signal;

use super::Engine;
use super::effect::{Effect, Reason, Scope};
use super::event::{Dependents, Request, RequestId, RestartHow, Shutdown, UnitId};
use super::failure::{Failure, Outcome, Refusal};
use super::graph::EdgeKind;
use super::state::{State, Wanted};
use super::transaction::{Answer, Step, Transaction};
use super::transition::Input;

/// Does anything refuse a start?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strictness {
    /// A request: what cannot be is refused, and nothing is touched.
    Strict,
    /// The boot: what cannot be fails for itself.
    Lenient,
}

/// What a start touches.
struct StartScope {
    /// The named units and all that they need: these have to come up.
    hard: Vec<UnitId>,
    /// What those want, with its needs: these shall come up.
    soft: Vec<UnitId>,
}

impl Engine {
    pub(super) fn requested(&mut self, id: RequestId, request: Request) {
        let outcome = match request {
            Request::Shutdown(how) => Some(self.shut_down(how)),
            _ if self.closing.is_some() => Some(Outcome::Refused(Refusal::ShuttingDown)),
            Request::Boot { units } => self.start(id, &units, Strictness::Lenient),
            Request::Start { units } => self.start(id, &units, Strictness::Strict),
            Request::Stop { units, dependents } => self.stop(id, &units, dependents),
            Request::Restart { how: RestartHow::Rolling, .. } => {
                not_built("restart one unit after the other")
            }
            Request::Restart { units, .. } => self.restart(id, &units),
            Request::Reload { .. } => not_built("reload"),
            Request::Sync { .. } => not_built("sync"),
            Request::Abandon { .. } => Some(Outcome::Done),
            Request::Reset { units } => Some(self.reset(&units)),
            Request::Signal { units, signal } => Some(self.signal(&units, signal)),
        };
        if let Some(outcome) = outcome {
            self.do_this(Effect::Reply { id, outcome });
        }
    }

    fn shut_down(&mut self, how: Shutdown) -> Outcome {
        self.close(how, None);
        Outcome::Done
    }

    fn start(&mut self, id: RequestId, units: &[UnitId], strictness: Strictness) -> Option<Outcome> {
        let scope = self.start_scope(units);
        if strictness == Strictness::Strict
            && let Some(refusal) = self.refuses_start(&scope)
        {
            return Some(Outcome::Refused(refusal));
        }
        self.wish_up(id, &scope, units, Reason::Start);
        let (goal, answer) = (Wanted::Up, Answer::Owed);
        let (to_stop, to_start) = (Vec::new(), scope.hard.clone());
        self.begin_transaction(
            id,
            Transaction { goal, step: Step::Starting, to_stop, to_start, remaining: 0, answer },
        );
        self.follow_needs_down(&scope);
        self.fail_what_cannot(id);
        None
    }

    /// A boot is answered like any other wish: by the first of its units that already has failed.
    fn fail_what_cannot(&mut self, id: RequestId) {
        let Some(transaction) = self.transactions.get(&id) else { return };
        let denied = |unit: &&UnitId| self.cell(**unit).is_dead() || self.cell(**unit).wanted == Wanted::Down;
        let Some(unit) = transaction.to_start.iter().find(denied).copied() else { return };
        let with = self.graph.conflicts(unit).first().copied().unwrap_or(unit);
        let failure = self.cell(unit).failure.as_deref().cloned().unwrap_or(Failure::Conflict(with));
        self.conclude(id, Outcome::Failed { unit, failure, retry_in: None });
    }

    fn start_scope(&mut self, units: &[UnitId]) -> StartScope {
        let mut seen: BTreeSet<UnitId> = units.iter().copied().collect();
        let mut hard = unique(units);
        self.follow(&mut hard, &mut seen, &[EdgeKind::Needs]);
        let mut all = hard.clone();
        self.follow(&mut all, &mut seen, &[EdgeKind::Needs, EdgeKind::Wants]);
        let soft = all.split_off(hard.len());
        StartScope { hard, soft }
    }

    /// Appends to `units` all that can be reached from them by edges of these kinds.
    fn follow(&mut self, units: &mut Vec<UnitId>, seen: &mut BTreeSet<UnitId>, kinds: &[EdgeKind]) {
        let mut next = 0;
        while let Some(unit) = units.get(next).copied() {
            next += 1;
            for edge in self.graph.outgoing(unit) {
                self.tally.work += 1;
                if kinds.contains(&edge.kind) && seen.insert(edge.unit) {
                    units.push(edge.unit);
                }
            }
        }
    }

    fn refuses_start(&self, scope: &StartScope) -> Option<Refusal> {
        let hard: BTreeSet<UnitId> = scope.hard.iter().copied().collect();
        for unit in &scope.hard {
            let cell = self.cell(*unit);
            if let Some(Failure::Load(words)) = cell.failure.as_deref() {
                return Some(Refusal::Broken { unit: *unit, words: words.clone() });
            }
            if cell.unit().is_none() {
                return Some(Refusal::Broken { unit: *unit, words: "there is no such unit".to_owned() });
            }
            let conflicts = self.graph.conflicts(*unit).iter();
            let mut standing = conflicts.filter(|other| hard.contains(other) || self.is_in_the_way(**other));
            if let Some(with) = standing.next() {
                return Some(Refusal::Conflict { unit: *unit, with: *with });
            }
        }
        None
    }

    /// A unit that conflicts with this one cannot be started.
    fn is_in_the_way(&self, unit: UnitId) -> bool {
        self.cell(unit).is_live() || self.cell(unit).standing.active
    }

    fn wish_up(&mut self, id: RequestId, scope: &StartScope, named: &[UnitId], reason: Reason) {
        for unit in scope.hard.iter().chain(&scope.soft).copied() {
            self.tally.work += 1;
            let cell = self.cell(unit);
            if cell.unit().is_none() || matches!(cell.failure.as_deref(), Some(Failure::Load(_))) {
                continue;
            }
            if !cell.is_live() {
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

    fn follow_its_needs_down(&mut self, unit: UnitId) {
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

    fn stop(&mut self, id: RequestId, units: &[UnitId], dependents: Dependents) -> Option<Outcome> {
        let mut to_stop = unique(units);
        match dependents {
            Dependents::Refuse => {
                if let Some(refusal) = self.refuses_stop(&to_stop) {
                    return Some(Outcome::Refused(refusal));
                }
            }
            Dependents::Stop => self.follow_dependents(&mut to_stop),
        }
        for unit in to_stop.iter().copied() {
            self.displace(unit, Wanted::Down, id);
            self.cell_mut(unit).wanted = Wanted::Down;
            self.refresh(unit);
            self.look_at(unit);
        }
        let (goal, step, answer) = (Wanted::Down, Step::Stopping, Answer::Owed);
        self.begin_transaction(
            id,
            Transaction { goal, step, to_stop, to_start: Vec::new(), remaining: 0, answer },
        );
        None
    }

    fn refuses_stop(&mut self, units: &[UnitId]) -> Option<Refusal> {
        let named: BTreeSet<UnitId> = units.iter().copied().collect();
        for unit in units {
            let edges = self.graph.incoming(*unit);
            self.tally.work += edges.len() as u64;
            let needing = edges.iter().filter(|edge| edge.kind == EdgeKind::Needs).map(|edge| edge.unit);
            let by: Vec<UnitId> =
                needing.filter(|other| !named.contains(other) && self.cell(*other).is_live()).collect();
            if !by.is_empty() {
                return Some(Refusal::NeededBy { unit: *unit, by });
            }
        }
        None
    }

    /// Appends the units that are up and need these, and those that need them.
    fn follow_dependents(&mut self, units: &mut Vec<UnitId>) {
        let mut seen: BTreeSet<UnitId> = units.iter().copied().collect();
        let mut next = 0;
        while let Some(unit) = units.get(next).copied() {
            next += 1;
            for edge in self.graph.incoming(unit) {
                self.tally.work += 1;
                let live = self.cells.get(edge.unit.index()).is_some_and(super::Cell::is_live);
                if edge.kind == EdgeKind::Needs && live && seen.insert(edge.unit) {
                    units.push(edge.unit);
                }
            }
        }
    }

    fn restart(&mut self, id: RequestId, units: &[UnitId]) -> Option<Outcome> {
        let mut to_stop = unique(units);
        self.follow_dependents(&mut to_stop);
        let mut scope = self.start_scope(units);
        if let Some(refusal) = self.refuses_restart(&scope, units) {
            return Some(Outcome::Refused(refusal));
        }
        for unit in to_stop.iter().copied() {
            self.cell_mut(unit).holds += 1;
            self.refresh(unit);
            self.look_at(unit);
        }
        self.wish_up(id, &scope, units, Reason::Restart);
        for unit in to_stop.iter().copied() {
            self.cell_mut(unit).reason = Reason::Restart;
        }
        scope.hard.extend(&to_stop);
        let to_start = unique(&scope.hard);
        let (goal, step, answer) = (Wanted::Up, Step::Stopping, Answer::Owed);
        self.begin_transaction(id, Transaction { goal, step, to_stop, to_start, remaining: 0, answer });
        self.follow_needs_down(&scope);
        None
    }

    /// What is up already conflicts with nothing; only what the restart brings up anew can.
    fn refuses_restart(&self, scope: &StartScope, named: &[UnitId]) -> Option<Refusal> {
        let new = |unit: &&UnitId| named.contains(unit) || !self.cell(**unit).is_live();
        let hard = scope.hard.iter().filter(new).copied().collect();
        self.refuses_start(&StartScope { hard, soft: Vec::new() })
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

fn not_built(what: &'static str) -> Option<Outcome> {
    Some(Outcome::Refused(Refusal::NotBuilt(what)))
}

/// The units without repetitions, in their order.
fn unique(units: &[UnitId]) -> Vec<UnitId> {
    let mut seen = BTreeSet::new();
    units.iter().copied().filter(|unit| seen.insert(*unit)).collect()
}

//! A request on its way: what it wishes, how far it has come, who is missing.
//!
//! ```text
//!   stop:     gate ─▶ Stopping ─────────────▶ answered when every member is down
//!   start:                       Starting ──▶ answered when every member is ready
//!   restart:  gate ─▶ Stopping ─▶ Starting ─▶ both
//!   reload:   gate ─▶ Reloading ────────────▶ answered when every member has shown that it serves
//! ```
//!
//! What comes before the first touch, tests, successors and pre-stop hooks, stands in `gate`.
//!
//! A transaction that was answered early, because an attempt failed or another wish displaced it, still
//! carries its stops to their end, so that nothing is left half restarted.

use std::rc::Rc;

use super::Engine;
use super::event::{RequestId, UnitId};
use super::failure::{Failure, Outcome};
use super::gate::Gated;
use super::progress::{Progress, TransactionPhase};
use super::state::Wanted;
use super::sync::Sync;

/// A request that is not over.
#[derive(Debug)]
pub(super) struct Transaction {
    /// What is wished in the end.
    pub(super) goal: Wanted,
    pub(super) step: Step,
    /// The units that it stops first, and runs that were replaced; a restart holds the units down until the last of them
    /// is.
    pub(super) to_stop: Vec<UnitId>,
    /// The units that have to be ready in the end.
    pub(super) to_start: Vec<UnitId>,
    /// Units that were tested, or are not to be: their start does without.
    pub(super) tested: Vec<UnitId>,
    /// How many of the present step's units are missing.
    pub(super) remaining: u32,
    pub(super) answer: Answer,
    /// The definitions that hold once all of `to_stop` are down, and the units that have to be up then.
    pub(super) sync: Option<(Rc<Sync>, Vec<UnitId>)>,
    /// What it needs to know as long as nothing was touched.
    pub(super) gated: Option<Box<Gated>>,
}

impl Transaction {
    /// One without any units.
    pub(super) fn new(goal: Wanted, step: Step) -> Transaction {
        Transaction {
            goal,
            step,
            to_stop: Vec::new(),
            to_start: Vec::new(),
            tested: Vec::new(),
            remaining: 0,
            answer: Answer::Owed,
            sync: None,
            gated: None,
        }
    }
}

/// What a transaction waits for. In the steps up to `Reloading` that are errands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Trials.
    Testing,
    /// Successors of units that serve on until these are ready.
    Overlapping,
    /// Pre-stop hooks.
    PreStopping,
    /// Trials, once more.
    Retesting,
    /// It was given up; what still runs of it was sent KILL.
    Clearing,
    /// The undo of its hooks.
    Undoing,
    /// Daemons that read their configuration again.
    Reloading,
    /// All of `to_stop` are down.
    Stopping,
    /// All of `to_start` are ready.
    Starting,
}

/// Was the request answered?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not yet.
    Owed,
    /// Yes; nothing more is said of it.
    Given,
}

impl Engine {
    /// Takes a transaction up: its units report to it from now on.
    pub(super) fn begin_transaction(&mut self, id: RequestId, transaction: Transaction) {
        for (units, step) in [(&transaction.to_stop, Step::Stopping), (&transaction.to_start, Step::Starting)]
        {
            for unit in units {
                self.cell_mut(*unit).requests.push((id, step));
            }
        }
        self.transactions.insert(id, transaction);
        self.count_missing(id);
        self.answer_if_held_up(id);
    }

    /// Another unit is held down by a restart that still stops.
    pub(super) fn join_stops(&mut self, id: RequestId, unit: UnitId) {
        let cell = self.cell_mut(unit);
        if cell.requests.contains(&(id, Step::Stopping)) {
            return;
        }
        cell.requests.push((id, Step::Stopping));
        cell.holds += 1;
        let missing = u32::from(!cell.standing.down);
        if let Some(transaction) = self.transactions.get_mut(&id) {
            transaction.to_stop.push(unit);
            transaction.remaining += missing;
        }
        self.refresh(unit);
        self.look_at(unit);
    }

    /// Counts who is missing from the present step.
    fn count_missing(&mut self, id: RequestId) {
        let Some(transaction) = self.transactions.get(&id) else { return };
        let (units, step) = match transaction.step {
            Step::Stopping => (&transaction.to_stop, Step::Stopping),
            Step::Starting => (&transaction.to_start, Step::Starting),
            _ => return,
        };
        let n_units = units.len() as u64;
        let missing = units.iter().filter(|unit| {
            let standing = self.cell(**unit).standing;
            match step {
                Step::Stopping => !standing.down,
                _ => !standing.satisfied,
            }
        });
        let remaining = u32::try_from(missing.count()).unwrap_or(u32::MAX);
        self.tally.work += n_units;
        if let Some(transaction) = self.transactions.get_mut(&id) {
            transaction.remaining = remaining;
        }
        if remaining == 0 {
            self.ripe.push_back(id);
        }
    }

    fn leave(&mut self, id: RequestId) {
        let Some(transaction) = self.transactions.remove(&id) else { return };
        for unit in transaction.to_stop.iter().chain(&transaction.to_start) {
            self.tally.work += 1;
            self.cell_mut(*unit).requests.retain(|(request, _)| *request != id);
        }
        for unit in transaction.tested {
            self.cell_mut(unit).tested = false;
        }
    }

    /// Nothing is missing from the present step any more: on to the next one.
    pub(super) fn advance(&mut self, id: RequestId) {
        self.tally.work += 1;
        let Some(transaction) = self.transactions.get(&id) else { return };
        if transaction.remaining > 0 {
            return;
        }
        match (transaction.step, transaction.goal) {
            (Step::Stopping, Wanted::Up) => self.start_what_was_stopped(id),
            (Step::Stopping, Wanted::Down) | (Step::Starting, _) => self.conclude(id, Outcome::Done),
            (step, _) => self.advance_gated(id, step),
        }
    }

    fn start_what_was_stopped(&mut self, id: RequestId) {
        // Whether an essential unit decides the end is a matter of the definition by which it ended.
        if self.syncing == Some(id)
            && let Some(unit) = self.decided.take()
        {
            self.essential_ended(unit);
        }
        let Some(transaction) = self.transactions.get_mut(&id) else { return };
        transaction.step = Step::Starting;
        let (answer, to_stop, tested) =
            (transaction.answer, transaction.to_stop.clone(), transaction.tested.clone());
        let sync = transaction.sync.take();
        let is_sync = sync.is_some();
        self.tell(id, Progress::Phase(TransactionPhase::Starting));
        if let Some((sync, named)) = sync {
            let to_start = self.finish_sync(id, &sync, &named);
            if let Some(transaction) = self.transactions.get_mut(&id) {
                transaction.to_start = to_start;
            }
        }
        for unit in tested {
            self.cell_mut(unit).tested = true;
        }
        for unit in to_stop {
            self.release(unit);
        }
        match answer {
            Answer::Given => self.leave(id),
            Answer::Owed => {
                self.count_missing(id);
                self.answer_if_held_up(id);
            }
        }
        if is_sync {
            self.fail_what_cannot(id);
        }
    }

    /// Had this phase of a request nothing to do, so that it is over already?
    pub fn went_by(&self, id: RequestId, phase: &TransactionPhase) -> bool {
        let step = match phase {
            TransactionPhase::Testing => Step::Testing,
            TransactionPhase::PreStopping => Step::PreStopping,
            TransactionPhase::TestingAgain => Step::Retesting,
            TransactionPhase::Undoing => Step::Undoing,
            TransactionPhase::Overlapping => Step::Overlapping,
            TransactionPhase::Stopping => Step::Stopping,
            TransactionPhase::Starting => Step::Starting,
            TransactionPhase::Reloading => Step::Reloading,
            TransactionPhase::Rolling { .. } => return false,
        };
        // The turn of a roll has a number of its own.
        let turns = self.inner.iter().filter(|(_, outer)| **outer == id).map(|(inner, _)| inner);
        let mut all = turns.chain([&id]).filter_map(|id| self.transactions.get(id));
        !all.any(|transaction| transaction.step == step)
    }

    /// Who waits for a unit that outlives KILL waits in vain.
    fn answer_if_held_up(&mut self, id: RequestId) {
        let Some(transaction) = self.transactions.get(&id) else { return };
        let units = transaction.to_stop.iter().chain(&transaction.to_start);
        if let Some(unit) = units.copied().find(|unit| self.outlives_kill(*unit)) {
            self.answer_held_up(id, unit);
        }
    }

    /// A unit outlives KILL. A restart lets go of the units that it holds: what can run without that one runs on, or
    /// comes up again; and a sync is given up, since the old definitions cannot go.
    pub(super) fn answer_held_up(&mut self, id: RequestId, unit: UnitId) {
        self.conclude(id, Outcome::Failed { unit, failure: Failure::Unkillable, retry_in: None });
        let Some(transaction) = self.transactions.get(&id) else { return };
        let held = transaction.to_stop.clone();
        let is_sync = self.syncing == Some(id);
        self.leave(id);
        for unit in held {
            self.release(unit);
        }
        if is_sync {
            self.syncing = None;
            self.claims.retain(|_, by| *by != id);
            self.sync_gave_up();
            self.take_up_postponed();
        }
    }

    /// A restart does not hold the unit down any longer.
    fn release(&mut self, unit: UnitId) {
        let cell = self.cell_mut(unit);
        cell.holds = cell.holds.saturating_sub(1);
        self.refresh(unit);
        self.look_at(unit);
    }

    /// Answers a request. A restart that still stops units goes on with that in silence.
    pub(super) fn conclude(&mut self, id: RequestId, outcome: Outcome) {
        let Some(transaction) = self.transactions.get_mut(&id) else { return };
        let holds = transaction.step == Step::Stopping && transaction.goal == Wanted::Up;
        if std::mem::replace(&mut transaction.answer, Answer::Given) == Answer::Owed {
            self.reply(id, outcome);
        }
        if !holds {
            self.leave(id);
        }
    }

    /// Answers those who wait for this unit to come up.
    pub(super) fn answer_wishes_up(&mut self, unit: UnitId, outcome: Outcome) {
        for (id, _) in self.cell(unit).requests.clone() {
            if self.transactions.get(&id).is_some_and(|transaction| transaction.goal == Wanted::Up) {
                self.conclude(id, outcome.clone());
            }
        }
    }

    /// Answers those who wish the opposite of what is wished now.
    pub(super) fn displace(&mut self, unit: UnitId, now_wanted: Wanted, by: RequestId) {
        for (id, _) in self.cell(unit).requests.clone() {
            if self.transactions.get(&id).is_some_and(|transaction| transaction.goal != now_wanted) {
                self.conclude(id, Outcome::Replaced { by });
            }
        }
    }
}

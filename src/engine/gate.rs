//! What a transaction does before it stops anything: tests, pre-stop hooks, and the way back.
//!
//! ```text
//!   Testing ─▶ Overlapping ─▶ PreStopping ─ more than a second ─▶ Retesting ─▶ go: Stopping, or Reloading
//!      │            │              │                                 │
//!      └────────────┴──────────────┴─▶ retreat: Clearing ◀───────────┘
//! ```
//!
//! Until it goes its units are claimed: no other request may begin with them. Whatever a unit does by itself
//! meanwhile it does; the transaction looks at what it finds when it goes.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crate::model::{Moment, Unit, UnitName};

use super::Engine;
use super::effect::{Effect, Reason, Renders};
use super::errand::{End, Owner, Task};
use super::event::{Dependents, Gate, RequestId, UnitId};
use super::failure::{Failure, Outcome, Refusal};
use super::pre_stop::hooks_before;
use super::progress::{Progress, Tested, TransactionPhase};
use super::state::{Due, Wanted};
use super::sync::Sync;
use super::transaction::{Step, Transaction};

/// When the hooks took longer than this the configurations are tested again: somebody may have saved a file.
const TEST_HOLDS: Duration = Duration::from_secs(1);

/// A wish that has steps before it stops, or reloads, anything.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Stop { units: Vec<UnitId>, dependents: Dependents },
    Restart { units: Vec<UnitId> },
    Reload { units: Vec<UnitId> },
    Sync { sync: Rc<Sync> },
    Roll { units: Vec<UnitId> },
}

/// The units of a wish, by what it does with them.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Tried before anything is touched.
    pub(super) tests: Vec<UnitId>,
    /// To go down, as it looks at the beginning.
    pub(super) stops: Vec<UnitId>,
    /// To be replaced while they serve.
    pub(super) overlaps: Vec<UnitId>,
}

/// What such a transaction has to know until it goes.
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) wish: Wish,
    gate: Gate,
    /// Units that are claimed.
    pub(super) scope: Vec<UnitId>,
    /// Units that are tried.
    tests: Vec<UnitId>,
    /// Units that are to stop, as it looked at the beginning.
    pub(super) stops: Vec<UnitId>,
    /// Units whose successors come up before the old processes stop.
    pub(super) overlaps: Vec<UnitId>,
    /// Units of which a trial rendered files.
    pub(super) rendered: Vec<UnitId>,
    pub(super) failures: Vec<(UnitId, Failure)>,
    /// Hooks that ran, in their order.
    pub(super) begun: Vec<(UnitId, u16)>,
    pub(super) undone: Vec<String>,
    /// When the tests were over.
    pub(super) since: Moment,
    /// Why it was given up.
    pub(super) because: Option<Outcome>,
}

impl Wish {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Wish::Stop { .. } => Reason::Stop,
            Wish::Restart { .. } | Wish::Sync { .. } | Wish::Roll { .. } => Reason::Restart,
            Wish::Reload { .. } => Reason::Reload,
        }
    }

    /// The definition that a unit is to get, where it is another one than it has.
    pub(super) fn definition(&self, unit: UnitId) -> Option<&Rc<Unit>> {
        match self {
            Wish::Sync { sync } => sync.definition(unit),
            Wish::Stop { .. } | Wish::Restart { .. } | Wish::Reload { .. } | Wish::Roll { .. } => None,
        }
    }

    fn goal(&self) -> Wanted {
        match self {
            Wish::Stop { .. } => Wanted::Down,
            Wish::Restart { .. } | Wish::Reload { .. } | Wish::Sync { .. } | Wish::Roll { .. } => Wanted::Up,
        }
    }
}

impl Step {
    /// Nothing was stopped or reloaded yet, and the request was not given up.
    pub(super) fn can_be_given_up(self) -> bool {
        match self {
            Step::Testing | Step::Overlapping | Step::PreStopping | Step::Retesting => true,
            Step::Clearing | Step::Undoing | Step::Reloading | Step::Stopping | Step::Starting => false,
        }
    }
}

impl Engine {
    /// Takes up a wish: its units are claimed, and tested where that is asked for.
    pub(super) fn begin_gated(
        &mut self,
        id: RequestId,
        wish: Wish,
        gate: Gate,
        Members { tests, stops, overlaps }: Members,
    ) {
        let mut all: BTreeSet<UnitId> = tests.iter().chain(&stops).chain(&overlaps).copied().collect();
        if let Wish::Sync { sync } = &wish {
            all.extend(sync.units());
        }
        let scope: Vec<UnitId> = all.into_iter().collect();
        self.tally.work += scope.len() as u64;
        for unit in &scope {
            self.claims.insert(*unit, id);
        }
        let runs = |unit: &UnitId| {
            let definition = wish.definition(*unit).or_else(|| self.cell(*unit).unit());
            definition.is_some_and(|unit| unit.program().is_some())
        };
        let tests: Vec<UnitId> = tests.into_iter().filter(runs).collect();
        let is_tested = gate == Gate::Enforced && !tests.is_empty();
        let goal = wish.goal();
        let gated = Gated {
            wish,
            gate,
            scope,
            tests,
            stops,
            overlaps,
            rendered: Vec::new(),
            failures: Vec::new(),
            begun: Vec::new(),
            undone: Vec::new(),
            since: self.now,
            because: None,
        };
        let gated = Some(Box::new(gated));
        self.transactions.insert(id, Transaction { gated, ..Transaction::new(goal, Step::Testing) });
        if is_tested {
            return self.begin_tests(id, Step::Testing);
        }
        self.tell_of_skipped(id);
        self.begin_overlap(id);
    }

    /// Who asked that nothing be tested hears what was not.
    fn tell_of_skipped(&mut self, id: RequestId) {
        for unit in self.gated(id).map(|gated| gated.tests.clone()).unwrap_or_default() {
            let Some(definition) = self.tested_definition(id, unit) else { continue };
            let has_test = definition.program().is_some_and(|program| program.configtest.is_some());
            let passed = if has_test { Tested::Skipped } else { Tested::Untested };
            self.tell(id, Progress::Tested { unit: definition.name.clone(), passed });
        }
    }

    /// More units belong to it than at its beginning. True where that means to test once more.
    pub(super) fn join_gate(&mut self, id: RequestId, new: Vec<UnitId>, members: Members) -> bool {
        let Members { tests, stops, overlaps } = members;
        let runs = |unit: &UnitId| self.tested_definition(id, *unit).is_some_and(|u| u.program().is_some());
        let tests: Vec<UnitId> = tests.into_iter().filter(runs).collect();
        let Some(gated) = self.gated_mut(id) else { return true };
        let is_more = gated.gate == Gate::Enforced && tests.iter().any(|unit| !gated.tests.contains(unit));
        let gated_skips = gated.gate == Gate::Skipped;
        gated.scope.extend(new);
        (gated.tests, gated.stops, gated.overlaps) = (tests, stops, overlaps);
        if is_more {
            self.begin_tests(id, Step::Testing);
        } else if gated_skips {
            self.tell_of_skipped(id);
        }
        is_more
    }

    /// Goes over to a step that waits for this many errands.
    pub(super) fn await_errands(&mut self, id: RequestId, step: Step, n_errands: usize) {
        let Some(transaction) = self.transactions.get_mut(&id) else { return };
        transaction.step = step;
        transaction.remaining = u32::try_from(n_errands).unwrap_or(u32::MAX);
        if n_errands == 0 {
            self.ripe_gates.push_back(id);
        }
    }

    pub(super) fn gated(&self, id: RequestId) -> Option<&Gated> {
        self.transactions.get(&id)?.gated.as_deref()
    }

    /// Why units are claimed by this request.
    pub(super) fn wish_of(&self, id: RequestId) -> Reason {
        self.gated(id).map_or(Reason::Restart, |gated| gated.wish.reason())
    }

    pub(super) fn gated_mut(&mut self, id: RequestId) -> Option<&mut Gated> {
        self.transactions.get_mut(&id)?.gated.as_deref_mut()
    }

    fn begin_tests(&mut self, id: RequestId, step: Step) {
        let is_first = step == Step::Testing;
        let Some(gated) = self.gated(id) else { return };
        // A successor that has started read its configuration already.
        let is_tried = |unit: &&UnitId| is_first || !gated.overlaps.contains(unit);
        let tests: Vec<UnitId> = gated.tests.iter().filter(is_tried).copied().collect();
        let reason = gated.wish.reason();
        self.await_errands(id, step, tests.len());
        let phase = if is_first { TransactionPhase::Testing } else { TransactionPhase::TestingAgain };
        self.tell(id, Progress::Phase(phase));
        for unit in tests {
            let Some(spec) = self.tested_definition(id, unit) else { continue };
            let task = Task::Trial { due: Due::from_flags(&[]) };
            self.begin_errand(unit, Owner::Request(id), (spec, reason), task);
        }
    }

    /// What a unit is tested by: what it would be started with.
    pub(super) fn tested_definition(&self, id: RequestId, unit: UnitId) -> Option<Rc<Unit>> {
        let new = self.gated(id).and_then(|gated| gated.wish.definition(unit));
        new.or_else(|| self.cell(unit).unit()).cloned()
    }

    pub(super) fn begin_hooks(&mut self, id: RequestId) {
        let Some(gated) = self.gated(id) else { return };
        let reason = gated.wish.reason();
        let has_hooks = |unit: &UnitId| hooks_before(self.cell(*unit), reason).next().is_some();
        // A unit that was replaced already has nobody to prepare.
        let replaced = gated.overlaps.iter().filter(|unit| self.awaits_successor(**unit));
        let stops = gated.stops.iter().chain(replaced).copied();
        let units: Vec<UnitId> = stops.filter(has_hooks).collect();
        if units.is_empty() {
            return self.end_of_pre_stops(id);
        }
        self.await_errands(id, Step::PreStopping, units.len());
        self.tell(id, Progress::Phase(TransactionPhase::PreStopping));
        for unit in units {
            let Some(spec) = self.cell(unit).unit().cloned() else { continue };
            self.begin_errand(unit, Owner::Request(id), (spec, reason), Task::PreStop { first: None });
        }
    }

    /// The hooks are through. What was tested some time ago is tested once more.
    fn end_of_pre_stops(&mut self, id: RequestId) {
        let Some(gated) = self.gated(id) else { return };
        let took_long = self.now.since(gated.since) > TEST_HOLDS;
        let is_tested =
            gated.gate == Gate::Enforced && gated.tests.iter().any(|unit| !gated.overlaps.contains(unit));
        if took_long && is_tested { self.begin_tests(id, Step::Retesting) } else { self.go(id) }
    }

    /// What was done beside a unit is over.
    pub(super) fn errand_over(&mut self, unit: UnitId, owner: Owner, end: End) {
        let Owner::Request(id) = owner else { return };
        if self.closing.is_some() {
            return self.way_for_shutdown_hook(unit);
        }
        let Some(transaction) = self.transactions.get_mut(&id) else { return };
        let step = transaction.step;
        transaction.remaining = transaction.remaining.saturating_sub(1);
        if transaction.remaining == 0 {
            self.ripe_gates.push_back(id);
        }
        match (step, end) {
            (Step::Testing | Step::Retesting, End::Tested(tested)) => {
                self.note_trial(id, unit, tested, None);
            }
            (Step::Testing | Step::Retesting, End::Failed(failure)) => {
                self.note_trial(id, unit, Tested::Failed, Some(failure.clone()));
                self.note_unsuccessful(id, unit, failure);
            }
            (Step::PreStopping, End::Failed(failure)) => {
                self.give_up(id, Outcome::Aborted { unit, failure, undone: Vec::new() });
            }
            (Step::Reloading, End::Failed(failure)) => self.note_unsuccessful(id, unit, failure),
            _ => {}
        }
    }

    fn note_unsuccessful(&mut self, id: RequestId, unit: UnitId, failure: Failure) {
        if let Some(gated) = self.gated_mut(id) {
            gated.failures.push((unit, failure));
        }
    }

    fn note_trial(&mut self, id: RequestId, unit: UnitId, passed: Tested, failure: Option<Failure>) {
        if let Some(definition) = self.tested_definition(id, unit) {
            self.tell(id, Progress::Tested { unit: definition.name.clone(), passed });
        }
        if passed != Tested::Untested && self.cell(unit).unit().is_some() {
            self.note_test(unit, failure);
        }
    }

    /// Keeps in mind what came of a configuration test.
    pub(super) fn note_test(&mut self, unit: UnitId, failure: Option<Failure>) {
        let now = self.now;
        self.notes.entry(unit).or_default().last_test = Some((now, failure));
    }

    /// Nothing is missing from a step before the stop any more.
    pub(super) fn advance_gated(&mut self, id: RequestId, step: Step) {
        let Some(gated) = self.gated(id) else { return };
        let has_failed = !gated.failures.is_empty();
        match step {
            Step::Testing | Step::Retesting if has_failed => self.refuse_for_tests(id),
            Step::Testing => self.begin_overlap(id),
            Step::Overlapping => self.begin_hooks(id),
            Step::PreStopping => self.end_of_pre_stops(id),
            Step::Retesting => self.go(id),
            Step::Clearing => self.undo(id),
            Step::Undoing => self.answer_given_up(id),
            Step::Reloading => self.reloaded(id),
            Step::Stopping | Step::Starting => {}
        }
    }

    /// The claims are given back, and what the trials rendered stays or goes.
    pub(super) fn leave_gate(&mut self, id: RequestId, verdict: Renders) -> Option<Box<Gated>> {
        let gated = self.transactions.get_mut(&id)?.gated.take()?;
        if verdict == Renders::Restore && self.syncing == Some(id) {
            self.syncing = None;
        }
        for unit in &gated.scope {
            self.claims.remove(unit);
        }
        for unit in gated.rendered.iter().copied() {
            self.do_this(Effect::SettleRenders { unit, verdict });
        }
        Some(gated)
    }

    /// All that comes before is done: now units are touched.
    fn go(&mut self, id: RequestId) {
        let Some(wish) = self.gated(id).map(|gated| gated.wish.clone()) else { return };
        // One that came up and has ended since takes over from nobody; once it is gone the request is given up.
        if self.has_lost_a_successor(id) {
            return self.await_errands(id, Step::Overlapping, 1);
        }
        // What was refused at the beginning may have come about since.
        let refusal = match &wish {
            Wish::Stop { units, dependents } => self.refuses_stop(units, *dependents),
            Wish::Restart { units } => self.refuses_restart(&self.start_scope(units), units),
            Wish::Sync { sync } => self.refuses_new_conflicts(sync),
            Wish::Reload { .. } | Wish::Roll { .. } => None,
        };
        if let Some(refusal) = refusal {
            return self.give_up(id, Outcome::Refused(refusal));
        }
        if let Wish::Reload { units } = wish {
            return self.begin_reloads(id, units);
        }
        let Some(gated) = self.leave_gate(id, Renders::Keep) else { return };
        match wish {
            Wish::Stop { units, dependents } => self.stop_now(id, &units, dependents),
            Wish::Restart { units } => self.restart_now(id, &units, gated.tests, &gated.overlaps),
            Wish::Sync { sync } => self.sync_now(id, sync, gated.tests, &gated.overlaps),
            Wish::Roll { units } => self.roll_now(id, units, gated.gate),
            Wish::Reload { .. } => {}
        }
        self.take_up_postponed();
    }

    fn begin_reloads(&mut self, id: RequestId, units: Vec<UnitId>) {
        self.await_errands(id, Step::Reloading, units.len());
        self.tell(id, Progress::Phase(TransactionPhase::Reloading));
        for unit in units {
            let Some(spec) = self.cell(unit).unit().cloned() else { continue };
            let task = Task::Reload { words: String::new() };
            self.begin_errand(unit, Owner::Request(id), (spec, Reason::Reload), task);
        }
    }

    fn reloaded(&mut self, id: RequestId) {
        self.note_who_ended_since(id);
        let Some(mut gated) = self.leave_gate(id, Renders::Keep) else { return };
        self.transactions.remove(&id);
        let outcome = match gated.failures.is_empty() {
            true => Outcome::Done,
            false => {
                let (unit, failure) = gated.failures.remove(0);
                Outcome::Failed { unit, failure, retry_in: None }
            }
        };
        self.reply(id, outcome);
        self.take_up_postponed();
    }

    /// What has shown that it serves may have ended while others were still at it.
    fn note_who_ended_since(&mut self, id: RequestId) {
        let Some(Gated { wish: Wish::Reload { units }, since, .. }) = self.gated(id) else { return };
        let is_gone = |unit: &&UnitId| {
            let cell = self.cell(**unit);
            !cell.state.is_serving() || cell.since > *since
        };
        if let Some(unit) = units.iter().find(is_gone).copied() {
            let failure = self.reload_ended(unit);
            self.note_unsuccessful(id, unit, failure);
        }
    }

    /// Another request that has begun with one of these units.
    pub(super) fn busy(&self, mut units: impl Iterator<Item = UnitId>) -> Option<Refusal> {
        if self.claims.is_empty() && self.syncing.is_none() {
            return None;
        }
        let by = |unit: UnitId| self.claims.get(&unit).copied().or_else(|| self.sync_at_stops_of(unit));
        units.find_map(|unit| by(unit).map(|by| Refusal::Busy { unit, by: self.outer(by) }))
    }

    pub(super) fn tell(&mut self, id: RequestId, progress: Progress) {
        let id = self.outer(id);
        // The turn of a roll that was answered goes on in silence: nobody outside knows its number.
        if self.is_inner(id) {
            return;
        }
        self.do_this(Effect::Progress { id, progress });
    }

    pub(super) fn unit_name(&self, unit: UnitId) -> Option<UnitName> {
        self.cell(unit).unit().map(|unit| unit.name.clone())
    }
}

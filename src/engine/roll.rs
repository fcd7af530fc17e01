//! A rolling restart: one unit after the other, each up again before the next one goes down.
//!
//! ```text
//!   gate: all are tested ─▶ restart 1st ─ done, lives on ─▶ restart 2nd ─ done, lives on ─▶ … ─▶ done
//!                               └─ anything else ───▶ the roll stops; those behind it run on as they are
//! ```
//!
//! A release that is broken mostly ends at once, and of a unit whose readiness is its exec alone that is told too late: it
//! has to live on for a moment before the next one's turn comes.
//!
//! A roll makes requests of its own, one a unit, with numbers that nobody outside uses. So each unit is tested, has
//! its hooks and comes up as in any restart.

use std::collections::VecDeque;

use crate::model::Moment;
use crate::model::unit::Readiness;

use super::Engine;
use super::cell::LastEnd;
use super::effect::Effect;
use super::event::{Gate, Request, RequestId, RestartHow, Role, UnitId};
use super::failure::{Failure, Outcome, Refusal};
use super::gate::{Members, Wish};
use super::overlap::SETTLE;
use super::plan::Plan;
use super::progress::{Progress, TransactionPhase};
use super::scope::unique;

/// A rolling restart on its way.
#[derive(Debug)]
pub(super) struct Roll {
    gate: Gate,
    done: Vec<UnitId>,
    /// The unit whose turn it is is the first.
    left: VecDeque<UnitId>,
    /// The request for that one.
    inner: Option<RequestId>,
    /// What came of it.
    answer: Option<Outcome>,
    /// It is done, and the unit has to live on until then.
    settling: Option<Moment>,
    /// Nobody waits for the roll any longer.
    abandoned: bool,
}

impl Roll {
    /// Is it this unit that has to live on?
    fn awaits(&self, unit: UnitId) -> bool {
        self.settling.is_some() && self.left.front() == Some(&unit)
    }

    /// A unit is no more.
    pub(super) fn forget(&mut self, unit: UnitId) {
        self.done.retain(|other| *other != unit);
        self.left.retain(|other| *other != unit);
    }
}

impl Engine {
    /// Takes up a rolling restart: all are tested before the first is touched.
    pub(super) fn roll(&mut self, id: RequestId, units: &[UnitId], gate: Gate) -> Option<Outcome> {
        let units = unique(units);
        if let Some(refusal) = self.refuses_roll(&units) {
            return Some(Outcome::Refused(refusal));
        }
        let scopes: Vec<UnitId> =
            units.iter().flat_map(|unit| self.restart_scope(&[*unit]).tests(self)).collect();
        let members = Members { tests: unique(&scopes), ..Members::default() };
        self.begin_gated(id, Wish::Roll { units }, gate, members);
        None
    }

    fn refuses_roll(&self, units: &[UnitId]) -> Option<Refusal> {
        units.iter().find_map(|unit| {
            let scope = self.restart_scope(&[*unit]);
            self.refuses_whole_restart(&scope, &[*unit])
        })
    }

    /// What a rolling restart would do: one restart after the other.
    pub(super) fn plan_roll(&self, units: &[UnitId], gate: Gate) -> Result<Plan, Refusal> {
        let mut whole = Plan::default();
        for unit in unique(units) {
            let how = RestartHow::Together;
            let plan = self.plan(&Request::Restart { units: vec![unit], gate, how })?;
            let new = plan.tests.into_iter().filter(|test| !whole.tests.contains(test)).collect::<Vec<_>>();
            whole.tests.extend(new);
            whole.hooks.extend(plan.hooks);
            whole.stops.extend(plan.stops);
            whole.starts.extend(plan.starts);
            whole.overlaps.extend(plan.overlaps);
        }
        Ok(whole)
    }

    /// All are tested: the first one's turn comes.
    pub(super) fn roll_now(&mut self, id: RequestId, units: Vec<UnitId>, gate: Gate) {
        self.transactions.remove(&id);
        let (left, done) = (VecDeque::from(units), Vec::new());
        self.rolls.insert(
            id,
            Roll { gate, done, left, inner: None, answer: None, settling: None, abandoned: false },
        );
        self.ripe_rolls.push_back(id);
    }

    /// The restart of one unit was answered, or the first one's turn has come.
    pub(super) fn roll_on(&mut self, id: RequestId) {
        if self.lives_on_first(id) {
            return;
        }
        let Some(roll) = self.rolls.get_mut(&id) else { return };
        match roll.answer.take() {
            None => {}
            Some(Outcome::Done) => roll.done.extend(roll.left.pop_front()),
            Some(because) => return self.stop_roll(id, because),
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (nth, of) = (count(roll.done.len() + 1), count(roll.done.len() + roll.left.len()));
        let Some(unit) = roll.left.front().copied() else {
            self.rolls.remove(&id);
            return self.do_this(Effect::Reply { id, outcome: Outcome::Done });
        };
        if roll.abandoned {
            return self.stop_roll(id, Outcome::Abandoned { undone: Vec::new() });
        }
        self.n_inner += 1;
        let inner = RequestId(u64::MAX - self.n_inner);
        roll.inner = Some(inner);
        let (gate, how) = (roll.gate, RestartHow::Together);
        self.inner.insert(inner, id);
        if let Some(unit) = self.unit_name(unit) {
            self.tell(id, Progress::Phase(TransactionPhase::Rolling { unit, nth, of }));
        }
        self.requested(inner, Request::Restart { units: vec![unit], gate, how });
    }

    /// The restart is done of a unit that could end in the next moment. True where that is waited for.
    fn lives_on_first(&mut self, id: RequestId) -> bool {
        let Some(roll) = self.rolls.get(&id) else { return false };
        let Some(unit) = roll.left.front().copied().filter(|_| roll.answer == Some(Outcome::Done)) else {
            return false;
        };
        let cell = self.cell(unit);
        let until = cell.since + SETTLE;
        let has_shown = cell
            .program()
            .is_none_or(|program| program.ready.how != Readiness::Exec || program.process.pid_file.is_some());
        if has_shown || roll.abandoned || !cell.state.is_serving() || until <= self.now {
            return false;
        }
        if let Some(roll) = self.rolls.get_mut(&id) {
            (roll.answer, roll.settling) = (None, Some(until));
        }
        true
    }

    /// When the next unit has lived on for as long as it has to.
    pub(super) fn next_settled(&self) -> Option<Moment> {
        self.rolls.values().filter_map(|roll| roll.settling).min()
    }

    /// Those whose time has come have lived on.
    pub(super) fn rolls_deadline(&mut self) {
        let now = self.now;
        self.settle_rolls(|roll| roll.settling.is_some_and(|until| until <= now), &Outcome::Done);
    }

    /// A unit goes into another state: if it had to live on, the roll stops, whether it ended by itself or others wish it.
    pub(super) fn roll_sees(&mut self, unit: UnitId) {
        let cell = self.cell(unit);
        if cell.state.is_serving() || !self.rolls.values().any(|roll| roll.awaits(unit)) {
            return;
        }
        let failed = |failure| Outcome::Failed { unit, failure, retry_in: None };
        let outcome = match (cell.doom, cell.goes_down(), cell.last_end) {
            (Some(need), ..) => failed(Failure::Dependency(need)),
            (None, false, Some(LastEnd { status, .. })) => {
                failed(Failure::Exited { role: Role::Main, status, before_ready: false })
            }
            (None, ..) => {
                let by = cell.requests.last().map_or(RequestId(0), |(by, _)| self.outer(*by));
                Outcome::Replaced { by }
            }
        };
        self.settle_rolls(|roll| roll.awaits(unit), &outcome);
    }

    /// The shutdown begins: nobody is waited for.
    pub(super) fn drop_rolls(&mut self) {
        self.settle_rolls(|roll| roll.settling.is_some(), &Outcome::ShuttingDown);
    }

    fn settle_rolls(&mut self, which: impl Fn(&Roll) -> bool, outcome: &Outcome) {
        for (id, roll) in self.rolls.iter_mut().filter(|(_, roll)| which(roll)) {
            (roll.answer, roll.settling) = (Some(outcome.clone()), None);
            self.ripe_rolls.push_back(*id);
        }
    }

    /// Those that had their turn stay as they are, and so do those that wait for it.
    fn stop_roll(&mut self, id: RequestId, because: Outcome) {
        let Some(Roll { done, mut left, .. }) = self.rolls.remove(&id) else { return };
        let untouched = matches!(because, Outcome::Refused(_) | Outcome::Abandoned { .. });
        // Whose turn it was is neither restarted nor as it was.
        if !untouched && !matches!(because, Outcome::Aborted { .. }) {
            left.pop_front();
        }
        let outcome = match because {
            Outcome::ShuttingDown | Outcome::Refused(Refusal::ShuttingDown) => Outcome::ShuttingDown,
            because if untouched && done.is_empty() => because,
            because => Outcome::RollStopped { done, left: left.into(), because: Box::new(because) },
        };
        self.do_this(Effect::Reply { id, outcome });
    }

    /// The one answer to a request: to whoever made it, or to the roll that did.
    pub(super) fn reply(&mut self, id: RequestId, outcome: Outcome) {
        let Some(outer) = self.inner.remove(&id) else {
            return self.do_this(Effect::Reply { id, outcome });
        };
        if let Some(roll) = self.rolls.get_mut(&outer) {
            (roll.answer, roll.inner) = (Some(outcome), None);
            self.ripe_rolls.push_back(outer);
        }
    }

    /// Under which number a request is known outside.
    pub(super) fn outer(&self, id: RequestId) -> RequestId {
        self.inner.get(&id).copied().unwrap_or(id)
    }

    /// Is this a number that a roll gave?
    pub(super) fn is_inner(&self, id: RequestId) -> bool {
        id.0 >= u64::MAX - self.n_inner
    }

    /// Nobody waits for a roll any longer: no further unit has its turn. True when it is one.
    pub(super) fn abandon_roll(&mut self, id: RequestId) -> bool {
        let Some(roll) = self.rolls.get_mut(&id) else { return false };
        roll.abandoned = true;
        if roll.settling.take().is_some() {
            roll.answer = Some(Outcome::Done);
            self.ripe_rolls.push_back(id);
        }
        if let Some(inner) = roll.inner {
            let _ = self.abandon(inner); // It answers that it was done, which nobody asks of it.
        }
        true
    }
}

//! The end: everything down in order, then TERM and KILL to whoever is left, all by one deadline.
//!
//! ```text
//!   0 ─── PreStop ──┬──── Units ────────┬──── Terminating ────┬──── Killing ────┬─ Exit
//!   pre-stop hooks  │ they stop in      │ TERM to everybody   │ KILL            │
//!   side by side    │ reverse           │                     │                 │
//!                 half of that   timeout − 2 shares    timeout − 1 share     timeout
//! ```
//!
//! Where there are no hooks the units stop at once; while there are, whatever is up stays up, and nothing starts.
//! A share is two seconds, a quarter of the timeout where that is shorter. Each phase ends early when
//! nothing is left to wait for. A second wish goes over to KILL at once.

use std::time::Duration;

use crate::model::{Moment, Signal};

use super::cell::Quality;
use super::effect::{Effect, Reason};
use super::errand::{End, Owner, Task};
use super::event::{Shutdown, UnitId};
use super::failure::{Failure, Outcome};
use super::pre_stop::hooks_before;
use super::state::{State, Wanted};
use super::transition::Input;
use super::{Engine, OnEssential};

/// How long whoever is left may take after TERM, and again after KILL.
const EVERYBODY_WAIT: Duration = Duration::from_secs(2);

/// A shutdown on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    how: Shutdown,
    code: u8,
    decided_by: Option<UnitId>,
    stage: Stage,
    /// When the present stage is over.
    until: Moment,
    /// When all of it is.
    end: Moment,
    haste: Haste,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Pre-stop hooks run, while everything serves.
    PreStop,
    /// The units go down.
    Units,
    /// Everybody was sent TERM.
    Terminating,
    /// Everybody was sent KILL.
    Killing,
    /// `Effect::Exit` was given.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// An essential unit began it; nobody has asked for it yet.
    None,
    /// Somebody asked for it; everything gets the time its unit gives it.
    Asked,
    /// Somebody asked again: KILL.
    Hurried,
}

impl Closing {
    /// There is nothing left to decide.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// When the present stage is over.
    pub(super) fn until(&self) -> Moment {
        self.until
    }
}

impl Engine {
    /// What comes of the end of essential units from now on.
    pub fn answer_essential(&mut self, how: OnEssential) {
        self.on_essential = how;
    }

    /// How long a shutdown may take that has not begun yet.
    pub fn set_shutdown_timeout(&mut self, timeout: Duration) {
        self.options.shutdown_timeout = timeout;
    }

    /// True once nothing is waited for that a KILL could end, and nothing new is started.
    pub(super) fn is_hurried(&self) -> bool {
        self.closing.is_some_and(|closing| match closing.stage {
            Stage::PreStop | Stage::Units => closing.haste == Haste::Hurried,
            Stage::Terminating | Stage::Killing | Stage::Over => true,
        })
    }

    /// Has somebody asked for the shutdown already? Whoever asks again cuts it short.
    pub fn is_asked_to_end(&self) -> bool {
        self.closing.is_some_and(|closing| closing.haste != Haste::None)
    }

    /// Begins the shutdown, or cuts short the one that is on its way.
    pub(super) fn close(&mut self, how: Shutdown, decided: Option<(UnitId, u8)>) {
        if let Some(mut closing) = self.closing {
            if decided.is_none() && !closing.is_over() {
                closing.how = how;
                let first = closing.haste == Haste::None;
                closing.haste = if first { Haste::Asked } else { Haste::Hurried };
                self.closing = Some(closing);
                if !first {
                    self.hurry();
                }
            }
            return;
        }
        let share = self.share();
        let end = self.now + self.options.shutdown_timeout;
        let (decided_by, code) = decided.map_or((None, 0), |(unit, code)| (Some(unit), code));
        let (stage, until) = (Stage::Units, end - share.saturating_mul(2));
        let haste = if decided.is_some() { Haste::None } else { Haste::Asked };
        self.closing = Some(Closing { how, code, decided_by, stage, until, end, haste });
        self.drop_gates();
        for id in self.transactions.keys().copied().collect::<Vec<_>>() {
            self.conclude(id, Outcome::ShuttingDown);
        }
        self.drop_rolls();
        self.transactions.clear();
        self.begin_shutdown_hooks();
        self.stop_hidden();
        for index in 0..self.cells.len() {
            let unit = UnitId::from_index(index);
            let cell = self.cell_mut(unit);
            cell.requests = Vec::new();
            cell.wanted = Wanted::Down;
            cell.holds = 0;
            cell.doom = None;
            self.refresh(unit);
            self.look_at(unit);
        }
    }

    /// Nobody asks for errands any more; in their place come the hooks of all that is up, as far as there are any.
    fn begin_shutdown_hooks(&mut self) {
        let errands: Vec<UnitId> = self.errands.keys().copied().collect();
        for unit in errands {
            self.end_errand(unit, End::GivenUp);
        }
        let has_hooks = |unit: &UnitId| hooks_before(self.cell(*unit), Reason::Shutdown).next().is_some();
        let units: Vec<UnitId> = self.ids().filter(has_hooks).collect();
        let now = self.now;
        let Some(closing) = self.closing.as_mut().filter(|_| !units.is_empty()) else { return };
        closing.stage = Stage::PreStop;
        closing.until = now + closing.until.since(now) / 2;
        for unit in units {
            self.begin_shutdown_hook(unit);
        }
    }

    /// The hooks of one unit; where an errand of before still has a process they begin when that is gone.
    fn begin_shutdown_hook(&mut self, unit: UnitId) {
        let Some(spec) = self.cell(unit).unit().cloned().filter(|_| !self.errands.contains_key(&unit)) else {
            return;
        };
        self.begin_errand(unit, Owner::Shutdown, (spec, Reason::Shutdown), Task::PreStop { first: None });
    }

    /// An errand of before made way.
    pub(super) fn way_for_shutdown_hook(&mut self, unit: UnitId) {
        let serves = self.cell(unit).state.is_serving();
        let program = self.cell(unit).program().filter(|_| serves && self.is_stage(Stage::PreStop));
        if program.is_some_and(|program| program.hooks.pre_stop.iter().any(|hook| hook.on.shutdown)) {
            self.begin_shutdown_hook(unit);
        }
    }

    fn is_stage(&self, stage: Stage) -> bool {
        self.closing.is_some_and(|closing| closing.stage == stage)
    }

    /// What is up stays up while the shutdown's hooks run.
    pub(super) fn awaits_hooks(&self, unit: UnitId) -> bool {
        self.is_stage(Stage::PreStop)
            && !self.hidden.contains_key(&unit)
            && matches!(self.cell(unit).state, State::Ready { .. } | State::PostStarting { .. })
    }

    /// The hooks are through, or their time is over.
    fn end_of_hooks(&mut self) {
        let share = self.share();
        if let Some(closing) = &mut self.closing {
            closing.stage = Stage::Units;
            closing.until = closing.end - share.saturating_mul(2);
        }
        for unit in (0..self.cells.len()).map(UnitId::from_index) {
            self.end_hooks(unit);
            self.look_at(unit);
        }
    }

    /// An essential unit ended for good.
    pub(super) fn essential_ended(&mut self, unit: UnitId) {
        let cell = self.cell(unit);
        let code = match (cell.last_end, cell.state) {
            (None, _) => cell.failure.as_deref().map_or(1, Failure::exit_code),
            // What failed must not look like a success, whatever its process said as it was stopped.
            (Some(end), State::Failed) => end.status.as_exit_code().max(1),
            (Some(end), _) => end.status.as_exit_code(),
        };
        if self.closing.is_some() {
            return;
        }
        if self.on_essential == OnEssential::Tell {
            self.do_this(Effect::EssentialEnded { unit, code });
        } else {
            self.close(Shutdown::Exit, Some((unit, code)));
        }
    }

    /// A part of the whole time that is kept back for each of the last two stages.
    fn share(&self) -> Duration {
        EVERYBODY_WAIT.min(self.options.shutdown_timeout / 4)
    }

    fn hurry(&mut self) {
        if self.is_stage(Stage::PreStop) {
            self.end_of_hooks();
        }
        match self.closing.map(|closing| closing.stage) {
            Some(Stage::Units) => {
                let until = self.now + self.share();
                if let Some(closing) = &mut self.closing {
                    closing.until = closing.until.min(until);
                }
                let hidden = self.hidden.keys().copied();
                let units = (0..self.cells.len()).map(UnitId::from_index);
                for unit in units.chain(hidden).collect::<Vec<_>>() {
                    if self.cell(unit).standing.active {
                        self.transition(unit, Input::Hurry);
                    }
                }
            }
            Some(Stage::Terminating) => self.kill_everybody(),
            Some(Stage::PreStop | Stage::Killing | Stage::Over) | None => {}
        }
    }

    /// After each step: are all units down?
    pub(super) fn closing_settled(&mut self) {
        if self.errands.is_empty() && self.is_stage(Stage::PreStop) {
            self.end_of_hooks();
            return self.settle();
        }
        if self.n_up == 0 && self.closing.is_some_and(|closing| closing.stage == Stage::Units) {
            self.end_of_units();
        }
    }

    /// Has the present stage's time passed?
    pub(super) fn closing_deadline(&mut self) {
        let Some(closing) = self.closing.filter(|closing| closing.until <= self.now) else { return };
        match closing.stage {
            Stage::PreStop => self.end_of_hooks(),
            Stage::Units => self.end_of_units(),
            Stage::Terminating => self.kill_everybody(),
            Stage::Killing => self.exit(),
            Stage::Over => {}
        }
    }

    pub(super) fn nobody_left(&mut self) {
        match self.closing.map(|closing| closing.stage) {
            Some(Stage::Terminating | Stage::Killing) => self.exit(),
            Some(Stage::PreStop | Stage::Units | Stage::Over) | None => self.impossible(),
        }
    }

    /// An essential unit whose process did not end well as it was stopped, and the code of that.
    fn essential_stopped_badly(&self) -> Option<(UnitId, u8)> {
        let begun = self.closing.map(|closing| closing.end - self.options.shutdown_timeout)?;
        self.ids().find_map(|unit| {
            let cell = self.cell(unit);
            let end = cell.last_end.filter(|end| end.quality == Quality::Unclean && end.at >= begun)?;
            let is_essential = cell.unit().is_some_and(|unit| unit.essential);
            is_essential.then(|| (unit, end.status.as_exit_code().max(1)))
        })
    }

    fn end_of_units(&mut self) {
        if self.closing.is_some_and(|closing| closing.haste == Haste::Hurried) {
            return self.kill_everybody();
        }
        let share = self.share();
        self.everybody(Stage::Terminating, Signal::TERM, |closing| closing.end - share);
    }

    fn kill_everybody(&mut self) {
        let stops = |unit: &UnitId| matches!(self.cell(*unit).state, State::Stopping { .. });
        for unit in self.ids().filter(stops).collect::<Vec<_>>() {
            self.note_kill(unit);
        }
        self.everybody(Stage::Killing, Signal::KILL, |closing| closing.end);
    }

    fn everybody(&mut self, stage: Stage, signal: Signal, limit: impl Fn(&Closing) -> Moment) {
        let until = self.now + self.share();
        if let Some(closing) = &mut self.closing {
            closing.stage = stage;
            closing.until = until.min(limit(closing));
            self.do_this(Effect::SignalEverybody { signal });
        }
    }

    fn exit(&mut self) {
        let failed = self.essential_stopped_badly();
        let Some(closing) = &mut self.closing else { return };
        closing.stage = Stage::Over;
        if let (Some((unit, code)), None) = (failed, closing.decided_by) {
            (closing.decided_by, closing.code) = (Some(unit), code);
        }
        let Closing { how, code, decided_by, .. } = *closing;
        self.do_this(Effect::Exit { how, code, decided_by });
    }
}

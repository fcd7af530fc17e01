//! The end: everything down in order, then TERM and KILL to whoever is left, all by one deadline.
//!
//! ```text
//!   0 ──────── Units ────────┬──── Terminating ────┬──── Killing ────┬─ Exit
//!   units stop in reverse    │ TERM to everybody   │ KILL            │
//!                     timeout − 2 shares    timeout − 1 share     timeout
//! ```
//!
//! A share is two seconds, a quarter of the timeout where that is shorter. Each phase ends early when
//! nothing is left to wait for. A second wish goes over to KILL at once.

use std::time::Duration;

use crate::model::{Moment, Signal};

use super::Engine;
use super::effect::Effect;
use super::event::{Shutdown, UnitId};
use super::failure::Outcome;
use super::state::{State, Wanted};
use super::transition::Input;

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
    /// True once nothing is waited for that a KILL could end, and nothing new is started.
    pub(super) fn is_hurried(&self) -> bool {
        self.closing.is_some_and(|closing| closing.haste == Haste::Hurried || closing.stage != Stage::Units)
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
        let until = end - share.saturating_mul(2);
        let stage = Stage::Units;
        let haste = if decided.is_some() { Haste::None } else { Haste::Asked };
        self.closing = Some(Closing { how, code, decided_by, stage, until, end, haste });
        for id in self.transactions.keys().copied().collect::<Vec<_>>() {
            self.conclude(id, Outcome::ShuttingDown);
        }
        self.transactions.clear();
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

    /// An essential unit ended for good.
    pub(super) fn essential_ended(&mut self, unit: UnitId) {
        let cell = self.cell(unit);
        let code = match (cell.last_end, cell.state) {
            (None, _) => 1,
            // What failed must not look like a success, whatever its process said as it was stopped.
            (Some(end), State::Failed) => end.status.as_exit_code().max(1),
            (Some(end), _) => end.status.as_exit_code(),
        };
        if self.closing.is_none() {
            self.close(Shutdown::Exit, Some((unit, code)));
        }
    }

    /// A part of the whole time that is kept back for each of the last two stages.
    fn share(&self) -> Duration {
        EVERYBODY_WAIT.min(self.options.shutdown_timeout / 4)
    }

    fn hurry(&mut self) {
        match self.closing.map(|closing| closing.stage) {
            Some(Stage::Units) => {
                let until = self.now + self.share();
                if let Some(closing) = &mut self.closing {
                    closing.until = closing.until.min(until);
                }
                for index in 0..self.cells.len() {
                    let unit = UnitId::from_index(index);
                    if self.cell(unit).standing.active {
                        self.transition(unit, Input::Hurry);
                    }
                }
            }
            Some(Stage::Terminating) => self.kill_everybody(),
            Some(Stage::Killing | Stage::Over) | None => {}
        }
    }

    /// After each step: are all units down?
    pub(super) fn closing_settled(&mut self) {
        if self.n_up == 0 && self.closing.is_some_and(|closing| closing.stage == Stage::Units) {
            self.end_of_units();
        }
    }

    /// Has the present stage's time passed?
    pub(super) fn closing_deadline(&mut self) {
        let Some(closing) = self.closing.filter(|closing| closing.until <= self.now) else { return };
        match closing.stage {
            Stage::Units => self.end_of_units(),
            Stage::Terminating => self.kill_everybody(),
            Stage::Killing => self.exit(),
            Stage::Over => {}
        }
    }

    pub(super) fn nobody_left(&mut self) {
        match self.closing.map(|closing| closing.stage) {
            Some(Stage::Terminating | Stage::Killing) => self.exit(),
            Some(Stage::Units | Stage::Over) | None => self.impossible(),
        }
    }

    fn end_of_units(&mut self) {
        if self.closing.is_some_and(|closing| closing.haste == Haste::Hurried) {
            return self.kill_everybody();
        }
        let share = self.share();
        self.everybody(Stage::Terminating, Signal::TERM, |closing| closing.end - share);
    }

    fn kill_everybody(&mut self) {
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
        let Some(closing) = &mut self.closing else { return };
        closing.stage = Stage::Over;
        let Closing { how, code, decided_by, .. } = *closing;
        self.do_this(Effect::Exit { how, code, decided_by });
    }
}

//! One unit inside the engine: its state, what is wished of it, and what its neighbours wait for.
//!
//! ```text
//!   standing (what neighbours see)        counters (what a unit sees of its neighbours)
//!     satisfied ────── of a need ───────▶ needs_missing     0: what it needs is up
//!     unsettled ────── of a want ───────▶ order_unsettled   0: what it comes after has settled
//!     active ───────── of a dependent ──▶ needed_by_active  0: nothing that needs it runs
//!     stopping_too ─── of a dependent ──▶ order_stopping    0: what comes after it has stopped
//! ```
//!
//! When a unit's standing changes its neighbours' counters are moved by one; nobody ever counts anew.

use std::rc::Rc;

use crate::model::unit::Program;
use crate::model::{ExitStatus, Moment, Unit, UnitName};

use super::effect::Reason;
use super::event::{RequestId, UnitId};
use super::failure::Failure;
use super::state::{State, Wanted};
use super::transaction::Step;

/// What the engine was given for a unit.
#[derive(Debug)]
pub(crate) enum Body {
    /// The unit.
    Unit(Rc<Unit>),
    /// Only a name: its file has errors.
    Broken(UnitName),
    /// Nothing: the cell that stands in for an id that no unit has.
    Nobody,
}

/// How a unit's main process last ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEnd {
    /// How.
    pub status: ExitStatus,
    /// When.
    pub at: Moment,
    /// After a stop the unit's own `[stop] codes-ok` and `signals-ok` say whether it was clean.
    pub quality: Quality,
}

/// Was an end as it should be?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Yes.
    Clean,
    /// No.
    Unclean,
}

/// What neighbours see of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It is up, or done, and stays so: what needs it can start.
    pub(crate) satisfied: bool,
    /// It is to start and has not settled: what comes after it waits.
    pub(crate) unsettled: bool,
    /// Something of it runs: what it needs must not be told to stop.
    pub(crate) active: bool,
    /// Something of it runs and is to stop: what it comes after waits with its own stop.
    pub(crate) stopping_too: bool,
    /// Nothing of it runs and nothing will by itself.
    pub(crate) down: bool,
}

/// One unit.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) body: Body,
    pub(crate) state: State,
    /// When the present phase began.
    pub(crate) since: Moment,
    /// When the present state's time is over.
    pub(crate) deadline: Option<Moment>,
    pub(crate) wanted: Wanted,
    /// Restarts whose stops are not over yet: it goes down, and comes up after them.
    pub(crate) holds: u32,
    /// A unit that it needs ended for good: it goes down and then has failed.
    pub(crate) doom: Option<UnitId>,
    /// Its configuration was tested by the request that starts it, or is not to be tested.
    pub(crate) tested: bool,
    /// What `SEXTON_REASON` says of its start.
    pub(crate) reason: Reason,
    pub(crate) needs_missing: u32,
    pub(crate) order_unsettled: u32,
    pub(crate) needed_by_active: u32,
    pub(crate) order_stopping: u32,
    pub(crate) standing: Standing,
    /// It stands in the queue of units to be looked at.
    pub(crate) queued: bool,
    /// Its unit file is gone and so is it; its place is emptied with the next step.
    pub(crate) departed: bool,
    /// Its runtime directories were kept for a run that may never follow.
    pub(crate) kept: bool,
    /// Restarts since it was last started by somebody's wish, or reset.
    pub(crate) restarts: u32,
    /// How often the delay of its back-off was doubled.
    pub(crate) doublings: u32,
    /// When it was restarted, as far as the window of its limit reaches back.
    pub(crate) restart_times: Vec<Moment>,
    pub(crate) failure: Option<Box<Failure>>,
    pub(crate) last_end: Option<LastEnd>,
    /// Requests that wait for it, each with the step in which they do.
    pub(crate) requests: Vec<(RequestId, Step)>,
}

impl Cell {
    pub(crate) fn new(body: Body) -> Cell {
        Cell {
            body,
            state: State::Stopped,
            since: Moment::default(),
            deadline: None,
            wanted: Wanted::Down,
            holds: 0,
            doom: None,
            tested: false,
            reason: Reason::Start,
            needs_missing: 0,
            order_unsettled: 0,
            needed_by_active: 0,
            order_stopping: 0,
            standing: Standing::default(),
            queued: false,
            departed: false,
            kept: false,
            restarts: 0,
            doublings: 0,
            restart_times: Vec::new(),
            failure: None,
            last_end: None,
            requests: Vec::new(),
        }
    }

    /// The unit, where its file could be read.
    pub(crate) fn unit(&self) -> Option<&Rc<Unit>> {
        match &self.body {
            Body::Unit(unit) => Some(unit),
            Body::Broken(_) | Body::Nobody => None,
        }
    }

    /// What it runs.
    pub(crate) fn program(&self) -> Option<&Program> {
        self.unit().and_then(|unit| unit.program())
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match &self.body {
            Body::Unit(unit) => unit.name.as_str(),
            Body::Broken(name) => name.as_str(),
            Body::Nobody => "a unit that does not exist",
        }
    }

    /// It is up, or on its way, and is meant to stay: the units it needs are refused a stop.
    pub(crate) fn is_live(&self) -> bool {
        let lasting = match self.state {
            State::Failed => false,
            // Done once is done; held down by a restart it will run again.
            State::Done | State::Skipped => self.holds > 0,
            _ => true,
        };
        self.wanted == Wanted::Up && self.doom.is_none() && lasting
    }

    /// It has to end, whatever for.
    pub(crate) fn goes_down(&self) -> bool {
        self.wanted == Wanted::Down || self.holds > 0 || self.doom.is_some()
    }

    /// It failed, or stopped, and nobody wishes it back: what needs it waits in vain.
    pub(crate) fn is_dead(&self) -> bool {
        match self.state {
            State::Failed => true,
            State::Stopped => self.wanted == Wanted::Down,
            _ => false,
        }
    }

    /// The standing that follows from all this.
    pub(crate) fn compute_standing(&self) -> Standing {
        let up = matches!(self.state, State::Ready { .. } | State::Done | State::Skipped);
        let settled = up || matches!(self.state, State::Failed | State::Backoff);
        // What is done runs nothing, but its post-stop hooks may count on what it needs.
        let active = self.state.is_active() || (self.state == State::Done && self.goes_down());
        Standing {
            satisfied: up && !self.goes_down(),
            unsettled: self.wanted == Wanted::Up && self.doom.is_none() && !settled,
            active,
            stopping_too: active && self.goes_down(),
            down: matches!(self.state, State::Stopped | State::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_costs_the_engine_at_most_250_bytes() {
        assert!(size_of::<Cell>() <= 250, "{}", size_of::<Cell>());
    }
}

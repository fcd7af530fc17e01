//! What can be read of a unit: a borrowed view, for lists, for `why`, for the wire.

use std::rc::Rc;

use crate::model::{Moment, Pid, SpawnError, Unit};

use super::cell::{Body, Cell, LastEnd};
use super::event::UnitId;
use super::failure::Failure;
use super::graph::EdgeKind;
use super::state::{Phase, Wanted};
use super::{Closing, Engine};

/// What came of the last configuration test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTest<'a> {
    /// When.
    pub at: Moment,
    /// Of what it failed, where it did.
    pub failure: Option<&'a Failure>,
}

/// One unit as it is now.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Its place.
    pub id: UnitId,
    cell: &'a Cell,
    notes: Option<&'a Notes>,
}

/// What is kept of few units only.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// When it was last tested, and of what that failed.
    pub(super) last_test: Option<(Moment, Option<Failure>)>,
    /// The hook that failed last and was passed over, since the unit was started.
    pub(super) passed_over: Option<(Moment, Failure)>,
    /// Why its start waits for processes, memory or descriptors.
    pub(super) wanting: Option<SpawnError>,
    /// What `skip-unless-exists` did not find.
    pub(super) skipped: Option<String>,
}

impl<'a> View<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.cell.name()
    }

    /// The unit itself; `None` when its file has errors.
    pub fn unit(&self) -> Option<&'a Rc<Unit>> {
        self.cell.unit()
    }

    /// The name of its actual state.
    pub fn phase(&self) -> Phase {
        self.cell.state.phase()
    }

    /// When this state began.
    pub fn since(&self) -> Moment {
        self.cell.since
    }

    /// What is wished of it.
    pub fn wanted(&self) -> Wanted {
        self.cell.wanted
    }

    /// Its main process.
    pub fn main_pid(&self) -> Option<Pid> {
        self.cell.state.main()
    }

    /// Restarts since it was last started by somebody's wish, or reset.
    pub fn restarts(&self) -> u32 {
        self.cell.restarts
    }

    /// How its main process last ended.
    pub fn last_end(&self) -> Option<LastEnd> {
        self.cell.last_end
    }

    /// Why it failed, or why its last attempt did.
    pub fn failure(&self) -> Option<&'a Failure> {
        self.cell.failure.as_deref()
    }

    /// The hook that failed last since the unit was started, or its stop command, and when; it was passed over.
    pub fn passed_over(&self) -> Option<&'a (Moment, Failure)> {
        self.notes?.passed_over.as_ref()
    }

    /// Its last configuration test; `None` when it was never tested.
    pub fn last_test(&self) -> Option<LastTest<'a>> {
        let (at, failure) = self.notes?.last_test.as_ref()?;
        Some(LastTest { at: *at, failure: failure.as_ref() })
    }

    /// When the time of its present state is over: the next try of a back-off, the next step of a stop.
    pub fn deadline(&self) -> Option<Moment> {
        self.cell.deadline
    }
}

impl Engine {
    /// How many units there are.
    pub fn len(&self) -> usize {
        self.cells.len() - self.free.len() - self.departed.len()
    }

    /// True without units.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All units, in the order of their places.
    pub fn ids(&self) -> impl Iterator<Item = UnitId> + '_ {
        let places = self.cells.iter().enumerate();
        places
            .filter(|(_, cell)| !cell.departed && !matches!(cell.body, Body::Nobody))
            .map(|(index, _)| UnitId::from_index(index))
    }

    /// All units, in the order of their names.
    pub fn ids_by_name(&self) -> &[UnitId] {
        self.graph.by_name()
    }

    /// The unit of this name.
    pub fn find(&self, name: &str) -> Option<UnitId> {
        let order = self.graph.by_name();
        let place = order.binary_search_by(|unit| self.cell(*unit).name().cmp(name)).ok()?;
        order.get(place).copied()
    }

    /// A unit as it is now. An id that no unit has shows a unit that is stopped and has no file.
    pub fn unit(&self, id: UnitId) -> View<'_> {
        View { id, cell: self.cell(id), notes: self.notes.get(&id) }
    }

    /// The units that need it.
    pub fn dependents(&self, id: UnitId) -> impl Iterator<Item = UnitId> + '_ {
        self.graph.incoming(id).iter().filter(|edge| edge.kind == EdgeKind::Needs).map(|edge| edge.unit)
    }

    /// What it depends on, and how.
    pub fn dependencies(&self, id: UnitId) -> impl Iterator<Item = (UnitId, EdgeKind)> + '_ {
        self.graph.outgoing(id).iter().map(|edge| (edge.unit, edge.kind))
    }

    /// A shutdown is on its way.
    pub fn is_shutting_down(&self) -> bool {
        self.closing.is_some()
    }

    /// The shutdown came to its end: the exit was ordered.
    pub fn is_over(&self) -> bool {
        self.closing.as_ref().is_some_and(Closing::is_over)
    }
}

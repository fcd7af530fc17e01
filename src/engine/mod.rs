//! WHAT HAPPENS NEXT: events in, effects out. Pure: no clock, no process, no I/O.
//!
//! ```text
//!              ┌────────────────────── Engine ──────────────────────┐
//!   Event ───▶ │ transition: (state, event) → state                 │ ───▶ Effect
//!   (now)      │ propagation: a queue of units whose state changed  │
//!              │ transactions: requests that wait for their answer  │
//!              └────────────────────────────────────────────────────┘
//!
//!   scope, plan  what a wish touches; what it would do
//!   gate         tests, successors and pre-stop hooks before anything is touched; retreat: the way back
//!   errand       what is done beside a unit: trial, pre_stop, reload
//!   sync, roll   new unit files; one unit after the other
//!   overlap      two processes of one unit for a while
//!   difference, exchange   what new definitions change; the moment at which they hold
//!   graph        who depends on whom          preparing   what comes before the main process
//!   cell         one unit and its counters    starting    from its spawn to ready
//!   state        the states                   stopping    from ready to gone
//!   transition   the table                    resting     clearing up, then restart or rest
//!   propagation  neighbours learn of it       requests    wishes: what they touch, what refuses them
//!   note         what is passed over is told
//!   groups       nobody outlives the run it belongs to
//!   view, why    what can be said of a unit   transaction a wish on its way to its answer
//!   timers, random                            shutdown    everything down, by a deadline
//! ```

mod beside;
mod cell;
mod difference;
pub mod effect;
mod errand;
pub mod event;
mod exchange;
pub mod failure;
#[cfg(test)]
mod fixture;
mod gate;
mod graph;
mod groups;
pub mod note;
pub mod overlap;
pub mod plan;
mod pre_stop;
mod preparing;
pub mod progress;
mod propagation;
mod random;
mod reload;
mod requests;
mod resting;
mod retreat;
mod roll;
#[cfg(test)]
mod scenarios;
mod scope;
mod shutdown;
mod starting;
pub mod state;
mod stopping;
mod sync;
mod timers;
mod transaction;
mod transition;
mod trial;
pub mod verdict;
mod view;
mod why;
mod why_beside;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::model::unit::Entry;
use crate::model::{Moment, Pid, UnitName};

pub use cell::{LastEnd, Quality};
pub use effect::{Effect, NextRun, Reason, Renders, Scope};
pub use event::{
    Definitions, Dependents, Event, Finding, Gate, Purpose, Request, RequestId, RestartHow, Role, Shutdown,
    Trial, UnitId,
};
pub use failure::{Failure, Outcome, Refusal};
pub use graph::EdgeKind;
pub use note::Note;
pub use overlap::{OtherRun, Which};
pub use plan::{Plan, Testing};
pub use progress::{HookNews, Progress, Tested, TransactionPhase};
pub use state::{Phase, Wanted};
pub use verdict::{Cause, Complaint, Verdict};
pub use view::{LastTest, View};

use cell::{Body, Cell};
use errand::{Errand, is_errands};
use graph::Graph;
use overlap::Hidden;
use random::Random;
use roll::Roll;
use shutdown::Closing;
use timers::Timers;
use transaction::Transaction;
use transition::Input;

/// What the engine has to know beside the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// From the wish to shut down to the end, whatever the units do.
    pub shutdown_timeout: Duration,
    /// Where the chances of the jitter start from.
    pub random_seed: u64,
}

/// What comes of the end of an essential unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEssential {
    /// Everything is shut down, and ends with its status.
    #[default]
    ShutDown,
    /// [`Effect::EssentialEnded`], and nothing else.
    Tell,
}

/// The decisions of PID 1. It is told what happened and answers with what is to be done.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    on_essential: OnEssential,
    graph: Graph,
    cells: Vec<Cell>,
    /// Places of units that are gone.
    free: Vec<UnitId>,
    /// Units that went in this step.
    departed: Vec<UnitId>,
    /// Units that have two runs, each with the id of the one that it does not show.
    overlaps: BTreeMap<UnitId, UnitId>,
    /// Those runs.
    hidden: BTreeMap<UnitId, Hidden>,
    /// How many of these there were.
    n_hidden: u32,
    /// Runs that went in this step.
    gone: Vec<UnitId>,
    /// Runs that are to be looked at.
    ripe_overlaps: VecDeque<UnitId>,
    /// Stands in for a unit that does not exist, so that no id can break anything.
    nobody: Cell,
    now: Moment,
    effects: Vec<Effect>,
    timers: Timers,
    /// Units whose neighbours changed, or whose wish did.
    queue: VecDeque<UnitId>,
    /// What is kept of few units only.
    notes: BTreeMap<UnitId, view::Notes>,
    /// Process groups in which somebody may be, beside the one of the main process.
    groups: BTreeMap<UnitId, Vec<Pid>>,
    /// What is done beside units.
    errands: BTreeMap<UnitId, Errand>,
    errand_timers: Timers,
    /// Units with which a request has begun that has not touched them yet.
    claims: BTreeMap<UnitId, RequestId>,
    /// The sync that is on its way, until its definitions hold.
    syncing: Option<RequestId>,
    /// Units that go by old files while it is at its stops.
    outdated: BTreeSet<UnitId>,
    /// Units that it starts next: nobody waits for them in vain.
    to_come: BTreeSet<UnitId>,
    /// Units that a boot by the present files would start.
    boot: Vec<UnitName>,
    /// Stops that wait until the units are free.
    postponed: Vec<(RequestId, Request)>,
    transactions: BTreeMap<RequestId, Transaction>,
    /// Transactions that nothing is missing from any more.
    ripe: VecDeque<RequestId>,
    /// The same of steps before the stop. They come first: a unit whose own start waited for its trial would
    /// otherwise begin, to be stopped at once.
    ripe_gates: VecDeque<RequestId>,
    /// Rolling restarts whose units have their turn.
    rolls: BTreeMap<RequestId, Roll>,
    /// The requests that they made, each with the roll that did.
    inner: BTreeMap<RequestId, RequestId>,
    /// How many of these there were.
    n_inner: u64,
    ripe_rolls: VecDeque<RequestId>,
    /// An essential unit that ended for good.
    decided: Option<UnitId>,
    closing: Option<Closing>,
    /// Units that are neither stopped nor failed.
    n_up: u32,
    random: Random,
    tally: Tally,
    /// What was looked at without changing anything: a part of [`Tally::work`].
    looked: std::cell::Cell<u64>,
}

/// What the engine counts: for `sexton status`, and for the tests that bound its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that could not happen in the state they met; they changed nothing.
    pub impossible: u64,
    /// Processes that did not end after KILL and are not waited for any longer.
    pub given_up: u64,
    /// Units looked at and edges walked.
    pub work: u64,
}

impl Engine {
    /// An engine for these units; a unit's place in `entries` is its [`UnitId`]. Nothing is started yet.
    pub fn new(entries: Vec<Entry>, options: Options) -> Engine {
        let entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
        let (graph, defects) = Graph::new(&entries);
        let mut cells: Vec<Cell> = entries.into_iter().flatten().map(cell_of).collect();
        for defect in defects {
            if let Some(cell) = cells.get_mut(defect.unit.index()) {
                cell.state = state::State::Failed;
                cell.failure = Some(Box::new(Failure::Load(defect.words)));
            }
        }
        for (index, cell) in cells.iter_mut().enumerate() {
            let edges = graph.outgoing(UnitId::from_index(index));
            let needs = edges.iter().filter(|edge| edge.kind == EdgeKind::Needs).count();
            cell.needs_missing = u32::try_from(needs).unwrap_or(u32::MAX);
            cell.standing = cell.compute_standing();
        }
        Engine {
            on_essential: OnEssential::default(),
            options,
            graph,
            cells,
            free: Vec::new(),
            departed: Vec::new(),
            overlaps: BTreeMap::new(),
            hidden: BTreeMap::new(),
            n_hidden: 0,
            gone: Vec::new(),
            ripe_overlaps: VecDeque::new(),
            nobody: Cell::new(Body::Nobody),
            now: Moment::default(),
            effects: Vec::new(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            notes: BTreeMap::new(),
            groups: BTreeMap::new(),
            errands: BTreeMap::new(),
            errand_timers: Timers::default(),
            claims: BTreeMap::new(),
            syncing: None,
            outdated: BTreeSet::new(),
            to_come: BTreeSet::new(),
            boot: Vec::new(),
            postponed: Vec::new(),
            transactions: BTreeMap::new(),
            ripe: VecDeque::new(),
            ripe_gates: VecDeque::new(),
            rolls: BTreeMap::new(),
            inner: BTreeMap::new(),
            n_inner: 0,
            ripe_rolls: VecDeque::new(),
            decided: None,
            closing: None,
            n_up: 0,
            random: Random::new(options.random_seed),
            tally: Tally::default(),
            looked: std::cell::Cell::default(),
        }
    }

    /// Takes in one event and appends to `effects` what is to be done, in order.
    ///
    /// Afterwards nothing is left undecided: until the next event, or until [`Engine::next_deadline`] has
    /// come, there is nothing to do.
    pub fn step(&mut self, now: Moment, event: Event, effects: &mut Vec<Effect>) {
        self.now = now.max(self.now);
        self.clear_places();
        std::mem::swap(&mut self.effects, effects);
        self.take_in(event);
        self.settle();
        std::mem::swap(&mut self.effects, effects);
    }

    /// When the next [`Event::Tick`] is due; `None` when time alone changes nothing.
    pub fn next_deadline(&self) -> Option<Moment> {
        let next = [self.timers.next(), self.errand_timers.next(), self.next_settled()];
        let next = next.into_iter().flatten().min();
        match &self.closing {
            Some(closing) if closing.is_over() => None,
            Some(closing) => Some(next.map_or(closing.until(), |next| next.min(closing.until()))),
            None => next,
        }
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        Tally { work: self.tally.work + self.looked.get(), ..self.tally }
    }

    fn take_in(&mut self, event: Event) {
        if self.closing.as_ref().is_some_and(Closing::is_over) && !matches!(event, Event::Requested { .. }) {
            return;
        }
        match event {
            Event::Requested { id, request } => self.requested(id, request),
            Event::Tick => self.tick(),
            Event::NobodyLeft => self.nobody_left(),
            Event::Spawned { unit, role, pid } if is_errands(role) => self.errand_spawned(unit, role, pid),
            Event::SpawnFailed { unit, role, error } if is_errands(role) => {
                self.errand_spawn_failed(unit, role, error);
            }
            Event::Exited { unit, role, pid, status } if is_errands(role) => {
                self.errand_exited(unit, role, pid, status);
            }
            Event::Spawned { unit, role, pid } => self.transition(unit, Input::Spawned(role, pid)),
            Event::SpawnFailed { unit, role, error } => {
                self.transition(unit, Input::SpawnFailed(role, error))
            }
            Event::Inspected { unit, finding, .. } if self.hidden.contains_key(&unit) => {
                self.transition(unit, Input::Inspected(finding));
            }
            Event::Inspected { unit, purpose: Purpose::Start, finding } => {
                self.transition(unit, Input::Inspected(finding));
            }
            Event::Exited { unit, role, pid, status } => {
                self.transition(unit, Input::Exited(role, pid, status))
            }
            Event::Judged { unit, role: Role::ConfigTest, pid, status, verdict } => {
                self.transition(unit, Input::Judged(pid, status, verdict));
            }
            Event::Judged { unit, role, pid, verdict, .. } => self.errand_judged(unit, role, pid, verdict),
            Event::Inspected { unit, purpose: Purpose::Trial, finding } => {
                self.inspected_for_trial(unit, finding);
            }
            Event::Probed { unit, result } => self.probed(unit, result),
            Event::ReloadDenied { unit, complaint } => self.denied(unit, complaint),
            Event::BecameReady { unit } => self.transition(unit, Input::BecameReady),
            Event::MainPidChanged { unit, pid } => self.transition(unit, Input::MainPidChanged(pid)),
            Event::TimeoutExtended { unit, by } => self.transition(unit, Input::Extended(by)),
            Event::GroupLeft { unit, role, group } => self.group_left(unit, role, group),
            Event::GroupGone { unit, group } => self.group_gone(unit, group),
        }
    }

    /// Every unit whose deadline has come; a unit that sets a new one stands in the queue again.
    fn tick(&mut self) {
        while let Some(unit) = self.timers.due(self.now) {
            self.set_deadline(unit, None);
            if !self.has_settled(unit) {
                self.transition(unit, Input::Deadline);
            }
        }
        while let Some(unit) = self.errand_timers.due(self.now) {
            self.errand_deadline(unit);
        }
        self.rolls_deadline();
        self.closing_deadline();
    }

    /// Empties all queues. Each entry stands for a change that was made, and changes lead towards what is
    /// wanted, so this ends.
    fn settle(&mut self) {
        loop {
            if let Some(hidden) = self.ripe_overlaps.pop_front() {
                self.examine_overlap(hidden);
            } else if let Some(id) = self.ripe_gates.pop_front() {
                self.advance(id);
            } else if let Some(unit) = self.queue.pop_front() {
                self.examine(unit);
            } else if let Some(id) = self.ripe.pop_front() {
                self.advance(id);
            } else if let Some(id) = self.ripe_rolls.pop_front() {
                self.roll_on(id);
            } else if let Some(unit) = self.decided.take() {
                self.essential_ended(unit);
            } else {
                break;
            }
        }
        self.closing_settled();
    }

    fn cell(&self, unit: UnitId) -> &Cell {
        let hidden = || self.hidden.get(&unit).map(|run| &run.cell);
        self.cells.get(unit.index()).or_else(hidden).unwrap_or(&self.nobody)
    }

    fn cell_mut(&mut self, unit: UnitId) -> &mut Cell {
        let Engine { cells, hidden, nobody, .. } = self;
        match cells.get_mut(unit.index()) {
            Some(cell) => cell,
            None => hidden.get_mut(&unit).map_or(nobody, |run| &mut run.cell),
        }
    }

    fn do_this(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn set_deadline(&mut self, unit: UnitId, to: Option<Moment>) {
        let from = std::mem::replace(&mut self.cell_mut(unit).deadline, to);
        self.timers.change(unit, from, to);
    }

    /// The present state lasts no longer than this.
    fn arm(&mut self, unit: UnitId, after: Duration) {
        self.set_deadline(unit, Some(self.now + after));
    }
}

fn cell_of(entry: Entry) -> Cell {
    match entry {
        Entry::Unit(unit) => Cell::new(Body::Unit(unit)),
        Entry::Broken { name, words } => {
            let mut cell = Cell::new(Body::Broken(name));
            cell.state = state::State::Failed;
            cell.failure = Some(Box::new(Failure::Load(words)));
            cell
        }
    }
}

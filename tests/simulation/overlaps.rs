//! Successors: the engine's ids of runs that no unit shows, as places behind those of all units, and what an overlapping
//! restart promises.
//!
//! ```text
//!   place   0 … 11        24             25
//!           the units     a successor,   another     each with books of its own, by the same laws as any unit's
//!                         then the one before
//! ```
//!
//! When the engine says that two runs changed places their books do. What is promised, whatever happens beside:
//!
//! - a unit has two runs at the most, and two only for a request that said that it sends successors;
//! - a unit that serves, and could be replaced while it does, is not told to stop for a restart;
//! - when a successor fails the request ends with that, and the process that served was told nothing;
//! - a restart is done when the one before has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sexton::engine::{
    Effect, Engine, Event, Failure, Outcome, Phase, Progress, Purpose, Request, RequestId, TransactionPhase,
    UnitId,
};
use sexton::model::unit::{Entry, Unit};

use super::books::{Books, redraw};
use super::files::Fate;
use super::gate_books;
use super::gates::Gates;
use super::laws::{Laws, Verdict, law, subject_of};
use super::promises::Asked;

/// The first place of a run that no unit shows; units never come to it.
const FIRST: usize = 24;

/// The engine's ids of hidden runs, each with its place.
#[derive(Default)]
pub(crate) struct Overlaps {
    runs: BTreeMap<UnitId, Run>,
    /// Who said in this step that successors set out.
    senders: Vec<RequestId>,
}

struct Run {
    place: usize,
    of: usize,
    by: Option<RequestId>,
    since: u64,
    /// It has handed over, and goes.
    is_former: bool,
}

impl Overlaps {
    /// The place of a run: its unit's, or one of its own.
    pub(crate) fn place(&self, unit: UnitId) -> UnitId {
        self.runs.get(&unit).map_or(unit, |run| UnitId::from_index(run.place))
    }

    /// An event as the books know it.
    pub(crate) fn event(&self, event: &Event) -> Event {
        let mut event = event.clone();
        for (id, run) in &self.runs {
            event.exchange(*id, UnitId::from_index(run.place));
        }
        // What a run left behind may end after everybody has forgotten the run.
        if subject_of(&event).is_some_and(is_hidden) { Event::Tick } else { event }
    }

    /// A run of the unit that nobody sees is on its way because of this request.
    fn is_at(&self, unit: usize, id: RequestId) -> bool {
        self.runs.values().any(|run| run.of == unit && run.by == Some(id))
    }

    /// The unit of a run that nobody sees.
    pub(crate) fn unit_of(&self, place: usize) -> Option<usize> {
        self.runs.values().find(|run| run.place == place).map(|run| run.of)
    }

    /// The unit of a run that nobody sees, and the request that it came for.
    pub(crate) fn beside(&self, place: usize) -> Option<(usize, Option<RequestId>)> {
        self.runs.values().find(|run| run.place == place).map(|run| (run.of, run.by))
    }

    /// The place of the successor that a unit waits for.
    pub(crate) fn successor_of(&self, unit: usize) -> Option<usize> {
        self.runs.values().find(|run| run.of == unit && !run.is_former).map(|run| run.place)
    }

    fn free_place(&self) -> usize {
        (FIRST..).find(|place| self.runs.values().all(|run| run.place != *place)).unwrap_or(FIRST)
    }
}

impl Laws {
    /// Effects as the books know them. Whoever is seen first in them gets a place.
    pub(crate) fn effects(&mut self, effects: &[Effect], engine: &Engine) -> Result<Vec<Effect>, String> {
        self.overlaps.senders.clear();
        let mut all = Vec::with_capacity(effects.len());
        for effect in effects {
            if let Effect::Progress { id, progress: Progress::Phase(TransactionPhase::Overlapping) } = effect
            {
                self.overlaps.senders.push(*id);
            }
            let mut effect = effect.clone();
            if let Effect::Exchanged { with, .. } = &mut effect {
                *with = self.overlaps.place(*with);
            }
            if let Some(unit) = unit_of(&mut effect) {
                let id = *unit;
                if is_hidden(id) && !self.overlaps.runs.contains_key(&id) {
                    *unit = self.sets_out(id, engine)?;
                } else {
                    *unit = self.overlaps.place(id);
                }
                if let (true, Effect::Inspect { purpose, .. }) = (unit.index() >= FIRST, &mut effect) {
                    *purpose = Purpose::Start;
                }
            }
            all.push(effect);
        }
        Ok(all)
    }

    fn sets_out(&mut self, id: UnitId, engine: &Engine) -> Result<UnitId, String> {
        let of = engine.stands_for(id).index();
        let Some(spec) = engine.unit(id).unit().cloned() else {
            return Err(format!("law 10: a successor of u{of} sets out with nothing"));
        };
        if self.overlaps.runs.values().any(|run| run.of == of) {
            return Err(format!("law 10: a third run of u{of}"));
        }
        let is_its = |id: &&RequestId| self.requests.get(id).is_some_and(|asked| asked.names_unit(of));
        let by = self.overlaps.senders.iter().find(is_its).copied();
        if by.is_none() {
            return Err(format!("law 10: a successor of u{of} sets out, and nobody sent it"));
        }
        let place = self.overlaps.free_place();
        self.overlaps.runs.insert(id, Run { place, of, by, since: self.step, is_former: false });
        self.grow(place);
        self.specs[place] = Some(Entry::Unit(spec));
        self.files.successors.insert(place, self.specs[place].clone());
        self.books[place] = Books::default();
        self.phases[place] = Phase::Stopped;
        redraw(&mut self.books, &self.specs);
        self.gates.sets_out(&self.specs, place, of);
        Ok(UnitId::from_index(place))
    }

    /// Those that set out in this step go by a definition that holds, or that a sync brings.
    pub(crate) fn check_who_set_out(&self) -> Verdict {
        let new = self.overlaps.runs.values().filter(|run| run.since == self.step);
        for run in new {
            let Some(Some(Entry::Unit(spec))) = self.specs.get(run.place) else { continue };
            let overlaps = spec.program().is_some_and(|program| program.restart.overlap);
            if !overlaps || !self.files.may_be_tried(run.of, spec) {
                return law(4, format!("a successor of u{} by a definition that nobody brought", run.of));
            }
        }
        Ok(())
    }

    /// Two runs change places: what is known of the one is known of the other.
    pub(crate) fn runs_exchanged(&mut self, unit: usize, with: usize) -> Verdict {
        let Some(run) = self.overlaps.runs.values_mut().find(|run| run.place == with) else {
            return law(10, format!("u{unit} changes places with nobody"));
        };
        if run.of != unit || std::mem::replace(&mut run.is_former, true) {
            return law(10, format!("u{unit} changes places with the run of another, or twice"));
        }
        if self.phases[with] != Phase::Ready {
            return law(10, format!("u{unit} is replaced by a run that is {}", self.phases[with]));
        }
        if let Some(asked) = run.by.and_then(|id| self.requests.get_mut(&id)) {
            asked.replaced.insert(unit);
        }
        self.books.swap(unit, with);
        // Whose hook outlived KILL is the run, and not the place that it has.
        if self.ever_held.remove(&with) {
            self.ever_held.insert(unit);
        }
        let (low, high) = self.books.split_at_mut(with);
        if let (Some(shown), Some(other)) = (low.get_mut(unit), high.first_mut()) {
            shown.exchange_unit(other);
        }
        // The unit's own change of phase is told next.
        self.phases[with] = self.phases[unit];
        self.specs.swap(unit, with);
        redraw(&mut self.books, &self.specs);
        self.gates.runs_exchanged(&self.specs, unit);
        self.gates.is_replaced(unit);
        for (place, _) in self.kills.values_mut() {
            *place = if *place == unit {
                with
            } else if *place == with {
                unit
            } else {
                *place
            };
        }
        Ok(())
    }

    /// A run that nobody sees is no more.
    pub(crate) fn run_departed(&mut self, place: usize) {
        if let Some(of) = self.overlaps.unit_of(place) {
            self.gates.runs_exchanged(&self.specs, of);
        }
        self.overlaps.runs.retain(|_, run| run.place != place);
        self.specs[place] = None;
        self.books[place] = Books::default();
        self.phases[place] = Phase::Stopped;
        redraw(&mut self.books, &self.specs);
        self.gates.run_departed(&self.specs, place);
    }

    /// A restart touches its units: those that it could have replaced while they served it has.
    pub(crate) fn are_replaced(&self, id: RequestId, roots: &[usize]) -> Verdict {
        let asked = &self.requests[&id];
        if !matches!(asked.request, Request::Restart { .. }) {
            return Ok(());
        }
        // One that does not serve is restarted like any other, and takes along what needs it.
        let others = self.requests.iter().filter(|(other, _)| **other != id).map(|(_, asked)| asked);
        let held: BTreeSet<usize> = others.filter_map(Asked::holds).flatten().copied().collect();
        let could = |unit: &usize| {
            self.gates.served_since(*unit, id)
                && !held.contains(unit)
                && self.spec(*unit).and_then(Unit::program).is_some_and(|program| program.restart.overlap)
        };
        let (able, others): (Vec<usize>, Vec<usize>) = roots.iter().copied().partition(could);
        let stops = self.stops_of(&others, &|_| true);
        let is_left =
            |unit: &usize| !self.is_doomed(*unit) && !asked.replaced.contains(unit) && !stops.contains(unit);
        match able.into_iter().find(is_left) {
            Some(unit) => {
                law(10, format!("{id:?} stops u{unit}, which it could have replaced while it serves"))
            }
            None => Ok(()),
        }
    }

    /// What an answer says of successors.
    pub(crate) fn check_successors(&self, id: RequestId, outcome: &Outcome, engine: &Engine) -> Verdict {
        let because = match outcome {
            Outcome::RollStopped { because, .. } => because,
            other => other,
        };
        match because {
            Outcome::Aborted { unit, failure: Failure::Successor(_), .. } => {
                let unit = unit.index();
                let is_told = self.books[unit].signalled.is_some();
                let goes =
                    self.is_doomed(unit) || self.gates.is_doomed(unit) || !self.is_wished(unit, engine);
                match is_told && !goes {
                    true => law(10, format!("a successor of u{unit} failed, and the unit does not serve")),
                    false => Ok(()),
                }
            }
            Outcome::Done if matches!(self.requests[&id].request, Request::Restart { .. }) => {
                match self.overlaps.runs.values().find(|run| self.overlaps.is_at(run.of, id)) {
                    Some(run) => law(10, format!("{id:?} is done, and u{} has two runs", run.of)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Gates {
    /// A successor of a unit has this place.
    pub(crate) fn sets_out(&mut self, specs: &[Option<Entry>], place: usize, of: usize) {
        self.units[of].has_successor = true;
        self.run_departed(specs, place);
        let has_renders = |unit: &Rc<Unit>| unit.program().is_some_and(|p| !p.renders.is_empty());
        self.units[place].is_unsettled = self.spec(place).is_some_and(has_renders);
    }

    pub(crate) fn run_departed(&mut self, specs: &[Option<Entry>], place: usize) {
        self.specs = specs.to_vec();
        self.grow(specs.len());
        self.units[place] = gate_books::Unit::default();
    }

    pub(crate) fn runs_exchanged(&mut self, specs: &[Option<Entry>], unit: usize) {
        self.specs = specs.to_vec();
        self.units[unit].has_successor = false;
    }

    /// A successor has the place of its unit.
    pub(crate) fn is_replaced(&mut self, unit: usize) {
        self.units[unit].replaced_at = self.step;
    }

    /// It was up before the request came, without a break, and wished up.
    pub(crate) fn served_since(&self, unit: usize, id: RequestId) -> bool {
        let (book, asked) = (&self.units[unit], &self.asked[&id]);
        book.ready_since.is_some_and(|since| since < asked.at)
            && book.wished_since + 1 < asked.at
            && !book.is_doomed
    }

    /// Units that were tried since a request came in.
    pub(crate) fn tried_for(&self, id: RequestId) -> impl Iterator<Item = usize> {
        let at = self.asked_at(id);
        self.units.iter().enumerate().filter(move |(_, unit)| unit.tried_at >= at).map(|(place, _)| place)
    }

    /// Is what a unit writes looked at?
    pub(crate) fn is_heeded(&self, unit: usize) -> bool {
        self.units[unit].is_heeded
    }

    /// Units that were tested for a request, the last time that it tested.
    pub(crate) fn passed(&self, id: RequestId) -> &BTreeSet<usize> {
        &self.asked[&id].passed
    }

    /// The step in which a request came in.
    pub(crate) fn asked_at(&self, id: RequestId) -> u64 {
        self.asked[&id].at
    }
}

impl Asked {
    /// Does it restart, or sync, this unit?
    pub(crate) fn names_unit(&self, unit: usize) -> bool {
        let is_changed = self.fates.iter().any(|(place, fate)| *place == unit && *fate == Fate::Replaced);
        is_changed || self.units().iter().any(|own| own.index() == unit)
    }
}

/// Is it an id that no unit has?
fn is_hidden(unit: UnitId) -> bool {
    unit.index() >= 1 << 31
}

/// Of whom an effect is.
fn unit_of(effect: &mut Effect) -> Option<&mut UnitId> {
    match effect {
        Effect::Inspect { unit, .. }
        | Effect::Spawn { unit, .. }
        | Effect::SettleRenders { unit, .. }
        | Effect::HeedOutput { unit }
        | Effect::Probe { unit }
        | Effect::ForgetProbe { unit }
        | Effect::AwaitReadiness { unit }
        | Effect::AwaitPidFile { unit }
        | Effect::ForgetReadiness { unit }
        | Effect::Signal { unit, .. }
        | Effect::ClearGroup { unit, .. }
        | Effect::CleanUp { unit, .. }
        | Effect::Forget { unit }
        | Effect::Exchanged { unit, .. }
        | Effect::Changed { unit, .. }
        | Effect::Note { unit, .. } => Some(unit),
        _ => None,
    }
}

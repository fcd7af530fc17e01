//! Which definition holds at which place: the checker's own account of syncs and of units that come and go.
//!
//! ```text
//!   a sync: Requested ─▶ Stopping: what is new and what is amended holds ─▶ Starting: all of it holds
//!              └─ refused, given up: nothing of it ever holds
//! ```

use std::collections::BTreeMap;
use std::rc::Rc;

use sexton::engine::{
    Definitions, Effect, Engine, Event, Note, Outcome, Progress, Request, RequestId, TransactionPhase, UnitId,
};
use sexton::model::UnitName;
use sexton::model::unit::{Entry, Kind, Readiness, Unit};

use super::laws::{Verdict, law};

/// What holds, and what is to hold soon.
pub(crate) struct Files {
    places: Vec<Option<Entry>>,
    boot: Vec<UnitName>,
    coming: Option<Coming>,
    /// What the latest sync brought.
    brought: Vec<Rc<Unit>>,
    /// What changed in the present step.
    pub(crate) news: News,
    /// By which definition a successor was started.
    pub(crate) successors: BTreeMap<usize, Option<Entry>>,
}

struct Coming {
    id: RequestId,
    definitions: Definitions,
    begun: bool,
}

/// What a step did to the definitions.
#[derive(Default)]
pub(crate) struct News {
    /// What holds at a place from the beginning of the step on.
    pub(crate) first: Vec<(usize, Option<Entry>)>,
    /// What holds from the moment on in which the sync comes to its starts.
    pub(crate) last: Vec<(usize, Option<Entry>)>,
    /// That sync.
    pub(crate) by: Option<RequestId>,
    /// Places at which a unit is that was not there.
    pub(crate) arrived: Vec<usize>,
}

/// What a sync does to a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Same,
    Amended,
    Replaced,
    Removed,
}

impl Files {
    pub(crate) fn new(entries: Vec<Entry>) -> Files {
        let places = entries.into_iter().map(Some).collect();
        Files {
            places,
            boot: Vec::new(),
            coming: None,
            brought: Vec::new(),
            news: News::default(),
            successors: BTreeMap::new(),
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().flatten()
    }

    pub(crate) fn places(&self) -> &[Option<Entry>] {
        &self.places
    }

    pub(crate) fn boot(&self) -> &[UnitName] {
        &self.boot
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        let own = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.name().as_str() == name);
        self.places.iter().position(own)
    }

    /// The unit that holds at a place.
    pub(crate) fn unit(&self, place: usize) -> Option<&Rc<Unit>> {
        match self.places.get(place)?.as_ref()? {
            Entry::Unit(unit) => Some(unit),
            Entry::Broken { .. } => None,
        }
    }

    /// May a unit at this place be tried by this definition: the one that holds, or the one that it is to get?
    pub(crate) fn may_be_tried(&self, place: usize, spec: &Rc<Unit>) -> bool {
        self.unit(place) == Some(spec) || self.brought.contains(spec)
    }

    /// A sync is on its way whose definitions do not all hold yet.
    pub(crate) fn is_syncing(&self) -> bool {
        self.coming.is_some()
    }

    /// What a new set of definitions does to the unit at a place.
    pub(crate) fn fate(&self, place: usize, definitions: &Definitions) -> Fate {
        let Some(entry) = self.places.get(place).and_then(|entry| entry.as_ref()) else { return Fate::Same };
        let new = definitions.units.iter().find(|unit| unit.name == *entry.name());
        match (entry, new) {
            (_, None) => Fate::Removed,
            (Entry::Broken { .. }, Some(_)) => Fate::Replaced,
            (Entry::Unit(old), Some(new)) if old == new => Fate::Same,
            (Entry::Unit(old), Some(new)) if is_born_alike(old, new) => Fate::Amended,
            (Entry::Unit(_), Some(_)) => Fate::Replaced,
        }
    }

    /// Would these definitions change nothing?
    pub(crate) fn are_as_before(&self, definitions: &Definitions) -> bool {
        let n_units = self.entries().count();
        n_units == definitions.units.len()
            && (0..self.places.len()).all(|place| self.fate(place, definitions) == Fate::Same)
            && definitions.boot.iter().all(|name| self.boot.contains(name))
    }

    /// Takes a step into the account, before any of its effects is looked at.
    pub(crate) fn step(&mut self, event: &Event, effects: &[Effect], engine: &Engine) -> Verdict {
        self.news = News::default();
        match event {
            Event::Requested { id, request: Request::Sync { definitions, .. } } => {
                self.sync_requested(*id, definitions, effects)?;
            }
            Event::Requested { request: Request::Boot { units }, .. } if !engine.is_shutting_down() => {
                let name = |unit: &UnitId| self.unit(unit.index()).map(|unit| unit.name.clone());
                self.boot = units.iter().filter_map(name).collect();
            }
            _ => {}
        }
        for effect in effects {
            // A unit was replaced while it served: the definition of its successor holds.
            if let Effect::Exchanged { unit, with } = effect
                && let Some(entry) = self.successors.remove(&with.index())
            {
                self.places[unit.index()] = entry;
            }
            let Some(coming) = &self.coming else { continue };
            match effect {
                Effect::Reply { id, .. }
                    if *id == coming.id && !coming.begun && !engine.is_shutting_down() =>
                {
                    self.coming = None;
                }
                Effect::Progress { id, progress: Progress::Phase(phase) } if *id == coming.id => {
                    match phase {
                        TransactionPhase::Stopping => self.at_first(engine)?,
                        TransactionPhase::Starting => self.at_last(engine)?,
                        _ => {}
                    }
                }
                // It waits for nobody who outlives KILL, even where whoever wished it was answered before.
                Effect::Note { note: Note::Outlived, .. } if coming.begun && !engine.is_syncing() => {
                    let goes_on = Progress::Phase(TransactionPhase::Starting);
                    let id = coming.id;
                    let is_last = |e: &Effect| matches!(e, Effect::Progress { id: own, progress } if *own == id && *progress == goes_on);
                    if !effects.iter().any(is_last) {
                        self.coming = None;
                    }
                }
                _ => {}
            }
        }
        if engine.is_shutting_down() {
            // An essential unit ended in the very step in which the sync began, which stops nothing and so tells nothing.
            if self.has_begun(engine) {
                self.at_first(engine)?;
            }
            self.coming = None;
        }
        self.compare(effects, engine)
    }

    /// Does something hold that the sync on its way brought, new or amended?
    fn has_begun(&self, engine: &Engine) -> bool {
        let Some(coming) = self.coming.as_ref().filter(|coming| !coming.begun) else { return false };
        let holds = |unit: &Rc<Unit>| {
            let place = self.place(unit.name.as_str());
            let is_changed = place.is_none_or(|place| self.fate(place, &coming.definitions) == Fate::Amended);
            is_changed
                && engine.find(unit.name.as_str()).is_some_and(|id| engine.unit(id).unit() == Some(unit))
        };
        coming.definitions.units.iter().any(holds)
    }

    fn sync_requested(&mut self, id: RequestId, new: &Definitions, effects: &[Effect]) -> Verdict {
        let answer = effects.iter().find_map(|effect| match effect {
            Effect::Reply { id: own, outcome } if *own == id => Some(outcome),
            _ => None,
        });
        if self.are_as_before(new) && (answer.is_none() || effects.len() > 1) {
            return law(11, format!("{id:?} brings nothing new, and does {} things", effects.len()));
        }
        match answer {
            Some(Outcome::Done) if effects.len() == 1 => self.boot.clone_from(&new.boot),
            Some(Outcome::Refused(_)) => {}
            _ => {
                self.brought.clone_from(&new.units);
                self.coming = Some(Coming { id, definitions: new.clone(), begun: false });
            }
        }
        Ok(())
    }

    /// What is new, and what is amended, holds.
    fn at_first(&mut self, engine: &Engine) -> Verdict {
        let Some(coming) = self.coming.as_mut().filter(|coming| !coming.begun) else { return Ok(()) };
        coming.begun = true;
        let new = coming.definitions.clone();
        self.boot.clone_from(&new.boot);
        for unit in &new.units {
            match self.place(unit.name.as_str()) {
                Some(place) if self.fate(place, &new) == Fate::Amended => {
                    self.places[place] = Some(Entry::Unit(unit.clone()));
                    self.news.first.push((place, self.places[place].clone()));
                }
                Some(_) => {}
                None => self.arrive(Entry::Unit(unit.clone()), engine)?,
            }
        }
        Ok(())
    }

    /// All is as the files say.
    fn at_last(&mut self, engine: &Engine) -> Verdict {
        self.at_first(engine)?;
        let Some(Coming { id, definitions: new, .. }) = self.coming.take() else { return Ok(()) };
        self.news.by = Some(id);
        for place in 0..self.places.len() {
            let fate = self.fate(place, &new);
            if fate == Fate::Removed || fate == Fate::Replaced {
                let name = self.places[place].as_ref().expect("a unit").name();
                let unit = new.units.iter().find(|unit| unit.name == *name);
                self.places[place] = unit.map(|unit| Entry::Unit(unit.clone()));
                self.news.last.push((place, self.places[place].clone()));
            }
        }
        Ok(())
    }

    /// A new unit has its place from the engine, and nobody else has it.
    fn arrive(&mut self, entry: Entry, engine: &Engine) -> Verdict {
        let Some(unit) = engine.find(entry.name().as_str()) else {
            return law(11, format!("'{}' is new, and is not there", entry.name()));
        };
        let place = unit.index();
        if self.places.len() <= place {
            self.places.resize(place + 1, None);
        }
        if let Some(other) = &self.places[place] {
            return law(6, format!("'{}' got the place of '{}'", entry.name(), other.name()));
        }
        let view = engine.unit(unit);
        if view.restarts() > 0 || view.last_end().is_some() {
            return law(6, format!("'{}' is new, and has the history of another", entry.name()));
        }
        self.news.first.push((place, Some(entry.clone())));
        self.places[place] = Some(entry);
        self.news.arrived.push(place);
        Ok(())
    }

    /// Units were added to those that are there.
    pub(crate) fn extend(&mut self, entries: &[Entry], engine: &Engine) -> Verdict {
        self.news = News::default();
        // A sync that the shutdown came upon holds the places that it was promised.
        if self.is_syncing() || (engine.is_shutting_down() && engine.is_syncing()) {
            return self.compare(&[], engine);
        }
        for entry in entries {
            match self.place(entry.name().as_str()) {
                Some(place) if matches!(self.places[place], Some(Entry::Broken { .. })) => {
                    self.places[place] = Some(entry.clone());
                    self.news.first.push((place, Some(entry.clone())));
                    self.news.arrived.push(place);
                }
                Some(_) => {}
                None => self.arrive(entry.clone(), engine)?,
            }
        }
        self.compare(&[], engine)
    }

    /// The engine has the units that there are, with the definitions that hold, and no others.
    fn compare(&self, effects: &[Effect], engine: &Engine) -> Verdict {
        for id in engine.ids() {
            let place = id.index();
            let has = engine.unit(id);
            let same = match self.places.get(place).and_then(|entry| entry.as_ref()) {
                Some(Entry::Unit(unit)) => has.unit().is_some_and(|own| Rc::ptr_eq(own, unit) || own == unit),
                Some(Entry::Broken { name, .. }) => has.unit().is_none() && has.name() == name.as_str(),
                None => false,
            };
            if !same {
                return law(
                    11,
                    format!("u{place} ('{}') goes by a definition that does not hold", has.name()),
                );
            }
        }
        if engine.len() != self.entries().count() {
            return law(
                11,
                format!("there are {} units, and should be {}", engine.len(), self.entries().count()),
            );
        }
        let told = |place: &usize| {
            effects.iter().any(|e| matches!(e, Effect::Forget { unit } if unit.index() == *place))
        };
        let departed = self.news.last.iter().filter(|(_, entry)| entry.is_none()).map(|(place, _)| place);
        match departed.copied().find(|place| !told(place)) {
            Some(place) => law(6, format!("u{place} is gone, and nobody was told to forget it")),
            None => Ok(()),
        }
    }
}

/// Would a process that was started by one be as one that was started by the other?
fn is_born_alike(old: &Unit, new: &Unit) -> bool {
    match (&old.kind, &new.kind) {
        (Kind::Target, Kind::Target) => true,
        (Kind::Service(old), Kind::Service(new)) | (Kind::Task(old), Kind::Task(new)) => {
            let notifies = |how: &Readiness| matches!(how, Readiness::Notify);
            old.exec == new.exec
                && old.process == new.process
                && old.renders == new.renders
                && notifies(&old.ready.how) == notifies(&new.ready.how)
        }
        _ => false,
    }
}

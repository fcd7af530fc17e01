//! Which unit is at which place: units come and go, and nothing of an earlier one is left for a later one.

use sexton::engine::{Effect, Engine, Failure, Phase, Purpose, Role, UnitId};
use sexton::model::unit::{Entry, Unit};

use super::books::{Books, redraw};
use super::laws::{Laws, Verdict, law};

impl Laws {
    /// Units were added without a request.
    pub(crate) fn extended(&mut self, entries: &[Entry], engine: &Engine) -> Verdict {
        self.files.extend(entries, engine)?;
        self.exchange_first(engine);
        self.check_phases(engine)
    }

    /// What holds from the beginning of a step on.
    pub(crate) fn exchange_first(&mut self, engine: &Engine) {
        let first = std::mem::take(&mut self.files.news.first);
        let arrived = std::mem::take(&mut self.files.news.arrived);
        self.exchange(&first);
        for place in arrived {
            self.phases.resize(self.phases.len().max(place + 1), Phase::Stopped);
            let has_load = matches!(engine.unit(UnitId::from_index(place)).failure(), Some(Failure::Load(_)));
            self.phases[place] = if has_load { Phase::Failed } else { Phase::Stopped };
            self.books[place].forget_run();
        }
    }

    pub(crate) fn exchange(&mut self, news: &[(usize, Option<Entry>)]) {
        if news.is_empty() {
            return;
        }
        for (place, entry) in news {
            self.specs.resize(self.specs.len().max(place + 1), None);
            if matches!((&self.specs[*place], entry), (Some(Entry::Broken { .. }), Some(Entry::Unit(_)))) {
                self.phases[*place] = Phase::Stopped;
            }
            self.specs[*place] = entry.clone();
        }
        redraw(&mut self.books, &self.specs);
        for (place, _) in news {
            self.books[*place].is_amended = true;
        }
        self.gates.exchange(&self.specs, news);
    }

    /// Something is ordered of a unit: there has to be one, but for trials of one that is to come.
    pub(crate) fn check_is_there(&mut self, effect: &Effect) -> Verdict {
        let unit = match effect {
            Effect::Inspect { unit, purpose: Purpose::Trial, .. }
            | Effect::Spawn { unit, role: Role::Trial(_), .. }
            | Effect::SettleRenders { unit, .. } => {
                self.grow(unit.index());
                return Ok(());
            }
            Effect::Signal { unit, pid, .. } => {
                self.grow(unit.index());
                if self.gates.has(unit.index(), *pid) {
                    return Ok(());
                }
                unit
            }
            Effect::Inspect { unit, .. }
            | Effect::Spawn { unit, .. }
            | Effect::HeedOutput { unit }
            | Effect::Probe { unit }
            | Effect::AwaitReadiness { unit }
            | Effect::AwaitPidFile { unit }
            | Effect::CleanUp { unit, .. }
            | Effect::Changed { unit, .. } => unit,
            _ => return Ok(()),
        };
        match self.specs.get(unit.index()) {
            Some(Some(_)) => Ok(()),
            _ => law(6, format!("something is done to u{}, which is no unit: {effect:?}", unit.index())),
        }
    }

    /// Makes room in the books for a unit that is to come.
    pub(crate) fn grow(&mut self, place: usize) {
        let n_places = self.specs.len().max(place + 1);
        self.specs.resize(n_places, None);
        self.books.resize_with(n_places, Books::default);
        self.phases.resize(n_places, Phase::Stopped);
        self.gates.grow(n_places);
    }

    /// A process, or an inspection, is by the definition that holds.
    pub(crate) fn check_spec(&self, unit: usize, spec: &Unit) -> Verdict {
        match self.spec(unit) {
            Some(own) if std::ptr::eq(own, spec) || own == spec => Ok(()),
            _ => law(11, format!("something of u{unit} is ordered by a definition that does not hold")),
        }
    }

    /// The unit is no more: nothing of it may be left.
    pub(crate) fn departs(&mut self, unit: usize) -> Verdict {
        self.reduce_requests(unit);
        let book = &self.books[unit];
        let left = book.running.keys().any(|pid| self.counts(unit, *pid)) || !book.ordered.is_empty();
        if left && !self.ever_held.contains(&unit) {
            return law(6, format!("u{unit} is gone, and has {:?} {:?}", book.running, book.ordered));
        }
        let book = &mut self.books[unit];
        let (running, kept) = (std::mem::take(&mut book.running), std::mem::take(&mut book.ordered));
        book.forget_run();
        (book.running, book.ordered) = (running, kept);
        if self.overlaps.unit_of(unit).is_some() {
            self.run_departed(unit);
        }
        Ok(())
    }
}

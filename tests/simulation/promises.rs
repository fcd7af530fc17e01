//! What each request promises, held against what happened: law 10, and that an answer tells the truth.
//!
//! | answer | what has to be so |
//! | --- | --- |
//! | a restart is done | every unit in its scope that served has a main process that began after it was touched |
//! | a roll is done, or stopped | each had its turn after the one before it was up again; those left were not touched |
//! | a reload is done | the same run as when it was touched, and it was told to read its configuration |
//! | a sync is done | what changed runs anew, what is new at boot is up, everything else was left alone |
//! | a stop is done | nothing of it is alive |
//! | refused, aborted, abandoned | nothing was touched |

use std::collections::BTreeSet;

use sexton::engine::{
    Effect, Engine, Outcome, Phase, Progress, Reason, Request, RequestId, RestartHow, TransactionPhase,
    UnitId,
};
use sexton::model::{Moment, UnitName};

use super::files::Fate;
use super::laws::{Laws, Verdict, law};

/// When the hooks took longer than this, the tests are run again.
const TEST_HOLDS: std::time::Duration = std::time::Duration::from_secs(1);

/// A request, and how far it says that it has come.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answered: u32,
    /// Since which step it touches units.
    pub(crate) touched: Option<u64>,
    /// All that it stops is down.
    has_stopped: bool,
    /// Units that it may touch, and those of them that served when it began to.
    touchable: BTreeSet<usize>,
    scope: Vec<(usize, u64)>,
    /// What a sync does to the units that there were, and the new ones that are to run.
    pub(crate) fates: Vec<(usize, Fate)>,
    added: Vec<UnitName>,
    names: Vec<UnitName>,
    /// One of these went meanwhile; another of its name may have come.
    is_reduced: bool,
    places: Vec<(usize, UnitName)>,
    /// The units that had their turn in a roll, each with its step.
    pub(crate) turns: Vec<(usize, u64)>,
    is_tested: bool,
    hooks_since: Option<Moment>,
    is_retested: bool,
    /// Nobody waits for it: at all, and since before it touched anything.
    is_abandoned: bool,
    is_given_up: bool,
    /// Units that it replaced while they served.
    pub(crate) replaced: BTreeSet<usize>,
}

impl Asked {
    pub(crate) fn new(request: Request) -> Asked {
        Asked {
            request,
            answered: 0,
            touched: None,
            has_stopped: false,
            touchable: BTreeSet::new(),
            scope: Vec::new(),
            fates: Vec::new(),
            added: Vec::new(),
            names: Vec::new(),
            is_reduced: false,
            places: Vec::new(),
            turns: Vec::new(),
            is_tested: false,
            hooks_since: None,
            is_retested: false,
            is_abandoned: false,
            is_given_up: false,
            replaced: BTreeSet::new(),
        }
    }

    /// It may tell units to stop, or to read their configuration again.
    fn is_touching(&self) -> bool {
        let is_over = match self.request {
            Request::Reload { .. } => self.answered > 0,
            _ => self.has_stopped,
        };
        self.touched.is_some() && !is_over
    }

    /// The units that it holds down until the last of them is.
    pub(crate) fn holds(&self) -> Option<&BTreeSet<usize>> {
        self.is_touching().then_some(&self.touchable)
    }

    /// The units that it may touch, or might have.
    pub(crate) fn touchable(&self) -> impl Iterator<Item = usize> {
        self.touchable.iter().copied()
    }

    pub(crate) fn units(&self) -> &[UnitId] {
        match &self.request {
            Request::Boot { units }
            | Request::Start { units }
            | Request::Stop { units, .. }
            | Request::Restart { units, .. }
            | Request::Reload { units, .. }
            | Request::Reset { units }
            | Request::Signal { units, .. } => units,
            _ => &[],
        }
    }
}

impl Laws {
    /// Keeps in mind what holds as a request comes in.
    pub(crate) fn note_request(&mut self, id: RequestId) {
        let Some(asked) = self.requests.get(&id) else { return };
        let name = |unit: &UnitId| Some((unit.index(), self.spec(unit.index())?.name.clone()));
        let places: Vec<(usize, UnitName)> = asked.units().iter().filter_map(name).collect();
        let names = places.iter().map(|(_, name)| name.clone()).collect();
        let (mut fates, mut added) = (Vec::new(), Vec::new());
        if let Request::Sync { definitions, .. } = &asked.request {
            let places = (0..self.specs.len()).filter(|place| self.specs[*place].is_some());
            fates = places.map(|place| (place, self.files.fate(place, definitions))).collect();
            let is_new = |name: &&UnitName| self.files.place(name.as_str()).is_none();
            added = definitions.boot.iter().filter(is_new).cloned().collect();
        }
        let request = asked.request.clone();
        if let Some(asked) = self.requests.get_mut(&id) {
            (asked.names, asked.places, asked.fates, asked.added) = (names, places, fates, added);
        }
        match request {
            Request::Start { units } | Request::Boot { units } => {
                for unit in self.starts_of(units.iter().map(|unit| unit.index())) {
                    let is_fresh = matches!(self.phases[unit], Phase::Failed | Phase::Backoff);
                    self.books[unit].reason = is_fresh.then_some(Reason::Start);
                }
            }
            Request::Abandon { request } | Request::Forget { request } => {
                if let Some(asked) = self.requests.get_mut(&request).filter(|asked| asked.answered == 0) {
                    asked.is_abandoned = true;
                    asked.is_given_up = asked.touched.is_none();
                }
            }
            _ => {}
        }
    }

    /// A unit is no more: requests that name it go on without, also where another one of its name comes.
    pub(crate) fn reduce_requests(&mut self, unit: usize) {
        let is_its = |asked: &Asked| asked.places.iter().any(|(place, _)| *place == unit);
        for asked in self.requests.values_mut().filter(|asked| asked.answered == 0 && is_its(asked)) {
            asked.is_reduced = true;
            asked.places.retain(|(place, _)| *place != unit);
        }
    }

    /// These, with all that they need and want.
    pub(crate) fn starts_of(&self, units: impl Iterator<Item = usize>) -> Vec<usize> {
        self.starts_through(units, &|_| true)
    }

    /// As `starts_of`, and not beyond units that are not followed.
    pub(crate) fn starts_through(
        &self,
        units: impl Iterator<Item = usize>,
        through: &dyn Fn(usize) -> bool,
    ) -> Vec<usize> {
        let mut all: Vec<usize> = units.collect();
        let mut next = 0;
        while let Some(unit) = all.get(next).copied() {
            next += 1;
            if !through(unit) {
                continue;
            }
            for other in self.books[unit].needs.iter().chain(&self.books[unit].wants) {
                if !all.contains(other) {
                    all.push(*other);
                }
            }
        }
        all
    }

    /// These, with all that needs them and may go on to others as `through` says.
    pub(crate) fn stops_of(&self, units: &[usize], through: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let mut all = units.to_vec();
        let mut next = 0;
        while let Some(unit) = all.get(next).copied() {
            next += 1;
            for other in &self.books[unit].needed_by {
                if through(*other) && !all.contains(other) {
                    all.push(*other);
                }
            }
        }
        all
    }

    pub(crate) fn progressed(&mut self, id: RequestId, progress: &Progress, engine: &Engine) -> Verdict {
        let Progress::Phase(phase) = progress else { return Ok(()) };
        let (now, step) = (self.now, self.step);
        let Some(asked) = self.requests.get_mut(&id) else {
            return law(10, format!("progress of {id:?}, which nobody made"));
        };
        match phase {
            TransactionPhase::Testing => (asked.is_tested, asked.hooks_since) = (true, None),
            TransactionPhase::TestingAgain => asked.is_retested = true,
            TransactionPhase::PreStopping => (asked.hooks_since, asked.is_retested) = (Some(now), false),
            TransactionPhase::Undoing | TransactionPhase::Overlapping => {}
            TransactionPhase::Starting => asked.has_stopped = true,
            TransactionPhase::Rolling { unit, nth, .. } => {
                let unit = unit.clone();
                return self.turn(id, &unit, *nth, engine);
            }
            TransactionPhase::Stopping | TransactionPhase::Reloading => {
                asked.touched = Some(step);
                asked.has_stopped = false;
                self.touches(id, engine)?;
            }
        }
        if let (TransactionPhase::Starting, Some(Request::Sync { .. })) =
            (phase, self.requests.get(&id).map(|asked| &asked.request))
        {
            for book in &mut self.books {
                book.restarts.clear();
                book.reason = None;
            }
        }
        Ok(())
    }

    /// From here on a request touches units.
    fn touches(&mut self, id: RequestId, engine: &Engine) -> Verdict {
        let asked = &self.requests[&id];
        if asked.answered > 0 || asked.is_given_up {
            return law(10, format!("{id:?} was given up or answered, and touches units"));
        }
        let took_long = asked.hooks_since.is_some_and(|since| self.now.since(since) > TEST_HOLDS);
        let mut tested = self.gates.passed(id).iter();
        let is_all_replaced = !asked.replaced.is_empty() && tested.all(|unit| asked.replaced.contains(unit));
        if asked.is_tested && took_long && !asked.is_retested && !is_all_replaced {
            return law(4, format!("the hooks of {id:?} took their time, and nothing is tested again"));
        }
        let roots: Vec<usize> = match &asked.request {
            Request::Sync { .. } => {
                let goes = |fate: &Fate| matches!(fate, Fate::Replaced | Fate::Removed);
                let goes: Vec<usize> =
                    asked.fates.iter().filter(|(_, fate)| goes(fate)).map(|(unit, _)| *unit).collect();
                self.outdated = goes.iter().copied().collect();
                goes
            }
            Request::Restart { how: RestartHow::Rolling, .. } => {
                asked.turns.last().map(|(unit, _)| *unit).into_iter().collect()
            }
            _ => asked.units().iter().map(|unit| unit.index()).collect(),
        };
        let mut stopped = roots.clone();
        stopped.retain(|unit| !asked.replaced.contains(unit));
        self.are_replaced(id, &roots)?;
        // What a unit wants is started with it, also where it is replaced while it serves.
        let brought: Vec<usize> = self.starts_of(roots.iter().copied());
        let roots = stopped;
        let asked = &self.requests[&id];
        let is_reload = matches!(asked.request, Request::Reload { .. });
        let live = |unit: usize| {
            matches!(self.phases[unit], Phase::Ready | Phase::PostStarting | Phase::Starting)
                && self.is_wished(unit, engine)
                && !self.is_doomed(unit)
                && !self.gates.is_doomed(unit)
        };
        let all = if is_reload { roots.clone() } else { self.stops_of(&roots, &|_| true) };
        let serves = |unit: &usize| {
            self.phases[*unit] == Phase::Ready && self.books[*unit].main.is_some() && live(*unit)
        };
        let scope = if is_reload { roots.clone() } else { self.stops_of(&roots, &live) };
        let scope: Vec<usize> = scope.into_iter().filter(serves).collect();
        let runs = scope.iter().map(|unit| (*unit, self.books[*unit].main_ordered)).collect();
        let is_restart = matches!(asked.request, Request::Restart { .. });
        for unit in self.starts_of(all.iter().copied()).into_iter().chain(brought) {
            self.books[unit].reason = None;
        }
        for unit in scope.iter().filter(|_| is_restart) {
            self.books[*unit].reason = Some(Reason::Restart);
        }
        let asked = self.requests.get_mut(&id).expect("a request");
        (asked.touchable, asked.scope) = (all.into_iter().collect(), runs);
        let named: Vec<UnitId> = asked.units().to_vec();
        if is_restart {
            self.forget_restarts(&named);
        }
        Ok(())
    }

    /// The next unit of a roll has its turn.
    fn turn(&mut self, id: RequestId, unit: &UnitName, nth: u32, engine: &Engine) -> Verdict {
        let asked = &self.requests[&id];
        let mut names: Vec<&UnitName> = Vec::new();
        asked.names.iter().for_each(|name| {
            if !names.contains(&name) {
                names.push(name);
            }
        });
        // Units that are no more are not counted.
        let are_there = !asked.is_reduced;
        let is_next = names.get(nth as usize - 1) == Some(&unit) && asked.turns.len() + 1 == nth as usize;
        if !names.contains(&unit) || (are_there && !is_next) {
            return law(10, format!("{id:?}: it is not the turn of '{unit}'"));
        }
        if asked.is_abandoned {
            return law(10, format!("{id:?}: nobody waits for it, and '{unit}' has its turn"));
        }
        self.last_turn_lives_on(id, asked, engine)?;
        let Some(place) = self.files.place(unit.as_str()) else {
            return law(10, format!("{id:?}: it is the turn of '{unit}', which is no more"));
        };
        let step = self.step;
        let asked = self.requests.get_mut(&id).expect("a request");
        asked.turns.push((place, step));
        asked.replaced.clear();
        (asked.touched, asked.hooks_since) = (None, None);
        Ok(())
    }

    /// The unit is up, with a main process that was ordered after this step.
    pub(crate) fn is_anew(&self, id: RequestId, unit: usize, since: u64) -> Verdict {
        let runs = self.spec(unit).is_some_and(|unit| unit.program().is_some());
        let is_new = !runs || self.phases[unit] == Phase::Skipped || self.books[unit].main_ordered > since;
        match self.is_up(unit) && is_new {
            true => Ok(()),
            false => law(
                10,
                format!("{id:?} says that u{unit} is up anew; it is {}, new: {is_new}", self.phases[unit]),
            ),
        }
    }

    /// May a unit that serves be told to stop, or to reload, by any of the requests that are at it?
    pub(crate) fn is_touchable(&self, id: RequestId, unit: usize) -> bool {
        let asked = &self.requests[&id];
        // What came to need one of its units since joins them.
        let joins = || {
            let touchable: Vec<usize> = asked.touchable.iter().copied().collect();
            self.stops_of(&touchable, &|_| true).contains(&unit)
        };
        asked.is_touching() && (asked.touchable.contains(&unit) || joins())
    }

    pub(crate) fn check_reply(
        &mut self,
        id: RequestId,
        outcome: &Outcome,
        effects: &[Effect],
        engine: &Engine,
    ) -> Verdict {
        let latest = self.latest == Some(id);
        let Some(asked) = self.requests.get_mut(&id) else {
            return law(10, format!("a reply to nobody: {id:?}"));
        };
        asked.answered += 1;
        if asked.answered > 1 {
            return law(10, format!("a second reply to {id:?}"));
        }
        let untouched =
            matches!(outcome, Outcome::Refused(_) | Outcome::Aborted { .. } | Outcome::Abandoned { .. });
        if untouched && (asked.touched.is_some() || asked.turns.len() > 1) {
            return law(4, format!("{id:?} has touched units, and says {outcome:?}"));
        }
        self.check_successors(id, outcome, engine)?;
        let asked = &self.requests[&id];
        match outcome {
            Outcome::Refused(_) if effects.len() > 1 && latest => {
                law(4, format!("{id:?} was refused and something was touched"))
            }
            Outcome::Done => self.is_done(id, asked, effects, engine),
            Outcome::RollStopped { done, left, because } => {
                let had_turns = asked.turns.len();
                let fits = had_turns == done.len() || had_turns == done.len() + 1;
                // Units that are no more are not named.
                let are_there = !asked.is_reduced;
                let is_touched = !matches!(
                    **because,
                    Outcome::Refused(_) | Outcome::Aborted { .. } | Outcome::Abandoned { .. }
                );
                let names: BTreeSet<&UnitName> = asked.names.iter().collect();
                let fits = fits && done.len() + left.len() + usize::from(is_touched) == names.len();
                if (are_there && !fits) || **because == Outcome::Done {
                    return law(10, format!("{id:?} stopped after {had_turns} turns: {outcome:?}"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// All that was asked for is said to be so.
    fn is_done(&self, id: RequestId, asked: &Asked, effects: &[Effect], engine: &Engine) -> Verdict {
        match &asked.request {
            Request::Start { units } | Request::Boot { units } => {
                let still = |unit: &&UnitId| self.is_still(asked, **unit);
                match units.iter().filter(still).find(|unit| !self.is_up(unit.index())) {
                    Some(unit) => law(10, format!("{id:?} is done, but u{} is not up", unit.index())),
                    None => Ok(()),
                }
            }
            Request::Stop { units, .. } => {
                let down = |unit: usize| matches!(self.phases[unit], Phase::Stopped | Phase::Failed);
                let still = units.iter().filter(|unit| self.is_still(asked, **unit));
                match still.map(|unit| unit.index()).find(|unit| !down(*unit)) {
                    Some(unit) => law(10, format!("{id:?} is done, but u{unit} is not down")),
                    None => Ok(()),
                }
            }
            Request::Restart { units, how: RestartHow::Together, .. } => {
                let Some(touched) = asked.touched else {
                    return law(10, format!("{id:?} is done, and touched nothing"));
                };
                let mut still = units.iter().filter(|unit| self.is_still(asked, **unit));
                still.try_for_each(|unit| {
                    let is_replaced = asked.replaced.contains(&unit.index());
                    let since = if is_replaced { self.gates.asked_at(id) } else { touched };
                    self.is_anew(id, unit.index(), since)
                })?;
                let mut scope = asked.scope.iter().filter(|(unit, _)| self.specs[*unit].is_some());
                scope.try_for_each(|(unit, _)| self.is_anew(id, *unit, touched))
            }
            Request::Restart { how: RestartHow::Rolling, .. } => {
                let names: BTreeSet<&UnitName> = asked.names.iter().collect();
                let are_there = !asked.is_reduced;
                if are_there && names.len() != asked.turns.len() {
                    return law(10, format!("{id:?} is done after {} turns", asked.turns.len()));
                }
                self.last_turn_lives_on(id, asked, engine)
            }
            Request::Reload { .. } => {
                asked.scope.iter().try_for_each(|(unit, run)| self.is_reloaded(id, asked, *unit, *run))
            }
            Request::Sync { .. } => self.is_synced(id, asked),
            Request::Reset { units } => {
                let failed = |unit: &&UnitId| {
                    self.phases[unit.index()] == Phase::Failed || engine.unit(**unit).restarts() > 0
                };
                match units.iter().find(failed) {
                    Some(unit) => law(10, format!("{id:?} is done, and u{} is not reset", unit.index())),
                    None => Ok(()),
                }
            }
            Request::Signal { units, signal } => {
                let is_sent = |unit: &UnitId| {
                    let main = self.books[unit.index()].main;
                    effects.iter().any(|effect| {
                        matches!(effect, Effect::Signal { pid, signal: sent, .. }
                            if Some(*pid) == main && sent == signal)
                    })
                };
                match units.iter().find(|unit| !is_sent(unit)) {
                    Some(unit) => law(10, format!("{id:?} is done, and u{} got no signal", unit.index())),
                    None => Ok(()),
                }
            }
            Request::Abandon { .. } | Request::Forget { .. } | Request::Shutdown(_) => Ok(()),
        }
    }

    /// It is the unit that was meant, and not one that has its place by now.
    fn is_still(&self, asked: &Asked, unit: UnitId) -> bool {
        let place = unit.index();
        self.spec(place).is_some_and(|unit| asked.places.contains(&(place, unit.name.clone())))
    }

    fn is_reloaded(&self, id: RequestId, asked: &Asked, unit: usize, run: u64) -> Verdict {
        let book = &self.books[unit];
        let Some(touched) = asked.touched else {
            return law(10, format!("{id:?} is done, and touched nothing"));
        };
        if book.main_ordered != run || book.main.is_none() {
            return law(10, format!("{id:?} is done, and u{unit} is not the process that it was"));
        }
        match book.reload_ordered >= touched {
            true => Ok(()),
            false => law(10, format!("{id:?} is done, and u{unit} was not told to reload")),
        }
    }

    fn is_synced(&self, id: RequestId, asked: &Asked) -> Verdict {
        for name in asked.added.iter().filter(|_| asked.has_stopped) {
            if !self.files.place(name.as_str()).is_some_and(|place| self.is_up(place)) {
                return law(11, format!("{id:?} is done, and '{name}', which is new, is not up"));
            }
        }
        let touched = asked.touched.unwrap_or(u64::MAX);
        for (unit, _) in asked.scope.iter().filter(|(unit, _)| self.specs[*unit].is_some()) {
            self.is_anew(id, *unit, touched)?;
        }
        Ok(())
    }
}

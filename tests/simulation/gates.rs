//! Laws 4 and 5, and what belongs to them: what happens before a unit is touched, checked from outside.
//!
//! A request's books are kept from the progress that it tells, and each word of that is held against the processes
//! that ran: a test that is said to have passed must have been run, after the request came in, and have passed.

use std::collections::BTreeMap;

use sexton::engine::{
    Effect, Engine, Event, Finding, Gate, HookNews, Outcome, Phase, Progress, Purpose, Reason, Refusal,
    Renders, Request, RequestId, Role, Tested, TransactionPhase, Trial, UnitId, Verdict, Wanted,
};
use sexton::model::unit::{Entry, OnFailure, PreStop};
use sexton::model::{Pid, UnitName};

use super::gate_books::{Asked, Found, Unit};

type Judgement = Result<(), String>;

fn law(number: u32, words: String) -> Judgement {
    Err(format!("law {number}: {words}"))
}

pub(crate) struct Gates {
    entries: Vec<Entry>,
    units: Vec<Unit>,
    asked: BTreeMap<RequestId, Asked>,
    step: u64,
    given_up: bool,
    shutdown: bool,
}

impl Gates {
    pub(crate) fn new(entries: &[Entry]) -> Gates {
        Gates {
            entries: entries.to_vec(),
            units: entries.iter().map(|_| Unit::default()).collect(),
            asked: BTreeMap::new(),
            step: 0,
            given_up: false,
            shutdown: false,
        }
    }

    fn place(&self, name: &UnitName) -> usize {
        self.entries.iter().position(|entry| entry.name() == name).expect("a unit that there is")
    }

    fn hooks(&self, unit: usize) -> &[PreStop] {
        let Entry::Unit(unit) = &self.entries[unit] else { return &[] };
        unit.program().map(|program| program.hooks.pre_stop.as_slice()).unwrap_or_default()
    }

    /// Takes an event into the books.
    pub(crate) fn before(&mut self, event: &Event) {
        self.step += 1;
        let step = self.step;
        self.units.iter_mut().for_each(|unit| unit.was_ready = unit.ready_since.is_some());
        match event {
            Event::Requested { id, request } => {
                self.shutdown |= matches!(request, Request::Shutdown(_));
                self.asked.insert(*id, Asked::new(request.clone(), step));
            }
            Event::Inspected { unit, purpose: Purpose::Trial, finding } => {
                let unit = &mut self.units[unit.index()];
                unit.found = match finding {
                    Finding::Met { .. } => Some(Found::Met),
                    Finding::Skip(_) => Some(Found::Skip),
                    Finding::Unmet(_) | Finding::Failed(_) => None,
                };
            }
            Event::Spawned { unit, role: Role::Main, .. } => {
                let unit = &mut self.units[unit.index()];
                unit.ran.clear();
                unit.tried.clear();
            }
            Event::Spawned { unit, role, pid } if is_errands(*role) => {
                let place = unit.index();
                let repeats = |hook: u16| {
                    self.hooks(place).get(usize::from(hook)).is_some_and(|hook| hook.until.is_some())
                };
                let repeats = matches!(role, Role::PreStop(hook) if repeats(*hook));
                let unit = &mut self.units[place];
                unit.ordered.retain(|ordered| ordered != role);
                unit.running.insert(*pid, *role);
                if let Role::PreStop(hook) = role
                    && !unit.ran.insert(*hook)
                    && !repeats
                {
                    unit.ran_twice = Some(*hook);
                }
            }
            Event::SpawnFailed { unit, role, error } if is_errands(*role) => {
                let passed_over = self.passes_over(unit.index(), *role);
                let unit = &mut self.units[unit.index()];
                unit.ordered.retain(|ordered| ordered != role);
                unit.fault |= matches!(role, Role::Trial(_)) && !passed_over && !error.is_transient();
            }
            Event::Exited { unit, role, pid, status } if is_errands(*role) => {
                let passed_over = self.passes_over(unit.index(), *role);
                let unit = &mut self.units[unit.index()];
                unit.running.remove(pid);
                unit.fault |= !status.is_success() && !passed_over;
            }
            Event::Judged { unit, role, pid, verdict, .. } if is_errands(*role) => {
                let unit = &mut self.units[unit.index()];
                unit.running.remove(pid);
                match (role, verdict) {
                    (Role::Trial(_), Verdict::Passed { .. }) => unit.test_passed = true,
                    (Role::Trial(_), Verdict::NotYet { .. } | Verdict::Failed(_)) => unit.fault = true,
                    _ => {}
                }
            }
            Event::Probed { unit, result: Ok(()) } => self.units[unit.index()].proven_at = step,
            _ => {}
        }
    }

    fn passes_over(&self, unit: usize, role: Role) -> bool {
        let Entry::Unit(unit) = &self.entries[unit] else { return false };
        let Role::Trial(Trial::Prepare(place)) = role else { return false };
        let hook = unit.program().and_then(|program| program.hooks.prepare.get(usize::from(place)));
        hook.is_some_and(|hook| hook.on_failure == OnFailure::Continue)
    }

    /// Looks at what the engine orders. `own_start` says that a unit's own start is at its preparations, `is_doomed`
    /// that something it needs is down for good.
    pub(crate) fn after(
        &mut self,
        effects: &[Effect],
        engine: &Engine,
        own_start: &dyn Fn(usize) -> bool,
        is_doomed: &dyn Fn(usize) -> bool,
    ) -> Judgement {
        self.given_up = engine.tally().given_up > 0;
        if let Some((unit, hook)) =
            self.units.iter().enumerate().find_map(|(n, unit)| Some((n, unit.ran_twice?)))
        {
            return law(5, format!("u{unit}: its hook {hook} runs a second time"));
        }
        for (index, unit) in self.units.iter_mut().enumerate() {
            unit.is_doomed = unit.was_ready && (unit.is_doomed || is_doomed(index));
        }
        for effect in effects {
            match effect {
                Effect::Inspect { unit, purpose: Purpose::Trial, .. } => {
                    self.trial_begins(unit.index(), own_start)?
                }
                Effect::Spawn { unit, role, reason, .. } if is_errands(*role) => {
                    self.errand_ordered(unit.index(), *role, *reason, own_start)?;
                }
                Effect::SettleRenders { unit, verdict } => self.settled(unit.index(), *verdict)?,
                Effect::Progress { id, progress } => self.told(*id, progress, engine, is_doomed)?,
                Effect::Reply { id, outcome } => self.replied(*id, outcome)?,
                Effect::Changed { unit, to, .. } => {
                    let unit = &mut self.units[unit.index()];
                    let is_up = *to == Phase::Ready;
                    unit.ready_since = if is_up { unit.ready_since.or(Some(self.step)) } else { None };
                    unit.was_cut |= !is_up;
                }
                _ => {}
            }
        }
        self.shutdown |= engine.is_shutting_down();
        for id in engine.ids() {
            if engine.unit(id).wanted() == Wanted::Down {
                self.units[id.index()].wished_since = self.step;
            }
        }
        Ok(())
    }

    fn trial_begins(&mut self, unit: usize, own_start: &dyn Fn(usize) -> bool) -> Judgement {
        if self.shutdown {
            return law(9, format!("u{unit} is tried in a shutdown"));
        }
        if own_start(unit) && !self.given_up {
            return law(0, format!("u{unit} is tried while its own start prepares"));
        }
        let Entry::Unit(own) = &self.entries[unit] else { return Ok(()) };
        let has_renders = own.program().is_some_and(|program| !program.renders.is_empty());
        let book = &mut self.units[unit];
        (book.tried_at, book.found, book.test_passed, book.fault) = (self.step, None, false, false);
        book.is_unsettled |= has_renders;
        Ok(())
    }

    fn errand_ordered(
        &mut self,
        unit: usize,
        role: Role,
        reason: Reason,
        own_start: &dyn Fn(usize) -> bool,
    ) -> Judgement {
        if self.shutdown && reason != Reason::Shutdown {
            return law(9, format!("u{unit}: {role} is ordered in a shutdown"));
        }
        if matches!(role, Role::Trial(_)) && own_start(unit) && !self.given_up {
            return law(0, format!("u{unit}: {role} is tried while its own start prepares"));
        }
        let book = &mut self.units[unit];
        if !book.ordered.is_empty() || (!book.running.is_empty() && !self.given_up) {
            return law(6, format!("u{unit}: {role} beside {:?} {:?}", book.ordered, book.running));
        }
        book.ordered.push(role);
        if reason == Reason::Shutdown && !std::mem::replace(&mut book.is_last_stop, true) {
            book.ran.clear();
        }
        match role {
            Role::PreStop(place) => {
                book.tried.insert(place);
            }
            Role::Undo(place) => {
                if book.last_undo.is_some_and(|last| last < place) {
                    return law(5, format!("u{unit}: {role} comes after the undo of an earlier one"));
                }
                book.last_undo = Some(place);
                if let Some(id) = book.hooks_of {
                    self.asked.get_mut(&id).expect("who asked").undone.insert((unit, place));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn settled(&mut self, unit: usize, verdict: Renders) -> Judgement {
        let book = &mut self.units[unit];
        if !std::mem::take(&mut book.is_unsettled) {
            return law(4, format!("what u{unit} rendered is settled twice"));
        }
        if verdict == Renders::Keep && book.fault {
            return law(4, format!("u{unit} keeps what its failed trial rendered"));
        }
        Ok(())
    }

    fn told(
        &mut self,
        id: RequestId,
        progress: &Progress,
        engine: &Engine,
        is_doomed: &dyn Fn(usize) -> bool,
    ) -> Judgement {
        match progress {
            Progress::Phase(TransactionPhase::Testing | TransactionPhase::TestingAgain) => {
                self.asked(id).passed.clear();
                Ok(())
            }
            Progress::Phase(TransactionPhase::Stopping | TransactionPhase::Reloading) => {
                self.touches(id, engine, is_doomed)
            }
            Progress::Phase(phase) => {
                self.asked(id).has_stopped |= *phase == TransactionPhase::Starting;
                Ok(())
            }
            Progress::Tested { unit, passed } => self.tested(id, self.place(unit), *passed),
            Progress::Hook { unit, hook, news: HookNews::Began, .. } => {
                let unit = self.place(unit);
                let place = self.hooks(unit).iter().position(|own| own.name == *hook).expect("a hook") as u16;
                self.all_passed(id, "runs hooks")?;
                (self.units[unit].hooks_of, self.units[unit].was_cut) = (Some(id), false);
                self.asked(id).begun.insert((unit, place));
                Ok(())
            }
            Progress::Hook { .. } => Ok(()),
        }
    }

    fn asked(&mut self, id: RequestId) -> &mut Asked {
        self.asked.get_mut(&id).expect("a request that was made")
    }

    fn tested(&mut self, id: RequestId, unit: usize, passed: Tested) -> Judgement {
        let Entry::Unit(own) = &self.entries[unit] else { return Ok(()) };
        let has_test = own.program().is_some_and(|program| program.configtest.is_some());
        let book = &self.units[unit];
        let fresh = book.tried_at >= self.asked[&id].at;
        let truth = match passed {
            Tested::Passed => fresh && has_test && book.test_passed && !book.fault,
            Tested::Untested => fresh && !book.fault && (book.found == Some(Found::Skip) || !has_test),
            Tested::Failed => true,
        };
        if !truth {
            return law(
                4,
                format!("u{unit} is called {passed:?} for {id:?}, which its processes do not bear out"),
            );
        }
        let asked = self.asked(id);
        match passed {
            Tested::Failed => asked.failed = true,
            Tested::Passed | Tested::Untested => {
                asked.passed.insert(unit);
            }
        }
        Ok(())
    }

    /// Every unit that the request names was tested since, and none has failed.
    fn all_passed(&self, id: RequestId, what: &str) -> Judgement {
        let asked = &self.asked[&id];
        let (Request::Restart { units, gate: Gate::Enforced, .. }
        | Request::Reload { units, gate: Gate::Enforced }) = &asked.request
        else {
            return Ok(());
        };
        let runs = |unit: &UnitId| match &self.entries[unit.index()] {
            Entry::Unit(unit) => unit.program().is_some(),
            Entry::Broken { .. } => false,
        };
        match units.iter().find(|unit| runs(unit) && !asked.passed.contains(&unit.index())) {
            _ if asked.failed => law(4, format!("{id:?} {what} although a test failed")),
            Some(unit) => law(4, format!("{id:?} {what} and u{} was not tested", unit.index())),
            None => Ok(()),
        }
    }

    /// From here on it touches units.
    fn touches(&mut self, id: RequestId, engine: &Engine, is_doomed: &dyn Fn(usize) -> bool) -> Judgement {
        self.all_passed(id, "touches units")?;
        let others = self.asked.iter().filter(|(other, _)| **other != id);
        let alone = others.clone().all(|(_, asked)| asked.touched_at.is_none() || asked.has_stopped);
        let asked = &self.asked[&id];
        if let (Request::Stop { units, .. }, true) = (&asked.request, alone) {
            for unit in units.iter().map(|unit| unit.index()) {
                let book = &self.units[unit];
                let served = book.ready_since.is_some_and(|since| since < asked.at)
                    && book.wished_since < asked.at
                    && !is_doomed(unit)
                    && !book.is_doomed
                    && engine.unit(UnitId::from_index(unit)).main_pid().is_some();
                let due = self.hooks(unit).iter().enumerate().filter(|(_, hook)| hook.on.stop);
                for (place, _) in due.filter(|_| served && !self.shutdown) {
                    if !book.tried.contains(&(place as u16)) {
                        return law(5, format!("u{unit} is to stop, and its hook {place} did not run"));
                    }
                }
            }
        }
        let step = self.step;
        self.asked(id).touched_at = Some(step);
        self.hooks_are_over(id)
    }

    /// A unit that serves is told to stop, or to read its configuration again.
    pub(crate) fn is_touched(&self, unit: usize, engine: &Engine, is_doomed: bool, what: &str) -> Judgement {
        let book = &self.units[unit];
        // The undo for a unit that goes down all the same hinders nobody.
        let hook = |role: &Role| match role {
            Role::PreStop(_) => true,
            Role::Undo(_) => book.was_ready,
            _ => false,
        };
        if (book.ordered.iter().any(hook) || book.running.values().any(hook)) && !self.given_up {
            return law(5, format!("u{unit} gets {what} while its hook runs: {:?}", book.running));
        }
        let wanted = engine.unit(UnitId::from_index(unit)).wanted();
        if self.shutdown || wanted == Wanted::Down || is_doomed || book.is_doomed || !book.was_ready {
            return Ok(());
        }
        let allows = |asked: &Asked| match (&asked.request, asked.touched_at) {
            (
                Request::Restart { gate: Gate::Skipped, .. } | Request::Reload { gate: Gate::Skipped, .. },
                touched,
            ) => touched.is_some(),
            (Request::Restart { .. } | Request::Reload { .. }, Some(at)) => {
                // A unit that was on its way down anyway may join the restart that keeps it from coming up.
                asked.passed.contains(&unit) || book.wished_since >= asked.at || at < asked.at
            }
            _ => false,
        };
        match self.asked.values().any(allows) || !self.runs(unit) {
            true => Ok(()),
            false => law(4, format!("u{unit} gets {what}, and no request tested it before")),
        }
    }

    fn runs(&self, unit: usize) -> bool {
        matches!(&self.entries[unit], Entry::Unit(unit) if unit.program().is_some())
    }

    fn replied(&mut self, id: RequestId, outcome: &Outcome) -> Judgement {
        self.shutdown |= *outcome == Outcome::ShuttingDown;
        let Some(asked) = self.asked.get_mut(&id) else { return Ok(()) };
        asked.has_stopped |= matches!(asked.request, Request::Stop { .. } | Request::Reload { .. });
        let untouched = matches!(
            outcome,
            Outcome::Aborted { .. }
                | Outcome::Abandoned { .. }
                | Outcome::Refused(Refusal::ConfigTest { .. })
        );
        if untouched && asked.touched_at.is_some() {
            return law(4, format!("{id:?} has touched units and is answered with {outcome:?}"));
        }
        let gave_up =
            untouched || (asked.touched_at.is_none() && matches!(outcome, Outcome::Replaced { .. }));
        let (begun, undone) = (asked.begun.clone(), asked.undone.clone());
        if let (Outcome::Done, Request::Reload { units, .. }) = (outcome, &asked.request)
            && let Some(unit) = units.iter().find(|unit| self.units[unit.index()].proven_at < asked.at)
        {
            return law(4, format!("{id:?} is done, and u{} did not show that it serves", unit.index()));
        }
        for (unit, place) in begun.iter().copied().filter(|_| gave_up && !self.given_up) {
            let has_undo = self.hooks(unit)[usize::from(place)].undo.is_some();
            let book = &self.units[unit];
            let went_down = book.was_cut || book.is_doomed || book.ready_since.is_none();
            if has_undo && !undone.contains(&(unit, place)) && !went_down {
                return law(5, format!("{id:?} is given up, and hook {place} of u{unit} is not undone"));
            }
        }
        self.hooks_are_over(id)
    }

    /// None of the hooks of a request, and none of their undos, runs any more.
    fn hooks_are_over(&mut self, id: RequestId) -> Judgement {
        for book in self.units.iter_mut().filter(|book| book.hooks_of == Some(id)) {
            if (!book.running.is_empty() || !book.ordered.is_empty()) && !self.given_up && !self.shutdown {
                return law(
                    6,
                    format!("{id:?} goes on and still runs {:?} {:?}", book.ordered, book.running),
                );
            }
            (book.hooks_of, book.last_undo) = (None, None);
            book.ran.clear();
            book.tried.clear();
        }
        Ok(())
    }

    /// Nothing will happen by itself any more.
    pub(crate) fn at_rest(&self) -> Judgement {
        for (index, book) in self.units.iter().enumerate() {
            if (!book.running.is_empty() || !book.ordered.is_empty()) && !self.given_up {
                return law(6, format!("u{index} still has {:?} {:?}", book.ordered, book.running));
            }
            if book.is_unsettled {
                return law(4, format!("what u{index} rendered is never settled"));
            }
        }
        Ok(())
    }

    /// Is this a process of an errand of the unit?
    pub(crate) fn has(&self, unit: usize, pid: Pid) -> bool {
        self.units[unit].running.contains_key(&pid)
    }

    /// A trial has begun and is not over.
    pub(crate) fn is_trying(&self, unit: usize) -> bool {
        let trial = |role: &Role| matches!(role, Role::Trial(_));
        self.units[unit].running.values().any(trial) || self.units[unit].ordered.iter().any(trial)
    }
}

/// Is it a role of what is done beside a unit?
pub(crate) fn is_errands(role: Role) -> bool {
    matches!(role, Role::Trial(_) | Role::PreStop(_) | Role::Undo(_) | Role::Reload | Role::ReloadVerify)
}

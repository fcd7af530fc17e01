//! Laws 4 and 5, and what belongs to them: what happens before a unit is touched, checked from outside.
//!
//! A request's books are kept from the progress that it tells, and each word of that is held against the processes
//! that ran: a test that is said to have passed must have been run, after the request came in, and have passed.

use std::collections::BTreeMap;
use std::rc::Rc;

use sexton::engine::{
    Effect, Engine, Event, Finding, Gate, HookNews, Phase, Progress, Purpose, Reason, Renders, Request,
    RequestId, Role, Tested, TransactionPhase, Trial, Verdict, Wanted,
};
use sexton::model::unit::{Entry, OnFailure, PreStop};
use sexton::model::{self, Moment, UnitName};

use super::files::Files;
use super::gate_books::{self, Asked, Found, Unit};

pub(crate) type Judgement = Result<(), String>;

pub(crate) fn law(number: u32, words: String) -> Judgement {
    Err(format!("law {number}: {words}"))
}

pub(crate) struct Gates {
    pub(crate) specs: Vec<Option<Entry>>,
    pub(crate) units: Vec<Unit>,
    pub(crate) asked: BTreeMap<RequestId, Asked>,
    pub(crate) step: u64,
    pub(crate) now: Moment,
    /// Units of which a process outlived KILL.
    pub(crate) held: Vec<bool>,
    pub(crate) shutdown: Option<Moment>,
}

impl Gates {
    pub(crate) fn new(specs: &[Option<Entry>]) -> Gates {
        Gates {
            specs: specs.to_vec(),
            units: specs.iter().map(|_| Unit::default()).collect(),
            asked: BTreeMap::new(),
            step: 0,
            now: Moment::default(),
            held: Vec::new(),
            shutdown: None,
        }
    }

    /// Other definitions hold at these places.
    pub(crate) fn exchange(&mut self, specs: &[Option<Entry>], news: &[(usize, Option<Entry>)]) {
        self.specs = specs.to_vec();
        self.grow(specs.len());
        for (place, entry) in news {
            if entry.is_none() {
                self.units[*place] = Unit::default();
            }
            self.units[*place].exchanged_at = self.step;
        }
    }

    pub(crate) fn grow(&mut self, n_places: usize) {
        self.specs.resize(n_places.max(self.specs.len()), None);
        self.units.resize_with(n_places.max(self.units.len()), Unit::default);
    }

    pub(crate) fn spec(&self, unit: usize) -> Option<&Rc<model::unit::Unit>> {
        match self.specs.get(unit)?.as_ref()? {
            Entry::Unit(unit) => Some(unit),
            Entry::Broken { .. } => None,
        }
    }

    pub(crate) fn is_held(&self, unit: usize) -> bool {
        self.held.get(unit).copied().unwrap_or(false)
    }

    /// The place of a unit: one that there is, or one that is tried and to come.
    fn place(&self, name: &UnitName) -> usize {
        let own = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.name() == name);
        let comes = |unit: &Unit| unit.tried_by.as_ref().is_some_and(|unit| unit.name == *name);
        let coming = || {
            let tried = self.units.iter().enumerate().filter(|(_, unit)| comes(unit));
            tried.max_by_key(|(_, unit)| unit.tried_at).map(|(place, _)| place)
        };
        self.specs.iter().position(own).or_else(coming).expect("a unit that there is")
    }

    pub(crate) fn hooks(&self, unit: usize) -> &[PreStop] {
        let program = self.spec(unit).and_then(|unit| unit.program());
        program.map(|program| program.hooks.pre_stop.as_slice()).unwrap_or_default()
    }

    /// Takes an event into the books.
    pub(crate) fn before(&mut self, event: &Event, now: Moment) {
        self.step += 1;
        self.now = now;
        let step = self.step;
        self.units.iter_mut().for_each(|unit| unit.was_ready = unit.ready_since.is_some());
        match event {
            Event::Requested { id, request } => {
                if matches!(request, Request::Shutdown(_)) {
                    self.shutdown.get_or_insert(now);
                }
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
            Event::ReloadDenied { unit, .. } => self.units[unit.index()].denied_at = step,
            _ => {}
        }
    }

    fn passes_over(&self, unit: usize, role: Role) -> bool {
        let Some(unit) = &self.units[unit].tried_by else { return false };
        let Role::Trial(Trial::Prepare(place)) = role else { return false };
        let hook = unit.program().and_then(|program| program.hooks.prepare.get(usize::from(place)));
        hook.is_some_and(|hook| hook.on_failure == OnFailure::Continue)
    }

    /// A step begins, in which these units have a process that outlived KILL.
    pub(crate) fn begin(&mut self, held: Vec<bool>) {
        self.held = held;
    }

    /// Looks at what the engine orders. `own_start` says that a unit's own start is at its preparations, `is_doomed`
    /// that something it needs is down for good.
    pub(crate) fn after(
        &mut self,
        effect: &Effect,
        engine: &Engine,
        own_start: &dyn Fn(usize) -> bool,
        is_doomed: &dyn Fn(usize) -> bool,
        files: &Files,
    ) -> Judgement {
        if let Some((unit, hook)) =
            self.units.iter().enumerate().find_map(|(n, unit)| Some((n, unit.ran_twice?)))
        {
            return law(5, format!("u{unit}: its hook {hook} runs a second time"));
        }
        match effect {
            Effect::Inspect { unit, spec, purpose: Purpose::Trial } => {
                self.trial_begins(unit.index(), spec, own_start, files)
            }
            Effect::Spawn { unit, spec, role, reason, .. } if is_errands(*role) => {
                if matches!(role, Role::Trial(_)) && self.units[unit.index()].tried_by.as_ref() != Some(spec)
                {
                    return law(4, format!("u{}: {role} is tried by another definition", unit.index()));
                }
                self.errand_ordered(unit.index(), *role, *reason, own_start)
            }
            Effect::HeedOutput { unit } => self.heeds(unit.index()),
            Effect::ForgetProbe { unit } => {
                self.units[unit.index()].is_heeded = false;
                Ok(())
            }
            Effect::SettleRenders { unit, verdict } => self.settled(unit.index(), *verdict),
            Effect::Progress { id, progress } => self.told(*id, progress, engine, is_doomed),
            Effect::Reply { id, outcome } => self.replied(*id, outcome),
            Effect::Changed { unit, to, .. } => {
                let step = self.step;
                let unit = &mut self.units[unit.index()];
                let is_up = *to == Phase::Ready;
                unit.is_coming = matches!(to, Phase::Starting | Phase::PostStarting | Phase::Ready);
                unit.ready_since = if is_up { unit.ready_since.or(Some(step)) } else { None };
                if is_up {
                    unit.came_up = step;
                }
                unit.was_cut |= !is_up;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What was up, and is doomed by something that it needs.
    pub(crate) fn doom(&mut self, is_doomed: &dyn Fn(usize) -> bool) {
        for (index, unit) in self.units.iter_mut().enumerate() {
            unit.is_doomed = unit.is_coming && (unit.is_doomed || is_doomed(index));
        }
    }

    pub(crate) fn is_doomed(&self, unit: usize) -> bool {
        self.units[unit].is_doomed
    }

    /// The step is over.
    pub(crate) fn end(&mut self, engine: &Engine) {
        if engine.is_shutting_down() {
            self.shutdown.get_or_insert(self.now);
        }
        for id in engine.ids() {
            if engine.unit(id).wanted() == Wanted::Down {
                self.units[id.index()].wished_since = self.step;
            }
        }
    }

    fn trial_begins(
        &mut self,
        unit: usize,
        spec: &Rc<model::unit::Unit>,
        own_start: &dyn Fn(usize) -> bool,
        files: &Files,
    ) -> Judgement {
        if self.shutdown.is_some() {
            return law(9, format!("u{unit} is tried in a shutdown"));
        }
        if own_start(unit) && !self.is_held(unit) {
            return law(0, format!("u{unit} is tried while its own start prepares"));
        }
        if !files.may_be_tried(unit, spec) {
            return law(4, format!("u{unit} is tried by a definition that nobody brought"));
        }
        let has_renders = spec.program().is_some_and(|program| !program.renders.is_empty());
        let book = &mut self.units[unit];
        book.tried_by = Some(spec.clone());
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
        if self.shutdown.is_some() && reason != Reason::Shutdown {
            return law(9, format!("u{unit}: {role} is ordered in a shutdown"));
        }
        if matches!(role, Role::Trial(_)) && own_start(unit) && !self.is_held(unit) {
            return law(0, format!("u{unit}: {role} is tried while its own start prepares"));
        }
        let is_held = self.is_held(unit);
        let book = &mut self.units[unit];
        if reason == Reason::Shutdown && !std::mem::replace(&mut book.is_last_stop, true) {
            book.ran.clear();
            book.tried.clear();
        }
        self.hook_is_due(unit, role, reason)?;
        let book = &mut self.units[unit];
        if let Role::PreStop(place) = role {
            // The hooks of a stop that waited for those of another request to make way.
            if book.hooks_reason.replace(reason).is_some_and(|last| last != reason) {
                (book.hooks_of, book.last_undo) = (None, None);
                book.ran.clear();
                book.tried.clear();
            }
            book.tried.retain(|other| *other <= place);
        }
        if !book.ordered.is_empty() || (!book.running.is_empty() && !is_held) {
            return law(6, format!("u{unit}: {role} beside {:?} {:?}", book.ordered, book.running));
        }
        book.ordered.push(role);
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

    /// A hook is meant for this kind of stop, and every one before it had its turn.
    fn hook_is_due(&self, unit: usize, role: Role, reason: Reason) -> Judgement {
        let book = &self.units[unit];
        match role {
            Role::PreStop(place) => {
                let is_meant = |hook: &PreStop| match reason {
                    Reason::Restart => hook.on.restart,
                    Reason::Stop => hook.on.stop,
                    Reason::Shutdown => hook.on.shutdown,
                    Reason::Start | Reason::Reload => false,
                };
                let hooks = self.hooks(unit).iter().enumerate();
                let before = hooks.filter(|(own, hook)| *own < usize::from(place) && is_meant(hook));
                let left_out = before.clone().find(|(own, _)| !book.tried.contains(&(*own as u16)));
                // The first one begins a new round: those of a round that was given up are forgotten.
                let is_late =
                    before.clone().next().is_some() && book.tried.iter().any(|other| *other > place);
                if is_late || (left_out.is_some()) {
                    return law(5, format!("u{unit}: {role} is out of turn, after {:?}", book.tried));
                }
                match self.hooks(unit).get(usize::from(place)).is_some_and(is_meant) {
                    true => Ok(()),
                    false => law(5, format!("u{unit}: {role} is not meant for a {reason:?}")),
                }
            }
            Role::Undo(place) => match book.hooks_of.map(|id| self.asked[&id].begun.contains(&(unit, place)))
            {
                Some(true) => Ok(()),
                _ => law(5, format!("u{unit}: {role}, which did not run")),
            },
            _ => Ok(()),
        }
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
            Progress::Phase(TransactionPhase::Testing) => {
                self.asked(id).passed.clear();
                Ok(())
            }
            Progress::Phase(TransactionPhase::TestingAgain) => {
                let mut passed = std::mem::take(&mut self.asked(id).passed);
                let asked_at = self.asked(id).at;
                // A successor has read its configuration, also where it has its unit's place by now.
                let has_read = |unit: &gate_books::Unit| unit.has_successor || unit.replaced_at >= asked_at;
                passed.retain(|unit| has_read(&self.units[*unit]));
                self.asked(id).passed = passed;
                Ok(())
            }
            Progress::Phase(TransactionPhase::Stopping | TransactionPhase::Reloading) => {
                self.touches(id, engine, is_doomed)
            }
            Progress::Phase(TransactionPhase::Rolling { unit, .. }) => {
                let (unit, asked) = (self.place(unit), self.asked(id));
                *asked = Asked { turn: Some(unit), ..Asked::new(asked.request.clone(), asked.at) };
                Ok(())
            }
            Progress::Phase(phase) => {
                self.asked(id).has_stopped |= *phase == TransactionPhase::Starting;
                Ok(())
            }
            Progress::Tested { unit, passed } if self.skips_tests(id) => self.left_out(id, unit, *passed),
            Progress::Tested { unit, passed } => self.tested(id, self.place(unit), *passed),
            Progress::Hook { unit, hook, news: HookNews::Began, .. } => {
                let unit = self.place(unit);
                let place = self.hooks(unit).iter().position(|own| own.name == *hook).expect("a hook") as u16;
                self.all_passed(id, "runs hooks")?;
                let is_roll = self.asked(id).turn.is_some();
                let comes_first = !matches!(self.asked(id).request, Request::Stop { .. }) && !is_roll;
                if comes_first && self.units[unit].replaced_at >= self.asked(id).at {
                    return law(5, format!("{id:?}: a hook of u{unit}, which was replaced already"));
                }
                (self.units[unit].hooks_of, self.units[unit].was_cut) = (Some(id), false);
                self.asked(id).begun.insert((unit, place));
                Ok(())
            }
            Progress::Hook { .. } => Ok(()),
        }
    }

    pub(crate) fn asked(&mut self, id: RequestId) -> &mut Asked {
        self.asked.get_mut(&id).expect("a request that was made")
    }

    fn tested(&mut self, id: RequestId, unit: usize, passed: Tested) -> Judgement {
        let tried_by = self.units[unit].tried_by.clone();
        let own = match &self.asked[&id].request {
            Request::Sync { definitions, .. } => {
                let name = tried_by.as_ref().map(|unit| unit.name.clone());
                definitions.units.iter().find(|unit| Some(&unit.name) == name.as_ref())
            }
            _ => self.spec(unit),
        };
        let Some(own) = own.filter(|own| tried_by.as_ref() == Some(*own)) else {
            return law(4, format!("u{unit} was tested for {id:?} by another definition than it is to get"));
        };
        let has_test = own.program().is_some_and(|program| program.configtest.is_some());
        let book = &self.units[unit];
        let fresh = book.tried_at >= self.asked[&id].at;
        let truth = match passed {
            Tested::Passed => fresh && has_test && book.test_passed && !book.fault,
            Tested::Untested => fresh && !book.fault && (book.found == Some(Found::Skip) || !has_test),
            Tested::Failed => true,
            Tested::Skipped => false,
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
            Tested::Passed | Tested::Untested | Tested::Skipped => {
                asked.passed.insert(unit);
            }
        }
        Ok(())
    }

    /// Every unit that the request names was tested since, and none has failed.
    pub(crate) fn all_passed(&self, id: RequestId, what: &str) -> Judgement {
        let asked = &self.asked[&id];
        let (Request::Restart { units, gate, .. } | Request::Reload { units, gate }) = &asked.request else {
            return Ok(());
        };
        let named =
            units.iter().map(|unit| unit.index()).filter(|unit| asked.turn.is_none_or(|own| own == *unit));
        let is_told = |unit: &usize| match gate {
            Gate::Enforced => asked.passed.contains(unit),
            Gate::Skipped => self.spec(*unit).is_none_or(|unit| asked.left_out.contains(&unit.name)),
        };
        match named.clone().find(|unit| self.runs(*unit) && !is_told(unit)) {
            _ if asked.failed => law(4, format!("{id:?} {what} although a test failed")),
            Some(unit) => law(4, format!("{id:?} {what} and u{unit} was not tested")),
            None => Ok(()),
        }
    }
}

/// Is it a role of what is done beside a unit?
pub(crate) fn is_errands(role: Role) -> bool {
    matches!(role, Role::Trial(_) | Role::PreStop(_) | Role::Undo(_) | Role::Reload | Role::ReloadVerify)
}

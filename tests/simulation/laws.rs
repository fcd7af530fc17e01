//! The laws, checked from outside: own books of processes, phases and requests, kept from events and effects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sexton::engine::{
    Effect, Engine, Event, Phase, Progress, Purpose, Request, RequestId, Role, TransactionPhase, UnitId,
    Wanted,
};
use sexton::model::unit::{Entry, Kill, Kind, OnFailure};
use sexton::model::{Moment, Pid, Signal};

use super::books::{Books, books};
use super::gates::{Gates, is_errands};
use super::leftovers::Leftover;
use super::world::ready_by_exec;

pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answered: u32,
}

pub(crate) struct Laws {
    pub(crate) entries: Vec<Entry>,
    pub(crate) books: Vec<Books>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) requests: BTreeMap<RequestId, Asked>,
    pub(crate) latest: Option<RequestId>,
    pub(crate) now: Moment,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Option<Moment>,
    pub(crate) asked: bool,
    pub(crate) hurried: bool,
    pub(crate) ended: bool,
    pub(crate) given_up: bool,
    pub(crate) gates: Gates,
}

pub(crate) type Verdict = Result<(), String>;

pub(crate) fn law(number: u32, words: String) -> Verdict {
    Err(format!("law {number}: {words}"))
}

impl Laws {
    pub(crate) fn new(entries: &[Entry], engine: &Engine, timeout: Duration) -> Laws {
        Laws {
            phases: engine.ids().map(|unit| engine.unit(unit).phase()).collect(),
            entries: entries.to_vec(),
            books: books(entries),
            requests: BTreeMap::new(),
            latest: None,
            now: Moment::default(),
            timeout,
            deadline: None,
            asked: false,
            hurried: false,
            ended: false,
            given_up: false,
            gates: Gates::new(entries),
        }
    }

    /// The daemon's own child, of which the engine learns next.
    pub(crate) fn adopted(&mut self, unit: UnitId, pid: Pid) {
        self.books[unit.index()].running.insert(pid, Role::Main);
    }

    /// Takes an event into the books before the engine sees it.
    pub(crate) fn before(&mut self, event: &Event, now: Moment) {
        self.now = now;
        self.latest = None;
        self.gates.before(event);
        match event {
            Event::Spawned { role, .. }
            | Event::SpawnFailed { role, .. }
            | Event::Exited { role, .. }
            | Event::Judged { role, .. }
                if is_errands(*role) => {}
            Event::Requested { id, request } => {
                self.latest = Some(*id);
                self.requests.insert(*id, Asked { request: request.clone(), answered: 0 });
                match request {
                    Request::Shutdown(_) => self.hurried = std::mem::replace(&mut self.asked, true),
                    Request::Signal { .. } | Request::Stop { .. } | Request::Abandon { .. } => {}
                    _ => self.books.iter_mut().for_each(|book| book.restarts.clear()),
                }
            }
            Event::Spawned { unit, role, pid } => {
                let ready = ready_by_exec(&self.entries[unit.index()]);
                let book = &mut self.books[unit.index()];
                book.ordered.retain(|ordered| ordered != role);
                book.running.insert(*pid, *role);
                if *role == Role::Main {
                    book.main = Some(*pid);
                    (book.shown, book.named, book.hooks_done, book.task_ok) = (ready, false, 0, false);
                }
            }
            Event::SpawnFailed { unit, role, error } => {
                let fails = !error.is_transient();
                let passed_over = self.passes_over(unit.index(), *role);
                let book = &mut self.books[unit.index()];
                book.ordered.retain(|ordered| ordered != role);
                if let (Role::PostStart(_), true, true) = (role, fails, passed_over) {
                    book.hooks_done += 1;
                }
            }
            Event::Exited { unit, role, pid, status } | Event::Judged { unit, role, pid, status, .. } => {
                self.exited(unit.index(), *role, *pid, status.is_success())
            }
            Event::BecameReady { unit } => self.books[unit.index()].shown = true,
            Event::GroupLeft { unit, group, .. } => {
                self.books[unit.index()].left.insert(*group);
            }
            Event::MainPidChanged { unit, pid } => {
                let book = &mut self.books[unit.index()];
                book.main = Some(*pid);
                book.named = true;
            }
            Event::Inspected { .. }
            | Event::Probed { .. }
            | Event::TimeoutExtended { .. }
            | Event::GroupGone { .. }
            | Event::NobodyLeft
            | Event::Tick => {}
        }
    }

    fn exited(&mut self, unit: usize, role: Role, pid: Pid, success: bool) {
        let passed_over = self.passes_over(unit, role);
        let is_task = matches!(&self.entries[unit], Entry::Unit(unit) if unit.is_task());
        let book = &mut self.books[unit];
        book.running.remove(&pid);
        if book.main == Some(pid) && role == Role::Main {
            book.main = None;
            book.task_ok = is_task && success;
        }
        if let (Role::PostStart(_), true) = (role, success || passed_over) {
            book.hooks_done += 1;
        }
    }

    fn passes_over(&self, unit: usize, role: Role) -> bool {
        let Entry::Unit(unit) = &self.entries[unit] else { return false };
        let Role::PostStart(place) = role else { return false };
        let hook = unit.program().and_then(|program| program.hooks.post_start.get(usize::from(place)));
        hook.is_some_and(|hook| hook.on_failure == OnFailure::Continue)
    }

    /// Looks at what the engine orders.
    pub(crate) fn after(
        &mut self,
        effects: &[Effect],
        engine: &Engine,
        now: Moment,
        left: &[Leftover],
    ) -> Verdict {
        if effects.len() > 60 * (self.entries.len() + 1) {
            return law(7, format!("{} effects in one step", effects.len()));
        }
        self.given_up = engine.tally().given_up > 0;
        let preparing = |unit: usize| self.books[unit].prepares();
        let doomed: Vec<bool> = (0..self.books.len()).map(|unit| self.is_doomed(unit)).collect();
        self.gates.after(effects, engine, &preparing, &|unit| doomed[unit])?;
        let mut unsettled_at_start = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::Inspect { unit, purpose: Purpose::Start, .. } => {
                    self.check_start(unit.index(), None)?;
                    self.check_restarts(unit.index())?;
                    for other in &self.books[unit.index()].order {
                        if self.books[unit.index()].afresh && is_unsettled(self.phases[*other]) {
                            unsettled_at_start.insert((unit.index(), *other));
                        }
                    }
                }
                Effect::Spawn { role, .. } if is_errands(*role) => {}
                Effect::Progress {
                    id,
                    progress: Progress::Phase(TransactionPhase::Stopping | TransactionPhase::Starting),
                } => {
                    self.latest = Some(*id);
                    self.books.iter_mut().for_each(|book| book.restarts.clear());
                }
                Effect::Spawn { unit, role, main, .. } => {
                    self.check_spawn(unit.index(), *role, *main, engine)?;
                    self.books[unit.index()].ordered.push(*role);
                }
                Effect::Signal { unit, pid, signal, .. } => {
                    self.check_signal(unit.index(), *pid, *signal, engine)?
                }
                Effect::Changed { unit, from, to, failure } => {
                    self.check_change(unit.index(), *from, *to, engine, left)?;
                    if (*to == Phase::Failed) != failure.is_some() && *to != Phase::Backoff {
                        return law(0, format!("u{} {to} with failure {failure:?}", unit.index()));
                    }
                }
                Effect::ClearGroup { unit, group, signal: Signal::KILL } => {
                    self.books[unit.index()].killed.insert(*group);
                }
                Effect::Reply { id, outcome } => self.check_reply(*id, outcome, effects.len())?,
                Effect::Exit { .. } => self.ended = true,
                _ => {}
            }
        }
        for (unit, other) in unsettled_at_start {
            // What is to go down again, but has to wait for its turn, settles nothing by waiting.
            let wanted = engine.unit(UnitId::from_index(other)).wanted();
            if is_unsettled(self.phases[other]) && wanted == Wanted::Up && !self.is_doomed(other) {
                return law(
                    2,
                    format!("u{unit} starts while u{other}, which it comes after, is {}", self.phases[other]),
                );
            }
        }
        self.check_time(engine, now)
    }

    fn check_time(&mut self, engine: &Engine, now: Moment) -> Verdict {
        for (index, unit) in engine.ids().enumerate() {
            if engine.unit(unit).phase() != self.phases[index] {
                return law(0, format!("u{index}: a change of phase was not told"));
            }
        }
        if engine.is_shutting_down() {
            self.deadline.get_or_insert(now + self.timeout);
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) && !self.ended {
            return law(9, "the shutdown did not end by its deadline".into());
        }
        let tally = engine.tally();
        if tally.impossible > 0 && tally.given_up == 0 && self.deadline.is_none() {
            return law(0, "an input met a state in which it cannot happen".into());
        }
        Ok(())
    }

    fn check_start(&self, unit: usize, role: Option<Role>) -> Verdict {
        if self.deadline.is_some() {
            return law(9, format!("u{unit} starts {role:?} in a shutdown"));
        }
        for need in &self.books[unit].needs {
            if !self.is_up(*need) {
                return law(2, format!("u{unit} starts {role:?} while u{need}, which it needs, is not up"));
            }
        }
        for other in &self.books[unit].conflicts {
            // A task that is done is not up; that its post-stop hooks run when it is stopped hinders nobody.
            let is_up = |role: &Role| !matches!(role, Role::PostStop(_));
            if self.books[*other].running.values().any(is_up) && !self.given_up {
                return law(0, format!("u{unit} starts while u{other}, with which it conflicts, runs"));
            }
        }
        Ok(())
    }

    /// Up by the books: what the engine says, borne out by what happened.
    fn is_up(&self, unit: usize) -> bool {
        matches!(self.phases[unit], Phase::Ready | Phase::Done | Phase::Skipped)
    }

    /// Something that it needs, however far away, is down for good.
    fn is_doomed(&self, unit: usize) -> bool {
        let mut seen = BTreeSet::from([unit]);
        let mut next = vec![unit];
        while let Some(unit) = next.pop() {
            for need in self.books[unit].needs.iter().copied().filter(|need| seen.insert(*need)) {
                if matches!(self.phases[need], Phase::Failed | Phase::Stopped) {
                    return true;
                }
                next.push(need);
            }
        }
        false
    }

    fn check_spawn(&mut self, unit: usize, role: Role, main: Option<Pid>, engine: &Engine) -> Verdict {
        if let (Role::Condition | Role::Prepare(_) | Role::ConfigTest, true) =
            (role, self.gates.is_trying(unit) && !self.given_up)
        {
            return law(0, format!("u{unit}: {role} beside its trial"));
        }
        match role {
            Role::Condition | Role::Prepare(_) | Role::ConfigTest | Role::PreStart(_) => {
                self.check_start(unit, Some(role))?;
            }
            Role::Main => {
                self.check_start(unit, Some(role))?;
                let book = &self.books[unit];
                let runs = book.running.values().any(|role| *role == Role::Main);
                if runs || book.ordered.contains(&Role::Main) {
                    return law(1, format!("a second main process of u{unit}"));
                }
            }
            Role::StopCommand => {
                if !self.hurried {
                    self.gates.is_touched(unit, engine, self.is_doomed(unit), "its stop command")?;
                }
                self.check_stop(unit)?;
            }
            _ => {}
        }
        if main.is_some_and(|pid| self.books[unit].main != Some(pid)) {
            return law(0, format!("u{unit}: {role} is told of a wrong main process"));
        }
        Ok(())
    }

    fn check_signal(&mut self, unit: usize, pid: Pid, signal: Signal, engine: &Engine) -> Verdict {
        let book = &self.books[unit];
        if !book.running.contains_key(&pid) && !book.left.contains(&pid) && !self.gates.has(unit, pid) {
            return law(6, format!("{signal} to {pid}, which is no process of u{unit}"));
        }
        if signal == Signal::USR1 || self.books[unit].main != Some(pid) {
            return Ok(());
        }
        if let (Signal::KILL, Entry::Unit(own)) = (signal, &self.entries[unit])
            && own.program().is_some_and(|program| program.stop.kill == Kill::Never)
        {
            return law(0, format!("KILL to u{unit}, which is never killed"));
        }
        if !self.hurried {
            self.gates.is_touched(unit, engine, self.is_doomed(unit), &signal.to_string())?;
        }
        if signal == Signal::HUP {
            return Ok(());
        }
        self.check_stop(unit)
    }

    /// A unit that was up is told to stop: nothing that needs it may run.
    fn check_stop(&mut self, unit: usize) -> Verdict {
        let told = std::mem::replace(&mut self.books[unit].told, true);
        // A process that outlives KILL is waited for no longer.
        if told || self.given_up || !self.books[unit].was_ready || self.hurried {
            return Ok(());
        }
        let runs = |other: usize| {
            let book = &self.books[other];
            let target = matches!(&self.entries[other], Entry::Unit(unit) if unit.kind == Kind::Target);
            !book.running.is_empty() || (target && self.phases[other] == Phase::Ready)
        };
        if let Some(other) = self.books[unit].needed_by.iter().find(|other| runs(**other)) {
            return law(3, format!("u{unit} is told to stop while u{other} needs it and runs"));
        }
        let later = (0..self.books.len()).filter(|other| self.books[*other].order.contains(&unit));
        for other in later {
            if self.books[unit].in_shutdown && runs(other) {
                return law(3, format!("u{unit} is told to stop before u{other}, which comes after it"));
            }
        }
        Ok(())
    }

    fn check_change(
        &mut self,
        unit: usize,
        from: Phase,
        to: Phase,
        engine: &Engine,
        left: &[Leftover],
    ) -> Verdict {
        if self.phases[unit] != from {
            return law(0, format!("u{unit} was {} and not {from}", self.phases[unit]));
        }
        self.phases[unit] = to;
        if to == Phase::Ready || to == Phase::Done {
            self.check_truth(unit, to)?;
        }
        let shutdown = self.deadline.is_some();
        let by_itself = self.latest.is_none();
        let book = &mut self.books[unit];
        if !matches!(from, Phase::Stopping | Phase::Killing | Phase::CleaningUp) {
            book.in_shutdown = shutdown;
        }
        match to {
            Phase::Preparing => book.afresh = from == Phase::Waiting,
            Phase::Ready => book.was_ready = true,
            Phase::Starting => (book.was_ready, book.told) = (false, false),
            Phase::Waiting => {
                book.comes_back = by_itself && matches!(from, Phase::Backoff | Phase::CleaningUp);
            }
            Phase::Stopped | Phase::Failed | Phase::Backoff | Phase::Done | Phase::Skipped => {
                let runs = !book.running.is_empty() || !book.ordered.is_empty();
                if runs && engine.tally().given_up == 0 {
                    return law(
                        6,
                        format!("u{unit} is {to} and has processes: {:?} {:?}", book.running, book.ordered),
                    );
                }
                let own = engine.unit(UnitId::from_index(unit));
                let kills = own.unit().and_then(|u| u.program()).is_some_and(|p| p.stop.kill == Kill::Group);
                // Who was left by what is not of the run need not be waited for, but was told.
                let beside = |role: Role| is_errands(role) || role == Role::ConfigTest || to == Phase::Failed;
                let told = &self.books[unit].killed;
                let stays = |left: &&Leftover| match left.role {
                    Role::PostStart(_) if to == Phase::Done => false,
                    role => left.unit.index() == unit && !(told.contains(&left.group) && beside(role)),
                };
                if let Some(left) = left.iter().find(stays).filter(|_| kills && engine.tally().given_up == 0)
                {
                    return law(6, format!("u{unit} is {to} and left somebody in a group: {left:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Nobody is said to be up whose processes say otherwise.
    fn check_truth(&self, unit: usize, to: Phase) -> Verdict {
        let Entry::Unit(own) = &self.entries[unit] else {
            return law(0, format!("u{unit} is broken and {to}"));
        };
        let book = &self.books[unit];
        match (&own.kind, to) {
            (Kind::Target, _) => match book.needs.iter().find(|need| !self.is_up(**need)) {
                Some(need) => law(2, format!("u{unit} is ready without u{need}")),
                None => Ok(()),
            },
            (Kind::Service(program), Phase::Ready) => {
                let named = program.process.pid_file.is_none() || book.named;
                let shown = book.shown
                    || ready_by_exec(&self.entries[unit])
                    || program.ready.how == sexton::model::unit::Readiness::Exec;
                let hooks = self.given_up || usize::from(book.hooks_done) == program.hooks.post_start.len();
                if book.main.is_none() || !named || !shown || !hooks {
                    return law(
                        2,
                        format!(
                            "u{unit} is called ready, main {:?}, named {named}, shown {shown}, hooks {hooks}",
                            book.main
                        ),
                    );
                }
                Ok(())
            }
            (Kind::Task(_), Phase::Done) if book.task_ok => Ok(()),
            _ => law(2, format!("u{unit} is called {to}")),
        }
    }
}

/// To start, and not settled.
fn is_unsettled(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Waiting | Phase::Preparing | Phase::Deferred | Phase::Starting | Phase::PostStarting
    )
}

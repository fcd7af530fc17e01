//! The laws, checked from outside: own books of processes, phases and requests, kept from events and effects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sexton::engine::{
    Effect, Engine, Event, Phase, Progress, Purpose, Request, RequestId, Role, TransactionPhase, UnitId,
    Wanted,
};
use sexton::model::unit::{Entry, Kill, OnFailure, Unit};
use sexton::model::{Moment, Pid, Signal};

use super::books::{Books, redraw};
use super::files::Files;
use super::gates::{Gates, is_errands};
use super::leftovers::Leftover;
use super::overlaps::Overlaps;
use super::promises::Asked;
use super::world::ready_by_exec;

/// How long a process may take to end after KILL; one that takes longer is waited for no more.
const KILL_WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Laws {
    pub(crate) files: Files,
    /// What holds at each place, at this point of the step.
    pub(crate) specs: Vec<Option<Entry>>,
    pub(crate) books: Vec<Books>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) requests: BTreeMap<RequestId, Asked>,
    pub(crate) latest: Option<RequestId>,
    pub(crate) now: Moment,
    pub(crate) step: u64,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Option<Moment>,
    pub(crate) asked: bool,
    pub(crate) asked_again: bool,
    /// The shutdown was asked for twice, or everybody was sent a signal: nothing is waited for any more.
    pub(crate) hurried: bool,
    pub(crate) ended: bool,
    pub(crate) kills: BTreeMap<Pid, (usize, Moment)>,
    /// Units that ever had a process that outlived KILL.
    pub(crate) ever_held: BTreeSet<usize>,
    impossible: u64,
    pub(crate) gates: Gates,
    pub(crate) overlaps: Overlaps,
    /// Units that go by old files while a sync is at its stops.
    pub(crate) outdated: BTreeSet<usize>,
}

pub(crate) type Verdict = Result<(), String>;

pub(crate) fn law(number: u32, words: String) -> Verdict {
    Err(format!("law {number}: {words}"))
}

impl Laws {
    pub(crate) fn new(entries: &[Entry], engine: &Engine, timeout: Duration) -> Laws {
        let files = Files::new(entries.to_vec());
        let specs = files.places().to_vec();
        let mut books = Vec::new();
        redraw(&mut books, &specs);
        Laws {
            phases: engine.ids().map(|unit| engine.unit(unit).phase()).collect(),
            files,
            gates: Gates::new(&specs),
            specs,
            books,
            requests: BTreeMap::new(),
            latest: None,
            now: Moment::default(),
            step: 0,
            timeout,
            deadline: None,
            asked: false,
            asked_again: false,
            hurried: false,
            ended: false,
            kills: BTreeMap::new(),
            ever_held: BTreeSet::new(),
            impossible: 0,
            overlaps: Overlaps::default(),
            outdated: BTreeSet::new(),
        }
    }

    /// The unit at a place.
    pub(crate) fn spec(&self, unit: usize) -> Option<&Unit> {
        match self.specs.get(unit)?.as_ref()? {
            Entry::Unit(unit) => Some(unit),
            Entry::Broken { .. } => None,
        }
    }

    /// A process of the unit outlived KILL and is still there.
    pub(crate) fn is_held(&self, unit: usize) -> bool {
        self.kills.values().any(|(own, at)| *own == unit && *at + KILL_WAIT <= self.now)
    }

    /// This process did.
    pub(crate) fn outlived(&self, pid: Pid) -> bool {
        self.kills.get(&pid).is_some_and(|(_, at)| *at + KILL_WAIT <= self.now)
    }

    /// A process of the unit whose end is waited for: not one that outlived KILL; and one that was its main one and is
    /// not any more only where the whole group is to end.
    pub(crate) fn counts(&self, unit: usize, pid: Pid) -> bool {
        let book = &self.books[unit];
        let is_spared = self.kill_policy(unit) != Kill::Group || book.spared.contains(&pid);
        !(self.outlived(pid) || book.former.contains(&pid) && is_spared)
    }

    /// The daemon's own child, of which the engine learns next.
    pub(crate) fn adopted(&mut self, unit: UnitId, pid: Pid) {
        let unit = self.overlaps.place(unit);
        self.books[unit.index()].running.insert(pid, Role::Main);
    }

    /// Takes an event into the books before the engine sees it.
    pub(crate) fn before(&mut self, event: &Event, now: Moment) {
        let event = &self.overlaps.event(event);
        self.now = now;
        self.step += 1;
        self.latest = None;
        self.gates.before(event, now);
        match event {
            Event::Exited { unit, role, pid, .. } | Event::Judged { unit, role, pid, .. } => {
                if self.is_held(unit.index()) {
                    self.ever_held.insert(unit.index());
                }
                let _ = (self.kills.remove(pid), role);
            }
            _ => {}
        }
        match event {
            Event::Spawned { role, .. }
            | Event::SpawnFailed { role, .. }
            | Event::Exited { role, .. }
            | Event::Judged { role, .. }
                if is_errands(*role) => {}
            Event::Requested { id, request } => self.requested(*id, request),
            Event::Spawned { unit, role, pid } => {
                let ready = self.specs[unit.index()].as_ref().is_some_and(ready_by_exec);
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
            Event::GroupLeft { unit, group, .. } => {
                self.books[unit.index()].left.insert(*group);
            }
            Event::BecameReady { unit } => self.books[unit.index()].shown = true,
            Event::MainPidChanged { unit, pid } => {
                let kills = self.kill_policy(unit.index()) == Kill::Group;
                let book = &mut self.books[unit.index()];
                if !kills {
                    book.spared.extend(book.main);
                }
                book.former.extend(book.main.replace(*pid));
                book.extended = None;
                book.named = true;
            }
            Event::TimeoutExtended { unit, by } => self.extension(unit.index(), *by),
            _ => {}
        }
    }

    fn requested(&mut self, id: RequestId, request: &Request) {
        self.latest = Some(id);
        self.requests.insert(id, Asked::new(request.clone()));
        self.note_request(id);
        match request {
            Request::Shutdown(_) => {
                self.asked_again |= std::mem::replace(&mut self.asked, true);
                self.hurried |= self.asked_again;
            }
            Request::Start { units } | Request::Boot { units } => self.forget_restarts(units),
            Request::Reset { units } => {
                units.iter().for_each(|unit| self.books[unit.index()].restarts.clear());
            }
            _ => {}
        }
    }

    /// Units are wished up anew, with all that they need and want: their restarts count from here.
    pub(crate) fn forget_restarts(&mut self, units: &[UnitId]) {
        for unit in self.starts_of(units.iter().map(|unit| unit.index())) {
            self.books[unit].restarts.clear();
        }
    }

    fn exited(&mut self, unit: usize, role: Role, pid: Pid, success: bool) {
        let passed_over = self.passes_over(unit, role);
        let is_task = self.spec(unit).is_some_and(Unit::is_task);
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
        let Role::PostStart(place) = role else { return false };
        let program = self.spec(unit).and_then(Unit::program);
        let hook = program.and_then(|program| program.hooks.post_start.get(usize::from(place)));
        hook.is_some_and(|hook| hook.on_failure == OnFailure::Continue)
    }

    /// Looks at what the engine orders.
    pub(crate) fn after(
        &mut self,
        event: &Event,
        effects: &[Effect],
        engine: &Engine,
        left: &[Leftover],
    ) -> Verdict {
        let event = &self.overlaps.event(event);
        let effects = &self.effects(effects, engine)?;
        let place = |left: &Leftover| Leftover { unit: self.overlaps.place(left.unit), ..left.clone() };
        let mut left: Vec<Leftover> = left.iter().map(place).collect();
        if effects.len() > 60 * (self.specs.len() + 1) {
            return law(7, format!("{} effects in one step", effects.len()));
        }
        self.files.step(event, effects, engine)?;
        self.check_who_set_out()?;
        let mut doomed_before = self.doomed_by(effects);
        if !self.files.news.first.is_empty() {
            doomed_before.extend((0..self.books.len()).filter(|unit| self.is_doomed(*unit)));
        }
        let has_news = !self.files.news.first.is_empty();
        self.exchange_first(engine);
        if has_news {
            let joins: Vec<bool> =
                (0..self.books.len()).map(|unit| self.needs_what_goes(unit, engine)).collect();
            self.gates.doom(&|unit| joins.get(unit).copied().unwrap_or(false));
        }
        let held: Vec<bool> = (0..self.books.len()).map(|unit| self.is_held(unit)).collect();
        self.ever_held.extend((0..held.len()).filter(|unit| held[*unit]));
        self.gates.begin(held);
        let doomed: Vec<bool> = (0..self.books.len()).map(|unit| self.is_doomed(unit)).collect();
        self.gates.doom(&|unit| doomed.get(unit).copied().unwrap_or(false));
        self.gates.doom(&|unit| doomed_before.contains(&unit));
        self.was_killing_begun(event, effects)?;
        let mut unsettled_at_start = BTreeSet::new();
        for effect in effects {
            self.check_is_there(effect)?;
            let preparing = |unit: usize| self.books[unit].prepares();
            let is_doomed = |unit: usize| doomed.get(unit).copied().unwrap_or(false);
            self.gates.after(effect, engine, &preparing, &is_doomed, &self.files)?;
            self.effect(effect, engine, &left, effects, &mut unsettled_at_start)?;
            if let Effect::Exchanged { unit, with } = effect {
                left.iter_mut().for_each(|left| left.unit = left.unit.counterpart(*unit, *with));
            }
            // What ended for good may be wished up again in the same step; whom it took down goes all the same.
            if let Effect::Changed { unit, to: Phase::Failed, .. } = effect {
                let taken = self.stops_of(&[unit.index()], &|_| true);
                self.gates.doom(&|unit| taken.contains(&unit));
            }
        }
        self.gates.end(engine);
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
        self.check_phases(engine)?;
        self.check_request(event, effects, engine)?;
        self.check_ends(event, effects)?;
        self.check_time(event, engine)
    }

    /// What goes down for good in a step in which other definitions come to hold: by the edges of before.
    fn doomed_by(&self, effects: &[Effect]) -> Vec<usize> {
        if self.files.news.first.is_empty() {
            return Vec::new();
        }
        let ends = |effect: &Effect| match effect {
            Effect::Changed { unit, to: Phase::Failed | Phase::Stopped, .. } => Some(unit.index()),
            _ => None,
        };
        let ended: Vec<usize> =
            effects.iter().filter_map(ends).filter(|unit| *unit < self.books.len()).collect();
        self.stops_of(&ended, &|_| true)
    }

    fn effect(
        &mut self,
        effect: &Effect,
        engine: &Engine,
        left: &[Leftover],
        all: &[Effect],
        unsettled_at_start: &mut BTreeSet<(usize, usize)>,
    ) -> Verdict {
        match effect {
            Effect::Inspect { unit, spec, purpose: Purpose::Start } => {
                self.check_spec(unit.index(), spec)?;
                self.check_start(unit.index(), None)?;
                self.check_restarts(unit.index())?;
                for other in &self.books[unit.index()].order {
                    if self.books[unit.index()].afresh && is_unsettled(self.phases[*other]) {
                        unsettled_at_start.insert((unit.index(), *other));
                    }
                }
            }
            Effect::Spawn { unit, spec, role, .. } if is_errands(*role) => {
                if !matches!(role, Role::Trial(_)) {
                    self.check_spec(unit.index(), spec)?;
                }
                if *role == Role::Reload {
                    self.books[unit.index()].reload_ordered = self.step;
                }
            }
            Effect::Progress { id, progress } => {
                if let Progress::Phase(TransactionPhase::Stopping | TransactionPhase::Starting) = progress {
                    self.latest = Some(*id);
                }
                if matches!(progress, Progress::Phase(TransactionPhase::Starting))
                    && self.files.news.by == Some(*id)
                {
                    self.exchange_last();
                }
                self.progressed(*id, progress, engine)?;
            }
            Effect::Spawn { unit, spec, role, main, reason } => {
                self.check_spec(unit.index(), spec)?;
                self.check_reason(unit.index(), *role, *reason, engine)?;
                self.check_spawn(unit.index(), *role, *main, engine)?;
                self.books[unit.index()].ordered.push(*role);
            }
            Effect::Signal { unit, pid, signal, .. } => {
                self.check_signal(unit.index(), *pid, *signal, engine)?
            }
            Effect::ClearGroup { unit, group, signal: Signal::KILL } => {
                self.books[unit.index()].killed.insert(*group);
                self.kills.entry(*group).or_insert((unit.index(), self.now));
            }
            Effect::SignalEverybody { .. } => self.hurried = true,
            Effect::Changed { unit, from, to, failure } => {
                self.check_change(unit.index(), *from, *to, left)?;
                if (*to == Phase::Failed) != failure.is_some() && *to != Phase::Backoff {
                    return law(0, format!("u{} {to} with failure {failure:?}", unit.index()));
                }
            }
            Effect::Reply { id, outcome } => self.check_reply(*id, outcome, all, engine)?,
            Effect::Exchanged { unit, with } => self.runs_exchanged(unit.index(), with.index())?,
            Effect::Forget { unit } => self.departs(unit.index())?,
            Effect::Exit { code, decided_by, .. } => {
                self.ended = true;
                self.check_exit(*code, *decided_by, engine)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What the last sync brought takes the places of what it replaced.
    fn exchange_last(&mut self) {
        self.outdated.clear();
        let last = std::mem::take(&mut self.files.news.last);
        self.exchange(&last);
    }

    pub(crate) fn check_phases(&self, engine: &Engine) -> Verdict {
        for unit in engine.ids() {
            if engine.unit(unit).phase() != self.phases[unit.index()] {
                return law(0, format!("u{}: a change of phase was not told", unit.index()));
            }
        }
        Ok(())
    }

    fn check_time(&mut self, event: &Event, engine: &Engine) -> Verdict {
        if engine.is_shutting_down() {
            self.deadline.get_or_insert(self.now + self.timeout);
        }
        if self.deadline.is_some_and(|deadline| self.now >= deadline) && !self.ended {
            return law(9, "the shutdown did not end by its deadline".into());
        }
        let impossible = engine.tally().impossible;
        let is_new = std::mem::replace(&mut self.impossible, impossible) < impossible;
        let is_former = |unit: UnitId| {
            let former = &self.books[unit.index()].former;
            matches!(event, Event::Exited { pid, .. } if former.contains(pid))
        };
        let held = |unit: UnitId| self.ever_held.contains(&unit.index());
        let excused = subject_of(event).is_none_or(|unit| held(unit) || is_former(unit));
        if is_new && !excused && !self.hurried {
            return law(0, format!("an input met a state in which it cannot happen: {event:?}"));
        }
        Ok(())
    }

    /// Something that it needs, however far away, is down for good.
    pub(crate) fn is_doomed(&self, unit: usize) -> bool {
        if self.books[unit].needs.is_empty() {
            return false;
        }
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

    /// A signal that somebody asked to be sent, or that says to read the configuration again.
    pub(crate) fn is_harmless(signal: Signal) -> bool {
        signal == Signal::USR1
    }
}

/// Of which unit an event tells.
pub(crate) fn subject_of(event: &Event) -> Option<UnitId> {
    match event {
        Event::Spawned { unit, .. }
        | Event::SpawnFailed { unit, .. }
        | Event::Inspected { unit, .. }
        | Event::Exited { unit, .. }
        | Event::Judged { unit, .. }
        | Event::Probed { unit, .. }
        | Event::ReloadDenied { unit, .. }
        | Event::BecameReady { unit }
        | Event::MainPidChanged { unit, .. }
        | Event::TimeoutExtended { unit, .. }
        | Event::GroupLeft { unit, .. }
        | Event::GroupGone { unit, .. } => Some(*unit),
        _ => None,
    }
}

/// To start, and not settled.
fn is_unsettled(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Waiting | Phase::Preparing | Phase::Deferred | Phase::Starting | Phase::PostStarting
    )
}

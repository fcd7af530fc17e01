//! A world by chance: processes that die, hang, ignore signals and leave others behind, on a simulated clock.

use std::collections::BTreeMap;
use std::time::Duration;

use sexton::engine::{
    Cause as Fault, Complaint, Effect, Engine, Event, Finding, Options, Purpose, Request, RequestId, Role,
    UnitId,
};
use sexton::model::spawn::Cause;
use sexton::model::unit::{Entry, Kill, Readiness, Unit};
use sexton::model::{ExecStage, ExitStatus, Moment, Pid, SpawnError};

use super::chance::Chance;
use super::laws::Laws;
use super::leftovers::Leftover;
use super::processes::Child;
use super::wishes::{self, Wish};
use super::{changes, graphs};

/// A law was broken, or the world did not come to an end.
pub(crate) struct Violation {
    pub(crate) words: String,
    pub(crate) trace: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Event(Event),
    /// A process ends; the engine learns of it at once.
    End(Pid, ExitStatus),
    /// The first process of a forking daemon names its child.
    HandOver(UnitId, Pid),
    LeftoversGone(Pid),
    NobodyLeft,
    Wish(Wish),
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) laws: Laws,
    pub(crate) chance: Chance,
    now: Moment,
    agenda: BTreeMap<(Moment, u64), Happening>,
    sequence: u64,
    pub(crate) children: BTreeMap<Pid, Child>,
    /// Groups whose leader is gone and that still hold somebody.
    pub(crate) leftovers: BTreeMap<Pid, Leftover>,
    pub(crate) next_pid: i32,
    next_request: u64,
    pub(crate) faults: Faults,
    trace: Option<Vec<String>>,
    over: bool,
}

pub(crate) struct Faults {
    pub(crate) spawn_percent: u64,
    pub(crate) death_percent: u64,
    pub(crate) late_percent: u64,
}

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);
const MAX_STEPS: u32 = 50_000;

pub(crate) enum Tracing {
    On,
    Off,
}

/// Are there units that are replaced while they serve?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlapping {
    Some,
    Never,
}

/// One run; the same seed gives the same run.
pub(crate) fn run(seed: u64, overlapping: Overlapping, tracing: Tracing) -> Result<u32, Violation> {
    let mut chance = Chance::new(seed);
    chance.with_overlaps = overlapping == Overlapping::Some;
    let entries = graphs::entries(&mut chance);
    let options = Options { shutdown_timeout: SHUTDOWN_TIMEOUT, random_seed: seed };
    let faults = Faults {
        spawn_percent: [0, 5, 40][chance.below(3) as usize],
        death_percent: [0, 30, 80][chance.below(3) as usize],
        late_percent: [0, 20][chance.below(2) as usize],
    };
    let trace = match tracing {
        Tracing::On => Some(entries.iter().map(in_short).collect()),
        Tracing::Off => None,
    };
    let engine = Engine::new(entries.clone(), options);
    let mut world = World {
        laws: Laws::new(&entries, &engine, SHUTDOWN_TIMEOUT),
        engine,
        chance,
        now: Moment::from_nanos(1_000_000_000),
        agenda: BTreeMap::new(),
        sequence: 0,
        children: BTreeMap::new(),
        leftovers: BTreeMap::new(),
        next_pid: 1,
        next_request: 0,
        faults,
        trace,
        over: false,
    };
    world.plan_requests();
    world.live()
}

impl World {
    fn live(mut self) -> Result<u32, Violation> {
        let mut n_steps = 0;
        while !self.over {
            n_steps += 1;
            if let Err(words) = self.one_step(n_steps) {
                return Err(Violation { words, trace: self.trace.unwrap_or_default() });
            }
        }
        let end = self.laws.at_the_end(&self.engine);
        end.map(|()| n_steps).map_err(|words| Violation { words, trace: self.trace.unwrap_or_default() })
    }

    fn one_step(&mut self, n_steps: u32) -> Result<(), String> {
        if n_steps > MAX_STEPS {
            return Err(format!("no end after {MAX_STEPS} steps"));
        }
        let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let deadline = self.engine.next_deadline();
        let only_requests = self.agenda.values().all(|h| matches!(h, Happening::Wish(_)));
        if only_requests && deadline.is_none() {
            self.laws.at_rest(&self.engine)?;
        }
        match (planned, deadline) {
            (None, None) => Err("nothing will ever happen, and it is not over".into()),
            (planned, Some(deadline)) if planned.is_none_or(|planned| deadline < planned) => {
                self.now = self.now.max(deadline);
                self.feed(Event::Tick)
            }
            _ => {
                let Some(((at, _), happening)) = self.agenda.pop_first() else { return Ok(()) };
                self.now = self.now.max(at);
                self.happen(happening)
            }
        }
    }

    pub(crate) fn later(&mut self, milliseconds: u64, happening: Happening) {
        self.sequence += 1;
        let at = self.now + Duration::from_millis(milliseconds);
        self.agenda.insert((at, self.sequence), happening);
    }

    /// An answer comes at once, or a little later with others in between.
    pub(crate) fn answer(&mut self, event: Event) {
        let late = if self.chance.percent(self.faults.late_percent) { self.chance.below(20) } else { 0 };
        self.later(late, Happening::Event(event));
    }

    fn plan_requests(&mut self) {
        for (at, wish) in wishes::wishes(&mut self.chance) {
            self.later(at, Happening::Wish(wish));
        }
    }

    fn wish(&mut self, wish: Wish) -> Result<(), String> {
        if let Wish::Extend = wish {
            let entries = changes::additions(&mut self.chance, &self.laws.files);
            if let Some(trace) = &mut self.trace {
                let entries: Vec<String> = entries.iter().map(in_short).collect();
                trace.push(format!(
                    "{:>10.3} ▶ extend {}",
                    self.now.as_nanos() as f64 / 1e9,
                    entries.join("; ")
                ));
            }
            self.engine.extend(entries.clone());
            return self.laws.extended(&entries, &self.engine);
        }
        let (files, latest) = (&self.laws.files, self.next_request);
        let request = wishes::request(wish, &mut self.chance, &self.engine, files, latest);
        self.next_request += 1;
        self.feed(Event::Requested { id: RequestId(self.next_request), request })
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Event(event) => self.feed(event),
            Happening::Wish(wish) => self.wish(wish),
            Happening::End(pid, status) => self.end(pid, status),
            Happening::HandOver(unit, parent) => self.hand_over(unit, parent),
            Happening::LeftoversGone(group) => match self.leftovers.remove(&group) {
                Some(Leftover { unit, .. }) => self.feed(Event::GroupGone { unit, group }),
                None => Ok(()),
            },
            Happening::NobodyLeft => self.feed(Event::NobodyLeft),
        }
    }

    pub(crate) fn feed(&mut self, event: Event) -> Result<(), String> {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.3} ▶ {}", self.now.as_nanos() as f64 / 1e9, short_event(&event)));
        }
        self.laws.before(&event, self.now);
        let mut effects = Vec::new();
        self.engine.step(self.now, event.clone(), &mut effects);
        if let Some(trace) = &mut self.trace {
            trace.extend(effects.iter().map(|effect| format!("{:>10}   {}", "", short(effect))));
        }
        let left: Vec<Leftover> = self.leftovers.values().cloned().collect();
        self.laws.after(&event, &effects, &self.engine, &left)?;
        for effect in effects {
            self.perform(effect);
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Inspect { unit, spec, purpose } => self.inspect(unit, &spec, purpose),
            Effect::Spawn { unit, spec, role, .. } => self.spawn(unit, spec, role),
            Effect::AwaitReadiness { unit } => {
                if !self.chance.percent(8) {
                    let delay = self.chance.below(3000);
                    self.later(delay, Happening::Event(Event::BecameReady { unit }));
                }
                if self.chance.percent(5) {
                    let by = Duration::from_millis(self.chance.below(20_000));
                    self.later(100, Happening::Event(Event::TimeoutExtended { unit, by }));
                }
            }
            Effect::AwaitPidFile { unit } => {
                let parent = self.children.iter().rev().find(|(_, c)| c.unit == unit && c.role == Role::Main);
                if let Some(parent) = parent.map(|(pid, _)| *pid) {
                    let delay = self.chance.below(300);
                    self.later(delay, Happening::HandOver(unit, parent));
                }
            }
            Effect::ForgetReadiness { unit } => self.agenda.retain(|_, happening| {
                !matches!(happening, Happening::Event(Event::BecameReady { unit: own }) if *own == unit)
                    && !matches!(happening, Happening::HandOver(own, _) if *own == unit)
            }),
            Effect::Signal { pid, scope, signal, .. } => self.signal_to(pid, scope, signal),
            Effect::ClearGroup { unit, group, signal } => self.clear(unit, group, signal),
            Effect::SignalEverybody { signal } => self.signal_everybody(signal),
            Effect::Exit { .. } => self.over = true,
            Effect::Exchanged { unit, with } => self.exchange(unit, with),
            Effect::Forget { unit } => self.forget(unit),
            Effect::Probe { unit } => self.probe(unit),
            Effect::ForgetProbe { unit } => self.agenda.retain(|_, happening| {
                !matches!(
                    happening,
                    Happening::Event(Event::Probed { unit: own, .. } | Event::ReloadDenied { unit: own, .. })
                        if *own == unit
                )
            }),
            _ => {}
        }
    }

    /// Two runs change places, and all that belongs to them with them.
    fn exchange(&mut self, one: UnitId, other: UnitId) {
        for child in self.children.values_mut() {
            child.unit = child.unit.counterpart(one, other);
        }
        for left in self.leftovers.values_mut() {
            left.unit = left.unit.counterpart(one, other);
        }
        for happening in self.agenda.values_mut() {
            match happening {
                Happening::Event(event) => event.exchange(one, other),
                Happening::HandOver(unit, _) => *unit = unit.counterpart(one, other),
                _ => {}
            }
        }
    }

    /// Nothing is told of a unit that is no more.
    fn forget(&mut self, unit: UnitId) {
        self.agenda.retain(|_, happening| match happening {
            Happening::Event(
                Event::BecameReady { unit: own }
                | Event::TimeoutExtended { unit: own, .. }
                | Event::Probed { unit: own, .. }
                | Event::ReloadDenied { unit: own, .. }
                | Event::GroupGone { unit: own, .. },
            )
            | Happening::HandOver(own, _) => *own != unit,
            _ => true,
        });
    }

    fn inspect(&mut self, unit: UnitId, spec: &Unit, purpose: Purpose) {
        let hooks = spec.program().map_or(0, |program| program.hooks.prepare.len());
        let finding = match self.chance.below(100) {
            0 | 1 => Finding::Unmet("'/x' does not exist".into()),
            2..5 => Finding::Skip("'/y' does not exist".into()),
            5 => Finding::Failed(error(ExecStage::Directories, libc_errno(&mut self.chance))),
            _ => Finding::Met { prepare: (0..hooks).map(|_| self.chance.percent(50)).collect() },
        };
        self.answer(Event::Inspected { unit, purpose, finding });
    }

    fn probe(&mut self, unit: UnitId) {
        let delay = self.chance.below(300);
        let result = match self.chance.below(10) {
            0 => return,
            // What it has written since it was told to reload is looked at first.
            1 | 2 if self.laws.gates.is_heeded(unit.index()) => {
                let cause = Fault::Matched("failed".into());
                let complaint = Box::new(Complaint { cause, output: vec!["failed".into()] });
                return self.later(delay, Happening::Event(Event::ReloadDenied { unit, complaint }));
            }
            1..4 => Err("connection refused".into()),
            _ => Ok(()),
        };
        self.later(delay, Happening::Event(Event::Probed { unit, result }));
    }
}

pub(crate) fn error(stage: ExecStage, errno: i32) -> SpawnError {
    SpawnError { stage, subject: String::new(), cause: Cause::Errno(errno) }
}

/// EAGAIN mostly, else ENOENT.
pub(crate) fn libc_errno(chance: &mut Chance) -> i32 {
    if chance.percent(70) { libc::EAGAIN } else { libc::ENOENT }
}

/// Is a unit's readiness shown by its exec alone?
pub(crate) fn ready_by_exec(entry: &Entry) -> bool {
    match entry {
        Entry::Unit(unit) => unit.program().is_some_and(|program| {
            program.ready.how == Readiness::Exec && program.process.pid_file.is_none()
        }),
        Entry::Broken { .. } => false,
    }
}

/// An effect without the description of its unit.
fn short(effect: &Effect) -> String {
    match effect {
        Effect::Inspect { unit, purpose, .. } => {
            format!("Inspect {{ unit: {unit:?}, purpose: {purpose:?} }}")
        }
        Effect::Spawn { unit, role, reason, main, .. } => {
            format!("Spawn {{ unit: {unit:?}, role: {role:?}, reason: {reason:?}, main: {main:?} }}")
        }
        effect => format!("{effect:?}"),
    }
}

/// An event with its units in short.
fn short_event(event: &Event) -> String {
    match event {
        Event::Requested { id, request: Request::Sync { definitions, gate } } => {
            let units: Vec<String> = definitions.units.iter().map(|unit| unit_in_short(unit)).collect();
            let boot: Vec<&str> = definitions.boot.iter().map(|name| name.as_str()).collect();
            format!("Requested {{ id: {id:?}, Sync {gate:?} {} boot {} }}", units.join("; "), boot.join(" "))
        }
        event => format!("{event:?}"),
    }
}

fn in_short(entry: &Entry) -> String {
    match entry {
        Entry::Unit(unit) => unit_in_short(unit),
        Entry::Broken { name, .. } => format!("{name} broken"),
    }
}

/// Its name, its edges, and what decides how it stops.
fn unit_in_short(unit: &Unit) -> String {
    let mut words = vec![unit.name.to_string()];
    let Unit { needs, wants, after, before, conflicts, .. } = unit;
    let edges = [("needs", needs), ("wants", wants), ("after", after), ("before", before)];
    for (what, names) in edges.into_iter().chain([("conflicts", conflicts)]) {
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            words.push(format!("{what} {}", names.join(",")));
        }
    }
    let Some(program) = unit.program() else { return words.join(" ") };
    words.push(format!("{:?}", program.exec.argv()));
    let flags = [
        (unit.is_task(), "task"),
        (unit.essential, "essential"),
        (program.restart.overlap, "overlap"),
        (!program.renders.is_empty(), "renders"),
        (program.configtest.is_some(), "configtest"),
        (program.stop.kill == Kill::Never, "kill never"),
    ];
    words.extend(flags.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word.to_owned()));
    words.join(" ")
}

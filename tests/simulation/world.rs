//! A world by chance: processes that die, hang, ignore signals and leave others behind, on a simulated clock.

use std::collections::BTreeMap;
use std::time::Duration;

use sexton::engine::{
    Cause as Fault, Complaint, Effect, Engine, Event, Finding, Options, Phase, Purpose, Request, RequestId,
    Role, UnitId, Verdict,
};
use sexton::model::spawn::Cause;
use sexton::model::unit::{Entry, Readiness};
use sexton::model::{ExecStage, ExitStatus, Moment, Number, Pid, Signal, SpawnError};

use super::chance::Chance;
use super::graphs;
use super::laws::Laws;
use super::leftovers::Leftover;
use super::wishes::wishes;

/// A law was broken, or the world did not come to an end.
pub(crate) struct Violation {
    pub(crate) words: String,
    pub(crate) trace: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) unit: UnitId,
    pub(crate) role: Role,
    pub(crate) stubborn: bool,
    pub(crate) unkillable: bool,
    pub(crate) ending: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Event(Event),
    /// A process ends; the engine learns of it at once.
    End(Pid, ExitStatus),
    /// The first process of a forking daemon names its child.
    Fork(UnitId, Pid),
    /// The main process names a child of its own the main one, by a message.
    HandOver(UnitId),
    LeftoversGone(Pid),
    NobodyLeft,
    Request(Request),
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) entries: Vec<Entry>,
    pub(crate) laws: Laws,
    pub(crate) chance: Chance,
    pub(crate) now: Moment,
    pub(crate) agenda: BTreeMap<(Moment, u64), Happening>,
    pub(crate) sequence: u64,
    pub(crate) children: BTreeMap<Pid, Child>,
    /// Groups whose leader is gone and that still hold somebody.
    pub(crate) leftovers: BTreeMap<Pid, Leftover>,
    pub(crate) next_pid: i32,
    pub(crate) next_request: u64,
    pub(crate) faults: Faults,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) over: bool,
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

/// One run; the same seed gives the same run.
pub(crate) fn run(seed: u64, tracing: Tracing) -> Result<u32, Violation> {
    let mut chance = Chance::new(seed);
    let entries = graphs::entries(&mut chance);
    let options = Options { shutdown_timeout: SHUTDOWN_TIMEOUT, random_seed: seed };
    let faults = Faults {
        spawn_percent: [0, 5, 40][chance.below(3) as usize],
        death_percent: [0, 30, 80][chance.below(3) as usize],
        late_percent: [0, 20][chance.below(2) as usize],
    };
    let engine = Engine::new(entries.clone(), options);
    let mut world = World {
        laws: Laws::new(&entries, &engine, SHUTDOWN_TIMEOUT),
        engine,
        entries,
        chance,
        now: Moment::from_nanos(1_000_000_000),
        agenda: BTreeMap::new(),
        sequence: 0,
        children: BTreeMap::new(),
        leftovers: BTreeMap::new(),
        next_pid: 1,
        next_request: 0,
        faults,
        trace: matches!(tracing, Tracing::On).then(Vec::new),
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
        let only_requests = self.agenda.values().all(|h| matches!(h, Happening::Request(_)));
        if only_requests && deadline.is_none() {
            self.laws.at_rest(&self.engine, !self.children.is_empty())?;
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
        for (at, request) in wishes(&mut self.chance, &self.engine) {
            self.later(at, Happening::Request(request));
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Event(event) => self.feed(event),
            Happening::Request(request) => {
                self.next_request += 1;
                let id = RequestId(self.next_request);
                self.feed(Event::Requested { id, request })
            }
            Happening::End(pid, status) => self.end(pid, status),
            Happening::Fork(unit, parent) => self.fork(unit, parent),
            Happening::HandOver(unit) => match self.engine.unit(unit).main_pid() {
                Some(parent) => self.fork(unit, parent),
                None => Ok(()),
            },
            Happening::LeftoversGone(group) => match self.leftovers.remove(&group) {
                Some(Leftover { unit, .. }) => self.feed(Event::GroupGone { unit, group }),
                None => Ok(()),
            },
            Happening::NobodyLeft => self.feed(Event::NobodyLeft),
        }
    }

    pub(crate) fn feed(&mut self, event: Event) -> Result<(), String> {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.3} ▶ {event:?}", self.now.as_nanos() as f64 / 1e9));
        }
        self.laws.before(&event, self.now);
        let mut effects = Vec::new();
        self.engine.step(self.now, event, &mut effects);
        if let Some(trace) = &mut self.trace {
            trace.extend(effects.iter().map(|effect| format!("{:>10}   {}", "", short(effect))));
        }
        let left: Vec<Leftover> = self.leftovers.values().cloned().collect();
        self.laws.after(&effects, &self.engine, self.now, &left)?;
        for effect in effects {
            self.perform(effect);
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Inspect { unit, purpose, .. } => self.inspect(unit, purpose),
            Effect::Spawn { unit, role, .. } => self.spawn(unit, role),
            Effect::AwaitReadiness { unit } => {
                if !self.chance.percent(8) {
                    let delay = self.chance.below(3000);
                    self.later(delay, Happening::Event(Event::BecameReady { unit }));
                }
                if self.chance.percent(10) && !self.pid_file(unit) {
                    let delay = self.chance.below(8000);
                    self.later(delay, Happening::HandOver(unit));
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
                    self.later(delay, Happening::Fork(unit, parent));
                }
            }
            Effect::ForgetReadiness { unit } => self.agenda.retain(|_, happening| {
                !matches!(happening, Happening::Event(Event::BecameReady { unit: own }) if *own == unit)
                    && !matches!(happening, Happening::Fork(own, _) if *own == unit)
            }),
            Effect::Signal { pid, scope, signal, .. } => self.signal_to(pid, scope, signal),
            Effect::ClearGroup { unit, group, signal } => self.clear(unit, group, signal),
            Effect::SignalEverybody { signal } => self.signal_everybody(signal),
            Effect::Exit { .. } => self.over = true,
            Effect::Probe { unit } => self.probe(unit),
            Effect::ForgetProbe { unit } => self.agenda.retain(|_, happening| {
                !matches!(happening, Happening::Event(Event::Probed { unit: own, .. }) if *own == unit)
            }),
            _ => {}
        }
    }

    fn inspect(&mut self, unit: UnitId, purpose: Purpose) {
        let hooks = match &self.entries[unit.index()] {
            Entry::Unit(unit) => unit.program().map_or(0, |program| program.hooks.prepare.len()),
            Entry::Broken { .. } => 0,
        };
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
            1..4 => Err("connection refused".into()),
            _ => Ok(()),
        };
        self.later(delay, Happening::Event(Event::Probed { unit, result }));
    }

    fn spawn(&mut self, unit: UnitId, role: Role) {
        if self.chance.percent(self.faults.spawn_percent) {
            let error = error(ExecStage::Fork, libc_errno(&mut self.chance));
            return self.answer(Event::SpawnFailed { unit, role, error });
        }
        let pid = self.new_pid();
        let stubborn = self.chance.percent(10);
        let unkillable = self.chance.below(500) == 0;
        self.children.insert(pid, Child { unit, role, stubborn, unkillable, ending: false });
        // A process of another user may take longer to its exec than a killed one has to its end.
        let may_be_slow = matches!(role, Role::StopCommand | Role::PostStart(_) | Role::PostStop(_));
        let late = match self.chance.percent(self.faults.late_percent) {
            true if may_be_slow && self.chance.percent(10) => self.chance.below(10_000),
            true => self.chance.below(20),
            false => 0,
        };
        self.later(late, Happening::Event(Event::Spawned { unit, role, pid }));
        self.plan_end(pid, late);
    }

    /// When and how a process will end by itself, if it does.
    fn plan_end(&mut self, pid: Pid, after: u64) {
        let Some(child) = self.children.get(&pid).cloned() else { return };
        let service = match &self.entries[child.unit.index()] {
            Entry::Unit(unit) => !unit.is_task(),
            Entry::Broken { .. } => false,
        };
        let forks = self.pid_file(child.unit);
        let code = [0, 0, 1, 2, 78][self.chance.below(5) as usize];
        let (delay, status) = match child.role {
            Role::Main if service && forks => return,
            Role::Main if service => {
                if !self.chance.percent(self.faults.death_percent) {
                    return;
                }
                (self.chance.below(12_000), ExitStatus::exited(code))
            }
            _ if self.chance.percent(5) => return,
            _ if self.chance.percent(85) => (self.chance.below(800), ExitStatus::exited(0)),
            _ => (self.chance.below(800), ExitStatus::exited(code)),
        };
        self.later(after + delay, Happening::End(pid, status));
    }

    fn pid_file(&self, unit: UnitId) -> bool {
        match &self.entries[unit.index()] {
            Entry::Unit(unit) => {
                !unit.is_task() && unit.program().is_some_and(|program| program.process.pid_file.is_some())
            }
            Entry::Broken { .. } => false,
        }
    }

    pub(crate) fn new_pid(&mut self) -> Pid {
        self.next_pid += 1;
        Pid::new(self.next_pid).expect("a pid")
    }

    pub(crate) fn end(&mut self, pid: Pid, status: ExitStatus) -> Result<(), String> {
        let Some(child) = self.children.remove(&pid) else { return Ok(()) };
        let (unit, role) = (child.unit, child.role);
        let leaves = self.chance.percent(if role == Role::Main { 15 } else { 6 });
        if leaves {
            let stubborn = self.chance.percent(50);
            self.leftovers.insert(pid, Leftover { unit, role, group: pid, stubborn });
        }
        let view = self.engine.unit(unit);
        let served = role == Role::Main && view.main_pid() == Some(pid) && view.phase() != Phase::Starting;
        if leaves && !served {
            self.feed(Event::GroupLeft { unit, role, group: pid })?;
        }
        let is_gone = role == Role::Main && !served && !leaves;
        self.tell_end(unit, role, pid, status)?;
        if is_gone { self.feed(Event::GroupGone { unit, group: pid }) } else { Ok(()) }
    }

    fn tell_end(&mut self, unit: UnitId, role: Role, pid: Pid, status: ExitStatus) -> Result<(), String> {
        if !role.is_judged() {
            return self.feed(Event::Exited { unit, role, pid, status });
        }
        let number = Number::new(self.chance.below(1000) as f64);
        let until = matches!(role, Role::PreStop(place) if self.has_until(unit, place));
        let verdict = match status.is_success() {
            true if until && self.chance.percent(60) => Verdict::NotYet { number },
            true => Verdict::Passed { number: number.filter(|_| until) },
            false => {
                Verdict::Failed(Box::new(Complaint { cause: Fault::Status(status), output: Vec::new() }))
            }
        };
        self.feed(Event::Judged { unit, role, pid, status, verdict })
    }

    fn has_until(&self, unit: UnitId, place: u16) -> bool {
        let Entry::Unit(unit) = &self.entries[unit.index()] else { return false };
        let hooks = unit.program().map(|program| program.hooks.pre_stop.as_slice()).unwrap_or_default();
        hooks.get(usize::from(place)).is_some_and(|hook| hook.until.is_some())
    }

    pub(crate) fn signal(&mut self, pid: Pid, signal: Signal) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        if signal == Signal::USR1 || child.ending {
            return;
        }
        if signal == Signal::HUP {
            // Some die of a reload, at once or a moment later.
            if self.chance.percent(15) {
                let delay = self.chance.below(1200);
                self.later(delay, Happening::End(pid, ExitStatus::exited(1)));
            }
            return;
        }
        if signal == Signal::KILL {
            child.ending = true;
            let delay = if child.unkillable { 20_000 } else { self.chance.below(10) };
            self.later(delay, Happening::End(pid, ExitStatus::killed(signal)));
        } else if !child.stubborn {
            let status =
                if self.chance.percent(50) { ExitStatus::exited(0) } else { ExitStatus::killed(signal) };
            let delay = self.chance.below(2000);
            self.later(delay, Happening::End(pid, status));
        }
    }

    fn signal_everybody(&mut self, signal: Signal) {
        let pids: Vec<Pid> = self.children.keys().copied().collect();
        for pid in &pids {
            self.signal(*pid, signal);
        }
        if self.chance.percent(90) {
            let delay = if pids.is_empty() { 0 } else { self.chance.below(2500) };
            self.later(delay, Happening::NobodyLeft);
        }
    }
}

fn error(stage: ExecStage, errno: i32) -> SpawnError {
    SpawnError { stage, subject: String::new(), cause: Cause::Errno(errno) }
}

/// EAGAIN mostly, else ENOENT.
fn libc_errno(chance: &mut Chance) -> i32 {
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

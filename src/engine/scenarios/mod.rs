//! Scenarios written by hand: a small stage on which the engine meets a scripted world.
//!
//! The stage answers `Inspect` with "all is there" and `Spawn` with a new pid, and a group is gone as soon as
//! it is cleared, unless a scenario says otherwise. What the engine orders is compared as short words.

mod down;
mod explanations;
mod requests;
mod restarts;
mod up;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::fixture::{self, Draft};
use crate::engine::{
    Dependents, Effect, Engine, Event, Finding, Gate, Options, Outcome, Phase, Purpose, Refusal, Request,
    RequestId, RestartHow, Role, Scope, Shutdown, Trial, UnitId,
};
use crate::model::spawn::Cause;
use crate::model::{ExecStage, ExitStatus, Moment, Pid, Signal, SpawnError};

/// How the stage answers an order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// At once, with success.
    Promptly,
    /// Not at all: the scenario does.
    Never,
}

pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) now: Moment,
    pub(super) inspections: Answer,
    pub(super) spawns: Answer,
    pub(super) groups: Answer,
    pids: BTreeMap<(UnitId, Role), Pid>,
    next_pid: i32,
    next_request: u64,
    log: Vec<String>,
}

pub(super) fn stage(drafts: Vec<Draft>) -> Stage {
    let options = Options { shutdown_timeout: Duration::from_secs(20), random_seed: 1 };
    Stage {
        engine: Engine::new(fixture::entries(drafts), options),
        now: Moment::from_nanos(1_000_000_000),
        inspections: Answer::Promptly,
        spawns: Answer::Promptly,
        groups: Answer::Promptly,
        pids: BTreeMap::new(),
        next_pid: 100,
        next_request: 0,
        log: Vec::new(),
    }
}

impl Stage {
    pub(super) fn id(&self, name: &str) -> UnitId {
        self.engine.find(name).unwrap_or_else(|| panic!("no unit {name}"))
    }

    fn ids(&self, names: &str) -> Vec<UnitId> {
        names.split_whitespace().map(|name| self.id(name)).collect()
    }

    pub(super) fn phase(&self, name: &str) -> Phase {
        self.engine.unit(self.id(name)).phase()
    }

    /// What was ordered since this was last asked, without changes of phase.
    pub(super) fn orders(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Feeds one event, and the answers to what it leads to.
    pub(super) fn feed(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            let mut effects = Vec::new();
            for event in std::mem::take(&mut events) {
                self.engine.step(self.now, event, &mut effects);
            }
            for effect in effects {
                events.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        self.log.extend(self.words(&effect));
        match effect {
            Effect::Inspect { unit, purpose, .. } if self.inspections == Answer::Promptly => {
                let hooks =
                    self.engine.unit(unit).unit().and_then(|u| u.program().map(|p| p.hooks.prepare.len()));
                let prepare = vec![true; hooks.unwrap_or(0)];
                Some(Event::Inspected { unit, purpose, finding: Finding::Met { prepare } })
            }
            Effect::Spawn { unit, role, .. } if self.spawns == Answer::Promptly => {
                Some(self.spawned(unit, role))
            }
            Effect::ClearGroup { unit, .. } if self.groups == Answer::Promptly => {
                Some(Event::GroupGone { unit })
            }
            _ => None,
        }
    }

    fn spawned(&mut self, unit: UnitId, role: Role) -> Event {
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).unwrap();
        self.pids.insert((unit, role), pid);
        Event::Spawned { unit, role, pid }
    }

    fn words(&self, effect: &Effect) -> Option<String> {
        let name = |unit: &UnitId| self.engine.unit(*unit).name().to_owned();
        Some(match effect {
            Effect::Changed { .. } => return None,
            Effect::Inspect { unit, purpose: Purpose::Start, .. } => format!("inspect {}", name(unit)),
            Effect::Inspect { unit, purpose: Purpose::Trial, .. } => {
                format!("inspect {} for trial", name(unit))
            }
            Effect::Spawn { unit, role, .. } => format!("spawn {} {}", name(unit), short(*role)),
            Effect::AwaitReadiness { unit } => format!("await {}", name(unit)),
            Effect::AwaitPidFile { unit } => format!("await-pid-file {}", name(unit)),
            Effect::ForgetReadiness { unit } => format!("forget {}", name(unit)),
            Effect::Signal { unit, scope: Scope::Process, signal, .. } => format!("{signal} {}", name(unit)),
            Effect::Signal { unit, scope: Scope::Group, signal, .. } => {
                format!("{signal} {} group", name(unit))
            }
            Effect::SettleRenders { unit, verdict } => format!("renders {} {verdict:?}", name(unit)),
            Effect::Probe { unit } => format!("probe {}", name(unit)),
            Effect::ForgetProbe { unit } => format!("forget-probe {}", name(unit)),
            Effect::Forget { unit } => format!("forget-id {}", unit.index()),
            Effect::Exchanged { unit, with } => format!("exchanged {} {}", unit.index(), with.index()),
            Effect::Progress { id, progress } => format!("progress {} {progress:?}", id.0),
            Effect::ClearGroup { unit, signal, .. } => format!("clear {} {signal}", name(unit)),
            Effect::CleanUp { unit, next } => format!("clean-up {} {next:?}", name(unit)),
            Effect::SignalEverybody { signal } => format!("everybody {signal}"),
            Effect::Reply { id, outcome } => format!("reply {} {}", id.0, self.outcome(outcome)),
            Effect::Exit { how, code, decided_by } => match decided_by {
                Some(unit) => format!("exit {how:?} {code} by {}", name(unit)),
                None => format!("exit {how:?} {code}"),
            },
        })
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        let name = |unit: UnitId| self.engine.unit(unit).name().to_owned();
        match outcome {
            Outcome::Done => "done".into(),
            Outcome::Refused(Refusal::NeededBy { unit, by }) => {
                let by: Vec<String> = by.iter().map(|unit| name(*unit)).collect();
                format!("refused: {} needed by {}", name(*unit), by.join(","))
            }
            Outcome::Refused(refusal) => format!("refused: {}", refusal.describe(&name)),
            Outcome::Failed { unit, failure, retry_in } => {
                let retry = retry_in.map(|delay| format!(" (again in {delay:?})")).unwrap_or_default();
                format!("failed: {} {}{retry}", name(*unit), failure.describe(&name))
            }
            Outcome::Aborted { unit, failure, undone } => {
                format!("aborted: {} {}; undone {}", name(*unit), failure.describe(&name), undone.join(","))
            }
            Outcome::Abandoned { undone } => format!("abandoned; undone {}", undone.join(",")),
            Outcome::RollStopped { done, left, because } => {
                format!("roll stopped {} {}: {}", done.len(), left.len(), self.outcome(because))
            }
            Outcome::Replaced { by } => format!("replaced by {}", by.0),
            Outcome::ShuttingDown => "shutting-down".into(),
        }
    }

    pub(super) fn request(&mut self, request: Request) -> Vec<String> {
        self.next_request += 1;
        self.feed(Event::Requested { id: RequestId(self.next_request), request });
        self.orders()
    }

    pub(super) fn boot(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Boot { units: self.ids(names) })
    }

    pub(super) fn start(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Start { units: self.ids(names) })
    }

    pub(super) fn stop(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Stop { units: self.ids(names), dependents: Dependents::Refuse })
    }

    pub(super) fn cascade(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Stop { units: self.ids(names), dependents: Dependents::Stop })
    }

    pub(super) fn restart(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Restart {
            units: self.ids(names),
            gate: Gate::Enforced,
            how: RestartHow::Together,
        })
    }

    pub(super) fn reset(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Reset { units: self.ids(names) })
    }

    pub(super) fn shutdown(&mut self) -> Vec<String> {
        self.request(Request::Shutdown(Shutdown::PowerOff))
    }

    pub(super) fn ready(&mut self, name: &str) -> Vec<String> {
        self.feed(Event::BecameReady { unit: self.id(name) });
        self.orders()
    }

    pub(super) fn spawn_failed(&mut self, name: &str, role: Role, errno: i32) -> Vec<String> {
        let error = SpawnError { stage: ExecStage::Fork, subject: String::new(), cause: Cause::Errno(errno) };
        self.feed(Event::SpawnFailed { unit: self.id(name), role, error });
        self.orders()
    }

    pub(super) fn found(&mut self, name: &str, finding: Finding) -> Vec<String> {
        self.feed(Event::Inspected { unit: self.id(name), purpose: Purpose::Start, finding });
        self.orders()
    }

    /// The process of this role ends.
    pub(super) fn ends(&mut self, name: &str, role: Role, status: ExitStatus) -> Vec<String> {
        let unit = self.id(name);
        let pid = *self.pids.get(&(unit, role)).unwrap_or_else(|| panic!("{name} has no {role}"));
        self.feed(Event::Exited { unit, role, pid, status });
        self.orders()
    }

    /// The main process exits with this code.
    pub(super) fn exits(&mut self, name: &str, code: u8) -> Vec<String> {
        self.ends(name, Role::Main, ExitStatus::exited(code))
    }

    /// The main process dies of TERM.
    pub(super) fn dies(&mut self, name: &str) -> Vec<String> {
        self.ends(name, Role::Main, ExitStatus::killed(Signal::TERM))
    }

    pub(super) fn passes(&mut self, milliseconds: u64) -> Vec<String> {
        let until = self.now + Duration::from_millis(milliseconds);
        while let Some(deadline) = self.engine.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.feed(Event::Tick);
        }
        self.now = until;
        self.orders()
    }

    pub(super) fn why(&self, name: &str) -> Vec<String> {
        self.engine.why(self.id(name), self.now)
    }
}

fn short(role: Role) -> String {
    match role {
        Role::Condition => "condition".into(),
        Role::Prepare(n) => format!("prepare{n}"),
        Role::PreStart(n) => format!("pre-start{n}"),
        Role::Main => "main".into(),
        Role::PostStart(n) => format!("post-start{n}"),
        Role::ConfigTest => "configtest".into(),
        Role::Trial(Trial::Condition) => "trial-condition".into(),
        Role::Trial(Trial::Prepare(n)) => format!("trial-prepare{n}"),
        Role::Trial(Trial::ConfigTest) => "trial-configtest".into(),
        Role::Reload => "reload".into(),
        Role::ReloadVerify => "reload-verify".into(),
        Role::PreStop(n) => format!("pre-stop{n}"),
        Role::Undo(n) => format!("undo{n}"),
        Role::StopCommand => "stop-command".into(),
        Role::PostStop(n) => format!("post-stop{n}"),
    }
}

//! Scenarios written by hand: a small stage on which the engine meets a scripted world.
//!
//! The stage answers `Inspect` with "all is there" and `Spawn` with a new pid, and a group is gone as soon as
//! it is cleared, unless a scenario says otherwise. What the engine orders is compared as short words.

mod abandon;
mod beside;
mod between;
mod down;
mod explanations;
mod gate;
mod groups;
mod hooks;
mod overlap;
mod overlap_chance;
mod overlap_ends;
mod plans;
mod reload;
mod requests;
mod restarts;
mod roll;
mod shutdown;
mod sync;
mod sync_beside;
mod unkillable;
mod up;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::fixture::{self, Draft};
use crate::engine::{
    Cause, Complaint, Definitions, Dependents, Effect, Engine, Event, Failure, Finding, Gate, HookNews,
    Options, Outcome, Phase, Progress, Purpose, Refusal, Request, RequestId, RestartHow, Role, Scope,
    Shutdown, Trial, UnitId, Verdict,
};
use crate::model::spawn;
use crate::model::unit::Entry;
use crate::model::{ExecStage, ExitStatus, Moment, Number, Pid, Signal, SpawnError};

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
    /// What was told of the progress of requests.
    told: Vec<String>,
    /// What was noted of units.
    noted: Vec<String>,
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
        told: Vec::new(),
        noted: Vec::new(),
    }
}

/// What the files say: these units, all of them to be started at boot.
pub(super) fn definitions(drafts: Vec<Draft>) -> Definitions {
    let good = |entry| match entry {
        Entry::Unit(unit) => Some(unit),
        Entry::Broken { .. } => None,
    };
    let units: Vec<_> = fixture::entries(drafts).into_iter().filter_map(good).collect();
    Definitions { boot: units.iter().map(|unit| unit.name.clone()).collect(), units }
}

impl Stage {
    pub(super) fn id(&self, name: &str) -> UnitId {
        match name.strip_suffix('\'') {
            Some(of) => {
                let unit = self.id(of);
                self.engine.hidden_of(unit).unwrap_or_else(|| panic!("{of} has one run only"))
            }
            None => self.engine.find(name).unwrap_or_else(|| panic!("no unit {name}")),
        }
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
                if let Effect::Exchanged { unit, with } = effect {
                    events.iter_mut().for_each(|event| event.exchange(unit, with));
                }
                events.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        if let Effect::Progress { id, progress } = &effect {
            self.told.push(told(*id, progress));
        }
        if let Effect::Exchanged { unit, with } = effect {
            self.exchange(unit, with);
        }
        if let Effect::Note { unit, note } = &effect {
            let name = |unit: UnitId| self.engine.unit(unit).name().to_owned();
            self.noted.push(format!("{} {}", name(*unit), note.describe(&name)));
        }
        self.log.extend(self.words(&effect));
        match effect {
            Effect::Inspect { unit, spec, purpose } if self.inspections == Answer::Promptly => {
                let hooks = spec.program().map(|program| program.hooks.prepare.len());
                let prepare = vec![true; hooks.unwrap_or(0)];
                Some(Event::Inspected { unit, purpose, finding: Finding::Met { prepare } })
            }
            Effect::Spawn { unit, role, .. } if self.spawns == Answer::Promptly => {
                Some(self.spawned(unit, role))
            }
            Effect::ClearGroup { unit, group, .. } if self.groups == Answer::Promptly => {
                Some(Event::GroupGone { unit, group })
            }
            _ => None,
        }
    }

    /// What is known of two runs of a unit changes places.
    fn exchange(&mut self, unit: UnitId, with: UnitId) {
        let pids = std::mem::take(&mut self.pids).into_iter();
        let exchanged =
            |((owner, role), pid): ((UnitId, Role), Pid)| ((owner.counterpart(unit, with), role), pid);
        self.pids = pids.map(exchanged).collect();
    }

    fn spawned(&mut self, unit: UnitId, role: Role) -> Event {
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).unwrap();
        self.pids.insert((unit, role), pid);
        Event::Spawned { unit, role, pid }
    }

    fn words(&self, effect: &Effect) -> Option<String> {
        // A run that its unit does not show is its name with a prime.
        let prime = |unit: &UnitId| if self.engine.stands_for(*unit) == *unit { "" } else { "'" };
        let name = |unit: &UnitId| format!("{}{}", self.engine.unit(*unit).name(), prime(unit));
        Some(match effect {
            Effect::Changed { .. } | Effect::Progress { .. } | Effect::Note { .. } => return None,
            Effect::Inspect { spec, purpose: Purpose::Start, .. } => format!("inspect {}", spec.name),
            Effect::Inspect { unit, spec, purpose: Purpose::Trial } => {
                format!("inspect {}{} for trial", spec.name, prime(unit))
            }
            Effect::Spawn { unit, spec, role, .. } => {
                format!("spawn {}{} {}", spec.name, prime(unit), short(*role))
            }
            Effect::AwaitReadiness { unit } => format!("await {}", name(unit)),
            Effect::AwaitPidFile { unit } => format!("await-pid-file {}", name(unit)),
            Effect::ForgetReadiness { unit } => format!("forget {}", name(unit)),
            Effect::Signal { unit, scope: Scope::Process, signal, .. } => format!("{signal} {}", name(unit)),
            Effect::Signal { unit, scope: Scope::Group, signal, .. } => {
                format!("{signal} {} group", name(unit))
            }
            Effect::SettleRenders { unit, verdict } => format!("renders {} {verdict:?}", name(unit)),
            Effect::Probe { unit } => format!("probe {}", name(unit)),
            Effect::HeedOutput { unit } => format!("heed {}", name(unit)),
            Effect::ForgetProbe { unit } => format!("forget-probe {}", name(unit)),
            Effect::Forget { unit } if !prime(unit).is_empty() => format!("forget {}", name(unit)),
            Effect::Forget { unit } => format!("forget-id {}", unit.index()),
            Effect::Exchanged { unit, .. } => format!("exchanged {}", name(unit)),
            Effect::ClearGroup { unit, signal, .. } => format!("clear {} {signal}", name(unit)),
            Effect::CleanUp { unit, next } => format!("clean-up {} {next:?}", name(unit)),
            Effect::SignalEverybody { signal } => format!("everybody {signal}"),
            Effect::Reply { id, outcome } => format!("reply {} {}", id.0, self.outcome(outcome)),
            Effect::EssentialEnded { unit, code } => format!("essential-ended {} {code}", name(unit)),
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
            Outcome::Forgotten => "forgotten".into(),
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

    /// The unit, and what needs it, is stopped, hooks and all.
    pub(super) fn shutdown_of(&mut self, name: &str) {
        self.cascade(name);
        self.passes_as(name, Role::PreStop(0));
        self.dies(name);
        assert_eq!(self.phase(name), Phase::Stopped);
    }

    pub(super) fn restart(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Restart {
            units: self.ids(names),
            gate: Gate::Enforced,
            how: RestartHow::Together,
        })
    }

    pub(super) fn roll(&mut self, names: &str) -> Vec<String> {
        let (units, gate, how) = (self.ids(names), Gate::Enforced, RestartHow::Rolling);
        self.request(Request::Restart { units, gate, how })
    }

    /// The unit files say this now, and a boot would start all of them.
    pub(super) fn sync(&mut self, drafts: Vec<Draft>) -> Vec<String> {
        let definitions = definitions(drafts);
        self.request(Request::Sync { definitions, gate: Gate::Enforced })
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
        let error =
            SpawnError { stage: ExecStage::Fork, subject: String::new(), cause: spawn::Cause::Errno(errno) };
        self.feed(Event::SpawnFailed { unit: self.id(name), role, error });
        self.orders()
    }

    pub(super) fn found(&mut self, name: &str, finding: Finding) -> Vec<String> {
        self.feed(Event::Inspected { unit: self.id(name), purpose: Purpose::Start, finding });
        self.orders()
    }

    /// The main process that a unit shows.
    pub(super) fn pid(&self, name: &str) -> Option<Pid> {
        self.engine.unit(self.id(name)).main_pid()
    }

    pub(super) fn found_for_trial(&mut self, name: &str, finding: Finding) -> Vec<String> {
        self.feed(Event::Inspected { unit: self.id(name), purpose: Purpose::Trial, finding });
        self.orders()
    }

    /// The process of this role ends. What it printed is judged by its code alone.
    pub(super) fn ends(&mut self, name: &str, role: Role, status: ExitStatus) -> Vec<String> {
        let verdict = match status.is_success() {
            true => Verdict::Passed { number: None },
            false => {
                Verdict::Failed(Box::new(Complaint { cause: Cause::Status(status), output: Vec::new() }))
            }
        };
        self.judged(name, role, status, verdict)
    }

    fn judged(&mut self, name: &str, role: Role, status: ExitStatus, verdict: Verdict) -> Vec<String> {
        let unit = self.id(name);
        let pid = *self.pids.get(&(unit, role)).unwrap_or_else(|| panic!("{name} has no {role}"));
        self.feed(match role.is_judged() {
            true => Event::Judged { unit, role, pid, status, verdict },
            false => Event::Exited { unit, role, pid, status },
        });
        self.orders()
    }

    /// The process of this role fails, and has written these lines.
    pub(super) fn complains(&mut self, name: &str, role: Role, lines: &[&str]) -> Vec<String> {
        let status = ExitStatus::exited(1);
        let output = lines.iter().map(|line| (*line).to_owned()).collect();
        let complaint = Complaint { cause: Cause::Status(status), output };
        self.judged(name, role, status, Verdict::Failed(Box::new(complaint)))
    }

    /// The process of this role ends well.
    pub(super) fn passes_as(&mut self, name: &str, role: Role) -> Vec<String> {
        self.ends(name, role, ExitStatus::exited(0))
    }

    /// The process of this role fails.
    pub(super) fn fails_as(&mut self, name: &str, role: Role) -> Vec<String> {
        self.ends(name, role, ExitStatus::exited(1))
    }

    /// A hook printed this number, which is not the last one.
    pub(super) fn prints(&mut self, name: &str, hook: u16, number: f64) -> Vec<String> {
        let verdict = Verdict::NotYet { number: Number::new(number) };
        self.judged(name, Role::PreStop(hook), ExitStatus::exited(0), verdict)
    }

    /// A unit with all that was made of it is up.
    pub(super) fn up(drafts: Vec<Draft>, names: &str) -> Stage {
        let mut stage = stage(drafts);
        stage.start(names);
        for name in names.split_whitespace() {
            if stage.pids.contains_key(&(stage.id(name), Role::ConfigTest)) {
                stage.passes_as(name, Role::ConfigTest);
            }
            assert_eq!(stage.phase(name), Phase::Ready, "{name}");
        }
        stage.told();
        stage
    }

    /// What was told of the progress of requests since this was last asked.
    pub(super) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// What was noted of units since this was last asked.
    pub(super) fn noted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.noted)
    }

    pub(super) fn reload(&mut self, names: &str) -> Vec<String> {
        self.request(Request::Reload { units: self.ids(names), gate: Gate::Enforced })
    }

    pub(super) fn abandon(&mut self, request: u64) -> Vec<String> {
        self.request(Request::Abandon { request: RequestId(request) })
    }

    pub(super) fn forget(&mut self, request: u64) -> Vec<String> {
        self.request(Request::Forget { request: RequestId(request) })
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

/// Progress in a few words: `2 Testing`, `2 web Passed`, `2 db flush Began`.
fn told(id: RequestId, progress: &Progress) -> String {
    match progress {
        Progress::Phase(phase) => format!("{} {phase:?}", id.0),
        Progress::Tested { unit, passed } => format!("{} {unit} {passed:?}", id.0),
        Progress::Hook { unit, hook, news: HookNews::Measured { first, now }, .. } => {
            format!("{} {unit} {hook} {first} to {now}", id.0)
        }
        Progress::Hook { unit, hook, news, .. } => format!("{} {unit} {hook} {news:?}", id.0),
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

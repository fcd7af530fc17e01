//! Errands: what a transaction has done beside a unit, which meanwhile stays as it is.
//!
//! ```text
//!   begin_errand ─▶ Turn, Inspection ─▶ Process(role) ─▶ Pause, Settle, Probe ─▶ … ─▶ errand_over
//!                                         │ Ordered ⇄ Deferred                          ▲
//!                                         │ Running ─ limit ─▶ Killed ──────────────────┤
//!                                         └─ end_errand: killed, and waited for ────────┘
//! ```
//!
//! A unit has at most one. It is over when nothing of it runs any more: a process that was ordered is waited for
//! even when nobody wants it any longer, so that none outlives its errand. What the steps mean stands in `trial`,
//! `pre_stop` and `reload`; here is what all their processes have in common.

use std::rc::Rc;
use std::time::Duration;

use crate::model::unit::HOOK_TIMEOUT;
use crate::model::{ExitStatus, Moment, Number, Pid, SpawnError, Unit};

use super::Engine;
use super::effect::{Effect, Reason};
use super::event::{RequestId, Role, Trial, UnitId};
use super::failure::Failure;
use super::preparing::{deferral, hook_of};
use super::progress::Tested;
use super::state::{Due, Process};
use super::stopping::KILL_WAIT;
use super::verdict::{Cause, Complaint, Verdict};

/// Something that is done beside a unit.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) owner: Owner,
    /// The description that it follows; a sync tries another one than the unit runs with.
    pub(super) spec: Rc<Unit>,
    pub(super) reason: Reason,
    pub(super) task: Task,
    pub(super) doing: Doing,
    /// The process, or the inspection, of what is being done.
    pub(super) process: Process,
    /// When the time for what is being done is over.
    pub(super) limit: Moment,
    /// When the errand is looked at again.
    pub(super) deadline: Option<Moment>,
    /// What went wrong last and is tried again, until the limit.
    pub(super) last: Option<Failure>,
    /// The present hook has run, and found that it is not time yet.
    pub(super) repeats: bool,
    /// What it ends with, as soon as its process is gone.
    pub(super) end: Option<End>,
}

/// For whom an errand is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Request(RequestId),
    Shutdown,
}

/// What an errand is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Would the unit start? `due` are the prepare commands that have to run.
    Trial { due: Due },
    /// Its pre-stop hooks; `first` is the first number that the present one printed.
    PreStop { first: Option<Number> },
    /// The undo of these hooks, the last one first.
    Undo { left: Vec<u16> },
    /// It is told to read its configuration again; the words are what a probe last saw.
    Reload { words: String },
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// The unit's own start is at its preparations, which a trial must not meet.
    Turn,
    /// `Effect::Inspect` was ordered, or deferred.
    Inspection,
    /// A process.
    Process(Role),
    /// A while until the hook runs again; for `Role::Reload` until the next probe.
    Pause(Role),
    /// The reloaded process has to live on for a while.
    Settle,
    /// `Effect::Probe` was ordered.
    Probe,
}

/// How an errand ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All is well, or as good as that.
    Passed,
    /// A trial found no fault.
    Tested(Tested),
    Failed(Failure),
    /// Nobody wanted to know any longer.
    GivenUp,
}

/// What came of one process of an errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempted {
    Done(Option<Number>),
    NotYet(Option<Number>),
    Failed(Failure),
}

/// Is it a role of an errand's process?
pub(super) fn is_errands(role: Role) -> bool {
    match role {
        Role::Trial(_) | Role::PreStop(_) | Role::Undo(_) | Role::Reload | Role::ReloadVerify => true,
        Role::Condition
        | Role::Prepare(_)
        | Role::ConfigTest
        | Role::PreStart(_)
        | Role::Main
        | Role::PostStart(_)
        | Role::StopCommand
        | Role::PostStop(_) => false,
    }
}

impl Errand {
    /// How long the process of a role may take.
    pub(super) fn timeout(&self, role: Role) -> Duration {
        let Some(program) = self.spec.program() else { return HOOK_TIMEOUT };
        let hooks = &program.hooks;
        let found = match role {
            Role::Trial(Trial::ConfigTest) => program.configtest.as_ref().map(|test| test.timeout),
            Role::Trial(Trial::Prepare(place)) => {
                hook_of(hooks, Role::Prepare(place)).map(|hook| hook.timeout)
            }
            Role::PreStop(place) | Role::Undo(place) => {
                hooks.pre_stop.get(usize::from(place)).map(|hook| hook.timeout)
            }
            Role::Reload | Role::ReloadVerify => program.reload.as_ref().map(|reload| reload.timeout),
            _ => None,
        };
        found.unwrap_or(HOOK_TIMEOUT)
    }
}

impl Engine {
    pub(super) fn begin_errand(
        &mut self,
        unit: UnitId,
        owner: Owner,
        (spec, reason): (Rc<Unit>, Reason),
        task: Task,
    ) {
        let first = task.clone();
        let (doing, process, limit) = (Doing::Turn, Process::None, self.now);
        let (deadline, last, end) = (None, None, None);
        let errand =
            Errand { owner, spec, reason, task, doing, process, limit, deadline, last, repeats: false, end };
        self.errands.insert(unit, errand);
        match first {
            Task::Trial { .. } => self.begin_trial(unit),
            Task::PreStop { .. } => self.next_hook(unit, 0),
            Task::Undo { .. } => self.next_undo(unit),
            Task::Reload { .. } => self.begin_reload(unit),
        }
    }

    /// From now on this is being done, and looked at again at `deadline`.
    pub(super) fn do_next(&mut self, unit: UnitId, doing: Doing, process: Process, deadline: Option<Moment>) {
        if let Some(errand) = self.errands.get_mut(&unit) {
            (errand.doing, errand.process) = (doing, process);
        }
        self.arm_errand(unit, deadline);
    }

    /// The time for what follows begins.
    pub(super) fn begin_limit(&mut self, unit: UnitId, timeout: Duration) {
        let limit = self.now + timeout;
        if let Some(errand) = self.errands.get_mut(&unit) {
            errand.limit = limit;
        }
    }

    fn arm_errand(&mut self, unit: UnitId, to: Option<Moment>) {
        let Some(errand) = self.errands.get_mut(&unit) else { return };
        let from = std::mem::replace(&mut errand.deadline, to);
        self.errand_timers.change(unit, from, to);
    }

    pub(super) fn order_errand(&mut self, unit: UnitId, role: Role, tries: u16) {
        self.do_next(unit, Doing::Process(role), Process::Ordered(tries), None);
        let main = self.cell(unit).state.main();
        if let Some(Errand { spec, reason, .. }) = self.errands.get(&unit) {
            let (spec, reason) = (spec.clone(), *reason);
            self.do_this(Effect::Spawn { unit, spec, role, reason, main });
        }
    }

    pub(super) fn errand_spawned(&mut self, unit: UnitId, role: Role, pid: Pid) {
        let ordered = |errand: &&mut Errand| {
            errand.doing == Doing::Process(role) && matches!(errand.process, Process::Ordered(_))
        };
        let Some(errand) = self.errands.get_mut(&unit).filter(ordered) else { return self.impossible() };
        errand.process = Process::Running(pid);
        let (limit, is_ending) = (errand.limit, errand.end.is_some());
        if let Role::PreStop(hook) = role {
            self.hook_begun(unit, hook);
        }
        if is_ending {
            self.kill_errand(unit);
        } else {
            self.arm_errand(unit, Some(limit));
        }
    }

    pub(super) fn errand_spawn_failed(&mut self, unit: UnitId, role: Role, error: SpawnError) {
        let now = self.now;
        let Some(errand) = self.errands.get_mut(&unit) else { return self.impossible() };
        let Process::Ordered(tries) = errand.process else { return self.impossible() };
        let again = now + deferral(tries);
        if errand.end.is_some() {
            self.errand_gone(unit);
        } else if error.is_transient() && again < errand.limit {
            self.do_next(unit, Doing::Process(role), Process::Deferred(tries), Some(again));
        } else {
            errand.process = Process::None;
            self.attempted(unit, role, Attempted::Failed(Failure::Spawn { role, error }));
        }
    }

    /// A process of an errand ended whose code alone counts.
    pub(super) fn errand_exited(&mut self, unit: UnitId, role: Role, pid: Pid, status: ExitStatus) {
        let verdict = match status.is_success() {
            true => Verdict::Passed { number: None },
            false => {
                Verdict::Failed(Box::new(Complaint { cause: Cause::Status(status), output: Vec::new() }))
            }
        };
        self.errand_judged(unit, role, pid, verdict);
    }

    pub(super) fn errand_judged(&mut self, unit: UnitId, role: Role, pid: Pid, verdict: Verdict) {
        let own = |errand: &&mut Errand| errand.process.pid() == Some(pid);
        let Some(errand) = self.errands.get_mut(&unit).filter(own) else { return self.impossible() };
        let process = std::mem::replace(&mut errand.process, Process::None);
        if errand.end.is_some() {
            return self.errand_gone(unit);
        }
        let attempted = match (process, verdict) {
            (Process::Killed(_), verdict) => Attempted::Failed(Failure::TimedOut {
                role,
                after: errand.timeout(role),
                output: output_of(verdict),
            }),
            (_, Verdict::Passed { number }) => Attempted::Done(number),
            (_, Verdict::NotYet { number }) => Attempted::NotYet(number),
            (_, Verdict::Failed(complaint)) => Attempted::Failed(failure_of(&errand.spec, role, complaint)),
        };
        self.arm_errand(unit, None);
        self.attempted(unit, role, attempted);
    }

    fn attempted(&mut self, unit: UnitId, role: Role, attempted: Attempted) {
        match role {
            Role::Trial(trial) => self.tried(unit, trial, attempted),
            Role::PreStop(hook) => self.hook_ran(unit, hook, attempted),
            Role::Undo(hook) => self.undo_ran(unit, hook, attempted),
            Role::Reload => self.reload_ran(unit, attempted),
            Role::ReloadVerify => self.verified(unit, attempted),
            _ => self.impossible(),
        }
    }

    pub(super) fn errand_deadline(&mut self, unit: UnitId) {
        self.arm_errand(unit, None);
        let Some(errand) = self.errands.get(&unit) else { return };
        let (is_late, is_ending) = (errand.limit <= self.now, errand.end.is_some());
        match (errand.doing, errand.process) {
            (Doing::Turn, _) => self.turn_never_came(unit),
            (Doing::Inspection, Process::Deferred(tries)) => self.inspect_for_trial(unit, tries + 1),
            (Doing::Process(role), Process::Deferred(tries)) => self.order_errand(unit, role, tries + 1),
            (Doing::Process(_), Process::Running(_)) => self.kill_errand(unit),
            (Doing::Process(role), Process::Killed(_)) => {
                self.tally.given_up += 1;
                if is_ending {
                    return self.errand_gone(unit);
                }
                let after = errand.timeout(role);
                self.do_next(unit, Doing::Process(role), Process::None, None);
                self.attempted(
                    unit,
                    role,
                    Attempted::Failed(Failure::TimedOut { role, after, output: Vec::new() }),
                );
            }
            (Doing::Pause(Role::PreStop(hook)), _) => self.pause_over(unit, hook, is_late),
            (Doing::Pause(_), _) if is_late => self.unproven(unit),
            (Doing::Pause(_), _) => self.probe(unit),
            (Doing::Settle, _) if is_late => self.unproven(unit),
            (Doing::Settle, _) => self.probe(unit),
            (Doing::Probe, _) => self.unproven(unit),
            (Doing::Inspection | Doing::Process(_), _) => self.impossible(),
        }
    }

    fn kill_errand(&mut self, unit: UnitId) {
        let Some(errand) = self.errands.get_mut(&unit) else { return };
        let Process::Running(pid) = errand.process else { return };
        errand.process = Process::Killed(pid);
        self.kill_group(unit, pid);
        self.arm_errand(unit, Some(self.now + KILL_WAIT));
    }

    /// The errand ends with this, once nothing of it runs any more; what does is killed.
    pub(super) fn end_errand(&mut self, unit: UnitId, end: End) {
        let Some(errand) = self.errands.get_mut(&unit) else { return };
        errand.end = Some(end);
        match (errand.process, errand.doing) {
            (Process::Ordered(_) | Process::Killed(_), _) => {}
            (Process::Running(_), _) => self.kill_errand(unit),
            (_, Doing::Probe) => {
                self.do_this(Effect::ForgetProbe { unit });
                self.errand_gone(unit);
            }
            _ => self.errand_gone(unit),
        }
    }

    fn errand_gone(&mut self, unit: UnitId) {
        self.arm_errand(unit, None);
        let Some(errand) = self.errands.remove(&unit) else { return };
        let reload = errand.spec.program().and_then(|program| program.reload.as_ref());
        if matches!(errand.task, Task::Reload { .. }) && reload.is_some_and(|r| r.fail_output.is_some()) {
            self.do_this(Effect::ForgetProbe { unit });
        }
        // Its stop, or its start, may have waited for this.
        self.look_at(unit);
        self.overlap_sees(unit);
        self.errand_over(unit, errand.owner, errand.end.unwrap_or(End::GivenUp));
    }

    /// A unit goes into another state: what is done beside it may have waited for that, or be of no use any more.
    pub(super) fn errand_sees(&mut self, unit: UnitId, was_serving: bool) {
        let Some(errand) = self.errands.get(&unit).filter(|errand| errand.end.is_none()) else { return };
        let state = self.cell(unit).state;
        let is_lost = was_serving && !state.is_serving();
        match errand.task {
            Task::Trial { .. } if errand.doing == Doing::Turn && !state.is_preparing() => {
                self.inspect_for_trial(unit, 0);
            }
            Task::PreStop { .. } if is_lost => self.end_errand(unit, End::Passed),
            Task::Reload { .. } if is_lost => {
                let failure = self.reload_ended(unit);
                self.end_errand(unit, End::Failed(failure));
            }
            Task::Trial { .. } | Task::PreStop { .. } | Task::Undo { .. } | Task::Reload { .. } => {}
        }
    }

    /// A unit that is about to stop: its hooks end first. True when there are none any more.
    pub(super) fn end_hooks(&mut self, unit: UnitId) -> bool {
        let hooks = |errand: &Errand| matches!(errand.task, Task::PreStop { .. } | Task::Undo { .. });
        if self.errands.get(&unit).is_some_and(hooks) {
            self.end_errand(unit, End::Passed);
        }
        !self.errands.get(&unit).is_some_and(hooks)
    }
}

/// What a process that was killed had written.
pub(super) fn output_of(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Failed(complaint) => complaint.output,
        Verdict::Passed { .. } | Verdict::NotYet { .. } => Vec::new(),
    }
}

fn failure_of(spec: &Unit, role: Role, complaint: Box<Complaint>) -> Failure {
    let condition = spec.program().and_then(|program| program.require.condition.as_ref());
    match (role, &complaint.cause, condition) {
        (Role::Trial(Trial::Condition), Cause::Status(status), Some(command)) => {
            Failure::Unmet(format!("the condition '{command}' {status}"))
        }
        (Role::Trial(Trial::Condition | Trial::Prepare(_)), Cause::Status(status), _) => {
            Failure::Exited { role, status: *status, before_ready: true }
        }
        _ => Failure::Judged { role, complaint },
    }
}

//! Before the main process: inspect, condition, prepare commands, configuration test, pre-start hooks.
//!
//! ```text
//!   Waiting ─ begin ─▶ Inspecting ─ Met ─▶ Preparing(role) ─▶ … ─▶ order_main
//!      ▲                                       │ a need is gone: wait anew
//!      └───────────────────────────────────────┘
//! ```
//!
//! A process that cannot be created because something ran out is tried again after a short wait, for
//! ever: that says nothing about the unit and does not count as its failure.

use std::time::Duration;

use crate::model::unit::{HOOK_TIMEOUT, Hook, Hooks, OnFailure, Program};
use crate::model::{ExitStatus, Pid, Signal, SpawnError};

use super::Engine;
use super::effect::{Effect, Scope};
use super::errand::output_of;
use super::event::{Finding, Purpose, Role, UnitId};
use super::failure::Failure;
use super::state::{Attempt, Due, Ending, Process, State};
use super::stopping::KILL_WAIT;
use super::verdict::Verdict;

/// The first wait after a process could not be created. Memory that ran out is often there again after a
/// moment, and a service shall be up within a second of it.
const DEFERRAL: Duration = Duration::from_millis(50);

/// The longest such wait: two tries a second cost next to nothing.
const MAX_DEFERRAL: Duration = Duration::from_millis(500);

/// How long a deferred process waits before its next try.
pub(super) fn deferral(tries: u16) -> Duration {
    DEFERRAL.saturating_mul(1 << tries.min(4)).min(MAX_DEFERRAL)
}

impl Engine {
    /// All that the unit waits for is there.
    pub(super) fn begin(&mut self, unit: UnitId, attempt: Attempt) {
        if self.cell(unit).program().is_none() {
            return self.up(unit, State::Ready { main: None });
        }
        if attempt == Attempt::Restart {
            self.count_restart(unit);
        }
        self.cell_mut(unit).kept = false;
        if let Some(notes) = self.notes.get_mut(&unit) {
            notes.passed_over = None;
        }
        self.inspect(unit, 0);
    }

    fn inspect(&mut self, unit: UnitId, tries: u16) {
        self.enter(unit, State::Inspecting { inspection: Process::Ordered(tries) });
        let Some(spec) = self.cell(unit).unit().cloned() else { return };
        // The files of a successor are those of the process that serves until it is ready.
        let purpose = if self.is_successor(unit) { Purpose::Trial } else { Purpose::Start };
        self.do_this(Effect::Inspect { unit, spec, purpose });
    }

    pub(super) fn inspected(&mut self, unit: UnitId, inspection: Process, finding: Finding) {
        match finding {
            Finding::Failed(error) => self.inspection_failed(unit, inspection, error),
            Finding::Met { prepare } => self.prepare_after(unit, None, Due::from_flags(&prepare)),
            Finding::Unmet(words) => self.run_failed(unit, Failure::Unmet(words)),
            Finding::Skip(words) => {
                self.notes.entry(unit).or_default().skipped = Some(words);
                self.up(unit, State::Skipped);
            }
        }
    }

    fn inspection_failed(&mut self, unit: UnitId, inspection: Process, error: SpawnError) {
        match (inspection, error.is_transient()) {
            (Process::Ordered(tries), true) => {
                self.note_wanting(unit, error);
                self.enter(unit, State::Inspecting { inspection: Process::Deferred(tries) });
                self.arm(unit, deferral(tries));
            }
            _ => self.run_failed(unit, Failure::Spawn { role: Role::Main, error }),
        }
    }

    pub(super) fn inspect_again(&mut self, unit: UnitId, inspection: Process) {
        match inspection {
            Process::Deferred(_) if self.lacks_a_need(unit) => self.wait_anew(unit),
            Process::Deferred(tries) => self.inspect(unit, tries.saturating_add(1)),
            _ => self.impossible(),
        }
    }

    /// Orders what comes after `after`; before each process the needs are looked at anew.
    pub(super) fn prepare_after(&mut self, unit: UnitId, after: Option<Role>, due: Due) {
        let cell = self.cell(unit);
        let Some(program) = cell.program() else { return };
        match next_role(program, cell.tested, after, due) {
            Some(role) => self.order_preparing(unit, role, due, 0),
            None => self.order_main(unit, 0),
        }
    }

    /// A unit that it needs went away while it prepared: it waits, and then begins from the start.
    pub(super) fn wait_anew(&mut self, unit: UnitId) {
        self.drop_groups(unit);
        self.enter(unit, State::Waiting { attempt: Attempt::Wished });
        self.look_at(unit);
    }

    fn order_preparing(&mut self, unit: UnitId, role: Role, due: Due, tries: u16) {
        if self.lacks_a_need(unit) {
            return self.wait_anew(unit);
        }
        self.enter(unit, State::Preparing { role, due, process: Process::Ordered(tries) });
        self.order(unit, role, None);
    }

    pub(super) fn preparing_spawned(
        &mut self,
        unit: UnitId,
        role: Role,
        due: Due,
        process: Process,
        pid: Pid,
    ) {
        let Process::Ordered(_) = process else { return self.impossible() };
        self.amend(unit, State::Preparing { role, due, process: Process::Running(pid) });
        self.arm(unit, self.hook_timeout(unit, role));
    }

    pub(super) fn preparing_spawn_failed(
        &mut self,
        unit: UnitId,
        role: Role,
        due: Due,
        process: Process,
        error: SpawnError,
    ) {
        let Process::Ordered(tries) = process else { return self.impossible() };
        if error.is_transient() {
            self.note_wanting(unit, error);
            self.enter(unit, State::Preparing { role, due, process: Process::Deferred(tries) });
            return self.arm(unit, deferral(tries));
        }
        self.preparation_failed(unit, role, due, Failure::Spawn { role, error });
    }

    pub(super) fn preparing_exited(
        &mut self,
        unit: UnitId,
        role: Role,
        due: Due,
        process: Process,
        pid: Pid,
        status: ExitStatus,
    ) {
        if process.pid() != Some(pid) {
            return self.impossible();
        }
        if let Process::Killed(_) = process {
            let after = self.hook_timeout(unit, role);
            return self.preparation_failed(
                unit,
                role,
                due,
                Failure::TimedOut { role, after, output: Vec::new() },
            );
        }
        if status.is_success() {
            return self.prepare_after(unit, Some(role), due);
        }
        let failure = match (role, self.cell(unit).program().and_then(|p| p.require.condition.as_ref())) {
            (Role::Condition, Some(command)) => Failure::Unmet(format!("the condition '{command}' {status}")),
            _ => Failure::Exited { role, status, before_ready: true },
        };
        self.preparation_failed(unit, role, due, failure);
    }

    /// The configuration test of a start ended.
    pub(super) fn preparing_judged(
        &mut self,
        unit: UnitId,
        role: Role,
        due: Due,
        process: Process,
        pid: Pid,
        verdict: Verdict,
    ) {
        if process.pid() != Some(pid) {
            return self.impossible();
        }
        match (process, verdict) {
            (Process::Killed(_), verdict) => {
                let (after, output) = (self.hook_timeout(unit, role), output_of(verdict));
                let failure = Failure::TimedOut { role, after, output };
                self.note_test(unit, Some(failure.clone()));
                self.preparation_failed(unit, role, due, failure);
            }
            (_, Verdict::Failed(complaint)) => {
                let failure = Failure::Judged { role, complaint };
                self.note_test(unit, Some(failure.clone()));
                self.preparation_failed(unit, role, due, failure);
            }
            (_, Verdict::Passed { .. } | Verdict::NotYet { .. }) => {
                self.note_test(unit, None);
                self.prepare_after(unit, Some(role), due);
            }
        }
    }

    pub(super) fn preparing_deadline(&mut self, unit: UnitId, role: Role, due: Due, process: Process) {
        match process {
            Process::Deferred(tries) => self.order_preparing(unit, role, due, tries.saturating_add(1)),
            Process::Running(pid) => {
                self.kill_group(unit, pid);
                self.amend(unit, State::Preparing { role, due, process: Process::Killed(pid) });
                self.arm(unit, KILL_WAIT);
            }
            Process::Killed(_) => {
                self.tally.given_up += 1;
                let after = self.hook_timeout(unit, role);
                self.preparation_failed(
                    unit,
                    role,
                    due,
                    Failure::TimedOut { role, after, output: Vec::new() },
                );
            }
            Process::None | Process::Ordered(_) | Process::Gone(_) => self.impossible(),
        }
    }

    fn preparation_failed(&mut self, unit: UnitId, role: Role, due: Due, failure: Failure) {
        let hook = self.cell(unit).program().and_then(|program| hook_of(&program.hooks, role));
        if hook.is_some_and(|hook| hook.on_failure == OnFailure::Continue) {
            self.pass_over(unit, failure);
            return self.prepare_after(unit, Some(role), due);
        }
        match failure {
            Failure::Unmet(_) => self.run_failed(unit, failure),
            failure => {
                self.note_failure(unit, failure);
                self.clear_group(unit, None, Ending::Failed);
            }
        }
    }

    /// Something ran out; the start is tried again.
    pub(super) fn note_wanting(&mut self, unit: UnitId, error: SpawnError) {
        self.notes.entry(unit).or_default().wanting = Some(error);
    }

    /// How long a hook may take. The condition has no key of its own for it.
    pub(super) fn hook_timeout(&self, unit: UnitId, role: Role) -> Duration {
        let Some(program) = self.cell(unit).program() else { return HOOK_TIMEOUT };
        match (role, &program.configtest) {
            (Role::ConfigTest, Some(test)) => test.timeout,
            _ => hook_of(&program.hooks, role).map_or(HOOK_TIMEOUT, |hook| hook.timeout),
        }
    }

    /// Sends KILL to a process of the unit and all in the group that it leads.
    pub(super) fn kill_group(&mut self, unit: UnitId, pid: Pid) {
        self.do_this(Effect::Signal { unit, pid, scope: Scope::Group, signal: Signal::KILL });
    }
}

/// The hook of a role.
pub(super) fn hook_of(hooks: &Hooks, role: Role) -> Option<&Hook> {
    match role {
        Role::Prepare(place) => hooks.prepare.get(usize::from(place)),
        Role::PreStart(place) => hooks.pre_start.get(usize::from(place)),
        Role::PostStart(place) => hooks.post_start.get(usize::from(place)),
        Role::PostStop(place) => hooks.post_stop.get(usize::from(place)),
        Role::Condition
        | Role::ConfigTest
        | Role::Trial(_)
        | Role::Main
        | Role::Reload
        | Role::ReloadVerify
        | Role::PreStop(_)
        | Role::Undo(_)
        | Role::StopCommand => None,
    }
}

/// What runs before the main process, after `after`; `None` when the main process is next.
fn next_role(program: &Program, is_tested: bool, after: Option<Role>, due: Due) -> Option<Role> {
    let prepare_from = match after {
        None if program.require.condition.is_some() => return Some(Role::Condition),
        None | Some(Role::Condition) => Some(0),
        Some(Role::Prepare(place)) => Some(place.saturating_add(1)),
        Some(_) => None,
    };
    let places = |list: &[Hook]| u16::try_from(list.len()).unwrap_or(u16::MAX);
    if let Some(from) = prepare_from {
        let mut rest = from..places(&program.hooks.prepare);
        if let Some(place) = rest.find(|place| due.has(usize::from(*place))) {
            return Some(Role::Prepare(place));
        }
    }
    let is_past = matches!(after, Some(Role::ConfigTest | Role::PreStart(_)));
    if !is_past && !is_tested && program.configtest.is_some() {
        return Some(Role::ConfigTest);
    }
    let next = match after {
        Some(Role::PreStart(place)) => place.saturating_add(1),
        _ => 0,
    };
    (next < places(&program.hooks.pre_start)).then_some(Role::PreStart(next))
}

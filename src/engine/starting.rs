//! From the main process to ready: spawn it, see it ready, run the post-start hooks.
//!
//! ```text
//!   Starting ─ spawned ─▶ awaiting: readiness, pid file, both ─ shown ─▶ PostStarting(hook) ─▶ … ─▶ Ready
//!                         awaiting: exit (a task) ─ exited 0, group cleared ─▶ … ─▶ Done
//! ```

use std::time::Duration;

use crate::model::unit::{Kind, OnFailure, Program, Readiness};
use crate::model::{ExitStatus, Pid, SpawnError};

use super::Engine;
use super::effect::Effect;
use super::event::{Role, UnitId};
use super::failure::Failure;
use super::preparing::{deferral, hook_of};
use super::resting::After;
use super::state::{Awaiting, Ending, Process, State};
use super::stopping::KILL_WAIT;

/// How much later than its deadline a timeout can come and still be the one that the unit names.
const SLACK: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) fn order_main(&mut self, unit: UnitId, tries: u16) {
        if self.lacks_a_need(unit) {
            return self.wait_anew(unit);
        }
        let awaiting = self.cell(unit).unit().map_or(Awaiting::Exit, |unit| match &unit.kind {
            Kind::Service(program) => awaited(program),
            Kind::Task(_) | Kind::Target => Awaiting::Exit,
        });
        self.cell_mut(unit).tested = false;
        self.enter(unit, State::Starting { main: Process::Ordered(tries), awaiting });
        self.order(unit, Role::Main, None);
    }

    /// Orders a process.
    pub(super) fn order(&mut self, unit: UnitId, role: Role, main: Option<Pid>) {
        let Some(spec) = self.cell(unit).unit().cloned() else { return };
        let reason = match role {
            Role::StopCommand | Role::PostStop(_) => self.stop_reason(unit),
            _ => self.cell(unit).reason,
        };
        self.do_this(Effect::Spawn { unit, spec, role, reason, main });
    }

    pub(super) fn main_spawned(&mut self, unit: UnitId, main: Process, pid: Pid) {
        let (Process::Ordered(_), State::Starting { awaiting, .. }) = (main, self.cell(unit).state) else {
            return self.impossible();
        };
        let Some(program) = self.cell(unit).program() else { return };
        let (timeout, probed) = (program.ready.timeout, program.ready.how != Readiness::Exec);
        match awaiting {
            Awaiting::Readiness if !probed => return self.shown(unit, pid),
            Awaiting::PidFile | Awaiting::Both => self.do_this(Effect::AwaitPidFile { unit }),
            Awaiting::Readiness | Awaiting::Exit => {}
        }
        if let Awaiting::Readiness | Awaiting::Both = awaiting {
            self.do_this(Effect::AwaitReadiness { unit });
        }
        self.amend(unit, State::Starting { main: Process::Running(pid), awaiting });
        if awaiting != Awaiting::Exit {
            self.arm(unit, timeout);
        }
    }

    pub(super) fn main_spawn_failed(
        &mut self,
        unit: UnitId,
        main: Process,
        awaiting: Awaiting,
        error: SpawnError,
    ) {
        let Process::Ordered(tries) = main else { return self.impossible() };
        if error.is_transient() {
            self.note_wanting(unit, error);
            self.enter(unit, State::Starting { main: Process::Deferred(tries), awaiting });
            return self.arm(unit, deferral(tries));
        }
        self.note_failure(unit, Failure::Spawn { role: Role::Main, error });
        self.clear_group(unit, None, Ending::Failed);
    }

    #[allow(clippy::too_many_arguments, reason = "the data of a state and of an input, from the table")]
    pub(super) fn starting_exited(
        &mut self,
        unit: UnitId,
        main: Process,
        awaiting: Awaiting,
        role: Role,
        pid: Pid,
        status: ExitStatus,
    ) {
        if role != Role::Main || main.pid() != Some(pid) {
            // A main process that named another one may end at any time.
            return;
        }
        self.note_end(unit, status);
        let code_ok = self.restarts_after(unit, status) == After::Ended;
        match awaiting {
            Awaiting::Exit if status.is_success() || code_ok => {
                self.clear_group(unit, Some(pid), Ending::Completed);
            }
            Awaiting::PidFile | Awaiting::Both if status.is_success() => {
                self.amend(unit, State::Starting { main: Process::Gone(pid), awaiting });
            }
            Awaiting::Exit | Awaiting::PidFile | Awaiting::Both | Awaiting::Readiness => {
                let before_ready = awaiting != Awaiting::Exit;
                self.note_failure(unit, Failure::Exited { role, status, before_ready });
                self.forget_readiness(unit, awaiting);
                self.clear_group(unit, Some(pid), Ending::Failed);
            }
        }
    }

    pub(super) fn starting_ready(&mut self, unit: UnitId, main: Process, awaiting: Awaiting) {
        match (awaiting, main) {
            (Awaiting::Readiness, Process::Running(pid)) => self.shown(unit, pid),
            (Awaiting::Both, _) => self.amend(unit, State::Starting { main, awaiting: Awaiting::PidFile }),
            _ => {}
        }
    }

    pub(super) fn starting_main_changed(
        &mut self,
        unit: UnitId,
        main: Process,
        awaiting: Awaiting,
        pid: Pid,
    ) {
        if let Process::Running(old) = main {
            self.hand_over(unit, old, pid);
        }
        match (awaiting, main) {
            (_, Process::None | Process::Ordered(_) | Process::Deferred(_) | Process::Killed(_)) => {
                self.impossible()
            }
            (Awaiting::PidFile, Process::Running(_) | Process::Gone(_)) => self.shown(unit, pid),
            (Awaiting::Both, Process::Running(_) | Process::Gone(_)) => {
                self.amend(
                    unit,
                    State::Starting { main: Process::Running(pid), awaiting: Awaiting::Readiness },
                );
            }
            (Awaiting::Readiness | Awaiting::Exit, Process::Running(_) | Process::Gone(_)) => {
                self.amend(unit, State::Starting { main: Process::Running(pid), awaiting });
            }
        }
    }

    pub(super) fn extend_start(&mut self, unit: UnitId, main: Process, by: Duration) {
        let until = self.now + by;
        match (self.cell(unit).deadline, main) {
            (Some(deadline), Process::Running(_) | Process::Gone(_)) if deadline < until => {
                self.arm(unit, by)
            }
            _ => {}
        }
    }

    pub(super) fn starting_deadline(&mut self, unit: UnitId, main: Process, awaiting: Awaiting) {
        match main {
            Process::Deferred(tries) => self.order_main(unit, tries.saturating_add(1)),
            Process::Running(_) | Process::Gone(_) => {
                let waited = self.now.since(self.cell(unit).since);
                let timeout = self.cell(unit).program().map_or(waited, |program| program.ready.timeout);
                // The loop looks at the clock a moment late; only what the daemon asked for in addition is told.
                let is_extended = waited > timeout + SLACK;
                let after = if is_extended { waited } else { timeout };
                self.note_failure(unit, Failure::NotReady { after });
                self.forget_readiness(unit, awaiting);
                self.begin_stop(unit, main, Process::None, Ending::Failed);
            }
            Process::None | Process::Ordered(_) | Process::Killed(_) => self.impossible(),
        }
    }

    pub(super) fn forget_readiness(&mut self, unit: UnitId, awaiting: Awaiting) {
        if awaiting != Awaiting::Exit {
            self.do_this(Effect::ForgetReadiness { unit });
        }
    }

    /// A service has shown what was awaited.
    fn shown(&mut self, unit: UnitId, main: Pid) {
        self.post_start(unit, Some(main), 0);
    }

    /// The post-start hook of this place; after the last one the unit is up.
    pub(super) fn post_start(&mut self, unit: UnitId, main: Option<Pid>, hook: u16) {
        let there =
            self.cell(unit).program().is_some_and(|p| p.hooks.post_start.get(usize::from(hook)).is_some());
        match (there, main) {
            (true, _) => self.order_post_start(unit, main, hook, 0),
            (false, Some(_)) => self.up(unit, State::Ready { main }),
            (false, None) => self.up(unit, State::Done),
        }
    }

    fn order_post_start(&mut self, unit: UnitId, main: Option<Pid>, hook: u16, tries: u16) {
        self.enter(unit, State::PostStarting { main, hook, process: Process::Ordered(tries) });
        self.order(unit, Role::PostStart(hook), main);
    }

    pub(super) fn post_start_spawned(
        &mut self,
        unit: UnitId,
        main: Option<Pid>,
        hook: u16,
        process: Process,
        pid: Pid,
    ) {
        let Process::Ordered(_) = process else { return self.impossible() };
        self.amend(unit, State::PostStarting { main, hook, process: Process::Running(pid) });
        self.arm(unit, self.hook_timeout(unit, Role::PostStart(hook)));
    }

    pub(super) fn post_start_spawn_failed(
        &mut self,
        unit: UnitId,
        main: Option<Pid>,
        hook: u16,
        process: Process,
        error: SpawnError,
    ) {
        let Process::Ordered(tries) = process else { return self.impossible() };
        if error.is_transient() {
            self.amend(unit, State::PostStarting { main, hook, process: Process::Deferred(tries) });
            return self.arm(unit, deferral(tries));
        }
        self.post_start_failed(unit, main, hook, Failure::Spawn { role: Role::PostStart(hook), error });
    }

    #[allow(clippy::too_many_arguments, reason = "the data of a state and of an input, from the table")]
    pub(super) fn post_start_exited(
        &mut self,
        unit: UnitId,
        main: Option<Pid>,
        hook: u16,
        process: Process,
        pid: Pid,
        status: ExitStatus,
    ) {
        let role = Role::PostStart(hook);
        if main == Some(pid) {
            self.note_end(unit, status);
            self.note_failure(unit, Failure::Exited { role: Role::Main, status, before_ready: true });
            return self.kill_all(unit, Process::Gone(pid), process, Ending::Failed);
        }
        match process {
            Process::Killed(own) if own == pid => {
                let after = self.hook_timeout(unit, role);
                self.post_start_failed(
                    unit,
                    main,
                    hook,
                    Failure::TimedOut { role, after, output: Vec::new() },
                );
            }
            Process::Running(own) if own == pid && status.is_success() => {
                self.post_start(unit, main, hook.saturating_add(1));
            }
            Process::Running(own) if own == pid => {
                self.post_start_failed(
                    unit,
                    main,
                    hook,
                    Failure::Exited { role, status, before_ready: true },
                );
            }
            // A main process that named another one may end at any time.
            _ => {}
        }
    }

    pub(super) fn post_start_deadline(
        &mut self,
        unit: UnitId,
        main: Option<Pid>,
        hook: u16,
        process: Process,
    ) {
        match process {
            Process::Deferred(tries) => self.order_post_start(unit, main, hook, tries.saturating_add(1)),
            Process::Running(pid) => {
                self.kill_group(unit, pid);
                self.amend(unit, State::PostStarting { main, hook, process: Process::Killed(pid) });
                self.arm(unit, KILL_WAIT);
            }
            Process::Killed(_) => {
                self.tally.given_up += 1;
                let after = self.hook_timeout(unit, Role::PostStart(hook));
                self.post_start_failed(
                    unit,
                    main,
                    hook,
                    Failure::TimedOut { role: Role::PostStart(hook), after, output: Vec::new() },
                );
            }
            Process::None | Process::Ordered(_) | Process::Gone(_) => self.impossible(),
        }
    }

    fn post_start_failed(&mut self, unit: UnitId, main: Option<Pid>, hook: u16, failure: Failure) {
        let role = Role::PostStart(hook);
        let own = self.cell(unit).program().and_then(|program| hook_of(&program.hooks, role));
        if own.is_some_and(|hook| hook.on_failure == OnFailure::Continue) {
            self.pass_over(unit, failure);
            return self.post_start(unit, main, hook.saturating_add(1));
        }
        self.note_failure(unit, failure);
        self.begin_stop(unit, main.map_or(Process::None, Process::Running), Process::None, Ending::Failed);
    }

    /// The unit is up.
    pub(super) fn up(&mut self, unit: UnitId, state: State) {
        self.cell_mut(unit).failure = None;
        self.enter(unit, state);
    }
}

/// What a service has to show, once its process runs. `Readiness` stands for `Readiness::Exec` too: the
/// process has only to run for that.
fn awaited(program: &Program) -> Awaiting {
    match (&program.process.pid_file, &program.ready.how) {
        (None, _) => Awaiting::Readiness,
        (Some(_), Readiness::Exec) => Awaiting::PidFile,
        (Some(_), _) => Awaiting::Both,
    }
}

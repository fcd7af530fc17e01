//! The way down: stop command, stop signals with their waits, KILL.
//!
//! ```text
//!   begin_stop ─ a hook runs ─▶ HookKilled ─▶ Command ─▶ Settling ─▶ Step(0) ─▶ … ─▶ KILL ─▶ clear_group
//!                                                │ late: CommandKilled ─▲       └─ kill = "never": Unhurried
//!                                                └────────────── the main process ended ───────▲
//! ```

use std::time::Duration;

use crate::model::unit::{Kill, Readiness};
use crate::model::{ExitStatus, Pid, Signal, SpawnError};

use super::Engine;
use super::effect::{Effect, Reason, Scope};
use super::event::{Role, UnitId};
use super::failure::Failure;
use super::note::Note;
use super::state::{Awaiting, Ending, Process, State, StopStage, Wanted};

/// How long a process may take to end after KILL. What takes longer is held by the kernel (a dead disk
/// or network file system), and waiting does not help.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(5);

impl Engine {
    pub(super) fn stop_inspecting(&mut self, unit: UnitId, inspection: Process) {
        match inspection {
            Process::Ordered(_) => self.enter(
                unit,
                State::Stopping {
                    main: Process::None,
                    helper: Process::None,
                    stage: StopStage::Inspecting,
                    ending: Ending::Told,
                },
            ),
            _ => self.finish(unit, Ending::Told),
        }
    }

    pub(super) fn stop_preparing(&mut self, unit: UnitId, process: Process) {
        self.kill_all(unit, Process::None, process, Ending::Told);
    }

    pub(super) fn stop_starting(&mut self, unit: UnitId, main: Process, awaiting: Awaiting) {
        if let Process::Running(_) | Process::Gone(_) = main {
            self.forget_readiness(unit, awaiting);
        }
        self.begin_stop(unit, main, Process::None, Ending::Told);
    }

    pub(super) fn stop_post_starting(&mut self, unit: UnitId, main: Option<Pid>, process: Process) {
        self.begin_stop(unit, main.map_or(Process::None, Process::Running), process, Ending::Told);
    }

    pub(super) fn stop_ready(&mut self, unit: UnitId, main: Option<Pid>) {
        match main {
            Some(pid) => self.begin_stop(unit, Process::Running(pid), Process::None, Ending::Told),
            None => self.rest(unit),
        }
    }

    pub(super) fn stop_done(&mut self, unit: UnitId) {
        self.clear_group(unit, None, Ending::Told);
    }

    /// A stop begins: first what runs beside the main process has to go.
    pub(super) fn begin_stop(&mut self, unit: UnitId, main: Process, helper: Process, ending: Ending) {
        if self.is_hurried() && self.kill_policy(unit) != Kill::Never {
            return self.kill_all(unit, main, helper, ending);
        }
        if !helper.is_there() {
            return self.ask_to_stop(unit, main, ending);
        }
        let helper = self.kill_helper(unit, helper);
        self.enter(unit, State::Stopping { main, helper, stage: StopStage::HookKilled, ending });
        self.arm(unit, KILL_WAIT);
    }

    /// The stop command; a start that failed goes without it, there is nothing that could answer.
    fn ask_to_stop(&mut self, unit: UnitId, main: Process, ending: Ending) {
        let stop = self.cell(unit).program().map(|program| &program.stop);
        let command = stop.filter(|stop| stop.exec.is_some()).map(|stop| stop.exec_timeout);
        match (main, command) {
            (Process::Ordered(_), _) => {
                let (helper, stage) = (Process::None, StopStage::Spawning);
                self.enter(unit, State::Stopping { main, helper, stage, ending });
            }
            (Process::Running(pid), Some(timeout)) if ending == Ending::Told => {
                let (helper, stage) = (Process::Ordered(0), StopStage::Command);
                self.enter(unit, State::Stopping { main, helper, stage, ending });
                self.order(unit, Role::StopCommand, Some(pid));
                self.arm(unit, timeout);
            }
            _ => self.stop_step(unit, main, 0, ending),
        }
    }

    /// The stop signal of this place; after the last one comes KILL.
    fn stop_step(&mut self, unit: UnitId, main: Process, place: u16, ending: Ending) {
        let pid = match main {
            Process::Running(pid) => pid,
            Process::Gone(pid) => return self.clear_group(unit, Some(pid), ending),
            _ => return self.clear_group(unit, None, ending),
        };
        let step = self.step_of(unit, place);
        match step {
            Some(step) => {
                let stage = StopStage::Step(place);
                self.enter(unit, State::Stopping { main, helper: Process::None, stage, ending });
                self.do_this(Effect::Signal { unit, pid, scope: Scope::Process, signal: step.signal });
                self.arm(unit, step.wait);
            }
            None if self.kill_policy(unit) == Kill::Never => {
                let stage = StopStage::Unhurried;
                self.enter(unit, State::Stopping { main, helper: Process::None, stage, ending });
            }
            None => {
                self.note_kill(unit);
                self.kill_all(unit, main, Process::None, ending);
            }
        }
    }

    fn step_of(&self, unit: UnitId, place: u16) -> Option<crate::model::unit::StopStep> {
        self.cell(unit).program()?.stop.steps.get(usize::from(place)).copied()
    }

    pub(super) fn kill_policy(&self, unit: UnitId) -> Kill {
        self.cell(unit).program().map_or(Kill::Group, |program| program.stop.kill)
    }

    /// Why a stop command or a post-stop hook runs.
    pub(super) fn stop_reason(&self, unit: UnitId) -> Reason {
        let cell = self.cell(unit);
        match cell.wanted {
            _ if self.closing.is_some() => Reason::Shutdown,
            Wanted::Down if self.is_replaced(unit) => Reason::Restart,
            Wanted::Up if cell.doom.is_none() => Reason::Restart,
            Wanted::Up | Wanted::Down => Reason::Stop,
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the data of a state and of an input, from the table")]
    pub(super) fn stopping_spawned(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        stage: StopStage,
        ending: Ending,
        role: Role,
        pid: Pid,
    ) {
        match (role, main, helper, stage) {
            (Role::Main, Process::Ordered(_), _, _) => {
                self.begin_stop(unit, Process::Running(pid), helper, ending);
            }
            (_, _, Process::Ordered(_), StopStage::Command) => {
                self.amend(unit, State::Stopping { main, helper: Process::Running(pid), stage, ending });
            }
            (_, _, Process::Ordered(_), _) => {
                let helper = self.kill_helper(unit, Process::Running(pid));
                self.amend(unit, State::Stopping { main, helper, stage, ending });
                self.arm(unit, KILL_WAIT);
            }
            _ => self.impossible(),
        }
    }

    pub(super) fn stopping_spawn_failed(
        &mut self,
        unit: UnitId,
        main: Process,
        stage: StopStage,
        ending: Ending,
        role: Role,
        error: SpawnError,
    ) {
        if role == Role::StopCommand && stage == StopStage::Command {
            self.pass_over(unit, Failure::Spawn { role, error });
        }
        match (role, main, stage) {
            (Role::Main, Process::Ordered(_), _) => self.clear_group(unit, None, ending),
            (_, _, StopStage::HookKilled) => self.ask_to_stop(unit, main, ending),
            (_, _, StopStage::Command | StopStage::CommandKilled) => self.stop_step(unit, main, 0, ending),
            _ => self.impossible(),
        }
    }

    pub(super) fn stopping_inspected(&mut self, unit: UnitId, stage: StopStage) {
        match stage {
            StopStage::Inspecting => self.finish(unit, Ending::Told),
            _ => self.impossible(),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the data of a state and of an input, from the table")]
    pub(super) fn stopping_exited(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        stage: StopStage,
        ending: Ending,
        role: Role,
        pid: Pid,
        status: ExitStatus,
    ) {
        if role == Role::Main && main.pid() == Some(pid) {
            self.note_end(unit, status);
            if helper.is_there() {
                self.amend(unit, State::Stopping { main: Process::Gone(pid), helper, stage, ending });
            } else {
                self.clear_group(unit, Some(pid), ending);
            }
            return;
        }
        if helper.pid() != Some(pid) {
            // A main process that named another one may end at any time.
            return;
        }
        match (stage, main) {
            (StopStage::HookKilled, _) => self.ask_to_stop(unit, main, ending),
            // Nobody was asked, and waiting for it would be in vain.
            (StopStage::Command, Process::Running(_)) if !status.is_success() => {
                self.pass_over(unit, Failure::Exited { role, status, before_ready: false });
                self.stop_step(unit, main, 0, ending);
            }
            (StopStage::Command, Process::Running(_)) => {
                let (helper, stage) = (Process::None, StopStage::Settling);
                self.amend(unit, State::Stopping { main, helper, stage, ending });
            }
            _ => self.stop_step(unit, main, 0, ending),
        }
    }

    pub(super) fn stopping_main_changed(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        stage: StopStage,
        ending: Ending,
        pid: Pid,
    ) {
        // It comes too late; what it names goes with all that is left.
        let Process::Running(old) = main else { return self.group_left(unit, Role::Main, pid) };
        self.hand_over(unit, old, pid);
        self.amend(unit, State::Stopping { main: Process::Running(pid), helper, stage, ending });
        // The signal of this step went to the process that is not the main one any more.
        let StopStage::Step(place) = stage else { return };
        match self.step_of(unit, place) {
            Some(step) => {
                self.do_this(Effect::Signal { unit, pid, scope: Scope::Process, signal: step.signal })
            }
            // New files have taken this step away: what comes after it is next.
            None => self.stop_step(unit, Process::Running(pid), place, ending),
        }
    }

    pub(super) fn extend_stop(&mut self, unit: UnitId, stage: StopStage, by: Duration) {
        let deadline = self.cell(unit).deadline;
        let is_more = match stage {
            StopStage::Command | StopStage::Settling | StopStage::Step(_) => {
                deadline.is_some_and(|deadline| deadline < self.now + by)
            }
            // It has all the time there is, but for new files that say that it may be killed.
            StopStage::Unhurried => deadline.is_none_or(|deadline| deadline < self.now + by),
            _ => false,
        };
        if is_more {
            self.arm(unit, by);
        }
    }

    pub(super) fn stopping_deadline(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        stage: StopStage,
        ending: Ending,
    ) {
        match stage {
            // Whether a process that was ordered is there is not known, and it is not left behind. The answer comes.
            StopStage::HookKilled | StopStage::CommandKilled if matches!(helper, Process::Ordered(_)) => {
                self.arm(unit, KILL_WAIT);
            }
            StopStage::HookKilled => {
                self.tally.given_up += 1;
                self.ask_to_stop(unit, main, ending);
            }
            StopStage::Command => {
                let after = self.cell(unit).program().map(|p| p.stop.exec_timeout).unwrap_or_default();
                let role = Role::StopCommand;
                self.pass_over(unit, Failure::TimedOut { role, after, output: Vec::new() });
                let helper = self.kill_helper(unit, helper);
                self.amend(unit, State::Stopping { main, helper, stage: StopStage::CommandKilled, ending });
                self.arm(unit, KILL_WAIT);
            }
            StopStage::CommandKilled => {
                self.tally.given_up += 1;
                self.stop_step(unit, main, 0, ending);
            }
            StopStage::Settling => self.stop_step(unit, main, 0, ending),
            StopStage::Step(place) => self.stop_step(unit, main, place.saturating_add(1), ending),
            // Its files have said since that it may be killed, or the time that it asked for is over.
            StopStage::Unhurried => self.stop_step(unit, main, u16::MAX, ending),
            StopStage::Inspecting | StopStage::Spawning => self.impossible(),
        }
    }

    pub(super) fn hurry_stopping(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        stage: StopStage,
        ending: Ending,
    ) {
        if stage != StopStage::Inspecting && self.kill_policy(unit) != Kill::Never {
            self.note_kill(unit);
            self.kill_all(unit, main, helper, ending);
        }
    }

    /// Sends KILL to all that runs, and waits for its end; where nothing runs the group is cleared.
    pub(super) fn kill_all(&mut self, unit: UnitId, main: Process, helper: Process, ending: Ending) {
        if let Process::Running(pid) = main {
            self.kill_main(unit, pid);
        }
        let helper = self.kill_helper(unit, helper);
        let main = match main {
            Process::Running(pid) => Process::Killed(pid),
            other => other,
        };
        self.killing(unit, main, helper, ending);
    }

    fn killing(&mut self, unit: UnitId, main: Process, helper: Process, ending: Ending) {
        match (main, helper.is_there()) {
            (main, false) if !main.is_there() => match main {
                Process::Gone(pid) => self.clear_group(unit, Some(pid), ending),
                _ => self.clear_group(unit, None, ending),
            },
            _ => {
                self.enter(unit, State::Killing { main, helper, ending });
                self.arm(unit, KILL_WAIT);
            }
        }
    }

    /// KILL for the main process, as far as the unit's policy lets it reach. One that took over from the
    /// process that was started may lead no group, so it is named by itself too.
    fn kill_main(&mut self, unit: UnitId, pid: Pid) {
        let handed_over = self.cell(unit).program().is_some_and(|program| {
            program.process.pid_file.is_some() || program.ready.how == Readiness::Notify
        });
        let signal = Signal::KILL;
        if self.kill_policy(unit) != Kill::Group || handed_over {
            self.do_this(Effect::Signal { unit, pid, scope: Scope::Process, signal });
        }
        if self.kill_policy(unit) == Kill::Group {
            self.do_this(Effect::Signal { unit, pid, scope: Scope::Group, signal });
            self.kill_groups(unit);
        }
    }

    fn kill_helper(&mut self, unit: UnitId, helper: Process) -> Process {
        match helper {
            Process::Running(pid) => {
                self.kill_group(unit, pid);
                Process::Killed(pid)
            }
            Process::Ordered(_) | Process::Killed(_) => helper,
            Process::None | Process::Deferred(_) | Process::Gone(_) => Process::None,
        }
    }

    pub(super) fn killing_spawned(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        ending: Ending,
        role: Role,
        pid: Pid,
    ) {
        match (role, main, helper) {
            (Role::Main, Process::Ordered(_), _) => {
                self.kill_all(unit, Process::Running(pid), helper, ending);
            }
            (_, _, Process::Ordered(_)) => self.kill_all(unit, main, Process::Running(pid), ending),
            _ => self.impossible(),
        }
    }

    pub(super) fn killing_spawn_failed(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        ending: Ending,
        role: Role,
    ) {
        match (role, main, helper) {
            (Role::Main, Process::Ordered(_), _) => self.killing(unit, Process::None, helper, ending),
            (_, _, Process::Ordered(_)) => self.killing(unit, main, Process::None, ending),
            _ => self.impossible(),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the data of a state and of an input, from the table")]
    pub(super) fn killing_exited(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        ending: Ending,
        role: Role,
        pid: Pid,
        status: ExitStatus,
    ) {
        if role == Role::Main && main.pid() == Some(pid) {
            self.note_end(unit, status);
            self.killing(unit, Process::Gone(pid), helper, ending);
        } else if helper.pid() == Some(pid) {
            self.killing(unit, main, Process::None, ending);
        }
    }

    pub(super) fn killing_main_changed(
        &mut self,
        unit: UnitId,
        main: Process,
        helper: Process,
        ending: Ending,
        pid: Pid,
    ) {
        if let Process::Killed(old) = main {
            self.hand_over(unit, old, pid);
            self.kill_all(unit, Process::Running(pid), helper, ending);
        } else {
            self.group_left(unit, Role::Main, pid);
        }
    }

    /// Its process was sent KILL, had its time, and is there: a deadline is set for that time only.
    pub(super) fn outlives_kill(&self, unit: UnitId) -> bool {
        let cell = self.cell(unit);
        matches!(cell.state, State::Killing { .. }) && cell.deadline.is_none()
    }

    /// The process outlives KILL. The unit cannot be started while it is there, so it stays as it is; those
    /// who wait for it learn of it.
    pub(super) fn killing_deadline(&mut self, unit: UnitId) {
        self.tally.given_up += 1;
        if self.hidden_outlives_kill(unit) {
            return;
        }
        self.note(unit, Note::Outlived);
        for (id, _) in self.cell(unit).requests.clone() {
            self.answer_held_up(id, unit);
        }
    }
}

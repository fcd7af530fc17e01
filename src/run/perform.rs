//! Carries out what the engine ordered. An act that can fail comes back as an event.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use crate::control::server::Server;
use crate::control::wire::UnitEvent;
use crate::engine::{
    Effect, Event, Failure, Finding, NextRun, Note, Outcome, Phase, Reason, Role, Scope, Trial, UnitId,
};
use crate::model::spawn::Cause;
use crate::model::unit::{Hook, Keep, Program, Readiness, ReloadBy};
use crate::model::{Account, Command, ExecStage, Pid, Signal, SpawnError, Text, Unit};
use crate::sys::kill::{self, Reached};
use crate::sys::{clock, dirs};

use super::capture::Pipes;
use super::children::{Owner, Told};
use super::deferrals::Told as ToldOf;
use super::ending::ending;
use super::inspect::inspect;
use super::launch::{Launch, Part};
use super::place::Place;
use super::{Init, judge, launch};

impl Init {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Inspect { unit, spec, purpose } => {
                let finding = match spec.program() {
                    Some(program) => inspect(
                        unit,
                        &spec,
                        program,
                        purpose,
                        &self.launcher,
                        &mut self.renderer,
                        &self.unfinished,
                    )
                    .unwrap_or_else(Finding::Failed),
                    None => Finding::Met { prepare: Vec::new() },
                };
                if let Finding::Failed(error) = &finding {
                    self.deferrals.failed(unit, error.to_string());
                }
                self.events.push_back(Event::Inspected { unit, purpose, finding });
            }
            Effect::Spawn { unit, spec, role, reason, main } => {
                if self.chronicle.is_open() {
                    self.chronicle.spawned(unit, role, clock::now());
                }
                if let Err(error) = self.spawn(unit, spec, role, reason, main) {
                    self.spawn_failed(unit, role, error);
                }
            }
            Effect::SettleRenders { unit, verdict } => {
                for problem in self.renderer.settle(unit, verdict) {
                    self.say(&problem);
                }
            }
            Effect::HeedOutput { unit } => self.heed_output(unit),
            Effect::Probe { unit } => self.probe(unit),
            Effect::ForgetProbe { unit } => self.forget_probe(unit),
            Effect::Progress { id, progress } => self.inform(id, &progress),
            Effect::Forget { unit } => self.forget_unit(unit),
            Effect::Exchanged { unit, with } => self.exchange_units(unit, with),
            Effect::AwaitReadiness { unit } => self.await_readiness(unit),
            Effect::AwaitPidFile { unit } => self.await_pid_file(unit),
            Effect::ForgetReadiness { unit } => self.forget_readiness(unit),
            Effect::Signal { unit, pid, scope, signal } => self.signal(unit, pid, scope, signal),
            Effect::ClearGroup { unit, group, signal } => self.clear_group(unit, group, signal),
            Effect::CleanUp { unit, next } => self.clean_up(unit, next),
            Effect::SignalEverybody { signal } => self.signal_everybody(signal),
            Effect::Reply { id, outcome } => self.answer(id, outcome),
            Effect::Note { unit, note } => self.say_note(unit, &note),
            Effect::Changed { unit, from, to, failure } => {
                if self.chronicle.is_open() {
                    self.chronicle.changed(unit, from, to, clock::now());
                }
                self.tell(unit, from, to, failure);
            }
            Effect::EssentialEnded { unit, code } => self.essential_ended(unit, code),
            Effect::Exit { how, code, decided_by } => self.begin_farewell(how, code, decided_by),
        }
    }

    fn spawn(
        &mut self,
        id: UnitId,
        unit: Rc<Unit>,
        role: Role,
        reason: Reason,
        main: Option<Pid>,
    ) -> Result<(), SpawnError> {
        let program = unit.program().ok_or_else(nothing_to_run)?;
        let (command, run_as) = command_of(program, role).ok_or_else(nothing_to_run)?;
        let part = part_of(role);
        self.note_what_it_creates(id, &unit, program, role)?;
        let pipe_failed = |error: std::io::Error| pipe_failed(&unit, &error);
        let is_main = part == Part::Main;
        let notify = match (is_main, &program.ready.how) {
            (true, Readiness::Notify) => {
                let owner =
                    program.process.user.as_ref().map(|_| launch::owner(&program.process)).transpose()?;
                let opened = self.notify.open(id, owner.map(|(uid, _)| uid), &self.poller);
                Some(opened.map_err(pipe_failed)?)
            }
            _ => None,
        };
        let promised_fd =
            if is_main { self.prepare_readiness(id, &unit, program).map_err(pipe_failed)? } else { None };
        let ready = is_main.then_some(&program.ready.how);
        if is_main {
            self.note_configuration(id, &unit);
        }
        let pipes = is_heard(role).then(|| Pipes::new(judge::is_answer_apart(program, role)));
        let pipes = pipes.transpose().map_err(pipe_failed)?;
        let output = match &pipes {
            Some(pipes) => pipes.outputs(),
            None => {
                self.keep_filter(id, &unit, program);
                // Where two processes of a unit overlap, both write to the log of the one unit that they are.
                let slot = self.slot_of(id);
                self.logs.know(slot, &unit.name);
                let outputs = self.logs.outputs_for(slot, &program.log, ready).map_err(pipe_failed)?;
                (outputs.stdout, outputs.stderr)
            }
        };
        let cgroup = match (&program.resources, part) {
            (Some(resources), Part::Main) => self.cgroups.enter(id, &unit.name, resources)?,
            _ => None,
        };
        let started = self.launcher.launch(&Launch {
            unit: &unit,
            program,
            command,
            run_as,
            part,
            reason,
            main,
            input: None,
            output,
            notify: notify.as_deref(),
            cgroup,
            promised: promised_fd.as_ref().map(|(number, fd)| (*number, fd.as_fd())),
        })?;
        if is_main {
            self.logs.runs(self.slot_of(id), started.pid());
        }
        if let Some(pipes) = pipes {
            self.captures.watch(started.pid(), unit, pipes, &self.poller);
        }
        self.set_out(Owner::Unit(id, role), started);
        Ok(())
    }

    /// Looks at what is there before the process starts; answers the descriptor that it was promised.
    pub(super) fn prepare_readiness(
        &mut self,
        id: UnitId,
        unit: &Unit,
        program: &Program,
    ) -> std::io::Result<Option<(i32, OwnedFd)>> {
        if program.ready.how == Readiness::Exec {
            return Ok(None);
        }
        let environment = self.launcher.unit_environment(unit, &program.process).unwrap_or_default();
        let expand = |text: &Text| text.expand(|name| environment.get(name));
        let fd = self.watcher.prepare(id, &program.ready, &expand)?;
        Ok(match program.ready.how {
            Readiness::Fd(number) => fd.map(|fd| (number, fd)),
            _ => None,
        })
    }

    /// The unit's own description. A unit without one is never started by the engine.
    pub(super) fn spec(&self, id: UnitId) -> Result<Rc<Unit>, SpawnError> {
        self.engine.unit(id).unit().cloned().ok_or_else(nothing_to_run)
    }

    /// A process that is gone is no error. One that is told to end gets its CONT only if it is still there after
    /// a moment ([`Init::wake_overdue`]); everybody else gets it at once.
    fn signal(&mut self, unit: UnitId, pid: Pid, scope: Scope, signal: Signal) {
        if scope == Scope::Group && signal == Signal::KILL && self.engine.unit(unit).main_pid() == Some(pid) {
            self.cgroups.kill(unit);
        }
        let is_end = scope == Scope::Process
            && !self.is_foreign(unit, pid)
            && self.engine.unit(unit).phase() == Phase::Stopping;
        if is_end && kill::wants_cont(signal) && self.children.told_to_end(pid, self.now) == Told::Noted {
            let _ = kill::process(pid, signal); // As said above.
        } else {
            let _ = self.send(unit, pid, scope, signal); // As said above.
        }
    }

    /// Who was told to end and is still there may be stopped, and then has not acted on it yet.
    pub(super) fn wake_overdue(&mut self) {
        for pid in self.children.overdue(self.now) {
            let _ = kill::process(pid, Signal::CONT); // It is not reaped, so it is nobody else's number.
        }
    }

    fn signal_everybody(&mut self, signal: Signal) {
        match kill::everybody(signal, &self.spared()) {
            // What is hoped for.
            Ok(Reached::Nobody) => {
                self.look_again_at = None;
                self.events.push_back(Event::NobodyLeft);
            }
            Ok(Reached::Somebody) | Err(_) => {
                self.look_again_at = Some(self.now);
                self.look_at_groups();
            }
        }
    }

    pub(super) fn anybody_left(&self) -> bool {
        kill::anybody_left(&self.spared())
    }

    /// The helpers that outlive the units.
    fn spared(&self) -> Vec<Pid> {
        self.logs.logger_pid().into_iter().chain(self.filters.pids()).collect()
    }

    /// What belonged to the run that is over goes: its runtime directories and its notify socket.
    fn clean_up(&mut self, unit: UnitId, next: NextRun) {
        self.status_texts.remove(&unit);
        self.let_go(unit);
        self.end_filter_after(unit, next);
        if next == NextRun::None {
            self.notify.close(unit, &self.poller);
        }
        let Ok(spec) = self.spec(unit) else { return };
        let Some(program) = spec.program() else { return };
        self.cgroups.leave(unit, program.stop.kill);
        for directory in program.dirs.iter() {
            let goes = match (directory.keep, next) {
                (_, NextRun::Overlaps) | (Keep::Always, _) | (Keep::Restart, NextRun::Follows) => false,
                (Keep::Never, _) | (Keep::Restart, NextRun::None) => true,
            };
            if goes && let Err(error) = dirs::remove(directory.kind.root().as_ref(), directory) {
                self.say(&format!(
                    "{}: cannot remove the directory '{}': {error}",
                    spec.name, directory.path
                ));
            }
        }
    }

    /// What a judged process has shown was said when it ended.
    fn say_note(&mut self, unit: UnitId, note: &Note) {
        if !matches!(note, Note::HookFailed(Failure::Judged { .. })) {
            let name = |unit: UnitId| self.engine.unit(unit).name().to_string();
            let line = format!("{} {}", name(unit), note.describe(&name));
            self.say(&line);
        }
    }

    /// Tells the console and the subscribers of a change.
    fn tell(&mut self, unit: UnitId, from: Phase, to: Phase, failure: Option<Failure>) {
        let subscribers = self.server.as_ref().map(Server::subscribers).unwrap_or_default();
        self.notice(unit, to);
        if self.is_debugged() && super::words::is_small_step(to) {
            self.say(&format!("{} is {}", self.engine.unit(unit).name(), to.as_str()));
        }
        if subscribers.is_empty() && super::words::is_small_step(to) {
            return; // Of a thousand units that stop nobody's name has to be looked up.
        }
        if self.engine.stands_for(unit) != unit {
            return self.tell_of_other_run(unit, to, failure);
        }
        let described =
            failure.map(|failure| failure.describe(&|unit| self.engine.unit(unit).name().to_string()));
        let (waits_for, told) = self.deferrals.change(unit, to);
        let reason = described.or_else(|| waits_for.map(str::to_owned));
        let view = self.engine.unit(unit);
        let main_pid = view.main_pid().map(Pid::get);
        let now = self.now;
        // It may have gone on since; then this deadline is not the one of the state that is told of.
        let then = || view.deadline().filter(|_| view.phase() == to).map(|deadline| deadline.since(now));
        if told == ToldOf::NotYet
            && let Some(line) = super::words::change(view.name(), from, to, main_pid, reason.as_deref(), then)
        {
            self.logs.message(&line, self.now);
        }
        if subscribers.is_empty() {
            return;
        }
        let name = self.engine.unit(unit).name().to_string();
        let event = UnitEvent {
            time_usec: clock::wall_usec(),
            unit: name,
            from: from.as_str().to_owned(),
            to: to.as_str().to_owned(),
            main_pid,
            reason,
        };
        if let Some(server) = &mut self.server {
            subscribers.into_iter().for_each(|subscriber| server.stream(subscriber, &event));
        }
    }

    /// Of the run that a unit does not show the console is told what went wrong with it; to `events` there is one unit.
    fn tell_of_other_run(&mut self, run: UnitId, to: Phase, failure: Option<Failure>) {
        let (waits_for, told) = self.deferrals.change(run, to);
        let reason = waits_for.map(str::to_owned);
        let reason = failure
            .map(|failure| failure.describe(&|unit| self.engine.unit(unit).name().to_string()))
            .or(reason);
        let name = self.engine.unit(run).name().to_owned();
        if let Some(line) =
            super::words::other_run(&name, to, reason.as_deref()).filter(|_| told == ToldOf::NotYet)
        {
            self.say(&line);
        }
    }

    /// Everything has ended, or its time is over. The logger writes out what it has, then sexton goes.
    fn begin_farewell(&mut self, how: crate::engine::Shutdown, code: u8, decided_by: Option<UnitId>) {
        if let Some(unit) = decided_by {
            let name = self.engine.unit(unit).name().to_string();
            self.say(&format!("the essential unit {name} decided the exit status: {code}"));
        }
        self.ending = Some(ending(how, code, self.place, self.end_by()));
        self.end_all_filters();
        self.finish_logs();
    }

    /// The logger ends after the last of the filters, whose last lines it is to have.
    pub(super) fn finish_logs(&mut self) {
        if self.ending.is_some() && self.farewell.is_none() && !self.any_filter_left() {
            self.logs.finish(&self.poller, self.now);
            self.farewell = Some(self.now + crate::logger::client::FINISH_LIMIT);
        }
    }

    /// The ending, once nothing has to be waited for any more.
    pub(super) fn ended(&mut self) -> Option<super::ending::Ending> {
        let ending = self.ending.filter(|_| self.farewell.is_some())?;
        let is_late = self.farewell.is_some_and(|farewell| farewell <= self.now);
        let is_over = match self.place {
            // Whoever reaps in sexton's stead is spared a process that it never heard of.
            Place::Child => self.logs.logger_pid().is_none(),
            // What is left of the logger goes with sexton.
            Place::Container | Place::Machine => self.logs.is_finished(),
        };
        (is_late || is_over).then_some(ending)
    }

    fn answer(&mut self, id: crate::engine::RequestId, outcome: Outcome) {
        let Some(pending) = self.requests.close(id) else { return };
        self.answer_pending(pending, outcome);
    }
}

fn part_of(role: Role) -> Part {
    match role {
        Role::Main => Part::Main,
        Role::ConfigTest | Role::Trial(Trial::ConfigTest) => Part::Test,
        _ => Part::Around,
    }
}

/// Is the output of a role read here? A trial may be one of a unit that has no place in the log yet.
fn is_heard(role: Role) -> bool {
    role.is_judged() || matches!(role, Role::Trial(_))
}

pub(super) fn pipe_failed(unit: &Unit, error: &std::io::Error) -> SpawnError {
    SpawnError { stage: ExecStage::Pipe, subject: unit.name.to_string(), cause: launch::cause(error) }
}

pub(super) fn nothing_to_run() -> SpawnError {
    let cause = Cause::Words("the unit has nothing of that kind to run".to_owned());
    SpawnError { stage: ExecStage::Program, subject: String::new(), cause }
}

/// What a role runs, and as whom.
pub(super) fn command_of(program: &Program, role: Role) -> Option<(&Command, Option<&Account>)> {
    match role {
        Role::Main => Some((&program.exec, None)),
        Role::Condition | Role::Trial(Trial::Condition) => {
            program.require.condition.as_ref().map(|command| (command, None))
        }
        Role::StopCommand => program.stop.exec.as_ref().map(|command| (command, None)),
        Role::ConfigTest | Role::Trial(Trial::ConfigTest) => {
            program.configtest.as_deref().map(|test| (&test.exec, test.run_as.as_ref()))
        }
        Role::PreStop(place) => {
            let hook = program.hooks.pre_stop.get(usize::from(place));
            hook.map(|hook| (&hook.exec, hook.run_as.as_ref()))
        }
        Role::Undo(place) => {
            let hook = program.hooks.pre_stop.get(usize::from(place))?;
            hook.undo.as_ref().map(|undo| (undo, hook.run_as.as_ref()))
        }
        Role::Reload => match program.reload.as_deref().map(|reload| &reload.how) {
            Some(ReloadBy::Command(command)) => Some((command, None)),
            Some(ReloadBy::Signal(_)) | None => None,
        },
        Role::ReloadVerify => program.reload.as_deref()?.verify.as_ref().map(|command| (command, None)),
        Role::Prepare(place) | Role::Trial(Trial::Prepare(place)) => nth(&program.hooks.prepare, place),
        Role::PreStart(place) => nth(&program.hooks.pre_start, place),
        Role::PostStart(place) => nth(&program.hooks.post_start, place),
        Role::PostStop(place) => nth(&program.hooks.post_stop, place),
    }
}

fn nth(hooks: &[Hook], place: u16) -> Option<(&Command, Option<&Account>)> {
    hooks.get(usize::from(place)).map(|hook| (&hook.exec, hook.run_as.as_ref()))
}

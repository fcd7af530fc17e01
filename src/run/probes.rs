//! Readiness on its way to the engine: what the watcher wishes is done, what it sees becomes an event.

use crate::engine::{Event, Reason, UnitId};
use crate::model::unit::Readiness as Way;
use crate::model::{ExitStatus, Pid, Signal, SpawnError};
use crate::sys::kill;
use crate::sys::poll::Readiness;
use crate::sys::spawn::Started;

use super::Init;
use super::belongs::belongs;
use super::children::Owner;
use super::foreign::end_can_be_seen;
use super::launch::{Launch, Part, settle};
use super::readiness::Outcome;

impl Init {
    pub(super) fn await_readiness(&mut self, unit: UnitId) {
        let mut outcomes = Vec::new();
        self.watcher.begin(unit, &self.poller, self.now, &mut outcomes);
        self.follow(outcomes);
    }

    /// Watches the pid file of a unit whose daemon forks. A path that cannot be settled was found out when the
    /// process was started: its directory and environment are the same.
    pub(super) fn await_pid_file(&mut self, unit: UnitId) {
        let Ok(spec) = self.spec(unit) else { return };
        let Some(program) = spec.program() else { return };
        let Some(path) = &program.process.pid_file else { return };
        let path = self
            .launcher
            .unit_environment(&spec, &program.process)
            .and_then(|environment| settle(path, &environment, "pid-file"));
        let Ok(path) = path else { return };
        let mut outcomes = Vec::new();
        let (children, engine) = (&self.children, &self.engine);
        let belongs = |unit: UnitId, pid: Pid| belongs(children, engine, unit, pid) && end_can_be_seen(pid);
        self.watcher.await_pid_file(unit, path.into(), self.now, &belongs, &mut outcomes);
        self.follow(outcomes);
    }

    /// Looks whether a reloaded unit serves. Only ways that can be asked again are asked: of the others a start alone
    /// tells, and the daemon is known to be alive.
    pub(super) fn probe(&mut self, unit: UnitId) {
        if !self.wants_output(unit) {
            self.probe_now(unit);
        }
    }

    /// It has said nothing against it.
    pub(super) fn probe_now(&mut self, unit: UnitId) {
        let Ok(spec) = self.spec(unit) else { return };
        let Some(program) = spec.program() else { return };
        // It has read its configuration a moment ago.
        self.note_configuration(unit, &spec);
        let serves = match program.ready.how {
            Way::Tcp(_) | Way::Unix(_) | Way::Http(_) | Way::Command { .. } => {
                self.prepare_readiness(unit, &spec, program).map(drop).map_err(|error| error.to_string())
            }
            Way::Exec | Way::Notify | Way::Fd(_) | Way::Log(_) | Way::File(_) => {
                return self.events.push_back(Event::Probed { unit, result: Ok(()) });
            }
        };
        match serves {
            Ok(()) => {
                self.probing.insert(unit);
                self.await_readiness(unit);
            }
            Err(words) => self.events.push_back(Event::Probed { unit, result: Err(words) }),
        }
    }

    pub(super) fn forget_probe(&mut self, unit: UnitId) {
        self.heeded.forget(unit);
        if self.probing.remove(&unit) {
            self.forget_readiness(unit);
        }
    }

    pub(super) fn forget_readiness(&mut self, unit: UnitId) {
        self.probing.remove(&unit);
        self.forget_pending_probe(unit);
        let mut outcomes = Vec::new();
        self.watcher.forget(unit, &self.poller, &mut outcomes);
        self.logs.unwatch(self.slot_of(unit));
        self.follow(outcomes);
    }

    /// `READY=1`, or a matching line of output. It counts when it is what the unit's `[ready]` waits for.
    pub(super) fn told_ready(&mut self, unit: UnitId) {
        if self.watcher.told(unit) {
            self.events.push_back(Event::BecameReady { unit });
        }
    }

    pub(super) fn watch(&mut self, readiness: &Readiness) {
        let mut outcomes = Vec::new();
        self.watcher.handle(readiness, &self.poller, self.now, &mut outcomes);
        self.follow(outcomes);
    }

    pub(super) fn tick_watcher(&mut self) {
        if self.watcher.next_deadline().is_none_or(|deadline| deadline > self.now) {
            return;
        }
        let mut outcomes = Vec::new();
        let (children, engine) = (&self.children, &self.engine);
        let belongs = |unit: UnitId, pid: Pid| belongs(children, engine, unit, pid) && end_can_be_seen(pid);
        self.watcher.tick(self.now, &self.poller, &belongs, &mut outcomes);
        self.follow(outcomes);
    }

    pub(super) fn follow(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Ready(unit) if self.probing.remove(&unit) => {
                    self.events.push_back(Event::Probed { unit, result: Ok(()) });
                }
                Outcome::Ready(unit) => self.events.push_back(Event::BecameReady { unit }),
                Outcome::MainPid(unit, pid) => self.adopt(unit, pid),
                Outcome::RunProbe(unit) => self.run_probe(unit),
                Outcome::KillProbe(pid) => {
                    // It leads a group of its own, and may have ended a moment ago.
                    let _ = kill::group(pid, Signal::KILL);
                }
            }
        }
    }

    fn run_probe(&mut self, unit: UnitId) {
        match self.start_probe(unit) {
            Ok(started) => self.set_out(Owner::Probe(unit), started),
            Err(error) => self.probe_does_not_run(unit, &error),
        }
    }

    /// A probe has come to its exec.
    pub(super) fn probe_runs(&mut self, unit: UnitId, pid: Pid) {
        let mut outcomes = Vec::new();
        self.watcher.probe_started(unit, pid, &self.poller, self.now, &mut outcomes);
        self.follow(outcomes);
    }

    /// A probe could not be started.
    pub(super) fn probe_does_not_run(&mut self, unit: UnitId, error: &SpawnError) {
        self.watcher.probe_not_started(unit, &error.to_string(), &self.poller, self.now);
    }

    fn start_probe(&mut self, id: UnitId) -> Result<Started, SpawnError> {
        let unit = self.spec(id)?;
        let program = unit.program().ok_or_else(super::perform::nothing_to_run)?;
        let Way::Command { exec, .. } = &program.ready.how else {
            return Err(super::perform::nothing_to_run());
        };
        let pipe_failed = |error: std::io::Error| super::perform::pipe_failed(&unit, &error);
        let captured = self.watcher.probe_output(id).map_err(pipe_failed)?;
        // What a probe prints is an answer, not a log: only what it complains of is worth nobody's console either.
        let null = self.launcher.null();
        let stdout = captured.as_ref().map_or(null, std::os::fd::AsFd::as_fd);
        self.launcher.launch(&Launch {
            unit: &unit,
            program,
            command: exec,
            run_as: None,
            part: Part::Around,
            reason: if self.probing.contains(&id) { Reason::Reload } else { Reason::Start },
            main: self.engine.unit(id).main_pid(),
            input: None,
            output: (stdout, null),
            notify: None,
            cgroup: None,
            promised: None,
        })
    }

    pub(super) fn probe_ended(&mut self, unit: UnitId, pid: Pid, status: ExitStatus) {
        let _ = kill::group(pid, Signal::KILL); // Most leave nobody behind.
        let mut outcomes = Vec::new();
        self.watcher.probe_ended(unit, pid, status, &self.poller, self.now, &mut outcomes);
        self.follow(outcomes);
    }
}

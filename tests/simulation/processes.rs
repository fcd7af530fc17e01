//! The processes of a world: how long they live, what they make of signals, whom they leave behind.

use std::rc::Rc;

use sexton::engine::{Cause as Fault, Complaint, Event, Phase, Role, UnitId, Verdict};
use sexton::model::unit::{Readiness, Unit};
use sexton::model::{ExecStage, ExitStatus, Number, Pid, Signal};

use super::leftovers::{Leftover, kills_groups};
use super::world::{Happening, World, error, libc_errno};

/// One process.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) unit: UnitId,
    pub(crate) spec: Rc<Unit>,
    pub(crate) role: Role,
    /// It leads a group of its own; one that a daemon forked may be in that of its parent.
    pub(crate) leads: bool,
    pub(crate) stubborn: bool,
    pub(crate) unkillable: bool,
    pub(crate) ending: bool,
}

impl World {
    pub(crate) fn spawn(&mut self, unit: UnitId, spec: Rc<Unit>, role: Role) {
        if self.chance.percent(self.faults.spawn_percent) {
            let error = error(ExecStage::Fork, libc_errno(&mut self.chance));
            return self.answer(Event::SpawnFailed { unit, role, error });
        }
        let pid = self.new_pid();
        let stubborn = self.chance.percent(10);
        let unkillable = self.chance.below(500) == 0;
        let child = Child { unit, spec, role, leads: true, stubborn, unkillable, ending: false };
        self.children.insert(pid, child);
        // A process of another user may take longer to its exec than a killed one has to its end.
        let may_be_slow = matches!(role, Role::StopCommand | Role::PostStart(_) | Role::PostStop(_));
        let late = match self.chance.percent(self.faults.late_percent) {
            true if may_be_slow && self.chance.percent(10) => self.chance.below(10_000),
            true => self.chance.below(20),
            false => 0,
        };
        self.later(late, Happening::Event(Event::Spawned { unit, role, pid }));
        self.plan_end(pid, late);
        self.plan_hand_over(pid, late);
    }

    /// A daemon that notifies may name another main process at any time.
    fn plan_hand_over(&mut self, pid: Pid, after: u64) {
        let Some(child) = self.children.get(&pid) else { return };
        let may = child.role == Role::Main && notifies(&child.spec);
        let unit = child.unit;
        if may && self.chance.percent(10) {
            let delay = after + 1 + self.chance.below(8_000);
            self.later(delay, Happening::HandOver(unit, pid));
        }
    }

    /// When and how a process will end by itself, if it does.
    fn plan_end(&mut self, pid: Pid, after: u64) {
        let Some(child) = self.children.get(&pid).cloned() else { return };
        let service = !child.spec.is_task();
        let forks = has_pid_file(&child.spec);
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

    pub(crate) fn new_pid(&mut self) -> Pid {
        self.next_pid += 1;
        Pid::new(self.next_pid).expect("a pid")
    }

    pub(crate) fn end(&mut self, pid: Pid, status: ExitStatus) -> Result<(), String> {
        let Some(child) = self.children.remove(&pid) else { return Ok(()) };
        let (unit, role) = (child.unit, child.role);
        let leaves =
            child.leads && !child.ending && self.chance.percent(if role == Role::Main { 15 } else { 6 });
        if leaves {
            // The unit may be told since that nobody of it is killed.
            let holds = self.engine.unit(unit).unit().is_none_or(|unit| kills_groups(unit));
            let (stubborn, counts) = (self.chance.percent(50), holds && kills_groups(&child.spec));
            self.leftovers.insert(pid, Leftover { unit, role, group: pid, stubborn, counts });
        }
        let view = self.engine.unit(unit);
        let served = role == Role::Main && view.main_pid() == Some(pid) && view.phase() != Phase::Starting;
        if leaves && !served {
            self.feed(Event::GroupLeft { unit, role, group: pid })?;
        }
        let is_gone = role == Role::Main && !served && !leaves;
        self.tell_end(&child, pid, status)?;
        if is_gone { self.feed(Event::GroupGone { unit, group: pid }) } else { Ok(()) }
    }

    fn tell_end(&mut self, child: &Child, pid: Pid, status: ExitStatus) -> Result<(), String> {
        let (unit, role) = (child.unit, child.role);
        if !role.is_judged() {
            return self.feed(Event::Exited { unit, role, pid, status });
        }
        let number = Number::new(self.chance.below(1000) as f64);
        let until = matches!(role, Role::PreStop(place) if has_until(&child.spec, place));
        let verdict = match status.is_success() {
            true if until && self.chance.percent(60) => Verdict::NotYet { number },
            true => Verdict::Passed { number: number.filter(|_| until) },
            false => {
                Verdict::Failed(Box::new(Complaint { cause: Fault::Status(status), output: Vec::new() }))
            }
        };
        self.feed(Event::Judged { unit, role, pid, status, verdict })
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
        } else if child.role == Role::Main {
            // It does not end of this; it may ask for more time, or hand over to another.
            let unit = child.unit;
            let may_hand_over = notifies(&child.spec);
            let (delay, by) =
                (self.chance.below(500), std::time::Duration::from_millis(self.chance.below(9_000)));
            match self.chance.below(3) {
                0 => self.later(delay, Happening::Event(Event::TimeoutExtended { unit, by })),
                1 if may_hand_over => self.later(delay, Happening::HandOver(unit, pid)),
                _ => {}
            }
        }
    }

    pub(crate) fn signal_everybody(&mut self, signal: Signal) {
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

/// Does it fork, and write who goes on?
pub(crate) fn has_pid_file(spec: &Unit) -> bool {
    !spec.is_task() && spec.program().is_some_and(|program| program.process.pid_file.is_some())
}

/// May it name another main process at any time?
fn notifies(spec: &Unit) -> bool {
    let how = spec.program().map(|program| &program.ready.how);
    !spec.is_task() && !has_pid_file(spec) && how == Some(&Readiness::Notify)
}

/// Is this hook run again until its number is as it should be?
fn has_until(spec: &Unit, place: u16) -> bool {
    let hooks = spec.program().map(|program| program.hooks.pre_stop.as_slice()).unwrap_or_default();
    hooks.get(usize::from(place)).is_some_and(|hook| hook.until.is_some())
}

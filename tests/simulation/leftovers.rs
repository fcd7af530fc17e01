//! Main processes that hand over to a child of theirs, and who is left in the groups of those that ended.

use sexton::engine::{Event, Phase, Role, Scope, UnitId};
use sexton::model::unit::{Kill, Unit};
use sexton::model::{ExitStatus, Pid, Signal};

use super::processes::{Child, has_pid_file};
use super::world::{Happening, World};

/// Somebody who is left in a group.
#[derive(Clone, Debug)]
pub(crate) struct Leftover {
    pub(crate) unit: UnitId,
    /// As what the leader of the group was started.
    pub(crate) role: Role,
    pub(crate) group: Pid,
    pub(crate) stubborn: bool,
    /// The unit was to end with its groups when they were left.
    pub(crate) counts: bool,
}

impl World {
    /// The main process names another one: a daemon that forks its first child, one that hands over any time.
    pub(crate) fn hand_over(&mut self, unit: UnitId, parent: Pid) -> Result<(), String> {
        let Some(old) = self.children.get(&parent).cloned() else { return Ok(()) };
        if self.chance.percent(10) {
            return Ok(());
        }
        let kills_groups = kills_groups(&old.spec);
        let before = has_pid_file(&old.spec) && self.chance.percent(50);
        if before {
            self.end(parent, ExitStatus::exited(0))?;
        }
        if !before && self.engine.unit(unit).main_pid() != Some(parent) {
            return Ok(());
        }
        // Whoever was named too late is believed while the unit is cleared away, and not when it is at rest.
        match self.engine.unit(unit).phase() {
            Phase::CleaningUp | Phase::Stopping if before && !kills_groups => return Ok(()),
            Phase::Starting | Phase::PostStarting | Phase::Ready => {}
            Phase::Stopping | Phase::Killing | Phase::CleaningUp => {}
            _ => return Ok(()),
        }
        let pid = self.new_pid();
        let child = Child {
            unit,
            spec: old.spec.clone(),
            role: Role::Main,
            leads: before || self.chance.percent(60),
            stubborn: self.chance.percent(10),
            unkillable: false,
            ending: false,
        };
        self.children.insert(pid, child);
        self.laws.adopted(unit, pid);
        if self.chance.percent(self.faults.death_percent) {
            let delay = 50 + self.chance.below(12_000);
            self.later(delay, Happening::End(pid, ExitStatus::exited(1)));
        }
        self.feed(Event::MainPidChanged { unit, pid })?;
        match before {
            true => Ok(()),
            // The old one may live on, with its group, for as long as nobody ends it.
            false if kills_groups && old.leads && self.chance.percent(40) => {
                if self.chance.percent(30) {
                    let delay = self.chance.below(9000);
                    self.later(delay, Happening::End(parent, ExitStatus::exited(0)));
                }
                Ok(())
            }
            false => self.end(parent, ExitStatus::exited(0)),
        }
    }

    pub(crate) fn clear(&mut self, unit: UnitId, group: Pid, signal: Signal) {
        let leads = self.children.get(&group).is_some_and(|child| child.leads);
        match self.leftovers.contains_key(&group) || leads {
            true => self.signal_to(group, Scope::Group, signal),
            false => self.answer(Event::GroupGone { unit, group }),
        }
    }

    pub(crate) fn signal_to(&mut self, pid: Pid, scope: Scope, signal: Signal) {
        let is_kill = signal == Signal::KILL;
        match self.leftovers.get(&pid).filter(|_| scope == Scope::Group) {
            Some(left) => {
                if is_kill || !left.stubborn {
                    let delay = self.chance.below(if is_kill { 10 } else { 900 });
                    self.later(delay, Happening::LeftoversGone(pid));
                }
            }
            None if scope == Scope::Group && self.children.get(&pid).is_some_and(|child| !child.leads) => {}
            None => self.signal(pid, signal),
        }
    }
}

pub(crate) fn kills_groups(spec: &Unit) -> bool {
    spec.program().is_some_and(|program| program.stop.kill == Kill::Group)
}

//! Main processes that hand over to a child of theirs, and who is left in the groups of those that ended.

use sexton::engine::{Event, Phase, Role, Scope, UnitId};
use sexton::model::unit::{Entry, Kill};
use sexton::model::{ExitStatus, Pid, Signal};

use super::world::{Child, Happening, World};

/// Somebody who is left in a group.
#[derive(Clone, Debug)]
pub(crate) struct Leftover {
    pub(crate) unit: UnitId,
    /// As what the leader of the group was started.
    pub(crate) role: Role,
    pub(crate) group: Pid,
    pub(crate) stubborn: bool,
}

impl World {
    pub(crate) fn fork(&mut self, unit: UnitId, parent: Pid) -> Result<(), String> {
        if !self.children.contains_key(&parent) || self.chance.percent(10) {
            return Ok(());
        }
        let before = self.chance.percent(50);
        if before {
            self.end(parent, ExitStatus::exited(0))?;
        }
        // Whoever was named too late is believed while the unit is cleared away, and not when it is at rest.
        match self.engine.unit(unit).phase() {
            Phase::CleaningUp | Phase::Stopping if before && !self.kills_groups(unit) => return Ok(()),
            Phase::Starting | Phase::PostStarting | Phase::Ready | Phase::Stopping | Phase::CleaningUp => {}
            _ => return Ok(()),
        }
        let pid = self.new_pid();
        let (stubborn, unkillable, ending) = (self.chance.percent(10), false, false);
        self.children.insert(pid, Child { unit, role: Role::Main, stubborn, unkillable, ending });
        self.laws.adopted(unit, pid);
        if self.chance.percent(self.faults.death_percent) {
            let delay = 50 + self.chance.below(12_000);
            self.later(delay, Happening::End(pid, ExitStatus::exited(1)));
        }
        self.feed(Event::MainPidChanged { unit, pid })?;
        match before {
            true => Ok(()),
            // The old one may live on, with its group, for as long as nobody ends it.
            false if self.kills_groups(unit) && self.chance.percent(40) => {
                if self.chance.percent(30) {
                    let delay = self.chance.below(9000);
                    self.later(delay, Happening::End(parent, ExitStatus::exited(0)));
                }
                Ok(())
            }
            false => self.end(parent, ExitStatus::exited(0)),
        }
    }

    fn kills_groups(&self, unit: UnitId) -> bool {
        match &self.entries[unit.index()] {
            Entry::Unit(unit) => unit.program().is_some_and(|program| program.stop.kill == Kill::Group),
            Entry::Broken { .. } => false,
        }
    }

    pub(crate) fn clear(&mut self, unit: UnitId, group: Pid, signal: Signal) {
        match self.leftovers.contains_key(&group) || self.children.contains_key(&group) {
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
            None => self.signal(pid, signal),
        }
    }
}

//! Is a process one of a unit's own? Asked when a daemon names its main process, or speaks on its notify socket.
//!
//! Pid files lie and messages can be sent by anybody, so neither is believed about a process of somebody else.

use crate::engine::{Engine, UnitId};
use crate::model::Pid;
use crate::sys::processes;

use super::children::{Children, Owner};

/// How many parents are climbed at the most: deeper families are not seen between a daemon and its worker.
const GENERATIONS: usize = 32;

/// True for a process that sexton started for the unit, for what such a process started, and for a daemon that
/// forked away and is now sexton's own child, as long as no other unit owns it.
pub fn belongs(children: &Children, engine: &Engine, unit: UnitId, pid: Pid) -> bool {
    let own = processes::own_pid();
    let mut current = pid;
    for _ in 0..GENERATIONS {
        match children.owner(current) {
            Some(Owner::Unit(owner, _) | Owner::Probe(owner)) => return owner == unit,
            Some(Owner::Logger | Owner::Filter(_) | Owner::Nobody) => return false,
            None => {}
        }
        let Ok(entry) = processes::look(current) else { return false };
        match entry.parent {
            Some(parent) if parent == own => {
                // An orphan, and who leads its group or its session tells whose. One that leads both itself has
                // daemonised: it can only be believed where the unit says that it forks, and where its main process
                // is not known yet.
                let mut leaders = [entry.group, entry.session].into_iter().flatten();
                return match leaders.find_map(|leader| children.owner(leader)) {
                    Some(Owner::Unit(owner, _) | Owner::Probe(owner)) => owner == unit,
                    Some(Owner::Logger | Owner::Filter(_) | Owner::Nobody) => false,
                    None => forks(engine, unit),
                };
            }
            Some(parent) if parent != current => current = parent,
            _ => return false,
        }
    }
    false
}

/// True for what a process that sexton started for the unit started in its turn, as long as that one lives.
pub fn descends(children: &Children, unit: UnitId, pid: Pid) -> bool {
    let mut current = pid;
    for _ in 0..GENERATIONS {
        match (children.owner(current), processes::look(current).map(|entry| entry.parent)) {
            (Some(Owner::Unit(owner, _) | Owner::Probe(owner)), _) => return owner == unit,
            (None, Ok(Some(parent))) => current = parent,
            _ => return false,
        }
    }
    false
}

fn forks(engine: &Engine, unit: UnitId) -> bool {
    let view = engine.unit(unit);
    view.unit()
        .and_then(|spec| spec.program())
        .is_some_and(|program| program.process.pid_file.is_some() || view.main_pid().is_none())
}

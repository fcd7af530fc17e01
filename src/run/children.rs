//! Which process is whose: every child that sexton started and has not yet reaped.
//!
//! ```text
//!   insert ──▶ known ──told to end──▶ known, and noted ──remove──▶ forgotten
//!                                        └─ WAKE_AFTER ──▶ overdue: CONT
//! ```
//!
//! A pid stands here from the moment of its birth until it was reaped, never longer: a number that the
//! kernel may give to somebody else is not kept. What is reaped and does not stand here was an orphan.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use crate::engine::{Role, UnitId};
use crate::logger::Slot;
use crate::model::{Moment, Pid};

/// How long a child that was told to end has before CONT follows. A stopped process can act on no signal, and
/// most of those that run have ended by then: one call for each that a stop is spared.
pub const WAKE_AFTER: Duration = Duration::from_millis(100);

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A unit's, in this role.
    Unit(UnitId, Role),
    /// A readiness probe of a unit.
    Probe(UnitId),
    /// The logger.
    Logger,
    /// The filter that a unit's output goes through.
    Filter(Slot),
    /// Its start failed before its exec, and it was killed.
    Nobody,
}

/// The children, by pid.
#[derive(Debug, Default)]
pub struct Children {
    by_pid: HashMap<Pid, Owner, BuildHasherDefault<PidHasher>>,
    /// Who was told to end and may be stopped. A set for the time of a stop; empty, it has no room.
    told: HashSet<Pid, BuildHasherDefault<PidHasher>>,
    /// When they get CONT; `None` while there is nobody.
    wake_at: Option<Moment>,
}

/// What can be known of a process that is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Told {
    /// Its end will be seen; until then it is among those who may be stopped.
    Noted,
    /// It is nobody's child here: whether it still lives at some later time cannot be known.
    Stranger,
}

impl Children {
    /// Remembers a process that was just started, or that a daemon named its main one.
    pub fn insert(&mut self, pid: Pid, owner: Owner) {
        self.by_pid.insert(pid, owner);
    }

    /// Forgets a process that was just reaped and tells whose it was; `None` for an orphan.
    pub fn remove(&mut self, pid: Pid) -> Option<Owner> {
        if self.wake_at.is_some() {
            self.told.remove(&pid);
            if self.told.is_empty() {
                self.forget_told();
            }
        }
        self.by_pid.remove(&pid)
    }

    /// Whose a process is.
    pub fn owner(&self, pid: Pid) -> Option<Owner> {
        self.by_pid.get(&pid).copied()
    }

    /// Two units change places, and their processes with them.
    pub fn exchange(&mut self, one: UnitId, other: UnitId) {
        for owner in self.by_pid.values_mut() {
            if let Owner::Unit(unit, _) | Owner::Probe(unit) = owner {
                *unit = unit.counterpart(one, other);
            }
        }
    }

    /// Notes that a process was told to end. Who is told while others wait for their CONT gets it with them.
    pub fn told_to_end(&mut self, pid: Pid, now: Moment) -> Told {
        if !self.by_pid.contains_key(&pid) {
            return Told::Stranger;
        }
        self.told.insert(pid);
        self.wake_at.get_or_insert(now + WAKE_AFTER);
        Told::Noted
    }

    /// How many were told to end a moment ago, and have not been reaped.
    pub fn ending(&self) -> usize {
        self.told.len()
    }

    /// When somebody who was told to end is [overdue](Children::overdue).
    pub fn next_deadline(&self) -> Option<Moment> {
        self.wake_at
    }

    /// Those who were told to end and had the time to, and are still there.
    pub fn overdue(&mut self, now: Moment) -> Vec<Pid> {
        if self.wake_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        let overdue = self.told.iter().copied().collect();
        self.forget_told();
        overdue
    }

    /// Their memory is given back: a stop of everything happens once.
    fn forget_told(&mut self) {
        (self.told, self.wake_at) = (HashSet::default(), None);
    }
}

/// Pids are small numbers that the kernel hands out in turn: one multiplication spreads them well
/// enough, and nobody outside chooses them to collide.
#[derive(Debug, Default)]
pub struct PidHasher(u64);

impl Hasher for PidHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_i32(&mut self, number: i32) {
        self.0 = (self.0 ^ u64::from(number.cast_unsigned())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaped_pid_is_forgotten_so_that_its_number_can_come_again() {
        let mut children = Children::default();
        let pid = Pid::new(7).unwrap();
        children.insert(pid, Owner::Unit(UnitId::from_index(1), Role::Main));
        assert_eq!(children.remove(pid), Some(Owner::Unit(UnitId::from_index(1), Role::Main)));
        assert_eq!(children.remove(pid), None);
        children.insert(pid, Owner::Probe(UnitId::from_index(2)));
        assert_eq!(children.owner(pid), Some(Owner::Probe(UnitId::from_index(2))));
    }

    #[test]
    fn who_is_told_to_end_and_stays_is_overdue_once_and_who_ended_never() {
        let (now, pid) = (Moment::default(), |number| Pid::new(number).unwrap());
        let mut children = Children::default();
        (7..10).for_each(|n| children.insert(pid(n), Owner::Unit(UnitId::from_index(1), Role::Main)));
        assert_eq!(children.told_to_end(pid(7), now), Told::Noted);
        assert_eq!(children.told_to_end(pid(8), now + WAKE_AFTER / 2), Told::Noted);
        assert_eq!(children.told_to_end(pid(30), now), Told::Stranger);
        assert_eq!(children.ending(), 2);
        children.remove(pid(7));
        assert_eq!(children.ending(), 1);
        assert_eq!(children.next_deadline(), Some(now + WAKE_AFTER));
        assert!(children.overdue(now).is_empty());
        assert_eq!(children.overdue(now + WAKE_AFTER), [pid(8)]);
        assert_eq!((children.next_deadline(), children.overdue(now + WAKE_AFTER * 2)), (None, vec![]));
    }

    #[test]
    fn when_all_who_were_told_have_ended_nothing_is_waited_for() {
        let (now, pid) = (Moment::default(), Pid::new(7).unwrap());
        let mut children = Children::default();
        children.insert(pid, Owner::Logger);
        assert_eq!(children.told_to_end(pid, now), Told::Noted);
        children.remove(pid);
        assert_eq!(children.next_deadline(), None);
    }

    #[test]
    fn neighbouring_pids_do_not_collide() {
        use std::collections::HashSet;
        use std::hash::BuildHasher;
        let build = BuildHasherDefault::<PidHasher>::default();
        let top_bits: HashSet<u64> = (1..=128).map(|n| build.hash_one(Pid::new(n).unwrap()) >> 57).collect();
        assert!(top_bits.len() > 64, "{} of 128", top_bits.len());
    }
}

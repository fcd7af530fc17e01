//! Which process is whose: every child that sexton started and has not yet reaped.
//!
//! A pid stands here from the moment of its birth until it was reaped, never longer: a number that the
//! kernel may give to somebody else is not kept. What is reaped and does not stand here was an orphan.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::engine::{Role, UnitId};
use crate::model::Pid;

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A unit's, in this role.
    Unit(UnitId, Role),
    /// A readiness probe of a unit.
    Probe(UnitId),
    /// The logger.
    Logger,
}

/// The children, by pid.
#[derive(Debug, Default)]
pub struct Children {
    by_pid: HashMap<Pid, Owner, BuildHasherDefault<PidHasher>>,
}

impl Children {
    /// Remembers a process that was just started, or that a daemon named its main one.
    pub fn insert(&mut self, pid: Pid, owner: Owner) {
        self.by_pid.insert(pid, owner);
    }

    /// Forgets a process that was just reaped and tells whose it was; `None` for an orphan.
    pub fn remove(&mut self, pid: Pid) -> Option<Owner> {
        self.by_pid.remove(&pid)
    }

    /// Whose a process is.
    pub fn owner(&self, pid: Pid) -> Option<Owner> {
        self.by_pid.get(&pid).copied()
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
    fn neighbouring_pids_do_not_collide() {
        use std::collections::HashSet;
        use std::hash::BuildHasher;
        let build = BuildHasherDefault::<PidHasher>::default();
        let top_bits: HashSet<u64> = (1..=128).map(|n| build.hash_one(Pid::new(n).unwrap()) >> 57).collect();
        assert!(top_bits.len() > 64, "{} of 128", top_bits.len());
    }
}

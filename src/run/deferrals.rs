//! Starts that wait for processes, memory or descriptors: each wait is told of once, with what was wanting.
//!
//! ```text
//!   failed(cause) ─▶ change(Deferred): News ─▶ tried again ─▶ change(Deferred): Known ─▶ … ─▶ up, failed or stopped: over
//! ```

use std::collections::BTreeMap;

use super::exchange::exchange;
use crate::engine::{Phase, UnitId};

/// Was a change told of already?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is news.
    NotYet,
    /// It is another try of a wait that was told of.
    Already,
}

/// The units whose last start failed and may be tried again, each with the cause.
#[derive(Debug, Default)]
pub(super) struct Deferrals {
    by_unit: BTreeMap<UnitId, (String, Told)>,
}

impl Deferrals {
    /// A process of the unit could not be started.
    pub(super) fn failed(&mut self, unit: UnitId, cause: String) {
        self.by_unit.entry(unit).or_insert_with(|| (String::new(), Told::NotYet)).0 = cause;
    }

    /// Two units change places.
    pub(super) fn exchange(&mut self, one: UnitId, other: UnitId) {
        exchange(&mut self.by_unit, one, other);
    }

    /// The unit changes. Answers what it waits for, where it does, and whether that was told of.
    pub(super) fn change(&mut self, unit: UnitId, to: Phase) -> (Option<&str>, Told) {
        match to {
            Phase::Deferred => match self.by_unit.get_mut(&unit) {
                Some((cause, told)) => (Some(cause), std::mem::replace(told, Told::Already)),
                None => (None, Told::NotYet),
            },
            // The next try.
            Phase::Preparing | Phase::Starting => (None, Told::NotYet),
            Phase::Waiting
            | Phase::PostStarting
            | Phase::Ready
            | Phase::Done
            | Phase::Skipped
            | Phase::Stopping
            | Phase::Killing
            | Phase::CleaningUp
            | Phase::Backoff
            | Phase::Failed
            | Phase::Stopped => {
                self.by_unit.remove(&unit);
                (None, Told::NotYet)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_of_once_with_its_cause_and_the_next_one_again() {
        let (unit, mut deferrals) = (UnitId::from_index(3), Deferrals::default());
        deferrals.failed(unit, "too many open files".to_owned());
        assert_eq!(deferrals.change(unit, Phase::Deferred), (Some("too many open files"), Told::NotYet));
        for _ in 0..3 {
            assert_eq!(deferrals.change(unit, Phase::Starting), (None, Told::NotYet));
            deferrals.failed(unit, "no memory".to_owned());
            assert_eq!(deferrals.change(unit, Phase::Deferred), (Some("no memory"), Told::Already));
        }
        assert_eq!(deferrals.change(unit, Phase::Ready), (None, Told::NotYet));
        assert_eq!(deferrals.change(unit, Phase::Deferred), (None, Told::NotYet));
        deferrals.failed(unit, "no memory".to_owned());
        assert_eq!(deferrals.change(unit, Phase::Deferred), (Some("no memory"), Told::NotYet));
    }
}

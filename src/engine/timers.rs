//! The timer queue: at most one deadline a unit, which belongs to the state that the unit is in.
//!
//! A unit's cell holds its deadline too; a change of state takes it out of both, so no timer outlives
//! the state that set it.

use std::collections::BTreeSet;

use crate::model::Moment;

use super::event::UnitId;

/// Deadlines, the next one first.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Moment, UnitId)>);

impl Timers {
    /// Replaces the deadline of a unit.
    pub(crate) fn change(&mut self, unit: UnitId, from: Option<Moment>, to: Option<Moment>) {
        if let Some(from) = from {
            self.0.remove(&(from, unit));
        }
        if let Some(to) = to {
            self.0.insert((to, unit));
        }
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.0.first().map(|(moment, _)| *moment)
    }

    /// A unit whose deadline has come. It stays in the queue until the unit's own deadline is changed.
    pub(crate) fn due(&self, now: Moment) -> Option<UnitId> {
        self.0.first().filter(|(moment, _)| *moment <= now).map(|(_, unit)| *unit)
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_due_first_and_a_changed_one_never() {
        let at = Moment::from_nanos;
        let (a, b) = (UnitId(0), UnitId(1));
        let mut timers = Timers::default();
        timers.change(a, None, Some(at(20)));
        timers.change(b, None, Some(at(10)));
        assert_eq!((timers.next(), timers.due(at(9)), timers.due(at(10))), (Some(at(10)), None, Some(b)));
        timers.change(b, Some(at(10)), None);
        timers.change(a, Some(at(20)), Some(at(30)));
        assert_eq!((timers.due(at(29)), timers.due(at(30))), (None, Some(a)));
        timers.change(a, Some(at(30)), None);
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}

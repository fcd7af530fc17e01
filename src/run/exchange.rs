//! Ids that become free, and ids that change places: what stands under them in the tables of this room follows.
//!
//! An id belongs to one unit until the engine says [`Effect::Forget`](crate::engine::Effect::Forget); the next unit that
//! gets it must find nothing of the one before. In an overlapping restart two processes of a unit run under two ids, and
//! change places once the new one is ready. What is queued for the engine by then follows too.

use std::collections::BTreeMap;

use crate::engine::{Phase, Renders, UnitId};

use super::Init;
use super::event_loop::slot;
use crate::logger::Slot;

impl Init {
    /// Empties everything that is kept under an id.
    pub(super) fn forget_unit(&mut self, unit: UnitId) {
        let mut outcomes = Vec::new();
        self.watcher.forget_all(unit, &self.poller, &mut outcomes);
        self.follow(outcomes);
        self.probing.remove(&unit);
        self.heeded.forget(unit);
        self.notify.close(unit, &self.poller);
        self.let_go(unit);
        // A run beside another one wrote to the log of its unit, and had none of its own.
        if self.engine.stands_for(unit) == unit {
            self.end_filter(slot(unit));
            self.logs.forget(slot(unit));
        }
        self.status_texts.remove(&unit);
        self.chronicle.forget(unit);
        let _ = self.deferrals.change(unit, Phase::Stopped); // There is nothing to tell of it any more.
        self.fingerprints.forget(unit);
        self.groups.retain(|(other, _)| *other != unit);
        for problem in self.renderer.settle(unit, Renders::Keep) {
            self.say(&problem);
        }
    }

    /// What is kept under two ids changes places. What is written goes on in one log: both are one unit to people.
    pub(super) fn exchange_units(&mut self, one: UnitId, other: UnitId) {
        self.children.exchange(one, other);
        self.notify.exchange(one, other, &self.poller);
        self.watcher.exchange(one, other);
        self.renderer.exchange(one, other);
        self.fingerprints.exchange(one, other);
        self.foreign.exchange(one, other);
        self.deferrals.exchange(one, other);
        exchange(&mut self.status_texts, one, other);
        self.cgroups.exchange(one, other);
        for (unit, _) in &mut self.groups {
            *unit = unit.counterpart(one, other);
        }
        for event in &mut self.events {
            event.exchange(one, other);
        }
    }

    /// Where in the log a run writes: two runs of a unit have one place.
    pub(super) fn slot_of(&self, unit: UnitId) -> Slot {
        slot(self.engine.stands_for(unit))
    }
}

/// Lets the entries of two ids change places.
pub(super) fn exchange<T>(table: &mut BTreeMap<UnitId, T>, one: UnitId, other: UnitId) {
    let (first, second) = (table.remove(&one), table.remove(&other));
    table.extend(first.map(|entry| (other, entry)));
    table.extend(second.map(|entry| (one, entry)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_entries_change_places_also_where_one_of_them_is_missing() {
        let id = UnitId::from_index;
        let mut table = BTreeMap::from([(id(1), 'a'), (id(2), 'b'), (id(3), 'c')]);
        exchange(&mut table, id(1), id(2));
        exchange(&mut table, id(3), id(4));
        exchange(&mut table, id(5), id(6));
        assert_eq!(table, BTreeMap::from([(id(1), 'b'), (id(2), 'a'), (id(4), 'c')]));
        assert_eq!(id(1).counterpart(id(1), id(2)), id(2));
        assert_eq!(id(3).counterpart(id(1), id(2)), id(3));
    }
}

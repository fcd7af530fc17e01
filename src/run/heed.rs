//! What a daemon writes while it is reloaded, for those that say nowhere else that they have not taken a configuration.
//!
//! ```text
//!   HeedOutput ─▶ mark    Probe ─▶ the logger reads all there is ─▶ lines since the mark ─┬─ match ─▶ ReloadDenied
//!                                                                                         └─ none ──▶ the probe
//! ```

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

use crate::engine::{Cause, Complaint, Event, UnitId};
use crate::model::unit::Unit;

use super::Init;
use super::event_loop::slot;

/// Units whose output is looked at.
#[derive(Debug, Default)]
pub(super) struct Heeded {
    /// How much they had written when they were told to reload.
    marks: BTreeMap<UnitId, u64>,
    /// Those that are to be probed as soon as what they wrote is read.
    reading: BTreeSet<UnitId>,
}

impl Heeded {
    pub(super) fn forget(&mut self, unit: UnitId) {
        self.marks.remove(&unit);
        self.reading.remove(&unit);
    }
}

impl Init {
    pub(super) fn heed_output(&mut self, unit: UnitId) {
        self.heeded.marks.insert(unit, self.logs.mark(slot(unit)));
    }

    /// Has its output to be looked at before it is probed? Then the logger was asked for it.
    pub(super) fn wants_output(&mut self, unit: UnitId) -> bool {
        let is_heeded = self.heeded.marks.contains_key(&unit);
        if is_heeded {
            self.heeded.reading.insert(unit);
            self.logs.request_flush(slot(unit), self.now);
        }
        is_heeded
    }

    /// All that it wrote is read.
    pub(super) fn look_at_output(&mut self, unit: UnitId) {
        if !self.heeded.reading.remove(&unit) {
            return;
        }
        match self.complaint_of(unit) {
            Some(complaint) => {
                self.heeded.forget(unit);
                self.events.push_back(Event::ReloadDenied { unit, complaint: Box::new(complaint) });
            }
            None => self.probe_now(unit),
        }
    }

    fn complaint_of(&self, unit: UnitId) -> Option<Complaint> {
        let mark = self.heeded.marks.get(&unit)?;
        let program = self.engine.unit(unit).unit().and_then(|unit: &std::rc::Rc<Unit>| unit.program())?;
        let pattern = program.reload.as_ref()?.fail_output.as_ref()?;
        let output = self.logs.since(slot(unit), *mark);
        let regex = Regex::new(pattern).ok()?;
        let is_said = output.iter().any(|line| regex.is_match(line));
        is_said.then(|| Complaint { cause: Cause::Matched(pattern.clone()), output })
    }
}

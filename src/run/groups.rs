//! Process groups: who is left in them when their leader ends, and when nobody is any more.
//!
//! ```text
//!   a process is reaped, somebody is in its group ─▶ GroupLeft ──┐
//!   ClearGroup: TERM, KILL ──────────────────────────────────────┴▶ watched ─ a round of reaping, nobody left ─▶ GroupGone
//! ```
//!
//! Who is left in a group becomes sexton's child and is reaped here, mostly. A group whose last member somebody else
//! reaps is noticed with the next round, or when it is told to end.

use std::time::Duration;

use crate::engine::{Event, Phase, Role, Scope, UnitId};
use crate::model::{Pid, Signal};
use crate::sys::kill;

use super::Init;

/// How long nobody looks whether the last have ended: little beside the two seconds that they have, much beside a look.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Init {
    /// What is left of a group is told to end. Most groups are empty by then, and their unit goes on at once.
    pub(super) fn clear_group(&mut self, unit: UnitId, group: Pid, signal: Signal) {
        // What may not be signalled may still be there; only what is not there is gone.
        let is_gone = self
            .send(unit, group, Scope::Group, signal)
            .is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH));
        if !is_gone && self.is_own_group(unit, group) && kill::group_exists(group) {
            self.watch_group(unit, group);
        } else {
            self.groups.retain(|watched| *watched != (unit, group));
            self.events.push_back(Event::GroupGone { unit, group });
        }
    }

    fn watch_group(&mut self, unit: UnitId, group: Pid) {
        if !self.groups.contains(&(unit, group)) {
            self.groups.push((unit, group));
        }
    }

    /// A process of a unit was reaped: has it left somebody? The group of a main process that served is cleared next, and
    /// needs no look. Answers what is to be told once the engine knows of the end.
    pub(super) fn note_group(&mut self, unit: UnitId, role: Role, pid: Pid) -> Option<Event> {
        let view = self.engine.unit(unit);
        if role == Role::Main && view.main_pid() == Some(pid) && view.phase() != Phase::Starting {
            return None;
        }
        if kill::group_exists(pid) {
            self.watch_group(unit, pid);
            self.events.push_back(Event::GroupLeft { unit, role, group: pid });
            return None;
        }
        // A main process may have handed over to another, and then the engine keeps its group.
        (role == Role::Main).then_some(Event::GroupGone { unit, group: pid })
    }

    /// After a round of reaping: which of the groups that are watched are empty now?
    pub(super) fn look_at_groups(&mut self) {
        let events = &mut self.events;
        self.groups.retain(|(unit, group)| {
            let is_there = kill::group_exists(*group);
            if !is_there {
                events.push_back(Event::GroupGone { unit: *unit, group: *group });
            }
            is_there
        });
        if self.look_again_at.is_some() {
            self.look_again_at = self.anybody_left().then_some(self.now + LOOK_AGAIN);
            if self.look_again_at.is_none() {
                self.events.push_back(Event::NobodyLeft);
            }
        }
    }

    /// Whoever has a parent outside (`docker exec`) ends without a SIGCHLD.
    pub(super) fn look_again(&mut self) {
        if self.look_again_at.is_some_and(|at| at <= self.now) {
            self.look_at_groups();
        }
    }
}

//! Process groups of a unit that may still have somebody in them: none outlives the run that it belongs to.
//!
//! ```text
//!   a process ends, and somebody is left in the group that it led ──┐
//!   another main process takes over, and the old one lives on ──────┼──▶ kept ─▶ GroupGone: forgotten
//!   the main process ends ──────────────────────────────────────────┘     └───▶ the end of the run: TERM, then KILL
//!   a test leaves somebody, or a hook of a unit that does not run ──▶ KILL at once
//! ```
//!
//! A group in which somebody is keeps its number from being given to others; one that is told to be gone is forgotten
//! at once. Units that kill their main process alone keep none.

use std::time::Duration;

use crate::model::unit::Kill;
use crate::model::{Pid, Signal};

use super::Engine;
use super::effect::{Effect, Scope};
use super::event::{Role, UnitId};
use super::state::{CleanStage, Ending, State};
use super::stopping::KILL_WAIT;
use super::transition::Input;

/// The most groups that are kept of one unit. A unit has one for each process that it starts; what leaves so many
/// behind leaks them, and the next ones are killed at once.
const MAX_GROUPS: usize = 64;

/// What a leftover process of a group has between TERM and KILL. Its service is gone, so there is little
/// for it to finish.
const GROUP_TERM_WAIT: Duration = Duration::from_secs(1);

impl Engine {
    /// A process ended and left somebody in the group that it led.
    pub(super) fn group_left(&mut self, unit: UnitId, role: Role, group: Pid) {
        let is_tests = matches!(role, Role::Trial(_) | Role::ConfigTest);
        if is_tests || !self.cell(unit).state.is_active() {
            return self.do_this(Effect::ClearGroup { unit, group, signal: Signal::KILL });
        }
        if self.kill_policy(unit) != Kill::Group || self.has_group(unit, group) {
            return;
        }
        if self.groups.get(&unit).map_or(0, Vec::len) < MAX_GROUPS {
            self.keep_group(unit, group);
        } else {
            self.do_this(Effect::ClearGroup { unit, group, signal: Signal::KILL });
        }
    }

    /// Another process is the main one. The old one may live on, and its group with it.
    pub(super) fn hand_over(&mut self, unit: UnitId, old: Pid, new: Pid) {
        if old != new {
            self.group_left(unit, Role::Main, old);
        }
    }

    /// The main process named its successor and ended before that was heard.
    pub(super) fn named_late(&mut self, unit: UnitId, stage: CleanStage, group: Pid) {
        self.group_left(unit, Role::Main, group);
        let signal = match stage {
            CleanStage::GroupsTerminated { .. } => Signal::TERM,
            CleanStage::GroupsKilled { .. } => Signal::KILL,
            // It has its turn after the hooks.
            CleanStage::Hook { .. } => return,
        };
        if self.has_group(unit, group) {
            self.do_this(Effect::ClearGroup { unit, group, signal });
        }
    }

    pub(super) fn group_gone(&mut self, unit: UnitId, group: Pid) {
        let Some(groups) = self.groups.get_mut(&unit) else { return };
        groups.retain(|kept| *kept != group);
        if !groups.is_empty() {
            return;
        }
        self.groups.remove(&unit);
        let stage = CleanStage::is_of_groups;
        if matches!(self.cell(unit).state, State::CleaningUp { stage: now, .. } if stage(now)) {
            self.transition(unit, Input::GroupGone);
        }
    }

    fn has_group(&self, unit: UnitId, group: Pid) -> bool {
        self.groups.get(&unit).is_some_and(|groups| groups.contains(&group))
    }

    fn keep_group(&mut self, unit: UnitId, group: Pid) {
        self.groups.entry(unit).or_default().push(group);
    }

    /// Is anybody left of the unit's run, as far as is known?
    pub(super) fn has_groups(&self, unit: UnitId) -> bool {
        self.groups.contains_key(&unit)
    }

    /// KILL for all that is left beside the main process.
    pub(super) fn kill_groups(&mut self, unit: UnitId) {
        for pid in self.groups.get(&unit).cloned().unwrap_or_default() {
            self.do_this(Effect::Signal { unit, pid, scope: Scope::Group, signal: Signal::KILL });
        }
    }

    /// The unit goes back to where nothing of it runs, and has no time for those who are left.
    pub(super) fn drop_groups(&mut self, unit: UnitId) {
        for group in self.groups.remove(&unit).unwrap_or_default() {
            self.do_this(Effect::ClearGroup { unit, group, signal: Signal::KILL });
        }
    }

    /// The main process, which led `group`, ended: TERM for what is left of all groups of the unit.
    pub(super) fn clear_group(&mut self, unit: UnitId, group: Option<Pid>, ending: Ending) {
        if let Some(group) = group
            && self.kill_policy(unit) == Kill::Group
            && !self.has_group(unit, group)
        {
            self.keep_group(unit, group);
        }
        self.clear_groups(unit, 0, ending);
    }

    /// TERM for all that is left. `next` is the post-stop hook that follows.
    pub(super) fn clear_groups(&mut self, unit: UnitId, next: u16, ending: Ending) {
        if !self.has_groups(unit) {
            return self.groups_cleared(unit, next, ending);
        }
        let (stage, signal, wait) = if self.is_hurried() {
            (CleanStage::GroupsKilled { next }, Signal::KILL, KILL_WAIT)
        } else {
            (CleanStage::GroupsTerminated { next }, Signal::TERM, GROUP_TERM_WAIT)
        };
        self.enter(unit, State::CleaningUp { stage, ending });
        self.tell_groups(unit, signal);
        self.arm(unit, wait);
    }

    fn tell_groups(&mut self, unit: UnitId, signal: Signal) {
        for group in self.groups.get(&unit).cloned().unwrap_or_default() {
            self.do_this(Effect::ClearGroup { unit, group, signal });
        }
    }

    /// Nobody is left, or nobody is waited for any longer.
    pub(super) fn groups_cleared(&mut self, unit: UnitId, next: u16, ending: Ending) {
        match ending {
            Ending::Completed if self.cell(unit).goes_down() => self.post_stop(unit, next, Ending::Told),
            Ending::Completed => self.post_start(unit, None, 0),
            Ending::Told | Ending::Failed | Ending::Ended => self.post_stop(unit, next, ending),
        }
    }

    /// Who did not act on TERM gets KILL.
    pub(super) fn kill_leftovers(&mut self, unit: UnitId, next: u16, ending: Ending) {
        self.amend(unit, State::CleaningUp { stage: CleanStage::GroupsKilled { next }, ending });
        self.tell_groups(unit, Signal::KILL);
        self.arm(unit, KILL_WAIT);
    }

    /// Who outlives KILL is not waited for.
    pub(super) fn give_groups_up(&mut self, unit: UnitId, next: u16, ending: Ending) {
        self.tally.given_up += 1;
        self.groups.remove(&unit);
        self.groups_cleared(unit, next, ending);
    }
}

//! Pre-stop hooks, and their undo.
//!
//! ```text
//!   hook 0 ─ passed ─▶ hook 1 ─ passed ─▶ … ─▶ passed
//!     │ ▲ not yet: Pause, `every`      └─ failed, `on-failure = "abort"` ─▶ failed; the transaction undoes
//!     └─┘                                 `on-failure = "continue"`, or a shutdown ─▶ the next hook
//! ```
//!
//! A hook with `until` has failed when its first run fails; once it has worked, a run that fails is tried again.
//! A hook has its `timeout` for all its runs together. A unit that goes down meanwhile has nothing left to prepare
//! for: the rest of its hooks counts as passed.

use std::time::Duration;

use crate::model::Number;
use crate::model::unit::{Occasions, OnPreStopFailure, PreStop};

use super::Engine;
use super::cell::Cell;
use super::effect::Reason;
use super::errand::{Attempted, Doing, End, Owner, Task};
use super::event::{RequestId, Role, UnitId};
use super::failure::Failure;
use super::progress::{HookNews, Progress};
use super::state::Process;

/// Does a hook run before this kind of stop?
pub(super) fn is_meant(on: Occasions, reason: Reason) -> bool {
    match reason {
        Reason::Start | Reason::Reload => false,
        Reason::Restart => on.restart,
        Reason::Stop => on.stop,
        Reason::Shutdown => on.shutdown,
    }
}

/// The hooks of a unit that run before this kind of stop, if it stopped now.
pub(super) fn hooks_before(cell: &Cell, reason: Reason) -> impl Iterator<Item = &PreStop> {
    let is_due = cell.state.is_serving() && !cell.goes_down();
    let hooks = cell.program().filter(|_| is_due).map(|program| program.hooks.pre_stop.as_slice());
    hooks.unwrap_or_default().iter().filter(move |hook| is_meant(hook.on, reason))
}

impl Engine {
    /// The next hook, from this place on.
    pub(super) fn next_hook(&mut self, unit: UnitId, from: u16) {
        let Some(errand) = self.errands.get_mut(&unit) else { return };
        let reason = errand.reason;
        let hooks =
            errand.spec.program().map(|program| program.hooks.pre_stop.as_slice()).unwrap_or_default();
        let mut rest = hooks.iter().enumerate().skip(usize::from(from));
        let Some((place, hook)) = rest.find(|(_, hook)| is_meant(hook.on, reason)) else {
            return self.end_errand(unit, End::Passed);
        };
        let (place, timeout) = (u16::try_from(place).unwrap_or(u16::MAX), hook.timeout);
        errand.task = Task::PreStop { first: None };
        (errand.last, errand.repeats) = (None, false);
        self.begin_limit(unit, timeout);
        self.order_errand(unit, Role::PreStop(place), 0);
    }

    /// A hook runs. What it did has to be undone if its stop is given up.
    pub(super) fn hook_begun(&mut self, unit: UnitId, hook: u16) {
        let Some(Owner::Request(id)) = self.errands.get(&unit).map(|errand| errand.owner) else { return };
        let begun =
            self.transactions.get_mut(&id).and_then(|t| t.gated.as_mut()).map(|gated| &mut gated.begun);
        if let Some(begun) = begun.filter(|begun| !begun.contains(&(unit, hook))) {
            begun.push((unit, hook));
            self.tell_of_hook(unit, hook, HookNews::Began);
        }
    }

    pub(super) fn hook_ran(&mut self, unit: UnitId, hook: u16, attempted: Attempted) {
        let Some((every, on_failure)) = self.hook(unit, hook).map(|hook| (hook.every, hook.on_failure))
        else {
            return self.end_errand(unit, End::Passed);
        };
        match attempted {
            Attempted::Done(number) => {
                self.tell_of_number(unit, hook, number);
                self.tell_of_hook(unit, hook, HookNews::Done);
                self.next_hook(unit, hook.saturating_add(1));
            }
            Attempted::NotYet(number) => {
                self.tell_of_number(unit, hook, number);
                if let Some(errand) = self.errands.get_mut(&unit) {
                    (errand.last, errand.repeats) = (None, true);
                }
                self.run_again(unit, hook, every);
            }
            // Whoever asks again and again may once get no answer.
            Attempted::Failed(failure @ Failure::Judged { .. }) if self.repeats(unit) => {
                if let Some(errand) = self.errands.get_mut(&unit) {
                    errand.last = Some(failure);
                }
                self.run_again(unit, hook, every);
            }
            Attempted::Failed(failure) => {
                let is_shutdown = self.errands.get(&unit).is_some_and(|e| e.owner == Owner::Shutdown);
                let words = self.words(&failure);
                self.tell_of_hook(unit, hook, HookNews::Failed(words));
                if is_shutdown || on_failure == OnPreStopFailure::Continue {
                    self.pass_over(unit, failure);
                    self.next_hook(unit, hook.saturating_add(1));
                } else {
                    self.end_errand(unit, End::Failed(failure));
                }
            }
        }
    }

    fn repeats(&self, unit: UnitId) -> bool {
        self.errands.get(&unit).is_some_and(|errand| errand.repeats && self.now < errand.limit)
    }

    fn run_again(&mut self, unit: UnitId, hook: u16, every: Duration) {
        let limit = self.errands.get(&unit).map_or(self.now, |errand| errand.limit);
        let again = (self.now + every).min(limit);
        self.do_next(unit, Doing::Pause(Role::PreStop(hook)), Process::None, Some(again));
    }

    /// The hook runs again, unless its time is over.
    pub(super) fn pause_over(&mut self, unit: UnitId, hook: u16, is_late: bool) {
        let role = Role::PreStop(hook);
        if is_late {
            let Some(errand) = self.errands.get_mut(&unit) else { return };
            let (after, last) = (errand.timeout(role), errand.last.take());
            let output = match last {
                Some(Failure::Judged { complaint, .. }) => complaint.output,
                _ => Vec::new(),
            };
            return self.hook_ran(unit, hook, Attempted::Failed(Failure::TimedOut { role, after, output }));
        }
        self.order_errand(unit, role, 0);
    }

    /// The undo of the next hook that has one, the last one first.
    pub(super) fn next_undo(&mut self, unit: UnitId) {
        loop {
            let Some(errand) = self.errands.get_mut(&unit) else { return };
            let Task::Undo { left } = &mut errand.task else { return };
            let Some(hook) = left.pop() else { return self.end_errand(unit, End::Passed) };
            let role = Role::Undo(hook);
            if self.hook(unit, hook).is_some_and(|hook| hook.undo.is_some()) {
                let timeout = self.errands.get(&unit).map(|errand| errand.timeout(role)).unwrap_or_default();
                self.begin_limit(unit, timeout);
                return self.order_errand(unit, role, 0);
            }
        }
    }

    pub(super) fn undo_ran(&mut self, unit: UnitId, hook: u16, attempted: Attempted) {
        let news = match attempted {
            Attempted::Done(_) | Attempted::NotYet(_) => HookNews::Undone,
            Attempted::Failed(failure) => HookNews::UndoFailed(self.words(&failure)),
        };
        if let (HookNews::Undone, Some(name), Some(id)) =
            (&news, self.hook_name(unit, hook), self.asker(unit))
        {
            let words = format!("{}: {name}", self.cell(unit).name());
            if let Some(gated) = self.transactions.get_mut(&id).and_then(|t| t.gated.as_mut()) {
                gated.undone.push(words);
            }
        }
        self.tell_of_hook(unit, hook, news);
        self.next_undo(unit);
    }

    fn hook(&self, unit: UnitId, hook: u16) -> Option<&PreStop> {
        self.errands.get(&unit)?.spec.program()?.hooks.pre_stop.get(usize::from(hook))
    }

    pub(super) fn hook_name(&self, unit: UnitId, hook: u16) -> Option<String> {
        self.hook(unit, hook).map(|hook| hook.name.clone())
    }

    /// The request for which something is done beside a unit.
    fn asker(&self, unit: UnitId) -> Option<RequestId> {
        match self.errands.get(&unit)?.owner {
            Owner::Request(id) => Some(id),
            Owner::Shutdown => None,
        }
    }

    fn tell_of_number(&mut self, unit: UnitId, hook: u16, number: Option<Number>) {
        let (Some(now), Some(errand)) = (number, self.errands.get_mut(&unit)) else { return };
        let Task::PreStop { first } = &mut errand.task else { return };
        let first = *first.get_or_insert(now);
        self.tell_of_hook(unit, hook, HookNews::Measured { first, now });
    }

    fn tell_of_hook(&mut self, unit: UnitId, hook: u16, news: HookNews) {
        let (Some(id), Some(errand)) = (self.asker(unit), self.errands.get(&unit)) else { return };
        let (until, own) = (errand.limit, errand.spec.name.clone());
        let Some(hook) = self.hook_name(unit, hook) else { return };
        self.tell(id, Progress::Hook { unit: own, hook, news, until });
    }
}

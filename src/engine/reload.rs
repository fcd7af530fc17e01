//! A reload, and the proof that it worked: daemons say that they are ready after a reload that failed, and others
//! die of the signal a moment later.
//!
//! ```text
//!   signal ──────────────┬─▶ Settle: its main process lives on ─▶ Probe: `[ready]` ─▶ `verify` ─▶ passed
//!   command ─ exited 0 ──┘                                         │ │ ▲ again after `interval`
//!                                 `fail-output` was written: failed ◀┘ └─┘
//! ```
//!
//! All of it has `[reload] timeout`; a `verify` that fails is tried again until then. Another main process may take over; the end of the main process is a failure.

use std::time::Duration;

use crate::model::Signal;
use crate::model::unit::{Reload, ReloadBy};

use super::Engine;
use super::effect::{Effect, Scope};
use super::errand::{Attempted, Doing, End, Task};
use super::event::{Role, UnitId};
use super::failure::Failure;
use super::state::{Process, State};
use super::verdict::Complaint;

/// How long after a verification that failed it is tried again.
const VERIFY_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) fn begin_reload(&mut self, unit: UnitId) {
        let Some((how, timeout)) = self.reload_of(unit).map(|r| (r.how.clone(), r.timeout)) else {
            return self.end_errand(unit, End::Passed);
        };
        let State::Ready { main: Some(pid) } = self.cell(unit).state else {
            let failure = self.reload_ended(unit);
            return self.end_errand(unit, End::Failed(failure));
        };
        self.begin_limit(unit, timeout);
        if self.reload_of(unit).is_some_and(|reload| reload.fail_output.is_some()) {
            self.do_this(Effect::HeedOutput { unit });
        }
        match how {
            ReloadBy::Signal(signal) => self.signal_reload(unit, pid, signal),
            ReloadBy::Command(_) => self.order_errand(unit, Role::Reload, 0),
        }
    }

    fn signal_reload(&mut self, unit: UnitId, pid: crate::model::Pid, signal: Signal) {
        self.do_this(Effect::Signal { unit, pid, scope: Scope::Process, signal });
        self.settle_reload(unit);
    }

    fn settle_reload(&mut self, unit: UnitId) {
        let settle = self.reload_of(unit).map(|reload| reload.settle).unwrap_or_default();
        let limit = self.errands.get(&unit).map_or(self.now, |errand| errand.limit);
        let until = (self.now + settle).min(limit);
        self.do_next(unit, Doing::Settle, Process::None, Some(until));
    }

    pub(super) fn reload_ran(&mut self, unit: UnitId, attempted: Attempted) {
        match attempted {
            Attempted::Failed(failure) => self.end_errand(unit, End::Failed(failure)),
            Attempted::Done(_) | Attempted::NotYet(_) => self.settle_reload(unit),
        }
    }

    /// Asks whether it serves.
    pub(super) fn probe(&mut self, unit: UnitId) {
        let limit = self.errands.get(&unit).map(|errand| errand.limit);
        self.do_next(unit, Doing::Probe, Process::None, limit);
        self.do_this(Effect::Probe { unit });
    }

    pub(super) fn probed(&mut self, unit: UnitId, result: Result<(), String>) {
        let now = self.now;
        let Some(errand) = self.errands.get_mut(&unit).filter(|errand| errand.doing == Doing::Probe) else {
            // The engine forgot it while the answer was on its way.
            return;
        };
        let Some(program) = errand.spec.program() else { return };
        match result {
            Err(words) => {
                let again = (now + program.ready.interval).min(errand.limit);
                (errand.task, errand.last) = (Task::Reload { words }, None);
                self.do_next(unit, Doing::Pause(Role::Reload), Process::None, Some(again));
            }
            Ok(()) if program.reload.as_ref().is_some_and(|reload| reload.verify.is_some()) => {
                self.order_errand(unit, Role::ReloadVerify, 0);
            }
            Ok(()) => {
                self.do_next(unit, Doing::Settle, Process::None, None);
                self.end_errand(unit, End::Passed);
            }
        }
    }

    /// It says itself that it has not taken its configuration: there is nothing to wait for.
    pub(super) fn denied(&mut self, unit: UnitId, complaint: Box<Complaint>) {
        if self.errands.get(&unit).is_some_and(|errand| errand.doing == Doing::Probe) {
            self.do_next(unit, Doing::Settle, Process::None, None);
            self.end_errand(unit, End::Failed(Failure::Judged { role: Role::Main, complaint }));
        }
    }

    pub(super) fn verified(&mut self, unit: UnitId, attempted: Attempted) {
        let now = self.now;
        let Some(errand) = self.errands.get_mut(&unit) else { return };
        match attempted {
            Attempted::Done(_) | Attempted::NotYet(_) => self.end_errand(unit, End::Passed),
            // It may take a daemon a while to go over to what it has read.
            Attempted::Failed(failure @ Failure::Judged { .. }) if now < errand.limit => {
                let again = (now + VERIFY_AGAIN).min(errand.limit);
                errand.last = Some(failure);
                self.do_next(unit, Doing::Pause(Role::ReloadVerify), Process::None, Some(again));
            }
            Attempted::Failed(failure) => {
                let end = errand.last.take().unwrap_or(failure);
                self.end_errand(unit, End::Failed(end));
            }
        }
    }

    /// Its time is over, and nothing has shown that it serves.
    pub(super) fn unproven(&mut self, unit: UnitId) {
        let Some(errand) = self.errands.get_mut(&unit) else { return };
        if let Some(failure) = errand.last.take() {
            return self.end_errand(unit, End::Failed(failure));
        }
        let words = match &errand.task {
            Task::Reload { words } => words.clone(),
            Task::Trial { .. } | Task::PreStop { .. } | Task::Undo { .. } => String::new(),
        };
        let after = errand.timeout(Role::Reload);
        self.end_errand(unit, End::Failed(Failure::ReloadUnproven { after, words }));
    }

    /// Why a unit that is not up any more could not be reloaded.
    pub(super) fn reload_ended(&self, unit: UnitId) -> Failure {
        match self.cell(unit).last_end {
            Some(end) => Failure::ReloadEnded { status: end.status },
            None => Failure::ReloadUnproven { after: Duration::ZERO, words: "it is not up".to_owned() },
        }
    }

    fn reload_of(&self, unit: UnitId) -> Option<&Reload> {
        self.errands.get(&unit)?.spec.program()?.reload.as_deref()
    }
}

//! The way back of a request that has not touched anything: what runs of it is ended, and its hooks are undone.
//!
//! ```text
//!   a test, a hook or a successor failed, somebody abandoned it, a stop is wished
//!        └─▶ Clearing: errands are killed, successors stopped ─▶ Undoing ─▶ the answer
//! ```

use std::collections::BTreeSet;

use super::Engine;
use super::effect::Renders;
use super::errand::{End, Owner, Task};
use super::event::{Request, RequestId, UnitId};
use super::failure::{Outcome, Refusal};
use super::progress::{Progress, TransactionPhase};
use super::state::Wanted;
use super::transaction::{Step, Transaction};

impl Engine {
    pub(super) fn refuse_for_tests(&mut self, id: RequestId) {
        let Some(gated) = self.gated_mut(id) else { return };
        let failures = std::mem::take(&mut gated.failures);
        let wish = gated.wish.clone();
        let outcome = match (gated.begun.is_empty(), failures.first()) {
            (false, Some((unit, failure))) => {
                Outcome::Aborted { unit: *unit, failure: failure.clone(), undone: Vec::new() }
            }
            _ => {
                let named = |(unit, failure)| {
                    let definition = wish.definition(unit).or_else(|| self.cell(unit).unit())?;
                    Some((definition.name.clone(), failure))
                };
                let failures = failures.into_iter().filter_map(named).collect();
                Outcome::Refused(Refusal::ConfigTest { failures })
            }
        };
        self.give_up(id, outcome);
    }

    /// The request ends with this, once nothing of it runs any more and its hooks are undone.
    pub(super) fn give_up(&mut self, id: RequestId, because: Outcome) {
        let Some(gated) = self.gated_mut(id) else { return };
        gated.because = Some(because);
        let own = Owner::Request(id);
        let scope = gated.scope.clone();
        let busy = |unit: &UnitId| self.errands.get(unit).is_some_and(|errand| errand.owner == own);
        let busy: Vec<UnitId> = scope.into_iter().filter(busy).collect();
        let successors = self.successors_of(id);
        self.await_errands(id, Step::Clearing, busy.len() + successors.len());
        for unit in busy {
            self.end_errand(unit, End::GivenUp);
        }
        for successor in successors {
            self.dismiss(successor);
        }
    }

    pub(super) fn undo(&mut self, id: RequestId) {
        let Some(gated) = self.gated(id) else { return };
        let reason = gated.wish.reason();
        let mut units: Vec<(UnitId, Vec<u16>)> = Vec::new();
        for (unit, hook) in &gated.begun {
            match units.iter_mut().find(|(other, _)| other == unit) {
                Some((_, hooks)) => hooks.push(*hook),
                None => units.push((*unit, vec![*hook])),
            }
        }
        let has_undo = |(unit, hooks): &(UnitId, Vec<u16>)| {
            let own = self.cell(*unit).program().map(|program| program.hooks.pre_stop.as_slice());
            let own = own.unwrap_or_default();
            hooks.iter().any(|hook| own.get(usize::from(*hook)).is_some_and(|hook| hook.undo.is_some()))
        };
        units.retain(has_undo);
        if units.is_empty() {
            return self.answer_given_up(id);
        }
        self.await_errands(id, Step::Undoing, units.len());
        self.tell(id, Progress::Phase(TransactionPhase::Undoing));
        for (unit, left) in units {
            let Some(spec) = self.cell(unit).unit().cloned() else { continue };
            self.begin_errand(unit, Owner::Request(id), (spec, reason), Task::Undo { left });
        }
    }

    /// Nothing was touched, and nothing is left of it.
    pub(super) fn answer_given_up(&mut self, id: RequestId) {
        let Some(gated) = self.leave_gate(id, Renders::Restore) else { return };
        self.transactions.remove(&id);
        let undone = gated.undone;
        let outcome = match gated.because {
            Some(Outcome::Aborted { unit, failure, .. }) => Outcome::Aborted { unit, failure, undone },
            Some(Outcome::Abandoned { .. }) | None => Outcome::Abandoned { undone },
            Some(outcome) => outcome,
        };
        self.reply(id, outcome);
        self.take_up_postponed();
    }

    /// A stop of units that other requests have begun with: those that wish them up are given up, and it waits until
    /// the claims are free. True when it has to.
    pub(super) fn postpone_stop(
        &mut self,
        id: RequestId,
        to_stop: &[UnitId],
        request: impl FnOnce() -> Request,
    ) -> bool {
        let claimers: BTreeSet<RequestId> =
            to_stop.iter().filter_map(|unit| self.claims.get(unit)).copied().collect();
        if claimers.is_empty() {
            return false;
        }
        self.postponed.push((id, request()));
        for other in claimers {
            let wishes_up = |t: &Transaction| t.goal == Wanted::Up && t.step.can_be_given_up();
            if self.transactions.get(&other).is_some_and(wishes_up) {
                self.give_up(other, Outcome::Replaced { by: id });
            }
        }
        true
    }

    pub(super) fn take_up_postponed(&mut self) {
        for (id, request) in std::mem::take(&mut self.postponed) {
            self.requested(id, request);
        }
    }

    /// Nobody waits for this request any longer.
    pub(super) fn abandon(&mut self, id: RequestId) -> Outcome {
        let undone = Vec::new();
        if self.abandon_roll(id) {
            return Outcome::Done;
        }
        if let Some(place) = self.postponed.iter().position(|(other, _)| *other == id) {
            self.postponed.remove(place);
            self.reply(id, Outcome::Abandoned { undone });
        } else if self.transactions.get(&id).is_some_and(|t| t.step.can_be_given_up()) {
            self.give_up(id, Outcome::Abandoned { undone });
        }
        Outcome::Done
    }

    /// The shutdown begins: whatever was not touched yet is left as it is.
    pub(super) fn drop_gates(&mut self) {
        for id in self.transactions.keys().copied().collect::<Vec<_>>() {
            let was_reloading = self.transactions.get(&id).is_some_and(|t| t.step == Step::Reloading);
            let verdict = if was_reloading { Renders::Keep } else { Renders::Restore };
            let _ = self.leave_gate(id, verdict); // Nobody is answered by it.
        }
        for (id, _) in std::mem::take(&mut self.postponed) {
            self.reply(id, Outcome::ShuttingDown);
        }
    }
}

//! A trial: would the unit start? It is done beside the unit, as it would be in its own start.
//!
//! ```text
//!   the unit's own start prepares: Turn ─▶ Inspection ─ Met ─▶ condition ─▶ prepare … ─▶ configtest ─▶ tested
//! ```
//!
//! Two runs of a prepare command would get into each other's way, so a trial waits while the unit's own start is
//! at its preparations, and the unit's own start waits while there is a trial.

use crate::model::Unit;
use crate::model::unit::{HOOK_TIMEOUT, OnFailure};

use super::Engine;
use super::effect::Effect;
use super::errand::{Attempted, Doing, End, Errand, Owner, Task};
use super::event::{Finding, Purpose, Role, Trial, UnitId};
use super::failure::Failure;
use super::preparing::{deferral, hook_of};
use super::progress::Tested;
use super::state::{Due, Process};

impl Engine {
    pub(super) fn begin_trial(&mut self, unit: UnitId) {
        if self.cell(unit).state.is_preparing() {
            self.do_next(unit, Doing::Turn, Process::None, Some(self.now + HOOK_TIMEOUT));
        } else {
            self.inspect_for_trial(unit, 0);
        }
    }

    /// The unit's own start does not get on.
    pub(super) fn turn_never_came(&mut self, unit: UnitId) {
        let role = Role::Trial(Trial::ConfigTest);
        self.end_errand(
            unit,
            End::Failed(Failure::TimedOut { role, after: HOOK_TIMEOUT, output: Vec::new() }),
        );
    }

    pub(super) fn inspect_for_trial(&mut self, unit: UnitId, tries: u16) {
        self.do_next(unit, Doing::Inspection, Process::Ordered(tries), None);
        let Some(errand) = self.errands.get(&unit) else { return };
        let (spec, owner) = (errand.spec.clone(), errand.owner);
        if tries == 0 {
            let timeout = errand.timeout(Role::Trial(Trial::ConfigTest));
            self.begin_limit(unit, timeout);
        }
        let renders = spec.program().is_some_and(|program| !program.renders.is_empty());
        if let (true, Owner::Request(id)) = (renders, owner)
            && let Some(gated) = self.transactions.get_mut(&id).and_then(|t| t.gated.as_mut())
            && !gated.rendered.contains(&unit)
        {
            gated.rendered.push(unit);
        }
        self.do_this(Effect::Inspect { unit, spec, purpose: Purpose::Trial });
    }

    pub(super) fn inspected_for_trial(&mut self, unit: UnitId, finding: Finding) {
        let asked = |errand: &&mut Errand| {
            errand.doing == Doing::Inspection && matches!(errand.process, Process::Ordered(_))
        };
        let now = self.now;
        let Some(errand) = self.errands.get_mut(&unit).filter(asked) else { return self.impossible() };
        let process = std::mem::replace(&mut errand.process, Process::None);
        let (limit, end) = (errand.limit, errand.end.clone());
        match (finding, process) {
            _ if end.is_some() => self.end_errand(unit, end.unwrap_or(End::GivenUp)),
            (Finding::Met { prepare }, _) => {
                errand.task = Task::Trial { due: Due::from_flags(&prepare) };
                self.try_after(unit, None);
            }
            (Finding::Unmet(words), _) => self.end_errand(unit, End::Failed(Failure::Unmet(words))),
            (Finding::Skip(words), _) if self.cell(unit).state.main().is_some() => {
                let words = format!("{words}, and without it the unit would be skipped");
                self.end_errand(unit, End::Failed(Failure::Unmet(words)));
            }
            (Finding::Skip(_), _) => self.end_errand(unit, End::Tested(Tested::Untested)),
            (Finding::Failed(error), Process::Ordered(tries))
                if error.is_transient() && now + deferral(tries) < limit =>
            {
                let again = Some(now + deferral(tries));
                self.do_next(unit, Doing::Inspection, Process::Deferred(tries), again);
            }
            (Finding::Failed(error), _) => {
                self.end_errand(unit, End::Failed(Failure::Spawn { role: Role::Main, error }));
            }
        }
    }

    fn try_after(&mut self, unit: UnitId, after: Option<Trial>) {
        let Some(errand) = self.errands.get(&unit) else { return };
        let Task::Trial { due } = errand.task else { return };
        match next_trial(&errand.spec, after, due) {
            Some(trial) => {
                let role = Role::Trial(trial);
                let timeout = errand.timeout(role);
                self.begin_limit(unit, timeout);
                self.order_errand(unit, role, 0);
            }
            None => {
                let has_test = errand.spec.program().is_some_and(|program| program.configtest.is_some());
                let tested = if has_test { Tested::Passed } else { Tested::Untested };
                self.end_errand(unit, End::Tested(tested));
            }
        }
    }

    pub(super) fn tried(&mut self, unit: UnitId, trial: Trial, attempted: Attempted) {
        let Some(errand) = self.errands.get(&unit) else { return };
        let hook = match trial {
            Trial::Prepare(place) => {
                errand.spec.program().and_then(|p| hook_of(&p.hooks, Role::Prepare(place)))
            }
            Trial::Condition | Trial::ConfigTest => None,
        };
        let passed_over = hook.is_some_and(|hook| hook.on_failure == OnFailure::Continue);
        match attempted {
            Attempted::Failed(failure) if passed_over => {
                if self.cell(unit).unit().is_some() {
                    self.pass_over(unit, failure);
                }
                self.try_after(unit, Some(trial));
            }
            Attempted::Failed(failure) => self.end_errand(unit, End::Failed(failure)),
            Attempted::Done(_) | Attempted::NotYet(_) => self.try_after(unit, Some(trial)),
        }
    }

    /// A trial that is on its way holds the unit's own start back.
    pub(super) fn is_on_trial(&self, unit: UnitId) -> bool {
        self.errands
            .get(&unit)
            .is_some_and(|errand| matches!(errand.task, Task::Trial { .. }) && errand.doing != Doing::Turn)
    }
}

/// What is tried after `after`; `None` when all is.
fn next_trial(spec: &Unit, after: Option<Trial>, due: Due) -> Option<Trial> {
    let program = spec.program()?;
    let prepare_from = match after {
        None if program.require.condition.is_some() => return Some(Trial::Condition),
        None | Some(Trial::Condition) => 0,
        Some(Trial::Prepare(place)) => place.saturating_add(1),
        Some(Trial::ConfigTest) => return None,
    };
    let places = u16::try_from(program.hooks.prepare.len()).unwrap_or(u16::MAX);
    let mut rest = prepare_from..places;
    match rest.find(|place| due.has(usize::from(*place))) {
        Some(place) => Some(Trial::Prepare(place)),
        None => program.configtest.as_ref().map(|_| Trial::ConfigTest),
    }
}

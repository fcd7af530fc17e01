//! Laws 4 and 5 at the moment of the first touch, and at the answer: tested, the hooks over, and undone where given up.

use std::collections::BTreeSet;
use std::rc::Rc;

use sexton::engine::{
    Engine, Failure, Gate, Outcome, Refusal, Request, RequestId, Role, Tested, UnitId, Wanted,
};
use sexton::model::unit::{PreStop, Unit};
use sexton::model::{Pid, UnitName};

use super::gate_books::Asked;
use super::gates::{Gates, Judgement, law};

impl Gates {
    /// From here on it touches units.
    pub(crate) fn touches(
        &mut self,
        id: RequestId,
        engine: &Engine,
        is_doomed: &dyn Fn(usize) -> bool,
    ) -> Judgement {
        self.all_passed(id, "touches units")?;
        let others = self.asked.iter().filter(|(other, _)| **other != id);
        let alone = others.clone().all(|(_, asked)| asked.touched_at.is_none() || asked.has_stopped);
        let asked = &self.asked[&id];
        let (units, is_meant): (&[UnitId], fn(&PreStop) -> bool) = match &asked.request {
            Request::Stop { units, .. } => (units, |hook| hook.on.stop),
            Request::Restart { units, .. } => (units, |hook| hook.on.restart),
            _ => (&[], |_| false),
        };
        if alone {
            let has_turn = |unit: &usize| asked.turn.is_none_or(|own| own == *unit);
            for unit in units.iter().map(|unit| unit.index()).filter(has_turn) {
                let book = &self.units[unit];
                let served = book.ready_since.is_some_and(|since| since < asked.at)
                    && book.wished_since + 1 < asked.at
                    && !is_doomed(unit)
                    && !book.is_doomed
                    && engine.unit(UnitId::from_index(unit)).main_pid().is_some();
                let due = self.hooks(unit).iter().enumerate().filter(|(_, hook)| is_meant(hook));
                for (place, _) in due.filter(|_| served && self.shutdown.is_none()) {
                    if !book.tried.contains(&(place as u16)) {
                        return law(5, format!("u{unit} is to stop, and its hook {place} did not run"));
                    }
                }
            }
        }
        let step = self.step;
        self.asked(id).touched_at = Some(step);
        self.hooks_are_over(id)
    }

    /// A unit that serves is told to stop, or to read its configuration again.
    pub(crate) fn is_touched(
        &self,
        unit: usize,
        engine: &Engine,
        is_doomed: bool,
        what: &str,
        permits: &dyn Fn(RequestId, usize) -> bool,
        needs: &[usize],
    ) -> Judgement {
        let book = &self.units[unit];
        // The undo for a unit that goes down all the same hinders nobody.
        let hook = |role: &Role| match role {
            Role::PreStop(_) => true,
            Role::Undo(_) => book.was_ready,
            _ => false,
        };
        if (book.ordered.iter().any(hook) || book.running.values().any(hook)) && !self.is_held(unit) {
            return law(5, format!("u{unit} gets {what} while its hook runs: {:?}", book.running));
        }
        let wanted = engine.unit(UnitId::from_index(unit)).wanted();
        // It may be wished up again in the very step in which it is told to stop.
        let is_unwished = wanted == Wanted::Down || book.wished_since + 1 >= self.step;
        if self.shutdown.is_some() || is_unwished || is_doomed || book.is_doomed || !book.was_ready {
            return Ok(());
        }
        // Where new files have a unit need one that is going down, what needs that unit joins too.
        let exchanged_at = needs.iter().map(|need| self.units[*need].exchanged_at).max().unwrap_or(0);
        let exchanged_at = exchanged_at.max(book.exchanged_at);
        let allows = |asked: &Asked| match (&asked.request, asked.touched_at) {
            (
                Request::Restart { gate: Gate::Skipped, .. } | Request::Reload { gate: Gate::Skipped, .. },
                touched,
            ) => touched.is_some(),
            (Request::Restart { .. } | Request::Reload { .. }, Some(at)) => {
                // A unit that was on its way down anyway may join the restart that keeps it from coming up.
                // Or one that came up since, which its own start tested, or that a sync changed.
                asked.passed.contains(&unit)
                    || book.wished_since.max(exchanged_at).max(book.came_up) >= asked.at
                    || at < asked.at
            }
            (Request::Sync { gate, definitions }, Some(_)) => {
                let name = self.spec(unit).map(|unit| &unit.name);
                let new = definitions.units.iter().find(|unit| Some(&unit.name) == name);
                let runs_nothing = new.is_none_or(|unit| unit.program().is_none());
                runs_nothing
                    || *gate == Gate::Skipped
                    || asked.passed.contains(&unit)
                    || book.wished_since >= asked.at
            }
            _ => false,
        };
        let mut all = self.asked.iter().filter(|(id, _)| permits(**id, unit));
        match all.any(|(_, asked)| allows(asked)) || !self.runs(unit) {
            true => Ok(()),
            false => law(4, format!("u{unit} gets {what}, and no request tested it before")),
        }
    }

    pub(crate) fn skips_tests(&self, id: RequestId) -> bool {
        matches!(
            self.asked[&id].request,
            Request::Restart { gate: Gate::Skipped, .. }
                | Request::Reload { gate: Gate::Skipped, .. }
                | Request::Sync { gate: Gate::Skipped, .. }
        )
    }

    /// What is said of a unit that is not to be tested.
    pub(crate) fn left_out(&mut self, id: RequestId, name: &UnitName, passed: Tested) -> Judgement {
        let new = match &self.asked[&id].request {
            Request::Sync { definitions, .. } => definitions.units.iter().find(|unit| unit.name == *name),
            _ => None,
        };
        let own = (0..self.specs.len()).filter_map(|unit| self.spec(unit)).find(|unit| unit.name == *name);
        let own = new.or(own).map(Rc::as_ref);
        let has_test = own.and_then(Unit::program).is_some_and(|program| program.configtest.is_some());
        if passed != (if has_test { Tested::Skipped } else { Tested::Untested }) {
            return law(4, format!("{name} is called {passed:?} for {id:?}, which asked for no tests"));
        }
        self.asked(id).left_out.insert(name.clone());
        Ok(())
    }

    /// What it writes is looked at from here on.
    pub(crate) fn heeds(&mut self, unit: usize) -> Judgement {
        let step = self.step;
        let book = &mut self.units[unit];
        book.heeded_at = step;
        match std::mem::replace(&mut book.is_heeded, true) {
            true => law(6, format!("u{unit}: what it writes is looked at twice")),
            false => Ok(()),
        }
    }

    /// A daemon that says that it has not taken its configuration is believed, and what one says that says nothing of a
    /// reload is not looked at any more.
    fn is_heard(&self, id: RequestId, units: &[UnitId], at: u64, outcome: &Outcome) -> Judgement {
        for unit in units.iter().map(|unit| unit.index()) {
            let book = &self.units[unit];
            let reload = self.spec(unit).and_then(|unit| unit.program()?.reload.clone());
            let is_to_say = reload.is_some_and(|reload| reload.fail_output.is_some());
            let is_through = matches!(outcome, Outcome::Done | Outcome::Failed { .. });
            if is_through && book.is_heeded && book.heeded_at >= at {
                return law(6, format!("{id:?} is over, and what u{unit} writes is looked at"));
            }
            if *outcome == Outcome::Done && is_to_say && book.heeded_at < at {
                return law(10, format!("{id:?} is done, and nobody looked at what u{unit} wrote"));
            }
            if *outcome == Outcome::Done && book.denied_at >= at {
                return law(10, format!("{id:?} is done, and u{unit} has said that it is not"));
            }
            let denies = |failure: &Failure| matches!(failure, Failure::Judged { role: Role::Main, .. });
            let is_denied = matches!(outcome, Outcome::Failed { unit: own, failure, .. }
                if own.index() == unit && denies(failure));
            if is_denied && book.denied_at < at {
                return law(10, format!("{id:?} fails by words of u{unit} that it has not written"));
            }
        }
        Ok(())
    }

    pub(crate) fn runs(&self, unit: usize) -> bool {
        self.spec(unit).is_some_and(|unit| unit.program().is_some())
    }

    pub(crate) fn replied(&mut self, id: RequestId, outcome: &Outcome) -> Judgement {
        if *outcome == Outcome::ShuttingDown {
            self.shutdown.get_or_insert(self.now);
        }
        let Some(asked) = self.asked.get_mut(&id) else { return Ok(()) };
        asked.has_stopped |= matches!(asked.request, Request::Stop { .. } | Request::Reload { .. });
        let untouched = matches!(
            outcome,
            Outcome::Aborted { .. }
                | Outcome::Abandoned { .. }
                | Outcome::Refused(Refusal::ConfigTest { .. })
        );
        if untouched && asked.touched_at.is_some() {
            return law(4, format!("{id:?} has touched units and is answered with {outcome:?}"));
        }
        let gave_up =
            untouched || (asked.touched_at.is_none() && matches!(outcome, Outcome::Replaced { .. }));
        let (begun, undone) = (asked.begun.clone(), asked.undone.clone());
        if let (Outcome::Done, Request::Reload { units, .. }) = (outcome, &asked.request)
            && let Some(unit) = units.iter().find(|unit| self.units[unit.index()].proven_at < asked.at)
        {
            return law(4, format!("{id:?} is done, and u{} did not show that it serves", unit.index()));
        }
        if let Request::Reload { units, .. } = &asked.request {
            let (at, units) = (asked.at, units.clone());
            self.is_heard(id, &units, at, outcome)?;
        }
        for (unit, place) in begun.iter().copied().filter(|(unit, _)| gave_up && !self.is_held(*unit)) {
            let has_undo = self.hooks(unit).get(usize::from(place)).is_some_and(|hook| hook.undo.is_some());
            let book = &self.units[unit];
            let went_down = book.was_cut || book.is_doomed || book.ready_since.is_none();
            if has_undo && !undone.contains(&(unit, place)) && !went_down {
                return law(5, format!("{id:?} is given up, and hook {place} of u{unit} is not undone"));
            }
        }
        self.hooks_are_over(id)
    }

    /// None of the hooks of a request, and none of their undos, runs any more.
    fn hooks_are_over(&mut self, id: RequestId) -> Judgement {
        let (held, shutdown) = (&self.held, self.shutdown.is_some());
        for (place, book) in self.units.iter_mut().enumerate().filter(|(_, book)| book.hooks_of == Some(id)) {
            let is_held = held.get(place).copied().unwrap_or(false);
            if (!book.running.is_empty() || !book.ordered.is_empty()) && !is_held && !shutdown {
                return law(
                    6,
                    format!("{id:?} goes on and still runs {:?} {:?}", book.ordered, book.running),
                );
            }
            (book.hooks_of, book.last_undo) = (None, None);
            if !book.is_last_stop {
                book.ran.clear();
                book.tried.clear();
            }
        }
        Ok(())
    }

    /// Nothing will happen by itself any more.
    pub(crate) fn at_rest(&self, excused: &BTreeSet<usize>) -> Judgement {
        for (index, book) in self.units.iter().enumerate().filter(|(index, _)| !excused.contains(index)) {
            if (!book.running.is_empty() || !book.ordered.is_empty()) && !self.is_held(index) {
                return law(6, format!("u{index} still has {:?} {:?}", book.ordered, book.running));
            }
            if book.is_unsettled {
                return law(4, format!("what u{index} rendered is never settled"));
            }
        }
        Ok(())
    }

    /// Is this a process of an errand of the unit?
    pub(crate) fn has(&self, unit: usize, pid: Pid) -> bool {
        self.units[unit].running.contains_key(&pid)
    }

    /// A trial has begun and is not over.
    pub(crate) fn is_trying(&self, unit: usize) -> bool {
        let trial = |role: &Role| matches!(role, Role::Trial(_));
        self.units[unit].running.values().any(trial) || self.units[unit].ordered.iter().any(trial)
    }
}

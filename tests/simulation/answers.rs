//! What a run has to come to: every request answered once, and rest in the end.

use std::collections::BTreeSet;

use sexton::engine::{
    Effect, Engine, Event, Outcome, Phase, Request, RequestId, RestartHow, Role, UnitId, Wanted,
};
use sexton::model::unit::{Kill, Unit};

use super::laws::{Laws, Verdict, law};
use super::promises::Asked;

impl Laws {
    /// Of a roll whoever had the last turn is up again, but for what others have wished of it since.
    pub(crate) fn last_turn_lives_on(&self, id: RequestId, asked: &Asked, engine: &Engine) -> Verdict {
        let others = || self.requests.iter().filter(|(other, _)| **other != id).map(|(_, other)| other);
        let goes = |unit: usize| {
            others().filter_map(Asked::holds).any(|units| units.contains(&unit))
                || !self.is_wished(unit, engine)
                || self.is_doomed(unit)
                || self.gates.is_doomed(unit)
        };
        let last = asked.turns.last().copied().filter(|(unit, _)| !goes(*unit));
        last.map_or(Ok(()), |(unit, since)| self.is_anew(id, unit, since))
    }

    /// Nothing is on its way and no deadline is set: nobody may be waiting in vain.
    pub(crate) fn at_rest(&self, engine: &Engine) -> Verdict {
        let stuck: BTreeSet<usize> = (0..self.books.len()).filter(|unit| self.is_stuck(*unit)).collect();
        let beside = self.beside(&stuck);
        self.gates.at_rest(&beside)?;
        for unit in engine.ids().filter(|unit| !beside.contains(&unit.index())) {
            let (index, phase) = (unit.index(), engine.unit(unit).phase());
            if !matches!(phase, Phase::Stopped | Phase::Ready | Phase::Done | Phase::Skipped | Phase::Failed)
            {
                let why = engine.why(unit, self.now).join("; ");
                return law(7, format!("u{index} is {phase} for ever, and nothing will happen: {why}"));
            }
            let wanted = engine.unit(unit).wanted();
            if (phase, wanted) == (Phase::Stopped, Wanted::Up)
                || (phase, wanted) == (Phase::Ready, Wanted::Down)
            {
                return law(7, format!("u{index} is {phase} and wanted {}", wanted.as_str()));
            }
        }
        match self.requests.iter().find(|(_, asked)| asked.answered == 0) {
            Some((id, asked)) if stuck.is_empty() => {
                law(10, format!("no reply to {id:?}: {:?}", asked.request))
            }
            _ => Ok(()),
        }
    }

    /// It hangs rightly: a task that never ends, a process that may not be killed, or that outlives KILL.
    fn is_stuck(&self, unit: usize) -> bool {
        let book = &self.books[unit];
        let runs = book.running.values().any(|role| *role == Role::Main);
        let is_task = self.spec(unit).is_some_and(Unit::is_task);
        match self.phases[unit] {
            Phase::Starting => is_task && runs,
            Phase::Stopping => runs && self.kill_policy(unit) == Kill::Never,
            Phase::Killing => book.running.keys().any(|pid| self.outlived(*pid)),
            _ => false,
        }
    }

    /// Units that hang on these, on either side.
    fn beside(&self, stuck: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut all = stuck.clone();
        // Whoever was replaced hangs: so do its unit and what went down for the same request, answered or not.
        for (unit, request) in stuck.iter().filter_map(|place| self.overlaps.beside(*place)) {
            all.insert(unit);
            all.extend(request.and_then(|id| self.requests.get(&id)).into_iter().flat_map(Asked::touchable));
        }
        loop {
            let before = all.len();
            for (unit, book) in self.books.iter().enumerate() {
                let edges = || book.needs.iter().chain(&book.order).chain(&book.conflicts);
                let of = self.overlaps.unit_of(unit);
                if edges().any(|other| all.contains(other)) || of.is_some_and(|of| all.contains(&of)) {
                    all.insert(unit);
                    all.extend(of);
                }
                if all.contains(&unit) {
                    all.extend(edges());
                }
            }
            for touchable in self.requests.values().filter_map(Asked::holds) {
                if touchable.iter().any(|unit| all.contains(unit)) {
                    all.extend(touchable);
                }
            }
            for id in all.iter().filter_map(|place| self.overlaps.beside(*place)?.1).collect::<Vec<_>>() {
                // What was tried for the same request waits with the successor.
                if self.requests.get(&id).is_some_and(|asked| asked.answered == 0) {
                    all.extend(self.gates.tried_for(id));
                }
            }
            if all.len() == before {
                return all;
            }
        }
    }

    /// After the exit: all were answered, and nothing is set in motion any more.
    pub(crate) fn at_the_end(&self, engine: &Engine) -> Verdict {
        if let Some((id, asked)) = self.requests.iter().find(|(_, asked)| asked.answered == 0) {
            return law(10, format!("no reply to {id:?}: {:?}", asked.request));
        }
        match engine.next_deadline() {
            Some(_) => law(6, "a timer outlives the exit".into()),
            None => Ok(()),
        }
    }

    /// What has to be so at the end of the step in which a request came in.
    pub(crate) fn check_request(&mut self, event: &Event, effects: &[Effect], engine: &Engine) -> Verdict {
        let Event::Requested { id, request } = event else { return Ok(()) };
        let refused = effects.iter().any(
            |effect| matches!(effect, Effect::Reply { id: own, outcome: Outcome::Refused(_) } if own == id),
        );
        if refused || self.deadline.is_some() || engine.is_shutting_down() {
            return Ok(());
        }
        let units = match request {
            Request::Start { units } => units,
            Request::Restart { units, how: RestartHow::Together, .. } | Request::Reload { units, .. } => {
                units
            }
            _ => return Ok(()),
        };
        let claims = |(other, asked): &(&RequestId, &Asked)| {
            let is_gated = matches!(
                asked.request,
                Request::Restart { how: RestartHow::Together, .. } | Request::Reload { .. }
            );
            *other != id && is_gated && asked.answered == 0 && asked.touched.is_none()
        };
        for (other, asked) in self.requests.iter().filter(claims) {
            if let Some(unit) = units.iter().find(|unit| asked.units().contains(unit)) {
                return law(4, format!("{id:?} begins with u{}, which {other:?} is at", unit.index()));
            }
        }
        if let Request::Start { units } = request {
            return self.check_wishes(*id, units, engine);
        }
        Ok(())
    }

    /// What a started unit needs and wants is wished up with it.
    fn check_wishes(&self, id: RequestId, units: &[UnitId], engine: &Engine) -> Verdict {
        let can_be = |unit: usize| {
            let failed = matches!(
                engine.unit(UnitId::from_index(unit)).failure(),
                Some(sexton::engine::Failure::Load(_) | sexton::engine::Failure::Conflict(_))
            );
            self.spec(unit).is_some() && !failed && self.books[unit].conflicts.is_empty()
        };
        // What leads back to itself is not followed: none of its units is ever started.
        let is_broken = |unit: usize| {
            let failure = engine.unit(UnitId::from_index(unit)).failure();
            matches!(failure, Some(sexton::engine::Failure::Load(_)))
        };
        let through = |unit: usize| self.spec(unit).is_some() && !is_broken(unit);
        let all = self.starts_through(units.iter().map(|unit| unit.index()), &through);
        let down = |unit: &usize| engine.unit(UnitId::from_index(*unit)).wanted() == Wanted::Down;
        match all.into_iter().filter(|unit| can_be(*unit)).find(down) {
            Some(unit) => {
                law(10, format!("{id:?} starts what needs or wants u{unit}, and nobody wishes it up"))
            }
            None => Ok(()),
        }
    }
}

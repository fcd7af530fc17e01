//! What a run has to come to: every request answered once, and rest in the end.

use std::collections::BTreeSet;

use sexton::engine::{Engine, Phase, Role, UnitId, Wanted};
use sexton::model::unit::{Kill, Unit};

use super::laws::{Laws, Verdict, law};
use super::promises::Asked;

impl Laws {
    /// Nothing is on its way and no deadline is set: nobody may be waiting in vain.
    pub(crate) fn at_rest(&self, engine: &Engine) -> Verdict {
        let stuck: BTreeSet<usize> =
            engine.ids().map(UnitId::index).filter(|unit| self.is_stuck(*unit)).collect();
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
            Phase::Stopping => {
                runs && (self.kill_policy(unit) == Kill::Never || self.gates.exchanged_at(unit) > 0)
            }
            Phase::Killing => book.running.keys().any(|pid| self.outlived(*pid)),
            _ => false,
        }
    }

    /// Units that hang on these, on either side.
    fn beside(&self, stuck: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut all = stuck.clone();
        loop {
            let before = all.len();
            for (unit, book) in self.books.iter().enumerate() {
                let edges = || book.needs.iter().chain(&book.order).chain(&book.conflicts);
                if edges().any(|other| all.contains(other)) {
                    all.insert(unit);
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
}

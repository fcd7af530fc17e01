//! What a run has to come to: restarts within their limit, every request answered truly and once, rest in the end.

use sexton::engine::{Engine, Outcome, Phase, Request, RequestId, UnitId, Wanted};
use sexton::model::unit::{Entry, RestartOn};

use super::laws::{Laws, Verdict, law};

impl Laws {
    pub(crate) fn check_restarts(&mut self, unit: usize) -> Verdict {
        let now = self.now;
        let Entry::Unit(own) = &self.entries[unit] else { return Ok(()) };
        let Some(program) = own.program() else { return Ok(()) };
        let (limit, window) = (program.restart.limit as usize, program.restart.window);
        let never = program.restart.on == RestartOn::Never;
        let book = &mut self.books[unit];
        if !std::mem::take(&mut book.comes_back) {
            return Ok(());
        }
        book.restarts.retain(|at| *at + window > now);
        book.restarts.push(now);
        if book.restarts.len() > limit || never {
            return law(
                8,
                format!(
                    "u{unit} was restarted {} times in {window:?}, {limit} are allowed",
                    book.restarts.len()
                ),
            );
        }
        Ok(())
    }

    pub(crate) fn check_reply(&mut self, id: RequestId, outcome: &Outcome, n_effects: usize) -> Verdict {
        let Some(asked) = self.requests.get_mut(&id) else {
            return law(10, format!("a reply to nobody: {id:?}"));
        };
        asked.answered += 1;
        if asked.answered > 1 {
            return law(10, format!("a second reply to {id:?}"));
        }
        match (outcome, &asked.request) {
            (Outcome::Refused(_), _) if n_effects > 1 && self.latest == Some(id) => {
                law(4, format!("{id:?} was refused and something was touched"))
            }
            (
                Outcome::Done,
                Request::Start { units } | Request::Restart { units, .. } | Request::Boot { units },
            ) => {
                let up = |unit: &UnitId| {
                    matches!(self.phases[unit.index()], Phase::Ready | Phase::Done | Phase::Skipped)
                };
                match units.iter().find(|unit| !up(unit)) {
                    Some(unit) => law(10, format!("{id:?} is done, but u{} is not up", unit.index())),
                    None => Ok(()),
                }
            }
            (Outcome::Done, Request::Stop { units, .. }) => {
                let down =
                    |unit: &UnitId| matches!(self.phases[unit.index()], Phase::Stopped | Phase::Failed);
                match units.iter().find(|unit| !down(unit)) {
                    Some(unit) => law(10, format!("{id:?} is done, but u{} is not down", unit.index())),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Nothing is on its way and no deadline is set: nobody may be waiting in vain.
    pub(crate) fn at_rest(&self, engine: &Engine, children: bool) -> Verdict {
        self.gates.at_rest()?;
        let phases = || engine.ids().map(|unit| engine.unit(unit).phase());
        let stuck = |phase: Phase| matches!(phase, Phase::Starting | Phase::Stopping | Phase::Killing);
        if children && phases().any(stuck) {
            // A task that never ends, or a process that is never killed: what hangs on it hangs rightly.
            return Ok(());
        }
        for (index, phase) in phases().enumerate() {
            if !matches!(phase, Phase::Stopped | Phase::Ready | Phase::Done | Phase::Skipped | Phase::Failed)
            {
                return law(7, format!("u{index} is {phase} for ever, and nothing will happen"));
            }
            let wanted = engine.unit(UnitId::from_index(index)).wanted();
            if (phase, wanted) == (Phase::Stopped, Wanted::Up)
                || (phase, wanted) == (Phase::Ready, Wanted::Down)
            {
                return law(7, format!("u{index} is {phase} and wanted {}", wanted.as_str()));
            }
        }
        match self.requests.iter().find(|(_, asked)| asked.answered == 0) {
            Some((id, asked)) => law(10, format!("no reply to {id:?}: {:?}", asked.request)),
            None => Ok(()),
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

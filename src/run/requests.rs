//! Calls of clients on their way to the engine, and its outcomes on their way back.
//!
//! ```text
//!   Call ──▶ names → units ──▶ Request ──▶ engine ──▶ Outcome ──▶ (flush of the last output) ──▶ Report
//! ```
//!
//! A report of a failure waits for the logger to hand over what the unit said last: the line that explains
//! the failure was often written a moment before the end.

use std::collections::BTreeMap;

use crate::control::server::ConnectionId;
use crate::control::wire::Report;
use crate::engine::{Engine, Outcome, Refusal, RequestId, UnitId};
use crate::model::time::Spoken;

/// A request whose answer is awaited.
#[derive(Debug)]
pub struct Pending {
    /// Who waits; nobody, for what sexton wished itself or what was answered at once.
    pub connection: Option<ConnectionId>,
    /// The units that were named.
    pub units: Vec<UnitId>,
    /// What is said when all went well: `started`, `stopped`.
    pub done: &'static str,
}

impl Pending {
    /// A wish of sexton's own: nobody waits for the answer.
    pub fn own() -> Pending {
        Pending { connection: None, units: Vec::new(), done: "" }
    }
}

/// A failure whose report waits for the last output of its unit.
#[derive(Debug)]
pub struct Held {
    /// The request.
    pub pending: Pending,
    /// What came of it.
    pub outcome: Outcome,
    /// The unit whose output is awaited.
    pub unit: UnitId,
}

/// The requests that have no answer yet.
#[derive(Debug, Default)]
pub struct Requests {
    last: u64,
    pending: BTreeMap<RequestId, Pending>,
    held: Vec<Held>,
}

impl Requests {
    /// Numbers a request and remembers who waits for it.
    pub fn open(&mut self, pending: Pending) -> RequestId {
        self.last += 1;
        let id = RequestId(self.last);
        self.pending.insert(id, pending);
        id
    }

    /// Takes the request that was answered.
    pub fn close(&mut self, id: RequestId) -> Option<Pending> {
        self.pending.remove(&id)
    }

    /// Is its answer still awaited?
    pub fn get_mut(&mut self, id: RequestId) -> Option<&mut Pending> {
        self.pending.get_mut(&id)
    }

    /// Keeps an answer back until the last output of `unit` is there.
    pub fn hold(&mut self, held: Held) {
        self.held.push(held);
    }

    /// Takes the answers that waited for the output of `unit`.
    pub fn release(&mut self, unit: UnitId) -> Vec<Held> {
        let (ready, rest) = std::mem::take(&mut self.held).into_iter().partition(|held| held.unit == unit);
        self.held = rest;
        ready
    }

    /// Forgets a client that went away; what it asked for goes on.
    pub fn forget(&mut self, connection: ConnectionId) {
        for pending in self.pending.values_mut().chain(self.held.iter_mut().map(|held| &mut held.pending)) {
            if pending.connection == Some(connection) {
                pending.connection = None;
            }
        }
    }
}

/// The words and the kind of an outcome, without units and output.
pub fn report(engine: &Engine, outcome: &Outcome, pending: &Pending) -> Report {
    let name = |unit: UnitId| engine.unit(unit).name().to_string();
    let (kind, message, unit) = match outcome {
        Outcome::Done => ("done", done_in_words(engine, pending), None),
        Outcome::Refused(refusal) => {
            let unit = match refusal {
                Refusal::NeededBy { unit, .. }
                | Refusal::Conflict { unit, .. }
                | Refusal::Broken { unit, .. }
                | Refusal::NoReload { unit }
                | Refusal::NotUp { unit }
                | Refusal::Busy { unit, .. }
                | Refusal::NoProcess { unit } => Some(*unit),
                Refusal::ConfigTest { .. }
                | Refusal::SyncRunning
                | Refusal::NotBuilt(_)
                | Refusal::ShuttingDown => None,
            };
            ("refused", refusal.describe(&name), unit)
        }
        Outcome::Failed { unit, failure, retry_in } => {
            let then = match retry_in {
                Some(wait) if wait.is_zero() => "; it is tried again at once".to_owned(),
                Some(wait) => format!("; it is tried again in {}", Spoken(*wait)),
                None => String::new(),
            };
            ("failed", format!("{} failed: {}{then}", name(*unit), failure.describe(&name)), Some(*unit))
        }
        Outcome::Aborted { unit, failure, .. } => (
            "aborted",
            format!("{}: {}; nothing was stopped", name(*unit), failure.describe(&name)),
            Some(*unit),
        ),
        Outcome::Abandoned { .. } => ("abandoned", "given up; nothing was stopped".to_owned(), None),
        Outcome::RollStopped { because, .. } => return report(engine, because, pending),
        Outcome::Replaced { .. } => ("replaced", "a later request wished the opposite".to_owned(), None),
        Outcome::ShuttingDown => ("shutting-down", "sexton is shutting down".to_owned(), None),
    };
    Report { outcome: kind.to_owned(), message, unit: unit.map(name), ..Report::default() }
}

fn done_in_words(engine: &Engine, pending: &Pending) -> String {
    match pending.units.as_slice() {
        [] => pending.done.to_owned(),
        [unit] => format!("{} {}", engine.unit(*unit).name(), pending.done),
        units => format!("{} units {}", units.len(), pending.done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once() {
        let mut requests = Requests::default();
        let (one, two) = (requests.open(Pending::own()), requests.open(Pending::own()));
        assert_ne!(one, two);
        assert!(requests.close(one).is_some());
        assert!(requests.close(one).is_none());
        assert!(requests.close(two).is_some());
    }

    #[test]
    fn an_answer_waits_for_the_output_of_its_own_unit_alone() {
        let mut requests = Requests::default();
        for index in [1, 2, 1] {
            let unit = UnitId::from_index(index);
            requests.hold(Held { pending: Pending::own(), outcome: Outcome::Done, unit });
        }
        assert_eq!(requests.release(UnitId::from_index(1)).len(), 2);
        assert_eq!(requests.release(UnitId::from_index(1)).len(), 0);
        assert_eq!(requests.release(UnitId::from_index(2)).len(), 1);
    }
}

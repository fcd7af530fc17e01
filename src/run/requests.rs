//! Calls of clients on their way to the engine, and its outcomes on their way back.
//!
//! ```text
//!   Call ──▶ names → units ──▶ Request ──▶ engine ──▶ Outcome ──▶ (flush of the last output) ──▶ Report
//! ```
//!
//! A report of a failure waits for the logger to hand over what the unit said last: the line that explains
//! the failure was often written a moment before the end.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::control::server::ConnectionId;
use crate::control::wire::Step;
use crate::engine::{Outcome, Request, RequestId, Tested, UnitId};
use crate::model::{Moment, Settings, Unit, UnitName};

/// A request whose answer is awaited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Who waits; nobody, for what sexton wished itself or what was answered at once.
    pub connection: Option<ConnectionId>,
    /// The units that were named. A name outlives the place of a unit, which a sync may give to another.
    pub units: Vec<String>,
    /// What is said when all went well: `started`, `stopped`.
    pub done: String,
    /// The new definitions of a sync, which are tested before they are the engine's.
    pub definitions: Vec<Rc<Unit>>,
    /// The configtests that were run for it.
    pub tests: Vec<Step>,
    /// What comes of it is said on the console: nobody else is there to hear it.
    pub is_said: bool,
    /// What it goes over to beside the units, where it is all of the files.
    pub files: Option<Files>,
}

/// What a sync takes over beside the definitions of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// When the files were read.
    pub read_at: Moment,
    /// What `sexton.toml` says.
    pub settings: Settings,
}

impl Pending {
    /// A wish of sexton's own: nobody waits for the answer.
    pub fn own() -> Pending {
        Pending::default()
    }

    /// Takes note of a configtest. A second one of the same unit takes the place of the first.
    pub fn tested(&mut self, unit: &UnitName, result: Tested) {
        self.tests.retain(|step| step.unit != unit.as_str());
        let result = match result {
            Tested::Passed => "passed",
            Tested::Failed => "failed",
            Tested::Untested => "untested",
            Tested::Skipped => "skipped",
        };
        self.tests.push(Step { unit: unit.to_string(), result: result.to_owned(), ..Step::default() });
    }
}

/// What a client wishes, and what is said when it is done.
#[derive(Debug)]
pub struct Wish {
    /// For the engine.
    pub request: Request,
    /// The units that were named.
    pub units: Vec<String>,
    /// As in [`Pending`].
    pub done: String,
    /// As in [`Pending`].
    pub files: Option<Files>,
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

    /// What a client waits for.
    pub fn of(&self, connection: ConnectionId) -> Vec<RequestId> {
        let is_its = |pending: &Pending| pending.connection == Some(connection);
        self.pending.iter().filter(|(_, pending)| is_its(pending)).map(|(id, _)| *id).collect()
    }

    /// Forgets a client that went away; what it asked for may go on.
    pub fn forget(&mut self, connection: ConnectionId) {
        for pending in self.pending.values_mut().chain(self.held.iter_mut().map(|held| &mut held.pending)) {
            if pending.connection == Some(connection) {
                pending.connection = None;
            }
        }
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

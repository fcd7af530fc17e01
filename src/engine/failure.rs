//! What went wrong with a unit, and what came of a request: types first, sentences second.

use std::time::Duration;

use crate::model::time::Spoken;
use crate::model::{ExitStatus, SpawnError};

use super::event::{RequestId, Role, UnitId};

/// Why a unit, or one attempt to start it, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its file has errors; the words are the first one, with its place.
    Load(String),
    /// A process could not be started.
    Spawn {
        /// As what.
        role: Role,
        /// Where it broke.
        error: SpawnError,
    },
    /// A process ended as it should not have.
    Exited {
        /// As what it ran.
        role: Role,
        /// How it ended.
        status: ExitStatus,
        /// It ended before the unit was ready.
        before_ready: bool,
    },
    /// It was not ready in time.
    NotReady {
        /// The `[ready] timeout`, with what `EXTEND_TIMEOUT_USEC` added.
        after: Duration,
    },
    /// A hook did not end in time.
    TimedOut {
        /// Which.
        role: Role,
        /// Its `timeout`.
        after: Duration,
    },
    /// `[require]` names something that is not so.
    Unmet(String),
    /// A unit that it needs failed, or ended for good.
    Dependency(UnitId),
    /// A unit that it conflicts with is up.
    Conflict(UnitId),
    /// It was sent KILL and is still there: the kernel holds it.
    Unkillable,
    /// It was restarted as often as it may be.
    RestartLimit {
        /// How often.
        restarts: u32,
        /// In which time.
        window: Duration,
        /// What it failed of the last time.
        last: Box<Failure>,
    },
}

impl Failure {
    /// The failure as a clause without its subject: `exited with code 1 before it was ready`.
    /// `name` gives the name of a unit.
    pub fn describe(&self, name: &dyn Fn(UnitId) -> String) -> String {
        match self {
            Failure::Load(words) => format!("its unit file has an error: {words}"),
            Failure::Spawn { role: Role::Main, error } => error.to_string(),
            Failure::Spawn { role, error } => format!("{role}: {error}"),
            Failure::Exited { role: Role::Main, status, before_ready: true } => {
                format!("{status} before it was ready")
            }
            Failure::Exited { role: Role::Main, status, before_ready: false } => status.to_string(),
            Failure::Exited { role, status, .. } => format!("{role} {status}"),
            Failure::NotReady { after } => format!("it was not ready after {}", Spoken(*after)),
            Failure::TimedOut { role, after } => format!("{role} did not end within {}", Spoken(*after)),
            Failure::Unmet(words) => format!("a requirement is not met: {words}"),
            Failure::Dependency(unit) => format!("it needs {}, which is not up", name(*unit)),
            Failure::Conflict(unit) => format!("it conflicts with {}, which is up", name(*unit)),
            Failure::Unkillable => "it was sent SIGKILL and has not ended; the kernel holds it".to_owned(),
            Failure::RestartLimit { restarts, window, last } => format!(
                "{}; it was restarted {restarts} times in {} and is not tried again",
                last.describe(name),
                Spoken(*window)
            ),
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// All that was asked for is so.
    Done,
    /// Nothing was touched.
    Refused(Refusal),
    /// A unit is not as was wished.
    Failed {
        /// Which.
        unit: UnitId,
        /// Why.
        failure: Failure,
        /// It will be tried again by itself, this far from now.
        retry_in: Option<Duration>,
    },
    /// A later request wished the opposite.
    Replaced {
        /// That request.
        by: RequestId,
    },
    /// sexton is shutting down.
    ShuttingDown,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Units that run need it.
    NeededBy {
        /// What was to stop.
        unit: UnitId,
        /// Who needs it.
        by: Vec<UnitId>,
    },
    /// A unit that it conflicts with is up.
    Conflict {
        /// What was to start.
        unit: UnitId,
        /// What is up.
        with: UnitId,
    },
    /// Its file has errors.
    Broken {
        /// Which unit.
        unit: UnitId,
        /// The first error.
        words: String,
    },
    /// There is no process to send a signal to.
    NoProcess {
        /// Which unit.
        unit: UnitId,
    },
    /// sexton is shutting down.
    ShuttingDown,
}

impl Refusal {
    /// The refusal as a sentence. `name` gives the name of a unit.
    pub fn describe(&self, name: &dyn Fn(UnitId) -> String) -> String {
        match self {
            Refusal::NeededBy { unit, by } => {
                let names: Vec<String> = by.iter().map(|unit| name(*unit)).collect();
                format!(
                    "{} is needed by {}; stop {} first, or use --cascade",
                    name(*unit),
                    names.join(", "),
                    if by.len() == 1 { "it" } else { "them" }
                )
            }
            Refusal::Conflict { unit, with } => {
                format!("{} conflicts with {}, which is up; stop that first", name(*unit), name(*with))
            }
            Refusal::Broken { unit, words } => {
                format!("the unit file of {} has an error: {words}", name(*unit))
            }
            Refusal::NoProcess { unit } => format!("{} has no process to send a signal to", name(*unit)),
            Refusal::ShuttingDown => "sexton is shutting down".to_owned(),
        }
    }
}

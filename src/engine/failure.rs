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
                "{}; it was restarted {} in {} and is not tried again",
                last.describe(name),
                if *restarts == 1 { "once".to_owned() } else { format!("{restarts} times") },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spawn::Cause;
    use crate::model::{ExecStage, Signal};

    fn name(unit: UnitId) -> String {
        format!("u{}", unit.index())
    }

    #[test]
    fn every_failure_is_a_clause() {
        let error = || SpawnError {
            stage: ExecStage::Directory,
            subject: "/srv".into(),
            cause: Cause::Words("it is gone".into()),
        };
        let exited =
            |role, before_ready| Failure::Exited { role, status: ExitStatus::exited(1), before_ready };
        let second = Duration::from_secs(1);
        let last = Box::new(Failure::Exited {
            role: Role::Main,
            status: ExitStatus::killed(Signal::KILL),
            before_ready: false,
        });
        let cases = [
            (Failure::Load("a.toml:1:1: x".into()), "its unit file has an error: a.toml:1:1: x"),
            (
                Failure::Spawn { role: Role::Main, error: error() },
                "cannot change to directory '/srv': it is gone",
            ),
            (
                Failure::Spawn { role: Role::PreStart(0), error: error() },
                "pre-start hook 1: cannot change to directory '/srv': it is gone",
            ),
            (exited(Role::Main, true), "exited with code 1 before it was ready"),
            (exited(Role::Main, false), "exited with code 1"),
            (exited(Role::Prepare(1), true), "prepare command 2 exited with code 1"),
            (Failure::NotReady { after: second }, "it was not ready after 1 s"),
            (
                Failure::TimedOut { role: Role::PostStart(0), after: second },
                "post-start hook 1 did not end within 1 s",
            ),
            (Failure::Unmet("'/x' does not exist".into()), "a requirement is not met: '/x' does not exist"),
            (Failure::Dependency(UnitId(3)), "it needs u3, which is not up"),
            (Failure::Conflict(UnitId(3)), "it conflicts with u3, which is up"),
            (Failure::Unkillable, "it was sent SIGKILL and has not ended; the kernel holds it"),
            (
                Failure::RestartLimit { restarts: 5, window: second * 60, last },
                "was killed by SIGKILL; it was restarted 5 times in 1 min and is not tried again",
            ),
        ];
        for (failure, words) in cases {
            assert_eq!(failure.describe(&name), words);
        }
    }

    #[test]
    fn every_refusal_is_a_sentence() {
        let (unit, with) = (UnitId(1), UnitId(2));
        let cases = [
            (
                Refusal::NeededBy { unit, by: vec![with] },
                "u1 is needed by u2; stop it first, or use --cascade",
            ),
            (
                Refusal::NeededBy { unit, by: vec![with, UnitId(3)] },
                "u1 is needed by u2, u3; stop them first, or use --cascade",
            ),
            (Refusal::Conflict { unit, with }, "u1 conflicts with u2, which is up; stop that first"),
            (Refusal::Broken { unit, words: "x".into() }, "the unit file of u1 has an error: x"),
            (Refusal::NoProcess { unit }, "u1 has no process to send a signal to"),
            (Refusal::ShuttingDown, "sexton is shutting down"),
        ];
        for (refusal, words) in cases {
            assert_eq!(refusal.describe(&name), words);
        }
    }
}

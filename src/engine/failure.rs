//! What went wrong with a unit, and what came of a request: types first, sentences second.

use std::time::Duration;

use crate::model::spawn::Cause;
use crate::model::time::Spoken;
use crate::model::{ExecStage, ExitStatus, SpawnError, UnitName};

use super::event::{RequestId, Role, UnitId};
use super::verdict::Complaint;

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
    /// A process whose output is judged found fault.
    Judged {
        /// As what it ran.
        role: Role,
        /// With what.
        complaint: Box<Complaint>,
    },
    /// Its main process ended while it was being reloaded.
    ReloadEnded {
        /// How.
        status: ExitStatus,
    },
    /// It did not show that it serves after it was reloaded.
    ReloadUnproven {
        /// Within which time: `[reload] timeout`.
        after: Duration,
        /// What was last seen of it; empty when nothing was.
        words: String,
    },
    /// The process that was to replace it did not come to that.
    Successor(Box<Failure>),
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
        /// The last lines that it wrote, where they were kept.
        output: Vec<String>,
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
            Failure::Judged { role, complaint } => format!("{role} {complaint}"),
            Failure::ReloadEnded { status } => format!("it {status} while it was being reloaded"),
            Failure::ReloadUnproven { after, words } if words.is_empty() => {
                format!("it did not show that it serves within {} of its reload", Spoken(*after))
            }
            Failure::ReloadUnproven { after, words } => {
                format!("it did not show that it serves within {} of its reload: {words}", Spoken(*after))
            }
            Failure::Successor(failure) => format!("its successor failed: {}", failure.describe(name)),
            Failure::NotReady { after } => format!("it was not ready after {}", Spoken(*after)),
            Failure::TimedOut { role, after, .. } => format!("{role} did not end within {}", Spoken(*after)),
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

impl Failure {
    /// What a shell would say of a program that it could not start: 127 where there is none, 126 where it cannot be
    /// executed; of everything else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::RestartLimit { last, .. } => last.exit_code(),
            Failure::Spawn { role: Role::Main, error } => match (error.stage, &error.cause) {
                (ExecStage::Program, _) | (ExecStage::Exec, Cause::Errno(libc::ENOENT)) => 127,
                (ExecStage::Exec, _) => 126,
                _ => 1,
            },
            _ => 1,
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
    /// A pre-stop hook or a successor failed before anything was stopped, and what the hooks had done was undone.
    Aborted {
        /// Whose hook, whose successor, or whose test in a second round.
        unit: UnitId,
        /// Why.
        failure: Failure,
        /// The hooks that were undone, each as `unit: hook`.
        undone: Vec<String>,
    },
    /// Whoever asked does not wait any longer, and nothing was stopped yet.
    Abandoned {
        /// The hooks that were undone, each as `unit: hook`.
        undone: Vec<String>,
    },
    /// Nobody is there to hear the answer, and what was begun goes on.
    Forgotten,
    /// A rolling restart stopped at a unit; those after it were not touched.
    RollStopped {
        /// Restarted.
        done: Vec<UnitId>,
        /// Not touched.
        left: Vec<UnitId>,
        /// What came of the unit at which it stopped.
        because: Box<Outcome>,
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
    /// Configuration tests failed.
    ConfigTest {
        /// Every unit whose test failed, and of what.
        failures: Vec<(UnitName, Failure)>,
    },
    /// It has no `[reload]`.
    NoReload {
        /// Which unit.
        unit: UnitId,
    },
    /// What is not up cannot be reloaded.
    NotUp {
        /// Which unit.
        unit: UnitId,
    },
    /// Another request has begun with it and has not come to its stop.
    Busy {
        /// Which unit.
        unit: UnitId,
        /// That request.
        by: RequestId,
    },
    /// A sync is on its way.
    SyncRunning,
    /// So many requests are on their way that no more are taken.
    TooMany {
        /// How many.
        requests: usize,
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
            Refusal::ConfigTest { failures } => {
                let words: Vec<String> = failures
                    .iter()
                    .map(|(unit, failure)| format!("{unit}: {}", failure.describe(name)))
                    .collect();
                words.join("; ")
            }
            Refusal::NoReload { unit } => {
                format!(
                    "{0} has no [reload]; `sexton restart {0}` makes it read its configuration",
                    name(*unit)
                )
            }
            Refusal::NotUp { unit } => format!("{0} is not up; `sexton start {0}` starts it", name(*unit)),
            Refusal::Busy { unit, .. } => {
                let name = name(*unit);
                format!(
                    "another request is busy with {name} and has not stopped it yet; `sexton why {name}` tells how far it is"
                )
            }
            Refusal::SyncRunning => "a sync is on its way".to_owned(),
            Refusal::TooMany { requests } => {
                format!("{requests} requests are on their way; try again when some of them are answered")
            }
            Refusal::NoProcess { unit } => format!("{} has no process to send a signal to", name(*unit)),
            Refusal::ShuttingDown => "sexton is shutting down".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Signal;

    fn name(unit: UnitId) -> String {
        format!("u{}", unit.index())
    }

    #[test]
    fn a_program_that_could_not_be_started_has_the_code_that_a_shell_gives_it() {
        let code = |role, stage, cause| {
            let error = SpawnError { stage, subject: String::new(), cause };
            Failure::Spawn { role, error }.exit_code()
        };
        assert_eq!(code(Role::Main, ExecStage::Program, Cause::Words("none".into())), 127);
        assert_eq!(code(Role::Main, ExecStage::Exec, Cause::Errno(libc::ENOENT)), 127);
        assert_eq!(code(Role::Main, ExecStage::Exec, Cause::Errno(libc::EACCES)), 126);
        assert_eq!(code(Role::Main, ExecStage::User, Cause::Errno(libc::EPERM)), 1);
        assert_eq!(code(Role::PreStart(0), ExecStage::Program, Cause::Words("none".into())), 1);
        assert_eq!(Failure::Unmet("x".into()).exit_code(), 1);
    }

    #[test]
    fn a_successor_failed_of_what_any_start_fails_of() {
        let failure = Failure::Successor(Box::new(Failure::NotReady { after: Duration::from_secs(1) }));
        assert_eq!(failure.describe(&name), "its successor failed: it was not ready after 1 s");
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
        let killed = ExitStatus::killed(Signal::KILL);
        let last = Failure::Exited { role: Role::Main, status: killed, before_ready: false };
        let last = Box::new(last);
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
            (
                Failure::Judged {
                    role: Role::ConfigTest,
                    complaint: Box::new(Complaint {
                        cause: crate::engine::Cause::Status(ExitStatus::exited(1)),
                        output: vec!["x".into()],
                    }),
                },
                "the configuration test exited with code 1",
            ),
            (
                Failure::ReloadEnded { status: ExitStatus::exited(1) },
                "it exited with code 1 while it was being reloaded",
            ),
            (
                Failure::ReloadUnproven { after: second, words: String::new() },
                "it did not show that it serves within 1 s of its reload",
            ),
            (
                Failure::ReloadUnproven { after: second, words: "connection refused".into() },
                "it did not show that it serves within 1 s of its reload: connection refused",
            ),
            (Failure::NotReady { after: second }, "it was not ready after 1 s"),
            (
                Failure::TimedOut { role: Role::PostStart(0), after: second, output: vec!["x".into()] },
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
            (
                Refusal::ConfigTest {
                    failures: ["a", "b"]
                        .map(|name| (UnitName::parse(name).unwrap(), Failure::Unmet("no".into())))
                        .into(),
                },
                "a: a requirement is not met: no; b: a requirement is not met: no",
            ),
            (
                Refusal::NoReload { unit },
                "u1 has no [reload]; `sexton restart u1` makes it read its configuration",
            ),
            (Refusal::NotUp { unit }, "u1 is not up; `sexton start u1` starts it"),
            (
                Refusal::Busy { unit, by: RequestId(7) },
                "another request is busy with u1 and has not stopped it yet; `sexton why u1` tells how far it is",
            ),
            (Refusal::SyncRunning, "a sync is on its way"),
            (
                Refusal::TooMany { requests: 256 },
                "256 requests are on their way; try again when some of them are answered",
            ),
            (Refusal::NoProcess { unit }, "u1 has no process to send a signal to"),
            (Refusal::ShuttingDown, "sexton is shutting down"),
        ];
        for (refusal, words) in cases {
            assert_eq!(refusal.describe(&name), words);
        }
    }
}

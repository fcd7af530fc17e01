//! What the console is told of a unit's changes. A message says what happens next.

use std::time::Duration;

use crate::engine::Phase;
use crate::model::time::Spoken;

/// Is what a unit enters one of the small steps that only `events` shows?
pub fn is_small_step(to: Phase) -> bool {
    use Phase::{CleaningUp, Killing, PostStarting, Preparing, Starting, Stopping, Waiting};
    // That it was killed, and why, is a note.
    matches!(to, Waiting | Preparing | Starting | PostStarting | Stopping | Killing | CleaningUp)
}

/// The line for a change; `None` for the small steps that only `events` shows. `next` is how long the state lasts.
pub fn change(
    name: &str,
    from: Phase,
    to: Phase,
    main_pid: Option<i32>,
    reason: Option<&str>,
    next: impl Fn() -> Option<Duration>,
) -> Option<String> {
    let reason = reason.unwrap_or("no reason is known");
    let wait = |lead: &str| next().map(|wait| format!("{lead} in {}", Spoken(wait))).unwrap_or_default();
    match (from, to) {
        (_, Phase::Ready) => Some(match main_pid {
            Some(pid) => format!("{name} is ready (pid {pid})"),
            None => format!("{name} is ready"),
        }),
        (_, Phase::Done) => Some(format!("{name} is done")),
        (_, Phase::Failed) => Some(format!("{name} failed: {reason}")),
        (_, Phase::Backoff) => Some(format!("{name} failed: {reason}; it will be started again{}", wait(""))),
        (_, Phase::Deferred) => {
            Some(format!("{name}: {reason}; trying again until it can{}", wait(", next")))
        }
        (Phase::Waiting | Phase::Backoff | Phase::Failed | Phase::Done | Phase::Skipped, Phase::Stopped) => {
            None
        }
        (_, Phase::Stopped) => Some(format!("{name} has stopped")),
        (_, Phase::Skipped) => Some(format!("{name} is skipped")),
        (
            _,
            Phase::Waiting
            | Phase::Preparing
            | Phase::Starting
            | Phase::PostStarting
            | Phase::Stopping
            | Phase::Killing
            | Phase::CleaningUp,
        ) => None,
    }
}

/// The same for the run of an overlapping restart that its unit does not show: only what goes wrong is told.
pub fn other_run(name: &str, to: Phase, reason: Option<&str>) -> Option<String> {
    let reason = reason.unwrap_or("no reason is known");
    match to {
        Phase::Failed => {
            Some(format!("{name}: its successor failed: {reason}; the old process is not touched"))
        }
        Phase::Deferred => Some(format!("{name}: its successor waits: {reason}; trying again until it can")),
        Phase::Killing => {
            Some(format!("{name}: one of its two processes did not stop in time and is killed"))
        }
        Phase::Stopped
        | Phase::Waiting
        | Phase::Preparing
        | Phase::Starting
        | Phase::PostStarting
        | Phase::Ready
        | Phase::Done
        | Phase::Skipped
        | Phase::Stopping
        | Phase::CleaningUp
        | Phase::Backoff => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_successor_only_what_goes_wrong_is_told() {
        let line = |to| other_run("web", to, Some("exited with code 0"));
        let failed = "web: its successor failed: exited with code 0; the old process is not touched";
        assert_eq!(line(Phase::Failed).unwrap(), failed);
        let waits = "web: its successor waits: exited with code 0; trying again until it can";
        assert_eq!(line(Phase::Deferred).unwrap(), waits);
        let killed = "web: one of its two processes did not stop in time and is killed";
        assert_eq!(line(Phase::Killing).unwrap(), killed);
        assert_eq!(line(Phase::Ready), None);
    }

    #[test]
    fn a_failure_is_told_with_its_reason_and_what_happens_next() {
        let next = || Some(Duration::from_millis(300));
        let line = |from, to| change("web", from, to, Some(7), Some("exited with code 1"), next);
        assert_eq!(line(Phase::Starting, Phase::Ready).unwrap(), "web is ready (pid 7)");
        assert_eq!(
            line(Phase::CleaningUp, Phase::Backoff).unwrap(),
            "web failed: exited with code 1; it will be started again in 300 ms"
        );
        assert_eq!(line(Phase::CleaningUp, Phase::Failed).unwrap(), "web failed: exited with code 1");
        assert_eq!(line(Phase::CleaningUp, Phase::Stopped).unwrap(), "web has stopped");
        assert_eq!(
            line(Phase::Preparing, Phase::Deferred).unwrap(),
            "web: exited with code 1; trying again until it can, next in 300 ms"
        );
        let unknown = change("web", Phase::CleaningUp, Phase::Backoff, None, None, || None);
        assert_eq!(unknown.unwrap(), "web failed: no reason is known; it will be started again");
    }

    #[test]
    fn small_steps_are_not_told() {
        for to in [Phase::Waiting, Phase::Preparing, Phase::Starting, Phase::Stopping, Phase::CleaningUp] {
            assert_eq!(change("web", Phase::Stopped, to, None, None, || None), None);
            assert!(is_small_step(to));
        }
        assert_eq!(change("web", Phase::Failed, Phase::Stopped, None, None, || None), None);
    }
}

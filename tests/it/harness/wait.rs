//! Waiting for an event with a deadline, never for a duration.

use std::time::{Duration, Instant};

/// How long anything may take that happens at once on an idle machine. Generous: two cores run many tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks. Short against what is awaited, long against what a look costs.
const PAUSE: Duration = Duration::from_millis(5);

/// A moment after which nobody waits any more.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(patience: Duration) -> Deadline {
        Deadline(Instant::now() + patience)
    }

    pub fn passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Looks until `look` finds something; panics with `what` when it never does.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

/// As [`until`], with a patience of its own.
#[track_caller]
pub fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(patience);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!deadline.passed(), "waited {patience:?} in vain: {what}");
        pause();
    }
}

/// The one place where the tests let time pass: between two looks at the world.
#[allow(
    clippy::disallowed_methods,
    reason = "a look at another process's state cannot be awaited, only repeated"
)]
pub fn pause() {
    std::thread::sleep(PAUSE);
}

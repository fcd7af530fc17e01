//! What a unit is doing: its actual state, with the data that only that state has, and the state's name.

use std::fmt;

/// The name of a state, without its data: what lists, events and the wire show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Not running, and nobody wishes it to.
    Stopped,
    /// To be started, once all it needs is ready and all it comes after has settled.
    Waiting,
    /// Directories, conditions, prepare commands and pre-start hooks.
    Preparing,
    /// A process could not be created because something ran out; it is tried again by itself.
    Deferred,
    /// Its process runs and has not shown that it is ready.
    Starting,
    /// It is ready, its post-start hooks are running.
    PostStarting,
    /// It runs and is ready; for a target: all that it needs is.
    Ready,
    /// A task that exited with 0.
    Done,
    /// `skip-unless-exists` was unmet: counts as done.
    Skipped,
    /// Its stop command or its stop signals are at work.
    Stopping,
    /// It was sent KILL.
    Killing,
    /// Its process ended; what it left behind is cleared away and its post-stop hooks run.
    CleaningUp,
    /// It failed and is started again when its back-off has passed.
    Backoff,
    /// It failed, and is not tried again by itself.
    Failed,
}

impl Phase {
    /// All phases.
    pub const ALL: [Phase; 14] = [
        Phase::Stopped,
        Phase::Waiting,
        Phase::Preparing,
        Phase::Deferred,
        Phase::Starting,
        Phase::PostStarting,
        Phase::Ready,
        Phase::Done,
        Phase::Skipped,
        Phase::Stopping,
        Phase::Killing,
        Phase::CleaningUp,
        Phase::Backoff,
        Phase::Failed,
    ];

    /// The word for it, as the command line and the wire use it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Stopped => "stopped",
            Phase::Waiting => "waiting",
            Phase::Preparing => "preparing",
            Phase::Deferred => "deferred",
            Phase::Starting => "starting",
            Phase::PostStarting => "post-starting",
            Phase::Ready => "ready",
            Phase::Done => "done",
            Phase::Skipped => "skipped",
            Phase::Stopping => "stopping",
            Phase::Killing => "killing",
            Phase::CleaningUp => "cleaning-up",
            Phase::Backoff => "back-off",
            Phase::Failed => "failed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

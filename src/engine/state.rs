//! What a unit is doing: its actual state, with the data that only that state has, and the state's name.
//!
//! ```text
//!                 ┌──────────────────────── restart ────────────────────────┐
//!                 ▼                                                         │
//!   Stopped ─▶ Waiting ─▶ Inspecting ─▶ Preparing ─▶ Starting ─▶ PostStarting ─▶ Ready │ Done │ Skipped
//!      ▲                                    │            │            │            │
//!      │                                    ▼            ▼            ▼            ▼
//!      └──────── CleaningUp ◀──────────  Killing  ◀───────────── Stopping ◀────────┘
//!                    │
//!                    ├─▶ Backoff ─▶ Waiting
//!                    └─▶ Failed
//! ```

use std::fmt;

use crate::model::Pid;

use super::event::Role;

/// What is wished of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It shall run.
    Up,
    /// It shall not.
    Down,
}

impl Wanted {
    /// The word for it, as the command line and the wire use it.
    pub fn as_str(self) -> &'static str {
        match self {
            Wanted::Up => "up",
            Wanted::Down => "down",
        }
    }
}

/// The actual state. It is small and `Copy`: what outlives a state is kept beside it, in the unit's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// At rest. With `Wanted::Up` it is about to wait: a restart still stops others.
    Stopped,
    /// Nothing of it runs; it starts when all that it waits for is there.
    Waiting { attempt: Attempt },
    /// `Effect::Inspect` was ordered, or deferred.
    Inspecting { inspection: Process },
    /// One command before the main process, see `Role`.
    Preparing { role: Role, due: Due, process: Process },
    /// The main process was ordered, or runs and has not shown yet what is awaited.
    Starting { main: Process, awaiting: Awaiting },
    /// Ready but for its post-start hooks; `main` is gone for a task.
    PostStarting { main: Option<Pid>, hook: u16, process: Process },
    /// Up; a target has no process.
    Ready { main: Option<Pid> },
    /// A task that ended well.
    Done,
    /// Passed over, counts as done.
    Skipped,
    /// Asked to end; `helper` is its stop command, or a hook that the stop interrupted.
    Stopping { main: Process, helper: Process, stage: StopStage, ending: Ending },
    /// All of it was sent KILL.
    Killing { main: Process, helper: Process, ending: Ending },
    /// Its processes are gone but for what they left in their group, and the post-stop hooks.
    CleaningUp { stage: CleanStage, ending: Ending },
    /// It waits for its back-off to pass.
    Backoff,
    /// Not tried again by itself; the cell holds the failure.
    Failed,
}

/// What the engine knows of one process of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// There is none.
    None,
    /// `Effect::Spawn` was ordered and not answered yet. Holds how often it was deferred.
    Ordered(u16),
    /// It could not be created because something ran out; tried again after a short wait. Holds how often.
    Deferred(u16),
    /// It runs.
    Running(Pid),
    /// It did not end in time, or its end is not waited for any longer, and was sent KILL.
    Killed(Pid),
    /// It ended; the group that it led may live on.
    Gone(Pid),
}

impl Process {
    /// True when it runs, or will as soon as the order is carried out.
    pub(crate) fn is_there(self) -> bool {
        match self {
            Process::Ordered(_) | Process::Running(_) | Process::Killed(_) => true,
            Process::None | Process::Deferred(_) | Process::Gone(_) => false,
        }
    }

    /// The pid, where it runs.
    pub(crate) fn pid(self) -> Option<Pid> {
        match self {
            Process::Running(pid) | Process::Killed(pid) => Some(pid),
            Process::None | Process::Ordered(_) | Process::Deferred(_) | Process::Gone(_) => None,
        }
    }
}

/// Why a unit waits to be started: it counts as a restart only when it comes back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Somebody wished it.
    Wished,
    /// It failed, or ended, and its policy brings it back.
    Restart,
}

/// Which prepare commands have to run, a bit each; the last bit stands for all from the 64th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due(u64);

impl Due {
    /// From the flags of an inspection.
    pub(crate) fn from_flags(flags: &[bool]) -> Due {
        Due(flags.iter().enumerate().filter(|(_, due)| **due).fold(0, |bits, (n, _)| bits | 1 << n.min(63)))
    }

    /// Does the prepare command of this place have to run?
    pub(crate) fn has(self, place: usize) -> bool {
        self.0 >> place.min(63) & 1 == 1
    }
}

/// What a starting unit has yet to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaiting {
    /// A task: its end.
    Exit,
    /// What `[ready]` names.
    Readiness,
    /// Its main process, in the pid file.
    PidFile,
    /// Both of these.
    Both,
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopStage {
    /// The answer to `Effect::Inspect` is outstanding; nothing else was begun.
    Inspecting,
    /// The answer to the order for the main process is outstanding.
    Spawning,
    /// The hook that was running was sent KILL; the stop begins when it is gone.
    HookKilled,
    /// The stop command runs.
    Command,
    /// The stop command did not end in time and was sent KILL.
    CommandKilled,
    /// The stop command ended; the process has the rest of its time.
    Settling,
    /// The signal of this step was sent.
    Step(u16),
    /// All steps are over and `kill = "never"`: it takes as long as it takes.
    Unhurried,
}

/// How far the clearing-away has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CleanStage {
    /// What is left of its groups was sent TERM; the post-stop hook of this place is next.
    GroupsTerminated { next: u16 },
    /// What is left of its groups was sent KILL; the post-stop hook of this place is next.
    GroupsKilled { next: u16 },
    /// A post-stop hook.
    Hook { hook: u16, process: Process },
}

impl CleanStage {
    /// It waits for groups to be empty.
    pub(crate) fn is_of_groups(self) -> bool {
        matches!(self, CleanStage::GroupsTerminated { .. } | CleanStage::GroupsKilled { .. })
    }
}

/// Why a run comes to its end; with what is wanted it decides what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was told to stop.
    Told,
    /// The attempt, or the run, failed; the cell holds the failure.
    Failed,
    /// A service ended by itself with a code that is no failure.
    Ended,
    /// A task ended well; only its group is cleared, the rest follows when it is stopped.
    Completed,
}

impl State {
    /// The state's name.
    pub(crate) fn phase(self) -> Phase {
        match self {
            State::Stopped => Phase::Stopped,
            State::Waiting { .. } => Phase::Waiting,
            State::Inspecting { inspection: Process::Deferred(_) }
            | State::Preparing { process: Process::Deferred(_), .. }
            | State::Starting { main: Process::Deferred(_), .. } => Phase::Deferred,
            State::Inspecting { .. } | State::Preparing { .. } => Phase::Preparing,
            State::Starting { .. } => Phase::Starting,
            State::PostStarting { .. } => Phase::PostStarting,
            State::Ready { .. } => Phase::Ready,
            State::Done => Phase::Done,
            State::Skipped => Phase::Skipped,
            State::Stopping { .. } => Phase::Stopping,
            State::Killing { .. } => Phase::Killing,
            State::CleaningUp { .. } => Phase::CleaningUp,
            State::Backoff => Phase::Backoff,
            State::Failed => Phase::Failed,
        }
    }

    /// The main process, where it runs.
    pub(crate) fn main(self) -> Option<Pid> {
        match self {
            State::PostStarting { main, .. } | State::Ready { main } => main,
            State::Starting { main, .. } | State::Stopping { main, .. } | State::Killing { main, .. } => {
                main.pid()
            }
            State::Stopped
            | State::Waiting { .. }
            | State::Inspecting { .. }
            | State::Preparing { .. }
            | State::Done
            | State::Skipped
            | State::CleaningUp { .. }
            | State::Backoff
            | State::Failed => None,
        }
    }

    /// It does what it is there for. One whose post-start hooks still run does not count: they can make it stop at any
    /// moment.
    pub(crate) fn is_serving(self) -> bool {
        matches!(self, State::Ready { main: Some(_) })
    }

    /// Its start is at what comes before the main process, or is being ended there.
    pub(crate) fn is_preparing(self) -> bool {
        matches!(
            self,
            State::Inspecting { .. }
                | State::Preparing { .. }
                | State::Stopping { stage: StopStage::Inspecting, .. }
                | State::Killing { main: Process::None, .. }
        )
    }

    /// Something of it runs, or is about to: what it needs must not be stopped under it.
    pub(crate) fn is_active(self) -> bool {
        match self {
            State::Inspecting { .. }
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::PostStarting { .. }
            | State::Ready { .. }
            | State::Stopping { .. }
            | State::Killing { .. }
            | State::CleaningUp { .. } => true,
            State::Stopped
            | State::Waiting { .. }
            | State::Done
            | State::Skipped
            | State::Backoff
            | State::Failed => false,
        }
    }
}

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

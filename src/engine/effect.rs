//! What is to be done: orders of the engine, carried out by `run`.
//!
//! An order that can fail is answered by an [`Event`](super::Event); the table says by which.
//!
//! | effect | answered by |
//! | --- | --- |
//! | `Inspect` | `Inspected` |
//! | `Spawn` | `Spawned`, then one `Exited`, or `Judged` where the role's output is judged; or `SpawnFailed` |
//! | `Probe` | `Probed`, or `ReloadDenied`, unless `ForgetProbe` comes first |
//! | `AwaitReadiness` | `BecameReady`, unless `ForgetReadiness` comes first |
//! | `AwaitPidFile` | `MainPidChanged`, unless `ForgetReadiness` comes first |
//! | `Signal` | nothing; a process that is gone is no error |
//! | `ClearGroup` | `GroupGone`, at once or later |
//! | `SignalEverybody` | `NobodyLeft`, at once or later |
//! | all others | nothing |

use std::rc::Rc;

use crate::model::{Pid, Signal, Unit};

use super::event::{Purpose, RequestId, Role, Shutdown, UnitId};
use super::failure::{Failure, Outcome};
use super::note::Note;
use super::progress::Progress;
use super::state::Phase;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Make the unit's directories and rendered files and look at its `[require]` (but not at `condition`,
    /// `readable` and `writable`, which need a process of the unit's user) and at what its `[[prepare]]` create.
    Inspect {
        /// Which unit.
        unit: UnitId,
        /// Its description; a trial may be of another one than the unit runs with.
        spec: Rc<Unit>,
        /// What for.
        purpose: Purpose,
    },
    /// Start a process.
    Spawn {
        /// Whose.
        unit: UnitId,
        /// The description that it comes from; a trial may be of another one than the unit runs with.
        spec: Rc<Unit>,
        /// As what.
        role: Role,
        /// Why; it becomes `SEXTON_REASON`.
        reason: Reason,
        /// The unit's main process, for `SEXTON_MAINPID`.
        main: Option<Pid>,
    },
    /// A trial is over: its rendered files stay, or what was there before comes back.
    SettleRenders {
        /// Whose.
        unit: UnitId,
        /// Which of the two.
        verdict: Renders,
    },
    /// It is told to reload: what it writes from here on is looked at with each `Probe`, for `[reload] fail-output`.
    HeedOutput {
        /// Which unit.
        unit: UnitId,
    },
    /// Look once whether a reloaded unit serves, as its `[ready]` says; the engine asks again after `interval`. Where
    /// `[ready]` names something that only a start can show, it serves.
    Probe {
        /// Which unit.
        unit: UnitId,
    },
    /// Look no more.
    ForgetProbe {
        /// Which unit.
        unit: UnitId,
    },
    /// Watch for what `[ready]` names. `Readiness::Exec` is never watched for: the engine sees to it.
    AwaitReadiness {
        /// Which unit.
        unit: UnitId,
    },
    /// Watch the unit's pid file until it names a process of the unit.
    AwaitPidFile {
        /// Which unit.
        unit: UnitId,
    },
    /// Watch no more.
    ForgetReadiness {
        /// Which unit.
        unit: UnitId,
    },
    /// Send a signal.
    Signal {
        /// Whose.
        unit: UnitId,
        /// To which process.
        pid: Pid,
        /// To it alone, or to the group it leads.
        scope: Scope,
        /// Which signal.
        signal: Signal,
    },
    /// Send a signal to what is left of the group of a process that ended, and tell when nothing is.
    ClearGroup {
        /// Which unit.
        unit: UnitId,
        /// The group, by the pid of the process that led it.
        group: Pid,
        /// Which signal; CONT follows it, so that stopped processes can act on it.
        signal: Signal,
    },
    /// The unit is at rest, and what belonged to this run of it can go: its runtime directories.
    CleanUp {
        /// Which unit.
        unit: UnitId,
        /// Is another run about to follow?
        next: NextRun,
    },
    /// Send a signal to every process that is left: all but itself as PID 1, all descendants as a subreaper.
    SignalEverybody {
        /// Which signal; CONT follows it.
        signal: Signal,
    },
    /// The one answer to a request.
    Reply {
        /// Which request.
        id: RequestId,
        /// What came of it.
        outcome: Outcome,
    },
    /// How far a request has come, for whoever waits for its answer.
    Progress {
        /// Which request.
        id: RequestId,
        /// What is new.
        progress: Progress,
    },
    /// The unit is no more and its id is free: whatever is kept under it goes, and another unit may get it.
    Forget {
        /// Which unit.
        unit: UnitId,
    },
    /// Two ids change places: what is kept under the one belongs to the other from now on.
    Exchanged {
        /// The one.
        unit: UnitId,
        /// The other.
        with: UnitId,
    },
    /// A unit went from one phase to another: for the log, for `events`.
    Changed {
        /// Which unit.
        unit: UnitId,
        /// From.
        from: Phase,
        /// To.
        to: Phase,
        /// What made it fail, where it did.
        failure: Option<Failure>,
    },
    /// Something happened to a unit that changes nothing: for the console.
    Note {
        /// Which unit.
        unit: UnitId,
        /// What.
        note: Note,
    },
    /// An essential unit ended for good, and it is not for the engine to say what comes of it.
    EssentialEnded {
        /// Which unit.
        unit: UnitId,
        /// The status that it would decide.
        code: u8,
    },
    /// It is over: nothing runs any more, or the deadline has passed.
    Exit {
        /// How to end.
        how: Shutdown,
        /// With which status, where there is one to give.
        code: u8,
        /// The essential unit that decided it.
        decided_by: Option<UnitId>,
    },
}

/// Why a process is started.
#[allow(missing_docs, reason = "each is the request of its name")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Start,
    Restart,
    Reload,
    Stop,
    Shutdown,
}

impl Reason {
    /// The value of `SEXTON_REASON`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Start => "start",
            Reason::Restart => "restart",
            Reason::Reload => "reload",
            Reason::Stop => "stop",
            Reason::Shutdown => "shutdown",
        }
    }
}

/// What becomes of the files that a trial rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renders {
    /// They stay; what was there before is forgotten.
    Keep,
    /// What was there before comes back.
    Restore,
}

/// Whom a signal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The process alone.
    Process,
    /// The process group it leads.
    Group,
}

/// Is another run of the unit about to follow?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRun {
    /// It will be started again.
    Follows,
    /// It stays down.
    None,
    /// Another run of it is there.
    Overlaps,
}

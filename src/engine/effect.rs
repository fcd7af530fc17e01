//! What is to be done: orders of the engine, carried out by `run`.
//!
//! An order that can fail is answered by an [`Event`](super::Event); the table says by which.
//!
//! | effect | answered by |
//! | --- | --- |
//! | `Inspect` | `Inspected`, or `SpawnFailed` where a directory could not be made |
//! | `Spawn` | `Spawned`, then one `Exited`; or `SpawnFailed` |
//! | `AwaitReadiness` | `BecameReady`, unless `ForgetReadiness` comes first |
//! | `AwaitPidFile` | `MainPidChanged`, unless `ForgetReadiness` comes first |
//! | `Signal` | nothing; a process that is gone is no error |
//! | `ClearGroup` | `GroupGone`, at once or later |
//! | `SignalEverybody` | `NobodyLeft`, at once or later |
//! | `Reply`, `Changed`, `Exit` | nothing |

use crate::model::{Pid, Signal};

use super::event::{RequestId, Role, Shutdown, UnitId};
use super::failure::{Failure, Outcome};
use super::state::Phase;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Make the unit's directories and look at its `[require]` (but not at `condition`, `readable` and
    /// `writable`, which need a process of the unit's user) and at what its `[[prepare]]` create.
    Inspect {
        /// Which unit.
        unit: UnitId,
    },
    /// Start a process.
    Spawn {
        /// Whose.
        unit: UnitId,
        /// As what.
        role: Role,
        /// Why; it becomes `SEXTON_REASON`.
        reason: Reason,
        /// The unit's main process, for `SEXTON_MAINPID`.
        main: Option<Pid>,
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
    Stop,
    Shutdown,
}

impl Reason {
    /// The value of `SEXTON_REASON`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Start => "start",
            Reason::Restart => "restart",
            Reason::Stop => "stop",
            Reason::Shutdown => "shutdown",
        }
    }
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
}

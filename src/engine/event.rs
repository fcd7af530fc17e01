//! What happened: all that the engine ever learns of the world.

use std::fmt;
use std::time::Duration;

use crate::model::{ExitStatus, Pid, Signal, SpawnError};

/// A unit's place in the engine's tables. It stays the same for as long as the engine lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub(crate) u32);

impl UnitId {
    /// The place as an index, for tables beside the engine's own.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The place of the unit at `index` in the order in which they were given to the engine.
    pub fn from_index(index: usize) -> UnitId {
        UnitId(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Which request is meant. Whoever makes requests numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wishes something.
    Requested {
        /// Its number; exactly one [`Effect::Reply`](super::Effect::Reply) will bear it.
        id: RequestId,
        /// The wish.
        request: Request,
    },
    /// A process was started: the exec worked.
    Spawned {
        /// Whose.
        unit: UnitId,
        /// As what.
        role: Role,
        /// Its pid, which is also its process group.
        pid: Pid,
    },
    /// A process could not be started.
    SpawnFailed {
        /// Whose.
        unit: UnitId,
        /// As what.
        role: Role,
        /// Where it broke.
        error: SpawnError,
    },
    /// `[require]` or `creates` was looked at for [`Effect::Inspect`](super::Effect::Inspect).
    Inspected {
        /// Whose.
        unit: UnitId,
        /// What was found.
        finding: Finding,
    },
    /// A process that the engine knows of ended and was reaped.
    Exited {
        /// Whose.
        unit: UnitId,
        /// As what it was started.
        role: Role,
        /// Its pid.
        pid: Pid,
        /// How.
        status: ExitStatus,
    },
    /// What was watched for with [`Effect::AwaitReadiness`](super::Effect::AwaitReadiness) was seen.
    BecameReady {
        /// Which unit.
        unit: UnitId,
    },
    /// The daemon named another process its main one: by `MAINPID=`, or by its pid file after it forked.
    /// Whoever sends this has made sure that the process is one of the unit's own.
    MainPidChanged {
        /// Which unit.
        unit: UnitId,
        /// The new main process.
        pid: Pid,
    },
    /// `EXTEND_TIMEOUT_USEC=`: the deadline of the present phase is at least this far from now.
    TimeoutExtended {
        /// Which unit.
        unit: UnitId,
        /// From now.
        by: Duration,
    },
    /// Nothing is left of the process group that [`Effect::ClearGroup`](super::Effect::ClearGroup) named.
    GroupGone {
        /// Which unit.
        unit: UnitId,
    },
    /// After [`Effect::SignalEverybody`](super::Effect::SignalEverybody): no process is left but sexton's own helpers.
    NobodyLeft,
    /// A deadline may have passed. Sent when [`Engine::next_deadline`](super::Engine::next_deadline) has come.
    Tick,
}

/// As what a process of a unit was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The command of `[require] condition`.
    Condition,
    /// `[[prepare]]`, counted from 0.
    Prepare(u16),
    /// `[[pre-start]]`.
    PreStart(u16),
    /// The unit's own process.
    Main,
    /// `[[post-start]]`.
    PostStart(u16),
    /// `[stop] exec`.
    StopCommand,
    /// `[[post-stop]]`.
    PostStop(u16),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Condition => f.write_str("the condition"),
            Role::Prepare(n) => write!(f, "prepare command {}", n + 1),
            Role::PreStart(n) => write!(f, "pre-start hook {}", n + 1),
            Role::Main => f.write_str("the main process"),
            Role::PostStart(n) => write!(f, "post-start hook {}", n + 1),
            Role::StopCommand => f.write_str("the stop command"),
            Role::PostStop(n) => write!(f, "post-stop hook {}", n + 1),
        }
    }
}

/// What [`Effect::Inspect`](super::Effect::Inspect) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All that is required is there. Each flag says that the prepare command of that place has to run,
    /// because what it creates is missing.
    Met {
        /// One entry a `[[prepare]]`.
        prepare: Vec<bool>,
    },
    /// Something required is not there; the words name it: `'/etc/redis.conf' does not exist`.
    Unmet(String),
    /// `skip-unless-exists` names something that is not there; the words name it.
    Skip(String),
}

/// A wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// As [`Request::Start`], but nothing refuses it: a unit that is broken, or that conflicts with one before
    /// it, fails for itself and holds no other back.
    Boot {
        /// Which, in the order of their importance.
        units: Vec<UnitId>,
    },
    /// Bring these up, and what they need and want before them.
    Start {
        /// Which.
        units: Vec<UnitId>,
    },
    /// Take these down.
    Stop {
        /// Which.
        units: Vec<UnitId>,
        /// What about units that need them?
        dependents: Dependents,
    },
    /// Take these, and the running units that need them, down and bring all of them up again.
    Restart {
        /// Which.
        units: Vec<UnitId>,
    },
    /// Forget their failures and their count of restarts.
    Reset {
        /// Which.
        units: Vec<UnitId>,
    },
    /// Send this signal to their main processes.
    Signal {
        /// Which.
        units: Vec<UnitId>,
        /// What to send.
        signal: Signal,
    },
    /// Take everything down and end. A second one cuts the waiting short.
    Shutdown(Shutdown),
}

/// What happens to the units that need one that is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependents {
    /// Any that runs refuses the stop.
    Refuse,
    /// They are stopped first (`--cascade`).
    Stop,
}

/// How a shutdown ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// The process ends with status 0.
    Exit,
    /// The machine is switched off.
    PowerOff,
    /// The machine is started again.
    Reboot,
    /// The machine is halted.
    Halt,
}

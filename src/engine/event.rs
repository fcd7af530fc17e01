//! What happened: all that the engine ever learns of the world.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::model::{ExitStatus, Pid, Signal, SpawnError, Unit, UnitName};

use super::verdict::{Complaint, Verdict};

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

impl UnitId {
    /// The other one of two; any third is itself.
    pub fn counterpart(self, one: UnitId, other: UnitId) -> UnitId {
        match self {
            _ if self == one => other,
            _ if self == other => one,
            _ => self,
        }
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
        /// What it was looked at for.
        purpose: Purpose,
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
    /// As [`Event::Exited`], of a process whose output was read and judged: a configuration test, a pre-stop hook,
    /// its undo, a reload command and its verification.
    Judged {
        /// Whose.
        unit: UnitId,
        /// As what it was started.
        role: Role,
        /// Its pid.
        pid: Pid,
        /// How it ended.
        status: ExitStatus,
        /// What that means.
        verdict: Verdict,
    },
    /// What [`Effect::Probe`](super::Effect::Probe) asked for is known.
    Probed {
        /// Which unit.
        unit: UnitId,
        /// It serves; or why it does not.
        result: Result<(), String>,
    },
    /// A unit that was asked with [`Effect::Probe`](super::Effect::Probe) wrote what `[reload] fail-output` names.
    ReloadDenied {
        /// Which unit.
        unit: UnitId,
        /// What it wrote.
        complaint: Box<Complaint>,
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
    /// A process is about to be told of as [`Event::Exited`] or [`Event::Judged`], and somebody is in the group that it
    /// led. Need not be told of a main process that served: the engine clears its group.
    GroupLeft {
        /// Whose.
        unit: UnitId,
        /// As what the process was started.
        role: Role,
        /// Its pid, which is the group's number.
        group: Pid,
    },
    /// Nothing is left of a process group that [`Effect::ClearGroup`](super::Effect::ClearGroup) or
    /// [`Event::GroupLeft`] named, or of one whose main process handed over to another.
    GroupGone {
        /// Which unit.
        unit: UnitId,
        /// The group.
        group: Pid,
    },
    /// After [`Effect::SignalEverybody`](super::Effect::SignalEverybody): no process is left but sexton's own helpers.
    NobodyLeft,
    /// A deadline may have passed. Sent when [`Engine::next_deadline`](super::Engine::next_deadline) has come.
    Tick,
}

impl Event {
    /// Two runs have changed places, and this was not taken in yet.
    pub fn exchange(&mut self, one: UnitId, other: UnitId) {
        match self {
            Event::Spawned { unit, .. }
            | Event::SpawnFailed { unit, .. }
            | Event::Inspected { unit, .. }
            | Event::Exited { unit, .. }
            | Event::Judged { unit, .. }
            | Event::Probed { unit, .. }
            | Event::ReloadDenied { unit, .. }
            | Event::BecameReady { unit }
            | Event::MainPidChanged { unit, .. }
            | Event::TimeoutExtended { unit, .. }
            | Event::GroupLeft { unit, .. }
            | Event::GroupGone { unit, .. } => *unit = unit.counterpart(one, other),
            Event::Requested { .. } | Event::NobodyLeft | Event::Tick => {}
        }
    }
}

/// As what a process of a unit was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The command of `[require] condition`.
    Condition,
    /// `[[prepare]]`, counted from 0.
    Prepare(u16),
    /// `[configtest]`, in the unit's own start.
    ConfigTest,
    /// A step of a trial: of what is done beside a unit that runs, before it is touched.
    Trial(Trial),
    /// `[[pre-start]]`.
    PreStart(u16),
    /// The unit's own process.
    Main,
    /// `[[post-start]]`.
    PostStart(u16),
    /// `[reload] exec`.
    Reload,
    /// `[reload] verify`.
    ReloadVerify,
    /// `[[pre-stop]]`.
    PreStop(u16),
    /// `undo` of the `[[pre-stop]]` of this place.
    Undo(u16),
    /// `[stop] exec`.
    StopCommand,
    /// `[[post-stop]]`.
    PostStop(u16),
}

impl Role {
    /// Its output is read and judged: its end is an [`Event::Judged`] and no [`Event::Exited`].
    pub fn is_judged(self) -> bool {
        match self {
            Role::ConfigTest
            | Role::Trial(Trial::ConfigTest)
            | Role::Reload
            | Role::ReloadVerify
            | Role::PreStop(_)
            | Role::Undo(_) => true,
            Role::Condition
            | Role::Prepare(_)
            | Role::Trial(Trial::Condition | Trial::Prepare(_))
            | Role::PreStart(_)
            | Role::Main
            | Role::PostStart(_)
            | Role::StopCommand
            | Role::PostStop(_) => false,
        }
    }
}

/// A process of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trial {
    /// The command of `[require] condition`.
    Condition,
    /// `[[prepare]]`, counted from 0.
    Prepare(u16),
    /// `[configtest]`.
    ConfigTest,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Condition | Role::Trial(Trial::Condition) => f.write_str("the condition"),
            Role::Prepare(n) | Role::Trial(Trial::Prepare(n)) => write!(f, "prepare command {}", n + 1),
            Role::ConfigTest | Role::Trial(Trial::ConfigTest) => f.write_str("the configuration test"),
            Role::PreStart(n) => write!(f, "pre-start hook {}", n + 1),
            Role::Main => f.write_str("the main process"),
            Role::PostStart(n) => write!(f, "post-start hook {}", n + 1),
            Role::Reload => f.write_str("the reload command"),
            Role::ReloadVerify => f.write_str("the verification of the reload"),
            Role::PreStop(n) => write!(f, "pre-stop hook {}", n + 1),
            Role::Undo(n) => write!(f, "the undo of pre-stop hook {}", n + 1),
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
    /// A directory or a file could not be made, or a variable is not set.
    Failed(SpawnError),
}

/// For what a unit is inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For its start.
    Start,
    /// For a trial beside the unit as it runs: what its rendered files held before is kept, until
    /// [`Effect::SettleRenders`](super::Effect::SettleRenders) says what becomes of it.
    Trial,
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
        /// Do configuration tests decide?
        gate: Gate,
        /// All at once, or one after the other?
        how: RestartHow,
    },
    /// Tell these to read their configuration again, and see that they serve.
    Reload {
        /// Which.
        units: Vec<UnitId>,
        /// Do configuration tests decide?
        gate: Gate,
    },
    /// Go over to these definitions: what is new starts, what is gone stops, what changed restarts.
    Sync {
        /// All of them.
        definitions: Definitions,
        /// Do configuration tests decide?
        gate: Gate,
    },
    /// Nobody waits for this request any longer: before it stops anything it is given up and its hooks undone, later
    /// it goes on. This one is answered at once, the other one when it is undone.
    Abandon {
        /// Which.
        request: RequestId,
    },
    /// As [`Request::Abandon`], and nobody is there any more to hear the answer: what goes on goes on without one.
    Forget {
        /// Which.
        request: RequestId,
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

/// Do configuration tests decide?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// One that fails refuses the request.
    Enforced,
    /// They are not run (`--skip-configtest`).
    Skipped,
}

/// How several units are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartHow {
    /// All go down, then all come up.
    Together,
    /// One after the other, each ready before the next goes down (`--rolling`).
    Rolling,
}

/// All units as their files describe them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definitions {
    /// The units.
    pub units: Vec<Rc<Unit>>,
    /// Those that are to run: what a boot would start.
    pub boot: Vec<UnitName>,
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
    /// Another kernel takes over.
    Kexec,
}

//! What is said of units over the control socket: the types of `sexton.Manager`, as JSON.
//!
//! Times are wall-clock microseconds since 1970 where a person reads them, durations are microseconds.
//! A field that has nothing to say is left out.

use serde::{Deserialize, Serialize};

/// One line of `sexton list`, and the first part of `sexton status UNIT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnitStatus {
    /// The unit's name.
    pub name: String,
    /// `service`, `task` or `target`.
    pub kind: String,
    /// Its line for people; empty when it has none.
    pub description: String,
    /// The name of its actual state, see `Phase`.
    pub state: String,
    /// `up` or `down`.
    pub wanted: String,
    /// How long it has been in this state.
    pub since_usec: u64,
    /// Its main process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main_pid: Option<i32>,
    /// Restarts since it was last started by somebody's wish, or reset.
    pub restarts: u32,
    /// Why it is in this state, in words, where there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the daemon last said of itself (`STATUS=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
    /// How its process last ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
    /// Whether its end ends sexton.
    pub essential: bool,
    /// The file it was made from, where that is gone: the next sync stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_gone: Option<String>,
    /// What differs from what its process was started with, in words: `its unit file`, `its configuration`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_since_start: Vec<String>,
    /// How long ago its configuration was last tested, where it failed that test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_failed_ago_usec: Option<u64>,
}

/// `sexton list`: what `List` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Units {
    /// In the order of their names.
    pub units: Vec<UnitStatus>,
}

/// `sexton show UNIT`: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnitDetails {
    /// What `list` shows.
    pub status: UnitStatus,
    /// The file it was read from.
    pub source: String,
    /// The configuration file of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_file: Option<String>,
    /// Addresses of its documentation.
    pub docs: Vec<String>,
    /// Dependencies, by name.
    pub needs: Vec<String>,
    /// Dependencies, by name.
    pub wants: Vec<String>,
    /// Order, by name.
    pub after: Vec<String>,
    /// Order, by name.
    pub before: Vec<String>,
    /// Units it is never up with.
    pub conflicts: Vec<String>,
    /// Units that need it.
    pub needed_by: Vec<String>,
    /// Its command line, as one would type it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<String>,
    /// The user it runs as, as the unit names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How it shows that it is ready, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// Its stop steps, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// Its restart policy, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// The command line of its configtest. A service without one is restarted untested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configtest: Option<String>,
    /// The names of its pre-stop hooks, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pre_stop: Vec<String>,
    /// How it is told to read its configuration again, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload: Option<String>,
    /// The program that its output goes through, and how that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// How its configuration was last tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_test: Option<Step>,
    /// What failed since its start and was passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<Step>,
    /// What its cgroup uses; none where it has none, and does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The last lines of its output, oldest first, lossy UTF-8, control characters as they came.
    pub last_output: Vec<String>,
}

/// What a unit with `[resources]` uses. What the kernel does not tell is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Where its cgroup is.
    pub cgroup: String,
    /// Memory that it has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The most that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// The most that it may have, where it is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max_bytes: Option<u64>,
    /// Processor time since its cgroup was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_usec: Option<u64>,
    /// Its processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// How many of its processes the kernel killed in this run for want of memory.
    pub oom_kills: u64,
}

/// `sexton health`: what `Health` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// `healthy`, `unhealthy` or `shutting-down`.
    pub state: String,
    /// What is not ready and should be; empty when all is well.
    pub units: Vec<UnitStatus>,
}

/// `sexton why UNIT`: sentences, the most immediate first, each cause after what it caused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// The unit asked about.
    pub unit: String,
    /// Its state.
    pub state: String,
    /// The answer.
    pub sentences: Vec<String>,
    /// The last lines of its output, where they are part of the answer.
    pub last_output: Vec<String>,
}

/// A configtest or a pre-stop hook of one unit: one that has run, or in a plan one that would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Step {
    /// Whose.
    pub unit: String,
    /// The hook's name; none for a configtest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// `passed`, `failed`, `untested` or `skipped`; in a plan `to-do`, `untested` or `skipped`.
    pub result: String,
    /// Its command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Why it failed, as a clause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it said when it failed, its last lines, oldest first, lossy UTF-8, control characters as they came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// How long ago it ended, where that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ago_usec: Option<u64>,
}

/// How far a change is: what `more` brings before the last answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// `phase`: the whole change goes on to something else. `test`: a unit's configtest. `hook`: a pre-stop hook.
    pub about: String,
    /// Of a phase its name: `testing`, `pre-stopping`, `testing-again`, `undoing`, `stopping`, `starting`,
    /// `reloading` or `rolling`. Of a test `passed`, `failed`, `untested` or `skipped`. Of a hook `began`, `measured`,
    /// `done`, `failed`, `undone` or `undo-failed`.
    pub news: String,
    /// Whose test or hook; of `rolling`, the unit whose turn it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Of `rolling`: which turn this is, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u32>,
    /// Of `rolling`: of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// The hook's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// The first number that the hook printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<f64>,
    /// The latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<f64>,
    /// Below which number it is done, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// How long the hook has before it counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_usec: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to a request that changes something. With `more` there are several: all but the last hold `progress`
/// and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// `done`, `refused` (nothing was touched), `aborted` (a pre-stop hook failed; undone), `abandoned` (whoever
    /// asked went away or gave up; undone), `failed`, `replaced` (by a later request) or `shutting-down`.
    pub outcome: String,
    /// One sentence for people.
    pub message: String,
    /// The unit that decided the outcome, when it is not `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The command line that decided it, when a command did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Last lines of the output of that command, or of that unit, when it failed.
    pub last_output: Vec<String>,
    /// The units that were asked for, as they stand now.
    pub units: Vec<UnitStatus>,
    /// How far it is, while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The units whose configuration was tested, and what came of it; each that failed with its reason and output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<Step>,
    /// The units that have no configtest, or whose was skipped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untested: Vec<String>,
    /// What was undone of an aborted or abandoned change: `db: flush`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<String>,
    /// Units of a rolling restart that run anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roll_done: Vec<String>,
    /// Units of a rolling restart that were not touched when it stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roll_left: Vec<String>,
    /// What is wrong in the unit files that a sync refused, as lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<String>,
}

/// What a change would do: what `Plan` answers. Lists are in the order in which things happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanReport {
    /// `planned`, or `refused` as the change itself would be now.
    pub outcome: String,
    /// Why it is refused.
    pub message: String,
    /// The unit that it is refused for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The units that are tested before anything is touched, and those that cannot be.
    pub tests: Vec<Step>,
    /// The pre-stop hooks.
    pub hooks: Vec<Step>,
    /// Units that are stopped.
    pub stops: Vec<String>,
    /// Units that are started.
    pub starts: Vec<String>,
    /// Units whose new process is ready before the old one stops.
    pub overlaps: Vec<String>,
    /// Units that read their configuration again.
    pub reloads: Vec<String>,
    /// Units whose new definition needs no restart.
    pub in_place: Vec<String>,
    /// Units that are new.
    pub added: Vec<String>,
    /// Units that are gone.
    pub removed: Vec<String>,
    /// What sexton's own settings come to, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// Units that take their turns one after the other.
    pub rolling: bool,
    /// What is wrong in the unit files that a sync would refuse, as lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<String>,
}

/// One line of `sexton events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnitEvent {
    /// Wall clock, microseconds since 1970.
    pub time_usec: u64,
    /// The unit's name.
    pub unit: String,
    /// The state it left.
    pub from: String,
    /// The state it is in.
    pub to: String,
    /// Its main process, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main_pid: Option<i32>,
    /// Why it failed, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `sexton chart`: what `Chart` answers, the boot from its first unit on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BootChart {
    /// When it began: wall clock, microseconds since 1970.
    pub started_usec: u64,
    /// Until the last unit had settled, or until now.
    pub length_usec: u64,
    /// Have all settled?
    pub is_over: bool,
    /// Units that did something, in the order of their names.
    pub bars: Vec<ChartBar>,
}

/// What one unit did during the boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChartBar {
    /// Its name.
    pub unit: String,
    /// The unit that it waited for longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// In the order of their times.
    pub marks: Vec<ChartMark>,
}

/// From a moment on a unit does something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChartMark {
    /// `waiting`, `preparing`, `testing`, `starting`, `ready`, `done`, `skipped`, `ending`, `back-off`, `failed` or
    /// `stopped`.
    pub doing: String,
    /// After the boot's begin.
    pub at_usec: u64,
}

/// `sexton status` without a unit: sexton itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagerStatus {
    /// sexton's version.
    pub version: String,
    /// Its pid, as it sees itself.
    pub pid: i32,
    /// `running` or `shutting-down`.
    pub state: String,
    /// How long it has run.
    pub uptime_usec: u64,
    /// Orphans reaped that belonged to no unit.
    pub orphans_reaped: u64,
    /// Units by the name of their state.
    pub counts: std::collections::BTreeMap<String, u32>,
    /// What it could not do where it runs, in words.
    pub limitations: Vec<String>,
}

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
    /// The last lines of its output, oldest first, lossy UTF-8, control characters as they came.
    pub last_output: Vec<String>,
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

/// The answer to a request that changes something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// `done`, `refused` (nothing was touched), `failed`, `replaced` (by a later request) or `shutting-down`.
    pub outcome: String,
    /// One sentence for people.
    pub message: String,
    /// The unit that decided the outcome, when it is not `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Last lines of its output, when it failed.
    pub last_output: Vec<String>,
    /// The units that were asked for, as they stand now.
    pub units: Vec<UnitStatus>,
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

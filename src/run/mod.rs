//! CONNECTS: boot, the event loop, carrying out what the engine orders.
//!
//! ```text
//!   boot ──▶ Init { engine, children, logs, notify, watcher, server } ──▶ event_loop ──▶ ending
//!                                     │                        ▲
//!                                     └─ perform ◀─ effects ───┘ events
//! ```

pub mod belongs;
pub mod boot;
mod boot_failure;
mod calls;
pub mod capture;
pub mod cgroups;
mod changes;
pub mod children;
pub mod chronicle;
mod deferrals;
pub mod definitions;
pub mod directory;
mod disk;
pub mod ending;
pub mod environment;
mod event_loop;
mod exchange;
pub mod fill;
mod filters;
pub mod fingerprint;
mod foreign;
mod groups;
pub mod health;
mod heed;
mod helper;
pub mod inspect;
pub mod judge;
mod judging;
pub mod launch;
pub mod load;
#[cfg(test)]
mod load_library_tests;
pub mod logging;
pub mod machine;
pub mod notify;
mod pending;
mod perform;
pub mod place;
mod probes;
pub mod progress;
pub mod readiness;
pub mod remote;
pub mod render;
pub mod report;
pub mod requests;
mod rest;
mod select;
pub mod settings;
mod sync;
pub mod unfinished;
pub mod view;
pub mod watchdog;
pub mod words;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;

use crate::control::server::Server;
use crate::engine::{Effect, Engine, Event, UnitId};
use crate::logger::client::LogPipes;
use crate::machine::early::Early;
use crate::model::{Moment, Pid, Settings, Unit};
use crate::sys::poll::Poller;
use crate::sys::signals::SignalFd;

use capture::Captures;
use cgroups::Cgroups;
use children::Children;
use chronicle::Chronicle;
use deferrals::Deferrals;
use ending::Ending;
use filters::Filters;
use fingerprint::Fingerprints;
use foreign::Foreign;
use launch::Launcher;
use load::UnitPaths;
use notify::NotifySockets;
use pending::PendingChildren;
use place::Place;
use readiness::Watcher;
use render::Renderer;
use requests::Requests;
use rest::Rest;
use unfinished::Unfinished;

pub use helper::{CONTROL_FD, LOGGER, TAILS_FD};

/// How sexton is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where units and settings are.
    pub paths: UnitPaths,
    /// Where its sockets are.
    pub run_directory: PathBuf,
    /// What was found of the machine that this is the init of.
    pub early: Option<Early>,
}

/// Everything that an init has. There is one in a process.
struct Init {
    place: Place,
    /// What only the init of a machine has.
    machine: Option<machine::Machine>,
    paths: UnitPaths,
    run_directory: PathBuf,
    /// What `sexton.toml` said when it was last gone over to.
    settings: Settings,
    engine: Engine,
    poller: Poller,
    signals: SignalFd,
    children: Children,
    pending: PendingChildren,
    rest: Rest,
    foreign: Foreign,
    deferrals: Deferrals,
    /// What was said of the unit files when they were last read.
    said_of_files: HashSet<String>,
    launcher: Launcher,
    logs: LogPipes,
    filters: Filters,
    notify: NotifySockets,
    watcher: Watcher,
    /// Units that were reloaded and are looked at, whether they serve.
    probing: BTreeSet<UnitId>,
    /// Those of them whose output is looked at, see `heed.rs`.
    heeded: heed::Heeded,
    /// What is judged by its output, each with the description that it was started from.
    captures: Captures<Rc<Unit>>,
    renderer: Renderer,
    unfinished: Unfinished,
    cgroups: Cgroups,
    watchdog: watchdog::Guard,
    fingerprints: Fingerprints,
    server: Option<Server>,
    requests: Requests,
    /// What daemons last said of themselves.
    status_texts: BTreeMap<UnitId, String>,
    /// Process groups that outlive their leader, watched until they are empty.
    groups: Vec<(UnitId, Pid)>,
    /// Everybody was told to end, and the engine waits to hear that nobody is left: when that is looked at again.
    look_again_at: Option<Moment>,
    events: VecDeque<Event>,
    /// Empty between two events; kept for its room.
    effects: Vec<Effect>,
    orphans_reaped: u64,
    limitations: Vec<String>,
    chronicle: Chronicle,
    /// The time of this turn of the loop.
    now: Moment,
    started: Moment,
    /// When the unit files were last read, all of them.
    read_at: Moment,
    ending: Option<Ending>,
    /// Until when the logger is waited for, once everything else has ended.
    farewell: Option<Moment>,
}

/// What a descriptor of the loop is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Signals,
    Control,
    Notify,
    Readiness,
    Logger,
    Capture,
    Foreign,
    Pending,
}

impl Class {
    const ALL: [Class; 8] = [
        Class::Signals,
        Class::Control,
        Class::Notify,
        Class::Readiness,
        Class::Logger,
        Class::Capture,
        Class::Foreign,
        Class::Pending,
    ];

    fn from_number(number: u8) -> Option<Class> {
        Class::ALL.into_iter().find(|class| *class as u8 == number)
    }
}

impl Init {
    /// Says something in sexton's own name.
    fn say(&mut self, text: &str) {
        self.logs.message(text, self.now);
    }
}

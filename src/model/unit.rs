//! A unit, as the rest of sexton knows it: read, expanded, checked, with every default filled in.
//!
//! ```text
//!   Unit ── what it is called, what it depends on, when it starts
//!    └─ Kind: Target │ Service(Program) │ Task(Program)
//!        Program ── exec, process, dirs, hooks, ready, stop, restart, log
//! ```
//!
//! `%` is gone by now; `$` is still there, inside [`Text`]. Every group is behind an [`Rc`]: the thousand
//! instances of a template share the groups that do not differ between them.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

pub use super::log::{Log, LogTarget};
pub use super::phases::{
    CONFIGTEST_TIMEOUT, ConfigTest, HalfMade, Occasions, OnPreStopFailure, PRE_STOP_EVERY, PreStop,
    RELOAD_SETTLE, RELOAD_TIMEOUT, Reload, ReloadBy, Render, Until,
};

use super::process::Limit;
use super::resources::Resources;
use super::security::Bound;
use super::{Account, Command, Signal, Text, UnitName};

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// One line for people; empty when the file gives none.
    pub description: Rc<str>,
    /// Addresses of its documentation.
    pub docs: Rc<[String]>,
    /// The file it was read from.
    pub source: Rc<Path>,
    /// The configuration file that made this instance (`%f`).
    pub instance_file: Option<Rc<Path>>,
    /// Started first and ready; if one ends for good, so does this.
    pub needs: Rc<[UnitName]>,
    /// Started first; this carries on without them.
    pub wants: Rc<[UnitName]>,
    /// Order only, when both are to start. What a unit's own `before` says stands here on the other side too.
    pub after: Rc<[UnitName]>,
    /// The other direction of `after`.
    pub before: Rc<[UnitName]>,
    /// Never up together with these.
    pub conflicts: Rc<[UnitName]>,
    /// Not started at boot unless something that is started needs or wants it.
    pub manual: bool,
    /// When it ends for good, sexton shuts down with its status.
    pub essential: bool,
    /// What it runs.
    pub kind: Kind,
}

/// What a unit runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: a named group.
    Target,
    /// A process that runs until it is stopped.
    Service(Rc<Program>),
    /// A process that is done when it exits with 0.
    Task(Rc<Program>),
}

impl Unit {
    /// What it runs; `None` for a target.
    pub fn program(&self) -> Option<&Program> {
        match &self.kind {
            Kind::Target => None,
            Kind::Service(program) | Kind::Task(program) => Some(program),
        }
    }

    /// Done when it exits with 0, instead of running until it is stopped.
    pub fn is_task(&self) -> bool {
        matches!(self.kind, Kind::Task(_))
    }
}

/// What became of one unit file, or of one instance: what the engine is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is fine.
    Unit(Rc<Unit>),
    /// It has errors. It is Failed from the start, and what needs it says so; the others carry on.
    Broken {
        /// Its name.
        name: UnitName,
        /// The first error, with its place: `/etc/sexton/units/web.toml:3:1: unknown key 'neds'`.
        words: String,
    },
}

impl Entry {
    /// The unit's name.
    pub fn name(&self) -> &UnitName {
        match self {
            Entry::Unit(unit) => &unit.name,
            Entry::Broken { name, .. } => name,
        }
    }
}

/// What a service or a task runs, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments.
    pub exec: Command,
    /// User, environment, limits.
    pub process: Rc<Process>,
    /// What is looked at before each start.
    pub require: Rc<Require>,
    /// Directories made before each start.
    pub dirs: Rc<[Directory]>,
    /// What runs around it.
    pub hooks: Rc<Hooks>,
    /// How it shows that it is ready.
    pub ready: Rc<Ready>,
    /// How it is stopped.
    pub stop: Rc<Stop>,
    /// What happens when it ends by itself.
    pub restart: Rc<Restart>,
    /// What has to pass before a running process is taken down or told to read its configuration.
    pub configtest: Option<Rc<ConfigTest>>,
    /// How it is told to read its configuration again; without it a reload is refused.
    pub reload: Option<Rc<Reload>>,
    /// Configuration files made from templates, before each test and each start.
    pub renders: Rc<[Render]>,
    /// What its cgroup is held to; without it the unit has none.
    pub resources: Option<Rc<Resources>>,
    /// Where its output goes.
    pub log: Rc<Log>,
}

/// `[require]`: looked at before each start; what is unmet refuses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Require {
    /// Paths that must exist.
    pub exists: Vec<Text>,
    /// Paths that the unit's user must be able to read.
    pub readable: Vec<Text>,
    /// Paths that the unit's user must be able to write.
    pub writable: Vec<Text>,
    /// Bytes that must be free in the file system of a path.
    pub free_space: Vec<(Text, u64)>,
    /// Programs that must be there and executable, beside the one of `exec`.
    pub executable: Vec<Text>,
    /// A command that must exit with 0.
    pub condition: Option<Command>,
    /// Unmet here: skipped quietly, counts as done.
    pub skip_unless_exists: Vec<Text>,
}

/// `[process]`: in what surroundings a unit's processes run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Whose they are; sexton's own user when absent.
    pub user: Option<Account>,
    /// Their group; the user's own when absent.
    pub group: Option<Account>,
    /// Supplementary groups; the user's from `/etc/group` when absent.
    pub groups: Option<Vec<Account>>,
    /// Working directory; `/` when absent.
    pub directory: Option<Text>,
    /// File mode mask; sexton's own when absent.
    pub umask: Option<u32>,
    /// Niceness, -20 to 19.
    pub nice: Option<i32>,
    /// -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Processors it may run on, by number, sorted.
    pub cpus: Option<Vec<u32>>,
    /// I/O class and level, as `ioprio_set(2)` takes them.
    pub io_class: Option<IoClass>,
    /// Variables, in the order of the file.
    pub env: Vec<(String, Text)>,
    /// Files of variables, read at each start.
    pub env_files: Vec<EnvFile>,
    /// True: nothing of sexton's own environment.
    pub env_clear: bool,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// For a daemon that forks: where it writes its main pid.
    pub pid_file: Option<Text>,
    /// All that they can have; sexton's own when absent.
    pub capabilities: Option<Bound>,
    /// An exec gives them nothing.
    pub no_new_privileges: bool,
}

/// A file of `KEY=value` lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Where it is.
    pub path: Text,
    /// It may be missing (written with a leading `-`).
    pub optional: bool,
}

/// `ioprio_set(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoClass {
    /// Level 0 (first) to 7.
    Realtime(u8),
    /// Level 0 (first) to 7.
    BestEffort(u8),
    /// Only when nobody else wants the disk.
    Idle,
}

/// Where standard input comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// sexton's own. Where that is the terminal that sexton was given, it becomes the controlling one.
    Inherit,
    /// This terminal, which becomes the controlling one.
    Tty(String),
}

/// One entry of `[dirs]`: a directory that is made before each start, with the unit's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The absolute path: the kind's root (`/run`, `/var/lib`, …) and the entry's own path below it.
    pub path: String,
    /// Which root it stands under.
    pub kind: DirectoryKind,
    /// Permission bits.
    pub mode: u32,
    /// When it goes again. Only runtime directories ever do.
    pub keep: Keep,
}

/// The root of a [`Directory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryKind {
    /// `/run`; removed after the unit stopped, see [`Keep`].
    Runtime,
    /// `/var/lib`.
    State,
    /// `/var/cache`.
    Cache,
    /// `/var/log`.
    Log,
}

impl DirectoryKind {
    /// Every kind with its key and its root.
    pub const ALL: [(DirectoryKind, &'static str, &'static str); 4] = [
        (DirectoryKind::Runtime, "runtime", "/run"),
        (DirectoryKind::State, "state", "/var/lib"),
        (DirectoryKind::Cache, "cache", "/var/cache"),
        (DirectoryKind::Log, "log", "/var/log"),
    ];

    /// The directory under which a directory of this kind is made.
    pub fn root(self) -> &'static str {
        match self {
            DirectoryKind::Runtime => "/run",
            DirectoryKind::State => "/var/lib",
            DirectoryKind::Cache => "/var/cache",
            DirectoryKind::Log => "/var/log",
        }
    }
}

/// When a directory is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Whenever the unit's process ended (a runtime directory's default).
    Never,
    /// When the unit stopped, not between two runs of a restart.
    Restart,
    /// Never removed (every other kind).
    Always,
}

/// Commands around the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// `[[prepare]]`: once, before everything else.
    pub prepare: Vec<Hook>,
    /// `[[pre-start]]`: before the process, in order.
    pub pre_start: Vec<Hook>,
    /// `[[post-start]]`: after it is ready, before its dependents start.
    pub post_start: Vec<Hook>,
    /// `[[pre-stop]]`: while it still serves, before it is told to stop.
    pub pre_stop: Vec<PreStop>,
    /// `[[post-stop]]`: after it ended.
    pub post_stop: Vec<Hook>,
}

/// One command around the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What to run.
    pub exec: Command,
    /// `[[prepare]]` only: this is there already, so it is not run.
    pub creates: Option<Text>,
    /// `[[prepare]]` only: what is done when that is there and the command did not end well.
    pub half_made: HalfMade,
    /// Then it is killed and counts as failed.
    pub timeout: Duration,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// Another user than the unit's.
    pub run_as: Option<Account>,
}

/// What a hook's failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The start fails.
    Fail,
    /// It is noted and passed over.
    Continue,
}

/// `[ready]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What shows it.
    pub how: Readiness,
    /// From exec to ready; then the start failed.
    pub timeout: Duration,
    /// Between two tries of a probe.
    pub interval: Duration,
}

/// What shows that a service is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The exec worked.
    Exec,
    /// `READY=1` on its notify socket.
    Notify,
    /// A newline on this descriptor.
    Fd(i32),
    /// A TCP connection to this address succeeds.
    Tcp(std::net::SocketAddr),
    /// A connection to this Unix socket succeeds.
    Unix(Text),
    /// A GET answers with a status from 200 to 399.
    Http(HttpTarget),
    /// The command exits with 0 and, where `matches` is there, prints what the expression matches.
    Command {
        /// What to run.
        exec: Command,
        /// Regular expression, looked for in the first 4 KiB of its standard output.
        matches: Option<String>,
    },
    /// A line of its output matches this regular expression.
    Log(String),
    /// This file exists (it was not there, or older, when the process started).
    File(Text),
}

/// `http://ADDRESS[:PORT]/path`; an address, never a host name: there is no resolver in PID 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    /// Where to connect.
    pub address: std::net::SocketAddr,
    /// What stands in the `Host:` line, as the unit wrote it.
    pub host: String,
    /// The path and query, beginning with `/`.
    pub path: String,
}

/// `[stop]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// A command that asks it to stop, before any signal.
    pub exec: Option<Command>,
    /// How long that command may take, and the process after it, before the first step.
    pub exec_timeout: Duration,
    /// Signals, each with a wait; after the last one comes KILL.
    pub steps: Vec<StopStep>,
    /// What the last KILL reaches.
    pub kill: Kill,
    /// Exit codes that are a clean end after a stop.
    pub codes_ok: Vec<u8>,
    /// Signals that are a clean end after a stop.
    pub signals_ok: Vec<Signal>,
}

/// One step of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopStep {
    /// Sent to the main process.
    pub signal: Signal,
    /// How long to wait for it to end.
    pub wait: Duration,
}

/// What the last KILL of a stop reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// The whole process group.
    Group,
    /// The main process alone: sessions under it live on.
    Process,
    /// Nobody: a database that needs an hour gets it.
    Never,
}

/// `[restart]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// After which ends it is started again.
    pub on: RestartOn,
    /// Exit codes that are no failure.
    pub codes_ok: Vec<u8>,
    /// Exit codes after which it is never started again.
    pub codes_final: Vec<u8>,
    /// Before the first restart; doubled for each that follows.
    pub delay: Duration,
    /// The longest wait between two.
    pub max_delay: Duration,
    /// Part of the wait that is left to chance, in thousandths (0 to 1000), so that many do not return at once.
    pub jitter: u32,
    /// Up this long resets the back-off.
    pub stable: Duration,
    /// At most this many restarts…
    pub limit: u32,
    /// …in this time; then it is Failed.
    pub window: Duration,
    /// In a restart that somebody wishes, the new process is ready before the old one is told to stop.
    pub overlap: bool,
}

/// After which ends a unit is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartOn {
    /// Any.
    Always,
    /// A code outside `codes-ok`, or a signal.
    Failure,
    /// None.
    Never,
}

/// How long a service without `[ready] timeout` may take to be ready.
pub const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a probe without `interval` is tried.
pub const READY_INTERVAL: Duration = Duration::from_millis(100);
/// How long a hook without `timeout` may take.
pub const HOOK_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a stopping service is waited for without `[stop] steps`: systemd's own default, which daemons are tested with.
pub const STOP_WAIT: Duration = Duration::from_secs(90);

impl Default for Ready {
    fn default() -> Ready {
        Ready { how: Readiness::Exec, timeout: READY_TIMEOUT, interval: READY_INTERVAL }
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Stop {
            exec: None,
            exec_timeout: STOP_WAIT,
            steps: vec![StopStep { signal: Signal::TERM, wait: STOP_WAIT }],
            kill: Kill::Group,
            codes_ok: vec![0],
            signals_ok: vec![Signal::TERM],
        }
    }
}

impl Default for Restart {
    fn default() -> Restart {
        Restart {
            on: RestartOn::Failure,
            codes_ok: vec![0],
            codes_final: Vec::new(),
            delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(30),
            jitter: 100,
            stable: Duration::from_secs(10),
            limit: 5,
            window: Duration::from_secs(60),
            overlap: false,
        }
    }
}

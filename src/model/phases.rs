//! What stands between a wish and the process of a unit: its test, its pre-stop hooks, its reload, its rendered files.
//!
//! ```text
//!   renders ──→ configtest ──→ pre-stop, while it serves ──→ stop ──→ start
//!                     └──────→ reload ──→ settle, fail-output, ready, verify
//! ```

use std::rc::Rc;
use std::time::Duration;

use super::{Account, Command, Number, Signal, Text};

/// `[configtest]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigTest {
    /// What to run.
    pub exec: Command,
    /// Exit codes of a configuration that is good. Every other code, and every signal, is a failure: daemons do not
    /// agree on what a bad one is.
    pub codes_ok: Vec<u8>,
    /// Regular expression that its output has to match.
    pub ok_output: Option<String>,
    /// Regular expression that its output must not match: some report an error and exit with 0.
    pub fail_output: Option<String>,
    /// Another user than the unit's.
    pub run_as: Option<Account>,
    /// Then it is killed and has failed.
    pub timeout: Duration,
    /// Patterns of the files that it covers; when they differ from those at the start, status says so.
    pub files: Vec<Text>,
}

/// One `[[pre-stop]]` hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreStop {
    /// What people see; the program's own name where the file gives none.
    pub name: String,
    /// What to run, again and again where there is an `until`.
    pub exec: Command,
    /// Takes back what it did, when the stop is given up.
    pub undo: Option<Command>,
    /// What ends the repetition; without it the hook is done when it exits with 0.
    pub until: Option<Until>,
    /// Between two runs of one with an `until`.
    pub every: Duration,
    /// For all its runs together; then it has failed.
    pub timeout: Duration,
    /// What its failure means.
    pub on_failure: OnPreStopFailure,
    /// Before which stops it runs.
    pub on: Occasions,
    /// Another user than the unit's.
    pub run_as: Option<Account>,
}

/// What ends the repetition of a pre-stop hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// The first number that it prints is below this.
    NumberBelow(Number),
    /// It exits with this code.
    Exit(u8),
    /// Its output matches this regular expression.
    Matches(String),
}

/// What the failure of a pre-stop hook means. At a shutdown it is always passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPreStopFailure {
    /// The stop is given up and what the hooks did is undone.
    Abort,
    /// It is noted and passed over.
    Continue,
}

/// Before which stops a pre-stop hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasions {
    /// Of a restart, whoever wished it.
    pub restart: bool,
    /// Of a stop.
    pub stop: bool,
    /// Of the whole system.
    pub shutdown: bool,
}

impl Occasions {
    /// Before every stop.
    pub const ALL: Occasions = Occasions { restart: true, stop: true, shutdown: true };
}

/// `[reload]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// How it is told.
    pub how: ReloadBy,
    /// From then until it has shown that it serves: alive, its main process the same or handed over, and its
    /// readiness probe passed. `READY=1` alone is not believed.
    pub timeout: Duration,
    /// How long its main process has to live on before it is believed: daemons that reject their configuration
    /// die a moment after the signal.
    pub settle: Duration,
    /// A command that has to exit with 0 afterwards, where the daemon can be asked whether it took the new
    /// configuration.
    pub verify: Option<Command>,
    /// What it must not write meanwhile, a regular expression.
    pub fail_output: Option<String>,
}

/// How a daemon is told to read its configuration again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadBy {
    /// This signal, to the main process.
    Signal(Signal),
    /// This command, which has to exit with 0.
    Command(Command),
}

/// One `[[render]]`: a configuration file that is made from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Render {
    /// The template. In it only `%{name}` and `%{env.NAME}` are replaced.
    pub from: Text,
    /// The file that is made.
    pub to: Text,
    /// Its permission bits; it belongs to the unit's user.
    pub mode: u32,
    /// What `%{…}` can name: the instance's parameters and `i`, `f`, `n`, `p`.
    pub parameters: Rc<[(String, String)]>,
}

/// How long a configuration test without `timeout` may take.
pub const CONFIGTEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two runs of a pre-stop hook without `every`.
pub const PRE_STOP_EVERY: Duration = Duration::from_secs(1);
/// How long a reload without `timeout` may take.
pub const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the main process of a reloaded unit without `settle` has to live on.
pub const RELOAD_SETTLE: Duration = Duration::from_millis(500);

/// What becomes of what a `[[prepare]]` has begun to create and did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfMade {
    /// The next start runs it again.
    RunAgain,
    /// Nothing is started until somebody has taken it away.
    Refuse,
}

//! The words of the unit language: one table of every key, its type, its default and its meaning.
//!
//! The walker that finds unknown keys, the search for the word that was meant and the test that holds
//! docs/units.md to the truth all read this table; what is not in it does not exist.

pub use super::kind::Kind;
use super::library::LIBRARY;
use super::log::{LOG, SETTINGS_LOG};
use super::machine::{BOOT, NETWORK};
use super::resources::RESOURCES;
use super::security::SECURITY;

/// One key.
#[derive(Debug)]
pub struct Key {
    /// How it is written.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it, in words; empty for tables and for what must be given.
    pub default: &'static str,
    /// What it means: one line, as docs/units.md has it.
    pub meaning: &'static str,
}

/// A key.
pub const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, default, meaning }
}

/// The unit file.
pub static UNIT: &[Key] = &[
    key("description", Kind::Text, "", "one line for people"),
    key("docs", Kind::Texts, "[]", "addresses of its documentation"),
    key("needs", Kind::Texts, "[]", "started first and ready; if one ends for good, so does this"),
    key("wants", Kind::Texts, "[]", "started first; this carries on without them"),
    key("after", Kind::Texts, "[]", "order only, when both are to start; stopped in reverse"),
    key("before", Kind::Texts, "[]", "the other direction of `after`"),
    key("conflicts", Kind::Texts, "[]", "never up together with these"),
    key(
        "manual",
        Kind::Flag,
        "false",
        "`true`: not started at boot unless something that is started needs or wants it",
    ),
    key("essential", Kind::Flag, "false", "`true`: when it ends for good, sexton shuts down with its status"),
    key("require", Kind::Table(REQUIRE), "", "looked at before each start; what is unmet refuses it"),
    key("instances", Kind::Table(INSTANCES), "", "of a template: which instances there are"),
    key("service", Kind::Table(RUN), "", "makes the unit a service: a process that runs until it is stopped"),
    key("task", Kind::Table(RUN), "", "makes the unit a task: a process that is done when it exits with 0"),
    key("process", Kind::Table(PROCESS), "", "in what surroundings the unit's processes run"),
    key("dirs", Kind::Table(DIRS), "", "directories made before each start, with the unit's owner"),
    key("prepare", Kind::Tables(PREPARE), "", "commands run once, before everything else"),
    key(
        "render",
        Kind::Tables(RENDER),
        "",
        "configuration files made from templates, before each test and each start",
    ),
    key("configtest", Kind::Table(CONFIGTEST), "", "what has to pass before each start, restart and reload"),
    key("pre-start", Kind::Tables(HOOK), "", "commands run before the process, in order"),
    key("post-start", Kind::Tables(HOOK), "", "commands run after it is ready, before its dependents start"),
    key(
        "pre-stop",
        Kind::Tables(PRE_STOP),
        "",
        "commands run while a service still serves, before it is told to stop",
    ),
    key("post-stop", Kind::Tables(HOOK), "", "commands run after it ended"),
    key("ready", Kind::Table(READY), "", "what shows that a service is ready; at most one way"),
    key(
        "reload",
        Kind::Table(RELOAD),
        "",
        "how a service is told to read its configuration again; without it a reload is refused",
    ),
    key("resources", Kind::Table(RESOURCES), "", "what its processes may use together, on cgroup v2"),
    key("stop", Kind::Table(STOP), "", "how it is stopped"),
    key("restart", Kind::Table(RESTART), "", "what happens when it ends by itself"),
    key("log", Kind::Table(LOG), "", "where its output goes, in what form, and how much of it is kept"),
    key("security", Kind::Table(SECURITY), "", "what its processes may do beyond what their user may"),
    key(
        "library",
        Kind::Table(LIBRARY),
        "",
        "where the unit comes from and what it was tested with; it changes nothing",
    ),
];

/// `[service]` and `[task]`.
static RUN: &[Key] = &[key("exec", Kind::Command, "", "the program and its arguments; must be given")];

/// `[require]`.
static REQUIRE: &[Key] = &[
    key("exists", Kind::Texts, "[]", "paths that must exist"),
    key("readable", Kind::Texts, "[]", "paths that the unit's user must be able to read"),
    key("writable", Kind::Texts, "[]", "paths that the unit's user must be able to write"),
    key("free-space", Kind::Sizes, "{}", "bytes that must be free in the file system of a path"),
    key("executable", Kind::Texts, "[]", "programs that must be there, beside the one of `exec`"),
    key("condition", Kind::Command, "[]", "a command that must exit with 0"),
    key("skip-unless-exists", Kind::Texts, "[]", "unmet here: skipped quietly, counts as done"),
];

/// `[instances]`.
static INSTANCES: &[Key] = &[
    key(
        "files",
        Kind::Text,
        "",
        "one instance for each file that matches; `%i` is what `*` matched, `%f` the file",
    ),
    key("names", Kind::Texts, "[]", "instances by name"),
    key("count", Kind::Integer(0, 10_000), "0", "instances 1 to this number"),
    key("defaults", Kind::Map, "{}", "parameters, used as `%{name}`"),
    key("set", Kind::Maps, "{}", "parameters of one instance: `[instances.set.NAME]`"),
];

/// `[process]`.
static PROCESS: &[Key] = &[
    key("user", Kind::Account, "sexton's own", "whose processes they are"),
    key("group", Kind::Account, "the user's own", "their group"),
    key("groups", Kind::Accounts, "the user's from `/etc/group`", "their supplementary groups"),
    key("directory", Kind::Text, "`\"/\"`", "their working directory"),
    key("umask", Kind::Text, "sexton's own", "file mode mask, in octal"),
    key("nice", Kind::Integer(-20, 19), "0", "niceness, -20 (first) to 19 (last)"),
    key(
        "oom-score-adj",
        Kind::Integer(-1000, 1000),
        "sexton's own",
        "-1000 (never killed) to 1000 (killed first) when memory runs out",
    ),
    key("cpus", Kind::Text, "all", "processors they may run on, such as `\"0-3,5\"`"),
    key(
        "io-class",
        Kind::Text,
        "the kernel's",
        "`\"realtime:0\"` to `\"realtime:7\"`, `\"best-effort:0\"` to `\"best-effort:7\"`, or `\"idle\"`",
    ),
    key("env", Kind::Map, "{}", "variables, over `env-files`, over what sexton got"),
    key(
        "env-files",
        Kind::Texts,
        "[]",
        "files of `KEY=value` lines, quoted as in sh; with a leading `-` one may be missing",
    ),
    key("env-clear", Kind::Flag, "false", "`true`: nothing of sexton's own environment"),
    key(
        "stdin",
        Kind::Text,
        "`\"null\"`",
        "`\"null\"`, `\"inherit\"` (sexton's own) or `\"tty:/dev/ttyS0\"`",
    ),
    key(
        "limits",
        Kind::Limits,
        "{}",
        "resource limits: `number`, `\"64MiB\"`, `\"unlimited\"`, or `[soft, hard]`",
    ),
    key("pid-file", Kind::Text, "", "for a daemon that insists on forking: where it writes its main pid"),
];

/// `[dirs]`.
static DIRS: &[Key] = &[
    key("runtime", Kind::Directories(DIRECTORY), "[]", "below `/run`; removed when the unit stopped"),
    key("state", Kind::Directories(DIRECTORY), "[]", "below `/var/lib`"),
    key("cache", Kind::Directories(DIRECTORY), "[]", "below `/var/cache`"),
    key("log", Kind::Directories(DIRECTORY), "[]", "below `/var/log`"),
];

/// One directory of `[dirs]`.
static DIRECTORY: &[Key] = &[
    key("path", Kind::Text, "", "where, below its root; must be given"),
    key("mode", Kind::Text, "`\"0755\"`", "permission bits, in octal"),
    key("keep", Kind::Choice(&["restart"]), "", "`\"restart\"`: a runtime directory that survives a restart"),
];

/// `[[prepare]]`.
static PREPARE: &[Key] = &[
    key("exec", Kind::Command, "", "what to run; must be given"),
    key("creates", Kind::Text, "", "a path; when it is there already the command is not run"),
    key(
        "half-made",
        Kind::Choice(&["run-again", "refuse"]),
        "`\"run-again\"`",
        "what the next start does with `creates` when the command did not end well; `\"refuse\"` starts nothing until it is gone",
    ),
    key("timeout", Kind::Duration, "`\"5m\"`", "then it is killed and counts as failed"),
    key(
        "on-failure",
        Kind::Choice(ON_FAILURE),
        "`\"fail\"`",
        "`\"fail\"`: the start fails; `\"continue\"`: it is noted and passed over",
    ),
    key("as", Kind::Account, "the unit's user", "another user to run it as"),
];

/// `[[render]]`.
static RENDER: &[Key] = &[
    key("from", Kind::Text, "", "the template; must be given"),
    key("to", Kind::Text, "", "the file that is made; must be given"),
    key("mode", Kind::Text, "`\"0644\"`", "permission bits of that file, in octal"),
];

/// `[configtest]`.
static CONFIGTEST: &[Key] = &[
    key("exec", Kind::Command, "", "what to run; must be given"),
    key(
        "codes-ok",
        Kind::Codes,
        "`[0]`",
        "exit codes of a good configuration; every other code, and every signal, is a failure",
    ),
    key("ok-output", Kind::Text, "", "a regular expression that its output must match as well"),
    key("fail-output", Kind::Text, "", "a regular expression that its output must not match"),
    key("as", Kind::Account, "the unit's user", "another user to run it as"),
    key("timeout", Kind::Duration, "`\"30s\"`", "then it is killed and has failed"),
    key(
        "files",
        Kind::Texts,
        "[]",
        "patterns of the files that it covers; `sexton status` says when they changed since the start",
    ),
];

/// `[[pre-start]]`, `[[post-start]]`, `[[post-stop]]`.
static HOOK: &[Key] = &[
    key("exec", Kind::Command, "", "what to run; must be given"),
    key("timeout", Kind::Duration, "`\"5m\"`", "then it is killed and counts as failed"),
    key(
        "on-failure",
        Kind::Choice(ON_FAILURE),
        "`\"fail\"`, `\"continue\"` in `[[post-stop]]`",
        "`\"fail\"`: the start fails; `\"continue\"`: it is noted and passed over",
    ),
    key("as", Kind::Account, "the unit's user", "another user to run it as"),
];

/// `[[pre-stop]]`.
static PRE_STOP: &[Key] = &[
    key("name", Kind::Text, "the program's name", "what people see of it"),
    key("exec", Kind::Command, "", "what to run; must be given"),
    key("undo", Kind::Command, "[]", "takes back what `exec` did, when the stop is given up"),
    key("until", Kind::OneOf(UNTIL, UNTIL_EXAMPLE), "", "`exec` is run again and again until this holds"),
    key("every", Kind::Duration, "`\"1s\"`", "with `until`: between two runs"),
    key("timeout", Kind::Duration, "`\"5m\"`", "for all its runs together; then it has failed"),
    key(
        "on-failure",
        Kind::Choice(PRE_STOP_ON_FAILURE),
        "`\"abort\"`",
        "`\"abort\"`: the stop is given up and undone; `\"continue\"`: it is noted and passed over",
    ),
    key(
        "on",
        Kind::Words(OCCASIONS),
        "`[\"restart\", \"stop\", \"shutdown\"]`",
        "before which stops it runs",
    ),
    key("as", Kind::Account, "the unit's user", "another user to run it as"),
];

/// The words of `on-failure` in `[[pre-stop]]`.
pub const PRE_STOP_ON_FAILURE: &[&str] = &["abort", "continue"];

/// The words of `on` in `[[pre-stop]]`.
pub const OCCASIONS: &[&str] = &["restart", "stop", "shutdown"];

/// `until` in `[[pre-stop]]`: exactly one of these.
static UNTIL: &[Key] = &[
    key("number-below", Kind::Number, "", "the first number that it prints is below this"),
    key("exit", Kind::Integer(0, 255), "", "it exits with this code"),
    key("matches", Kind::Text, "", "its output matches this regular expression"),
];

/// How `until` is written.
pub const UNTIL_EXAMPLE: &str = "{ number-below = 15 }, { exit = 0 } or { matches = \"drained\" }";

/// The words of `on-failure`.
const ON_FAILURE: &[&str] = &["fail", "continue"];

/// `[ready]`.
static READY: &[Key] = &[
    key("notify", Kind::Flag, "false", "the daemon says `READY=1` on its notify socket (sd_notify)"),
    key("fd", Kind::Integer(3, 1023), "", "the daemon writes a newline to this descriptor (s6)"),
    key("tcp", Kind::Text, "", "a TCP connection to this `ADDRESS:PORT` succeeds"),
    key("unix", Kind::Text, "", "a connection to this Unix socket succeeds"),
    key(
        "http",
        Kind::Text,
        "",
        "a GET of this `http://ADDRESS:PORT/path` answers with a status from 200 to 399",
    ),
    key("exec", Kind::Command, "", "this command exits with 0"),
    key("matches", Kind::Text, "", "with `exec`: a regular expression that its output must match as well"),
    key("log", Kind::Text, "", "a line of the daemon's output matches this regular expression"),
    key("file", Kind::Text, "", "this file exists"),
    key("timeout", Kind::Duration, "`\"30s\"`", "from exec to ready; then the start failed"),
    key("interval", Kind::Duration, "`\"100ms\"`", "between two tries"),
];

/// `[reload]`.
static RELOAD: &[Key] = &[
    key("signal", Kind::Signal, "", "this signal, to its main process"),
    key("exec", Kind::Command, "[]", "or this command, which must exit with 0"),
    key("timeout", Kind::Duration, "`\"30s\"`", "from then until it has shown that it serves"),
    key(
        "settle",
        Kind::Duration,
        "`\"500ms\"`",
        "how long its main process has to live on: daemons that reject their configuration die a moment later",
    ),
    key(
        "verify",
        Kind::Command,
        "[]",
        "a command that must exit with 0 afterwards, where the daemon can be asked what it runs with",
    ),
    key("fail-output", Kind::Text, "", "a regular expression that what it writes meanwhile must not match"),
];

/// `[stop]`.
static STOP: &[Key] = &[
    key("exec", Kind::Command, "[]", "a command that asks it to stop, before any signal"),
    key(
        "timeout",
        Kind::Duration,
        "`\"90s\"`",
        "how long that command, and the process after it, may take before the first step",
    ),
    key(
        "steps",
        Kind::Tables(STEP),
        "TERM, then 90 s",
        "signals, each with a wait; after the last one comes KILL",
    ),
    key(
        "kill",
        Kind::Choice(&["group", "process", "never"]),
        "`\"group\"`",
        "what that KILL reaches: `\"group\"`, `\"process\"` or `\"never\"`",
    ),
    key("codes-ok", Kind::Codes, "`[0]`", "exit codes that are a clean end after a stop"),
    key("signals-ok", Kind::Signals, "`[\"TERM\"]`", "signals that are a clean end after a stop"),
];

/// One of `[stop] steps`.
static STEP: &[Key] = &[
    key("signal", Kind::Signal, "", "name or number of the signal; must be given"),
    key("wait", Kind::Duration, "", "how long to wait for the end; must be given"),
];

/// `[restart]`.
static RESTART: &[Key] = &[
    key(
        "on",
        Kind::Choice(&["always", "failure", "never"]),
        "`\"failure\"`",
        "after which ends: `\"always\"`, `\"failure\"` or `\"never\"`",
    ),
    key("codes-ok", Kind::Codes, "`[0]`", "exit codes that are no failure"),
    key("codes-final", Kind::Codes, "`[]`", "exit codes after which it is never started again"),
    key("delay", Kind::Duration, "`\"200ms\"`", "before the first restart; doubled for each that follows"),
    key("max-delay", Kind::Duration, "`\"30s\"`", "the longest wait between two"),
    key(
        "jitter",
        Kind::Fraction,
        "0.1",
        "part of the wait that is left to chance, so that many do not return at once",
    ),
    key("stable", Kind::Duration, "`\"10s\"`", "up this long resets the back-off"),
    key("limit", Kind::Integer(0, 1_000_000), "5", "at most this many restarts…"),
    key("window", Kind::Duration, "`\"1m\"`", "…in this time; then it is failed"),
    key(
        "overlap",
        Kind::Flag,
        "false",
        "`true`: in a restart that somebody wishes, the new process is ready before the old one is told to stop",
    ),
];

/// `sexton.toml`.
pub static SETTINGS: &[Key] = &[
    key(
        "start",
        Kind::Texts,
        "every unit not `manual`",
        "units that are started at boot; `redis@*` for all instances",
    ),
    key("shutdown", Kind::Table(SHUTDOWN), "", "how sexton ends"),
    key("control", Kind::Table(CONTROL), "", "who may speak to sexton"),
    key("log", Kind::Table(SETTINGS_LOG), "", "what holds for the output of units, and where log files are"),
    key("boot", Kind::Table(BOOT), "", "of a machine: what is done when its boot fails"),
    key(
        "network",
        Kind::Tables(NETWORK),
        "",
        "of a machine: its interfaces, with their addresses and routes",
    ),
];

static SHUTDOWN: &[Key] = &[key(
    "timeout",
    Kind::Duration,
    "`\"90s\"`",
    "from the order to the end, whatever the units do; the variable `SEXTON_SHUTDOWN_TIMEOUT` has the last word",
)];

static CONTROL: &[Key] = &[
    key("group", Kind::Account, "none", "members of this group may change things, as root may"),
    key(
        "mode",
        Kind::Text,
        "`\"0600\"`, with a group `\"0660\"`",
        "permission bits of the control socket, in octal",
    ),
];

/// The key of this name.
pub fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// The tables, below `keys`, that have a key of this name: where it belongs when it stands elsewhere.
pub fn homes(keys: &'static [Key], name: &str) -> Vec<String> {
    keys.iter().filter_map(|table| home(table, name)).collect()
}

fn home(table: &Key, name: &str) -> Option<String> {
    let brackets = match table.kind {
        Kind::Table(_) => format!("[{}]", table.name),
        Kind::Tables(_) => format!("[[{}]]", table.name),
        _ => return None,
    };
    let keys = table.kind.keys();
    if keys.iter().any(|key| key.name == name) {
        return Some(brackets);
    }
    let within = |key: &&Key| key.kind.keys().iter().any(|below| below.name == name);
    keys.iter().find(within).map(|key| format!("'{}' of {brackets}", key.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_table_has_a_key_twice() {
        let mut tables = vec![UNIT, SETTINGS];
        while let Some(keys) = tables.pop() {
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].iter().any(|other| other.name == key.name), "{}", key.name);
                tables.push(key.kind.keys());
            }
        }
    }

    #[test]
    fn a_key_that_stands_elsewhere_has_a_home() {
        assert_eq!(homes(UNIT, "user"), ["[process]"]);
        assert_eq!(homes(UNIT, "creates"), ["[[prepare]]"]);
        assert!(homes(UNIT, "listen").is_empty());
    }
}

//! Every key, and what is said of values that cannot be.

use std::time::Duration;

use super::*;
use crate::model::log::{Log, LogFormat, Rate};
use crate::model::process::Resource;
use crate::model::unit::{IoClass, Keep, Kill, Kind, LogTarget, OnFailure, Readiness, RestartOn, Stdin};
use crate::model::{Account, Signal};

#[test]
fn a_service_without_anything_else_has_every_default() {
    let unit = one("[service]\nexec = [\"/bin/true\"]\n");
    let program = unit.program().unwrap();
    assert!(matches!(unit.kind, Kind::Service(_)) && !unit.is_task());
    assert_eq!(program.exec.to_string(), "/bin/true");
    assert_eq!(*program.process, Default::default());
    assert_eq!(*program.ready, Default::default());
    assert_eq!(*program.stop, Default::default());
    assert_eq!(*program.restart, Default::default());
    assert_eq!(*program.log, Log::default());
    assert_eq!(unit.source.to_str(), Some("web.toml"));
}

#[test]
fn an_empty_file_is_a_target() {
    assert_eq!(one("").kind, Kind::Target);
    assert_eq!(&*one("description = \"all %n\"").description, "all web");
}

#[test]
fn every_key_of_a_unit_is_understood() {
    let unit = one(EVERYTHING);
    let program = unit.program().unwrap();
    let process = &program.process;
    assert_eq!(process.user, Some(Account::Name("redis".into())));
    assert_eq!(process.groups, Some(vec![Account::Name("audio".into()), Account::Id(44)]));
    assert_eq!((process.umask, process.nice, process.oom_score_adj), (Some(0o27), Some(-5), Some(-100)));
    assert_eq!(process.cpus.as_deref(), Some(&[0, 1, 5][..]));
    assert_eq!(process.io_class, Some(IoClass::BestEffort(4)));
    let env: Vec<String> = process.env.iter().map(|(name, text)| format!("{name}={text}")).collect();
    assert_eq!(env, ["TZ=UTC", "PORT=80", "A=${HOME:-/}"]);
    assert_eq!(
        process.env_files.iter().map(|f| (f.path.as_str(), f.optional)).collect::<Vec<_>>(),
        [("/etc/default/x", true)]
    );
    assert_eq!(process.stdin, Stdin::Tty("/dev/ttyS0".into()));
    let limit = |resource| process.limits.iter().find(|l| l.resource == resource).map(|l| (l.soft, l.hard));
    assert_eq!(limit(Resource::Nofile), Some((Some(65536), Some(65536))));
    assert_eq!(limit(Resource::Core), Some((Some(0), None)));
    assert_eq!(limit(Resource::As), Some((Some(64 << 20), Some(64 << 20))));
    assert_eq!(program.require.free_space[0].1, 64 << 20);
    assert_eq!(program.require.condition.as_ref().unwrap().to_string(), "test -e /x");
    let dirs: Vec<_> = program.dirs.iter().map(|d| (d.path.as_str(), d.mode, d.keep)).collect();
    assert_eq!(
        dirs,
        [
            ("/run/redis", 0o750, Keep::Restart),
            ("/run/web", 0o755, Keep::Never),
            ("/var/lib/redis/data", 0o700, Keep::Always)
        ]
    );
    assert_eq!(program.hooks.prepare[0].creates.as_ref().unwrap().as_str(), "/var/lib/redis/data/x");
    assert_eq!(program.hooks.pre_start[0].on_failure, OnFailure::Continue);
    assert_eq!(program.hooks.pre_start[0].timeout, Duration::from_secs(5));
    assert_eq!(program.hooks.post_start[0].on_failure, OnFailure::Fail);
    assert_eq!(program.hooks.post_stop[0].on_failure, OnFailure::Continue);
    assert_eq!(program.hooks.post_stop[0].run_as, Some(Account::Name("root".into())));
    assert!(matches!(&program.ready.how, Readiness::Command { matches: Some(m), .. } if m == "PONG"));
    assert_eq!(
        (program.ready.timeout, program.ready.interval),
        (Duration::from_secs(60), Duration::from_millis(50))
    );
    assert_eq!(program.stop.steps[0].signal, Signal::QUIT);
    assert_eq!((program.stop.kill, &program.stop.codes_ok[..]), (Kill::Never, &[0, 143][..]));
    assert_eq!(program.stop.signals_ok, [Signal::TERM, Signal::from_number(9).unwrap()]);
    assert_eq!(
        (program.restart.on, program.restart.jitter, program.restart.limit),
        (RestartOn::Always, 250, 0)
    );
    assert_eq!(program.restart.codes_final, [78]);
    let log = &program.log;
    assert_eq!(
        (log.to, log.format, log.max_size, log.keep),
        (LogTarget::File, Some(LogFormat::Json), Some(1 << 20), Some(2))
    );
    assert_eq!((log.rate, log.max_line), (Rate::parse("100/m"), Some(4096)));
    assert_eq!(log.through.as_ref().unwrap().to_string(), "grep -v 'web ${NOISE:-noise}'");
    assert!(unit.manual && unit.essential);
}

const EVERYTHING: &str = r#"
description = "all of it"
docs = ["https://example.org"]
manual = true
essential = true
[require]
exists = ["/etc/x"]
readable = ["/etc/y"]
writable = ["/var/z"]
free-space = { "/var/lib/redis" = "64MiB" }
executable = ["redis-cli"]
condition = ["test", "-e", "/x"]
skip-unless-exists = ["/sys"]
[service]
exec = ["redis-server", "%n"]
[process]
user = "redis"
group = 999
groups = ["audio", 44]
directory = "/var/lib/redis"
umask = "0027"
nice = -5
oom-score-adj = -100
cpus = "0-1,5"
io-class = "best-effort"
env = { TZ = "UTC", PORT = 80, A = "${HOME:-/}" }
env-files = ["-/etc/default/x"]
env-clear = true
stdin = "tty:/dev/ttyS0"
limits = { nofile = 65536, core = [0, "unlimited"], as = "64MiB" }
pid-file = "/run/x.pid"
[dirs]
runtime = [{ path = "redis", mode = "0750", keep = "restart" }, "%n"]
state = [{ path = "redis/data", mode = "700" }]
[[prepare]]
exec = ["init"]
creates = "/var/lib/redis/data/x"
[[pre-start]]
exec = ["a"]
timeout = "5s"
on-failure = "continue"
[[post-start]]
exec = ["b"]
[[post-stop]]
exec = ["c"]
as = "root"
[ready]
exec = ["redis-cli", "ping"]
matches = "PONG"
timeout = "1m"
interval = "50ms"
[stop]
exec = ["redis-cli", "shutdown"]
timeout = "10s"
steps = [{ signal = "SIGQUIT", wait = "5s" }, { signal = "RTMIN+3", wait = "0s" }]
kill = "never"
codes-ok = [0, 143]
signals-ok = ["TERM", 9]
[restart]
on = "always"
codes-ok = [0, 1]
codes-final = [78]
delay = "1s"
max-delay = "1m"
jitter = 0.25
stable = "20s"
limit = 0
window = "2m"
[log]
to = "file"
format = "json"
max-size = "1MiB"
keep = 2
rate = "100/m"
max-line = 4096
through = ["grep", "-v", "%n ${NOISE:-noise}"]
"#;

#[test]
fn each_way_of_being_ready_is_understood() {
    let ready = |way: &str| {
        let unit = one(&format!("[service]\nexec = [\"x\"]\n[ready]\n{way}\n"));
        unit.program().unwrap().ready.how.clone()
    };
    assert_eq!(ready("notify = true"), Readiness::Notify);
    assert_eq!(ready("notify = false"), Readiness::Exec);
    assert_eq!(ready("fd = 3"), Readiness::Fd(3));
    assert_eq!(ready("tcp = \"127.0.0.1:80\""), Readiness::Tcp("127.0.0.1:80".parse().unwrap()));
    assert!(matches!(ready("unix = \"/run/x.sock\""), Readiness::Unix(_)));
    assert!(matches!(ready("http = \"http://[::1]:8080/health\""), Readiness::Http(_)));
    assert!(matches!(ready("log = \"ready to .*\""), Readiness::Log(_)));
    assert!(matches!(ready("file = \"/run/x\""), Readiness::File(_)));
}

/// A key with a wrong value in its table, and what is said of it.
const IMPOSSIBLE: &[(&str, &str)] = &[
    ("[process]\nnice = 20", "4:8: 20 is not a number from -20 to 19"),
    ("[process]\numask = \"0888\"", "4:9: '0888' is not a mode in octal, \"0000\" to \"0777\""),
    (
        "[process]\ncpus = \"3-1\"",
        "4:8: '3-1' names no processors (write \"0-3,5\"; processors are counted from 0 to 1023)",
    ),
    ("[process]\nuser = \"a b\"", "4:8: 'a b' cannot be the name of a user or group"),
    ("[process]\nuser = -1", "4:8: -1 is not a number from 0 to 4294967294"),
    ("[process]\ndirectory = \"x\"", "4:13: 'x' is not an absolute path"),
    ("[process]\nlimits = { nofiles = 1 }", "4:12: unknown limit 'nofiles' (did you mean 'nofile'?)"),
    ("[process]\nlimits = { nofile = [2, 1] }", "4:21: the soft limit is above the hard one"),
    (
        "[process]\nlimits = { nofile = true }",
        "4:21: a limit is a number, \"64MiB\", \"unlimited\" or [soft, hard]",
    ),
    ("[process]\nenv = { \"a=b\" = \"c\" }", "4:9: \"a=b\" cannot be the name of a variable"),
    ("[process]\nenv = { a = \"x $HOME\" }", "4:16: a dollar sign is written $$, a variable ${NAME}"),
    (
        "[process]\nstdin = \"tty\"",
        "4:9: 'tty' is no standard input (write \"null\", \"inherit\" or \"tty:/dev/ttyS0\")",
    ),
    (
        "[process]\nio-class = \"best-effort:9\"",
        "4:12: 'best-effort:9' is no I/O class (write \"realtime:0\", \"best-effort:4\" (levels 0 to 7) or \"idle\")",
    ),
    (
        "[require]\nfree-space = { \"/x\" = \"1 parsec\" }",
        "4:23: '1 parsec' is no size (write 4096, \"64KiB\", \"10MiB\" or \"10MB\")",
    ),
    (
        "[dirs]\nruntime = [{ path = \"../x\" }]",
        "4:21: '../x' is not a path below /run (without a leading '/', without '.' and '..')",
    ),
    (
        "[dirs]\nstate = [{ path = \"x\", keep = \"restart\" }]",
        "4:31: only a runtime directory is ever removed: 'keep' says nothing here",
    ),
    ("[dirs]\nstate = [{ mode = \"0700\" }]", "4:10: 'path' is missing"),
    ("[[pre-start]]\ntimeout = \"5s\"", "3:1: 'exec' is missing (write exec = [\"program\", \"argument\"])"),
    ("[[pre-start]]\nexec = []", "4:8: 'exec' is empty"),
    ("[[pre-start]]\nexec = [\"\"]", "4:8: the program, the first of the array, is empty"),
    ("[ready]\ntimeout = \"0s\"", "4:11: 'timeout' cannot be shorter than 1 ms"),
    (
        "[ready]\ntcp = \"localhost:80\"",
        "4:7: 'localhost:80' is no address to connect to (write \"127.0.0.1:6379\" or \"[::1]:6379\"; names are not looked up)",
    ),
    (
        "[ready]\nnotify = true\nfd = 3",
        "5:1: one way to be ready is enough: 'notify' is there already, 'fd' too",
    ),
    ("[ready]\nmatches = \"x\"", "4:11: 'matches' goes with 'exec', which is not there"),
    ("[log]\nthrough = []", "4:11: 'through' is empty"),
    ("[log]\nthrough = [\"\"]", "4:11: the program, the first of the array, is empty"),
    (
        "[log]\nthrough = \"sed -u\"",
        "4:11: 'through' takes a command, this is a string (no shell is involved; write through = [\"sed\", \"-u\"])",
    ),
    (
        "[ready]\nlog = \"up\"\n[log]\nthrough = [\"cat\"]",
        "6:11: a unit that is ready by a line of its output cannot have it go through a program (show readiness in another way, as with [ready] notify)",
    ),
    ("[stop]\nsteps = []", "4:9: at least one step is needed"),
    (
        "[stop]\nsteps = [{ signal = \"TREM\", wait = \"1s\" }]",
        "4:21: 'TREM' is no signal (did you mean \"TERM\"?)",
    ),
    (
        "[stop]\nsteps = [{ signal = \"TERM\" }]",
        "4:10: 'wait' is missing (write { signal = \"TERM\", wait = \"30s\" })",
    ),
    ("[stop]\nkill = \"gruop\"", "4:8: 'gruop' is no value of 'kill' (did you mean \"group\"?)"),
    (
        "[stop]\nkill = \"all\"",
        "4:8: 'all' is no value of 'kill' (it takes \"group\" or \"process\" or \"never\")",
    ),
    ("[stop]\ncodes-ok = [256]", "4:13: 256 is not a number from 0 to 255"),
    (
        "[stop]\ntimeout = \"9s\"",
        "4:11: 'timeout' goes with 'exec', which is not there (how long a signal is waited for stands in steps = [{ signal = \"TERM\", wait = \"30s\" }])",
    ),
    ("[restart]\njitter = 1.5", "4:10: 1.5 is not a number from 0 to 1"),
    ("[restart]\ndelay = \"1m\"\nmax-delay = \"1s\"", "5:13: 'max-delay' is shorter than 'delay'"),
    ("[task]\nexec = [\"x\"]", "3:1: a unit is a [service] or a [task], not both"),
    ("[process]\ndirectory = \"/a\\u0000b\"", "4:13: a NUL character cannot stand here"),
    (
        "[process]\ndirectory = \"/%x\"",
        "4:15: a single percent sign (%i, %f, %n, %p and %{name} are replaced; a percent sign is written %%)",
    ),
    (
        "[process]\ndirectory = \"/%i\"",
        "4:15: '%i' stands for nothing here (only an instance of a template has one)",
    ),
];

#[test]
fn what_cannot_be_is_said_with_its_place() {
    for (text, words) in IMPOSSIBLE {
        let text = format!("[service]\nexec = [\"x\"]\n{text}\n");
        assert_eq!(errors(&text), [*words], "{text}");
    }
}

#[test]
fn durations_and_regular_expressions_are_checked() {
    let text = "[service]\nexec = [\"x\"]\n[ready]\nlog = \"(\"\ntimeout = \"30\"\n";
    let errors = errors(text);
    assert!(errors[0].starts_with("4:7: '(' is no regular expression: "), "{errors:?}");
    assert!(errors[1].starts_with("5:11: '30' is no duration: "), "{errors:?}");
}

#[test]
fn an_unknown_key_comes_with_the_word_that_was_meant_or_its_home() {
    assert_eq!(errors("neds = []"), ["1:1: unknown key 'neds' (did you mean 'needs'?)"]);
    assert_eq!(errors("user = \"x\""), ["1:1: unknown key 'user' ('user' belongs in [process])"]);
    assert_eq!(
        errors("[service]\nexec = [\"x\"]\nmanual = true"),
        ["3:1: unknown key 'manual' ('manual' belongs at the top of the file, before the first [table])"]
    );
    for table in ["health", "schedule", "listen"] {
        assert_eq!(errors(&format!("[{table}]\n")), [format!("1:2: unknown key '{table}'")]);
    }
    assert_eq!(
        errors("[service]\nexec = [\"x\"]\n[log]\nmax-sise = \"1MiB\"")[0],
        "4:1: unknown key 'max-sise' (did you mean 'max-size'?)"
    );
}

#[test]
fn a_string_where_a_command_belongs_shows_the_array() {
    assert_eq!(
        errors("[service]\nexec = \"redis-server '/a b' --port 1\""),
        [
            "2:8: 'exec' takes a command, this is a string (no shell is involved; write exec = [\"redis-server\", \"/a b\", \"--port\", \"1\"])"
        ]
    );
    assert_eq!(
        errors("needs = \"db\""),
        ["1:9: 'needs' takes an array of strings, this is a string (write needs = [\"db\"])"]
    );
}

#[test]
fn a_wrong_type_is_said_with_the_right_one() {
    assert_eq!(
        errors("manual = \"yes\""),
        ["1:10: 'manual' takes a boolean, this is a string (write manual = true or false, without quotes)"]
    );
    assert_eq!(
        errors("[service]\nexec = [\"x\", 5]\n[ready]\ntimeout = 30"),
        [
            "2:14: 'exec' takes a string here, this is an integer",
            "4:11: 'timeout' takes a duration, this is an integer (with its unit and in quotes: timeout = \"30s\")"
        ]
    );
    assert_eq!(
        errors("[pre-start]\nexec = [\"x\"]"),
        ["1:1: 'pre-start' takes an array of tables, this is a table (write [[pre-start]])"]
    );
}

#[test]
fn a_target_has_no_process() {
    assert_eq!(
        errors("[process]\nnice = 1"),
        ["1:1: 'process' needs a [service] or a [task]: without one nothing runs"]
    );
    let task = "[task]\nexec = [\"x\"]\n[ready]\nfd = 3";
    assert_eq!(errors(task), ["3:1: a task is ready when it has exited with 0: [ready] says nothing here"]);
    assert_eq!(errors("[service]\n"), ["1:1: 'exec' is missing (write exec = [\"program\", \"argument\"])"]);
}

#[test]
fn all_errors_of_all_files_are_reported_in_their_order() {
    let loaded = load(&[
        ("b.toml", "neds = []\nafetr = []\n[service]\nexec = \"x\"\n[process]\nnice = 99\n"),
        ("a.toml", "x = \ny = ]\n"),
        ("ok.toml", ""),
    ]);
    let places: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|d| d.to_string().split(": ").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(places, ["a.toml:1:5", "a.toml:2:5", "b.toml:1:1", "b.toml:2:1", "b.toml:4:8", "b.toml:6:8"]);
    assert!(matches!(&loaded.entries[2], Entry::Unit(unit) if unit.name.as_str() == "ok"));
    let Entry::Broken { words, .. } = &loaded.entries[1] else { panic!() };
    assert_eq!(words, "b.toml:1:1: unknown key 'neds'; did you mean 'needs'?");
}

#[test]
fn drop_ins_merge_tables_and_replace_values_and_keep_their_own_places() {
    let unit = good(&[
        (
            "web.toml",
            "needs = []\n[service]\nexec = [\"a\"]\n[process]\nnice = 1\nenv = { A = \"1\", B = \"2\" }\n",
        ),
        ("web.d/10-nice.toml", "[process]\nnice = 2\numask = \"0077\"\nenv = { B = \"3\" }\n"),
        ("web.d/20-exec.toml", "[process]\nnice = 3\n[service]\nexec = [\"b\", \"c\"]\n"),
    ])
    .remove(0);
    let program = unit.program().unwrap();
    assert_eq!(program.exec.to_string(), "b c");
    assert_eq!((program.process.nice, program.process.umask), (Some(3), Some(0o77)));
    let env: Vec<String> = program.process.env.iter().map(|(name, text)| format!("{name}={text}")).collect();
    assert_eq!(env, ["A=1", "B=3"]);
    let loaded =
        load(&[("web.toml", "[service]\nexec = [\"a\"]"), ("web.d/x.toml", "\n[process]\nncie = 1")]);
    assert_eq!(said(&loaded), ["web.d/x.toml:3:1: unknown key 'ncie' (did you mean 'nice'?)"]);
}

#[test]
fn settings_are_read_and_checked() {
    let loaded = load(&[
        (
            "sexton.toml",
            "start = [\"b\"]\n[shutdown]\ntimeout = \"20s\"\n[control]\ngroup = \"adm\"\n[log]\nto = \"inherit\"",
        ),
        ("a.toml", ""),
        ("b.toml", ""),
    ]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    assert_eq!(loaded.start, [crate::model::UnitName::parse("b").unwrap()]);
    assert_eq!(loaded.settings.shutdown_timeout, Duration::from_secs(20));
    assert_eq!((loaded.settings.socket_mode(), loaded.settings.log.to), (0o660, LogTarget::Inherit));
    let loaded = load(&[("sexton.toml", "strat = []\nstart = [\"c\"]\n"), ("b.toml", "")]);
    assert_eq!(
        said(&loaded),
        [
            "sexton.toml:1:1: unknown key 'strat' (did you mean 'start'?)",
            "sexton.toml:2:10: there is no unit 'c' (did you mean 'b'?)"
        ]
    );
}

#[test]
fn without_start_every_unit_of_the_first_directory_that_is_not_manual_starts() {
    let loaded = load(&[("a.toml", ""), ("b.toml", "manual = true"), ("lib.toml", "")]);
    assert_eq!(loaded.start.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a"]);
}

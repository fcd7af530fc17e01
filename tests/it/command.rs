//! The command of a container: it comes last, goes first, and its end is the end.

use nix::sys::signal::Signal;

use crate::harness::{Plan, until};

/// A machine whose PID 1 is `sexton up DIR/units -- WORDS`.
fn with(words: &[&str]) -> Plan {
    let mut all = vec!["@SEXTON@", "up", "@DIR@/units", "--"];
    all.extend(words);
    Plan::new().setup("mkdir -p -m 777 @DIR@/out").command(&all)
}

/// A service that is ready once the file `go` is there, and marks its end.
fn store(plan: Plan) -> Plan {
    let words = "trap TERM @DIR@/out/order 0 until @DIR@/go mark @DIR@/out/order ready notify READY=1 wait";
    plan.daemon("store", words, "[ready]\nnotify = true\ntimeout = \"10m\"\n")
}

fn first_words(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn it_starts_when_the_others_are_ready_and_its_status_is_that_of_the_whole() {
    for (words, code) in [(&["exit", "0"][..], 0), (&["exit", "42"], 42), (&["die", "KILL"], 137)] {
        let mut all = vec!["@TESTD@", "mark", "@DIR@/out/order", "main"];
        all.extend(words);
        let mut machine = store(with(&all)).up();
        machine.await_state("store", "starting");
        assert_eq!(machine.state("main"), "waiting");
        machine.write("go", "");
        assert_eq!(machine.end(), code);
        assert_eq!(first_words(&machine.read("out/order")), ["ready", "main", "SIGTERM"], "{code}");
        machine.await_console(&format!("the essential unit main decided the exit status: {code}"));
    }
}

#[test]
fn it_is_the_first_to_be_stopped() {
    let words = ["@TESTD@", "trap", "TERM", "@DIR@/out/main", "5", "touch", "@DIR@/out/runs", "wait"];
    let mut machine = with(&words).daemon("store", "trap TERM @DIR@/out/store 0 wait", "").up();
    machine.await_state("main", "ready");
    until("main runs", || machine.path("out/runs").exists().then_some(()));
    assert_eq!(machine.shut_down(Signal::SIGTERM), 5);
    let at = |name: &str| -> u128 {
        let text = machine.read(name);
        text.split(' ')
            .nth(1)
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    assert!(at("out/main") < at("out/store"));
}

#[test]
fn its_words_its_directory_and_its_environment_are_those_that_it_was_given() {
    let words = ["@TESTD@", "dump", "@DIR@/out/facts", "say", "50% $HOME ${X}", "wait"];
    let machine = with(&words).setup("cd @DIR@/out; export COLOUR=green").boot();
    let facts = machine.await_facts("out/facts");
    assert_eq!(facts.text("directory"), machine.path("out").display().to_string());
    assert_eq!(facts.variable("COLOUR"), Some("green"));
    machine.await_console("50% $HOME ${X}");
}

#[test]
fn what_cannot_be_started_ends_it_with_the_code_of_a_shell() {
    for (word, code, cause) in [
        ("/no/such/program", 127, "cannot find the program '/no/such/program'"),
        ("no-such-program", 127, "cannot find the program 'no-such-program'"),
        ("/etc", 126, "cannot execute '/etc'"),
    ] {
        let mut machine = with(&[word]).daemon("store", "wait", "").boot();
        assert_eq!(machine.end(), code, "{word}: {}", machine.console());
        let console = machine.console();
        assert!(console.contains(cause) || code == 127 && console.contains("cannot execute"), "{console}");
    }
}

#[test]
fn a_unit_that_cannot_start_keeps_it_from_starting_and_ends_the_whole() {
    let never = "[restart]\non = \"never\"\n";
    let bad = with(&["@TESTD@", "touch", "@DIR@/out/main", "wait"]).daemon("migrate", "exit 3", never);
    for plan in [
        bad.unit("migrate", "[task]\nexec = [\"@TESTD@\", \"exit\", \"3\"]\n[restart]\non = \"never\"\n"),
        with(&["@TESTD@", "touch", "@DIR@/out/main", "wait"]).unit("migrate", "nonsense = 1\n"),
    ] {
        let mut machine = plan.boot();
        assert_eq!(machine.end(), 1, "{}", machine.console());
        assert!(machine.console().contains("main failed: it needs migrate, which is not up"));
        assert!(!machine.path("out/main").exists());
    }
}

#[test]
fn a_unit_that_it_only_wants_keeps_it_from_nothing() {
    let mut machine = with(&["@TESTD@", "exit", "7"])
        .daemon("exporter", "exit 3", "[restart]\non = \"never\"\n")
        .file("units/main.d/wants.toml", "wants = [\"exporter\"]\n")
        .boot();
    assert_eq!(machine.end(), 7);
}

#[test]
fn a_sync_leaves_it_alone_and_what_comes_with_it_starts() {
    let machine = with(&["@TESTD@", "wait"]).daemon("store", "wait", "").up();
    let pid = machine.ready_pid("main");
    machine.write("units/cache.toml", &machine.fill("[service]\nexec = [\"@TESTD@\", \"wait\"]\n"));
    machine.sexton(&["sync"]).expect(0);
    machine.await_state("cache", "ready");
    assert_eq!(machine.main_pid("main"), pid);
    assert!(!machine.sexton(&["status", "main"]).out.contains("gone"));
    assert!(machine.sexton(&["show", "main"]).expect(0).out.contains("the command line"));
}

#[test]
fn it_reads_what_sexton_was_given_to_read() {
    let mut machine = with(&["/bin/sh", "-c", "read line; test \"$line\" = hello"])
        .setup("echo hello > @DIR@/in; exec < @DIR@/in")
        .boot();
    assert_eq!(machine.end(), 0);
}

//! Signals: what the child inherits, and what reaches it.

use nix::sys::signal::Signal;

use super::{Place, run};
use crate::harness::{Facts, Machine, Plan, needs, testd, until};

/// What the child says of its signals, started by `env` with these.
fn inherited(place: &Place, wrapper: &[&str], options: &[&str]) -> [String; 2] {
    let (facts, daemon) = (place.text("facts"), testd().display().to_string());
    let words = [options, wrapper, &[&daemon, "dump", &facts]].concat();
    assert_eq!(run(std::path::Path::new("/usr/bin/env"), &words, &[]).code, 0, "{words:?}");
    let facts = Facts(serde_json::from_str(&place.read("facts")).unwrap_or_default());
    ["blocked", "ignored"].map(|name| facts.text(name))
}

#[test]
fn the_inherited_mask_and_the_ignored_signals_reach_the_child_to_the_bit() {
    let place = Place::new();
    for options in [
        &[] as &[&str],
        &["--ignore-signal=PIPE"],
        &["--ignore-signal=CHLD"],
        &["--ignore-signal=TTIN,TTOU,HUP,TERM"],
        &["--block-signal=USR1,TTOU,CHLD,RTMIN"],
        &["--ignore-signal", "--block-signal"],
        &["--ignore-signal=INT", "--block-signal=INT"],
    ] {
        let expected = inherited(&place, &[], options);
        for name in ["sexton", "tini", "dumb-init"] {
            let program = place.text(name);
            assert_eq!(inherited(&place, &[&program, "--"], options), expected, "{name} {options:?}");
        }
    }
}

/// Writes down the number of each signal that it gets.
const LISTENER: &str = "import os, signal, sys
all = signal.valid_signals() - {signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, all)
out = open(sys.argv[1], 'a')
print('ready', file=out, flush=True)
while True: print(signal.sigwaitinfo(all).si_signo, file=out, flush=True)
";

fn listening(name: &str, options: &[&str]) -> Machine {
    needs("python3", "python3");
    let wrapper = format!("@DIR@/out/{name}");
    let words = [&[wrapper.as_str()], options, &["--", "python3", "-c", LISTENER, "@DIR@/out/got"]].concat();
    let machine = Plan::new()
        .setup("mkdir -p -m 777 @DIR@/out")
        .setup(&format!("ln -s @SEXTON@ @DIR@/out/{name}"))
        .command(&words)
        .boot();
    until("the child listens", || machine.read("out/got").contains("ready").then_some(()));
    machine
}

/// Sends a signal by its number to PID 1, from outside.
fn send(machine: &Machine, number: i32) {
    let pid = machine.pid1().to_string();
    let words = [format!("-{number}"), pid];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(run(std::path::Path::new("/bin/kill"), &words, &[]).code, 0, "{number}");
}

fn got(machine: &Machine) -> Vec<i32> {
    machine.read("out/got").lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn every_signal_that_can_be_passed_on_is() {
    // 32 and 33 are the C library's own, which the listener cannot wait for.
    let kept = [32, 33, Signal::SIGKILL as i32, Signal::SIGSTOP as i32, Signal::SIGCHLD as i32];
    for name in ["sexton", "tini"] {
        let machine = listening(name, &[]);
        for number in (1..=64).filter(|number| !kept.contains(number)) {
            send(&machine, number);
            until("it is passed on", || (got(&machine).last() == Some(&number)).then_some(()));
        }
    }
}

#[test]
fn dumb_init_rewrites_what_it_is_told_to_and_drops_what_becomes_nothing() {
    let machine = listening("dumb-init", &["-r", "15:3", "-r", "1:0"]);
    for number in [15, 1, 12] {
        send(&machine, number);
    }
    until("the last is passed on", || (got(&machine).last() == Some(&12)).then_some(()));
    assert_eq!(got(&machine), [3, 12]);
}

#[test]
fn in_a_session_of_its_own_a_key_that_stops_stops_the_child_and_cont_wakes_it() {
    let machine = listening("dumb-init", &[]);
    let listener = || machine.processes().into_iter().find(|(pid, _)| *pid != machine.pid1().as_raw());
    let state = |letter: char| {
        until("the child's state", || listener().filter(|(_, state)| state.contains(letter)).map(drop));
    };
    for (number, heard) in [(20, vec![18]), (21, vec![18; 2]), (22, vec![18; 3])] {
        send(&machine, number);
        state('T');
        send(&machine, 18);
        until("it heard of CONT and of nothing else", || (got(&machine) == heard).then_some(()));
    }
}

#[test]
fn a_signal_goes_to_the_group_where_that_was_asked_for_and_to_the_child_alone_otherwise() {
    for (name, options, variable, both) in [
        ("sexton", &[] as &[&str], "X=1", false),
        ("sexton", &["--group"], "X=1", true),
        ("tini", &[], "X=1", false),
        ("tini", &["-g"], "X=1", true),
        ("tini", &[], "TINI_KILL_PROCESS_GROUP=", true),
        ("dumb-init", &[], "X=1", true),
        ("dumb-init", &["-c"], "X=1", false),
        ("dumb-init", &[], "DUMB_INIT_SETSID=0", false),
    ] {
        let wrapper = format!("@DIR@/out/{name}");
        let child = "@TESTD@ trap USR1 @DIR@/out/second -1 touch @DIR@/out/ready wait & \
                     exec @TESTD@ trap USR1 @DIR@/out/first -1 until @DIR@/out/ready touch @DIR@/out/both wait";
        let words = [&[wrapper.as_str()], options, &["--", "sh", "-c", child]].concat();
        let machine = Plan::new()
            .setup("mkdir -p -m 777 @DIR@/out")
            .setup(&format!("ln -s @SEXTON@ @DIR@/out/{name}; export {variable}"))
            .command(&words)
            .boot();
        until("both run", || machine.path("out/both").exists().then_some(()));
        machine.signal(Signal::SIGUSR1);
        assert!(machine.await_file("out/first").contains("SIGUSR1"));
        if both {
            assert!(machine.await_file("out/second").contains("SIGUSR1"));
        } else {
            assert_eq!(machine.read("out/second"), "", "{name} {options:?}");
        }
    }
}

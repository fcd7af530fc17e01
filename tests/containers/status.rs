//! How a container ends is how its command ended, for every code and every signal.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::bundle::Bundle;
use crate::engine::engine;

const STORE: (&str, &str) = (
    "store",
    "[service]\nexec = [\"/testd\", \"notify\", \"READY=1\", \"wait\"]\n[ready]\nnotify = true\ntimeout = \"10m\"\n",
);

/// Signals whose default is not to end a process: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];
/// The numbers that C libraries keep to themselves.
const RESERVED: [i32; 2] = [32, 33];

/// Checks each number on two cores.
fn each(numbers: &[i32], check: impl Fn(i32) + Sync) {
    let next = AtomicI32::new(0);
    let take = || {
        while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed).cast_unsigned() as usize) {
            check(*number);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(take);
        scope.spawn(take);
    });
}

#[test]
fn every_exit_code_of_the_command_is_that_of_the_container() {
    let bundle = Bundle::new(&[STORE]);
    let codes: Vec<i32> = (0..=255).collect();
    each(&codes, |code| {
        let (status, said) = bundle.run(&["/testd", "exit", &code.to_string()], |_| {});
        assert_eq!(status, code, "{said}");
    });
}

#[test]
fn every_signal_that_ends_the_command_is_128_and_its_number() {
    let bundle = Bundle::new(&[STORE]);
    let signals: Vec<i32> =
        (1..=64).filter(|signal| !HARMLESS.contains(signal) && !RESERVED.contains(signal)).collect();
    assert_eq!(signals.len(), 54);
    each(&signals, |signal| {
        let (status, said) = bundle.run(&["/testd", "die-of", &signal.to_string()], |_| {});
        assert_eq!(status, 128 + signal, "{said}");
        assert!(said.contains("the essential unit main decided the exit status"), "{said}");
    });
}

#[test]
fn the_engine_sees_the_same_codes() {
    let engine = engine();
    for (words, code) in [
        (&["/testd", "exit", "0"][..], 0),
        (&["/testd", "exit", "77"], 77),
        (&["--", "/testd", "die", "KILL"], 137),
        (&["init", "--", "/testd", "exit", "3"], 3),
        (&["no-such-program"], 127),
        (&["/etc"], 126),
    ] {
        let container = engine.plan(&[STORE]).command(words).start();
        assert_eq!(container.end(), code, "{}", container.logs());
    }
}

#[test]
fn an_essential_unit_decides_the_status_where_there_is_no_command() {
    let engine = engine();
    let essential = "essential = true\n[service]\nexec = [\"/testd\", \"until\", \"/out/go\", \"exit\", \"42\"]\n[restart]\non = \"never\"\n";
    let container = engine.plan(&[STORE, ("web", essential)]).start();
    container.await_logs("web is ready");
    container.write("go", "");
    assert_eq!(container.end(), 42);
    assert!(container.logs().contains("the essential unit web decided the exit status: 42"));
}

#[test]
fn what_cannot_start_before_the_command_is_said_and_ends_the_container() {
    let engine = engine();
    let migrate = "[task]\nexec = [\"/testd\", \"complain\", \"no such table\", \"exit\", \"3\"]\n[restart]\non = \"never\"\n";
    let container = engine.plan(&[("migrate", migrate)]).command(&["/testd", "touch", "/out/ran"]).start();
    assert_eq!(container.end(), 1);
    let said = container.logs();
    for line in ["no such table", "migrate failed: exited with code 3", "main failed: it needs migrate"] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert_eq!(container.exec(&["/testd"]).code, 1, "it is over");
}

//! Zombies, orphans and idleness: everything that ends is reaped, and nothing is done when nothing happens.

use std::fs;
use std::time::Duration;

use crate::harness::{Deadline, Machine, Plan, until, within};

#[test]
fn twenty_thousand_orphans_are_reaped_to_the_last() {
    let machine = Plan::new()
        .daemon("x", "until @DIR@/go orphans 20000 touch @DIR@/done wait", "[log]\nto = \"null\"\n")
        .up();
    machine.await_state("x", "ready");
    let before = machine.processes().len();
    machine.write("go", "");
    let patience = Duration::from_secs(120);
    within(patience, "all orphans were made", || machine.path("done").exists().then_some(()));
    within(patience, "all orphans are gone", || (machine.processes().len() == before).then_some(()));
    assert_eq!(machine.zombies(), 0);
    assert_eq!(machine.state("x"), "ready");
    let status = machine.sexton(&["status", "--json"]).out;
    let reaped = status.split("\"orphansReaped\":").nth(1).unwrap_or_default();
    let reaped: String = reaped.trim_start().chars().take_while(char::is_ascii_digit).collect();
    assert!(reaped.parse::<u64>().is_ok_and(|n| n >= 20_000), "{status}");
}

#[test]
fn a_child_and_an_orphan_that_end_together_are_both_seen() {
    let machine = Plan::new()
        .daemon(
            "x",
            "mark @DIR@/starts x orphans 20 exit 1",
            "[restart]\ndelay = \"0ms\"\njitter = 0.0\nmax-delay = \"1ms\"\nlimit = 100\nwindow = \"5m\"\n",
        )
        .up();
    machine.await_state_within(Duration::from_secs(60), "x", "failed");
    assert_eq!(machine.read("starts").lines().count(), 101);
    until("nobody is left", || (machine.zombies() == 0).then_some(()));
}

/// How often PID 1 was switched away from: each wake of its own accord counts.
fn switches(machine: &Machine) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{}/status", machine.pid1())).unwrap_or_default();
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(u64::MAX)
    };
    (count("voluntary_ctxt_switches:"), count("nonvoluntary_ctxt_switches:"))
}

#[test]
fn an_idle_sexton_wakes_zero_times_in_ten_seconds() {
    let machine = Plan::new()
        .daemon("a", "listen tcp 127.0.0.1:7100 wait", "[ready]\ntcp = \"127.0.0.1:7100\"\n")
        .daemon("b", "notify READY=1 wait", "[ready]\nnotify = true\n")
        .daemon("c", "say hello wait", "")
        .daemon("d", "exit 3", "[restart]\non = \"never\"\n")
        .up();
    for unit in ["a", "b", "c"] {
        machine.await_state(unit, "ready");
    }
    machine.await_state("d", "failed");
    // The back-off of units that have been up for long is reset by a timer; that one may still come.
    let mut last = switches(&machine);
    let mut quiet = Deadline::after(Duration::from_secs(10));
    within(Duration::from_secs(45), "PID 1 sleeps for ten seconds on end", || {
        let now = switches(&machine);
        if now != last {
            last = now;
            quiet = Deadline::after(Duration::from_secs(10));
        }
        quiet.passed().then_some(())
    });
}

//! The unit that everything is for: when it ends for good sexton ends, with its status.

use nix::sys::signal::Signal;

use crate::harness::Plan;

const ESSENTIAL: &str = "essential = true\n---[restart]\non = \"never\"\n";

#[test]
fn its_exit_code_is_the_exit_code() {
    for code in [0, 1, 42, 255] {
        let mut machine = Plan::new()
            .daemon("main", &format!("sleep 50 exit {code}"), ESSENTIAL)
            .daemon("other", "wait", "")
            .boot();
        assert_eq!(machine.end(), code);
    }
}

#[test]
fn a_signal_counts_as_128_and_its_number() {
    for (signal, code) in [("KILL", 137), ("SEGV", 139), ("TERM", 143)] {
        let mut machine = Plan::new().daemon("main", &format!("sleep 50 die {signal}"), ESSENTIAL).boot();
        assert_eq!(machine.end(), code, "{signal}");
    }
}

#[test]
fn a_crash_that_is_restarted_is_no_end() {
    let mut machine = Plan::new()
        .daemon(
            "main",
            "notify READY=1 wait",
            "essential = true\n---[ready]\nnotify = true\n[restart]\ndelay = \"0ms\"\n",
        )
        .up();
    machine.await_state("main", "ready");
    let old = machine.kill("main", Signal::SIGKILL);
    machine.await_replacement("main", old);
    assert_eq!(machine.ended(), None);
}

#[test]
fn the_others_are_stopped_first_and_in_order() {
    let mut machine = Plan::new()
        .daemon("store", "trap TERM @DIR@/all 0 notify READY=1 wait", "[ready]\nnotify = true\n")
        .daemon(
            "main",
            "until @DIR@/go exit 5",
            "needs = [\"store\"]\nessential = true\n---[restart]\non = \"never\"\n",
        )
        .up();
    machine.await_state("main", "ready");
    machine.write("go", "");
    assert_eq!(machine.end(), 5);
    assert!(machine.read("all").contains("SIGTERM"));
}

#[test]
fn an_essential_task_that_is_done_is_no_end_and_one_that_fails_is() {
    let mut machine = Plan::new()
        .unit(
            "once",
            "essential = true\n[task]\nexec = [\"/bin/sh\", \"-c\", \"exit 9\"]\n[restart]\non = \"never\"\n",
        )
        .boot();
    assert_eq!(machine.end(), 9);
}

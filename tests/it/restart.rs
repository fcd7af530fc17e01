//! What dies is started again: the policy, the back-off, the limit, and what dependents make of it.

use nix::sys::signal::Signal;

use crate::harness::{Plan, until};

/// The moments, in nanoseconds, at which a unit marked the file `starts`.
fn starts(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect()
}

#[test]
fn a_crash_is_a_failure_and_a_clean_exit_is_none() {
    let machine = Plan::new()
        .daemon(
            "crash",
            "mark @DIR@/crash x until @DIR@/go exit 3",
            "[restart]\ndelay = \"0ms\"\nlimit = 2\n",
        )
        .daemon("clean", "mark @DIR@/clean x until @DIR@/go exit 0", "[restart]\ndelay = \"0ms\"\n")
        .daemon(
            "always",
            "mark @DIR@/always x until @DIR@/go exit 0",
            "[restart]\non = \"always\"\ndelay = \"0ms\"\nlimit = 2\n",
        )
        .daemon("never", "mark @DIR@/never x until @DIR@/go exit 3", "[restart]\non = \"never\"\n")
        .daemon("final", "mark @DIR@/final x until @DIR@/go exit 78", "[restart]\ncodes-final = [78]\n")
        .daemon("fine", "mark @DIR@/fine x until @DIR@/go exit 9", "[restart]\ncodes-ok = [0, 9]\n")
        .up();
    machine.write("go", "");
    for unit in ["crash", "always", "never", "final"] {
        machine.await_state(unit, "failed");
    }
    for unit in ["clean", "fine"] {
        machine.await_state(unit, "stopped");
    }
    for (unit, runs) in [("crash", 3), ("always", 3), ("never", 1), ("final", 1), ("clean", 1), ("fine", 1)] {
        assert_eq!(machine.read(unit).lines().count(), runs, "{unit}");
    }
    let why = machine.sexton(&["why", "crash"]).all();
    assert!(why.contains("code 3") && why.contains("2 times"), "{why}");
}

#[test]
fn the_wait_between_two_restarts_doubles() {
    let machine = Plan::new()
        .daemon(
            "x",
            "mark @DIR@/starts x exit 1",
            "[restart]\ndelay = \"100ms\"\nmax-delay = \"10s\"\njitter = 0.0\nlimit = 3\n",
        )
        .up();
    machine.await_state("x", "failed");
    let starts = starts(&machine.read("starts"));
    let gaps: Vec<u64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    for (gap, least) in gaps.iter().zip([100, 200, 400]) {
        // The upper bound only has to tell it from the next step on a machine with much else to do.
        assert!((least..least * 3).contains(gap), "{gaps:?}");
    }
}

#[test]
fn what_failed_is_tried_again_after_a_reset_and_a_start() {
    let machine = Plan::new()
        .unit("x", "[service]\nexec = [\"/bin/sh\", \"-c\", \"test -e @DIR@/go && exec sleep 1000\"]\n[restart]\ndelay = \"0ms\"\nlimit = 1\n")
        .up();
    machine.await_state("x", "failed");
    machine.write("go", "");
    machine.sexton(&["reset", "x"]).expect(0);
    assert_eq!(machine.unit("x").restarts, 0);
    machine.sexton(&["start", "x"]).expect(0);
    machine.await_state("x", "ready");
}

#[test]
fn a_dependent_stays_up_while_what_it_needs_is_started_again() {
    let machine = Plan::new()
        .daemon("store", "wait", "[restart]\ndelay = \"300ms\"\n")
        .daemon("web", "wait", "needs = [\"store\"]\n---")
        .up();
    machine.await_state("web", "ready");
    let web = machine.main_pid("web");
    let old = machine.kill("store", Signal::SIGKILL);
    machine.await_replacement("store", old);
    assert_eq!(machine.main_pid("web"), web);
}

#[test]
fn a_dependent_goes_down_with_what_ends_for_good() {
    let machine = Plan::new()
        .daemon("store", "wait", "[restart]\non = \"never\"\n")
        .daemon("web", "trap TERM @DIR@/web 0 wait", "needs = [\"store\"]\n---")
        .daemon("other", "wait", "wants = [\"store\"]\n---")
        .up();
    machine.await_state("web", "ready");
    machine.await_state("other", "ready");
    machine.kill("store", Signal::SIGKILL);
    machine.await_state("store", "failed");
    until("web was told to stop", || machine.read("web").contains("SIGTERM").then_some(()));
    until("web is down", || (machine.state("web") != "ready").then_some(()));
    assert_eq!(machine.state("other"), "ready");
    let why = machine.sexton(&["why", "web"]).all();
    assert!(why.contains("store"), "{why}");
}

#[test]
fn a_restart_takes_the_dependents_along_in_order() {
    let mark = |name: &str| {
        format!(
            "[[pre-start]]\nexec = [\"@TESTD@\", \"mark\", \"@DIR@/all\", \"start-{name}\"]\n[[post-stop]]\nexec = [\"@TESTD@\", \"mark\", \"@DIR@/all\", \"stop-{name}\"]\n"
        )
    };
    let machine = Plan::new()
        .daemon("store", "wait", &mark("store"))
        .daemon("web", "wait", &format!("needs = [\"store\"]\n---{}", mark("web")))
        .up();
    machine.await_state("web", "ready");
    machine.sexton(&["restart", "store"]).expect(0);
    let words: Vec<String> =
        machine.read("all").lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect();
    assert_eq!(words, ["start-store", "start-web", "stop-web", "stop-store", "start-store", "start-web"]);
}

#[test]
fn a_service_is_dead_when_its_process_is_and_not_when_its_pipes_close() {
    let machine = Plan::new()
        .daemon(
            "x",
            "mark @DIR@/starts x child @DIR@/child wait",
            "[restart]\ndelay = \"0ms\"\n[stop]\nkill = \"process\"\n",
        )
        .up();
    machine.await_state("x", "ready");
    machine.await_file("child");
    let old = machine.kill("x", Signal::SIGKILL);
    machine.await_replacement("x", old);
}

#[test]
fn an_end_by_a_real_time_signal_is_reaped_and_named() {
    let machine = Plan::new()
        .unit(
            "x",
            "[service]\nexec = [\"/bin/sh\", \"-c\", \"kill -40 $$\"]\n[restart]\non = \"never\"\n"
                .replace("$$", "$$$$")
                .as_str(),
        )
        .up();
    machine.await_state("x", "failed");
    let why = machine.sexton(&["why", "x"]).all();
    assert!(why.contains("SIGRTMIN+6"), "{why}");
    assert_eq!(machine.zombies(), 0);
}

#[test]
fn a_broken_unit_keeps_only_its_dependents_from_starting() {
    let machine = Plan::new()
        .unit("broken", "neds = [\"x\"]\n[service]\nexec = [\"/bin/true\"]\n")
        .daemon("web", "wait", "needs = [\"broken\"]\n---")
        .daemon("fine", "wait", "")
        .up();
    machine.await_state("fine", "ready");
    assert_eq!(machine.state("broken"), "failed");
    let why = machine.sexton(&["why", "broken"]).all();
    assert!(why.contains("neds") && why.contains("needs"), "{why}");
    assert!(machine.sexton(&["why", "web"]).all().contains("broken"));
}

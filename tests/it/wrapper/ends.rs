//! How it ends: the child's status, whom the child left behind, and what of it can be asked for.

use nix::sys::signal::Signal;

use super::{Place, debian, run};
use crate::harness::{Machine, Plan, until};

/// Somebody who stays behind in a session of his own, and what he does on TERM; the child ends with 3 once he is ready.
fn leaves(what: &str) -> String {
    let stays = format!("trap '{what}' TERM; touch @DIR@/out/ready; while :; do sleep 0.05; done");
    format!("setsid sh -c \"{stays}\" & until [ -e @DIR@/out/ready ]; do sleep 0.01; done; exit 3")
}

fn machine(options: &[&str], script: &str) -> Machine {
    let plan = Plan::new().setup("mkdir -p -m 777 @DIR@/out");
    let words = [&["@SEXTON@"], options, &["--", "sh", "-c", script]].concat();
    plan.command(&words).boot()
}

#[test]
fn every_status_and_every_signal_that_ends_the_child_is_its_own() {
    let place = Place::new();
    for code in 0..=255 {
        let got = run(&place.path("sexton"), &["--", "sh", "-c", &format!("exit {code}")], &[]).code;
        assert_eq!(got, code);
    }
    let harmless = [Signal::SIGCHLD, Signal::SIGCONT, Signal::SIGURG, Signal::SIGWINCH].map(|s| s as i32);
    let stopping = [Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU].map(|s| s as i32);
    // 32 and 33 are the C library's own.
    let deadly = (1..=64).filter(|n| ![32, 33].contains(n) && !harmless.contains(n) && !stopping.contains(n));
    for number in deadly {
        let got =
            run(&place.path("sexton"), &["--", "sh", "-c", &format!("ulimit -c 0; kill -{number} $$")], &[]);
        assert_eq!(got.code, 128 + number, "{}", got.all());
    }
}

#[test]
fn whoever_is_left_behind_may_end_in_his_own_time() {
    let mut machine = machine(&[], &leaves("sleep 0.3; touch @DIR@/out/ended; exit"));
    assert_eq!(machine.end(), 3);
    assert!(machine.path("out/ended").exists());
}

#[test]
fn whoever_will_not_end_is_killed_when_the_grace_has_passed() {
    let mut machine = machine(&["--grace", "300ms"], &leaves(""));
    assert_eq!(machine.end(), 3);
}

#[test]
fn whoever_was_stopped_is_woken_to_end() {
    let script = leaves("touch @DIR@/out/ended; exit").replace("; exit 3", "; kill -STOP $!; exit 3");
    let mut machine = machine(&["--grace", "1h"], &script);
    assert_eq!(machine.end(), 3);
    assert!(machine.path("out/ended").exists());
}

#[test]
fn a_term_while_others_part_ends_the_waiting() {
    let mut machine = machine(&["--grace", "1h"], &leaves("touch @DIR@/out/asked"));
    until("they are asked", || machine.path("out/asked").exists().then_some(()));
    assert_eq!(machine.shut_down(Signal::SIGTERM), 3);
}

#[test]
fn below_another_init_all_descendants_are_asked_and_then_killed_and_nobody_else_is() {
    for (grace, what) in [("1h", "touch @DIR@/out/ended; exit"), ("300ms", "touch @DIR@/out/ended")] {
        let words = ["@SEXTON@", "--grace", grace, "--", "sh", "-c", &leaves(what)];
        let machine = Plan::new()
            .setup("mkdir -p -m 777 @DIR@/out; @TESTD@ wait & echo $! > @DIR@/out/other")
            .command(&words)
            .not_as_pid_1()
            .boot();
        assert_eq!(machine.await_file("code").trim(), "3");
        assert!(machine.path("out/ended").exists());
        let other = machine.read("out/other").trim().parse().unwrap_or(-1);
        assert!(machine.lives(other), "who is no descendant lives on");
        let left = machine.shell("ps -e -o args= | grep -c '[o]ut/ready'").out;
        assert_eq!(left.trim(), "0");
    }
}

#[test]
fn as_tini_it_leaves_them_as_tini_does() {
    let place = Place::new();
    for program in [debian("tini"), place.path("tini")] {
        let script = "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!";
        let pid = run(&program, &["-s", "--", "sh", "-c", script], &[]).out;
        let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap_or(0));
        assert!(pid.as_raw() > 1 && nix::sys::signal::kill(pid, Signal::SIGKILL).is_ok(), "{program:?}");
    }
}

#[test]
fn as_dumb_init_it_tells_the_childs_session_and_does_not_wait() {
    let place = Place::new();
    for program in [debian("dumb-init"), place.path("dumb-init")] {
        let file = place.text("told");
        let _ = std::fs::remove_file(&file); // It is there only after the first round.
        let stays =
            format!("trap 'touch {file}; exit' TERM; touch {file}.ready; while :; do sleep 0.05; done");
        let script = format!(
            "(sh -c \"{stays}\") </dev/null >/dev/null 2>&1 & until [ -e {file}.ready ]; do sleep 0.01; done; exit 4"
        );
        assert_eq!(run(&program, &["sh", "-c", &script], &[]).code, 4);
        until("the rest of the session is told", || place.path("told").exists().then_some(()));
        let _ = std::fs::remove_file(format!("{file}.ready")); // as above
    }
}

/// A child that marks what it gets, and ends on TERM with 5.
fn marks(options: &[&str]) -> Machine {
    let daemon = ["@TESTD@", "trap", "TERM", "@DIR@/out/marks", "5", "trap", "HUP", "@DIR@/out/marks", "-1"];
    let words = [&["@SEXTON@"], options, &["--"], &daemon, &["touch", "@DIR@/out/ready", "wait"]].concat();
    let machine = Plan::new().setup("mkdir -p -m 777 @DIR@/out").command(&words).boot();
    until("the child runs", || machine.path("out/ready").exists().then_some(()));
    machine
}

#[test]
fn term_is_held_back_while_the_work_drains_and_other_signals_are_not() {
    let mut machine = marks(&["--drain", "1h"]);
    machine.signal(Signal::SIGTERM);
    machine.signal(Signal::SIGHUP);
    assert!(machine.await_file("out/marks").contains("SIGHUP"));
    assert!(!machine.read("out/marks").contains("SIGTERM"), "it is held back");
    assert_eq!(machine.shut_down(Signal::SIGTERM), 5, "a second one ends that");
}

#[test]
fn term_is_passed_on_when_the_delay_has_passed() {
    let mut machine = marks(&["--drain", "200ms"]);
    assert_eq!(machine.shut_down(Signal::SIGTERM), 5);
}

#[test]
fn a_status_is_remapped_and_a_signal_rewritten_where_that_was_asked_for() {
    let mut machine = marks(&["--remap", "5=0"]);
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
    let mut machine = marks(&["--rewrite", "QUIT:TERM"]);
    assert_eq!(machine.shut_down(Signal::SIGQUIT), 5);
}

#[test]
fn variables_of_a_file_reach_the_child_over_its_own_and_path_counts() {
    let place = Place::new();
    std::fs::write(place.path("env"), "A=1\nB='two words'\nPATH=/usr/bin:/bin\n").unwrap();
    let (file, script) = (place.text("env"), "echo $A $B $C");
    for name in ["sexton", "tini", "dumb-init"] {
        let program = place.text(name);
        // Where the file did not say where `sh` is, it would not be found.
        let wrapped = [
            "-c",
            "PATH=/no/such exec \"$@\"",
            "sh",
            &program,
            "--env-file",
            &file,
            "--",
            "sh",
            "-c",
            script,
        ];
        let finished = run(std::path::Path::new("/bin/sh"), &wrapped, &[("A", "0"), ("C", "3")]);
        assert_eq!(finished.out, "1 two words 3\n", "{name}: {}", finished.err);
    }
    let wrong = run(&place.path("sexton"), &["--env-file", "/no/such", "--", "true"], &[]);
    assert_eq!(
        (wrong.code, wrong.err.as_str()),
        (1, "sexton: cannot read '/no/such': no such file or directory\n")
    );
}

//! The eight ways to be ready, and the pid file: a dependent starts exactly when the way says so, not before.

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, until};

/// A unit that does not become ready before the file `go` is there, and one that needs it.
fn waiting(before: &str, after: &str, ready: &str) -> Machine {
    let machine = Plan::new()
        .daemon(
            "first",
            &format!("{before} touch @DIR@/here until @DIR@/go {after} wait"),
            &format!("[ready]\n{ready}\n"),
        )
        .daemon("second", "touch @DIR@/second wait", "needs = [\"first\"]\n---")
        .up();
    until("the first one runs", || machine.path("here").exists().then_some(()));
    machine
}

/// Holds that the second starts after `go`, and not before.
#[track_caller]
fn holds(machine: &Machine) {
    assert_eq!(machine.state("first"), "starting");
    assert_eq!(machine.state("second"), "waiting");
    let why = machine.sexton(&["why", "second"]).all();
    assert!(why.contains("first"), "{why}");
    assert!(!machine.path("second").exists());
    machine.write("go", "");
    machine.await_state("first", "ready");
    machine.await_state("second", "ready");
    until("the second one runs", || machine.path("second").exists().then_some(()));
}

#[test]
fn ready_by_notify() {
    holds(&waiting("", "notify READY=1", "notify = true"));
}

#[test]
fn ready_by_a_newline_on_a_descriptor() {
    holds(&waiting("", "newline 5", "fd = 5"));
}

#[test]
fn ready_by_a_tcp_connection() {
    holds(&waiting("", "listen tcp 127.0.0.1:7001", "tcp = \"127.0.0.1:7001\""));
}

#[test]
fn ready_by_a_unix_connection() {
    holds(&waiting("", "listen unix /run/x.sock", "unix = \"/run/x.sock\""));
}

#[test]
fn ready_by_an_http_answer() {
    holds(&waiting("", "listen http 127.0.0.1:7002 200", "http = \"http://127.0.0.1:7002/health\""));
}

#[test]
fn ready_by_a_command_and_what_it_prints() {
    holds(&waiting(
        "",
        "",
        "exec = [\"/bin/sh\", \"-c\", \"test -e @DIR@/go && echo PONG\"]\nmatches = \"PONG\"",
    ));
}

#[test]
fn ready_by_a_line_of_output() {
    holds(&waiting("say not-yet", "say now-READY-to-accept", "log = \"READY to accept|READY-to\""));
}

#[test]
fn ready_by_a_file() {
    holds(&waiting("", "touch @DIR@/made", "file = \"@DIR@/made\""));
}

#[test]
fn ready_as_soon_as_the_exec_worked() {
    let machine = Plan::new().daemon("x", "wait", "").up();
    machine.await_state("x", "ready");
}

#[test]
fn an_http_answer_of_500_and_a_wrong_word_are_not_readiness() {
    let machine = Plan::new()
        .daemon(
            "web",
            "listen http 127.0.0.1:7003 500 wait",
            "[ready]\nhttp = \"http://127.0.0.1:7003/\"\ntimeout = \"400ms\"\n[restart]\non = \"never\"\n",
        )
        .daemon(
            "cache",
            "wait",
            "[ready]\nexec = [\"/bin/echo\", \"LOADING\"]\nmatches = \"PONG\"\ntimeout = \"400ms\"\n[restart]\non = \"never\"\n",
        )
        .up();
    for unit in ["web", "cache"] {
        machine.await_state(unit, "failed");
        let why = machine.sexton(&["why", unit]).all();
        assert!(why.contains("not ready after 400 ms"), "{why}");
    }
}

#[test]
fn a_daemon_that_forks_is_known_by_its_pid_file() {
    let mut machine = Plan::new()
        .daemon("old", "daemonise @DIR@/old.pid wait", "[process]\npid-file = \"@DIR@/old.pid\"\n")
        .up();
    let status = machine.await_state("old", "ready");
    let written: i32 = machine.await_file("old.pid").trim().parse().unwrap_or(0);
    assert_eq!(status.main_pid, Some(written));
    machine.kill("old", Signal::SIGKILL);
    machine.await_replacement("old", written);
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
}

#[test]
fn a_pid_file_that_names_a_stranger_is_not_believed() {
    let machine = Plan::new()
        .daemon("stranger", "wait", "")
        .unit(
            "liar",
            "needs = [\"stranger\"]\n[service]\nexec = [\"/bin/sh\", \"-c\", \"echo 1 > @DIR@/liar.pid; exit 0\"]\n\
             [process]\npid-file = \"@DIR@/liar.pid\"\n[ready]\ntimeout = \"500ms\"\n[restart]\non = \"never\"\n",
        )
        .up();
    machine.await_state("liar", "failed");
    assert_eq!(machine.state("stranger"), "ready");
}

#[test]
fn a_notification_from_a_stranger_is_not_believed() {
    let machine = Plan::new()
        .daemon(
            "x",
            "dump @DIR@/facts wait",
            "[ready]\nnotify = true\ntimeout = \"2s\"\n[restart]\non = \"never\"\n",
        )
        .up();
    let facts = machine.await_facts("facts");
    let socket = facts.variable("NOTIFY_SOCKET").map(str::to_owned).unwrap_or_default();
    assert!(!socket.is_empty(), "NOTIFY_SOCKET is not set");
    // Root may open the socket; but the sender is no process of the unit, as can be seen for as long as it lives.
    let sent = machine.run(&[
        "/usr/bin/env",
        &format!("NOTIFY_SOCKET={socket}"),
        &machine.fill("@TESTD@"),
        "notify",
        "READY=1",
        "sleep",
        "2500",
    ]);
    assert_eq!(sent.code, 0, "{}", sent.all());
    machine.await_state("x", "failed");
}

#[test]
fn what_a_daemon_says_of_itself_is_shown() {
    let machine =
        Plan::new().daemon("x", "notify READY=1\\nSTATUS=42-guests wait", "[ready]\nnotify = true\n").up();
    until("the status text is there", || {
        machine.units().into_iter().find(|u| u.status_text.as_deref() == Some("42-guests"))
    });
}

#[test]
fn a_daemon_may_name_its_child_the_main_process_and_ask_for_time() {
    let machine = Plan::new()
        .daemon(
            "x",
            "notify EXTEND_TIMEOUT_USEC=8000000 until @DIR@/go notify READY=1 wait",
            "[ready]\nnotify = true\ntimeout = \"300ms\"\n",
        )
        .daemon("y", "sleep 600 touch @DIR@/go exit 0", "[restart]\non = \"never\"\n")
        .up();
    machine.await_state("x", "ready");
    assert_eq!(machine.unit("x").restarts, 0);
}

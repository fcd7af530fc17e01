//! A reload is believed when the unit has shown that it serves.

use super::*;
use crate::engine::fixture::{command, service};
use crate::model::unit::{Reload, ReloadBy};

const TEST: Role = Role::Trial(Trial::ConfigTest);

fn probed(stage: &mut Stage, result: Result<(), String>) -> Vec<String> {
    let unit = stage.id("a");
    stage.feed(Event::Probed { unit, result });
    stage.orders()
}

#[test]
fn a_reload_tests_signals_waits_probes_and_verifies() {
    let unit = service("a").configtest().reload_as(|r: &mut Reload| r.verify = Some(command("verify")));
    let mut stage = Stage::up(vec![unit], "a");
    assert_eq!(stage.reload("a"), ["inspect a for trial", "spawn a trial-configtest"]);
    assert_eq!(stage.passes_as("a", TEST), ["SIGHUP a"]);
    assert_eq!(stage.passes(499), [""; 0]);
    assert_eq!(stage.passes(1), ["probe a"]);
    assert_eq!(probed(&mut stage, Ok(())), ["spawn a reload-verify"]);
    assert_eq!(stage.passes_as("a", Role::ReloadVerify), ["reply 2 done"]);
    assert_eq!(stage.told(), ["2 Testing", "2 a Passed", "2 Reloading"]);
}

#[test]
fn a_bad_configuration_refuses_a_reload_and_no_signal_is_sent() {
    let mut stage = Stage::up(vec![service("a").configtest().reload()], "a");
    stage.reload("a");
    assert_eq!(stage.fails_as("a", TEST), ["reply 2 refused: a: the configuration test exited with code 1"]);
}

#[test]
fn a_reload_needs_the_table_and_a_unit_that_is_up() {
    let mut stage = Stage::up(vec![service("a"), service("b").reload()], "a");
    assert_eq!(
        stage.reload("a"),
        ["reply 2 refused: a has no [reload]; `sexton restart a` makes it read its configuration"]
    );
    assert_eq!(stage.reload("b"), ["reply 3 refused: b is not up; `sexton start b` starts it"]);
}

#[test]
fn a_unit_that_dies_of_its_reload_has_failed_it() {
    let mut stage = Stage::up(vec![service("a").reload()], "a");
    stage.reload("a");
    let orders = stage.exits("a", 1);
    assert_eq!(
        orders,
        [
            "clear a SIGTERM",
            "reply 2 failed: a it exited with code 1 while it was being reloaded",
            "clean-up a Follows"
        ]
    );
    assert_eq!(stage.phase("a"), Phase::Backoff, "its own policy goes on");
}

#[test]
fn another_main_process_may_take_over_in_a_reload() {
    let mut stage = Stage::up(vec![service("a").reload()], "a");
    stage.reload("a");
    let (unit, pid) = (stage.id("a"), Pid::new(4242).unwrap());
    stage.feed(Event::MainPidChanged { unit, pid });
    stage.exits("a", 0);
    assert_eq!(stage.passes(500), ["probe a"]);
    assert_eq!(probed(&mut stage, Ok(())), ["reply 2 done"]);
}

#[test]
fn a_unit_that_does_not_serve_in_time_has_failed_its_reload_and_runs_on() {
    let mut stage = Stage::up(vec![service("a").reload()], "a");
    stage.reload("a");
    stage.passes(500);
    assert_eq!(probed(&mut stage, Err("connection refused".into())), [""; 0]);
    assert_eq!(stage.passes(100), ["probe a"]);
    assert_eq!(
        stage.passes(4_400),
        [
            "forget-probe a",
            "reply 2 failed: a it did not show that it serves within 5 s of its reload: connection refused"
        ]
    );
    assert_eq!(stage.phase("a"), Phase::Ready);
}

#[test]
fn a_reload_command_that_fails_or_hangs_is_a_failed_reload() {
    let unit = || service("a").reload_as(|r| r.how = ReloadBy::Command(command("reload")));
    let mut bad = Stage::up(vec![unit()], "a");
    assert_eq!(bad.reload("a"), ["inspect a for trial", "spawn a reload"]);
    assert_eq!(bad.fails_as("a", Role::Reload), ["reply 2 failed: a the reload command exited with code 1"]);
    let mut slow = Stage::up(vec![unit()], "a");
    slow.reload("a");
    assert_eq!(slow.passes(5_000), ["SIGKILL a group"]);
    assert_eq!(
        slow.ends("a", Role::Reload, ExitStatus::killed(Signal::KILL)),
        ["reply 2 failed: a the reload command did not end within 5 s"]
    );
}

#[test]
fn a_reload_that_was_begun_cannot_be_abandoned_and_a_stop_waits_for_it() {
    let mut stage = Stage::up(vec![service("a").reload()], "a");
    stage.reload("a");
    assert_eq!(stage.abandon(2), ["reply 3 done"]);
    assert_eq!(stage.stop("a"), [""; 0]);
    stage.passes(500);
    assert_eq!(probed(&mut stage, Ok(())), ["reply 2 done", "SIGTERM a"]);
}

#[test]
fn a_unit_that_writes_that_it_has_not_reloaded_has_failed_at_once_and_runs_on() {
    let unit = service("a").reload_as(|r| r.fail_output = Some("failed".into()));
    let mut stage = Stage::up(vec![unit], "a");
    assert_eq!(stage.reload("a"), ["inspect a for trial", "heed a", "SIGHUP a"]);
    assert_eq!(stage.passes(500), ["probe a"]);
    let complaint =
        Complaint { cause: Cause::Matched("failed".into()), output: vec!["loading failed".into()] };
    let unit = stage.id("a");
    stage.feed(Event::ReloadDenied { unit, complaint: Box::new(complaint.clone()) });
    let words = "reply 2 failed: a the main process printed what matches 'failed'";
    assert_eq!(stage.orders(), ["forget-probe a", words]);
    assert_eq!(stage.phase("a"), Phase::Ready);
    // What comes late is of a reload that is over.
    stage.feed(Event::ReloadDenied { unit, complaint: Box::new(complaint) });
    assert_eq!(stage.orders(), [""; 0]);
    assert_eq!(stage.reload("a"), ["inspect a for trial", "heed a", "SIGHUP a"]);
    assert_eq!(stage.passes(500), ["probe a"]);
    assert_eq!(probed(&mut stage, Ok(())), ["forget-probe a", "reply 3 done"]);
}

#[test]
fn a_unit_that_ends_while_another_one_is_still_at_its_reload_has_not_been_reloaded() {
    let mut stage = Stage::up(vec![service("a").reload(), service("b").reload()], "a b");
    stage.reload("a b");
    stage.passes(500);
    probed(&mut stage, Ok(()));
    stage.exits("a", 1);
    let unit = stage.id("b");
    stage.feed(Event::Probed { unit, result: Ok(()) });
    let orders = stage.orders();
    assert!(orders.iter().any(|order| order.starts_with("reply 2 failed: a")), "{orders:?}");
}

#[test]
fn a_verification_that_fails_is_tried_again_and_then_is_what_failed() {
    let unit = || service("a").reload_as(|r| r.verify = Some(command("verify")));
    let mut stage = Stage::up(vec![unit()], "a");
    stage.reload("a");
    stage.passes(500);
    assert_eq!(probed(&mut stage, Ok(())), ["spawn a reload-verify"]);
    assert_eq!(stage.fails_as("a", Role::ReloadVerify), [""; 0]);
    assert_eq!(stage.passes(1000), ["probe a"]);
    assert_eq!(probed(&mut stage, Ok(())), ["spawn a reload-verify"]);
    assert_eq!(stage.passes_as("a", Role::ReloadVerify), ["reply 2 done"]);
    stage.reload("a");
    stage.passes(500);
    probed(&mut stage, Ok(()));
    stage.passes(4_000);
    stage.fails_as("a", Role::ReloadVerify);
    let words = "reply 3 failed: a the verification of the reload exited with code 1";
    assert_eq!(stage.passes(500), [words]);
}

//! The pre-stop hooks of a shutdown: side by side, never aborting, within its time.

use super::*;
use crate::engine::fixture::service;
use crate::model::unit::Occasions;

const KILLED: ExitStatus = ExitStatus::killed(Signal::KILL);

#[test]
fn all_hooks_of_a_shutdown_run_together_before_anything_is_stopped() {
    let mut stage = Stage::up(
        vec![service("web").needs("db").pre_stop("drain"), service("db").pre_stop("flush"), service("plain")],
        "db web plain",
    );
    assert_eq!(
        stage.shutdown(),
        ["spawn web pre-stop0", "spawn db pre-stop0", "reply 4 done"].map(|w| w.replace('4', "2"))
    );
    assert_eq!(stage.fails_as("db", Role::PreStop(0)), [""; 0], "a shutdown is never aborted");
    assert_eq!(stage.passes_as("web", Role::PreStop(0)), ["SIGTERM web", "SIGTERM plain"]);
    assert_eq!(stage.dies("web")[2..], ["SIGTERM db"]);
}

#[test]
fn hooks_have_half_the_time_that_the_units_have_and_then_are_killed_before_the_stop() {
    let mut stage = Stage::up(vec![service("a").pre_stop("flush")], "a");
    stage.shutdown();
    assert_eq!(stage.passes(7_999), [""; 0]);
    assert_eq!(stage.passes(1), ["SIGKILL a group"]);
    assert_eq!(stage.ends("a", Role::PreStop(0), KILLED), ["SIGTERM a"]);
    assert_eq!(stage.passes(8_000), ["everybody SIGTERM"]);
    assert_eq!(stage.passes(2_000), ["everybody SIGKILL"]);
}

#[test]
fn a_second_wish_cuts_the_hooks() {
    let mut stage = Stage::up(vec![service("a").pre_stop("flush")], "a");
    stage.shutdown();
    assert_eq!(stage.shutdown(), ["SIGKILL a group", "SIGKILL a group", "reply 3 done"]);
}

#[test]
fn hooks_that_are_not_meant_for_a_shutdown_do_not_delay_it() {
    let on = Occasions { shutdown: false, ..Occasions::ALL };
    let mut stage = Stage::up(vec![service("a").pre_stop_as("x", |h| h.on = on)], "a");
    assert_eq!(stage.shutdown(), ["reply 2 done", "SIGTERM a"]);
}

#[test]
fn what_crashes_while_the_hooks_of_others_run_does_not_come_back() {
    let mut stage = Stage::up(vec![service("a").pre_stop("flush"), service("b")], "a b");
    stage.shutdown();
    stage.exits("b", 1);
    assert_eq!(stage.passes(5_000), [""; 0]);
    assert_eq!(stage.phase("b"), Phase::Stopped);
}

#[test]
fn a_shutdown_gives_up_all_requests_without_undo_and_begins_its_own_hooks() {
    let mut stage = Stage::up(vec![service("a").configtest().render().pre_stop("flush")], "a");
    stage.restart("a");
    stage.passes_as("a", Role::Trial(Trial::ConfigTest));
    stage.stop("a");
    assert_eq!(
        stage.shutdown(),
        ["renders a Restore", "reply 3 shutting-down", "reply 2 shutting-down", "reply 4 done"]
    );
    assert_eq!(stage.ends("a", Role::PreStop(0), KILLED), ["spawn a pre-stop0"]);
    assert_eq!(stage.passes_as("a", Role::PreStop(0)), ["SIGTERM a"]);
}

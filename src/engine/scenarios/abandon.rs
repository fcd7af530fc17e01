//! Whoever asked goes away.

use super::*;
use crate::engine::fixture::service;

const TEST: Role = Role::Trial(Trial::ConfigTest);
const KILLED: ExitStatus = ExitStatus::killed(Signal::KILL);

#[test]
fn a_request_that_is_abandoned_in_its_tests_ends_them_and_touches_nothing() {
    let mut stage = Stage::up(vec![service("a").configtest().render()], "a");
    stage.restart("a");
    assert_eq!(stage.abandon(2), ["SIGKILL a group", "reply 3 done"]);
    assert_eq!(stage.ends("a", TEST, KILLED), ["renders a Restore", "reply 2 abandoned; undone "]);
    assert_eq!(stage.phase("a"), Phase::Ready);
    assert_eq!(stage.stop("a"), ["SIGTERM a"], "nothing is claimed any more");
}

#[test]
fn a_request_that_is_abandoned_in_its_hooks_undoes_them() {
    let mut stage = Stage::up(vec![service("a").pre_stop_until("flush")], "a");
    stage.stop("a");
    stage.prints("a", 0, 100.0);
    assert_eq!(stage.abandon(2), ["reply 3 done", "spawn a undo0"]);
    assert_eq!(stage.abandon(2), ["reply 4 done"]);
    assert_eq!(stage.passes_as("a", Role::Undo(0)), ["reply 2 abandoned; undone a: flush"]);
}

#[test]
fn a_request_that_has_stopped_something_goes_on() {
    let mut stage = Stage::up(vec![service("a")], "a");
    stage.restart("a");
    assert_eq!(stage.abandon(2), ["reply 3 done"]);
    assert_eq!(stage.dies("a")[4..], ["reply 2 done"]);
}

#[test]
fn a_stop_that_waits_for_another_request_is_abandoned_at_once() {
    let mut stage = Stage::up(vec![service("a").pre_stop("x")], "a");
    stage.stop("a");
    stage.stop("a");
    assert_eq!(stage.abandon(3), ["reply 3 abandoned; undone ", "reply 4 done"]);
    stage.passes_as("a", Role::PreStop(0));
    assert_eq!(stage.dies("a")[2..], ["reply 2 done"]);
}

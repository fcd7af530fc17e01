//! A rolling restart never has more than one of its units down, and stops at the first that does not come back.

use super::*;
use crate::engine::TransactionPhase;
use crate::engine::fixture::service;

const TEST: Role = Role::Trial(Trial::ConfigTest);

fn three() -> Stage {
    let drafts = ["a", "b", "c"].map(|name| service(name).configtest().notify());
    let mut stage = stage(drafts.into());
    stage.start("a b c");
    for name in ["a", "b", "c"] {
        stage.passes_as(name, Role::ConfigTest);
        stage.ready(name);
    }
    stage.told();
    stage
}

/// All pass the test that comes before the first is touched.
fn tested(stage: &mut Stage, names: &str) {
    stage.roll(names);
    for name in names.split_whitespace() {
        stage.passes_as(name, TEST);
    }
}

#[test]
fn each_is_tested_stopped_started_and_ready_before_the_next_goes_down() {
    let mut stage = three();
    tested(&mut stage, "a b");
    assert_eq!(stage.passes_as("a", TEST), ["SIGTERM a"]);
    stage.dies("a");
    assert_eq!((stage.phase("a"), stage.phase("b")), (Phase::Starting, Phase::Ready));
    let went_by = |phase| stage.engine.went_by(RequestId(2), &phase);
    assert!(went_by(TransactionPhase::Stopping) && !went_by(TransactionPhase::Starting));
    assert_eq!(stage.ready("a"), ["inspect b for trial", "spawn b trial-configtest"]);
    assert_eq!(stage.passes_as("b", TEST), ["SIGTERM b"]);
    stage.dies("b");
    assert_eq!(stage.ready("b"), ["reply 2 done"]);
    let told = stage.told();
    assert!(told.iter().all(|line| line.starts_with("2 ")), "nobody knows the inner requests: {told:?}");
    assert_eq!(told.iter().filter(|line| line.contains("Rolling")).count(), 2);
}

#[test]
fn one_broken_configuration_refuses_the_roll_before_the_first_is_touched() {
    let mut stage = three();
    stage.roll("a b c");
    stage.passes_as("a", TEST);
    stage.fails_as("b", TEST);
    assert_eq!(stage.passes_as("c", TEST), ["reply 2 refused: b: the configuration test exited with code 1"]);
    assert!(["a", "b", "c"].iter().all(|name| stage.phase(name) == Phase::Ready));
}

#[test]
fn a_release_that_does_not_come_up_takes_one_unit_and_no_more() {
    let mut stage = three();
    tested(&mut stage, "a b c");
    stage.passes_as("a", TEST);
    stage.dies("a");
    let orders = stage.exits("a", 1);
    let reply = orders.iter().find(|order| order.starts_with("reply")).unwrap();
    assert!(reply.starts_with("reply 2 roll stopped 0 2: failed: a"), "{reply}");
    assert_eq!((stage.phase("b"), stage.phase("c")), (Phase::Ready, Phase::Ready));
}

#[test]
fn a_test_that_fails_when_the_turn_comes_stops_the_roll_and_says_where_it_stands() {
    let mut stage = three();
    tested(&mut stage, "a b c");
    stage.passes_as("a", TEST);
    stage.dies("a");
    stage.ready("a");
    let orders = stage.fails_as("b", TEST);
    let refused = "reply 2 roll stopped 1 2: refused: b: the configuration test exited with code 1";
    assert_eq!(orders, [refused]);
    assert!(["a", "b", "c"].iter().all(|name| stage.phase(name) == Phase::Ready));
}

#[test]
fn nobody_has_a_turn_after_the_roll_was_abandoned() {
    let mut stage = three();
    tested(&mut stage, "a b");
    stage.passes_as("a", TEST);
    stage.dies("a");
    assert_eq!(stage.abandon(2), ["reply 3 done"]);
    assert_eq!(stage.ready("a"), ["reply 2 roll stopped 1 1: abandoned; undone "]);
    assert_eq!((stage.phase("a"), stage.phase("b")), (Phase::Ready, Phase::Ready));
}

#[test]
fn a_shutdown_ends_a_roll() {
    let mut stage = three();
    tested(&mut stage, "a b");
    stage.passes_as("a", TEST);
    let orders = stage.shutdown();
    assert!(orders.contains(&"reply 2 shutting-down".to_owned()), "{orders:?}");
}

#[test]
fn the_plan_of_a_roll_is_one_restart_after_the_other() {
    let stage = three();
    let units = vec![stage.id("a"), stage.id("b")];
    let (gate, how) = (Gate::Enforced, RestartHow::Rolling);
    let plan = stage.engine.plan(&Request::Restart { units, gate, how }).unwrap();
    assert_eq!((plan.tests.len(), plan.stops.len(), plan.starts.len()), (2, 2, 2));
}

/// Two whose readiness is their exec alone; the roll has restarted the first.
fn silent() -> Stage {
    let mut stage = Stage::up(vec![service("a"), service("b")], "a b");
    stage.roll("a b");
    stage.dies("a");
    stage
}

#[test]
fn of_those_that_say_nothing_each_lives_on_for_a_second_before_the_next_goes_down() {
    let mut stage = silent();
    assert_eq!((stage.phase("a"), stage.phase("b")), (Phase::Ready, Phase::Ready));
    assert_eq!(stage.passes(999), [""; 0]);
    assert_eq!(stage.passes(1), ["inspect b for trial", "SIGTERM b"]);
    stage.dies("b");
    assert_eq!(stage.passes(1_000), ["reply 2 done"]);
}

#[test]
fn a_broken_release_that_ends_at_once_takes_one_of_them_whatever_it_exits_with() {
    let mut stage = silent();
    let orders = stage.exits("a", 0);
    let stopped = "reply 2 roll stopped 0 1: failed: a exited with code 0".to_owned();
    assert!(orders.contains(&stopped), "{orders:?}");
    stage.passes(60_000);
    assert_eq!(stage.phase("b"), Phase::Ready);
}

#[test]
fn who_stops_one_that_has_to_live_on_stops_the_roll() {
    let mut stage = silent();
    let orders = stage.stop("a");
    assert!(orders.contains(&"reply 2 roll stopped 0 1: replaced by 3".to_owned()), "{orders:?}");
    assert_eq!(stage.phase("b"), Phase::Ready);
}

#[test]
fn a_roll_that_waits_for_one_to_live_on_can_be_abandoned_and_shut_down() {
    let mut stage = silent();
    assert_eq!(stage.abandon(2), ["reply 3 done", "reply 2 roll stopped 1 1: abandoned; undone "]);
    let mut stage = silent();
    let orders = stage.shutdown();
    assert!(orders.contains(&"reply 2 shutting-down".to_owned()), "{orders:?}");
}

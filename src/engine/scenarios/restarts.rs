//! Coming back.

use super::*;
use crate::engine::fixture::{service, task};
use crate::model::unit::RestartOn;

fn wait(stage: &Stage, name: &str) -> u64 {
    let deadline = stage.engine.unit(stage.id(name)).deadline().unwrap();
    u64::try_from(deadline.since(stage.now).as_millis()).unwrap()
}

#[test]
fn the_delay_doubles_up_to_its_cap_and_the_limit_ends_it() {
    let unit = service("a").restart_policy(|r| (r.limit, r.max_delay) = (4, Duration::from_millis(500)));
    let mut stage = stage(vec![unit]);
    stage.start("a");
    for delay in [200, 400, 500, 500] {
        stage.exits("a", 1);
        assert_eq!(wait(&stage, "a"), delay);
        assert_eq!(stage.passes(delay), ["inspect a", "spawn a main"]);
    }
    stage.exits("a", 1);
    assert_eq!(stage.phase("a"), Phase::Failed);
    assert_eq!(stage.passes(3_600_000), [""; 0]);
}

#[test]
fn a_run_that_was_stable_begins_the_back_off_anew() {
    let mut stage = stage(vec![service("a")]);
    stage.start("a");
    stage.exits("a", 1);
    stage.passes(200);
    stage.exits("a", 1);
    stage.passes(400);
    stage.passes(10_000);
    stage.exits("a", 1);
    assert_eq!(wait(&stage, "a"), 200);
}

#[test]
fn restarts_that_left_the_window_do_not_count() {
    let mut stage = stage(vec![service("a").restart_policy(|r| r.limit = 1)]);
    stage.start("a");
    stage.exits("a", 1);
    stage.passes(200);
    stage.passes(60_000);
    stage.exits("a", 1);
    assert_eq!(stage.phase("a"), Phase::Backoff);
}

#[test]
fn without_a_delay_the_next_run_follows_in_the_same_breath() {
    let mut stage = stage(vec![service("a").restart_policy(|r| r.delay = Duration::ZERO)]);
    stage.start("a");
    let orders = stage.exits("a", 1);
    assert_eq!(orders, ["clear a SIGTERM", "clean-up a Follows", "inspect a", "spawn a main"]);
}

#[test]
fn a_clean_end_is_the_end_unless_the_unit_is_always_restarted() {
    let mut ended = stage(vec![service("a")]);
    ended.start("a");
    ended.exits("a", 0);
    assert_eq!(ended.phase("a"), Phase::Stopped);
    let mut always = stage(vec![service("a").restart(RestartOn::Always)]);
    always.start("a");
    always.exits("a", 0);
    assert_eq!(always.phase("a"), Phase::Backoff);
}

#[test]
fn a_final_code_and_a_policy_of_never_are_not_tried_again() {
    let units =
        [service("a").restart_policy(|r| r.codes_final = vec![78]), service("a").restart(RestartOn::Never)];
    for unit in units {
        let mut stage = stage(vec![unit]);
        stage.start("a");
        stage.exits("a", 78);
        assert_eq!(stage.phase("a"), Phase::Failed);
    }
}

#[test]
fn a_failed_task_is_tried_again_too() {
    let mut stage = stage(vec![task("t")]);
    stage.start("t");
    assert_eq!(stage.exits("t", 1)[2], "reply 1 failed: t exited with code 1 (again in 200ms)");
    assert_eq!(stage.passes(200), ["inspect t", "spawn t main"]);
    stage.exits("t", 0);
    assert_eq!(stage.phase("t"), Phase::Done);
}

#[test]
fn a_needed_unit_that_restarts_leaves_its_dependents_alone() {
    let mut stage = stage(vec![service("web").needs("db"), service("db")]);
    stage.start("web");
    stage.exits("db", 1);
    assert_eq!((stage.phase("db"), stage.phase("web")), (Phase::Backoff, Phase::Ready));
}

#[test]
fn a_needed_unit_that_ends_for_good_takes_its_dependents_down() {
    let mut stage = stage(vec![service("c").needs("b"), service("b").needs("a"), service("a")]);
    stage.start("c");
    assert_eq!(stage.exits("a", 0), ["clear a SIGTERM", "clean-up a None", "SIGTERM c"]);
    assert_eq!(stage.dies("c"), ["clear c SIGTERM", "clean-up c None", "SIGTERM b"]);
    stage.dies("b");
    let phases = ["a", "b", "c"].map(|name| stage.phase(name));
    assert_eq!(phases, [Phase::Stopped, Phase::Failed, Phase::Failed]);
}

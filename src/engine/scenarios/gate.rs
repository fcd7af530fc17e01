//! Nothing is touched before every configuration test has passed.

use super::*;
use crate::engine::fixture::{service, target};
use crate::model::unit::OnFailure;

const TEST: Role = Role::Trial(Trial::ConfigTest);

/// `web` needs `db`; both are tested and up.
fn pair() -> Stage {
    Stage::up(vec![service("web").needs("db").configtest(), service("db").configtest()], "db web")
}

#[test]
fn a_restart_tests_the_unit_and_all_that_goes_down_with_it_and_then_stops_them() {
    let mut stage = pair();
    assert_eq!(
        stage.restart("db"),
        [
            "inspect db for trial",
            "inspect web for trial",
            "spawn db trial-configtest",
            "spawn web trial-configtest"
        ]
    );
    assert_eq!(stage.passes_as("db", TEST), [""; 0], "the other one is not through");
    assert_eq!(stage.passes_as("web", TEST), ["SIGTERM web"]);
    assert_eq!(stage.told(), ["2 Testing", "2 db Passed", "2 web Passed", "2 Stopping"]);
    stage.dies("web");
    let orders = stage.dies("db");
    assert_eq!(orders[2..], ["inspect db", "spawn db main", "inspect web", "spawn web main", "reply 2 done"]);
}

#[test]
fn one_test_that_fails_refuses_all_and_every_failure_is_told() {
    let mut stage = pair();
    stage.restart("db");
    assert_eq!(stage.fails_as("db", TEST), [""; 0]);
    let refused = "reply 2 refused: db: the configuration test exited with code 1; \
                   web: the configuration test exited with code 1";
    assert_eq!(stage.fails_as("web", TEST), [refused]);
    assert_eq!((stage.phase("db"), stage.phase("web")), (Phase::Ready, Phase::Ready));
    let id = stage.id("web");
    assert!(stage.engine.unit(id).last_test().unwrap().failure.is_some());
    assert_eq!(stage.told()[1..], ["2 db Failed", "2 web Failed"]);
}

#[test]
fn a_test_that_hangs_is_killed_and_has_failed() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.restart("a");
    assert_eq!(stage.passes(4_999), [""; 0]);
    assert_eq!(stage.passes(1), ["SIGKILL a group"]);
    assert_eq!(
        stage.ends("a", TEST, ExitStatus::killed(Signal::KILL)),
        ["reply 2 refused: a: the configuration test did not end within 5 s"]
    );
}

#[test]
fn a_test_that_outlives_kill_is_waited_for_no_longer_than_any_process() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.restart("a");
    stage.passes(5_000);
    assert_eq!(stage.passes(5_000), ["reply 2 refused: a: the configuration test did not end within 5 s"]);
    assert_eq!(stage.engine.tally().given_up, 1);
}

#[test]
fn a_test_that_cannot_be_created_is_tried_again_within_its_time() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.spawns = Answer::Never;
    stage.restart("a");
    assert_eq!(stage.spawn_failed("a", TEST, libc::EAGAIN), [""; 0]);
    assert_eq!(stage.passes(50), ["spawn a trial-configtest"]);
    stage.passes(4_900);
    let orders = stage.spawn_failed("a", TEST, libc::EAGAIN);
    assert!(
        orders[0].starts_with("reply 2 refused: a: the configuration test: cannot create a process"),
        "{orders:?}"
    );
}

#[test]
fn a_trial_does_all_that_a_start_would_do_before_the_main_process() {
    let unit = service("a").condition().prepare(OnFailure::Fail).prepare(OnFailure::Continue).configtest();
    let mut stage = stage(vec![unit]);
    stage.start("a");
    for role in [Role::Condition, Role::Prepare(0), Role::Prepare(1), Role::ConfigTest] {
        stage.passes_as("a", role);
    }
    assert_eq!(stage.restart("a"), ["inspect a for trial", "spawn a trial-condition"]);
    assert_eq!(stage.passes_as("a", Role::Trial(Trial::Condition)), ["spawn a trial-prepare0"]);
    assert_eq!(stage.passes_as("a", Role::Trial(Trial::Prepare(0))), ["spawn a trial-prepare1"]);
    assert_eq!(stage.fails_as("a", Role::Trial(Trial::Prepare(1))), ["spawn a trial-configtest"]);
    assert_eq!(stage.passes_as("a", TEST), ["SIGTERM a"]);
}

#[test]
fn a_failed_condition_and_an_unmet_requirement_refuse_a_restart() {
    let mut stage = Stage::up(vec![service("a"), service("b").needs("a")], "a b");
    stage.inspections = Answer::Never;
    assert_eq!(stage.restart("a"), ["inspect a for trial", "inspect b for trial"]);
    assert_eq!(stage.found_for_trial("a", Finding::Unmet("'/x' does not exist".into())), [""; 0]);
    assert_eq!(
        stage.found_for_trial("b", Finding::Skip("'/y' does not exist".into())),
        ["reply 2 refused: a: a requirement is not met: '/x' does not exist; b: a requirement is not met: \
          '/y' does not exist, and without it the unit would be skipped"]
    );
}

#[test]
fn a_unit_without_a_test_is_restarted_as_untested() {
    let mut stage = Stage::up(vec![service("a"), target("all").needs("a")], "a all");
    assert_eq!(stage.restart("a"), ["inspect a for trial", "SIGTERM a"]);
    assert_eq!(stage.told(), ["2 Testing", "2 a Untested", "2 Stopping"]);
    let id = stage.id("a");
    assert!(stage.engine.unit(id).last_test().is_none());
}

#[test]
fn a_tested_unit_is_not_tested_again_in_its_start_and_a_crashed_one_is() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.restart("a");
    stage.passes_as("a", TEST);
    assert_eq!(stage.dies("a")[2..], ["inspect a", "spawn a main", "reply 2 done"]);
    stage.exits("a", 1);
    assert_eq!(stage.passes(200), ["inspect a", "spawn a configtest"]);
    stage.fails_as("a", Role::ConfigTest);
    assert_eq!(stage.phase("a"), Phase::Backoff);
    let id = stage.id("a");
    let failure = stage.engine.unit(id).failure().unwrap().describe(&|_| String::new());
    assert_eq!(failure, "the configuration test exited with code 1");
}

#[test]
fn a_request_that_skips_the_tests_runs_none_neither_before_nor_in_the_start_and_says_so() {
    let mut stage = Stage::up(vec![service("a").configtest(), service("b")], "a b");
    let units = vec![stage.id("a"), stage.id("b")];
    let request = Request::Restart { units: units.clone(), gate: Gate::Skipped, how: RestartHow::Together };
    assert_eq!(stage.request(request), ["SIGTERM a", "SIGTERM b"]);
    assert_eq!(stage.told(), ["2 a Skipped", "2 b Untested", "2 Stopping"]);
    stage.dies("a");
    let orders = stage.dies("b");
    assert_eq!(orders[2..], ["inspect a", "inspect b", "spawn a main", "spawn b main", "reply 2 done"]);
    stage.told();
    let roll = Request::Restart { units, gate: Gate::Skipped, how: RestartHow::Rolling };
    stage.request(roll);
    assert_eq!(stage.told()[..2], ["3 a Skipped", "3 b Untested"]);
}

#[test]
fn what_a_trial_rendered_is_kept_when_it_goes_on_and_taken_back_when_not() {
    let unit = || service("a").configtest().render();
    let mut good = Stage::up(vec![unit()], "a");
    good.restart("a");
    assert_eq!(good.passes_as("a", TEST), ["renders a Keep", "SIGTERM a"]);
    let mut bad = Stage::up(vec![unit()], "a");
    bad.restart("a");
    assert_eq!(
        bad.fails_as("a", TEST),
        ["renders a Restore", "reply 2 refused: a: the configuration test exited with code 1"]
    );
}

#[test]
fn a_unit_of_a_request_that_has_not_stopped_it_is_busy_for_others() {
    let mut stage = Stage::up(vec![service("a").configtest().reload(), service("b").needs("a")], "a");
    stage.restart("a");
    let busy =
        "another request is busy with a and has not stopped it yet; `sexton why a` tells how far it is";
    assert_eq!(stage.restart("a"), [format!("reply 3 refused: {busy}")]);
    assert_eq!(stage.reload("a"), [format!("reply 4 refused: {busy}")]);
    assert_eq!(stage.start("b"), [format!("reply 5 refused: {busy}")]);
    stage.passes_as("a", TEST);
    assert_eq!(stage.start("a"), [""; 0]);
}

#[test]
fn a_stop_replaces_a_restart_that_has_not_stopped_anything() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.restart("a");
    assert_eq!(stage.stop("a"), ["SIGKILL a group"]);
    assert_eq!(
        stage.ends("a", TEST, ExitStatus::killed(Signal::KILL)),
        ["reply 2 replaced by 3", "SIGTERM a"]
    );
    assert_eq!(stage.dies("a")[2..], ["reply 3 done"]);
}

#[test]
fn a_unit_that_crashes_while_it_is_tested_comes_back_after_the_test_and_is_restarted_all_the_same() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.restart("a");
    stage.exits("a", 1);
    assert_eq!(stage.passes(200), [""; 0], "its own start would meet the trial");
    assert_eq!(stage.phase("a"), Phase::Waiting);
    assert_eq!(stage.passes_as("a", TEST), ["inspect a", "spawn a main", "reply 2 done"]);
}

#[test]
fn a_trial_waits_until_the_units_own_start_is_past_its_preparations() {
    let mut stage = stage(vec![service("a").configtest().pre_start(OnFailure::Fail)]);
    stage.start("a");
    assert_eq!(stage.restart("a"), [""; 0]);
    assert_eq!(stage.passes_as("a", Role::ConfigTest), ["spawn a pre-start0"]);
    let orders = stage.passes_as("a", Role::PreStart(0));
    assert_eq!(orders, ["inspect a for trial", "spawn a main", "spawn a trial-configtest", "reply 1 done"]);
    assert_eq!(stage.passes_as("a", TEST), ["SIGTERM a"]);
}

#[test]
fn a_spawn_that_is_answered_after_the_request_was_given_up_is_killed_and_waited_for() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.spawns = Answer::Never;
    stage.restart("a");
    assert_eq!(stage.abandon(2), ["reply 3 done"]);
    let (unit, pid) = (stage.id("a"), Pid::new(77).unwrap());
    stage.feed(Event::Spawned { unit, role: TEST, pid });
    assert_eq!(stage.orders(), ["SIGKILL a group"]);
    let verdict = Verdict::Passed { number: None };
    stage.feed(Event::Judged { unit, role: TEST, pid, status: ExitStatus::killed(Signal::KILL), verdict });
    assert_eq!(stage.orders(), ["reply 2 abandoned; undone "]);
}

#[test]
fn why_tells_the_test_that_failed_of_a_unit_that_runs_and_of_one_that_does_not() {
    let mut stage = Stage::up(vec![service("a").configtest()], "a");
    stage.restart("a");
    stage.complains("a", TEST, &["one", "two", "three", "nginx: [emerg] in /etc/nginx.conf:3"]);
    stage.passes(60_000);
    assert_eq!(
        stage.why("a")[1..],
        ["the last test of a, 1 min ago, failed: the configuration test exited with code 1"]
    );
    stage.exits("a", 1);
    stage.passes(200);
    stage.complains("a", Role::ConfigTest, &["bad"]);
    assert_eq!(stage.why("a")[..1], ["a failed: the configuration test exited with code 1"]);
}

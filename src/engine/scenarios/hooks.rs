//! Pre-stop hooks: they end before the stop signal, and what they did is undone when there is no stop.

use super::*;
use crate::engine::fixture::service;
use crate::model::unit::{Occasions, OnPreStopFailure};

const TEST: Role = Role::Trial(Trial::ConfigTest);

#[test]
fn the_hooks_of_a_stop_run_in_order_and_the_signal_follows_the_last() {
    let mut stage = Stage::up(vec![service("a").pre_stop("drain").pre_stop("flush")], "a");
    assert_eq!(stage.stop("a"), ["spawn a pre-stop0"]);
    assert_eq!(stage.passes_as("a", Role::PreStop(0)), ["spawn a pre-stop1"]);
    assert_eq!(stage.passes_as("a", Role::PreStop(1)), ["SIGTERM a"]);
    assert_eq!(
        stage.told(),
        [
            "2 PreStopping",
            "2 a drain Began",
            "2 a drain Done",
            "2 a flush Began",
            "2 a flush Done",
            "2 Stopping"
        ]
    );
}

#[test]
fn a_hook_runs_only_before_the_stops_that_it_is_meant_for_and_only_where_something_is_up() {
    let on = |restart, stop| Occasions { restart, stop, shutdown: false };
    let unit = |name| {
        service(name)
            .pre_stop_as("r", move |h| h.on = on(true, false))
            .pre_stop_as("s", move |h| h.on = on(false, true))
    };
    let mut stage = Stage::up(vec![unit("a"), unit("down")], "a");
    assert_eq!(stage.restart("a"), ["inspect a for trial", "spawn a pre-stop0"]);
    assert_eq!(stage.passes_as("a", Role::PreStop(0)), ["SIGTERM a"]);
    stage.dies("a");
    assert_eq!(stage.stop("a"), ["spawn a pre-stop1"]);
    assert_eq!(stage.stop("down"), ["reply 4 done"]);
}

#[test]
fn a_hook_with_until_is_repeated_until_it_is_met_and_its_numbers_are_told() {
    let mut stage = Stage::up(vec![service("a").pre_stop_until("flush")], "a");
    stage.stop("a");
    assert_eq!(stage.prints("a", 0, 480.0), [""; 0]);
    assert_eq!(stage.passes(999), [""; 0]);
    assert_eq!(stage.passes(1), ["spawn a pre-stop0"]);
    stage.prints("a", 0, 120.0);
    stage.passes(1000);
    assert_eq!(stage.passes_as("a", Role::PreStop(0)), ["SIGTERM a"]);
    assert_eq!(
        stage.told(),
        [
            "2 PreStopping",
            "2 a flush Began",
            "2 a flush 480 to 480",
            "2 a flush 480 to 120",
            "2 a flush Done",
            "2 Stopping"
        ]
    );
}

#[test]
fn the_time_of_a_hook_is_that_of_all_its_runs_and_then_the_stop_is_given_up_and_undone() {
    let mut stage = Stage::up(vec![service("a").pre_stop_until("flush")], "a");
    stage.stop("a");
    for _ in 0..9 {
        stage.prints("a", 0, 500.0);
        assert_eq!(stage.passes(1000), ["spawn a pre-stop0"]);
    }
    stage.prints("a", 0, 500.0);
    assert_eq!(stage.passes(1000), ["spawn a undo0"]);
    assert_eq!(
        stage.passes_as("a", Role::Undo(0)),
        ["reply 2 aborted: a pre-stop hook 1 did not end within 10 s; undone a: flush"]
    );
    assert_eq!(stage.phase("a"), Phase::Ready);
    assert_eq!(stage.engine.unit(stage.id("a")).wanted(), crate::engine::Wanted::Up);
}

#[test]
fn a_hook_that_fails_ends_the_others_and_all_that_began_is_undone_in_reverse() {
    let mut stage = Stage::up(
        vec![service("web").needs("db").pre_stop("drain"), service("db").pre_stop("one").pre_stop("two")],
        "db web",
    );
    assert_eq!(stage.cascade("db"), ["spawn db pre-stop0", "spawn web pre-stop0"]);
    assert_eq!(stage.passes_as("db", Role::PreStop(0)), ["spawn db pre-stop1"]);
    assert_eq!(stage.fails_as("web", Role::PreStop(0)), ["SIGKILL db group"]);
    let killed = ExitStatus::killed(Signal::KILL);
    assert_eq!(stage.ends("db", Role::PreStop(1), killed), ["spawn db undo1", "spawn web undo0"]);
    assert_eq!(stage.passes_as("db", Role::Undo(1)), ["spawn db undo0"]);
    assert_eq!(stage.fails_as("web", Role::Undo(0)), [""; 0]);
    assert_eq!(
        stage.passes_as("db", Role::Undo(0)),
        ["reply 2 aborted: web pre-stop hook 1 exited with code 1; undone db: two,db: one"]
    );
    assert!(
        stage
            .told()
            .contains(&"2 web drain UndoFailed(\"the undo of pre-stop hook 1 exited with code 1\")".into())
    );
}

#[test]
fn a_hook_that_may_fail_is_passed_over() {
    let mut stage =
        Stage::up(vec![service("a").pre_stop_as("x", |h| h.on_failure = OnPreStopFailure::Continue)], "a");
    stage.stop("a");
    assert_eq!(stage.fails_as("a", Role::PreStop(0)), ["SIGTERM a"]);
}

#[test]
fn tests_are_run_again_when_the_hooks_took_more_than_a_second() {
    let mut stage = Stage::up(vec![service("a").configtest().pre_stop("flush")], "a");
    stage.restart("a");
    assert_eq!(stage.passes_as("a", TEST), ["spawn a pre-stop0"]);
    stage.passes(1001);
    assert_eq!(stage.passes_as("a", Role::PreStop(0)), ["inspect a for trial", "spawn a trial-configtest"]);
    assert_eq!(stage.fails_as("a", TEST), ["spawn a undo0"]);
    assert_eq!(
        stage.passes_as("a", Role::Undo(0)),
        ["reply 2 aborted: a the configuration test exited with code 1; undone a: flush"]
    );
    let mut quick = Stage::up(vec![service("a").configtest().pre_stop("flush")], "a");
    quick.restart("a");
    quick.passes_as("a", TEST);
    quick.passes(1000);
    assert_eq!(quick.passes_as("a", Role::PreStop(0)), ["SIGTERM a"]);
}

#[test]
fn a_unit_that_ends_while_its_hook_runs_needs_none_any_more() {
    let mut stage = Stage::up(vec![service("a").pre_stop("flush").pre_stop("more")], "a");
    stage.stop("a");
    assert_eq!(stage.exits("a", 1), ["SIGKILL a group", "clear a SIGTERM", "clean-up a Follows"]);
    assert_eq!(
        stage.ends("a", Role::PreStop(0), ExitStatus::killed(Signal::KILL)),
        ["clean-up a None", "reply 2 done"]
    );
}

#[test]
fn a_unit_that_goes_down_with_what_it_needs_is_told_so_after_its_hook_was_ended() {
    let unit = service("db").restart(crate::model::unit::RestartOn::Never);
    let mut stage = Stage::up(vec![service("web").needs("db").pre_stop("drain"), unit], "db web");
    stage.stop("web");
    assert_eq!(stage.exits("db", 1), ["clear db SIGTERM", "clean-up db None", "SIGKILL web group"]);
    assert_eq!(stage.ends("web", Role::PreStop(0), ExitStatus::killed(Signal::KILL)), ["SIGTERM web"]);
}

#[test]
fn a_hook_that_cannot_be_created_is_tried_again_within_its_time_and_then_has_failed() {
    let mut stage = Stage::up(vec![service("a").pre_stop("x")], "a");
    stage.spawns = Answer::Never;
    stage.stop("a");
    let role = Role::PreStop(0);
    assert_eq!(stage.spawn_failed("a", role, libc::EAGAIN), [""; 0]);
    assert_eq!(stage.passes(50), ["spawn a pre-stop0"]);
    stage.passes(9_930);
    let orders = stage.spawn_failed("a", role, libc::EAGAIN);
    assert!(
        orders[0].starts_with("reply 2 aborted: a pre-stop hook 1: cannot create a process"),
        "{orders:?}"
    );
    assert!(orders[0].ends_with("; undone "), "what never ran is not undone");
}

#[test]
fn two_stops_of_one_unit_are_both_answered_and_its_hooks_run_once() {
    let mut stage = Stage::up(vec![service("a").pre_stop("x")], "a");
    stage.stop("a");
    assert_eq!(stage.stop("a"), [""; 0]);
    assert_eq!(stage.passes_as("a", Role::PreStop(0)), ["SIGTERM a"]);
    assert_eq!(stage.dies("a")[2..], ["reply 2 done", "reply 3 done"]);
}

#[test]
fn why_names_the_hook_and_its_time() {
    let mut stage =
        Stage::up(vec![service("a").configtest().pre_stop("flush"), service("b").needs("a")], "a b");
    stage.restart("a");
    assert_eq!(
        stage.why("a")[1],
        "a restart that was asked for runs the configuration test (pid 104), which has another 5 s; nothing was touched"
    );
    stage.passes_as("a", TEST);
    assert_eq!(
        stage.why("a")[1],
        "a restart that was asked for is running its pre-stop hook 'flush' (pid 105), which has another 10 s; \
         a serves until then"
    );
    assert_eq!(
        stage.why("b")[1],
        "a restart that was asked for has begun with b and other units, and has not touched them"
    );
}

#[test]
fn a_hook_that_repeats_fails_when_its_first_run_does_and_not_when_a_later_one_does() {
    let mut stage = Stage::up(vec![service("a").pre_stop_until("flush")], "a");
    stage.stop("a");
    let first = stage.fails_as("a", Role::PreStop(0));
    assert_eq!(first, ["spawn a undo0"], "it never worked");
    stage.passes_as("a", Role::Undo(0));
    stage.stop("a");
    stage.prints("a", 0, 480.0);
    assert_eq!(stage.passes(1000), ["spawn a pre-stop0"]);
    assert_eq!(stage.fails_as("a", Role::PreStop(0)), [""; 0]);
    assert_eq!(stage.passes(1000), ["spawn a pre-stop0"]);
    assert_eq!(stage.passes_as("a", Role::PreStop(0)), ["SIGTERM a"]);
}

#[test]
fn a_hook_whose_time_is_over_is_told_with_what_it_said_last() {
    let on = |h: &mut crate::model::unit::PreStop| h.on_failure = OnPreStopFailure::Continue;
    let mut stage = Stage::up(vec![service("a").pre_stop_as("x", on)], "a");
    stage.stop("a");
    stage.passes(10_000);
    stage.complains("a", Role::PreStop(0), &["still 300 clients"]);
    stage.dies("a");
    let view = stage.engine.unit(stage.id("a"));
    let Some((_, Failure::TimedOut { output, .. })) = view.passed_over() else { panic!("nothing is kept") };
    assert_eq!(output, &["still 300 clients"]);
}

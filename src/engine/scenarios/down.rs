//! On the way down, to the end of everything.

use super::*;
use crate::engine::fixture::{service, target, task};
use crate::model::unit::{Kill, OnFailure, RestartOn};

#[test]
fn a_stop_goes_in_reverse_order() {
    let mut stage = stage(vec![service("web").needs("db"), service("db")]);
    stage.start("web");
    assert_eq!(stage.cascade("db"), ["SIGTERM web"]);
    assert_eq!(stage.dies("web"), ["clear web SIGTERM", "clean-up web None", "SIGTERM db"]);
    assert_eq!(stage.dies("db"), ["clear db SIGTERM", "clean-up db None", "reply 2 done"]);
}

#[test]
fn a_stop_is_refused_while_somebody_needs_the_unit() {
    let mut stage = stage(vec![service("web").needs("db"), service("db")]);
    stage.start("web");
    assert_eq!(stage.stop("db"), ["reply 2 refused: db needed by web"]);
    assert_eq!(stage.stop("db web"), ["SIGTERM web"]);
}

#[test]
fn a_process_that_ignores_its_signals_is_killed_with_its_group() {
    let mut stage = stage(vec![service("a").stop_steps(&[Signal::QUIT, Signal::TERM])]);
    stage.start("a");
    assert_eq!(stage.stop("a"), ["SIGQUIT a"]);
    assert_eq!(stage.passes(1000), ["SIGTERM a"]);
    assert_eq!(stage.passes(1000), ["SIGKILL a group"]);
    assert_eq!(stage.phase("a"), Phase::Killing);
    let orders = stage.ends("a", Role::Main, ExitStatus::killed(Signal::KILL));
    assert_eq!(orders, ["clear a SIGTERM", "clean-up a None", "reply 2 done"]);
}

#[test]
fn the_process_alone_is_killed_where_the_unit_says_so() {
    let mut stage = stage(vec![service("a").kill(Kill::Process).stop_steps(&[Signal::TERM])]);
    stage.start("a");
    stage.stop("a");
    assert_eq!(stage.passes(1000), ["SIGKILL a"]);
    assert_eq!(
        stage.ends("a", Role::Main, ExitStatus::killed(Signal::KILL)),
        ["clean-up a None", "reply 2 done"]
    );
}

#[test]
fn what_is_never_killed_takes_as_long_as_it_takes() {
    let mut stage = stage(vec![service("a").kill(Kill::Never).stop_steps(&[Signal::TERM])]);
    stage.start("a");
    stage.stop("a");
    assert_eq!(stage.passes(86_400_000), [""; 0]);
    assert_eq!(stage.exits("a", 0), ["clean-up a None", "reply 2 done"]);
}

#[test]
fn a_process_that_outlives_kill_is_told_of_and_never_started_twice() {
    let mut stage = stage(vec![service("a").stop_steps(&[])]);
    stage.start("a");
    assert_eq!(stage.restart("a"), ["inspect a for trial", "SIGKILL a group"]);
    assert_eq!(
        stage.passes(5000),
        ["reply 2 failed: a it was sent SIGKILL and has not ended; the kernel holds it"]
    );
    let orders = stage.ends("a", Role::Main, ExitStatus::killed(Signal::KILL));
    assert_eq!(orders, ["clear a SIGTERM", "clean-up a Follows", "inspect a", "spawn a main"]);
}

#[test]
fn the_stop_command_comes_before_the_signals() {
    let mut stage = stage(vec![service("a").stop_command()]);
    stage.start("a");
    assert_eq!(stage.stop("a"), ["spawn a stop-command"]);
    assert_eq!(stage.ends("a", Role::StopCommand, ExitStatus::exited(0)), [""; 0]);
    assert_eq!(stage.passes(5000), ["SIGTERM a"]);
}

#[test]
fn a_stop_command_that_hangs_is_killed_and_the_signals_follow() {
    let mut stage = stage(vec![service("a").stop_command()]);
    stage.start("a");
    stage.stop("a");
    assert_eq!(stage.passes(5000), ["SIGKILL a group"]);
    assert_eq!(stage.ends("a", Role::StopCommand, ExitStatus::killed(Signal::KILL)), ["SIGTERM a"]);
}

#[test]
fn a_stop_that_comes_before_the_answer_to_a_spawn_is_not_lost() {
    let mut stage = stage(vec![service("a")]);
    stage.spawns = Answer::Never;
    stage.start("a");
    assert_eq!(stage.stop("a"), ["reply 1 replaced by 2"]);
    let (unit, pid) = (stage.id("a"), Pid::new(77).unwrap());
    stage.feed(Event::Spawned { unit, role: Role::Main, pid });
    assert_eq!(stage.orders(), ["SIGTERM a"]);
}

#[test]
fn a_stop_interrupts_a_hook_with_kill() {
    let mut stage = stage(vec![service("a").pre_start(OnFailure::Fail)]);
    stage.start("a");
    assert_eq!(stage.stop("a"), ["reply 1 replaced by 2", "SIGKILL a group"]);
    assert_eq!(
        stage.ends("a", Role::PreStart(0), ExitStatus::killed(Signal::KILL)),
        ["clean-up a None", "reply 2 done"]
    );
}

#[test]
fn a_stop_interrupts_a_back_off() {
    let mut stage = stage(vec![service("a")]);
    stage.start("a");
    stage.exits("a", 1);
    assert_eq!(stage.stop("a"), ["clean-up a None", "reply 2 done"]);
    assert_eq!(stage.passes(60_000), [""; 0]);
}

#[test]
fn what_a_service_leaves_in_its_group_gets_a_second_and_then_kill() {
    let mut stage = stage(vec![service("a").post_stop()]);
    stage.groups = Answer::Never;
    stage.start("a");
    stage.stop("a");
    assert_eq!(stage.dies("a"), ["clear a SIGTERM"]);
    assert_eq!(stage.passes(1000), ["clear a SIGKILL"]);
    let unit = stage.id("a");
    stage.feed(Event::GroupGone { unit, group: stage.pids[&(unit, Role::Main)] });
    assert_eq!(stage.orders(), ["spawn a post-stop0"]);
}

#[test]
fn the_post_stop_hooks_of_a_task_wait_for_its_stop() {
    let mut stage = stage(vec![task("t").post_stop()]);
    stage.start("t");
    assert_eq!(stage.exits("t", 0), ["clear t SIGTERM", "reply 1 done"]);
    assert_eq!(stage.stop("t"), ["spawn t post-stop0"]);
}

#[test]
fn a_shutdown_stops_in_reverse_then_clears_the_rest_and_exits() {
    let mut stage = stage(vec![service("b").after("a"), service("a")]);
    stage.start("a b");
    assert_eq!(stage.shutdown(), ["reply 2 done", "SIGTERM b"]);
    assert_eq!(stage.start("a"), ["reply 3 refused: sexton is shutting down"]);
    assert_eq!(stage.dies("b"), ["clear b SIGTERM", "clean-up b None", "SIGTERM a"]);
    assert_eq!(stage.dies("a"), ["clear a SIGTERM", "clean-up a None", "everybody SIGTERM"]);
    stage.feed(Event::NobodyLeft);
    assert_eq!(stage.orders(), ["exit PowerOff 0"]);
    assert_eq!(stage.engine.next_deadline(), None);
}

#[test]
fn a_shutdown_ends_by_its_deadline_whatever_runs() {
    let mut stage = stage(vec![service("a").kill(Kill::Never)]);
    stage.start("a");
    stage.shutdown();
    assert_eq!(stage.passes(16_000), ["everybody SIGTERM"]);
    assert_eq!(stage.passes(2_000), ["everybody SIGKILL"]);
    assert_eq!(stage.passes(2_000), ["exit PowerOff 0"]);
}

#[test]
fn a_second_shutdown_kills_at_once() {
    let mut stage = stage(vec![service("a")]);
    stage.start("a");
    stage.shutdown();
    assert_eq!(stage.shutdown(), ["SIGKILL a group", "reply 3 done"]);
    assert_eq!(
        stage.ends("a", Role::Main, ExitStatus::killed(Signal::KILL)),
        ["clear a SIGKILL", "clean-up a None", "everybody SIGKILL"]
    );
}

#[test]
fn a_shutdown_answers_those_who_still_wait() {
    let mut stage = stage(vec![service("a").notify()]);
    stage.start("a");
    assert_eq!(stage.shutdown()[0], "reply 1 shutting-down");
}

#[test]
fn an_essential_unit_takes_everything_along_and_its_code_counts() {
    let mut stage = stage(vec![service("main").essential().restart(RestartOn::Never), service("other")]);
    stage.start("main other");
    assert_eq!(stage.exits("main", 3), ["clear main SIGTERM", "clean-up main None", "SIGTERM other"]);
    stage.dies("other");
    stage.feed(Event::NobodyLeft);
    assert_eq!(stage.orders(), ["exit Exit 3 by main"]);
}

#[test]
fn an_essential_unit_that_fails_as_it_is_stopped_tells_of_it_by_its_code() {
    for (code, end) in [(0, "exit PowerOff 0"), (9, "exit PowerOff 9 by main")] {
        let mut stage = stage(vec![service("main").essential(), service("other")]);
        stage.start("main other");
        stage.shutdown();
        stage.exits("main", code);
        stage.exits("other", 3);
        stage.feed(Event::NobodyLeft);
        assert_eq!(stage.orders(), [end]);
    }
}

#[test]
fn an_essential_unit_that_never_ran_ends_with_1() {
    let mut stage = stage(vec![service("main").essential().needs("gone"), target("all")]);
    stage.boot("main all");
    stage.feed(Event::NobodyLeft);
    assert_eq!(stage.phase("main"), Phase::Failed);
    let mut ran = super::stage(vec![service("main").essential().restart(RestartOn::Never)]);
    ran.spawns = Answer::Never;
    ran.start("main");
    ran.spawn_failed("main", Role::Main, libc::ENOENT);
    ran.feed(Event::NobodyLeft);
    assert!(ran.orders().contains(&"exit Exit 1 by main".to_owned()));
}

#[test]
fn that_a_unit_was_killed_is_told_with_the_time_that_it_had() {
    let mut stage = stage(vec![service("a").stop_steps(&[Signal::TERM]), service("b").stop_steps(&[])]);
    stage.start("a b");
    stage.stop("a b");
    assert_eq!(stage.passes(1000), ["SIGKILL a group"]);
    assert_eq!(stage.noted(), ["a did not stop in 1 s: killed"], "b was not asked first");
}

#[test]
fn who_is_still_there_when_a_shutdown_kills_everybody_is_named() {
    let mut stage = stage(vec![service("a").kill(Kill::Never)]);
    stage.start("a");
    stage.shutdown();
    stage.passes(18_000);
    assert_eq!(stage.noted(), ["a did not stop in 18 s: killed"]);
}

#[test]
fn a_stop_command_that_fails_is_told_and_the_signals_follow_at_once() {
    let mut stage = stage(vec![service("a").stop_command(), service("b").stop_command()]);
    stage.start("a b");
    stage.stop("a");
    assert_eq!(stage.ends("a", Role::StopCommand, ExitStatus::exited(69)), ["SIGTERM a"]);
    assert_eq!(stage.noted(), ["a the stop command exited with code 69; passed over"]);
    stage.stop("b");
    assert_eq!(stage.passes(5000), ["SIGKILL b group"]);
    assert_eq!(stage.noted(), ["b the stop command did not end within 5 s; passed over"]);
}

#[test]
fn a_stop_command_that_cannot_be_started_is_told_and_the_signals_follow_at_once() {
    let mut stage = stage(vec![service("a").stop_command()]);
    stage.start("a");
    stage.spawns = Answer::Never;
    stage.stop("a");
    assert_eq!(stage.spawn_failed("a", Role::StopCommand, libc::EAGAIN), ["SIGTERM a"]);
    assert_eq!(stage.noted().len(), 1);
}

#[test]
fn a_post_stop_hook_that_fails_is_told_and_kept_until_the_next_start() {
    let mut stage = stage(vec![service("a").post_stop()]);
    stage.start("a");
    stage.stop("a");
    stage.dies("a");
    stage.fails_as("a", Role::PostStop(0));
    assert_eq!(stage.noted(), ["a post-stop hook 1 exited with code 1; passed over"]);
    stage.now = stage.now + Duration::from_secs(60);
    assert_eq!(stage.why("a")[1], "post-stop hook 1 exited with code 1, 1 min ago, and was passed over");
    stage.start("a");
    assert_eq!(stage.why("a").len(), 1);
}

//! What `why` says.

use super::*;
use crate::engine::fixture::{broken, service, target, task};
use crate::model::unit::OnFailure;

#[test]
fn a_waiting_unit_names_what_it_waits_for_and_why_that_is_not_up() {
    let mut stage = stage(vec![service("web").needs("db"), service("db").notify()]);
    stage.start("web");
    stage.passes(4000);
    assert_eq!(
        stage.why("web"),
        [
            "web waits for db, which it needs",
            "db has run for 4 s (pid 101) and is ready with READY=1 on its notify socket; without it the start has \
             failed in 6 s"
        ]
    );
}

#[test]
fn a_unit_that_failed_with_another_follows_the_cause() {
    let unit = service("db").notify().restart_policy(|r| (r.limit, r.delay) = (1, Duration::ZERO));
    let mut stage = stage(vec![service("web").needs("db"), unit]);
    stage.start("web");
    stage.exits("db", 1);
    stage.exits("db", 1);
    assert_eq!(
        stage.why("web"),
        [
            "web failed: it needs db, which is not up",
            "`sexton start web` tries both again",
            "db failed: exited with code 1 before it was ready; it was restarted once in 1 min and is not tried again",
            "`sexton start db` tries again and counts from 0"
        ]
    );
}

#[test]
fn every_state_has_its_words() {
    let mut stage = stage(vec![
        service("up"),
        target("group"),
        task("once"),
        service("hook").pre_start(OnFailure::Fail),
        service("late").stop_steps(&[Signal::TERM]),
        service("again"),
        service("never"),
        broken("bad"),
    ]);
    stage.start("up group once hook late again");
    stage.exits("once", 0);
    stage.stop("late");
    stage.exits("again", 1);
    let first = |name: &str| stage.why(name).remove(0);
    assert_eq!(first("up"), "up is up and ready for 0 ms (pid 101)");
    assert_eq!(first("group"), "group is reached for 0 ms: all that it needs is up");
    assert_eq!(first("once"), "once is done: it ended well 0 ms ago");
    assert_eq!(first("hook"), "hook is being prepared: pre-start hook 1 runs (pid 103)");
    assert_eq!(first("late"), "late (pid 104) was sent SIGTERM and has not ended; SIGKILL follows in 1 s");
    assert_eq!(first("again"), "again failed: exited with code 1");
    assert_eq!(
        stage.why("again")[1],
        "again is started again in 200 ms; that is attempt 1 in a row: `sexton start again` does it now"
    );
    assert_eq!(first("never"), "never was never started; `sexton start never` starts it");
    assert_eq!(first("bad"), "bad failed: its unit file has an error: /units/x.toml:1:1: unknown key 'x'");
}

#[test]
fn a_requirement_names_the_file_that_holds_it() {
    let mut stage = stage(vec![service("a")]);
    stage.inspections = Answer::Never;
    stage.start("a");
    stage.found("a", Finding::Unmet("'/etc/a' does not exist".into()));
    assert_eq!(
        stage.why("a"),
        [
            "a failed: a requirement is not met: '/etc/a' does not exist",
            "a is not tried again by itself; set it right (`[require]` in /units/a.toml), then `sexton start a`"
        ]
    );
}

#[test]
fn what_is_to_stop_says_for_whom_it_waits() {
    let mut stage = stage(vec![service("web").needs("db"), service("db")]);
    stage.start("web");
    stage.cascade("db");
    assert_eq!(stage.why("db")[1], "db is to stop, after web");
}

#[test]
fn a_start_that_waits_for_what_ran_out_names_it() {
    let mut stage = stage(vec![service("a")]);
    stage.spawns = Answer::Never;
    stage.start("a");
    stage.spawn_failed("a", Role::Main, libc::EAGAIN);
    let said = stage.why("a");
    assert!(said[0].starts_with("a cannot be started at the moment: cannot create a process"), "{said:?}");
    assert!(said[0].ends_with("; it is tried again in 50 ms"), "{said:?}");
}

#[test]
fn a_skipped_unit_names_what_is_not_there() {
    let mut stage = stage(vec![service("a")]);
    stage.inspections = Answer::Never;
    stage.start("a");
    stage.found("a", Finding::Skip("'/dev/kvm' does not exist".into()));
    assert_eq!(
        stage.why("a"),
        [
            "a was skipped and counts as done: '/dev/kvm' does not exist (`skip-unless-exists` in /units/a.toml)"
        ]
    );
}

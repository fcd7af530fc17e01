//! Who is left in the process groups of a unit.

use super::*;
use crate::engine::fixture::service;
use crate::model::unit::{Kill, OnFailure};

/// The process of this role ends well and leaves somebody in its group, which this answers.
fn leaves(stage: &mut Stage, name: &str, role: Role) -> Pid {
    let unit = stage.id(name);
    let group = stage.pids[&(unit, role)];
    stage.feed(Event::GroupLeft { unit, role, group });
    stage.passes_as(name, role);
    group
}

fn gone(stage: &mut Stage, name: &str, group: Pid) -> Vec<String> {
    stage.feed(Event::GroupGone { unit: stage.id(name), group });
    stage.orders()
}

#[test]
fn what_hooks_left_behind_is_told_to_end_with_the_main_process_and_waited_for() {
    let unit = || service("a").pre_start(OnFailure::Fail).post_start(OnFailure::Fail).post_stop();
    let mut stage = stage(vec![unit()]);
    stage.groups = Answer::Never;
    stage.start("a");
    let before = leaves(&mut stage, "a", Role::PreStart(0));
    let after = leaves(&mut stage, "a", Role::PostStart(0));
    stage.stop("a");
    assert_eq!(stage.dies("a"), ["clear a SIGTERM"; 3]);
    let main = stage.pids[&(stage.id("a"), Role::Main)];
    assert_eq!([gone(&mut stage, "a", before), gone(&mut stage, "a", main)], [[""; 0]; 2]);
    assert_eq!(stage.passes(1000), ["clear a SIGKILL"]);
    assert_eq!(gone(&mut stage, "a", after), ["spawn a post-stop0"]);
    let last = leaves(&mut stage, "a", Role::PostStop(0));
    assert_eq!(stage.phase("a"), Phase::CleaningUp);
    assert_eq!(gone(&mut stage, "a", last), ["clean-up a None", "reply 2 done"]);
}

#[test]
fn a_group_that_is_empty_by_itself_is_forgotten() {
    let mut stage = stage(vec![service("a").pre_start(OnFailure::Fail)]);
    stage.start("a");
    let group = leaves(&mut stage, "a", Role::PreStart(0));
    gone(&mut stage, "a", group);
    stage.stop("a");
    assert_eq!(stage.dies("a"), ["clear a SIGTERM", "clean-up a None", "reply 2 done"]);
}

#[test]
fn the_group_of_a_main_process_that_handed_over_goes_with_its_successor() {
    let mut stage = stage(vec![service("a").notify().stop_steps(&[Signal::TERM])]);
    stage.start("a");
    stage.ready("a");
    let (unit, pid) = (stage.id("a"), Pid::new(7).unwrap());
    stage.feed(Event::MainPidChanged { unit, pid });
    stage.stop("a");
    assert_eq!(stage.passes(1000), ["SIGKILL a", "SIGKILL a group", "SIGKILL a group"]);
    stage.feed(Event::Exited { unit, role: Role::Main, pid, status: ExitStatus::killed(Signal::KILL) });
    assert_eq!(
        stage.orders(),
        ["clear a SIGTERM", "clear a SIGTERM", "clean-up a None", "reply 2 done"],
        "both groups"
    );
}

#[test]
fn a_hook_that_fails_a_start_takes_what_it_left_along() {
    let mut stage = stage(vec![service("a").pre_start(OnFailure::Fail)]);
    stage.start("a");
    let (unit, role) = (stage.id("a"), Role::PreStart(0));
    let group = stage.pids[&(unit, role)];
    stage.feed(Event::GroupLeft { unit, role, group });
    let orders = stage.fails_as("a", role);
    assert_eq!(orders[..2], ["clear a SIGTERM", "clean-up a Follows"]);
}

#[test]
fn what_is_left_where_nothing_runs_and_what_a_test_left_is_killed_at_once() {
    let mut stage = stage(vec![service("a").configtest()]);
    stage.start("a");
    let (unit, group) = (stage.id("a"), Pid::new(7).unwrap());
    stage.feed(Event::GroupLeft { unit, role: Role::ConfigTest, group });
    assert_eq!(stage.orders(), ["clear a SIGKILL"]);
    stage.passes_as("a", Role::ConfigTest);
    stage.stop("a");
    stage.dies("a");
    stage.orders();
    stage.feed(Event::GroupLeft { unit, role: Role::Undo(0), group });
    assert_eq!(stage.orders(), ["clear a SIGKILL"]);
}

#[test]
fn where_only_the_main_process_is_to_be_killed_groups_are_left_alone() {
    let mut stage = stage(vec![service("a").pre_start(OnFailure::Fail).kill(Kill::Process)]);
    stage.start("a");
    leaves(&mut stage, "a", Role::PreStart(0));
    stage.stop("a");
    assert_eq!(stage.dies("a"), ["clean-up a None", "reply 2 done"]);
}

#[test]
fn a_unit_that_leaves_one_group_after_the_other_holds_no_more_than_its_bound() {
    let mut stage = stage(vec![service("a")]);
    stage.start("a");
    let unit = stage.id("a");
    for number in 1000..1100 {
        let (role, group) = (Role::Reload, Pid::new(number).unwrap());
        stage.feed(Event::GroupLeft { unit, role, group });
    }
    assert_eq!(stage.orders(), ["clear a SIGKILL"; 36]);
}

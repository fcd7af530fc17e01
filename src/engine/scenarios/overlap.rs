//! In an overlapping restart the old process is not touched before the new one is ready.

use super::*;
use crate::engine::fixture::service;
use crate::engine::{Reason, Which};
use crate::model::unit::{OnFailure, RestartOn};

const TEST: Role = Role::Trial(Trial::ConfigTest);

/// `web` says itself when it is ready, and is up.
fn web(draft: Draft) -> Stage {
    let mut stage = stage(vec![draft.notify().overlap()]);
    stage.start("web");
    if stage.pids.contains_key(&(stage.id("web"), Role::ConfigTest)) {
        stage.passes_as("web", Role::ConfigTest);
    }
    stage.ready("web");
    assert_eq!(stage.phase("web"), Phase::Ready);
    stage.told();
    stage
}

fn names(stage: &Stage) -> Vec<String> {
    stage.engine.ids().map(|id| stage.engine.unit(id).name().to_owned()).collect()
}

#[test]
fn the_new_process_is_ready_before_the_old_one_is_told_to_stop() {
    let mut stage = web(service("web").configtest());
    let old = stage.pid("web");
    assert_eq!(stage.restart("web"), ["inspect web for trial", "spawn web trial-configtest"]);
    assert_eq!(stage.passes_as("web", TEST), ["inspect web' for trial", "spawn web' main", "await web'"]);
    assert_eq!(stage.pid("web"), old);
    let new = stage.pid("web'");
    assert_eq!(stage.ready("web'"), ["exchanged web", "SIGTERM web'"]);
    assert_eq!((stage.pid("web"), stage.pid("web'"), stage.phase("web")), (new, old, Phase::Ready));
    assert_eq!(
        stage.dies("web'"),
        ["clear web' SIGTERM", "clean-up web' Overlaps", "forget web'", "reply 2 done"]
    );
    assert_eq!((stage.pid("web"), stage.engine.other_run(stage.id("web"))), (new, None));
    assert_eq!(stage.told(), ["2 Testing", "2 web Passed", "2 Overlapping", "2 Stopping", "2 Starting"]);
    assert_eq!(stage.engine.tally().impossible, 0);
}

#[test]
fn nobody_who_looks_at_the_units_finds_the_hidden_run() {
    let mut stage = web(service("web"));
    stage.restart("web");
    assert!(stage.engine.hidden_of(stage.id("web")).is_some());
    assert_eq!((names(&stage), stage.engine.len()), (vec!["web".to_owned()], 1));
    assert_eq!(stage.engine.ids_by_name(), [stage.id("web")]);
    let other = stage.engine.other_run(stage.id("web")).unwrap();
    assert_eq!((other.which, other.phase), (Which::Successor, Phase::Starting));
    stage.ready("web'");
    let other = stage.engine.other_run(stage.id("web")).unwrap();
    assert_eq!((other.which, other.phase), (Which::Predecessor, Phase::Stopping));
    assert_eq!((names(&stage), stage.engine.len()), (vec!["web".to_owned()], 1));
}

#[test]
fn a_successor_that_exits_with_0_is_a_failure_and_the_old_process_is_not_touched() {
    let mut stage = web(service("web"));
    let old = stage.pid("web");
    stage.restart("web");
    assert_eq!(
        stage.exits("web'", 0),
        [
            "forget web'",
            "clear web' SIGTERM",
            "clean-up web' Overlaps",
            "forget web'",
            "reply 2 aborted: web its successor failed: exited with code 0 before it was ready; undone "
        ]
    );
    assert_eq!((stage.pid("web"), stage.phase("web")), (old, Phase::Ready));
    assert_eq!(stage.engine.hidden_of(stage.id("web")), None);
    assert_eq!(stage.passes(60_000), [""; 0], "and it is not tried again");
}

#[test]
fn a_successor_that_is_not_ready_in_time_or_cannot_be_started_leaves_the_old_one_alone() {
    let mut stage = web(service("web"));
    stage.restart("web");
    assert_eq!(stage.passes(10_000), ["forget web'", "SIGTERM web'"]);
    let orders = stage.dies("web'");
    assert_eq!(
        orders.last().unwrap(),
        "reply 2 aborted: web its successor failed: it was not ready after 10 s; undone "
    );
    stage.spawns = Answer::Never;
    stage.restart("web");
    let orders = stage.spawn_failed("web'", Role::Main, libc::ENOENT);
    assert!(orders.last().unwrap().starts_with("reply 3 aborted: web its successor failed: "), "{orders:?}");
    assert_eq!(stage.phase("web"), Phase::Ready);
}

#[test]
fn a_successor_without_a_readiness_of_its_own_has_to_live_on_for_a_second() {
    let mut stage = Stage::up(vec![service("web").overlap()], "web");
    assert_eq!(stage.restart("web"), ["inspect web for trial", "inspect web' for trial", "spawn web' main"]);
    assert_eq!(stage.passes(999), [""; 0]);
    assert_eq!(stage.passes(1), ["exchanged web", "SIGTERM web'"]);
    stage.dies("web'");
    stage.restart("web");
    let orders = stage.exits("web'", 0);
    let aborted = "reply 3 aborted: web its successor failed: exited with code 0; undone ";
    assert_eq!(orders.last().unwrap(), aborted);
    assert_eq!(stage.phase("web"), Phase::Ready);
}

#[test]
fn the_hooks_of_the_old_process_run_when_the_successor_is_ready() {
    let unit = service("web").pre_start(OnFailure::Fail).post_start(OnFailure::Fail).pre_stop("drain");
    let mut stage = stage(vec![unit.post_stop().notify().overlap()]);
    stage.start("web");
    stage.passes_as("web", Role::PreStart(0));
    stage.ready("web");
    stage.passes_as("web", Role::PostStart(0));
    let old = stage.pid("web");
    stage.restart("web");
    stage.passes_as("web'", Role::PreStart(0));
    stage.ready("web'");
    assert_eq!(stage.passes_as("web'", Role::PostStart(0)), ["spawn web pre-stop0"]);
    assert_eq!(stage.pid("web"), old, "its hook is told of it");
    assert_eq!(stage.passes_as("web", Role::PreStop(0)), ["exchanged web", "SIGTERM web'"]);
    assert_eq!(stage.dies("web'"), ["clear web' SIGTERM", "spawn web' post-stop0"]);
    let orders = stage.passes_as("web'", Role::PostStop(0));
    assert_eq!(orders, ["clean-up web' Overlaps", "forget web'", "reply 2 done"]);
}

#[test]
fn a_hook_that_fails_ends_the_successor_and_its_post_stop_hooks_do_not_run() {
    let mut stage = web(service("web").pre_stop("drain").post_stop());
    let old = stage.pid("web");
    stage.restart("web");
    stage.ready("web'");
    assert_eq!(stage.fails_as("web", Role::PreStop(0)), ["SIGTERM web'"]);
    assert_eq!(
        stage.dies("web'"),
        ["clear web' SIGTERM", "clean-up web' Overlaps", "forget web'", "spawn web undo0"]
    );
    assert_eq!(
        stage.passes_as("web", Role::Undo(0)),
        ["reply 2 aborted: web pre-stop hook 1 exited with code 1; undone web: drain"]
    );
    assert_eq!((stage.pid("web"), stage.phase("web")), (old, Phase::Ready));
}

#[test]
fn a_unit_that_needs_one_that_overlaps_is_not_touched() {
    let mut stage = Stage::up(vec![service("db").overlap(), service("web").needs("db").overlap()], "db web");
    stage.restart("db");
    assert_eq!(stage.passes(1000), ["exchanged db", "SIGTERM db'"]);
    assert_eq!(stage.phase("web"), Phase::Ready);
    stage.dies("db'");
    assert_eq!(stage.told().iter().filter(|line| line.contains("web")).count(), 0);
}

#[test]
fn what_needs_a_unit_that_goes_down_goes_down_with_it_whether_it_overlaps_or_not() {
    let mut stage = Stage::up(vec![service("db"), service("web").needs("db").overlap()], "db web");
    let orders = stage.restart("db web");
    assert_eq!(orders, ["inspect db for trial", "inspect web for trial", "SIGTERM web"]);
    assert_eq!(stage.engine.hidden_of(stage.id("web")), None);
}

#[test]
fn a_unit_that_is_not_up_is_restarted_as_any_other() {
    let mut stage = stage(vec![service("web").overlap().restart(RestartOn::Never)]);
    assert_eq!(
        stage.restart("web"),
        ["inspect web for trial", "inspect web", "spawn web main", "reply 1 done"]
    );
}

#[test]
fn one_request_replaces_the_one_and_stops_the_other() {
    let mut stage = Stage::up(vec![service("a").overlap(), service("b")], "a b");
    stage.restart("a b");
    assert_eq!(
        stage.passes(1000),
        ["exchanged a", "SIGTERM a'", "SIGTERM b"],
        "b is not tested twice so soon"
    );
    stage.dies("b");
    assert_eq!(stage.phase("b"), Phase::Stopped, "all that stops has stopped before the first starts");
    let orders = stage.dies("a'");
    assert_eq!(orders[3..], ["inspect b", "spawn b main", "reply 2 done"]);
}

#[test]
fn what_is_needed_is_not_stopped_under_the_run_that_leaves() {
    let mut stage = Stage::up(vec![service("db"), service("web").needs("db").overlap()], "db web");
    stage.restart("web");
    stage.passes(1000);
    assert_eq!(stage.cascade("db"), ["reply 2 replaced by 3", "SIGTERM web"]);
    assert_eq!(stage.dies("web"), ["clear web SIGTERM", "clean-up web Overlaps"]);
    assert_eq!(stage.phase("db"), Phase::Ready);
    let orders = stage.dies("web'");
    assert_eq!(
        orders,
        ["clear web' SIGTERM", "clean-up web' Overlaps", "forget web'", "clean-up web None", "SIGTERM db"]
    );
    assert_eq!(stage.dies("db").last().unwrap(), "reply 3 done");
}

#[test]
fn a_sync_replaces_a_unit_whose_definition_changed() {
    let draft = || service("web").notify().overlap();
    let mut stage = web(service("web"));
    assert_eq!(
        stage.sync(vec![draft().renewed(), service("new")]),
        [
            "inspect web for trial",
            "inspect new for trial",
            "inspect web' for trial",
            "spawn web' main",
            "await web'"
        ]
    );
    let new = stage.pid("web'");
    stage.ready("web'");
    assert_eq!((stage.pid("web"), stage.phase("new")), (new, Phase::Stopped));
    let orders = stage.dies("web'");
    assert_eq!(orders[2..], ["forget web'", "inspect new", "spawn new main", "reply 2 done"]);
    let nice = |name: &str| {
        let unit = stage.engine.unit(stage.id(name)).unit().cloned();
        unit.unwrap().program().unwrap().process.nice
    };
    assert_eq!(nice("web"), Some(1), "the new definition holds");
    assert_eq!(stage.engine.tally().impossible, 0);
}

#[test]
fn a_sync_does_not_overlap_what_comes_to_need_a_unit_that_is_not_up_yet() {
    let draft = || service("web").notify().overlap().renewed();
    let mut stage = web(service("web"));
    let orders = stage.sync(vec![draft().needs("db"), service("db")]);
    assert_eq!(orders.last().unwrap(), "SIGTERM web");
}

#[test]
fn a_successor_of_a_sync_that_fails_leaves_the_old_definition_in_force() {
    let mut stage = web(service("web"));
    stage.sync(vec![service("web").notify().overlap().renewed()]);
    stage.exits("web'", 1);
    let id = stage.id("web");
    assert_eq!(stage.engine.unit(id).unit().unwrap().program().unwrap().process.nice, None);
    assert!(!stage.engine.is_syncing());
}

#[test]
fn what_a_successor_rendered_is_taken_back_when_it_fails() {
    let mut bad = web(service("web").render());
    let units = vec![bad.id("web")];
    let request = Request::Restart { units, gate: Gate::Skipped, how: RestartHow::Together };
    assert_eq!(bad.request(request.clone()), ["inspect web' for trial", "spawn web' main", "await web'"]);
    let orders = bad.exits("web'", 1);
    assert_eq!(orders[3..5], ["renders web' Restore", "forget web'"]);
    let mut good = web(service("web").render());
    good.request(request);
    assert_eq!(good.ready("web'"), ["renders web' Keep", "exchanged web", "SIGTERM web'"]);
}

#[test]
fn the_plan_says_what_overlaps_and_runs_its_hooks() {
    let stage = Stage::up(
        vec![service("db").overlap().pre_stop("flush"), service("web").needs("db"), service("x")],
        "db web x",
    );
    let units = vec![stage.id("db"), stage.id("x")];
    let request = Request::Restart { units, gate: Gate::Enforced, how: RestartHow::Together };
    let plan = stage.engine.plan(&request).unwrap();
    let of = |names: &[crate::model::UnitName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (of(&plan.overlaps), of(&plan.stops), of(&plan.starts)),
        (of_text("db"), of_text("x"), of_text("x"))
    );
    assert_eq!(plan.hooks.len(), 1);
    assert_eq!(plan.tests.len(), 2);
}

fn of_text(names: &str) -> Vec<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_successor_and_the_hooks_of_the_old_one_are_told_that_it_is_a_restart() {
    let mut stage = web(service("web").stop_command());
    let mut effects = Vec::new();
    let units = vec![stage.id("web")];
    let request = Request::Restart { units, gate: Gate::Skipped, how: RestartHow::Together };
    stage.engine.step(stage.now, Event::Requested { id: RequestId(9), request }, &mut effects);
    let hidden = stage.id("web'");
    for event in [
        Event::Inspected { unit: hidden, purpose: Purpose::Trial, finding: Finding::Met { prepare: vec![] } },
        Event::Spawned { unit: hidden, role: Role::Main, pid: Pid::new(900).unwrap() },
        Event::BecameReady { unit: hidden },
    ] {
        stage.engine.step(stage.now, event, &mut effects);
    }
    let spawns = effects.iter().filter_map(|effect| match effect {
        Effect::Spawn { unit, role, reason, .. } => Some((*unit == hidden, *role, *reason)),
        _ => None,
    });
    let spawns: Vec<_> = spawns.collect();
    assert_eq!(spawns, [(true, Role::Main, Reason::Restart), (true, Role::StopCommand, Reason::Restart)]);
}

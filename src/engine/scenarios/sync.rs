//! A sync touches what the files changed and nothing else, and nothing at all unless every test has passed.

use super::*;
use crate::engine::fixture::{broken, service, target};

const TEST: Role = Role::Trial(Trial::ConfigTest);

#[test]
fn unchanged_files_touch_nothing() {
    let drafts = || vec![service("web").needs("db").configtest(), service("db"), target("all").needs("web")];
    let mut stage = stage(drafts());
    stage.boot("all db web");
    stage.passes_as("web", Role::ConfigTest);
    assert_eq!(stage.sync(drafts()), ["reply 2 done"]);
    assert_eq!(stage.sync(drafts()), ["reply 3 done"]);
    let plan = stage.engine.plan(&Request::Sync { definitions: definitions(drafts()), gate: Gate::Enforced });
    assert_eq!(plan, Ok(crate::engine::Plan::default()));
}

#[test]
fn what_is_new_starts_what_is_gone_stops_and_the_rest_stays() {
    let mut stage = stage(vec![service("a"), service("old")]);
    stage.boot("a old");
    let main = stage.engine.unit(stage.id("a")).main_pid();
    let orders = stage.sync(vec![service("a"), service("new").needs("a")]);
    assert_eq!(orders, ["inspect new for trial", "SIGTERM old"]);
    let gone = stage.id("old");
    let orders = stage.dies("old");
    assert_eq!(
        orders,
        [
            "clear old SIGTERM",
            "clean-up old None",
            format!("forget-id {}", gone.index()).as_str(),
            "inspect new",
            "spawn new main",
            "reply 2 done"
        ]
    );
    assert_eq!(stage.engine.unit(stage.id("a")).main_pid(), main);
    assert_eq!(stage.engine.find("old"), None);
    assert_eq!(stage.phase("new"), Phase::Ready);
}

#[test]
fn one_broken_configuration_refuses_the_whole_set_and_the_old_definitions_hold() {
    let drafts = || vec![service("a").configtest(), service("b"), service("gone")];
    let mut stage = stage(drafts());
    stage.boot("a b gone");
    stage.passes_as("a", Role::ConfigTest);
    stage.sync(vec![
        service("a").configtest().renewed(),
        service("b").renewed(),
        service("new").configtest(),
    ]);
    let promised = UnitId::from_index(3);
    let pid = stage.pids[&(promised, TEST)];
    let (status, unit) = (ExitStatus::exited(1), promised);
    let verdict = Verdict::Failed(Box::new(Complaint { cause: Cause::Status(status), output: Vec::new() }));
    stage.feed(Event::Judged { unit, role: TEST, pid, status, verdict });
    assert_eq!(stage.orders(), [""; 0], "the other test is not through");
    assert_eq!(
        stage.passes_as("a", TEST),
        ["reply 2 refused: new: the configuration test exited with code 1"]
    );
    for name in ["a", "b", "gone"] {
        assert_eq!(stage.phase(name), Phase::Ready, "{name}");
    }
    assert_eq!((stage.engine.find("new"), stage.engine.is_syncing()), (None, false));
    assert_eq!(stage.sync(drafts()), ["reply 3 done"], "the old definitions hold");
}

#[test]
fn a_changed_unit_is_tested_by_its_new_definition_and_stopped_by_its_old_one() {
    let mut stage = stage(vec![service("db").stop_steps(&[Signal::INT])]);
    stage.boot("db");
    let new = || vec![service("db").renewed().configtest().stop_steps(&[Signal::QUIT])];
    assert_eq!(stage.sync(new()), ["inspect db for trial", "spawn db trial-configtest"]);
    assert_eq!(stage.passes_as("db", TEST), ["SIGINT db"]);
    let orders = stage.dies("db");
    assert_eq!(orders[2..], ["inspect db", "spawn db main", "reply 2 done"], "it was tested");
    assert_eq!(stage.stop("db"), ["SIGQUIT db"]);
}

#[test]
fn what_runs_and_needs_a_changed_unit_restarts_with_it() {
    let mut stage = stage(vec![service("web").needs("db"), service("db"), service("other")]);
    stage.boot("web db other");
    stage.sync(vec![service("web").needs("db"), service("db").renewed(), service("other")]);
    stage.orders();
    assert_eq!(stage.phase("web"), Phase::Stopping);
    stage.dies("web");
    let orders = stage.dies("db");
    assert_eq!(orders[2..], ["inspect db", "spawn db main", "inspect web", "spawn web main", "reply 2 done"]);
    assert_eq!(stage.phase("other"), Phase::Ready);
}

#[test]
fn a_need_that_is_dropped_together_with_its_unit_costs_no_restart() {
    let mut stage = stage(vec![service("web").needs("cache"), service("cache")]);
    stage.boot("web cache");
    assert_eq!(stage.sync(vec![service("web")]), ["SIGTERM cache"]);
    let orders = stage.dies("cache");
    assert_eq!(orders.last().map(String::as_str), Some("reply 2 done"));
    assert_eq!((stage.phase("web"), stage.engine.len()), (Phase::Ready, 1));
}

#[test]
fn a_need_that_is_added_to_a_unit_that_runs_is_started_and_the_unit_stays() {
    let mut stage = stage(vec![service("web")]);
    stage.boot("web");
    let main = stage.engine.unit(stage.id("web")).main_pid();
    let orders = stage.sync(vec![service("web").needs("db"), service("db")]);
    assert_eq!(orders, ["inspect db for trial", "inspect db", "spawn db main", "reply 2 done"]);
    assert_eq!(stage.engine.unit(stage.id("web")).main_pid(), main);
    assert_eq!(stage.stop("db"), ["reply 3 refused: db needed by web"]);
}

#[test]
fn a_unit_that_was_stopped_by_hand_takes_its_change_and_stays_down() {
    let mut stage = stage(vec![service("a")]);
    stage.boot("a");
    stage.stop("a");
    stage.dies("a");
    assert_eq!(stage.sync(vec![service("a").renewed()]), ["reply 3 done"]);
    assert_eq!(stage.phase("a"), Phase::Stopped);
    assert_eq!(stage.start("a"), ["inspect a", "spawn a main", "reply 4 done"]);
}

#[test]
fn a_unit_that_was_mended_is_started() {
    let mut stage = stage(vec![broken("a"), service("b").needs("a")]);
    stage.boot("a b");
    let orders = stage.sync(vec![service("a"), service("b").needs("a")]);
    assert!(orders.contains(&"spawn a main".to_owned()), "{orders:?}");
    assert_eq!(stage.phase("a"), Phase::Ready);
}

#[test]
fn a_second_sync_is_refused_while_one_is_on_its_way() {
    let mut stage = stage(vec![service("a")]);
    stage.boot("a");
    stage.sync(vec![service("a").renewed()]);
    assert_eq!(stage.sync(vec![service("a")]), ["reply 3 refused: a sync is on its way"]);
    stage.dies("a");
    assert_eq!(stage.phase("a"), Phase::Ready);
    assert_eq!(stage.sync(vec![service("a").renewed()]), ["reply 4 done"]);
}

#[test]
fn a_sync_that_is_given_up_has_never_happened() {
    let mut stage = Stage::up(vec![service("a").pre_stop("drain")], "a");
    stage.sync(vec![service("a").pre_stop("drain").renewed(), service("new")]);
    assert!(stage.engine.is_syncing());
    stage.abandon(2);
    stage.ends("a", Role::PreStop(0), ExitStatus::killed(Signal::KILL));
    assert!(stage.engine.is_syncing(), "what its hook did is being undone");
    stage.passes_as("a", Role::Undo(0));
    assert_eq!((stage.phase("a"), stage.engine.find("new")), (Phase::Ready, None));
    assert!(!stage.engine.is_syncing());
}

#[test]
fn the_plan_of_a_sync_names_all_that_it_would_touch() {
    let mut stage = stage(vec![service("a").pre_stop("drain"), service("b"), service("gone"), service("c")]);
    stage.boot("a b gone c");
    let new = vec![
        service("a").pre_stop("drain").renewed().configtest(),
        service("b").wants("new"),
        service("c"),
        service("new").after("a"),
    ];
    let plan =
        stage.engine.plan(&Request::Sync { definitions: definitions(new), gate: Gate::Enforced }).unwrap();
    let names = |list: &[crate::model::UnitName]| {
        list.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&plan.stops), "gone a");
    assert_eq!(names(&plan.starts), "a new");
    assert_eq!(
        (names(&plan.added), names(&plan.removed), names(&plan.in_place)),
        ("new".into(), "gone".into(), "b".into())
    );
    assert_eq!(plan.hooks.len(), 1);
    assert_eq!(plan.tests.len(), 2);
}

#[test]
fn what_was_not_touched_still_stops_in_its_order() {
    let mut stage = stage(vec![service("web").needs("db"), service("db"), service("old")]);
    stage.boot("web db old");
    stage.sync(vec![service("web").needs("db"), service("db"), service("new")]);
    stage.dies("old");
    assert_eq!(stage.phase("new"), Phase::Ready);
    let orders = stage.cascade("db");
    assert_eq!(orders, ["SIGTERM web"]);
    stage.dies("web");
    stage.dies("db");
    let orders = stage.shutdown();
    assert_eq!(orders, ["reply 4 done", "SIGTERM new"], "it is still counted among those that are up");
}

#[test]
fn nothing_is_added_past_a_sync_that_is_on_its_way() {
    let mut stage = stage(vec![service("a")]);
    stage.boot("a");
    stage.sync(vec![service("a"), service("new").configtest()]);
    stage.engine.extend(fixture::entries(vec![service("new"), service("other")]));
    assert_eq!((stage.engine.find("new"), stage.engine.find("other"), stage.engine.len()), (None, None, 1));
    stage.abandon(2);
    let (unit, role, status) = (UnitId::from_index(1), TEST, ExitStatus::killed(Signal::KILL));
    let verdict = Verdict::Failed(Box::new(Complaint { cause: Cause::Status(status), output: Vec::new() }));
    let pid = stage.pids[&(unit, role)];
    stage.feed(Event::Judged { unit, role, pid, status, verdict });
    stage.engine.extend(fixture::entries(vec![service("other")]));
    assert!(stage.engine.find("other").is_some());
}

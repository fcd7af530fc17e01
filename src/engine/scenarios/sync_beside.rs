//! A sync beside other requests: what they hold is theirs, and nobody learns of a unit that is no more.

use super::*;
use crate::engine::fixture::service;
use crate::model::unit::Kill;

#[test]
fn a_stop_that_waits_for_an_edge_goes_on_when_a_sync_drops_it() {
    let mut stage = stage(vec![service("web").needs("db"), service("db")]);
    stage.boot("web db");
    assert_eq!(stage.cascade("db"), ["SIGTERM web"]);
    let orders = stage.sync(vec![service("web"), service("db")]);
    assert!(orders.contains(&"SIGTERM db".to_owned()), "{orders:?}");
}

#[test]
fn a_sync_that_brings_what_conflicts_with_a_unit_that_is_up_is_answered() {
    let mut stage = stage(vec![service("a")]);
    stage.boot("a");
    let orders = stage.sync(vec![service("a"), service("b").conflicts("a")]);
    assert!(orders.iter().any(|order| order.starts_with("reply 2 failed: b")), "{orders:?}");
    assert_eq!((stage.phase("a"), stage.phase("b")), (Phase::Ready, Phase::Failed));
}

#[test]
fn nobody_begins_with_a_unit_of_a_sync_before_its_definitions_hold() {
    let mut stage = stage(vec![service("a"), service("b")]);
    stage.boot("a b");
    stage.sync(vec![service("a").renewed()]);
    let orders = stage.restart("a");
    assert!(orders.iter().any(|order| order.starts_with("reply 3 refused")), "{orders:?}");
    stage.dies("a");
    stage.dies("b");
    assert!(stage.restart("a").contains(&"SIGTERM a".to_owned()));
}

#[test]
fn a_sync_changes_nothing_under_a_request_that_has_begun_with_it() {
    let mut stage = Stage::up(vec![service("a").pre_stop("drain")], "a");
    stage.restart("a");
    let orders = stage.sync(vec![service("a").pre_stop("flush")]);
    assert!(orders.iter().any(|order| order.starts_with("reply 3 refused")), "{orders:?}");
}

#[test]
fn a_stop_is_not_taken_back_by_a_sync_that_was_on_its_way_before_it() {
    let mut stage = stage(vec![service("a"), service("b")]);
    stage.boot("a b");
    stage.sync(vec![service("a").renewed(), service("b").renewed()]);
    let orders = stage.stop("b");
    assert!(orders.iter().any(|order| order.starts_with("reply 2 replaced")), "{orders:?}");
    stage.dies("b");
    stage.dies("a");
    assert_eq!((stage.phase("a"), stage.phase("b")), (Phase::Ready, Phase::Stopped));
}

#[test]
fn a_unit_that_a_restart_holds_down_does_not_come_up_after_a_sync_removed_it() {
    let mut stage = stage(vec![service("web").needs("db"), service("db")]);
    stage.boot("web db");
    stage.restart("db");
    stage.dies("web");
    stage.sync(vec![service("db")]);
    let orders = stage.dies("db");
    assert!(!orders.iter().any(|order| order.contains("web")), "{orders:?}");
    assert_eq!((stage.phase("db"), stage.engine.find("web")), (Phase::Ready, None));
}

#[test]
fn a_roll_passes_over_a_unit_that_a_sync_removed() {
    let mut stage = stage(vec![service("a"), service("b")]);
    stage.boot("a b");
    stage.roll("a b");
    stage.sync(vec![service("a")]);
    stage.dies("b");
    stage.dies("a");
    assert_eq!(stage.passes(1_000), ["reply 2 done"]);
    assert_eq!(stage.phase("a"), Phase::Ready);
}

#[test]
fn a_unit_that_comes_to_need_one_that_goes_down_does_not_wait_for_ever() {
    let mut stage = stage(vec![service("db"), service("slow").notify(), service("web").needs("slow")]);
    stage.boot("db slow web");
    stage.stop("db");
    stage.sync(vec![service("db"), service("slow").notify(), service("web").needs("slow db")]);
    assert_eq!((stage.phase("db"), stage.phase("web")), (Phase::Stopping, Phase::Waiting));
    stage.dies("db");
    assert_eq!(stage.phase("web"), Phase::Failed);
}

#[test]
fn two_stops_during_the_stops_of_a_sync_run_the_hooks_once() {
    let web = || service("web").pre_stop("drain");
    let mut stage = Stage::up(vec![web(), service("a")], "web a");
    stage.sync(vec![web().restart_policy(|restart| restart.limit = 9), service("a").renewed()]);
    assert_eq!(stage.stop("web"), ["spawn web pre-stop0"]);
    assert_eq!(stage.stop("web"), [""; 0]);
}

#[test]
fn a_sync_that_makes_two_units_conflict_which_are_up_is_refused() {
    let mut stage = Stage::up(vec![service("a"), service("b")], "a b");
    let refused = |n| [format!("reply {n} refused: b conflicts with a, which is up; stop that first")];
    assert_eq!(stage.sync(vec![service("a"), service("b").conflicts("a")]), refused(2));
    assert_eq!(stage.sync(vec![service("a"), service("b").conflicts("a").renewed()]), refused(3));
    assert_eq!((stage.phase("a"), stage.phase("b")), (Phase::Ready, Phase::Ready));
    assert_eq!(stage.sync(vec![service("b").conflicts("a")])[0], "SIGTERM a", "what goes is in nobody's way");
}

#[test]
fn an_endless_stop_has_an_end_when_new_files_say_so() {
    let mut stage = Stage::up(vec![service("a").kill(Kill::Never).stop_steps(&[])], "a");
    stage.stop("a");
    assert_eq!(stage.passes(3_600_000), [""; 0]);
    stage.sync(vec![service("a").stop_steps(&[])]);
    assert!(stage.passes(0).contains(&"SIGKILL a group".to_owned()));
}

#[test]
fn what_comes_to_need_a_unit_that_a_restart_takes_down_goes_down_and_up_with_it() {
    let mut stage = Stage::up(vec![service("db"), service("web"), service("app").needs("web")], "db app");
    stage.restart("db");
    let orders = stage.sync(vec![service("db"), service("web").needs("db"), service("app").needs("web")]);
    assert!(orders.contains(&"SIGTERM app".to_owned()), "{orders:?}");
    stage.dies("app");
    stage.dies("web");
    stage.dies("db");
    assert_eq!(["db", "web", "app"].map(|unit| stage.phase(unit)), [Phase::Ready; 3]);
}

#[test]
fn what_comes_to_need_a_unit_that_is_stopped_goes_down_with_it() {
    let mut stage = stage(vec![service("log").needs("db"), service("db"), service("web")]);
    stage.boot("log db web");
    stage.cascade("db");
    let orders = stage.sync(vec![service("log").needs("db"), service("db"), service("web").needs("db")]);
    assert!(orders.contains(&"SIGTERM web".to_owned()), "{orders:?}");
    stage.dies("web");
    assert!(stage.dies("log").contains(&"SIGTERM db".to_owned()));
}

//! While a sync is at its stops some units go by old files and the others by new ones.

use super::*;
use crate::engine::fixture::service;
use crate::model::unit::{Kill, RestartOn};

#[test]
fn old_and_new_files_that_lead_back_to_each_other_still_order_the_stops() {
    let mut stage = Stage::up(vec![service("old").needs("new"), service("new")], "old");
    let orders = stage.sync(vec![service("old").renewed(), service("new").needs("old")]);
    assert_eq!(orders.last().unwrap(), "SIGTERM new");
    assert!(!orders.contains(&"SIGTERM old".to_owned()), "{orders:?}");
    assert!(stage.dies("new").contains(&"SIGTERM old".to_owned()));
    stage.dies("old");
    assert_eq!(["old", "new"].map(|unit| stage.phase(unit)), [Phase::Ready; 2]);
}

#[test]
fn what_waits_for_a_unit_that_the_sync_starts_after_its_stops_is_not_given_up() {
    let drafts = |needs: &str| vec![service("db"), service("slow").notify(), service("web").needs(needs)];
    let mut stage = stage([drafts("slow"), vec![service("gone")]].concat());
    stage.boot("slow web gone");
    let orders = stage.sync(drafts("slow db"));
    assert!(orders.contains(&"SIGTERM gone".to_owned()), "{orders:?}");
    stage.ready("slow");
    assert_eq!(stage.phase("web"), Phase::Waiting);
    stage.dies("gone");
    assert_eq!(["db", "web"].map(|unit| stage.phase(unit)), [Phase::Ready; 2]);
}

#[test]
fn an_essential_unit_decides_the_end_by_the_definition_by_which_it_ended() {
    let drafts = vec![
        service("db").restart(RestartOn::Never),
        service("app").needs("db").essential(),
        service("other"),
    ];
    let mut stage = Stage::up(drafts, "app other");
    stage.exits("db", 0);
    stage.sync(vec![service("other")]);
    let orders = stage.dies("app");
    assert_eq!(orders.last().unwrap(), "SIGTERM other");
    stage.dies("other");
    stage.feed(Event::NobodyLeft);
    assert_eq!(stage.orders(), ["exit Exit 143 by app"], "and whoever decided it has its name");
}

#[test]
fn a_daemon_gets_the_time_that_it_asked_for_also_where_new_files_say_that_it_may_be_killed() {
    let mut stage = Stage::up(vec![service("a").kill(Kill::Never).stop_steps(&[])], "a");
    stage.stop("a");
    stage.feed(Event::TimeoutExtended { unit: stage.id("a"), by: Duration::from_secs(5) });
    assert_eq!(stage.passes(1000), [""; 0]);
    stage.sync(vec![service("a").stop_steps(&[])]);
    assert_eq!(stage.passes(3999), [""; 0]);
    assert!(stage.passes(1).contains(&"SIGKILL a group".to_owned()));
}

#[test]
fn the_time_that_an_endless_stop_asks_for_does_not_end_it() {
    let mut stage = Stage::up(vec![service("a").kill(Kill::Never).stop_steps(&[])], "a");
    stage.stop("a");
    stage.feed(Event::TimeoutExtended { unit: stage.id("a"), by: Duration::from_secs(5) });
    assert_eq!(stage.passes(60_000), [""; 0]);
    assert_eq!(stage.phase("a"), Phase::Stopping);
}

#[test]
fn a_new_main_process_of_a_stop_whose_step_new_files_took_away_is_told_what_comes_next() {
    let mut stage = Stage::up(vec![service("a").stop_steps(&[Signal::TERM])], "a");
    assert_eq!(stage.stop("a"), ["SIGTERM a"]);
    stage.sync(vec![service("a").stop_steps(&[])]);
    stage.feed(Event::MainPidChanged { unit: stage.id("a"), pid: Pid::new(77).unwrap() });
    assert!(stage.orders().contains(&"SIGKILL a group".to_owned()));
}

#[test]
fn what_a_sync_has_removed_does_not_start_though_a_restart_wished_it_up_meanwhile() {
    let drafts = |mid: Draft| vec![mid, service("new").wants("mid").configtest()];
    let mut stage = Stage::up([drafts(service("mid").wants("old")), vec![service("old")]].concat(), "mid");
    stage.restart("new");
    let definitions = Definitions { boot: Vec::new(), ..definitions(drafts(service("mid").renewed())) };
    stage.request(Request::Sync { definitions, gate: Gate::Enforced });
    stage.passes_as("new", Role::Trial(Trial::ConfigTest));
    assert!(stage.dies("mid").contains(&"SIGTERM old".to_owned()));
    let orders = stage.dies("old");
    assert!(!orders.iter().any(|order| order.contains("inspect old")), "{orders:?}");
    assert_eq!((stage.phase("mid"), stage.engine.find("old")), (Phase::Ready, None));
}

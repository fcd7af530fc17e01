//! The two runs of a unit, where new files give the one other neighbours than the other, or one of them is gone.

use super::*;
use crate::engine::fixture::service;
use crate::model::unit::OnFailure;

const TEST: Role = Role::Trial(Trial::ConfigTest);

fn web() -> Draft {
    service("web").notify().overlap()
}

#[test]
fn what_only_the_process_that_was_replaced_needs_is_not_stopped_under_it() {
    let mut stage = stage(vec![service("db"), web().needs("db")]);
    stage.start("web");
    stage.ready("web");
    stage.restart("web");
    assert_eq!(stage.ready("web'"), ["exchanged web", "SIGTERM web'"]);
    let orders = stage.sync(vec![web()]);
    assert!(!orders.contains(&"SIGTERM db".to_owned()), "{orders:?}");
    assert!(stage.dies("web'").contains(&"SIGTERM db".to_owned()));
    assert_eq!(stage.dies("db").last().unwrap(), "reply 3 done");
    assert_eq!((stage.phase("web"), stage.engine.find("db")), (Phase::Ready, None));
}

#[test]
fn a_successor_waits_for_what_only_its_new_files_say_that_it_comes_after() {
    let mut stage = stage(vec![web(), service("slow").notify()]);
    stage.start("web slow");
    stage.ready("web");
    let orders = stage.sync(vec![web().renewed().after("slow"), service("slow").notify()]);
    assert!(!orders.contains(&"spawn web' main".to_owned()), "{orders:?}");
    assert!(stage.ready("slow").contains(&"spawn web' main".to_owned()));
    assert_eq!(stage.ready("web'"), ["exchanged web", "SIGTERM web'"]);
}

#[test]
fn a_successor_whose_new_need_has_ended_meanwhile_is_given_up() {
    let db = || service("db").restart(crate::model::unit::RestartOn::Never);
    let mut stage = stage(vec![web(), service("slow").notify(), db()]);
    stage.start("web slow db");
    stage.ready("web");
    let old = stage.pid("web");
    stage.sync(vec![web().renewed().needs("db").after("slow"), service("slow").notify(), db()]);
    stage.exits("db", 0);
    stage.ready("slow");
    assert_eq!((stage.phase("web"), stage.pid("web")), (Phase::Ready, old));
    assert_eq!(stage.engine.hidden_of(stage.id("web")), None);
}

#[test]
fn a_unit_that_serves_no_longer_is_restarted_and_what_it_takes_along_is_tested_first() {
    let mut stage = stage(vec![web().configtest(), service("app").needs("web").configtest()]);
    stage.start("app");
    stage.passes_as("web", Role::ConfigTest);
    stage.ready("web");
    stage.passes_as("app", Role::ConfigTest);
    assert_eq!(stage.phase("app"), Phase::Ready);
    stage.restart("web");
    stage.exits("web", 1);
    let orders = stage.passes_as("web", TEST);
    assert!(orders.contains(&"spawn app trial-configtest".to_owned()), "{orders:?}");
    assert!(!orders.contains(&"SIGTERM app".to_owned()), "{orders:?}");
    stage.passes_as("web", TEST);
    assert!(stage.passes_as("app", TEST).contains(&"SIGTERM app".to_owned()));
}

#[test]
fn a_successor_does_not_wait_for_what_its_new_files_need_no_more() {
    let mut stage = stage(vec![web(), service("db")]);
    stage.start("web");
    stage.ready("web");
    // No boot starts what it needs now.
    let mut sync = |web: Draft| {
        let definitions = Definitions { boot: Vec::new(), ..definitions(vec![web, service("db")]) };
        stage.request(Request::Sync { definitions, gate: Gate::Enforced })
    };
    sync(web().needs("db"));
    let orders = sync(web().renewed());
    assert!(orders.contains(&"spawn web' main".to_owned()), "{orders:?}");
    assert_eq!(stage.ready("web'"), ["exchanged web", "SIGTERM web'"]);
}

#[test]
fn a_successor_whose_new_need_goes_away_while_it_prepares_waits_anew() {
    let web = || web().pre_start(OnFailure::Fail);
    let mut stage = stage(vec![web(), service("db").notify()]);
    stage.start("web db");
    stage.passes_as("web", Role::PreStart(0));
    stage.ready("web");
    stage.ready("db");
    let orders = stage.sync(vec![web().renewed().needs("db"), service("db").notify()]);
    assert!(orders.contains(&"spawn web' pre-start0".to_owned()), "{orders:?}");
    stage.exits("db", 1);
    let orders = stage.passes_as("web'", Role::PreStart(0));
    assert!(!orders.contains(&"spawn web' main".to_owned()), "{orders:?}");
    assert!(stage.passes(2_000).contains(&"spawn db main".to_owned()));
    assert!(stage.ready("db").contains(&"spawn web' pre-start0".to_owned()));
    assert!(stage.passes_as("web'", Role::PreStart(0)).contains(&"spawn web' main".to_owned()));
    assert_eq!(stage.ready("web'"), ["exchanged web", "SIGTERM web'"]);
}

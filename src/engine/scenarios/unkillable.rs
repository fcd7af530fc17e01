//! A process that the kernel holds outlives KILL: nobody waits for it, and all goes on once it has ended.

use super::*;
use crate::engine::fixture::{Draft, service};

const KILLED: ExitStatus = ExitStatus::killed(Signal::KILL);
const HELD: &str = "failed: db it was sent SIGKILL and has not ended; the kernel holds it";

fn db() -> Draft {
    service("db").stop_steps(&[])
}

#[test]
fn whoever_waits_for_it_is_answered_when_its_time_is_over_and_whoever_asks_later_at_once() {
    let mut stage = stage(vec![db()]);
    stage.start("db");
    stage.stop("db");
    assert_eq!(stage.passes(5000), [format!("reply 2 {HELD}")]);
    assert_eq!(stage.noted().len(), 1);
    assert_eq!(stage.stop("db"), [format!("reply 3 {HELD}")]);
    assert_eq!(stage.start("db"), [format!("reply 4 {HELD}")]);
    assert_eq!(stage.restart("db")[1..], [format!("reply 5 {HELD}")]);
    assert_eq!(
        stage.ends("db", Role::Main, KILLED)[1..],
        ["clean-up db Follows", "inspect db", "spawn db main"]
    );
    assert_eq!(stage.phase("db"), Phase::Ready, "it was wished up last");
}

#[test]
fn a_restart_lets_go_of_the_units_that_it_held_down() {
    let mut stage =
        stage(vec![service("web").needs("db"), db(), service("log"), service("agent").needs("web")]);
    stage.start("web db log agent");
    stage.restart("db log");
    stage.dies("agent");
    stage.dies("web");
    stage.dies("log");
    assert_eq!(stage.phase("db"), Phase::Killing);
    assert_eq!(stage.phase("log"), Phase::Stopped);
    assert_eq!(stage.why("log")[0], "log is held down by a restart that still stops db");
    let orders = stage.passes(5000);
    assert!(orders.contains(&format!("reply 2 {HELD}")), "{orders:?}");
    assert_eq!(stage.phase("log"), Phase::Ready);
    assert_eq!((stage.phase("web"), stage.phase("agent")), (Phase::Waiting, Phase::Waiting));
    assert_eq!(stage.why("web")[0], "web waits for db, which it needs");
    stage.ends("db", Role::Main, KILLED);
    assert_eq!((stage.phase("db"), stage.phase("agent")), (Phase::Ready, Phase::Ready));
}

#[test]
fn a_sync_is_given_up_and_the_next_one_may_come() {
    let mut stage = Stage::up(vec![db(), service("log")], "db log");
    stage.sync(vec![db().renewed(), service("log")]);
    assert_eq!(stage.passes(5000), [format!("reply 2 {HELD}")]);
    assert!(!stage.engine.is_syncing());
    stage.ends("db", Role::Main, KILLED);
    assert_eq!(stage.phase("db"), Phase::Ready);
    stage.sync(vec![db().renewed(), service("log")]);
    assert_eq!(stage.ends("db", Role::Main, KILLED).last().map(String::as_str), Some("reply 3 done"));
}

#[test]
fn why_tells_of_what_will_be() {
    let mut stage = stage(vec![db()]);
    stage.start("db");
    stage.stop("db");
    stage.passes(5000);
    assert_eq!(stage.why("db")[1], "nobody waits for that any longer; db is stopped once it has ended");
}

#[test]
fn a_restart_lets_go_of_what_it_holds_when_a_process_that_was_replaced_outlives_kill() {
    let mut stage = stage(vec![service("web").notify().overlap().stop_steps(&[]), service("log")]);
    stage.start("web log");
    stage.ready("web");
    stage.restart("web log");
    stage.ready("web'");
    let orders = stage.passes(5000);
    assert!(orders.iter().any(|order| order.starts_with("reply 2 failed: web")), "{orders:?}");
    stage.dies("log");
    assert_eq!((stage.phase("web"), stage.phase("log")), (Phase::Ready, Phase::Ready));
}

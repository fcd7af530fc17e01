//! What comes between the two processes of an overlapping restart: ends, other wishes, a roll, a shutdown.

use super::*;
use crate::engine::fixture::service;
use crate::model::unit::{Kill, RestartOn};

/// A unit that says itself when it is ready, and is up.
fn up(drafts: Vec<Draft>, names: &str) -> Stage {
    let mut stage = stage(drafts.into_iter().map(|draft| draft.notify().overlap()).collect());
    stage.start(names);
    for name in names.split_whitespace() {
        stage.ready(name);
        assert_eq!(stage.phase(name), Phase::Ready);
    }
    stage.told();
    stage
}

fn web() -> Stage {
    up(vec![service("web")], "web")
}

fn last(orders: &[String]) -> &str {
    orders.last().map_or("nothing", String::as_str)
}

#[test]
fn a_unit_whose_process_ends_waits_for_its_successor_which_takes_its_place() {
    let mut stage = up(vec![service("web").restart(RestartOn::Never).essential()], "web");
    stage.restart("web");
    assert_eq!(stage.exits("web", 1), ["clear web SIGTERM", "clean-up web Overlaps"]);
    assert_eq!(stage.phase("web"), Phase::Waiting);
    assert!(stage.why("web")[0].contains("its successor"), "{:?}", stage.why("web"));
    assert_eq!(stage.passes(5_000), [""; 0], "it is not started beside its successor");
    let new = stage.pid("web'");
    assert_eq!(stage.ready("web'"), ["exchanged web", "forget web'", "reply 2 done"]);
    assert_eq!((stage.phase("web"), stage.pid("web")), (Phase::Ready, new));
    assert_eq!(stage.engine.tally().impossible, 0);
}

#[test]
fn a_unit_whose_process_ends_beside_a_ready_successor_is_replaced_whatever_the_request_waits_for() {
    let mut stage = up(vec![service("web").pre_stop("drain"), service("slow")], "web slow");
    stage.restart("web slow");
    stage.ready("web'");
    let new = stage.pid("web'");
    assert_eq!(
        stage.exits("web", 1),
        ["clear web SIGTERM", "exchanged web", "clean-up web' Overlaps", "forget web'"]
    );
    assert_eq!((stage.phase("web"), stage.pid("web")), (Phase::Ready, new));
    assert_eq!(stage.ready("slow'"), ["exchanged slow", "SIGTERM slow'"]);
    assert_eq!(last(&stage.dies("slow'")), "reply 2 done");
    assert_eq!(stage.engine.tally().impossible, 0);
}

#[test]
fn a_hook_of_a_process_that_ended_is_over_before_its_successor_takes_over() {
    let mut stage = up(vec![service("web").pre_stop("drain")], "web");
    stage.restart("web");
    assert_eq!(stage.ready("web'"), ["spawn web pre-stop0"]);
    let orders = stage.exits("web", 1);
    assert_eq!(orders, ["SIGKILL web group", "clear web SIGTERM", "clean-up web Overlaps"]);
    let orders = stage.ends("web", Role::PreStop(0), ExitStatus::killed(Signal::KILL));
    assert_eq!(orders, ["exchanged web", "forget web'", "reply 2 done"]);
    assert_eq!(stage.phase("web"), Phase::Ready);
    assert_eq!(stage.engine.tally().impossible, 0);
}

#[test]
fn a_unit_that_lost_both_processes_is_tried_once_more_and_then_as_its_policy_says() {
    let mut stage = web();
    stage.restart("web");
    stage.exits("web", 1);
    let orders = stage.exits("web'", 1);
    assert!(orders.contains(&"spawn web main".to_owned()), "{orders:?}");
    let failed =
        "reply 2 failed: web its successor failed: exited with code 1 before it was ready (again in 0ns)";
    assert!(orders.contains(&failed.to_owned()), "{orders:?}");
    stage.exits("web", 1);
    assert_eq!(stage.phase("web"), Phase::Backoff);
}

#[test]
fn whoever_gives_up_before_the_exchange_has_the_successor_stopped_and_later_nothing() {
    let mut stage = web();
    let old = stage.pid("web");
    stage.restart("web");
    assert_eq!(stage.abandon(2), ["reply 3 done", "forget web'", "SIGTERM web'"]);
    assert_eq!(last(&stage.dies("web'")), "reply 2 abandoned; undone ");
    assert_eq!((stage.phase("web"), stage.pid("web")), (Phase::Ready, old));
    stage.restart("web");
    stage.ready("web'");
    assert_eq!(stage.abandon(4), ["reply 5 done"]);
    assert_eq!(last(&stage.dies("web'")), "reply 4 done");
}

#[test]
fn a_successor_whose_process_is_only_ordered_is_waited_for_when_it_is_given_up() {
    let mut stage = web();
    stage.spawns = Answer::Never;
    stage.restart("web");
    assert_eq!(stage.abandon(2), ["reply 3 done"]);
    let (unit, pid) = (stage.id("web'"), Pid::new(77).unwrap());
    stage.feed(Event::Spawned { unit, role: Role::Main, pid });
    assert_eq!(stage.orders(), ["SIGTERM web'"]);
    stage.feed(Event::Exited { unit, role: Role::Main, pid, status: ExitStatus::exited(0) });
    assert_eq!(last(&stage.orders()), "reply 2 abandoned; undone ");
}

#[test]
fn a_stop_ends_the_successor_first_and_then_the_unit() {
    let mut stage = web();
    stage.restart("web");
    assert_eq!(stage.stop("web"), ["forget web'", "SIGTERM web'"]);
    let orders = stage.dies("web'");
    assert_eq!(orders[3..], ["reply 2 replaced by 3", "SIGTERM web"]);
    assert_eq!(last(&stage.dies("web")), "reply 3 done");
    assert_eq!(stage.phase("web"), Phase::Stopped);
}

#[test]
fn a_unit_is_stopped_when_both_of_its_processes_are() {
    let mut stage = web();
    stage.restart("web");
    stage.ready("web'");
    assert_eq!(stage.stop("web"), ["reply 2 replaced by 3", "SIGTERM web"]);
    assert_eq!(stage.dies("web"), ["clear web SIGTERM", "clean-up web Overlaps"]);
    let orders = stage.dies("web'");
    assert_eq!(orders[2..], ["forget web'", "clean-up web None", "reply 3 done"]);
}

#[test]
fn a_second_restart_is_refused_until_the_first_has_come_to_its_end() {
    let mut stage = web();
    stage.restart("web");
    let busy = |n| {
        let words = "another request is busy with web and has not stopped it yet; `sexton why web` tells how far it is";
        format!("reply {n} refused: {words}")
    };
    assert_eq!(stage.restart("web"), [busy(3)]);
    stage.ready("web'");
    assert_eq!(stage.restart("web"), [busy(4)]);
    assert_eq!(stage.start("web"), ["reply 5 done"]);
    stage.dies("web'");
    assert_eq!(stage.restart("web").len(), 4);
}

#[test]
fn a_unit_that_crashes_while_the_old_process_leaves_comes_back_by_itself() {
    let mut stage = web();
    stage.restart("web");
    stage.ready("web'");
    let orders = stage.exits("web", 1);
    assert!(last(&orders).starts_with("reply 2 failed: web exited with code 1"), "{orders:?}");
    assert_eq!(stage.passes(200), ["inspect web", "spawn web main", "await web"]);
    stage.ready("web");
    assert_eq!(stage.dies("web'"), ["clear web' SIGTERM", "clean-up web' Overlaps", "forget web'"]);
    assert_eq!(stage.phase("web"), Phase::Ready);
    assert_eq!(stage.engine.tally().impossible, 0);
}

#[test]
fn a_unit_that_has_lost_what_it_needs_gives_up_its_successor() {
    let drafts = vec![service("db").restart(RestartOn::Never), service("web").needs("db")];
    let mut stage = up(drafts, "db web");
    stage.restart("web");
    let orders = stage.exits("db", 1);
    assert!(orders.contains(&"SIGTERM web'".to_owned()), "{orders:?}");
    assert!(orders.contains(&"SIGTERM web".to_owned()), "{orders:?}");
    stage.dies("web");
    let orders = stage.dies("web'");
    assert_eq!(last(&orders), "reply 2 aborted: web it needs db, which is not up; undone ");
    assert_eq!(stage.phase("web"), Phase::Failed);
}

#[test]
fn a_shutdown_takes_both_down_whichever_it_meets() {
    for is_ready in [false, true] {
        let mut stage = web();
        stage.restart("web");
        if is_ready {
            stage.ready("web'");
        }
        let orders = stage.shutdown();
        assert!(orders.contains(&"reply 2 shutting-down".to_owned()), "{orders:?}");
        stage.dies("web");
        let orders = stage.dies("web'");
        assert!(orders.contains(&"everybody SIGTERM".to_owned()), "{orders:?}");
        assert_eq!(stage.engine.tally().impossible, 0);
    }
}

#[test]
fn a_second_wish_to_shut_down_kills_both() {
    let mut stage = web();
    stage.restart("web");
    stage.ready("web'");
    stage.shutdown();
    let orders = stage.shutdown();
    for killed in ["SIGKILL web group", "SIGKILL web' group"] {
        assert!(orders.contains(&killed.to_owned()), "{orders:?}");
    }
}

#[test]
fn an_old_process_that_outlives_kill_is_told_of_and_waited_for_no_longer() {
    let mut stage = up(vec![service("web").stop_steps(&[Signal::TERM]).kill(Kill::Process)], "web");
    stage.restart("web");
    stage.ready("web'");
    assert_eq!(stage.passes(1000), ["SIGKILL web'", "SIGKILL web' group"][..1]);
    let orders = stage.passes(5000);
    let failed = "reply 2 failed: web it was sent SIGKILL and has not ended; the kernel holds it";
    assert_eq!(orders, [failed]);
    assert_eq!(stage.phase("web"), Phase::Ready);
}

#[test]
fn a_successor_that_outlives_kill_does_not_hold_its_unit() {
    let mut stage = up(vec![service("web").stop_steps(&[Signal::TERM]).kill(Kill::Process)], "web");
    stage.restart("web");
    stage.abandon(2);
    stage.passes(1000);
    assert_eq!(stage.passes(5000), ["reply 2 abandoned; undone "]);
    assert_eq!(stage.stop("web"), ["SIGTERM web"]);
}

#[test]
fn a_broken_release_that_exits_with_0_takes_none_of_the_workers_of_a_roll() {
    let drafts = vec![service("web@1").configtest(), service("web@2").configtest()];
    let mut stage = stage(drafts.into_iter().map(|draft| draft.overlap()).collect());
    stage.start("web@1 web@2");
    for name in ["web@1", "web@2"] {
        stage.passes_as(name, Role::ConfigTest);
    }
    let old = ["web@1", "web@2"].map(|name| stage.pid(name));
    stage.roll("web@1 web@2");
    let test = Role::Trial(Trial::ConfigTest);
    stage.passes_as("web@1", test);
    stage.passes_as("web@2", test);
    stage.passes_as("web@1", test);
    let orders = stage.exits("web@1'", 0);
    assert_eq!(
        last(&orders),
        "reply 2 roll stopped 0 2: aborted: web@1 its successor failed: exited with code 0; undone "
    );
    assert_eq!(["web@1", "web@2"].map(|name| stage.pid(name)), old);
    assert_eq!(["web@1", "web@2"].map(|name| stage.phase(name)), [Phase::Ready; 2]);
    assert_eq!(stage.passes(60_000), [""; 0]);
}

#[test]
fn each_of_a_roll_has_stopped_its_old_process_before_the_next_has_its_turn() {
    let mut stage = up(vec![service("a"), service("b")], "a b");
    stage.roll("a b");
    stage.ready("a'");
    assert!(stage.engine.hidden_of(stage.id("b")).is_none());
    let orders = stage.dies("a'");
    assert!(orders.contains(&"spawn b' main".to_owned()), "{orders:?}");
    stage.ready("b'");
    assert_eq!(last(&stage.dies("b'")), "reply 2 done");
}

#[test]
fn a_successor_that_was_ready_and_has_ended_since_takes_over_from_nobody() {
    let mut stage = up(vec![service("web").pre_stop("drain")], "web");
    stage.groups = Answer::Never;
    let old = stage.pid("web");
    stage.restart("web");
    stage.ready("web'");
    stage.exits("web'", 1);
    assert_eq!(stage.passes_as("web", Role::PreStop(0)), [""; 0], "somebody of the successor is still there");
    assert_eq!((stage.phase("web"), stage.pid("web")), (Phase::Ready, old));
    let orders = stage.passes(60_000);
    assert!(
        orders.iter().any(|order| order.starts_with("reply 2 aborted: web its successor failed")),
        "{orders:?}"
    );
    assert_eq!((stage.phase("web"), stage.pid("web")), (Phase::Ready, old));
}

#[test]
fn a_unit_whose_new_need_only_its_own_restart_would_start_is_not_replaced_beside() {
    let mut stage = up(vec![service("web")], "web");
    stage.sync(vec![service("db"), service("web").notify().overlap()]);
    stage.stop("db");
    stage.dies("db");
    stage.sync(vec![service("db"), service("web").notify().overlap().needs("db")]);
    assert_eq!((stage.phase("web"), stage.phase("db")), (Phase::Ready, Phase::Stopped));
    let orders = stage.restart("web");
    assert!(orders.contains(&"SIGTERM web".to_owned()), "{orders:?}");
    stage.dies("web");
    assert_eq!(stage.phase("db"), Phase::Ready);
    assert_eq!(last(&stage.ready("web")), "reply 5 done");
}

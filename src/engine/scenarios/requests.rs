//! Wishes and their answers.

use super::*;
use crate::engine::fixture::{broken, entries, service, task};
use crate::model::unit::Kill;

#[test]
fn a_restart_takes_the_dependents_down_and_brings_all_up_again() {
    let mut stage = stage(vec![service("web").needs("db"), service("db"), service("other")]);
    stage.start("web other");
    assert_eq!(stage.restart("db"), ["inspect db for trial", "inspect web for trial", "SIGTERM web"]);
    assert_eq!(stage.dies("web"), ["clear web SIGTERM", "clean-up web Follows", "SIGTERM db"]);
    assert_eq!(
        stage.dies("db"),
        [
            "clear db SIGTERM",
            "clean-up db Follows",
            "inspect db",
            "spawn db main",
            "inspect web",
            "spawn web main",
            "reply 2 done"
        ]
    );
}

#[test]
fn a_restart_of_what_is_down_starts_it() {
    let mut stage = stage(vec![service("web").needs("db"), service("db")]);
    let orders = stage.restart("web");
    assert_eq!(orders[..2], ["inspect web for trial", "inspect db for trial"]);
    assert_eq!(orders[2..], ["inspect db", "spawn db main", "inspect web", "spawn web main", "reply 1 done"]);
}

#[test]
fn a_restart_of_a_task_runs_it_again() {
    let mut stage = stage(vec![task("t")]);
    stage.start("t");
    stage.exits("t", 0);
    assert_eq!(
        stage.restart("t"),
        ["inspect t for trial", "clean-up t Follows", "inspect t", "spawn t main"]
    );
    assert_eq!(stage.exits("t", 0), ["clear t SIGTERM", "reply 2 done"]);
}

#[test]
fn a_contradictory_wish_replaces_the_earlier_one() {
    let mut stage = stage(vec![service("a").notify()]);
    stage.start("a");
    assert_eq!(stage.stop("a"), ["reply 1 replaced by 2", "forget a", "SIGTERM a"]);
    assert_eq!(stage.start("a"), ["reply 2 replaced by 3"]);
    let orders = stage.dies("a");
    assert_eq!(orders[2..], ["inspect a", "spawn a main", "await a"]);
    assert_eq!(stage.ready("a"), ["reply 3 done"]);
}

#[test]
fn two_wishes_of_the_same_direction_are_both_answered() {
    let mut stage = stage(vec![service("a").notify()]);
    stage.start("a");
    stage.start("a");
    assert_eq!(stage.ready("a"), ["reply 1 done", "reply 2 done"]);
}

#[test]
fn a_broken_unit_and_what_needs_it_are_refused() {
    let mut stage = stage(vec![broken("bad"), service("a").needs("bad"), service("lost").needs("nobody")]);
    let refusal = "refused: the unit file of bad has an error: /units/x.toml:1:1: unknown key 'x'";
    assert_eq!(stage.start("bad"), [format!("reply 1 {refusal}")]);
    assert_eq!(stage.start("a"), [format!("reply 2 {refusal}")]);
    assert_eq!(
        stage.start("lost"),
        ["reply 3 refused: the unit file of lost has an error: it needs nobody, and there is no such unit"]
    );
}

#[test]
fn a_unit_whose_file_was_mended_and_one_that_is_new_can_be_started_and_nobody_else_is_touched() {
    let mut stage = stage(vec![broken("bad"), service("a").needs("bad"), service("b")]);
    stage.start("b");
    let old = stage.engine.unit(stage.id("b")).main_pid();
    stage.engine.extend(entries(vec![
        service("bad"),
        service("b").needs("bad"),
        service("new").needs("b a"),
    ]));
    assert_eq!((stage.phase("bad"), stage.phase("b")), (Phase::Stopped, Phase::Ready));
    assert_eq!(
        stage.start("new"),
        [
            "inspect bad",
            "spawn bad main",
            "inspect a",
            "spawn a main",
            "inspect new",
            "spawn new main",
            "reply 2 done"
        ]
    );
    assert_eq!(stage.engine.unit(stage.id("b")).main_pid(), old);
    assert_eq!(stage.stop("b"), ["reply 3 refused: b needed by new"]);
}

#[test]
fn a_unit_is_refused_while_one_that_it_conflicts_with_is_up() {
    let mut stage = stage(vec![service("a").conflicts("b"), service("b")]);
    stage.start("a");
    assert_eq!(stage.start("b"), ["reply 2 refused: b conflicts with a, which is up; stop that first"]);
    stage.stop("a");
    stage.dies("a");
    assert_eq!(stage.start("b"), ["inspect b", "spawn b main", "reply 4 done"]);
}

#[test]
fn a_reset_forgets_the_failure_and_starts_nothing() {
    let mut stage = stage(vec![service("a").restart_policy(|r| r.limit = 0)]);
    stage.start("a");
    stage.exits("a", 1);
    assert_eq!(stage.phase("a"), Phase::Failed);
    assert_eq!(stage.reset("a"), ["reply 2 done"]);
    assert_eq!(stage.phase("a"), Phase::Stopped);
    assert_eq!(stage.engine.unit(stage.id("a")).failure(), None);
}

#[test]
fn a_signal_goes_to_the_main_process_or_is_refused() {
    let mut stage = stage(vec![service("a"), service("b")]);
    stage.start("a");
    let units = vec![stage.id("a")];
    let signal = Signal::HUP;
    assert_eq!(stage.request(Request::Signal { units, signal }), ["SIGHUP a", "reply 2 done"]);
    let units = vec![stage.id("a"), stage.id("b")];
    let orders = stage.request(Request::Signal { units, signal });
    assert_eq!(orders, ["reply 3 refused: b has no process to send a signal to"]);
}

#[test]
fn an_id_that_no_unit_has_breaks_nothing() {
    let mut stage = stage(vec![service("a")]);
    let nobody = UnitId::from_index(99);
    stage.feed(Event::BecameReady { unit: nobody });
    stage.feed(Event::Exited {
        unit: nobody,
        role: Role::Main,
        pid: Pid::new(5).unwrap(),
        status: ExitStatus::exited(0),
    });
    assert_eq!(
        stage.request(Request::Start { units: vec![nobody] }),
        ["reply 1 refused: the unit file of a unit that does not exist has an error: there is no such unit"]
    );
}

#[test]
fn no_more_requests_are_taken_than_there_is_room_for_and_those_that_nobody_hears_make_room() {
    let mut stage = stage(vec![service("a").notify(), service("b").kill(Kill::Never)]);
    stage.start("b");
    stage.start("a");
    for _ in 1..256 {
        assert_eq!(stage.start("a"), [""; 0]);
    }
    let full = "refused: 256 requests are on their way; try again when some of them are answered";
    assert_eq!(stage.start("a"), [format!("reply 258 {full}")]);
    assert_eq!(stage.stop("b"), [format!("reply 259 {full}")]);
    assert_eq!(stage.forget(2), ["reply 2 forgotten", "reply 260 done"]);
    assert_eq!(stage.phase("a"), Phase::Starting, "what was wished goes on");
    assert_eq!(stage.stop("b"), ["SIGTERM b"]);
    assert_eq!(stage.forget(261), ["reply 261 forgotten", "reply 262 done"]);
    stage.dies("b");
    assert_eq!(stage.phase("b"), Phase::Stopped);
    assert_eq!(stage.ready("a").len(), 255);
}

#[test]
fn a_restart_that_nobody_hears_of_goes_on_to_its_end() {
    let mut stage = stage(vec![service("a")]);
    stage.start("a");
    stage.restart("a");
    assert_eq!(stage.forget(2), ["reply 3 done"]);
    assert_eq!(stage.dies("a").last().map(String::as_str), Some("reply 2 done"));
}

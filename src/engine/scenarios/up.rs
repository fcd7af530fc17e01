//! On the way up.

use super::*;
use crate::engine::fixture::{broken, service, target, task};
use crate::model::unit::OnFailure;

const OK: ExitStatus = ExitStatus::exited(0);
const BAD: ExitStatus = ExitStatus::exited(1);

#[test]
fn a_service_starts_after_what_it_needs_is_ready() {
    let mut stage = stage(vec![service("web").needs("db"), service("db").notify()]);
    assert_eq!(stage.start("web"), ["inspect db", "spawn db main", "await db"]);
    assert_eq!((stage.phase("web"), stage.phase("db")), (Phase::Waiting, Phase::Starting));
    assert_eq!(stage.ready("db"), ["inspect web", "spawn web main", "reply 1 done"]);
    assert_eq!(stage.phase("web"), Phase::Ready);
}

#[test]
fn a_wanted_unit_comes_first_but_its_failure_holds_nobody() {
    let mut stage =
        stage(vec![service("web").wants("log"), service("log").notify().restart_policy(|r| r.limit = 0)]);
    assert_eq!(stage.start("web"), ["inspect log", "spawn log main", "await log"]);
    let orders = stage.exits("log", 1);
    assert!(orders.contains(&"spawn web main".to_owned()), "{orders:?}");
    assert_eq!((stage.phase("log"), stage.phase("web")), (Phase::Failed, Phase::Ready));
}

#[test]
fn order_alone_starts_nothing_and_holds_only_when_both_start() {
    let mut one = stage(vec![service("b").after("a"), service("a").notify()]);
    assert_eq!(one.start("b"), ["inspect b", "spawn b main", "reply 1 done"]);
    assert_eq!(one.phase("a"), Phase::Stopped);
    let mut both = stage(vec![service("b").after("a"), service("a").notify()]);
    assert_eq!(both.start("b a"), ["inspect a", "spawn a main", "await a"]);
    assert_eq!(both.ready("a"), ["inspect b", "spawn b main", "reply 1 done"]);
}

#[test]
fn everything_before_the_main_process_runs_in_order() {
    let unit = service("a")
        .condition()
        .prepare(OnFailure::Fail)
        .pre_start(OnFailure::Fail)
        .pre_start(OnFailure::Continue)
        .post_start(OnFailure::Fail)
        .notify();
    let mut stage = stage(vec![unit]);
    assert_eq!(stage.start("a"), ["inspect a", "spawn a condition"]);
    assert_eq!(stage.ends("a", Role::Condition, OK), ["spawn a prepare0"]);
    assert_eq!(stage.ends("a", Role::Prepare(0), OK), ["spawn a pre-start0"]);
    assert_eq!(stage.ends("a", Role::PreStart(0), OK), ["spawn a pre-start1"]);
    assert_eq!(stage.ends("a", Role::PreStart(1), BAD), ["spawn a main", "await a"]);
    assert_eq!(stage.ready("a"), ["spawn a post-start0"]);
    assert_eq!(stage.phase("a"), Phase::PostStarting);
    assert_eq!(stage.ends("a", Role::PostStart(0), OK), ["reply 1 done"]);
}

#[test]
fn a_prepare_command_whose_work_is_there_is_not_run() {
    let mut stage = stage(vec![service("a").prepare(OnFailure::Fail).prepare(OnFailure::Fail)]);
    stage.inspections = Answer::Never;
    stage.start("a");
    assert_eq!(stage.found("a", Finding::Met { prepare: vec![false, true] }), ["spawn a prepare1"]);
    assert_eq!(stage.ends("a", Role::Prepare(1), OK), ["spawn a main", "reply 1 done"]);
}

#[test]
fn an_unmet_requirement_fails_at_once_and_is_not_tried_again() {
    let mut stage = stage(vec![service("a"), service("b").needs("a")]);
    stage.inspections = Answer::Never;
    stage.start("b");
    assert_eq!(
        stage.found("a", Finding::Unmet("'/etc/a' does not exist".into())),
        ["clean-up a None", "reply 1 failed: a a requirement is not met: '/etc/a' does not exist"]
    );
    assert_eq!((stage.phase("a"), stage.phase("b")), (Phase::Failed, Phase::Failed));
    assert_eq!(stage.passes(600_000), [""; 0]);
}

#[test]
fn a_failed_condition_is_an_unmet_requirement() {
    let mut stage = stage(vec![service("a").condition()]);
    stage.start("a");
    assert_eq!(
        stage.ends("a", Role::Condition, BAD),
        [
            "clean-up a None",
            "reply 1 failed: a a requirement is not met: the condition 'condition' exited with code 1"
        ]
    );
}

#[test]
fn a_skipped_unit_counts_as_done() {
    let mut stage = stage(vec![service("b").needs("a"), service("a")]);
    stage.inspections = Answer::Never;
    stage.start("b");
    assert_eq!(stage.found("a", Finding::Skip("'/x' is missing".into())), ["inspect b"]);
    assert_eq!(stage.phase("a"), Phase::Skipped);
}

#[test]
fn a_task_is_done_when_it_exits_with_0_and_then_satisfies() {
    let mut stage = stage(vec![service("app").needs("migrate"), task("migrate")]);
    assert_eq!(stage.start("app"), ["inspect migrate", "spawn migrate main"]);
    assert_eq!(stage.passes(3_600_000), [""; 0], "a task may take its time");
    let orders = stage.exits("migrate", 0);
    assert_eq!(orders, ["clear migrate SIGTERM", "inspect app", "spawn app main", "reply 1 done"]);
    assert_eq!(stage.phase("migrate"), Phase::Done);
    assert_eq!(stage.start("migrate"), ["reply 2 done"]);
}

#[test]
fn a_target_is_ready_when_what_it_needs_is() {
    let mut stage = stage(vec![target("all").needs("a b"), service("a"), service("b").notify()]);
    stage.start("all");
    assert_eq!(stage.phase("all"), Phase::Waiting);
    assert_eq!(stage.ready("b"), ["reply 1 done"]);
    assert_eq!(stage.phase("all"), Phase::Ready);
}

#[test]
fn a_forking_daemon_is_ready_when_its_pid_file_names_its_main_process() {
    let mut stage = stage(vec![service("a").pid_file()]);
    assert_eq!(stage.start("a"), ["inspect a", "spawn a main", "await-pid-file a"]);
    assert_eq!(stage.exits("a", 0), [""; 0], "the first process may end");
    let pid = Pid::new(4242).unwrap();
    stage.feed(Event::MainPidChanged { unit: stage.id("a"), pid });
    assert_eq!(stage.orders(), ["reply 1 done"]);
    assert_eq!(stage.engine.unit(stage.id("a")).main_pid(), Some(pid));
}

#[test]
fn a_service_that_is_not_ready_in_time_is_stopped_and_has_failed() {
    let mut stage = stage(vec![service("a").notify()]);
    stage.start("a");
    assert_eq!(stage.passes(10_000), ["forget a", "SIGTERM a"]);
    assert_eq!(
        stage.dies("a"),
        [
            "clear a SIGTERM",
            "clean-up a Follows",
            "reply 1 failed: a it was not ready after 10 s (again in 200ms)"
        ]
    );
    assert_eq!(stage.phase("a"), Phase::Backoff);
}

#[test]
fn an_extended_timeout_moves_the_deadline() {
    let mut stage = stage(vec![service("a").notify()]);
    stage.start("a");
    stage.passes(9_000);
    stage.feed(Event::TimeoutExtended { unit: stage.id("a"), by: Duration::from_secs(60) });
    assert_eq!(stage.passes(59_000), [""; 0]);
    assert_eq!(stage.passes(1_000), ["forget a", "SIGTERM a"]);
}

#[test]
fn what_ran_out_is_waited_for_and_is_no_failure() {
    let mut stage = stage(vec![service("a").restart_policy(|r| r.limit = 0)]);
    stage.spawns = Answer::Never;
    stage.start("a");
    for wait in [50, 100, 200, 400, 500, 500, 500] {
        assert_eq!(stage.spawn_failed("a", Role::Main, libc::EAGAIN), [""; 0]);
        assert_eq!(stage.phase("a"), Phase::Deferred);
        assert_eq!(stage.passes(wait - 1), [""; 0], "{wait}");
        assert_eq!(stage.passes(1), ["spawn a main"], "{wait}");
    }
    assert_eq!(stage.engine.unit(stage.id("a")).restarts(), 0);
}

#[test]
fn a_program_that_is_not_there_is_a_failed_start() {
    let mut stage = stage(vec![service("a")]);
    stage.spawns = Answer::Never;
    stage.start("a");
    let orders = stage.spawn_failed("a", Role::Main, libc::ENOENT);
    assert!(orders[1].starts_with("reply 1 failed: a cannot create a process: no such file"), "{orders:?}");
    assert_eq!(stage.phase("a"), Phase::Backoff);
}

#[test]
fn a_hook_that_hangs_is_killed_and_counts_as_failed() {
    let mut stage = stage(vec![service("a").pre_start(OnFailure::Fail).post_stop()]);
    stage.start("a");
    assert_eq!(stage.passes(10_000), ["SIGKILL a group"]);
    assert_eq!(stage.ends("a", Role::PreStart(0), ExitStatus::killed(Signal::KILL)), ["spawn a post-stop0"]);
    assert_eq!(
        stage.ends("a", Role::PostStop(0), BAD),
        ["clean-up a Follows", "reply 1 failed: a pre-start hook 1 did not end within 10 s (again in 200ms)"]
    );
}

#[test]
fn a_boot_starts_what_it_can_and_says_what_it_cannot() {
    let mut stage = stage(vec![
        broken("bad"),
        service("needs-bad").needs("bad"),
        service("wants-bad").wants("bad"),
        service("a").conflicts("b"),
        service("b"),
    ]);
    stage.boot("bad needs-bad wants-bad a b");
    let phases = ["bad", "needs-bad", "wants-bad", "a", "b"].map(|name| stage.phase(name));
    assert_eq!(phases, [Phase::Failed, Phase::Failed, Phase::Ready, Phase::Ready, Phase::Failed]);
}

#[test]
fn a_unit_waits_anew_when_what_it_needs_dies_while_it_prepares() {
    let mut stage = stage(vec![service("web").needs("db").pre_start(OnFailure::Fail), service("db")]);
    stage.start("web");
    stage.exits("db", 1);
    assert_eq!(stage.ends("web", Role::PreStart(0), OK), [""; 0]);
    assert_eq!(stage.phase("web"), Phase::Waiting);
    assert_eq!(stage.passes(200), ["inspect db", "spawn db main", "inspect web", "spawn web pre-start0"]);
}

//! The promise: a configuration that is bad takes nothing down.

use crate::harness::{Machine, Plan, until};

/// A service whose configuration test is a shell line.
fn tested(test: &str, more: &str) -> String {
    format!(
        "[service]\nexec = [\"@TESTD@\", \"mark\", \"@DIR@/starts\", \"x\", \"wait\"]\n\
         [configtest]\nexec = [\"/bin/sh\", \"-c\", \"{test}\"]\n{more}"
    )
}

fn starts(machine: &Machine) -> usize {
    machine.read("starts").lines().count()
}

#[test]
fn a_restart_with_a_bad_configuration_is_refused_in_the_daemons_own_words() {
    let test = "cat @DIR@/conf; grep -q good @DIR@/conf";
    let machine = Plan::new().file("conf", "good").unit("x", &tested(test, "")).up();
    let pid = machine.ready_pid("x");
    machine.write("conf", "x: [emerg] unknown directive lisen in conf:3");
    let refused = machine.sexton(&["restart", "x"]).expect(3).all();
    assert!(refused.contains("unknown directive lisen in conf:3"), "{refused}");
    assert_eq!((machine.ready_pid("x"), starts(&machine)), (pid, 1));
    machine.await_console("unknown directive lisen");
    machine.write("conf", "good");
    machine.sexton(&["restart", "x"]).expect(0);
    assert_ne!(machine.ready_pid("x"), pid);
    assert_eq!(starts(&machine), 2);
}

#[test]
fn one_bad_configuration_of_many_refuses_all() {
    let machine = Plan::new()
        .file("conf", "good")
        .unit("base", "[service]\nexec = [\"@TESTD@\", \"wait\"]\n")
        .unit("x", &format!("needs = [\"base\"]\n{}", tested("grep -q good @DIR@/conf", "")))
        .up();
    let pids = (machine.ready_pid("base"), machine.ready_pid("x"));
    machine.write("conf", "bad");
    let refused = machine.sexton(&["restart", "base"]).expect(3).all();
    assert!(refused.contains('x'), "{refused}");
    assert_eq!((machine.ready_pid("base"), machine.ready_pid("x")), pids);
}

#[test]
fn codes_and_output_judge_together() {
    let sentinel = "codes-ok = [1]\nok-output = \"sentinel\"\n";
    let lying = "fail-output = 'ERROR'\n";
    let machine = Plan::new()
        .file("redis", "sentinel")
        .file("maria", "fine")
        .unit("redis", &tested("cat @DIR@/redis; exit 1", sentinel))
        .unit("maria", &tested("cat @DIR@/maria >&2; exit 0", lying))
        .up();
    let pids = (machine.ready_pid("redis"), machine.ready_pid("maria"));
    machine.write("redis", "prot 6379");
    machine.write("maria", "0 [ERROR] unknown variable");
    assert!(machine.sexton(&["restart", "redis"]).expect(3).all().contains("prot 6379"));
    assert!(machine.sexton(&["restart", "maria"]).expect(3).all().contains("[ERROR] unknown variable"));
    assert_eq!((machine.ready_pid("redis"), machine.ready_pid("maria")), pids);
}

#[test]
fn a_test_that_leaves_a_child_with_its_output_holds_up_nothing() {
    let machine = Plan::new().unit("x", &tested("sleep 1000 & echo begun", "")).up();
    let pid = machine.ready_pid("x");
    machine.sexton(&["restart", "x"]).expect(0);
    assert_ne!(machine.ready_pid("x"), pid);
}

#[test]
fn a_start_with_a_bad_configuration_fails_and_starts_nothing() {
    let more = "[restart]\non = \"never\"\n";
    let machine = Plan::new().unit("x", &tested("echo nonsense; exit 1", more)).up();
    machine.await_state("x", "failed");
    assert!(!machine.path("starts").exists());
    let why = until("the words of the test", || {
        let why = machine.sexton(&["why", "x"]).all();
        why.contains("configuration test").then_some(why)
    });
    assert!(why.contains("nonsense"), "{why}");
}

#[test]
fn root_can_go_past_a_test_and_the_answer_and_the_log_say_so() {
    let machine =
        Plan::new().unit("x", &tested("echo asked >> @DIR@/tests", "")).daemon("y", "wait", "").up();
    let pid = machine.ready_pid("x");
    machine.ready_pid("y");
    let tests = machine.read("tests");
    let said = machine.sexton(&["restart", "--skip-configtest", "x", "y"]).expect(0).all();
    assert!(said.contains("not tested, --skip-configtest: x") && said.contains("untested: y"), "{said}");
    assert_ne!(machine.ready_pid("x"), pid);
    assert_eq!(machine.read("tests"), tests);
    machine.await_console("no configtest is run");
}

#[test]
fn whatever_would_touch_it_is_refused_and_a_plan_touches_nothing() {
    let text = format!(
        "[instances]\ncount = 2\n{}",
        tested("grep -q good @DIR@/conf", "[reload]\nsignal = \"USR1\"\n")
    );
    let machine = Plan::new()
        .file("conf", "good")
        .unit("x@", &text)
        .daemon("web", "wait", "needs = [\"x@1\"]\n---")
        .up();
    let units = ["x@1", "x@2", "web"];
    let old = units.map(|unit| machine.ready_pid(unit));
    for (verb, words) in [("restart", "start "), ("reload", "reload "), ("stop", "stop ")] {
        let plan = machine.sexton(&["plan", verb, "x@2"]).expect(0).all();
        assert!(plan.contains(words) && plan.contains("x@2") && !plan.contains("web"), "{plan}");
    }
    machine.write("conf", "bad");
    for words in [
        ["restart", "x@1"].as_slice(),
        &["restart", "x@*"],
        &["restart", "--rolling", "x@*"],
        &["reload", "x@1"],
        &["scale", "x@", "3"],
    ] {
        let refused = machine.sexton(words).expect(3).all();
        assert!(refused.contains("the configuration test exited with code 1"), "{words:?}: {refused}");
    }
    let text = machine.read("units/x@.toml");
    machine.write("units/x@.toml", &format!("{text}[process]\nnice = 1\n"));
    assert!(machine.sexton(&["plan", "sync"]).expect(0).all().contains("grep -q good"));
    machine.sexton(&["sync"]).expect(3);
    assert_eq!(units.map(|unit| machine.main_pid(unit)), old);
    assert_eq!(machine.units().len(), 3);
    machine.write("conf", "good");
    machine.sexton(&["sync"]).expect(0);
    assert!(machine.sexton(&["sync"]).expect(0).all().contains("nothing has changed"));
}

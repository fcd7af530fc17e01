//! `sexton health`: what a probe is told, and how long it takes to tell.

use crate::harness::{Plan, until};

const NOTIFY: &str = "[ready]\nnotify = true\n[restart]\non = \"never\"\n";

#[test]
fn it_is_well_only_when_all_that_should_be_ready_is() {
    let machine = Plan::new()
        .daemon("store", "until @DIR@/go notify READY=1 until @DIR@/crash exit 1", NOTIFY)
        .daemon("later", "wait", "manual = true\n---")
        .unit("once", "[task]\nexec = [\"/bin/true\"]\n")
        .up();
    machine.await_state("once", "done");
    let starting = machine.sexton(&["health"]).expect(1);
    assert_eq!((starting.out.as_str(), starting.err.as_str()), ("store is starting\n", ""));
    machine.write("go", "");
    machine.await_state("store", "ready");
    assert_eq!(machine.sexton(&["health"]).expect(0).all(), "");
    machine.sexton(&["health", "store", "once"]).expect(0);
    assert_eq!(machine.sexton(&["health", "later"]).expect(1).out, "later is stopped\n");
    assert!(machine.sexton(&["health", "--json"]).expect(0).out.contains("\"state\":\"healthy\""));
    machine.write("crash", "");
    machine.await_state("store", "failed");
    let failed = machine.sexton(&["health"]).expect(1);
    assert_eq!(failed.out, "store is failed: exited with code 1\n");
    let unknown = machine.sexton(&["health", "stor"]).expect(1);
    assert!(unknown.err.contains("store"), "{}", unknown.err);
}

#[test]
fn where_there_is_no_init_it_says_so() {
    let machine = Plan::new().up();
    let end = machine.sexton(&["--socket", "/run/none", "health"]).expect(4);
    assert!(end.err.contains("no sexton is running"), "{}", end.err);
}

#[test]
fn who_shuts_down_is_not_well() {
    let machine = Plan::new()
        .daemon("slow", "ignore TERM wait", "[stop]\nsteps = [{ signal = \"TERM\", wait = \"10m\" }]\n")
        .up();
    machine.ready_pid("slow");
    machine.run(&["/bin/kill", "-TERM", "1"]).expect(0);
    until("it shuts down", || machine.sexton(&["health"]).out.contains("shutting down").then_some(()));
    machine.sexton(&["health"]).expect(1);
}

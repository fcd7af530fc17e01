//! What a service may do to sexton with no more than its own user: nothing.

use std::time::Duration;

use crate::harness::{Deadline, Machine, Plan, until, within};

/// A process of the same user can stop whoever has become that user, and no mask keeps STOP out.
const ATTACKER: &str = "[process]\nuser = \"nobody\"\n";

/// So many paths to look at widen the time between the change of user and the exec.
fn victim() -> String {
    let paths = vec!["\"/usr/bin/env\""; 4_000].join(", ");
    format!(
        "[service]\nexec = [\"/bin/sleep\", \"1000\"]\n[process]\nuser = \"nobody\"\n\
         [require]\nreadable = [{paths}]\n[restart]\ndelay = \"1ms\"\nmax-delay = \"1ms\"\nlimit = 100000\n"
    )
}

/// Is one of PID 1's children stopped?
fn somebody_is_stopped(machine: &Machine) -> bool {
    let stopped = "grep -l '^State:.T' /proc/[0-9]*/status";
    !machine.shell(stopped).out.trim().is_empty()
}

#[test]
fn who_stops_a_process_of_his_own_user_before_its_exec_stops_nobody_else() {
    let machine = Plan::new()
        .unit("victim", &victim())
        .daemon("attacker", "freeze @DIR@/enough wait", ATTACKER)
        .daemon("other", "wait", "")
        .boot();
    until("sexton answers", || machine.sexton(&["list"]).ok().then_some(()));
    let is_on_its_way = || machine.unit("victim").state == "starting" && somebody_is_stopped(&machine);
    within(Duration::from_secs(60), "a child of another user is stopped before its exec", || {
        let is_hit = is_on_its_way();
        if let (false, Some(pid)) = (is_hit, machine.unit("victim").main_pid) {
            machine.shell(&format!("kill -KILL {pid}"));
        }
        is_hit.then_some(())
    });
    for _ in 0..5 {
        let deadline = Deadline::after(Duration::from_secs(1));
        machine.sexton(&["status"]).expect(0);
        assert!(!deadline.passed(), "sexton answered late");
    }
    machine.sexton(&["restart", "other"]).expect(0);
    assert!(is_on_its_way(), "all the while it was stopped");
    machine.sexton(&["stop", "attacker"]).expect(0);
    machine.write("enough", "");
    let words = "it did not come to that within 10 s: somebody may have stopped it, or a file system hangs";
    machine.await_console(words);
    machine.await_state("victim", "ready");
    assert!(!somebody_is_stopped(&machine));
}

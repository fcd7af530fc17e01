//! Who is left in a unit's process groups: nobody outlives the run that it belongs to.

use crate::harness::{Machine, Plan, until};

fn number_in(machine: &Machine, file: &str) -> i32 {
    machine.await_file(file).trim().parse().unwrap_or(0)
}

#[test]
fn a_worker_that_stays_in_the_group_its_daemon_has_left_goes_with_the_daemon() {
    let machine = Plan::new()
        .daemon(
            "forks",
            "child @DIR@/worker daemonise @DIR@/forks.pid wait",
            "[process]\npid-file = \"@DIR@/forks.pid\"\n",
        )
        .daemon(
            "names",
            "child @DIR@/heir notify-of @DIR@/heir MAINPID=PID\\nREADY=1 wait",
            "[ready]\nnotify = true\n",
        )
        .up();
    for (unit, file) in [("forks", "worker"), ("names", "heir")] {
        let main = machine.ready_pid(unit);
        let other = if unit == "forks" {
            number_in(&machine, file)
        } else {
            let parent = machine.shell(&format!("ps -o ppid= -p {main}")).out;
            parent.trim().parse().unwrap_or(0)
        };
        assert!(other > 1 && other != main && machine.lives(other), "{unit}: {other} beside {main}");
        machine.sexton(&["stop", unit]).expect(0);
        assert!(!machine.lives(main) && !machine.lives(other), "{unit}");
    }
}

#[test]
fn what_a_hook_leaves_behind_goes_with_the_run_it_was_for() {
    let leave =
        |file: &str| format!("exec = [\"/bin/sh\", \"-c\", \"sleep 1000 & echo $$! > @DIR@/{file}\"]\n");
    let hooks = format!(
        "[[pre-start]]\n{}[[post-start]]\n{}[[post-stop]]\n{}",
        leave("before"),
        leave("after"),
        leave("last")
    );
    let machine = Plan::new().daemon("x", "wait", &hooks).up();
    machine.await_state("x", "ready");
    let [before, after] = ["before", "after"].map(|file| number_in(&machine, file));
    assert!(machine.lives(before) && machine.lives(after), "a helper may serve its daemon");
    machine.sexton(&["stop", "x"]).expect(0);
    let last = number_in(&machine, "last");
    assert!(last > 1 && ![before, after, last].into_iter().any(|pid| machine.lives(pid)));
}

#[test]
fn what_a_configuration_test_leaves_behind_goes_at_once() {
    let test = "[configtest]\nexec = [\"/bin/sh\", \"-c\", \"sleep 1000 & echo $$! > @DIR@/left\"]\n";
    let machine = Plan::new().daemon("x", "wait", test).up();
    machine.await_state("x", "ready");
    let left = number_in(&machine, "left");
    until("it is gone", || (left > 1 && !machine.lives(left)).then_some(()));
}

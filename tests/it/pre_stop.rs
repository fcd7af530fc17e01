//! Hooks that run while a service still serves: what they wait for, what they undo, and that they end.

use crate::harness::Plan;

const SERVICE: &str = "[service]\nexec = [\"@TESTD@\", \"wait\"]\n";

/// A hook with a shell line that counts a number in a file down by 10, prints it, and ends below 15.
const FLUSH: &str = "[[pre-stop]]\nname = \"flush\"\n\
    exec = [\"/bin/sh\", \"-c\", \"n=$$(cat @DIR@/dirty); echo $$((n - 10)) > @DIR@/dirty; echo 1 warning >&2; cat @DIR@/dirty\"]\n\
    until = { number-below = 15 }\nevery = \"10ms\"\n";

fn begun(undo: &str) -> String {
    format!(
        "[[pre-stop]]\nname = \"drain\"\nexec = [\"/bin/sh\", \"-c\", \"echo drained >> @DIR@/order\"]\n\
         undo = [\"/bin/sh\", \"-c\", \"{undo}\"]\n"
    )
}

#[test]
fn a_stop_waits_until_the_number_is_low_and_a_warning_with_a_number_is_no_answer() {
    let machine = Plan::new().file("dirty", "50").unit("x", &format!("{SERVICE}{FLUSH}")).up();
    machine.ready_pid("x");
    machine.sexton(&["stop", "x"]).expect(0);
    assert_eq!(machine.read("dirty").trim(), "10");
    assert_eq!(machine.state("x"), "stopped");
}

#[test]
fn a_hook_that_fails_undoes_what_was_done_and_the_service_serves_on() {
    let failing =
        "[[pre-stop]]\nname = \"ask\"\nexec = [\"/bin/sh\", \"-c\", \"echo cannot connect >&2; exit 7\"]\n";
    let hooks = begun("echo undone >> @DIR@/order");
    let machine = Plan::new().unit("x", &format!("{SERVICE}{hooks}{failing}")).up();
    let pid = machine.ready_pid("x");
    let aborted = machine.sexton(&["restart", "x"]).expect(3).all();
    assert!(aborted.contains("cannot connect"), "{aborted}");
    assert_eq!(machine.ready_pid("x"), pid);
    assert_eq!(machine.read("order"), "drained\nundone\n");
}

#[test]
fn a_hook_that_hangs_costs_its_timeout_and_the_service_serves_on() {
    let hangs = "[[pre-stop]]\nexec = [\"/bin/sleep\", \"1000\"]\ntimeout = \"200ms\"\n";
    let machine = Plan::new().unit("x", &format!("{SERVICE}{hangs}")).up();
    let pid = machine.ready_pid("x");
    machine.sexton(&["stop", "x"]).expect(3);
    assert_eq!(machine.ready_pid("x"), pid);
}

#[test]
fn at_a_shutdown_hooks_run_and_their_failure_holds_up_nothing() {
    let hooks = begun("echo undone >> @DIR@/order");
    let fails = "[[pre-stop]]\nexec = [\"/bin/false\"]\n";
    let mut machine = Plan::new().unit("x", &format!("{SERVICE}{hooks}{fails}")).up();
    machine.ready_pid("x");
    assert_eq!(machine.shut_down(nix::sys::signal::Signal::SIGTERM), 0);
    assert_eq!(machine.read("order"), "drained\n");
}

//! A reload: told, and then made sure of.

use crate::harness::Plan;

#[test]
fn a_reload_that_kills_the_daemon_is_a_failure() {
    let machine = Plan::new()
        .daemon(
            "x",
            "trap HUP @DIR@/hup 9 wait",
            "[reload]\nsignal = \"HUP\"\nsettle = \"300ms\"\n[restart]\non = \"never\"\n",
        )
        .up();
    machine.ready_pid("x");
    let failed = machine.sexton(&["reload", "x"]).expect(1).all();
    assert!(failed.contains("code 9"), "{failed}");
}

#[test]
fn a_reload_by_a_command_is_done_when_the_probe_passes_and_the_verification_agrees() {
    let more = "[ready]\nexec = [\"/bin/sh\", \"-c\", \"echo $$SEXTON_REASON >> @DIR@/probes; test -e @DIR@/serves\"]\n\
                [reload]\nexec = [\"/bin/sh\", \"-c\", \"echo $$SEXTON_REASON $$SEXTON_MAINPID > @DIR@/told\"]\nsettle = \"10ms\"\n\
                verify = [\"/bin/sh\", \"-c\", \"cat @DIR@/verdict; grep -q taken @DIR@/verdict\"]\n";
    let machine = Plan::new().file("serves", "").file("verdict", "taken").daemon("x", "wait", more).up();
    machine.await_state("x", "ready");
    let pid = machine.ready_pid("x");
    machine.sexton(&["reload", "x"]).expect(0);
    let told = machine.read("told");
    assert_eq!(told.split_whitespace().next(), Some("reload"), "{told}");
    assert!(machine.read("probes").lines().any(|reason| reason == "reload"));
    machine.write("verdict", "the old one is kept");
    let failed = machine.sexton(&["reload", "x"]).expect(1).all();
    assert!(failed.contains("the old one is kept"), "{failed}");
    assert_eq!(machine.ready_pid("x"), pid);
}

#[test]
fn a_reload_that_only_the_daemons_own_words_deny_has_failed_with_them_and_the_process_serves_on() {
    let more = "[reload]\nexec = [\"/bin/sh\", \"-c\", \"cat @DIR@/words > /proc/$$SEXTON_MAINPID/fd/1\"]\nsettle = \"10ms\"\n\
                fail-output = \"loading .* failed\"\n";
    let machine = Plan::new().file("words", "loading x failed in x.conf:3\n").daemon("x", "wait", more).up();
    let pid = machine.ready_pid("x");
    let failed = machine.sexton(&["reload", "x"]).expect(1).all();
    assert!(failed.contains("printed what matches") && failed.contains("x.conf:3"), "{failed}");
    // What it said of the reload before is not held against this one.
    machine.write("words", "loaded\n");
    machine.sexton(&["reload", "x"]).expect(0);
    assert_eq!(machine.ready_pid("x"), pid);
}

#[test]
fn a_unit_that_says_nothing_of_a_reload_is_not_sent_a_signal() {
    let machine = Plan::new().daemon("x", "wait", "").up();
    let pid = machine.ready_pid("x");
    machine.sexton(&["reload", "x"]).expect(3);
    assert_eq!(machine.ready_pid("x"), pid);
}

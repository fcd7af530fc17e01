//! The harness itself, with a stand-in for sexton: what it says of a PID 1 has to be true first.

use nix::sys::signal::Signal;

use crate::harness::{Plan, until};

#[test]
fn the_harness_sees_the_end_of_its_pid_1() {
    for (script, code) in [("exit 7", 7), ("kill -9 $$; exit 3", 3)]
    // The kernel keeps PID 1 from killing itself.
    {
        let mut machine = Plan::new().command(&["/bin/sh", "-c", script]).boot();
        assert_eq!(machine.end(), code, "{script}");
    }
    let mut machine = Plan::new().command(&["@TESTD@", "wait"]).boot();
    assert_eq!(machine.shut_down(Signal::SIGKILL), 137);
}

#[test]
fn the_harness_runs_commands_as_members_of_the_machine() {
    let machine =
        Plan::new().setup("echo hello").command(&["@TESTD@", "listen", "tcp", "127.0.0.1:7", "wait"]).boot();
    until("the stand-in listens", || {
        machine.run(&["/bin/bash", "-c", "echo > /dev/tcp/127.0.0.1/7"]).ok().then_some(())
    });
    assert_eq!(machine.shell("cat /proc/1/comm").out.trim(), "testd");
    assert!(machine.console().contains("hello"));
    assert_eq!(machine.processes().len(), 1);
}

#[test]
fn the_harness_sees_zombies_and_who_lives() {
    let machine = Plan::new().command(&["@TESTD@", "orphans", "50", "wait"]).boot();
    until("the stand-in reaps nobody", || (machine.zombies() == 50).then_some(()));
    assert!(machine.lives(1) && !machine.lives(40));
}

#[test]
fn a_dump_tells_what_a_process_has() {
    let machine = Plan::new()
        .setup("umask 027; cd /usr; grep SigIgn /proc/self/status")
        .command(&["@TESTD@", "dump", "@DIR@/facts", "wait"])
        .boot();
    let facts = machine.await_facts("facts");
    assert_eq!((facts.number("pid"), facts.text("umask")), (1, "0027".to_owned()));
    assert_eq!(facts.text("directory"), "/usr");
    assert!(machine.console().contains(&facts.text("ignored")), "{}", machine.console());
}

#[test]
fn a_pid_1_that_is_held_waits_for_its_release() {
    let machine = Plan::new().held().command(&["@TESTD@", "touch", "@DIR@/released", "wait"]).boot();
    assert_eq!(machine.shell("cat /proc/1/cmdline | tr '\\0' ' ' | grep -c chamber").out.trim(), "1");
    assert!(!machine.path("released").exists());
    machine.release();
    until("the stand-in runs", || machine.path("released").exists().then_some(()));
}

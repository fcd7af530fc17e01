//! Configuration files that are made from templates.

use crate::harness::Plan;

const UNIT: &str = "[process]\nenv = { ROOT = \"/srv\" }\n\
    [service]\nexec = [\"@TESTD@\", \"wait\"]\n\
    [[render]]\nfrom = \"@DIR@/in\"\nto = \"@DIR@/out\"\nmode = \"0640\"\n\
    [configtest]\nexec = [\"/bin/sh\", \"-c\", \"cat @DIR@/out; grep -q good @DIR@/out\"]\n";

#[test]
fn a_template_becomes_the_file_that_the_test_and_the_daemon_read() {
    let machine = Plan::new().file("in", "good %{n} %{env.ROOT} $host 50% %%{x}\n").unit("x", UNIT).up();
    machine.ready_pid("x");
    assert_eq!(machine.read("out"), "good x /srv $host 50% %{x}\n");
}

#[test]
fn a_template_that_makes_a_bad_file_changes_nothing() {
    let machine = Plan::new().file("in", "good 1").unit("x", UNIT).up();
    let pid = machine.ready_pid("x");
    machine.write("in", "bad 2");
    let refused = machine.sexton(&["restart", "x"]).expect(3).all();
    assert!(refused.contains("bad 2"), "{refused}");
    assert_eq!((machine.read("out").as_str(), machine.ready_pid("x")), ("good 1", pid));
    machine.write("in", "good\n%{prot}");
    let refused = machine.sexton(&["restart", "x"]).expect(3).all();
    assert!(refused.contains("in:2:1: there is nothing called '%{prot}'"), "{refused}");
    assert_eq!((machine.read("out").as_str(), machine.ready_pid("x")), ("good 1", pid));
    machine.write("in", "good 3");
    machine.sexton(&["restart", "x"]).expect(0);
    assert_eq!(machine.read("out"), "good 3");
}

#[test]
fn a_signal_takes_over_what_the_files_say_and_a_scale_adds_what_they_do_not() {
    use crate::harness::until;
    use nix::sys::signal::Signal;
    let template = "[instances]\ncount = 1\n[service]\nexec = [\"@TESTD@\", \"wait\"]\n";
    let machine = Plan::new().daemon("x", "wait", "").unit("w@", template).up();
    let pids = (machine.ready_pid("x"), machine.ready_pid("w@1"));
    machine.sexton(&["scale", "w@", "3"]).expect(0);
    machine.await_state("w@3", "ready");
    machine.write("units/new.toml", &machine.fill("[service]\nexec = [\"@TESTD@\", \"wait\"]\n"));
    machine.signal(Signal::SIGHUP);
    until("the new unit is there and what was scaled is gone", || {
        let mut names: Vec<String> = machine.units().into_iter().map(|unit| unit.name).collect();
        names.sort();
        (names == ["new", "w@1", "x"]).then_some(())
    });
    machine.await_state("new", "ready");
    assert_eq!((machine.ready_pid("x"), machine.ready_pid("w@1")), pids);
    machine.write("units/new.toml", "neds = []\n");
    machine.signal(Signal::SIGHUP);
    machine.await_console("sync: refused: the unit files have an error; nothing was changed");
    assert_eq!(machine.state("new"), "ready");
}

#[test]
fn what_changed_since_the_start_is_told_when_asked() {
    let machine = Plan::new().file("in", "good 1").unit("x", UNIT).up();
    machine.ready_pid("x");
    let changed = |machine: &crate::harness::Machine| machine.sexton(&["show", "x", "--json"]).all();
    assert!(!changed(&machine).contains("its configuration"));
    machine.write("in", "good 22");
    assert!(changed(&machine).contains("its configuration"));
}

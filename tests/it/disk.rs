//! What runs and what lies on disk: who asks is told where they differ, and that the last test failed.

use crate::harness::{Machine, Plan, until};

const CONFIGURED: &str = "[configtest]\nexec = [\"/bin/sh\", \"-c\", \"cat @DIR@/conf/main; grep -q good @DIR@/conf/main\"]\n\
     files = [\"@DIR@/conf/**\"]\n";

fn up() -> Machine {
    let machine = Plan::new().file("conf/main", "good").daemon("x", "wait", CONFIGURED).up();
    machine.ready_pid("x");
    machine
}

/// What each of these commands says of `x`.
fn said(machine: &Machine) -> Vec<String> {
    let commands: [&[&str]; 5] = [&["list"], &["status"], &["status", "x"], &["show", "x"], &["why", "x"]];
    commands.map(|words| machine.sexton(words).all()).into()
}

#[track_caller]
fn all_say(machine: &Machine, words: &str) {
    let said = said(machine);
    assert!(said.iter().all(|answer| answer.contains(words)), "'{words}' is not in all of {said:#?}");
}

#[track_caller]
fn none_says(machine: &Machine, words: &str) {
    let said = said(machine);
    assert!(!said.iter().any(|answer| answer.contains(words)), "'{words}' is in one of {said:#?}");
}

#[test]
fn a_configuration_that_changed_since_the_start_is_told_until_the_restart() {
    let machine = up();
    none_says(&machine, "changed since");
    machine.write("conf/more", "of it");
    all_say(&machine, "its configuration changed since");
    machine.sexton(&["restart", "x"]).expect(0);
    none_says(&machine, "changed since");
}

#[test]
fn a_unit_file_that_changed_is_told_until_the_sync() {
    let machine = up();
    machine.write("units/x.d/more.toml", "description = \"another\"\n");
    // The kernel's clock ticks a hundred times a second: what is written in the same tick is not newer.
    until("the change is told", || {
        machine.write("units/x.d/more.toml", "description = \"another\"\n");
        machine.sexton(&["list"]).out.contains("its unit file changed since start").then_some(())
    });
    all_say(&machine, "its unit file changed since");
    machine.sexton(&["sync"]).expect(0);
    none_says(&machine, "changed since");
}

#[test]
fn a_unit_whose_file_is_gone_is_told_and_stopped_by_the_sync() {
    let machine = up();
    let pid = machine.main_pid("x");
    let file = machine.path("units/x.toml");
    machine.run(&["rm", &file.display().to_string()]).expect(0);
    all_say(&machine, &format!("gone: {}; the next sync stops", file.display()));
    assert_eq!(machine.unit("x").file_gone, Some(file.display().to_string()));
    assert_eq!(machine.ready_pid("x"), pid);
    let plan = machine.sexton(&["plan", "sync"]).expect(0).out;
    assert!(plan.contains("x"), "{plan}");
    let synced = machine.sexton(&["sync"]).expect(0).all();
    assert!(synced.contains("stopping"), "{synced}");
    for empty in ["testing", "starting"] {
        assert!(!synced.contains(empty), "nothing was to be done of it: {synced}");
    }
    assert!(machine.units().is_empty());
    assert!(!machine.lives(pid));
}

#[test]
fn an_instance_whose_file_is_gone_is_told_and_the_other_one_is_not() {
    let template = "[instances]\nfiles = \"@DIR@/conf/w_*.conf\"\n[service]\nexec = [\"@TESTD@\", \"mark\", \"@DIR@/marks\", \"%f\", \"wait\"]\n";
    let machine = Plan::new().file("conf/w_1.conf", "").file("conf/w_2.conf", "").unit("w@", template).up();
    machine.ready_pid("w@1");
    machine.ready_pid("w@2");
    let file = machine.path("conf/w_1.conf").display().to_string();
    machine.run(&["rm", &file]).expect(0);
    assert_eq!(machine.unit("w@1").file_gone, Some(file));
    assert_eq!(machine.unit("w@2").file_gone, None);
}

#[test]
fn a_test_that_failed_is_told_with_its_time_and_its_words_until_one_passes() {
    let machine = up();
    machine.write("conf/main", "bad word in line 7");
    machine.sexton(&["restart", "x"]).expect(3);
    all_say(&machine, "last test");
    all_say(&machine, " ago");
    for command in [["status", "x"], ["show", "x"], ["why", "x"]] {
        let said = machine.sexton(&command).all();
        assert!(said.contains("bad word in line 7"), "{said}");
    }
    machine.write("conf/main", "good");
    machine.sexton(&["restart", "x"]).expect(0);
    none_says(&machine, "last test");
}

#[test]
fn who_scales_what_is_no_template_is_told_what_would_be_one() {
    let template = "[instances]\ncount = 2\n[service]\nexec = [\"@TESTD@\", \"wait\"]\n";
    let machine = Plan::new().unit("web@", template).daemon("x", "wait", "").up();
    machine.ready_pid("web@2");
    for (wrong, code, said) in [
        ("x", 3, "'x' is no template"),
        ("web@1", 3, "its template, 'web@'"),
        ("wbe@", 1, "did you mean 'web@'"),
    ] {
        let refused = machine.sexton(&["scale", wrong, "3"]).expect(code).all();
        assert!(refused.contains(said), "{refused}");
    }
    machine.sexton(&["scale", "web@", "10001"]).expect(2);
    machine.sexton(&["scale", "web", "3"]).expect(0);
    let names: Vec<String> = machine.units().into_iter().map(|unit| unit.name).collect();
    assert_eq!(names, ["web@1", "web@2", "web@3", "x"], "in the order of their names, whenever they came");
}

#[test]
fn a_sync_takes_over_what_is_new_in_the_settings_and_says_so_once() {
    let sleepy = "[stop]\nsteps = [{ signal = \"TERM\", wait = \"1h\" }]\n";
    let mut machine = Plan::new().daemon("x", "ignore TERM wait", sleepy).up();
    machine.ready_pid("x");
    let mode = || machine.shell("stat -c '%a %G' /run/sexton/control").expect(0).out;
    assert_eq!(mode(), "600 root\n");
    let settings = "[shutdown]\ntimeout = \"2s\"\n[control]\ngroup = \"daemon\"\n[log]\nto = \"null\"\n";
    machine.write("units/sexton.toml", &format!("{settings}mode = 1\n"));
    machine.sexton(&["sync"]).expect(3);
    assert_eq!(mode(), "600 root\n", "of files with an error nothing is taken");
    machine.write("units/sexton.toml", settings);
    let plan = machine.sexton(&["plan", "sync"]).expect(0).out;
    assert!(plan.contains("[shutdown] timeout is 2 s; [control] group is daemon"), "{plan}");
    assert_eq!(mode(), "600 root\n", "a plan does nothing");
    let synced = machine.sexton(&["sync"]).expect(0).all();
    for said in ["[shutdown] timeout is 2 s", "[control] group is daemon", "[log] to is null"] {
        assert!(synced.contains(said), "{synced}");
        machine.await_console(said);
    }
    assert_eq!(mode(), "660 daemon\n");
    assert!(machine.sexton(&["sync"]).expect(0).all().contains("nothing has changed"));
    // It would wait for this unit for an hour, and for a minute and a half by the settings that it began with.
    machine.shut_down(nix::sys::signal::Signal::SIGTERM);
}

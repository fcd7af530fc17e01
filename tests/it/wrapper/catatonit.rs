//! Beside Debian's catatonit: its options have a counterpart, and its hygiene is ours, to the letter and a little further.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use super::{Place, debian, run};
use crate::harness::{Facts, Machine, Plan, until};

/// A PID 1 called with these words, which start the tests' daemon with those, after this line of shell.
fn first(wrapper: &[&str], setup: &str, daemon: &[&str]) -> Machine {
    let words = [wrapper, &["--", "@TESTD@"], daemon].concat();
    Plan::new().setup("mkdir -p -m 777 @DIR@/out").setup(setup).command(&words).boot()
}

fn both() -> [String; 2] {
    [debian("catatonit").display().to_string(), "@SEXTON@".to_owned()]
}

/// What the descriptors of PID 1 lead to.
fn held(machine: &Machine) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{}/fd", machine.pid1()));
    let paths = entries.into_iter().flatten().flatten().map(|entry| fs::read_link(entry.path()));
    paths.flatten().map(|path| path.display().to_string()).collect()
}

#[test]
fn every_way_to_end_is_the_same_but_for_a_program_that_is_none() {
    let place = Place::new();
    for words in [
        &["true"] as &[&str],
        &["false"],
        &["sh", "-c", "exit 7"],
        &["sh", "-c", "exit 255"],
        &["sh", "-c", "kill -TERM $$"],
        &["sh", "-c", "kill -KILL $$"],
        &["sh", "-c", "kill -40 $$"],
    ] {
        let words = [&["--"], words].concat();
        let expected = run(&debian("catatonit"), &words, &[]).code;
        assert_eq!(run(&place.path("sexton"), &words, &[]).code, expected, "{words:?}");
    }
    let code = |program| run(program, &["--", "no-such-program"], &[]).code;
    assert_eq!((code(&debian("catatonit")), code(&place.path("sexton"))), (1, 127), "as a shell has it");
}

#[test]
fn the_child_has_what_it_has_there_and_pid_1_has_let_go_of_it() {
    let setup = "cd @DIR@/out; echo > kept; exec 3<kept 7<kept; export LISTEN_PID=$$ LISTEN_FDS=1";
    let [theirs, ours] = both().map(|program| {
        let machine = first(&[&program], setup, &["dump", "@DIR@/out/facts", "wait"]);
        let facts: Facts = machine.await_facts("out/facts");
        assert_eq!(facts.text("directory"), machine.path("out").display().to_string(), "{program}");
        assert_eq!(facts.variable("LISTEN_PID"), Some(facts.number("pid").to_string().as_str()), "{program}");
        let kept = machine.path("out/kept").display().to_string();
        until("PID 1 has let go", || (!held(&machine).contains(&kept)).then_some(()));
        let numbers = facts.0["descriptors"].as_object();
        let numbers: Vec<String> = numbers.into_iter().flat_map(|all| all.keys().cloned()).collect();
        (numbers, facts.number("pid") == facts.number("group"), facts.text("ignored"))
    });
    assert_eq!(ours, theirs);
    assert!(["3", "7"].iter().all(|number| ours.0.contains(&(*number).to_owned())), "{:?}", ours.0);
}

#[test]
fn a_group_is_told_where_theirs_is() {
    let child = "@TESTD@ trap USR1 @DIR@/out/second -1 touch @DIR@/out/ready wait & \
                 exec @TESTD@ trap USR1 @DIR@/out/first -1 until @DIR@/out/ready touch @DIR@/out/both wait";
    let [theirs, ours] = both();
    for (wrapper, to_all) in [
        (&[theirs.as_str()] as &[&str], false),
        (&[&theirs, "-g"], true),
        (&[&ours], false),
        (&[&ours, "--group"], true),
    ] {
        let words = [wrapper, &["--", "sh", "-c", child]].concat();
        let machine = Plan::new().setup("mkdir -p -m 777 @DIR@/out").command(&words).boot();
        until("both run", || machine.path("out/both").exists().then_some(()));
        machine.signal(Signal::SIGUSR1);
        assert!(machine.await_file("out/first").contains("SIGUSR1"));
        if to_all {
            assert!(machine.await_file("out/second").contains("SIGUSR1"), "{wrapper:?}");
        } else {
            assert_eq!(machine.read("out/second"), "", "{wrapper:?}");
        }
    }
}

#[test]
fn below_another_init_the_orphans_are_its_own() {
    for program in both() {
        let machine = Plan::new()
            .setup("mkdir -p -m 777 @DIR@/out")
            .not_as_pid_1()
            .command(&[&program, "--", "@TESTD@", "orphans", "50", "touch", "@DIR@/out/all", "wait"])
            .boot();
        until("they have all ended", || machine.path("out/all").exists().then_some(()));
        until("nobody is a zombie", || (machine.zombies() == 0).then_some(()));
    }
}

/// `catatonit -P` is the pause container of a Pod: nothing runs in it, and it reaps what comes its way.
#[test]
fn a_pause_is_sexton_alone_without_units() {
    let mut machine = Plan::new().with_etc().command(&["@SEXTON@"]).boot();
    machine.await_console("there are no units; waiting for signals and reaping orphans");
    machine.signal(Signal::SIGINT);
    assert_eq!(machine.end(), 0);
}

#[test]
fn help_and_version_are_asked_for_as_there() {
    let place = Place::new();
    for (words, ours) in [(["-h"], "--help"), (["-V"], "--version"), (["--version"], "--version")] {
        assert_eq!(run(&debian("catatonit"), &words, &[]).code, 0);
        let said = run(&place.path("sexton"), &[ours], &[]).expect(0);
        assert!(said.out.contains("sexton") || said.out.contains("init"), "{}", said.out);
    }
}

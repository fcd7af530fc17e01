//! `[log] through`: programs that the output of units goes through, and what becomes of the units when they do not do well.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Machine, Plan, needs, until};

const SETTINGS: &str = "[log]\nto = \"file\"\nformat = \"raw\"\ndirectory = \"@DIR@/log\"\n";

/// A machine with one service that runs a line of shell, and writes through this.
fn through(filter: &str, script: &str, more: &str) -> Machine {
    Plan::new()
        .file("units/sexton.toml", SETTINGS)
        .unit(
            "x",
            &format!(
                "[service]\nexec = [\"/bin/sh\", \"-c\", \"{script}\"]\n[log]\nthrough = {filter}\n{more}"
            ),
        )
        .up()
}

/// The process that was started with these words, outside's number.
fn process(machine: &Machine, words: &str) -> Option<i32> {
    let line = |pid: i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = |pid| String::from_utf8_lossy(&line(pid)).replace('\0', " ");
    machine.processes().into_iter().map(|(pid, _)| pid).find(|pid| text(*pid).starts_with(words))
}

/// All that is in the files of a unit, oldest first.
fn logged(directory: &Path) -> String {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.path()).collect();
    names.sort();
    let texts = names.iter().map(|path| fs::read(path).unwrap_or_default());
    String::from_utf8_lossy(&texts.collect::<Vec<_>>().concat()).into_owned()
}

fn await_logged(machine: &Machine, text: &str) -> String {
    until(&format!("the log has {text:?}"), || {
        let all = logged(&machine.path("log/x"));
        all.contains(text).then_some(all)
    })
}

#[test]
fn lines_come_out_of_the_filter_which_outlives_restarts_and_ends_with_the_unit() {
    let sed = needs("sed", "sed");
    let machine = through(
        &format!("[\"{sed}\", \"-u\", \"s/^/%n: /\"]"),
        // The first process alone begins a line: a logger that is late to hear of its end would end one of the second's.
        "[ -e @DIR@/set ] && again=yes; : > @DIR@/set; echo one; echo two >&2; test $$again || printf half; \
         trap 'echo bye; exit' TERM; echo yes > @DIR@/set; while :; do sleep 0.01; done",
        "",
    );
    // Its trap is set, and half a line is written.
    let is_set = || fs::read(machine.path("set")).is_ok_and(|text| text == b"yes\n").then_some(());
    await_logged(&machine, "x: one\nx: two\n");
    until("it runs", is_set);
    let filter = until("the filter runs", || process(&machine, &format!("{sed} -u")));
    until("the last lines are the unit's own", || {
        machine.sexton(&["status", "x"]).all().contains("half").then_some(())
    });
    machine.sexton(&["restart", "x"]).expect(0);
    await_logged(&machine, "x: halfbye\nx: one\nx: two\n");
    until("it runs again", is_set);
    assert_eq!(process(&machine, &format!("{sed} -u")), Some(filter), "the same filter");
    let shown = machine.sexton(&["show", "x"]).all();
    assert!(shown.contains("filter") && shown.contains("s/^/x: /"), "{shown}");
    machine.sexton(&["stop", "x"]).expect(0);
    let all = await_logged(&machine, "x: halfbye\nx: one\nx: two\nx: bye\n");
    assert_eq!(all.lines().count(), 6, "{all}");
    until("the filter ends after its unit", || {
        process(&machine, &format!("{sed} -u")).is_none().then_some(())
    });
    machine.sexton(&["start", "x"]).expect(0);
    until("another one comes with it", || process(&machine, &format!("{sed} -u")));
}

#[test]
fn a_filter_that_is_killed_under_load_costs_what_it_had_read_and_the_unit_nothing() {
    let (seq, cat) = (needs("seq", "coreutils"), needs("cat", "coreutils"));
    let machine = through(
        &format!("[\"{cat}\"]"),
        // Not as fast as it goes: no line may be rotated away.
        &format!("n=0; while :; do {seq} $$((n+1)) $$((n+10000)); n=$$((n+10000)); sleep 0.01; done"),
        "max-size = \"1MiB\"\nkeep = 1000\n",
    );
    let size = || fs::metadata(machine.path("log/x/current")).map(|data| data.len()).unwrap_or(0);
    const KILLS: usize = 5;
    for _ in 0..KILLS {
        let old = until("the filter runs", || process(&machine, &cat));
        let before = size();
        until("lines flow", || (size() != before).then_some(()));
        let _ = kill(Pid::from_raw(old), Signal::SIGKILL);
        until("another filter takes its place", || process(&machine, &cat).filter(|new| *new != old));
    }
    assert_eq!(machine.unit("x").restarts, 0);
    machine.sexton(&["stop", "x"]).expect(0);
    until("the filter is through", || process(&machine, &cat).is_none().then_some(()));
    let text = logged(&machine.path("log/x"));
    let all: Vec<u64> =
        text.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("no number: {line:?}"))).collect();
    // At a kill the line that the filter was in is cut, and what is left of it stands alone or before another. Lines that
    // went past it while it was away come before those that it had not read yet.
    let likely = all.len() as u64 + 1_000_000;
    let there: BTreeSet<u64> = all.iter().copied().filter(|number| *number <= likely).collect();
    let last = there.last().copied().unwrap_or_default();
    let lost: usize =
        (1..=last).filter(|number| !there.contains(number)).map(|n| n.to_string().len() + 1).sum();
    // `cat` reads 128 KiB at once.
    assert!(lost <= KILLS * (128 * 1024 + 64), "{lost} bytes are lost of {}", text.len());
}

#[test]
fn a_filter_that_never_reads_stops_no_unit_and_lines_go_past_it() {
    let (seq, sleep) = (needs("seq", "coreutils"), needs("sleep", "coreutils"));
    let machine = through(
        &format!("[\"{sleep}\", \"100000\"]"),
        &format!("{seq} 200000; echo yes > @DIR@/done; exec {sleep} 1000000"),
        "",
    );
    machine.await_file("done");
    machine.await_console("takes nothing; lines go past it");
    let text = await_logged(&machine, "\n200000\n");
    assert!(text.lines().count() > 170_000, "{}", text.lines().count());
    for words in [["why", "x"], ["status", "x"], ["show", "x"]] {
        let said = machine.sexton(&words).all();
        assert!(said.contains("takes nothing; lines go past it"), "{said}");
    }
    assert_eq!(machine.state("x"), "ready");
}

#[test]
fn a_filter_that_cannot_be_started_or_ends_at_once_stops_no_unit_and_is_said_once() {
    for (filter, cause) in [
        ("[\"/no/such/filter\"]", "cannot execute '/no/such/filter': no such file or directory"),
        ("[\"/bin/sh\", \"-c\", \"exit 3\"]", "it exited with code 3"),
    ] {
        let machine = through(filter, "while :; do echo line; sleep 0.01; done", "");
        await_logged(&machine, "line\n");
        machine.await_console("lines go past it");
        until("it was tried several times", || {
            machine.sexton(&["why", "x"]).all().contains("started again in").then_some(())
        });
        let console = machine.console();
        let said = console.lines().filter(|line| line.contains("its filter")).count();
        assert!(console.contains(cause) && said <= 2, "{console}");
        assert_eq!(machine.state("x"), "ready");
    }
}

#[test]
fn the_last_words_of_a_filter_are_logged_when_sexton_itself_ends() {
    let awk = needs("awk", "mawk");
    let mut machine = through(
        &format!("[\"{awk}\", \"{{ n++ }} END {{ print n, \\\"lines, the last \\\" $$0 }}\"]"),
        "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done",
        "",
    );
    machine.sexton(&["show", "x"]).expect(0);
    until("the filter runs", || process(&machine, &awk));
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
    assert_eq!(logged(&machine.path("log/x")), "2 lines, the last bye\n");
}

#[test]
fn one_that_never_ends_is_ended_after_its_unit() {
    let sleep = needs("sleep", "coreutils");
    let mut machine = through(
        &format!("[\"/bin/sh\", \"-c\", \"trap '' TERM; while :; do {sleep} 0.1; done\"]"),
        &format!("exec {sleep} 1000000"),
        "",
    );
    until("the filter runs", || process(&machine, "/bin/sh -c trap"));
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
}

#[test]
fn another_filter_takes_over_when_a_sync_brings_it() {
    let sed = needs("sed", "sed");
    let unit = |filter: &str| {
        format!("[service]\nexec = [\"/bin/sh\", \"-c\", \"echo up; exec sleep 1000\"]\n[log]\n{filter}\n")
    };
    let machine = through(&format!("[\"{sed}\", \"-u\", \"s/^/old /\"]"), "echo up; exec sleep 1000", "");
    await_logged(&machine, "old up\n");
    machine.write("units/x.toml", &unit(&format!("through = [\"{sed}\", \"-u\", \"s/^/new /\"]")));
    machine.sexton(&["sync"]).expect(0);
    await_logged(&machine, "old up\nnew up\n");
    until("the old one ends", || process(&machine, &format!("{sed} -u s/^/old")).is_none().then_some(()));
    machine.write("units/x.toml", &unit(""));
    machine.sexton(&["sync"]).expect(0);
    await_logged(&machine, "old up\nnew up\nup\n");
    until("no filter is left", || process(&machine, &sed).is_none().then_some(()));
}

#[test]
fn a_logger_that_is_killed_or_makes_place_loses_little_or_nothing_on_the_way_to_a_filter() {
    let (seq, cat) = (needs("seq", "coreutils"), needs("cat", "coreutils"));
    for (signal, most) in [(Signal::SIGHUP, 0), (Signal::SIGKILL, 64 * 1024)] {
        let machine = through(
            &format!("[\"{cat}\"]"),
            &format!("exec {seq} -f %%020.0f 100000000000"),
            "max-size = \"1MiB\"\nkeep = 1000\n",
        );
        let size = || fs::metadata(machine.path("log/x/current")).map(|data| data.len()).unwrap_or(0);
        for _ in 0..4 {
            let old = until("a logger runs", || process(&machine, "sexton-logger"));
            let before = size();
            until("lines flow", || (size() != before).then_some(()));
            kill(Pid::from_raw(old), signal).unwrap_or_else(|error| panic!("{old}: {error}"));
            until("another takes its place", || process(&machine, "sexton-logger").filter(|new| *new != old));
        }
        machine.sexton(&["stop", "x"]).expect(0);
        until("the filter is through", || process(&machine, &cat).is_none().then_some(()));
        let text = logged(&machine.path("log/x"));
        let numbers: Vec<u64> = text.lines().filter(|line| line.len() == 20).flat_map(str::parse).collect();
        // What the service itself had begun to write when it was stopped is its own last line.
        let torn: Vec<&str> = text.lines().filter(|line| line.len() != 20).collect();
        assert!(torn.len() <= 1, "{signal}: torn lines: {torn:?}, the last {:?}", numbers.last());
        let gaps = numbers.windows(2).map(|pair| pair[1].checked_sub(pair[0] + 1).expect("in order"));
        let lost: Vec<u64> = gaps.filter(|gap| *gap > 0).map(|lines| lines * 21).collect();
        // A kill may come between two reads of both pipes, each of which may cost its bound.
        assert!(lost.iter().all(|bytes| *bytes <= 2 * most + 42), "{signal}: {lost:?}");
        assert_eq!(machine.unit("x").restarts, 0);
    }
}

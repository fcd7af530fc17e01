//! Processes of an earlier run that go on writing, and what becomes of them when the logger does not.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Machine, Plan, until};

/// Counts in lines of its own number, until it was told to stop and the file `enough` is there.
const WRITER: &str = r#"
trap 'old=yes' TERM
echo up
count=0
while :; do
    count=$((count + 1))
    echo "$$ $count end"
    test -n "$old" && echo yes > "@DIR@/old-$$"
    if test -n "$old" && test -e "@DIR@/enough"; then
        echo "$$ last words"
        exit
    fi
    sleep 0.01
done
"#;

fn logger(machine: &Machine) -> Option<i32> {
    let line = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    machine.processes().into_iter().map(|(pid, _)| pid).find(|pid| line(*pid).starts_with("sexton-logger"))
}

/// Ends the logger, and waits for another.
fn replace_logger(machine: &Machine, signal: Signal) {
    let old = until("a logger runs", || logger(machine));
    kill(Pid::from_raw(old), signal).unwrap_or_else(|error| panic!("{old}: {error}"));
    until("another takes its place", || logger(machine).filter(|new| *new != old));
}

/// The numbers that each process counted, as they are in the log.
fn counted(machine: &Machine) -> BTreeMap<i32, Vec<u64>> {
    let text = fs::read_to_string(machine.path("log/x/current")).unwrap_or_default();
    let mut counted: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let object: serde_json::Value = serde_json::from_str(line).expect("an object");
        let said = object["line"].as_str().expect("a line");
        let Some((pid, rest)) = said.split_once(' ') else {
            assert_eq!(said, "up", "a torn line");
            continue;
        };
        assert_eq!(object["pid"].to_string(), pid, "{line}");
        let numbers = counted.entry(pid.parse().expect("a number")).or_default();
        numbers.extend(rest.strip_suffix(" end").map(|count| count.parse::<u64>().expect("a number")));
    }
    counted
}

#[test]
fn a_process_of_an_earlier_run_goes_on_writing_whatever_becomes_of_the_logger() {
    let machine = Plan::new()
        .file("units/sexton.toml", "[log]\nto = \"file\"\nformat = \"json\"\ndirectory = \"@DIR@/log\"\n")
        .file("writer.sh", WRITER)
        .unit(
            "x",
            "[service]\nexec = [\"/bin/sh\", \"@DIR@/writer.sh\"]\n[ready]\nlog = \"^up\"\n[restart]\noverlap = true\n[stop]\nsteps = [{ signal = \"TERM\", wait = \"10m\" }]\n",
        )
        .up();
    machine.await_state("x", "ready");
    let old = until("the first writes", || counted(&machine).keys().next().copied());
    let mut restart = machine.start("restarted", &[&machine.fill("@SEXTON@"), "restart", "x"]);
    machine.await_file(&format!("old-{old}"));
    let new = until("the second writes", || counted(&machine).keys().copied().find(|pid| *pid != old));
    for signal in [Signal::SIGKILL, Signal::SIGHUP, Signal::SIGKILL, Signal::SIGHUP, Signal::SIGHUP] {
        replace_logger(&machine, signal);
        let last = |pid: i32| counted(&machine).get(&pid).and_then(|numbers| numbers.last().copied());
        let before = (last(old), last(new));
        until("both are read", || (last(old) > before.0 && last(new) > before.1).then_some(()));
    }
    machine.write("enough", "");
    until("its last words are there", || {
        let text = fs::read_to_string(machine.path("log/x/current")).unwrap_or_default();
        text.contains(&format!("{old} last words")).then_some(())
    });
    #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
    until("the restart is over", || restart.try_wait().expect("its status"));
    for (pid, numbers) in counted(&machine) {
        let gaps: u64 = numbers.windows(2).map(|pair| pair[1].checked_sub(pair[0] + 1).expect("once")).sum();
        // Each of the two kills may cost the lines that had been read; two that make place cost none.
        assert!(gaps <= 8, "{pid}: {gaps}");
    }
}

//! `sexton health`: what a probe is told, and how long it takes to tell.

use crate::harness::{Machine, Plan, until};

const NOTIFY: &str = "[ready]\nnotify = true\n[restart]\non = \"never\"\n";

#[test]
fn it_is_well_only_when_all_that_should_be_ready_is() {
    let machine = Plan::new()
        .daemon("store", "until @DIR@/go notify READY=1 until @DIR@/crash exit 1", NOTIFY)
        .daemon("later", "wait", "manual = true\n---")
        .unit("once", "[task]\nexec = [\"/bin/true\"]\n")
        .up();
    machine.await_state("once", "done");
    let starting = machine.sexton(&["health"]).expect(1);
    assert_eq!((starting.out.as_str(), starting.err.as_str()), ("store is starting\n", ""));
    machine.write("go", "");
    machine.await_state("store", "ready");
    assert_eq!(machine.sexton(&["health"]).expect(0).all(), "");
    machine.sexton(&["health", "store", "once"]).expect(0);
    assert_eq!(machine.sexton(&["health", "later"]).expect(1).out, "later is stopped\n");
    assert!(machine.sexton(&["health", "--json"]).expect(0).out.contains("\"state\":\"healthy\""));
    machine.write("crash", "");
    machine.await_state("store", "failed");
    let failed = machine.sexton(&["health"]).expect(1);
    assert_eq!(failed.out, "store is failed: exited with code 1\n");
    let unknown = machine.sexton(&["health", "stor"]).expect(1);
    assert!(unknown.err.contains("store"), "{}", unknown.err);
}

/// Of the processors' time: how long the clock runs meanwhile is a matter of who else runs.
#[test]
fn a_probe_costs_less_than_ten_milliseconds_and_tires_nobody() {
    let machine = Plan::new()
        .file("units/many@.toml", "[instances]\ncount = 200\n[service]\nexec = [\"@TESTD@\", \"wait\"]\n")
        .up();
    until("all are ready", || machine.sexton(&["health"]).ok().then_some(()));
    let ticks = |machine: &Machine| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", machine.pid1())).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        [11, 12].iter().filter_map(|place| fields.get(*place)?.parse::<u64>().ok()).sum()
    };
    let before = ticks(&machine);
    let line = "n=0; while [ $n -lt 300 ]; do @SEXTON@ health || exit 1; n=$((n+1)); done; times";
    let times = machine.shell(line).expect(0).out;
    // The second line is that of the children: 0m0.120s 0m0.430s.
    let children = times.lines().nth(1).unwrap_or_default();
    let seconds: f64 = children
        .split_whitespace()
        .filter_map(|time| {
            let (minutes, seconds) = time.trim_end_matches('s').split_once('m')?;
            Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
        })
        .sum();
    assert!(seconds > 0.0, "{times}");
    let (client, init) = (seconds * 1000.0 / 300.0, (ticks(&machine) - before) as f64 * 10.0 / 300.0);
    assert!(client + init < 10.0, "{client} ms in the client, {init} ms in PID 1");
}

/// The fastest of many: that one met nobody else on its way.
#[test]
fn a_probe_takes_less_than_ten_milliseconds_from_its_start_to_its_answer() {
    let machine = Plan::new()
        .file("units/many@.toml", "[instances]\ncount = 200\n[service]\nexec = [\"@TESTD@\", \"wait\"]\n")
        .up();
    until("all are ready", || machine.sexton(&["health"]).ok().then_some(()));
    let line = "for n in $(seq 200); do a=${EPOCHREALTIME/[.,]/}; @SEXTON@ health || exit 1; \
                b=${EPOCHREALTIME/[.,]/}; echo $((b - a)); done";
    let times = machine.run(&["bash", "-c", &machine.fill(line)]).expect(0).out;
    let fastest = times.lines().filter_map(|line| line.parse::<u32>().ok()).min();
    assert!(fastest.is_some_and(|fastest| fastest < 10_000), "{fastest:?} µs");
}

#[test]
fn where_there_is_no_init_it_says_so() {
    let machine = Plan::new().up();
    let end = machine.sexton(&["--socket", "/run/none", "health"]).expect(4);
    assert!(end.err.contains("no sexton is running"), "{}", end.err);
}

#[test]
fn who_shuts_down_is_not_well() {
    let machine = Plan::new()
        .daemon("slow", "ignore TERM wait", "[stop]\nsteps = [{ signal = \"TERM\", wait = \"10m\" }]\n")
        .up();
    machine.ready_pid("slow");
    machine.run(&["/bin/kill", "-TERM", "1"]).expect(0);
    until("it shuts down", || machine.sexton(&["health"]).out.contains("shutting down").then_some(()));
    machine.sexton(&["health"]).expect(1);
}

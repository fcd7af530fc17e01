//! Every system call that PID 1 makes fails once, and PID 1 does not die of it.
//!
//! ```text
//!   record:  start two services, kill one, see it return,
//!            restart both: a render, a configtest, a pre-stop hook; TERM   → which calls, and how often each
//!   sweep:   the same for each (call, n), with strace letting the n-th one fail, from outside the namespaces
//! ```
//!
//! A point is *ok* when all went as ever, *degraded* when a service came late or the restart was refused and so touched
//! nothing, *missing* when one never came or never came
//! back, *died* when PID 1 ended before it was told to, *stuck* when it did not end afterwards. The last three fail the
//! test; what may be missing all the same is in [`points::MAY_MISS`], each with its reason. So does a sweep most of whose
//! points are *not reached*: it has shown nothing.

#![allow(unreachable_pub, reason = "a test has no outside: `pub` says what its modules offer each other")]

#[path = "../it/harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is the integration tests', and the sweep needs a part of it"
)]
mod harness;
mod points;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use harness::{Deadline, Machine, Plan, needs, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use points::Point;

/// So many at once: each waits more than it works, and two cores are all there is.
const WORKERS: usize = 4;
/// After this a service is late; undisturbed and alone it takes a hundredth of that.
const LATE: Duration = Duration::from_secs(2);
/// After this nobody waits for it any more.
const MISSING: Duration = Duration::from_secs(6);
/// Of a hundred points, so many may not be reached: how often a few calls are made depends on who is scheduled when.
const NOT_REACHED_PERCENT: usize = 20;
/// The end must come by then: the units' own waits and the shutdown's deadline are a second each.
const STUCK: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Degraded,
    Missing,
    Died,
    Stuck,
    /// The call was not made that often this time.
    NotReached,
}

#[test]
fn no_system_call_that_fails_ends_pid_1() {
    let strace = needs("strace", "strace");
    let began = Instant::now();
    let mut points = record(&strace);
    assert!(points.len() > 50, "only {} calls were recorded", points.len());
    // For whoever looks into one point: SEXTON_SWEEP='read 3'.
    if let Ok(wanted) = std::env::var("SEXTON_SWEEP") {
        points.retain(|point| wanted.split(',').any(|wanted| format!("{point:?}").starts_with(wanted)));
    }
    let queue = Mutex::new(points.iter());
    let verdicts = Mutex::new(BTreeMap::<Verdict, Vec<&Point>>::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(point) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let verdict = attempt(&strace, point);
                    verdicts.lock().expect("no worker panics").entry(verdict).or_default().push(point);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().expect("no worker panics");
    report(points.len(), &verdicts, began.elapsed());
    for bad in [Verdict::Died, Verdict::Stuck] {
        assert!(!verdicts.contains_key(&bad), "PID 1 {bad:?} at {:?}", verdicts[&bad]);
    }
    let missing = verdicts.get(&Verdict::Missing).into_iter().flatten();
    let missing: Vec<&&Point> = missing.filter(|point| !point.may_miss()).collect();
    assert!(missing.is_empty(), "a service never came at {missing:?}");
    let not_reached = verdicts.get(&Verdict::NotReached).map_or(0, Vec::len);
    let bound = points.len() * NOT_REACHED_PERCENT / 100;
    assert!(not_reached <= bound, "{not_reached} of {} points were not reached", points.len());
}

#[allow(clippy::print_stdout, clippy::disallowed_macros, reason = "the number of points is the result")]
fn report(points: usize, verdicts: &BTreeMap<Verdict, Vec<&Point>>, took: Duration) {
    println!("{points} points in {} s", took.as_secs());
    for (verdict, hit) in verdicts {
        println!("  {verdict:?}: {}", hit.len());
        if *verdict != Verdict::Ok {
            hit.iter().for_each(|point| println!("    {point:?}"));
        }
    }
}

/// What a restart does before it stops anything. Another template has it written anew.
const TRANSACTION: &str = "[[render]]\nfrom = \"@DIR@/template\"\nto = \"@DIR@/made\"\n\
     [configtest]\nexec = [\"@TESTD@\", \"exit\", \"0\"]\ntimeout = \"1s\"\n\
     [[pre-stop]]\nexec = [\"@TESTD@\", \"exit\", \"0\"]\ntimeout = \"1s\"\n";

/// Two services, the second of which needs the first; every run of each leaves a mark.
fn plan() -> Plan {
    let more =
        "[restart]\ndelay = \"0ms\"\njitter = 0.0\n[stop]\nsteps = [{ signal = \"TERM\", wait = \"1s\" }]\n";
    Plan::new()
        .file("units/sexton.toml", "[shutdown]\ntimeout = \"1s\"\n")
        .file("template", "made\n")
        .daemon(
            "a",
            "mark @DIR@/marks a notify READY=1 wait",
            &format!("{more}[ready]\nnotify = true\n{TRANSACTION}"),
        )
        .daemon("b", "mark @DIR@/marks b wait", &format!("needs = [\"a\"]\n---{more}"))
        .held()
}

/// A tracer of PID 1 alone; it ends with it.
struct Tracer(Child);

impl Tracer {
    fn attach(strace: &str, machine: &Machine, more: &[&str]) -> Tracer {
        let pid = machine.pid1().to_string();
        let log = machine.path("strace");
        let mut command = Command::new(strace);
        command
            .args(["-qq", "-p", &pid, "-o"])
            .arg(&log)
            .args(more)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        #[allow(clippy::disallowed_methods, reason = "the tracer is a child of the test")]
        let child = command.spawn().unwrap_or_else(|e| panic!("{strace}: {e}"));
        until("the tracer is in place", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().to_owned();
            (tracer != "0").then_some(())
        });
        Tracer(child)
    }
}

impl Drop for Tracer {
    #[allow(clippy::disallowed_methods, reason = "the tracer is a child of the test")]
    fn drop(&mut self) {
        let _ = self.0.kill(); // It has ended by itself when its tracee did.
        let _ = self.0.wait(); // It was our child and is now reaped.
    }
}

/// The points of an undisturbed run.
fn record(strace: &str) -> Vec<Point> {
    let mut machine = plan().boot();
    let tracer = Tracer::attach(strace, &machine, &[]);
    machine.release();
    let went = perform(&mut machine);
    assert_eq!(went, Verdict::Ok, "undisturbed it is {went:?}:\n{}", machine.console());
    drop(tracer);
    points::of_log(&machine.read("strace"))
}

fn attempt(strace: &str, point: &Point) -> Verdict {
    let mut machine = plan().boot();
    let inject = point.as_inject();
    let tracer = Tracer::attach(strace, &machine, &["-e", &inject]);
    machine.release();
    let verdict = perform(&mut machine);
    drop(tracer);
    let reached = machine.read("strace").contains("(INJECTED)");
    if verdict == Verdict::Ok && !reached { Verdict::NotReached } else { verdict }
}

/// Waits until so many runs were marked; how it went, or `None` where PID 1 ended.
fn await_marks(machine: &mut Machine, count: usize) -> Option<Verdict> {
    let began = Instant::now();
    let deadline = Deadline::after(MISSING);
    loop {
        if machine.ended().is_some() {
            return None;
        }
        if machine.read("marks").lines().count() >= count {
            return Some(if began.elapsed() < LATE { Verdict::Ok } else { Verdict::Degraded });
        }
        if deadline.passed() {
            return Some(Verdict::Missing);
        }
        harness::wait::pause();
    }
}

/// Start, kill one, see it return, restart both, stop.
fn perform(machine: &mut Machine) -> Verdict {
    let Some(started) = await_marks(machine, 2) else { return Verdict::Died };
    let so_far = machine.read("marks").lines().count();
    if let Some(service) = service(machine) {
        let _ = kill(service, Signal::SIGKILL); // It may have ended this very moment.
    }
    let Some(returned) = await_marks(machine, so_far + 1) else { return Verdict::Died };
    let Some(restarted) = restart(machine) else { return Verdict::Died };
    machine.signal(Signal::SIGTERM);
    let deadline = Deadline::after(STUCK);
    while machine.ended().is_none() {
        if deadline.passed() {
            return Verdict::Stuck;
        }
        harness::wait::pause();
    }
    started.max(returned).max(restarted)
}

/// A restart of both with another template. One that was refused, or whose answer was lost, leaves both serving.
fn restart(machine: &mut Machine) -> Option<Verdict> {
    machine.write("template", "made anew\n");
    let so_far = machine.read("marks").lines().count();
    if machine.sexton(&["--timeout", "6s", "restart", "a"]).ok() {
        return await_marks(machine, so_far + 2);
    }
    machine.ended().is_none().then_some(Verdict::Degraded)
}

/// The first service that runs, as the outside counts.
fn service(machine: &Machine) -> Option<Pid> {
    let name = |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let pids = machine.processes().into_iter().map(|(pid, _)| pid);
    pids.filter(|pid| *pid != machine.pid1().as_raw())
        .find(|pid| name(*pid).trim() == "testd")
        .map(Pid::from_raw)
}

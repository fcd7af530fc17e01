//! The world fails: no process, no descriptor, nowhere to write. PID 1 goes on, and what it owes it does later.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, until, within};

/// Time PID 1 spent on a processor, from the scheduler's own count.
fn on_cpu(machine: &Machine) -> Duration {
    let text = fs::read_to_string(format!("/proc/{}/schedstat", machine.pid1())).unwrap_or_default();
    Duration::from_nanos(
        text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(u64::MAX),
    )
}

/// A cgroup that bounds the number of processes; cgroup v1 or v2, whichever this machine can do.
struct Bounded(PathBuf);

impl Bounded {
    fn new(machine: &Machine) -> Bounded {
        let name = format!("sexton-it-{}", machine.pid1());
        let mounted = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let root = mounted.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (place, kind, options) = (words.next()?, words.next()?, words.next()?);
            let v1 = kind == "cgroup" && options.split(',').any(|option| option == "pids");
            let controllers = fs::read_to_string(format!("{place}/cgroup.controllers")).unwrap_or_default();
            let v2 = kind == "cgroup2" && controllers.split_whitespace().any(|word| word == "pids");
            if v2 {
                // It may be on already, which is as good.
                let _ = fs::write(format!("{place}/cgroup.subtree_control"), "+pids");
            }
            (v1 || v2).then(|| PathBuf::from(place))
        });
        let place = root.expect("there is no cgroup with a pids controller").join(name);
        fs::create_dir(&place).unwrap_or_else(|e| panic!("{}: {e}", place.display()));
        let bounded = Bounded(place);
        for (pid, _) in machine.processes() {
            bounded.write("cgroup.procs", &pid.to_string());
        }
        bounded
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        let deadline = crate::harness::Deadline::after(Duration::from_secs(5));
        // A cgroup can go once its last process was reaped.
        while fs::remove_dir(&self.0).is_err() && !deadline.passed() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn no_process_to_be_had_is_survived_and_made_up_for_within_a_second() {
    let machine = Plan::new().daemon("x", "wait", "[restart]\ndelay = \"0ms\"\n").up();
    let status = machine.await_state("x", "ready");
    let bounded = Bounded::new(&machine);
    bounded.write("pids.max", "0");
    endure_want(&machine, || bounded.write("pids.max", "max"));
    let new = machine.await_replacement("x", status.main_pid.unwrap_or(0));
    assert!(machine.lives(new));
    assert_eq!(machine.unit("x").state, "ready");
}

/// The one service is killed and cannot be started for four seconds: PID 1 spends next to nothing meanwhile, and the
/// service is back within a second once the want is lifted.
fn endure_want(machine: &Machine, lift: impl FnOnce()) {
    let service = || machine.processes().into_iter().map(|(pid, _)| pid).find(|pid| is_testd(*pid));
    let victim = service().expect("the service runs");
    let before = on_cpu(machine);
    let began = Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), Signal::SIGKILL)
        .expect("the service can be killed");
    within(Duration::from_secs(10), "four seconds of want", || {
        (began.elapsed() > Duration::from_secs(4)).then_some(())
    });
    let share = (on_cpu(machine) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(service().is_none(), "it was started in spite of the want");
    lift();
    let lifted = Instant::now();
    until("the service is back", service);
    assert!(lifted.elapsed() < Duration::from_secs(1), "{:?} after the want was lifted", lifted.elapsed());
    assert!(share < 0.01, "{:.2} % CPU while it waited", share * 100.0);
}

fn is_testd(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "testd")
        && fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.contains("chamber"))
}

/// Changes a limit of PID 1 from outside.
fn limit(machine: &Machine, what: &str) {
    let pid = machine.pid1().to_string();
    #[allow(clippy::disallowed_methods, reason = "prlimit is a child of the test")]
    let status = std::process::Command::new("prlimit").args(["--pid", &pid, what]).status();
    assert!(status.is_ok_and(|status| status.success()), "prlimit {what}");
}

#[test]
fn no_descriptor_to_be_had_is_survived_and_made_up_for_within_a_second() {
    // Each start of it takes a new pipe.
    let ready = "[ready]\nfd = 7\n[restart]\ndelay = \"0ms\"\n";
    let machine = Plan::new().daemon("x", "newline 7 wait", ready).up();
    let status = machine.await_state("x", "ready");
    limit(&machine, "--nofile=3:");
    endure_want(&machine, || limit(&machine, "--nofile=1024:"));
    machine.await_replacement("x", status.main_pid.unwrap_or(0));
}

#[test]
fn a_plain_restart_takes_no_descriptor_and_happens_though_none_is_to_be_had() {
    let machine = Plan::new().daemon("x", "wait", "[restart]\ndelay = \"0ms\"\n").up();
    machine.await_state("x", "ready");
    let service = || machine.processes().into_iter().map(|(pid, _)| pid).find(|pid| is_testd(*pid));
    let old = service().expect("the service runs");
    limit(&machine, "--nofile=3:");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(old), Signal::SIGKILL)
        .expect("the service can be killed");
    until("another process runs", || service().filter(|new| *new != old));
    limit(&machine, "--nofile=1024:");
}

/// A machine whose output leads somewhere bad, and a service that writes much and dies often.
fn with_output(redirection: &str) -> Machine {
    Plan::new()
        .setup("mkfifo @DIR@/full; exec 8<>@DIR@/full")
        .setup(redirection)
        .unit("loud", "[service]\nexec = [\"/bin/sh\", \"-c\", \"i=0; while [ $$i -lt 3000 ]; do echo a line of some length that fills a pipe in time; i=$$((i+1)); done; exec sleep 1000\"]\n[restart]\ndelay = \"0ms\"\n")
        .daemon("quiet", "wait", "[restart]\ndelay = \"0ms\"\n")
        .up()
}

#[test]
fn an_output_that_nobody_reads_is_full_or_is_closed_stops_nothing() {
    for bad in [
        "exec >&8 2>&8",
        "exec >/dev/full 2>/dev/full",
        "exec >&- 2>&-",
        "mkfifo @DIR@/gone; { : < @DIR@/gone & } ; exec > @DIR@/gone 2>&1; wait",
    ] {
        let mut machine = with_output(bad);
        for unit in ["loud", "quiet"] {
            machine.await_state(unit, "ready");
            let old = machine.kill(unit, Signal::SIGKILL);
            machine.await_replacement(unit, old);
        }
        assert_eq!(machine.shut_down(Signal::SIGTERM), 0, "{bad}");
    }
}

#[test]
fn a_logger_that_is_killed_returns_and_no_service_is_started_twice() {
    let machine = Plan::new()
        .daemon("x", "mark @DIR@/starts x wait", "")
        .daemon("y", "until @DIR@/go say spoken wait", "")
        .up();
    machine.await_state("x", "ready");
    let loggers =
        |machine: &Machine| machine.run(&["pgrep", "-P", "1", "-f", "^sexton-logger"]).out.trim().to_owned();
    let old = until("there is a logger", || Some(loggers(&machine)).filter(|pids| !pids.is_empty()));
    for pid in old.split_whitespace() {
        machine.run(&["/bin/kill", "-9", pid]).expect(0);
    }
    until("there is another logger", || Some(loggers(&machine)).filter(|new| !new.is_empty() && *new != old));
    machine.write("go", "");
    machine.await_console("spoken");
    assert_eq!(machine.read("starts").lines().count(), 1);
}

#[test]
fn memory_that_cannot_grow_stops_nothing() {
    let machine = Plan::new().daemon("x", "wait", "[restart]\ndelay = \"0ms\"\n").up();
    machine.await_state("x", "ready");
    let text = fs::read_to_string(format!("/proc/{}/status", machine.pid1())).unwrap_or_default();
    let size = text.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib: u64 =
        size.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("VmSize is there");
    limit(&machine, &format!("--as={}", kib * 1024));
    let old = machine.kill("x", Signal::SIGKILL);
    machine.await_replacement("x", old);
}

#[test]
fn where_descriptors_are_short_the_units_say_once_what_they_wait_for() {
    let mut plan = Plan::new().setup("ulimit -n 64");
    for n in 0..40 {
        plan = plan.daemon(&format!("u{n}"), "wait", "");
    }
    let machine = plan.up();
    let waits = |console: &str, unit: &str| {
        let start = format!("{unit}: ");
        console
            .lines()
            .filter(|line| line.contains(&start) && line.contains("trying again until it can"))
            .count()
    };
    let last = until("a unit waits, and the console says so", || {
        let console = machine.console();
        let waiting = (0..40).map(|n| format!("u{n}")).find(|unit| waits(&console, unit) > 0)?;
        console.contains("is ready").then_some(waiting)
    });
    // It is tried again every half a second at the latest, which takes time on a processor.
    let before = on_cpu(&machine);
    until("it was tried again", || (on_cpu(&machine) > before + Duration::from_millis(5)).then_some(()));
    let console = machine.console();
    // The words of glibc, or of musl.
    let words = ["too many open files", "no file descriptors available"];
    assert!(words.iter().any(|words| console.contains(words)), "{console}");
    assert!(!console.contains("no reason is known"), "{console}");
    assert_eq!(waits(&console, &last), 1, "{console}");
}

#[test]
fn an_error_in_a_file_that_came_later_is_said_when_the_files_are_read_again_and_only_once() {
    let machine = Plan::new().daemon("x", "wait", "").up();
    machine.await_state("x", "ready");
    machine.write("units/bad.toml", "[service]\nexce = [\"a\"]\n");
    machine.signal(Signal::SIGHUP);
    let said = "unknown key 'exce'";
    until("the error is said", || machine.console().contains(said).then_some(()));
    machine.write("units/good.toml", &machine.fill("[service]\nexec = [\"@TESTD@\", \"wait\"]\n"));
    // Neither it nor what it depends on is broken, so nothing is read again.
    machine.sexton(&["start", "x"]).expect(0);
    assert!(!machine.units().iter().any(|unit| unit.name == "good"));
    machine.sexton(&["start", "good"]).expect(0);
    assert_eq!(machine.console().matches(said).count(), 1, "{}", machine.console());
}

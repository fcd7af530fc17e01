//! Stops: the steps, the deadline, whom the last KILL reaches, who refuses, and the end of everything.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, until};

#[test]
fn the_steps_of_a_stop_come_one_after_the_other() {
    let machine = Plan::new()
        .daemon(
            "x",
            "trap INT @DIR@/got -1 trap USR1 @DIR@/got -1 trap TERM @DIR@/got 0 notify READY=1 wait",
            "[ready]\nnotify = true\n[stop]\nsteps = [{ signal = \"INT\", wait = \"200ms\" }, { signal = \"USR1\", wait = \"200ms\" }, { signal = \"TERM\", wait = \"10s\" }]\n",
        )
        .up();
    machine.await_state("x", "ready");
    machine.sexton(&["stop", "x"]).expect(0);
    let got: Vec<String> =
        machine.read("got").lines().map(|l| l.split(' ').next().unwrap_or("").to_owned()).collect();
    assert_eq!(got, ["SIGINT", "SIGUSR1", "SIGTERM"]);
    assert_eq!(machine.state("x"), "stopped");
}

#[test]
fn what_ignores_its_signals_is_killed_with_its_whole_group() {
    let machine = Plan::new()
        .daemon(
            "x",
            "ignore TERM child @DIR@/child wait",
            "[stop]\nsteps = [{ signal = \"TERM\", wait = \"200ms\" }]\n",
        )
        .up();
    let child: i32 = machine.await_file("child").parse().unwrap_or(0);
    machine.await_state("x", "ready");
    machine.sexton(&["stop", "x"]).expect(0);
    until("the whole group is gone", || (!machine.lives(child)).then_some(()));
}

#[test]
fn kill_process_leaves_the_group_alone_and_kill_never_kills_nobody() {
    let machine = Plan::new()
        .daemon("one", "ignore TERM child @DIR@/child wait", "[stop]\nkill = \"process\"\nsteps = [{ signal = \"TERM\", wait = \"100ms\" }]\n")
        .daemon("two", "ignore TERM notify READY=1 until @DIR@/go exit 0", "[ready]\nnotify = true\n[stop]\nkill = \"never\"\nsteps = [{ signal = \"TERM\", wait = \"100ms\" }]\n")
        .up();
    let child: i32 = machine.await_file("child").parse().unwrap_or(0);
    machine.await_state("one", "ready");
    machine.sexton(&["stop", "one"]).expect(0);
    assert!(machine.lives(child));
    machine.await_state("two", "ready");
    let pid = machine.main_pid("two");
    machine.sexton(&["--timeout", "700ms", "stop", "two"]).expect(5);
    assert!(machine.lives(pid));
    machine.write("go", "");
    machine.await_state("two", "stopped");
}

#[test]
fn a_stop_command_comes_before_the_signals() {
    let machine = Plan::new()
        .daemon(
            "x",
            "until @DIR@/please mark @DIR@/all asked exit 0",
            "[stop]\nexec = [\"@TESTD@\", \"touch\", \"@DIR@/please\"]\n",
        )
        .up();
    machine.await_state("x", "ready");
    machine.sexton(&["stop", "x"]).expect(0);
    assert!(machine.read("all").contains("asked"));
}

#[test]
fn a_stop_is_refused_while_a_running_unit_needs_it() {
    let machine =
        Plan::new().daemon("store", "wait", "").daemon("web", "wait", "needs = [\"store\"]\n---").up();
    machine.await_state("web", "ready");
    let refused = machine.sexton(&["stop", "store"]).expect(3);
    assert!(refused.all().contains("web"), "{}", refused.all());
    assert_eq!((machine.state("store"), machine.state("web")), ("ready".into(), "ready".into()));
    machine.sexton(&["stop", "--cascade", "store"]).expect(0);
    assert_eq!((machine.state("store"), machine.state("web")), ("stopped".into(), "stopped".into()));
}

#[test]
fn every_signal_that_means_the_end_ends_it_with_0() {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGPWR];
    for signal in signals {
        let mut machine = Plan::new()
            .daemon("x", "trap TERM @DIR@/x 0 notify READY=1 wait", "[ready]\nnotify = true\n")
            .up();
        machine.await_state("x", "ready");
        assert_eq!(machine.shut_down(signal), 0, "{signal}");
        assert!(machine.read("x").contains("SIGTERM"), "{signal}");
    }
}

#[test]
fn a_second_signal_cuts_the_waiting_short() {
    let mut machine =
        Plan::new().daemon("x", "ignore TERM notify READY=1 wait", "[ready]\nnotify = true\n").up();
    machine.await_state("x", "ready");
    let began = Instant::now();
    machine.signal(Signal::SIGTERM);
    machine.await_state("x", "stopping");
    machine.signal(Signal::SIGTERM);
    machine.end();
    // The unit's own wait is 90 seconds.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let said: Vec<bool> = ["shutting down: SIGTERM", "shutting down at once, without waiting: SIGTERM"]
        .map(|words| machine.console().contains(words))
        .to_vec();
    assert_eq!(said, [true, true], "{}", machine.console());
}

#[test]
fn the_deadline_of_a_shutdown_holds_whatever_the_units_do() {
    let mut machine = Plan::new()
        .file("units/sexton.toml", "[shutdown]\ntimeout = \"1s\"\n")
        .daemon(
            "x",
            "ignore TERM ignore INT notify READY=1 wait",
            "[ready]\nnotify = true\n[stop]\nkill = \"never\"\n",
        )
        .up();
    machine.await_state("x", "ready");
    let began = Instant::now();
    machine.shut_down(Signal::SIGTERM);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn a_stopped_process_can_act_on_the_signal_that_ends_it() {
    let mut machine =
        Plan::new().daemon("x", "trap TERM @DIR@/got 0 notify READY=1 wait", "[ready]\nnotify = true\n").up();
    machine.await_state("x", "ready");
    machine.kill("x", Signal::SIGSTOP);
    machine.shut_down(Signal::SIGTERM);
    assert!(machine.read("got").contains("SIGTERM"));
}

#[test]
fn a_stopped_process_ends_promptly_when_its_unit_is_stopped() {
    let machine = Plan::new().daemon("x", "notify READY=1 wait", "[ready]\nnotify = true\n").up();
    machine.await_state("x", "ready");
    machine.kill("x", Signal::SIGSTOP);
    let began = Instant::now();
    machine.sexton(&["stop", "x"]).expect(0);
    // Without CONT it would be there until KILL comes, after 90 seconds.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn stragglers_that_left_their_group_get_term_and_time() {
    let mut machine = Plan::new()
        .daemon("x", "child @DIR@/child escape @DIR@/escaped wait", "")
        .unit(
            "polite",
            "[service]\nexec = [\"/bin/sh\", \"-c\", \"setsid setsid @TESTD@ trap TERM @DIR@/polite 0 touch @DIR@/there wait & exec sleep 1000\"]\n",
        )
        .up();
    machine.await_file("escaped");
    until("the polite straggler is there", || machine.path("there").exists().then_some(()));
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
    assert!(machine.read("polite").contains("SIGTERM"));
}

/// sexton's own pid when a shell is PID 1.
fn child_of_the_shell(machine: &Machine) -> i32 {
    until("sexton runs under the shell", || {
        let found = machine.run(&["pgrep", "-P", "1", "-x", "sexton"]);
        found.out.trim().parse().ok()
    })
}

#[test]
fn as_a_subreaper_it_finds_its_descendants_and_harms_nobody_else() {
    let machine = Plan::new()
        .not_as_pid_1()
        .setup("@TESTD@ wait & echo $! > @DIR@/bystander")
        .daemon("x", "escape @DIR@/escaped wait", "")
        .up();
    let escaped: i32 = machine.await_file("escaped").parse().unwrap_or(0);
    let bystander: i32 = machine.await_file("bystander").trim().parse().unwrap_or(0);
    machine.await_state("x", "ready");
    let sexton = child_of_the_shell(&machine);
    let parent = machine.shell(&format!("grep PPid /proc/{escaped}/status")).out;
    assert_eq!(parent.trim(), format!("PPid:\t{sexton}"), "the escaped process was not adopted");
    machine.run(&["/bin/kill", "-TERM", &sexton.to_string()]).expect(0);
    until("sexton is gone", || (!machine.lives(sexton)).then_some(()));
    assert!(!machine.lives(escaped), "a descendant outlived it");
    assert!(machine.lives(bystander), "it killed what was not its own");
    assert_eq!(machine.await_file("code").trim(), "0");
}

#[test]
fn somebody_whose_parent_is_outside_costs_the_shutdown_no_wait() {
    let mut machine = Plan::new().daemon("x", "wait", "").up();
    machine.await_state("x", "ready");
    // As `docker exec` starts it: inside, and the child of nobody inside.
    let mut outside = machine.start("session", &["/bin/sh", "-c", "echo inside; exec sleep 1000"]);
    machine.await_file("session");
    let began = Instant::now();
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
    // Whoever does not see it end waits the two seconds that everybody has.
    assert!(began.elapsed() < Duration::from_millis(1800), "it took {:?}", began.elapsed());
    #[allow(clippy::disallowed_methods, reason = "the session is a child of the test")]
    let _ = outside.wait(); // It ended with the machine, or before.
}

#[test]
fn of_a_crowd_that_is_told_to_end_all_are_seen_to_and_who_asks_meanwhile_is_answered() {
    let mut machine = Plan::new()
        .unit("crowd@", "[instances]\ncount = 30\n[service]\nexec = [\"@TESTD@\", \"wait\"]\n")
        .daemon("x", "ignore TERM wait", "[stop]\nsteps = [{ signal = \"TERM\", wait = \"300ms\" }]\n")
        .up();
    machine.await_state("x", "ready");
    let crowd: Vec<i32> = (1..=30).map(|number| machine.main_pid(&format!("crowd@{number}"))).collect();
    machine.sexton(&["stop", "crowd@*"]).expect(0);
    assert!(crowd.iter().all(|pid| !machine.lives(*pid)));
    assert_eq!(machine.state("crowd@30"), "stopped");
    machine.sexton(&["start", "crowd@*"]).expect(0);
    assert_eq!(machine.state("crowd@30"), "ready");
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
}

#[test]
fn whose_first_thread_has_ended_is_stopped_like_everybody() {
    let machine = Plan::new()
        .not_as_pid_1()
        .file(
            "half.py",
            "import ctypes, os, threading, time\nos.setsid()\n\
             threading.Thread(target=lambda: time.sleep(1000)).start()\n\
             open('@DIR@/half', 'w').write(str(os.getpid()))\nctypes.CDLL(None).syscall(60, 0)\n",
        )
        .unit("x", "[service]\nexec = [\"/bin/sh\", \"-c\", \"python3 @DIR@/half.py & exec sleep 1000\"]\n")
        .up();
    let half: i32 = machine.await_file("half").parse().unwrap_or(0);
    let state = || machine.shell(&format!("grep -h -e State -e Threads /proc/{half}/status")).out;
    until("its first thread has ended", || state().contains("Z (zombie)").then_some(()));
    assert!(state().contains("Threads:\t2"), "{}", state());
    let sexton = child_of_the_shell(&machine);
    machine.run(&["/bin/kill", "-TERM", &sexton.to_string()]).expect(0);
    machine.await_file("code");
    assert!(!machine.path(&format!("/proc/{}/root/proc/{half}", machine.pid1())).exists(), "{}", state());
}

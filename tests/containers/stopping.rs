//! A stop takes what the services take, never the engine's grace; signals mean what managers of containers mean.

use std::time::{Duration, Instant};

use crate::engine::{Container, engine};

/// Longer than anything here may take on a machine that does ten other things; what reaches it was killed by the engine.
const GRACE: &str = "200";

/// A service with these words of the tests' daemon, and these further lines.
fn service(words: &str, more: &str) -> String {
    let words: Vec<String> = words.split(' ').map(|word| format!("{word:?}")).collect();
    format!("[service]\nexec = [\"/testd\", {}]\n{more}", words.join(", "))
}

/// Stops it; how long that took. It has ended by itself, with 0.
#[track_caller]
fn stops(container: &Container) -> Duration {
    let began = Instant::now();
    container.docker(&["stop", "--time", GRACE]);
    assert_eq!(container.field(".State.ExitCode"), "0", "137 would say that the engine had to kill it");
    began.elapsed()
}

#[test]
fn a_stop_takes_what_the_slowest_service_takes() {
    let engine = engine();
    let quick = service("trap TERM /out/quick 0 wait", "");
    let container = engine.plan(&[("quick", &quick)]).start();
    container.await_logs("quick is ready");
    stops(&container);
    assert!(container.read("quick").contains("SIGTERM"));
    // Its command has two seconds to stop it, and does not.
    let slow = service(
        "trap USR1 /out/slow 0 wait",
        "[stop]\nexec = [\"/testd\", \"exit\", \"0\"]\ntimeout = \"2s\"\nsteps = [{ signal = \"USR1\", wait = \"100s\" }]\n",
    );
    let container = engine.plan(&[("quick", &quick), ("slow", &slow)]).start();
    container.await_logs("slow is ready");
    assert!(stops(&container) >= Duration::from_secs(2));
    assert!(container.read("slow").contains("SIGUSR1"));
}

#[test]
fn a_stubborn_service_costs_its_own_wait_or_the_timeout_of_the_shutdown() {
    let engine = engine();
    let stubborn = |steps: &str| {
        service("ignore TERM wait", &format!("[stop]\nsteps = [{{ signal = \"TERM\", wait = {steps:?} }}]\n"))
    };
    let container = engine.plan(&[("deaf", &stubborn("1s"))]).start();
    container.await_logs("deaf is ready");
    assert!(stops(&container) >= Duration::from_secs(1));
    // Its own wait is longer than the container has.
    let container =
        engine.plan(&[("deaf", &stubborn("1h"))]).settings("[shutdown]\ntimeout = \"6s\"\n").start();
    container.await_logs("deaf is ready");
    stops(&container);
}

#[test]
fn whoever_runs_the_container_says_how_long_its_end_may_take() {
    let engine = engine();
    let deaf = service(
        "ignore TERM dump /out/facts wait",
        "[stop]\nsteps = [{ signal = \"TERM\", wait = \"1h\" }]\n",
    );
    let container = engine
        .plan(&[("deaf", &deaf)])
        .settings("[shutdown]\ntimeout = \"1h\"\n")
        .options(&["--env", "SEXTON_SHUTDOWN_TIMEOUT=4s"])
        .start();
    container.await_logs("deaf is ready");
    let facts: serde_json::Value = serde_json::from_str(&container.await_file("facts")).unwrap_or_default();
    assert_eq!(facts["environment"]["SEXTON_SHUTDOWN_TIMEOUT"], serde_json::Value::Null, "it is sexton's");
    // A sync does not forget it.
    container.exec(&["/sexton", "sync"]).expect(0);
    stops(&container);
    assert!(container.logs().contains("in 4 s at most"), "{}", container.logs());
    let wrong = engine.plan(&[("deaf", &deaf)]).options(&["--env", "SEXTON_SHUTDOWN_TIMEOUT=soon"]).start();
    wrong.await_logs("cannot read SEXTON_SHUTDOWN_TIMEOUT 'soon': it should be a duration, such as 8s; a shutdown may take 1 min 30 s");
    wrong.docker(&["kill"]);
}

#[test]
fn the_services_stop_in_reverse_and_the_command_first() {
    let engine = engine();
    let store = service("trap TERM /out/order 0 wait", "");
    let web = format!("needs = [\"store\"]\n{}", service("trap TERM /out/order 0 wait", ""));
    let words = ["/testd", "trap", "TERM", "/out/order", "9", "touch", "/out/runs", "wait"];
    let container = engine.plan(&[("store", &store), ("web", &web)]).command(&words).start();
    container.await_logs("main is ready");
    // It has its trap then.
    crate::harness::until("the command runs", || container.shares("runs").then_some(()));
    let pids: Vec<String> = ["main", "web", "store"]
        .map(|unit| {
            let shown = container.exec(&["/sexton", "status", unit, "--json"]).expect(0);
            let shown: serde_json::Value = serde_json::from_str(&shown).unwrap_or_default();
            shown["status"]["mainPid"].to_string()
        })
        .into();
    container.docker(&["stop", "--time", GRACE]);
    let order = container.read("order");
    let ended: Vec<&str> = order.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(ended, pids);
    assert_eq!(container.field(".State.ExitCode"), "9", "the command has not ended well");
}

#[test]
fn a_second_signal_cuts_the_waiting_short() {
    let engine = engine();
    let deaf = service("ignore TERM wait", "[stop]\nsteps = [{ signal = \"TERM\", wait = \"1h\" }]\n");
    for signal in ["TERM", "INT"] {
        let container = engine.plan(&[("deaf", &deaf)]).settings("[shutdown]\ntimeout = \"1h\"\n").start();
        container.await_logs("deaf is ready");
        container.docker(&["kill", "--signal", signal]);
        container.await_logs(&format!("shutting down: SIG{signal}"));
        container.docker(&["kill", "--signal", signal]);
        assert_eq!(container.end(), 0);
        assert!(container.logs().contains("at once, without waiting"));
    }
}

#[test]
fn signals_mean_what_managers_of_containers_mean_by_them() {
    let engine = engine();
    let container = engine.plan(&[("store", &service("wait", ""))]).start();
    container.await_logs("store is ready");
    container.docker(&["kill", "--signal", "HUP"]);
    container.await_logs("sync: done");
    for signal in ["USR1", "PIPE", "ALRM", "WINCH", "CONT"] {
        container.docker(&["kill", "--signal", signal]);
    }
    container.await_logs("SIGALRM has no meaning here");
    container.exec(&["/sexton", "health"]).expect(0);
    container.docker(&["kill", "--signal", "RTMIN+3"]);
    assert_eq!(container.end(), 0);
    for signal in ["QUIT", "PWR"] {
        let container = engine.plan(&[("store", &service("wait", ""))]).start();
        container.await_logs("store is ready");
        container.docker(&["kill", "--signal", signal]);
        assert_eq!(container.end(), 0, "{signal}");
    }
}

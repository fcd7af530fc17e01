//! One command in a container, without units: sexton as its entrypoint, and as the init that `docker run --init` brings.

use std::fs;
use std::time::{Duration, Instant};

use crate::engine::{Container, Plan, engine};
use crate::harness::{until, within};

const PATIENCE: Duration = Duration::from_secs(60);

/// Both ways in: sexton as the entrypoint, and the command as the entrypoint below Docker's init.
fn both_ways(plan: impl Fn() -> Plan, words: &[&str], check: impl Fn(&Container)) {
    check(&plan().command(&[&["--"], words].concat()).start());
    let (first, rest) = words.split_first().unwrap_or((&"", &[]));
    check(&plan().options(&["--init", "--entrypoint", first]).command(rest).start());
}

#[test]
fn a_container_of_one_command_ends_as_the_command_does() {
    let engine = engine();
    for (words, code) in [
        (&["/testd", "exit", "0"] as &[&str], 0),
        (&["/testd", "exit", "1"], 1),
        (&["/testd", "exit", "255"], 255),
        (&["/testd", "die", "TERM"], 143),
        (&["/testd", "die", "KILL"], 137),
        (&["/testd", "die-of", "64"], 192),
        (&["/no/such/program"], 127),
    ] {
        both_ways(|| engine.bare(), words, |container| assert_eq!(container.end(), code, "{words:?}"));
    }
    // With neither dashes nor units, the words of the image's CMD are the command.
    assert_eq!(engine.bare().command(&["/testd", "exit", "7"]).start().end(), 7);
}

#[test]
fn docker_run_init_brings_sexton() {
    let engine = engine();
    let container =
        engine.plan(&[]).options(&["--init", "--entrypoint", "/testd"]).command(&["wait"]).start();
    let line = until("Docker's init runs", || {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", container.pid())).ok()?;
        line.contains("docker-init").then_some(line)
    });
    assert!(line.ends_with("/testd\0wait\0"), "{line}");
    assert_eq!(container.field(".HostConfig.Init"), "true");
    let info = engine.docker(&["info", "--format", "{{.InitBinary}}"]).expect(0);
    assert!(info.contains("docker-init"), "{info}");
}

#[test]
fn a_stop_takes_what_the_command_takes() {
    let engine = engine();
    let words = ["/testd", "trap", "TERM", "/out/quick", "0", "touch", "/out/ready", "wait"];
    both_ways(
        || engine.plan(&[]),
        &words,
        |container| {
            until("it runs", || container.shares("ready").then_some(()));
            let began = Instant::now();
            container.docker(&["stop", "--time", "200"]);
            assert!(began.elapsed() < Duration::from_secs(190), "nobody had to be killed");
            assert_eq!(container.field(".State.ExitCode"), "0");
            assert!(container.read("quick").contains("SIGTERM"));
        },
    );
}

#[test]
fn docker_kill_reaches_the_command_with_each_signal() {
    let engine = engine();
    let signals = ["HUP", "INT", "QUIT", "ABRT", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "WINCH"];
    let mut words = vec!["/testd"];
    for signal in signals {
        words.extend(["trap", signal, "/out/marks", "-1"]);
    }
    words.extend(["touch", "/out/ready", "wait"]);
    let check = |container: &Container| {
        until("it runs", || container.shares("ready").then_some(()));
        for signal in signals {
            container.docker(&["kill", "--signal", signal]);
            within(PATIENCE, &format!("{signal} reaches it"), || {
                container.read("marks").contains(&format!("SIG{signal} ")).then_some(())
            });
        }
        container.docker(&["kill", "--signal", "RTMIN+3"]);
        assert_eq!(container.end(), 128 + 37, "and one that it does not catch ends it");
    };
    both_ways(|| engine.plan(&[]), &words, check);
}

#[test]
fn those_left_behind_in_a_hardened_container_may_end_in_their_own_time() {
    let engine = engine();
    let container = engine
        .plan(&[])
        .options(&["--read-only", "--cap-drop=ALL", "--user", "65534:65534"])
        .options(&["--security-opt", "no-new-privileges", "--env", "X=1"])
        .command(&["--grace", "3m", "--", "/testd", "escape", "/out/left", "exit", "4"])
        .start();
    assert_eq!(container.end(), 4);
    assert!(container.shares("left"));
    assert_eq!(container.logs(), "", "there is nothing to say");
}

//! Stores in memory: Redis, one instance a file, and memcached, one a port.

use nix::sys::signal::Signal;

use super::{Broken, Daemon, PATIENCE, REFUSED, Reload, library};
use crate::harness::{Finished, Machine, needs};

const REDIS_CONFIG: &str = "bind 127.0.0.1\nport 6380\ndir /var/lib/redis\ndbfilename 6380.rdb\nsave 3600 1\n\
     cluster-announce-hostname @WORD@\n";

const REDIS: Daemon = Daemon {
    file: "redis@",
    unit: "redis@6380",
    needs: &[("redis-server", "redis-server"), ("redis-cli", "redis-tools")],
    config: ("/etc/redis/redis_6380.conf", REDIS_CONFIG),
    files: &[(
        "/etc/redis/redis_6381.conf",
        "bind 127.0.0.1\nport 6381\ndir /var/lib/redis\ndbfilename 6381.rdb\n",
    )],
    setup: &[],
    ask: |machine| redis(machine, "6380", &["CONFIG", "GET", "cluster-announce-hostname"]),
    reload: Reload::HasNone,
    broken: &[
        Broken {
            text: "port 6380\nno-such-directive yes\n",
            says: ">>> 'no-such-directive yes'",
            ended: "printed nothing that matches",
        },
        Broken {
            text: "port 6380\ndir /not-there\n",
            says: ">>> 'dir /not-there'",
            ended: "printed nothing that matches",
        },
    ],
};

fn redis(machine: &Machine, port: &str, words: &[&str]) -> Finished {
    let all: Vec<&str> = ["redis-cli", "-p", port].into_iter().chain(words.iter().copied()).collect();
    machine.run(&all)
}

#[test]
fn redis_takes_what_is_good() {
    REDIS.takes_what_is_good();
}

#[test]
fn redis_refuses_what_is_broken_and_serves_on() {
    REDIS.refuses_what_is_broken();
}

/// What memcached answers to a command, over its raw protocol.
fn memcached(machine: &Machine, port: u16, command: &str) -> Finished {
    let script =
        format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf '{command}\\r\\nquit\\r\\n' >&3; cat <&3");
    machine.run(&["/bin/bash", "-c", &script])
}

#[test]
fn redis_saves_before_it_stops_and_finds_its_data_again() {
    let machine = REDIS.up();
    assert_eq!(redis(&machine, "6380", &["SET", "kept", "it is"]).out, "OK\n");
    REDIS.stops(&machine);
    REDIS.returns(&machine, "one");
    assert_eq!(redis(&machine, "6380", &["GET", "kept"]).out, "it is\n");
}

#[test]
fn one_redis_is_restarted_and_the_other_is_not_touched() {
    let machine = REDIS.up();
    machine.await_state_within(PATIENCE, "redis@6381", "ready");
    let other = machine.main_pid("redis@6381");
    redis(&machine, "6381", &["SET", "mine", "alone"]);
    REDIS.restarts(&machine, "two");
    assert_eq!(machine.main_pid("redis@6381"), other);
    // It has no file yet: had it been stopped, this would be gone or saved.
    assert_eq!(redis(&machine, "6381", &["GET", "mine"]).out, "alone\n");
    assert!(redis(&machine, "6381", &["INFO", "persistence"]).out.contains("rdb_saves:0\r"));
}

#[test]
fn a_redis_that_cannot_save_is_not_stopped_until_it_can() {
    let machine = REDIS.serving(
        REDIS.plan().setup("mount -t tmpfs -o mode=0750 data /var/lib/redis; chown redis: /var/lib/redis"),
    );
    let pid = machine.main_pid("redis@6380");
    redis(&machine, "6380", &["SET", "kept", "it is"]);
    machine.run(&["mount", "-o", "remount,ro", "/var/lib/redis"]).expect(0);
    for verb in ["stop", "restart"] {
        let refused = machine.sexton(&[verb, "redis@6380"]).expect(REFUSED).all();
        assert!(refused.contains("the save to have succeeded"), "{refused}");
        assert_eq!(machine.main_pid("redis@6380"), pid);
        assert_eq!(redis(&machine, "6380", &["GET", "kept"]).out, "it is\n");
    }
    let console = machine.console();
    assert!(
        console.contains("Failed opening the temp RDB file") && console.contains("Read-only"),
        "{console}"
    );
    machine.run(&["mount", "-o", "remount,rw", "/var/lib/redis"]).expect(0);
    REDIS.stops(&machine);
    REDIS.returns(&machine, "one");
    assert_eq!(redis(&machine, "6380", &["GET", "kept"]).out, "it is\n");
}

#[test]
fn at_a_shutdown_a_redis_that_cannot_save_says_so_and_costs_no_more_than_the_time_there_is() {
    let plan = REDIS.plan().file("units/sexton.toml", "[shutdown]\ntimeout = \"6s\"\n");
    let mut machine = REDIS.serving(plan);
    redis(&machine, "6380", &["SET", "lost", "it is"]);
    machine.shell("chmod 0500 /var/lib/redis").expect(0);
    machine.shut_down(Signal::SIGTERM);
    let console = machine.console();
    assert!(console.contains("Error trying to save the DB, can't exit"), "{console}");
}

#[test]
fn memcached_is_one_instance_a_port_and_a_restart_touches_one() {
    needs("memcached", "memcached");
    let two = "[instances]\nnames = [\"11211\", \"11212\"]\n\n[instances.set.11212]\nmemory = \"32\"\n";
    let machine = library("memcached@").file("units/memcached@.d/two.toml", two).up();
    let megabytes = |port| memcached(&machine, port, "stats settings").out;
    for (port, bytes) in [(11211, "67108864"), (11212, "33554432")] {
        machine.await_state_within(PATIENCE, &format!("memcached@{port}"), "ready");
        assert!(megabytes(port).contains(&format!("STAT maxbytes {bytes}\r")), "{}", megabytes(port));
    }
    assert!(memcached(&machine, 11212, "set k 0 0 4\\r\\nkept").out.contains("STORED"));
    let pids = ["memcached@11211", "memcached@11212"].map(|unit| machine.main_pid(unit));
    machine.sexton(&["restart", "memcached@11211"]).expect(0);
    assert_ne!(machine.main_pid("memcached@11211"), pids[0]);
    assert_eq!(machine.main_pid("memcached@11212"), pids[1]);
    assert!(memcached(&machine, 11212, "get k").out.contains("kept"));
    let refused = machine.sexton(&["reload", "memcached@11211"]).expect(REFUSED).all();
    assert!(refused.contains("no [reload]"), "{refused}");
    machine.sexton(&["stop", "memcached@11211"]).expect(0);
    assert_eq!(machine.state("memcached@11211"), "stopped");
}

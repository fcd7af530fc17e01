//! The examples of config/container, run as they are: Debian's daemons in a container of their files, and FROM scratch.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::debian::{self, said};
use crate::engine::{Engine, Plan, engine};
use crate::harness::within;

/// PHP, nginx and Redis start at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The image that its own Dockerfile makes of an example, with sexton beside it, and the program of the tests as its application.
fn build(engine: &Engine, image: &'static str, name: &str) {
    engine.once(image, || {
        let context: PathBuf = engine.context("");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/container").join(name);
        said(Command::new("cp").arg("-r").arg(from.join(".")).arg(&context));
        said(Command::new("mv").arg(context.join("testd")).arg(context.join("app")));
        engine.build(image, &context);
    });
}

/// A container of the example with nginx, PHP and Redis, with the settings of kubernetes.yaml.
fn web(engine: &Arc<Engine>) -> Plan {
    debian::import(engine);
    build(engine, "sexton-test-web", "web");
    engine
        .bare()
        .options(&["--read-only", "--cap-drop=ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp"])
        .image("sexton-test-web")
}

#[test]
fn nginx_php_and_redis_serve_are_healthy_and_stop_within_their_grace() {
    let engine = engine();
    let container = web(&engine).options(&["--env", "WORKERS=2", "--env", "PORT=8081"]).start();
    // As the engine sees it, by the HEALTHCHECK of the image.
    let is_well = || (container.field(".State.Health.Status") == "healthy").then_some(());
    within(PATIENCE, "all of it is ready", is_well);
    for visitor in [1, 2] {
        let page = container.exec(&["curl", "-fsS", "http://127.0.0.1:8081/"]).expect(0);
        assert_eq!(page, format!("visitor {visitor}\n"));
    }
    // What was rendered comes from the environment of the container.
    let config = container.exec(&["cat", "/tmp/php-fpm.conf"]).expect(0);
    assert!(config.contains("pm.max_children = 2"), "{config}");
    assert!(!container.logs().contains("cannot"), "{}", container.logs());
    container.exec(&["/sbin/sexton", "reload", "nginx"]).expect(0);
    container.exec(&["/sbin/sexton", "restart", "php-fpm"]).expect(0);
    container.exec(&["curl", "-fsS", "http://127.0.0.1:8081/"]).expect(0);
    container.docker(&["stop", "--time", "200"]);
    assert_eq!(container.field(".State.ExitCode"), "0", "{}", container.logs());
}

#[test]
fn a_command_comes_after_the_migration_and_its_end_is_the_end() {
    let engine = engine();
    let words = ["redis-cli", "-s", "/tmp/redis.sock", "GET", "schema"];
    let container = web(&engine).options(&["--env", "SCHEMA=7"]).command(&words).start();
    assert_eq!(container.end(), 0, "{}", container.logs());
    assert!(container.logs().lines().any(|line| line == "7"), "{}", container.logs());
}

#[test]
fn a_static_program_is_served_from_scratch_and_its_end_is_the_containers() {
    let engine = engine();
    build(&engine, "sexton-test-scratch", "scratch");
    let container = engine.bare().image("sexton-test-scratch").start();
    let is_well = || (container.field(".State.Health.Status") == "healthy").then_some(());
    within(PATIENCE, "it is healthy", is_well);
    let status = container.exec(&["/sexton", "status", "app"]).expect(0);
    assert!(status.contains("ready"), "{status}");
    container.docker(&["stop", "--time", "200"]);
    assert_eq!(container.field(".State.ExitCode"), "0", "{}", container.logs());
}

//! The examples of config/container, run as they are: Debian's daemons in a container of their files, and FROM scratch.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::{Plan, engine};
use crate::harness::{needs, within};

/// PHP, nginx and Redis start at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/container").join(name)
}

/// The example with nginx, PHP and Redis, with what `docker build` would put there laid in from this machine: there is no
/// registry to take Debian from. The options are those of kubernetes.yaml.
fn web(plan: Plan) -> Plan {
    for (program, package) in [
        ("nginx", "nginx-light"),
        ("php-fpm8.2", "php8.2-fpm"),
        ("redis-server", "redis-server"),
        ("curl", "curl"),
    ] {
        needs(program, package);
    }
    let mut plan = plan
        .options(&["--user", "33:33", "--read-only", "--cap-drop=ALL", "--security-opt", "no-new-privileges"])
        .options(&["--tmpfs", "/tmp", "--tmpfs", "/data:uid=33,gid=33"])
        .image("sexton-test-debian");
    let files = [
        "/usr",
        "/etc/nginx",
        "/etc/php",
        "/etc/passwd",
        "/etc/group",
        "/etc/ld.so.cache",
        "/etc/alternatives",
    ];
    for path in files {
        plan = plan.options(&["--volume", &format!("{path}:{path}:ro")]);
    }
    for (from, to) in [
        ("units", "/etc/sexton/units"),
        ("sexton.toml", "/etc/sexton/sexton.toml"),
        ("templates", "/etc/web"),
        ("www", "/srv/www"),
    ] {
        plan = plan.options(&["--volume", &format!("{}:{to}:ro", example("web").join(from).display())]);
    }
    plan
}

/// Where Debian's programs look for their parts, beside what is laid in.
const DEBIAN: &str =
    "FROM scratch\nADD links.tar /\nCOPY sexton /sbin-sexton\nENTRYPOINT [\"/sbin-sexton\"]\n";

fn build(engine: &crate::engine::Engine) {
    let context = engine.context(DEBIAN);
    let links = context.join("links");
    fs::create_dir_all(&links).unwrap_or_else(|e| panic!("{}: {e}", links.display()));
    for name in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), links.join(name))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let tar = std::process::Command::new("tar")
        .args([
            "-C",
            &links.display().to_string(),
            "-cf",
            &context.join("links.tar").display().to_string(),
            ".",
        ])
        .run();
    assert!(tar, "tar could not pack the links");
    engine.build("sexton-test-debian", &context);
}

/// Runs a command to its end.
trait Run {
    fn run(&mut self) -> bool;
}

impl Run for std::process::Command {
    #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
    fn run(&mut self) -> bool {
        self.status().is_ok_and(|status| status.success())
    }
}

#[test]
fn nginx_php_and_redis_serve_are_healthy_and_stop_within_their_grace() {
    let engine = engine();
    build(&engine);
    let container = web(engine.bare()).options(&["--env", "WORKERS=2", "--env", "PORT=8081"]).start();
    let is_well = || (container.exec(&["/sbin-sexton", "health"]).code == 0).then_some(());
    within(PATIENCE, "all of it is ready", is_well);
    for visitor in [1, 2] {
        let page = container.exec(&["curl", "-fsS", "http://127.0.0.1:8081/"]).expect(0);
        assert_eq!(page, format!("visitor {visitor}\n"));
    }
    // What was rendered comes from the environment of the container.
    let config = container.exec(&["cat", "/tmp/php-fpm.conf"]).expect(0);
    assert!(config.contains("pm.max_children = 2"), "{config}");
    assert!(!container.logs().contains("cannot"), "{}", container.logs());
    container.exec(&["/sbin-sexton", "reload", "nginx"]).expect(0);
    container.exec(&["/sbin-sexton", "restart", "php-fpm"]).expect(0);
    container.exec(&["curl", "-fsS", "http://127.0.0.1:8081/"]).expect(0);
    container.docker(&["stop", "--time", "200"]);
    assert_eq!(container.field(".State.ExitCode"), "0", "{}", container.logs());
}

#[test]
fn a_command_comes_after_the_migration_and_its_end_is_the_end() {
    let engine = engine();
    build(&engine);
    let words = ["redis-cli", "-s", "/tmp/redis.sock", "GET", "schema"];
    let container = web(engine.bare()).options(&["--env", "SCHEMA=7"]).command(&words).start();
    assert_eq!(container.end(), 0, "{}", container.logs());
    assert!(container.logs().lines().any(|line| line == "7"), "{}", container.logs());
}

#[test]
fn a_static_program_is_served_from_scratch() {
    let engine = engine();
    let unit =
        fs::read_to_string(example("scratch/units/app.toml")).unwrap_or_else(|e| panic!("app.toml: {e}"));
    // The tests' daemon has to be told what to be.
    let served = unit.replace(
        "exec = [\"/app\"]",
        "exec = [\"/testd\", \"listen\", \"http\", \"127.0.0.1:8080\", \"200\", \"wait\"]",
    );
    assert_ne!(unit, served);
    let container = engine.plan(&[("app", &served)]).start();
    within(PATIENCE, "it is ready", || (container.exec(&["/sexton", "health"]).code == 0).then_some(()));
    container.docker(&["stop", "--time", "200"]);
    assert_eq!(container.field(".State.ExitCode"), "0");
}

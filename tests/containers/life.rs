//! What happens to a container over time: memory runs out, zombies come by the hundred, it crashes and comes back.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engine::engine;
use crate::harness::wait::pause;
use crate::harness::{until, within};

const PATIENCE: Duration = Duration::from_secs(60);

/// How long zombies are made and looked for.
const WATCH: Duration = Duration::from_mins(1);
/// Whoever is a zombie for this long was forgotten.
const REAPED_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks; a look that comes later than this says that the machine stood still, not that PID 1 did.
const STALLED: Duration = Duration::from_millis(250);

#[test]
fn a_service_that_eats_all_memory_is_killed_and_started_again_and_nobody_else_is() {
    let engine = engine();
    let glutton = "[service]\nexec = [\"/testd\", \"mark\", \"/out/starts\", \"glutton\", \"until\", \"/out/eat\", \"eat\", \"400\", \"wait\"]\n\
        [restart]\nlimit = 1000\n";
    let other = "[service]\nexec = [\"/testd\", \"wait\"]\n";
    let options = ["--memory", "64m", "--memory-swap", "64m"];
    let container = engine.plan(&[("glutton", glutton), ("other", other)]).options(&options).start();
    container.await_logs("glutton is ready");
    container.write("eat", "");
    container.await_logs("glutton failed: was killed by SIGKILL");
    fs::remove_file(container.path("eat")).unwrap_or_else(|e| panic!("eat: {e}"));
    within(PATIENCE, "both are ready again", || {
        (container.exec(&["/sexton", "health"]).code == 0).then_some(())
    });
    assert!(container.read("starts").lines().count() > 1);
    let other = container.exec(&["/sexton", "status", "other", "--json"]).expect(0);
    assert!(other.contains("\"restarts\":0"), "{other}");
}

#[test]
fn a_command_that_eats_all_memory_ends_the_container_as_the_engine_expects() {
    let engine = engine();
    let options = ["--memory", "64m", "--memory-swap", "64m"];
    let container = engine
        .plan(&[("other", "[service]\nexec = [\"/testd\", \"wait\"]\n")])
        .options(&options)
        .command(&["/testd", "eat", "400", "wait"])
        .start();
    assert_eq!(container.end(), 137);
    assert!(container.logs().contains("main failed: was killed by SIGKILL"));
}

#[test]
fn no_zombie_lives_a_second() {
    let engine = engine();
    let makers = (0..3).map(|number| {
        // Some thousand orphans a second, for longer than anybody looks.
        let words = "\"orphans\", \"30\", \"sleep\", \"30\", ".repeat(2200);
        (format!("maker{number}"), format!("[service]\nexec = [\"/testd\", {words}\"wait\"]\n"))
    });
    let makers: Vec<(String, String)> = makers.collect();
    let units: Vec<(&str, &str)> = makers.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let container = engine.plan(&units).start();
    container.await_logs("maker2 is ready");
    let space = fs::read_link(format!("/proc/{}/ns/pid", container.pid())).ok();
    let mut seen: BTreeMap<i32, Instant> = BTreeMap::new();
    let (began, mut last, mut n_seen) = (Instant::now(), Instant::now(), 0_u32);
    while began.elapsed() < WATCH {
        let now = Instant::now();
        if now - last > STALLED {
            seen.clear();
        }
        last = now;
        let zombies = zombies_of(space.as_ref());
        n_seen += u32::try_from(zombies.len()).unwrap_or(u32::MAX);
        seen.retain(|pid, _| zombies.contains(pid));
        for pid in zombies {
            let first = *seen.entry(pid).or_insert(now);
            assert!(now - first < REAPED_WITHIN, "{pid} has been a zombie for {:?}", now - first);
        }
        pause();
    }
    let status = container.exec(&["/sexton", "status", "--json"]).expect(0);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
    let reaped = status["orphansReaped"].as_u64().unwrap_or(0);
    assert!(
        reaped > 1000,
        "{reaped} orphans were reaped, and {n_seen} zombies seen: too few to show anything"
    );
}

/// The zombies of a pid namespace. The namespace of a zombie is not told any more, so its parent's is looked at.
fn zombies_of(space: Option<&std::path::PathBuf>) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_zombie = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next(), fields.next().unwrap_or("0"));
        state == Some("Z") && fs::read_link(format!("/proc/{parent}/ns/pid")).ok().as_ref() == space
    };
    pids.filter(is_zombie).collect()
}

#[test]
fn a_container_that_fails_is_started_again_by_the_engine_until_it_does_not() {
    let engine = engine();
    // The first run leaves a file, and those that follow find it.
    let second = "[require]\nskip-unless-exists = [\"/out/again\"]\n[service]\nexec = [\"/testd\", \"touch\", \"/out/second\", \"wait\"]\n";
    let container = engine
        .plan(&[("second", second)])
        .options(&["--restart", "on-failure:5"])
        .command(&["/testd", "until", "/out/go", "touch", "/out/again", "exit", "9"])
        .start();
    container.await_logs("main is ready");
    container.write("go", "");
    until("the engine has started it again", || container.shares("second").then_some(()));
    within(PATIENCE, "it was tried five times", || (container.field(".RestartCount") == "5").then_some(()));
}

#[test]
fn a_container_whose_init_was_killed_comes_back_with_all_its_services() {
    let engine = engine();
    let web = "[service]\nexec = [\"/testd\", \"mark\", \"/out/starts\", \"web\", \"wait\"]\n";
    let container = engine.plan(&[("web", web)]).options(&["--restart", "always"]).start();
    within(PATIENCE, "it is well", || (container.exec(&["/sexton", "health"]).code == 0).then_some(()));
    let old = container.pid();
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap_or_else(|e| panic!("{old}: {e}"));
    // Its run directory and its socket are still there.
    within(PATIENCE, "it is well again", || {
        let is_new = container.field(".State.Running") == "true" && container.pid() != old;
        (is_new && container.exec(&["/sexton", "health"]).code == 0).then_some(())
    });
    assert_eq!(container.read("starts").lines().count(), 2);
    assert!(!container.logs().contains("cannot"), "{}", container.logs());
}

#[test]
fn a_restart_by_the_engine_stops_in_order_and_starts_anew() {
    let engine = engine();
    let web = "[service]\nexec = [\"/testd\", \"trap\", \"TERM\", \"/out/order\", \"0\", \"mark\", \"/out/order\", \"web\", \"notify\", \"READY=1\", \"wait\"]\n\
        [ready]\nnotify = true\ntimeout = \"10m\"\n";
    let container = engine.plan(&[("web", web)]).start();
    for times in 1..=2 {
        within(PATIENCE, "it is well", || (container.exec(&["/sexton", "health"]).code == 0).then_some(()));
        let order = container.read("order");
        let order: Vec<&str> = order.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(order, ["web", "SIGTERM"].repeat(times)[..2 * times - 1]);
        container.docker(&["restart", "--time", "200"]);
    }
    within(PATIENCE, "it is well", || (container.exec(&["/sexton", "health"]).code == 0).then_some(()));
    assert!(!container.logs().contains("cannot"), "{}", container.logs());
}

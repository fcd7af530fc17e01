//! What a hardened, read-only or bare container cannot give is said once, and keeps nothing else from working.

use crate::bundle::Bundle;
use crate::engine::engine;
use crate::harness::until;

const HARDENED: [&str; 6] =
    ["--read-only", "--cap-drop=ALL", "--user", "65534:65534", "--security-opt", "no-new-privileges"];

const WEB: &str = "[service]\nexec = [\"/testd\", \"trap\", \"TERM\", \"/out/stopped\", \"0\", \"dump\", \"/out/facts\", \"notify\", \"READY=1\", \"wait\"]\n\
    [ready]\nnotify = true\ntimeout = \"10m\"\n";

#[test]
fn a_hardened_container_runs_its_services_and_says_once_what_it_cannot_do() {
    let engine = engine();
    let container = engine.plan(&[("web", WEB)]).options(&HARDENED).start();
    container.await_logs("web is ready");
    let said = container.logs();
    assert_eq!(said.matches("cannot make the run directory").count(), 1, "{said}");
    assert!(said.contains("nobody can talk to this sexton"), "{said}");
    let facts: serde_json::Value = serde_json::from_str(&container.await_file("facts")).unwrap_or_default();
    assert_eq!(facts["uids"], serde_json::json!([65534, 65534, 65534, 65534]));
    container.docker(&["stop", "--time", "200"]);
    assert_eq!(container.field(".State.ExitCode"), "0");
    assert!(container.read("stopped").contains("SIGTERM"));
}

#[test]
fn with_a_place_for_its_socket_a_hardened_container_can_be_asked() {
    let engine = engine();
    let container = engine.plan(&[("web", WEB)]).options(&HARDENED).options(&["--tmpfs", "/tmp"]).start();
    container.await_logs("web is ready");
    container.exec(&["/sexton", "health"]).expect(0);
    assert!(!container.logs().contains("cannot"), "{}", container.logs());
    assert!(container.exec(&["/sexton", "restart", "web"]).expect(0).contains("web"));
}

#[test]
fn a_unit_that_asks_for_what_this_place_cannot_give_fails_with_that_reason() {
    let engine = engine();
    let with = |process: &str| {
        format!(
            "[service]\nexec = [\"/testd\", \"touch\", \"/out/ran\", \"wait\"]\n[restart]\non = \"never\"\n{process}"
        )
    };
    let units = [
        ("web", WEB.to_owned()),
        ("root", with("[process]\nuser = 0\n")),
        ("first", with("[process]\nnice = -20\n")),
        ("saved", with("[process]\noom-score-adj = -1000\n")),
        ("kept", with("[dirs]\nstate = [{ path = \"kept\" }]\n")),
    ];
    let units = units.each_ref().map(|(name, text)| (*name, text.as_str()));
    let container = engine.plan(&units).options(&HARDENED).options(&["--tmpfs", "/tmp"]).start();
    for line in [
        "root failed: cannot set the supplementary groups",
        "first failed: cannot set the niceness",
        "saved failed: cannot set the OOM score",
        "kept failed: cannot make the directory '/var/lib/kept'",
    ] {
        container.await_logs(line);
    }
    container.await_logs("web is ready");
    assert!(!container.shares("ran"), "none of them was started with less than it asked for");
    assert_eq!(container.exec(&["/sexton", "health", "web"]).code, 0);
    assert_eq!(container.exec(&["/sexton", "health"]).code, 1);
}

#[test]
fn the_environment_of_the_container_reaches_all_but_those_that_clear_it() {
    let engine = engine();
    let clear = WEB.replace("/out/facts", "/out/clear") + "[process]\nenv-clear = true\n";
    let container = engine
        .plan(&[("web", WEB), ("clear", &clear)])
        .options(&["--env", "COLOUR=green"])
        .command(&["/testd", "dump", "/out/main", "wait"])
        .start();
    let colour = |name: &str| {
        let facts: serde_json::Value = serde_json::from_str(&container.await_file(name)).unwrap_or_default();
        facts["environment"]["COLOUR"].as_str().map(str::to_owned)
    };
    assert_eq!(colour("facts").as_deref(), Some("green"));
    assert_eq!(colour("main").as_deref(), Some("green"));
    assert_eq!(colour("clear"), None);
}

#[test]
fn the_terminal_of_the_container_is_the_commands() {
    let engine = engine();
    let container = engine
        .plan(&[("web", WEB)])
        .options(&["--tty", "--workdir", "/out"])
        .command(&["/testd", "dump", "/out/main", "until", "/out/go", "exit", "3"])
        .start();
    let facts: serde_json::Value = serde_json::from_str(&container.await_file("main")).unwrap_or_default();
    assert_eq!(facts["session"], facts["pid"], "it leads the session of the terminal: {facts}");
    assert_ne!(facts["terminal"], serde_json::json!(0), "and the terminal controls it: {facts}");
    assert_eq!(facts["directory"], "/out");
    let web: serde_json::Value = serde_json::from_str(&container.await_file("facts")).unwrap_or_default();
    assert_eq!(web["terminal"], serde_json::json!(0), "nobody else has it: {web}");
    container.write("go", "");
    assert_eq!(container.end(), 3);
}

#[test]
fn a_root_that_is_read_only_with_no_run_and_no_cgroup_is_enough() {
    let bundle = Bundle::new(&[(
        "store",
        "[service]\nexec = [\"/testd\", \"notify\", \"READY=1\", \"wait\"]\n[ready]\nnotify = true\ntimeout = \"10m\"\n",
    )]);
    let (status, said) = bundle.run(&["/testd", "exit", "5"], |config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|mount| mount["destination"] != "/run");
        }
    });
    assert_eq!(status, 5, "{said}");
    assert_eq!(said.matches("cannot make the run directory").count(), 1, "{said}");
}

/// A store that has to be ready before the command runs, and another that waits to be asked for.
const STORES: [(&str, &str); 2] = [
    (
        "store",
        "[service]\nexec = [\"/testd\", \"notify\", \"READY=1\", \"wait\"]\n[ready]\nnotify = true\ntimeout = \"10m\"\n",
    ),
    (
        "later",
        "manual = true\n[service]\nexec = [\"/testd\", \"notify\", \"READY=1\", \"wait\"]\n[ready]\nnotify = true\ntimeout = \"10m\"\n",
    ),
];

/// The command asks PID 1 for a start, and ends with 0 when that was done.
const STARTS: [&str; 4] = ["--", "/sexton", "start", "later"];

#[test]
fn a_profile_that_forbids_whatever_is_younger_than_ten_years_is_enough() {
    let bundle = Bundle::new(&STORES);
    // What Docker's profiles of their days answered: EPERM at first, ENOSYS later.
    for errno in [1, 38] {
        let (status, said) = bundle.run(&STARTS, |config| {
            config["linux"]["seccomp"] = serde_json::json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{
                    "names": [
                        "clone3", "close_range", "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "openat2", "memfd_create",
                        "faccessat2", "statx", "rseq", "epoll_pwait2", "fchmodat2", "copy_file_range", "renameat2", "preadv2",
                        "pwritev2", "io_uring_setup", "landlock_create_ruleset", "process_madvise", "mount_setattr",
                    ],
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": errno,
                }],
            });
        });
        assert_eq!(status, 0, "errno {errno}: {said}");
        assert!(said.contains("later has stopped"), "errno {errno}: {said}");
    }
}

#[test]
fn a_cgroup_of_either_kind_or_none_makes_no_difference() {
    let bundle = Bundle::new(&STORES);
    let mount = |place: &str, kind: &str, options: &[&str]| serde_json::json!({ "destination": place, "type": kind, "source": kind, "options": options });
    // "cgroup" is what the host has, with its controllers of version 1 where it has such.
    let v2 = mount("/sys/fs/cgroup", "cgroup2", &["ro", "nosuid"]);
    let v2_writable = mount("/sys/fs/cgroup", "cgroup2", &["rw"]);
    let v1 = mount("/sys/fs/cgroup", "cgroup", &["ro", "nosuid"]);
    for (name, kind) in
        [("none", None), ("v1", Some(v1)), ("v2", Some(v2)), ("v2, writable", Some(v2_writable))]
    {
        let mounts: Vec<_> = kind.into_iter().collect();
        let (status, said) = bundle.run(&STARTS, |config| {
            if let Some(all) = config["mounts"].as_array_mut() {
                all.push(mount("/sys", "tmpfs", &["mode=755"]));
                all.extend(mounts);
            }
        });
        assert_eq!(status, 0, "{name}: {said}");
        assert!(said.contains("later has stopped") && !said.contains("cannot"), "{name}: {said}");
    }
}

#[test]
fn who_enters_the_container_is_reaped_by_nobody_and_hinders_nothing() {
    let engine = engine();
    let container = engine.plan(&[("web", WEB)]).start();
    container.await_logs("web is ready");
    for code in [0, 9] {
        assert_eq!(container.exec(&["/testd", "exit", &code.to_string()]).code, code);
    }
    assert_eq!(
        container.exec(&["/testd", "orphans", "5", "exit", "4"]).code,
        4,
        "orphans of a stranger are reaped"
    );
    until("it still serves", || (container.exec(&["/sexton", "health"]).code == 0).then_some(()));
}

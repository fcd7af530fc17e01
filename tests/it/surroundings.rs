//! Nothing may be assumed: no /proc, no /dev/null, a /run that cannot be written, closed descriptors, no root.

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, testd, until};

/// A service that says that it runs, in a way that needs no control socket.
fn runs(plan: Plan) -> Machine {
    let machine = plan
        .setup("mkdir -p -m 777 @DIR@/out")
        .daemon("x", "trap TERM @DIR@/out/stopped 0 touch @DIR@/out/runs wait", "")
        .boot();
    until("the service runs", || machine.path("out/runs").exists().then_some(()));
    machine
}

#[track_caller]
fn ends_well(mut machine: Machine) {
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
    assert!(machine.read("out/stopped").contains("SIGTERM"));
}

#[test]
fn a_run_directory_that_cannot_be_written_is_survived() {
    ends_well(runs(Plan::new().setup("mount -o remount,ro /run")));
}

#[test]
fn a_missing_proc_is_survived() {
    // The chamber's own /proc lies over the host's, which would shine through.
    ends_well(runs(Plan::new().setup("mkdir /run/empty; mount --bind /run/empty /proc")));
}

#[test]
fn a_missing_dev_null_is_survived() {
    ends_well(runs(Plan::new().setup("mount -t tmpfs none /dev")));
}

#[test]
fn closed_descriptors_are_survived_and_not_handed_on() {
    let machine = Plan::new()
        .setup("mkdir -m 777 @DIR@/out")
        .setup("exec <&- >&- 2>&-")
        .daemon("x", "dump @DIR@/out/facts wait", "")
        .boot();
    let facts = machine.await_facts("out/facts");
    let held: Vec<&String> =
        facts.0["descriptors"].as_object().map(|d| d.keys().collect()).unwrap_or_default();
    assert_eq!(held, ["0", "1", "2"]);
}

#[test]
fn an_empty_environment_is_survived() {
    let plan = Plan::new();
    let words = ["/usr/bin/env", "-i", "@SEXTON@", "up", "@DIR@/units"];
    ends_well(runs(plan.command(&words)));
}

#[test]
fn any_user_can_run_it() {
    let words = [
        "setpriv",
        "--reuid=4242",
        "--regid=4242",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "@SEXTON@",
        "up",
        "@DIR@/units",
        "--run-dir",
        "@DIR@/out/run",
    ];
    let machine = runs(Plan::new().command(&words));
    let socket = machine.path("out/run/control").display().to_string();
    until("it answers", || machine.sexton(&["--socket", &socket, "list"]).ok().then_some(()));
    ends_well(machine);
}

#[test]
fn a_directory_with_no_units_and_one_that_is_not_there_are_no_end_of_the_world() {
    let mut machine = Plan::new().up();
    assert!(machine.units().is_empty());
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
    let mut machine = Plan::new().command(&["@SEXTON@", "up", "/no/such"]).up();
    let words = "cannot find units in '/no/such': no such file or directory";
    assert!(machine.sexton(&["status"]).expect(0).out.contains(words));
    machine.await_console(words);
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
}

#[test]
fn who_is_not_pid_1_waits_for_no_directory_that_is_not_there() {
    let machine = Plan::new().up();
    for (path, cause) in [("/no/such", "no such file or directory"), ("/etc/passwd", "not a directory")] {
        let end = machine.sexton(&["up", path, "--run-dir", "/run/other"]).expect(2);
        assert!(end.err.contains(&format!("'{path}': {cause}")), "{}", end.err);
    }
}

#[test]
fn a_second_sexton_on_the_same_run_directory_starts_nothing() {
    let machine = Plan::new()
        .setup("mkdir -m 777 @DIR@/out")
        .unit("x", "[service]\nexec = [\"/bin/sh\", \"-c\", \"echo >> @DIR@/out/starts; exec sleep 1000\"]\n")
        .up();
    machine.await_state("x", "ready");
    let units = machine.fill("@DIR@/units");
    let end = machine.sexton(&["up", &units]).expect(1);
    assert!(end.err.contains("another sexton answers there"), "{}", end.err);
    assert_eq!(machine.read("out/starts").lines().count(), 1);
    machine.sexton(&["status", "x"]).expect(0);
}

#[test]
fn the_stage_of_the_demo_is_set_nowhere_but_in_a_world_of_its_own() {
    let machine = Plan::new().up();
    let mounts = || machine.shell("cat /proc/self/mountinfo").expect(0).out;
    let before = mounts();
    machine.sexton(&["demo-init"]).expect(2);
    let end = machine.sexton(&["demo-init", "1:2"]).expect(1);
    assert!(end.err.contains("demo-init is a part of 'sexton demo'"), "{}", end.err);
    assert_eq!(mounts(), before);
}

#[test]
fn its_working_directory_pins_nothing_and_the_services_begin_at_the_root() {
    let machine = Plan::new()
        .setup("mkdir -m 777 @DIR@/out; cd @DIR@")
        .daemon("x", "dump @DIR@/out/facts wait", "")
        .boot();
    assert_eq!(machine.await_facts("out/facts").text("directory"), "/");
    let link = std::fs::read_link(format!("/proc/{}/cwd", machine.pid1())).unwrap_or_default();
    assert_eq!(link.display().to_string(), "/");
}

#[test]
fn a_system_call_that_a_profile_forbids_is_taken_as_absent() {
    // strace answers EPERM where an older seccomp profile would.
    let pid_tracer = ["strace", "-f", "-qq", "-o", "/dev/null"];
    let forbidden = "-einject=clone3,close_range,pidfd_open,openat2:error=EPERM";
    let mut words = pid_tracer.to_vec();
    words.push(forbidden);
    ends_well(runs(Plan::new().under(&words)));
}

#[test]
fn default_action_signals_do_nothing_to_pid_1() {
    let mut machine = runs(Plan::new());
    for signal in [
        "HUP", "USR1", "USR2", "ALRM", "PIPE", "WINCH", "TSTP", "TTIN", "TTOU", "VTALRM", "IO", "KILL",
        "STOP",
    ] {
        machine.run(&["/bin/kill", &format!("-{signal}"), "1"]);
    }
    assert_eq!(machine.ended(), None);
    machine.await_state("x", "ready");
    assert!(testd().exists());
    ends_well(machine);
}

#[test]
fn init_reads_the_units_and_the_settings_of_etc() {
    let mut machine = Plan::new()
        .with_etc()
        .file("etc/sexton/units/x.toml", "[service]\nexec = [\"@TESTD@\", \"wait\"]\n")
        .file("etc/sexton/units/later.toml", "manual = true\n[service]\nexec = [\"@TESTD@\", \"wait\"]\n")
        .command(&["@SEXTON@", "init"])
        .up();
    machine.await_state("x", "ready");
    assert_eq!(machine.state("later"), "stopped");
    machine.sexton(&["start", "later"]).expect(0);
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
}

#[test]
fn hostile_unit_files_keep_no_other_unit_from_starting() {
    let machine = Plan::new()
        .setup("cd @DIR@/units")
        .setup("head -c 10485760 /dev/zero | tr '\\0' 'a' > big.toml")
        .setup("printf 'a = \\000' > nul.toml; printf 'description = \"\\377\"' > bytes.toml")
        .setup("ln -s loop.toml loop.toml; ln -s /no/such/file dangling.toml; mkdir directory.toml; mkfifo pipe.toml")
        .setup("{ printf 'a = '; head -c 100000 /dev/zero | tr '\\0' '['; } > deep.toml")
        .setup("ln -s /dev/zero endless.toml; : > '-dash.toml'; : > 'two words.toml'; : > 'x@y@z.toml'")
        .daemon("fine", "wait", "")
        .up();
    machine.await_state("fine", "ready");
    for unit in ["big", "nul", "bytes", "deep"] {
        assert_eq!(machine.state(unit), "failed", "{unit}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", machine.pid1())).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX);
    assert!(kib < 32 * 1024, "{kib} KiB after reading what it should not have read");
}

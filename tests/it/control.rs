//! The control socket under friends, strangers and vandals; a Varlink client that is not ours among them.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, until};

fn machine() -> Machine {
    let machine = Plan::new()
        .daemon("store", "wait", "description = \"Keeps things\"\n---")
        .daemon("web", "wait", "needs = [\"store\"]\n---")
        .up();
    machine.await_state("web", "ready");
    machine
}

/// A raw connection, made from outside by way of PID 1's own root.
fn connect(machine: &Machine) -> UnixStream {
    let path = format!("/proc/{}/root/run/sexton/control", machine.pid1());
    let stream = UnixStream::connect(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    stream
}

/// One answer, without the NUL that ends it; empty when the connection was closed.
fn answer(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    let mut one = [0];
    while matches!(stream.read(&mut one), Ok(1)) && one[0] != 0 {
        bytes.push(one[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ask(stream: &mut UnixStream, call: &str) -> String {
    let _ = stream.write_all(format!("{call}\0").as_bytes()); // A closed connection shows in the answer.
    answer(stream)
}

const GET_INFO: &str = r#"{"method":"org.varlink.service.GetInfo"}"#;

#[track_caller]
fn still_serves(machine: &Machine) {
    assert!(ask(&mut connect(machine), GET_INFO).contains("sexton"));
    assert_eq!(machine.state("web"), "ready");
}

#[test]
fn a_varlink_client_that_is_not_ours_can_drive_it() {
    let machine = machine();
    let script = r#"
import varlink, sys
client = varlink.Client.new_with_address("unix:/run/sexton/control")
with client.open("org.varlink.service") as service:
    info = service.GetInfo()
    assert "sexton.Manager" in info["interfaces"], info
    assert "method" in service.GetInterfaceDescription("sexton.Manager")["description"]
with client.open("sexton.Manager") as manager:
    listed = manager.List()
    names = sorted(unit["name"] for unit in listed["units"])
    assert names == ["store", "web"], names
    why = manager.Why(unit="web")
    assert why, why
    plan = manager.Plan(action="restart", units=["store"])
    assert plan["outcome"] in ("planned", "refused"), plan
    answers = list(manager.Restart(units=["store"], _more=True))
    report = answers[-1]
    assert report["outcome"] == "done" and "progress" not in report, report
    assert all(answer["progress"]["about"] for answer in answers[:-1]), answers
    manager.Abandon()
    try:
        manager.Stop(units=["no-such-unit"])
    except varlink.VarlinkError as error:
        assert error.error().startswith("sexton.Manager."), error
    else:
        raise SystemExit("a unit that is not there was stopped")
print("driven")
"#;
    machine.write("drive.py", script);
    let python = format!("{}/target/venv/bin/python", env!("CARGO_MANIFEST_DIR"));
    assert!(std::path::Path::new(&python).exists(), "{python} is not there; run scripts/test packages");
    let done = machine.run(&[&python, &machine.path("drive.py").display().to_string()]);
    assert!(done.ok() && done.out.contains("driven"), "{}", done.all());
}

#[test]
fn random_bytes_cost_only_the_connection_that_sent_them() {
    let machine = machine();
    // xorshift, from a fixed seed: the same bytes every time.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    for round in 0..200 {
        let mut stream = connect(&machine);
        let length = usize::from(random()) * 8 + 1;
        let mut bytes: Vec<u8> = (0..length).map(|_| random()).collect();
        if round % 2 == 0 {
            bytes.push(0);
        }
        let _ = stream.write_all(&bytes); // It may be cut off in the middle, which is the point.
    }
    for call in [
        "{",
        "[]",
        "null",
        "{\"method\":7}",
        "{\"method\":\"x\"}",
        "{\"method\":\"a.b.C\"}",
        "\"\\ud800\"",
        "{\"method\":\"sexton.Manager.Stop\",\"parameters\":{\"units\":7}}",
    ] {
        let said = ask(&mut connect(&machine), call);
        assert!(said.is_empty() || said.contains("error"), "{call}: {said}");
    }
    let deep = "[".repeat(100_000);
    let _ = ask(&mut connect(&machine), &deep);
    still_serves(&machine);
}

#[test]
fn a_message_without_an_end_is_cut_off() {
    let machine = machine();
    let mut stream = connect(&machine);
    let piece = vec![b'x'; 65_536];
    let mut sent = 0_usize;
    while stream.write_all(&piece).is_ok() {
        sent += piece.len();
        assert!(sent < 64 << 20, "it takes {sent} bytes without a word");
    }
    still_serves(&machine);
}

#[test]
fn a_hundred_idle_connections_keep_nobody_out_and_cost_no_cpu() {
    let machine = machine();
    let path = format!("/proc/{}/root/run/sexton/control", machine.pid1());
    let held: Vec<UnixStream> = (0..100).filter_map(|_| UnixStream::connect(&path).ok()).collect();
    until("the client gets through", || machine.sexton(&["list"]).ok().then_some(()));
    drop(held);
    still_serves(&machine);
}

#[test]
fn a_reader_that_never_reads_costs_only_itself() {
    let machine = machine();
    let mut stream = connect(&machine);
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout can be set");
    let call = format!("{}\0", r#"{"method":"sexton.Manager.List"}"#);
    let mut sent = 0;
    // Until it is cut off, or it no longer takes any more: either is a bound.
    while sent < 200_000 && stream.write_all(call.as_bytes()).is_ok() {
        sent += 1;
    }
    still_serves(&machine);
    let status = std::fs::read_to_string(format!("/proc/{}/status", machine.pid1())).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX);
    assert!(kib < 16 * 1024, "{kib} KiB for a reader that never reads");
}

#[test]
fn others_than_root_are_refused_by_the_file_and_by_name() {
    let machine = machine();
    let socket = format!("/proc/{}/root/run/sexton/control", machine.pid1());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&socket).unwrap_or_else(|e| panic!("{socket}: {e}")).permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let stranger = |words: &str| {
        machine.shell(&format!("setpriv --reuid=65534 --regid=65534 --clear-groups @SEXTON@ {words}"))
    };
    assert_ne!(stranger("list").code, 0);
    machine.shell("chmod 0666 /run/sexton/control; chmod 0755 /run/sexton").expect(0);
    assert_ne!(stranger("stop --cascade store").code, 0);
    assert_eq!(machine.state("store"), "ready");
}

#[test]
fn the_exit_statuses_are_what_the_page_says() {
    let mut machine = machine();
    machine.sexton(&["start", "web"]).expect(0);
    machine.sexton(&["no-such-command"]).expect(2);
    machine.sexton(&["stop", "store"]).expect(3);
    machine.sexton(&["--socket", "/run/nobody", "list"]).expect(4);
    machine.write(
        "units/slow.toml",
        &machine.fill("[service]\nexec = [\"@TESTD@\", \"wait\"]\n[ready]\nnotify = true\n"),
    );
    machine.sexton(&["--timeout", "300ms", "start", "slow"]).expect(5);
    machine.shut_down(Signal::SIGTERM);
}

#[test]
fn the_events_of_a_start_are_told_as_they_happen() {
    let machine = machine();
    let program = machine.fill("@SEXTON@");
    let mut watcher = machine.start("events", &[&program, "events", "--json"]);
    // What happened before the watcher was heard of is not told; so it is made to happen until it is.
    until("the watcher is heard of", || {
        machine.sexton(&["restart", "web"]).expect(0);
        machine.read("events").contains("\"ready\"").then_some(())
    });
    let told = machine.read("events");
    assert!(told.contains("\"unit\":\"web\"") && told.contains("\"stopping\""), "{told}");
    let _ = watcher.kill(); // It is our own child, and ends with the machine at the latest.
    #[allow(clippy::disallowed_methods, reason = "the watcher is a child of the test")]
    let _ = watcher.wait();
}

#[test]
fn output_for_programs_is_json_and_output_for_pipes_has_no_colour() {
    let machine = machine();
    for words in [
        &["list", "--json"][..],
        &["status", "--json"],
        &["show", "web", "--json"],
        &["why", "web", "--json"],
        &["tree", "--json"],
    ] {
        let out = machine.sexton(words).expect(0).out;
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{words:?}: {out}");
    }
    for words in
        [&["list"][..], &["status"], &["status", "web"], &["show", "web"], &["why", "web"], &["tree"]]
    {
        let out = machine.sexton(words).expect(0).out;
        assert!(!out.contains('\u{1b}') && !out.is_empty(), "{words:?}: {out}");
    }
}

#[test]
fn each_answer_says_what_was_done_and_no_more() {
    let machine = machine();
    let sent = machine.sexton(&["signal", "WINCH", "web"]).expect(0);
    assert_eq!(sent.out, "sent SIGWINCH to web\n");
    let silence = machine.sexton(&["--timeout", "100ms", "events"]).expect(5);
    assert_eq!(silence.err, "sexton: nothing happened for 100 ms\n");
    let usage = machine.sexton(&["--json", "up", "/run"]).expect(2);
    assert!(usage.err.contains("'--json'"), "{}", usage.err);
}

#[test]
fn a_client_without_standard_output_writes_into_no_socket() {
    let machine = Plan::new().up();
    let path = machine.path("listens");
    let listener = UnixListener::bind(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let hear = || {
        let (mut client, _) = listener.accept().expect("the client connects");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        let call = answer(&mut client);
        client.write_all(b"{\"parameters\":{\"units\":[]}}\0").expect("the client waits for an answer");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("the client hangs up");
        (call, String::from_utf8_lossy(&rest).into_owned())
    };
    let (call, rest) = std::thread::scope(|scope| {
        let heard = scope.spawn(hear);
        machine.shell("@SEXTON@ --socket @DIR@/listens list --json <&- >&-").expect(0);
        heard.join().expect("the listener ends")
    });
    assert!(call.contains("List"), "{call}");
    assert_eq!(rest, "");
}

#[test]
fn what_a_service_prints_cannot_talk_to_a_terminal() {
    let machine = Plan::new()
        .unit("x", "[service]\nexec = [\"/bin/sh\", \"-c\", \"printf '\\\\033]0;owned\\\\007\\\\n'; exit 1\"]\n[restart]\non = \"never\"\n")
        .up();
    machine.await_state("x", "failed");
    let why = until("its last output is known", || {
        let why = machine.sexton(&["--color", "always", "why", "x"]).all();
        why.contains("owned").then_some(why)
    });
    assert!(!why.contains("\u{1b}]0;") && !why.contains('\u{7}'), "{why:?}");
}

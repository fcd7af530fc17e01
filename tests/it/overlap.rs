//! Overlapping restarts: a program that can run twice is replaced under load, and a broken release replaces nobody.

use std::fs;
use std::process::Child;

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, needs, until};

/// Answers every connection with its pid. It says that it is ready once the file `go` is there, and ends at once where
/// `broken` is. Told to stop, it answers whoever has come and ends.
const WORKER: &str = r#"
import os, signal, socket, sys, time
if os.path.exists("@DIR@/broken"):
    sys.exit(0)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("127.0.0.1", 7411))
listener.listen(512)
reader, writer = os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
signal.signal(signal.SIGTERM, lambda *_: None)
while not os.path.exists("@DIR@/go"):
    time.sleep(0.01)
address = os.environ["NOTIFY_SOCKET"]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", "\0" + address[1:] if address[0] == "@" else address)
import select
listener.setblocking(False)
while True:
    woken, _, _ = select.select([listener, reader], [], [])
    try:
        while True:
            peer, _ = listener.accept()
            peer.setblocking(True)
            peer.sendall(b"%d" % os.getpid())
            peer.close()
    except BlockingIOError:
        pass
    if reader in woken:
        sys.exit(0)
"#;

/// Connects again and again, and waits for the answer each time. The file `seen` holds who answered last, `counted` in
/// the end how many connections were made, refused and lost, and by how many processes they were answered.
const LOAD: &str = r#"
import os, socket
made = refused = lost = 0
seen = set()
while not os.path.exists("@DIR@/enough"):
    client = socket.socket()
    client.settimeout(30)
    try:
        client.connect(("127.0.0.1", 7411))
        made += 1
        answer = client.recv(32)
        if not answer:
            lost += 1
        elif answer not in seen:
            seen.add(answer)
            with open("@DIR@/seen", "a") as file:
                file.write(answer.decode() + "\n")
    except ConnectionRefusedError:
        refused += 1
    except OSError:
        lost += 1
    client.close()
with open("@DIR@/counting", "w") as file:
    file.write("%d %d %d %d" % (made, refused, lost, len(seen)))
os.rename("@DIR@/counting", "@DIR@/counted")
"#;

fn plan() -> Plan {
    let service = format!(
        "[service]\nexec = [\"{}\", \"@DIR@/worker.py\"]\n[ready]\nnotify = true\n[restart]\noverlap = true\n",
        needs("python3", "python3")
    );
    Plan::new()
        .file("worker.py", WORKER)
        .file("load.py", LOAD)
        .file("go", "")
        .unit("web", &service)
        .unit("many@", &format!("manual = true\n[instances]\ncount = 2\n{service}"))
        // What waits to be accepted by a process that ends goes to the other one.
        .setup("echo 1 > /proc/sys/net/ipv4/tcp_migrate_req")
}

fn up() -> Machine {
    let machine = plan().up();
    machine.ready_pid("web");
    machine
}

/// Begins a restart that the test goes on beside; the file `client` names who asked for it.
fn begin_restart(machine: &Machine, unit: &str) -> Child {
    let line = format!("echo $$ > @DIR@/client; exec @SEXTON@ restart {unit}");
    machine.start("begun", &["/bin/sh", "-c", &machine.fill(&line)])
}

/// How a command that was begun ended.
#[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
fn ended(mut begun: Child) -> Option<i32> {
    begun.wait().unwrap().code()
}

fn remove(machine: &Machine, name: &str) {
    fs::remove_file(machine.path(name)).unwrap();
}

#[test]
fn under_load_nobody_is_refused_while_one_process_takes_over_from_another() {
    let machine = up();
    let load = machine.start("load", &[&needs("python3", "python3"), &machine.fill("@DIR@/load.py")]);
    let has_seen = |pid: i32| {
        until(&format!("{pid} answers"), || {
            machine.read("seen").lines().any(|seen| seen == pid.to_string()).then_some(())
        });
    };
    let mut pid = machine.ready_pid("web");
    has_seen(pid);
    for _ in 0..3 {
        machine.sexton(&["restart", "web"]).expect(0);
        let old = std::mem::replace(&mut pid, machine.main_pid("web"));
        assert_ne!(old, pid);
        assert!(!machine.lives(old), "the restart is over when the old process is");
        has_seen(pid);
    }
    machine.write("enough", "x");
    let counted = machine.await_file("counted");
    ended(load);
    let numbers: Vec<u32> = counted.split(' ').map(|number| number.parse().unwrap()).collect();
    assert_eq!((numbers[1], numbers[3]), (0, 4), "made, refused, lost, processes: {counted}");
    // A kernel before 5.14 resets those that wait to be accepted.
    if machine.shell("cat /proc/sys/net/ipv4/tcp_migrate_req").out.trim() == "1" {
        assert_eq!(numbers[2], 0, "made, refused, lost, processes: {counted}");
    }
}

#[test]
fn while_both_run_there_is_one_unit_and_whoever_gives_up_has_the_new_process_stopped() {
    let machine = up();
    let old = machine.ready_pid("web");
    remove(&machine, "go");
    let restart = begin_restart(&machine, "web");
    let successor = || machine.unit("web").reason.filter(|reason| reason.contains("its successor (pid"));
    let reason = until("the successor runs", successor);
    let new: i32 =
        reason.split(['(', ')']).nth(1).and_then(|pid| pid.strip_prefix("pid ")?.parse().ok()).unwrap();
    let names: Vec<String> = machine.units().into_iter().map(|unit| unit.name).collect();
    assert_eq!(names, ["many@1", "many@2", "web"]);
    assert_eq!((machine.main_pid("web"), machine.state("web").as_str()), (old, "ready"));
    assert!(machine.lives(new) && machine.lives(old));
    let why = machine.sexton(&["why", "web"]).all();
    assert!(why.contains("successor"), "{why}");
    machine.sexton(&["restart", "web"]).expect(3);
    machine.shell("kill -INT $(cat @DIR@/client)").expect(0);
    assert_eq!(ended(restart), Some(3));
    assert!(!machine.lives(new));
    assert_eq!(machine.unit("web").reason, None);
    assert_eq!((machine.main_pid("web"), machine.state("web").as_str()), (old, "ready"));
}

#[test]
fn an_old_process_that_dies_in_between_is_replaced_by_the_one_that_comes() {
    let machine = up();
    let old = machine.ready_pid("web");
    remove(&machine, "go");
    let restart = begin_restart(&machine, "web");
    until("the successor runs", || machine.unit("web").reason.filter(|reason| reason.contains("(pid")));
    machine.run(&["/bin/kill", "-KILL", &old.to_string()]).expect(0);
    machine.await_state("web", "waiting");
    machine.write("go", "");
    assert_eq!(ended(restart), Some(0));
    let new = machine.ready_pid("web");
    assert_ne!(new, old);
    assert_eq!(machine.unit("web").restarts, 0);
}

/// What pm2 does: each old worker is killed as soon as the new one was spawned, and a release that exits with 0 leaves
/// nobody. Here neither of the two is touched.
#[test]
fn a_broken_release_that_exits_with_0_takes_no_worker() {
    let machine = up();
    machine.sexton(&["start", "many@1", "many@2"]).expect(0);
    let workers = ["many@1", "many@2"];
    let old = workers.map(|name| machine.ready_pid(name));
    machine.write("broken", "x");
    let said = machine.sexton(&["restart", "--rolling", "many@*"]).expect(3).all();
    assert!(said.contains("its successor failed: exited with code 0 before it was ready"), "{said}");
    assert!(said.contains("the roll stopped with 0 restarted and 2 left as they were"), "{said}");
    assert_eq!(workers.map(|name| machine.main_pid(name)), old);
    assert!(old.iter().all(|pid| machine.lives(*pid)));
    machine.sexton(&["restart", "many@1", "many@2"]).expect(3);
    assert_eq!(workers.map(|name| machine.main_pid(name)), old);
    machine.sexton(&["restart", "web"]).expect(3);
    remove(&machine, "broken");
    machine.sexton(&["restart", "--rolling", "many@*"]).expect(0);
    let new = workers.map(|name| machine.main_pid(name));
    assert!(new.iter().all(|pid| !old.contains(pid)), "{old:?} {new:?}");
    assert!(!old.iter().any(|pid| machine.lives(*pid)));
    machine.signal(Signal::SIGTERM);
}

/// The same release without successors, of workers that say nothing of their readiness: it takes the first, and the roll
/// does not go on to the second.
#[test]
fn a_broken_release_that_ends_a_moment_after_its_start_takes_one_worker_of_a_roll() {
    let text = "[instances]\ncount = 2\n[service]\nexec = [\"/bin/sh\", \"-c\", \"if test -e @DIR@/good; then \
                touch @DIR@/up-%i; exec sleep 1000; fi; sleep 0.1; exit 0\"]\n";
    let machine = Plan::new().file("good", "").unit("many@", text).up();
    machine.await_state("many@1", "ready");
    let second = machine.ready_pid("many@2");
    for up in ["up-1", "up-2"] {
        until("it serves", || machine.path(up).exists().then_some(()));
    }
    remove(&machine, "good");
    let said = machine.sexton(&["restart", "--rolling", "many@*"]).expect(1).all();
    assert!(said.contains("many@1 failed: exited with code 0"), "{said}");
    assert!(said.contains("the roll stopped with 0 restarted and 1 left as it was"), "{said}");
    assert_eq!(machine.ready_pid("many@2"), second);
}

#[test]
fn a_line_of_the_new_process_is_not_taken_for_one_of_the_old() {
    let more = "[ready]\nlog = \"serving\"\n[restart]\noverlap = true\n[dirs]\nruntime = [\"x\"]\n";
    let text = format!(
        "[service]\nexec = [\"/bin/sh\", \"-c\", \"echo $$$$ begins; until test -e @DIR@/go; do sleep 0.1; done; \
         echo serving; exec sleep 1000\"]\n{more}"
    );
    let machine = Plan::new().file("go", "").unit("x", &text).up();
    let old = machine.ready_pid("x");
    remove(&machine, "go");
    let restart = begin_restart(&machine, "x");
    until("the successor runs", || machine.unit("x").reason.filter(|reason| reason.contains("(pid")));
    assert_eq!(machine.main_pid("x"), old);
    machine.write("go", "");
    assert_eq!(ended(restart), Some(0));
    assert_ne!(machine.main_pid("x"), old);
    assert!(
        machine.shell("test -d /run/x").ok(),
        "its directory is not pulled away from under the new process"
    );
}

#[test]
fn a_sync_replaces_a_changed_unit_and_the_plan_says_so() {
    let machine = up();
    let old = machine.ready_pid("web");
    let text = machine.read("units/web.toml");
    machine.write("units/web.toml", &format!("{text}\n[process]\nnice = 1\n"));
    let plan = machine.sexton(&["plan", "sync"]).expect(0).all();
    assert!(plan.contains("overlap") && !plan.contains("stop "), "{plan}");
    machine.sexton(&["sync"]).expect(0);
    let new = machine.ready_pid("web");
    assert_ne!(new, old);
    assert_eq!(machine.shell(&format!("cut -d' ' -f19 /proc/{new}/stat")).out.trim(), "1");
}

//! Main processes that are not sexton's children: the daemon that named one lives on, and reaps it itself.

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, needs, until};

/// Names a worker its main process and lives on; who is ignored of CHLD is reaped by the kernel in its parent's stead.
const LIVES_ON: &str = "ignore CHLD child @DIR@/worker notify-of @DIR@/worker MAINPID=PID\\nREADY=1 wait";

const NOTIFY: &str = "[ready]\nnotify = true\n[restart]\ndelay = \"0ms\"\n";

fn worker(machine: &Machine, file: &str) -> i32 {
    machine.await_file(file).trim().parse().unwrap_or(0)
}

#[test]
fn the_end_of_a_worker_whose_parent_lives_on_is_seen_and_it_is_replaced() {
    let machine = Plan::new().daemon("fore", LIVES_ON, NOTIFY).up();
    let status = machine.await_state("fore", "ready");
    let first = worker(&machine, "worker");
    assert_eq!(status.main_pid, Some(first));
    machine.kill("fore", Signal::SIGKILL);
    let second = machine.await_replacement("fore", first);
    assert_eq!((second, machine.unit("fore").restarts), (worker(&machine, "worker"), 1));
    machine.sexton(&["stop", "fore"]).expect(0);
    assert!(!machine.lives(second));
    machine.sexton(&["start", "fore"]).expect(0);
    assert_eq!(machine.unit("fore").main_pid, Some(worker(&machine, "worker")));
}

#[test]
fn a_restart_right_after_a_forking_daemon_is_ready_comes_to_its_end() {
    let machine = Plan::new()
        .daemon(
            "notifies",
            "ignore CHLD child @DIR@/n notify-of @DIR@/n MAINPID=PID\\nREADY=1 sleep 40 exit 0",
            NOTIFY,
        )
        .daemon(
            "writes",
            "ignore CHLD child @DIR@/w sleep 40 exit 0",
            "[process]\npid-file = \"@DIR@/w\"\n[restart]\ndelay = \"0ms\"\n",
        )
        .up();
    for (unit, file) in [("notifies", "n"), ("writes", "w")] {
        machine.await_state(unit, "ready");
        for _ in 0..5 {
            machine.sexton(&["restart", unit]).expect(0);
        }
        assert_eq!(machine.unit(unit).main_pid, Some(worker(&machine, file)), "{unit}");
    }
}

/// Leaves the unit's group, names a worker, buries it, and sees to it that a stranger in a group of its own gets its number.
const GIVES_THE_NUMBER_AWAY: &str = r#"
import os, socket, time
if os.fork():
    time.sleep(1000)
os.setsid()
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
worker = os.fork()
if worker == 0:
    time.sleep(1000)
s.send(b"READY=1\nMAINPID=%d" % worker)
os.waitpid(worker, 0)
stranger = 0
while stranger != worker:
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(worker - 1))
    stranger = os.fork()
    if stranger == 0:
        os.setsid()
        if os.getpid() != worker:
            os._exit(0)
        time.sleep(1000)
with open("@DIR@/stranger.draft", "w") as file:
    file.write(str(stranger))
os.rename("@DIR@/stranger.draft", "@DIR@/stranger")
time.sleep(1000)
"#;

#[test]
fn who_gets_the_number_of_a_worker_is_never_signalled_in_its_stead() {
    let python = needs("python3", "python3");
    let unit = format!(
        "[service]\nexec = [\"{python}\", \"@DIR@/daemon.py\"]\n[ready]\nnotify = true\n[restart]\non = \"never\"\n"
    );
    let machine = Plan::new().file("daemon.py", GIVES_THE_NUMBER_AWAY).unit("fore", &unit).up();
    machine.await_state("fore", "ready");
    let named = machine.kill("fore", Signal::SIGKILL);
    let stranger = worker(&machine, "stranger");
    assert_eq!(stranger, named);
    machine.await_state("fore", "failed");
    let why = machine.sexton(&["why", "fore"]).all();
    assert!(why.contains("ended, and only its own parent, which is not sexton, knows how"), "{why}");
    machine.sexton(&["stop", "fore"]).expect(0);
    assert!(machine.lives(stranger));
}

#[test]
fn where_nobody_can_be_held_by_a_descriptor_a_worker_of_somebody_else_is_not_believed() {
    let strace = needs("strace", "strace");
    let machine = Plan::new()
        .under(&[&strace, "-f", "-qq", "-o", "/dev/null", "-einject=pidfd_open:error=ENOSYS"])
        .daemon("fore", LIVES_ON, NOTIFY)
        .up();
    let status = machine.await_state("fore", "ready");
    assert_ne!(status.main_pid, Some(worker(&machine, "worker")));
    let said = "its main one, which is passed over";
    until("it is said", || machine.console().contains(said).then_some(()));
    let old = machine.kill("fore", Signal::SIGKILL);
    machine.await_replacement("fore", old);
}

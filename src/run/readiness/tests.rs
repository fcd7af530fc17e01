//! Each way to be ready, over real sockets, pipes and files, on the real clock or on one that the test sets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::time::Instant;

use super::*;
use crate::model::unit::{HttpTarget, Readiness as How};
use crate::model::{Command, ExitStatus, Signal};
use crate::sys::clock;

const UNIT: UnitId = UnitId(5);
const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    watcher: Watcher,
    poller: Poller,
    out: Vec<Outcome>,
}

fn ready(how: How) -> Ready {
    Ready { how, timeout: Duration::from_secs(30), interval: Duration::from_millis(100) }
}

fn text(text: &str) -> Text {
    Text::parse(text).unwrap()
}

fn pid(number: i32) -> Pid {
    Pid::new(number).unwrap()
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sexton-readiness-{name}-{}", std::process::id()))
}

fn at(millis: u64) -> Moment {
    Moment::default() + Duration::from_millis(millis)
}

/// An address on which nobody listens.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl House {
    fn new() -> House {
        House { watcher: Watcher::new(3), poller: Poller::new().unwrap(), out: Vec::new() }
    }

    /// Prepares and begins to watch, as if the process had started in between.
    fn begin(how: How, now: Moment) -> (House, Option<OwnedFd>) {
        let mut house = House::new();
        let fd = house.prepare(how);
        house.watcher.begin(UNIT, &house.poller, now, &mut house.out);
        (house, fd)
    }

    fn prepare(&mut self, how: How) -> Option<OwnedFd> {
        self.watcher.prepare(UNIT, &ready(how), &|text| text.expand(|_| None)).unwrap()
    }

    /// One turn of the loop on the real clock: waits for an event or the next timer.
    fn turn(&mut self) {
        let wait = self.watcher.next_deadline().map(|at| at.since(clock::now()));
        let mut events = Vec::new();
        self.poller.wait(&mut events, Some(wait.unwrap_or(PATIENCE).min(PATIENCE))).unwrap();
        for event in events {
            self.watcher.handle(&event, &self.poller, clock::now(), &mut self.out);
        }
        self.watcher.tick(clock::now(), &self.poller, &|_, _| true, &mut self.out);
    }

    fn run_until(&mut self, what: &str, mut done: impl FnMut(&House) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what} never came: {:?}", self.watcher);
            self.turn();
        }
    }

    fn run_until_ready(&mut self) {
        self.run_until("ready", |house| house.out.contains(&Outcome::Ready(UNIT)));
        assert_eq!(self.watcher.last_note(UNIT), None);
        self.is_idle();
    }

    /// Nothing of the unit is left: no timer, no descriptor in the poller, no watch.
    fn is_idle(&self) {
        assert_eq!(self.watcher.next_deadline(), None);
        assert!(self.watcher.watches.is_empty() && self.watcher.prepared.is_empty());
        let mut events = Vec::new();
        self.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events, []);
    }

    fn note(&self) -> String {
        self.watcher.last_note(UNIT).unwrap_or_default()
    }
}

#[test]
fn a_service_is_ready_when_its_port_accepts_and_the_note_says_why_not_before() {
    let address = closed_port();
    let (mut house, _) = House::begin(How::Tcp(address), clock::now());
    let refused = format!("{address}: connection refused");
    house.run_until("a refusal", |house| house.note() == refused);
    assert!(house.out.is_empty());
    let _listener = TcpListener::bind(address).unwrap();
    house.run_until_ready();
}

#[test]
fn a_service_is_ready_when_its_unix_socket_accepts() {
    let path = scratch("unix");
    let _ = std::fs::remove_file(&path); // Left by a run that failed.
    let (mut house, _) = House::begin(How::Unix(text(path.to_str().unwrap())), clock::now());
    assert_eq!(house.note(), format!("'{}': no such file or directory", path.display()));
    let _listener = UnixListener::bind(&path).unwrap();
    house.run_until_ready();
    std::fs::remove_file(path).unwrap();
}

/// Answers one connection after the other with these.
fn serve(listener: &TcpListener, house: &mut House, answers: &[&str]) {
    listener.set_nonblocking(true).unwrap();
    let mut answers = answers.iter();
    let mut open = Vec::new();
    house.run_until("the last answer", |_| {
        if let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 1024];
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            // The request may come in the next turn; the answer does not depend on it.
            let _ = stream.read(&mut request);
            if let Some(answer) = answers.next() {
                stream.write_all(answer.as_bytes()).unwrap();
            }
            open.push(stream);
        }
        answers.len() == 0
    });
}

#[test]
fn a_service_is_ready_when_its_page_answers_well() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = HttpTarget { address, host: address.to_string(), path: "/health".into() };
    let (mut house, _) = House::begin(How::Http(target), clock::now());
    serve(&listener, &mut house, &["HTTP/1.1 503 Service Unavailable\r\n\r\n"]);
    let expected = format!("http://{address}/health answered 503");
    house.run_until("the 503", |house| house.note() == expected);
    serve(&listener, &mut house, &["SSH-2.0-OpenSSH_9.2\r\n"]);
    house.run_until("nonsense", |house| house.note().ends_with("an answer that is no HTTP"));
    assert!(house.out.is_empty());
    serve(&listener, &mut house, &["HTTP/1.0 204 No Content\r\n\r\n"]);
    house.run_until_ready();
}

#[test]
fn a_server_that_accepts_and_never_answers_costs_one_try_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = HttpTarget { address, host: "h".into(), path: "/".into() };
    let (mut house, _) = House::begin(How::Http(target), at(0));
    assert_eq!(house.watcher.next_deadline(), Some(at(1000)));
    let mut events = Vec::new();
    house.poller.wait(&mut events, Some(PATIENCE)).unwrap();
    house.watcher.handle(&events[0], &house.poller, at(1), &mut house.out);
    house.watcher.tick(at(1000), &house.poller, &|_, _| true, &mut house.out);
    assert_eq!(house.note(), "http://h/: no answer in time");
    assert_eq!(house.watcher.next_deadline(), Some(at(1005)));
    assert!(house.out.is_empty());
}

#[test]
fn a_newline_on_its_descriptor_makes_a_service_ready() {
    let (mut house, fd) = House::begin(How::Fd(3), clock::now());
    let mut fd = std::fs::File::from(fd.unwrap());
    assert_eq!(house.watcher.next_deadline(), None, "an event is waited for, not a time");
    fd.write_all(b"almost").unwrap();
    house.turn();
    assert_eq!((house.out.len(), house.note()), (0, "it has not written a newline to its descriptor".into()));
    fd.write_all(b"\n").unwrap();
    house.run_until_ready();
}

#[test]
fn a_descriptor_that_is_closed_without_a_newline_is_noted_and_leaves_the_loop() {
    let (mut house, fd) = House::begin(How::Fd(3), clock::now());
    drop(fd);
    house.turn();
    assert_eq!(house.note(), "it closed its descriptor without writing a newline");
    let mut events = Vec::new();
    house.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    assert_eq!((events, house.out.len()), (vec![], 0));
}

#[test]
fn a_file_of_an_earlier_run_makes_nobody_ready() {
    let path = scratch("file");
    std::fs::write(&path, "old").unwrap();
    let (mut house, _) = House::begin(How::File(text(path.to_str().unwrap())), clock::now());
    assert!(house.note().ends_with("is the one of an earlier run"), "{}", house.note());
    std::fs::remove_file(&path).unwrap();
    house.run_until("its absence", |house| house.note().ends_with("no such file or directory"));
    std::fs::write(&path, "new").unwrap();
    house.run_until_ready();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_appeared_between_start_and_watch_counts() {
    let path = scratch("early-file");
    let mut house = House::new();
    house.prepare(How::File(text(path.to_str().unwrap())));
    std::fs::write(&path, "").unwrap();
    house.watcher.begin(UNIT, &house.poller, at(0), &mut house.out);
    assert_eq!(house.out, [Outcome::Ready(UNIT)]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn who_is_told_waits_for_nothing_and_is_ready_once() {
    for (how, note) in [
        (How::Notify, "it has not sent READY=1"),
        (How::Log("up .*".into()), "no line of its output matched 'up .*'"),
    ] {
        let (mut house, _) = House::begin(how, at(0));
        assert_eq!((house.watcher.next_deadline(), house.note().as_str()), (None, note));
        assert!(house.watcher.told(UNIT));
        assert!(!house.watcher.told(UNIT), "nobody waits any more");
        house.is_idle();
    }
    let (mut house, _) = House::begin(How::Tcp(closed_port()), at(0));
    assert!(!house.watcher.told(UNIT), "a port is no message");
    assert!(house.watcher.next_deadline().is_some());
}

#[test]
fn a_variable_that_is_not_set_is_what_the_note_says() {
    let (house, _) = House::begin(How::Unix(text("${RUN}/x.sock")), at(0));
    assert_eq!(house.note(), "the variable RUN is not set");
    assert_eq!(house.watcher.next_deadline(), None);
}

#[test]
fn forgetting_leaves_nothing_but_the_note() {
    let address = closed_port();
    let (mut house, _) = House::begin(How::Tcp(address), clock::now());
    house.run_until("a refusal", |house| !house.note().ends_with("yet"));
    house.watcher.forget(UNIT, &house.poller, &mut house.out);
    house.is_idle();
    assert_eq!(house.note(), format!("{address}: connection refused"));
    house.prepare(How::Exec);
    assert_eq!(house.watcher.last_note(UNIT), None);
}

fn probe(matches: Option<&str>) -> How {
    let exec = Command::new(vec![text("probe")]).unwrap();
    How::Command { exec, matches: matches.map(str::to_owned) }
}

/// Lets the unit's probe run, print this and end so.
fn run_probe(house: &mut House, words: &str, status: ExitStatus, now: Moment) {
    assert_eq!(house.out, [Outcome::RunProbe(UNIT)]);
    house.out.clear();
    let mut output = house.watcher.probe_output(UNIT).unwrap().map(std::fs::File::from);
    house.watcher.probe_started(UNIT, pid(9), &house.poller, now, &mut house.out);
    if let Some(output) = &mut output {
        output.write_all(words.as_bytes()).unwrap();
    }
    house.watcher.probe_ended(UNIT, pid(9), status, &house.poller, now, &mut house.out);
}

#[test]
fn a_probe_is_run_until_it_exits_with_0() {
    let (mut house, _) = House::begin(probe(None), at(0));
    run_probe(&mut house, "", ExitStatus::exited(1), at(2));
    assert_eq!((house.note().as_str(), house.out.len()), ("its probe exited with code 1", 0));
    assert_eq!(house.watcher.next_deadline(), Some(at(7)));
    house.watcher.tick(at(7), &house.poller, &|_, _| true, &mut house.out);
    run_probe(&mut house, "", ExitStatus::exited(0), at(8));
    assert_eq!(house.out, [Outcome::Ready(UNIT)]);
    house.is_idle();
}

#[test]
fn a_probe_that_exits_with_0_can_still_say_no() {
    let (mut house, _) = House::begin(probe(Some("^PONG")), at(0));
    run_probe(&mut house, "LOADING\n", ExitStatus::exited(0), at(1));
    assert_eq!(house.note(), "its probe printed 'LOADING', which does not match '^PONG'");
    house.watcher.tick(at(6), &house.poller, &|_, _| true, &mut house.out);
    run_probe(&mut house, "PONG\n", ExitStatus::exited(0), at(7));
    assert_eq!(house.out, [Outcome::Ready(UNIT)]);
}

#[test]
fn a_probe_that_prints_without_end_is_read_and_forgotten() {
    let (mut house, _) = House::begin(probe(Some("^PONG")), at(0));
    house.out.clear();
    let mut output = std::fs::File::from(house.watcher.probe_output(UNIT).unwrap().unwrap());
    house.watcher.probe_started(UNIT, pid(9), &house.poller, at(0), &mut house.out);
    output.write_all(b"PONG\n").unwrap();
    for _ in 0..200 {
        // More than the pipe holds: it would stand still if it were not read.
        output.write_all(&[b'x'; 4096]).unwrap();
        let mut events = Vec::new();
        house.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().for_each(|e| house.watcher.handle(e, &house.poller, at(1), &mut house.out));
    }
    // Its pipe is still held, by a process that it left behind.
    house.watcher.probe_ended(UNIT, pid(9), ExitStatus::exited(0), &house.poller, at(2), &mut house.out);
    assert_eq!(house.out, [Outcome::Ready(UNIT)]);
    house.is_idle();
}

#[test]
fn a_probe_that_hangs_is_killed_and_the_next_one_runs() {
    let (mut house, _) = House::begin(probe(None), at(0));
    house.out.clear();
    house.watcher.probe_started(UNIT, pid(9), &house.poller, at(0), &mut house.out);
    assert_eq!(house.watcher.next_deadline(), Some(at(10_000)));
    house.watcher.tick(at(10_000), &house.poller, &|_, _| true, &mut house.out);
    assert_eq!(house.out, [Outcome::KillProbe(pid(9))]);
    house.out.clear();
    let killed = ExitStatus::killed(Signal::KILL);
    house.watcher.probe_ended(UNIT, pid(9), killed, &house.poller, at(10_001), &mut house.out);
    assert_eq!(house.note(), "its probe did not end in time");
    house.watcher.tick(at(10_006), &house.poller, &|_, _| true, &mut house.out);
    assert_eq!(house.out, [Outcome::RunProbe(UNIT)]);
    house.out.clear();
    house.watcher.probe_not_started(UNIT, "cannot create a process", &house.poller, at(10_007));
    assert_eq!(house.note(), "cannot create a process");
    assert!(house.watcher.next_deadline().is_some());
}

#[test]
fn a_probe_that_nobody_waits_for_is_killed_and_its_end_means_nothing() {
    let (mut house, _) = House::begin(probe(None), at(0));
    house.out.clear();
    house.watcher.probe_started(UNIT, pid(9), &house.poller, at(0), &mut house.out);
    house.watcher.forget(UNIT, &house.poller, &mut house.out);
    assert_eq!(house.out, [Outcome::KillProbe(pid(9))]);
    house.is_idle();
    house.out.clear();
    house.watcher.probe_started(UNIT, pid(10), &house.poller, at(0), &mut house.out);
    assert_eq!(house.out, [Outcome::KillProbe(pid(10))], "one that started too late");
    house.prepare(probe(None));
    house.watcher.begin(UNIT, &house.poller, at(1), &mut house.out);
    house.out.clear();
    house.watcher.probe_started(UNIT, pid(11), &house.poller, at(1), &mut house.out);
    house.watcher.probe_ended(UNIT, pid(9), ExitStatus::exited(0), &house.poller, at(2), &mut house.out);
    assert_eq!(house.out, [], "the end of an earlier probe says nothing of this run");
}

#[test]
fn a_pid_file_is_looked_at_until_it_names_a_process_of_the_unit() {
    let path = scratch("pid");
    let mut house = House::new();
    let mine = |_: UnitId, pid: Pid| pid.get() == 42;
    house.watcher.await_pid_file(UNIT, path.clone(), at(0), &mine, &mut house.out);
    assert!(house.note().ends_with("no such file or directory"));
    assert_eq!(house.watcher.next_deadline(), Some(at(20)));
    std::fs::write(&path, "1\n").unwrap();
    house.watcher.tick(at(20), &house.poller, &mine, &mut house.out);
    assert!(house.note().ends_with("1 is no process of this unit"), "{}", house.note());
    assert_eq!(house.watcher.next_deadline(), Some(at(60)));
    std::fs::write(&path, "42\n").unwrap();
    house.watcher.tick(at(60), &house.poller, &mine, &mut house.out);
    assert_eq!(house.out, [Outcome::MainPid(UNIT, pid(42))]);
    house.is_idle();
    std::fs::remove_file(&path).unwrap();
    house.watcher.await_pid_file(UNIT, path, at(60), &mine, &mut house.out);
    house.watcher.forget(UNIT, &house.poller, &mut house.out);
    house.is_idle();
}

#[test]
fn a_thousand_units_are_watched_by_one_timer_each_and_the_first_is_due_first() {
    let mut house = House::new();
    for index in 0..1000 {
        let unit = UnitId::from_index(index);
        let how = How::File(text("/nonexistent/file"));
        house.watcher.prepare(unit, &ready(how), &|text| text.expand(|_| None)).unwrap();
        house.watcher.begin(unit, &house.poller, at(1000 - index as u64), &mut house.out);
    }
    assert_eq!(house.watcher.next_deadline(), Some(at(1 + 5)));
    house.watcher.tick(at(2000), &house.poller, &|_, _| true, &mut house.out);
    assert_eq!((house.watcher.timers.len(), house.watcher.next_deadline()), (1000, Some(at(2010))));
}

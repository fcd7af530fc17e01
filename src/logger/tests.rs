//! PID 1's side and the logger's loop together, over real pipes and sockets; the logger runs in a thread.
#![allow(clippy::disallowed_methods, reason = "the other side of a pipe runs in a thread of the test")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{LogEvent, LogPipes, Usual};
use super::console::{Console, Sink};
use super::memory::Memory;
use super::process::Logger;
use super::render::Surface;
use super::tails::Tails;
use super::*;
use crate::model::log::{Log, LogTarget};
use crate::model::unit::Readiness as Ready;
use crate::model::{Pid, UnitName};
use crate::sys::clock::now;
use crate::sys::poll::Poller;

/// What everything is waited for, at most: far more than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// PID 1, as far as the logger sees it.
struct House {
    pipes: LogPipes,
    poller: Poller,
    loggers: Vec<JoinHandle<io::Result<()>>>,
    /// All that became known so far.
    seen: Vec<LogEvent>,
}

impl House {
    fn new(units: &[&str]) -> House {
        let names = units.iter().map(|name| UnitName::parse(name).unwrap()).collect();
        let (pipes, poller) = (LogPipes::new(names, to(LogTarget::Console), 1), Poller::new().unwrap());
        House { pipes, poller, loggers: Vec::new(), seen: Vec::new() }
    }

    /// A house whose logger runs, and what it writes on the console.
    fn with_logger(units: &[&str]) -> (House, BufReader<PipeReader>) {
        let mut house = House::new(units);
        let console = house.start_logger();
        (house, console)
    }

    fn start_logger(&mut self) -> BufReader<PipeReader> {
        let (reader, writer) = io::pipe().unwrap();
        let fd: OwnedFd = writer.into();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let sink = Sink::of(File::from(fd), &path);
        let parts = self.pipes.parts().unwrap();
        let control = parts.control.try_clone_to_owned().unwrap();
        let memory = Memory::new(File::from(parts.tails.unwrap().try_clone_to_owned().unwrap()));
        self.loggers.push(std::thread::spawn(move || {
            Logger::new(control.as_fd(), None, Some(memory), Console::new(sink, Surface::Plain))?.run()
        }));
        self.pipes.attached(Pid::new(7).unwrap(), &self.poller, now()).unwrap();
        BufReader::new(reader)
    }

    /// The write end of a unit's pipe, as a process has it.
    fn service(&mut self, slot: u32, ready: Option<&Ready>) -> File {
        let outputs = self.pipes.outputs_for(Slot(slot), &log(LogTarget::Default), ready).unwrap();
        let fd = outputs.stdout.try_clone_to_owned().unwrap();
        self.pipes.flush(&self.poller, now());
        File::from(fd)
    }

    /// Runs PID 1's loop until this happens, once more than it did before.
    fn wait_for(&mut self, wanted: LogEvent) {
        let deadline = Instant::now() + PATIENCE;
        let mut ready = Vec::new();
        let times = |seen: &[LogEvent]| seen.iter().filter(|event| **event == wanted).count();
        let before = times(&self.seen);
        while times(&self.seen) == before {
            assert!(Instant::now() < deadline, "{wanted:?} never came: {:?}", self.seen);
            self.pipes.flush(&self.poller, now());
            self.poller.wait(&mut ready, Some(Duration::from_millis(20))).unwrap();
            for readiness in &ready {
                self.pipes.handle(readiness, &self.poller, now(), &mut self.seen);
            }
        }
    }

    fn flushed(&mut self, slot: u32) -> Vec<String> {
        self.pipes.request_flush(Slot(slot), now());
        self.wait_for(LogEvent::Flushed(Slot(slot)));
        self.pipes.tail(Slot(slot))
    }

    fn end(mut self, console: BufReader<PipeReader>) -> Vec<String> {
        self.pipes.finish(&self.poller, now());
        let lines = console.lines().map(Result::unwrap).collect();
        self.loggers.drain(..).for_each(|logger| logger.join().unwrap().unwrap());
        lines
    }
}

fn log(to: LogTarget) -> Rc<Log> {
    Rc::new(Log { to, ..Log::default() })
}

fn to(to: LogTarget) -> Usual {
    Usual::new(Log { to, ..Log::default() }, std::path::PathBuf::new(), None)
}

fn log_line(pattern: &str) -> Ready {
    Ready::Log(pattern.to_owned())
}

#[test]
fn each_line_comes_with_its_units_name_in_a_column() {
    let (mut house, console) = House::with_logger(&["web", "redis@6380"]);
    house.service(0, None).write_all(b"hello\nworld\n").unwrap();
    house.service(1, None).write_all(b"ready").unwrap();
    house.pipes.message("all is up", now());
    let mut lines = house.end(console);
    lines.sort();
    let expected =
        ["redis@6380 | ready", "sexton     | all is up", "web        | hello", "web        | world"];
    assert_eq!(lines, expected);
}

#[test]
fn a_flush_shows_what_was_in_the_pipe_a_moment_ago() {
    let (mut house, console) = House::with_logger(&["web"]);
    let mut service = house.service(0, None);
    for n in 0..50 {
        write!(service, "line {n}\nlast words {n}").unwrap();
        assert_eq!(house.flushed(0).last().unwrap(), &format!("last words {n}"));
    }
    assert_eq!(house.end(console).len(), 100, "a last line without its newline is a line");
}

#[test]
fn a_flush_without_a_logger_or_a_pipe_ends_by_its_deadline() {
    let mut house = House::new(&["web", "silent"]);
    let _service = house.service(0, None);
    let start = now();
    house.pipes.request_flush(Slot(0), start);
    house.pipes.request_flush(Slot(1), start);
    let mut events = Vec::new();
    house.pipes.tick(start, &mut events);
    assert_eq!(events, [LogEvent::Flushed(Slot(1))]);
    assert!(house.pipes.next_deadline().unwrap() <= start + client::FLUSH_LIMIT);
    house.pipes.tick(start + client::FLUSH_LIMIT, &mut events);
    assert_eq!(events, [LogEvent::Flushed(Slot(1)), LogEvent::Flushed(Slot(0))]);
}

#[test]
fn a_line_that_matches_makes_a_unit_ready_and_one_of_the_run_before_does_not() {
    let (mut house, console) = House::with_logger(&["db"]);
    let ready = log_line("ready to accept .* on \\d+");
    let mut first = house.service(0, Some(&ready));
    first.write_all(b"starting\n").unwrap();
    assert_eq!(house.flushed(0), ["starting"]);
    // The second run begins while something of the first, which never was ready, still writes.
    let mut second = house.service(0, Some(&ready));
    first.write_all(b"ready to accept late words on 1\n").unwrap();
    drop(first);
    second.write_all(b"starting again\n").unwrap();
    assert_eq!(house.flushed(0).len(), 3);
    assert!(!house.seen.contains(&LogEvent::Matched(Slot(0))));
    second.write_all(b"ready to accept connections on 5432\n").unwrap();
    house.wait_for(LogEvent::Matched(Slot(0)));
    second.write_all(b"ready to accept connections on 5432\n").unwrap();
    house.flushed(0);
    let matches = house.seen.iter().filter(|event| **event == LogEvent::Matched(Slot(0)));
    assert_eq!(matches.count(), 1);
    assert_eq!(house.end(console).len(), 5);
}

#[test]
fn a_line_written_before_the_logger_knew_of_the_pipe_matches_too() {
    let mut house = House::new(&["db"]);
    let mut service = house.service(0, Some(&log_line("up")));
    service.write_all(b"up\n").unwrap();
    let _console = house.start_logger();
    house.wait_for(LogEvent::Matched(Slot(0)));
}

#[test]
fn nobody_waits_for_a_line_any_more_after_unwatch() {
    let (mut house, console) = House::with_logger(&["db"]);
    let mut service = house.service(0, Some(&log_line("up")));
    house.pipes.unwatch(Slot(0));
    service.write_all(b"up\n").unwrap();
    assert_eq!(house.flushed(0), ["up"]);
    assert_eq!(house.seen, [LogEvent::Flushed(Slot(0))]);
    drop(console);
}

#[test]
fn a_dead_loggers_pipes_go_to_the_next_and_nothing_is_lost() {
    let (mut house, console) = House::with_logger(&["web", "db"]);
    let mut web = house.service(0, None);
    let mut db = house.service(1, Some(&log_line("up")));
    web.write_all(b"one\n").unwrap();
    assert_eq!(house.flushed(0), ["one"]);
    house.pipes.logger_died(&house.poller, now());
    assert_eq!(console.lines().count(), 1, "the first logger ends when its line is gone");
    web.write_all(b"two\n").unwrap();
    db.write_all(b"up\n").unwrap();
    assert!(!house.pipes.needs_logger(now()), "it died young and has to wait");
    assert!(house.pipes.next_deadline().is_some_and(|at| house.pipes.needs_logger(at)));
    let console = house.start_logger();
    house.wait_for(LogEvent::Matched(Slot(1)));
    assert_eq!(house.flushed(0), ["one", "two"]);
    let mut lines = house.end(console);
    lines.sort();
    assert_eq!(lines, ["db     | up", "web    | two"]);
}

#[test]
fn a_console_that_nobody_reads_stops_no_service() {
    let (mut house, console) = House::with_logger(&["chatty"]);
    let mut service = house.service(0, None);
    // Forty times what console and logger hold together: it would stand still at the first that is full.
    let text = vec![b'x'; 999].into_iter().chain([b'\n']).collect::<Vec<u8>>();
    (0..16_000).for_each(|_| service.write_all(&text).unwrap());
    service.write_all(b"the end\n").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while house.flushed(0).last().is_none_or(|line| line != "the end") {
        assert!(Instant::now() < deadline);
    }
    let lines = house.end(console);
    let kept = lines.iter().filter(|line| line.ends_with("xxx")).count();
    let note = lines.iter().find(|line| line.starts_with("sexton")).unwrap();
    assert!(note.contains(&format!("{} lines dropped", 16_001 - kept)), "{note} {kept}");
}

#[test]
fn a_closed_console_stops_no_service() {
    let (mut house, console) = House::with_logger(&["chatty"]);
    drop(console);
    let mut service = house.service(0, None);
    (0..1000).for_each(|_| service.write_all(&[b'\n'; 1000]).unwrap());
    service.write_all(b"the end\n").unwrap();
    assert_eq!(house.flushed(0).last().unwrap(), "the end");
}

#[test]
fn targets_without_a_pipe_cost_none() {
    let mut house = House::new(&["null", "inherit", "piped"]);
    let null = house.pipes.outputs_for(Slot(0), &log(LogTarget::Null), Some(&Ready::Exec)).unwrap();
    let kind = std::fs::metadata(format!("/proc/self/fd/{}", null.stdout.as_raw_fd())).unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&kind.file_type()));
    let own = house.pipes.outputs_for(Slot(1), &log(LogTarget::Inherit), None).unwrap();
    assert_eq!((own.stdout.as_raw_fd(), own.stderr.as_raw_fd()), (1, 2));
    assert!(!house.pipes.needs_logger(now()));
    let first = house.pipes.outputs_for(Slot(2), &log(LogTarget::Console), None).unwrap().stdout.as_raw_fd();
    assert!(house.pipes.needs_logger(now()));
    let again = house.pipes.outputs_for(Slot(2), &log(LogTarget::Console), None).unwrap();
    assert_eq!((again.stdout.as_raw_fd(), again.stderr.as_raw_fd()), (first, first));
}

#[test]
fn a_line_is_seen_though_the_target_shows_it_nowhere() {
    let (mut house, console) = House::with_logger(&["null", "inherit"]);
    for (slot, target) in [(0, LogTarget::Null), (1, LogTarget::Inherit)] {
        let ready = log_line("up");
        let outputs = house.pipes.outputs_for(Slot(slot), &log(target), Some(&ready)).unwrap();
        let mut service = File::from(outputs.stdout.try_clone_to_owned().unwrap());
        service.write_all(b"up\n").unwrap();
        house.wait_for(LogEvent::Matched(Slot(slot)));
    }
    assert_eq!(house.end(console), ["up"]);
}

#[test]
fn a_unit_that_is_not_there_has_no_pipe() {
    let mut house = House::new(&["web"]);
    let error = house.pipes.outputs_for(Slot(9), &log(LogTarget::Default), None).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    house.pipes.ended(Slot(9));
    assert!(house.pipes.tail(Slot(9)).is_empty());
}

#[test]
fn five_hundred_pipes_are_handed_over_in_a_few_messages() {
    let names: Vec<String> = (0..500).map(|n| format!("unit@{n}")).collect();
    let (mut house, console) = House::with_logger(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for slot in 0..500 {
        let outputs = house.pipes.outputs_for(Slot(slot), &log(LogTarget::Default), None).unwrap();
        let mut writer = File::from(outputs.stdout.try_clone_to_owned().unwrap());
        writeln!(writer, "hello from {slot}").unwrap();
    }
    let reader = std::thread::spawn(move || console.lines().map(Result::unwrap).collect::<Vec<_>>());
    assert_eq!(house.flushed(499), ["hello from 499"]);
    house.pipes.finish(&house.poller, now());
    let lines = reader.join().unwrap();
    assert_eq!(lines.len(), 500);
    assert!(lines.iter().all(|line| line.split_once(" | hello from ").is_some()));
}

#[test]
fn the_logger_ends_when_pid_1_is_gone_and_writes_what_is_left() {
    let (mut house, console) = House::with_logger(&["web"]);
    house.service(0, None).write_all(b"last words").unwrap();
    let House { pipes, poller, mut loggers, .. } = house;
    drop((pipes, poller));
    assert_eq!(console.lines().map(Result::unwrap).collect::<Vec<_>>(), ["web    | last words"]);
    loggers.remove(0).join().unwrap().unwrap();
}

#[test]
fn nothing_on_the_line_harms_the_logger() {
    let mut random = random::Random::new(11);
    let (near, far) = crate::sys::socket::pair().unwrap();
    let sink = Sink::of(File::create("/dev/null").unwrap(), "/dev/null");
    let memory = Memory::new(Tails::create(4).unwrap().file().try_clone().unwrap());
    let logger = std::thread::spawn(move || {
        Logger::new(far.as_fd(), None, Some(memory), Console::new(sink, Surface::Coloured))?.run()
    });
    let (reader, _writer) = io::pipe().unwrap();
    for _ in 0..3_000 {
        let mut bytes = random.bytes(40);
        let Some(first) = bytes.first_mut() else { continue };
        *first %= 13;
        if *first == 6 || *first == 9 {
            continue; // Those are the orders to end.
        }
        let fds = [reader.as_fd(), near.as_fd()];
        // A full line is no news here; the next message finds room.
        let _ = crate::sys::handover::send_with_fds(near.as_fd(), &bytes, &fds[..random.below(3)]);
    }
    drop(near);
    logger.join().unwrap().unwrap();
}

#[test]
fn what_says_nothing_of_its_output_goes_where_the_settings_say() {
    let names = vec![UnitName::parse("web").unwrap()];
    let mut pipes = LogPipes::new(names, to(LogTarget::Null), 1);
    let mut target = |target| {
        let outputs = pipes.outputs_for(Slot(0), &log(target), None).unwrap();
        std::fs::read_link(format!("/proc/self/fd/{}", outputs.stdout.as_raw_fd())).unwrap()
    };
    assert_eq!(target(LogTarget::Default).to_str(), Some("/dev/null"));
    assert!(target(LogTarget::Console).to_str().unwrap().starts_with("pipe:"));
}

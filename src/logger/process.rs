//! The loop of the logger process: reads every pipe, writes the console and the tails, obeys PID 1.
//!
//! ```text
//!   control ──▶ Begin, Attach, Unwatch, Ended, Flush, Say, Finish
//!   pipe    ──▶ lines ──┬─▶ pattern ──▶ Matched
//!                       ├─▶ console
//!                       └─▶ tail
//!   console ──▶ room again
//! ```
//!
//! It never waits for the console and never stops to read. When PID 1 is gone, or says so, it reads what is
//! left, writes what the console takes within a bound, and ends.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use regex_lite::Regex;

use super::console::{Console, Flow};
use super::lines::Lines;
use super::protocol::{Answer, Attachment, MAX_MESSAGE, Order, Style};
use super::tails::Tails;
use super::{OWN_NAME, Slot};
use crate::sys::clock;
use crate::sys::handover;
use crate::sys::poll::{EVENTS_PER_WAIT, Interest, Poller, Readiness, Token};

const CONTROL: Token = Token::new(0, 0);
const CONSOLE: Token = Token::new(1, 0);
const PIPES: u8 = 2;
/// How many pipes a wait tells of at least when as many are ready: the rest are the other two.
const PIPES_PER_WAIT: usize = EVENTS_PER_WAIT - 2;

/// Read at once from one pipe: as much as a pipe holds, so that each gets its turn.
const CHUNK: usize = 64 * 1024;
/// Read at most when a pipe is to be emptied: a service that writes as fast as it is read must not hold up
/// an answer for ever. Sixteen times what a pipe holds.
const MAX_DRAIN: usize = 1 << 20;
/// How long a console that blocks is waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Answers that wait for PID 1 to read them. It always reads; the bound is for the day it does not.
const MAX_ANSWERS: usize = 8192;

/// One pipe of a unit.
struct Pipe {
    file: File,
    slot: Slot,
    serial: u32,
    style: Style,
    name: String,
    pattern: Option<Regex>,
    lines: Lines,
}

/// What a read brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Read(usize),
    Empty,
    Ended,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    GoOn,
    Finish,
}

/// The logger. Its end of the line to PID 1 is its starter's, who lets go of it when [`Logger::run`] is over.
pub(super) struct Logger<'a> {
    control: BorrowedFd<'a>,
    poller: Poller,
    console: Console,
    console_watched: bool,
    tails: Option<Tails>,
    pipes: Vec<Option<Pipe>>,
    /// Places in `pipes` that are free again.
    holes: Vec<usize>,
    answers: VecDeque<Answer>,
    buffer: Vec<u8>,
}

impl<'a> Logger<'a> {
    pub(super) fn new(
        control: BorrowedFd<'a>,
        tails: Option<Tails>,
        console: Console,
    ) -> io::Result<Logger<'a>> {
        let poller = Poller::new()?;
        poller.add(control, CONTROL, Interest::Read)?;
        Ok(Logger {
            control,
            poller,
            console,
            console_watched: false,
            tails,
            pipes: Vec::new(),
            holes: Vec::new(),
            answers: VecDeque::new(),
            buffer: vec![0; CHUNK],
        })
    }

    /// Runs until PID 1 says that it is enough, or is gone.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(&mut ready, None)?;
            let mut wish = Wish::GoOn;
            for readiness in &ready {
                match readiness.token.class() {
                    PIPES => self.read_pipe(readiness.token.index() as usize),
                    _ if readiness.token == CONTROL => wish = self.obey(readiness),
                    _ => {}
                }
            }
            self.write_console();
            if wish == Wish::Finish {
                self.finish();
                return Ok(());
            }
        }
    }

    /// Takes what PID 1 says, message by message.
    fn obey(&mut self, readiness: &Readiness) -> Wish {
        self.send_answers();
        if !readiness.readable {
            return Wish::GoOn;
        }
        let mut message = vec![0; MAX_MESSAGE];
        loop {
            match handover::receive_with_fds(self.control, &mut message) {
                Ok((0, fds)) if fds.is_empty() => return Wish::Finish,
                Ok((len, fds)) => {
                    let order = Order::decode(message.get(..len).unwrap_or_default());
                    if let Some(Order::Finish) = order {
                        return Wish::Finish;
                    }
                    self.carry_out(order, fds);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Wish::GoOn,
                Err(_) => return Wish::Finish,
            }
        }
    }

    fn carry_out(&mut self, order: Option<Order<'_>>, fds: Vec<OwnedFd>) {
        match order {
            Some(Order::Begin { width }) => self.console.set_width(width),
            Some(Order::Attach(entries)) => {
                entries.iter().zip(fds).for_each(|(entry, fd)| self.attach(entry, fd));
            }
            Some(Order::Unwatch(slot)) => self.unwatch(slot),
            Some(Order::Ended(mut slots)) => {
                slots.sort_unstable();
                self.drain_ready();
                self.each_of(&slots, Logger::end_line);
            }
            Some(Order::Flush(slot)) => {
                self.each_of(&[slot], Logger::drain);
                self.answer(Answer::Flushed(slot));
            }
            Some(Order::Say(text)) => {
                for line in text.lines() {
                    let ending = super::lines::Ending::Whole;
                    self.console.line(Style::Prefixed, OWN_NAME, line.as_bytes(), ending);
                }
            }
            // What cannot be read comes from no sexton; Finish was seen to already.
            Some(Order::Finish) | None => {}
        }
    }

    /// Takes a pipe over. An earlier pipe of the unit is read on until nobody writes to it any more; that a line of
    /// it says nothing about this run shows in its serial.
    fn attach(&mut self, entry: &Attachment<'_>, fd: OwnedFd) {
        let pipe = Pipe {
            file: File::from(fd),
            slot: entry.slot,
            serial: entry.serial,
            style: entry.style,
            name: entry.name.to_owned(),
            pattern: if entry.pattern.is_empty() { None } else { Regex::new(entry.pattern).ok() },
            lines: Lines::default(),
        };
        // The read end's description is shared with PID 1 alone, which never reads.
        if fcntl(&pipe.file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_err() {
            return;
        }
        let place = self.holes.last().copied().unwrap_or(self.pipes.len());
        let token = Token::new(PIPES, u32::try_from(place).unwrap_or(u32::MAX));
        if self.poller.add(pipe.file.as_fd(), token, Interest::Read).is_err() {
            return;
        }
        match self.pipes.get_mut(place) {
            Some(hole) => {
                *hole = Some(pipe);
                self.holes.pop();
            }
            None => self.pipes.push(Some(pipe)),
        }
    }

    fn unwatch(&mut self, slot: Slot) {
        for pipe in self.pipes.iter_mut().flatten().filter(|pipe| pipe.slot == slot) {
            pipe.pattern = None;
        }
    }

    fn read_pipe(&mut self, place: usize) {
        if self.read_once(place) == Progress::Ended {
            self.end_line(place);
            if let Some(pipe) = self.pipes.get_mut(place).and_then(Option::take) {
                self.holes.push(place);
                let _ = self.poller.remove(pipe.file.as_fd()); // It is closed next, which removes it too.
            }
        }
    }

    /// Does something with each pipe of these units, which are in order.
    fn each_of(&mut self, slots: &[Slot], act: fn(&mut Self, usize)) {
        for place in 0..self.pipes.len() {
            let slot = self.pipes.get(place).and_then(Option::as_ref).map(|pipe| pipe.slot);
            if slot.is_some_and(|slot| slots.binary_search(&slot).is_ok()) {
                act(self, place);
            }
        }
    }

    /// Reads what is in all pipes by now. Only those that have something are touched: when a thousand services
    /// end at once, most have nothing left to say.
    fn drain_ready(&mut self) {
        let mut ready = Vec::new();
        // The kernel tells of those that are ready in turn: after so many waits it has told of each.
        for _ in 0..=self.pipes.len() / PIPES_PER_WAIT {
            if self.poller.wait(&mut ready, Some(Duration::ZERO)).is_err() {
                return;
            }
            let places = ready.iter().filter(|ready| ready.token.class() == PIPES);
            let mut n_drained = 0;
            for readiness in places {
                self.drain_unended(readiness.token.index() as usize);
                n_drained += 1;
            }
            if n_drained == 0 {
                return;
            }
        }
    }

    /// Reads what is in a pipe; a line without its end counts as one.
    fn drain(&mut self, place: usize) {
        self.drain_unended(place);
        self.end_line(place);
    }

    fn drain_unended(&mut self, place: usize) {
        let mut total = 0;
        while let Progress::Read(count) = self.read_once(place) {
            total += count;
            if total >= MAX_DRAIN {
                break;
            }
            self.write_console();
        }
    }

    fn read_once(&mut self, place: usize) -> Progress {
        let Some(pipe) = self.pipes.get_mut(place).and_then(Option::as_mut) else { return Progress::Empty };
        let count = match pipe.file.read(&mut self.buffer) {
            Ok(0) => return Progress::Ended,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Empty,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Progress::Read(0),
            Err(_) => return Progress::Ended,
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        if let Some(tails) = &self.tails {
            let _ = tails.append(pipe.slot, bytes); // A tail that cannot be written is an empty one.
        }
        let Pipe { lines, pattern, name, style, .. } = pipe;
        let mut matched = false;
        lines.feed(bytes, &mut |line, ending| {
            matched |= pattern.as_ref().is_some_and(|p| p.is_match(&String::from_utf8_lossy(line)));
            self.console.line(*style, name, line, ending);
        });
        if matched {
            pipe.pattern = None;
            let answer = Answer::Matched { slot: pipe.slot, serial: pipe.serial };
            self.answer(answer);
        }
        Progress::Read(count)
    }

    fn end_line(&mut self, place: usize) {
        let Some(pipe) = self.pipes.get_mut(place).and_then(Option::as_mut) else { return };
        let Pipe { lines, pattern, name, style, .. } = pipe;
        let mut matched = false;
        let mut unfinished = false;
        lines.end(&mut |line, ending| {
            unfinished = true;
            matched |= pattern.as_ref().is_some_and(|p| p.is_match(&String::from_utf8_lossy(line)));
            self.console.line(*style, name, line, ending);
        });
        if unfinished && let Some(tails) = &self.tails {
            let _ = tails.append(pipe.slot, b"\n"); // As above.
        }
        if matched {
            pipe.pattern = None;
            let answer = Answer::Matched { slot: pipe.slot, serial: pipe.serial };
            self.answer(answer);
        }
    }

    fn answer(&mut self, answer: Answer) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(answer);
        }
        self.send_answers();
    }

    fn send_answers(&mut self) {
        let mut interest = Interest::Read;
        while let Some(answer) = self.answers.front() {
            match handover::send_with_fds(self.control, &answer.encode(), &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    interest = Interest::ReadWrite;
                    break;
                }
                // Sent; or nobody is there to hear it, which the next read shows.
                Ok(()) | Err(_) => drop(self.answers.pop_front()),
            }
        }
        let _ = self.poller.modify(self.control, CONTROL, interest); // It was added in `new`.
    }

    /// Writes what the console takes, and waits on it for as long as it is full, not longer: one that hung up
    /// would be reported for ever.
    fn write_console(&mut self) {
        self.console.write_out(clock::now());
        let blocked = self.console.flow() == Flow::Blocked;
        if blocked == self.console_watched {
            return;
        }
        let Some(fd) = self.console.sink().fd() else { return };
        self.console_watched = match blocked {
            true => self.poller.add(fd, CONSOLE, Interest::Write).is_ok(),
            false => self.poller.remove(fd).is_err(),
        };
    }

    /// The end: everything that was written by now is read, and the console gets a moment to take it.
    fn finish(&mut self) {
        self.drain_ready();
        (0..self.pipes.len()).for_each(|place| self.end_line(place));
        let deadline = clock::now() + LAST_WORDS;
        let mut ready = Vec::new();
        let _ = self.poller.remove(self.control); // Nothing is heard any more.
        loop {
            self.write_console();
            let now = clock::now();
            if self.console.is_drained() || self.console.flow() != Flow::Blocked || now >= deadline {
                return;
            }
            // What is still written, and who hung up, would end the wait at once.
            self.pipes.clear();
            if self.poller.wait(&mut ready, Some(deadline.since(now))).is_err() {
                return;
            }
        }
    }
}

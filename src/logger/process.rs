//! The loop of the logger process: reads every pipe, writes files, the console and the tails, obeys PID 1.
//!
//! ```text
//!   control ──▶ Begin, Attach, Runs, Unwatch, Ended, Flush, Say, Retire, Finish      (`orders.rs`)
//!   pipe    ──▶ source ──┬─▶ tail                                  to a filter first: `filtered.rs`
//!                        └─▶ lines ──┬─▶ pattern ──▶ Matched
//!                                    └─▶ outlet ──▶ console │ files
//!   console ──▶ room again
//!   HUP     ──▶ as Retire
//! ```
//!
//! It never waits for the console and never stops to read. When PID 1 is gone, or says so, it reads what is
//! left, writes what the console takes within a bound, and ends.

mod filtered;
mod orders;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::Slot;
use super::console::{Console, Flow, MAX_SHARE};
use super::feed::Feed;
use super::file::Shelf;
use super::lines::Lines;
use super::memory::{Left, Memory};
use super::outlet::{Chunk, Desk, Outlet};
use super::protocol::{Answer, Stream};
use super::route::Goal;
use super::source::{Progress, Source};
use super::stamp::Stamps;
use super::{OWN_NAME, OWN_SLOT};
use crate::model::Moment;
use crate::model::log::LogFormat;
use crate::sys::clock;
use crate::sys::handover;
use crate::sys::poll::{EVENTS_PER_WAIT, Interest, Poller, Token};
use crate::sys::signals::SignalFd;

const CONTROL: Token = Token::new(0, 0);
const CONSOLE: Token = Token::new(1, 0);
const SIGNALS: Token = Token::new(3, 0);
const PIPES: u8 = 2;
const FEEDS: u8 = 4;
/// How many pipes a wait tells of at least when as many are ready: the rest are the other three.
const PIPES_PER_WAIT: usize = EVENTS_PER_WAIT - 3;

/// Read at once from one pipe: as much as a pipe holds, so that each gets its turn.
const CHUNK: usize = 64 * 1024;
/// Read at most when a pipe is to be emptied: a service that writes as fast as it is read must not hold up
/// an answer for ever. Sixteen times what a pipe holds.
const MAX_DRAIN: usize = 1 << 20;
/// How long a console that blocks is waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Answers that wait for PID 1 to read them. It always reads; the bound is for the day it does not.
const MAX_ANSWERS: usize = 8192;
/// Lines in form that are kept room for, between two chunks.
const MAX_OUT: usize = 256 * 1024;

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    GoOn,
    Retire,
    Finish,
}

/// The logger. Its end of the line to PID 1 is its starter's, who lets go of it when [`Logger::run`] is over.
pub(super) struct Logger<'a> {
    control: BorrowedFd<'a>,
    signals: Option<SignalFd>,
    poller: Poller,
    desk: Desk,
    console_watched: bool,
    memory: Option<Memory>,
    /// What a logger before this one left, until its pipes come.
    estate: Vec<Left>,
    sources: Vec<Option<Source>>,
    /// Places in `sources` that are free again.
    holes: Vec<usize>,
    /// How many of them lead to a filter.
    n_feeds: usize,
    /// The way to a filter, until the pipe comes that leads to it.
    coming_feed: Option<Feed>,
    outlets: Vec<Outlet>,
    /// The files of sexton's own messages.
    own: Option<Outlet>,
    own_format: LogFormat,
    shelf: Shelf,
    stamps: Stamps,
    answers: VecDeque<Answer>,
    buffer: Vec<u8>,
}

impl<'a> Logger<'a> {
    pub(super) fn new(
        control: BorrowedFd<'a>,
        signals: Option<SignalFd>,
        memory: Option<Memory>,
        console: Console,
    ) -> io::Result<Logger<'a>> {
        let poller = Poller::new()?;
        poller.add(control, CONTROL, Interest::Read)?;
        if let Some(signals) = &signals {
            poller.add(signals.as_fd(), SIGNALS, Interest::Read)?;
        }
        Ok(Logger {
            control,
            signals,
            poller,
            desk: Desk { console, out: Vec::new() },
            console_watched: false,
            estate: memory.as_ref().map(Memory::inherit).unwrap_or_default(),
            memory,
            sources: Vec::new(),
            holes: Vec::new(),
            n_feeds: 0,
            coming_feed: None,
            outlets: Vec::new(),
            own: None,
            own_format: LogFormat::Prefix,
            shelf: Shelf::default(),
            stamps: Stamps::default(),
            answers: VecDeque::new(),
            buffer: vec![0; CHUNK],
        })
    }

    /// Runs until PID 1 says that it is enough, or is gone.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            let next = [self.say_at(), self.stuck_at()].into_iter().flatten().min();
            let timeout = next.map(|at| at.since(clock::now()));
            self.poller.wait(&mut ready, timeout)?;
            let mut wish = Wish::GoOn;
            for readiness in &ready {
                match readiness.token {
                    token if token.class() == PIPES => self.read_pipe(token.index() as usize),
                    token if token.class() == FEEDS => self.feed_has_room(token.index() as usize),
                    CONTROL if wish == Wish::GoOn => wish = self.obey(readiness),
                    SIGNALS if wish == Wish::GoOn => wish = self.hear(),
                    _ => {}
                }
            }
            self.pass_stuck();
            self.confess(false);
            self.write_console();
            match wish {
                Wish::GoOn => continue,
                Wish::Retire => self.retire(),
                Wish::Finish => self.finish(),
            }
            return Ok(());
        }
    }

    /// HUP: a newer executable may be there. All others are blocked.
    fn hear(&mut self) -> Wish {
        match self.signals.as_ref().map(SignalFd::next) {
            Some(Ok(Some(_))) => Wish::Retire,
            _ => Wish::GoOn,
        }
    }

    fn read_pipe(&mut self, place: usize) {
        if self.read_once(place) == Progress::Ended {
            self.end_line(place);
            match self.sources.get_mut(place) {
                Some(Some(source)) if source.feed.is_some() => {
                    source.has_ended = true;
                    self.tend_feed(place);
                }
                _ => self.let_go(place),
            }
        }
    }

    /// Nothing more comes by a pipe.
    fn let_go(&mut self, place: usize) {
        let Some(source) = self.sources.get_mut(place).and_then(Option::take) else { return };
        self.holes.push(place);
        let _ = self.poller.remove(source.fd()); // It is closed next, which removes it too.
        if let Some(feed) = &source.feed {
            self.n_feeds = self.n_feeds.saturating_sub(1);
            let _ = self.poller.remove(feed.fd()); // As above.
        }
        if let Some(outlet) = self.outlets.get_mut(source.outlet) {
            outlet.users = outlet.users.saturating_sub(1);
        }
        self.answer(Answer::ReadOut { serial: source.serial, stream: source.spot.stream });
    }

    /// Does something with each pipe of these units, which are in order.
    fn each_of(&mut self, slots: &[Slot], act: fn(&mut Self, usize)) {
        for place in 0..self.sources.len() {
            let slot = self.sources.get(place).and_then(Option::as_ref).map(|source| source.slot());
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
        for _ in 0..=self.sources.len() / PIPES_PER_WAIT {
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

    /// The same, but that a filter goes on within its line.
    fn drain_unit(&mut self, place: usize) {
        self.drain_unended(place);
        self.end_line_of_unit(place);
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
        let Some(source) = self.sources.get_mut(place).and_then(Option::as_mut) else {
            return Progress::Empty;
        };
        if source.feed.as_ref().is_some_and(|feed| !feed.waiting().is_empty()) {
            return Progress::Empty; // Nobody reads more than the filter takes.
        }
        let goal = self.outlets.get(source.outlet).map(|outlet| outlet.route.goal);
        // What waits for the console and what is read count together as what a kill may cost.
        let room = if goal == Some(Goal::Console) { CHUNK - MAX_SHARE } else { CHUNK };
        let buffer = self.buffer.get_mut(..room).unwrap_or_default();
        let progress = source.read(buffer, self.memory.as_ref());
        let Progress::Read(count) = progress else { return progress };
        let bytes = source.sound(self.buffer.get(..count).unwrap_or_default());
        if let Some(memory) = self.memory.as_ref().filter(|_| !source.is_filtered) {
            memory.append(source.slot(), bytes);
        }
        let Some(outlet) = self.outlets.get_mut(source.outlet) else { return progress };
        let now = clock::now();
        let time = self.stamps.at(clock::wall_usec());
        let chunk = Chunk { bytes, stream: source.spot.stream, pid: source.pid, time, now };
        let matched = match &mut source.feed {
            Some(feed) if feed.is_through() => {
                let (head, whole) = source.lines.split(chunk.bytes);
                feed.give(&head, whole, now);
                false
            }
            _ => outlet.take(chunk, &mut source.lines, &mut self.desk, source.pattern.as_ref()),
        };
        let beheaded = std::mem::take(&mut source.beheaded);
        if beheaded > 0 {
            outlet.drop_lines(beheaded, now, || "the logger was killed".to_owned());
        }
        source.settle(self.memory.as_ref());
        self.desk.out.shrink_to(MAX_OUT);
        let is_over = source.is_at_its_end();
        self.tend_feed(place);
        self.tell_match(place, matched);
        if is_over {
            self.end_line(place);
        }
        progress
    }

    fn end_line(&mut self, place: usize) {
        let Some(source) = self.sources.get_mut(place).and_then(Option::as_mut) else { return };
        if source.lines.is_between() {
            return;
        }
        if let Some(memory) = self.memory.as_ref().filter(|_| !source.is_filtered) {
            memory.append(source.slot(), b"\n");
        }
        if source.feed.as_ref().is_some_and(Feed::is_through) {
            return self.end_line_to_filter(place);
        }
        let Some(outlet) = self.outlets.get_mut(source.outlet) else { return };
        let (time, now) = (self.stamps.at(clock::wall_usec()), clock::now());
        let chunk = Chunk { bytes: b"", stream: source.spot.stream, pid: source.pid, time, now };
        let matched = outlet.end(chunk, &mut source.lines, &mut self.desk, source.pattern.as_ref());
        source.settle(self.memory.as_ref());
        self.tend_feed(place);
        self.tell_match(place, matched);
    }

    fn tell_match(&mut self, place: usize, matched: bool) {
        if let (true, Some(Some(source))) = (matched, self.sources.get_mut(place)) {
            source.pattern = None;
            let answer = Answer::Matched { slot: source.slot(), serial: source.serial };
            self.answer(answer);
        }
    }

    /// Says something in sexton's own name: on the console always, and in a file where that is usual.
    fn say(&mut self, text: &str) {
        let time = self.stamps.at(clock::wall_usec());
        self.desk.console.line(OWN_SLOT, self.own_format, &super::own_record(time, text));
        if let Some(own) = &mut self.own {
            let line = [text.as_bytes(), b"\n"].concat();
            let chunk = Chunk { bytes: &line, stream: Stream::Error, pid: None, time, now: clock::now() };
            let mut lines = Lines::new(own.route.max_line);
            own.take(chunk, &mut lines, &mut self.desk, None);
        }
    }

    /// When it is to be said that lines were dropped.
    fn say_at(&self) -> Option<Moment> {
        self.outlets.iter().chain(&self.own).filter_map(Outlet::say_at).min()
    }

    /// Says what was dropped, as far as it is time for that, or all of it.
    fn confess(&mut self, all: bool) {
        let now = clock::now();
        let due = |outlet: &mut Outlet| match outlet.say_at() {
            Some(at) if all || at <= now => outlet.confess(now),
            _ => None,
        };
        let said: Vec<String> = self.outlets.iter_mut().chain(&mut self.own).filter_map(due).collect();
        said.iter().for_each(|text| self.say(text));
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
        self.desk.console.write_out(clock::now());
        let blocked = self.desk.console.flow() == Flow::Blocked;
        if blocked == self.console_watched {
            return;
        }
        let Some(fd) = self.desk.console.sink().fd() else { return };
        self.console_watched = match blocked {
            true => self.poller.add(fd, CONSOLE, Interest::Write).is_ok(),
            false => self.poller.remove(fd).is_err(),
        };
    }

    /// Another logger comes after this one: it gets the lines that have only begun. What is still in the pipes is there
    /// for it too.
    fn retire(&mut self) {
        let estate: Vec<Left> = self.sources.iter().flatten().filter_map(Source::left).collect();
        if !self.memory.as_ref().is_some_and(|memory| memory.leave(&estate)) {
            (0..self.sources.len()).for_each(|place| self.end_line(place));
        }
        self.write_last_words();
    }

    /// The end: everything that was written by now is read, and the console gets a moment to take it.
    fn finish(&mut self) {
        self.drain_ready();
        (0..self.sources.len()).for_each(|place| self.end_line(place));
        self.write_last_words();
    }

    fn write_last_words(&mut self) {
        self.confess(true);
        let deadline = clock::now() + LAST_WORDS;
        let mut ready = Vec::new();
        let _ = self.poller.remove(self.control); // Nothing is heard any more.
        loop {
            self.write_console();
            let now = clock::now();
            let console = &self.desk.console;
            if console.is_drained() || console.flow() != Flow::Blocked || now >= deadline {
                return;
            }
            // What is still written, and who hung up, would end the wait at once.
            self.sources.clear();
            if self.poller.wait(&mut ready, Some(deadline.since(now))).is_err() {
                return;
            }
        }
    }
}

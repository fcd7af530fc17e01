//! Inside PID 1: the pipes of all units, and the line to the logger that reads them.
//!
//! ```text
//!   outputs_for(unit) ──▶ a pipe, made once and kept over restarts ──▶ waits to be handed over ──▶ flush()
//!   needs_logger() ──▶ parts() ──▶ (the loop starts the process) ──▶ attached() │ not_attached()
//!   its death ──▶ logger_died() ──▶ needs_logger() again, after a delay; the next one gets every pipe
//! ```
//!
//! Nothing here waits, and nothing grows with what services write. Where a unit's target is `null` or
//! `inherit` there is no pipe, unless its readiness is a line of its output: then there is one all the
//! same, whose lines the logger looks at and shows nowhere (`null`) or as they came (`inherit`). Such a unit
//! gets a new pipe with each start, so that a line of the run before is never taken for one of this.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::console::{Sink, Stream, surface_of};
use super::lines::Ending;
use super::link::Link;
use super::protocol::{Answer, Attachment, Batch, MAX_ENDED, Order, Style};
use super::tails::Tails;
use super::{OWN_NAME, Slot, render};
use crate::model::unit::{LogTarget, Readiness as Ready};
use crate::model::{Moment, Pid, UnitName};
use crate::sys::poll::{Poller, Readiness};

/// How long a failure waits for its unit's last output to be read. The logger answers in well under a
/// millisecond; who asked waits no longer than a person notices.
pub const FLUSH_LIMIT: Duration = Duration::from_millis(250);
/// How long the logger is waited for after [`LogPipes::finish`]: its own second for a console that blocks, and
/// another for what is left in the pipes.
pub const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// Orders that wait for the logger to read. Those that find no room are not needed: a flush has its deadline.
const MAX_ORDERS: usize = 1024;

/// The longest message of sexton itself; it is cut there.
const MAX_MESSAGE: usize = 4096;
/// Messages of sexton itself that are kept until the end of a turn: half of what fits into one order.
const MAX_SAID: usize = 16 * 1024;
/// Answers read in one turn of the loop; the rest comes with the next.
const MAX_ANSWERS: usize = 256;

/// What became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A line of the unit's output matched what its readiness waits for.
    Matched(Slot),
    /// What the unit had written has been read, or the limit has passed: [`LogPipes::tail`] is as good as it gets.
    Flushed(Slot),
}

/// Where a process's output goes.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// Its descriptor 1.
    pub stdout: BorrowedFd<'a>,
    /// Its descriptor 2.
    pub stderr: BorrowedFd<'a>,
}

/// What a new logger is started with.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Its descriptor 3.
    pub control: BorrowedFd<'a>,
    /// Its descriptor 4; none where no memory could be made: there are no tails then.
    pub tails: Option<BorrowedFd<'a>>,
}

/// Both ends of a unit's pipe.
#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    style: Style,
    handover: Handover,
}

/// Has the logger the read end?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handover {
    Waiting,
    Done,
}

/// A line that is waited for.
#[derive(Debug)]
struct Watch {
    serial: u32,
    pattern: Rc<str>,
}

/// The pipes of all units.
#[derive(Debug)]
pub struct LogPipes {
    names: Vec<UnitName>,
    /// What [`LogTarget::Default`] stands for.
    usual: LogTarget,
    width: u8,
    pipes: Vec<Option<Pipe>>,
    waiting: Vec<Slot>,
    watches: BTreeMap<Slot, Watch>,
    next_serial: u32,
    flushes: BTreeMap<Slot, Moment>,
    ended: Vec<Slot>,
    orders: VecDeque<Vec<u8>>,
    /// Lines of sexton itself, for the next flush.
    said: String,
    link: Link,
    tails: Option<Tails>,
    null: Option<File>,
    own: (io::Stdout, io::Stderr),
    fallback: Option<Sink>,
    end: End,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    Wished,
    Told,
}

impl LogPipes {
    /// No pipes yet. `names` are those of the units, in the engine's order; `usual` is where the output of those goes
    /// that do not say so; `class` is the class of the one descriptor that is waited on here.
    pub fn new(names: Vec<UnitName>, usual: LogTarget, class: u8) -> LogPipes {
        let longest = names.iter().map(|name| name.as_str().len()).max().unwrap_or(0);
        let width = longest.max(OWN_NAME.len()).min(render::MAX_WIDTH);
        LogPipes {
            usual,
            width: u8::try_from(width).unwrap_or(u8::MAX),
            pipes: names.iter().map(|_| None).collect(),
            waiting: Vec::new(),
            watches: BTreeMap::new(),
            next_serial: 0,
            flushes: BTreeMap::new(),
            ended: Vec::new(),
            orders: VecDeque::new(),
            said: String::new(),
            link: Link::new(class),
            tails: Tails::create(names.len()).ok(),
            null: File::options().read(true).write(true).open("/dev/null").ok(),
            own: (io::stdout(), io::stderr()),
            fallback: None,
            end: End::NotYet,
            names,
        }
    }

    /// Where the output goes from now on of units that start and do not say so themselves.
    pub fn set_usual(&mut self, usual: LogTarget) {
        self.usual = usual;
    }

    /// Makes sure that a slot is this unit's: a sync gives the slots of those that went to those that came.
    pub fn know(&mut self, slot: Slot, name: &UnitName) {
        let index = slot.0 as usize;
        if self.names.get(index) == Some(name) {
            return;
        }
        while self.names.len() <= index {
            self.names.push(name.clone());
            self.pipes.push(None);
            // Without room its last lines are not kept; the pipe works all the same.
            let _ = self.tails.as_ref().map(|tails| tails.make_room(self.names.len()));
        }
        self.forget(slot);
        if let Some(place) = self.names.get_mut(index) {
            place.clone_from(name);
        }
    }

    /// The unit is no more: its pipe is closed, and the logger's end with it once that is read out.
    pub fn forget(&mut self, slot: Slot) {
        self.unwatch(slot);
        self.waiting.retain(|waiting| *waiting != slot);
        self.ended.retain(|ended| *ended != slot);
        if let Some(place) = self.pipes.get_mut(slot.0 as usize) {
            *place = None;
        }
        let _ = self.tails.as_ref().map(|tails| tails.clear(slot)); // What cannot be cleared was a line of another.
    }

    /// Where the output of a unit's process goes. For its main process `ready` is its `[ready]`, and a line that
    /// it waits for is waited for from here on; for hooks and probes it is `None`. Call [`LogPipes::flush`] after
    /// a round of starts. The error is that of `pipe(2)`: `EMFILE`, `ENFILE`.
    pub fn outputs_for(
        &mut self,
        slot: Slot,
        target: LogTarget,
        ready: Option<&Ready>,
    ) -> io::Result<Outputs<'_>> {
        let pattern = match ready {
            Some(Ready::Log(pattern)) => Some(Rc::from(pattern.as_str())),
            Some(_) | None => None,
        };
        let target = if target == LogTarget::Default { self.usual } else { target };
        let style = match target {
            LogTarget::Default | LogTarget::Console => Some(Style::Prefixed),
            LogTarget::Inherit => pattern.as_ref().map(|_| Style::Plain),
            LogTarget::Null if pattern.is_some() || self.null.is_none() => Some(Style::Silent),
            LogTarget::Null => None,
        };
        if let Some(style) = style {
            return self.piped(slot, style, pattern);
        }
        match (target, &self.null) {
            (LogTarget::Null, Some(null)) => Ok(Outputs { stdout: null.as_fd(), stderr: null.as_fd() }),
            _ => Ok(Outputs { stdout: self.own.0.as_fd(), stderr: self.own.1.as_fd() }),
        }
    }

    fn piped(&mut self, slot: Slot, style: Style, pattern: Option<Rc<str>>) -> io::Result<Outputs<'_>> {
        let missing = || io::Error::from_raw_os_error(libc::EBADF);
        let index = slot.0 as usize;
        let handed_over = match self.pipes.get(index).ok_or_else(missing)? {
            Some(pipe) => pipe.handover == Handover::Done,
            None => false,
        };
        let is_new = self.pipes.get(index).is_some_and(Option::is_none);
        // A pipe that nobody reads yet is kept: replacing it would lose what is in it.
        if is_new || (pattern.is_some() && handed_over) {
            let (read, write) = io::pipe()?;
            let pipe = Pipe { read: read.into(), write: write.into(), style, handover: Handover::Waiting };
            if let Some(place) = self.pipes.get_mut(index) {
                *place = Some(pipe);
            }
            self.waiting.push(slot);
        }
        if let Some(pattern) = pattern {
            self.next_serial = self.next_serial.wrapping_add(1);
            self.watches.insert(slot, Watch { serial: self.next_serial, pattern });
        }
        let pipe = self.pipes.get(index).and_then(Option::as_ref).ok_or_else(missing)?;
        Ok(Outputs { stdout: pipe.write.as_fd(), stderr: pipe.write.as_fd() })
    }

    /// No line of this unit is waited for any more.
    pub fn unwatch(&mut self, slot: Slot) {
        if self.watches.remove(&slot).is_some() {
            self.order(&Order::Unwatch(slot));
        }
    }

    /// A unit's main process ended: a last line without its newline is a line. Sent with the next flush.
    pub fn ended(&mut self, slot: Slot) {
        if self.pipe(slot).is_some() && self.ended.len() < self.pipes.len() {
            self.ended.push(slot);
        }
    }

    /// Asks that what the unit has written be read now: with the next [`LogPipes::flush`]. [`LogEvent::Flushed`]
    /// follows, always.
    pub fn request_flush(&mut self, slot: Slot, now: Moment) {
        if self.pipe(slot).is_none() {
            // Nothing to wait for: the next tick says so.
            self.flushes.entry(slot).or_insert(now);
            return;
        }
        self.flushes.entry(slot).or_insert(now + FLUSH_LIMIT);
        self.order(&Order::Flush(slot));
    }

    /// The last lines of a unit's output, oldest first, at most ten.
    pub fn tail(&self, slot: Slot) -> Vec<String> {
        self.tails.as_ref().map(|tails| tails.lines(slot)).unwrap_or_default()
    }

    /// Says something in sexton's own name, with the next [`LogPipes::flush`]: a thousand units that become ready in
    /// one turn are a few messages and not a thousand.
    pub fn message(&mut self, text: &str, now: Moment) {
        let text = text.get(..text.floor_char_boundary(MAX_MESSAGE)).unwrap_or_default();
        if self.said.len() + text.len() >= MAX_SAID {
            self.speak(now);
        }
        self.said.push_str(text);
        self.said.push('\n');
    }

    /// Says it through the logger, or on standard error where there is none. What neither takes at once is lost:
    /// PID 1 waits for nobody.
    fn speak(&mut self, now: Moment) {
        if self.said.is_empty() {
            return;
        }
        let mut said = std::mem::take(&mut self.said);
        self.speak_this(&said, now);
        // Its room is kept: what was had once is not asked for again when memory is short.
        said.clear();
        self.said = said;
    }

    fn speak_this(&mut self, said: &str, now: Moment) {
        let listens = self.end == End::NotYet && self.orders.is_empty();
        if listens && self.link.send(&Order::Say(said).encode(), &[], now) {
            return;
        }
        let sink = self.fallback.get_or_insert_with(|| Sink::open(Stream::Error));
        let (surface, name) = (surface_of(sink), (OWN_NAME, 0));
        let mut lines = Vec::new();
        for line in said.lines() {
            render::line(&mut lines, surface, Style::Prefixed, name, line.as_bytes(), Ending::Whole);
        }
        let _ = sink.write(&lines); // There is nowhere left to say that it failed.
    }

    /// Hands over what waits and sends what is due: once in a turn of the loop, after the starts.
    pub fn flush(&mut self, poller: &Poller, now: Moment) {
        self.link.begin_sending(now);
        self.speak(now);
        self.hand_over(now);
        if self.waiting.is_empty() {
            self.send_orders(now);
        }
        self.link.end_sending(poller);
    }

    /// Handles what the control socket is ready for.
    pub fn handle(&mut self, ready: &Readiness, poller: &Poller, now: Moment, out: &mut Vec<LogEvent>) {
        for _ in 0..MAX_ANSWERS {
            let Some(answer) = self.link.receive() else { break };
            match answer {
                Answer::Flushed(slot) => {
                    if self.flushes.remove(&slot).is_some() {
                        out.push(LogEvent::Flushed(slot));
                    }
                }
                Answer::Matched { slot, serial } => {
                    if self.watches.get(&slot).is_some_and(|watch| watch.serial == serial) {
                        self.watches.remove(&slot);
                        out.push(LogEvent::Matched(slot));
                    }
                }
            }
        }
        if ready.hung_up {
            self.link.hung_up(poller);
        }
        self.tick(now, out);
        self.flush(poller, now);
    }

    /// When [`LogPipes::tick`] has something to do, or a logger can be started.
    pub fn next_deadline(&self) -> Option<Moment> {
        let start = self.link.may_start_at().filter(|_| self.end != End::Told && self.has_pipes());
        let flush = self.flushes.values().min().copied();
        let retry = self.link.retry_at();
        [start, flush, retry].into_iter().flatten().min()
    }

    /// Ends the flushes whose limit has passed.
    pub fn tick(&mut self, now: Moment, out: &mut Vec<LogEvent>) {
        while let Some(slot) = self.flushes.iter().find(|(_, at)| **at <= now).map(|(slot, _)| *slot) {
            self.flushes.remove(&slot);
            out.push(LogEvent::Flushed(slot));
        }
    }

    /// Is there no logger where one is needed, and may one be started now?
    pub fn needs_logger(&self, now: Moment) -> bool {
        self.link.may_start_at().is_some_and(|at| at <= now) && self.end != End::Told && self.has_pipes()
    }

    /// Makes what a new logger needs. Start it with these, then say [`LogPipes::attached`]; after an error here or
    /// in the start, [`LogPipes::not_attached`].
    pub fn parts(&mut self) -> io::Result<Parts<'_>> {
        let control = self.link.prepare()?;
        Ok(Parts { control, tails: self.tails.as_ref().map(|tails| tails.file().as_fd()) })
    }

    /// The logger runs: it gets every pipe there is. After an error it gets none, and ends by itself.
    pub fn attached(&mut self, pid: Pid, poller: &Poller, now: Moment) -> io::Result<()> {
        self.link.attached(pid, poller, now)?;
        self.orders.clear();
        let _fits = self.link.send(&Order::Begin { width: self.width }.encode(), &[], now); // It is empty.
        self.waiting.clear();
        for (index, pipe) in self.pipes.iter_mut().enumerate() {
            if let Some(pipe) = pipe {
                pipe.handover = Handover::Waiting;
                self.waiting.push(Slot(u32::try_from(index).unwrap_or(u32::MAX)));
            }
        }
        let flushes: Vec<Slot> = self.flushes.keys().copied().collect();
        flushes.into_iter().for_each(|slot| self.order(&Order::Flush(slot)));
        self.flush(poller, now);
        Ok(())
    }

    /// The logger could not be started; another try is made after a delay.
    pub fn not_attached(&mut self, now: Moment) {
        self.link.not_attached(now);
    }

    /// The logger's pid, for as long as it runs.
    pub fn logger_pid(&self) -> Option<Pid> {
        self.link.pid()
    }

    /// After [`LogPipes::finish`]: has the logger written out what there was, or is there none that could? It
    /// hangs up when it has, and what is left of its end needs nobody.
    pub fn is_finished(&self) -> bool {
        self.link.pid().is_none() || (self.end == End::Told && self.link.is_hung_up())
    }

    /// The logger ended and was reaped. What it had not read is still in the pipes.
    pub fn logger_died(&mut self, poller: &Poller, now: Moment) {
        self.link.died(poller, now);
    }

    /// Everything else is over: the logger reads what is left, writes it out and ends. Then, or after
    /// [`FINISH_LIMIT`], sexton can end too. If the logger was killed meanwhile (by a KILL to everybody), start it
    /// once more before: it finds all in the pipes.
    pub fn finish(&mut self, poller: &Poller, now: Moment) {
        self.link.begin_sending(now);
        self.speak(now);
        self.end = End::Wished;
        self.link.forget_delay();
        self.flush(poller, now);
    }

    fn has_pipes(&self) -> bool {
        self.pipes.iter().any(Option::is_some)
    }

    fn pipe(&self, slot: Slot) -> Option<&Pipe> {
        self.pipes.get(slot.0 as usize).and_then(Option::as_ref)
    }

    fn order(&mut self, order: &Order<'_>) {
        if self.orders.len() < MAX_ORDERS {
            self.orders.push_back(order.encode());
        }
    }

    /// Sends the read ends that wait, as many in a message as it takes.
    fn hand_over(&mut self, now: Moment) {
        while !self.waiting.is_empty() {
            let mut batch = Batch::new();
            let mut fds = Vec::new();
            let mut taken = 0;
            for slot in &self.waiting {
                let (index, name) = (slot.0 as usize, self.names.get(slot.0 as usize));
                let pipe = self.pipes.get(index).and_then(Option::as_ref);
                if let (Some(pipe), Some(name)) = (pipe, name) {
                    let watch = self.watches.get(slot);
                    let entry = Attachment {
                        slot: *slot,
                        serial: watch.map_or(0, |watch| watch.serial),
                        style: pipe.style,
                        name: name.as_str(),
                        pattern: watch.map_or("", |watch| &watch.pattern),
                    };
                    if !batch.add(&entry) {
                        break;
                    }
                    fds.push(pipe.read.as_fd());
                }
                taken += 1;
            }
            if !batch.is_empty() && !self.link.send(batch.bytes(), &fds, now) {
                return;
            }
            for slot in self.waiting.drain(..taken) {
                if let Some(Some(pipe)) = self.pipes.get_mut(slot.0 as usize) {
                    pipe.handover = Handover::Done;
                }
            }
        }
    }

    /// Sends what units left behind when they ended, the orders, and the last one.
    fn send_orders(&mut self, now: Moment) {
        while !self.ended.is_empty() {
            let slots: Vec<Slot> = self.ended.iter().take(MAX_ENDED).copied().collect();
            let count = slots.len();
            if !self.link.send(&Order::Ended(slots).encode(), &[], now) {
                return;
            }
            self.ended.drain(..count);
        }
        while let Some(order) = self.orders.front() {
            if !self.link.send(order, &[], now) {
                return;
            }
            self.orders.pop_front();
        }
        if self.end == End::Wished && self.link.send(&Order::Finish.encode(), &[], now) {
            self.end = End::Told;
        }
    }
}

//! Inside PID 1: the pipes of all units, and the line to the logger that reads them.
//!
//! ```text
//!   outputs_for(unit) ──▶ a pipe, made once and kept over restarts ──▶ waits to be handed over ──▶ flush()
//!   needs_logger() ──▶ parts() ──▶ (the loop starts the process) ──▶ attached() │ not_attached()
//!   its death ──▶ logger_died() ──▶ needs_logger() again, after a delay; the next one gets every pipe
//! ```
//!
//! Nothing here waits, and nothing grows with what services write. How the pipes of a unit are made stands in
//! `client/pipes.rs`, those of its filter in `client/filter.rs`, and what becomes of old ones in `client/earlier.rs`.

mod earlier;
mod filter;
mod pipes;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::console::{Sink, surface_of};
use super::link::Link;
use super::protocol::{Answer, Beginning, MAX_ENDED, Order, Stream};
use super::route::{Purpose, Route};
use super::tails::Tails;
use super::{OWN_NAME, Slot, render};
use crate::model::log::{Log, LogFormat};
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
    /// The unit's filter takes nothing, and lines go past it.
    Stuck(Slot),
    /// It takes lines again.
    Flows(Slot),
}

/// What is the same for the output of all units.
#[derive(Clone, Debug, Default)]
pub struct Usual {
    /// What holds where a unit does not say otherwise.
    pub log: Log,
    /// Where log files are.
    pub directory: PathBuf,
    /// The group of log files.
    pub group: Option<u32>,
    /// How often it has changed: pipes that are older are replaced.
    generation: u32,
}

impl Usual {
    /// What holds from the start on.
    pub fn new(log: Log, directory: PathBuf, group: Option<u32>) -> Usual {
        Usual { log, directory, group, generation: 0 }
    }
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
    usual: Usual,
    width: u8,
    pipes: Vec<Option<pipes::Pipe>>,
    /// Those that units had before, oldest first.
    earlier: Vec<earlier::Earlier>,
    waiting: Vec<Slot>,
    watches: BTreeMap<Slot, Watch>,
    next_serial: u32,
    /// How many units have a filter.
    n_filters: usize,
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
    kernel: Option<Sink>,
    /// The logger was told to make place for another.
    retires: bool,
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
    /// No pipes yet. `names` are those of the units, in the engine's order; `usual` is what holds for those that
    /// do not say so; `class` is the class of the one descriptor that is waited on here.
    pub fn new(names: Vec<UnitName>, usual: Usual, class: u8) -> LogPipes {
        let longest = names.iter().map(|name| name.as_str().len()).max().unwrap_or(0);
        let width = longest.max(OWN_NAME.len()).min(render::MAX_WIDTH);
        LogPipes {
            usual,
            width: u8::try_from(width).unwrap_or(u8::MAX),
            pipes: names.iter().map(|_| None).collect(),
            earlier: Vec::new(),
            waiting: Vec::new(),
            watches: BTreeMap::new(),
            next_serial: 0,
            n_filters: 0,
            flushes: BTreeMap::new(),
            ended: Vec::new(),
            orders: VecDeque::new(),
            said: String::new(),
            link: Link::new(class),
            tails: Tails::create(names.len()).ok(),
            null: File::options().read(true).write(true).open("/dev/null").ok(),
            own: (io::stdout(), io::stderr()),
            fallback: None,
            kernel: None,
            retires: false,
            end: End::NotYet,
            names,
        }
    }

    /// What holds from now on for units that start and do not say so themselves. Where files are another logger is told,
    /// which takes over from this one.
    pub fn set_usual(&mut self, usual: Usual) {
        let generation = self.usual.generation.wrapping_add(u32::from(self.usual.log != usual.log));
        let is_elsewhere = (&self.usual.directory, self.usual.group) != (&usual.directory, usual.group);
        self.usual = Usual { generation, ..usual };
        if is_elsewhere {
            self.retire();
        }
    }

    /// What is said while there is no logger goes to the kernel's log, where there is one: on a machine of its own nobody
    /// may be reading standard error. What was wrong before there could be a logger is said there now.
    #[doc(alias = "kmsg")]
    pub fn use_kernel_log(&mut self, wrong: &[String]) {
        let path = "/dev/kmsg";
        self.kernel = File::options().write(true).open(path).ok().map(|file| Sink::of(file, path));
        if let Some(kernel) = &mut self.kernel {
            wrong.iter().for_each(|line| to_kernel(kernel, line));
        }
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

    /// How much of the unit's output was read by now, for [`LogPipes::since`].
    pub fn mark(&self, slot: Slot) -> u64 {
        self.tails.as_ref().map_or(0, |tails| tails.written(slot))
    }

    /// What the unit has written since then, in lines, oldest first, as far as it is kept: 2 KB.
    pub fn since(&self, slot: Slot, mark: u64) -> Vec<String> {
        self.tails.as_ref().map(|tails| tails.lines_since(slot, mark, usize::MAX)).unwrap_or_default()
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
        if let Some(kernel) = &mut self.kernel {
            said.lines().for_each(|line| to_kernel(kernel, line));
            return;
        }
        let sink = self.fallback.get_or_insert_with(|| Sink::open(Stream::Error));
        let surface = surface_of(sink);
        let mut lines = Vec::new();
        for line in said.lines() {
            render::line(&mut lines, surface, LogFormat::Prefix, 0, &super::own_record("", line));
        }
        let _ = sink.write(&lines); // There is nowhere left to say that it failed.
    }

    /// Hands over what waits and sends what is due: once in a turn of the loop, after the starts.
    pub fn flush(&mut self, poller: &Poller, now: Moment) {
        self.link.begin_sending(now);
        self.speak(now);
        self.hand_over(now);
        if self.waiting.is_empty() {
            self.send_filters(now);
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
                Answer::Stuck(slot) => out.push(LogEvent::Stuck(slot)),
                Answer::Flows(slot) => out.push(LogEvent::Flows(slot)),
                Answer::ReadOut { serial, stream } => self.read_out(serial, stream),
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
        let usual = &self.usual;
        let begin = Order::Begin(Beginning {
            width: self.width,
            own: Route::of(&usual.log, Purpose::Log),
            group: usual.group,
            directory: usual.directory.to_str().unwrap_or_default(),
        });
        let _fits = self.link.send(&begin.encode(), &[], now); // It is empty.
        self.waiting.clear();
        self.earlier.iter_mut().for_each(|one| one.handover = pipes::Handover::Waiting);
        for (index, pipe) in self.pipes.iter_mut().enumerate() {
            if let Some(pipe) = pipe {
                pipe.handover = pipes::Handover::Waiting;
                pipe.through.iter_mut().for_each(|through| through.forget_told());
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
        let pipes = self.pipes.iter_mut().flatten();
        pipes.for_each(|pipe| pipe.handover = pipes::Handover::Waiting);
        if std::mem::take(&mut self.retires) {
            self.link.forget_delay();
        }
    }

    /// The logger is to make place for another, as after an upgrade: it writes out what it has read, leaves the lines that
    /// have only begun to the next one, and ends. Nothing is lost and nothing written twice.
    pub fn retire(&mut self) {
        self.retires = true;
        self.order(&Order::Retire);
    }

    /// A process of this unit runs. Told only where lines name it.
    pub fn runs(&mut self, slot: Slot, pid: Pid) {
        let names_it = self.pipe(slot).is_some_and(|pipe| pipe.format(&self.usual) == LogFormat::Json);
        if !names_it {
            return;
        }
        let Some(Some(pipe)) = self.pipes.get_mut(slot.0 as usize) else { return };
        let has_filter = pipe.through.is_some();
        pipe.writer = match pipe.writer {
            // What the process before it wrote may still be in there.
            pipes::Writer::One(_) | pipes::Writer::Several if !has_filter => pipes::Writer::Several,
            _ => pipes::Writer::One(pid),
        };
        if pipe.handover == pipes::Handover::Done && pipe.writer == pipes::Writer::One(pid) {
            self.order(&Order::Runs(slot, pid));
        }
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
        self.pipes.iter().any(Option::is_some) || !self.earlier.is_empty()
    }

    fn pipe(&self, slot: Slot) -> Option<&pipes::Pipe> {
        self.pipes.get(slot.0 as usize).and_then(Option::as_ref)
    }

    fn order(&mut self, order: &Order<'_>) {
        if self.orders.len() < MAX_ORDERS {
            self.orders.push_back(order.encode());
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

/// A write is a record there; 6 is "informational", 3 << 3 a daemon's. What it does not take is lost.
fn to_kernel(kernel: &mut Sink, line: &str) {
    let _ = kernel.write(format!("<30>{OWN_NAME}: {line}\n").as_bytes()); // as said above
}

//! The pipes of units: made once, kept over restarts, handed to every logger.
//!
//! ```text
//!   console, raw, prefix      one pipe for both streams: their order is what a person reads by
//!   json; files with prefix   a pipe each: a line says which of them it came by
//!   null, inherit             none, unless readiness is a line of output: looked at, shown nowhere or as it came
//!   with a filter             these are the filter's; the unit's own is one for both streams: `filter.rs`
//! ```
//!
//! A unit whose readiness is a line of its output, or whose lines name their process, gets new pipes with each start, so
//! that a line of the run before is never taken for one of this. One whose `[log]` has changed gets them too. What becomes of the old
//! ones stands in `earlier.rs`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::filter::Through;
use super::{LogPipes, Outputs, Usual, Watch};
use crate::logger::Slot;
use crate::logger::protocol::{Attachment, Batch, Lane, Spot, Stream};
use crate::logger::route::{Purpose, Route};
use crate::model::log::{Log, LogFormat, LogTarget};
use crate::model::unit::Readiness as Ready;
use crate::model::{Moment, Pid, UnitName};

/// Both ends of a unit's pipe, and of the one for standard error where it has its own.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    error: Option<Box<(OwnedFd, OwnedFd)>>,
    pub(super) serial: u32,
    pub(super) lane: Lane,
    pub(super) through: Option<Box<Through>>,
    pub(super) log: Rc<Log>,
    purpose: Purpose,
    generation: u32,
    /// Has it been a main process's?
    had_main: bool,
    pub(super) writer: Writer,
    pub(super) handover: Handover,
}

/// The main process that writes to a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// Nobody does yet, or lines do not name it.
    Unnamed,
    One(Pid),
    /// More than one, whose lines nobody can tell apart.
    Several,
}

impl Writer {
    pub(super) fn pid(self) -> Option<Pid> {
        match self {
            Writer::One(pid) => Some(pid),
            Writer::Unnamed | Writer::Several => None,
        }
    }
}

/// Has the logger the read end?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handover {
    Waiting,
    Done,
}

impl Pipe {
    fn new(log: &Rc<Log>, purpose: Purpose, usual: &Usual, (serial, lane): (u32, Lane)) -> io::Result<Pipe> {
        let (read, write) = io::pipe()?;
        let apart = purpose == Purpose::Log && log.settled(&usual.log).keeps_streams_apart();
        let error = apart.then(io::pipe).transpose()?;
        let through = log.through.is_some().then(|| Through::new(serial)).transpose()?;
        Ok(Pipe {
            read: read.into(),
            write: write.into(),
            error: error.map(|(read, write)| Box::new((read.into(), write.into()))),
            serial,
            lane,
            through: through.map(Box::new),
            log: Rc::clone(log),
            purpose,
            generation: usual.generation,
            had_main: false,
            writer: Writer::Unnamed,
            handover: Handover::Waiting,
        })
    }

    fn outputs(&self) -> Outputs<'_> {
        match &self.through {
            Some(through) => {
                let write = through.unfiltered.1.as_fd();
                Outputs { stdout: write, stderr: write }
            }
            None => self.filtered(),
        }
    }

    /// The write ends whose lines are logged.
    pub(super) fn filtered(&self) -> Outputs<'_> {
        let stderr = self.error.as_ref().map_or(&self.write, |ends| &ends.1);
        Outputs { stdout: self.write.as_fd(), stderr: stderr.as_fd() }
    }

    /// It is to be replaced at the next start.
    pub(super) fn outdate(&mut self) {
        self.generation = self.generation.wrapping_sub(1);
    }

    /// What the logger is told of it.
    fn entry<'a>(
        &self,
        slot: Slot,
        name: &'a UnitName,
        watch: Option<&'a Watch>,
        usual: &Usual,
    ) -> Attachment<'a> {
        Attachment {
            spot: Spot { slot, lane: self.lane, stream: Stream::Output },
            serial: self.serial,
            pid: self.writer.pid(),
            route: self.route(usual),
            name: name.as_str(),
            pattern: watch.map_or("", |watch| &watch.pattern),
        }
    }

    /// Adds its read ends to a message; false when there is no room for them.
    fn add_to<'a>(
        &'a self,
        batch: &mut Batch,
        fds: &mut Vec<BorrowedFd<'a>>,
        entry: &Attachment<'_>,
    ) -> bool {
        let of = |stream| Attachment { spot: Spot { stream, ..entry.spot }, ..entry.clone() };
        let mut entries = Vec::with_capacity(4);
        if self.through.is_some() {
            entries.extend([of(Stream::Feed), of(Stream::Unfiltered)]);
        }
        entries.push(entry.clone());
        entries.extend(self.error.as_ref().map(|_| of(Stream::Error)));
        let fits = batch.add(&entries);
        if fits {
            if let Some(through) = &self.through {
                fds.extend([through.feed.1.as_fd(), through.unfiltered.0.as_fd()]);
            }
            fds.push(self.read.as_fd());
            fds.extend(self.error.as_ref().map(|ends| ends.0.as_fd()));
        }
        fits
    }

    /// The way of its lines.
    pub(super) fn route(&self, usual: &Usual) -> Route {
        Route::of(&self.log.settled(&usual.log), self.purpose)
    }

    /// The form of its lines.
    pub(super) fn format(&self, usual: &Usual) -> LogFormat {
        self.route(usual).format
    }

    /// What is left to be read when the unit writes to it no more, in the order of [`Pipe::add_to`].
    pub(super) fn into_read_ends(self) -> Vec<(Stream, OwnedFd)> {
        let mut ends = self.through.map(|through| through.into_ends()).unwrap_or_default();
        ends.push((Stream::Output, self.read));
        ends.extend(self.error.map(|error| (Stream::Error, error.0)));
        ends
    }
}

impl LogPipes {
    /// A unit that came later; its slot is the next one.
    fn add(&mut self, name: UnitName) {
        self.names.push(name);
        self.pipes.push(None);
        // Without room its last lines are not kept; the pipe works all the same.
        let _ = self.tails.as_mut().map(|tails| tails.make_room(self.names.len()));
    }

    /// Makes sure that a slot is this unit's: a sync gives the slots of those that went to those that came.
    pub fn know(&mut self, slot: Slot, name: &UnitName) {
        let index = slot.0 as usize;
        if self.names.get(index) == Some(name) {
            return;
        }
        while self.names.len() <= index {
            self.add(name.clone());
        }
        self.forget(slot);
        if let Some(place) = self.names.get_mut(index) {
            place.clone_from(name);
        }
    }

    /// The unit is no more: its pipe is kept until it is read out.
    pub fn forget(&mut self, slot: Slot) {
        self.unwatch(slot);
        self.waiting.retain(|waiting| *waiting != slot);
        self.ended.retain(|ended| *ended != slot);
        if let Some(Some(pipe)) = self.pipes.get_mut(slot.0 as usize).map(Option::take) {
            self.n_filters = self.n_filters.saturating_sub(usize::from(pipe.through.is_some()));
            self.keep_earlier(slot, pipe);
        }
        let _ = self.tails.as_ref().map(|tails| tails.clear(slot)); // What cannot be cleared was a line of another.
    }

    /// Where the output of a unit's process goes. For its main process `ready` is its `[ready]`, and a line that
    /// it waits for is waited for from here on; for hooks and probes it is `None`. Call [`LogPipes::flush`] after
    /// a round of starts. The error is that of `pipe(2)`: `EMFILE`, `ENFILE`.
    pub fn outputs_for(
        &mut self,
        slot: Slot,
        log: &Rc<Log>,
        ready: Option<&Ready>,
    ) -> io::Result<Outputs<'_>> {
        let pattern = match ready {
            Some(Ready::Log(pattern)) => Some(Rc::from(pattern.as_str())),
            Some(_) | None => None,
        };
        let target = if log.to == LogTarget::Default { self.usual.log.to } else { log.to };
        let purpose = match target {
            LogTarget::Default | LogTarget::Console | LogTarget::File => Some(Purpose::Log),
            LogTarget::Inherit => (pattern.is_some() || log.through.is_some()).then_some(Purpose::Show),
            LogTarget::Null if pattern.is_some() || log.through.is_some() || self.null.is_none() => {
                Some(Purpose::Look)
            }
            LogTarget::Null => None,
        };
        if let Some(purpose) = purpose {
            return self.piped(slot, log, purpose, ready.is_some(), pattern);
        }
        match (target, &self.null) {
            (LogTarget::Null, Some(null)) => Ok(Outputs { stdout: null.as_fd(), stderr: null.as_fd() }),
            _ => Ok(Outputs { stdout: self.own.0.as_fd(), stderr: self.own.1.as_fd() }),
        }
    }

    fn piped(
        &mut self,
        slot: Slot,
        log: &Rc<Log>,
        purpose: Purpose,
        is_main: bool,
        pattern: Option<Rc<str>>,
    ) -> io::Result<Outputs<'_>> {
        let missing = || io::Error::from_raw_os_error(libc::EBADF);
        let index = slot.0 as usize;
        let is_kept = match self.pipes.get(index).ok_or_else(missing)? {
            None => false,
            // One that nobody reads yet is kept: while there is no logger, restarts take no more and more of them.
            Some(pipe) if pipe.handover == Handover::Waiting => {
                !pipe.is_closed() && (pattern.is_none() || !pipe.had_main)
            }
            Some(pipe) if pipe.generation != self.usual.generation || pipe.is_closed() => false,
            Some(pipe) if is_main && pipe.writer != Writer::Unnamed && pipe.through.is_none() => false,
            Some(pipe) => pattern.is_none() && (Rc::ptr_eq(&pipe.log, log) || pipe.log == *log),
        };
        if !is_kept {
            self.next_serial = self.next_serial.wrapping_add(1);
            let lane = self.free_lane(slot);
            let pipe = Pipe::new(log, purpose, &self.usual, (self.next_serial, lane))?;
            self.n_filters += usize::from(pipe.through.is_some());
            // What cannot be cleared costs the first line of it, after a kill.
            let _ = self.tails.as_mut().map(|tails| tails.clear_marks(slot, lane));
            if let Some(old) = self.pipes.get_mut(index).ok_or_else(missing)?.replace(pipe) {
                self.n_filters = self.n_filters.saturating_sub(usize::from(old.through.is_some()));
                self.keep_earlier(slot, old);
            }
            self.waiting.push(slot);
        }
        let pipe = self.pipes.get_mut(index).and_then(Option::as_mut).ok_or_else(missing)?;
        pipe.had_main |= is_main;
        if let Some(pattern) = pattern {
            self.watches.insert(slot, Watch { serial: pipe.serial, pattern });
        }
        Ok(pipe.outputs())
    }

    /// Sends the read ends that wait, as many in a message as it takes.
    pub(super) fn hand_over(&mut self, now: Moment) {
        if !self.hand_over_earlier(now) {
            return;
        }
        while !self.waiting.is_empty() {
            let mut batch = Batch::new();
            let mut fds = Vec::new();
            let mut taken = 0;
            for slot in &self.waiting {
                let index = slot.0 as usize;
                let (Some(Some(pipe)), Some(name)) = (self.pipes.get(index), self.names.get(index)) else {
                    taken += 1;
                    continue;
                };
                let entry = pipe.entry(*slot, name, self.watches.get(slot), &self.usual);
                if !pipe.add_to(&mut batch, &mut fds, &entry) {
                    break;
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
}

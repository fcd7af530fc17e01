//! One pipe of a unit, as the logger reads it.
//!
//! ```text
//!   read ──▶ bytes ──▶ (the rest of a line whose beginning was lost: passed over) ──▶ tail, outlet
//!     marked before and after, so that whoever comes after a kill knows where in a line the pipe stands
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use regex_lite::Regex;

use super::Slot;
use super::feed::Feed;
use super::lines::Lines;
use super::memory::{Left, Mark, Memory};
use super::protocol::{Attachment, Spot};
use crate::model::{Moment, Pid};
use crate::sys::pipe;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Read(usize),
    Empty,
    Ended,
}

/// One pipe.
pub(super) struct Source {
    file: File,
    pub(super) spot: Spot,
    pub(super) serial: u32,
    /// The process that writes, where lines name it.
    pub(super) pid: Option<Pid>,
    pub(super) pattern: Option<Regex>,
    pub(super) lines: Lines,
    /// The place of the outlet.
    pub(super) outlet: usize,
    /// What comes by it goes to a filter.
    pub(super) feed: Option<Feed>,
    /// Nobody writes to it any more, and what it brought has not all been taken.
    pub(super) has_ended: bool,
    /// It is not read while its filter has no room.
    pub(super) is_paused: bool,
    /// What comes by it comes out of a filter, which may go on within its line when the unit has ended.
    pub(super) is_filtered: bool,
    /// After so many bytes more comes nothing of the process that ended.
    last: Option<usize>,
    /// Bytes of a line that are passed over at most, until it ends.
    passing: Option<usize>,
    /// Lines that lost their beginning and were passed over, and are not yet counted.
    pub(super) beheaded: u64,
    /// Is this the pipe whose marks are kept? The newest of its lane is.
    is_marked: bool,
    mark: Mark,
}

impl Source {
    /// Takes a pipe over. `mark` is how far a logger before this one was, `left` the beginning of a line that it left.
    pub(super) fn new(entry: &Attachment<'_>, fd: OwnedFd, outlet: usize) -> io::Result<Source> {
        let file = File::from(fd);
        // The read end's description is shared with PID 1 alone, which never reads.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Source {
            file,
            spot: entry.spot,
            serial: entry.serial,
            pid: entry.pid,
            pattern: if entry.pattern.is_empty() { None } else { Regex::new(entry.pattern).ok() },
            lines: Lines::new(entry.route.max_line),
            outlet,
            feed: None,
            has_ended: false,
            is_paused: false,
            is_filtered: false,
            last: None,
            passing: None,
            beheaded: 0,
            is_marked: true,
            mark: Mark::Clean,
        })
    }

    /// Goes on where the logger before this one was: after the beginning that it left, or at the next line.
    pub(super) fn follow(&mut self, mark: Mark, left: Option<Left>, longest: u32, now: Moment) {
        match (left, &mut self.feed) {
            (Some(Left { bytes, .. }), Some(feed)) => {
                let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let (whole, rest) = bytes.split_at(end);
                feed.begin_with(whole, now);
                self.lines.begin_with(rest.to_vec());
            }
            (Some(left), None) => self.lines.begin_with(left.bytes),
            (None, _) if mark.is_torn() => self.passing = Some(longest as usize),
            (None, _) => {}
        }
        self.mark = if self.lines.is_between() { Mark::Clean } else { Mark::InALine };
    }

    /// What this leaves for the next logger.
    pub(super) fn left(&self) -> Option<Left> {
        let waiting = self.feed.as_ref().map(Feed::waiting).unwrap_or_default();
        let bytes = [waiting, self.lines.kept()].concat();
        let left = Left { spot: self.spot, bytes };
        (self.is_marked && !left.bytes.is_empty()).then_some(left)
    }

    /// A newer pipe of the unit is there, and has its place.
    pub(super) fn is_superseded(&mut self) {
        self.is_marked = false;
    }

    /// The unit that writes.
    pub(super) fn slot(&self) -> Slot {
        self.spot.slot
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The process that wrote has ended, and its filter has not taken all of it yet: the line that it ended in is over with
    /// the last byte that is in the pipe now. True: there is none.
    pub(super) fn ends_with_what_is_there(&mut self) -> bool {
        let unread = pipe::unread(self.file.as_fd()).unwrap_or(0);
        self.last = (unread > 0).then_some(unread);
        self.last.is_none()
    }

    /// Is the last byte of the process that ended read? Says so once.
    pub(super) fn is_at_its_end(&mut self) -> bool {
        self.last.take_if(|left| *left == 0).is_some()
    }

    /// Reads what is there, at most a buffer of it, and nothing beyond the end of a process.
    pub(super) fn read(&mut self, buffer: &mut [u8], memory: Option<&Memory>) -> Progress {
        let room = self.last.map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        self.note(Mark::Reading, memory);
        match self.file.read(buffer) {
            Ok(0) => self.unread(Progress::Ended, memory),
            Ok(count) => {
                let ends_a_line = buffer.get(count - 1) == Some(&b'\n');
                self.note(if ends_a_line { Mark::WholeLines } else { Mark::InALine }, memory);
                self.last = self.last.map(|left| left.saturating_sub(count));
                Progress::Read(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unread(Progress::Empty, memory),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.unread(Progress::Read(0), memory)
            }
            Err(_) => self.unread(Progress::Ended, memory),
        }
    }

    fn unread(&self, progress: Progress, memory: Option<&Memory>) -> Progress {
        self.note(self.mark, memory);
        progress
    }

    /// What was read has been written out.
    pub(super) fn settle(&mut self, memory: Option<&Memory>) {
        let is_between = self.lines.is_between() && self.passing.is_none();
        self.mark = match &self.feed {
            _ if !is_between => Mark::InALine,
            Some(feed) if !feed.waiting().is_empty() => Mark::WholeLines,
            _ => Mark::Clean,
        };
        self.note(self.mark, memory);
    }

    fn note(&self, mark: Mark, memory: Option<&Memory>) {
        if let (true, Some(memory)) = (self.is_marked, memory) {
            memory.mark(self.spot, mark);
        }
    }

    /// Leaves out what belongs to a line that lost its beginning.
    pub(super) fn sound<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some(most) = self.passing else { return bytes };
        let end = bytes.iter().take(most).position(|byte| *byte == b'\n').map(|at| at + 1);
        let at = end.unwrap_or(bytes.len().min(most));
        self.passing = if end.is_some() || at == most { None } else { Some(most - at) };
        self.beheaded += u64::from(self.passing.is_none());
        bytes.get(at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::protocol::{Lane, Stream};
    use crate::logger::route::{Purpose, Route};
    use crate::logger::tails::Tails;
    use crate::model::log::Log;
    use std::io::Write;

    const SPOT: Spot = Spot { slot: Slot(0), lane: Lane(2), stream: Stream::Output };

    fn source(read: OwnedFd) -> Source {
        let route = Route::of(&Log::default(), Purpose::Log);
        Source::new(
            &Attachment { spot: SPOT, serial: 0, pid: None, route, name: "web", pattern: "" },
            read,
            0,
        )
        .unwrap()
    }

    #[test]
    fn the_line_of_a_process_ends_with_its_last_byte_though_more_is_in_the_pipe() {
        let (read, mut write) = io::pipe().unwrap();
        let mut source = source(read.into());
        assert!(source.ends_with_what_is_there(), "nothing is left");
        write.write_all(b"one\nha").unwrap();
        assert!(!source.ends_with_what_is_there());
        write.write_all(b"next\n").unwrap();
        let mut buffer = [0; 4];
        assert_eq!((source.read(&mut buffer, None), source.is_at_its_end()), (Progress::Read(4), false));
        assert_eq!((source.read(&mut buffer, None), source.is_at_its_end()), (Progress::Read(2), true));
        assert_eq!((source.read(&mut buffer, None), source.is_at_its_end()), (Progress::Read(4), false));
    }

    #[test]
    fn the_mark_says_at_each_moment_what_a_kill_would_leave() {
        let tails = Tails::create(1).unwrap();
        let memory = Memory::new(tails.file().try_clone().unwrap());
        let mark = || memory.mark_of(SPOT);
        let (read, mut write) = io::pipe().unwrap();
        let mut source = source(read.into());
        let mut buffer = [0; 100];
        write.write_all(b"one\ntw").unwrap();
        assert_eq!(source.read(&mut buffer, Some(&memory)), Progress::Read(6));
        assert_eq!(mark(), Mark::InALine);
        source.lines.feed(&buffer[..6], &mut |_, _| {});
        source.settle(Some(&memory));
        assert_eq!(mark(), Mark::InALine);
        assert_eq!(source.read(&mut buffer, Some(&memory)), Progress::Empty);
        assert_eq!(mark(), Mark::InALine);
        write.write_all(b"o\n").unwrap();
        source.read(&mut buffer, Some(&memory));
        assert_eq!(mark(), Mark::WholeLines);
        source.lines.feed(b"o\n", &mut |_, _| {});
        source.settle(Some(&memory));
        assert_eq!(mark(), Mark::Clean);
        source.is_superseded();
        write.write_all(b"x").unwrap();
        source.read(&mut buffer, Some(&memory));
        assert_eq!(mark(), Mark::Clean, "the marks belong to the newer pipe");
    }

    #[test]
    fn the_rest_of_a_line_that_lost_its_beginning_is_passed_over() {
        let (read, _write) = io::pipe().unwrap();
        let mut source = source(read.into());
        let now = Moment::default();
        source.follow(Mark::InALine, None, 10, now);
        assert_eq!((source.sound(b"rest"), source.beheaded), (&b""[..], 0));
        assert_eq!((source.sound(b" it\nnext\n"), source.beheaded), (&b"next\n"[..], 1));
        assert_eq!(source.sound(b"all\n"), b"all\n");
        source.follow(Mark::Reading, None, 10, now);
        assert_eq!(source.sound(b"0123456789abc"), b"abc", "an endless line is not passed over for ever");
        source.follow(Mark::WholeLines, None, 10, now);
        assert_eq!(source.sound(b"whole\n"), b"whole\n");
    }
}

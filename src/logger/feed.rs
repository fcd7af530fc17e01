//! The way of a unit's output to its filter, which may be slow, stuck, or away.
//!
//! ```text
//!            ┌─ room ─▶ the filter's standard input
//!   lines ───┼─ none: they wait here, and the unit's pipe is not read ──▶ nothing taken for a second: Stuck
//!            └─ Stuck, Away: past the filter, as they are ──▶ outlet          and back between two lines
//! ```
//!
//! What is written at once is whole lines, as much as the kernel takes whole or not at all, so that a kill of the logger
//! leaves no half line with the filter. PID 1 keeps both ends of the pipe: a filter that died is a full pipe, no error.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::model::Moment;

/// As much as a pipe takes whole or not at all (`PIPE_BUF`).
const AT_ONCE: usize = 4096;
/// How long a filter may take nothing before lines go past it: the service waits for it as long.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Why lines go past a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// It takes nothing.
    Stuck,
    /// It does not run, or nobody could ever read what it is given.
    Away,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Through,
    /// It has taken nothing since then.
    Full(Moment),
    Past(Past),
    /// Past it until the line that has begun is over.
    Back,
}

/// One filter's standard input.
#[derive(Debug)]
pub(super) struct Feed {
    file: File,
    waiting: Vec<u8>,
    way: Way,
    /// Is it waited for room?
    pub(super) is_watched: bool,
}

impl Feed {
    /// Takes the write end of the pipe.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Feed> {
        let file = File::from(fd);
        // The write end's description is shared with PID 1 alone, which never writes; the filter has the read end's.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Feed { file, waiting: Vec::new(), way: Way::Through, is_watched: false })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whole lines that a logger before this one had read and not written.
    pub(super) fn begin_with(&mut self, lines: &[u8], now: Moment) {
        self.waiting.extend_from_slice(lines);
        self.write_out(now);
    }

    /// Do lines go to the filter?
    pub(super) fn is_through(&self) -> bool {
        matches!(self.way, Way::Through | Way::Full(_))
    }

    /// What was read and not taken.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// Is room waited for, whether to go on or to come back?
    pub(super) fn wants_room(&self) -> bool {
        matches!(self.way, Way::Full(_) | Way::Past(Past::Stuck))
    }

    /// Gives lines to the filter. What it does not take waits; nothing more is to be given before it has.
    pub(super) fn give(&mut self, head: &[u8], body: &[u8], now: Moment) {
        self.waiting.extend_from_slice(head);
        self.waiting.extend_from_slice(body);
        self.write_out(now);
    }

    /// Writes what waits, as far as there is room.
    pub(super) fn write_out(&mut self, now: Moment) {
        let mut written = 0;
        let mut fault = None;
        while let Some(rest) = self.waiting.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(portion(rest)) {
                Ok(count) if count > 0 => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {
                    fault = Some(Past::Away);
                    break;
                }
            }
        }
        self.waiting.drain(..written);
        if self.waiting.is_empty() && self.waiting.capacity() > AT_ONCE {
            self.waiting = Vec::new();
        }
        self.way = match (fault, self.way) {
            (Some(past), _) => Way::Past(past),
            (None, _) if self.waiting.is_empty() => Way::Through,
            (None, Way::Full(since)) if written == 0 => Way::Full(since),
            (None, _) => Way::Full(now),
        };
    }

    /// There is room. True: nothing waits any more.
    pub(super) fn has_room(&mut self, now: Moment) -> bool {
        match self.way {
            Way::Past(Past::Stuck) => self.way = Way::Back,
            Way::Through | Way::Full(_) => self.write_out(now),
            Way::Past(Past::Away) | Way::Back => {}
        }
        self.waiting.is_empty()
    }

    /// When lines are to go past it.
    pub(super) fn stuck_at(&self) -> Option<Moment> {
        match self.way {
            Way::Full(since) => Some(since + PATIENCE),
            Way::Through | Way::Past(_) | Way::Back => None,
        }
    }

    /// From here on lines go past it, those first that wait: they are the answer.
    pub(super) fn go_past(&mut self, why: Past) -> Vec<u8> {
        self.way = Way::Past(why);
        std::mem::take(&mut self.waiting)
    }

    /// It runs again.
    pub(super) fn is_back(&mut self) {
        if self.way == Way::Past(Past::Away) {
            self.way = Way::Back;
        }
    }

    /// A line is over: true when lines go to the filter again from here on.
    pub(super) fn turn_back(&mut self) -> bool {
        let turns = self.way == Way::Back;
        if turns {
            self.way = Way::Through;
        }
        turns
    }
}

/// What is written at once: whole lines, or all that fits of a line that is longer.
fn portion(bytes: &[u8]) -> &[u8] {
    let near = bytes.get(..AT_ONCE).unwrap_or(bytes);
    let end = near.iter().rposition(|byte| *byte == b'\n').map_or(near.len(), |at| at + 1);
    near.get(..end).unwrap_or(near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, Read};

    fn feed() -> (PipeReader, Feed) {
        let (reader, writer) = io::pipe().unwrap();
        (reader, Feed::new(writer.into()).unwrap())
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn who_takes_nothing_for_a_second_is_passed_by_and_comes_back_between_two_lines() {
        let (mut reader, mut feed) = feed();
        let lines = b"a line of the service\n".repeat(6000);
        feed.give(&lines, b"", at(0));
        let left = feed.waiting().len();
        assert!(feed.wants_room() && left > 0 && feed.stuck_at() == Some(at(0) + PATIENCE));
        assert!(lines.ends_with(feed.waiting()) && lines.len() - left > 60_000);
        assert_eq!(feed.go_past(Past::Stuck).len(), left);
        assert!(!feed.is_through() && feed.stuck_at().is_none() && feed.wants_room());
        let mut taken = vec![0; lines.len() - left];
        reader.read_exact(&mut taken).unwrap();
        assert!(taken.ends_with(b"\n"), "no half line");
        assert!(feed.has_room(at(2)) && !feed.is_through());
        assert!(feed.turn_back() && feed.is_through() && !feed.turn_back());
    }

    #[test]
    fn a_filter_that_takes_a_little_now_and_then_is_waited_for() {
        let (mut reader, mut feed) = feed();
        feed.give(&b"x\n".repeat(50_000), b"", at(0));
        reader.read_exact(&mut [0; 8192]).unwrap();
        assert!(!feed.has_room(at(1)));
        assert_eq!(feed.stuck_at(), Some(at(1) + PATIENCE));
    }

    #[test]
    fn one_that_nobody_can_ever_read_is_passed_by_with_all_that_waits() {
        let (reader, mut feed) = feed();
        drop(reader);
        // Test threads ignore SIGPIPE, as Rust has it; the logger blocks it.
        feed.give(b"one\n", b"two\n", at(0));
        assert!(!feed.is_through() && !feed.wants_room());
        assert_eq!(feed.go_past(Past::Away), b"one\ntwo\n");
        feed.is_back();
        assert!(feed.turn_back());
    }

    #[test]
    fn what_is_written_at_once_ends_with_a_line_where_it_can() {
        assert_eq!(portion(b"one\ntwo"), b"one\n");
        let long = vec![b'x'; 5000];
        assert_eq!(portion(&long).len(), AT_ONCE);
        assert_eq!(portion(&[&b"a\n"[..], &long].concat()), b"a\n");
    }
}

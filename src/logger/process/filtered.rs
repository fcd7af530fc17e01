//! Output that goes through a filter: from the unit to it, past it, and back.
//!
//! ```text
//!   unit ══▶ Unfiltered ──▶ feed ══▶ filter ══▶ Output, Error ──▶ outlet
//!                            └── full: Unfiltered is not read; stuck, away: past it ──▶ outlet
//! ```

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::{CHUNK, FEEDS, Logger, PIPES};
use crate::logger::Slot;
use crate::logger::feed::{Feed, Past};
use crate::logger::lines::{Ending, Lines};
use crate::logger::outlet::Chunk;
use crate::logger::protocol::{Answer, Stream};
use crate::model::Moment;
use crate::sys::clock;
use crate::sys::poll::{Interest, Token};

impl Logger<'_> {
    /// There is room in the pipe to a filter.
    pub(super) fn feed_has_room(&mut self, place: usize) {
        if let Some(feed) = self.feed(place) {
            feed.has_room(clock::now());
            self.tend_feed(place);
        }
    }

    /// After whatever was done with a feed: what it does not take goes past it, and what can go on is waited for.
    pub(super) fn tend_feed(&mut self, place: usize) {
        let Some(source) = self.sources.get_mut(place).and_then(Option::as_mut) else { return };
        let Some(feed) = &mut source.feed else { return };
        if !feed.is_through() && !feed.waiting().is_empty() {
            let waiting = feed.go_past(Past::Away);
            return self.let_past(place, &waiting);
        }
        if source.lines.is_between() && feed.turn_back() {
            let slot = source.slot();
            self.answer(Answer::Flows(slot));
            return self.tend_feed(place);
        }
        source.settle(self.memory.as_ref());
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        let (Some(feed), has_ended) = (&mut source.feed, source.has_ended) else { return };
        if feed.wants_room() != feed.is_watched {
            feed.is_watched = if feed.wants_room() {
                self.poller.add(feed.fd(), Token::new(FEEDS, index), Interest::Write).is_ok()
            } else {
                self.poller.remove(feed.fd()).is_err()
            };
        }
        let is_full = !feed.waiting().is_empty();
        if has_ended && !is_full {
            return self.let_go(place);
        }
        if source.is_paused != (is_full || has_ended) {
            source.is_paused = if source.is_paused {
                self.poller.add(source.fd(), Token::new(PIPES, index), Interest::Read).is_err()
            } else {
                self.poller.remove(source.fd()).is_ok()
            };
        }
    }

    /// When lines are to go past a filter that takes nothing.
    pub(super) fn stuck_at(&self) -> Option<Moment> {
        if self.n_feeds == 0 {
            return None;
        }
        self.sources.iter().flatten().filter_map(|source| source.feed.as_ref()?.stuck_at()).min()
    }

    /// Lets lines go past filters that have taken nothing for too long.
    pub(super) fn pass_stuck(&mut self) {
        let now = clock::now();
        if self.stuck_at().is_none_or(|at| now < at) {
            return;
        }
        for place in 0..self.sources.len() {
            let Some(feed) = self.feed(place) else { continue };
            if feed.stuck_at().is_none_or(|at| now < at) {
                continue;
            }
            let waiting = feed.go_past(Past::Stuck);
            self.let_past(place, &waiting);
            if let Some(source) = self.sources.get(place).and_then(Option::as_ref) {
                let slot = source.slot();
                self.answer(Answer::Stuck(slot));
            }
        }
    }

    /// The unit's filter is not there. Nobody else reads from its pipe now, so what is left there is read first.
    pub(super) fn bypass(&mut self, slot: Slot, fd: Option<OwnedFd>) {
        let Some(place) = self.feed_of(slot) else { return };
        let Some(feed) = self.feed(place) else { return };
        let waiting = feed.go_past(Past::Away);
        let left = fd.map(|fd| left_in(&fd)).unwrap_or_default();
        self.let_past(place, &[left, waiting].concat());
    }

    /// It is there again.
    pub(super) fn filter_again(&mut self, slot: Slot) {
        if let Some(place) = self.feed_of(slot) {
            self.feed(place).into_iter().for_each(Feed::is_back);
            self.tend_feed(place);
        }
    }

    /// The line that a filter ended in is one.
    pub(super) fn end_filtered(&mut self, slot: Slot) {
        for place in 0..self.sources.len() {
            let source = self.sources.get(place).and_then(Option::as_ref);
            if source.is_some_and(|source| source.slot() == slot && source.is_filtered) {
                self.drain(place);
            }
        }
    }

    /// Whole lines that were meant for the filter.
    fn let_past(&mut self, place: usize, lines: &[u8]) {
        if let Some(Some(source)) = self.sources.get(place)
            && let Some(outlet) = self.outlets.get_mut(source.outlet)
        {
            let (now, time) = (clock::now(), self.stamps.at(clock::wall_usec()));
            let chunk = Chunk { bytes: lines, stream: Stream::Unfiltered, pid: source.pid, time, now };
            let mut apart = Lines::new(outlet.route.max_line);
            outlet.take(chunk, &mut apart, &mut self.desk, None);
            outlet.end(Chunk { bytes: b"", ..chunk }, &mut apart, &mut self.desk, None);
        }
        self.tend_feed(place);
    }

    /// What is left of a line of the unit itself is one, on its way to the filter.
    pub(super) fn end_line_to_filter(&mut self, place: usize) {
        let Some(source) = self.sources.get_mut(place).and_then(Option::as_mut) else { return };
        let Some(feed) = &mut source.feed else { return };
        let mut rest = Vec::new();
        source.lines.end(&mut |line: &[u8], _: Ending| rest = [line, b"\n"].concat());
        feed.give(&rest, b"", clock::now());
        self.tend_feed(place);
    }

    fn feed(&mut self, place: usize) -> Option<&mut Feed> {
        self.sources.get_mut(place)?.as_mut()?.feed.as_mut()
    }

    /// The newest pipe that leads to the filter of this unit.
    fn feed_of(&self, slot: Slot) -> Option<usize> {
        self.sources.iter().rposition(|source| {
            source.as_ref().is_some_and(|source| source.slot() == slot && source.feed.is_some())
        })
    }
}

/// What is in a pipe. It is opened anew, since its description is that of the next filter's standard input, which must
/// not be changed; where it cannot be, what is in it waits for that filter.
fn left_in(fd: &OwnedFd) -> Vec<u8> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut left = vec![0; CHUNK];
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let count = file.and_then(|mut file: File| file.read(&mut left)).unwrap_or(0);
    left.truncate(count);
    left
}

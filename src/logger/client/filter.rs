//! The pipes of a unit whose output goes through a filter, as PID 1 keeps them.
//!
//! ```text
//!   unit ══ unfiltered ══▶ logger ══ feed ══▶ filter ══ the unit's own pipes ══▶ logger
//!            both ends of each are here, so neither the end of a filter nor that of a logger loses what is in them
//!   close()  ──▶ once the logger has its ends: unfiltered ends ──▶ it ends feed ──▶ the filter ends
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::LogPipes;
use super::pipes::{Handover, Pipe};
use crate::logger::Slot;
use crate::logger::protocol::{Order, Stream};
use crate::model::Moment;

/// What leads to a filter.
#[derive(Debug)]
pub(super) struct Through {
    /// The read and the write end of what the unit writes to.
    pub(super) unfiltered: (OwnedFd, OwnedFd),
    /// Those of the filter's standard input.
    pub(super) feed: (OwnedFd, OwnedFd),
    serial: u32,
    gap: Gap,
    end: End,
}

/// Does the logger let lines past the filter?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    None,
    /// It is to be told so.
    Wished,
    Told,
}

/// Is there an end to what the unit writes?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    Wished,
}

impl Through {
    pub(super) fn new(serial: u32) -> io::Result<Through> {
        let ((read, write), (taken, fed)) = (io::pipe()?, io::pipe()?);
        let (unfiltered, feed) = ((read.into(), write.into()), (taken.into(), fed.into()));
        Ok(Through { unfiltered, feed, serial, gap: Gap::None, end: End::NotYet })
    }

    /// What is left of it when the unit writes to it no more: the logger goes on reading the one and writing the other.
    pub(super) fn into_ends(self) -> Vec<(Stream, OwnedFd)> {
        vec![(Stream::Feed, self.feed.1), (Stream::Unfiltered, self.unfiltered.0)]
    }

    /// Another logger has to be told what this one was.
    pub(super) fn forget_told(&mut self) {
        if self.gap == Gap::Told {
            self.gap = Gap::Wished;
        }
    }
}

impl LogPipes {
    /// What the filter of a unit reads from and writes to, and which one of the unit's filters that is; `None` where the
    /// unit has none, or has been closed.
    #[allow(clippy::type_complexity, reason = "three descriptors and a number have no name of their own")]
    pub fn filter_ends(&self, slot: Slot) -> Option<(u32, BorrowedFd<'_>, (BorrowedFd<'_>, BorrowedFd<'_>))> {
        let pipe = self.pipe(slot)?;
        let through = pipe.through.as_ref().filter(|through| through.end == End::NotYet)?;
        let outputs = pipe.filtered();
        Some((through.serial, through.feed.0.as_fd(), (outputs.stdout, outputs.stderr)))
    }

    /// The filter is not to be had for a while, or is again.
    pub fn let_past(&mut self, slot: Slot, is_past: bool) {
        let Some(through) = self.through_mut(slot) else { return };
        match (is_past, through.gap) {
            (true, Gap::None) => through.gap = Gap::Wished,
            (false, Gap::Wished) => through.gap = Gap::None,
            (false, Gap::Told) => {
                through.gap = Gap::None;
                self.order(&Order::Filter(slot));
            }
            (true, Gap::Wished | Gap::Told) | (false, Gap::None) => {}
        }
    }

    /// A filter ended: what it left is read, and a line without its end is one.
    pub fn filter_ended(&mut self, slot: Slot) {
        self.order(&Order::FilterEnded(slot));
    }

    /// Nobody starts the unit again: its filter sees the end of its input once it has read all of it.
    pub fn close_filter(&mut self, slot: Slot) {
        if let Some(through) = self.through_mut(slot) {
            through.end = End::Wished;
        }
    }

    /// The next process of the unit gets new pipes, and another filter.
    pub fn renew(&mut self, slot: Slot) {
        if let Some(Some(pipe)) = self.pipes.get_mut(slot.0 as usize) {
            pipe.outdate();
        }
    }

    /// Tells the logger which filters are to be passed by, and closes those that are to end.
    pub(super) fn send_filters(&mut self, now: Moment) {
        if self.n_filters == 0 {
            return;
        }
        let mut closed = Vec::new();
        for (index, place) in self.pipes.iter_mut().enumerate() {
            let Some(pipe) = place.as_mut().filter(|pipe| pipe.handover == Handover::Done) else { continue };
            let Some(through) = &mut pipe.through else { continue };
            let slot = Slot(u32::try_from(index).unwrap_or(u32::MAX));
            if through.gap == Gap::Wished {
                let fds = [through.feed.0.as_fd()];
                if !self.link.send(&Order::Bypass(slot).encode(), &fds, now) {
                    break;
                }
                through.gap = Gap::Told;
            }
            if through.end == End::Wished {
                closed.extend(pipe.through.take().map(|through| (slot, *through)));
            }
        }
        self.n_filters = self.n_filters.saturating_sub(closed.len());
        closed.into_iter().for_each(|(slot, through)| self.keep_earlier_through(slot, through));
    }

    fn through_mut(&mut self, slot: Slot) -> Option<&mut Through> {
        self.pipes.get_mut(slot.0 as usize)?.as_mut()?.through.as_deref_mut()
    }
}

impl Pipe {
    /// Is it one of a unit whose output goes through a filter, and was closed?
    pub(super) fn is_closed(&self) -> bool {
        self.log.through.is_some() && self.through.as_ref().is_none_or(|through| through.end == End::Wished)
    }
}

//! Pipes that a unit had before the one it has: read until nobody writes to them any more.
//!
//! ```text
//!   the unit gets another pipe, is removed, or ends with its filter
//!        └──▶ PID 1 lets go of the write end, keeps the read end ──▶ the logger, and the one after it
//!                                                                       └─ end of file: ReadOut ──▶ closed
//! ```
//!
//! A process of an earlier run may outlive it: by an overlapping restart, or because it left its group. Were the read end the
//! logger's alone, its death would be a SIGPIPE for such a process, and the loss of what is in the pipe.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::LogPipes;
use super::filter::Through;
use super::pipes::{Handover, Pipe};
use crate::logger::Slot;
use crate::logger::protocol::{Attachment, Batch, Lane, Spot, Stream};
use crate::logger::route::Route;
use crate::model::{Moment, Pid, UnitName};

/// What was one pipe of a unit, with the parts of it that are not yet read out.
#[derive(Debug)]
pub(super) struct Earlier {
    slot: Slot,
    lane: Lane,
    serial: u32,
    name: UnitName,
    pid: Option<Pid>,
    route: Route,
    /// In the order in which they are handed over.
    ends: Vec<(Stream, OwnedFd)>,
    pub(super) handover: Handover,
}

impl Earlier {
    fn entry(&self, stream: Stream) -> Attachment<'_> {
        Attachment {
            spot: Spot { slot: self.slot, lane: self.lane, stream },
            serial: self.serial,
            pid: self.pid,
            route: self.route,
            name: self.name.as_str(),
            pattern: "",
        }
    }

    /// Only what leads to a filter is written to; it goes with the pipe that it is fed from.
    fn forget(&mut self, read_out: Stream) {
        let feeds = read_out == Stream::Unfiltered;
        self.ends.retain(|(stream, _)| *stream != read_out && !(feeds && *stream == Stream::Feed));
    }
}

impl LogPipes {
    /// The unit does not write to this pipe any more; some process of it may.
    pub(super) fn keep_earlier(&mut self, slot: Slot, pipe: Pipe) {
        let Some(name) = self.names.get(slot.0 as usize).cloned() else { return };
        let (serial, lane, pid, handover) = (pipe.serial, pipe.lane, pipe.writer.pid(), pipe.handover);
        let route = pipe.route(&self.usual);
        let ends = pipe.into_read_ends();
        self.earlier.push(Earlier { slot, lane, serial, name, pid, route, ends, handover });
    }

    /// The unit goes on with its pipe, and its filter sees the end of its input once nobody writes to it any more.
    pub(super) fn keep_earlier_through(&mut self, slot: Slot, through: Through) {
        let Some(name) = self.names.get(slot.0 as usize).cloned() else { return };
        let Some(pipe) = self.pipe(slot) else { return };
        let (serial, lane, pid, handover) = (pipe.serial, pipe.lane, pipe.writer.pid(), pipe.handover);
        let route = pipe.route(&self.usual);
        let ends = through.into_ends();
        self.earlier.push(Earlier { slot, lane, serial, name, pid, route, ends, handover });
    }

    /// A lane for another pipe of the unit. Of more pipes than there are lanes the oldest is let go.
    pub(super) fn free_lane(&mut self, slot: Slot) -> Lane {
        let current = self.pipe(slot).map(|pipe| pipe.lane);
        let is_used = |earlier: &[Earlier], lane: Lane| {
            current == Some(lane) || earlier.iter().any(|one| (one.slot, one.lane) == (slot, lane))
        };
        if let Some(lane) = (0..Lane::COUNT).map(Lane).find(|lane| !is_used(&self.earlier, *lane)) {
            return lane;
        }
        let oldest = self.earlier.iter().position(|one| one.slot == slot && Some(one.lane) != current);
        oldest.map(|index| self.earlier.remove(index).lane).unwrap_or_default()
    }

    /// Nobody writes to one of these pipes any more, and it has been read.
    pub(super) fn read_out(&mut self, serial: u32, stream: Stream) {
        let own = self.earlier.iter_mut().filter(|one| one.serial == serial);
        own.for_each(|one| one.forget(stream));
        self.earlier.retain(|one| !one.ends.is_empty());
    }

    /// Sends those that wait, before the pipes that came after them; false when some still wait.
    #[must_use]
    pub(super) fn hand_over_earlier(&mut self, now: Moment) -> bool {
        for one in self.earlier.iter_mut().filter(|one| one.handover == Handover::Waiting) {
            let mut batch = Batch::new();
            let entries: Vec<_> = one.ends.iter().map(|(stream, _)| one.entry(*stream)).collect();
            let _fits = batch.add(&entries); // It is empty.
            let fds: Vec<BorrowedFd<'_>> = one.ends.iter().map(|(_, fd)| fd.as_fd()).collect();
            if !self.link.send(batch.bytes(), &fds, now) {
                return false;
            }
            one.handover = Handover::Done;
        }
        true
    }
}

//! What the logger leaves for whoever comes after it: last lines, marks, and lines that had only begun.
//!
//! ```text
//!   before a read      mark = Reading        killed here: nobody knows where in a line the pipe stands
//!   after it           mark = WholeLines │ InALine
//!   all written out    mark = Clean, or InALine while the beginning of a line is kept
//!
//!   the next logger    Clean, WholeLines: the pipe stands at the start of a line
//!                      Reading, InALine:  what is left of that line is passed over, for its beginning is lost
//! ```
//!
//! A logger that retires in order leaves the beginnings themselves, behind the slots: the *estate*.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::Slot;
use super::protocol::Spot;
use super::tails::{HEADER_SIZE, Header, MARKS, RING_SIZE, SLOT_SIZE};
use crate::sys::shared::Shared;

/// Where the estate lies: behind more slots than there can be. The file has no pages in between.
const ESTATE: u64 = 1 << 34;
/// The most bytes of an estate that are believed: a thousand lines of the largest usual size, thrice over.
const MAX_ESTATE: u64 = 64 << 20;
/// The most that is mapped: half a million slots, and far from the estate.
const MAX_MAPPED: usize = 1 << 30;

/// How far a pipe has been taken care of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    /// All that was read was written out, and ended with a line.
    #[default]
    Clean,
    /// Somebody is reading.
    Reading,
    /// Whole lines were read and are being written.
    WholeLines,
    /// What was read ended within a line.
    InALine,
}

impl Mark {
    fn byte(self) -> u8 {
        match self {
            Mark::Clean => 0,
            Mark::Reading => 1,
            Mark::WholeLines => 2,
            Mark::InALine => 3,
        }
    }

    /// Is the rest of a line in the pipe, whose beginning is lost?
    pub(super) fn is_torn(self) -> bool {
        matches!(self, Mark::Reading | Mark::InALine)
    }
}

/// The beginning of a line, left by a logger for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) spot: Spot,
    pub(super) bytes: Vec<u8>,
}

/// The memory, as the logger has it. Without it there are neither tails nor marks, and all else works.
#[derive(Debug)]
pub(super) struct Memory {
    file: File,
    shared: Option<Shared>,
}

impl Memory {
    /// Takes the file that [`super::tails::Tails`] made.
    pub(super) fn new(file: File) -> Memory {
        let shared = Shared::map(&file, MAX_MAPPED).ok();
        Memory { file, shared }
    }

    /// Takes in the slots that came since.
    pub(super) fn make_room(&mut self, slot: Slot) {
        let needed = (slot.0 as usize + 1) * SLOT_SIZE;
        if self.shared.as_ref().is_none_or(|shared| shared.len() < needed) {
            self.shared = Shared::map(&self.file, MAX_MAPPED).ok();
        }
    }

    /// Appends output of a unit to its tail; of more than a slot holds, only the end is kept.
    pub(super) fn append(&self, slot: Slot, bytes: &[u8]) {
        let Some(shared) = &self.shared else { return };
        let bytes = bytes.get(bytes.len().saturating_sub(RING_SIZE)..).unwrap_or_default();
        let start = slot.0 as usize * SLOT_SIZE;
        let header = Header::parse(&shared.load::<MARKS>(start));
        let claimed = header.written.wrapping_add(bytes.len() as u64);
        shared.store(start, &claimed.to_le_bytes());
        let at = (header.written % RING_SIZE as u64) as usize;
        let (first, wrapped) = bytes.split_at(bytes.len().min(RING_SIZE - at));
        shared.store(start + HEADER_SIZE + at, first);
        shared.store(start + HEADER_SIZE, wrapped);
        shared.store(start + 8, &claimed.to_le_bytes());
    }

    /// Notes how far a pipe is.
    pub(super) fn mark(&self, spot: Spot, mark: Mark) {
        if let Some(shared) = &self.shared {
            shared.store(place(spot), &[mark.byte()]);
        }
    }

    /// How far the logger before this one was.
    pub(super) fn mark_of(&self, spot: Spot) -> Mark {
        let byte = self.shared.as_ref().map_or([0], |shared| shared.load::<1>(place(spot)));
        match byte {
            [1] => Mark::Reading,
            [2] => Mark::WholeLines,
            [3] => Mark::InALine,
            _ => Mark::Clean,
        }
    }

    /// Leaves these for the next logger; false when there is no room for them.
    #[must_use]
    pub(super) fn leave(&self, estate: &[Left]) -> bool {
        let mut bytes = Vec::new();
        for left in estate {
            let Ok(len) = u32::try_from(left.bytes.len()) else { continue };
            bytes.extend(left.spot.slot.0.to_le_bytes());
            bytes.push(left.spot.number());
            bytes.extend(len.to_le_bytes());
            bytes.extend(&left.bytes);
        }
        let size = bytes.len() as u64;
        let written = self.file.write_all_at(&bytes, ESTATE + 8);
        size <= MAX_ESTATE
            && written.and_then(|()| self.file.write_all_at(&size.to_le_bytes(), ESTATE)).is_ok()
    }

    /// What the logger before this one left; it is taken once.
    pub(super) fn inherit(&self) -> Vec<Left> {
        let mut size = [0; 8];
        if self.file.read_exact_at(&mut size, ESTATE).is_err() {
            return Vec::new();
        }
        let size = u64::from_le_bytes(size).min(MAX_ESTATE);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut bytes, ESTATE + 8);
        // What is believed twice is a line twice, no more.
        let _ = self.file.set_len(ESTATE).and_then(|()| self.file.set_len(ESTATE + 8));
        if read.is_err() { Vec::new() } else { parse(&bytes) }
    }
}

fn place(spot: Spot) -> usize {
    spot.slot.0 as usize * SLOT_SIZE + MARKS + usize::from(spot.number())
}

fn parse(mut bytes: &[u8]) -> Vec<Left> {
    let mut estate = Vec::new();
    while let Some((&[a, b, c, d, number, e, f, g, h], rest)) = bytes.split_first_chunk() {
        let len = u32::from_le_bytes([e, f, g, h]) as usize;
        let Some((line, rest)) = rest.split_at_checked(len) else { break };
        let Some(spot) = Spot::of(Slot(u32::from_le_bytes([a, b, c, d])), number) else { break };
        estate.push(Left { spot, bytes: line.to_vec() });
        bytes = rest;
    }
    estate
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::protocol::{Lane, Stream};
    use crate::logger::random::Random;
    use crate::logger::tails::Tails;

    fn spot(slot: u32, lane: u8, stream: Stream) -> Spot {
        Spot { slot: Slot(slot), lane: Lane(lane), stream }
    }

    fn memory(tails: &Tails) -> Memory {
        Memory::new(tails.file().try_clone().unwrap())
    }

    #[test]
    fn a_mark_and_a_tail_outlive_whoever_made_them() {
        let mut tails = Tails::create(2).unwrap();
        tails.clear_marks(Slot(1), Lane(3)).unwrap();
        let first = memory(&tails);
        first.mark(spot(1, 3, Stream::Error), Mark::InALine);
        first.mark(spot(1, 2, Stream::Error), Mark::WholeLines);
        first.append(Slot(1), b"half");
        drop(first);
        let second = memory(&tails);
        assert_eq!(second.mark_of(spot(1, 3, Stream::Error)), Mark::InALine);
        assert_eq!(second.mark_of(spot(1, 3, Stream::Output)), Mark::Clean);
        assert_eq!(tails.lines(Slot(1)), ["half"]);
        tails.clear_marks(Slot(1), Lane(3)).unwrap();
        assert_eq!(second.mark_of(spot(1, 3, Stream::Error)), Mark::Clean);
        assert_eq!(second.mark_of(spot(1, 2, Stream::Error)), Mark::WholeLines);
        assert_eq!(tails.lines(Slot(1)), ["half"]);
    }

    #[test]
    fn slots_that_came_later_are_mapped_when_they_are_needed() {
        let mut tails = Tails::create(1).unwrap();
        let mut memory = memory(&tails);
        memory.append(Slot(9), b"nowhere\n");
        tails.make_room(10).unwrap();
        memory.make_room(Slot(9));
        memory.append(Slot(9), b"here\n");
        assert_eq!(tails.lines(Slot(9)), ["here"]);
    }

    #[test]
    fn an_estate_is_taken_once_and_whole() {
        let tails = Tails::create(3).unwrap();
        let estate = vec![
            Left { spot: spot(0, 0, Stream::Output), bytes: b"half a li".to_vec() },
            Left { spot: spot(2, 1, Stream::Error), bytes: vec![0xff; 10_000] },
        ];
        assert!(memory(&tails).leave(&estate));
        assert_eq!(memory(&tails).inherit(), estate);
        assert_eq!(memory(&tails).inherit(), []);
    }

    #[test]
    fn no_bytes_make_an_estate_that_harms() {
        let mut random = Random::new(6);
        for _ in 0..2_000 {
            let bytes = random.bytes(60);
            assert!(parse(&bytes).iter().map(|left| left.bytes.len()).sum::<usize>() <= bytes.len());
        }
    }
}

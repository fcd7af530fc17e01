//! The last output of every unit, in memory that PID 1 and the logger share: a memfd of fixed slots.
//!
//! ```text
//!   slot n at n × 2048:  ┌ claimed u64 ┬ written u64 ┬ marks 16 ┬── ring of 2016 bytes ──┐
//!                        └─────────────┴─────────────┴──────────┴─────────────────────────┘
//!   the logger:  claimed += n │ bytes at (written mod 2016) │ written += n        (`memory.rs`)
//!   PID 1:       header and ring │ header again: bytes before (claimed − 2016) may have been overwritten
//! ```
//!
//! Both count bytes since the beginning, so a position is never taken for an older one. There is one
//! writer; a reader never waits for it. When the logger dies the tails stay, and the next one goes on. The marks are the
//! logger's own: how far each pipe of the unit has been taken care of, a byte for each stream of each lane.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Slot;
use super::protocol::{Lane, Stream};

/// Bytes of a slot, header included: two slots a page, and ten lines of 200 bytes.
pub(super) const SLOT_SIZE: usize = 2048;
/// Where the marks begin.
pub(super) const MARKS: usize = 16;
pub(super) const HEADER_SIZE: usize = MARKS + (Lane::COUNT * Stream::COUNT) as usize;
pub(super) const RING_SIZE: usize = SLOT_SIZE - HEADER_SIZE;
/// The most lines that a tail shows.
const MAX_LINES: usize = 10;

/// The shared memory, seen from either side.
#[derive(Debug)]
pub(super) struct Tails {
    file: File,
    /// Whether the unit of a slot had a pipe yet. Before the first all is zero.
    begun: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) claimed: u64,
    pub(super) written: u64,
}

impl Tails {
    /// Makes the memory for this many units. Pages that nobody wrote to cost nothing.
    #[doc(alias = "memfd_create")]
    pub(super) fn create(units: usize) -> io::Result<Tails> {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        let file = File::from(nix::sys::memfd::memfd_create("sexton-tails", flags)?);
        let mut tails = Tails { file, begun: Vec::new() };
        tails.make_room(units)?;
        Ok(tails)
    }

    /// Grows the memory to this many units. It is never made shorter: the logger has it mapped.
    pub(super) fn make_room(&mut self, units: usize) -> io::Result<()> {
        if self.begun.len() < units {
            self.begun.resize(units, false);
        }
        let needed = units as u64 * SLOT_SIZE as u64;
        if self.file.metadata()?.len() < needed { self.file.set_len(needed) } else { Ok(()) }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The unit has a new pipe in this lane, of which nothing has been read.
    pub(super) fn clear_marks(&mut self, slot: Slot, lane: Lane) -> io::Result<()> {
        let begun = self.begun.get_mut(slot.0 as usize).map(|begun| std::mem::replace(begun, true));
        if begun == Some(false) {
            // Nobody wrote here, so a page for it would be cleared for nothing.
            return Ok(());
        }
        let first = MARKS as u64 + u64::from(lane.0) * u64::from(Stream::COUNT);
        self.file.write_all_at(&[0; Stream::COUNT as usize], u64::from(slot.0) * SLOT_SIZE as u64 + first)
    }

    /// Forgets what a unit wrote; what it still writes by earlier pipes keeps its marks.
    pub(super) fn clear(&self, slot: Slot) -> io::Result<()> {
        self.file.write_all_at(&[0; MARKS], u64::from(slot.0) * SLOT_SIZE as u64)
    }

    /// The last lines of a unit's output, oldest first; empty where nothing was written or can be read.
    pub(super) fn lines(&self, slot: Slot) -> Vec<String> {
        self.lines_since(slot, 0, MAX_LINES)
    }

    /// How much a unit has written, as far as it was read.
    pub(super) fn written(&self, slot: Slot) -> u64 {
        self.header(u64::from(slot.0) * SLOT_SIZE as u64).map_or(0, |header| header.written)
    }

    /// The last lines of what a unit wrote since it had written this much, as far as it is kept.
    pub(super) fn lines_since(&self, slot: Slot, mark: u64, most: usize) -> Vec<String> {
        let start = u64::from(slot.0) * SLOT_SIZE as u64;
        let mut whole = [0; SLOT_SIZE];
        let read = self.file.read_exact_at(&mut whole, start);
        let (Ok(()), Ok(after)) = (read, self.header(start)) else { return Vec::new() };
        let (before, ring) = whole.split_at(HEADER_SIZE);
        let written = Header::parse(before).written;
        let oldest = after.claimed.max(written).saturating_sub(RING_SIZE as u64);
        let (oldest, is_whole) = (oldest.max(mark), oldest <= mark);
        let kept: Vec<u8> = (oldest..written)
            .filter_map(|position| ring.get((position % RING_SIZE as u64) as usize).copied())
            .collect();
        last_lines(&kept, if is_whole { Beginning::OfLine } else { Beginning::Anywhere }, most)
    }

    fn header(&self, start: u64) -> io::Result<Header> {
        let mut bytes = [0; HEADER_SIZE];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(Header::parse(&bytes))
    }
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Header {
        let number = |at: usize| {
            let field = bytes.get(at..at + 8).and_then(|field| field.try_into().ok());
            field.map_or(0, u64::from_le_bytes)
        };
        Header { claimed: number(0), written: number(8) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    OfLine,
    Anywhere,
}

/// The last whole lines of `bytes`. One that began before them is left out, unless it is all there is.
fn last_lines(bytes: &[u8], beginning: Beginning, most: usize) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if beginning == Beginning::Anywhere && lines.len() > 1 {
        lines.remove(0);
    }
    let surplus = lines.len().saturating_sub(most);
    let text = |line: &&[u8]| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
    lines.iter().skip(surplus).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::memory::Memory;

    impl Tails {
        /// What the logger does, with a mapping for each call.
        fn append(&self, slot: Slot, bytes: &[u8]) -> io::Result<()> {
            Memory::new(self.file.try_clone()?).append(slot, bytes);
            Ok(())
        }
    }

    #[test]
    fn the_last_lines_come_back_oldest_first() {
        let tails = Tails::create(3).unwrap();
        tails.append(Slot(1), b"one\r\ntwo\nthr").unwrap();
        tails.append(Slot(1), b"ee").unwrap();
        assert_eq!(tails.lines(Slot(1)), ["one", "two", "three"]);
        assert!(tails.lines(Slot(0)).is_empty() && tails.lines(Slot(2)).is_empty());
    }

    #[test]
    fn a_slot_that_is_not_there_has_no_lines() {
        assert!(Tails::create(1).unwrap().lines(Slot(9)).is_empty());
    }

    #[test]
    fn only_the_last_ten_whole_lines_are_shown() {
        let tails = Tails::create(1).unwrap();
        for n in 0..1000 {
            tails.append(Slot(0), format!("line {n}\n").as_bytes()).unwrap();
        }
        let expected: Vec<String> = (990..1000).map(|n| format!("line {n}")).collect();
        assert_eq!(tails.lines(Slot(0)), expected);
        let long = "x".repeat(500);
        (0..9).for_each(|_| tails.append(Slot(0), format!("{long}\n").as_bytes()).unwrap());
        let lines = tails.lines(Slot(0));
        assert_eq!(lines.len(), 4, "a slot holds four whole lines of 500 bytes");
        assert!(lines.iter().all(|line| *line == long));
    }

    #[test]
    fn a_line_longer_than_the_slot_shows_its_end() {
        let tails = Tails::create(1).unwrap();
        let mut text = vec![b'a'; 10_000];
        text.extend(b"the end");
        tails.append(Slot(0), &text).unwrap();
        let lines = tails.lines(Slot(0));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("athe end") && lines[0].len() == RING_SIZE);
    }

    #[test]
    fn bytes_that_a_writer_claimed_are_not_shown() {
        let tails = Tails::create(1).unwrap();
        tails.append(Slot(0), &[b'o'; RING_SIZE]).unwrap();
        tails.append(Slot(0), b"first\nsecond\n").unwrap();
        // The writer is about to overwrite all but the last 7 bytes ("second\n"), and has begun.
        let claimed = (2 * RING_SIZE + 6) as u64;
        tails.file.write_all_at(&claimed.to_le_bytes(), 0).unwrap();
        assert_eq!(tails.lines(Slot(0)), ["second"]);
    }

    #[test]
    fn random_memory_is_shown_as_something_and_never_harms() {
        use crate::logger::random::Random;
        let mut random = Random::new(4);
        let tails = Tails::create(1).unwrap();
        for _ in 0..2_000 {
            let bytes = random.bytes(SLOT_SIZE);
            tails.file.write_all_at(&bytes, 0).unwrap();
            assert!(tails.lines(Slot(0)).len() <= MAX_LINES);
            // A header that is nonsense must not make the writer fail for good either.
            tails.append(Slot(0), b"x\n").unwrap();
        }
    }
}

//! What PID 1 and the logger say to each other: small messages over a seqpacket pair. Pure.
//!
//! ```text
//!   PID 1 ── Begin, Attach (+ one descriptor an entry), Runs, Unwatch, Ended, Flush, Say, Retire, Finish ──▶ logger
//!           FilterEnded, Bypass (+ one descriptor), Filter
//!         ◀───────────────────── Matched, Flushed, Stuck, Flows, ReadOut ─────────────────────
//! ```
//!
//! A message is a tag and its fields, little-endian; texts carry their length. Both sides are the same
//! executable, yet a message that cannot be read is `None` and never a panic: the logger parses what
//! services write in the same process.

use super::Slot;
use super::route::{ROUTE_SIZE, Route};
use crate::model::Pid;

/// The most bytes a message may have: the kernel wants them in one piece, and room for several in its buffer.
pub(super) const MAX_MESSAGE: usize = 32 * 1024;
/// Entries, and so descriptors, in one message. The kernel's own bound is 253 (`SCM_MAX_FD`).
pub(super) const MAX_BATCH: usize = 200;
/// Units in one [`Order::Ended`].
pub(super) const MAX_ENDED: usize = 4096;
/// The longest pattern that is handed over.
pub(super) const MAX_PATTERN: usize = 4 * 1024;

/// What comes by a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output; where there is no second pipe, standard error as well. Of a unit with a filter, the filter's.
    Output,
    /// Standard error.
    Error,
    /// What a unit wrote, on its way to its filter.
    Unfiltered,
    /// Written and not read: the standard input of the filter. It stands before the pipe that leads to it.
    Feed,
}

impl Stream {
    /// How many there are.
    pub(super) const COUNT: u8 = 4;

    /// As lines name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stream::Output | Stream::Unfiltered | Stream::Feed => "stdout",
            Stream::Error => "stderr",
        }
    }

    /// As a number in messages and in memory.
    pub(super) fn number(self) -> u8 {
        match self {
            Stream::Output => 0,
            Stream::Error => 1,
            Stream::Unfiltered => 2,
            Stream::Feed => 3,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Stream> {
        let all = [Stream::Output, Stream::Error, Stream::Unfiltered, Stream::Feed];
        all.into_iter().find(|stream| stream.number() == number)
    }
}

/// Which of the pipes that a unit has at once: the earlier ones are read for as long as somebody writes to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lane(pub(super) u8);

impl Lane {
    /// How many there can be.
    pub(super) const COUNT: u8 = 4;
}

/// Where a pipe stands in what the loggers leave to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) slot: Slot,
    pub(super) lane: Lane,
    pub(super) stream: Stream,
}

impl Spot {
    /// Lane and stream as one number.
    pub(super) fn number(self) -> u8 {
        (self.lane.0 % Lane::COUNT) * Stream::COUNT + self.stream.number()
    }

    /// Back from it.
    pub(super) fn of(slot: Slot, number: u8) -> Option<Spot> {
        let (lane, stream) = (number / Stream::COUNT, Stream::from_number(number % Stream::COUNT)?);
        (lane < Lane::COUNT).then_some(Spot { slot, lane: Lane(lane), stream })
    }
}

/// One pipe that is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attachment<'a> {
    pub(super) spot: Spot,
    /// Which of all pipes it is, the same for those of a unit that were made together. It comes back in answers, so that
    /// a line of an earlier pipe is not taken for one of this.
    pub(super) serial: u32,
    /// The process that writes, where lines name it.
    pub(super) pid: Option<Pid>,
    pub(super) route: Route,
    pub(super) name: &'a str,
    /// Empty: no line is waited for.
    pub(super) pattern: &'a str,
}

/// What PID 1 tells the logger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order<'a> {
    /// The first message.
    Begin(Beginning<'a>),
    /// Read these pipes; the descriptors come with the message, in the same order.
    Attach(Vec<Attachment<'a>>),
    /// The process that writes for this unit from here on.
    Runs(Slot, Pid),
    /// Wait for no line of this unit any more.
    Unwatch(Slot),
    /// These units' processes ended: what they left is read, and a line without its end is one.
    Ended(Vec<Slot>),
    /// The same for one unit, and then answer [`Answer::Flushed`].
    Flush(Slot),
    /// The unit's filter ended: a line of it without its end is one.
    FilterEnded(Slot),
    /// The unit's filter is not to be had for a while: its lines go past it, those first that wait in the pipe whose read
    /// end comes with the message.
    Bypass(Slot),
    /// The unit's filter runs again.
    Filter(Slot),
    /// A message of sexton itself.
    Say(&'a str),
    /// Write out what was read, leave the rest to a successor, end.
    Retire,
    /// Read everything that is left, write it out, end.
    Finish,
}

/// What a logger is told first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginning<'a> {
    /// How wide the column of names is.
    pub(super) width: u8,
    /// The way of sexton's own messages, beside the console.
    pub(super) own: Route,
    /// The group of log files.
    pub(super) group: Option<u32>,
    /// Where log files are.
    pub(super) directory: &'a str,
}

/// What the logger answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A line matched the pattern of the pipe that was attached with this serial.
    Matched { slot: Slot, serial: u32 },
    /// The unit's pipes were empty a moment ago.
    Flushed(Slot),
    /// The unit's filter takes nothing, and lines go past it.
    Stuck(Slot),
    /// It takes lines again.
    Flows(Slot),
    /// Nobody writes to this pipe any more, and all that was in it has been read.
    ReadOut { serial: u32, stream: Stream },
}

/// A message of attachments in the making: entries are added until one does not fit.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    entries: usize,
}

impl Batch {
    pub(super) fn new() -> Batch {
        Batch { bytes: vec![ATTACH], entries: 0 }
    }

    /// Adds entries that belong together; false when they do not fit and the batch has to be sent first.
    #[must_use]
    pub(super) fn add(&mut self, entries: &[Attachment<'_>]) -> bool {
        let pattern = |text: &str| if text.len() <= MAX_PATTERN { text.len() } else { 0 };
        let needed = |entry: &Attachment<'_>| 17 + ROUTE_SIZE + entry.name.len() + pattern(entry.pattern);
        let all: usize = entries.iter().map(needed).sum();
        if self.entries + entries.len() > MAX_BATCH || self.bytes.len() + all > MAX_MESSAGE {
            return false;
        }
        entries.iter().for_each(|entry| self.push(entry));
        true
    }

    fn push(&mut self, entry: &Attachment<'_>) {
        self.bytes.extend(entry.spot.slot.0.to_le_bytes());
        self.bytes.extend(entry.serial.to_le_bytes());
        self.bytes.push(entry.spot.number());
        self.bytes.extend(entry.pid.map_or(0, Pid::get).to_le_bytes());
        entry.route.encode(&mut self.bytes);
        push_text(&mut self.bytes, entry.name);
        push_text(&mut self.bytes, if entry.pattern.len() <= MAX_PATTERN { entry.pattern } else { "" });
        self.entries += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

const BEGIN: u8 = 1;
const ATTACH: u8 = 2;
const UNWATCH: u8 = 3;
const FLUSH: u8 = 4;
const SAY: u8 = 5;
const FINISH: u8 = 6;
const ENDED: u8 = 7;
const RUNS: u8 = 8;
const RETIRE: u8 = 9;
const FILTER_ENDED: u8 = 10;
const BYPASS: u8 = 11;
const FILTER: u8 = 12;
const MATCHED: u8 = 1;
const FLUSHED: u8 = 2;
const STUCK: u8 = 3;
const FLOWS: u8 = 4;
const READ_OUT: u8 = 5;

impl Order<'_> {
    /// The message, whole. Attachments that do not fit are left out: [`Batch`] makes those that do.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Order::Begin(beginning) => {
                let mut bytes = vec![BEGIN, beginning.width];
                beginning.own.encode(&mut bytes);
                // The kernel has no such group: it stands for none.
                bytes.extend(beginning.group.unwrap_or(u32::MAX).to_le_bytes());
                push_text(&mut bytes, beginning.directory);
                bytes
            }
            Order::Attach(entries) => {
                let mut batch = Batch::new();
                let _fits = entries.iter().all(|entry| batch.add(std::slice::from_ref(entry)));
                batch.bytes
            }
            Order::Runs(slot, pid) => {
                let mut bytes = with_slot(RUNS, *slot);
                bytes.extend(pid.get().to_le_bytes());
                bytes
            }
            Order::Unwatch(slot) => with_slot(UNWATCH, *slot),
            Order::Ended(slots) => {
                let mut bytes = vec![ENDED];
                bytes.extend(slots.iter().take(MAX_ENDED).flat_map(|slot| slot.0.to_le_bytes()));
                bytes
            }
            Order::Flush(slot) => with_slot(FLUSH, *slot),
            Order::FilterEnded(slot) => with_slot(FILTER_ENDED, *slot),
            Order::Bypass(slot) => with_slot(BYPASS, *slot),
            Order::Filter(slot) => with_slot(FILTER, *slot),
            Order::Say(text) => {
                let mut bytes = vec![SAY];
                bytes.extend(text.bytes());
                bytes
            }
            Order::Retire => vec![RETIRE],
            Order::Finish => vec![FINISH],
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Order<'_>> {
        let mut fields = Fields(bytes);
        let order = match fields.byte()? {
            BEGIN => Order::Begin(Beginning {
                width: fields.byte()?,
                own: fields.route()?,
                group: Some(fields.number()?).filter(|group| *group != u32::MAX),
                directory: fields.text()?,
            }),
            ATTACH => {
                let mut entries = Vec::new();
                while !fields.0.is_empty() && entries.len() < MAX_BATCH {
                    entries.push(fields.attachment()?);
                }
                Order::Attach(entries)
            }
            RUNS => Order::Runs(Slot(fields.number()?), Pid::new(fields.number()?.cast_signed())?),
            UNWATCH => Order::Unwatch(Slot(fields.number()?)),
            ENDED => {
                let mut slots = Vec::new();
                while !fields.0.is_empty() && slots.len() < MAX_ENDED {
                    slots.push(Slot(fields.number()?));
                }
                Order::Ended(slots)
            }
            FLUSH => Order::Flush(Slot(fields.number()?)),
            FILTER_ENDED => Order::FilterEnded(Slot(fields.number()?)),
            BYPASS => Order::Bypass(Slot(fields.number()?)),
            FILTER => Order::Filter(Slot(fields.number()?)),
            SAY => Order::Say(std::str::from_utf8(std::mem::take(&mut fields.0)).ok()?),
            RETIRE => Order::Retire,
            FINISH => Order::Finish,
            _ => return None,
        };
        fields.0.is_empty().then_some(order)
    }
}

impl Answer {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Answer::Matched { slot, serial } => {
                let mut bytes = with_slot(MATCHED, slot);
                bytes.extend(serial.to_le_bytes());
                bytes
            }
            Answer::Flushed(slot) => with_slot(FLUSHED, slot),
            Answer::Stuck(slot) => with_slot(STUCK, slot),
            Answer::Flows(slot) => with_slot(FLOWS, slot),
            Answer::ReadOut { serial, stream } => {
                let mut bytes = vec![READ_OUT, stream.number()];
                bytes.extend(serial.to_le_bytes());
                bytes
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Answer> {
        let mut fields = Fields(bytes);
        let answer = match fields.byte()? {
            MATCHED => Answer::Matched { slot: Slot(fields.number()?), serial: fields.number()? },
            FLUSHED => Answer::Flushed(Slot(fields.number()?)),
            STUCK => Answer::Stuck(Slot(fields.number()?)),
            FLOWS => Answer::Flows(Slot(fields.number()?)),
            READ_OUT => {
                let stream = Stream::from_number(fields.byte()?)?;
                Answer::ReadOut { serial: fields.number()?, stream }
            }
            _ => return None,
        };
        fields.0.is_empty().then_some(answer)
    }
}

fn with_slot(tag: u8, slot: Slot) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(slot.0.to_le_bytes());
    bytes
}

/// Names have at most 128 bytes and patterns [`MAX_PATTERN`], so two bytes hold the length of either.
fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap_or(0);
    bytes.extend(len.to_le_bytes());
    bytes.extend(text.bytes().take(usize::from(len)));
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
        std::str::from_utf8(self.take(usize::from(len))?).ok()
    }

    fn route(&mut self) -> Option<Route> {
        Route::decode(self.take(ROUTE_SIZE)?.try_into().ok()?)
    }

    fn attachment(&mut self) -> Option<Attachment<'a>> {
        let (slot, serial) = (Slot(self.number()?), self.number()?);
        Some(Attachment {
            spot: Spot::of(slot, self.byte()?)?,
            serial,
            pid: Pid::new(self.number()?.cast_signed()),
            route: self.route()?,
            name: self.text()?,
            pattern: self.text()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::random::Random;
    use crate::logger::route::Purpose;
    use crate::model::log::{Log, LogTarget};

    fn route() -> Route {
        Route::of(&Log { to: LogTarget::File, ..Log::default() }, Purpose::Log)
    }

    fn entry<'a>(slot: u32, name: &'a str, pattern: &'a str) -> Attachment<'a> {
        Attachment {
            spot: Spot { slot: Slot(slot), lane: Lane(3), stream: Stream::Error },
            serial: 9,
            pid: Pid::new(5),
            route: route(),
            name,
            pattern,
        }
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        for order in [
            Order::Begin(Beginning { width: 12, own: route(), group: Some(4), directory: "/var/log/sexton" }),
            Order::Runs(Slot(3), Pid::new(77).unwrap()),
            Order::Retire,
            Order::Attach(vec![entry(7, "redis@6380", "ready to accept"), entry(u32::MAX, "x", "")]),
            Order::Unwatch(Slot(3)),
            Order::Ended(vec![Slot(4), Slot(5)]),
            Order::Flush(Slot(4)),
            Order::FilterEnded(Slot(6)),
            Order::Bypass(Slot(7)),
            Order::Filter(Slot(8)),
            Order::Say("web is ready"),
            Order::Finish,
        ] {
            assert_eq!(Order::decode(&order.encode()), Some(order));
        }
        for answer in [
            Answer::Matched { slot: Slot(1), serial: 2 },
            Answer::Flushed(Slot(5)),
            Answer::Stuck(Slot(6)),
            Answer::Flows(Slot(7)),
            Answer::ReadOut { serial: 8, stream: Stream::Unfiltered },
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
    }

    #[test]
    fn a_message_that_is_cut_or_has_too_much_is_not_read() {
        let whole = Order::Attach(vec![entry(7, "web", "up")]).encode();
        for len in 2..whole.len() {
            assert_eq!(Order::decode(&whole[..len]), None, "{len}");
        }
        assert_eq!(Order::decode(&[FINISH, 0]), None);
        assert_eq!(Order::decode(&[]), None);
        assert_eq!(Answer::decode(&[FLUSHED, 1, 2, 3]), None);
    }

    #[test]
    fn random_bytes_are_never_more_than_not_read() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let mut bytes = random.bytes(64);
            if let Some(first) = bytes.first_mut() {
                *first %= 13;
            }
            let _ = Order::decode(&bytes); // Only that it returns is the claim.
            let _ = Answer::decode(&bytes); // As above.
        }
    }

    #[test]
    fn a_full_batch_takes_no_more_and_fits_a_message() {
        let name = "n".repeat(100);
        let mut batch = Batch::new();
        let taken = (0..1000).take_while(|slot| batch.add(&[entry(*slot, &name, "")])).count();
        assert_eq!(taken, MAX_BATCH);
        let pattern = "p".repeat(MAX_PATTERN);
        let mut batch = Batch::new();
        let taken = (0..1000).take_while(|slot| batch.add(&[entry(*slot, &name, &pattern)])).count();
        assert!(taken > 5 && batch.bytes().len() <= MAX_MESSAGE);
    }
}

//! Bytes to messages: a message ends with a NUL, and no message holds one.
//!
//! ```text
//!   push(bytes) ──▶ {"method":…}␀{"method":…}␀{"meth  ──▶ take(): one message, without its NUL
//!                   └─ waiting: 2 ──────────┘ └ tail
//! ```
//!
//! Whatever the other side sends, an inbox holds no more than its limits.

use std::fmt;

/// What an [`Inbox`] holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, without its NUL.
    pub message: usize,
    /// Whole messages that wait to be taken.
    pub waiting: usize,
    /// Bytes of everything that waits.
    pub total: usize,
}

/// What a server takes. The longest sensible call names some hundred units of 128 bytes; a client that sends
/// sixteen calls ahead is not slowed down by the round trips; two of the longest messages fit side by side.
pub const OF_A_CLIENT: Limits = Limits { message: 64 * 1024, waiting: 16, total: 128 * 1024 };

/// What a client takes: it trusts its server, which says at most some hundred bytes a unit, and only wants not
/// to eat a machine's memory when it talks to something else.
pub const OF_A_SERVER: Limits =
    Limits { message: 256 * 1024 * 1024, waiting: usize::MAX, total: 256 * 1024 * 1024 };

/// Which limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// A message is longer than this.
    Message(usize),
    /// More messages than this wait.
    Waiting(usize),
    /// More bytes than this wait.
    Total(usize),
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Overrun::Message(limit) => write!(f, "a message has more than {limit} bytes"),
            Overrun::Waiting(limit) => write!(f, "more than {limit} calls wait for their answer"),
            Overrun::Total(limit) => write!(f, "calls of more than {limit} bytes wait for their answer"),
        }
    }
}

impl std::error::Error for Overrun {}

/// What has come in and has not been taken.
#[derive(Debug)]
pub struct Inbox {
    limits: Limits,
    bytes: Vec<u8>,
    waiting: usize,
    tail: usize,
}

impl Inbox {
    /// An empty one, which has no memory yet.
    pub const fn new(limits: Limits) -> Inbox {
        Inbox { limits, bytes: Vec::new(), waiting: 0, tail: 0 }
    }

    /// Takes in what was read. After an error the stream has no meaning any more and must be closed.
    pub fn push(&mut self, read: &[u8]) -> Result<(), Overrun> {
        for part in read.split_inclusive(|byte| *byte == 0) {
            let ends = part.last() == Some(&0);
            self.tail += part.len() - usize::from(ends);
            if self.tail > self.limits.message {
                return Err(Overrun::Message(self.limits.message));
            }
            if ends {
                self.tail = 0;
                self.waiting += 1;
            }
        }
        if self.waiting > self.limits.waiting {
            return Err(Overrun::Waiting(self.limits.waiting));
        }
        if self.bytes.len() + read.len() > self.limits.total {
            return Err(Overrun::Total(self.limits.total));
        }
        self.bytes.extend_from_slice(read);
        Ok(())
    }

    /// How many whole messages wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The oldest whole message, which stays.
    pub fn peek(&self) -> Option<&[u8]> {
        let end = self.bytes.iter().position(|byte| *byte == 0)?;
        self.bytes.get(..end)
    }

    /// Takes the oldest whole message. When nothing is left, its memory is given back.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let end = self.bytes.iter().position(|byte| *byte == 0)?;
        let rest = self.bytes.split_off(end + 1);
        let mut message = std::mem::replace(&mut self.bytes, rest);
        message.truncate(end);
        self.waiting = self.waiting.saturating_sub(1);
        Some(message)
    }

    /// What it has allocated.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Inbox::new(self.limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits { message: 8, waiting: 3, total: 20 };

    fn drain(inbox: &mut Inbox) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| inbox.take()).collect()
    }

    #[test]
    fn messages_are_the_same_wherever_the_bytes_are_cut() {
        let stream = b"one\0two\0\0three\0";
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut inbox = Inbox::new(Limits { waiting: 4, ..SMALL });
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    inbox.push(part).unwrap();
                }
                assert_eq!(inbox.waiting(), 4);
                assert_eq!(drain(&mut inbox), [&b"one"[..], b"two", b"", b"three"], "{first} {second}");
            }
        }
    }

    #[test]
    fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
        let mut inbox = Inbox::new(SMALL);
        inbox.push(b"12345678").unwrap();
        assert_eq!(inbox.take(), None);
        inbox.push(b"\0").unwrap();
        assert_eq!(inbox.take().as_deref(), Some(&b"12345678"[..]));
        inbox.push(b"1234").unwrap();
        assert_eq!(inbox.push(b"56789"), Err(Overrun::Message(8)));
    }

    #[test]
    fn the_length_is_each_messages_own() {
        let mut inbox = Inbox::new(SMALL);
        inbox.push(b"1234567\0").unwrap();
        inbox.push(b"12345678\0").unwrap();
        assert_eq!(drain(&mut inbox).len(), 2);
    }

    #[test]
    fn more_messages_than_may_wait_are_an_overrun() {
        let mut inbox = Inbox::new(SMALL);
        inbox.push(b"\0\0\0").unwrap();
        assert_eq!(inbox.push(b"\0"), Err(Overrun::Waiting(3)));
        let mut inbox = Inbox::new(SMALL);
        inbox.push(b"\0\0\0").unwrap();
        inbox.take().unwrap();
        inbox.push(b"\0").unwrap();
    }

    #[test]
    fn more_bytes_than_may_wait_are_an_overrun() {
        let mut inbox = Inbox::new(SMALL);
        inbox.push(b"12345678\x001234567\0").unwrap();
        assert_eq!(inbox.push(b"1234"), Err(Overrun::Total(20)));
    }

    #[test]
    fn what_was_taken_leaves_no_memory_behind() {
        let mut inbox = Inbox::new(OF_A_CLIENT);
        inbox.push(&[b'x'; 60_000]).unwrap();
        inbox.push(b"\0").unwrap();
        inbox.take().unwrap();
        assert_eq!(inbox.memory(), 0);
    }

    #[test]
    fn random_bytes_in_random_pieces_come_out_as_they_went_in() {
        let mut state = 0x5eed_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap()
        };
        for _ in 0..200 {
            let stream: Vec<u8> = (0..random() % 300).map(|_| (random() % 5) as u8).collect();
            let mut inbox = Inbox::new(Limits { message: 300, waiting: 300, total: 300 });
            let mut messages = Vec::new();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(1 + random() % rest.len());
                inbox.push(part).unwrap();
                if random() % 2 == 0 {
                    messages.extend(inbox.take());
                }
                rest = behind;
            }
            messages.extend(drain(&mut inbox));
            let mut expected: Vec<&[u8]> = stream.split(|byte| *byte == 0).collect();
            expected.pop();
            assert_eq!(messages, expected);
        }
    }

    #[test]
    fn each_overrun_is_one_sentence() {
        assert_eq!(Overrun::Message(8).to_string(), "a message has more than 8 bytes");
        assert_eq!(Overrun::Waiting(3).to_string(), "more than 3 calls wait for their answer");
        assert_eq!(Overrun::Total(9).to_string(), "calls of more than 9 bytes wait for their answer");
    }
}

//! One client, as the server sees it: what it sent, what it waits for, what it has not read yet.
//!
//! ```text
//!   Open ── it sent all it will ──▶ Ended ──┐ answers given and read
//!    │                                      ├──▶ finished
//!    ├─ we have last words ──▶ Closing ─────┤ read, or too late
//!    └─ it is gone ──▶ Gone ────────────────┘ its oneway calls handed on
//! ```
//!
//! Calls of one client are served one after the other, as Varlink wants it: answers bear no number. `Abandon` alone
//! overtakes: it is meant for the call that is being served.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::error::MethodError;
use super::framing::{Inbox, OF_A_CLIENT};
use super::method::Method;
use super::policy::{Access, Peer};
use super::protocol::{self, Continues, Replies, Request, Target};
use crate::model::Moment;
use crate::sys::poll::Interest;

/// What may lie unread for one client. An event has some 200 bytes: a reader may fall 5,000 events behind.
/// A single answer may be larger, when nothing else lies there: a list of 10,000 units is.
pub(super) const OUTPUT_LIMIT: usize = 1024 * 1024;

/// How much may lie unread for one client before it misses news of how its change gets on: some 300 of them. What
/// comes last always finds room behind them.
pub(super) const PROGRESS_LIMIT: usize = 64 * 1024;

/// How long a client may take to say something whole for the first time: a program needs no time for it, and a
/// place is free again soon after somebody who only connects has taken it.
pub(super) const GREETING_TIME: Duration = Duration::from_secs(30);

/// How long a client that waits for nothing may stay silent, and one that is sent something may not read it.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(60);

/// How much is read at once, and how often before others have their turn. Together they hold all that a socket
/// buffers (212,992 bytes), so that what a client sent before it went away is read in one go.
const CHUNK: usize = 8 * 1024;
const CHUNKS_PER_TURN: usize = 32;

/// Where a client is in its life, see above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It may send more.
    Open,
    /// It sent all it will, and still reads.
    Ended,
    /// It is told why it is sent away, and not listened to any more.
    Closing,
    /// It cannot be reached.
    Gone,
}

/// The call that is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serving {
    /// None.
    Nothing,
    /// A call, answered once it is done.
    Call(Replies),
    /// `Events`, until the client goes.
    Events,
}

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) peer: Peer,
    pub(super) access: Access,
    pub(super) life: Life,
    pub(super) serving: Serving,
    /// What the poller was told; `None` as long as it was told nothing.
    pub(super) registered: Option<Interest>,
    pub(super) inbox: Inbox,
    output: Output,
    /// The oldest message that waits was looked at, and has to wait.
    looked_ahead: bool,
    /// An `Abandon` overtook the call that is being served, and is answered behind it.
    owes_answer: bool,
    /// When it last said something whole or read something; `None`: since the time was last told.
    last_progress: Option<Moment>,
    /// How long it may go on without.
    patience: Duration,
}

impl Connection {
    /// A client that was just accepted.
    pub(super) fn new(stream: UnixStream, peer: Peer, access: Access) -> Connection {
        Connection {
            stream,
            peer,
            access,
            life: Life::Open,
            serving: Serving::Nothing,
            registered: None,
            inbox: Inbox::new(OF_A_CLIENT),
            output: Output::default(),
            looked_ahead: false,
            owes_answer: false,
            last_progress: None,
            patience: GREETING_TIME,
        }
    }

    /// Reads what is there.
    pub(super) fn receive(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..CHUNKS_PER_TURN {
            if self.life != Life::Open {
                return;
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => self.life = Life::Ended,
                Ok(length) => self.take_in(chunk.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.life = Life::Gone, // ECONNRESET and its like all say that nobody is there.
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8]) {
        if let Err(overrun) = self.inbox.push(bytes) {
            self.send_away(overrun.to_string());
        } else if bytes.contains(&0) {
            self.last_progress = None;
            self.patience = IDLE_TIME;
        }
    }

    /// Nothing of it is being served or waits to be.
    pub(super) fn is_idle(&self) -> bool {
        self.life == Life::Open && self.serving == Serving::Nothing && self.inbox.waiting() == 0
    }

    /// When it last said something whole or read something; `None`: since the time was last told.
    pub(super) fn last_progress(&self) -> Option<Moment> {
        self.last_progress
    }

    /// Says why, and listens no more. The call that is being served loses its answer.
    pub(super) fn send_away(&mut self, reason: String) {
        self.send(protocol::write_error(&MethodError::Disconnected(reason)));
        if self.life != Life::Gone {
            self.life = Life::Closing;
        }
        self.inbox.clear();
    }

    /// Puts something in line that is not the answer of a call. A client that has let too much lie is given up.
    pub(super) fn send(&mut self, message: Vec<u8>) {
        match self.life {
            Life::Closing | Life::Gone => {}
            Life::Open | Life::Ended => {
                if !self.output.push(message, OUTPUT_LIMIT) {
                    self.give_up();
                }
            }
        }
    }

    /// Puts the answer of a call in line, which is never too long: nothing lies before it but progress.
    pub(super) fn answer(&mut self, message: Vec<u8>) {
        if matches!(self.life, Life::Open | Life::Ended) {
            let _ = self.output.push(message, usize::MAX); // Everything has room below this limit.
        }
    }

    /// Puts news of the call that is being served in line; a client that reads too slowly misses them.
    pub(super) fn inform(&mut self, message: Vec<u8>) {
        if matches!(self.life, Life::Open | Life::Ended) {
            let _ = self.output.push(message, PROGRESS_LIMIT); // Missed, see above.
        }
    }

    /// Takes an `Abandon` that waits behind the call that is being served.
    pub(super) fn take_abandon(&mut self) -> bool {
        let waits = matches!(self.serving, Serving::Call(Replies::One | Replies::Many));
        if !waits || self.looked_ahead || self.owes_answer || self.life == Life::Closing {
            return false;
        }
        let Some(message) = self.inbox.peek() else { return false };
        self.looked_ahead = true;
        let Ok(Request { target: Ok(Target::Manager(Method::Abandon)), replies }) =
            protocol::read_request(message)
        else {
            return false;
        };
        self.take_message();
        self.owes_answer = replies != Replies::None;
        true
    }

    fn take_message(&mut self) -> Option<Vec<u8>> {
        self.looked_ahead = false;
        self.inbox.take()
    }

    /// Writes what the socket takes.
    pub(super) fn transmit(&mut self) {
        if self.life == Life::Gone || self.output.is_empty() {
            return;
        }
        match self.output.write_to(&mut self.stream) {
            Ok(0) => {}
            Ok(_) => self.last_progress = None,
            Err(_) => self.life = Life::Gone, // EPIPE and its like all say that nobody is there.
        }
    }

    /// Bytes that it has not read.
    pub(super) fn unread(&self) -> usize {
        self.output.len()
    }

    /// The oldest message that can be served now. Nobody gets a second answer before the first is on its way:
    /// that is what bounds the memory that answers take.
    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        if self.serving != Serving::Nothing || self.life == Life::Closing {
            return None;
        }
        self.transmit();
        if self.output.is_empty() || self.life == Life::Gone { self.take_message() } else { None }
    }

    /// Nothing is left to be done for it.
    pub(super) fn is_finished(&self) -> bool {
        match self.life {
            Life::Open => false,
            Life::Ended => {
                self.serving == Serving::Nothing && self.inbox.waiting() == 0 && self.output.is_empty()
            }
            Life::Closing => self.output.is_empty(),
            Life::Gone => self.inbox.waiting() == 0,
        }
    }

    /// What to wait for; `None` when it cannot be heard of any more and would only wake the loop for nothing.
    pub(super) fn interest(&self) -> Option<Interest> {
        match (self.life, self.output.is_empty()) {
            (Life::Gone, _) => None,
            (Life::Open, true) => Some(Interest::Read),
            (Life::Open, false) => Some(Interest::ReadWrite),
            (Life::Ended | Life::Closing, true) => Some(Interest::HangUp),
            (Life::Ended | Life::Closing, false) => Some(Interest::Write),
        }
    }

    /// Tells it the time: what it did since it was last told counts as done now.
    pub(super) fn note_time(&mut self, now: Moment) {
        self.last_progress.get_or_insert(now);
    }

    /// When it has used up its time; `None` while it waits for us: a call is never given up because its progress is not
    /// read. What a client that is gone left behind is due at once.
    pub(super) fn deadline(&self) -> Option<Moment> {
        if self.life == Life::Gone {
            return Some(Moment::default());
        }
        let waits_for_us = match self.serving {
            Serving::Call(_) => true,
            Serving::Events => self.output.is_empty(),
            Serving::Nothing => false,
        };
        if waits_for_us { None } else { self.last_progress.map(|moment| moment + self.patience) }
    }

    /// The call that was served is over.
    pub(super) fn served(&mut self) {
        if std::mem::take(&mut self.owes_answer) {
            self.answer(protocol::write_reply(&serde_json::json!({}), Continues::No));
        }
        self.serving = Serving::Nothing;
        self.last_progress = None;
    }

    /// What its buffers take.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.inbox.memory() + self.output.bytes.capacity()
    }

    /// Serves it no longer.
    pub(super) fn give_up(&mut self) {
        self.life = Life::Gone;
        self.inbox.clear();
        self.output = Output::default();
    }
}

/// What lies ready for one client. It has memory only while there is something.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    written: usize,
}

impl Output {
    fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// False when the message finds no room.
    #[must_use]
    fn push(&mut self, message: Vec<u8>, limit: usize) -> bool {
        if self.is_empty() {
            *self = Output { bytes: message, written: 0 };
            return true;
        }
        if self.len() + message.len() > limit {
            return false;
        }
        self.bytes.drain(..self.written);
        self.written = 0;
        self.bytes.extend_from_slice(&message);
        true
    }

    /// How many bytes went; 0 when the socket is full.
    fn write_to(&mut self, stream: &mut UnixStream) -> io::Result<usize> {
        let before = self.written;
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(self.written - before),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let written = self.written - before;
        *self = Output::default();
        Ok(written)
    }
}

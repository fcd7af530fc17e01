//! Out of the way of those who end: while many were told to, nobody reaps one by one.
//!
//! ```text
//!   told CROWD or more ──▶ the signals are not watched ── REST ──▶ all that came is taken at once ──▶ again, or watched
//! ```
//!
//! Each end wakes PID 1, which takes the processor from others that end. What is over is reaped a moment later, many at a
//! time. All but signals is answered as ever.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::model::Moment;
use crate::sys::poll::{Interest, Token};

use super::{Class, Init};

/// Fewer than these are reaped as they come: a stop in many steps waits for no rest between them.
const CROWD: usize = 8;

/// How long signals wait.
const REST: Duration = Duration::from_millis(1);

/// When the signals are looked at next; `None` while they are watched.
#[derive(Debug, Default)]
pub(super) struct Rest(Option<Moment>);

impl Rest {
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.0
    }
}

impl Init {
    /// Before the loop sleeps.
    pub(super) fn rest(&mut self) {
        let is_crowded = self.children.ending() >= CROWD;
        if self.rest.0.is_none() && is_crowded && self.watch_signals(Interest::HangUp) {
            self.rest.0 = Some(self.now + REST);
        }
    }

    /// Once the rest is over.
    pub(super) fn end_rest(&mut self) {
        if self.rest.0.is_none_or(|until| self.now < until) {
            return;
        }
        self.receive_signals();
        let is_crowded = self.children.ending() >= CROWD;
        // Where they cannot be watched again they are asked for, again and again.
        let goes_on = is_crowded || !self.watch_signals(Interest::Read);
        self.rest.0 = goes_on.then(|| self.now + REST);
    }

    fn watch_signals(&self, interest: Interest) -> bool {
        let token = Token::new(Class::Signals as u8, 0);
        self.poller.modify(self.signals.as_fd(), token, interest).is_ok()
    }
}

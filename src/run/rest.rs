//! Out of the way of those who end: while many were told to, nobody reaps one by one.
//!
//! ```text
//!   told CROWD or more ──▶ the signals are not watched ── AN_END each ──▶ all that came is taken at once ──▶ again, or watched
//! ```
//!
//! Each end wakes PID 1, which takes the processor from others that end. What is over is reaped when as much time has
//! passed as the ends themselves take, many at a time. All but signals is answered as ever.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::model::Moment;
use crate::sys::poll::{Interest, Token};

use super::{Class, Init};

/// Fewer than these are reaped as they come: a stop in many steps waits for no rest between them.
const CROWD: usize = 8;

/// What a processor has to do for an end, about; signals wait so long for each that is awaited.
const AN_END: Duration = Duration::from_micros(25);

/// Signals never wait longer.
const LONGEST: Duration = Duration::from_millis(50);

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
        let n_ending = self.children.ending();
        if self.rest.0.is_none() && n_ending >= CROWD && self.watch_signals(Interest::HangUp) {
            self.rest.0 = Some(self.now + length(n_ending));
        }
    }

    /// Once the rest is over.
    pub(super) fn end_rest(&mut self) {
        if self.rest.0.is_none_or(|until| self.now < until) {
            return;
        }
        self.receive_signals();
        let n_ending = self.children.ending();
        // Where they cannot be watched again they are asked for, again and again.
        let goes_on = n_ending >= CROWD || !self.watch_signals(Interest::Read);
        self.rest.0 = goes_on.then(|| self.now + length(n_ending.max(CROWD)));
    }

    fn watch_signals(&self, interest: Interest) -> bool {
        let token = Token::new(Class::Signals as u8, 0);
        self.poller.modify(self.signals.as_fd(), token, interest).is_ok()
    }
}

fn length(n_ending: usize) -> Duration {
    u32::try_from(n_ending).map_or(LONGEST, |n_ending| AN_END.saturating_mul(n_ending).min(LONGEST))
}

//! `[boot] watchdog`: the loop feeds the hardware watchdog for as long as it turns, and a shutdown has its whole time.
//!
//! ```text
//!   Sought ── the device is there ──▶ Fed ── a third of its timeout passes ──▶ Fed
//!     └─ not within 30 s ─▶ said          └─ a shutdown is ordered ──▶ Last: its deadline, and nobody feeds any more
//! ```

use std::path::Path;
use std::time::Duration;

use crate::model::Moment;
use crate::model::time::Spoken;
use crate::sys::watchdog::Watchdog;

use super::Init;

/// Where the kernel has it.
const DEVICE: &str = "/dev/watchdog";
/// Its driver may be a module that a chore loads.
const SOUGHT_FOR: Duration = Duration::from_secs(30);
/// Between two looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// What comes after a shutdown's deadline before the hardware ends it: the kernel's own way down.
const GRACE: Duration = Duration::from_secs(10);

/// How far it is with the watchdog.
#[derive(Debug)]
pub enum Guard {
    /// Nobody asks for one.
    None,
    /// It is not there yet.
    Sought {
        /// When it is looked for next.
        next: Moment,
        /// When nobody looks any more.
        until: Moment,
    },
    /// It is armed.
    Fed {
        /// The device.
        device: Watchdog,
        /// How often it is fed.
        every: Duration,
        /// When it is fed next.
        next: Moment,
    },
    /// It has the deadline of the shutdown, and resets a machine that is not down by then.
    Last {
        /// The device: closing it would end nothing, but nobody else shall have it.
        device: Watchdog,
    },
}

impl Guard {
    /// At boot.
    pub fn new(timeout: Option<Duration>, now: Moment) -> Guard {
        match timeout {
            Some(_) => Guard::Sought { next: now, until: now + SOUGHT_FOR },
            None => Guard::None,
        }
    }

    /// When it wants to be looked after.
    pub fn next_deadline(&self) -> Option<Moment> {
        match self {
            Guard::None | Guard::Last { .. } => None,
            Guard::Sought { next, .. } | Guard::Fed { next, .. } => Some(*next),
        }
    }
}

impl Init {
    /// The loop has come round.
    pub(super) fn tend_watchdog(&mut self) {
        let now = self.now;
        match &mut self.watchdog {
            Guard::Fed { device, every, next } if *next <= now => {
                *next = now + *every;
                let _ = device.feed(); // One that does not take it resets the machine, which nobody here can help.
            }
            Guard::Sought { next, until } if *next <= now => {
                (*next, _) = (now + LOOK_AGAIN, &until);
                let is_last = *until <= now;
                self.seek_watchdog(is_last);
            }
            _ => {}
        }
    }

    fn seek_watchdog(&mut self, is_last: bool) {
        let Some(timeout) = self.settings.boot.watchdog else { return };
        match Watchdog::open(Path::new(DEVICE)).and_then(|device| Ok((device.set(timeout)?, device))) {
            Ok((taken, device)) => {
                if taken != timeout {
                    self.say(&format!("the watchdog waits for {}, not {}", Spoken(taken), Spoken(timeout)));
                }
                let every = taken / 3;
                self.watchdog = Guard::Fed { device, every, next: self.now + every };
            }
            Err(error) if is_last => {
                self.watchdog = Guard::None;
                let words = format!("cannot arm '{DEVICE}': {}", super::boot::cause(&error));
                self.limitations.push(words.clone());
                self.say(&words);
            }
            Err(_) => {} // It is looked for again.
        }
    }

    /// A shutdown was ordered: from here on the device counts. Where it cannot wait for so long, the loop goes on feeding it.
    pub(super) fn leave_to_watchdog(&mut self, by: Moment) {
        let wanted = by.since(self.now) + GRACE;
        self.watchdog = match std::mem::replace(&mut self.watchdog, Guard::None) {
            Guard::Fed { device, every, next } => match device.set(wanted) {
                Ok(taken) if taken >= wanted => Guard::Last { device },
                _ => Guard::Fed { device, every, next },
            },
            other => other,
        };
    }
}

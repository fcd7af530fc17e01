//! What the wrapper does next: signals, ends and deadlines in, orders out. It knows no clock and no system call.
//!
//! ```text
//!             signal ▸ forward, hold back (--drain), stop as the child does
//!           ┌────────┐  the child ended   ┌─────────┐  deadline, or hurry   ┌─────────┐
//!           │Watching│ ─────────────────▶ │ Parting │ ────────────────────▶ │ Killing │
//!           └────────┘  somebody is left  └─────────┘                       └─────────┘
//!                │ nobody is, or no grace      │ nobody is left                  │ or a second later
//!                └─────────────────────────────┴────── Leave(status) ◀───────────┘
//! ```

use std::time::Duration;

use super::settings::{Remaps, Rewrites, Rewritten, Settings, Stand, Target};
use crate::model::{ExitStatus, Moment, Signal};

/// How long those that were killed have to be gone. Only who hangs in the kernel is not.
const KILLED: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Send it to the child, or to its group.
    Send(Target, Signal),
    /// It came, and goes to nobody.
    Drop(Signal),
    /// It is held back.
    Hold,
    /// Send it to everybody below, and CONT after what asks for an end.
    SendAll(Signal),
    /// Stop this process, as the child is.
    Suspend,
    /// Give the child the terminal back, if it is ours again, and wake its group.
    Resume,
    /// End with this status.
    Leave(u8),
}

/// At most so many at once, in this order.
pub(super) type Orders = [Option<Order>; 3];

const NOTHING: Orders = [None; 3];

/// Is somebody left below this process?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Children, or children of theirs that became ours.
    Somebody,
    /// Nobody.
    Nobody,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The child runs. TERM may be held back until a moment, and we may have stopped because the child did.
    Watching { held: Option<Moment>, suspended: Suspended },
    /// It ended with this status; the others have until then.
    Parting { status: u8, until: Moment },
    /// They were killed.
    Killing { status: u8, until: Moment },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspended {
    No,
    AsTheChild,
}

/// Watches over one child.
#[derive(Debug)]
pub(super) struct Shepherd {
    stand: Stand,
    target: Target,
    rewrites: Rewrites,
    remaps: Remaps,
    drain: Duration,
    drained: Drained,
    grace: Duration,
    state: State,
}

/// Was TERM held back already? It is once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    NotYet,
    Once,
}

impl Shepherd {
    /// One whose child runs.
    pub(super) fn new(settings: &Settings) -> Shepherd {
        Shepherd {
            stand: settings.stand,
            target: settings.target,
            rewrites: settings.rewrites.clone(),
            remaps: settings.remaps.clone(),
            drain: settings.drain,
            drained: Drained::NotYet,
            grace: settings.grace,
            state: State::Watching { held: None, suspended: Suspended::No },
        }
    }

    /// When [`Shepherd::tick`] is due; `None`: never.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Watching { held, .. } => held,
            State::Parting { until, .. } | State::Killing { until, .. } => Some(until),
        }
    }

    /// This signal came; SIGCHLD never does.
    pub(super) fn signalled(&mut self, now: Moment, signal: Signal) -> Orders {
        let hurries = matches!(signal, Signal::TERM | Signal::INT);
        match self.state {
            State::Parting { status, .. } if hurries => self.kill(now, status),
            State::Parting { .. } | State::Killing { .. } => [Some(Order::Drop(signal)), None, None],
            State::Watching { held, suspended: Suspended::AsTheChild } if signal == Signal::CONT => {
                self.state = State::Watching { held, suspended: Suspended::No };
                [Some(Order::Resume), None, None]
            }
            State::Watching { held: Some(_), suspended } if hurries => {
                self.state = State::Watching { held: None, suspended };
                let own = (signal != Signal::TERM).then(|| self.forward(signal));
                [Some(self.forward(Signal::TERM)), own, None]
            }
            State::Watching { held: None, suspended }
                if signal == Signal::TERM && self.drained == Drained::NotYet && !self.drain.is_zero() =>
            {
                self.drained = Drained::Once;
                self.state = State::Watching { held: Some(now + self.drain), suspended };
                [Some(Order::Hold), None, None]
            }
            State::Watching { .. } => {
                let stops = self.stand != Stand::Group && [20, 21, 22].contains(&signal.number());
                [Some(self.forward(signal)), stops.then_some(Order::Suspend), None]
            }
        }
    }

    /// The child was stopped by this signal. Whoever started us notices that only if we stop too.
    pub(super) fn child_stopped(&mut self) -> Orders {
        match self.state {
            State::Watching { held, .. } if self.stand == Stand::Group => {
                self.state = State::Watching { held, suspended: Suspended::AsTheChild };
                [Some(Order::Suspend), None, None]
            }
            _ => NOTHING,
        }
    }

    /// The child ended, and all that can be reaped is.
    pub(super) fn child_ended(&mut self, now: Moment, status: ExitStatus, left: Left) -> Orders {
        let code = self.remaps.of(status.as_exit_code());
        let leave = Some(Order::Leave(code));
        match (left, self.grace.is_zero()) {
            (_, true) | (Left::Nobody, false) => [leave, None, None],
            (Left::Somebody, false) => {
                self.state = State::Parting { status: code, until: now + self.grace };
                [Some(Order::SendAll(Signal::TERM)), None, None]
            }
        }
    }

    /// What the rest of the child's group gets before it is known how the child ended; as dumb-init has it.
    pub(super) fn farewell(&self) -> Option<Order> {
        (self.stand != Stand::Group && self.grace.is_zero()).then(|| self.forward(Signal::TERM))
    }

    /// Some child was reaped, and this is who is left.
    pub(super) fn reaped(&mut self, left: Left) -> Orders {
        match (self.state, left) {
            (State::Parting { status, .. } | State::Killing { status, .. }, Left::Nobody) => {
                [Some(Order::Leave(status)), None, None]
            }
            // Somebody may have begun another while everybody was killed.
            (State::Killing { .. }, Left::Somebody) => [Some(Order::SendAll(Signal::KILL)), None, None],
            (State::Parting { .. }, Left::Somebody) | (State::Watching { .. }, _) => NOTHING,
        }
    }

    /// It is `now`.
    pub(super) fn tick(&mut self, now: Moment) -> Orders {
        match self.state {
            State::Watching { held: Some(until), suspended } if until <= now => {
                self.state = State::Watching { held: None, suspended };
                [Some(self.forward(Signal::TERM)), None, None]
            }
            State::Parting { status, until } if until <= now => self.kill(now, status),
            State::Killing { status, until } if until <= now => [Some(Order::Leave(status)), None, None],
            State::Watching { .. } | State::Parting { .. } | State::Killing { .. } => NOTHING,
        }
    }

    fn kill(&mut self, now: Moment, status: u8) -> Orders {
        self.state = State::Killing { status, until: now + KILLED };
        [Some(Order::SendAll(Signal::KILL)), None, None]
    }

    fn forward(&self, signal: Signal) -> Order {
        match self.rewrites.of(signal) {
            Rewritten::Not => Order::Send(self.target, signal),
            Rewritten::To(other) => Order::Send(self.target, other),
            Rewritten::Dropped => Order::Drop(signal),
        }
    }
}

#[cfg(test)]
#[path = "shepherd_tests.rs"]
mod tests;

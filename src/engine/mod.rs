//! WHAT HAPPENS NEXT: events in, effects out. Pure: no clock, no process, no I/O.
//!
//! ```text
//!              ┌────────────────────── Engine ──────────────────────┐
//!   Event ───▶ │ transition: (state, event) → state                 │ ───▶ Effect
//!   (now)      │ propagation: a queue of units whose state changed  │
//!              │ transactions: requests that wait for their answer  │
//!              └────────────────────────────────────────────────────┘
//! ```

pub mod effect;
pub mod event;
pub mod failure;
pub mod state;

pub use effect::{Effect, NextRun, Reason, Scope};
pub use event::{Dependents, Event, Finding, Request, RequestId, Role, Shutdown, UnitId};
pub use failure::{Failure, Outcome, Refusal};
pub use state::Phase;

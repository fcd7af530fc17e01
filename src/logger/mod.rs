//! The logger process: output of units in, console out.
//!
//! ```text
//!   service ──▶ pipe ══════════════════════════▶ logger ──▶ console
//!                ║ both ends stay open in PID 1    │  └───▶ tails (memfd) ──▶ PID 1, for `why` and failures
//!   PID 1 ───────╨── control (seqpacket) ──────────┘
//! ```
//!
//! PID 1 reads no output. When the logger dies, what is in the pipes waits there for the next one; when
//! the console blocks, lines are dropped and counted, and no service ever waits for it.

mod lines;
mod protocol;
#[cfg(test)]
pub(crate) mod random;
mod render;
mod tails;

/// A unit's place in the logger's tables: the same number as its place in the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

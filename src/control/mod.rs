//! How one talks to a running sexton: Varlink over a Unix socket.
//!
//! ```text
//!   client ──┐  JSON, NUL-ended                    ┌── server (inside PID 1, never blocks)
//!            └── protocol: framing, calls, replies ─┘
//!                wire: what is said of units
//! ```

pub mod wire;

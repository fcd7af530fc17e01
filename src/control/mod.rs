//! How one talks to a running sexton: Varlink over a Unix socket.
//!
//! ```text
//!   client ── bytes ──▶ framing ── a message ──▶ protocol ── a Method ──▶ server ── a Call ──▶ run
//!     ▲                                             │                       │
//!     └────────────── a reply, JSON, NUL-ended ◀────┴── wire, MethodError ◀─┘
//! ```
//!
//! `wire`, `error`, `method`, `framing`, `protocol`, `policy` and `description` are pure: the server inside
//! PID 1 (`server`, `connection`) and the client of the command line (`client`) both speak by way of them; so does `gateway`,
//! by which the host of a virtual machine comes in.

pub mod client;
pub mod description;
pub mod error;
pub mod framing;
pub mod gateway;
pub mod method;
pub mod policy;
pub mod protocol;
pub mod server;
pub mod wire;

mod connection;
mod listener;

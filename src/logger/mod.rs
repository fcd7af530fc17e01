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

pub mod client;
mod console;
mod feed;
pub mod file;
mod lines;
mod link;
mod memory;
mod outlet;
mod process;
mod protocol;
#[cfg(test)]
pub(crate) mod random;
pub(crate) mod record;
pub(crate) mod render;
mod route;
mod source;
mod stamp;
mod tails;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};

use crate::model::Signal;
use crate::sys::signals::SignalFd;
use crate::sys::{limits, signals};

/// As what sexton's own messages stand on the console.
const OWN_NAME: &str = "sexton";
/// No unit has this place.
const OWN_SLOT: Slot = Slot(u32::MAX);

/// A line of sexton itself, as a record.
fn own_record<'a>(time: &'a str, text: &'a str) -> record::Record<'a> {
    let (stream, ending) = (protocol::Stream::Error.as_str(), lines::Ending::Whole);
    record::Record { time, unit: OWN_NAME, pid: None, stream, text: text.as_bytes(), ending }
}

/// A unit's place in the logger's tables: the same number as its place in the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The logger process, from its start to its exit status. `control` and `tails` are what
/// [`client::LogPipes::parts`] gave it. No signal but KILL ends it before PID 1 does; whoever starts it leaves
/// all signals blocked, so that there is no moment in which one could.
pub fn main(control: OwnedFd, tails: Option<OwnedFd>) -> u8 {
    // Without either it works as well, until a signal comes or there are more pipes than descriptors.
    let _ = (signals::block_all(), limits::raise_descriptors());
    // It works for all services, who wait for it when their pipes are full. Whoever may not go first waits in turn.
    let _ = limits::go_first(10);
    let sink = console::Sink::open(protocol::Stream::Output);
    let surface = console::surface_of(&sink);
    let console = console::Console::new(sink, surface);
    let memory = tails.map(|fd| memory::Memory::new(File::from(fd)));
    let signals = SignalFd::of(&[Signal::HUP]).ok(); // Without it only PID 1 can retire it.
    // A thousand pipes are not closed one by one: they go with the process. Only the line to PID 1 is, when this
    // returns, for that is how PID 1 learns that all is written.
    let logger = process::Logger::new(control.as_fd(), signals, memory, console).map(ManuallyDrop::new);
    let ended = logger.and_then(|mut logger| logger.run());
    u8::from(ended.is_err())
}

//! CONNECTS: boot, the event loop, performing effects.

pub mod children;
pub mod directory;
pub mod environment;
pub mod load;
pub mod notify;
pub mod readiness;

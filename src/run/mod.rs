//! CONNECTS: boot, the event loop, performing effects.

pub mod load;
pub mod notify;
pub mod readiness;

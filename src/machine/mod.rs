//! The init of a machine: what has to be there before units, what is done once at boot, and how it ends.
//!
//! ```text
//!   early ──▶ (initramfs with root=: switch_root ──▶ the real init)        in PID 1, before its loop
//!     └─▶ the loop ──▶ `base` and its chores, units as all others          helper processes: `sexton chore NAME`
//!           └─▶ ending: swap, mounts, devices, sync, reboot(2)             copies of PID 1, each with a bound
//! ```
//!
//! A chore may block: it is a process of its own. PID 1 waits for none.

pub mod chores;
pub mod console;
pub mod early;
pub mod ending;
pub mod firmware;
pub mod fstab;
pub mod modules;
pub mod mount_table;
pub mod programs;
pub mod state;
pub mod switch_root;
pub mod text;
pub mod units;
pub mod volumes;

/// Where a machine's own state lies that is to survive a boot.
pub const STATE: &str = "/var/lib/sexton";

/// Where it lies until the machine ends.
pub const RUN: &str = "/run/sexton";

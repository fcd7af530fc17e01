//! The release binary as `/sbin/init` of a real kernel: User-Mode Linux for what is quick, QEMU for what takes a machine.
//!
//! ```text
//!   tree ── archive, ext4, squashfs ──▶ machine ── kernel ──▶ console, channel, monitor
//!   boots   stops   kept   chores   troubles   resources   app   places   rescue   watchdog   gateway     what is shown, one theme a file
//! ```
//!
//! What has to be there: the packages that `scripts/test` names, and `vm-tests/fetch-kernels`.

#![allow(unreachable_pub, reason = "a test has no outside: `pub` says what its modules offer each other")]

#[path = "../tests/it/harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is the integration tests', and the machines need a part of it"
)]
mod harness;

mod app;
mod archive;
mod boots;
mod channel;
mod chores;
mod gateway;
mod kept;
mod kernel;
mod machine;
mod places;
mod rescue;
mod resources;
mod stops;
mod tree;
mod troubles;
mod vm;
mod watchdog;

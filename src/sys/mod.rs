//! WHAT THE KERNEL DOES: the only place of `unsafe`. It decides nothing.
//!
//! ```text
//!   call     the one way from -1 to io::Result        clock    Moment, wall clock
//!   poll     epoll                                    socket   Unix and TCP sockets, descriptors in messages
//!   handover many descriptors in one message
//! ```
//!
//! Every descriptor is an `OwnedFd` from birth and close-on-exec from birth.
#![allow(
    unsafe_code,
    reason = "this is the one place where sexton speaks to the kernel past the type system"
)]

pub mod accounts;
pub mod allocator;
pub mod arguments;
mod call;
mod child;
pub mod clock;
mod close_on_exec;
mod digits;
pub mod dirs;
pub mod entries;
pub mod entry;
mod exec_words;
mod fault;
pub mod files;
#[cfg(test)]
mod global_tests;
pub mod handover;
#[cfg(test)]
mod isolated;
pub mod kill;
pub mod left_behind;
pub mod limits;
pub mod machine;
pub mod memory;
mod message;
pub mod namespace;
#[cfg(all(panic = "abort", target_env = "musl", not(test), not(debug_assertions)))]
mod no_unwinding;
pub mod only_child;
pub mod password;
pub mod pending;
pub mod pidfd;
mod pieces;
pub mod pipe;
pub mod poll;
pub mod process;
pub mod processes;
pub mod reap;
pub mod replace;
mod security;
pub mod shared;
mod shelf;
pub mod signals;
pub mod sigwait;
pub mod socket;
pub mod spawn;
mod stack;
pub mod standard;
mod subjects;
pub mod terminal;
pub mod vsock;
pub mod walk;
pub mod watchdog;
pub mod worker;

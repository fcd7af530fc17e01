//! The integration tests: the release binary as the real PID 1 of namespaces of its own, one suite a file.
//!
//! They need what `scripts/test` builds and installs, and say what is missing.

#![allow(unreachable_pub, reason = "a test has no outside: `pub` says what its modules offer each other")]

mod harness;

mod carried;
mod chart;
mod command;
mod configtest;
mod control;
mod daemons;
mod disk;
mod essential;
mod faults;
mod filters;
mod foreign;
mod groups;
mod health;
mod held;
mod hostile;
mod library;
mod log_bounds;
mod log_settings;
mod log_takeover;
mod logs;
mod manifests;
mod overlap;
mod pre_stop;
mod process;
mod progress;
mod readiness;
mod reaping;
mod reload;
mod render;
mod restart;
mod selfcheck;
mod stopping;
mod surroundings;
mod wrapper;

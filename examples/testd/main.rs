//! The daemon of the tests: does, in order, what its arguments say; no part of what is shipped.
//!
//! ```text
//!   testd mark order.txt redis  listen tcp 127.0.0.1:6379  notify READY=1  wait
//!   testd chamber --info pid.txt -- sexton up units     PROGRAM becomes PID 1 of new namespaces
//! ```
//!
//! `actions.rs` lists what it can do. A word that it does not know ends it with code 2.

#![allow(unreachable_pub, reason = "a program has no outside: `pub` says what its modules offer each other")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stderr,
    clippy::exit,
    unsafe_code,
    reason = "a program that misbehaves on purpose: it forks, sleeps, waits and exits as daemons do"
)]

mod actions;
mod chamber;
mod facts;

use std::process::exit;

fn main() {
    facts::restore_sigpipe();
    let mut arguments: Vec<String> = std::env::args().collect();
    let name = arguments.drain(..1).next().unwrap_or_default();
    if name == "/app" && arguments.is_empty() {
        // The program of config/container/scratch, as it is called there.
        arguments = ["listen", "http", "127.0.0.1:8080", "200", "wait"].map(str::to_owned).into();
    }
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "chamber" => chamber::enter(rest),
        _ => actions::perform(&arguments),
    };
    if let Err(words) = outcome {
        eprintln!("testd: {words}");
        exit(2);
    }
}

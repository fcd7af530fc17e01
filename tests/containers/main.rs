//! The release binary as PID 1 of real containers: a Docker Engine of its own, and runc without one.
//!
//! ```text
//!   engine   dockerd in a scratch directory, an image FROM scratch, `docker …`, its end
//!   bundle   one directory for runc, run again and again: a tenth of a second each
//!   debian   an image of this machine's own files, where there is no registry to take one from
//!   status   stopping   places   probes   life   examples   terminal   wrapped     what is shown, one theme a file
//! ```
//!
//! All of it takes root, because the engine does. What is checked is seen from outside: by the engine, by the status of
//! runc, by the host's own list of processes.

#![allow(unreachable_pub, reason = "a test has no outside: `pub` says what its modules offer each other")]

#[path = "../it/harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is the integration tests', and the containers need a part of it"
)]
mod harness;

mod bundle;
mod debian;
mod engine;
mod examples;
mod life;
mod places;
mod probes;
mod status;
mod stopping;
mod terminal;
mod wrapped;

//! Runs the real binary as the real PID 1 of new namespaces, and asks it, watches it, hurts it and buries it.
//!
//! ```text
//!   Plan ── units, files, shell lines ──▶ boot ──▶ Machine ── commands inside, questions, signals ──▶ drop: gone
//! ```
//!
//! Nothing sleeps: what is awaited is asked for again and again until a deadline, by `until`.

pub mod inside;
pub mod machine;
pub mod pty;
pub mod wait;

use std::path::{Path, PathBuf};

pub use inside::{Facts, Finished};
pub use machine::{Machine, Plan};
pub use wait::{Deadline, until, within};

/// The binary under test: `SEXTON_BIN`, or where the release build puts it.
pub fn sexton() -> PathBuf {
    built("SEXTON_BIN", "sexton", "cargo build --release --target x86_64-unknown-linux-musl")
}

/// The daemon of the tests: `SEXTON_TESTD`, or where the release build puts it.
pub fn testd() -> PathBuf {
    built(
        "SEXTON_TESTD",
        "examples/testd",
        "cargo build --release --target x86_64-unknown-linux-musl --examples",
    )
}

/// The service that does nothing: says that it runs, and waits.
pub fn ticker() -> PathBuf {
    built(
        "SEXTON_TICKER",
        "examples/ticker",
        "cargo build --release --target x86_64-unknown-linux-musl --examples",
    )
}

pub fn built(variable: &str, name: &str, command: &str) -> PathBuf {
    let usual =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-musl/release").join(name);
    let path = std::env::var_os(variable).map_or(usual, PathBuf::from);
    assert!(path.exists(), "{} is not there; build it first: {command}", path.display());
    path
}

/// Fails with what to install when a program that a test needs is not on this machine.
pub fn needs(program: &str, package: &str) -> String {
    let places = std::env::var("PATH").unwrap_or_default();
    let places = places.split(':').chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"]);
    let found = places.map(|place| Path::new(place).join(program)).find(|path| path.is_file());
    let found =
        found.unwrap_or_else(|| panic!("{program} is not there; install it: apt-get install {package}"));
    found.display().to_string()
}

//! Tests of what is global to a process: each is run again alone, as PID 1 of a pid namespace of its own.
//!
//! Under the threads of a test run nobody may wait for all children, change signals or send them to
//! everybody.

use std::process::Command;

/// Says to the second run which test it is.
const MARK: &str = "SEXTON_ISOLATED_TEST";

/// Runs `body` as PID 1 of a new pid namespace, as root where this is run by root.
pub(super) fn as_pid_1(module: &str, test: &str, body: impl FnOnce()) {
    let user: &[&str] =
        if crate::sys::process::effective_uid() == 0 { &[] } else { &["--user", "--map-root-user"] };
    let unshare = [user, &["--fork", "--pid", "--mount-proc", "--"]].concat();
    again("unshare", &unshare, module, test, body);
}

/// Runs `body` as PID 1 of a new pid namespace, in a user namespace that knows nobody but root.
pub(super) fn as_pid_1_of_a_new_user(module: &str, test: &str, body: impl FnOnce()) {
    let unshare = ["--user", "--map-root-user", "--fork", "--pid", "--mount-proc", "--"];
    again("unshare", &unshare, module, test, body);
}

/// Runs `body` in a process of its own, started by `sh -c setup; exec "$@"`.
pub(super) fn alone_after(setup: &str, module: &str, test: &str, body: impl FnOnce()) {
    again("sh", &["-c", &format!("{setup}; exec \"$@\""), "sh"], module, test, body);
}

#[allow(
    clippy::disallowed_methods,
    reason = "the helper of a test is waited for by the test, by its own pid"
)]
fn again(starter: &str, arguments: &[&str], module: &str, test: &str, body: impl FnOnce()) {
    let name = format!("{module}::{test}");
    if std::env::var(MARK).is_ok_and(|mark| mark == name) {
        body();
        return;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new(starter)
        .args(arguments)
        .arg(this)
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(MARK, &name)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {starter} (package util-linux): {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    // A name that no test has would pass without having run.
    assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}{err}", output.status);
}

//! The comparison: the same broken file under Debian's own init script and under sexton, service after service.
//!
//! ```text
//!   a machine whose PID 1 only reaps ── /etc/init.d/NAME start ─▶ its client gets "one"
//!       ── broken file ── /etc/init.d/NAME restart ─▶ exit status; does its client still get "one"?
//! ```
//!
//! What sexton does with the same file is the story of the case: refused with 3, and its client still gets "one". The table
//! of docs/library.md is what was measured; `scripts/library` measures again and writes it.

use std::time::Duration;

use crate::case::Case;
use crate::harness::{Machine, wait::Deadline, wait::pause};
use crate::page::hold_row;
use crate::story::{asked, plan, put};

/// How long a daemon is waited for that an init script says it has started.
const STARTING: Duration = Duration::from_secs(30);

/// What became of a service.
struct Outcome {
    /// The exit status of a restart with a good file, and whether it serves after it.
    good: (i32, bool),
    /// The same with a broken one.
    broken: (i32, bool),
}

/// Does its client get the word? One that is only just starting is given time.
fn serves(case: &Case, machine: &Machine, patience: Duration) -> bool {
    let deadline = Deadline::after(patience);
    loop {
        if asked(machine, case.ask).all().contains(case.expected("one")) {
            return true;
        }
        if deadline.passed() {
            return false;
        }
        pause();
    }
}

/// Runs the init script as a person would, and gives its exit status.
fn script(case: &Case, machine: &Machine, verb: &str) -> i32 {
    machine
        .run(&[
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            &format!("/etc/init.d/{}", case.init),
            verb,
        ])
        .code
}

/// What the init script makes of a good file and of a broken one; nothing where it cannot even start the service.
fn measure(case: &Case) -> Option<Outcome> {
    let machine = plan(case).up();
    for line in case.init_setup {
        asked(&machine, line).expect(0);
    }
    script(case, &machine, "start");
    if !serves(case, &machine, STARTING) {
        return None;
    }
    let code = script(case, &machine, "restart");
    let good = (code, serves(case, &machine, STARTING));
    let (Some((path, _)), Some((text, _))) = (case.config, case.broken.first()) else { return None };
    put(&machine, path, text);
    let code = script(case, &machine, "restart");
    // It was up a moment ago: whoever does not answer for this long is down.
    Some(Outcome { good, broken: (code, serves(case, &machine, Duration::from_secs(8))) })
}

fn words((code, serves): (i32, bool)) -> String {
    format!("{}, exit {code}", if serves { "up" } else { "**down**" })
}

/// Holds the row of the service to what is measured.
pub fn compare(case: &Case) {
    let line = match measure(case) {
        Some(outcome) => format!(
            "| {} | {} | {} | up, exit 0 | up, exit 3 |",
            case.init,
            words(outcome.good),
            words(outcome.broken)
        ),
        None => format!("| {} | never up | – | up, exit 0 | up, exit 3 |", case.init),
    };
    hold_row(case.init, &line);
}

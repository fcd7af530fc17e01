//! The comparison: the same broken file under Debian's own init script and under sexton, service after service.
//!
//! ```text
//!   a machine whose PID 1 only reaps ── /etc/init.d/NAME start ─▶ its client gets "one"
//!       ── broken file ── /etc/init.d/NAME restart ─▶ exit status; does its client still get "one"?
//! ```
//!
//! Beside it the same with `sexton restart` and the library's unit, in another machine; a service that is down there fails the
//! test. The table of docs/library.md is what was measured; `scripts/library` measures again and writes it.

use std::time::Duration;

use crate::case::{Case, unit_text};
use crate::harness::{Machine, wait::Deadline, wait::pause};
use crate::page::hold_row;
use crate::story::{PATIENCE, asked, plan, put};

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

/// A restart with a good file and one with a broken one; nothing where the service cannot even be started.
fn measure(case: &Case, machine: &Machine, verb: impl Fn(&str) -> i32) -> Option<Outcome> {
    verb("start");
    if !serves(case, machine, STARTING) {
        return None;
    }
    let code = verb("restart");
    let good = (code, serves(case, machine, STARTING));
    let (Some((path, _)), Some((text, _))) = (case.config, case.broken.first()) else { return None };
    put(machine, path, text);
    let code = verb("restart");
    // It was up a moment ago: whoever does not answer for this long is down.
    Some(Outcome { good, broken: (code, serves(case, machine, Duration::from_secs(8))) })
}

/// What Debian's own script makes of it.
fn by_script(case: &Case) -> Option<Outcome> {
    let machine = plan(case).up();
    for line in case.init_setup {
        asked(&machine, line).expect(0);
    }
    measure(case, &machine, |verb| script(case, &machine, verb))
}

/// What sexton makes of it.
fn by_sexton(case: &Case) -> Option<Outcome> {
    let beside = case.beside.iter().fold(plan(case), |plan, file| plan.unit(file, &unit_text(file)));
    let machine = beside.unit(case.file, &case.text()).up();
    machine.await_state_within(PATIENCE, case.unit, "ready");
    measure(case, &machine, |verb| machine.sexton(&[verb, case.unit]).code)
}

fn words((code, serves): (i32, bool)) -> String {
    format!("{}, exit {code}", if serves { "up" } else { "**down**" })
}

/// Holds the row of the service to what is measured.
pub fn compare(case: &Case) {
    // Both spend their time waiting, so they do it side by side.
    let (ours, theirs) = std::thread::scope(|both| {
        let theirs = both.spawn(|| by_script(case));
        (by_sexton(case), theirs.join())
    });
    let Some(ours) = ours else { panic!("sexton cannot start {}", case.unit) };
    let Ok(theirs) = theirs else { panic!("the script of {} cannot be measured", case.init) };
    assert!(ours.good == (0, true), "sexton, good file: {}", words(ours.good));
    assert!(ours.broken.1 && ours.broken.0 != 0, "sexton, broken file: {}", words(ours.broken));
    let theirs = match theirs {
        Some(theirs) => format!("{} | {}", words(theirs.good), words(theirs.broken)),
        None => "never up | –".to_owned(),
    };
    hold_row(case.init, &theirs, &format!("{} | {}", words(ours.good), words(ours.broken)));
}

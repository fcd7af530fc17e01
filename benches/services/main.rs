//! How long sexton takes for 1, 100 and 1,000 services, and what it costs, beside a loop that does nothing else.
//!
//! ```text
//!   cargo bench --bench services [-- --quick] [-- --only-services] [-- --strict]
//! ```
//!
//! Both run as PID 1 of new namespaces and start the same service, which writes one byte to a pipe, holds the
//! pipe and waits. `start` is from the exec until all have written; `stop` from TERM until nobody holds the pipe
//! any more, which is until the last service has ended; `gone` from TERM until PID 1 itself has ended, its
//! namespaces are taken down and its parent knows.
//! Rounds alternate, so that whatever else the machine does befalls all of them; medians are printed.

#![allow(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "a program for a person: it starts processes, waits for them and prints"
)]

mod report;
mod run;

use report::{Goals, median};
use run::{Bench, Measured, Subject};

/// What is measured for one number of services, one entry a subject.
struct Row {
    subject: Subject,
    runs: Vec<Measured>,
}

impl Row {
    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.runs.iter().map(of).collect())
    }
}

fn main() {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    let quick = has("--quick");
    let bench = Bench::new();
    let subjects = bench.subjects();
    let mut goals = Goals::new();

    println!(
        "{:>8}  {:<18} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7} {:>9} {:>12}",
        "services",
        "",
        "start ms",
        "×floor",
        "stop ms",
        "×floor",
        "gone ms",
        "×floor",
        "first ms",
        "private KiB"
    );
    let mut one = 0.0;
    for (count, rounds) in [(1, 41), (100, 41), (1000, 21)] {
        let rows = measure(&bench, &subjects, count, if quick { 3 } else { rounds });
        let private = print_rows(count, &rows, &mut goals);
        match count {
            1 => one = private,
            1000 => goals.at_most("private KiB a service, 1 → 1,000", (private - one) / 999.0, 1.2),
            _ => {}
        }
    }
    if !has("--only-services") {
        restarts(&bench, &subjects, if quick { 10 } else { 50 }, &mut goals);
        orphans(&bench, &subjects, if quick { 1 } else { 5 }, &mut goals);
    }
    let resident: Vec<f64> = (0..3).map(|_| bench.resident_without_units()).collect();
    goals.at_most("KiB resident with no units", median(resident), 1024.0);
    goals.at_most("KiB of the binary", bench.binary_kib(), size_budget_kib());
    let missed = goals.print();
    assert!(!(has("--strict") && missed > 0), "{missed} goals were missed");
}

/// What `scripts/test` lets the binary have.
fn size_budget_kib() -> f64 {
    let lines = include_str!("../../scripts/test").lines();
    let bytes =
        lines.filter_map(|line| line.strip_prefix("size_budget=")).find_map(|bytes| bytes.parse().ok());
    bytes.map_or(f64::NAN, |bytes: f64| bytes / 1024.0)
}

fn measure(bench: &Bench, subjects: &[Subject], count: usize, rounds: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = subjects.iter().map(|s| Row { subject: *s, runs: Vec::new() }).collect();
    for _ in 0..rounds {
        for row in &mut rows {
            row.runs.push(bench.services(row.subject, count));
        }
    }
    rows
}

/// Prints one number of services and judges it; answers the private memory of the template's run.
fn print_rows(count: usize, rows: &[Row], goals: &mut Goals) -> f64 {
    let floor = |of: fn(&Measured) -> f64| {
        let floors = rows.iter().filter(|row| row.subject.is_floor());
        floors.map(|row| row.median(of)).fold(f64::INFINITY, f64::min)
    };
    let (start_floor, stop_floor) = (floor(|m| m.start_ms), floor(|m| m.stop_ms));
    let gone_floor = floor(|m| m.gone_ms);
    let mut private = 0.0;
    for row in rows {
        let (start, stop) = (row.median(|m| m.start_ms), row.median(|m| m.stop_ms));
        let gone = row.median(|m| m.gone_ms);
        let (first, memory) = (row.median(|m| m.first_ms), row.median(|m| m.private_kib));
        println!(
            "{count:>8}  {:<18} {start:>9.2} {:>7.2} {stop:>9.2} {:>7.2} {gone:>9.2} {:>7.2} {first:>9.3} {memory:>12.0}",
            row.subject.name(),
            start / start_floor,
            stop / stop_floor,
            gone / gone_floor
        );
        if row.subject.is_floor() {
            continue;
        }
        if row.subject == Subject::Template {
            private = memory;
        }
        match count {
            1 => goals.at_most(&format!("ms to the first service, {}", row.subject.name()), first, 1.5),
            _ => {
                goals.at_most(
                    &format!("× floor to start {count}, {}", row.subject.name()),
                    start / start_floor,
                    1.2,
                );
                goals.at_most(
                    &format!("× floor to stop {count}, {}", row.subject.name()),
                    stop / stop_floor,
                    1.1,
                );
            }
        }
    }
    private
}

fn restarts(bench: &Bench, subjects: &[Subject], kills: usize, goals: &mut Goals) {
    println!("\nkill -9 → replacement runs, median of {kills}");
    let mut floor = f64::INFINITY;
    let mut sexton = f64::INFINITY;
    for subject in subjects.iter().filter(|s| **s != Subject::Files) {
        let took = bench.restart_ms(*subject, kills);
        println!("          {:<18} {took:>9.3} ms", subject.name());
        if subject.is_floor() { floor = floor.min(took) } else { sexton = took }
    }
    goals.at_most("× floor from kill -9 to the replacement", sexton / floor, 1.5);
}

fn orphans(bench: &Bench, subjects: &[Subject], rounds: usize, goals: &mut Goals) {
    println!("\n20,000 orphans that end at once");
    let mut floor = f64::INFINITY;
    let mut sexton = f64::INFINITY;
    let mut measured: Vec<(Subject, Vec<(f64, f64)>)> =
        subjects.iter().filter(|s| **s != Subject::Files).map(|s| (*s, Vec::new())).collect();
    for _ in 0..rounds {
        for (subject, runs) in &mut measured {
            runs.push(bench.orphans(*subject, 20_000));
        }
    }
    for (subject, runs) in &measured {
        let cpu = median(runs.iter().map(|run| run.0).collect());
        let wall = median(runs.iter().map(|run| run.1).collect());
        println!("          {:<18} {cpu:>9.1} ms of CPU, gone after {wall:.0} ms", subject.name());
        if subject.is_floor() { floor = floor.min(cpu) } else { sexton = cpu }
    }
    goals.at_most("× floor's CPU for 20,000 orphans", sexton / floor, 1.0);
}

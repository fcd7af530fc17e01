//! What the boots showed, and how far sexton is from the best.

use crate::Boot;
use crate::kernel::Kernel;
use crate::subjects::{SERVICES, Subject};

/// One number of a boot.
type Figure = fn(&Boot) -> f64;

/// As many times as much as the best is as good.
const GOAL: f64 = 1.1;

fn median(subject: &Subject, of: Figure) -> f64 {
    let mut sorted: Vec<f64> = subject.boots.iter().map(of).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn best(subject: &Subject) -> f64 {
    subject.boots.iter().map(|boot| boot.microseconds).fold(f64::INFINITY, f64::min)
}

/// Two tables, and the goals under each.
pub fn print(kernel: Kernel, subjects: &[Subject]) {
    let boots = subjects.first().map_or(0, |subject| subject.boots.len());
    println!("{kernel:?}: {boots} boots each, in turns; medians; {SERVICES} services");
    for chores in [true, false] {
        let rows: Vec<&Subject> = subjects.iter().filter(|subject| subject.chores == chores).collect();
        println!(
            "\n{:<14} {:>8} {:>8} {:>11} {:>11} {:>11} {:>10}",
            if chores { "all chores" } else { "mounts only" },
            "ms",
            "best ms",
            "PID 1 own",
            "PID 1 Pss",
            "all of it",
            "processes"
        );
        for subject in &rows {
            let of = |of: Figure| median(subject, of);
            println!(
                "{:<14} {:>8.1} {:>8.1} {:>11.0} {:>11.0} {:>11.0} {:>10.0}",
                subject.name,
                of(|boot| boot.microseconds) / 1000.0,
                best(subject) / 1000.0,
                of(|boot| boot.own),
                of(|boot| boot.share),
                of(|boot| boot.whole),
                of(|boot| boot.processes)
            );
        }
        let fastest = rows.iter().filter(|row| !row.ours).min_by(|a, b| {
            let time = |row: &Subject| median(row, |boot| boot.microseconds);
            time(a).total_cmp(&time(b))
        });
        let (Some(fastest), Some(ours)) = (fastest, rows.iter().find(|row| row.ours)) else { continue };
        let compared: [(&str, Figure); 4] = [
            ("time", |boot| boot.microseconds),
            ("PID 1's share of memory", |boot| boot.share),
            ("PID 1's own memory", |boot| boot.own),
            ("memory of the whole init", |boot| boot.whole),
        ];
        for (what, of) in compared {
            let times = median(ours, of) / median(fastest, of);
            let judged = if times <= GOAL { "" } else { ", more than 1.1" };
            println!("{what}: {times:.2} times that of {}, the fastest of the others{judged}", fastest.name);
        }
    }
}

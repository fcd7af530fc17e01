//! The engine against random worlds: every run checks the laws of the engine on a simulated clock.
//!
//! A run is made from its seed alone. A failing one prints its seed, the end of its trace, and the command
//! that repeats it; its seed then joins [`REGRESSIONS`].

mod answers;
mod books;
mod chance;
mod changes;
mod files;
mod gate_books;
mod gate_touches;
mod gates;
mod graphs;
mod laws;
mod leftovers;
mod overlaps;
mod places;
mod processes;
mod promises;
mod scale;
mod starts;
mod stops;
mod wishes;
mod world;

use world::{Overlapping, Tracing, run};

/// Seeds that once found something, or that reach a corner others miss.
const REGRESSIONS: [u64; 27] = [
    112, 115, 132, 190, 1208, 2273, 2992, 3605, 5050, 8328, 9039, 11_201, 12_716, 15_083, 26_218, 50_002,
    144_175, 165_823, 197_506, 423_683, 427_443, 657_400, 148_181, 245_600, 320_496, 334_312, 335_269,
];

/// The same of worlds with units that are replaced while they serve.
const OVERLAP_REGRESSIONS: [u64; 22] = [
    12_157, 36_942, 52_191, 65_912, 67_851, 70_286, 76_931, 82_487, 95_721, 96_822, 111_328, 121_508,
    198_162, 217_336, 344_481, 371_519, 725_983, 823_052, 835_022, 987_996, 37_686, 940_895,
];

/// The runs are split over a few tests, so that they share the processors of the machine.
const RUNS_A_TEST: u64 = 25_000;

fn hold(overlapping: Overlapping, seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(violation) = run(seed, overlapping, Tracing::Off) {
            let trace = run(seed, overlapping, Tracing::On).err().map(|v| v.trace).unwrap_or_default();
            let tail = trace.len().saturating_sub(80);
            panic!(
                "seed {seed}: {}\n{}\nrepeat it: cargo run --release --example simulate -- --seed {seed} --runs 1{}",
                violation.words,
                trace[tail..].join("\n"),
                if overlapping == Overlapping::Some { " --overlaps" } else { "" }
            );
        }
    }
}

#[test]
fn the_laws_hold_for_the_seeds_that_once_broke_them() {
    hold(Overlapping::Never, REGRESSIONS.into_iter());
}

#[test]
fn the_laws_hold_in_the_first_quarter_of_a_hundred_thousand_worlds() {
    hold(Overlapping::Never, 0..RUNS_A_TEST);
}

#[test]
fn the_laws_hold_in_the_second_quarter_of_a_hundred_thousand_worlds() {
    hold(Overlapping::Never, RUNS_A_TEST..2 * RUNS_A_TEST);
}

#[test]
fn the_laws_hold_in_the_third_quarter_of_a_hundred_thousand_worlds() {
    hold(Overlapping::Never, 2 * RUNS_A_TEST..3 * RUNS_A_TEST);
}

#[test]
fn the_laws_hold_in_the_last_quarter_of_a_hundred_thousand_worlds() {
    hold(Overlapping::Never, 3 * RUNS_A_TEST..4 * RUNS_A_TEST);
}

#[test]
fn the_laws_hold_in_eight_thousand_worlds_with_overlapping_restarts() {
    hold(Overlapping::Some, (0..8_000).chain(OVERLAP_REGRESSIONS));
}

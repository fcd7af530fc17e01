//! Runs the engine's simulation from a seed: `cargo run --release --example simulate -- --seed 1 --runs 100000`.
//!
//! It is the same code as the test suite's; a failing seed is printed with its whole trace. With `--all` each is told
//! in a line, and the rest is looked at too.

#![allow(clippy::print_stdout, clippy::disallowed_macros, reason = "a command for people at a terminal")]

#[path = "../tests/simulation/answers.rs"]
mod answers;
#[path = "../tests/simulation/books.rs"]
mod books;
#[path = "../tests/simulation/chance.rs"]
mod chance;
#[path = "../tests/simulation/changes.rs"]
mod changes;
#[path = "../tests/simulation/files.rs"]
mod files;
#[path = "../tests/simulation/gate_books.rs"]
mod gate_books;
#[path = "../tests/simulation/gate_touches.rs"]
mod gate_touches;
#[path = "../tests/simulation/gates.rs"]
mod gates;
#[allow(dead_code, reason = "the test binary uses the rest")]
#[path = "../tests/simulation/graphs.rs"]
mod graphs;
#[path = "../tests/simulation/laws.rs"]
mod laws;
#[path = "../tests/simulation/leftovers.rs"]
mod leftovers;
#[path = "../tests/simulation/overlaps.rs"]
mod overlaps;
#[path = "../tests/simulation/places.rs"]
mod places;
#[path = "../tests/simulation/processes.rs"]
mod processes;
#[path = "../tests/simulation/promises.rs"]
mod promises;
#[path = "../tests/simulation/starts.rs"]
mod starts;
#[path = "../tests/simulation/stops.rs"]
mod stops;
#[path = "../tests/simulation/wishes.rs"]
mod wishes;
#[path = "../tests/simulation/world.rs"]
mod world;

use std::process::ExitCode;

use world::{Overlapping, Tracing, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |flag: &str, default: u64| {
        let place = arguments.iter().position(|argument| argument == flag);
        place.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(default)
    };
    let (seed, runs) = (number("--seed", 0), number("--runs", 100_000));
    let overlapping = match arguments.iter().any(|argument| argument == "--overlaps") {
        true => Overlapping::Some,
        false => Overlapping::Never,
    };
    let goes_on = arguments.iter().any(|argument| argument == "--all");
    let (mut n_steps, mut n_failed): (u64, u64) = (0, 0);
    for seed in seed..seed.saturating_add(runs) {
        match run(seed, overlapping, Tracing::Off) {
            Ok(steps) => n_steps += u64::from(steps),
            Err(violation) if goes_on => {
                n_failed += 1;
                println!("seed {seed}: {}", violation.words);
            }
            Err(violation) => {
                let trace = run(seed, overlapping, Tracing::On)
                    .err()
                    .map(|violation| violation.trace)
                    .unwrap_or_default();
                println!("{}\nseed {seed}: {}", trace.join("\n"), violation.words);
                return ExitCode::FAILURE;
            }
        }
    }
    if n_failed > 0 {
        println!("{runs} runs from seed {seed}: {n_failed} broke a law");
        return ExitCode::FAILURE;
    }
    println!("{runs} runs from seed {seed}, {n_steps} steps: every law held");
    ExitCode::SUCCESS
}

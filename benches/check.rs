//! How long reading units takes, and whether it grows with their number alone: `cargo bench --bench check`.
//!
//! Realistic unit files are written to a directory in memory, then read as `sexton check` and as PID 1 would.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use sexton::run::load::{UnitPaths, load};

/// The promise: 10,000 files in less than this.
const PROMISE: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    // /dev/shm, so that the disk has no say; any directory will do where there is none.
    let parent = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    let directory = parent.join(format!("sexton-bench-check-{}", std::process::id()));
    let mut out = io::stdout().lock();
    writeln!(out, "{:>8} {:>12} {:>12} {:>16}", "files", "best", "a file", "for twice as many")?;
    let mut last: Option<Duration> = None;
    for count in [1_000, 1_250, 2_500, 5_000, 10_000] {
        fs::create_dir_all(&directory)?;
        for number in 0..count {
            fs::write(directory.join(format!("service-{number}.toml")), unit(number))?;
        }
        let best = best_of(5, &directory, count);
        fs::remove_dir_all(&directory)?;
        let growth = last.filter(|_| count > 1_250).map(|last| best.as_secs_f64() / last.as_secs_f64());
        let growth = growth.map_or(String::new(), |growth| format!("{growth:.2} times"));
        writeln!(
            out,
            "{count:>8} {:>9.1} ms {:>9.1} µs {growth:>16}",
            millis(best),
            millis(best) * 1e3 / count as f64
        )?;
        last = Some(best);
    }
    let kept = last.is_some_and(|best| best < PROMISE);
    writeln!(out, "10,000 files in less than {} s: {}", PROMISE.as_secs(), if kept { "yes" } else { "NO" })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn best_of(times: usize, directory: &Path, count: usize) -> Duration {
    let paths = UnitPaths::directory(directory);
    let run = |_| {
        let began = Instant::now();
        let loaded = load(&paths);
        let took = began.elapsed();
        assert_eq!(
            (loaded.entries.len(), loaded.diagnostics.len()),
            (count, 0),
            "{:?}",
            loaded.diagnostics.first()
        );
        took
    };
    (0..times).map(run).min().unwrap_or_default()
}

/// A service as people write them: a dozen keys, dependencies on the ones before it.
fn unit(number: usize) -> String {
    let mut text = format!("description = \"Service {number} of the benchmark\"\n");
    let needs: Vec<String> = [1, 7, 50]
        .iter()
        .filter(|back| number >= **back)
        .map(|back| format!("\"service-{}\"", number - back))
        .collect();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "needs = [{}]\n\n[service]\nexec = [\"/usr/bin/daemon\", \"--id\", \"{number}\", \"--config\", \"/etc/daemon/%n.conf\"]\n\n\
         [process]\nuser = \"daemon\"\ndirectory = \"/var/lib/daemon\"\nenv = {{ TZ = \"UTC\" }}\nlimits = {{ nofile = 65536 }}\n\n\
         [ready]\ntcp = \"127.0.0.1:{}\"\ntimeout = \"20s\"\n\n[stop]\nsteps = [{{ signal = \"INT\", wait = \"10s\" }}]\n\n\
         [restart]\non = \"always\"\ndelay = \"1s\"\n",
        needs.join(", "),
        1024 + number % 60_000
    );
    text
}

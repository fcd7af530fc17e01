//! What the wrapper costs beside Debian's tini, dumb-init and catatonit, each as PID 1 of fresh namespaces.
//!
//! ```text
//!   cargo bench --bench wrapper [-- --rounds N]
//!
//!   builds the release ── this program again, in namespaces of its own ── PID 1: INIT -- /bin/true      time to its end
//!                                                                       └ PID 1: INIT -- /bin/sleep     memory meanwhile
//! ```
//!
//! Rounds alternate, so that whatever else the machine does befalls all of them; medians are printed. `nothing` is the
//! command itself as PID 1: what is above it is the wrapper's. It fails where the wrapper, under any of its names, takes
//! longer than the fastest of the others, whichever that is, or holds more than it may. `SEXTON_BIN` is measured
//! instead of a build, if it is set.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "a program for a person: it starts processes, waits for them and prints"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// At most so much private dirty memory, in KiB.
const PRIVATE: f64 = 100.0;

/// Who is measured, and how he is called.
struct Subject {
    name: &'static str,
    words: Vec<String>,
    ours: bool,
    rounds: Vec<Round>,
}

/// What one start took.
#[derive(Clone, Copy)]
struct Round {
    wall: f64,
    cpu: f64,
    faults: f64,
}

impl Subject {
    fn new(name: &'static str, program: &Path, ours: bool) -> Subject {
        let words = vec![program.display().to_string(), "--".to_owned()];
        Subject { name, words, ours, rounds: Vec::new() }
    }

    fn median(&self, of: fn(&Round) -> f64) -> f64 {
        let mut sorted: Vec<f64> = self.rounds.iter().map(of).collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "--measure" => return measure(rest),
        Some((first, rest)) if first == "--hold" => return hold(rest),
        _ => {}
    }
    let after = |name: &str| arguments.iter().skip_while(|word| *word != name).nth(1);
    let rounds = after("--rounds").and_then(|word| word.parse().ok()).unwrap_or(301);
    let scratch = std::env::temp_dir().join(format!("sexton-bench-wrapper.{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("the scratch directory can be made");
    let mut subjects = subjects(&scratch);
    for _ in 0..rounds {
        for subject in &mut subjects {
            let [wall, cpu, faults] = again("--measure", &subject.words);
            subject.rounds.push(Round { wall, cpu, faults });
        }
    }
    let missed = report(&subjects, rounds);
    // What stays behind harms nobody.
    let _ = fs::remove_dir_all(&scratch);
    assert!(missed == 0, "{missed} goals were missed");
}

/// The release binary, made anew if need be.
fn release() -> PathBuf {
    if let Some(path) = std::env::var_os("SEXTON_BIN") {
        return PathBuf::from(path);
    }
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let words = ["build", "--locked", "--release", "--bin", "sexton", "--target", &target];
    let built = Command::new(cargo).args(words).current_dir(root).status().expect("cargo can be run");
    assert!(built.success(), "the release cannot be built for {target}; rustup target add {target}");
    let directory = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    directory.join(target).join("release/sexton")
}

fn subjects(scratch: &Path) -> Vec<Subject> {
    let built = release();
    let place = |name: &str| {
        let path = scratch.join(name);
        // A copy of its own: what was just linked is dirty memory of whoever maps it, until it is written out.
        fs::copy(&built, &path).expect("the release can be copied");
        path
    };
    let debian = |name: &'static str| {
        let path = Path::new("/usr/bin").join(name);
        assert!(path.exists(), "{name} is not there; install it: apt-get install tini dumb-init catatonit");
        Subject::new(name, &path, false)
    };
    let mut all = vec![Subject::new("nothing", Path::new(""), false)];
    all.extend(["tini", "tini-static", "dumb-init", "catatonit"].map(debian));
    all.extend(
        [("sexton", "sexton"), ("sexton as tini", "tini"), ("sexton as dumb-init", "dumb-init")]
            .map(|(name, file)| Subject::new(name, &place(file), true)),
    );
    if let Some(nothing) = all.first_mut() {
        nothing.words.clear();
    }
    nix::unistd::sync();
    all
}

/// Runs this program again as the one that makes the namespaces; so many numbers come back.
fn again<const N: usize>(mode: &str, words: &[String]) -> [f64; N] {
    let this = std::env::current_exe().expect("this program knows where it is");
    let output = Command::new(this).arg(mode).args(words).stderr(Stdio::inherit()).output();
    let text = String::from_utf8(output.expect("it can be run").stdout).expect("it prints numbers");
    let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    numbers.try_into().expect("as many numbers as were asked for")
}

/// Whoever is started next is PID 1 of namespaces of its own.
fn leave_the_world() {
    let all = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    unshare(all).expect("namespaces can be made; run it as root");
}

fn command(words: &[String], last: &[&str]) -> Command {
    let mut all = words.iter().map(String::as_str).chain(last.iter().copied());
    let mut command = Command::new(all.next().unwrap_or_default());
    command.args(all).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env_clear();
    command.env("PATH", "/usr/bin:/bin");
    command
}

/// Prints microseconds: from before the start of PID 1 until it is gone, and of the processors' time; and page faults.
fn measure(words: &[String]) {
    leave_the_world();
    let mut command = command(words, &["/bin/true"]);
    let began = Instant::now();
    let status = command.status().expect("it can be started");
    let wall = began.elapsed();
    assert!(status.success(), "{words:?}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{} {cpu} {}", wall.as_secs_f64() * 1e6, usage.minor_page_faults());
}

/// Prints KiB: private dirty and all that is resident, while the command runs.
fn hold(words: &[String]) {
    leave_the_world();
    let mut child = command(words, &["/bin/sleep", "1000"]).spawn().expect("it can be started");
    let first = child.id();
    let is_waiting = || {
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        let names = children.split_whitespace().map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")));
        let state = fs::read_to_string(format!("/proc/{first}/stat")).unwrap_or_default();
        state.contains(") S ") && names.flatten().any(|name| name.trim() == "sleep")
    };
    while !words.is_empty() && !is_waiting() {
        std::thread::yield_now();
    }
    let rollup = fs::read_to_string(format!("/proc/{first}/smaps_rollup")).expect("it can be looked at");
    let of = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or("0").to_owned()
    };
    println!("{} {}", of("Private_Dirty:"), of("Rss:"));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

/// Prints the table and what was missed; answers how much that is.
fn report(subjects: &[Subject], rounds: usize) -> usize {
    println!("{rounds} rounds, medians\n");
    let head = ["wall µs", "CPU µs", "page faults", "private KiB", "resident KiB"];
    println!("{:<20} {:>9} {:>9} {:>12} {:>12} {:>13}", "", head[0], head[1], head[2], head[3], head[4]);
    let mut rows = Vec::new();
    for subject in subjects {
        let [private, resident] = again("--hold", &subject.words);
        let [wall, cpu, faults] =
            [(|round| round.wall) as fn(&Round) -> f64, |round| round.cpu, |round| round.faults]
                .map(|of| subject.median(of));
        let name = subject.name;
        println!("{name:<20} {wall:>9.0} {cpu:>9.0} {faults:>12.0} {private:>12.0} {resident:>13.0}");
        rows.push((subject, [wall, cpu, private]));
    }
    let others = || rows.iter().filter(|row| !row.0.ours && !row.0.words.is_empty());
    let fastest = |which: usize| others().map(|row| row.1[which]).fold(f64::INFINITY, f64::min);
    let goals = [("wall µs", fastest(0)), ("CPU µs", fastest(1)), ("private KiB", PRIVATE)];
    println!("\nthe fastest of the others: {:.0} µs of wall, {:.0} µs of CPU", goals[0].1, goals[1].1);
    let mut missed = 0;
    for (subject, got) in rows.iter().filter(|row| row.0.ours) {
        for ((what, at_most), got) in goals.iter().zip(got) {
            if got > at_most {
                missed += 1;
                println!("missed: {}, {what}: {got:.0}, at most {at_most:.0}", subject.name);
            }
        }
    }
    missed
}

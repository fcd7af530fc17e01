//! What it takes to bring lines into rotated files, beside s6-log, multilog and svlogd: `cargo bench --bench logs`.
//!
//! ```text
//!   writer ══ pipe ══▶ logger ──▶ files of 10 MB        one, or 100 of them; all begin when a gate is opened
//! ```
//!
//! Lines have 100 bytes and come forty at a time. Time is from the gate until every byte is in the files; processor time
//! is that of the loggers alone, as the scheduler counts it. Rounds alternate; medians are printed. Then the latency: from
//! the write of a line until `sexton logs -f` has shown it. The peers are Debian's packages s6, daemontools and runit; who
//! is not there is left out, and that is said. The release binary has to be built before.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "a program for a person: it starts processes, waits for them and prints"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes of a line, its newline included.
const LINE: usize = 100;
/// Lines that are written at once.
const AT_ONCE: usize = 40;
/// Lines of all writers together.
const LINES: usize = 1_000_000;
const ROUNDS: usize = 5;
/// How long a run may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who brings the lines into files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Sexton,
    S6,
    Multilog,
    Svlogd,
}

/// What stands before each line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Raw,
    Time,
}

impl Subject {
    fn program(self) -> &'static str {
        match self {
            Subject::Sexton => "sexton",
            Subject::S6 => "s6-log",
            Subject::Multilog => "multilog",
            Subject::Svlogd => "svlogd",
        }
    }

    /// Bytes that it puts before a line.
    fn stamp(self, form: Form) -> usize {
        match (form, self) {
            (Form::Raw, _) => 0,
            (Form::Time, Subject::Sexton) => "2026-11-22T22:28:15.123456Z stdout F ".len(),
            (Form::Time, Subject::S6) => "2026-11-22 22:28:15.123456789  ".len(),
            (Form::Time, Subject::Multilog | Subject::Svlogd) => "@400000005f1b2c3d12345678 ".len(),
        }
    }

    fn command(self, form: Form, directory: &Path) -> io::Result<Command> {
        let mut command = Command::new(self.program());
        match self {
            Subject::Sexton => {}
            Subject::S6 => {
                command.args(["n200", "s10000000"]);
                command.args((form == Form::Time).then_some("T"));
            }
            Subject::Multilog => {
                command.args((form == Form::Time).then_some("t"));
                command.args(["n200", "s10000000"]);
            }
            Subject::Svlogd => {
                fs::create_dir_all(directory)?;
                fs::write(directory.join("config"), "s10000000\nn200\n")?;
                command.args((form == Form::Time).then_some("-t"));
            }
        }
        command.arg(directory);
        Ok(command)
    }
}

/// One run.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    cpu_seconds: f64,
}

/// What runs, and is ended when it goes out of scope.
struct Running {
    children: Vec<Child>,
    loggers: Vec<u32>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.children {
            // TERM, so that sexton takes its services along; who has ended already is not there any more.
            let _ = Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status();
            let _ = child.wait();
        }
    }
}

struct Bench {
    scratch: PathBuf,
    sexton: PathBuf,
}

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "write", gate, lines] => return write_lines(gate, lines.parse().unwrap_or(0)),
        [_, "tell", count] => return tell_times(count.parse().unwrap_or(0)),
        _ => {}
    }
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-musl/release/sexton");
    let sexton = std::env::var_os("SEXTON_BIN").map_or(usual, PathBuf::from);
    let scratch = std::env::temp_dir().join(format!("sexton-bench-logs-{}", std::process::id()));
    let bench = Bench { scratch, sexton };
    let measured = bench.measure();
    fs::remove_dir_all(&bench.scratch)?;
    measured
}

impl Bench {
    fn measure(&self) -> io::Result<()> {
        let all = [Subject::Sexton, Subject::S6, Subject::Multilog, Subject::Svlogd];
        let (there, missing): (Vec<Subject>, Vec<Subject>) = all.into_iter().partition(|s| self.has(*s));
        for subject in missing {
            let remedy = match subject {
                Subject::Sexton => {
                    "cargo build --release --target x86_64-unknown-linux-musl, or SEXTON_BIN=…"
                }
                Subject::S6 | Subject::Multilog | Subject::Svlogd => "apt-get install s6 daemontools runit",
            };
            println!("{} is not there: {remedy}", subject.program());
        }
        for (form, name) in [(Form::Raw, "raw"), (Form::Time, "with times")] {
            for writers in [1, 100] {
                println!("\n{writers} writers, {name}: {LINES} lines of {LINE} bytes");
                println!("{:>10} {:>14} {:>10} {:>16}", "", "lines/s", "MB/s", "CPU s/M lines");
                let mut runs: Vec<Vec<Run>> = there.iter().map(|_| Vec::new()).collect();
                for _ in 0..ROUNDS {
                    for (subject, runs) in there.iter().zip(&mut runs) {
                        runs.push(self.run(*subject, form, writers)?);
                    }
                }
                for (subject, runs) in there.iter().zip(runs) {
                    let seconds = median(runs.iter().map(|run| run.seconds).collect());
                    let cpu = median(runs.iter().map(|run| run.cpu_seconds).collect());
                    let (lines, millions) = (LINES as f64 / seconds, LINES as f64 / 1e6);
                    let megabytes = lines * LINE as f64 / 1e6;
                    println!(
                        "{:>10} {lines:>14.0} {megabytes:>10.1} {:>16.3}",
                        subject.program(),
                        cpu / millions
                    );
                }
            }
        }
        self.latency()
    }

    fn has(&self, subject: Subject) -> bool {
        match subject {
            Subject::Sexton => self.sexton.exists(),
            _ => std::env::var("PATH")
                .unwrap_or_default()
                .split(':')
                .any(|p| Path::new(p).join(subject.program()).exists()),
        }
    }

    fn run(&self, subject: Subject, form: Form, writers: usize) -> io::Result<Run> {
        let _ = fs::remove_dir_all(&self.scratch); // There is none before the first run.
        let logs = self.scratch.join("log");
        fs::create_dir_all(&logs)?;
        let gate = self.scratch.join("gate");
        Command::new("mkfifo").arg(&gate).status()?;
        let each = LINES / writers;
        let running = match subject {
            Subject::Sexton => self.start_sexton(form, writers, each, &gate)?,
            peer => self.start_peers(peer, form, writers, each, &gate)?,
        };
        let expected = (writers * each * (LINE + subject.stamp(form))) as u64;
        let before = cpu(&running.loggers);
        let _open = OpenOptions::new().write(true).open(&gate)?;
        let began = Instant::now();
        while written(&logs) < expected {
            assert!(
                began.elapsed() < PATIENCE,
                "{}: {} of {expected} bytes",
                subject.program(),
                written(&logs)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let seconds = began.elapsed().as_secs_f64();
        Ok(Run { seconds, cpu_seconds: cpu(&running.loggers) - before })
    }

    fn start_peers(
        &self,
        peer: Subject,
        form: Form,
        writers: usize,
        each: usize,
        gate: &Path,
    ) -> io::Result<Running> {
        let mut running = Running { children: Vec::new(), loggers: Vec::new() };
        for number in 0..writers {
            let directory = self.scratch.join(format!("log/{number}"));
            let mut logger = peer.command(form, &directory)?;
            let mut logger = logger.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
            let pipe = logger.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            running.loggers.push(logger.id());
            let me = std::env::current_exe()?;
            let words = [gate.display().to_string(), each.to_string()];
            let writer = Command::new(me).arg("write").args(words).stdout(pipe).spawn()?;
            running.children.extend([writer, logger]);
        }
        Ok(running)
    }

    fn start_sexton(&self, form: Form, writers: usize, each: usize, gate: &Path) -> io::Result<Running> {
        let form = if form == Form::Raw { "raw" } else { "prefix" };
        let me = std::env::current_exe()?;
        let unit = format!(
            "[instances]\ncount = {writers}\n[service]\nexec = [{me:?}, \"write\", {gate:?}, \"{each}\"]\n[log]\nto = \"file\"\n\
             format = \"{form}\"\nmax-size = 10000000\nkeep = 200\n"
        );
        let sexton = self.up("w@", &unit)?;
        let names = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let began = Instant::now();
        let logger = loop {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", sexton.id()))?;
            let mut pids = children.split_whitespace().filter_map(|word| word.parse().ok());
            if let Some(pid) = pids.find(|pid| names(*pid).starts_with("sexton-logger")) {
                break pid;
            }
            assert!(began.elapsed() < PATIENCE, "there is no logger");
            std::thread::sleep(Duration::from_millis(1));
        };
        Ok(Running { children: vec![sexton], loggers: vec![logger] })
    }

    fn up(&self, name: &str, unit: &str) -> io::Result<Child> {
        let units = self.scratch.join("units");
        fs::create_dir_all(&units)?;
        fs::write(units.join(format!("{name}.toml")), unit)?;
        let logs = self.scratch.join("log");
        fs::write(units.join("sexton.toml"), format!("[log]\ndirectory = {logs:?}\n"))?;
        let run = self.scratch.join("run");
        let mut command = Command::new(&self.sexton);
        command.arg("up").arg(&units).arg("--run-dir").arg(run).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn()
    }

    /// From the write of a line until a follower has it.
    fn latency(&self) -> io::Result<()> {
        const COUNT: usize = 300;
        let _ = fs::remove_dir_all(&self.scratch); // As in `run`.
        fs::create_dir_all(self.scratch.join("log/tell"))?;
        let logs = self.scratch.join("log");
        let mut follower = Command::new(&self.sexton)
            .args(["logs", "-f", "tell", "--dir"])
            .arg(&logs)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = follower.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let me = std::env::current_exe()?;
        let unit = format!("[service]\nexec = [{me:?}, \"tell\", \"{COUNT}\"]\n[log]\nto = \"file\"\n");
        let sexton = self.up("tell", &unit)?;
        let running = Running { children: vec![sexton, follower], loggers: Vec::new() };
        let mut waits = Vec::new();
        for line in BufReader::new(out).lines().take(COUNT) {
            let line = line?;
            let sent: Option<u128> = line.rsplit(' ').next().and_then(|word| word.parse().ok());
            waits.extend(sent.map(|sent| (nanos().saturating_sub(sent)) as f64 / 1e6));
        }
        drop(running);
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        println!("\nwrite to `logs -f`: median {:.2} ms, 99 of 100 within {:.2} ms", at(0.5), at(0.99));
        Ok(())
    }
}

fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_nanos()).unwrap_or(0)
}

/// Waits at the gate, writes lines, and stays until it is told to go.
fn write_lines(gate: &str, lines: usize) -> io::Result<()> {
    let mut line = vec![b'x'; LINE - 1];
    line.push(b'\n');
    let block = line.repeat(AT_ONCE);
    File::open(gate)?;
    let mut out = io::stdout().lock();
    for _ in 0..lines / AT_ONCE {
        out.write_all(&block)?;
    }
    (0..lines % AT_ONCE).try_for_each(|_| out.write_all(&line))?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

/// Writes the time, again and again.
fn tell_times(count: usize) -> io::Result<()> {
    for _ in 0..count {
        std::thread::sleep(Duration::from_millis(5));
        io::stdout().write_all(format!("{}\n", nanos()).as_bytes())?;
    }
    loop {
        std::thread::park();
    }
}

/// Seconds on a processor.
fn cpu(pids: &[u32]) -> f64 {
    let of = |pid: &u32| {
        let mut text = String::new();
        let read =
            File::open(format!("/proc/{pid}/schedstat")).and_then(|mut file| file.read_to_string(&mut text));
        read.ok().and_then(|_| text.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    pids.iter().map(of).sum::<f64>() / 1e9
}

/// Bytes in log files.
fn written(logs: &Path) -> u64 {
    let mut total = 0;
    for directory in fs::read_dir(logs).into_iter().flatten().flatten() {
        if directory.file_name() == "sexton" {
            continue;
        }
        for file in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
            let is_log = !["config", "lock", "state"].iter().any(|name| file.file_name() == *name);
            total += if is_log { file.metadata().map(|metadata| metadata.len()).unwrap_or(0) } else { 0 };
        }
    }
    total
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

//! One PID 1 a run: the floor or sexton, in new namespaces, timed from just before its exec.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::report::median;

/// Who starts the services.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    FloorRust,
    FloorC,
    /// sexton, with one template of as many instances.
    Template,
    /// sexton, with as many files.
    Files,
}

impl Subject {
    pub fn is_floor(self) -> bool {
        matches!(self, Subject::FloorRust | Subject::FloorC)
    }

    pub fn name(self) -> &'static str {
        match self {
            Subject::FloorRust => "floor in Rust",
            Subject::FloorC => "floor in C",
            Subject::Template => "sexton, a template",
            Subject::Files => "sexton, files",
        }
    }
}

/// How often somebody looks whether PID 1 runs.
const LOOK: Duration = Duration::from_millis(2);

/// A PID 1 that has not run for so long has nothing more to do.
const IDLE: Duration = Duration::from_millis(100);

/// One run.
pub struct Measured {
    /// From exec until every service runs.
    pub start_ms: f64,
    /// From TERM until the last service has ended: nobody holds the pipe any more that each of them holds.
    pub stop_ms: f64,
    /// From TERM until PID 1 itself is gone too, and its namespaces with it.
    pub gone_ms: f64,
    /// From exec until the first service runs.
    pub first_ms: f64,
    /// Private dirty memory of PID 1 while all run.
    pub private_kib: f64,
}

/// The programs, and a directory for units and the pipe.
pub struct Bench {
    sexton: PathBuf,
    examples: PathBuf,
    floor_in_c: Option<PathBuf>,
    scratch: PathBuf,
}

impl Bench {
    pub fn new() -> Bench {
        let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-musl/release");
        let scratch = PathBuf::from(format!("/tmp/sexton-bench.{}", std::process::id()));
        fs::create_dir_all(&scratch).expect("the scratch directory can be made");
        let sexton = std::env::var_os("SEXTON_BIN").map_or(release.join("sexton"), PathBuf::from);
        let examples = release.join("examples");
        let build = "cargo build --release --target x86_64-unknown-linux-musl --bins --examples";
        assert!(sexton.exists() && examples.join("floor").exists(), "build first: {build}");
        let floor_in_c = compile_floor(&scratch);
        // A program that was just linked is dirty memory of whoever maps it, until it is written out.
        nix::unistd::sync();
        mkfifo(&scratch.join("pipe"), Mode::S_IRWXU).expect("a pipe can be made");
        Bench { sexton, examples, floor_in_c, scratch }
    }

    /// Everybody who can be measured here. Without a C compiler the floor is the one in Rust.
    pub fn subjects(&self) -> Vec<Subject> {
        let c = self.floor_in_c.as_ref().map(|_| Subject::FloorC);
        [Some(Subject::FloorRust), c, Some(Subject::Template), Some(Subject::Files)]
            .into_iter()
            .flatten()
            .collect()
    }

    pub fn binary_kib(&self) -> f64 {
        fs::metadata(&self.sexton).map_or(f64::NAN, |m| m.len() as f64 / 1024.0)
    }

    /// Starts `count` services, looks at the memory, and stops them.
    pub fn services(&self, subject: Subject, count: usize) -> Measured {
        let mut run = self.start(subject, count, &[&self.example("ticker"), &self.path("pipe")]);
        run.await_bytes(1);
        let first = monotonic_nanoseconds();
        run.await_bytes(count - 1);
        let all = monotonic_nanoseconds();
        // A stop comes to services that have been running: what follows a start, the logger that takes over a thousand
        // pipes and everybody's first lines, is done by then.
        run.until_idle(Instant::now());
        let private_kib = rollup(run.pid1, "Private_Dirty:");
        let told = Instant::now();
        run.signal(Signal::SIGTERM);
        run.await_last();
        let stop_ms = told.elapsed().as_secs_f64() * 1e3;
        run.wait();
        Measured {
            start_ms: (all - run.began()) / 1e6,
            stop_ms,
            gone_ms: told.elapsed().as_secs_f64() * 1e3,
            first_ms: (first - run.began()) / 1e6,
            private_kib,
        }
    }

    /// Kills the one service again and again; the median time to its replacement.
    pub fn restart_ms(&self, subject: Subject, kills: usize) -> f64 {
        let mut run = self.start(subject, 1, &[&self.example("ticker"), &self.path("pipe")]);
        run.await_bytes(1);
        let mut took = Vec::new();
        for _ in 0..kills {
            let service = run.child_named("ticker");
            let killed = Instant::now();
            kill(service, Signal::SIGKILL).expect("the service can be killed");
            run.await_bytes(1);
            took.push(killed.elapsed().as_secs_f64() * 1e3);
        }
        median(took)
    }

    /// CPU of PID 1, and wall time, from the release of `count` orphans until the last is reaped, in ms.
    pub fn orphans(&self, subject: Subject, count: usize) -> (f64, f64) {
        let go = self.path("go");
        let _ = fs::remove_file(&go); // It is there when another run came before.
        let pipe = self.path("pipe");
        let number = count.to_string();
        let words =
            ["byte", &pipe, "until", &go, "orphans", &number, "byte", &pipe, "wait"].map(str::to_owned);
        let testd = self.example("testd");
        let all: Vec<&str> =
            std::iter::once(testd.as_str()).chain(words.iter().map(String::as_str)).collect();
        let mut run = self.start(subject, 1, &all);
        run.await_bytes(1);
        // The logger is a child too, and comes after the services.
        let (_, before) = run.until_idle(Instant::now());
        let quiet = run.children().len();
        File::create(&go).expect("the signal file can be made");
        run.await_bytes(1);
        let released = Instant::now();
        loop {
            // The list of children costs the square of its length, under a lock that whoever reaps waits for. So it is
            // asked for only when PID 1 has nothing more to do.
            let (wall, cpu) = run.until_idle(released);
            if run.children().len() <= quiet {
                return (cpu - before, wall);
            }
        }
    }

    /// Resident memory of a sexton that has nothing to do.
    pub fn resident_without_units(&self) -> f64 {
        let run = self.start(Subject::Template, 0, &[]);
        run.until_idle(Instant::now());
        rollup(run.pid1, "Rss:")
    }

    fn start(&self, subject: Subject, count: usize, service: &[&str]) -> Run {
        // Opened for both directions it waits for nobody, and then neither does the reader.
        let open = |writes| OpenOptions::new().read(true).write(writes).open(self.path("pipe"));
        let held = open(true).expect("the pipe opens");
        let pipe = open(false).expect("the pipe opens");
        let mut words: Vec<String> =
            ["chamber", "--info", &self.path("pid1"), "--stamp", &self.path("stamp"), "--"]
                .map(str::to_owned)
                .into();
        let number = count.to_string();
        match (subject, &self.floor_in_c) {
            (Subject::FloorRust, _) => words.extend([self.example("floor"), number]),
            (Subject::FloorC, Some(floor)) => words.extend([floor.display().to_string(), number]),
            (Subject::FloorC, None) => panic!("there is no C compiler"),
            (Subject::Template | Subject::Files, _) => {
                self.write_units(subject, count, service);
                words.extend([self.sexton.display().to_string(), "up".into(), self.path("units")]);
            }
        }
        if subject.is_floor() {
            words.extend(service.iter().map(|word| (*word).to_owned()));
        }
        let _ = fs::remove_file(self.path("pid1")); // It is there when another run came before.
        let mut chamber = Command::new(self.example("testd"));
        let chamber = chamber.args(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let chamber = chamber.spawn().expect("the chamber starts");
        let pid1 = loop {
            let text = fs::read_to_string(self.path("pid1")).unwrap_or_default();
            if let Ok(number) = text.parse() {
                break Pid::from_raw(number);
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        Run { chamber, pid1, pipe, held: Some(held), ahead: 0, stamp: self.path("stamp").into() }
    }

    fn write_units(&self, subject: Subject, count: usize, service: &[&str]) {
        let units = self.scratch.join("units");
        let _ = fs::remove_dir_all(&units); // It is there when another run came before.
        fs::create_dir_all(&units).expect("a directory for the units can be made");
        let exec: Vec<String> = service.iter().map(|word| format!("{word:?}")).collect();
        let unit = format!(
            "[service]\nexec = [{}]\n[restart]\non = \"always\"\ndelay = \"0ms\"\njitter = 0.0\nlimit = 1000000\n",
            exec.join(", ")
        );
        let write =
            |name: String, text: &str| fs::write(units.join(name), text).expect("a unit can be written");
        match (subject, count) {
            (_, 0) => {}
            (Subject::Template, _) => {
                write("tick@.toml".into(), &format!("[instances]\ncount = {count}\n{unit}"))
            }
            _ => (0..count).for_each(|number| write(format!("tick-{number}.toml"), &unit)),
        }
    }

    fn example(&self, name: &str) -> String {
        self.examples.join(name).display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.scratch.join(name).display().to_string()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch); // A scratch directory that stays behind harms nobody.
    }
}

fn compile_floor(scratch: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/floor.c");
    let program = scratch.join("floor-c");
    let mut compiler = Command::new("cc");
    let compiler = compiler.args(["-O2", "-static", "-no-pie", "-o"]).arg(&program).arg(source);
    compiler.status().ok().filter(|status| status.success()).map(|_| program)
}

/// A PID 1 that runs; its end is this value's end.
struct Run {
    chamber: Child,
    pid1: Pid,
    pipe: File,
    /// The pipe again, as one who could write to it: without it the reader would see its end before the first.
    held: Option<File>,
    ahead: usize,
    stamp: PathBuf,
}

impl Run {
    /// Waits for so many more services to say that they run. What came beyond them counts the next time.
    fn await_bytes(&mut self, count: usize) {
        let mut buffer = [0; 4096];
        while self.ahead < count {
            self.ahead += self.pipe.read(&mut buffer).expect("the pipe can be read");
        }
        self.ahead -= count;
    }

    /// Waits until nobody holds the pipe any more, which every service does for as long as it lives.
    fn await_last(&mut self) {
        self.held = None;
        let mut buffer = [0; 4096];
        while self.pipe.read(&mut buffer).expect("the pipe can be read") > 0 {}
    }

    fn began(&self) -> f64 {
        let text = fs::read_to_string(&self.stamp).unwrap_or_default();
        text.parse().expect("the chamber stamped the time of the exec")
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid1, signal).expect("PID 1 can be signalled");
    }

    fn wait(&mut self) {
        self.chamber.wait().expect("the chamber can be waited for");
    }

    fn children(&self) -> Vec<i32> {
        let pid = self.pid1;
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }

    /// Waits until PID 1 no longer runs between two looks. Answers the milliseconds from `since` until it last did, and
    /// its time on a processor.
    fn until_idle(&self, since: Instant) -> (f64, f64) {
        let (mut wall, mut cpu, mut last) = (0.0, -1.0, Instant::now());
        while last.elapsed() < IDLE {
            let now = on_cpu_ms(self.pid1);
            if now > cpu {
                (wall, cpu, last) = (since.elapsed().as_secs_f64() * 1e3, now, Instant::now());
            }
            std::thread::sleep(LOOK);
        }
        (wall, cpu)
    }

    fn child_named(&self, name: &str) -> Pid {
        loop {
            let is_named = |pid: &i32| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
            };
            if let Some(pid) = self.children().into_iter().find(is_named) {
                return Pid::from_raw(pid);
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = kill(self.pid1, Signal::SIGKILL); // It may have ended already.
        let _ = self.chamber.wait(); // It was waited for already, or is now.
    }
}

fn monotonic_nanoseconds() -> f64 {
    let now = sexton::sys::clock::now();
    now.as_nanos() as f64
}

/// One line of `/proc/PID/smaps_rollup`, in KiB.
fn rollup(pid: Pid, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Time a process spent on a processor, from the scheduler's own count, which has no ticks.
fn on_cpu_ms(pid: Pid) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |ns| ns / 1e6)
}

//! One PID 1 in namespaces of its own, with a scratch directory, its output in a file, and its end on drop.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::{Deadline, PATIENCE};
use super::{sexton, testd, until};

static MACHINES: AtomicU32 = AtomicU32::new(0);

/// What a machine is to be, before it is one.
///
/// In units, files and shell lines `@DIR@` stands for the scratch directory, `@TESTD@` for the tests' daemon,
/// `@TICKER@` for the service that does nothing, `@SEXTON@` for the binary.
pub struct Plan {
    scratch: PathBuf,
    setup: Vec<String>,
    command: Vec<String>,
    outside: Vec<String>,
    etc: bool,
    held: bool,
    tty: Option<String>,
    first: First,
}

/// Who is PID 1 of the new namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Sexton,
    /// A shell that waits for it: sexton has to make itself a subreaper.
    Shell,
}

impl Plan {
    /// A machine whose PID 1 is `sexton up DIR/units`.
    pub fn new() -> Plan {
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        let scratch = PathBuf::from(format!("/tmp/sexton-it.{}.{number}", std::process::id()));
        fs::create_dir_all(scratch.join("units")).unwrap_or_else(|e| panic!("{}: {e}", scratch.display()));
        let command = ["@SEXTON@", "up", "@DIR@/units"].map(str::to_owned).to_vec();
        Plan {
            scratch,
            setup: Vec::new(),
            command,
            outside: Vec::new(),
            etc: false,
            held: false,
            tty: None,
            first: First::Sexton,
        }
    }

    /// Adds `units/NAME.toml`.
    pub fn unit(self, name: &str, text: &str) -> Plan {
        self.file(&format!("units/{name}.toml"), text)
    }

    /// Adds a service that runs the tests' daemon with these words, and these further lines of TOML.
    pub fn daemon(self, name: &str, words: &str, more: &str) -> Plan {
        let words: Vec<String> = words.split_whitespace().map(|word| format!("{word:?}")).collect();
        let (head, tail) = match more.split_once("---") {
            Some((head, tail)) => (head, tail),
            None => ("", more),
        };
        self.unit(name, &format!("{head}\n[service]\nexec = [\"@TESTD@\", {}]\n{tail}\n", words.join(", ")))
    }

    /// Adds a file below the scratch directory.
    pub fn file(self, name: &str, text: &str) -> Plan {
        write_file(&self.scratch, name, text);
        self
    }

    /// Adds a line of shell that PID 1 runs before it becomes sexton.
    pub fn setup(mut self, line: &str) -> Plan {
        self.setup.push(line.to_owned());
        self
    }

    /// What PID 1 becomes, instead of `sexton up DIR/units`.
    pub fn command(mut self, words: &[&str]) -> Plan {
        self.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Words in front of the whole: a tracer that watches from outside.
    pub fn under(mut self, words: &[&str]) -> Plan {
        self.outside = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// PID 1 waits before its exec until [`Machine::release`], so that a tracer can be in place.
    pub fn held(mut self) -> Plan {
        self.held = true;
        self
    }

    /// A terminal controls PID 1 and is its standard descriptors.
    pub fn on_terminal(mut self, tty: &str) -> Plan {
        self.tty = Some(tty.to_owned());
        self
    }

    /// Lays `etc/` of the scratch directory over /etc.
    pub fn with_etc(mut self) -> Plan {
        fs::create_dir_all(self.scratch.join("etc")).unwrap_or_else(|e| panic!("etc: {e}"));
        self.etc = true;
        self
    }

    /// A shell is PID 1 and sexton its child.
    pub fn not_as_pid_1(mut self) -> Plan {
        self.first = First::Shell;
        self
    }

    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Starts it; PID 1 exists when this returns, and is perhaps still in the shell lines.
    pub fn boot(self) -> Machine {
        let console = self.scratch.join("console");
        let out = File::create(&console).unwrap_or_else(|e| panic!("{}: {e}", console.display()));
        let errors = out.try_clone().unwrap_or_else(|e| panic!("{}: {e}", console.display()));
        let info = self.scratch.join("pid1");
        let mut words: Vec<String> = self.outside.clone();
        words.extend([testd().display().to_string(), "chamber".into(), "--info".into()]);
        words.push(info.display().to_string());
        if self.etc {
            words.extend(["--etc".into(), self.scratch.join("etc").display().to_string()]);
        }
        if let Some(tty) = &self.tty {
            words.extend(["--tty".into(), tty.clone()]);
        }
        if self.held {
            words.push("--hold".into());
        }
        words.push("--".into());
        words.extend(self.first_program());
        let words: Vec<String> = words.iter().map(|word| fill(word, &self.scratch)).collect();
        #[allow(clippy::disallowed_methods, reason = "the chamber is a child of the test")]
        let chamber = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", words[0]));
        let mut machine =
            Machine { scratch: self.scratch, chamber, pid1: Pid::from_raw(0), console, over: None };
        let number = until("the chamber names its PID 1", || {
            let named = fs::read_to_string(&info).ok().and_then(|text| text.parse().ok());
            if named.is_none() {
                machine.fail_if_over();
            }
            named
        });
        machine.pid1 = Pid::from_raw(number);
        machine
    }

    /// Starts it and waits until it answers.
    pub fn up(self) -> Machine {
        let mut machine = self.boot();
        until("sexton answers on its control socket", || {
            machine.fail_if_over();
            machine.sexton(&["list"]).ok().then_some(())
        });
        machine
    }

    fn first_program(&self) -> Vec<String> {
        if self.setup.is_empty() && self.first == First::Sexton {
            return self.command.clone();
        }
        let last = if self.first == First::Sexton {
            "exec \"$@\""
        } else {
            "\"$@\"; echo $? > @DIR@/code; exec @TESTD@ wait"
        };
        let script = format!("{}\n{last}", self.setup.join("\n"));
        let mut words = vec!["/bin/sh".to_owned(), "-c".into(), script, "sh".into()];
        words.extend(self.command.clone());
        words
    }
}

fn fill(text: &str, scratch: &Path) -> String {
    let mut text = text.replace("@DIR@", &scratch.display().to_string());
    for (mark, path) in
        [("@TESTD@", testd as fn() -> PathBuf), ("@SEXTON@", sexton), ("@TICKER@", super::ticker)]
    {
        if text.contains(mark) {
            text = text.replace(mark, &path().display().to_string());
        }
    }
    text
}

fn write_file(scratch: &Path, name: &str, text: &str) {
    let path = scratch.join(name);
    let directory = path.parent().unwrap_or(scratch);
    fs::create_dir_all(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    fs::write(&path, fill(text, scratch)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A PID 1 that runs, or ran.
pub struct Machine {
    scratch: PathBuf,
    chamber: Child,
    pid1: Pid,
    console: PathBuf,
    over: Option<ExitStatus>,
}

impl Machine {
    /// PID 1 as the outside sees it.
    pub fn pid1(&self) -> Pid {
        self.pid1
    }

    /// A path below the scratch directory, which is the same inside and outside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// What is in a file of the scratch directory; empty while it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read(self.path(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Adds a file while it runs.
    pub fn write(&self, name: &str, text: &str) {
        write_file(&self.scratch, name, text);
    }

    /// Replaces the marks of [`Plan`] in a text.
    pub fn fill(&self, text: &str) -> String {
        fill(text, &self.scratch)
    }

    /// All that PID 1 and its services wrote.
    pub fn console(&self) -> String {
        fs::read(&self.console).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Sends a signal to PID 1 from outside.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid1, signal).unwrap_or_else(|e| panic!("cannot send {signal} to PID 1: {e}"));
    }

    /// Lets a PID 1 that is held go on to its exec.
    pub fn release(&self) {
        self.signal(Signal::SIGUSR1);
    }

    /// The exit code of PID 1 (128 + n for a signal) if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        if self.over.is_none() {
            #[allow(clippy::disallowed_methods, reason = "the chamber is a child of the test")]
            let over = self.chamber.try_wait().unwrap_or_else(|e| panic!("cannot wait for the chamber: {e}"));
            self.over = over;
        }
        self.over.map(|status| status.code().unwrap_or(255))
    }

    /// Waits for PID 1 to end and gives its exit code.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        self.end_within(PATIENCE)
    }

    /// As [`Machine::end`], with a patience of its own.
    #[track_caller]
    pub fn end_within(&mut self, patience: Duration) -> i32 {
        super::within(patience, "PID 1 ends", || self.ended())
    }

    /// Sends a signal and waits for the end.
    #[track_caller]
    pub fn shut_down(&mut self, signal: Signal) -> i32 {
        self.signal(signal);
        self.end()
    }

    fn fail_if_over(&mut self) {
        if let Some(code) = self.ended() {
            panic!("PID 1 ended with {code} before it was up:\n{}", self.console());
        }
    }

    fn print(&mut self) {
        #[allow(clippy::disallowed_macros, clippy::print_stderr, reason = "a failing test shows what it saw")]
        {
            eprintln!("──── console\n{}", self.console());
            if self.ended().is_none() {
                eprintln!("──── list\n{}", self.sexton(&["list"]).all());
                for unit in self.units().into_iter().filter(|u| u.state != "ready").take(5) {
                    eprintln!("──── why {}\n{}", unit.name, self.sexton(&["why", &unit.name]).all());
                }
            }
            eprintln!("──── end of what is known of {}", self.scratch.display());
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print();
        }
        if self.ended().is_none() {
            // It is one process that we started; when it is gone the kernel ends all that is inside.
            let _ = kill(self.pid1, Signal::SIGKILL);
            let deadline = Deadline::after(PATIENCE);
            while self.ended().is_none() && !deadline.passed() {
                std::thread::yield_now();
            }
        }
        if std::env::var_os("SEXTON_KEEP").is_none() {
            // A scratch directory that stays behind harms nobody.
            let _ = fs::remove_dir_all(&self.scratch);
        }
    }
}

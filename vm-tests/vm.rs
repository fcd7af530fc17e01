//! A machine that runs: its console, the commands that it is given, the monitor of QEMU, its end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sexton::control::wire::UnitStatus;

use crate::channel::{Channel, Said};
use crate::harness::{sexton, within};
use crate::kernel::Kernel;
use crate::machine::Plan;

/// How long anything may take in an emulated machine, on two cores that emulate others as well.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// How a machine ended, as its kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    PowerOff,
    Reboot,
    Halt,
    Panic,
    /// By a watchdog.
    Reset,
}

/// A machine that runs, or has run.
pub struct Vm {
    plan: Plan,
    process: Child,
    channel: Channel,
    keyboard: File,
    over: bool,
}

impl Vm {
    pub fn new(plan: Plan, process: Child, channel: Channel, keyboard: File) -> Vm {
        Vm { plan, process, channel, keyboard, over: false }
    }

    /// All that it has said on its console.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.plan.scratch.join("console")).unwrap_or_default();
        plain(&String::from_utf8_lossy(&bytes))
    }

    /// Waits until the console says this.
    #[track_caller]
    pub fn await_console(&mut self, text: &str) {
        self.await_that(&format!("the console says '{text}'"), |vm| {
            vm.console().contains(text).then_some(())
        });
    }

    /// Waits for something, and fails when the machine is over before.
    #[track_caller]
    pub fn await_that<T>(&mut self, what: &str, mut look: impl FnMut(&mut Vm) -> Option<T>) -> T {
        within(PATIENCE, what, || {
            // The machine is looked at first: what it said with its last breath counts.
            let is_over = self.is_over();
            let found = look(self);
            assert!(found.is_some() || !is_over, "the machine ended before: {what}");
            found
        })
    }

    #[track_caller]
    pub fn await_channel(&mut self) {
        self.await_that("the shell of the machine answers", |vm| vm.channel.is_open().then_some(()));
    }

    /// Types a line on the console.
    pub fn type_line(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").unwrap_or_else(|e| panic!("the console: {e}"));
    }

    /// Runs a line of shell inside, to its end.
    #[track_caller]
    pub fn run(&mut self, line: &str) -> Said {
        let number = self.channel.ask(line);
        self.await_that(&format!("'{line}' ends"), |vm| vm.channel.answer(number))
    }

    /// Sends a line of shell off.
    pub fn send(&mut self, line: &str) {
        self.channel.ask(line);
    }

    /// Runs a line of shell inside until it succeeds; what it says then.
    #[track_caller]
    pub fn until(&mut self, line: &str) -> String {
        within(PATIENCE, &format!("'{line}' succeeds"), || {
            let said = self.run(line);
            (said.code == 0).then_some(said.out)
        })
    }

    /// One unit, as `status --json` gives it.
    #[track_caller]
    pub fn unit(&mut self, name: &str) -> UnitStatus {
        let text = self.run(&format!("sexton status {name} --json 2>/dev/null")).out;
        let value: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("status of {name}: {e}\n{text}"));
        serde_json::from_value(value["status"].clone()).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"))
    }

    /// Waits until a unit is in a state.
    #[track_caller]
    pub fn await_state(&mut self, name: &str, state: &str) -> UnitStatus {
        within(PATIENCE, &format!("{name} is {state}"), || {
            Some(self.unit(name)).filter(|unit| unit.state == state)
        })
    }

    /// Says something to QEMU's monitor.
    pub fn monitor(&self, line: &str) {
        let path = self.plan.scratch.join("monitor");
        let mut monitor = UnixStream::connect(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let patience = monitor.set_read_timeout(Some(PATIENCE));
        let mut prompt = Vec::new();
        let mut byte = [0];
        while !prompt.ends_with(b"(qemu) ") && matches!(monitor.read(&mut byte), Ok(1)) {
            prompt.push(byte[0]);
        }
        let sent = patience.and_then(|()| writeln!(monitor, "{line}"));
        sent.unwrap_or_else(|e| panic!("the monitor: {e}"));
        prompt.clear();
        while !prompt.ends_with(b"(qemu) ") && matches!(monitor.read(&mut byte), Ok(1)) {
            prompt.push(byte[0]);
        }
    }

    /// Runs sexton outside of the machine, with the other end of its port for a control socket.
    pub fn sexton_of_host(&self, words: &[&str]) -> Said {
        let mut command = Command::new(sexton());
        command.arg("--socket").arg(self.plan.scratch.join("port")).args(["--timeout", "60s"]).args(words);
        #[allow(clippy::disallowed_methods, reason = "a child of the test that ends by itself")]
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let out = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Said { code: output.status.code().unwrap_or(-1), out: out.concat() }
    }

    /// Waits for the end; how it ended.
    #[track_caller]
    pub fn end(&mut self) -> End {
        let uml = self.plan.kernel == Kernel::Uml;
        let end = within(PATIENCE, "the machine ends", || {
            let is_over = self.is_over();
            let console = self.console();
            let said = [
                ("reboot: Power down", End::PowerOff),
                ("reboot: Restarting system", End::Reboot),
                // User-Mode Linux knows no other way of switching itself off, and its process ends with it.
                ("reboot: System halted", if uml { End::PowerOff } else { End::Halt }),
                ("Kernel panic", End::Panic),
                ("Initiating system reboot", End::Reset),
            ];
            let found = said.into_iter().find(|(words, _)| console.contains(words)).map(|(_, end)| end);
            assert!(found.is_some() || !is_over, "the machine ended without a word");
            found
        });
        self.cut();
        end
    }

    /// Waits until its process is gone: the end of one that has no console to say anything on.
    #[track_caller]
    pub fn await_end(&mut self) {
        within(PATIENCE, "the machine ends", || self.is_over().then_some(()));
    }

    /// The power is gone: nothing is written any more.
    pub fn cut(&mut self) {
        let group = Pid::from_raw(self.process.id().cast_signed());
        let _ = killpg(group, Signal::SIGKILL); // It may have ended already.
        #[allow(clippy::disallowed_methods, reason = "the machine is a child of the test")]
        let _ = self.process.wait(); // As above.
        self.over = true;
    }

    #[allow(clippy::disallowed_methods, reason = "the machine is a child of the test")]
    fn is_over(&mut self) -> bool {
        self.over |= self.process.try_wait().is_ok_and(|status| status.is_some());
        self.over
    }

    /// The image of a disk, that of the root first.
    pub fn disk(&self, number: usize) -> PathBuf {
        self.plan.all_disks().nth(number).cloned().unwrap_or_else(|| panic!("there is no disk {number}"))
    }

    /// The same machine, with its disks as they are now, for another boot.
    #[track_caller]
    pub fn again(&mut self) -> Plan {
        self.cut();
        self.plan.again()
    }
}

/// Text without what colours it.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    plain.replace('\r', "")
}

impl Drop for Vm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(
                clippy::print_stderr,
                clippy::disallowed_macros,
                reason = "a test that fails shows what it saw"
            )]
            {
                eprintln!("━━━ the console of {:?}:\n{}", self.plan.kernel, self.console());
            }
        }
        if !self.over {
            self.cut();
        }
        if std::env::var_os("SEXTON_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.plan.scratch); // What is left below target does no harm.
        }
    }
}

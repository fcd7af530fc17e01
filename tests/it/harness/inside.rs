//! Commands that run inside a machine, and what they say of its units and processes.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use sexton::control::wire::UnitStatus;

use super::machine::Machine;
use super::{sexton, until, within};

/// How a command inside ended and what it printed.
pub struct Finished {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Finished {
    pub fn ok(&self) -> bool {
        self.code == 0
    }

    /// Both outputs, for a person.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Itself when the code is `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Finished {
        assert_eq!(self.code, code, "\n{}", self.all());
        self
    }
}

/// What `testd dump` wrote.
pub struct Facts(pub Value);

impl Facts {
    pub fn text(&self, name: &str) -> String {
        self.0[name].as_str().unwrap_or_default().to_owned()
    }

    pub fn numbers(&self, name: &str) -> Vec<i64> {
        self.0[name].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    pub fn number(&self, name: &str) -> i64 {
        self.0[name].as_i64().unwrap_or(i64::MIN)
    }

    /// A variable of its environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.0["environment"][name].as_str()
    }
}

impl Machine {
    /// A command inside the machine's namespaces, run to its end.
    pub fn run(&self, words: &[&str]) -> Finished {
        let target = self.pid1().to_string();
        // A command that never ends is a failure of the test, not the end of all tests.
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "60", "nsenter", "-t", &target, "-m", "-u", "-i", "-n", "-p", "--"]);
        command.args(words).stdin(Stdio::null());
        #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
        let output = command.output().unwrap_or_else(|e| panic!("nsenter: {e}; apt-get install util-linux"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Finished {
            code: output.status.code().unwrap_or(255),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// A line of shell inside.
    pub fn shell(&self, line: &str) -> Finished {
        self.run(&["/bin/sh", "-c", &self.fill(line)])
    }

    /// `sexton WORDS` inside.
    pub fn sexton(&self, words: &[&str]) -> Finished {
        let program = sexton().display().to_string();
        let all: Vec<&str> = std::iter::once(program.as_str()).chain(words.iter().copied()).collect();
        self.run(&all)
    }

    /// Starts a command inside and does not wait for it. Its output goes to the file `name` of the scratch directory.
    pub fn start(&self, name: &str, words: &[&str]) -> std::process::Child {
        let path = self.path(name);
        let out = File::create(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let target = self.pid1().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &target, "-m", "-u", "-i", "-n", "-p", "--"]).args(words);
        #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
        command.stdin(Stdio::null()).stdout(out).spawn().unwrap_or_else(|e| panic!("nsenter: {e}"))
    }

    /// All units, as `list --json` gives them; none while sexton does not answer.
    pub fn units(&self) -> Vec<UnitStatus> {
        let listed: Value = serde_json::from_str(&self.sexton(&["list", "--json"]).out).unwrap_or_default();
        let units = if listed.is_array() { listed } else { listed["units"].clone() };
        serde_json::from_value(units).unwrap_or_default()
    }

    /// One unit.
    #[track_caller]
    pub fn unit(&self, name: &str) -> UnitStatus {
        let found = self.units().into_iter().find(|unit| unit.name == name);
        found.unwrap_or_else(|| panic!("there is no unit {name}"))
    }

    /// The state of a unit; empty where there is none.
    pub fn state(&self, name: &str) -> String {
        self.units().into_iter().find(|unit| unit.name == name).map(|unit| unit.state).unwrap_or_default()
    }

    /// Waits until a unit is in a state.
    #[track_caller]
    pub fn await_state(&self, name: &str, state: &str) -> UnitStatus {
        until(&format!("{name} is {state}"), || {
            self.units().into_iter().find(|unit| unit.name == name && unit.state == state)
        })
    }

    /// As [`Machine::await_state`], with a patience of its own.
    #[track_caller]
    pub fn await_state_within(&self, patience: Duration, name: &str, state: &str) -> UnitStatus {
        within(patience, &format!("{name} is {state}"), || {
            self.units().into_iter().find(|unit| unit.name == name && unit.state == state)
        })
    }

    /// Waits until a file of the scratch directory holds something, and gives it.
    #[track_caller]
    pub fn await_file(&self, name: &str) -> String {
        until(&format!("the file {name} is written"), || {
            Some(self.read(name)).filter(|text| !text.is_empty())
        })
    }

    /// Waits for what `testd dump` wrote.
    #[track_caller]
    pub fn await_facts(&self, name: &str) -> Facts {
        let text = self.await_file(name);
        Facts(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}: {text}")))
    }

    /// Waits until the output of PID 1 and its services holds a text.
    #[track_caller]
    pub fn await_console(&self, text: &str) {
        until(&format!("the console says '{text}'"), || self.console().contains(text).then_some(()));
    }

    /// Waits until a unit is ready; the pid of its main process.
    pub fn ready_pid(&self, unit: &str) -> i32 {
        self.await_state(unit, "ready");
        self.main_pid(unit)
    }

    /// The pid, as the inside counts, of a unit's main process.
    #[track_caller]
    pub fn main_pid(&self, unit: &str) -> i32 {
        let status = self.unit(unit);
        status.main_pid.unwrap_or_else(|| panic!("{unit} has no main process; it is {}", status.state))
    }

    /// Kills the main process of a unit.
    #[track_caller]
    pub fn kill(&self, unit: &str, signal: Signal) -> i32 {
        let pid = self.main_pid(unit);
        self.run(&["/bin/kill", &format!("-{}", signal as i32), &pid.to_string()]).expect(0);
        pid
    }

    /// Waits until a unit is ready again, with another main process.
    #[track_caller]
    pub fn await_replacement(&self, unit: &str, old: i32) -> i32 {
        until(&format!("{unit} is ready again"), || {
            let found = self.units().into_iter().find(|u| u.name == unit && u.state == "ready")?;
            found.main_pid.filter(|pid| *pid != old)
        })
    }

    /// All processes inside, as the outside counts: pid and the line of their status that begins `State`.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let Some(own) = space(&self.pid1().to_string()) else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let pids = names.filter(|name| name.parse::<i32>().is_ok() && space(name).as_ref() == Some(&own));
        pids.filter_map(|pid| Some((pid.parse().ok()?, state_of(pid.parse().ok()?)?))).collect()
    }

    /// How many of them are zombies.
    pub fn zombies(&self) -> usize {
        self.processes().iter().filter(|(_, state)| state.contains('Z')).count()
    }

    /// Whether a process, as the inside counts, is there and no zombie.
    pub fn lives(&self, inner: i32) -> bool {
        self.run(&["/bin/sh", "-c", &format!("grep -q '^State:.[^ZX]' /proc/{inner}/status")]).ok()
    }
}

fn state_of(pid: i32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find(|line| line.starts_with("State:")).map(str::to_owned)
}

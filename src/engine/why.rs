//! Why a unit is as it is: sentences, the most immediate first, each cause after what it caused.
//!
//! ```text
//!   web waits for db                                  the unit asked about
//!   db failed: exited with code 1 before it was ready ─▶ what it waits for, and so on down the graph
//!   `sexton reset db` forgets the failure             ─▶ what to do next, where there is something
//! ```
//!
//! Causes are followed by a list, not by recursion, and only so far that a person still reads it.

use crate::model::time::Spoken;
use crate::model::unit::{Program, Readiness};
use crate::model::{Moment, Pid};

use super::Engine;
use super::cell::{Cell, LastEnd, Quality};
use super::event::{Role, UnitId};
use super::failure::Failure;
use super::graph::EdgeKind;
use super::state::{Awaiting, CleanStage, Process, State, StopStage, Wanted};

/// How many units one answer speaks of. A person follows a chain of causes about this far.
const MAX_UNITS: usize = 8;

/// How many names one sentence lists.
const MAX_NAMES: usize = 5;

impl Engine {
    /// Why this unit is as it is.
    pub fn why(&self, id: UnitId, now: Moment) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut units = vec![id];
        let mut next = 0;
        while let Some(unit) = units.get(next).copied() {
            next += 1;
            let causes = self.explain(unit, now, &mut sentences);
            for cause in causes {
                if units.len() < MAX_UNITS && !units.contains(&cause) {
                    units.push(cause);
                }
            }
        }
        sentences
    }

    /// Says why one unit is as it is, and answers which units are behind it.
    fn explain(&self, unit: UnitId, now: Moment, sentences: &mut Vec<String>) -> Vec<UnitId> {
        let cell = self.cell(unit);
        let name = cell.name();
        let since = Spoken(now.since(cell.since));
        match cell.state {
            State::Stopped => {
                let causes = self.explain_stopped(unit, sentences);
                self.explain_passed_over(unit, now, sentences);
                return causes;
            }
            State::Waiting { .. } => return self.explain_waiting(unit, sentences),
            State::Inspecting { inspection: Process::Deferred(_) }
            | State::Preparing { process: Process::Deferred(_), .. }
            | State::Starting { main: Process::Deferred(_), .. } => {
                sentences.push(self.explain_deferred(unit, &self.time_left(cell, now)));
            }
            State::Inspecting { .. } => sentences.push(format!("{name} is about to start")),
            State::Preparing { role, process, .. } => {
                sentences.push(format!("{name} is being prepared: {}", helper(role, process)));
            }
            State::Starting { main, awaiting } => {
                sentences.push(explain_starting(cell, main, awaiting, now, &self.time_left(cell, now)));
            }
            State::PostStarting { hook, process, .. } => {
                sentences.push(format!("{name} runs, and {}", helper(Role::PostStart(hook), process)));
            }
            State::Ready { main: Some(pid) } => {
                sentences.push(format!("{name} is up and ready for {since} (pid {pid})"));
                self.explain_other_run(unit, now, sentences);
                self.explain_errand(unit, now, sentences);
                self.explain_passed_over(unit, now, sentences);
                self.explain_last_test(unit, now, sentences);
                self.explain_pending_stop(unit, sentences);
            }
            State::Ready { main: None } => {
                sentences.push(format!("{name} is reached for {since}: all that it needs is up"));
                self.explain_pending_stop(unit, sentences);
            }
            State::Done => {
                sentences.push(format!("{name} is done: it ended well {since} ago"));
                self.explain_passed_over(unit, now, sentences);
            }
            State::Skipped => sentences.push(self.explain_skipped(unit)),
            State::Stopping { stage, main, .. } => {
                sentences.push(explain_stopping(cell, stage, main, &self.time_left(cell, now)));
            }
            State::Killing { .. } => self.explain_killing(unit, now, sentences),
            State::CleaningUp { stage, .. } => sentences.push(explain_cleaning(name, stage)),
            State::Backoff => {
                let failure = cell.failure.as_deref().map(|failure| self.words(failure)).unwrap_or_default();
                let times = cell.doublings;
                sentences.push(format!("{name} {}", failed(&failure)));
                sentences.push(format!(
                    "{name} is started again{}; that is attempt {times} in a row: `sexton start {name}` does it now",
                    self.time_left(cell, now)
                ));
            }
            State::Failed => return self.explain_failed(unit, sentences),
        }
        Vec::new()
    }

    fn explain_killing(&self, unit: UnitId, now: Moment, sentences: &mut Vec<String>) {
        let cell = self.cell(unit);
        let State::Killing { main, helper, .. } = cell.state else { return };
        let (name, since) = (cell.name(), Spoken(now.since(cell.since)));
        let what = match main.pid().or(helper.pid()) {
            Some(pid) => format!("process {pid} has not ended; the kernel holds it"),
            None => "its end is awaited".to_owned(),
        };
        sentences.push(format!("{name} was sent SIGKILL {since} ago and {what}"));
        if self.outlives_kill(unit) {
            let then = if cell.wanted == Wanted::Up { "started again" } else { "stopped" };
            sentences.push(format!("nobody waits for that any longer; {name} is {then} once it has ended"));
        }
    }

    fn explain_stopped(&self, unit: UnitId, sentences: &mut Vec<String>) -> Vec<UnitId> {
        let cell = self.cell(unit);
        let name = cell.name();
        match (cell.wanted, cell.last_end) {
            (Wanted::Up, _) => {
                let others = self.holders_up(unit);
                let whom = if others.is_empty() { "others".to_owned() } else { self.names(&others) };
                sentences.push(format!("{name} is held down by a restart that still stops {whom}"));
                return others;
            }
            (Wanted::Down, None) if cell.unit().is_some_and(|unit| unit.manual) => sentences.push(format!(
                "{name} was never started: it has `manual = true`{}; `sexton start {name}` starts it",
                source(cell)
            )),
            (Wanted::Down, None) => {
                sentences.push(format!("{name} was never started; `sexton start {name}` starts it"));
            }
            (Wanted::Down, Some(LastEnd { status, quality, .. })) => {
                let how = match quality {
                    Quality::Clean => "",
                    Quality::Unclean => ", which is not a clean end for it",
                };
                sentences.push(format!(
                    "{name} is stopped; its process {status}{how}; `sexton start {name}` starts it"
                ));
            }
        }
        Vec::new()
    }

    /// A unit that runs and is to stop waits for those that depend on it.
    fn explain_pending_stop(&self, unit: UnitId, sentences: &mut Vec<String>) {
        let cell = self.cell(unit);
        if !cell.goes_down() {
            return;
        }
        let edges = self.graph.incoming(unit).iter();
        let later = edges.filter(|edge| match edge.kind {
            EdgeKind::Needs => self.cell(edge.unit).standing.active,
            EdgeKind::Wants | EdgeKind::After => self.cell(edge.unit).standing.stopping_too,
        });
        let later: Vec<UnitId> = later.map(|edge| edge.unit).collect();
        if !later.is_empty() {
            sentences.push(format!("{} is to stop, after {}", cell.name(), self.names(&later)));
        }
    }

    fn explain_waiting(&self, unit: UnitId, sentences: &mut Vec<String>) -> Vec<UnitId> {
        let name = self.cell(unit).name();
        if self.awaits_successor(unit) {
            sentences.push(format!("{name} has ended, and its successor takes its place once that is ready"));
        }
        let edges = self.graph.outgoing(unit).iter();
        let (mut needs, mut others) = (Vec::new(), Vec::new());
        for edge in edges {
            let standing = self.cell(edge.unit).standing;
            match edge.kind {
                EdgeKind::Needs if !standing.satisfied => needs.push(edge.unit),
                EdgeKind::Wants | EdgeKind::After if standing.unsettled => others.push(edge.unit),
                EdgeKind::Needs | EdgeKind::Wants | EdgeKind::After => {}
            }
        }
        if !needs.is_empty() {
            sentences.push(format!("{name} waits for {}, which it needs", self.names(&needs)));
        }
        if !others.is_empty() {
            sentences.push(format!(
                "{name} waits until {} settled, because it comes after",
                have(&self.names(&others), &others)
            ));
        }
        needs.extend(others);
        needs
    }

    fn explain_failed(&self, unit: UnitId, sentences: &mut Vec<String>) -> Vec<UnitId> {
        let cell = self.cell(unit);
        let name = cell.name();
        let Some(failure) = cell.failure.as_deref() else { return Vec::new() };
        sentences.push(format!("{name} {}", failed(&self.words(failure))));
        match failure {
            Failure::Load(_) => {
                sentences.push(format!(
                    "`sexton check` shows all errors; once it is mended, `sexton start {name}` reads it again"
                ));
            }
            Failure::Dependency(need) => {
                sentences.push(format!("`sexton start {name}` tries both again"));
                return vec![*need];
            }
            Failure::Conflict(other) => {
                let other = self.cell(*other).name();
                sentences.push(format!("`sexton stop {other}`, then `sexton start {name}`"));
            }
            Failure::Unmet(_) => {
                sentences.push(format!(
                    "{name} is not tried again by itself; set it right{}, then `sexton start {name}`",
                    place(cell)
                ));
            }
            Failure::RestartLimit { .. } => {
                sentences.push(format!("`sexton start {name}` tries again and counts from 0"));
            }
            Failure::Spawn { .. }
            | Failure::Exited { .. }
            | Failure::Judged { .. }
            | Failure::ReloadEnded { .. }
            | Failure::ReloadUnproven { .. }
            | Failure::Successor(_)
            | Failure::NotReady { .. }
            | Failure::TimedOut { .. }
            | Failure::Unkillable => {
                sentences.push(format!(
                    "{name} is not tried again by itself, as `[restart]`{} says; `sexton start {name}` does",
                    source(cell)
                ));
            }
        }
        Vec::new()
    }

    /// When the present state's time is over: ` in 3 s`.
    fn time_left(&self, cell: &Cell, now: Moment) -> String {
        match cell.deadline {
            Some(deadline) => format!(" in {}", Spoken(deadline.since(now))),
            None => String::new(),
        }
    }

    pub(super) fn words(&self, failure: &Failure) -> String {
        failure.describe(&|unit| self.cell(unit).name().to_owned())
    }

    pub(super) fn names(&self, units: &[UnitId]) -> String {
        let mut names: Vec<String> = units.iter().map(|unit| self.cell(*unit).name().to_owned()).collect();
        let more = names.len().saturating_sub(MAX_NAMES);
        names.truncate(MAX_NAMES);
        match (more, names.pop()) {
            (0, Some(last)) if names.is_empty() => last,
            (0, Some(last)) => format!("{} and {last}", names.join(", ")),
            (more, Some(last)) => format!("{}, {last} and {more} more", names.join(", ")),
            (_, None) => String::new(),
        }
    }
}

fn have(names: &str, units: &[UnitId]) -> String {
    format!("{names} {}", if units.len() == 1 { "has" } else { "have" })
}

/// "failed: …", without saying it twice.
fn failed(words: &str) -> String {
    format!("failed: {words}")
}

/// ` in /etc/sexton/units/web.toml`.
pub(super) fn source(cell: &Cell) -> String {
    cell.unit().map(|unit| format!(" in {}", unit.source.display())).unwrap_or_default()
}

fn place(cell: &Cell) -> String {
    cell.unit().map(|unit| format!(" (`[require]` in {})", unit.source.display())).unwrap_or_default()
}

fn helper(role: Role, process: Process) -> String {
    match process {
        Process::Running(pid) => format!("{role} runs (pid {pid})"),
        Process::Killed(pid) => format!("{role} did not end in time and was sent SIGKILL (pid {pid})"),
        Process::Deferred(_) => format!("{role} is tried again in a moment, because something ran out"),
        Process::None | Process::Ordered(_) | Process::Gone(_) => format!("{role} is being started"),
    }
}

fn explain_starting(cell: &Cell, main: Process, awaiting: Awaiting, now: Moment, left: &str) -> String {
    let name = cell.name();
    let since = Spoken(now.since(cell.since));
    let Some(program) = cell.program() else { return format!("{name} is starting") };
    if let Process::None | Process::Ordered(_) = main {
        return format!("{name}: its process is being started");
    }
    let pid = main.pid().map(|pid: Pid| format!(" (pid {pid})")).unwrap_or_default();
    let what = match awaiting {
        Awaiting::Exit => return format!("{name} has run for {since}{pid}; it is done when it exits with 0"),
        Awaiting::PidFile => "its pid file".to_owned(),
        Awaiting::Readiness => shows(program),
        Awaiting::Both => format!("its pid file and {}", shows(program)),
    };
    let late =
        if left.is_empty() { String::new() } else { format!("; without it the start has failed{left}") };
    format!("{name} has run for {since}{pid} and is ready with {what}{late}")
}

/// What `[ready]` waits for, as a noun.
fn shows(program: &Program) -> String {
    match &program.ready.how {
        Readiness::Exec => "its exec".to_owned(),
        Readiness::Notify => "READY=1 on its notify socket".to_owned(),
        Readiness::Fd(fd) => format!("a newline on descriptor {fd}"),
        Readiness::Tcp(address) => format!("a connection to {address}"),
        Readiness::Unix(path) => format!("a connection to {path}"),
        Readiness::Http(target) => format!("a good answer from http://{}{}", target.host, target.path),
        Readiness::Command { exec, .. } => format!("'{exec}' exiting with 0"),
        Readiness::Log(pattern) => format!("a line of output that matches '{pattern}'"),
        Readiness::File(path) => format!("the file {path}"),
    }
}

fn explain_stopping(cell: &Cell, stage: StopStage, main: Process, left: &str) -> String {
    let name = cell.name();
    let steps = cell.program().map(|program| program.stop.steps.as_slice()).unwrap_or_default();
    let pid = main.pid().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let next = |place: u16| match steps.get(usize::from(place)) {
        Some(step) => format!("{} follows{left}", step.signal),
        None => format!("SIGKILL follows{left}"),
    };
    match stage {
        StopStage::Inspecting | StopStage::Spawning => {
            format!("{name} stops as soon as its start was answered")
        }
        StopStage::HookKilled => format!("{name} stops when its hook, which was sent SIGKILL, has ended"),
        StopStage::Command => format!("{name}{pid} stops: its stop command runs and is killed{left}"),
        StopStage::CommandKilled => {
            format!("{name}{pid} stops: its stop command did not end and was sent SIGKILL")
        }
        StopStage::Settling => {
            format!("{name}{pid} was asked to stop by its stop command and has not ended; {}", next(0))
        }
        StopStage::Step(place) => {
            let signal =
                steps.get(usize::from(place)).map(|step| step.signal.to_string()).unwrap_or_default();
            format!("{name}{pid} was sent {signal} and has not ended; {}", next(place.saturating_add(1)))
        }
        StopStage::Unhurried => format!(
            "{name}{pid} has had all its stop signals and may take as long as it takes: `kill = \"never\"`{}",
            source(cell)
        ),
    }
}

fn explain_cleaning(name: &str, stage: CleanStage) -> String {
    match stage {
        CleanStage::GroupsTerminated { .. } => {
            format!("{name} has ended; what it left in its process groups was sent SIGTERM")
        }
        CleanStage::GroupsKilled { .. } => {
            format!("{name} has ended; what it left in its process groups was sent SIGKILL")
        }
        CleanStage::Hook { hook, process } => {
            format!("{name} has ended; {}", helper(Role::PostStop(hook), process))
        }
    }
}

//! What is said of units to those who ask: the engine's tables, put into the words of the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::control::wire::{ManagerStatus, Step, UnitDetails, UnitStatus};
use crate::engine::{Engine, Phase, UnitId, Which};
use crate::model::time::Spoken;
use crate::model::unit::{Kill, Program, Readiness, ReloadBy, RestartOn, Stop};
use crate::model::{Kind, Moment, UnitName};

use super::disk::OnDisk;
use super::report::words_of;

/// The time, and when this sexton began: a unit that nothing ever happened to has been as it is since then.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Now.
    pub now: Moment,
    /// When sexton began.
    pub started: Moment,
}

/// One line of `list`.
pub fn unit_status(
    engine: &Engine,
    id: UnitId,
    times: Times,
    status_text: Option<&str>,
    disk: OnDisk,
) -> UnitStatus {
    let Times { now, started } = times;
    let view = engine.unit(id);
    let kind = match view.unit().map(|unit| &unit.kind) {
        Some(Kind::Service(_)) => "service",
        Some(Kind::Task(_)) => "task",
        Some(Kind::Target) => "target",
        None => "broken",
    };
    UnitStatus {
        name: view.name().to_string(),
        kind: kind.to_owned(),
        description: view.unit().map(|unit| unit.description.to_string()).unwrap_or_default(),
        state: view.phase().as_str().to_owned(),
        wanted: view.wanted().as_str().to_owned(),
        since_usec: micros(now.since(view.since().max(started))),
        main_pid: view.main_pid().map(|pid| pid.get()),
        restarts: view.restarts(),
        reason: reason(engine, id, now),
        status_text: status_text.map(str::to_owned),
        last_end: view.last_end().map(|end| end.status.to_string()),
        essential: view.unit().is_some_and(|unit| unit.essential),
        file_gone: disk.gone.map(|path| path.display().to_string()),
        changed_since_start: disk.changed,
        test_failed_ago_usec: view
            .last_test()
            .filter(|test| test.failure.is_some())
            .map(|test| micros(now.since(test.at))),
    }
}

/// Why a unit is where it is, in one clause, for states that need a reason.
fn reason(engine: &Engine, id: UnitId, now: Moment) -> Option<String> {
    let view = engine.unit(id);
    match view.phase() {
        Phase::Failed | Phase::Backoff => {
            view.failure().map(|failure| failure.describe(&|unit| engine.unit(unit).name().to_string()))
        }
        Phase::Waiting | Phase::Deferred | Phase::Skipped => engine.why(id, now).into_iter().next(),
        Phase::Ready => other_run(engine, id),
        Phase::Stopped
        | Phase::Preparing
        | Phase::Starting
        | Phase::PostStarting
        | Phase::Done
        | Phase::Stopping
        | Phase::Killing
        | Phase::CleaningUp => None,
    }
}

/// In an overlapping restart a unit has a second process for a while.
fn other_run(engine: &Engine, id: UnitId) -> Option<String> {
    let run = engine.other_run(id)?;
    let pid = run.main_pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let which = match run.which {
        Which::Successor => "its successor",
        Which::Predecessor => "its predecessor",
    };
    Some(format!("{which}{pid} is {}", run.phase))
}

/// All of `show`, but for the last output, which only the logger's memory knows.
pub fn unit_details(
    engine: &Engine,
    id: UnitId,
    times: Times,
    status_text: Option<&str>,
    disk: OnDisk,
) -> UnitDetails {
    let status = unit_status(engine, id, times, status_text, disk);
    let mut details = UnitDetails { status, ..UnitDetails::default() };
    let Some(unit) = engine.unit(id).unit() else { return details };
    details.source = unit.source.display().to_string();
    details.instance_file = unit.instance_file.as_ref().map(|path| path.display().to_string());
    details.docs = unit.docs.to_vec();
    details.needs = names(&unit.needs);
    details.wants = names(&unit.wants);
    details.after = names(&unit.after);
    details.before = names(&unit.before);
    details.conflicts = names(&unit.conflicts);
    details.needed_by = engine.dependents(id).map(|id| engine.unit(id).name().to_string()).collect();
    if let Some(program) = unit.program() {
        describe_program(&mut details, program);
    }
    details.last_test = last_test(engine, id, times.now);
    details.passed_over = passed_over(engine, id, times.now);
    details
}

/// A hook of its present run that failed, or its stop command, where it went on all the same.
fn passed_over(engine: &Engine, id: UnitId, now: Moment) -> Option<Step> {
    let view = engine.unit(id);
    let (at, failure) = view.passed_over()?;
    Some(Step {
        unit: view.name().to_string(),
        result: "failed".to_owned(),
        reason: Some(failure.describe(&|unit| engine.unit(unit).name().to_string())),
        output: words_of(failure).to_vec(),
        ago_usec: Some(micros(now.since(*at))),
        ..Step::default()
    })
}

/// How a unit's configuration was last tested.
fn last_test(engine: &Engine, id: UnitId, now: Moment) -> Option<Step> {
    let view = engine.unit(id);
    let test = view.last_test()?;
    let failure = test.failure.map(|failure| failure.describe(&|unit| engine.unit(unit).name().to_string()));
    Some(Step {
        unit: view.name().to_string(),
        result: if failure.is_some() { "failed" } else { "passed" }.to_owned(),
        reason: failure,
        output: test.failure.map(|failure| words_of(failure).to_vec()).unwrap_or_default(),
        ago_usec: Some(micros(now.since(test.at))),
        ..Step::default()
    })
}

/// What a person wants to know of a unit beside its state, as far as the engine does not know it: sentences for `why`.
pub fn remarks(details: &UnitDetails) -> Vec<String> {
    let name = &details.status.name;
    let mut sentences = Vec::new();
    if !details.status.changed_since_start.is_empty() {
        let what = details.status.changed_since_start.join(" and ");
        let test =
            if details.configtest.is_some() { "" } else { ", and no configtest would find a mistake in it" };
        sentences.push(format!("{what} changed since {name} was started{test}"));
    }
    if let Some(usage) = details.usage.as_ref().filter(|usage| usage.oom_kills > 0) {
        let processes = if usage.oom_kills == 1 { "one of its processes" } else { "processes of it" };
        sentences.push(format!(
            "the kernel killed {processes} for want of memory, {} times since it was started",
            usage.oom_kills
        ));
    }
    if let Some(file) = &details.status.file_gone {
        sentences.push(format!("its file is gone: {file}; the next sync stops {name}"));
    }
    sentences
}

fn names(names: &[UnitName]) -> Vec<String> {
    names.iter().map(UnitName::to_string).collect()
}

fn describe_program(details: &mut UnitDetails, program: &Program) {
    details.configtest = program.configtest.as_ref().map(|test| test.exec.to_string());
    details.pre_stop = program.hooks.pre_stop.iter().map(|hook| hook.name.clone()).collect();
    details.reload = program.reload.as_ref().map(|reload| match &reload.how {
        ReloadBy::Signal(signal) => signal.to_string(),
        ReloadBy::Command(command) => format!("'{command}'"),
    });
    details.exec = Some(program.exec.to_string());
    details.user = program.process.user.as_ref().map(|user| user.to_string());
    details.ready = Some(readiness_in_words(&program.ready.how));
    details.stop = Some(stop_in_words(&program.stop));
    let restart = &program.restart;
    details.restart = Some(match restart.on {
        RestartOn::Never => "never".to_owned(),
        RestartOn::Always | RestartOn::Failure => format!(
            "{}, after {} to {}, at most {} times in {}",
            if restart.on == RestartOn::Always { "always" } else { "after a failure" },
            Spoken(restart.delay),
            Spoken(restart.max_delay),
            restart.limit,
            Spoken(restart.window)
        ),
    });
}

/// How a unit shows that it is ready, as a clause.
pub fn readiness_in_words(how: &Readiness) -> String {
    match how {
        Readiness::Exec => "once its program runs".to_owned(),
        Readiness::Notify => "when it sends READY=1".to_owned(),
        Readiness::Fd(fd) => format!("when it writes a newline to descriptor {fd}"),
        Readiness::Tcp(address) => format!("when {address} accepts a connection"),
        Readiness::Unix(path) => format!("when {path} accepts a connection"),
        Readiness::Http(target) => format!("when http://{}{} answers with success", target.host, target.path),
        Readiness::Command { exec, matches: None } => format!("when '{exec}' exits with 0"),
        Readiness::Command { exec, matches: Some(matches) } => {
            format!("when '{exec}' exits with 0 and prints what matches '{matches}'")
        }
        Readiness::Log(expression) => format!("when a line of its output matches '{expression}'"),
        Readiness::File(path) => format!("when {path} is there"),
    }
}

fn stop_in_words(stop: &Stop) -> String {
    let mut steps: Vec<String> = stop.exec.iter().map(|exec| format!("'{exec}'")).collect();
    steps.extend(stop.steps.iter().map(|step| format!("{}, wait {}", step.signal, Spoken(step.wait))));
    steps.push(match stop.kill {
        Kill::Group => "SIGKILL to its group".to_owned(),
        Kill::Process => "SIGKILL to its process".to_owned(),
        Kill::Never => "never killed".to_owned(),
    });
    steps.join("; ")
}

/// `status` without a unit.
pub fn manager_status(
    engine: &Engine,
    uptime: Duration,
    orphans_reaped: u64,
    limitations: &[String],
) -> ManagerStatus {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for id in engine.ids() {
        *counts.entry(engine.unit(id).phase().as_str().to_owned()).or_default() += 1;
    }
    ManagerStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id().cast_signed(),
        state: if engine.is_shutting_down() { "shutting-down" } else { "running" }.to_owned(),
        uptime_usec: micros(uptime),
        orphans_reaped,
        counts,
        limitations: limitations.to_vec(),
    }
}

/// As the wire has it.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

//! What came of a request, and what one would do, in the words of the wire.
//!
//! ```text
//!   Outcome, Pending ──▶ Report        kind, sentence, whose fault, which command, its own words, what was undone
//!   Plan, Request    ──▶ PlanReport
//! ```

use std::rc::Rc;

use crate::control::wire::{PlanReport, Report, Step};
use crate::engine::{
    Engine, Failure, Outcome, Plan, Refusal, Request, RestartHow, Role, Testing, Trial, UnitId,
};
use crate::model::time::Spoken;
use crate::model::unit::Program;
use crate::model::{Unit, UnitName};

use super::perform::command_of;
use super::requests::Pending;

/// An outcome without the units, and without the output of a unit's own process.
pub fn report(engine: &Engine, outcome: &Outcome, pending: &Pending) -> Report {
    let name = |unit: UnitId| engine.unit(unit).name().to_string();
    let report = match outcome {
        Outcome::Done => plain("done", done_in_words(pending)),
        Outcome::Refused(Refusal::ConfigTest { failures }) => untrusted(engine, failures, pending),
        Outcome::Refused(refusal) => {
            Report { unit: subject(refusal).map(name), ..plain("refused", refusal.describe(&name)) }
        }
        Outcome::Failed { unit, failure, retry_in } => {
            let then = match retry_in {
                Some(wait) if wait.is_zero() => "; it is tried again at once".to_owned(),
                Some(wait) => format!("; it is tried again in {}", Spoken(*wait)),
                None => String::new(),
            };
            let message = format!("{} failed: {}{then}", name(*unit), failure.describe(&name));
            blamed(engine, *unit, failure, plain("failed", message))
        }
        Outcome::Aborted { unit, failure, undone } => {
            let message = format!("{}: {}", name(*unit), at_fault(engine, *unit, failure));
            Report { undone: undone.clone(), ..blamed(engine, *unit, failure, plain("aborted", message)) }
        }
        Outcome::Forgotten => plain("done", "it goes on, and nobody waits for it".to_owned()),
        Outcome::Abandoned { undone } => {
            let message = "given up before anything was stopped".to_owned();
            Report { undone: undone.clone(), ..plain("abandoned", message) }
        }
        Outcome::RollStopped { done, left, because } => rolled(
            report(engine, because, pending),
            done.iter().map(|unit| name(*unit)),
            left.iter().map(|unit| name(*unit)),
        ),
        Outcome::Replaced { .. } => plain("replaced", "a later request wished the opposite".to_owned()),
        Outcome::ShuttingDown => plain("shutting-down", "sexton is shutting down".to_owned()),
    };
    with_tests(report, pending)
}

/// The unit whose own output belongs to an outcome, where the command that decided it said nothing itself.
pub fn output_of(outcome: &Outcome) -> Option<UnitId> {
    match outcome {
        Outcome::Failed { unit, failure, .. } if words_of(failure).is_empty() => Some(*unit),
        Outcome::Aborted { unit, failure: Failure::Successor(failure), .. }
            if words_of(failure).is_empty() =>
        {
            Some(*unit)
        }
        Outcome::RollStopped { because, .. } => output_of(because),
        Outcome::Done
        | Outcome::Refused(_)
        | Outcome::Failed { .. }
        | Outcome::Aborted { .. }
        | Outcome::Abandoned { .. }
        | Outcome::Forgotten
        | Outcome::Replaced { .. }
        | Outcome::ShuttingDown => None,
    }
}

fn plain(outcome: &str, message: String) -> Report {
    Report { outcome: outcome.to_owned(), message, ..Report::default() }
}

fn done_in_words(pending: &Pending) -> String {
    match pending.units.as_slice() {
        [] => pending.done.clone(),
        [unit] => format!("{unit} {}", pending.done),
        units => format!("{} units {}", units.len(), pending.done),
    }
}

/// The unit that a refusal is about.
fn subject(refusal: &Refusal) -> Option<UnitId> {
    match refusal {
        Refusal::NeededBy { unit, .. }
        | Refusal::Conflict { unit, .. }
        | Refusal::Broken { unit, .. }
        | Refusal::NoReload { unit }
        | Refusal::NotUp { unit }
        | Refusal::Busy { unit, .. }
        | Refusal::NoProcess { unit } => Some(*unit),
        Refusal::ConfigTest { .. }
        | Refusal::SyncRunning
        | Refusal::TooMany { .. }
        | Refusal::ShuttingDown => None,
    }
}

/// Tests failed: every one of them is told, the first is what decided it.
fn untrusted(engine: &Engine, failures: &[(UnitName, Failure)], pending: &Pending) -> Report {
    let name = |unit: UnitId| engine.unit(unit).name().to_string();
    let steps = failures.iter().map(|(unit, failure)| Step {
        unit: unit.to_string(),
        hook: None,
        result: "failed".to_owned(),
        command: command_line(spec(engine, unit, pending).as_deref(), failure),
        reason: Some(failure.describe(&name)),
        output: words_of(failure).to_vec(),
        ago_usec: None,
    });
    let tests: Vec<Step> = steps.collect();
    let message = match failures {
        [(unit, failure)] => format!("{unit}: {}", failure.describe(&name)),
        _ => {
            let names: Vec<&str> = failures.iter().map(|(unit, _)| unit.as_str()).collect();
            format!("{} units did not pass: {}", names.len(), names.join(", "))
        }
    };
    let mut report = plain("refused", message);
    if let Some(first) = tests.first() {
        report.unit = Some(first.unit.clone());
        report.command = first.command.clone();
        report.last_output = first.output.clone();
    }
    Report { tests, ..report }
}

/// Adds the tests that passed, and those that there are none of, to the ones that are told already.
fn with_tests(mut report: Report, pending: &Pending) -> Report {
    for step in &pending.tests {
        if matches!(step.result.as_str(), "untested" | "skipped") {
            report.untested.push(step.unit.clone());
        }
        if !report.tests.iter().any(|told| told.unit == step.unit) {
            report.tests.push(step.clone());
        }
    }
    report
}

/// A roll that has restarted somebody did touch something, whatever stopped it.
fn rolled(because: Report, done: impl Iterator<Item = String>, left: impl Iterator<Item = String>) -> Report {
    let (roll_done, roll_left): (Vec<_>, Vec<_>) = (done.collect(), left.collect());
    let touched =
        !roll_done.is_empty() && matches!(because.outcome.as_str(), "refused" | "aborted" | "abandoned");
    let outcome = if touched { "failed".to_owned() } else { because.outcome };
    let message = format!(
        "{}; the roll stopped with {} restarted and {} left as {}",
        because.message,
        roll_done.len(),
        roll_left.len(),
        if roll_left.len() == 1 { "it was" } else { "they were" }
    );
    Report { outcome, message, roll_done, roll_left, ..because }
}

fn blamed(engine: &Engine, unit: UnitId, failure: &Failure, report: Report) -> Report {
    let view = engine.unit(unit);
    Report {
        unit: Some(view.name().to_string()),
        command: command_line(view.unit().map(AsRef::as_ref), failure),
        last_output: words_of(failure).to_vec(),
        ..report
    }
}

/// A failure with the hook by its name.
fn at_fault(engine: &Engine, unit: UnitId, failure: &Failure) -> String {
    let words = failure.describe(&|unit| engine.unit(unit).name().to_string());
    let Some(role @ Role::PreStop(place)) = role_of(failure) else { return words };
    let program = engine.unit(unit).unit().and_then(|unit| unit.program());
    let hook = program.and_then(|program| program.hooks.pre_stop.get(usize::from(place)));
    match hook {
        Some(hook) => words.replacen(&role.to_string(), &format!("pre-stop hook '{}'", hook.name), 1),
        None => words,
    }
}

/// As what the process ran that a failure blames.
fn role_of(failure: &Failure) -> Option<Role> {
    match failure {
        Failure::Spawn { role, .. }
        | Failure::Exited { role, .. }
        | Failure::Judged { role, .. }
        | Failure::TimedOut { role, .. } => Some(*role),
        Failure::RestartLimit { last, .. } | Failure::Successor(last) => role_of(last),
        Failure::Load(_)
        | Failure::ReloadEnded { .. }
        | Failure::ReloadUnproven { .. }
        | Failure::NotReady { .. }
        | Failure::Unmet(_)
        | Failure::Dependency(_)
        | Failure::Conflict(_)
        | Failure::Unkillable => None,
    }
}

/// The command line of what a failure blames; a unit's own is no news.
fn command_line(unit: Option<&Unit>, failure: &Failure) -> Option<String> {
    let role = role_of(failure).filter(|role| *role != Role::Main)?;
    let (command, _) = command_of(unit?.program()?, role)?;
    Some(command.to_string())
}

/// What a command said that found fault.
pub fn words_of(failure: &Failure) -> &[String] {
    match failure {
        Failure::Judged { complaint, .. } => &complaint.output,
        Failure::TimedOut { output, .. } => output,
        Failure::RestartLimit { last, .. } | Failure::Successor(last) => words_of(last),
        _ => &[],
    }
}

/// A unit as the request means it: by its new definition, where it brings one.
fn spec(engine: &Engine, name: &UnitName, pending: &Pending) -> Option<Rc<Unit>> {
    let new = pending.definitions.iter().find(|unit| unit.name == *name);
    new.cloned().or_else(|| engine.unit(engine.find(name.as_str())?).unit().cloned())
}

/// What a request would do.
pub fn plan_report(engine: &Engine, request: &Request, plan: &Plan) -> PlanReport {
    let pending = Pending {
        definitions: match request {
            Request::Sync { definitions, .. } => definitions.units.clone(),
            _ => Vec::new(),
        },
        ..Pending::default()
    };
    let line_of = |unit: &UnitName, role_of: &dyn Fn(&Program) -> Option<Role>| {
        let unit = spec(engine, unit, &pending)?;
        let program = unit.program()?;
        Some(command_of(program, role_of(program)?)?.0.to_string())
    };
    let tests = plan.tests.iter().map(|(unit, testing)| Step {
        unit: unit.to_string(),
        result: match testing {
            Testing::Enforced => "to-do",
            Testing::Untested => "untested",
            Testing::Skipped => "skipped",
        }
        .to_owned(),
        command: line_of(unit, &|_| Some(Role::Trial(Trial::ConfigTest))),
        ..Step::default()
    });
    let hooks = plan.hooks.iter().map(|(unit, hook)| Step {
        unit: unit.to_string(),
        hook: Some(hook.clone()),
        result: "to-do".to_owned(),
        command: line_of(unit, &|program| {
            let place = program.hooks.pre_stop.iter().position(|one| one.name == *hook)?;
            Some(Role::PreStop(u16::try_from(place).ok()?))
        }),
        ..Step::default()
    });
    let names = |units: &[UnitName]| units.iter().map(UnitName::to_string).collect();
    PlanReport {
        outcome: "planned".to_owned(),
        tests: tests.collect(),
        hooks: hooks.collect(),
        stops: names(&plan.stops),
        starts: names(&plan.starts),
        overlaps: names(&plan.overlaps),
        reloads: names(&plan.reloads),
        in_place: names(&plan.in_place),
        added: names(&plan.added),
        removed: names(&plan.removed),
        rolling: matches!(request, Request::Restart { how: RestartHow::Rolling, .. }),
        ..PlanReport::default()
    }
}

/// A request that would be refused.
pub fn refused_plan(engine: &Engine, refusal: &Refusal) -> PlanReport {
    let name = |unit: UnitId| engine.unit(unit).name().to_string();
    PlanReport {
        outcome: "refused".to_owned(),
        message: refusal.describe(&name),
        unit: subject(refusal).map(name),
        ..PlanReport::default()
    }
}

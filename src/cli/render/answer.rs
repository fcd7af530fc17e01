//! What came of a request, why a unit is as it is, and one event: sentences rather than tables.

use std::time::{Duration, UNIX_EPOCH};

use crate::control::wire::{Explanation, Report, Step, UnitEvent};

use super::super::style::{Align, Ink, Style, Table, output_lines, safe};
use super::LAST_WRITABLE_USEC;
use super::state_in_words;

/// The answer to a change: where the units stand if it is done, else what decided it, the command that is at fault with
/// its own words, what was undone, and how to go on.
pub fn report(style: &Style, report: &Report) -> String {
    if report.outcome == "done" {
        return done(style, report);
    }
    // The message of a failure says that it is one; of what else can happen it says only why.
    let (label, used) = match report.outcome.as_str() {
        "failed" => (String::new(), 8),
        outcome => (format!("{}: ", safe(outcome)), 10 + outcome.chars().count()),
    };
    let words = style.wrap(&safe(&report.message), used, 2);
    let mut out = format!("{} {label}{words}\n", style.paint(Ink::Bad, "sexton:"));
    let failed: Vec<&Step> = report.tests.iter().filter(|step| step.result == "failed").collect();
    if failed.is_empty() {
        out += &at_fault(style, report.command.as_deref(), &report.last_output);
    }
    for step in &failed {
        if let (Some(reason), true) = (&step.reason, failed.len() > 1) {
            let words = style.wrap(&safe(reason), 4 + step.unit.chars().count(), 4);
            out += &format!("  {}: {words}\n", style.paint(Ink::Strong, &safe(&step.unit)));
        }
        out += &at_fault(style, step.command.as_deref(), &step.output);
    }
    for line in &report.diagnostics {
        out += &format!("  {}\n", safe(line));
    }
    out += &listed(style, "undone", &report.undone);
    out += &listed(style, "restarted", &report.roll_done);
    out += &listed(style, "left as they were", &report.roll_left);
    match what_now(report, failed.len()) {
        Some(words) => out + &format!("  {}\n", style.wrap(&words, 2, 2)),
        None => out,
    }
}

/// A command line and what it said.
fn at_fault(style: &Style, command: Option<&str>, output: &[String]) -> String {
    let command = command.map(|line| format!("  {}\n", style.paint(Ink::Faint, &style.cut(&safe(line), 2))));
    command.unwrap_or_default() + &output_lines(style, output)
}

/// `label: a, b`; nothing where there is nobody.
fn listed(style: &Style, label: &str, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let words = safe(&names.join(", "));
    format!("  {label}: {}\n", style.wrap(&words, 4 + label.chars().count(), 4))
}

/// How to go on.
fn what_now(report: &Report, n_failed: usize) -> Option<String> {
    match (report.outcome.as_str(), &report.unit) {
        ("failed", Some(unit)) => Some(format!("sexton why {}", safe(unit))),
        ("refused", _) if n_failed > 0 || !report.diagnostics.is_empty() => {
            let what = match n_failed {
                0 => "this",
                1 => "it",
                _ => "them",
            };
            Some(format!("nothing was touched; mend {what} and try again"))
        }
        ("aborted", _) => Some("nothing was stopped; everything serves as before".to_owned()),
        _ => None,
    }
}

fn done(style: &Style, report: &Report) -> String {
    let untested = not_tested(style, report);
    if report.units.is_empty() {
        return format!("{}\n{untested}", safe(&report.message));
    }
    let mut table = Table::new(&[Align::Left, Align::Left]);
    for unit in &report.units {
        table.row(vec![(Ink::Strong, unit.name.clone()), (Ink::of_state(&unit.state), state_in_words(unit))]);
    }
    table.render(style, 0) + &untested
}

/// The units that have no test, and those whose test was left out.
fn not_tested(style: &Style, report: &Report) -> String {
    let is_skipped =
        |unit: &&String| report.tests.iter().any(|step| step.unit == **unit && step.result == "skipped");
    let (skipped, untested): (Vec<&String>, Vec<&String>) = report.untested.iter().partition(is_skipped);
    let mut out = String::new();
    for (label, units) in [("untested:", untested), ("not tested, --skip-configtest:", skipped)] {
        if units.is_empty() {
            continue;
        }
        let names: Vec<String> = units.into_iter().map(|unit| safe(unit)).collect();
        let words = style.wrap(&names.join(", "), label.chars().count() + 1, 10);
        out += &format!("{} {words}\n", style.paint(Ink::Busy, label));
    }
    out
}

/// The answer to `why`: the first sentence, and what caused it below.
pub fn explanation(style: &Style, explanation: &Explanation) -> String {
    let mut out = String::new();
    for (index, sentence) in explanation.sentences.iter().enumerate() {
        let (lead, column) = if index == 0 { ("", 0) } else { ("  ", 2) };
        let sentence = style.wrap(&safe(sentence), column, 2);
        let ink = if index == 0 { Ink::Strong } else { Ink::Plain };
        out += &format!("{lead}{}\n", style.paint(ink, &sentence));
    }
    out + &output_lines(style, &explanation.last_output)
}

/// One event on one line.
pub fn event(style: &Style, event: &UnitEvent) -> String {
    let time = UNIX_EPOCH + Duration::from_micros(event.time_usec.min(LAST_WRITABLE_USEC));
    let time = humantime::format_rfc3339_millis(time).to_string();
    let mut line = format!(
        "{}  {}  {} → {}",
        style.paint(Ink::Faint, &time),
        style.paint(Ink::Strong, &safe(&event.unit)),
        safe(&event.from),
        style.paint(Ink::of_state(&event.to), &safe(&event.to))
    );
    if let Some(pid) = event.main_pid {
        line += &format!("  pid {pid}");
    }
    if let Some(reason) = &event.reason {
        line += &format!("  {}", safe(reason));
    }
    line + "\n"
}

#[cfg(test)]
mod tests;

//! What came of a request, why a unit is as it is, and one event: sentences rather than tables.

use std::time::{Duration, UNIX_EPOCH};

use crate::control::wire::{Explanation, Report, UnitEvent};

use super::super::style::{Align, Ink, Style, Table, output_lines, safe};
use super::state_in_words;

/// The end of the year 9999: what comes after it has no RFC 3339 form.
const LAST_WRITABLE_USEC: u64 = 253_402_300_799_999_999;

/// The answer to `start`, `stop`, `restart`, `signal`, `reset`: where the units stand if it is done, else what
/// decided it, that unit's last words, and how to learn more.
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
    if !report.last_output.is_empty() {
        out += &output_lines(style, &report.last_output);
    }
    match &report.unit {
        Some(unit) if report.outcome == "failed" => out + &format!("  sexton why {}\n", safe(unit)),
        _ => out,
    }
}

fn done(style: &Style, report: &Report) -> String {
    if report.units.is_empty() {
        return format!("{}\n", safe(&report.message));
    }
    let mut table = Table::new(&[Align::Left, Align::Left]);
    for unit in &report.units {
        table.row(vec![(Ink::Strong, unit.name.clone()), (Ink::of_state(&unit.state), state_in_words(unit))]);
    }
    table.render(style, 0)
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
mod tests {
    use super::super::samples::{store, unit, web};
    use super::*;
    use crate::cli::style::Colour;

    #[test]
    fn what_is_done_is_said_by_where_the_units_stand() {
        let done = Report {
            outcome: "done".into(),
            units: vec![store(), unit("cron", "stopped", 0)],
            ..Report::default()
        };
        assert_eq!(
            report(&Style::PLAIN, &done),
            "store  ready for 3 min 5 s, pid 7\ncron   stopped for 0 ms\n"
        );
        let nobody = Report { outcome: "done".into(), message: "shutting down".into(), ..Report::default() };
        assert_eq!(report(&Style::PLAIN, &nobody), "shutting down\n");
    }

    #[test]
    fn what_failed_is_said_with_its_last_words_and_what_to_do() {
        let failed = Report {
            outcome: "failed".into(),
            message: "web failed: exited with code 1 before it was ready".into(),
            unit: Some("web".into()),
            last_output: vec!["\x1b[31mcannot bind".into()],
            units: vec![web()],
            ..Report::default()
        };
        assert_eq!(
            report(&Style { colour: Colour::Off, width: Some(40) }, &failed),
            "\
sexton: web failed: exited with code 1
  before it was ready
  │ \\x1b[31mcannot bind
  sexton why web
"
        );
        let refused = Report {
            outcome: "refused".into(),
            message: "store is needed by web; stop it first, or use --cascade".into(),
            unit: Some("store".into()),
            ..Report::default()
        };
        assert_eq!(
            report(&Style::PLAIN, &refused),
            "sexton: refused: store is needed by web; stop it first, or use --cascade\n"
        );
    }

    #[test]
    fn why_puts_each_cause_below_what_it_caused() {
        let why = Explanation {
            unit: "web".into(),
            state: "waiting".into(),
            sentences: vec!["web waits for store.".into(), "store exited with code 3.".into()],
            last_output: vec!["disk full".into()],
        };
        assert_eq!(
            explanation(&Style::PLAIN, &why),
            "web waits for store.\n  store exited with code 3.\n  │ disk full\n"
        );
    }

    #[test]
    fn an_event_is_one_line_in_utc() {
        let ready = UnitEvent {
            time_usec: 1_795_364_269_123_456,
            unit: "web".into(),
            from: "starting".into(),
            to: "ready".into(),
            main_pid: Some(7),
            reason: None,
        };
        assert_eq!(event(&Style::PLAIN, &ready), "2026-11-22T16:17:49.123Z  web  starting → ready  pid 7\n");
        let failed = UnitEvent {
            main_pid: None,
            reason: Some("exited with code 1\n".into()),
            to: "failed".into(),
            ..ready
        };
        assert_eq!(
            event(&Style::PLAIN, &failed),
            "2026-11-22T16:17:49.123Z  web  starting → failed  exited with code 1\\x0a\n"
        );
        let far = UnitEvent { time_usec: u64::MAX, ..failed };
        assert!(event(&Style::PLAIN, &far).starts_with("9999-12-31T23:59:59.999Z"));
    }
}

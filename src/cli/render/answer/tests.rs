//! What is said of what came of a request.

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
    assert_eq!(report(&Style::PLAIN, &done), "store  ready for 3 min 5 s, pid 7\ncron   stopped for 0 ms\n");
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

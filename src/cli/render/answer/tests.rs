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

#[test]
fn what_was_not_tested_is_said_and_why() {
    let step =
        |unit: &str, result: &str| Step { unit: unit.into(), result: result.into(), ..Step::default() };
    let done = Report {
        outcome: "done".into(),
        units: vec![store()],
        tests: vec![step("store", "skipped"), step("cron", "untested")],
        untested: vec!["store".into(), "cron".into()],
        ..Report::default()
    };
    assert_eq!(
        report(&Style::PLAIN, &done),
        "store  ready for 3 min 5 s, pid 7\nuntested: cron\nnot tested, --skip-configtest: store\n"
    );
}

#[test]
fn what_has_to_be_mended_is_one_thing_or_several() {
    let step = |unit: &str| Step { unit: unit.into(), result: "failed".into(), ..Step::default() };
    let refused = |tests: Vec<Step>, diagnostics: Vec<String>| {
        let outcome = "refused".into();
        report(&Style::PLAIN, &Report { outcome, tests, diagnostics, ..Report::default() })
    };
    let one = refused(vec![step("a")], Vec::new());
    assert!(one.ends_with("  nothing was touched; mend it and try again\n"), "{one}");
    let two = refused(vec![step("a"), step("b")], Vec::new());
    assert!(two.ends_with("  nothing was touched; mend them and try again\n"), "{two}");
    let files = refused(Vec::new(), vec!["web.toml:3:1: unknown key 'neds'".into()]);
    assert!(files.ends_with("  nothing was touched; mend this and try again\n"), "{files}");
}

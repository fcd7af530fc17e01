//! What is seen of a change, line by line.

use super::*;
use crate::cli::style::Colour;

const WIDE: Style = Style { colour: Colour::Off, width: Some(100) };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn phase(news: &str) -> Progress {
    Progress { about: "phase".into(), news: news.into(), ..Progress::default() }
}

fn test(unit: &str, news: &str) -> Progress {
    Progress { about: "test".into(), news: news.into(), unit: Some(unit.into()), ..Progress::default() }
}

fn hook(unit: &str, news: &str) -> Progress {
    let (about, hook) = ("hook".to_owned(), Some("dirty pages".to_owned()));
    let left_usec = Some(600_000_000);
    Progress { about, hook, news: news.into(), unit: Some(unit.into()), left_usec, ..Progress::default() }
}

fn number(unit: &str, first: f64, now: f64) -> Progress {
    Progress { first: Some(first), now: Some(now), below: Some(100.0), ..hook(unit, "measured") }
}

/// Everything that stays, as a pipe gets it.
fn plain(news: &[(u64, Progress)]) -> Vec<String> {
    let mut board = Board::new(Look::Plain);
    news.iter().flat_map(|(seconds, news)| board.take(&Style::PLAIN, news, at(*seconds))).collect()
}

#[test]
fn a_pipe_gets_a_line_for_every_change() {
    let rolling = Progress { unit: Some("web@2".into()), nth: Some(2), of: Some(4), ..phase("rolling") };
    let failed = Progress { reason: Some("exited with code 2\x1b[2J".into()), ..hook("db", "failed") };
    let undo_failed = Progress { reason: Some("timed out".into()), ..hook("db", "undo-failed") };
    assert_eq!(
        plain(&[
            (0, phase("testing")),
            (0, test("web", "passed")),
            (0, test("api", "untested")),
            (0, test("store", "skipped")),
            (1, test("db", "failed")),
            (1, phase("pre-stopping")),
            (1, hook("db", "began")),
            (2, number("db", 48_211.0, 48_211.0)),
            (9, number("db", 48_211.0, 120.0)),
            (186, hook("db", "done")),
            (187, failed),
            (187, phase("testing-again")),
            (187, phase("undoing")),
            (187, hook("db", "undone")),
            (187, undo_failed),
            (188, phase("stopping")),
            (189, rolling),
            (189, phase("what a later sexton does")),
            (189, Progress { about: "weather".into(), ..Progress::default() }),
        ]),
        [
            "testing",
            "web: configtest passed",
            "api: untested",
            "store: not tested, --skip-configtest",
            "db: did not pass",
            "running pre-stop hooks",
            "db: dirty pages began",
            "db: dirty pages 48 211, 10 min left",
            "db: dirty pages 48 211 → 120, 10 min left",
            "db: dirty pages done: 48 211 → 120 in 3 min 5 s",
            "db: dirty pages failed: exited with code 2\\x1b[2J",
            "testing again: the hooks took a while",
            "undoing what the hooks did",
            "db: dirty pages undone",
            "db: dirty pages: its undo failed: timed out",
            "stopping",
            "web@2, 2 of 4",
            "what a later sexton does",
        ]
    );
}

#[test]
fn a_pipe_hears_of_a_number_once_a_second_and_only_when_it_is_new() {
    let mut board = Board::new(Look::Plain);
    let mut lines = Vec::new();
    for tenth in 0..40_u32 {
        let news = number("db", 100_000.0, if tenth < 20 { 5000.0 } else { 4000.0 - f64::from(tenth) });
        lines.extend(board.take(&Style::PLAIN, &news, Duration::from_millis(u64::from(tenth) * 100)));
    }
    assert_eq!(
        lines,
        [
            "db: dirty pages 100 000 → 5 000, 10 min left",
            "db: dirty pages 100 000 → 3 980, 10 min left",
            "db: dirty pages 100 000 → 3 970, 10 min left",
        ]
    );
}

#[test]
fn a_terminal_shows_the_phase_and_every_hook_with_its_bar_its_trend_and_the_time_it_has() {
    let mut board = Board::new(Look::Live);
    assert_eq!(board.take(&WIDE, &phase("testing"), at(0)), Vec::<String>::new());
    assert_eq!(board.take(&WIDE, &test("web", "passed"), at(0)), Vec::<String>::new());
    board.take(&WIDE, &test("api", "untested"), at(1));
    assert_eq!(board.live(&WIDE, at(2)), ["testing  1 passed, 1 untested  2 s"]);
    assert_eq!(board.take(&WIDE, &phase("pre-stopping"), at(2)), ["tested: 1 passed, 1 untested"]);
    for (seconds, news) in [
        (2, hook("db", "began")),
        (2, hook("store@2", "began")),
        (3, number("db", 10_100.0, 10_100.0)),
        (7, number("db", 10_100.0, 5_100.0)),
    ] {
        assert_eq!(board.take(&WIDE, &news, at(seconds)), Vec::<String>::new());
    }
    assert_eq!(
        board.live(&WIDE, at(67)),
        [
            "running pre-stop hooks  1 min 5 s",
            "  db       dirty pages  10 100 → 5 100  ████████████░░░░░░░░░░░░  ↓ 1 250/s  9 min left",
            "  store@2  dirty pages                  8 min 55 s left",
        ]
    );
    assert_eq!(
        board.take(&WIDE, &hook("db", "done"), at(70)),
        ["db: dirty pages done: 10 100 → 5 100 in 1 min 8 s"]
    );
    assert_eq!(board.live(&WIDE, at(70)).len(), 2);
}

#[test]
fn no_line_that_is_drawn_anew_is_wider_than_the_screen_and_none_is_coloured_without_ink() {
    for width in 1..120 {
        let style = Style { colour: Colour::Off, width: Some(width) };
        let mut board = Board::new(Look::Live);
        board.take(&style, &phase("pre-stopping"), at(0));
        board.take(&style, &number("a-database-with-a-long-name", 1e9, 2e8), at(0));
        board.take(&style, &number("a-database-with-a-long-name", 1e9, 1e8), at(9));
        for line in board.live(&style, at(10)) {
            assert!(line.chars().count() < width.max(2), "{width}: {line}");
            assert!(!line.contains('\x1b'));
        }
    }
}

#[test]
fn a_thousand_hooks_leave_room_for_the_screen() {
    let mut board = Board::new(Look::Live);
    for n in 0..1000 {
        board.take(&WIDE, &hook(&format!("u{n}"), "began"), at(0));
    }
    let lines = board.live(&WIDE, at(0));
    assert_eq!((lines.len(), lines.last().unwrap().as_str()), (HOOKS_DRAWN + 1, "  and 992 more"));
}

#[test]
fn numbers_are_readable() {
    for (number, words) in [
        (0.0, "0"),
        (-0.001, "0"),
        (0.5, "0.5"),
        (99.257, "99.26"),
        (999.99, "999.99"),
        (999.999, "1 000"),
        (1000.4, "1 000"),
        (48_211.0, "48 211"),
        (-1_234_567.0, "-1 234 567"),
        (1e300, "18 446 744 073 709 551 615"),
    ] {
        assert_eq!(grouped(number), words);
    }
}

#[test]
fn a_trend_is_told_over_the_latest_numbers() {
    let trend = |numbers: &[(u64, f64)]| {
        let mut hook = Hook::new("db".into(), "flush".into(), at(0));
        for (seconds, value) in numbers {
            hook.take(&number("db", 1.0, *value), at(*seconds));
        }
        hook.trend()
    };
    assert_eq!(trend(&[(0, 5.0)]), None);
    assert_eq!(trend(&[(0, 5.0), (10, 5.0)]).as_deref(), Some("steady"));
    assert_eq!(trend(&[(0, 5.0), (10, 4.0)]).as_deref(), Some("↓ 6/min"));
    assert_eq!(trend(&[(0, 5.0), (10, 25.0)]).as_deref(), Some("↑ 2/s"));
    let long: Vec<(u64, f64)> =
        (0..100).map(|n| (n, if n < 50 { 1e6 } else { 1e6 - (n as f64) * 10.0 })).collect();
    assert_eq!(trend(&long).as_deref(), Some("↓ 10/s"));
}

//! A boot as bars over time: who waited for whom, and what the whole of it waited for. Pure.
//!
//! ```text
//!   BootChart ──▶ Picture { rows by the moment they began, the critical path } ──▶ text │ svg
//! ```
//!
//! The critical path ends with the unit that settled last, and goes back from each unit to the one that it waited for
//! longest. Nothing else could have made the boot shorter.

mod svg;
mod text;

pub use svg::svg;
pub use text::text;

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use super::super::style::safe;
use super::LAST_WRITABLE_USEC;
use crate::control::wire::{BootChart, ChartBar};
use crate::model::time::Spoken;

/// Names of more units than this are left out in the middle of a path.
const PATH_NAMES: usize = 6;

/// What is drawn.
#[derive(Debug)]
struct Picture<'c> {
    rows: Vec<Row<'c>>,
    /// Rows of the critical path, from its first unit to the one that settled last.
    critical: Vec<usize>,
    /// How much time there is to draw, in microseconds; never 0.
    span: u64,
}

/// What one unit did.
#[derive(Debug)]
struct Row<'c> {
    name: &'c str,
    pieces: Vec<Piece<'c>>,
    /// When it stopped waiting for others.
    began: u64,
    /// When what comes after it had to wait no longer, and what it was then.
    settled: Option<(u64, &'c str)>,
    held_by: Option<usize>,
    is_critical: bool,
}

/// From one moment to another it did one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece<'c> {
    doing: &'c str,
    from: u64,
    to: u64,
}

impl<'c> Picture<'c> {
    fn of(chart: &'c BootChart) -> Picture<'c> {
        let span = chart.length_usec.max(1);
        let mut bars: Vec<&ChartBar> = chart.bars.iter().collect();
        let settled = |bar: &ChartBar| settled(bar).map_or(u64::MAX, |(at, _)| at);
        bars.sort_by_key(|bar| (began(bar), settled(bar)));
        let places: HashMap<&str, usize> =
            bars.iter().enumerate().map(|(place, bar)| (bar.unit.as_str(), place)).collect();
        let mut rows: Vec<Row<'c>> = bars.iter().map(|bar| row(bar, span, &places)).collect();
        let critical = critical_path(&rows);
        for place in &critical {
            if let Some(row) = rows.get_mut(*place) {
                row.is_critical = true;
            }
        }
        Picture { rows, critical, span }
    }

    /// `12 units, all settled after 1.2 s`.
    fn title(&self, chart: &BootChart) -> String {
        let units = match self.rows.len() {
            1 => "1 unit".to_owned(),
            count => format!("{count} units"),
        };
        let failed =
            self.rows.iter().filter(|row| row.settled.is_some_and(|(_, how)| how == "failed")).count();
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        match chart.is_over {
            true => format!("{units} settled after {}{failed}", brief(chart.length_usec)),
            false => format!("{units}, still on their way after {}{failed}", brief(chart.length_usec)),
        }
    }

    /// `db 310 ms → migrate 200 ms → web 412 ms`: each with what it took itself.
    fn critical_words(&self) -> String {
        let rows: Vec<&Row<'_>> = self.critical.iter().filter_map(|place| self.rows.get(*place)).collect();
        let word = |row: &&Row<'_>| match row.took() {
            Some(took) => format!("{} {}", safe(row.name), brief(took)),
            None => safe(row.name),
        };
        let words: Vec<String> = match rows.len() {
            0..=PATH_NAMES => rows.iter().map(word).collect(),
            count => {
                let half = PATH_NAMES / 2;
                let first = rows.iter().take(half).map(word);
                let last = rows.iter().skip(count - half).map(word);
                first.chain([format!("{} more", count - PATH_NAMES)]).chain(last).collect()
            }
        };
        words.join(" → ")
    }
}

impl Row<'_> {
    /// What it took itself, without its waiting for others.
    fn took(&self) -> Option<u64> {
        self.settled.map(|(at, _)| at.saturating_sub(self.began))
    }
}

/// When a unit stopped waiting for others.
fn began(bar: &ChartBar) -> u64 {
    let went_on = bar.marks.iter().find(|mark| mark.doing != "waiting");
    went_on.or(bar.marks.first()).map_or(0, |mark| mark.at_usec)
}

fn settled(bar: &ChartBar) -> Option<(u64, &str)> {
    let is_settled = |doing: &str| matches!(doing, "ready" | "done" | "skipped" | "failed");
    let mark = bar.marks.iter().find(|mark| is_settled(&mark.doing))?;
    Some((mark.at_usec, &mark.doing))
}

fn row<'c>(bar: &'c ChartBar, span: u64, places: &HashMap<&str, usize>) -> Row<'c> {
    let ends = bar.marks.iter().skip(1).map(|mark| mark.at_usec).chain([span]);
    let pieces = bar.marks.iter().zip(ends);
    let pieces = pieces.map(|(mark, to)| Piece { doing: &mark.doing, from: mark.at_usec, to }).collect();
    let held_by = bar.held_by.as_ref().and_then(|name| places.get(name.as_str()).copied());
    Row { name: &bar.unit, pieces, began: began(bar), settled: settled(bar), held_by, is_critical: false }
}

fn critical_path(rows: &[Row<'_>]) -> Vec<usize> {
    let settled = |(_, row): &(usize, &Row<'_>)| row.settled.map(|(at, _)| at);
    let last = rows.iter().enumerate().filter(|row| settled(row).is_some()).max_by_key(settled);
    let mut path = Vec::new();
    let mut next = last.map(|(place, _)| place);
    // What sexton says holds no circle; another program might.
    while let Some(place) = next.filter(|_| path.len() < rows.len()) {
        path.push(place);
        next = rows.get(place).and_then(|row| row.held_by);
    }
    path.reverse();
    path
}

/// A time as it stands in a narrow column: `340 µs`, `1.2 ms`, `312 ms`, `1.25 s`, `3 min 5 s`.
fn brief(usec: u64) -> String {
    match usec {
        0..1_000 => format!("{usec} µs"),
        1_000..10_000 => format!("{}.{} ms", usec / 1_000, usec % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", usec / 1_000),
        1_000_000..60_000_000 => format!("{}.{:02} s", usec / 1_000_000, usec % 1_000_000 / 10_000),
        _ => Spoken(Duration::from_micros(usec)).to_string(),
    }
}

/// `2026-11-23T01:54:07Z`.
fn utc(usec: u64) -> String {
    let since = Duration::from_micros(usec.min(LAST_WRITABLE_USEC));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// Moments to mark on an axis of `span`: a round step that makes at most `most` of them.
fn ticks(span: u64, most: u64) -> Vec<u64> {
    let mut step = 1;
    'found: while step < u64::MAX / 100 {
        for factor in [1, 2, 5] {
            if span / (step * factor) <= most {
                step *= factor;
                break 'found;
            }
        }
        step *= 10;
    }
    (0..=span / step).map(|number| number * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::ChartMark;

    pub(super) fn bar(unit: &str, held_by: Option<&str>, marks: &[(&str, u64)]) -> ChartBar {
        let marks = marks.iter().map(|(doing, ms)| ChartMark { doing: (*doing).into(), at_usec: ms * 1000 });
        ChartBar { unit: unit.into(), held_by: held_by.map(Into::into), marks: marks.collect() }
    }

    pub(super) fn sample() -> BootChart {
        BootChart {
            started_usec: 1_795_397_400_000_000,
            length_usec: 800_000,
            is_over: true,
            bars: vec![
                bar("cache", None, &[("starting", 0), ("ready", 100)]),
                bar("db", None, &[("preparing", 0), ("testing", 100), ("starting", 200), ("ready", 400)]),
                bar("migrate", Some("db"), &[("waiting", 0), ("starting", 400), ("done", 600)]),
                bar("probe", None, &[("starting", 0), ("failed", 300)]),
                bar("web", Some("migrate"), &[("waiting", 0), ("starting", 600), ("ready", 800)]),
            ],
        }
    }

    #[test]
    fn the_critical_path_goes_back_from_who_settled_last_by_whom_each_waited_for() {
        let chart = sample();
        let picture = Picture::of(&chart);
        let names: Vec<&str> = picture.rows.iter().map(|row| row.name).collect();
        assert_eq!(names, ["cache", "probe", "db", "migrate", "web"]);
        assert_eq!(picture.critical_words(), "db 400 ms → migrate 200 ms → web 200 ms");
        assert_eq!(picture.title(&chart), "5 units settled after 800 ms, 1 failed");
    }

    #[test]
    fn a_long_path_keeps_its_ends_and_a_circle_ends() {
        let name = |number: u64| format!("u{number}");
        let mut bars = vec![bar("u0", Some("u9"), &[("starting", 0), ("ready", 1)])];
        let marks = |number| [("waiting", 0), ("starting", number), ("ready", number + 1)];
        bars.extend((1..10).map(|n| bar(&name(n), Some(&name(n - 1)), &marks(n))));
        let chart = BootChart { length_usec: 10_000, bars, is_over: false, ..BootChart::default() };
        let picture = Picture::of(&chart);
        assert_eq!(
            picture.critical_words(),
            "u0 1.0 ms → u1 1.0 ms → u2 1.0 ms → 4 more → u7 1.0 ms → u8 1.0 ms → u9 1.0 ms"
        );
        assert_eq!(picture.title(&chart), "10 units, still on their way after 10 ms");
    }

    #[test]
    fn times_fit_a_narrow_column() {
        let times = [340, 1_250, 312_900, 1_256_000, 185_000_000];
        assert_eq!(times.map(brief), ["340 µs", "1.2 ms", "312 ms", "1.25 s", "3 min 5 s"]);
    }

    #[test]
    fn an_axis_has_a_few_round_moments_whatever_its_length() {
        assert_eq!(ticks(800_000, 8), [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|n| n * 100_000));
        for span in [1, 7, 99, 12_345, 999_999_999, u64::MAX / 1000] {
            assert!((1..=11).contains(&ticks(span, 10).len()), "{span}");
        }
    }
}

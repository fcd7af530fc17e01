//! How a change gets on. Two looks: lines that stay, and below them lines that are drawn anew.
//!
//! ```text
//!   Progress ──▶ Board ──▶ take()   lines that stay: what failed, what a hook came to; in a pipe every change
//!                      └─▶ live()   the phase, and each hook that runs: numbers, trend, bar, time left
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crate::control::wire::Progress;
use crate::model::time::Spoken;

use super::super::style::{Ink, Style, safe};

/// How many hooks are drawn at once; a region higher than the screen could not be drawn anew.
const HOOKS_DRAWN: usize = 8;

/// How often a pipe hears of a number.
const NUMBERS_APART: Duration = Duration::from_secs(1);

/// Over how many numbers a trend is told.
const SAMPLES: usize = 8;

/// The widest bar, and the narrowest that tells something.
const BAR: (usize, usize) = (6, 24);

/// Where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// On a terminal, whose lines can be drawn anew.
    Live,
    /// In a pipe, line below line.
    Plain,
}

/// What is known of a change that is on its way.
#[derive(Debug)]
pub struct Board {
    look: Look,
    phase: Option<(String, Duration)>,
    tally: Tally,
    hooks: Vec<Hook>,
}

/// The tests of one phase.
#[derive(Debug, Default)]
struct Tally {
    passed: u32,
    failed: u32,
    untested: u32,
}

impl Tally {
    fn words(&self) -> String {
        let parts = [(self.passed, "passed"), (self.failed, "failed"), (self.untested, "untested")];
        let parts = parts.into_iter().filter(|(number, _)| *number > 0);
        parts.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
    }
}

/// A hook that runs.
#[derive(Debug)]
struct Hook {
    unit: String,
    name: String,
    began: Duration,
    /// How long it has, and when that was told.
    left: Option<(Duration, Duration)>,
    first: Option<f64>,
    below: f64,
    /// The latest numbers, and when they came.
    numbers: VecDeque<(Duration, f64)>,
    /// The last number that a pipe was told, and when.
    said: Option<(Duration, f64)>,
}

impl Board {
    /// An empty one.
    pub fn new(look: Look) -> Board {
        Board { look, phase: None, tally: Tally::default(), hooks: Vec::new() }
    }

    /// Takes in news; answers the lines that stay. `now` counts from whenever it likes.
    pub fn take(&mut self, style: &Style, progress: &Progress, now: Duration) -> Vec<String> {
        match progress.about.as_str() {
            "phase" => self.phase(progress, now),
            "test" => self.test(style, progress).into_iter().collect(),
            "hook" => self.hook(style, progress, now).into_iter().collect(),
            _ => Vec::new(), // Of a later sexton, and not needed to understand the rest.
        }
    }

    fn phase(&mut self, progress: &Progress, now: Duration) -> Vec<String> {
        let tested = std::mem::take(&mut self.tally).words();
        let words = phase_in_words(progress);
        self.phase = Some((words.clone(), now));
        match self.look {
            Look::Plain => vec![words],
            Look::Live if tested.is_empty() => Vec::new(),
            Look::Live => vec![format!("tested: {tested}")],
        }
    }

    fn test(&mut self, style: &Style, progress: &Progress) -> Option<String> {
        let unit = style.paint(Ink::Strong, &safe(progress.unit.as_deref().unwrap_or_default()));
        let (count, line) = match progress.news.as_str() {
            "passed" => (&mut self.tally.passed, format!("{unit}: configtest passed")),
            "failed" => {
                (&mut self.tally.failed, format!("{unit}: {}", style.paint(Ink::Bad, "did not pass")))
            }
            "skipped" => (&mut self.tally.untested, format!("{unit}: not tested, --skip-configtest")),
            _ => (&mut self.tally.untested, format!("{unit}: untested")),
        };
        *count += 1;
        (self.look == Look::Plain || progress.news == "failed").then_some(line)
    }

    fn hook(&mut self, style: &Style, progress: &Progress, now: Duration) -> Option<String> {
        let (unit, name) =
            (progress.unit.clone().unwrap_or_default(), progress.hook.clone().unwrap_or_default());
        let lead = format!("{}: {}", style.paint(Ink::Strong, &safe(&unit)), safe(&name));
        let place = self.hooks.iter().position(|hook| hook.unit == unit && hook.name == name);
        let reason = progress.reason.as_deref().map(safe).unwrap_or_default();
        match progress.news.as_str() {
            "began" | "measured" => {
                let place = place.unwrap_or_else(|| {
                    self.hooks.push(Hook::new(unit, name, now));
                    self.hooks.len() - 1
                });
                let hook = self.hooks.get_mut(place)?;
                hook.take(progress, now);
                let words = if progress.news == "began" { Some("began".to_owned()) } else { hook.news(now) };
                words.filter(|_| self.look == Look::Plain).map(|words| format!("{lead} {words}"))
            }
            "done" => {
                let hook = place.map(|place| self.hooks.remove(place));
                let came_to = hook.map(|hook| hook.came_to(now)).unwrap_or_default();
                Some(format!("{lead} {}{came_to}", style.paint(Ink::Good, "done")))
            }
            "failed" => {
                place.map(|place| self.hooks.remove(place));
                Some(format!("{lead} {}: {reason}", style.paint(Ink::Bad, "failed")))
            }
            "undone" => Some(format!("{lead} undone")),
            "undo-failed" => Some(format!("{lead}: {}: {reason}", style.paint(Ink::Bad, "its undo failed"))),
            _ => None, // As above.
        }
    }

    /// The lines that are drawn anew.
    pub fn live(&self, style: &Style, now: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((words, since)) = &self.phase {
            let tested = self.tally.words();
            let gap = if tested.is_empty() { "" } else { "  " };
            let time = seconds(now.saturating_sub(*since));
            let time = if time.is_zero() { String::new() } else { format!("  {}", Spoken(time)) };
            lines.push(fit(
                style,
                &[(Ink::Busy, words.clone()), (Ink::Plain, format!("{gap}{tested}")), (Ink::Faint, time)],
            ));
        }
        let shown = self.hooks.get(..HOOKS_DRAWN.min(self.hooks.len())).unwrap_or_default();
        let width = |of: &dyn Fn(&Hook) -> usize| shown.iter().map(of).max().unwrap_or(0);
        let widths = (
            width(&|hook| safe(&hook.unit).chars().count()),
            width(&|hook| safe(&hook.name).chars().count()),
            width(&|hook| hook.numbers_in_words().chars().count()),
        );
        lines.extend(shown.iter().map(|hook| hook.line(style, widths, now)));
        if self.hooks.len() > shown.len() {
            lines.push(format!("  and {} more", self.hooks.len() - shown.len()));
        }
        lines
    }
}

impl Hook {
    fn new(unit: String, name: String, began: Duration) -> Hook {
        Hook { unit, name, began, left: None, first: None, below: 0.0, numbers: VecDeque::new(), said: None }
    }

    fn take(&mut self, progress: &Progress, now: Duration) {
        self.left = progress.left_usec.map(|usec| (Duration::from_micros(usec), now));
        self.below = progress.below.unwrap_or(self.below);
        self.first = progress.first.or(self.first);
        if let Some(number) = progress.now {
            self.numbers.push_back((now, number));
            if self.numbers.len() > SAMPLES {
                self.numbers.pop_front();
            }
        }
    }

    fn latest(&self) -> Option<f64> {
        self.numbers.back().map(|(_, number)| *number)
    }

    /// What a pipe is told of its number, when it is a new one and the last was told some time ago.
    fn news(&mut self, now: Duration) -> Option<String> {
        let latest = self.latest()?;
        let is_due = self.said.is_none_or(|(at, said)| said != latest && now >= at + NUMBERS_APART);
        if !is_due {
            return None;
        }
        self.said = Some((now, latest));
        let left = self.time_left(now).map(|left| format!(", {left} left")).unwrap_or_default();
        Some(format!("{}{left}", self.numbers_in_words()))
    }

    fn numbers_in_words(&self) -> String {
        match (self.first, self.latest()) {
            (Some(first), Some(latest)) if first != latest => {
                format!("{} → {}", grouped(first), grouped(latest))
            }
            (_, Some(latest)) => grouped(latest),
            (_, None) => String::new(),
        }
    }

    /// `: 48 211 → 120 in 3 min 5 s`.
    fn came_to(&self, now: Duration) -> String {
        let numbers = match self.numbers_in_words() {
            numbers if numbers.is_empty() => String::new(),
            numbers => format!(": {numbers}"),
        };
        format!("{numbers} in {}", Spoken(now.saturating_sub(self.began)))
    }

    fn time_left(&self, now: Duration) -> Option<Spoken> {
        let (left, told) = self.left?;
        Some(Spoken(seconds(left.saturating_sub(now.saturating_sub(told)))))
    }

    /// `↓ 812/s`.
    fn trend(&self) -> Option<String> {
        let ((since, before), (at, now)) = (self.numbers.front()?, self.numbers.back()?);
        let time = at.saturating_sub(*since).as_secs_f64();
        if time <= 0.0 {
            return None;
        }
        let rate = (now - before) / time;
        let arrow = if rate < 0.0 { '↓' } else { '↑' };
        match rate.abs() {
            rate if rate >= 1.0 => Some(format!("{arrow} {}/s", grouped(rate.round()))),
            rate if rate * 60.0 >= 1.0 => Some(format!("{arrow} {}/min", grouped((rate * 60.0).round()))),
            _ => Some("steady".to_owned()),
        }
    }

    /// How much of the way from its first number to its goal is done, of 1.
    fn done(&self) -> Option<f64> {
        let (first, latest) = (self.first?, self.latest()?);
        (first > self.below).then(|| ((first - latest) / (first - self.below)).clamp(0.0, 1.0))
    }

    fn line(&self, style: &Style, (unit, name, numbers): (usize, usize, usize), now: Duration) -> String {
        let mut parts = vec![
            (Ink::Strong, format!("  {}", padded(&safe(&self.unit), unit))),
            (Ink::Plain, format!("  {}", padded(&safe(&self.name), name))),
        ];
        if numbers > 0 {
            parts.push((Ink::Plain, format!("  {}", padded(&self.numbers_in_words(), numbers))));
        }
        let left = self.time_left(now).map(|left| format!("  {left} left")).unwrap_or_default();
        let trend = self.trend().map(|trend| format!("  {trend}")).unwrap_or_default();
        let used =
            |parts: &[(Ink, String)]| parts.iter().map(|(_, text)| text.chars().count()).sum::<usize>();
        let taken = used(&parts) + left.chars().count() + trend.chars().count() + 2;
        let room = style.width.unwrap_or(80).saturating_sub(taken + 1).min(BAR.1);
        if let Some(done) = self.done().filter(|_| room >= BAR.0) {
            // Both are small, so nothing is lost.
            let full = (done * room as f64) as usize;
            parts.push((Ink::Busy, format!("  {}{}", "█".repeat(full), "░".repeat(room - full))));
        }
        parts.push((Ink::Plain, trend));
        parts.push((Ink::Faint, left));
        fit(style, &parts)
    }
}

fn phase_in_words(progress: &Progress) -> String {
    match progress.news.as_str() {
        "testing" => "testing".to_owned(),
        "pre-stopping" => "running pre-stop hooks".to_owned(),
        "testing-again" => "testing again: the hooks took a while".to_owned(),
        "overlapping" => "starting the new beside the old".to_owned(),
        "undoing" => "undoing what the hooks did".to_owned(),
        "rolling" => {
            let unit = safe(progress.unit.as_deref().unwrap_or_default());
            format!("{unit}, {} of {}", progress.nth.unwrap_or(0), progress.of.unwrap_or(0))
        }
        other => safe(other),
    }
}

/// Whole seconds: what is drawn anew every second shall not flicker behind the point.
fn seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count())))
}

/// The parts of a line, painted, none beyond the edge.
fn fit(style: &Style, parts: &[(Ink, String)]) -> String {
    let mut left = style.width.unwrap_or(usize::MAX).saturating_sub(1);
    let mut line = String::new();
    for (ink, text) in parts {
        let text: String = text.chars().take(left).collect();
        left -= text.chars().count();
        line += &style.paint(*ink, &text);
    }
    line
}

/// A number with its thousands set apart, and two places behind the point where it is small.
pub(super) fn grouped(number: f64) -> String {
    let hundredths = (number.abs() * 100.0).round();
    // What is too large for this was never a count of anything.
    let (whole, part) = ((hundredths / 100.0) as u64, (hundredths % 100.0) as u64);
    let digits =
        if number.abs() >= 1000.0 { (number.abs().round() as u64).to_string() } else { whole.to_string() };
    let mut out = String::from(if number < 0.0 && hundredths > 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    if part > 0 && number.abs() < 1000.0 {
        out += format!(".{part:02}").trim_end_matches('0');
    }
    out
}

#[cfg(test)]
mod tests;

//! Events as bars over time: who waited, who was on its way, who was up, and when. Pure.
//!
//! ```text
//!   store    ▒▒▒▒▒▒▒▒▒██████████████████████████  ready after 312 ms
//!   migrate  ·········▒▒▒▒▒▒                      done after 520 ms
//!   web      ···············▒▒▒▒▒▒▒▒▒███████████  ready after 802 ms
//! ```

use std::time::Duration;

use crate::cli::style::{Ink, Style, safe};
use crate::control::wire::UnitEvent;
use crate::model::time::Spoken;

/// How many columns stand for the time from the first event to the last.
const COLUMNS: u64 = 40;

/// What the bars mean.
pub(super) fn legend(style: &Style) -> String {
    let bar = |ink, glyph| style.paint(ink, glyph);
    format!(
        "{} waiting   {} starting or stopping   {} up",
        bar(Ink::Faint, "·"),
        bar(Ink::Busy, "▒"),
        bar(Ink::Good, "█")
    )
}

/// A line for each unit of `events`, in the order in which they began to do something.
pub(super) fn chart(style: &Style, events: &[UnitEvent], indent: usize) -> String {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return String::new() };
    let span = last.time_usec.saturating_sub(first.time_usec).max(1);
    let names = order(events);
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for name in names {
        let own: Vec<&UnitEvent> = events.iter().filter(|event| event.unit == name).collect();
        let mut bar = String::new();
        for column in 0..COLUMNS {
            // The middle of the column speaks for it: its edge can be the very moment of a change.
            let time = first.time_usec + span * (2 * column + 1) / (2 * COLUMNS);
            let state = state_at(&own, time);
            let (ink, glyph) = mark(state);
            bar += &style.paint(ink, glyph);
        }
        let label = own.last().map_or_else(String::new, |event| {
            let words =
                format!("{} after {}", event.to, spoken(event.time_usec.saturating_sub(first.time_usec)));
            style.paint(Ink::of_state(&event.to), &safe(&words))
        });
        out += &format!("{}{:<widest$}  {bar}  {label}\n", " ".repeat(indent), safe(name));
    }
    out
}

/// A time in words; a part of a millisecond is said too where there are few, for a stop often takes less than one.
fn spoken(usec: u64) -> String {
    match usec {
        0..10_000 => format!("{}.{} ms", usec / 1000, usec % 1000 / 100),
        _ => Spoken(Duration::from_micros(usec)).to_string(),
    }
}

/// The units by the moment at which they left the state in which they waited.
fn order(events: &[UnitEvent]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let active = events.iter().filter(|event| event.to != "waiting");
    for event in active.chain(events) {
        if !names.contains(&event.unit.as_str()) {
            names.push(&event.unit);
        }
    }
    names
}

fn state_at<'a>(own: &[&'a UnitEvent], time: u64) -> &'a str {
    match own.iter().rev().find(|event| event.time_usec <= time) {
        Some(event) => &event.to,
        None => own.first().map_or("", |event| &event.from),
    }
}

fn mark(state: &str) -> (Ink, &'static str) {
    match state {
        "ready" => (Ink::Good, "█"),
        "waiting" | "deferred" => (Ink::Faint, "·"),
        "back-off" => (Ink::Bad, "·"),
        "preparing" | "starting" | "post-starting" | "stopping" | "killing" | "cleaning-up" => {
            (Ink::Busy, "▒")
        }
        _ => (Ink::Plain, " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ms: u64, unit: &str, from: &str, to: &str) -> UnitEvent {
        UnitEvent {
            time_usec: 5_000_000 + ms * 1000,
            unit: unit.into(),
            from: from.into(),
            to: to.into(),
            ..UnitEvent::default()
        }
    }

    #[test]
    fn bars_show_who_waited_for_whom() {
        let events = [
            event(0, "web", "stopped", "waiting"),
            event(0, "migrate", "stopped", "waiting"),
            event(0, "store", "stopped", "starting"),
            event(100, "store", "starting", "ready"),
            event(100, "migrate", "waiting", "starting"),
            event(200, "migrate", "starting", "done"),
            event(200, "web", "waiting", "starting"),
            event(400, "web", "starting", "ready"),
        ];
        assert_eq!(
            chart(&Style::PLAIN, &events, 1),
            " store    ▒▒▒▒▒▒▒▒▒▒██████████████████████████████  ready after 100 ms\n \
             migrate  ··········▒▒▒▒▒▒▒▒▒▒                      done after 200 ms\n \
             web      ····················▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒  ready after 400 ms\n"
        );
    }

    #[test]
    fn a_unit_that_was_up_before_the_first_event_is_up_from_the_edge() {
        let events = [event(0, "a", "ready", "stopping"), event(100, "b", "ready", "stopped")];
        let chart = chart(&Style::PLAIN, &events, 0);
        assert!(chart.contains(&format!("b  {}  stopped", "█".repeat(40))), "{chart}");
    }

    #[test]
    fn what_is_over_in_an_instant_is_told_apart_all_the_same() {
        assert_eq!((spoken(340).as_str(), spoken(1_250).as_str()), ("0.3 ms", "1.2 ms"));
        assert_eq!(spoken(312_000), "312 ms");
    }

    #[test]
    fn nothing_that_happened_is_nothing_to_draw() {
        assert_eq!(chart(&Style::PLAIN, &[], 2), "");
    }
}

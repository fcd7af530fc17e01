//! A boot as lines of text.
//!
//! ```text
//!   db       ░░░░░▓▓▓▓▓▒▒▒▒▒▒▒▒▒▒████████████████████    400 ms    400 ms
//!   migrate  ····················▒▒▒▒▒▒▒▒▒▒              200 ms    600 ms
//! ```

use super::super::super::style::{Ink, Style, safe};
use super::{Picture, Row, brief, utc};
use crate::control::wire::BootChart;

/// Columns of the bars where nobody says how wide the screen is.
const USUAL: usize = 48;

/// Where a screen is narrower than this it wraps.
const NARROWEST: usize = 16;

/// The whole chart.
pub fn text(style: &Style, chart: &BootChart) -> String {
    let picture = Picture::of(chart);
    if picture.rows.is_empty() {
        return "nothing was started at boot\n".to_owned();
    }
    let widest = picture.rows.iter().map(|row| safe(row.name).chars().count()).max().unwrap_or(0).max(4);
    let columns = style.width.map_or(USUAL, |width| width.saturating_sub(widest + 28)).clamp(NARROWEST, 120);
    let mut out = format!("boot of {}: {}\n", utc(chart.started_usec), picture.title(chart));
    let path = picture.critical_words();
    out += &format!("what it waited for: {}\n\n", style.wrap(&path, 20, 4));
    let heading = format!("  {:<widest$}  {:<columns$}  {:>9}  {:>9}", "unit", "", "took", "after");
    out += &format!("{}\n", style.paint(Ink::Faint, heading.trim_end()));
    for row in &picture.rows {
        out += &line(style, row, picture.span, (widest, columns));
    }
    out += &format!("\n{}\n", legend(style));
    out
}

fn line(style: &Style, row: &Row<'_>, span: u64, (widest, columns): (usize, usize)) -> String {
    let mut bar = String::new();
    for column in 0..columns {
        // The middle of the column speaks for it: its edge can be the very moment of a change.
        let time = u128::from(span) * (2 * column as u128 + 1) / (2 * columns as u128);
        let at = row.pieces.iter().rev().find(|piece| u128::from(piece.from) <= time);
        let (ink, glyph) = mark(at.map_or("", |piece| piece.doing));
        bar += &style.paint(ink, glyph);
    }
    let (sign, ink) = if row.is_critical { ("*", Ink::Strong) } else { (" ", Ink::Plain) };
    let name = style.paint(ink, &format!("{:<widest$}", safe(row.name)));
    let took = row.took().map(brief).unwrap_or_default();
    let (ink, after) = match row.settled {
        Some((_, "failed")) => (Ink::Bad, "failed".to_owned()),
        Some((at, _)) => (Ink::Plain, brief(at)),
        None => (Ink::Busy, "–".to_owned()),
    };
    format!("{sign} {name}  {bar}  {took:>9}  {}\n", style.paint(ink, &format!("{after:>9}")))
}

/// What the signs mean.
fn legend(style: &Style) -> String {
    let words = ["waiting", "preparing", "testing", "starting", "ready", "back-off"].map(|doing| {
        let (ink, glyph) = mark(doing);
        format!("{} {doing}", style.paint(ink, glyph))
    });
    format!("  {}   * what the boot waited for", words.join("   "))
}

fn mark(doing: &str) -> (Ink, &'static str) {
    match doing {
        "waiting" => (Ink::Faint, "·"),
        "preparing" => (Ink::Busy, "░"),
        "testing" => (Ink::Strong, "▓"),
        "starting" => (Ink::Busy, "▒"),
        "ready" => (Ink::Good, "█"),
        "back-off" | "ending" => (Ink::Bad, "-"),
        "failed" => (Ink::Bad, "×"),
        _ => (Ink::Plain, " "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn bars_show_what_each_unit_did_and_a_star_what_the_boot_waited_for() {
        let style = Style { width: Some(55), ..Style::PLAIN };
        let drawn = text(&style, &sample());
        let expected = [
            "boot of 2026-11-23T01:30:00Z: 5 units settled after 800 ms, 1 failed",
            "what it waited for: db 400 ms → migrate 200 ms → web",
            "    200 ms",
            "",
            "  unit                                took      after",
            "  cache    ▒▒██████████████████     100 ms     100 ms",
            "  probe    ▒▒▒▒▒▒▒×××××××××××××     300 ms     failed",
            "* db       ░░▓▓▓▒▒▒▒▒██████████     400 ms     400 ms",
            "* migrate  ··········▒▒▒▒▒          200 ms     600 ms",
            "* web      ···············▒▒▒▒▒     200 ms     800 ms",
            "",
            "  · waiting   ░ preparing   ▓ testing   ▒ starting   █ ready   - back-off   * what the boot waited for",
        ];
        assert_eq!(drawn.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert_eq!(text(&Style::PLAIN, &BootChart::default()), "nothing was started at boot\n");
    }
}

//! A boot as a picture that a browser shows, by day and by night, and that needs nothing beside itself.
//!
//! ```text
//!           title, legend
//!           0 ───── 100 ms ───── 200 ms ──        took   after
//!      db   ▒▒▒▒▒▒▒▒▒▒▒████████████████████      100 ms  100 ms
//!                      │ who held up whom
//!     web   ┈┈┈┈┈┈┈┈┈┈┈▒▒▒▒▒▒▒▒▒▒▒▒▒███████      120 ms  220 ms
//! ```
//!
//! Words stand in columns of their own, never on bars, so that none ever lies over another.

use std::fmt::Write;

use super::{Picture, Row, brief, ticks, utc};
use crate::control::wire::BootChart;

/// Longer names lose their middle; the whole stands in the tooltip.
const LONGEST_NAME: usize = 40;

/// How wide a character of the monospaced 12 px font is, at most.
const CHARACTER: f64 = 7.3;

/// The width of the bars.
const PLOT: f64 = 860.0;

/// The two columns to the right of them.
const COLUMN: f64 = 84.0;

/// Above the first bar.
const HEAD: f64 = 118.0;

const STYLE: &str = "\
text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#24292f}\
.title{font-size:17px;font-weight:bold}.faint{fill:#6e7781}.end{text-anchor:end}.mid{text-anchor:middle}\
.page{fill:#fff}.band{fill:#f6f8fa}.grid{stroke:#d8dee4}.wait{stroke:#afb8c1;stroke-dasharray:2 3}\
.preparing{fill:#9ecbff}.testing{fill:#a475f9}.starting{fill:#f2b134}.ready{fill:#b4e5c2}.done{fill:#2da44e}\
.bad{fill:#f3a7a2}.failed{fill:#d1242f}.path{stroke:#bf3989;stroke-width:1.5;fill:none}.on{stroke:#bf3989;stroke-width:1.5}\
.head{fill:#bf3989}.link{stroke:#c8d0d8;fill:none}text.on{fill:#bf3989;stroke:none;font-weight:bold}\
text.failed{fill:#d1242f}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#8d96a0}.page{fill:#0d1117}.band{fill:#151b23}\
.grid{stroke:#2a313c}.wait{stroke:#57606a}.preparing{fill:#3f7ec4}.testing{fill:#8957e5}.starting{fill:#d29922}\
.ready{fill:#1d6b38}.done{fill:#3fb950}.bad{fill:#8c3a37}.failed{fill:#f85149}.path{stroke:#f778ba}\
.on{stroke:#f778ba}.head{fill:#f778ba}.link{stroke:#3a424d}text.on{fill:#f778ba}text.failed{fill:#ff7b72}}";

/// Where things stand on the page.
struct Page {
    /// Where the bars begin.
    left: f64,
    /// The height of a row, and of a bar in it.
    row: f64,
    bar: f64,
    span: f64,
}

impl Page {
    fn of(picture: &Picture<'_>) -> Page {
        let longest = picture.rows.iter().map(|row| short(row.name).chars().count()).max().unwrap_or(0);
        let (row, bar) = if picture.rows.len() > 100 { (16.0, 10.0) } else { (22.0, 13.0) };
        // The last unit is ready for a moment too, so that one sees that it is.
        Page { left: 28.0 + CHARACTER * longest as f64, row, bar, span: picture.span as f64 * 1.03 }
    }

    fn x(&self, usec: u64) -> f64 {
        self.left + PLOT * (usec as f64 / self.span).min(1.0)
    }

    /// The middle of a row.
    fn y(&self, place: usize) -> f64 {
        HEAD + self.row * (place as f64 + 0.5)
    }

    fn width(&self) -> f64 {
        self.left + PLOT + 2.0 * COLUMN + 20.0
    }

    fn bottom(&self, rows: usize) -> f64 {
        HEAD + self.row * rows as f64
    }
}

/// The whole picture, as a file.
pub fn svg(chart: &BootChart) -> String {
    let picture = Picture::of(chart);
    let page = Page::of(&picture);
    let rows = picture.rows.len();
    let (width, height) = (page.width(), page.bottom(rows) + 34.0);
    let mut out = String::with_capacity(2_000 + 700 * rows);
    let _ = writeln!(
        out, // A String takes every write.
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>"
    );
    head(&mut out, &page, &picture, chart);
    for place in (1..rows).step_by(2) {
        let y = page.y(place) - page.row / 2.0;
        let _ = writeln!(
            out,
            "<rect class=\"band\" x=\"0\" y=\"{y:.1}\" width=\"{width:.0}\" height=\"{}\"/>",
            page.row
        );
    }
    axis(&mut out, &page, &picture);
    for (place, row) in picture.rows.iter().enumerate() {
        draw(&mut out, &page, place, row);
    }
    links(&mut out, &page, &picture);
    out += "</svg>\n";
    out
}

fn head(out: &mut String, page: &Page, picture: &Picture<'_>, chart: &BootChart) {
    let title = escaped(&picture.title(chart));
    let _ = write!(out, "<title>{title}</title>\n<text class=\"title\" x=\"20\" y=\"32\">{title}</text>\n");
    let path = escaped(&picture.critical_words());
    let date = utc(chart.started_usec);
    let _ = writeln!(
        out,
        "<text class=\"faint end\" x=\"{:.1}\" y=\"32\">boot of {date}</text>",
        page.left + PLOT + 2.0 * COLUMN
    );
    let _ = writeln!(
        out,
        "<text x=\"20\" y=\"54\"><tspan class=\"faint\">what it waited for: </tspan>{path}</text>"
    );
    let mut x = 20.0;
    for (class, word) in [
        ("preparing", "preparing"),
        ("testing", "testing"),
        ("starting", "starting"),
        ("ready", "ready"),
        ("done", "done"),
        ("bad", "back-off, ending"),
        ("failed", "failed"),
    ] {
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"68\" width=\"12\" height=\"12\" rx=\"2\"/>\
             <text class=\"faint\" x=\"{:.1}\" y=\"78\">{word}</text>",
            x + 18.0
        );
        x += 36.0 + CHARACTER * word.chars().count() as f64;
    }
    let _ = writeln!(
        out,
        "<path class=\"wait\" d=\"M{x:.1} 74h16\"/><text class=\"faint\" x=\"{:.1}\" y=\"78\">waiting</text>\
         <path class=\"path\" d=\"M{:.1} 68v12\"/><text class=\"faint\" x=\"{:.1}\" y=\"78\">waited for</text>",
        x + 22.0,
        x + 96.0,
        x + 104.0
    );
    let right = page.left + PLOT;
    for (number, word) in [(1.0, "took"), (2.0, "after")] {
        let _ = writeln!(
            out,
            "<text class=\"faint end\" x=\"{:.1}\" y=\"{:.1}\">{word}</text>",
            right + number * COLUMN,
            HEAD - 10.0
        );
    }
}

fn axis(out: &mut String, page: &Page, picture: &Picture<'_>) {
    let bottom = page.bottom(picture.rows.len());
    for tick in ticks(picture.span, 9) {
        let x = page.x(tick);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", HEAD - 4.0);
        for y in [HEAD - 10.0, bottom + 18.0] {
            let _ =
                writeln!(out, "<text class=\"faint mid\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", moment(tick));
        }
    }
}

/// A moment on the axis: 0 has no unit.
fn moment(usec: u64) -> String {
    if usec == 0 { "0".to_owned() } else { brief(usec) }
}

fn draw(out: &mut String, page: &Page, place: usize, row: &Row<'_>) {
    let (middle, base) = (page.y(place), page.y(place) + 4.0);
    let on = if row.is_critical { " on" } else { "" };
    let _ = writeln!(
        out,
        "<g><title>{}</title><text class=\"end{on}\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
        escaped(&told(row)),
        page.left - 10.0,
        escaped(&short(row.name))
    );
    for piece in &row.pieces {
        let (from, to) = (page.x(piece.from), page.x(piece.to).max(page.x(piece.from) + 1.0));
        let class = match piece.doing {
            "waiting" => {
                let _ = writeln!(out, "<path class=\"wait\" d=\"M{from:.1} {middle:.1}H{to:.1}\"/>");
                continue;
            }
            "preparing" if row.is_critical => "preparing on",
            "testing" if row.is_critical => "testing on",
            "starting" if row.is_critical => "starting on",
            "preparing" => "preparing",
            "testing" => "testing",
            "starting" => "starting",
            "ready" => "ready",
            "done" | "skipped" => "done",
            "back-off" | "ending" => "bad",
            "failed" => "failed",
            _ => continue,
        };
        // The work stands out, not the rest after it.
        let height = if class == "ready" { page.bar - 6.0 } else { page.bar };
        // Whoever is ready stays so to the edge. What is over is a mark, not a time.
        let to = match piece.doing {
            "ready" if piece.to >= page.span as u64 || is_last(row, piece.from) => page.left + PLOT,
            "done" | "skipped" | "failed" => from + 4.0,
            _ => to,
        };
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height}\" rx=\"1.5\"/>",
            middle - height / 2.0,
            to - from
        );
    }
    let right = page.left + PLOT;
    let (class, after) = match row.settled {
        Some((_, "failed")) => (" failed", "failed".to_owned()),
        Some((at, _)) => ("", brief(at)),
        None => (" faint", "–".to_owned()),
    };
    let took = row.took().map(brief).unwrap_or_default();
    let _ = writeln!(
        out,
        "<text class=\"end faint\" x=\"{:.1}\" y=\"{base:.1}\">{took}</text>\
         <text class=\"end{class}\" x=\"{:.1}\" y=\"{base:.1}\">{after}</text></g>",
        right + COLUMN,
        right + 2.0 * COLUMN
    );
}

fn is_last(row: &Row<'_>, from: u64) -> bool {
    row.pieces.last().is_some_and(|piece| piece.from == from)
}

/// Lines from whom a unit waited for to where it went on: all of them where that stays clear, the critical ones always.
fn links(out: &mut String, page: &Page, picture: &Picture<'_>) {
    let is_clear = picture.rows.len() <= 60;
    for is_critical in [false, true] {
        for (place, row) in picture.rows.iter().enumerate() {
            let Some(holder) = row.held_by else { continue };
            if row.is_critical != is_critical || !(is_critical || is_clear) {
                continue;
            }
            let (x, from, to) = (page.x(row.began), page.y(holder), page.y(place) - page.bar / 2.0);
            let class = if is_critical { "path" } else { "link" };
            let _ = writeln!(out, "<path class=\"{class}\" d=\"M{x:.1} {from:.1}V{to:.1}\"/>");
            if is_critical {
                let _ =
                    writeln!(out, "<path class=\"head\" d=\"M{:.1} {:.1}h7l-3.5 5z\"/>", x - 3.5, to - 4.0);
            }
        }
    }
}

/// What the tooltip of a row says.
fn told(row: &Row<'_>) -> String {
    let mut words = row.name.to_owned();
    for piece in &row.pieces {
        let _ = write!(words, "\n{} from {}", piece.doing, brief(piece.from));
    }
    words
}

fn short(name: &str) -> String {
    let count = name.chars().count();
    if count <= LONGEST_NAME {
        return name.to_owned();
    }
    let half = LONGEST_NAME / 2;
    let first: String = name.chars().take(half).collect();
    let last: String = name.chars().skip(count - half + 1).collect();
    format!("{first}…{last}")
}

/// Text that is no markup, and holds nothing that XML knows no way to say.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bar, sample};
    use super::*;

    #[test]
    fn every_unit_has_its_name_its_bars_and_its_times() {
        let svg = svg(&sample());
        for part in
            [">cache</text>", ">migrate</text>", ">400 ms</text>", ">failed</text>", "class=\"testing\""]
        {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        // db → migrate → web: two arrows.
        assert_eq!(svg.matches("<path class=\"head\"").count(), 2);
        assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    }

    #[test]
    fn a_name_is_text_and_no_markup_and_a_long_one_loses_its_middle() {
        let mut chart = sample();
        chart.bars.push(bar("<b>&\u{1}", None, &[("starting", 0), ("ready", 1)]));
        chart.bars.push(bar(&"x".repeat(90), None, &[("starting", 0), ("ready", 1)]));
        let svg = svg(&chart);
        assert!(svg.contains(">&lt;b&gt;&amp;\u{fffd}</text>") && !svg.contains("<b>"));
        assert!(svg.contains(&format!(">{}…{}</text>", "x".repeat(20), "x".repeat(19))));
    }

    #[test]
    fn words_of_the_axis_never_lie_over_each_other() {
        for length in [1, 900, 12_345, 800_000, 1_999_999, 59_999_999, 3_600_000_000] {
            let chart = BootChart { length_usec: length, ..sample() };
            let picture = Picture::of(&chart);
            let page = Page::of(&picture);
            let marks = ticks(picture.span, 9);
            for pair in marks.windows(2) {
                let room = page.x(pair[1]) - page.x(pair[0]);
                let words = CHARACTER * (moment(pair[0]).len() + moment(pair[1]).len()) as f64 / 2.0;
                assert!(room > words, "{length}: {pair:?}");
            }
        }
    }

    #[test]
    fn a_boot_of_nothing_is_an_empty_picture() {
        let svg = svg(&BootChart::default());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}

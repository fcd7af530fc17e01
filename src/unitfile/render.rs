//! Diagnostics for people: the lines, carets under what is meant, the hint.
//!
//! ```text
//!   error: unknown key 'neds'
//!    --> /etc/sexton/units/web.toml:2:1
//!     |
//!   2 | neds = ["db"]
//!     | ^^^^
//!     |
//!     = help: did you mean 'needs'?
//! ```

use std::fmt::{self, Write};

use super::diagnostic::{Place, harmless};
use super::{Diagnostic, Level};

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// A file or a pipe.
    Plain,
    /// A terminal.
    Styled,
}

/// More lines of one place than this are not shown: the first ones tell where to look.
const MOST_LINES: usize = 6;

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Colour::Plain => text.to_owned(),
            Colour::Styled => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    /// What frames the text.
    fn frame(self, text: &str) -> String {
        self.paint("1;34", text)
    }

    /// What is wrong.
    fn mark(self, level: Level, text: &str) -> String {
        let code = match level {
            Level::Error => "1;31",
            Level::Warning => "1;33",
        };
        self.paint(code, text)
    }
}

/// The diagnostic with its lines and carets, ending in a line break.
pub fn render(diagnostic: &Diagnostic, colour: Colour) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_diagnostic(&mut text, diagnostic, colour);
    text
}

fn write_diagnostic(out: &mut String, diagnostic: &Diagnostic, colour: Colour) -> fmt::Result {
    let level = colour.mark(diagnostic.level, diagnostic.level.as_str());
    let path = harmless(diagnostic.file.display().to_string());
    let margin = match &diagnostic.place {
        Some(place) => {
            writeln!(out, "{level}: {}", colour.paint("1", &diagnostic.message))?;
            write_place(out, place, &path, diagnostic.level, colour)?
        }
        None => {
            writeln!(out, "{level}: {}", colour.paint("1", &format!("{path}: {}", diagnostic.message)))?;
            1
        }
    };
    if let Some(help) = &diagnostic.help {
        if diagnostic.place.is_some() {
            writeln!(out, "{:margin$} {}", "", colour.frame("|"))?;
        }
        writeln!(out, "{:margin$} {} help: {help}", "", colour.frame("="))?;
    }
    Ok(())
}

/// Answers how wide the line numbers are.
fn write_place(
    out: &mut String,
    place: &Place,
    path: &str,
    level: Level,
    colour: Colour,
) -> Result<usize, fmt::Error> {
    let margin = place.end_line.to_string().len();
    let (arrow, bar) = (colour.frame("-->"), colour.frame("|"));
    writeln!(out, "{:margin$}{arrow} {path}:{}:{}", "", place.line, place.column)?;
    writeln!(out, "{:margin$} {bar}", "")?;
    let mut start = 0;
    for (index, line) in place.excerpt.split('\n').enumerate() {
        let end = start + line.len();
        let (from, to) = (place.highlight.start.clamp(start, end), place.highlight.end.clamp(start, end));
        let is_beyond = index > 0 && place.highlight.end <= start;
        if index == MOST_LINES || is_beyond {
            break;
        }
        let number = colour.frame(&format!("{:>margin$}", place.line + index));
        writeln!(out, "{number} {bar} {}", shown(line))?;
        let columns =
            |range: std::ops::Range<usize>| shown(line.get(range).unwrap_or_default()).chars().count();
        let (before, under) = (columns(0..from - start), columns(from - start..to - start));
        let carets = colour.mark(level, &"^".repeat(under.max(1)));
        writeln!(out, "{:margin$} {bar} {:before$}{carets}", "", "")?;
        start = end + 1;
    }
    Ok(margin)
}

/// A line as a terminal can be shown it: a tab is four columns, a control character its picture.
fn shown(line: &str) -> String {
    line.trim_end_matches('\r').chars().fold(String::with_capacity(line.len()), |mut text, c| {
        match c {
            '\t' => text.push_str("    "),
            c if c.is_control() => text.push('\u{fffd}'),
            c => text.push(c),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use super::*;
    use crate::unitfile::diagnostic::Place;

    #[test]
    fn a_diagnostic_shows_its_line_a_caret_and_the_hint() {
        let file: Rc<Path> = Rc::from(Path::new("/etc/sexton/units/web.toml"));
        let place = Some(Place::find("description = \"x\"\nneds = [\"db\"]\n", 18..22));
        let diagnostic = Diagnostic { place, ..Diagnostic::of_file(file, "unknown key 'neds'") };
        let text = render(&diagnostic.with_help("did you mean 'needs'?"), Colour::Plain);
        assert_eq!(
            text,
            "error: unknown key 'neds'
 --> /etc/sexton/units/web.toml:2:1
  |
2 | neds = [\"db\"]
  | ^^^^
  |
  = help: did you mean 'needs'?
"
        );
    }

    #[test]
    fn what_goes_over_lines_is_marked_on_each_and_tabs_keep_their_columns() {
        let text = "a = 1\n\tb = [\n  2,\n\x1b]\n";
        let place = Some(Place::find(text, 7..17));
        let diagnostic =
            Diagnostic { place, ..Diagnostic::of_file(Rc::from(Path::new("u.toml")), "no list") };
        assert_eq!(
            render(&diagnostic, Colour::Plain),
            "error: no list\n --> u.toml:2:2\n  |\n2 |     b = [\n  |     ^^^^^\n3 |   2,\n  | ^^^^\n"
        );
    }

    #[test]
    fn a_diagnostic_without_a_place_names_its_file() {
        let file: Rc<Path> = Rc::from(Path::new("/etc/sexton/units/web.toml"));
        let text = render(&Diagnostic::of_file(file, "cannot read it: permission denied"), Colour::Plain);
        assert_eq!(text, "error: /etc/sexton/units/web.toml: cannot read it: permission denied\n");
    }

    #[test]
    fn colours_are_for_terminals_only() {
        let file: Rc<Path> = Rc::from(Path::new("x"));
        assert!(!render(&Diagnostic::of_file(file.clone(), "no"), Colour::Plain).contains('\x1b'));
        assert!(render(&Diagnostic::of_file(file, "no"), Colour::Styled).contains('\x1b'));
    }
}

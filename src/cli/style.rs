//! How a text becomes fit for a person's screen: inks, columns, and the harmlessness of foreign words.
//!
//! ```text
//!   Style ── ink or none, how wide        paint(Ink, text)   colours, if there is ink
//!                                         safe(text)         no control character survives
//!                                         Table              columns as wide as their widest cell
//! ```
//!
//! Everything here is pure. Whether there is a terminal is found out once, by whoever makes the [`Style`].

use std::fmt::Write;

/// What a screen looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Are words coloured?
    pub colour: Colour,
    /// Where lines end; `None` where nothing is to be cut, as in a pipe.
    pub width: Option<usize>,
}

/// Are words coloured?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// By escape sequences.
    On,
    /// Not at all.
    Off,
}

/// What a word means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Nothing in particular.
    Plain,
    /// As it should be.
    Good,
    /// On its way.
    Busy,
    /// Wrong.
    Bad,
    /// Beside the point.
    Faint,
    /// A name, a heading.
    Strong,
}

impl Ink {
    /// The colour of a state's name; a word that is not known stays plain.
    pub fn of_state(state: &str) -> Ink {
        match state {
            "ready" | "done" | "running" => Ink::Good,
            "failed" => Ink::Bad,
            "stopped" | "skipped" => Ink::Faint,
            "waiting" | "preparing" | "deferred" | "starting" | "post-starting" | "stopping" | "killing"
            | "cleaning-up" | "back-off" | "shutting-down" => Ink::Busy,
            _ => Ink::Plain,
        }
    }

    fn sequence(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Good => "\x1b[32m",
            Ink::Busy => "\x1b[33m",
            Ink::Bad => "\x1b[1;31m",
            Ink::Faint => "\x1b[2m",
            Ink::Strong => "\x1b[1m",
        }
    }
}

impl Style {
    /// No colour and no end of lines: what a pipe gets.
    pub const PLAIN: Style = Style { colour: Colour::Off, width: None };

    /// `text` in the colour of `ink`.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        match (self.colour, ink.sequence()) {
            (Colour::Off, _) | (_, "") => text.to_owned(),
            (Colour::On, sequence) => format!("{sequence}{text}\x1b[0m"),
        }
    }

    /// `text` in words that fit: broken at spaces, each line after the first begun with `indent` spaces.
    /// `used` is how much of the first line is taken.
    pub fn wrap(&self, text: &str, used: usize, indent: usize) -> String {
        let Some(width) = self.width else { return text.to_owned() };
        let mut out = String::with_capacity(text.len() + 16);
        let mut column = used;
        for (index, word) in text.split(' ').enumerate() {
            let len = word.chars().count();
            if index > 0 && column + 1 + len > width && column > indent {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else if index > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += len;
        }
        out
    }

    /// `text` cut to what is left of a line of which `used` columns are taken.
    pub fn cut(&self, text: &str, used: usize) -> String {
        let Some(width) = self.width else { return text.to_owned() };
        // A column this narrow tells nothing; a long line that the terminal wraps tells more.
        let left = width.saturating_sub(used).max(16);
        if text.chars().count() <= left {
            return text.to_owned();
        }
        let mut out: String = text.chars().take(left - 1).collect();
        out.push('…');
        out
    }
}

/// `text` with everything made visible that could move a cursor, change a colour or turn the direction of
/// writing: a daemon's words are shown, never obeyed.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if (c as u32) < 0x20 || c == '\x7f' => {
                let _ = write!(out, "\\x{:02x}", c as u32); // A String takes every write.
            }
            '\u{80}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32); // A String takes every write.
            }
            c => out.push(c),
        }
    }
    out
}

/// Lines of a daemon's output, as they stand below what is said of it.
pub fn output_lines(style: &Style, lines: &[String]) -> String {
    let mut out = String::new();
    for line in lines {
        let line = style.cut(&safe(line), 4);
        out.push_str(&format!("  {} {line}\n", style.paint(Ink::Faint, "│")));
    }
    out
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells. The last column is as long as its text, cut at the end of the line.
#[derive(Debug)]
pub struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<(Ink, String)>>,
}

impl Table {
    /// A table with a column for each of `aligns`.
    pub fn new(aligns: &[Align]) -> Table {
        Table { aligns: aligns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; its cells are made harmless here.
    pub fn row(&mut self, cells: Vec<(Ink, String)>) {
        self.rows.push(cells.into_iter().map(|(ink, text)| (ink, safe(&text))).collect());
    }

    /// The rows as lines, each begun with `indent` spaces.
    pub fn render(&self, style: &Style, indent: usize) -> String {
        let widths: Vec<usize> = (0..self.aligns.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|(_, text)| text.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            let mut used = indent;
            let mut cells = row.iter().zip(&widths).zip(&self.aligns).peekable();
            while let Some((((ink, text), width), align)) = cells.next() {
                let padding = " ".repeat(width - text.chars().count());
                let last = cells.peek().is_none();
                match (align, last) {
                    (_, true) => line.push_str(&style.paint(*ink, &style.cut(text, used))),
                    (Align::Left, false) => line += &format!("{}{padding}  ", style.paint(*ink, text)),
                    (Align::Right, false) => line += &format!("{padding}{}  ", style.paint(*ink, text)),
                }
                used += width + 2;
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Style = Style { colour: Colour::Off, width: Some(24) };

    #[test]
    fn no_control_character_of_a_daemon_reaches_the_terminal() {
        assert_eq!(safe("a\x1b[31mb\r\n\x07\x7f"), r"a\x1b[31mb\x0d\x0a\x07\x7f");
        assert_eq!(safe("\u{9b}2J \u{202e}txt\u{2066} \u{feff}"), r"\u{9b}2J \u{202e}txt\u{2066} \u{feff}");
        assert_eq!(safe("a\tb – ünïcödé 漢字"), "a    b – ünïcödé 漢字");
        assert!(!safe(&(0..=0x9f).filter_map(char::from_u32).collect::<String>()).contains(char::is_control));
    }

    #[test]
    fn there_is_no_escape_sequence_without_colour() {
        assert_eq!(Style::PLAIN.paint(Ink::Bad, "failed"), "failed");
        let style = Style { colour: Colour::On, width: None };
        assert_eq!(style.paint(Ink::Bad, "failed"), "\x1b[1;31mfailed\x1b[0m");
        assert_eq!(style.paint(Ink::Plain, "web"), "web");
    }

    #[test]
    fn every_state_of_a_unit_has_a_colour() {
        for phase in crate::engine::Phase::ALL {
            assert_ne!(Ink::of_state(phase.as_str()), Ink::Plain, "{phase}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_the_last_is_cut() {
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]);
        let plain = |text: &str| (Ink::Plain, text.to_owned());
        table.row(vec![plain("NAME"), plain("PID"), plain("WORDS")]);
        table.row(vec![plain("redis"), plain("12345"), plain("a store of many things")]);
        table.row(vec![plain("x"), plain("-"), plain("")]);
        assert_eq!(
            table.render(&Style::PLAIN, 0),
            "NAME     PID  WORDS\nredis  12345  a store of many things\nx          -\n"
        );
        assert_eq!(
            table.render(&Style { width: Some(31), ..NARROW }, 1),
            " NAME     PID  WORDS\n redis  12345  a store of many…\n x          -\n"
        );
    }

    #[test]
    fn words_are_wrapped_only_where_there_is_an_edge() {
        let text = "web waits for store, which is starting";
        assert_eq!(Style::PLAIN.wrap(text, 0, 2), text);
        assert_eq!(NARROW.wrap(text, 0, 2), "web waits for store,\n  which is starting");
        assert_eq!(NARROW.wrap("a", 24, 2), "a");
    }

    #[test]
    fn output_is_set_off_from_what_is_said_of_it() {
        let lines = ["listening".to_owned(), "\x1b[2Jcannot bind to 127.0.0.1:80".to_owned()];
        assert_eq!(output_lines(&NARROW, &lines), "  │ listening\n  │ \\x1b[2Jcannot bind …\n");
    }
}

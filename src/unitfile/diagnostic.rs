//! What is wrong with a file, and where: a sentence, its place, the line it stands on, perhaps the right word.
//!
//! ```text
//!   Span (bytes of the texts of one unit) ── Sources::diagnose ──→ Diagnostic (file, line, column, excerpt)
//! ```
//!
//! A diagnostic keeps the lines it points at, so that no file's text has to be kept for it.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

/// More bytes of a line than this are never shown: a hostile file can be one line of a megabyte.
const LONGEST_EXCERPT: usize = 400;

/// More errors of one unit than this are counted, not shown. A file of 100,000 wrong keys has one mistake.
pub const MOST_A_UNIT: usize = 100;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The unit cannot be used.
    Error,
    /// It can, but something will probably not work as its author thinks.
    Warning,
}

impl Level {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub level: Level,
    /// In which file, or directory.
    pub file: Rc<Path>,
    /// Where in it; absent when the file as a whole is meant.
    pub place: Option<Place>,
    /// What is wrong: one line, no control characters.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The line on which it ends.
    pub end_line: usize,
    /// The column after its last character.
    pub end_column: usize,
    /// The lines from `line` to `end_line`, or the part of them that is worth showing.
    pub excerpt: String,
    /// The bytes of `excerpt` that are meant.
    pub highlight: Range<usize>,
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn of_file(file: Rc<Path>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { level: Level::Error, file, place: None, message: harmless(message.into()), help: None }
    }

    /// All of it in one line, the hint included: for a console, and for whoever asks why a unit failed.
    pub fn in_one_line(&self) -> String {
        match &self.help {
            Some(help) => format!("{self}; {help}"),
            None => self.to_string(),
        }
    }

    /// The diagnostic with a hint.
    pub fn with_help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(harmless(help.into()));
        self
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `/etc/sexton/units/web.toml:3:1: unknown key 'neds'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", harmless(self.file.display().to_string()))?;
        if let Some(place) = &self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        write!(f, " {}", self.message)
    }
}

/// Text that cannot move a terminal's cursor: control characters are written out.
pub fn harmless(text: String) -> String {
    if !text.chars().any(char::is_control) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// A place in the texts of one unit: bytes, counted over all of them.
pub type Span = Range<usize>;

/// The texts that make one unit: its file, then its drop-ins. A span counts through all of them, so that a
/// value keeps its file when drop-ins are merged over the unit.
#[derive(Debug)]
pub struct Sources {
    texts: Vec<SourceText>,
}

/// One file's text and where its spans begin.
#[derive(Debug)]
struct SourceText {
    path: Rc<Path>,
    text: String,
    base: usize,
}

impl Sources {
    /// The texts in the order in which they are merged. The first is the unit's own.
    pub fn new(files: impl IntoIterator<Item = (Rc<Path>, String)>) -> Sources {
        let mut base = 0;
        let texts = files.into_iter().map(|(path, text)| {
            let source = SourceText { path, text, base };
            // One more than its length, so that the end of a text is not the start of the next.
            base += source.text.len() + 1;
            source
        });
        Sources { texts: texts.collect() }
    }

    /// Each text with the number at which its spans begin.
    pub fn texts(&self) -> impl DoubleEndedIterator<Item = (&str, usize)> {
        self.texts.iter().map(|source| (source.text.as_str(), source.base))
    }

    /// What is written at `span`.
    pub fn written(&self, span: &Span) -> &str {
        let found = self.find(span.start);
        found
            .and_then(|source| source.text.get(span.start - source.base..span.end - source.base))
            .unwrap_or("")
    }

    /// The file in which `span` lies, and where in it.
    pub fn spot(&self, span: &Span) -> Option<Spot> {
        let source = self.find(span.start)?;
        let offset = |at: usize| u32::try_from(at.saturating_sub(source.base)).unwrap_or(u32::MAX);
        Some(Spot { file: source.path.clone(), start: offset(span.start), end: offset(span.end) })
    }

    /// A diagnostic at `span`; of the first file as a whole when the span is empty and at its start.
    pub fn diagnose(&self, level: Level, span: &Span, message: String) -> Diagnostic {
        let found = self.find(span.start);
        let file = found.map_or_else(|| Rc::from(Path::new("")), |source| source.path.clone());
        let place = found
            .filter(|_| *span != (0..0))
            .map(|source| Place::find(&source.text, span.start - source.base..span.end - source.base));
        Diagnostic { level, file, place, message: harmless(message), help: None }
    }

    fn find(&self, at: usize) -> Option<&SourceText> {
        self.texts.iter().rev().find(|source| source.base <= at)
    }
}

/// A place that outlives the text: used for what can only be seen once all units are known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The file.
    pub file: Rc<Path>,
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Spot {
    /// A diagnostic at this spot. `text` is the file's text, read again; without it there is no place.
    pub fn diagnose(&self, level: Level, message: String, text: Option<&str>) -> Diagnostic {
        let place = text.map(|text| Place::find(text, self.start as usize..self.end as usize));
        Diagnostic { level, file: self.file.clone(), place, message: harmless(message), help: None }
    }
}

impl Place {
    /// Finds the line, the column and the excerpt of `span` in `text`. A span outside the text is moved into it.
    pub fn find(text: &str, span: Span) -> Place {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(span.start)).max(start);
        let before = text.get(..start).unwrap_or("");
        let meant = text.get(start..end).unwrap_or("");
        let first = before.rfind('\n').map_or(0, |at| at + 1);
        let last_line = meant.rfind('\n').map_or(first, |at| start + at + 1);
        let last = text.get(end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| end + at);
        let column = |from: usize, to: usize| text.get(from..to).map_or(0, |part| part.chars().count()) + 1;
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let (from, to) = (
            floor(text, first.max(start.saturating_sub(LONGEST_EXCERPT / 2))),
            floor(text, last.min(start + LONGEST_EXCERPT)),
        );
        Place {
            line,
            column: column(first, start),
            end_line: line + meant.bytes().filter(|byte| *byte == b'\n').count(),
            end_column: column(last_line, end),
            excerpt: text.get(from..to).unwrap_or("").trim_end_matches('\r').to_owned(),
            highlight: start.saturating_sub(from)..end.min(to).max(start).saturating_sub(from),
        }
    }
}

/// The nearest boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// Gathers what is wrong with one unit.
#[derive(Debug)]
pub struct Problems<'s> {
    /// The texts that spans point into.
    pub sources: &'s Sources,
    list: Vec<Diagnostic>,
    errors: usize,
    syntax_errors: usize,
    judged: Judged,
}

/// Which values are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// All.
    All,
    /// Those that hold no `%`: there is no instance yet that would say what it stands for.
    Settled,
}

impl<'s> Problems<'s> {
    /// None so far.
    pub fn new(sources: &'s Sources) -> Problems<'s> {
        Problems { sources, list: Vec::new(), errors: 0, syntax_errors: 0, judged: Judged::All }
    }

    /// From here on values with a `%` in them are not judged.
    pub fn rehearse(&mut self) {
        self.judged = Judged::Settled;
    }

    /// All errors so far are of syntax; answers whether there are any. Later errors on the same lines are
    /// only their echo and are not shown.
    pub fn end_of_syntax(&mut self) -> bool {
        self.syntax_errors = self.list.len();
        self.errors > 0
    }

    /// Notes an error of a `%` itself, which is judged in any case.
    pub fn error_of_percent(&mut self, span: &Span, message: String, help: Option<String>) {
        let judged = std::mem::replace(&mut self.judged, Judged::All);
        self.add(Level::Error, span, message, help);
        self.judged = judged;
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Notes an error.
    pub fn error(&mut self, span: &Span, message: impl Into<String>) {
        self.add(Level::Error, span, message.into(), None);
    }

    /// Notes an error and what to do about it.
    pub fn error_help(&mut self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Level::Error, span, message.into(), Some(help.into()));
    }

    fn add(&mut self, level: Level, span: &Span, message: String, help: Option<String>) {
        if self.judged == Judged::Settled && self.sources.written(span).contains('%') {
            return;
        }
        self.errors += 1;
        if self.list.len() < MOST_A_UNIT {
            let diagnostic = self.sources.diagnose(level, span, message);
            self.list.push(Diagnostic { help: help.map(harmless), ..diagnostic });
        }
    }

    /// All of them, in the order of their places, and the number of those that were too many.
    pub fn into_list(mut self) -> Vec<Diagnostic> {
        if self.syntax_errors > 0 {
            let mut lines = std::collections::HashSet::new();
            let mut index = 0;
            self.list.retain(|diagnostic| {
                index += 1;
                let line = (diagnostic.file.clone(), at(diagnostic).0);
                if index <= self.syntax_errors { lines.insert(line) } else { !lines.contains(&line) }
            });
        }
        self.list.sort_by(|a, b| (&a.file, at(a)).cmp(&(&b.file, at(b))));
        if let Some(first) = self.list.first().filter(|_| self.errors > MOST_A_UNIT) {
            let rest = self.errors - MOST_A_UNIT;
            self.list.push(Diagnostic::of_file(first.file.clone(), format!("and {rest} more errors")));
        }
        self.list
    }
}

/// What diagnostics of one file are sorted by.
fn at(diagnostic: &Diagnostic) -> (usize, usize) {
    diagnostic.place.as_ref().map_or((0, 0), |place| (place.line, place.column))
}

/// The word of `known` that is nearest to `word`, if one is near enough to be meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A longer word is no slip of the finger, and the comparison costs the product of the lengths.
    if word.len() > 64 {
        return None;
    }
    let allowed = 1 + word.chars().count() / 4;
    let distances = known.into_iter().map(|other| (strsim::osa_distance(word, other), other));
    distances
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, w)| w)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[&str]) -> Sources {
        let named =
            |(n, text): (usize, &&str)| (Rc::from(Path::new(&format!("{n}.toml"))), (*text).to_owned());
        Sources::new(texts.iter().enumerate().map(named))
    }

    #[test]
    fn a_span_is_found_again_as_line_and_column_in_characters() {
        let place = Place::find("a = 1\nü = \"ö\" # x\n", 12..16);
        assert_eq!((place.line, place.column, place.end_line, place.end_column), (2, 6, 2, 9));
        assert_eq!(&place.excerpt[place.highlight.clone()], "ö\" ");
        assert_eq!(place.excerpt, "ü = \"ö\" # x");
    }

    #[test]
    fn a_span_counts_through_the_file_and_its_drop_ins() {
        let sources = sources(&["abc\n", "x\nyz\n"]);
        let diagnostic = sources.diagnose(Level::Error, &(7..9), "bad".into());
        assert_eq!(diagnostic.to_string(), "1.toml:2:1: bad");
        assert_eq!(sources.written(&(7..9)), "yz");
        assert_eq!(sources.spot(&(7..9)).map(|spot| (spot.start, spot.end)), Some((2, 4)));
    }

    #[test]
    fn a_span_outside_the_text_or_inside_a_character_is_moved_not_fatal() {
        for span in [0..0, 1..1, 90..99, 1..99, 2..3] {
            let place = Place::find("üü", span);
            assert!(place.excerpt.get(place.highlight).is_some());
        }
    }

    #[test]
    fn of_an_enormous_line_only_the_neighbourhood_is_kept() {
        let text = format!("{}BAD{}", "x".repeat(500_000), "y".repeat(500_000));
        let place = Place::find(&text, 500_000..500_003);
        assert_eq!(place.column, 500_001);
        assert!(place.excerpt.len() <= 2 * LONGEST_EXCERPT);
        assert_eq!(&place.excerpt[place.highlight], "BAD");
    }

    #[test]
    fn control_characters_in_a_message_are_written_out() {
        let file: Rc<Path> = Rc::from(Path::new("a\x1b.toml"));
        assert_eq!(Diagnostic::of_file(file, "b\x07\n").to_string(), "a\\u{1b}.toml: b\\u{7}\\n");
    }

    #[test]
    fn too_many_errors_are_counted() {
        let sources = sources(&["abc"]);
        let mut problems = Problems::new(&sources);
        (0..MOST_A_UNIT + 7).for_each(|_| problems.error(&(1..2), "no"));
        let list = problems.into_list();
        assert_eq!(list.len(), MOST_A_UNIT + 1);
        assert_eq!(list.last().map(|d| d.message.as_str()), Some("and 7 more errors"));
    }

    #[test]
    fn a_slip_of_the_finger_is_seen_and_another_word_is_not() {
        assert_eq!(nearest("neds", ["wants", "needs"]), Some("needs"));
        assert_eq!(nearest("afetr", ["after", "before"]), Some("after"));
        assert_eq!(nearest("colour", ["needs", "after"]), None);
        assert_eq!(nearest(&"n".repeat(100_000), ["needs"]), None);
    }
}

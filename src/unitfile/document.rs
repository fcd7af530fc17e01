//! The tables of one unit: its file and its drop-ins, parsed, merged and held against the schema.
//!
//! ```text
//!   unit file ─┐ parse   shift    merge            check
//!   drop-in 1 ─┼──────→ ───────→ ──────→ one tree ──────→ unknown keys, wrong types, parameters used
//!   drop-in 2 ─┘  tables merge, values and arrays replace
//! ```
//!
//! Nothing here recurses deeper than the schema does, save the dropping of what the parser made; that is
//! bounded by `TOO_DEEP`, which is looked at before the parser sees a text.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Problems, Sources, Span, nearest};
use super::schema::{self, Key, Kind};
use super::substitute;

/// A value with its place.
pub type Value<'s> = toml::Spanned<DeValue<'s>>;

/// A unit has at most three tables inside each other. The parser itself allows 80 brackets inside each
/// other with 80 dots in each key, and dropping such a tree takes a stack frame a level.
const TOO_DEEP: usize = 32;

/// Parses the texts and merges each later one over the ones before it. Syntax errors go to `problems`.
pub fn parse<'s>(sources: &'s Sources, problems: &mut Problems<'s>) -> DeTable<'s> {
    let mut merged = DeTable::new();
    for (text, base) in sources.texts() {
        if let Some(at) = text.find('\0') {
            problems.error(&(base + at..base + at + 1), "a NUL byte cannot stand in a unit file");
            continue;
        }
        if let Some(at) = too_deep(text) {
            problems.error(&(base + at..base + at + 1), "tables are nested too deeply here");
            continue;
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            problems.error(&(base + span.start..base + span.end), error.message());
        }
        let root = root.into_inner();
        if base == 0 { merged = root } else { merge(&mut merged, shift(root, base)) }
    }
    merged
}

/// Where brackets or the dots of a key go deeper than [`TOO_DEEP`]. It steps over strings and comments as
/// the parser's own lexer does; a string that is not closed ends with its line.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut dots, mut at) = (0_usize, 0_usize, 0);
    while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
        match rest {
            [b'"' | b'\'', ..] => {
                at += string_len(rest);
                continue;
            }
            [b'#', ..] => {
                at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                continue;
            }
            [b'[' | b'{', ..] => (depth, dots) = (depth + 1, 0),
            [b']' | b'}', ..] => depth = depth.saturating_sub(1),
            [b'.', ..] => dots += 1,
            [b'=' | b',' | b'\n', ..] => dots = 0,
            _ => {}
        }
        if depth > TOO_DEEP || dots > TOO_DEEP {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// How many bytes the string at the start of `rest` takes, its quotes included.
fn string_len(rest: &[u8]) -> usize {
    let quote = rest.first().copied().unwrap_or(b'"');
    let triple = rest.starts_with(&[quote; 3]);
    let mut at = if triple { 3 } else { 1 };
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 2,
            b'\n' if !triple => return at,
            byte if *byte != quote => at += 1,
            _ if !triple => return at + 1,
            _ if rest[at..].starts_with(&[quote; 3]) => {
                // The last three close it; up to two before them are its own.
                let own = rest[at + 3..].iter().take(2).take_while(|byte| **byte == quote).count();
                return at + 3 + own;
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// Moves every span of a tree by `base`, so that it points into the text of a drop-in.
fn shift(table: DeTable<'_>, base: usize) -> DeTable<'_> {
    let moved = |span: Span| span.start + base..span.end + base;
    let entries = table.into_iter().map(|(key, value)| {
        let (key_span, value_span) = (moved(key.span()), moved(value.span()));
        let value = match value.into_inner() {
            DeValue::Table(table) => DeValue::Table(shift(table, base)),
            DeValue::Array(items) => {
                DeValue::Array(items.into_iter().map(|item| shift_item(item, base)).collect())
            }
            scalar => scalar,
        };
        (toml::Spanned::new(key_span, key.into_inner()), toml::Spanned::new(value_span, value))
    });
    entries.collect()
}

fn shift_item(item: Value<'_>, base: usize) -> Value<'_> {
    let span = item.span().start + base..item.span().end + base;
    let item = match item.into_inner() {
        DeValue::Table(table) => DeValue::Table(shift(table, base)),
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| shift_item(item, base)).collect())
        }
        scalar => scalar,
    };
    toml::Spanned::new(span, item)
}

/// Tables merge, values and arrays replace.
fn merge<'s>(under: &mut DeTable<'s>, over: DeTable<'s>) {
    for (key, value) in over {
        match (under.get_mut(&**key.get_ref()).map(toml::Spanned::get_mut), value) {
            (Some(DeValue::Table(below)), value) if value.get_ref().is_table() => {
                if let DeValue::Table(above) = value.into_inner() {
                    merge(below, above);
                }
            }
            (_, value) => {
                under.remove(&**key.get_ref());
                under.insert(key, value);
            }
        }
    }
}

/// Holds a tree against the schema: unknown keys and wrong types go to `problems`. Answers the parameters used.
pub fn check<'s>(root: &DeTable<'s>, keys: &'static [Key], problems: &mut Problems<'s>) -> BTreeSet<String> {
    let mut walk = Walk { problems, parameters: BTreeSet::new() };
    walk.table(root, keys, keys);
    walk.parameters
}

struct Walk<'p, 's> {
    problems: &'p mut Problems<'s>,
    parameters: BTreeSet<String>,
}

impl<'s> Walk<'_, 's> {
    fn table(&mut self, table: &DeTable<'s>, keys: &'static [Key], top: &'static [Key]) {
        for (name, value) in table.iter() {
            match schema::find(keys, name.get_ref()) {
                Some(key) => self.value(key, value, top),
                None => self.unknown(name.get_ref(), &name.span(), keys, top),
            }
        }
    }

    fn unknown(&mut self, name: &str, span: &Span, keys: &'static [Key], top: &'static [Key]) {
        let message = format!("unknown key '{}'", shorten(name));
        let homes = schema::homes(top, name);
        match nearest(name, keys.iter().map(|key| key.name)) {
            Some(word) => self.problems.error_help(span, message, format!("did you mean '{word}'?")),
            None if !homes.is_empty() => {
                let help = format!("'{name}' belongs in {}", homes.join(" or "));
                self.problems.error_help(span, message, help);
            }
            None => match schema::find(top, name).filter(|_| !std::ptr::eq(keys, top)) {
                Some(_) => self.problems.error_help(
                    span,
                    message,
                    format!("'{name}' belongs at the top of the file, before the first [table]"),
                ),
                None => self.problems.error(span, message),
            },
        }
    }

    fn value(&mut self, key: &'static Key, value: &Value<'s>, top: &'static [Key]) {
        let fits = match (key.kind, value.get_ref()) {
            (Kind::Table(keys) | Kind::OneOf(keys, _), DeValue::Table(table)) => {
                if key.name == "instances" {
                    // What is said of instances is settled before there are any.
                    let used = std::mem::take(&mut self.parameters);
                    self.table(table, keys, top);
                    self.parameters = used;
                } else {
                    self.table(table, keys, top);
                }
                true
            }
            (Kind::Tables(keys), DeValue::Array(items)) => {
                items.iter().for_each(|item| match item.get_ref() {
                    DeValue::Table(table) => self.table(table, keys, top),
                    _ => self.wrong_item(key, item, "a table"),
                });
                true
            }
            (Kind::Directories(keys), DeValue::Array(items)) => {
                items.iter().for_each(|item| match item.get_ref() {
                    DeValue::Table(table) => self.table(table, keys, top),
                    DeValue::String(text) => self.note(text),
                    _ => self.wrong_item(key, item, "a path or a table"),
                });
                true
            }
            (Kind::Maps, DeValue::Table(tables)) => {
                for (_, table) in tables.iter() {
                    match table.get_ref() {
                        DeValue::Table(map) => self.map(key, map),
                        _ => self.wrong_item(key, table, "a table"),
                    }
                }
                true
            }
            (Kind::Map, DeValue::Table(map)) => {
                self.map(key, map);
                true
            }
            (kind, value) => self.simple(key, kind, value),
        };
        if !fits {
            self.wrong_type(key, value);
        }
    }

    /// Everything that has no keys below it that the language knows.
    fn simple(&mut self, key: &'static Key, kind: Kind, value: &DeValue<'s>) -> bool {
        match (kind, value) {
            (
                Kind::Text | Kind::Duration | Kind::Size | Kind::Choice(_) | Kind::Account | Kind::Signal,
                DeValue::String(text),
            ) => {
                self.note(text);
                true
            }
            (Kind::Texts | Kind::Command | Kind::Signals | Kind::Words(_), DeValue::Array(items)) => {
                items.iter().for_each(|item| match item.get_ref() {
                    DeValue::String(text) => self.note(text),
                    DeValue::Integer(_) if matches!(kind, Kind::Signals) => {}
                    _ => self.wrong_item(key, item, "a string"),
                });
                true
            }
            (Kind::Accounts, DeValue::Array(items)) => {
                items.iter().for_each(|item| match item.get_ref() {
                    DeValue::String(text) => self.note(text),
                    DeValue::Integer(_) => {}
                    _ => self.wrong_item(key, item, "a name or a number"),
                });
                true
            }
            (Kind::Codes, DeValue::Array(items)) => {
                let wrong = items.iter().filter(|item| !item.get_ref().is_integer());
                wrong.for_each(|item| self.wrong_item(key, item, "an integer"));
                true
            }
            (Kind::Sizes, DeValue::Table(sizes)) => {
                for (name, size) in sizes.iter() {
                    self.note(name.get_ref());
                    match size.get_ref() {
                        DeValue::String(text) => self.note(text),
                        DeValue::Integer(_) => {}
                        _ => self.wrong_item(key, size, "a size such as \"64MiB\""),
                    }
                }
                true
            }
            // Limits are looked at in full where they are read: what they take is wider than a type.
            (Kind::Limits, DeValue::Table(_)) => true,
            (Kind::Flag, DeValue::Boolean(_)) => true,
            (Kind::Integer(..) | Kind::Size | Kind::Account | Kind::Signal, DeValue::Integer(_)) => true,
            (Kind::Fraction | Kind::Number, DeValue::Float(_) | DeValue::Integer(_)) => true,
            _ => false,
        }
    }

    fn map(&mut self, key: &'static Key, map: &DeTable<'s>) {
        for (_, value) in map.iter() {
            match value.get_ref() {
                DeValue::String(text) => self.note(text),
                DeValue::Integer(_) | DeValue::Boolean(_) => {}
                _ => self.wrong_item(key, value, "a string, an integer or a boolean"),
            }
        }
    }

    fn note(&mut self, text: &str) {
        if text.contains("%{") {
            self.parameters.extend(substitute::parameters(text).map(str::to_owned));
        }
    }

    fn wrong_item(&mut self, key: &Key, item: &Value<'s>, wanted: &str) {
        let message = format!("'{}' takes {wanted} here, this is {}", key.name, article(item.get_ref()));
        self.problems.error(&item.span(), message);
    }

    fn wrong_type(&mut self, key: &Key, value: &Value<'s>) {
        let message = format!(
            "'{}' takes {}, this is {}",
            key.name,
            with_article(key.kind.words()),
            article(value.get_ref())
        );
        let help = match (key.kind, value.get_ref()) {
            (Kind::Command, DeValue::String(text)) => {
                format!("no shell is involved; write {} = {}", key.name, as_array(&split_words(text)))
            }
            (Kind::Texts | Kind::Signals | Kind::Words(_), DeValue::String(text)) => {
                format!("write {} = {}", key.name, as_array(&[text.to_string()]))
            }
            (Kind::Codes, DeValue::Integer(code)) => format!("write {} = [{}]", key.name, code.as_str()),
            (Kind::Tables(_), DeValue::Table(_)) => format!("write [[{}]]", key.name),
            (Kind::Duration, DeValue::Integer(number)) => {
                format!("with its unit and in quotes: {} = \"{}s\"", key.name, number.as_str())
            }
            (kind, _) => format!("write {} = {}", key.name, kind.example()),
        };
        self.problems.error_help(&value.span(), message, help);
    }
}

/// A word that may be a megabyte, for a message.
fn shorten(word: &str) -> String {
    match word.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &word[..at]),
        None => word.to_owned(),
    }
}

fn article(value: &DeValue<'_>) -> String {
    with_article(value.type_str())
}

fn with_article(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

/// A command line taken apart as a shell would, as far as blanks and quotes go: for the error that shows the array.
fn split_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
    for c in line.chars().take(1000) {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.push(c),
            (None, '"' | '\'') => (quote, inside) = (Some(c), true),
            (None, _) if c.is_whitespace() => {
                if inside || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
            }
            (None, _) => word.push(c),
        }
    }
    if inside || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Words as TOML writes them.
fn as_array(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

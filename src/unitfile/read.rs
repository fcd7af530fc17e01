//! Values out of tables: substituted, checked, and shared where they are alike.
//!
//! Each function answers nothing where the value is missing or wrong. What is of the wrong type was reported
//! when the tables were held against the schema; what is impossible is reported here.

use std::borrow::Cow;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Problems, Span, nearest};
use super::document::Value;
use super::parts::Parts;
use super::pool::Pool;
use super::substitute::{self, Dollar, Names};
use crate::model::time;
use crate::model::{Account, Command, Signal, Text};

/// Reads the values of one unit.
#[derive(Debug)]
pub struct Reader<'a, 's> {
    /// What `%` stands for.
    pub names: &'a Names<'a>,
    /// Where errors go.
    pub problems: &'a mut Problems<'s>,
    /// What other units have in common with this one.
    pub pool: &'a mut Pool,
    /// What other instances of the same document have in common with this one.
    pub parts: &'a mut Parts,
    /// A `%` was met since this was last looked at.
    pub uses_names: bool,
}

impl<'a, 's> Reader<'a, 's> {
    /// A reader of the document that `parts` were kept of.
    pub fn new(
        names: &'a Names<'a>,
        problems: &'a mut Problems<'s>,
        pool: &'a mut Pool,
        parts: &'a mut Parts,
    ) -> Reader<'a, 's> {
        Reader { names, problems, pool, parts, uses_names: false }
    }
}

impl<'s> Reader<'_, 's> {
    /// A string, `%` replaced, `$` as it stands.
    pub fn plain<'t>(&mut self, value: &'t Value<'s>) -> Option<Cow<'t, str>> {
        self.substituted(value.get_ref().as_str()?, &value.span(), Dollar::Plain)
    }

    /// A string, `%` replaced, its `$` syntax checked.
    pub fn text(&mut self, value: &Value<'s>) -> Option<Text> {
        self.text_at(value.get_ref().as_str()?, &value.span())
    }

    /// The same for a string that is not a value of its own.
    pub fn text_at(&mut self, written: &str, span: &Span) -> Option<Text> {
        let text = self.substituted(written, span, Dollar::Later)?;
        match self.pool.text(&text) {
            Ok(text) => Some(text),
            Err(error) => {
                let span = match text {
                    Cow::Borrowed(_) => self.inside(span, error.offset, 1),
                    Cow::Owned(_) => span.clone(),
                };
                self.problems.error(&span, error.to_string());
                None
            }
        }
    }

    fn substituted<'t>(&mut self, text: &'t str, span: &Span, dollar: Dollar) -> Option<Cow<'t, str>> {
        if text.contains('\0') {
            self.problems.error(span, "a NUL character cannot stand here");
            return None;
        }
        match substitute::expand(text, self.names, dollar) {
            Ok(text) => {
                self.uses_names |= matches!(text, Cow::Owned(_));
                Some(text)
            }
            Err(error) => {
                let span = self.inside(span, error.offset, error.len);
                self.problems.error_of_percent(&span, error.message, error.help);
                None
            }
        }
    }

    /// The part of a string's span that lies `offset` bytes into its text; all of it where escapes or line
    /// breaks make that uncertain.
    pub fn inside(&self, span: &Span, offset: usize, len: usize) -> Span {
        let written = self.problems.sources.written(span);
        let simple =
            written.starts_with(['"', '\'']) && !written.starts_with("\"\"\"") && !written.contains('\\');
        let start = span.start + 1 + offset;
        if simple && start + len < span.end { start..start + len } else { span.clone() }
    }

    /// An absolute path, or one that begins with a variable.
    pub fn path(&mut self, value: &Value<'s>) -> Option<Text> {
        let text = self.text(value)?;
        if text.as_str().starts_with(['/', '$']) {
            return Some(text);
        }
        self.problems.error(&value.span(), format!("'{text}' is not an absolute path"));
        None
    }

    /// The absolute paths of an array.
    pub fn paths(&mut self, table: &DeTable<'s>, key: &str) -> Vec<Text> {
        items(table, key).iter().filter_map(|item| self.path(item)).collect()
    }

    /// The strings of an array.
    pub fn texts(&mut self, table: &DeTable<'s>, key: &str) -> Vec<Text> {
        items(table, key).iter().filter_map(|item| self.text(item)).collect()
    }

    /// The command at `key`; an empty one counts as none.
    pub fn command(&mut self, table: &DeTable<'s>, key: &str) -> Option<Command> {
        let value = table.get(key)?;
        let argv = self.texts(table, key);
        if argv.first().is_some_and(|program| program.as_str().is_empty()) {
            self.problems.error(&value.span(), "the program, the first of the array, is empty");
            return None;
        }
        self.pool.command(argv)
    }

    /// The command that must be there.
    pub fn must_command(&mut self, table: &DeTable<'s>, at: &Span) -> Option<Command> {
        match table.get("exec") {
            None => {
                self.problems.error_help(at, "'exec' is missing", "write exec = [\"program\", \"argument\"]")
            }
            Some(value) if value.get_ref().as_array().is_some_and(|items| items.is_empty()) => {
                self.problems.error(&value.span(), "'exec' is empty");
            }
            Some(_) => {}
        }
        self.command(table, "exec")
    }

    /// A duration of at least `least`.
    pub fn duration(&mut self, table: &DeTable<'s>, key: &str, least: Duration) -> Option<Duration> {
        let value = table.get(key)?;
        let text = self.plain(value)?;
        match time::parse_duration(&text) {
            Ok(duration) if duration < least => {
                let message = format!("'{key}' cannot be shorter than {}", time::Spoken(least));
                self.problems.error(&value.span(), message);
                None
            }
            Ok(duration) => Some(duration),
            Err(cause) => {
                let message = format!("'{text}' is no duration: {cause}");
                self.problems.error_help(
                    &value.span(),
                    message,
                    "write \"100ms\", \"30s\", \"5m\" or \"1h 30m\"",
                );
                None
            }
        }
    }

    /// A size in bytes, from a string or an integer.
    pub fn size(&mut self, value: &Value<'s>) -> Option<u64> {
        if let DeValue::Integer(_) = value.get_ref() {
            return self.integer_of(value, 0, i64::MAX).map(i64::unsigned_abs);
        }
        let text = self.plain(value)?;
        let size = time::parse_size(&text);
        if size.is_none() {
            let message = format!("'{text}' is no size");
            self.problems.error_help(&value.span(), message, "write 4096, \"64KiB\", \"10MiB\" or \"10MB\"");
        }
        size
    }

    /// A boolean.
    pub fn flag(&self, table: &DeTable<'s>, key: &str) -> Option<bool> {
        table.get(key)?.get_ref().as_bool()
    }

    /// An integer between two others.
    pub fn integer(&mut self, table: &DeTable<'s>, key: &str, least: i64, most: i64) -> Option<i64> {
        self.integer_of(table.get(key)?, least, most)
    }

    /// The same from a value.
    pub fn integer_of(&mut self, value: &Value<'s>, least: i64, most: i64) -> Option<i64> {
        let written = value.get_ref().as_integer()?;
        let number = i64::from_str_radix(written.as_str(), written.radix()).ok();
        let fits = number.filter(|number| (least..=most).contains(number));
        if fits.is_none() {
            let message = match most {
                i64::MAX => format!("{written} is not a number from {least} up"),
                _ => format!("{written} is not a number from {least} to {most}"),
            };
            self.problems.error(&value.span(), message);
        }
        fits
    }

    /// One of some words; answers its place among them.
    pub fn choice(&mut self, table: &DeTable<'s>, key: &str, words: &[&str]) -> Option<usize> {
        self.word(table.get(key)?, key, words)
    }

    /// The same from a value.
    pub fn word(&mut self, value: &Value<'s>, key: &str, words: &[&str]) -> Option<usize> {
        let text = self.plain(value)?;
        let found = words.iter().position(|word| *word == text);
        if found.is_none() {
            let message = format!("'{text}' is no value of '{key}'");
            let help = match nearest(&text, words.iter().copied()) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => format!("it takes \"{}\"", words.join("\" or \"")),
            };
            self.problems.error_help(&value.span(), message, help);
        }
        found
    }

    /// A user or a group.
    pub fn account(&mut self, value: &Value<'s>) -> Option<Account> {
        if let DeValue::Integer(_) = value.get_ref() {
            let id = self.integer_of(value, 0, i64::from(u32::MAX) - 1)?;
            return u32::try_from(id).ok().map(Account::Id);
        }
        let name = self.plain(value)?;
        if let Some(id) = name.parse::<u32>().ok().filter(|id| *id != u32::MAX) {
            return Some(Account::Id(id));
        }
        if name.is_empty() || name.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()) {
            self.problems.error(&value.span(), format!("'{name}' cannot be the name of a user or group"));
            return None;
        }
        Some(Account::Name(name.into_owned()))
    }

    /// Exit codes.
    pub fn codes(&mut self, table: &DeTable<'s>, key: &str) -> Option<Vec<u8>> {
        table.get(key)?.get_ref().as_array()?;
        let codes = items(table, key).iter().filter_map(|item| self.integer_of(item, 0, 255));
        Some(codes.filter_map(|code| u8::try_from(code).ok()).collect())
    }

    /// A signal, from a name or a number.
    pub fn signal(&mut self, value: &Value<'s>) -> Option<Signal> {
        let text = match value.get_ref() {
            DeValue::Integer(number) => Cow::Owned(number.to_string()),
            _ => self.plain(value)?,
        };
        let signal = Signal::parse(&text);
        if signal.is_none() {
            let message = format!("'{text}' is no signal");
            let upper = text.to_ascii_uppercase();
            let word = upper.strip_prefix("SIG").unwrap_or(&upper);
            match nearest(word, Signal::names()) {
                Some(word) => {
                    self.problems.error_help(&value.span(), message, format!("did you mean \"{word}\"?"))
                }
                None => self.problems.error_help(
                    &value.span(),
                    message,
                    "write \"TERM\", \"SIGTERM\", 15 or \"RTMIN+3\"",
                ),
            }
        }
        signal
    }

    /// Permission bits or a mask, in octal.
    pub fn octal(&mut self, table: &DeTable<'s>, key: &str, most: u32) -> Option<u32> {
        let value = table.get(key)?;
        let text = self.plain(value)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = u32::from_str_radix(&text, 8).ok().filter(|number| digits && *number <= most);
        if number.is_none() {
            let message = format!("'{text}' is not a mode in octal, \"0000\" to \"{most:04o}\"");
            self.problems.error(&value.span(), message);
        }
        number
    }

    /// A regular expression, compiled to see that it is one.
    pub fn regex(&mut self, table: &DeTable<'s>, key: &str) -> Option<String> {
        let value = table.get(key)?;
        let text = self.plain(value)?;
        match regex_lite::Regex::new(&text) {
            Ok(_) => Some(text.into_owned()),
            Err(error) => {
                self.problems.error(&value.span(), format!("'{text}' is no regular expression: {error}"));
                None
            }
        }
    }
}

/// The items of the array at `key`; none when there is no array.
pub fn items<'t, 's>(table: &'t DeTable<'s>, key: &str) -> &'t [Value<'s>] {
    table.get(key).and_then(|value| value.get_ref().as_array()).map_or(&[], |items| &items[..])
}

/// The table at `key` and its place.
pub fn table<'t, 's>(table: &'t DeTable<'s>, key: &str) -> Option<(&'t DeTable<'s>, Span)> {
    let value = table.get(key)?;
    Some((value.get_ref().as_table()?, value.span()))
}

/// The entries of a table in the order of the file.
pub fn in_order<'t, 's>(table: &'t DeTable<'s>) -> Vec<(&'t toml::Spanned<Cow<'s, str>>, &'t Value<'s>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A string, integer or boolean as the text that it stands for.
pub fn scalar<'t>(value: &'t DeValue<'_>) -> Option<Cow<'t, str>> {
    match value {
        DeValue::String(text) => Some(Cow::Borrowed(text)),
        DeValue::Integer(number) if number.radix() == 10 => Some(Cow::Borrowed(number.as_str())),
        DeValue::Integer(number) => Some(Cow::Owned(number.to_string())),
        DeValue::Boolean(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        _ => None,
    }
}

//! `[log]` of a unit and of `sexton.toml`: their keys, and how they are read.

use std::rc::Rc;

use toml::de::DeTable;

use super::kind::Kind;
use super::read::{Reader, table};
use super::schema::{Key, key};
use crate::model::log::{Log, LogFormat, LogTarget, MIN_LINE, MIN_SIZE, MOST_LINE, Rate};
use crate::model::{Command, Settings};

const TARGETS: &[&str] = &["default", "console", "file", "inherit", "null"];
const FORMATS: &[&str] = &["raw", "prefix", "json"];

/// `[log]`.
pub static LOG: &[Key] = &[
    key(
        "to",
        Kind::Choice(TARGETS),
        "`\"default\"`",
        "`\"default\"`: as `sexton.toml` says; `\"console\"`: sexton's own output; `\"file\"`: files below the log directory; `\"inherit\"`: sexton's own output, untouched by anybody; `\"null\"`: nowhere",
    ),
    key(
        "format",
        Kind::Choice(FORMATS),
        "`\"prefix\"`",
        "`\"raw\"`: the bytes as they came; `\"prefix\"`: each line after the unit's name, in a file after its time and stream; `\"json\"`: an object a line",
    ),
    key(
        "max-size",
        Kind::Size,
        "`\"10MiB\"`",
        "a file that would become larger is put aside, and a new one begun",
    ),
    key("keep", Kind::Integer(0, 1000), "5", "files put aside that are kept"),
    key(
        "rate",
        Kind::Text,
        "no limit",
        "at most so many lines are taken, as `\"1000/s\"`; the rest is dropped and counted",
    ),
    key("max-line", Kind::Size, "`\"16KiB\"`", "a longer line is cut in parts"),
    key(
        "through",
        Kind::Command,
        "",
        "a program that the output goes through before it is logged; it survives restarts of the unit",
    ),
];

/// `[log]` of `sexton.toml`: what holds where a unit does not say otherwise, and where files are.
pub static SETTINGS_LOG: &[Key] = &[
    key(
        "to",
        Kind::Choice(&["console", "file", "inherit", "null"]),
        "`\"console\"`",
        "where the output of units goes that do not say so themselves",
    ),
    key(
        "directory",
        Kind::Text,
        "`\"/var/log/sexton\"`",
        "where log files are; each unit has a directory in it",
    ),
    key("group", Kind::Account, "sexton's own", "members of this group may read log files"),
    key(
        "format",
        Kind::Choice(FORMATS),
        "`\"prefix\"`",
        "as in a unit, for all that do not say so themselves",
    ),
    key("max-size", Kind::Size, "`\"10MiB\"`", "as in a unit"),
    key("keep", Kind::Integer(0, 1000), "5", "as in a unit"),
    key("rate", Kind::Text, "no limit", "as in a unit"),
    key("max-line", Kind::Size, "`\"16KiB\"`", "as in a unit"),
];

impl<'s> Reader<'_, 's> {
    /// `[log]` of a unit.
    pub fn log(&mut self, root: &DeTable<'s>) -> Rc<Log> {
        let Some((keys, _)) = table(root, "log") else { return self.pool.log.usual() };
        let mut log = self.log_keys(keys);
        log.through = self.through(root, keys);
        self.pool.log.share(Rc::new(log))
    }

    /// `[log]` of the settings.
    pub fn log_settings(&mut self, root: &DeTable<'s>, settings: &mut Settings) {
        let Some((keys, _)) = table(root, "log") else { return };
        settings.log = self.log_keys(keys);
        if settings.log.to == LogTarget::Default {
            settings.log.to = LogTarget::Console;
        }
        settings.log_group = keys.get("group").and_then(|value| self.account(value));
        if let Some(value) = keys.get("directory") {
            let path = self.path(value).filter(|path| path.as_str().starts_with('/'));
            settings.log_directory = path.map(|path| path.as_str().into());
        }
    }

    fn log_keys(&mut self, keys: &DeTable<'s>) -> Log {
        let to = match self.choice(keys, "to", TARGETS) {
            Some(1) => LogTarget::Console,
            Some(2) => LogTarget::File,
            Some(3) => LogTarget::Inherit,
            Some(4) => LogTarget::Null,
            _ => LogTarget::Default,
        };
        let mut log = Log { to, ..Log::default() };
        log.format = self.choice(keys, "format", FORMATS).map(|word| match word {
            0 => LogFormat::Raw,
            1 => LogFormat::Prefix,
            _ => LogFormat::Json,
        });
        log.max_size = self.size_between(keys, "max-size", MIN_SIZE, 1 << 40);
        log.keep = self.integer(keys, "keep", 0, 1000).and_then(|keep| u32::try_from(keep).ok());
        let longest = self.size_between(keys, "max-line", u64::from(MIN_LINE), u64::from(MOST_LINE));
        log.max_line = longest.and_then(|bytes| u32::try_from(bytes).ok());
        log.rate = self.rate(keys);
        log
    }

    /// A line that comes out of a program may be one of the run before, which says nothing of this one.
    fn through(&mut self, root: &DeTable<'s>, keys: &DeTable<'s>) -> Option<Command> {
        let value = keys.get("through")?;
        if value.get_ref().as_array().is_some_and(|items| items.is_empty()) {
            self.problems.error(&value.span(), "'through' is empty");
        }
        if table(root, "ready").is_some_and(|(ready, _)| ready.contains_key("log")) {
            let help = "show readiness in another way, as with [ready] notify";
            let message = "a unit that is ready by a line of its output cannot have it go through a program";
            self.problems.error_help(&value.span(), message, help);
        }
        self.command(keys, "through")
    }

    fn size_between(&mut self, keys: &DeTable<'s>, key: &str, least: u64, most: u64) -> Option<u64> {
        let value = keys.get(key)?;
        let size = self.size(value)?;
        if (least..=most).contains(&size) {
            return Some(size);
        }
        self.problems.error(&value.span(), format!("'{key}' is a size from {least} to {most} bytes"));
        None
    }

    fn rate(&mut self, keys: &DeTable<'s>) -> Option<Rate> {
        let value = keys.get("rate")?;
        let text = self.plain(value)?;
        let rate = Rate::parse(&text);
        if rate.is_none() {
            let message = format!("'{text}' is no number of lines in a time");
            self.problems.error_help(&value.span(), message, "write \"1000/s\", \"500/m\" or \"10/h\"");
        }
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::log::{KEEP, MAX_LINE, MAX_SIZE};

    #[test]
    fn the_words_of_the_page_are_the_defaults_of_the_model() {
        let default = |name: &str| LOG.iter().find(|key| key.name == name).unwrap().default;
        assert_eq!(default("max-size"), format!("`\"{}MiB\"`", MAX_SIZE >> 20));
        assert_eq!(default("keep"), KEEP.to_string());
        assert_eq!(default("max-line"), format!("`\"{}KiB\"`", MAX_LINE >> 10));
        assert_eq!(LogFormat::default(), LogFormat::Prefix);
    }
}

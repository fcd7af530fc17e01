//! `[log]`: where the output of a unit goes, in what form, and how much of it is kept.
//!
//! ```text
//!   the unit's own word ──▶ else the word of sexton.toml ──▶ else the default here
//! ```

use std::fmt;

use super::Command;

/// Bytes of a log file without `max-size`: some hundred thousand lines, and little beside a disk.
pub const MAX_SIZE: u64 = 10 << 20;
/// The smallest `max-size`: a file has room for what is written at once.
pub const MIN_SIZE: u64 = 128 << 10;
/// Full files that are kept without `keep`.
pub const KEEP: u32 = 5;
/// The longest line without `max-line`. It bounds what one pipe can make the logger keep.
pub const MAX_LINE: u32 = 16 << 10;
/// The least that `max-line` can be.
pub const MIN_LINE: u32 = 256;
/// The most that `max-line` can be: as much is kept of each line that has not ended.
pub const MOST_LINE: u32 = 1 << 20;

/// `[log]`, as it is written: what is not said here is as `sexton.toml` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Where the output goes.
    pub to: LogTarget,
    /// In what form.
    pub format: Option<LogFormat>,
    /// Bytes of one file.
    pub max_size: Option<u64>,
    /// Full files that are kept beside the one that is written.
    pub keep: Option<u32>,
    /// How many lines are taken in a time; what is beyond them is dropped and counted.
    pub rate: Option<Rate>,
    /// The longest line, in bytes; a longer one is cut in parts.
    pub max_line: Option<u32>,
    /// A program that the output goes through before it is logged. A unit's own word alone.
    pub through: Option<Command>,
}

impl Log {
    /// With what is not said here as `usual` has it.
    #[must_use]
    pub fn settled(&self, usual: &Log) -> Log {
        Log {
            to: if self.to == LogTarget::Default { usual.to } else { self.to },
            format: self.format.or(usual.format),
            max_size: self.max_size.or(usual.max_size),
            keep: self.keep.or(usual.keep),
            rate: self.rate.or(usual.rate),
            max_line: self.max_line.or(usual.max_line),
            through: self.through.clone(),
        }
    }

    /// Do standard output and error have a pipe each? They do where the form says which of them a line came by; one
    /// pipe for both keeps the order in which they were written.
    pub fn keeps_streams_apart(&self) -> bool {
        match (self.to, self.format.unwrap_or_default()) {
            (_, LogFormat::Json) | (LogTarget::File, LogFormat::Prefix) => true,
            (_, LogFormat::Raw | LogFormat::Prefix) => false,
        }
    }
}

/// `[log] to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// As `sexton.toml` says: the console, unless it says otherwise.
    #[default]
    Default,
    /// sexton's own standard output.
    Console,
    /// Files below the log directory.
    File,
    /// sexton's own standard output and error, untouched.
    Inherit,
    /// Nowhere.
    Null,
}

/// `[log] format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The bytes as they came.
    Raw,
    /// On the console each line after the unit's name, in a file after its time and its stream.
    #[default]
    Prefix,
    /// An object a line.
    Json,
}

/// `[log] rate`: so many lines in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Lines; never none.
    pub lines: u32,
    /// Seconds: 1, 60 or 3600.
    pub seconds: u32,
}

impl Rate {
    /// Reads `1000/s`, `100/m`, `10/h`.
    pub fn parse(text: &str) -> Option<Rate> {
        let (lines, per) = text.split_once('/')?;
        let seconds = match per.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        let lines = lines.trim().parse().ok().filter(|lines| *lines > 0)?;
        Some(Rate { lines, seconds })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.seconds {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{per}", self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_lines_in_a_second_a_minute_or_an_hour() {
        for text in ["1000/s", "5/m", "1/h"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "5", "0/s", "-1/s", "5/d", "1.5/s", "99999999999/s"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_units_own_word_counts_and_then_that_of_the_settings() {
        let usual = Log { to: LogTarget::File, keep: Some(2), max_size: Some(7), ..Log::default() };
        let own = Log { keep: Some(9), format: Some(LogFormat::Raw), ..Log::default() };
        let settled = own.settled(&usual);
        assert_eq!((settled.to, settled.keep, settled.max_size), (LogTarget::File, Some(9), Some(7)));
        assert!(!settled.keeps_streams_apart() && Log::default().settled(&usual).keeps_streams_apart());
    }
}

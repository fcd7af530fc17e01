//! What the three spellings have in common: how a command line ends before anything is started, and the options that neither
//! tini nor dumb-init has.
//!
//! | option | meaning |
//! | --- | --- |
//! | `--grace T` | how long those that the child left behind have to end |
//! | `--drain T` | how long the first TERM is held back |
//! | `--remap A=B` | the child's status A ends as B |
//! | `--env-file F` | more variables for the child |

#[cfg(test)]
use std::ffi::CStr;
use std::time::Duration;

use super::settings::Settings;
use super::words::Words;
use crate::model::time;
use crate::sys::standard::Stream;

/// A command line that starts nothing: it asks for a text, or is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instead {
    /// Where the text goes.
    pub(super) stream: Stream,
    /// The text.
    pub(super) text: Vec<u8>,
    /// The status to end with.
    pub(super) code: u8,
}

impl Instead {
    /// What was asked for.
    pub(super) fn asked(stream: Stream, parts: &[&[u8]]) -> Instead {
        Instead { stream, text: parts.concat(), code: 0 }
    }

    /// What is wrong.
    pub(super) fn wrong(code: u8, parts: &[&[u8]]) -> Instead {
        Instead { stream: Stream::Errors, text: parts.concat(), code }
    }
}

/// The name of this release, for the texts of others.
pub(super) const SEXTON: &[u8] = concat!("sexton ", env!("CARGO_PKG_VERSION")).as_bytes();

/// The lines of a `--help` for the options that all three have.
pub(super) const BEYOND: &[u8] =
    b"  --grace DURATION: After the child, ask whom it left behind to end, and kill who has not by then.\n\
    \x20 --drain DURATION: Hold the first SIGTERM back for so long; another one or SIGINT ends that.\n\
    \x20 --remap FROM=TO: Exit with TO where the child did with FROM (can be repeated).\n\
    \x20 --env-file FILE: More variables for the child, as KEY=value lines (can be repeated).\n";

/// Puts the value of an option where it belongs.
type Take = fn(&mut Settings, &'static [u8]) -> Result<(), &'static [u8]>;

/// Takes an option that all three have. `None` when it is none of them; the words say what is wrong with its value.
pub(super) fn beyond(
    name: &[u8],
    inline: Option<&'static [u8]>,
    words: &mut Words<'_>,
    settings: &mut Settings,
) -> Option<Result<(), Vec<u8>>> {
    let take: Take = match name {
        b"grace" => |settings, value| duration(value).map(|grace| settings.grace = grace),
        b"drain" => |settings, value| duration(value).map(|drain| settings.drain = drain),
        b"remap" => |settings, value| remap(settings, value),
        b"env-file" => |settings, value| {
            settings.env_files.push(value);
            Ok(())
        },
        _ => return None,
    };
    let Some(value) = inline.or_else(|| words.value()) else {
        return Some(Err([b"option '--" as &[u8], name, b"' wants a value"].concat()));
    };
    let wrong = |why: &[u8]| [b"cannot read '--" as &[u8], name, b" ", value, b"': ", why].concat();
    Some(take(settings, value).map_err(wrong))
}

fn duration(value: &[u8]) -> Result<Duration, &'static [u8]> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let parsed = if text == "0" { Ok(Duration::ZERO) } else { time::parse_duration(text) };
    parsed.map_err(|_| b"it should be a duration, such as 500ms, 10s or 1m 30s" as &[u8])
}

fn remap(settings: &mut Settings, value: &[u8]) -> Result<(), &'static [u8]> {
    let (from, rest) = leading_number(value).unwrap_or((-1, b""));
    let to = rest.strip_prefix(b"=").and_then(leading_number).filter(|(_, rest)| rest.is_empty());
    match (u8::try_from(from), to.map(|(to, _)| u8::try_from(to))) {
        (Ok(from), Some(Ok(to))) => {
            settings.remaps.set(from, to);
            Ok(())
        }
        _ => Err(b"it should be FROM=TO, two numbers from 0 to 255"),
    }
}

/// The number that a text begins with, and what comes behind it: white space, a sign, digits.
#[doc(alias = "strtol")]
#[doc(alias = "atoi")]
pub(super) fn leading_number(text: &[u8]) -> Option<(i32, &[u8])> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    let add = |number: i32, digit: &u8| number.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
    let number = digits.iter().fold(0, add);
    Some((if negative { -number } else { number }, rest))
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::super::voice::{Detail, Voice};
    use super::super::words::{Order, Word, Words};
    use super::*;
    use crate::sys::arguments::Arguments;

    fn tried(option: &'static CStr) -> Result<Settings, String> {
        let mut arguments = Arguments::of_test(&[c"x", option], &[]);
        let mut words = Words::new(&mut arguments, Order::Strict);
        let mut settings = Settings::new(Voice::Own(Detail::Errors));
        let Some(Word::Long(name, inline)) = words.option() else { panic!("it is a long option") };
        let taken = beyond(name, inline, &mut words, &mut settings);
        let taken = taken.unwrap_or_else(|| Err(b"unknown".to_vec())).map(|()| settings);
        taken.map_err(|why| String::from_utf8(why).unwrap())
    }

    #[test]
    fn each_option_that_the_others_lack_is_read() {
        assert_eq!(tried(c"--grace=1m 30s").unwrap().grace, Duration::from_secs(90));
        assert_eq!(tried(c"--drain=0").unwrap().drain, Duration::ZERO);
        assert_eq!(tried(c"--remap=143=0").unwrap().remaps.of(143), 0);
        assert_eq!(tried(c"--env-file=/x").unwrap().env_files, [b"/x"]);
    }

    #[test]
    fn a_wrong_value_is_told_with_its_option() {
        for (option, words) in [
            (c"--grace", "option '--grace' wants a value"),
            (c"--remap=1", "cannot read '--remap 1': it should be FROM=TO, two numbers from 0 to 255"),
            (
                c"--remap=1=256",
                "cannot read '--remap 1=256': it should be FROM=TO, two numbers from 0 to 255",
            ),
            (c"--other=1", "unknown"),
        ] {
            assert_eq!(tried(option).unwrap_err(), words);
        }
        let words = "cannot read '--drain soon': it should be a duration, such as 500ms, 10s or 1m 30s";
        assert_eq!(tried(c"--drain=soon").unwrap_err(), words);
    }
}

//! A line as the console shows it: the unit's name, a bar, the text. Pure.
//!
//! ```text
//!   redis@6380 | Ready to accept connections        on a terminal: colour, control characters escaped
//!   web        | listening on 8080                  elsewhere: the service's bytes, unchanged
//! ```

use super::lines::{Ending, without_return};
use super::record::Record;
use crate::model::log::LogFormat;

/// The widest column of names; a longer name pushes its lines to the right.
pub(super) const MAX_WIDTH: usize = 24;

/// What the console is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// A file, a pipe, a log collector.
    Plain,
    /// A terminal that wants no colour (`NO_COLOR`, `TERM=dumb`).
    Terminal,
    /// A terminal.
    Coloured,
}

/// Colours that can be read on dark and on light: cyan, yellow, green, magenta, blue, and their bright kin.
const COLOURS: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

/// What stands at the end of a line that was cut.
const CUT: &[u8] = b" [cut]";

/// Appends one line, newline included, to `out`.
pub(super) fn line(
    out: &mut Vec<u8>,
    surface: Surface,
    format: LogFormat,
    width: usize,
    record: &Record<'_>,
) {
    match format {
        LogFormat::Json => return record.json(out),
        LogFormat::Raw => {}
        LogFormat::Prefix => prefix(out, surface, record.unit, width),
    }
    let text = without_return(record.text, record.ending);
    match surface {
        Surface::Plain => out.extend_from_slice(text),
        Surface::Terminal | Surface::Coloured => escape(out, text),
    }
    if record.ending == Ending::Cut {
        out.extend(CUT);
    }
    out.push(b'\n');
}

fn prefix(out: &mut Vec<u8>, surface: Surface, name: &str, width: usize) {
    let colour = match surface {
        Surface::Coloured => Some(colour_of(name)),
        Surface::Plain | Surface::Terminal => None,
    };
    if let Some(colour) = colour {
        out.extend(b"\x1b[");
        out.extend(colour.bytes());
        out.push(b'm');
    }
    out.extend(name.bytes());
    out.extend(std::iter::repeat_n(b' ', width.saturating_sub(name.len())));
    out.extend(b" |");
    if colour.is_some() {
        out.extend(b"\x1b[0m");
    }
    out.push(b' ');
}

/// The same name has the same colour in every run: people learn it.
fn colour_of(name: &str) -> &'static str {
    let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    COLOURS.get(sum % COLOURS.len()).copied().unwrap_or("36")
}

/// Makes text harmless for a terminal: what could move the cursor, change the title or answer as the keyboard
/// is shown as `\x1b` and the like. Tabs stay; bytes that are no UTF-8 are shown by number.
pub(crate) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\t' || !is_unsafe(c) {
                let mut utf8 = [0; 4];
                out.extend(c.encode_utf8(&mut utf8).bytes());
            } else if u32::from(c) < 0x100 {
                hex(out, u32::from(c) as u8);
            } else {
                out.extend(c.escape_unicode().map(|c| c as u8));
            }
        }
        chunk.invalid().iter().for_each(|byte| hex(out, *byte));
    }
}

/// C0, DEL and C1; and the marks that reverse the direction of what follows, which can forge a line.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).map_or(b'?', |c| c as u8);
    out.extend([b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::random::Random;

    fn record(text: &[u8], ending: Ending) -> Record<'_> {
        Record { time: "now", unit: "web", pid: None, stream: "stdout", text, ending }
    }

    fn show(surface: Surface, format: LogFormat, text: &[u8]) -> String {
        let mut out = Vec::new();
        line(&mut out, surface, format, 6, &record(text, Ending::Whole));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn names_stand_in_a_column_and_colour_is_for_terminals() {
        assert_eq!(show(Surface::Plain, LogFormat::Prefix, b"hi"), "web    | hi\n");
        assert_eq!(show(Surface::Terminal, LogFormat::Prefix, b"hi"), "web    | hi\n");
        let coloured = show(Surface::Coloured, LogFormat::Prefix, b"hi");
        assert!(coloured.starts_with("\x1b[") && coloured.ends_with("web    |\x1b[0m hi\n"), "{coloured:?}");
        assert_eq!(show(Surface::Coloured, LogFormat::Raw, b"hi"), "hi\n");
        assert_eq!(show(Surface::Plain, LogFormat::Raw, b"hi\r"), "hi\n");
        assert!(show(Surface::Coloured, LogFormat::Json, b"hi\x1b").ends_with("\"line\":\"hi\\u001b\"}\n"));
    }

    #[test]
    fn a_terminal_is_shown_no_control_characters() {
        let text = "a\x1b[2J\tb\x07\u{9b}\u{202e}ü\x7f".as_bytes();
        assert_eq!(show(Surface::Terminal, LogFormat::Raw, text), "a\\x1b[2J\tb\\x07\\x9b\\u{202e}ü\\x7f\n");
        assert_eq!(show(Surface::Terminal, LogFormat::Raw, b"\xffa\x90"), "\\xffa\\x90\n");
    }

    #[test]
    fn a_file_gets_the_bytes_as_they_came() {
        let mut out = Vec::new();
        let text = b"\x1b[2J\xff\0";
        line(&mut out, Surface::Plain, LogFormat::Raw, 0, &record(text, Ending::Cut));
        assert_eq!(out, b"\x1b[2J\xff\0 [cut]\n");
    }

    #[test]
    fn no_bytes_at_all_get_a_control_character_to_a_terminal() {
        let mut random = Random::new(3);
        for _ in 0..5_000 {
            let text = show(Surface::Terminal, LogFormat::Prefix, &random.bytes(40));
            assert!(text.trim_end_matches('\n').chars().all(|c| c == '\t' || !c.is_control()), "{text:?}");
            assert!(!text.contains('\u{fffd}'), "{text:?}");
        }
    }

    #[test]
    fn a_name_keeps_its_colour() {
        assert_eq!(colour_of("redis@6380"), colour_of("redis@6380"));
        let mut colours: Vec<_> = ["web", "db", "cache", "queue", "app"].map(colour_of).into();
        colours.sort_unstable();
        colours.dedup();
        assert!(colours.len() > 2);
    }
}

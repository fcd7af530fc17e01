//! A line of a log file, whatever its form, and how it is shown.

use std::io::{self, Write};

use crate::logger::record::{Ending, Record};
use crate::logger::render::{self, Surface};
use crate::model::Pid;

/// Bytes of a time: `2026-11-22T22:28:15.123456Z`.
const TIME: usize = 27;

/// How lines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Time and text.
    Plain(Surface),
    /// Time, unit and text.
    Named(Surface),
    /// An object a line.
    Json,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was read; `None` in a raw file.
    pub(super) time: Option<String>,
    /// By what it is sorted: its time, or that of the line before it.
    pub(super) order: String,
    /// `stdout` or `stderr`; empty in a raw file.
    stream: String,
    pid: Option<Pid>,
    pub(super) text: Vec<u8>,
    ending: Ending,
}

impl Entry {
    /// Reads a line without its newline. `before` is the order of the line before it.
    pub(super) fn parse(line: &[u8], before: &str) -> Entry {
        let parsed = json(line).or_else(|| prefixed(line));
        let mut entry = parsed.unwrap_or_else(|| Entry {
            time: None,
            order: String::new(),
            stream: String::new(),
            pid: None,
            text: line.to_vec(),
            ending: Ending::Whole,
        });
        entry.order = entry.time.clone().unwrap_or_else(|| before.to_owned());
        entry
    }

    /// Writes it in a shape.
    pub(super) fn write(
        &self,
        out: &mut dyn Write,
        unit: &str,
        shape: Shape,
        width: usize,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        let time = self.time.as_deref().unwrap_or_default();
        let surface = match shape {
            Shape::Json => {
                let (stream, ending) = (self.stream.as_str(), self.ending);
                Record { time, unit, pid: self.pid, stream, text: &self.text, ending }.json(&mut bytes);
                return out.write_all(&bytes);
            }
            Shape::Plain(surface) => surface,
            Shape::Named(surface) => {
                bytes.extend(format!("{unit:width$} | ").bytes());
                surface
            }
        };
        if !time.is_empty() {
            bytes.extend(time.bytes());
            bytes.push(b' ');
        }
        match surface {
            Surface::Plain => bytes.extend_from_slice(&self.text),
            Surface::Terminal | Surface::Coloured => render::escape(&mut bytes, &self.text),
        }
        bytes.push(b'\n');
        out.write_all(&bytes)
    }
}

fn prefixed(line: &[u8]) -> Option<Entry> {
    let (time, rest) = line.split_at_checked(TIME)?;
    let is_time = time.ends_with(b"Z") && time.get(10) == Some(&b'T') && time.get(19) == Some(&b'.');
    let time = std::str::from_utf8(time).ok().filter(|_| is_time)?;
    for stream in ["stdout", "stderr"] {
        let after = rest.strip_prefix(b" ").and_then(|rest| rest.strip_prefix(stream.as_bytes()));
        let (ending, text) = match after {
            Some([b' ', b'F', b' ', text @ ..]) => (Ending::Whole, text),
            Some([b' ', b'P', b' ', text @ ..]) => (Ending::Cut, text),
            _ => continue,
        };
        let (time, stream) = (Some(time.to_owned()), stream.to_owned());
        return Some(Entry { time, order: String::new(), stream, pid: None, text: text.to_vec(), ending });
    }
    None
}

fn json(line: &[u8]) -> Option<Entry> {
    if !line.starts_with(b"{\"time\":\"") {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = |key: &str| value.get(key).and_then(|field| field.as_str()).map(str::to_owned);
    let bytes = match text("hex") {
        Some(hex) => from_hex(&hex)?,
        None => text("line")?.into_bytes(),
    };
    let pid = value
        .get("pid")
        .and_then(serde_json::Value::as_i64)
        .and_then(|pid| Pid::new(i32::try_from(pid).ok()?));
    let ending = if value.get("partial").is_some() { Ending::Cut } else { Ending::Whole };
    let (time, stream) = (Some(text("time")?), text("stream")?);
    Some(Entry { time, order: String::new(), stream, pid, text: bytes, ending })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2026-11-22T22:28:15.123456Z";

    fn shown(line: &[u8], shape: Shape) -> String {
        let mut out = Vec::new();
        Entry::parse(line, "before").write(&mut out, "web", shape, 5).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_line_of_each_form_is_understood_and_shown_in_each_shape() {
        let prefixed = format!("{STAMP} stderr P half\x1b");
        let plain = Shape::Plain(Surface::Plain);
        assert_eq!(shown(prefixed.as_bytes(), plain), format!("{STAMP} half\x1b\n"));
        assert_eq!(
            shown(prefixed.as_bytes(), Shape::Named(Surface::Terminal)),
            format!("web   | {STAMP} half\\x1b\n")
        );
        let json = shown(prefixed.as_bytes(), Shape::Json);
        assert!(json.contains("\"stream\":\"stderr\",\"line\":\"half\\u001b\",\"partial\":true}"), "{json}");
        assert_eq!(
            shown(json.trim_end().as_bytes(), Shape::Json),
            json,
            "what was written as an object is one again"
        );
        assert_eq!(shown(b"raw\xff", plain), "raw\u{fffd}\n");
        let bytes = shown(b"raw\xff", Shape::Json);
        assert_eq!(Entry::parse(b"raw", "before").order, "before");
        assert!(bytes.contains("\"hex\":\"726177ff\""), "{bytes}");
    }
}

//! A line as a file and a program want it: with its time, its stream, and all its bytes. Pure.
//!
//! ```text
//!   prefix   2026-11-22T22:28:15.123456Z stdout F GET / 200       P instead of F: the line goes on in the next
//!   json     {"time":"2026-…Z","unit":"web","pid":42,"stream":"stdout","line":"GET / 200"}
//!                                           …,"line":"a\ufffdb","hex":"61ff62"}      where it is no UTF-8
//!                                           …,"partial":true}                        where the line goes on
//! ```
//!
//! The first is the form in which Kubernetes keeps the logs of containers, so what collects those reads it.

pub(crate) use super::lines::Ending;
use crate::model::Pid;

/// One line, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) time: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) pid: Option<Pid>,
    pub(crate) stream: &'a str,
    pub(crate) text: &'a [u8],
    pub(crate) ending: Ending,
}

impl Record<'_> {
    /// Appends the line as a file has it.
    pub(crate) fn prefixed(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.time.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.stream.as_bytes());
        out.extend_from_slice(match self.ending {
            Ending::Whole => b" F ",
            Ending::Cut => b" P ",
        });
        out.extend_from_slice(self.text);
        out.push(b'\n');
    }

    /// Appends the line as an object.
    pub(crate) fn json(&self, out: &mut Vec<u8>) {
        out.extend(b"{\"time\":\"");
        out.extend(self.time.bytes());
        out.extend(b"\",\"unit\":\"");
        // A name needs no escapes: what one may hold was checked.
        out.extend(self.unit.bytes());
        if let Some(pid) = self.pid {
            out.extend(b"\",\"pid\":");
            out.extend(pid.get().to_string().bytes());
            out.extend(b",\"stream\":\"");
        } else {
            out.extend(b"\",\"stream\":\"");
        }
        out.extend(self.stream.bytes());
        out.extend(b"\",\"line\":\"");
        let is_text = escape(out, self.text);
        out.push(b'"');
        if !is_text {
            out.extend(b",\"hex\":\"");
            self.text.iter().for_each(|byte| out.extend([digit(byte >> 4), digit(byte & 15)]));
            out.push(b'"');
        }
        if self.ending == Ending::Cut {
            out.extend(b",\"partial\":true");
        }
        out.extend(b"}\n");
    }
}

/// Writes text as the inside of a JSON string in which nothing can harm a terminal; was it UTF-8?
fn escape(out: &mut Vec<u8>, text: &[u8]) -> bool {
    if text.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(text);
        return true;
    }
    let mut is_text = true;
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend([b'\\', c as u8]),
                '\t' => out.extend(b"\\t"),
                c if super::render::is_unsafe(c) => {
                    let n = u32::from(c);
                    out.extend(b"\\u");
                    // All of them lie below U+10000.
                    out.extend([12, 8, 4, 0].map(|shift| digit((n >> shift & 15) as u8)));
                }
                c => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            is_text = false;
            out.extend(b"\\ufffd");
        }
    }
    is_text
}

fn digit(n: u8) -> u8 {
    char::from_digit(u32::from(n), 16).map_or(b'?', |c| c as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::random::Random;

    fn record(text: &[u8], ending: Ending) -> Record<'_> {
        let time = "2026-11-22T22:28:15.123456Z";
        Record { time, unit: "web", pid: Pid::new(42), stream: "stdout", text, ending }
    }

    fn json(text: &[u8], ending: Ending) -> serde_json::Value {
        let mut out = Vec::new();
        record(text, ending).json(&mut out);
        assert_eq!(out.pop(), Some(b'\n'));
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_file_has_time_stream_and_the_bytes_as_they_came() {
        let mut out = Vec::new();
        record(b"a\0\xff\r", Ending::Whole).prefixed(&mut out);
        record(b"half", Ending::Cut).prefixed(&mut out);
        let whole = b"2026-11-22T22:28:15.123456Z stdout F a\0\xff\r\n";
        let half = b"2026-11-22T22:28:15.123456Z stdout P half\n";
        assert_eq!(out, [&whole[..], half].concat());
    }

    #[test]
    fn an_object_has_every_field_and_says_what_is_no_text() {
        let value = json(b"a \"quoted\" \\ line\x1b", Ending::Whole);
        assert_eq!(value["line"], "a \"quoted\" \\ line\x1b");
        assert_eq!(
            (&value["unit"], &value["pid"], &value["stream"]),
            (&"web".into(), &42.into(), &"stdout".into())
        );
        assert!(value.get("hex").is_none() && value.get("partial").is_none());
        let value = json(b"a\xffb", Ending::Cut);
        assert_eq!((&value["line"], &value["hex"]), (&"a\u{fffd}b".into(), &"61ff62".into()));
        assert_eq!(value["partial"], true);
    }

    #[test]
    fn any_bytes_make_one_line_that_a_program_can_read_and_a_terminal_can_show() {
        let mut random = Random::new(8);
        for _ in 0..3_000 {
            let bytes = random.bytes(60);
            let mut out = Vec::new();
            record(&bytes, Ending::Whole).json(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.trim_end_matches('\n').chars().all(|c| !c.is_control()), "{text:?}");
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["line"].as_str().unwrap(), String::from_utf8_lossy(&bytes), "{text}");
        }
    }
}

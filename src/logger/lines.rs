//! Bytes in, lines out. Pure.
//!
//! ```text
//!   "one\ntw" ──▶ "one"   keeps "tw"
//!   "o\n"     ──▶ "two"
//!   the longest line without a newline ──▶ a part, marked as one; the next part follows
//!   end of the pipe                    ──▶ what is kept, as a line
//! ```
//!
//! [`Lines::split`] is for those who only ask where lines end: all whole lines are one slice, and nothing is copied.

use std::io::BufRead;

/// Is a line whole, or does more of it follow?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It ended with a newline, or with the pipe.
    Whole,
    /// It was cut at the longest that a line may be.
    Cut,
}

/// The beginning of a line that has not ended yet.
#[derive(Debug)]
pub(super) struct Lines {
    kept: Vec<u8>,
    longest: usize,
    /// Parts of the line were given already.
    goes_on: bool,
}

impl Lines {
    /// `longest` bounds what is kept.
    pub(super) fn new(longest: u32) -> Lines {
        Lines { kept: Vec::new(), longest: longest as usize, goes_on: false }
    }

    /// Is nothing kept, and was a whole line the last that was given?
    pub(super) fn is_between(&self) -> bool {
        self.kept.is_empty() && !self.goes_on
    }

    /// The beginning of a line that somebody else had read.
    pub(super) fn begin_with(&mut self, bytes: Vec<u8>) {
        self.kept = bytes;
    }

    /// What is kept, for somebody else to begin with.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Takes bytes and gives each line that they complete to `each`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(&[u8], Ending)) {
        while !bytes.is_empty() {
            let room = self.longest.saturating_sub(self.kept.len());
            let (near, _) = bytes.split_at(bytes.len().min(room + 1));
            match newline(near) {
                Some(at) => {
                    let (line, rest) = bytes.split_at(at);
                    bytes = rest.get(1..).unwrap_or_default();
                    self.give(line, Ending::Whole, each);
                }
                None if bytes.len() > room => {
                    let (part, rest) = bytes.split_at(room);
                    bytes = rest;
                    self.give(part, Ending::Cut, each);
                }
                None => {
                    self.kept.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// Takes bytes; answers what was kept and goes before them, and as many of them as end a line. What is left is
    /// kept, unless it is too long for that: then it is given as it is.
    pub(super) fn split<'b>(&mut self, bytes: &'b [u8]) -> (Vec<u8>, &'b [u8]) {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (whole, rest) = bytes.split_at(end);
        let before = if end == 0 { self.kept.len() } else { 0 };
        if before + rest.len() > self.longest {
            self.goes_on = true;
            return (std::mem::take(&mut self.kept), bytes);
        }
        if end == 0 {
            self.kept.extend_from_slice(rest);
            return (Vec::new(), &[]);
        }
        self.goes_on = false;
        let head = std::mem::take(&mut self.kept);
        self.kept.extend_from_slice(rest);
        (head, whole)
    }

    /// The pipe ended: what is kept is a line.
    pub(super) fn end(&mut self, each: &mut dyn FnMut(&[u8], Ending)) {
        if !self.is_between() {
            self.give(&[], Ending::Whole, each);
        }
    }

    /// Gives what is kept and `rest` as one line, and gives the memory back: most services are silent most of the time.
    fn give(&mut self, rest: &[u8], ending: Ending, each: &mut dyn FnMut(&[u8], Ending)) {
        self.goes_on = ending == Ending::Cut;
        if self.kept.is_empty() {
            return each(rest, ending);
        }
        let mut line = std::mem::take(&mut self.kept);
        line.extend_from_slice(rest);
        each(&line, ending);
    }
}

/// Where the first newline is: by the C library's own search, which looks at many bytes at once.
fn newline(mut bytes: &[u8]) -> Option<usize> {
    let all = bytes;
    let passed = bytes.skip_until(b'\n').unwrap_or(0); // Memory has no errors.
    let at = passed.checked_sub(1)?;
    (all.get(at) == Some(&b'\n')).then_some(at)
}

/// A line without the carriage return that a terminal's program ends it with.
pub(super) fn without_return(line: &[u8], ending: Ending) -> &[u8] {
    match (ending, line) {
        (Ending::Whole, [line @ .., b'\r']) => line,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::random::Random;

    const LONGEST: usize = 1000;

    fn lines(chunks: &[&[u8]]) -> Vec<(String, Ending)> {
        let mut lines = Lines::new(LONGEST as u32);
        let mut out = Vec::new();
        let mut each = |line: &[u8], ending| out.push((String::from_utf8_lossy(line).into_owned(), ending));
        chunks.iter().for_each(|chunk| lines.feed(chunk, &mut each));
        lines.end(&mut each);
        out
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let whole = |text: &str| (text.to_owned(), Ending::Whole);
        assert_eq!(lines(&[b"one\ntw", b"o\r\n", b"\n"]), [whole("one"), whole("two\r"), whole("")]);
        assert_eq!(without_return(b"two\r", Ending::Whole), b"two");
        assert_eq!(without_return(b"two\r", Ending::Cut), b"two\r");
    }

    #[test]
    fn a_missing_newline_at_the_end_loses_nothing() {
        assert_eq!(lines(&[b"a\nlast words"])[1].0, "last words");
        assert!(lines(&[]).is_empty() && lines(&[b""]).is_empty());
    }

    #[test]
    fn an_endless_line_comes_in_marked_parts() {
        let long = vec![b'x'; LONGEST * 2 + 5];
        let parts = lines(&[&long[..10], &long[10..]]);
        let shape: Vec<_> = parts.iter().map(|(text, ending)| (text.len(), *ending)).collect();
        assert_eq!(shape, [(LONGEST, Ending::Cut), (LONGEST, Ending::Cut), (5, Ending::Whole)]);
        let mut exact = vec![b'x'; LONGEST];
        exact.push(b'\n');
        assert_eq!(lines(&[&exact]), [("x".repeat(LONGEST), Ending::Whole)]);
    }

    fn chunks<'a>(random: &mut Random, mut rest: &'a [u8]) -> Vec<&'a [u8]> {
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(random.below(rest.len()) + 1);
            chunks.push(chunk);
            rest = after;
        }
        chunks
    }

    #[test]
    fn how_the_bytes_are_cut_never_changes_the_lines() {
        let mut random = Random::new(2);
        for _ in 0..300 {
            let bytes = random.text(b"ab\r\n\xff\0", 200);
            assert_eq!(lines(&chunks(&mut random, &bytes)), lines(&[&bytes]));
        }
    }

    #[test]
    fn what_is_split_off_is_every_byte_in_order_and_ends_with_a_line_or_is_too_long() {
        let mut random = Random::new(3);
        for _ in 0..300 {
            let bytes = random.text(b"abcdefgh\n", 4000);
            let mut lines = Lines::new(300);
            let mut out = Vec::new();
            for chunk in chunks(&mut random, &bytes) {
                let (head, whole) = lines.split(chunk);
                let given = head.len() + whole.len();
                out.extend(head);
                out.extend(whole);
                assert!(given == 0 || out.ends_with(b"\n") || lines.goes_on);
                assert!(lines.kept.len() <= 300);
            }
            out.extend(lines.kept());
            assert_eq!(out, bytes);
        }
    }
}

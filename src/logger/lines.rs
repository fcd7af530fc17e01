//! Bytes in, lines out. Pure.
//!
//! ```text
//!   "one\ntw" ──▶ "one"   keeps "tw"
//!   "o\r\n"   ──▶ "two"                    a carriage return before the newline goes
//!   16 KiB without a newline ──▶ a part, marked as one; the next part follows
//!   end of the pipe          ──▶ what is kept, as a line
//! ```

/// The longest line; a longer one is cut in parts. It bounds what one service can make the logger keep.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// Is a line whole, or does more of it follow?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It ended with a newline, or with the pipe.
    Whole,
    /// It was cut at [`MAX_LINE`].
    Cut,
}

/// The beginning of a line that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: Vec<u8>,
}

impl Lines {
    /// Takes bytes and gives each line that they complete to `each`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(&[u8], Ending)) {
        while !bytes.is_empty() {
            let room = MAX_LINE - self.kept.len().min(MAX_LINE);
            let newline = bytes.iter().take(room + 1).position(|byte| *byte == b'\n');
            match newline {
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
                    self.kept.extend(bytes);
                    return;
                }
            }
        }
    }

    /// The pipe ended: what is kept is a line.
    pub(super) fn end(&mut self, each: &mut dyn FnMut(&[u8], Ending)) {
        if !self.kept.is_empty() {
            self.give(&[], Ending::Whole, each);
        }
    }

    /// Gives what is kept and `rest` as one line, and gives the memory back: most services are silent most of the time.
    fn give(&mut self, rest: &[u8], ending: Ending, each: &mut dyn FnMut(&[u8], Ending)) {
        if self.kept.is_empty() {
            return each(without_return(rest, ending), ending);
        }
        let mut line = std::mem::take(&mut self.kept);
        line.extend(rest);
        each(without_return(&line, ending), ending);
    }
}

fn without_return(line: &[u8], ending: Ending) -> &[u8] {
    match (ending, line) {
        (Ending::Whole, [line @ .., b'\r']) => line,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::random::Random;

    fn lines(chunks: &[&[u8]]) -> Vec<(String, Ending)> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let mut each = |line: &[u8], ending| out.push((String::from_utf8_lossy(line).into_owned(), ending));
        chunks.iter().for_each(|chunk| lines.feed(chunk, &mut each));
        lines.end(&mut each);
        out
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let whole = |text: &str| (text.to_owned(), Ending::Whole);
        assert_eq!(lines(&[b"one\ntw", b"o\r\n", b"\n"]), [whole("one"), whole("two"), whole("")]);
    }

    #[test]
    fn a_missing_newline_at_the_end_loses_nothing() {
        assert_eq!(lines(&[b"a\nlast words"])[1].0, "last words");
        assert!(lines(&[]).is_empty() && lines(&[b""]).is_empty());
    }

    #[test]
    fn an_endless_line_comes_in_marked_parts() {
        let long = vec![b'x'; MAX_LINE * 2 + 5];
        let parts = lines(&[&long[..10], &long[10..]]);
        let shape: Vec<_> = parts.iter().map(|(text, ending)| (text.len(), *ending)).collect();
        assert_eq!(shape, [(MAX_LINE, Ending::Cut), (MAX_LINE, Ending::Cut), (5, Ending::Whole)]);
        let mut exact = vec![b'x'; MAX_LINE];
        exact.push(b'\n');
        assert_eq!(lines(&[&exact]), [("x".repeat(MAX_LINE), Ending::Whole)]);
    }

    #[test]
    fn how_the_bytes_are_cut_never_changes_the_lines() {
        let mut random = Random::new(2);
        for _ in 0..300 {
            let bytes = random.text(b"ab\r\n\xff\0", 200);
            let expected = lines(&[&bytes]);
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(random.below(rest.len()) + 1);
                chunks.push(chunk);
                rest = after;
            }
            assert_eq!(lines(&chunks), expected);
        }
    }
}

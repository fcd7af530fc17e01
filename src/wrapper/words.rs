//! The words of a command line, one after the other, as the C library's `getopt` reads them.
//!
//! ```text
//!   tini -vg ls -s x -- y     options: v g s      the command: ls x y     (operands are moved together)
//!   dumb-init -v ls -s        options: v          the command: ls -s      (the first operand ends the options)
//! ```
//!
//! See [getopt(3)](https://man7.org/linux/man-pages/man3/getopt.3.html).

use crate::sys::arguments::Arguments;

/// Where options end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// They may stand between operands, as glibc has it where `POSIXLY_CORRECT` is not set.
    Mixed,
    /// The first operand ends them.
    Strict,
}

/// A reader of options.
#[derive(Debug)]
pub(super) struct Words<'a> {
    arguments: &'a mut Arguments,
    order: Order,
    /// Where the next word is.
    next: usize,
    /// Where the next operand goes, and the first went to 1.
    kept: usize,
    /// What is left of a word of several letters.
    letters: &'static [u8],
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `-x`; a value is asked for with [`Words::value`].
    Letter(u8),
    /// `--name`, with what stands behind an equals sign.
    Long(&'static [u8], Option<&'static [u8]>),
}

impl<'a> Words<'a> {
    /// A reader that begins after the program's name.
    pub(super) fn new(arguments: &'a mut Arguments, order: Order) -> Words<'a> {
        Words { arguments, order, next: 1, kept: 1, letters: &[] }
    }

    /// The next option; `None` when there are no more, and the command begins at [`Words::finish`].
    pub(super) fn option(&mut self) -> Option<Word> {
        if let Some((letter, rest)) = self.letters.split_first() {
            self.letters = rest;
            return Some(Word::Letter(*letter));
        }
        loop {
            let word = self.arguments.bytes(self.next)?;
            match word {
                b"--" => {
                    self.next += 1;
                    return None;
                }
                [b'-', b'-', name @ ..] => {
                    self.next += 1;
                    let mut parts = name.splitn(2, |byte| *byte == b'=');
                    return Some(Word::Long(parts.next().unwrap_or_default(), parts.next()));
                }
                [b'-', letter, rest @ ..] => {
                    self.next += 1;
                    self.letters = rest;
                    return Some(Word::Letter(*letter));
                }
                _ if self.order == Order::Strict => return None,
                _ => {
                    self.arguments.copy_slot(self.next, self.kept);
                    self.next += 1;
                    self.kept += 1;
                }
            }
        }
    }

    /// The value of the option that was just read: the rest of its word, or the next word whatever it is.
    pub(super) fn value(&mut self) -> Option<&'static [u8]> {
        if !self.letters.is_empty() {
            return Some(std::mem::take(&mut self.letters));
        }
        let value = self.arguments.bytes(self.next)?;
        self.next += 1;
        Some(value)
    }

    /// Where the command begins; `None` when there is none.
    pub(super) fn finish(self) -> Option<usize> {
        let Words { arguments, mut next, mut kept, .. } = self;
        if kept == 1 {
            return (next < arguments.len()).then_some(next);
        }
        while next < arguments.len() {
            arguments.copy_slot(next, kept);
            next += 1;
            kept += 1;
        }
        arguments.truncate(kept);
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn read(texts: &[&'static CStr], order: Order) -> (String, Vec<&'static str>) {
        let mut arguments = Arguments::of_test(texts, &[]);
        let mut words = Words::new(&mut arguments, order);
        let mut seen = String::new();
        while let Some(word) = words.option() {
            match word {
                Word::Letter(letter) => seen.push(char::from(letter)),
                Word::Long(name, value) => {
                    seen += &format!(
                        "[{} {:?}]",
                        String::from_utf8_lossy(name),
                        value.map(String::from_utf8_lossy)
                    );
                }
            }
            if word == Word::Letter(b'p') {
                seen += &format!("({})", words.value().map(String::from_utf8_lossy).unwrap_or_default());
            }
        }
        let first = words.finish().unwrap_or(arguments.len());
        (seen, arguments.texts().split_off(first))
    }

    #[test]
    fn options_between_operands_are_taken_out_where_they_may_be() {
        let texts = [c"tini", c"-vg", c"ls", c"-s", c"x", c"--", c"-y"];
        assert_eq!(read(&texts, Order::Mixed), ("vgs".to_owned(), vec!["ls", "x", "-y"]));
        assert_eq!(read(&texts, Order::Strict), ("vg".to_owned(), vec!["ls", "-s", "x", "--", "-y"]));
        let last = [c"tini", c"ls", c"-s"];
        assert_eq!(read(&last, Order::Mixed), ("s".to_owned(), vec!["ls"]));
    }

    #[test]
    fn a_value_is_the_rest_of_the_word_or_the_next_one() {
        let read = |texts: &[&'static CStr]| read(texts, Order::Strict);
        assert_eq!(read(&[c"t", c"-vpX", c"a"]), ("vp(X)".to_owned(), vec!["a"]));
        assert_eq!(read(&[c"t", c"-p", c"--", c"a"]), ("p(--)".to_owned(), vec!["a"]));
        assert_eq!(read(&[c"t", c"-p"]), ("p()".to_owned(), vec![]));
    }

    #[test]
    fn long_names_a_lone_dash_and_the_end_of_options_are_told_apart() {
        let read = |texts: &[&'static CStr]| read(texts, Order::Strict);
        assert_eq!(
            read(&[c"t", c"--a=b=c", c"--d", c"e"]),
            ("[a Some(\"b=c\")][d None]".to_owned(), vec!["e"])
        );
        assert_eq!(read(&[c"t", c"-", c"-v"]), (String::new(), vec!["-", "-v"]));
        assert_eq!(read(&[c"t", c"--", c"--", c"x"]), (String::new(), vec!["--", "x"]));
        assert_eq!(read(&[c"t", c"--"]), (String::new(), vec![]));
        assert_eq!(read(&[]), (String::new(), vec![]));
    }
}

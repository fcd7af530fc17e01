//! Where a command's words go: standard output and standard error, each with the style of its own end.
//!
//! A pipe whose reader has gone ends a command quietly; nothing here panics when a stream is closed or full.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use crate::sys::terminal;

use super::args::{Global, When};
use super::render::Look;
use super::style::{Colour, Ink, Style, safe};
use super::{Exit, Trouble};

/// The two streams of a command.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// How standard output looks.
    pub style: Style,
    /// How standard error looks.
    pub error_style: Style,
    /// Can lines on standard error be drawn anew?
    pub look: Look,
    lost: Option<io::ErrorKind>,
}

impl<'a> Screen<'a> {
    /// A screen of these streams.
    pub fn new(
        (out, style): (&'a mut dyn Write, Style),
        (err, error_style): (&'a mut dyn Write, Style),
    ) -> Screen<'a> {
        Screen { out, err, style, error_style, look: Look::Plain, lost: None }
    }

    /// Writes to standard output, at once.
    pub fn say(&mut self, text: &str) {
        if self.lost.is_some() {
            return;
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        self.lost = written.err().map(|error| error.kind());
    }

    /// Writes to standard error, at once.
    pub fn warn(&mut self, text: &str) {
        // Where standard error is gone there is nowhere left to say so.
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }

    /// Says on standard error what is wrong, and how to go on where there is a hint.
    pub fn complain(&mut self, trouble: &Trouble) -> Exit {
        let label = self.error_style.paint(Ink::Bad, "sexton:");
        let words = self.error_style.wrap(&safe(&trouble.to_string()), 8, 2);
        self.warn(&format!("{label} {words}\n"));
        if let Some(hint) = trouble.hint() {
            let hint = self.error_style.wrap(hint, 2, 2);
            self.warn(&format!("  {hint}\n"));
        }
        trouble.exit()
    }

    /// Nobody can read what is said any more.
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// What the command ends with, having come to `exit`: output that could not be written is a failure, save
    /// where its reader went away, which is the reader's right.
    pub fn finish(&mut self, exit: Exit) -> Exit {
        match self.lost {
            None | Some(io::ErrorKind::BrokenPipe) => exit,
            Some(kind) => {
                self.warn(&format!("sexton: cannot write the output: {kind}\n"));
                if exit == Exit::Done { Exit::Failed } else { exit }
            }
        }
    }
}

/// The look of a stream, as it is and as it was asked for.
pub fn style_of<S: IsTerminal + AsFd>(stream: &S, global: &Global) -> Style {
    let terminal = stream.is_terminal();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let width = match (terminal, variable("COLUMNS").and_then(|columns| columns.parse().ok())) {
        (false, _) => None,
        (true, Some(columns)) => Some(columns),
        (true, None) => terminal::width(stream.as_fd()).map(usize::from),
    };
    let dumb = is_dumb();
    let wish = global.color.unwrap_or(if variable("NO_COLOR").is_some() { When::Never } else { When::Auto });
    Style { colour: colour(wish, terminal && !dumb), width }
}

/// Can lines of this stream be drawn anew?
pub fn look_of<S: IsTerminal>(stream: &S) -> Look {
    if stream.is_terminal() && !is_dumb() { Look::Live } else { Look::Plain }
}

/// A terminal that understands no escape sequence.
fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}

fn colour(wish: When, able: bool) -> Colour {
    match (wish, able) {
        (When::Always, _) | (When::Auto, true) => Colour::On,
        (When::Never, _) | (When::Auto, false) => Colour::Off,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::client::{Cause, ConnectError};

    /// A stream that fails in a way of its own.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn end_of(kind: io::ErrorKind) -> (Exit, String) {
        let (mut out, mut err) = (Broken(kind), Vec::new());
        let mut screen = Screen::new((&mut out, Style::PLAIN), (&mut err, Style::PLAIN));
        screen.say("words\n");
        assert!(screen.is_lost());
        let exit = screen.finish(Exit::Done);
        (exit, String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_reader_that_went_away_ends_a_command_quietly_and_a_full_disk_does_not() {
        assert_eq!(end_of(io::ErrorKind::BrokenPipe), (Exit::Done, String::new()));
        let (exit, words) = end_of(io::ErrorKind::StorageFull);
        assert_eq!(
            (exit, words.as_str()),
            (Exit::Failed, "sexton: cannot write the output: no storage space\n")
        );
    }

    #[test]
    fn a_complaint_is_harmless_and_comes_with_its_hint() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen::new((&mut out, Style::PLAIN), (&mut err, Style::PLAIN));
        let trouble = Trouble::from(ConnectError { path: "/run/\x1bx".into(), cause: Cause::Refused });
        assert_eq!(screen.complain(&trouble), Exit::NoInit);
        let text = String::from_utf8(err).unwrap();
        let words = "sexton: no sexton is running here (nobody listens on '/run/\\x1bx')\n  `sexton up DIR`";
        assert!(text.starts_with(words), "{text}");
        assert!(out.is_empty());
    }

    #[test]
    fn colour_is_for_terminals_unless_somebody_says_otherwise() {
        assert_eq!(colour(When::Auto, true), Colour::On);
        assert_eq!(colour(When::Auto, false), Colour::Off);
        assert_eq!(colour(When::Always, false), Colour::On);
        assert_eq!(colour(When::Never, true), Colour::Off);
    }
}

//! A change on its way, on the terminal or in the pipe of whoever asked for it.
//!
//! ```text
//!   kept line               what stays scrolls up
//!   kept line
//!   phase   ┐ drawn anew in place: up as many lines as were drawn, clear, draw
//!   hook    ┘
//! ```
//!
//! It is written to standard error, so that standard output holds the answer alone.

use std::time::{Duration, Instant};

use crate::control::wire::Progress;

use super::Screen;
use super::render::{Board, Look};

/// How long a picture lasts before it is drawn again for the time that passes.
const TICK: Duration = Duration::from_secs(1);

/// How soon after a picture the next is drawn: news come in thousands.
const FRAME: Duration = Duration::from_millis(50);

/// The picture of a change.
pub(super) struct Live {
    board: Board,
    look: Look,
    since: Instant,
    /// Lines that are drawn anew.
    drawn: usize,
    /// When they were drawn.
    at: Option<Instant>,
    /// News that were not drawn yet, and lines that are to stay.
    waiting: Option<Vec<String>>,
}

impl Live {
    pub(super) fn new(look: Look) -> Live {
        let (board, since) = (Board::new(look), Instant::now());
        Live { board, look, since, drawn: 0, at: None, waiting: None }
    }

    /// How long to wait for news before [`Live::tick`] has something to do.
    pub(super) fn patience(&self) -> Option<Duration> {
        match (self.look, &self.waiting) {
            (Look::Plain, _) => None,
            (Look::Live, Some(_)) => Some(FRAME),
            (Look::Live, None) => Some(TICK),
        }
    }

    /// Takes in news.
    pub(super) fn take(&mut self, screen: &mut Screen<'_>, progress: &Progress) {
        let kept = self.board.take(&screen.error_style, progress, self.since.elapsed());
        self.show(screen, kept);
    }

    /// Says something that stays.
    pub(super) fn note(&mut self, screen: &mut Screen<'_>, words: &str) {
        self.show(screen, vec![words.to_owned()]);
        self.tick(screen);
    }

    fn show(&mut self, screen: &mut Screen<'_>, kept: Vec<String>) {
        match self.look {
            Look::Plain => kept.iter().for_each(|line| screen.warn(&format!("{line}\n"))),
            Look::Live => {
                self.waiting.get_or_insert_default().extend(kept);
                if self.at.is_none_or(|at| at.elapsed() >= FRAME) {
                    self.tick(screen);
                }
            }
        }
    }

    /// Draws anew.
    pub(super) fn tick(&mut self, screen: &mut Screen<'_>) {
        if self.look == Look::Live {
            let lines = self.board.live(&screen.error_style, self.since.elapsed());
            self.draw(screen, &lines);
        }
    }

    /// Takes away what is drawn anew, for what comes last.
    pub(super) fn clear(&mut self, screen: &mut Screen<'_>) {
        if self.look == Look::Live && (self.drawn > 0 || self.waiting.is_some()) {
            self.draw(screen, &[]);
        }
    }

    fn draw(&mut self, screen: &mut Screen<'_>, lines: &[String]) {
        let kept = self.waiting.take().unwrap_or_default();
        screen.warn(&redrawn(self.drawn, &kept, lines));
        self.drawn = lines.len();
        self.at = Some(Instant::now());
    }
}

/// What takes `before` lines away and writes `kept` and `lines` in their place. The terminal does not wrap meanwhile: a
/// line that took two could not be taken away as one.
fn redrawn(before: usize, kept: &[String], lines: &[String]) -> String {
    let mut text = String::new();
    if before > 0 {
        text += &format!("\x1b[{before}A\r\x1b[J");
    }
    for line in kept {
        text += &format!("{line}\n");
    }
    if !lines.is_empty() {
        text += "\x1b[?7l";
        for line in lines {
            text += &format!("{line}\n");
        }
        text += "\x1b[?7h";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::style::{Colour, Style};

    const WIDE: Style = Style { colour: Colour::Off, width: Some(80) };

    fn phase(news: &str) -> Progress {
        Progress { about: "phase".into(), news: news.into(), ..Progress::default() }
    }

    /// What is written to standard error; standard output stays empty.
    fn written(act: impl FnOnce(&mut Screen<'_>)) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        act(&mut Screen::new((&mut out, WIDE), (&mut err, WIDE)));
        assert!(out.is_empty());
        String::from_utf8(err).unwrap()
    }

    #[test]
    fn a_picture_takes_the_place_of_the_one_before_and_what_stays_scrolls_up() {
        let lines = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(redrawn(0, &[], &lines(&["a", "b"])), "\x1b[?7la\nb\n\x1b[?7h");
        assert_eq!(redrawn(2, &lines(&["kept"]), &lines(&["c"])), "\x1b[2A\r\x1b[Jkept\n\x1b[?7lc\n\x1b[?7h");
        assert_eq!(redrawn(1, &[], &[]), "\x1b[1A\r\x1b[J");
    }

    #[test]
    fn what_was_drawn_is_gone_in_the_end_and_what_stays_is_there_once() {
        let text = written(|screen| {
            let mut live = Live::new(Look::Live);
            live.take(screen, &phase("testing"));
            live.note(screen, "given up");
            live.clear(screen);
        });
        assert_eq!(text.matches("given up\n").count(), 1);
        assert!(text.starts_with("\x1b[?7ltesting\n\x1b[?7h"), "{text:?}");
        assert!(text.ends_with("\x1b[1A\r\x1b[J"), "{text:?}");
    }

    #[test]
    fn a_pipe_gets_plain_lines_and_waits_for_nothing() {
        let text = written(|screen| {
            let mut live = Live::new(Look::Plain);
            assert_eq!(live.patience(), None);
            live.take(screen, &phase("testing"));
            live.tick(screen);
            live.note(screen, "given up");
            live.clear(screen);
        });
        assert_eq!(text, "testing\ngiven up\n");
    }
}

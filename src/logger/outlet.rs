//! What becomes of the lines of one unit: measured, put into form, and brought where they belong.
//!
//! ```text
//!   lines ──▶ rate ──┬─▶ console: rendered there
//!              │     └─▶ file: put into form, many lines a write; raw: the bytes as they came
//!              └── dropped: counted, and said in sexton's own name
//! ```

use std::time::Duration;

use regex_lite::Regex;

use super::Slot;
use super::console::Console;
use super::file::{Files, Shelf, Unwritten};
use super::lines::{Ending, Lines};
use super::protocol::Stream;
use super::record::Record;
use super::route::{Goal, Route};
use crate::model::log::{LogFormat, Rate};
use crate::model::{Moment, Pid};

/// Bytes of lines in form that are written at once: as much as a pipe holds.
const BATCH: usize = 64 * 1024;
/// How often it is said that lines of a unit are dropped.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long the first drop waits to be said, so that those that follow are counted with it.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// The lines of one unit on their way.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) slot: Slot,
    pub(super) name: String,
    pub(super) route: Route,
    /// Pipes that lead here.
    pub(super) users: usize,
    files: Option<Files>,
    window: Window,
    dropped: Dropped,
}

/// What the rate has let pass in the present window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Moment,
    lines: u32,
}

/// What was dropped and not yet said.
#[derive(Debug, Default)]
struct Dropped {
    lines: u64,
    cause: String,
    say_at: Moment,
}

/// What all units share: the console, and room for lines in form, which is empty between two chunks.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) console: Console,
    pub(super) out: Vec<u8>,
}

/// Bytes that came by a pipe at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stream: Stream,
    pub(super) pid: Option<Pid>,
    pub(super) time: &'a str,
    pub(super) now: Moment,
}

impl Outlet {
    pub(super) fn new(slot: Slot, name: &str, route: Route, shelf: &Shelf) -> Outlet {
        let mut outlet = Outlet {
            slot,
            name: name.to_owned(),
            route,
            users: 0,
            files: None,
            window: Window::default(),
            dropped: Dropped::default(),
        };
        outlet.reroute(route, shelf);
        outlet
    }

    /// Takes another way from here on.
    pub(super) fn reroute(&mut self, route: Route, shelf: &Shelf) {
        self.route = route;
        match (route.goal, &mut self.files) {
            (Goal::File { max_size, keep }, Some(files)) => files.bound(max_size, keep),
            (Goal::File { max_size, keep }, none) => {
                *none = Some(Files::new(shelf, &self.name, max_size, keep));
            }
            (Goal::Console | Goal::Silent, files) => *files = None,
        }
    }

    /// Takes what came; did a line match the pattern that is waited for?
    pub(super) fn take(
        &mut self,
        chunk: Chunk<'_>,
        lines: &mut Lines,
        desk: &mut Desk,
        pattern: Option<&Regex>,
    ) -> bool {
        let is_raw = self.route.format == LogFormat::Raw && self.route.rate.is_none() && pattern.is_none();
        if let (true, Some(files)) = (is_raw, &mut self.files) {
            let (head, whole) = lines.split(chunk.bytes);
            let written = files.append(&head, whole, chunk.now);
            self.judge(written, chunk.now);
            return false;
        }
        let mut tray = Tray { outlet: self, desk, chunk, pattern, matched: false };
        lines.feed(chunk.bytes, &mut |line, ending| tray.line(line, ending));
        tray.write();
        tray.matched
    }

    /// The pipe ended, or its process did: what is kept is a line. Did it match?
    pub(super) fn end(
        &mut self,
        chunk: Chunk<'_>,
        lines: &mut Lines,
        desk: &mut Desk,
        pattern: Option<&Regex>,
    ) -> bool {
        let mut tray = Tray { outlet: self, desk, chunk, pattern, matched: false };
        lines.end(&mut |line, ending| tray.line(line, ending));
        tray.write();
        tray.matched
    }

    /// Notes what came of writing.
    fn judge(&mut self, written: Result<(), Unwritten>, now: Moment) {
        if let Err(Unwritten { lines, cause }) = written {
            let place =
                self.files.as_ref().map(|files| files.place().display().to_string()).unwrap_or_default();
            self.drop_lines(lines, now, || format!("cannot write to '{place}': {cause}"));
        }
    }

    /// Notes that lines were dropped.
    pub(super) fn drop_lines(&mut self, lines: u64, now: Moment, cause: impl FnOnce() -> String) {
        if self.dropped.lines == 0 {
            self.dropped.cause = cause();
            self.dropped.say_at = self.dropped.say_at.max(now + SAY_AFTER);
        }
        self.dropped.lines += lines;
    }

    /// When it is to be said that lines were dropped.
    pub(super) fn say_at(&self) -> Option<Moment> {
        (self.dropped.lines > 0).then_some(self.dropped.say_at)
    }

    /// What is to be said of dropped lines, once.
    pub(super) fn confess(&mut self, now: Moment) -> Option<String> {
        let lines = std::mem::take(&mut self.dropped.lines);
        if lines == 0 {
            return None;
        }
        self.dropped.say_at = now + SAY_EVERY;
        let noun = if lines == 1 { "line" } else { "lines" };
        Some(format!("{}: {lines} {noun} dropped: {}", self.name, self.dropped.cause))
    }

    /// Is there room for one more line in the present window?
    fn passes(&mut self, rate: Rate, now: Moment) -> bool {
        if now.since(self.window.since) >= Duration::from_secs(u64::from(rate.seconds)) {
            self.window = Window { since: now, lines: 0 };
        }
        self.window.lines = self.window.lines.saturating_add(1);
        self.window.lines <= rate.lines
    }
}

/// The lines of one chunk, on their way together.
struct Tray<'t, 'c> {
    outlet: &'t mut Outlet,
    desk: &'t mut Desk,
    chunk: Chunk<'c>,
    pattern: Option<&'t Regex>,
    matched: bool,
}

impl Tray<'_, '_> {
    fn line(&mut self, text: &[u8], ending: Ending) {
        if let Some(pattern) = self.pattern {
            self.matched |= pattern.is_match(&String::from_utf8_lossy(text));
        }
        if self.outlet.route.goal == Goal::Silent {
            return;
        }
        if let Some(rate) = self.outlet.route.rate
            && !self.outlet.passes(rate, self.chunk.now)
        {
            return self.outlet.drop_lines(1, self.chunk.now, || format!("more than {rate}"));
        }
        let Outlet { name, route, .. } = &*self.outlet;
        let Chunk { time, stream, pid, .. } = self.chunk;
        let record = Record { time, unit: name, pid, stream: stream.as_str(), text, ending };
        match (route.goal, route.format) {
            (Goal::Silent, _) => {}
            (Goal::Console, format) => self.desk.console.line(self.outlet.slot, format, &record),
            (Goal::File { .. }, LogFormat::Prefix) => record.prefixed(&mut self.desk.out),
            (Goal::File { .. }, LogFormat::Json) => record.json(&mut self.desk.out),
            (Goal::File { .. }, LogFormat::Raw) => {
                self.desk.out.extend_from_slice(text);
                if ending == Ending::Whole {
                    self.desk.out.push(b'\n');
                }
            }
        }
        if self.desk.out.len() >= BATCH {
            self.write();
        }
    }

    fn write(&mut self) {
        if let (Some(files), false) = (&mut self.outlet.files, self.desk.out.is_empty()) {
            let written = files.append(b"", &self.desk.out, self.chunk.now);
            self.desk.out.clear();
            self.outlet.judge(written, self.chunk.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::console::Sink;
    use crate::logger::render::Surface;
    use crate::logger::route::Purpose;
    use crate::model::log::{Log, LogTarget};

    fn outlet(log: &Log) -> (Outlet, Desk) {
        let shelf = Shelf { directory: std::env::temp_dir().join("sexton-none/\0"), group: None };
        let console = Console::new(Sink::Nowhere, Surface::Plain);
        let desk = Desk { console, out: Vec::new() };
        (Outlet::new(Slot(0), "web", Route::of(log, Purpose::Log), &shelf), desk)
    }

    fn take(outlet: &mut Outlet, desk: &mut Desk, bytes: &[u8], second: u64) {
        let now = Moment::default() + Duration::from_secs(second);
        let chunk = Chunk { bytes, stream: Stream::Output, pid: None, time: "now", now };
        assert!(!outlet.take(chunk, &mut Lines::new(1000), desk, None));
    }

    #[test]
    fn what_is_beyond_the_rate_is_dropped_and_said_with_its_number() {
        let log = Log { to: LogTarget::Console, rate: Rate::parse("3/s"), ..Log::default() };
        let (mut outlet, mut desk) = outlet(&log);
        take(&mut outlet, &mut desk, b"1\n2\n3\n4\n5\n", 5);
        take(&mut outlet, &mut desk, b"6\n", 6);
        assert_eq!(desk.console.waiting(), "web | 1\nweb | 2\nweb | 3\nweb | 6\n");
        assert!(outlet.say_at().is_some());
        let now = Moment::default() + Duration::from_secs(7);
        assert_eq!(outlet.confess(now).unwrap(), "web: 2 lines dropped: more than 3/s");
        assert_eq!((outlet.say_at(), outlet.confess(now)), (None, None));
        take(&mut outlet, &mut desk, b"7\n8\n9\n10\n", 8);
        assert_eq!(outlet.say_at(), Some(now + SAY_EVERY), "it is not said of each line");
    }

    #[test]
    fn a_file_that_cannot_be_made_costs_lines_that_are_counted_with_the_cause() {
        for format in [LogFormat::Raw, LogFormat::Prefix, LogFormat::Json] {
            let (mut outlet, mut desk) =
                outlet(&Log { to: LogTarget::File, format: Some(format), ..Log::default() });
            take(&mut outlet, &mut desk, b"1\n2\nhal", 5);
            let said = outlet.confess(Moment::default()).unwrap();
            assert!(said.starts_with("web: 2 lines dropped: cannot write to '"), "{said}");
        }
    }
}

//! `sexton logs`: what units have written, from their files, across rotations, without asking PID 1.
//!
//! ```text
//!   DIRECTORY ── names, globs ──▶ a reader a unit ──┐
//!                                                   ├─ by time ──▶ --since, --grep, -n ──▶ standard output
//!                                inotify ──▶ -f ────┘                                      gone: the end
//! ```

mod entry;
mod reader;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use regex_lite::Regex;

use crate::logger::render::Surface;
use crate::model::spawn::errno_words;
use crate::model::time;
use crate::run::logging::log_directory;
use crate::sys::poll::{Interest, Poller, Token};

use super::{Exit, Global, Trouble};
use entry::{Entry, Shape};
use reader::Reader;

/// Lines that are shown before those that are followed, where nobody says how many.
const BEFORE_FOLLOWING: usize = 10;
const CHANGES: Token = Token::new(0, 0);
const OUTPUT: Token = Token::new(1, 0);

/// `sexton logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Names of units, or patterns such as 'redis@*'; without one, all that have log files
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Go on with what is written from now on, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Show at most this many lines, the last ones [default: all; 10 with -f]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub lines: Option<usize>,
    /// Only what was written in this time: 10m, 2h
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    pub since: Option<Duration>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "RE")]
    pub grep: Option<String>,
    /// Where log files are [default: where the sexton that is meant puts them]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What is to be shown, and how.
struct Show {
    since: Option<String>,
    grep: Option<Regex>,
    shape: Shape,
    /// In what column the text begins, where names are shown.
    width: usize,
}

impl Show {
    fn wants(&self, entry: &Entry) -> bool {
        let recent = match (&self.since, &entry.time) {
            (Some(since), Some(time)) => time >= since,
            _ => true,
        };
        recent && self.grep.as_ref().is_none_or(|grep| grep.is_match(&String::from_utf8_lossy(&entry.text)))
    }
}

/// Shows logs; ends when they are at their end, or when nobody reads any more.
pub(super) fn logs(global: &Global, args: &LogsArgs) -> Result<Exit, Trouble> {
    let directory = args.dir.clone().unwrap_or_else(|| {
        let socket = super::commands::socket(global);
        log_directory(socket.parent().unwrap_or(Path::new("/")))
    });
    let grep = args.grep.as_deref().map(Regex::new).transpose();
    let grep = grep.map_err(|error| Trouble::Usage(format!("'--grep' is no regular expression: {error}")))?;
    let since =
        args.since.map(|since| stamp(SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH)));
    let mut readers = BTreeMap::new();
    find(&directory, &args.units, &mut readers)?;
    if readers.is_empty() && !args.follow {
        return Err(nothing(&directory, &args.units));
    }
    let surface = if io::stdout().is_terminal() { Surface::Terminal } else { Surface::Plain };
    let names =
        readers.len() > 1 || args.units.is_empty() || args.units.iter().any(|unit| unit.contains('*'));
    let shape = match (global.json, names) {
        (true, _) => Shape::Json,
        (false, true) => Shape::Named(surface),
        (false, false) => Shape::Plain(surface),
    };
    let width = readers.keys().map(String::len).max().unwrap_or(0).min(24);
    let show = Show { since, grep, shape, width };
    // Whatever comes while the past is read is seen afterwards.
    let changes = args.follow.then(|| watch(&directory, &readers)).transpose()?;
    let lines = args.lines.or(args.follow.then_some(BEFORE_FOLLOWING));
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout());
    let shown = past(&mut readers, &show, lines, &mut out).and_then(|()| out.flush());
    let shown = match (shown, changes) {
        (Ok(()), Some(changes)) => follow(&directory, &args.units, readers, &show, &changes, &mut out),
        (shown, _) => shown.map_err(Trouble::from_output),
    };
    match shown {
        Err(Trouble::Words(words)) if words.is_empty() => Ok(Exit::Done),
        shown => shown.map(|()| Exit::Done),
    }
}

impl Trouble {
    /// Output that could not be written; where its reader went away, that is the reader's right: no words.
    fn from_output(error: io::Error) -> Trouble {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Trouble::Words(String::new()),
            _ => Trouble::Words(format!("cannot write the output: {error}")),
        }
    }
}

fn nothing(directory: &Path, units: &[String]) -> Trouble {
    let place = directory.display();
    let whose = if units.is_empty() { "any unit".to_owned() } else { format!("'{}'", units.join("' or '")) };
    Trouble::Words(format!(
        "there are no log files of {whose} in '{place}': [log] to = \"file\" keeps them; `sexton status UNIT` shows the last lines of any unit"
    ))
}

/// Finds the units that are meant and are not known yet.
fn find(directory: &Path, wanted: &[String], readers: &mut BTreeMap<String, Reader>) -> Result<(), Trouble> {
    let pattern = |text: &String| glob::Pattern::new(text);
    let patterns: Result<Vec<_>, _> = wanted.iter().map(pattern).collect();
    let patterns = patterns.map_err(|error| Trouble::Usage(format!("a pattern cannot be read: {error}")))?;
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let (place, is_barred) = (directory.display(), error.kind() == io::ErrorKind::PermissionDenied);
            let cause = error.raw_os_error().map_or_else(|| error.to_string(), errno_words);
            let who = "; log files are for sexton's user and for the group that [log] group names";
            let who = if is_barred { who } else { "" };
            return Err(Trouble::Words(format!("cannot read '{place}': {cause}{who}")));
        }
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let meant = patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(&name));
        if meant && entry.path().is_dir() && !readers.contains_key(&name) {
            readers.insert(name, Reader::new(entry.path()));
        }
    }
    Ok(())
}

fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}

/// Shows what is there when it begins, in the order of its times; of the last lines only so many.
fn past(
    readers: &mut BTreeMap<String, Reader>,
    show: &Show,
    lines: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut names: Vec<&str> = Vec::new();
    let mut open: Vec<&mut Reader> = Vec::new();
    for (name, reader) in readers.iter_mut() {
        // Of lines that match nobody knows how far back they are.
        let last = lines.filter(|_| show.grep.is_none());
        reader.begin(show.since.as_deref(), last);
        names.push(name);
        open.push(reader);
    }
    let mut heads: Vec<Option<Entry>> = open.iter_mut().map(|reader| reader.next_of_past()).collect();
    let mut last = VecDeque::new();
    loop {
        let orders =
            heads.iter().enumerate().filter_map(|(index, head)| Some((&head.as_ref()?.order, index)));
        let Some((_, index)) = orders.min() else { break };
        let (Some(head), Some(reader)) = (heads.get_mut(index), open.get_mut(index)) else { break };
        let Some(entry) = std::mem::replace(head, reader.next_of_past()) else { break };
        let name = names.get(index).copied().unwrap_or_default();
        if !show.wants(&entry) {
            continue;
        }
        match lines {
            None => entry.write(out, name, show.shape, show.width)?,
            Some(most) => {
                last.push_back((name, entry));
                if last.len() > most {
                    last.pop_front();
                }
            }
        }
    }
    last.iter().try_for_each(|(name, entry)| entry.write(out, name, show.shape, show.width))
}

/// Has the kernel tell of every change in these directories.
fn watch(directory: &Path, readers: &BTreeMap<String, Reader>) -> Result<Inotify, Trouble> {
    let failed =
        |error: nix::Error| Trouble::Words(format!("cannot watch '{}': {error}", directory.display()));
    let changes = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(failed)?;
    if directory.is_dir() {
        changes
            .add_watch(directory, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)
            .map_err(failed)?;
    }
    readers.values().try_for_each(|reader| watch_unit(&changes, reader)).map_err(failed)?;
    Ok(changes)
}

fn watch_unit(changes: &Inotify, reader: &Reader) -> nix::Result<()> {
    let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    changes.add_watch(reader.place(), flags).map(drop)
}

/// Shows what comes, until nobody reads it any more.
fn follow(
    directory: &Path,
    wanted: &[String],
    mut readers: BTreeMap<String, Reader>,
    show: &Show,
    changes: &Inotify,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let cannot = |error: io::Error| Trouble::Words(format!("cannot wait for changes: {error}"));
    let poller = Poller::new().map_err(cannot)?;
    poller.add(changes.as_fd(), CHANGES, Interest::Read).map_err(cannot)?;
    // What cannot be waited on, as a file, has no reader that could go.
    let _ = poller.add(io::stdout().as_fd(), OUTPUT, Interest::HangUp);
    let mut ready = Vec::new();
    loop {
        for (name, reader) in &mut readers {
            while let Some(entry) = reader.next() {
                if show.wants(&entry) {
                    entry.write(out, name, show.shape, show.width).map_err(Trouble::from_output)?;
                }
            }
        }
        out.flush().map_err(Trouble::from_output)?;
        poller.wait(&mut ready, None).map_err(cannot)?;
        if ready.iter().any(|ready| ready.token == OUTPUT) {
            return Ok(());
        }
        while changes.read_events().is_ok_and(|events| !events.is_empty()) {}
        let known: Vec<String> = readers.keys().cloned().collect();
        find(directory, wanted, &mut readers)?;
        for (name, reader) in &readers {
            if known.binary_search(name).is_err() {
                let _ = watch_unit(changes, reader); // It is gone again, or is looked at with the next change.
            }
        }
    }
}

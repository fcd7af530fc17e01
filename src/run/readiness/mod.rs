//! Watches for what `[ready]` names, and for pid files.
//!
//! ```text
//!   prepare ──▶ (the process starts) ──▶ begin ──▶ try ──▶ wait 5, 10, 20 … ms up to the interval ──▶ try
//!                                          │        └────▶ Outcome::Ready
//!                                          └─▶ Told: by a notify socket or a line of output
//!   await_pid_file ──▶ look ──▶ wait 20, 40 … ms ──▶ look ──▶ Outcome::MainPid
//!   forget ends all of it
//! ```
//!
//! Nothing here waits. Connections and pipes are read when the loop says they are ready, everything else is
//! a timer in one ordered set; where nobody is being started there is none.

mod attempt;
mod http;
mod pid_file;
mod probe;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use self::attempt::{Begun, Step};
use self::watch::{Found, Pace, Probe, Watch, Way};
use crate::engine::UnitId;
use crate::model::command::{Text, Unset};
use crate::model::unit::Ready;
use crate::model::{Moment, Pid};
use crate::run::exchange::exchange;
use crate::sys::poll::{Interest, Poller, Readiness, Token};

/// A connection is given up after this, or after the interval where that is longer: a daemon that accepts and
/// does not answer is not ready.
const TRY_LIMIT: Duration = Duration::from_secs(1);
/// A probe is killed after this, or after the interval where that is longer: on a busy machine a client needs
/// seconds only to start.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// A daemon forks within milliseconds, or takes its time.
const PID_FILE_FIRST: Duration = Duration::from_millis(20);
/// The longest wait between two looks at a pid file.
const PID_FILE_LONGEST: Duration = Duration::from_millis(500);
/// The longest note.
const MAX_NOTE: usize = 240;

/// What came of watching, and what is wished of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// What `[ready]` names was seen.
    Ready(UnitId),
    /// The pid file names this process of the unit.
    MainPid(UnitId, Pid),
    /// Run the unit's probe: [`Watcher::probe_output`], then [`Watcher::probe_started`] or
    /// [`Watcher::probe_not_started`], and [`Watcher::probe_ended`] when it was reaped.
    RunProbe(UnitId),
    /// Kill this probe: it took too long, or nobody waits for it any more.
    KillProbe(Pid),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    Readiness,
    PidFile,
}

#[derive(Debug)]
struct PidFile {
    path: PathBuf,
    pace: Pace,
    due: Moment,
}

/// All that is being watched for.
#[derive(Debug)]
pub struct Watcher {
    class: u8,
    prepared: BTreeMap<UnitId, Watch>,
    watches: BTreeMap<UnitId, Watch>,
    pid_files: BTreeMap<UnitId, PidFile>,
    timers: BTreeSet<(Moment, UnitId, Purpose)>,
    notes: BTreeMap<UnitId, String>,
}

impl Watcher {
    /// Watches for nothing yet; `class` is the class of its tokens.
    pub fn new(class: u8) -> Watcher {
        Watcher {
            class,
            prepared: BTreeMap::new(),
            watches: BTreeMap::new(),
            pid_files: BTreeMap::new(),
            timers: BTreeSet::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Call before the unit's process starts: looks at what is there already, and makes the pipe of
    /// `Readiness::Fd`, whose write end is answered; the process gets it, and it is closed here then. `expand`
    /// settles the variables of a path. The error is that of `pipe(2)`.
    pub fn prepare(
        &mut self,
        unit: UnitId,
        ready: &Ready,
        expand: &dyn Fn(&Text) -> Result<String, Unset>,
    ) -> io::Result<Option<OwnedFd>> {
        self.notes.remove(&unit);
        self.prepared.remove(&unit);
        let Some((way, fd)) = Way::prepare(ready, expand)? else { return Ok(None) };
        self.prepared.insert(unit, Watch { way, pace: Pace::new(ready.interval), due: None });
        Ok(fd)
    }

    /// Begins to watch for what was prepared; the first try is made at once.
    pub fn begin(&mut self, unit: UnitId, poller: &Poller, now: Moment, out: &mut Vec<Outcome>) {
        let Some(watch) = self.prepared.remove(&unit) else { return };
        self.end(unit, poller, out);
        self.notes.remove(&unit);
        if let Way::Descriptor(Some(fd)) = &watch.way
            && let Err(error) = poller.add(fd.as_fd(), self.token(unit), Interest::Read)
        {
            self.note(unit, &format!("its descriptor cannot be watched: {}", attempt::words(&error)));
        }
        self.attempt(unit, watch, poller, now, out);
    }

    /// Watches a pid file until it names a process of the unit.
    pub fn await_pid_file(
        &mut self,
        unit: UnitId,
        path: PathBuf,
        now: Moment,
        belongs: &dyn Fn(UnitId, Pid) -> bool,
        out: &mut Vec<Outcome>,
    ) {
        self.end_pid_file(unit);
        let pace = Pace::from(PID_FILE_FIRST, PID_FILE_LONGEST);
        self.look_at_pid_file(unit, PidFile { path, pace, due: now }, now, belongs, out);
    }

    /// Watches for nothing of this unit any more. What was last noted of it stays.
    pub fn forget(&mut self, unit: UnitId, poller: &Poller, out: &mut Vec<Outcome>) {
        self.prepared.remove(&unit);
        self.end_pid_file(unit);
        self.end(unit, poller, out);
    }

    /// As [`Watcher::forget`], and what was noted goes too: the id is free.
    pub fn forget_all(&mut self, unit: UnitId, poller: &Poller, out: &mut Vec<Outcome>) {
        self.forget(unit, poller, out);
        self.notes.remove(&unit);
    }

    /// Two units change places. Both are ready by then, so nothing is watched for: only notes are left of them.
    pub fn exchange(&mut self, one: UnitId, other: UnitId) {
        exchange(&mut self.notes, one, other);
    }

    /// Somebody else saw it: `READY=1` on the notify socket, or a line of output. True when it was waited for.
    pub fn told(&mut self, unit: UnitId) -> bool {
        if !matches!(self.watches.get(&unit), Some(Watch { way: Way::Told(_), .. })) {
            return false;
        }
        self.watches.remove(&unit);
        self.notes.remove(&unit);
        true
    }

    /// What the last try met, or what is still missing: `127.0.0.1:6379: connection refused`. `None` when the
    /// unit became ready, or was never watched.
    pub fn last_note(&self, unit: UnitId) -> Option<String> {
        let first = || self.watches.get(&unit).map(|watch| watch.way.first_note());
        self.notes.get(&unit).cloned().or_else(first)
    }

    /// Carries on what a descriptor is ready for.
    pub fn handle(&mut self, ready: &Readiness, poller: &Poller, now: Moment, out: &mut Vec<Outcome>) {
        let unit = UnitId::from_index(ready.token.index() as usize);
        let Some(mut watch) = self.watches.remove(&unit) else { return };
        match &mut watch.way {
            Way::Descriptor(slot @ Some(_)) => match slot.as_ref().map_or(Found::End, watch::read_newline) {
                Found::Newline => return self.succeeded(unit, watch, poller, out),
                Found::Nothing => {}
                Found::End => {
                    watch::unwatch(poller, slot.take());
                    let note = watch.way.first_note();
                    self.note(unit, &note);
                }
            },
            Way::Address(target, Some(attempt)) => match attempt.advance(target) {
                Step::Succeeded => return self.succeeded(unit, watch, poller, out),
                Step::Pending(interest) => {
                    // It was added when the try began; a failure here ends the try at its limit.
                    let _ = poller.modify(attempt.fd(), self.token(unit), interest);
                }
                Step::Failed(note) => return self.failed(unit, watch, &note, poller, now),
            },
            Way::Command { probe: Probe::Running { output: output @ Some(_), seen, .. }, .. } => {
                if output.as_ref().map_or(Found::End, |fd| watch::read_output(fd, seen)) == Found::End {
                    watch::unwatch(poller, output.take());
                }
            }
            Way::Descriptor(None) | Way::Address(_, None) | Way::Command { .. } => {}
            Way::Told(_) | Way::File { .. } => {}
        }
        self.watches.insert(unit, watch);
    }

    /// The next timer; none where nothing is being tried.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.timers.first().map(|(at, _, _)| *at)
    }

    /// Does what is due. `belongs` tells whether a process is one of the unit's own.
    pub fn tick(
        &mut self,
        now: Moment,
        poller: &Poller,
        belongs: &dyn Fn(UnitId, Pid) -> bool,
        out: &mut Vec<Outcome>,
    ) {
        // Each timer that is taken is set again only for later than now.
        while let Some((_, unit, purpose)) = self.timers.first().copied().filter(|(at, _, _)| *at <= now) {
            self.timers.pop_first();
            match purpose {
                Purpose::PidFile => {
                    if let Some(file) = self.pid_files.remove(&unit) {
                        self.look_at_pid_file(unit, file, now, belongs, out);
                    }
                }
                Purpose::Readiness => {
                    if let Some(watch) = self.watches.remove(&unit) {
                        self.due(unit, watch, poller, now, out);
                    }
                }
            }
        }
    }

    fn due(&mut self, unit: UnitId, mut watch: Watch, poller: &Poller, now: Moment, out: &mut Vec<Outcome>) {
        watch.due = None;
        match &watch.way {
            Way::Address(target, Some(_)) => {
                let note = format!("{}: no answer in time", target.name());
                self.failed(unit, watch, &note, poller, now);
            }
            Way::Command { probe: Probe::Running { pid, .. }, .. } => {
                out.push(Outcome::KillProbe(*pid));
                self.watches.insert(unit, watch);
            }
            Way::Told(_)
            | Way::Descriptor(_)
            | Way::Address(_, None)
            | Way::Command { .. }
            | Way::File { .. } => {
                self.attempt(unit, watch, poller, now, out);
            }
        }
    }

    /// Makes a try.
    fn attempt(
        &mut self,
        unit: UnitId,
        mut watch: Watch,
        poller: &Poller,
        now: Moment,
        out: &mut Vec<Outcome>,
    ) {
        match &mut watch.way {
            Way::Told(_) | Way::Descriptor(_) => {}
            Way::File { path, before } => match watch::look_at_file(path, *before) {
                Ok(()) => return self.succeeded(unit, watch, poller, out),
                Err(note) => return self.failed(unit, watch, &note, poller, now),
            },
            Way::Command { probe, .. } => {
                *probe = Probe::Wished(None);
                out.push(Outcome::RunProbe(unit));
            }
            Way::Address(target, current) => match target.begin() {
                Begun::Succeeded => return self.succeeded(unit, watch, poller, out),
                Begun::Failed(note) => return self.failed(unit, watch, &note, poller, now),
                Begun::UnderWay(attempt) => {
                    let added = poller.add(attempt.fd(), self.token(unit), Interest::Write);
                    *current = Some(attempt);
                    if let Err(error) = added {
                        return self.failed(unit, watch, &attempt::words(&error), poller, now);
                    }
                    let limit = now + watch.pace.longest().max(TRY_LIMIT);
                    self.set_timer(unit, &mut watch, limit);
                }
            },
        }
        self.watches.insert(unit, watch);
    }

    fn failed(&mut self, unit: UnitId, mut watch: Watch, note: &str, poller: &Poller, now: Moment) {
        self.note(unit, note);
        if let Way::Address(_, attempt) = &mut watch.way
            && let Some(attempt) = attempt.take()
        {
            let _ = poller.remove(attempt.fd()); // It is closed next, which removes it too.
        }
        let next = now + watch.pace.wait();
        self.set_timer(unit, &mut watch, next);
        self.watches.insert(unit, watch);
    }

    fn succeeded(&mut self, unit: UnitId, watch: Watch, poller: &Poller, out: &mut Vec<Outcome>) {
        self.watches.insert(unit, watch);
        self.end(unit, poller, out);
        self.notes.remove(&unit);
        out.push(Outcome::Ready(unit));
    }

    /// Ends a watch, and notes what was missing where nothing was noted yet.
    fn end(&mut self, unit: UnitId, poller: &Poller, out: &mut Vec<Outcome>) {
        let Some(watch) = self.watches.remove(&unit) else { return };
        if let Some(at) = watch.due {
            self.timers.remove(&(at, unit, Purpose::Readiness));
        }
        if let Some(fd) = watch.way.fd() {
            let _ = poller.remove(fd); // It is closed next, which removes it too.
        }
        if let Way::Command { probe: Probe::Running { pid, .. }, .. } = watch.way {
            out.push(Outcome::KillProbe(pid));
        }
        self.notes.entry(unit).or_insert_with(|| watch.way.first_note());
    }

    fn end_pid_file(&mut self, unit: UnitId) {
        if let Some(file) = self.pid_files.remove(&unit) {
            self.timers.remove(&(file.due, unit, Purpose::PidFile));
        }
    }

    fn look_at_pid_file(
        &mut self,
        unit: UnitId,
        mut file: PidFile,
        now: Moment,
        belongs: &dyn Fn(UnitId, Pid) -> bool,
        out: &mut Vec<Outcome>,
    ) {
        match pid_file::look(&file.path, &|pid| belongs(unit, pid)) {
            Ok(pid) => out.push(Outcome::MainPid(unit, pid)),
            Err(note) => {
                self.note(unit, &note);
                file.due = now + file.pace.wait();
                self.timers.insert((file.due, unit, Purpose::PidFile));
                self.pid_files.insert(unit, file);
            }
        }
    }

    fn set_timer(&mut self, unit: UnitId, watch: &mut Watch, at: Moment) {
        if let Some(old) = watch.due.replace(at) {
            self.timers.remove(&(old, unit, Purpose::Readiness));
        }
        self.timers.insert((at, unit, Purpose::Readiness));
    }

    fn token(&self, unit: UnitId) -> Token {
        Token::new(self.class, u32::try_from(unit.index()).unwrap_or(u32::MAX))
    }

    fn note(&mut self, unit: UnitId, note: &str) {
        let short = note.get(..note.floor_char_boundary(MAX_NOTE)).unwrap_or_default();
        self.notes.insert(unit, short.to_owned());
    }
}

#[cfg(test)]
mod tests;

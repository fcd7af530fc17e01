//! Filters: programs that the output of units goes through, companions as the logger is one.
//!
//! ```text
//!   a process of the unit starts ──▶ Running ──ended──▶ Waiting ──delay──▶ Running
//!                                       │                  └─ the second time in a row: lines go past it meanwhile
//!   the unit is down for good, or has another filter: its input ends
//!                                       └──▶ ending ──EOF_LIMIT──▶ TERM ──TERM_LIMIT──▶ KILL
//! ```
//!
//! The engine knows nothing of them: whatever becomes of a filter, its unit goes on.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::engine::{NextRun, Reason, UnitId};
use crate::logger::Slot;
use crate::model::time::Spoken;
use crate::model::unit::Program;
use crate::model::{ExitStatus, Moment, Pid, Signal, SpawnError, Unit};
use crate::sys::kill;

use super::Init;
use super::children::Owner;
use super::launch::{Launch, Part};

/// The wait before a filter that ended is started again, doubled each time; lines wait for it in their pipes.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(10);
/// One that lived this long did not end of its start.
const STABLE: Duration = Duration::from_secs(10);
/// How long a filter may work on what it has read, once it has read all.
const EOF_LIMIT: Duration = Duration::from_secs(5);
/// The same at the end of sexton itself, which somebody waits for.
const HASTY_EOF_LIMIT: Duration = Duration::from_secs(1);
/// How long it has after TERM, and how long one that was killed is waited for.
const TERM_LIMIT: Duration = Duration::from_secs(1);

/// The filters of all units that have one.
#[derive(Debug, Default)]
pub(super) struct Filters {
    current: BTreeMap<Slot, Filter>,
    ending: Vec<Ending>,
}

#[derive(Debug)]
struct Filter {
    unit: Rc<Unit>,
    /// Which of the unit's it is.
    serial: u32,
    state: State,
    delay: Duration,
    /// Why it last ended, where it did not live long.
    trouble: Option<String>,
    is_stuck: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Running { pid: Pid, since: Moment },
    Waiting { not_before: Moment },
}

/// One whose input ends.
#[derive(Debug)]
struct Ending {
    slot: Slot,
    pid: Pid,
    /// `None`: as long as somebody writes to it.
    next: Option<(Moment, Push)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Push {
    Term,
    Kill,
    /// It is not to be had even by KILL.
    GiveUp,
}

impl Filters {
    /// When [`Init::tick_filters`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let starts = self.current.values().filter_map(|filter| match filter.state {
            State::Waiting { not_before } => Some(not_before),
            State::Running { .. } => None,
        });
        starts.chain(self.ending.iter().filter_map(|ending| Some(ending.next?.0))).min()
    }

    /// All that run.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        let running = self.current.values().filter_map(|filter| match filter.state {
            State::Running { pid, .. } => Some(pid),
            State::Waiting { .. } => None,
        });
        running.chain(self.ending.iter().map(|ending| ending.pid))
    }

    /// How the filter of a unit is, as a clause; `None` where it has none.
    pub(super) fn words(&self, slot: Slot, now: Moment) -> Option<String> {
        let filter = self.current.get(&slot)?;
        let command = filter.command();
        Some(match filter.state {
            State::Running { pid, .. } if filter.is_stuck => {
                format!("{command} (pid {pid}) takes nothing; lines go past it")
            }
            State::Running { pid, .. } => match &filter.trouble {
                Some(trouble) => format!("{command} (pid {pid}); of the one before it: {trouble}"),
                None => format!("{command} (pid {pid})"),
            },
            State::Waiting { not_before } => {
                let left = Spoken(not_before.since(now));
                let trouble = filter.trouble.as_deref().unwrap_or("it does not run");
                format!("{command}: {trouble}; started again in {left}{}", filter.meanwhile())
            }
        })
    }

    /// The same, where there is something wrong with it.
    pub(super) fn trouble(&self, slot: Slot, now: Moment) -> Option<String> {
        let filter = self.current.get(&slot)?;
        let is_away = matches!(filter.state, State::Waiting { .. });
        (filter.is_stuck || is_away).then(|| self.words(slot, now))?
    }
}

impl Filter {
    fn command(&self) -> String {
        let through = self.unit.program().and_then(|program| program.log.through.as_ref());
        through.map(|command| format!("'{command}'")).unwrap_or_default()
    }

    /// Do lines go past it while it is not there?
    fn is_passed_by(&self) -> bool {
        self.delay > FIRST_DELAY * 2
    }

    fn meanwhile(&self) -> &'static str {
        if self.is_passed_by() { "; lines go past it" } else { "" }
    }
}

impl Init {
    /// A process of the unit is about to start: its filter is to be there.
    pub(super) fn keep_filter(&mut self, id: UnitId, unit: &Rc<Unit>, program: &Program) {
        let slot = self.slot_of(id);
        let current = self.filters.current.get(&slot);
        if program.log.through.is_none() {
            if current.is_some() {
                self.replace_filter(slot);
            }
            return;
        }
        let old = current.and_then(|filter| filter.unit.program());
        if old.is_some_and(|old| old.process != program.process) {
            self.logs.renew(slot);
        }
        self.logs.know(slot, &unit.name);
        // Without a pipe the start of the unit fails next, and says so.
        let _ = self.logs.outputs_for(slot, &program.log, None);
        let Some((serial, ..)) = self.logs.filter_ends(slot) else { return };
        if self.filters.current.get(&slot).is_some_and(|filter| filter.serial == serial) {
            return;
        }
        self.replace_filter(slot);
        let state = State::Waiting { not_before: self.now };
        let (unit, delay) = (Rc::clone(unit), FIRST_DELAY);
        let filter = Filter { unit, serial, state, delay, trouble: None, is_stuck: false };
        self.filters.current.insert(slot, filter);
        self.start_filter(slot);
    }

    fn start_filter(&mut self, slot: Slot) {
        let Some(filter) = self.filters.current.get_mut(&slot) else { return };
        let unit = Rc::clone(&filter.unit);
        let Some(program) = unit.program() else { return };
        let Some((_, input, output)) = self.logs.filter_ends(slot) else { return };
        let Some(command) = &program.log.through else { return };
        let started = self.launcher.launch(&Launch {
            unit: &unit,
            program,
            command,
            run_as: None,
            part: Part::Around,
            reason: Reason::Start,
            main: None,
            input: Some(input),
            output,
            notify: None,
            cgroup: None,
            promised: None,
        });
        match started {
            Ok(started) => {
                filter.state = State::Running { pid: started.pid(), since: self.now };
                self.logs.let_past(slot, false);
                self.set_out(Owner::Filter(slot), started);
            }
            Err(error) => self.filter_failed(slot, &error),
        }
    }

    /// A filter could not be started.
    pub(super) fn filter_failed(&mut self, slot: Slot, error: &SpawnError) {
        if let Some(filter) = self.filters.current.get_mut(&slot) {
            filter.delay = filter.delay.max(FIRST_DELAY * 2);
            self.filter_gone(slot, error.to_string());
        }
    }

    /// A filter was reaped.
    pub(super) fn filter_ended(&mut self, slot: Slot, pid: Pid, status: ExitStatus) {
        self.filters.ending.retain(|ending| ending.pid != pid);
        self.logs.filter_ended(slot);
        let Some(filter) = self.filters.current.get_mut(&slot) else { return };
        match filter.state {
            State::Running { pid: own, since } if own == pid => {
                if self.now.since(since) >= STABLE {
                    (filter.delay, filter.trouble) = (FIRST_DELAY, None);
                }
                self.filter_gone(slot, format!("it {status}"));
            }
            State::Running { .. } | State::Waiting { .. } => {}
        }
    }

    /// It is said once, and again where something else is the matter, or where lines go past it from here on.
    fn filter_gone(&mut self, slot: Slot, trouble: String) {
        let Some(filter) = self.filters.current.get_mut(&slot) else { return };
        filter.state = State::Waiting { not_before: self.now + filter.delay };
        filter.is_stuck = false;
        let (delay, was_passed_by) = (filter.delay, filter.trouble.is_some() && filter.is_passed_by());
        filter.delay = (filter.delay * 2).min(MAX_DELAY);
        let is_new = filter.trouble.as_ref() != Some(&trouble) || filter.is_passed_by() != was_passed_by;
        let said = format!(
            "{}: its filter {} does not run: {trouble}; started again in {}{}",
            filter.unit.name,
            filter.command(),
            Spoken(delay),
            filter.meanwhile()
        );
        filter.trouble = Some(trouble);
        if filter.is_passed_by() {
            self.logs.let_past(slot, true);
        }
        if is_new {
            self.say(&said);
        }
    }

    /// The filter takes nothing, or again something.
    pub(super) fn filter_stuck(&mut self, slot: Slot, is_stuck: bool) {
        let Some(filter) = self.filters.current.get_mut(&slot) else { return };
        if filter.is_stuck == is_stuck {
            return;
        }
        filter.is_stuck = is_stuck;
        let what = if is_stuck { "takes nothing; lines go past it" } else { "takes lines again" };
        let said = format!("{}: its filter {} {what}", filter.unit.name, filter.command());
        self.say(&said);
    }

    /// Starts and pushes those whose time has come.
    pub(super) fn tick_filters(&mut self) {
        if self.filters.next_deadline().is_none_or(|at| self.now < at) {
            return;
        }
        let now = self.now;
        let is_due =
            |filter: &Filter| matches!(filter.state, State::Waiting { not_before } if not_before <= now);
        let due = self.filters.current.iter().filter(|(_, filter)| is_due(filter)).map(|(slot, _)| *slot);
        for slot in due.collect::<Vec<_>>() {
            self.start_filter(slot);
        }
        self.filters.ending.retain_mut(|ending| {
            let Some((_, push)) = ending.next.filter(|(at, _)| *at <= now) else { return true };
            let (signal, next) = match push {
                Push::Term => (Signal::TERM, Push::Kill),
                Push::Kill => (Signal::KILL, Push::GiveUp),
                Push::GiveUp => return false,
            };
            ending.next = Some((now + TERM_LIMIT, next));
            // It is not reaped, so its number and its group's are its own.
            let _ = kill::group(ending.pid, signal);
            true
        });
    }

    /// The run of a unit is over and cleaned up.
    pub(super) fn end_filter_after(&mut self, unit: UnitId, next: NextRun) {
        if next == NextRun::None && self.engine.stands_for(unit) == unit {
            self.end_filter(self.slot_of(unit));
        }
    }

    /// Nobody writes to the filter any more: it sees the end of its input.
    pub(super) fn end_filter(&mut self, slot: Slot) {
        if let Some(filter) = self.filters.current.remove(&slot) {
            if let State::Waiting { .. } = filter.state {
                self.logs.let_past(slot, true); // What is left in its pipe is for nobody else.
            }
            self.logs.close_filter(slot);
            self.let_end(slot, filter, Some(EOF_LIMIT));
        }
        for ending in self.filters.ending.iter_mut().filter(|ending| ending.slot == slot) {
            ending.next.get_or_insert((self.now + EOF_LIMIT, Push::Term));
        }
    }

    /// The unit has other pipes by now. Who still writes to the old ones is waited for.
    fn replace_filter(&mut self, slot: Slot) {
        if let Some(filter) = self.filters.current.remove(&slot) {
            self.let_end(slot, filter, None);
        }
    }

    fn let_end(&mut self, slot: Slot, filter: Filter, limit: Option<Duration>) {
        if let State::Running { pid, .. } = filter.state {
            let next = limit.map(|limit| (self.now + limit, Push::Term));
            self.filters.ending.push(Ending { slot, pid, next });
        }
    }

    /// sexton itself ends.
    pub(super) fn end_all_filters(&mut self) {
        for slot in self.filters.current.keys().copied().collect::<Vec<_>>() {
            self.end_filter(slot);
        }
        let limit = self.now + HASTY_EOF_LIMIT;
        for ending in &mut self.filters.ending {
            let (at, push) = ending.next.unwrap_or((limit, Push::Term));
            ending.next = Some((at.min(limit), push));
        }
    }

    /// Does a filter still work on what it has read?
    pub(super) fn any_filter_left(&self) -> bool {
        !self.filters.ending.is_empty() || !self.filters.current.is_empty()
    }
}

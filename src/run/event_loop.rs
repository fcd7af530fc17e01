//! The loop: it sleeps until something happens, tells the engine, and has its orders carried out.
//!
//! ```text
//!   ┌──▶ wait (epoll, until the nearest deadline; for ever when there is none)
//!   │      │ signals   │ control   │ notify   │ readiness   │ logger, captures
//!   │      ▼           ▼           ▼          ▼             ▼
//!   │     reap       calls     READY=1     probes       matched, flushed
//!   │      └───────────┴──── Event ┴──────────┴─────────────┘
//!   │                          ▼
//!   └── flush ◀── perform ◀── Engine::step, until the queue is empty
//! ```
//!
//! From the first turn on nothing here may exit, panic, block or grow without bound.

use crate::engine::{Event, Request, Shutdown, UnitId};
use crate::logger::Slot;
use crate::logger::client::LogEvent;
use crate::model::time::Spoken;
use crate::model::{Moment, Pid, Signal};
use crate::sys::clock;
use crate::sys::limits;
use crate::sys::memory;
use crate::sys::poll::Readiness;
use crate::sys::reap::{self, Reaped};
use crate::sys::signals::{Arrived, SIGNALS_AT_ONCE, Sender};

use super::children::Owner;
use super::ending::Ending;
use super::notify::Notification;
use super::place::{Wish, wish};
use super::requests::Pending;
use super::{Class, Init};

/// How often signals are taken in one turn. Standard ones coalesce, so only somebody who floods with real-time ones
/// meets it.
const SIGNAL_ROUNDS: usize = 16;

/// What read the units and started them is over. Where its memory cannot be given back it is kept.
pub(super) fn give_back() {
    let _ = (memory::give_back_stack(), memory::give_back_code());
}

impl Init {
    /// Runs until everything is over.
    pub(super) fn run(&mut self) -> Ending {
        let mut ready = Vec::new();
        self.settle();
        give_back();
        // Who tells a thousand to end is not to wait for each of them. Without the right to, it waits.
        let _ = limits::go_first(15);
        loop {
            self.settle();
            if let Some(ending) = self.ended() {
                return ending;
            }
            self.rest();
            let timeout = self.next_deadline().map(|deadline| deadline.since(clock::now()));
            if self.poller.wait(&mut ready, timeout).is_err() {
                // The arguments are right, so this cannot fail; if it does, the signals still have to be seen.
                ready.clear();
                self.receive_signals();
            }
            self.now = clock::now();
            for readiness in ready.drain(..) {
                self.dispatch(&readiness);
            }
            self.tick();
        }
    }

    /// Takes all that is known to its end: events, effects, what they lead to, and what is to be sent.
    fn settle(&mut self) {
        self.now = clock::now();
        self.process_events();
        self.serve_calls();
        self.keep_logger();
        self.logs.flush(&self.poller, self.now);
        if let Some(server) = &mut self.server {
            server.flush(&self.poller, self.now);
        }
    }

    pub(super) fn process_events(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let mut effects = std::mem::take(&mut self.effects);
            self.engine.step(self.now, event, &mut effects);
            for effect in effects.drain(..) {
                self.perform(effect);
            }
            self.effects = effects;
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        let deadlines = [
            self.engine.next_deadline(),
            self.watcher.next_deadline(),
            self.logs.next_deadline(),
            self.filters.next_deadline(),
            self.children.next_deadline(),
            self.rest.next_deadline(),
            self.pending.next_deadline(),
            self.server.as_ref().and_then(|server| server.next_deadline()),
            self.look_again_at,
            self.watchdog.next_deadline(),
            self.boot_deadline(),
            self.farewell,
        ];
        deadlines.into_iter().flatten().min()
    }

    fn tick(&mut self) {
        self.end_rest();
        if self.engine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.events.push_back(Event::Tick);
        }
        self.look_at_boot();
        self.wake_overdue();
        self.look_again();
        self.tend_watchdog();
        self.give_up_late();
        self.tick_watcher();
        self.tick_filters();
        self.finish_logs();
        let mut seen = Vec::new();
        self.logs.tick(self.now, &mut seen);
        self.log_events(seen);
    }

    fn dispatch(&mut self, readiness: &Readiness) {
        match Class::from_number(readiness.token.class()) {
            Some(Class::Signals) => self.receive_signals(),
            Some(Class::Control) => self.receive_calls(readiness),
            Some(Class::Notify) => self.receive_notifications(readiness),
            Some(Class::Readiness) => self.watch(readiness),
            Some(Class::Capture) => self.captures.handle(readiness, &self.poller),
            Some(Class::Pending) => self.look_at_pending(readiness.token),
            Some(Class::Foreign) => self.foreign_ended(readiness.token),
            Some(Class::Logger) => {
                let mut seen = Vec::new();
                self.logs.handle(readiness, &self.poller, self.now, &mut seen);
                self.log_events(seen);
            }
            None => {}
        }
    }

    pub(super) fn receive_signals(&mut self) {
        let mut children_ended = false;
        for _ in 0..SIGNAL_ROUNDS {
            let Ok(all) = self.signals.next_ones() else { break };
            for arrived in &all {
                match wish(arrived.signal, self.place) {
                    Wish::Reap => children_ended = true,
                    Wish::Shutdown(_) if self.machine.is_some() && arrived.signal == Signal::INT => {
                        self.press_ctrl_alt_del(&signal_in_words(*arrived));
                    }
                    Wish::Shutdown(how) => self.shut_down(how, &signal_in_words(*arrived)),
                    Wish::Reread => self.sync_on_signal(),
                    Wish::Nothing => {}
                    Wish::Unknown => {
                        self.say(&format!("{} has no meaning here and is passed over", arrived.signal))
                    }
                }
            }
            if all.len() < SIGNALS_AT_ONCE {
                break;
            }
        }
        if children_ended {
            self.reap();
        }
    }

    pub(super) fn shut_down(&mut self, how: Shutdown, because: &str) {
        // Nobody tells a container how long it has: its log shows afterwards whether that was less.
        let words = match self.engine.is_asked_to_end() {
            true => format!("shutting down at once, without waiting: {because}"),
            false => {
                format!("shutting down: {because}; in {} at most", Spoken(self.settings.shutdown_timeout))
            }
        };
        self.say(&words);
        self.note_order();
        let id = self.requests.open(Pending::own());
        self.events.push_back(Event::Requested { id, request: Request::Shutdown(how) });
    }

    /// Takes every child that has ended: SIGCHLD coalesces, one signal can stand for thousands.
    pub(super) fn reap(&mut self) {
        while let Reaped::Child(pid, status) = self.next_reaped() {
            let owner = self.children.remove(pid);
            self.foreign.reaped(pid, owner, &self.poller);
            match owner {
                Some(Owner::Unit(unit, role)) => {
                    self.logs.ended(self.slot_of(unit));
                    let gone = self.note_group(unit, role, pid);
                    let status = self.with_cause(unit, role, status);
                    let event = self.ended_as(unit, role, pid, status);
                    self.events.push_back(event);
                    self.events.extend(gone);
                    // Its group is looked at, and a replacement started, before more of the dead are counted.
                    self.process_events();
                }
                Some(Owner::Probe(unit)) => self.probe_ended(unit, pid, status),
                Some(Owner::Logger) => self.logs.logger_died(&self.poller, self.now),
                Some(Owner::Filter(slot)) => self.filter_ended(slot, pid, status),
                Some(Owner::Nobody) => {}
                None => self.orphans_reaped += 1,
            }
        }
        self.look_at_groups();
    }

    /// Of a child that was not seen to arrive the engine hears that it did, or did not, while its number is its own.
    fn next_reaped(&mut self) -> Reaped {
        if self.pending.is_empty() {
            return reap::next();
        }
        let Some(pid) = reap::peek() else { return Reaped::NoneReady };
        self.settle_pending(pid);
        reap::take(pid)
    }

    fn log_events(&mut self, seen: Vec<LogEvent>) {
        for event in seen {
            match event {
                LogEvent::Matched(Slot(index)) => {
                    let unit = UnitId::from_index(index as usize);
                    // Of two runs only the one that is to come can wait for a line.
                    let waiting = self.engine.successor(unit).unwrap_or(unit);
                    self.settle_main(waiting);
                    self.told_ready(waiting);
                }
                LogEvent::Flushed(Slot(index)) => {
                    let unit = UnitId::from_index(index as usize);
                    self.release_reports(unit);
                    self.look_at_output(unit);
                }
                LogEvent::Stuck(slot) => self.filter_stuck(slot, true),
                LogEvent::Flows(slot) => self.filter_stuck(slot, false),
            }
        }
    }

    fn receive_notifications(&mut self, readiness: &Readiness) {
        let mut heard = Vec::new();
        let (children, engine) = (&self.children, &self.engine);
        let belongs = |unit: UnitId, pid: Pid| super::belongs::belongs(children, engine, unit, pid);
        self.notify.handle(readiness, &belongs, &mut heard);
        for (unit, notification) in heard {
            self.settle_main(unit);
            match notification {
                Notification::Ready => self.told_ready(unit),
                Notification::MainPid(pid) => self.adopt(unit, pid),
                Notification::ExtendTimeout(by) => self.events.push_back(Event::TimeoutExtended { unit, by }),
                Notification::Status(text) => {
                    self.status_texts.insert(unit, text);
                }
                Notification::Reloading | Notification::Stopping => {}
            }
        }
    }
}

fn signal_in_words(arrived: Arrived) -> String {
    match arrived.sender {
        Sender::Kernel => format!("{} from the kernel", arrived.signal),
        Sender::Process(Some(pid)) => format!("{} from pid {pid}", arrived.signal),
        Sender::Process(None) => format!("{} from outside", arrived.signal),
    }
}

/// A unit's place in the logger's tables.
pub(super) fn slot(unit: UnitId) -> Slot {
    Slot(unit.0)
}

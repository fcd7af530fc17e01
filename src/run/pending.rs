//! Children that are on their way to their exec: those of another user, whom nobody may be made to wait for.
//!
//! ```text
//!   launch ──▶ Executed ─────────────────────────────────▶ Spawned
//!         └──▶ Pending ── the pipe of its report ends ───▶ Spawned
//!                 ├────── it tells what went wrong ──────▶ SpawnFailed, and KILL
//!                 └────── EXEC_LIMIT ────────────────────▶ SpawnFailed, and KILL
//! ```
//!
//! Its pid stands among the children from its birth. What else is heard of it, that it is ready or that it ended, may be
//! heard first, so whoever hears that settles the child before: the pipe has ended by then.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::engine::{Event, Role, UnitId};
use crate::model::{Moment, Pid, Signal, SpawnError};
use crate::sys::kill;
use crate::sys::pending::{Pending, Progress};
use crate::sys::poll::{Interest, Token};
use crate::sys::spawn::Started;

use super::children::Owner;
use super::{Class, Init};

/// How long a child may take to its exec. What takes it longer was stopped, or waits for a file system.
const EXEC_LIMIT: Duration = Duration::from_secs(10);

/// All that are on their way, the oldest first: they mostly arrive in that order.
#[derive(Debug, Default)]
pub(super) struct PendingChildren {
    children: VecDeque<Waited>,
}

#[derive(Debug)]
struct Waited {
    child: Pending,
    until: Moment,
}

impl PendingChildren {
    /// When the first of them is late.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.children.front().map(|waited| waited.until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    fn position(&self, is_meant: impl Fn(Pid) -> bool) -> Option<usize> {
        self.children.iter().position(|waited| is_meant(waited.child.pid()))
    }
}

impl Init {
    /// A process was started.
    pub(super) fn set_out(&mut self, owner: Owner, started: Started) {
        self.children.insert(started.pid(), owner);
        match started {
            Started::Executed(pid) => self.arrived(pid),
            Started::Pending(child) => {
                let token = Token::new(Class::Pending as u8, child.pid().get().cast_unsigned());
                // One that cannot be waited on is looked at when its time is over.
                let _ = self.poller.add(child.as_fd(), token, Interest::Read);
                let until = self.now + EXEC_LIMIT;
                self.pending.children.push_back(Waited { child, until });
            }
        }
    }

    /// There is something to see of a child.
    pub(super) fn look_at_pending(&mut self, token: Token) {
        if let Some(pid) = Pid::new(token.index().cast_signed()) {
            self.settle_pending(pid);
        }
    }

    /// Something was heard of the unit's main process, which may have been quicker than the end of its pipe.
    pub(super) fn settle_main(&mut self, unit: UnitId) {
        if let Some(place) = self.pending_of(Owner::Unit(unit, Role::Main)) {
            self.settle_at(place);
        }
    }

    /// There is something to see of this child; it may have ended, and is not reaped yet.
    pub(super) fn settle_pending(&mut self, pid: Pid) {
        if let Some(place) = self.pending.position(|other| other == pid) {
            self.settle_at(place);
        }
    }

    /// Whose a child is stands in one table only.
    fn pending_of(&self, owner: Owner) -> Option<usize> {
        self.pending.position(|pid| self.children.owner(pid) == Some(owner))
    }

    fn settle_at(&mut self, place: usize) {
        self.look_at_one(place);
        // What the engine orders now comes before what was heard.
        self.process_events();
    }

    /// True when the child is not waited for any more.
    fn look_at_one(&mut self, place: usize) -> bool {
        let Some(waited) = self.pending.children.get(place) else { return true };
        let progress = waited.child.look();
        if progress == Progress::Coming {
            return false;
        }
        let Some(Waited { child, .. }) = self.pending.children.remove(place) else { return true };
        let _ = self.poller.remove(child.as_fd()); // It is closed next, which removes it too.
        match progress {
            Progress::Failed(error) => self.lost(child.pid(), error),
            Progress::Executed | Progress::Coming => self.arrived(child.pid()),
        }
        true
    }

    /// Those whose time is over are killed: KILL ends a stopped process too.
    pub(super) fn give_up_late(&mut self) {
        while self.pending.next_deadline().is_some_and(|until| until <= self.now) {
            if self.look_at_one(0) {
                continue;
            }
            if let Some(Waited { child, .. }) = self.pending.children.pop_front() {
                let _ = self.poller.remove(child.as_fd()); // It is closed next, which removes it too.
                self.lost(child.pid(), child.late(EXEC_LIMIT));
            }
        }
    }

    /// Nobody waits for a probe of this unit any more.
    pub(super) fn forget_pending_probe(&mut self, unit: UnitId) {
        let Some(place) = self.pending_of(Owner::Probe(unit)) else { return };
        if let Some(Waited { child, .. }) = self.pending.children.remove(place) {
            let _ = self.poller.remove(child.as_fd()); // It is closed next, which removes it too.
            self.abandon(child.pid());
        }
    }

    fn arrived(&mut self, pid: Pid) {
        match self.children.owner(pid) {
            Some(Owner::Unit(unit, role)) => self.events.push_back(Event::Spawned { unit, role, pid }),
            Some(Owner::Probe(unit)) => self.probe_runs(unit, pid),
            Some(Owner::Logger | Owner::Filter(_) | Owner::Nobody) | None => {}
        }
    }

    fn lost(&mut self, pid: Pid, error: SpawnError) {
        let owner = self.children.owner(pid);
        self.abandon(pid);
        match owner {
            Some(Owner::Unit(unit, role)) => {
                let _ = self.captures.take(pid, &self.poller); // It wrote nothing.
                self.spawn_failed(unit, role, error);
            }
            Some(Owner::Probe(unit)) => self.probe_does_not_run(unit, &error),
            Some(Owner::Filter(slot)) => self.filter_failed(slot, &error),
            Some(Owner::Logger | Owner::Nobody) | None => {}
        }
    }

    pub(super) fn spawn_failed(&mut self, unit: UnitId, role: Role, error: SpawnError) {
        self.deferrals.failed(unit, error.to_string());
        let _ = self.unfinished.ended(unit, false); // What was not begun has left nothing new.
        self.events.push_back(Event::SpawnFailed { unit, role, error });
    }

    /// It is not reaped, so its number is its own.
    fn abandon(&mut self, pid: Pid) {
        self.children.insert(pid, Owner::Nobody);
        let _ = kill::process(pid, Signal::KILL); // It may have ended by itself.
    }
}

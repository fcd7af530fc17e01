//! Main processes that are not sexton's children: a daemon named one whose parent, the daemon itself, lives on.
//!
//! ```text
//!   MAINPID=, pid file ──▶ adopt ── sexton's child? ──▶ its end is reaped
//!                             └──── somebody else's ──▶ held by a descriptor ──▶ readable ──▶ Exited(UNKNOWN)
//!                                                            │ its parent ended first: it became a child, and is reaped
//! ```
//!
//! Its parent reaps it, at any time, and the kernel may give its number to a stranger at once. So it is signalled through
//! the descriptor, its group only while the number can be nobody else's, and where there are no such descriptors
//! (Linux before 5.3, a seccomp filter) it is not believed to be a main process.

use std::io;
use std::os::fd::AsFd;

use crate::engine::{Event, Role, Scope, UnitId};
use crate::model::{ExitStatus, Pid, Signal};
use crate::sys::pidfd::ProcessFd;
use crate::sys::poll::{Interest, Poller, Token};
use crate::sys::{kill, processes};

use super::belongs::{belongs, descends};
use super::children::Owner;
use super::{Class, Init};

/// The main processes of somebody else, at most one a unit, and few units have one.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    unit: UnitId,
    pid: Pid,
    fd: ProcessFd,
    life: Life,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// The engine knows of its end. It is held until the unit is cleaned up, so that what is done to its group in the
    /// meantime is not done to a stranger's.
    Ended,
}

impl Foreign {
    fn find(&self, unit: UnitId, pid: Pid) -> Option<&Held> {
        self.held.iter().find(|held| held.unit == unit && held.pid == pid)
    }

    /// Lets go of those that are meant, and answers the pids of those who still run.
    fn release(&mut self, poller: &Poller, is_meant: impl Fn(&Held) -> bool) -> Vec<Pid> {
        let mut running = Vec::new();
        self.held.retain(|held| {
            let goes = is_meant(held);
            if goes && held.life == Life::Running {
                let _ = poller.remove(held.fd.as_fd()); // It is closed next, which removes it too.
                running.push(held.pid);
            }
            !goes
        });
        running
    }

    /// Two units change places, and their main processes with them.
    pub(super) fn exchange(&mut self, one: UnitId, other: UnitId) {
        for held in &mut self.held {
            held.unit = held.unit.counterpart(one, other);
        }
    }

    /// A child was reaped. One that had become sexton's own in the meantime is held no longer.
    pub(super) fn reaped(&mut self, pid: Pid, owner: Option<Owner>, poller: &Poller) {
        if !self.held.is_empty() {
            let is_it = |held: &Held| held.pid == pid && owner == Some(Owner::Unit(held.unit, Role::Main));
            self.release(poller, |held| held.life == Life::Running && is_it(held));
        }
    }
}

/// Could its end be seen? Asked of a process that a pid file names, before it is believed.
pub(super) fn end_can_be_seen(pid: Pid) -> bool {
    is_child(pid) || ProcessFd::open(pid).and_then(|fd| fd.check()).is_ok()
}

fn is_child(pid: Pid) -> bool {
    processes::look(pid).is_ok_and(|entry| entry.parent == Some(processes::own_pid()))
}

impl Init {
    /// A daemon named another process its main one: from now on its end is the unit's end.
    pub(super) fn adopt(&mut self, unit: UnitId, pid: Pid) {
        match self.children.owner(pid) {
            Some(Owner::Unit(owner, Role::Main)) if owner == unit => {}
            // A hook or a probe is waited for as such.
            Some(_) => return,
            None => {
                if let Err(error) = self.take_in(unit, pid) {
                    let name = self.engine.unit(unit).name().to_string();
                    return self.say(&format!(
                        "{name} names process {pid} its main one, which is passed over: it is not sexton's child, and \
                         cannot be watched otherwise: {error}"
                    ));
                }
            }
        }
        self.events.push_back(Event::MainPidChanged { unit, pid });
    }

    fn take_in(&mut self, unit: UnitId, pid: Pid) -> io::Result<()> {
        if !is_child(pid) {
            let fd = ProcessFd::open(pid)?;
            // What belonged to the unit a moment ago may have been reaped, and its number given away, before it was held.
            if !belongs(&self.children, &self.engine, unit, pid) {
                return Err(io::Error::other("it has ended"));
            }
            fd.check()?;
            let token = Token::new(Class::Foreign as u8, pid.get().cast_unsigned());
            self.poller.add(fd.as_fd(), token, Interest::Read)?;
            self.let_go(unit);
            self.foreign.held.push(Held { unit, pid, fd, life: Life::Running });
        }
        self.children.insert(pid, Owner::Unit(unit, Role::Main));
        Ok(())
    }

    /// The unit has another main process, or none any more.
    pub(super) fn let_go(&mut self, unit: UnitId) {
        if self.foreign.held.is_empty() {
            return;
        }
        for pid in self.foreign.release(&self.poller, |held| held.unit == unit) {
            // Nobody would ever tell of its end, so its number is not kept.
            self.children.remove(pid);
        }
    }

    /// The descriptor of a main process can be read: it has ended.
    pub(super) fn foreign_ended(&mut self, token: Token) {
        let Some(pid) = Pid::new(token.index().cast_signed()) else { return };
        // When its parent ended first it is sexton's to reap, with its status; and then it is held no longer.
        self.reap();
        let found = self.foreign.held.iter_mut().find(|held| held.pid == pid && held.life == Life::Running);
        let Some(held) = found else { return };
        held.life = Life::Ended;
        let unit = held.unit;
        let _ = self.poller.remove(held.fd.as_fd()); // It would be told of at every wait.
        if self.children.owner(pid) == Some(Owner::Unit(unit, Role::Main)) {
            self.children.remove(pid);
        }
        self.logs.ended(self.slot_of(unit));
        let status = ExitStatus::UNKNOWN;
        self.events.push_back(Event::Exited { unit, role: Role::Main, pid, status });
    }

    /// Is it a main process that somebody else may reap?
    pub(super) fn is_foreign(&self, unit: UnitId, pid: Pid) -> bool {
        self.foreign.find(unit, pid).is_some()
    }

    /// Sends a signal, followed by CONT where it needs it, and to nobody who has the number of a process that is gone.
    pub(super) fn send(&self, unit: UnitId, pid: Pid, scope: Scope, signal: Signal) -> io::Result<()> {
        let held = self.foreign.find(unit, pid).filter(|held| held.life == Life::Running);
        let deliver = |signal| match (scope, held) {
            (Scope::Process, Some(held)) => held.fd.signal(signal),
            (Scope::Process, None) => kill::process(pid, signal),
            (Scope::Group, _) if !self.is_own_group(unit, pid) => {
                Err(io::Error::from_raw_os_error(libc::ESRCH))
            }
            (Scope::Group, _) => kill::group(pid, signal),
        };
        deliver(signal)?;
        if kill::wants_cont(signal) {
            let _ = deliver(Signal::CONT); // It ended in between.
        }
        Ok(())
    }

    /// Is the group of this number the one that a process of the unit led? Not when that was reaped and another one has its
    /// number: then the group is the other one's.
    pub(super) fn is_own_group(&self, unit: UnitId, group: Pid) -> bool {
        match (self.foreign.find(unit, group), self.children.owner(group)) {
            (Some(held), _) if held.fd.keeps_its_number() => true,
            (_, Some(Owner::Unit(owner, _))) => owner == unit,
            (_, Some(_)) => false,
            // One that is gone keeps its number for as long as somebody is in its group.
            (Some(_), None) => !kill::process_exists(group),
            (None, None) => !kill::process_exists(group) || descends(&self.children, unit, group),
        }
    }
}

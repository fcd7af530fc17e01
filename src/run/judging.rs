//! The end of a process on its way to the engine: judged by its output where the unit says so.
//!
//! What a judged process wrote goes to whoever asked for it, with the answer. In the log it stands only when it failed:
//! every good test of a thousand units would bury it.

use std::rc::Rc;

use crate::engine::{Event, Role, UnitId, Verdict};
use crate::model::process::Ending;
use crate::model::{ExitStatus, Pid, Signal, Unit};

use super::Init;
use super::capture::Output;
use super::judge::{Heard, judge};

/// The longest line of a complaint in the log; who asked is told all of it.
const LOGGED_LINE: usize = 500;

impl Init {
    /// An end with what its cgroup knows of it.
    pub(super) fn with_cause(&self, unit: UnitId, role: Role, status: ExitStatus) -> ExitStatus {
        let is_killed = status.ending() == Ending::Signal(Signal::KILL);
        let is_short = is_killed && role == Role::Main && self.cgroups.is_short_of_memory(unit);
        if is_short { status.for_want_of_memory() } else { status }
    }

    /// What the end of a unit's process is to the engine.
    pub(super) fn ended_as(&mut self, unit: UnitId, role: Role, pid: Pid, status: ExitStatus) -> Event {
        let (spec, output) = match self.captures.take(pid, &self.poller) {
            Some((spec, output)) => (Some(spec), output),
            None if role.is_judged() => (self.engine.unit(unit).unit().cloned(), Output::default()),
            None => return Event::Exited { unit, role, pid, status },
        };
        let heard = Heard { answer: &output.answer, aside: &output.aside };
        let verdict = judge(spec.as_deref().and_then(Unit::program), role, status, heard);
        // It is tried again, and who asked is told what it said last.
        let is_said = role != Role::ReloadVerify;
        if let Verdict::Failed(complaint) = &verdict
            && is_said
        {
            let name = spec.as_ref().map(|spec: &Rc<Unit>| spec.name.to_string()).unwrap_or_default();
            self.say(&format!("{name}: {role} {complaint}"));
            for line in &complaint.output {
                let shown = line.get(..line.floor_char_boundary(LOGGED_LINE)).unwrap_or_default();
                self.say(&format!("{name}: | {shown}"));
            }
        }
        if role.is_judged() {
            Event::Judged { unit, role, pid, status, verdict }
        } else {
            Event::Exited { unit, role, pid, status }
        }
    }
}

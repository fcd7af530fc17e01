//! The end of a process on its way to the engine: judged by its output where the unit says so.
//!
//! What a judged process wrote goes to whoever asked for it, with the answer. In the log it stands only when it failed:
//! every good test of a thousand units would bury it.

use std::rc::Rc;

use crate::engine::{Event, Role, UnitId, Verdict};
use crate::model::process::Ending;
use crate::model::unit::Program;
use crate::model::{ExitStatus, Pid, Signal, SpawnError, Unit};

use super::Init;
use super::capture::Output;
use super::judge::{Heard, judge};
use super::{launch, unfinished};

/// The longest line of a complaint in the log; who asked is told all of it.
const LOGGED_LINE: usize = 500;

impl Init {
    /// An end with what its cgroup knows of it.
    pub(super) fn with_cause(&self, unit: UnitId, role: Role, status: ExitStatus) -> ExitStatus {
        let is_killed = status.ending() == Ending::Signal(Signal::KILL);
        let is_short = is_killed && role == Role::Main && self.cgroups.is_short_of_memory(unit);
        if is_short { status.for_want_of_memory() } else { status }
    }

    /// A command that creates something is about to run: that is noted until it has ended well.
    pub(super) fn note_what_it_creates(
        &mut self,
        id: UnitId,
        unit: &Unit,
        program: &Program,
        role: Role,
    ) -> Result<(), SpawnError> {
        let Some(creates) = unfinished::creation(program, role) else { return Ok(()) };
        let environment = self.launcher.unit_environment(unit, &program.process)?;
        let path = launch::settle(creates, &environment, "creates")?;
        if self.unfinished.has(&path) {
            let name = &unit.name;
            self.say(&format!(
                "{name}: {role} has not ended well before, so it runs again whether '{path}' is there or not"
            ));
        }
        self.unfinished.begins(id, path);
        Ok(())
    }

    /// Whoever looks for why a directory is half made finds it here.
    fn note_what_it_has_left(&mut self, id: UnitId, role: Role, status: ExitStatus) {
        if unfinished::prepares(role)
            && let Some(path) = self.unfinished.ended(id, status.is_success())
        {
            let name = self.engine.unit(id).unit().map(|unit| unit.name.to_string()).unwrap_or_default();
            self.say(&format!("{name}: {role} has left '{path}' and did not end well: it is only half made"));
        }
    }

    /// What the end of a unit's process is to the engine.
    pub(super) fn ended_as(&mut self, unit: UnitId, role: Role, pid: Pid, status: ExitStatus) -> Event {
        self.note_what_it_has_left(unit, role, status);
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

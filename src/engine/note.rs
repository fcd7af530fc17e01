//! What is to be told of a unit beside its changes: what is passed over must not go unseen.

use std::time::Duration;

use crate::model::time::Spoken;

use super::Engine;
use super::effect::Effect;
use super::event::UnitId;
use super::failure::Failure;
use super::state::{State, StopStage};

/// Something that happened to a unit and did not stop what it was at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A hook failed, and is passed over; or the stop command, and the stop signals follow.
    HookFailed(Failure),
    /// It has not ended by itself in this time, and was sent KILL.
    Killed {
        /// Since it was asked to.
        after: Duration,
    },
    /// It was sent KILL and is still there: the kernel holds it. Nobody waits for it any longer.
    Outlived,
}

impl Note {
    /// The note as a clause without its subject: `did not stop in 10 s: killed`.
    /// `name` gives the name of a unit.
    pub fn describe(&self, name: &dyn Fn(UnitId) -> String) -> String {
        match self {
            Note::HookFailed(failure) => format!("{}; passed over", failure.describe(name)),
            Note::Killed { after } => format!("did not stop in {}: killed", Spoken(*after)),
            Note::Outlived => {
                "was killed and has not ended: the kernel holds it, and nobody waits for it any longer"
                    .to_owned()
            }
        }
    }
}

impl Engine {
    pub(super) fn note(&mut self, unit: UnitId, note: Note) {
        self.do_this(Effect::Note { unit, note });
    }

    /// A hook failed that nothing depends on.
    pub(super) fn pass_over(&mut self, unit: UnitId, failure: Failure) {
        let now = self.now;
        self.notes.entry(unit).or_default().passed_over = Some((now, failure.clone()));
        self.note(unit, Note::HookFailed(failure));
    }

    /// A unit that was asked to stop had its time, and is sent KILL now.
    pub(super) fn note_kill(&mut self, unit: UnitId) {
        let cell = self.cell(unit);
        let after = self.now.since(cell.since);
        let was_asked = |stage| match stage {
            StopStage::Command | StopStage::CommandKilled | StopStage::Settling => true,
            StopStage::Step(_) | StopStage::Unhurried => true,
            StopStage::Inspecting | StopStage::Spawning | StopStage::HookKilled => false,
        };
        if matches!(cell.state, State::Stopping { stage, .. } if was_asked(stage)) {
            self.note(unit, Note::Killed { after });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Role;
    use crate::model::ExitStatus;

    #[test]
    fn every_note_is_a_clause() {
        let status = ExitStatus::exited(3);
        let failed = Failure::Exited { role: Role::PostStop(0), status, before_ready: false };
        let cases = [
            (Note::HookFailed(failed), "post-stop hook 1 exited with code 3; passed over"),
            (Note::Killed { after: Duration::from_secs(10) }, "did not stop in 10 s: killed"),
            (
                Note::Outlived,
                "was killed and has not ended: the kernel holds it, and nobody waits for it any longer",
            ),
        ];
        for (note, words) in cases {
            assert_eq!(note.describe(&|_| String::new()), words);
        }
    }
}

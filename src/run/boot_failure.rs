//! The boot of a machine, watched until everything has settled, and what is done when it fails.
//!
//! ```text
//!   Going ──▶ everything that starts at boot has settled ─────────────────────────────▶ Up
//!     └─▶ an essential unit failed, or the deadline has passed ─▶ Failed ─▶ a summary, and the answer of [boot]
//!           rescue: the unit `rescue`     reboot: `boot-failed` counts ─▶ another boot, or `rescue`     hold     poweroff
//! ```
//!
//! What touches a disk is a unit: PID 1 looks at what became of it.

use std::time::Duration;

use crate::engine::{Dependents, Event, Phase, Request, Shutdown, UnitId, Wanted};
use crate::machine::chores::SUMMARY;
use crate::machine::units::{BOOT_DONE, BOOT_FAILED, CONSOLE, RESCUE};
use crate::model::machine::OnBootFailure;
use crate::model::time::Spoken;
use crate::model::{Moment, UnitName};

use super::Init;
use super::event_loop::give_back;
use super::requests::Pending;

/// Lines of a summary: as much as a console shows.
const MOST_LINES: usize = 18;

/// How far the boot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Boot {
    /// Units are on their way; all before this place have settled.
    Going { settled: usize, by: Option<Moment> },
    /// The rescue shell was asked for, and what would have started waits for its end.
    Asked { then: Vec<UnitName> },
    /// Everything has settled.
    Up,
    /// It has failed, and was answered.
    Failed,
}

impl Boot {
    /// A boot that has just begun.
    pub(super) fn new(now: Moment, timeout: Option<Duration>) -> Boot {
        Boot::Going { settled: 0, by: timeout.map(|timeout| now + timeout) }
    }
}

/// Is a unit in this phase on its way up?
fn is_on_its_way(phase: Phase) -> bool {
    use Phase::{Backoff, Deferred, PostStarting, Preparing, Starting, Waiting};
    matches!(phase, Waiting | Preparing | Deferred | Starting | PostStarting | Backoff)
}

impl Init {
    /// When the boot has to be looked at again though nothing happens.
    pub(super) fn boot_deadline(&self) -> Option<Moment> {
        match self.machine.as_ref()?.boot {
            Boot::Going { by, .. } => by,
            Boot::Asked { .. } | Boot::Up | Boot::Failed => None,
        }
    }

    /// Looks whether the boot is through. Each unit is passed once.
    pub(super) fn look_at_boot(&mut self) {
        let Some(machine) = &mut self.machine else { return };
        let Boot::Going { settled, by } = &mut machine.boot else { return };
        let (engine, mut at) = (&self.engine, *settled);
        let all = engine.len();
        while at < all && !is_on_its_way(engine.unit(UnitId::from_index(at)).phase()) {
            at += 1;
        }
        *settled = at;
        let by = *by;
        if engine.is_shutting_down() {
            machine.boot = Boot::Up;
        } else if at >= all {
            machine.boot = Boot::Up;
            give_back();
            let took = self.now.since(self.started);
            self.say(&format!("the boot is through after {}", Spoken(took)));
            if self.settings.boot.on_failure == OnBootFailure::Reboot {
                self.start_own(BOOT_DONE);
            }
        } else if by.is_some_and(|by| by <= self.now) {
            let timeout = self.settings.boot.timeout.unwrap_or_default();
            self.boot_failed(&format!("not everything had settled after {}", Spoken(timeout)));
        }
    }

    /// An essential unit ended for good. One that ended well was what the machine was there for.
    pub(super) fn essential_ended(&mut self, unit: UnitId, code: u8) {
        let name = self.engine.unit(unit).name().to_owned();
        if code == 0 {
            return self.shut_down(Shutdown::Exit, &format!("the essential unit {name} has ended"));
        }
        self.boot_failed(&format!("the essential unit {name} has failed"));
    }

    /// Says what went wrong, once, and does what the settings say.
    fn boot_failed(&mut self, what: &str) {
        let Some(machine) = self.machine.as_mut().filter(|machine| machine.boot != Boot::Failed) else {
            return;
        };
        let phase = if machine.boot == Boot::Up { "The machine" } else { "The boot" };
        machine.boot = Boot::Failed;
        let mut lines = vec![format!("{phase} has failed: {what}.")];
        lines.extend(self.what_failed());
        lines.iter().for_each(|line| self.say(line));
        // A file system without a disk; where it is missing, the shell says less.
        let _ = std::fs::write(self.run_directory.join(SUMMARY), lines.join("\n") + "\n");
        match self.settings.boot.on_failure {
            OnBootFailure::Hold => self.say("[boot] on-failure is \"hold\": what runs is left to run"),
            OnBootFailure::PowerOff => self.shut_down(Shutdown::PowerOff, "the boot has failed"),
            OnBootFailure::Reboot => self.start_own(BOOT_FAILED),
            OnBootFailure::Rescue => self.start_rescue(),
        }
    }

    /// A line for each unit that failed or is not through, with why.
    fn what_failed(&self) -> Vec<String> {
        let name_of = |unit: UnitId| self.engine.unit(unit).name().to_owned();
        let mut lines: Vec<String> = Vec::new();
        for unit in self.engine.ids() {
            let view = self.engine.unit(unit);
            let is_late = is_on_its_way(view.phase()) && view.wanted() == Wanted::Up;
            if view.phase() == Phase::Failed || is_late {
                let why = view.failure().map(|failure| failure.describe(&|unit| name_of(unit).to_string()));
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                lines.push(format!("  {} is {}{why}", view.name(), view.phase().as_str()));
            }
        }
        let more = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
        lines
    }

    /// The console is for the shell alone.
    fn start_rescue(&mut self) {
        if let Some(console) = self.engine.find(CONSOLE) {
            let id = self.requests.open(Pending::own());
            let request = Request::Stop { units: vec![console], dependents: Dependents::Stop };
            self.events.push_back(Event::Requested { id, request });
        }
        self.start_own(RESCUE);
    }

    fn start_own(&mut self, name: &str) {
        let Some(unit) = self.engine.find(name) else { return };
        let id = self.requests.open(Pending::own());
        self.events.push_back(Event::Requested { id, request: Request::Start { units: vec![unit] } });
    }

    /// What became of the units that are started for a failed boot, and of the shell that was asked for.
    pub(super) fn notice(&mut self, unit: UnitId, to: Phase) {
        if self.machine.is_none() || self.engine.is_shutting_down() {
            return;
        }
        match (self.engine.unit(unit).name(), to) {
            (BOOT_FAILED, Phase::Done) => self.shut_down(Shutdown::Reboot, "the boot has failed"),
            (BOOT_FAILED, Phase::Failed) => self.start_rescue(),
            (RESCUE, Phase::Stopped) => self.rescue_ended(),
            (RESCUE, Phase::Failed) => self.rescue_failed(),
            _ => {}
        }
    }

    /// A machine that started again because nobody could see what is wrong would do so for ever.
    fn rescue_failed(&mut self) {
        let is_asked =
            self.machine.as_ref().is_some_and(|machine| matches!(machine.boot, Boot::Asked { .. }));
        if is_asked {
            return self.rescue_ended();
        }
        self.say("there is no rescue shell to be had; what runs is left to run");
    }

    fn rescue_ended(&mut self) {
        let Some(machine) = &mut self.machine else { return };
        match std::mem::replace(&mut machine.boot, Boot::Failed) {
            Boot::Asked { then } => {
                machine.boot = Boot::new(self.now, self.settings.boot.timeout);
                self.say("the rescue shell has ended; the boot goes on");
                self.start_at_boot(&then);
            }
            Boot::Failed => self.shut_down(Shutdown::Reboot, "the rescue shell has ended"),
            // Somebody started the unit by hand.
            other => machine.boot = other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_may_still_become_ready_is_waited_for() {
        assert!(is_on_its_way(Phase::Waiting) && is_on_its_way(Phase::Backoff));
        for settled in [Phase::Ready, Phase::Done, Phase::Skipped, Phase::Failed, Phase::Stopped] {
            assert!(!is_on_its_way(settled), "{settled:?}");
        }
    }

    #[test]
    fn a_boot_without_a_deadline_is_waited_for_as_long_as_it_takes() {
        assert_eq!(Boot::new(Moment::default(), None), Boot::Going { settled: 0, by: None });
    }
}

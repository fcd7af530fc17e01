//! What the init of a machine knows beside its units: the kernel's command line, whether the boot is through, and by when
//! a shutdown has to be over.
//!
//! ```text
//!   Machine::new ─▶ start ─▶ everything settled ─▶ Up
//!                     └─▶ an essential unit failed, or `[boot] timeout` passed ─▶ boot_failure.rs
//! ```

use std::time::Duration;

use crate::engine::Shutdown;
use crate::machine::early::Early;
use crate::machine::ending::{Extent, Plan, RESERVE};
use crate::machine::units;
use crate::model::kernel_line::KernelLine;
use crate::model::{Moment, UnitName};
use crate::sys::process::MachineEnd;
use crate::unitfile::Loaded;

use super::Init;
use super::boot_failure::Boot;
use super::ending::Ending;
use super::place::Place;

/// A second Ctrl-Alt-Del that comes so soon after the first wants no order any more.
const AT_ONCE: Duration = Duration::from_secs(2);

/// The init of a machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the kernel was started with.
    pub line: KernelLine,
    /// How far the boot is.
    pub(super) boot: Boot,
    /// When a shutdown was ordered.
    pub ordered: Option<Moment>,
    /// When Ctrl-Alt-Del was last pressed.
    pressed: Option<Moment>,
}

impl Machine {
    /// The command line has the last word over what the files say.
    pub fn new(early: Early, loaded: &mut Loaded, now: Moment) -> Machine {
        let Early { line, .. } = early;
        if let Some(to) = line.log {
            loaded.settings.log.to = to;
        }
        let name = |name: &&str| UnitName::parse(name).ok();
        if !line.start.is_empty() {
            loaded.start = units::START.iter().filter_map(name).chain(line.start.iter().cloned()).collect();
        }
        let mut boot = Boot::new(now, loaded.settings.boot.timeout);
        if line.rescue {
            let rescue = [units::RESCUE].iter().filter_map(name).collect();
            boot = Boot::Asked { then: std::mem::replace(&mut loaded.start, rescue) };
        }
        Machine { line, boot, ordered: None, pressed: None }
    }
}

/// What the units may take of the time of a whole shutdown: a machine has more to do after them.
pub fn time_for_units(place: Place, whole: Duration) -> Duration {
    match place {
        Place::Child | Place::Container => whole,
        Place::Machine => whole.saturating_sub(RESERVE.min(whole / 3)),
    }
}

impl Init {
    /// A shutdown was ordered; the first order counts.
    pub(super) fn note_order(&mut self) {
        let now = self.now;
        if let Some(machine) = &mut self.machine {
            machine.ordered.get_or_insert(now);
        }
        self.leave_to_watchdog(self.end_by());
    }

    /// By when a shutdown has to be over.
    pub(super) fn end_by(&self) -> Moment {
        let ordered = self.machine.as_ref().and_then(|machine| machine.ordered).unwrap_or(self.now);
        ordered + self.settings.shutdown_timeout
    }

    /// Ctrl-Alt-Del reaches the init of a machine as a signal. The second one at once ends it, written and no more.
    pub(super) fn press_ctrl_alt_del(&mut self, because: &str) {
        let now = self.now;
        let before = self.machine.as_mut().and_then(|machine| machine.pressed.replace(now));
        if before.is_some_and(|before| now.since(before) <= AT_ONCE) {
            self.say(&format!("rebooting at once: {because}, twice"));
            let plan = Plan { how: MachineEnd::Reboot, by: now + RESERVE, extent: Extent::SyncOnly };
            self.ending = Some(Ending::Machine(plan));
            self.farewell = Some(now);
        } else {
            self.shut_down(Shutdown::Reboot, because);
        }
    }

    /// Does somebody want to hear of every small step?
    pub(super) fn is_debugged(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.line.debug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_keeps_time_back_for_what_comes_after_the_units() {
        let seconds = Duration::from_secs;
        assert_eq!(time_for_units(Place::Machine, seconds(90)), seconds(70));
        assert_eq!(time_for_units(Place::Machine, seconds(9)), seconds(6));
        assert_eq!(time_for_units(Place::Container, seconds(90)), seconds(90));
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        let machine = |text: &str| {
            let mut loaded = Loaded { start: vec![UnitName::parse("web").unwrap()], ..Loaded::default() };
            Machine::new(
                Early { line: KernelLine::parse(text), problems: Vec::new() },
                &mut loaded,
                Moment::default(),
            );
            loaded.start.iter().map(UnitName::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(machine("quiet"), "web");
        assert_eq!(machine("sexton.start=db"), format!("{} db", units::START.join(" ")));
        assert_eq!(machine("sexton.start=db sexton.rescue"), "rescue");
    }
}

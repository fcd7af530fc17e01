//! How sexton ends: a process exits, a machine is switched off.

use crate::engine::Shutdown;
use crate::machine::ending::{Extent, Plan};
use crate::model::Moment;
use crate::sys::process::MachineEnd;

use super::place::Place;

/// What is left to do when the loop is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Leave `main` with this status.
    Exit(u8),
    /// `reboot(2)`: an init that exits is a kernel panic, so even a plain end switches a machine off.
    Machine(Plan),
}

/// What the end of the loop means in a place; of a machine, what is to be over by then.
pub fn ending(how: Shutdown, code: u8, place: Place, by: Moment) -> Ending {
    let how = match (place, how) {
        (Place::Child | Place::Container, _) => return Ending::Exit(code),
        (Place::Machine, Shutdown::Exit | Shutdown::PowerOff) => MachineEnd::PowerOff,
        (Place::Machine, Shutdown::Reboot) => MachineEnd::Reboot,
        (Place::Machine, Shutdown::Halt) => MachineEnd::Halt,
        (Place::Machine, Shutdown::Kexec) => MachineEnd::Kexec,
    };
    Ending::Machine(Plan { how, by, extent: Extent::Whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_init_of_a_machine_never_exits() {
        let now = Moment::default();
        for how in [Shutdown::Exit, Shutdown::PowerOff, Shutdown::Reboot, Shutdown::Halt, Shutdown::Kexec] {
            assert!(matches!(ending(how, 0, Place::Machine, now), Ending::Machine(_)), "{how:?}");
            assert_eq!(ending(how, 3, Place::Container, now), Ending::Exit(3));
            assert_eq!(ending(how, 3, Place::Child, now), Ending::Exit(3));
        }
        let off = Plan { how: MachineEnd::PowerOff, by: now, extent: Extent::Whole };
        assert_eq!(ending(Shutdown::Exit, 0, Place::Machine, now), Ending::Machine(off));
    }
}

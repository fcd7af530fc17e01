//! How sexton ends: a process exits, a machine is switched off.

use crate::engine::Shutdown;
use crate::sys::process::MachineEnd;

use super::place::Place;

/// What is left to do when the loop is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Leave `main` with this status.
    Exit(u8),
    /// `reboot(2)`: an init that exits is a kernel panic, so even a plain end switches a machine off.
    Machine(MachineEnd),
}

/// What the end of the loop means in a place.
pub fn ending(how: Shutdown, code: u8, place: Place) -> Ending {
    match (place, how) {
        (Place::Child | Place::Container, _) => Ending::Exit(code),
        (Place::Machine, Shutdown::Exit | Shutdown::PowerOff) => Ending::Machine(MachineEnd::PowerOff),
        (Place::Machine, Shutdown::Reboot) => Ending::Machine(MachineEnd::Reboot),
        (Place::Machine, Shutdown::Halt) => Ending::Machine(MachineEnd::Halt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_init_of_a_machine_never_exits() {
        for how in [Shutdown::Exit, Shutdown::PowerOff, Shutdown::Reboot, Shutdown::Halt] {
            assert!(matches!(ending(how, 0, Place::Machine), Ending::Machine(_)), "{how:?}");
            assert_eq!(ending(how, 3, Place::Container), Ending::Exit(3));
            assert_eq!(ending(how, 3, Place::Child), Ending::Exit(3));
        }
        assert_eq!(ending(Shutdown::Exit, 0, Place::Machine), Ending::Machine(MachineEnd::PowerOff));
    }
}

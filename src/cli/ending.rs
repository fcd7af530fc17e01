//! `poweroff`, `reboot`, `halt`, `kexec`: asking for the end, in order, in haste, or past everybody.
//!
//! | | units | file systems |
//! | --- | --- | --- |
//! | | stop in order | unmounted |
//! | `--force` | are killed | unmounted |
//! | `--force --force` | nobody asks | written, and no more; no init is needed |

use std::path::Path;
use std::time::Duration;

use crate::control::method::ShutdownKind;
use crate::machine::firmware;
use crate::sys::clock;
use crate::sys::process::{self, MachineEnd};
use crate::sys::worker;

use super::args::EndArgs;
use super::commands::Talk;
use super::{Exit, Global, Screen, Trouble};

/// How long disks may take to be written before they are given up.
const SYNC: Duration = Duration::from_secs(10);

/// Asks for the end, or makes it.
pub(super) fn end(
    global: &Global,
    screen: &mut Screen<'_>,
    how: ShutdownKind,
    args: &EndArgs,
    into_firmware: bool,
) -> Result<Exit, Trouble> {
    let loaded = || std::fs::read_to_string("/sys/kernel/kexec_loaded").is_ok_and(|text| text.trim() == "1");
    if how == ShutdownKind::Kexec && !loaded() {
        return Err(Trouble::Words("no kernel is loaded to go over to: `kexec -l` loads one".to_owned()));
    }
    if into_firmware {
        firmware::ask_for_setup(Path::new(firmware::VARIABLES))
            .map_err(|error| Trouble::Words(format!("cannot ask for the firmware's setup: {error}")))?;
    }
    if args.force >= 2 {
        return Err(at_once(how));
    }
    let mut talk = Talk::connect(global, screen)?;
    let first = talk.shutdown(how)?;
    if args.force == 1 && first == Exit::Done {
        // Whoever asks again wants it at once. An init that is gone by then has done it.
        return Talk::connect(global, screen).map_or(Ok(first), |mut talk| talk.shutdown(how));
    }
    Ok(first)
}

/// Ends the machine without its init.
fn at_once(how: ShutdownKind) -> Trouble {
    let synced = worker::start(|| {
        process::sync_disks();
        0
    });
    // A disk that hangs is what this is there for.
    let _ = synced.map(|worker| worker.wait_until(clock::now() + SYNC));
    let how = match how {
        ShutdownKind::Exit | ShutdownKind::PowerOff => MachineEnd::PowerOff,
        ShutdownKind::Reboot => MachineEnd::Reboot,
        ShutdownKind::Halt => MachineEnd::Halt,
        ShutdownKind::Kexec => MachineEnd::Kexec,
    };
    Trouble::Words(format!("cannot end the machine: {}", process::end_machine(how)))
}

//! The end of a machine, once everybody is gone: swap off, file systems away, devices let go, all written, reboot(2).
//!
//! ```text
//!   seed, time ─▶ swap ─▶ unmount, again while it helps ─▶ read-only ─▶ lazily ─▶ loop and device-mapper devices ─▶ sync ─▶ reboot(2)
//!    each step in a copy of PID 1 with a bound (`sys/worker`); what hangs is given up, told, and left behind
//! ```
//!
//! PID 1 itself touches no disk here. All bounds together fit into what is left of the whole deadline.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags};

use super::console::Console;
use super::early::words;
use super::mount_table::{self, Mount};
use super::{state, text};
use crate::model::time::Spoken;
use crate::model::{Moment, Signal};
use crate::sys::process::{self, MachineEnd};
use crate::sys::{clock, kill, machine, worker};

/// What is kept back of a shutdown's time for what comes after the units. Each step takes a part of it.
pub const RESERVE: Duration = Duration::from_secs(20);

/// The least that a step gets, however late it is: a disk that works needs less.
const LEAST: Duration = Duration::from_secs(1);

/// How often unmounting is begun anew: what lies on another mount, or on a device that another one holds, goes later.
const ROUNDS: u32 = 8;

/// What a single mount may take; one that hangs must not keep the others.
const ONE_MOUNT: Duration = Duration::from_secs(3);

/// How the end is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What comes last.
    pub how: MachineEnd,
    /// By when all is to be over.
    pub by: Moment,
    /// How much of it is done.
    pub extent: Extent,
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every step.
    Whole,
    /// What is in memory is written, and nothing else.
    SyncOnly,
}

struct Step {
    name: &'static str,
    /// Its part of the reserve, in twentieths.
    part: u32,
    act: fn(Moment, &mut Console) -> Counted,
}

/// How many were done, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    done: u32,
    left: u32,
}

const STEPS: [Step; 7] = [
    Step { name: "keep seed and time", part: 1, act: keep },
    Step { name: "swap off", part: 2, act: swaps_off },
    Step { name: "unmount", part: 7, act: unmount },
    Step { name: "read-only", part: 3, act: make_read_only },
    Step { name: "unmount lazily", part: 2, act: unmount_lazily },
    Step { name: "detach devices", part: 2, act: detach },
    Step { name: "sync", part: 3, act: sync },
];

/// Does all of it and ends the machine. Where even that fails it answers why.
pub fn end(plan: Plan) -> std::io::Error {
    let begun = clock::now();
    let mut console = Console::open();
    if plan.extent == Extent::Whole {
        // The logger has written out what it had; nobody else may hold a file now.
        let _ = kill::everybody(Signal::KILL, &[]); // Nobody left is what is hoped for.
        let _ = machine::stay_in_memory(); // Where it is not allowed, a dead disk may keep the last steps.
    }
    for step in STEPS.iter().filter(|step| plan.extent == Extent::Whole || step.name == "sync") {
        run(step, plan.by, &mut console);
    }
    console.say(&format!("the end took {}; {}", Spoken(clock::now().since(begun)), last_words(plan.how)));
    process::end_machine(plan.how)
}

fn last_words(how: MachineEnd) -> &'static str {
    match how {
        MachineEnd::PowerOff => "powering off",
        MachineEnd::Reboot => "rebooting",
        MachineEnd::Halt => "halting",
        MachineEnd::Kexec => "starting the kernel that was loaded",
    }
}

/// A step in a copy of its own; its time is told, and whether it was given up.
fn run(step: &Step, by: Moment, console: &mut Console) {
    let begun = clock::now();
    let share = RESERVE.saturating_mul(step.part) / 20;
    let left = by.since(begun).saturating_mul(step.part) / 10;
    let until = begun + share.min(left).max(LEAST);
    let worker = worker::start(|| {
        let mut console = Console::open();
        let counted = (step.act)(until, &mut console);
        if counted != Counted::default() {
            let undone =
                if counted.left > 0 { format!(", {} could not", counted.left) } else { String::new() };
            let time = Spoken(clock::now().since(begun));
            console.say(&format!("{}: {} done{undone}, {time}", step.name, counted.done));
        }
        0
    });
    match worker.map(|worker| worker.wait_until(until)) {
        Ok(Some(_)) => {}
        Ok(None) => {
            console.say(&format!("{}: given up after {}", step.name, Spoken(clock::now().since(begun))))
        }
        Err(error) => console.say(&format!("{}: cannot begin: {}", step.name, words(&error))),
    }
}

/// One act that may hang, in a copy of its own.
fn bounded(until: Moment, limit: Duration, act: impl FnOnce() -> u8) -> bool {
    let until = until.min(clock::now() + limit);
    let ended = worker::start(act).ok().and_then(|worker| worker.wait_until(until));
    ended.is_some_and(|status| status.as_exit_code() == 0)
}

/// What the next boot wants to know.
fn keep(_: Moment, _: &mut Console) -> Counted {
    // A machine whose disk cannot be written keeps nothing, and its next boot says nothing of it.
    let _ = state::keep_time();
    let _ = state::keep_seed();
    Counted::default()
}

fn swaps_off(_: Moment, console: &mut Console) -> Counted {
    let mut counted = Counted::default();
    let table = text::read(Path::new("/proc/swaps")).unwrap_or_default();
    for area in swap_areas(&table) {
        match machine::swap_off(Path::new(&area)) {
            Ok(()) => counted.done += 1,
            Err(error) => {
                counted.left += 1;
                console.say(&format!("cannot take the swap area '{area}' out of use: {}", words(&error)));
            }
        }
    }
    counted
}

/// The paths in `/proc/swaps`.
fn swap_areas(table: &str) -> Vec<String> {
    let areas = table.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    areas.map(mount_table::unescape).collect()
}

/// What has to go, the last one first: those on the others come before them.
fn to_unmount(mounts: Vec<Mount>) -> Vec<Mount> {
    let kernels = ["/proc", "/sys", "/dev", "/run"];
    let is_kernels = |target: &str| {
        kernels
            .iter()
            .any(|own| target.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let goes = |mount: &Mount| mount.target != "/" && !(mount.is_virtual() && is_kernels(&mount.target));
    let mut goes: Vec<Mount> = mounts.into_iter().filter(goes).collect();
    goes.reverse();
    goes
}

fn unmount(until: Moment, console: &mut Console) -> Counted {
    let mut counted = Counted::default();
    let mut hung: Vec<String> = Vec::new();
    for _ in 0..ROUNDS {
        let mut goes = to_unmount(mount_table::read());
        goes.retain(|mount| !hung.contains(&mount.target));
        let before = counted.done;
        for mount in &goes {
            let begun = clock::now();
            let target = mount.target.as_str();
            if bounded(until, ONE_MOUNT, || {
                u8::from(nix::mount::umount2(target, MntFlags::UMOUNT_NOFOLLOW).is_err())
            }) {
                counted.done += 1;
            } else if clock::now().since(begun) >= ONE_MOUNT {
                hung.push(mount.target.clone());
            }
        }
        if goes.is_empty() || counted.done == before || until <= clock::now() {
            break;
        }
        let _ = detach(until, console); // What a loop device held may be free to go now.
    }
    counted.left = u32::try_from(to_unmount(mount_table::read()).len()).unwrap_or(u32::MAX);
    counted
}

fn make_read_only(until: Moment, console: &mut Console) -> Counted {
    let mut counted = Counted::default();
    let writable = |mount: &Mount| !mount.is_read_only && !mount.is_virtual();
    let mut mounts: Vec<Mount> = mount_table::read().into_iter().filter(writable).collect();
    mounts.reverse();
    for mount in mounts {
        let target = mount.target.as_str();
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        let act =
            || u8::from(nix::mount::mount(None::<&str>, target, None::<&str>, flags, None::<&str>).is_err());
        if bounded(until, ONE_MOUNT, act) {
            counted.done += 1;
        } else {
            counted.left += 1;
            console.say(&format!("cannot make '{target}' read-only"));
        }
    }
    counted
}

fn unmount_lazily(until: Moment, console: &mut Console) -> Counted {
    let mut counted = Counted::default();
    for mount in to_unmount(mount_table::read()) {
        let target = mount.target.as_str();
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        if bounded(until, ONE_MOUNT, || u8::from(nix::mount::umount2(target, flags).is_err())) {
            counted.done += 1;
            console.say(&format!("'{target}' was still in use and is left behind"));
        } else {
            counted.left += 1;
        }
    }
    counted
}

/// Loop devices let go of their files, device-mapper devices of the disks below.
fn detach(until: Moment, console: &mut Console) -> Counted {
    let mut counted = Counted::default();
    let Ok(listing) = fs::read_dir("/sys/block") else { return counted };
    for entry in listing.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (shown, is_gone) = if name.starts_with("loop") && entry.path().join("loop").exists() {
            let gone = bounded(until, ONE_MOUNT, || {
                let device = File::open(Path::new("/dev").join(&name));
                u8::from(device.and_then(|device| machine::detach_loop(&device)).is_err())
            });
            (name, gone)
        } else if name.starts_with("dm-") {
            let mapped = text::read(&entry.path().join("dm/name")).unwrap_or_default().trim().to_owned();
            let gone = bounded(until, ONE_MOUNT, || u8::from(machine::remove_mapping(&mapped).is_err()));
            (mapped, gone)
        } else {
            continue;
        };
        if is_gone {
            counted.done += 1;
            console.say(&format!("detached '{shown}'"));
        } else {
            counted.left += 1;
        }
    }
    counted
}

fn sync(_: Moment, _: &mut Console) -> Counted {
    process::sync_disks();
    Counted { done: 1, left: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(target: &str, kind: &str) -> Mount {
        let text = |text: &str| text.to_owned();
        Mount {
            device: text("0:1"),
            target: text(target),
            kind: text(kind),
            source: text("x"),
            is_read_only: false,
        }
    }

    #[test]
    fn what_was_mounted_last_goes_first_and_the_kernels_own_stays() {
        let mounts = vec![
            mount("/", "ext4"),
            mount("/proc", "proc"),
            mount("/dev", "devtmpfs"),
            mount("/dev/shm", "tmpfs"),
            mount("/srv", "xfs"),
            mount("/srv/x", "nfs"),
            mount("/tmp", "tmpfs"),
            mount("/run/media", "vfat"),
            mount("/device", "tmpfs"),
        ];
        let goes: Vec<String> = to_unmount(mounts).into_iter().map(|mount| mount.target).collect();
        assert_eq!(goes, ["/device", "/run/media", "/tmp", "/srv/x", "/srv"]);
    }

    #[test]
    fn the_parts_of_the_reserve_are_the_whole_of_it() {
        assert_eq!(STEPS.iter().map(|step| step.part).sum::<u32>(), 20);
    }

    #[test]
    fn swap_areas_are_found_in_the_kernels_table() {
        let table = "Filename\tType\tSize\tUsed\tPriority\n/dev/vda2   partition\t1\t0\t-2\n/swap\\040file file 1 0 5\n";
        assert_eq!(swap_areas(table), ["/dev/vda2", "/swap file"]);
        assert_eq!(swap_areas(""), [""; 0]);
    }
}

//! Sending signals: to a process, to a group, to everybody who is left.
//!
//! ```text
//!   as PID 1         kill(-1), which spares only PID 1 itself; a walk over /proc where somebody is to be spared
//!   as a subreaper   the descendants, found in /proc/*/stat, again and again until no new one turns up
//! ```
//!
//! Only PID 1 may say `kill(-1)`: anybody else would hit the whole machine. The walk goes by parent and not by
//! `/proc/*/task/*/children`, which is absent from kernels without `CONFIG_PROC_CHILDREN` and may leave out
//! a child while others come and go.
//!
//! See [kill(2)](https://man7.org/linux/man-pages/man2/kill.2.html).

use std::collections::BTreeSet;
use std::io;

use super::call;
use super::processes::{self, Entry};
use crate::model::{Pid, Signal};

/// How often a walk starts over because new processes turned up. Somebody who forks faster than this dies by
/// the next call.
const ROUNDS: usize = 32;

/// Sends a signal to one process. `ESRCH` when it is gone.
pub fn process(pid: Pid, signal: Signal) -> io::Result<()> {
    send(pid.get(), signal.number())
}

/// Sends a signal to every process of a group. `ESRCH` when nobody is left in it.
#[doc(alias = "killpg")]
pub fn group(group: Pid, signal: Signal) -> io::Result<()> {
    send(-group.get(), signal.number())
}

/// Has any process this number, be it a zombie that nobody has reaped?
pub fn process_exists(pid: Pid) -> bool {
    exists(pid.get())
}

/// Is anybody in this group, be it a zombie that nobody has reaped?
pub fn group_exists(group: Pid) -> bool {
    exists(-group.get())
}

/// Whom [`everybody`] reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Somebody was there; it may have ended since, or be a zombie that nobody has reaped.
    Somebody,
    /// Nobody was there.
    Nobody,
}

/// Sends a signal to everybody who is left but sexton itself and the groups of `spared`; CONT follows it, so that
/// stopped processes can act on it. Nobody left is no error.
pub fn everybody(signal: Signal, spared: &[Pid]) -> io::Result<Reached> {
    let answer = if is_pid_1() && (spared.is_empty() || !processes::are_visible()) {
        broadcast(signal)
    } else {
        walk(signal, spared)
    };
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(Reached::Nobody),
        answer => answer,
    }
}

/// Is anybody left whom [`everybody`] would reach? Zombies are nobody.
pub fn anybody_left(spared: &[Pid]) -> bool {
    match targets(spared) {
        Ok(targets) => !targets.is_empty(),
        // Without /proc there is only the kernel's word, which counts zombies too: PID 1 reaps them first.
        Err(_) => is_pid_1() && exists(-1),
    }
}

fn broadcast(signal: Signal) -> io::Result<Reached> {
    send(-1, signal.number())?;
    if wants_cont(signal) {
        let _ = send(-1, libc::SIGCONT); // All of them ended in between.
    }
    Ok(Reached::Somebody)
}

/// Signals each process once, however often it is seen.
fn walk(signal: Signal, spared: &[Pid]) -> io::Result<Reached> {
    let mut reached = BTreeSet::new();
    for _ in 0..ROUNDS {
        let new: Vec<Pid> = targets(spared)?.into_iter().filter(|pid| reached.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            // It may be gone by now, or be somebody whom we may not signal; the others still get theirs.
            let _ = process(pid, signal);
            if wants_cont(signal) {
                let _ = process(pid, Signal::CONT); // as above
            }
        }
    }
    Ok(if reached.is_empty() { Reached::Nobody } else { Reached::Somebody })
}

/// Whom a walk reaches now: everybody as PID 1, the descendants as anybody else.
fn targets(spared: &[Pid]) -> io::Result<Vec<Pid>> {
    let me = processes::own_pid();
    let all = processes::list()?;
    let descendants = if is_pid_1() { None } else { Some(descendants(&all, me)) };
    let wanted = |entry: &&Entry| {
        entry.pid != me
            && !entry.is_zombie()
            && !entry.is_kernel_thread()
            && !spared.contains(&entry.pid)
            && !entry.group.is_some_and(|group| spared.contains(&group))
            && descendants.as_ref().is_none_or(|descendants| descendants.contains(&entry.pid))
    };
    Ok(all.iter().filter(wanted).map(|entry| entry.pid).collect())
}

/// All processes under `root`, itself not.
fn descendants(all: &[Entry], root: Pid) -> BTreeSet<Pid> {
    let mut found = BTreeSet::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let children = all.iter().filter(|entry| entry.parent == Some(parent)).map(|entry| entry.pid);
        parents.extend(children.filter(|pid| found.insert(*pid)));
    }
    found
}

/// A stopped process cannot act on a signal that it may catch. Those that mean an end are followed by CONT; whoever sends
/// another may want it stopped.
pub fn wants_cont(signal: Signal) -> bool {
    matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT | Signal::HUP)
}

fn is_pid_1() -> bool {
    processes::own_pid().get() == 1
}

fn exists(which: libc::pid_t) -> bool {
    match send(which, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

/// The only caller of `kill(2)`.
fn send(which: libc::pid_t, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    call::retry(|| unsafe { libc::kill(which, signal) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_through_every_generation_and_strangers_are_not() {
        let pid = |number| Pid::new(number).unwrap();
        let entry = |number, parent| Entry::of(pid(number), Pid::new(parent));
        let all = [entry(10, 1), entry(20, 10), entry(15, 20), entry(30, 15), entry(40, 1), entry(41, 40)];
        assert_eq!(descendants(&all, pid(10)), BTreeSet::from([pid(15), pid(20), pid(30)]));
        let own_parent = [entry(5, 5), entry(6, 5)];
        assert_eq!(descendants(&own_parent, pid(5)), BTreeSet::from([pid(5), pid(6)]));
    }

    #[test]
    fn stopped_processes_are_woken_to_act_on_a_signal_that_means_an_end_and_on_no_other() {
        assert!(wants_cont(Signal::TERM) && wants_cont(Signal::HUP));
        assert!(!wants_cont(Signal::KILL) && !wants_cont(Signal::STOP));
        assert!(!wants_cont(Signal::parse("TSTP").unwrap()) && !wants_cont(Signal::parse("USR1").unwrap()));
    }
}

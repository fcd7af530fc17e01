//! What bounds a process for good: its capabilities, and that it can gain none.
//!
//! ```text
//!   as root:       bounding set ──▶ what is in it and nothing else      keep over the change of user
//!   as the user:   permitted, effective, inheritable := the set         ambient, so that the exec keeps them
//! ```
//!
//! A child calls this between clone and exec: no allocation, no lock, no panic.
//!
//! See [capabilities(7)](https://man7.org/linux/man-pages/man7/capabilities.7.html).

use std::ffi::{c_int, c_long};

use super::fault::Fault;
use crate::model::ExecStage;
use crate::model::security::{Bound, Capabilities};

/// Version 3 of the kernel's format: two words of 32 capabilities each.
const VERSION_3: u32 = 0x2008_0522;

/// More than these the kernel's format has no room for.
const MOST: u8 = 64;

#[repr(C)]
struct Header {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// While the process may still do all that sexton may. Whoever becomes another user keeps what it has for
/// [`take_up`], whose argument is the answer.
pub(super) fn bound(bound: Bound, changes_user: bool) -> Result<Capabilities, Fault> {
    let permitted = permitted()?;
    let set = bound.needed.and(bound.wanted.within(permitted));
    if let Some(missing) = bound.needed.numbers().find(|number| !permitted.holds(*number)) {
        return Err(fault(libc::EPERM, usize::from(missing) + 1));
    }
    for number in 0..MOST {
        // An error says that there is no such capability, nor a higher one.
        let Ok(bounded) = prctl(libc::PR_CAPBSET_READ, c_long::from(number)) else { break };
        if bounded == 1 && !set.holds(number) {
            prctl(libc::PR_CAPBSET_DROP, c_long::from(number)).map_err(|errno| fault(errno, 0))?;
        }
    }
    if changes_user {
        prctl(libc::PR_SET_KEEPCAPS, 1).map_err(|errno| fault(errno, 0))?;
    }
    Ok(set)
}

/// Once the process is whose it is to be. Root gets what bounds it at the exec, everybody else what is ambient.
pub(super) fn take_up(set: Capabilities, is_root: bool) -> Result<(), Fault> {
    let (low, high) = (set.bits() as u32, (set.bits() >> 32) as u32);
    let words = [low, high].map(|word| Words { effective: word, permitted: word, inheritable: word });
    let header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: a header of version 3 and the two words that belong to it.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) })
        .map_err(|errno| fault(errno, 0))?;
    if is_root {
        return Ok(());
    }
    for number in set.numbers() {
        let (raise, number) = (libc::PR_CAP_AMBIENT_RAISE as c_long, c_long::from(number));
        // SAFETY: no pointers.
        check(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_CAP_AMBIENT, raise, number, 0, 0) })
            .map_err(|errno| fault(errno, number as usize + 1))?;
    }
    Ok(())
}

/// Neither it nor what it starts ever gains anything by an exec.
pub(super) fn no_new_privileges() -> Result<(), Fault> {
    let failed = |errno| Fault { stage: ExecStage::NoNewPrivileges, errno, index: 0 };
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop).map_err(failed)
}

fn permitted() -> Result<Capabilities, Fault> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut words = [Words::default(); 2];
    // SAFETY: a header of version 3 and room for the two words that belong to it.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, words.as_mut_ptr()) })
        .map_err(|errno| fault(errno, 0))?;
    let [low, high] = words;
    Ok(Capabilities::from_bits(u64::from(low.permitted) | u64::from(high.permitted) << 32))
}

/// The index is the number of the capability and one, or nothing.
fn fault(errno: c_int, index: usize) -> Fault {
    Fault { stage: ExecStage::Capabilities, errno, index }
}

fn prctl(option: c_int, argument: c_long) -> Result<c_long, c_int> {
    // SAFETY: none of the options that are used here takes a pointer.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, argument, 0, 0, 0) })
}

fn check(answer: c_long) -> Result<c_long, c_int> {
    if answer == -1 { Err(super::child::errno()) } else { Ok(answer) }
}

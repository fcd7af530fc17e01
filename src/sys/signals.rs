//! Signals: what was inherited, what sexton listens to, and what a child gets back.
//!
//! ```text
//!   entry ──▶ inherited mask and ignored signals     (before anything changes them)
//!   main ──▶ block_all ──▶ SignalFd ──▶ the loop
//!   spawn ──▶ the child restores what was inherited, to the bit, last before exec
//! ```
//!
//! An exec keeps the mask and the ignored signals and resets handlers. So two words of 64 bits hold all that
//! a child can inherit.
//!
//! See [signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html) and
//! [signalfd(2)](https://man7.org/linux/man-pages/man2/signalfd.2.html).

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::call;
use crate::model::{Pid, Signal};

/// A set of signals as the kernel takes it: signal n is bit n - 1. The C library's own type is larger, and
/// its functions refuse the signals that it keeps to itself (32 and 33, with musl 34 too, which is the
/// `SIGRTMIN` that people send).
type Mask = u64;

/// The size that goes with a [`Mask`] in every system call.
const MASK_SIZE: usize = size_of::<Mask>();

/// Signals that a fault of sexton itself raises. Blocked, they would kill it all the same; unblocked, a handler can be
/// given to them.
const FAULTS: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

/// `struct kernel_sigaction`, whose layout is not the C library's: see rt_sigaction in its sources.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Disposition {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: Mask,
}

/// What a child gets for a signal that is to be ignored.
pub(super) const IGNORED: Disposition =
    Disposition { handler: libc::SIG_IGN, flags: 0, restorer: 0, mask: 0 };

static SAVED: AtomicBool = AtomicBool::new(false);
static INHERITED_MASK: AtomicU64 = AtomicU64::new(0);
static INHERITED_IGNORED: AtomicU64 = AtomicU64::new(0);

/// A test has Rust's own `main`, whose runtime ignores SIGPIPE. The C library calls what stands in this section before that.
#[cfg(test)]
#[used]
// SAFETY: the section is an array of functions without a result; the arguments that glibc passes are not looked at, which
// the calling convention allows.
#[unsafe(link_section = ".init_array")]
static SAVE_INHERITED: extern "C" fn() = {
    extern "C" fn save() {
        save_inherited();
    }
    save
};

/// Remembers what sexton was started with. The wrapper does without: sixty-four calls are much of all that it does.
/// The first look counts.
pub(super) fn save_inherited() {
    if SAVED.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut ignored = 0;
    for signal in 1..=64 {
        if is_ignored(signal) {
            ignored |= bit(signal);
        }
    }
    INHERITED_IGNORED.store(ignored, Ordering::Relaxed);
    INHERITED_MASK.store(change_mask(libc::SIG_BLOCK, 0).unwrap_or(0), Ordering::Relaxed);
}

/// What sexton was started with, and what its children are started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    mask: Mask,
    ignored: Mask,
}

/// What sexton was started with.
pub fn inherited() -> Inherited {
    Inherited {
        mask: INHERITED_MASK.load(Ordering::Relaxed),
        ignored: INHERITED_IGNORED.load(Ordering::Relaxed),
    }
}

impl Inherited {
    /// Was this signal blocked?
    pub fn blocks(self, signal: Signal) -> bool {
        self.mask & bit(signal.number()) != 0
    }

    /// Was this signal ignored?
    pub fn ignores(self, signal: Signal) -> bool {
        self.ignored & bit(signal.number()) != 0
    }

    /// The mask, as a system call takes it.
    pub(super) fn mask(self) -> Mask {
        self.mask
    }

    /// The dispositions that a child has to set, because sexton's own differ from what it was started with.
    /// A handler is among them: the child must not run it between the mask and the exec.
    pub(super) fn restored(self) -> Vec<(libc::c_int, Disposition)> {
        let mut restored = Vec::new();
        for signal in 1..=64 {
            let before = if self.ignored & bit(signal) == 0 { libc::SIG_DFL } else { libc::SIG_IGN };
            if disposition(signal).is_some_and(|now| now.handler != before) {
                restored.push((signal, Disposition { handler: before, ..Disposition::default() }));
            }
        }
        restored
    }
}

/// Blocks every signal but those of faults, so that they wait for the [`SignalFd`]. SIGCHLD gets its default
/// back: whoever starts sexton with it ignored would have the kernel throw away how children end.
#[doc(alias = "sigprocmask")]
pub fn block_all() -> io::Result<()> {
    set_disposition(libc::SIGCHLD, &Disposition::default())?;
    change_mask(libc::SIG_SETMASK, listened()).map(drop)
}

/// Every signal but those of faults.
fn listened() -> Mask {
    FAULTS.into_iter().fold(Mask::MAX, |mask, signal| mask & !bit(signal))
}

const fn bit(signal: libc::c_int) -> Mask {
    1 << (signal - 1)
}

/// Blocks all signals of this thread for as long as it lives, then restores the mask that was before.
#[must_use]
pub(super) struct AllBlocked {
    before: Mask,
}

impl AllBlocked {
    pub(super) fn new() -> io::Result<AllBlocked> {
        Ok(AllBlocked { before: change_mask(libc::SIG_SETMASK, Mask::MAX)? })
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // It can only fail for a wrong pointer, and there is none.
        let _ = change_mask(libc::SIG_SETMASK, self.before);
    }
}

/// Answers the mask that was before. With `SIG_BLOCK` and no signal nothing changes.
pub(super) fn change_mask(how: libc::c_int, mask: Mask) -> io::Result<Mask> {
    let mut before: Mask = 0;
    let (new, old) = (&raw const mask, &raw mut before);
    // SAFETY: both point to masks of the size that is given.
    call::once(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new, old, MASK_SIZE) })?;
    Ok(before)
}

/// What happens on a signal now.
fn disposition(signal: libc::c_int) -> Option<Disposition> {
    let mut now = Disposition::default();
    let (new, old) = (std::ptr::null::<Disposition>(), &raw mut now);
    // SAFETY: `old` points to a kernel disposition, null says that nothing is set.
    let answer = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, MASK_SIZE) };
    (answer == 0).then_some(now)
}

/// Is this signal ignored now?
pub(super) fn is_ignored(signal: libc::c_int) -> bool {
    disposition(signal).is_some_and(|now| now.handler == libc::SIG_IGN)
}

pub(super) fn set_disposition(signal: libc::c_int, new: &Disposition) -> io::Result<()> {
    let (new, old) = (std::ptr::from_ref(new), std::ptr::null::<Disposition>());
    // SAFETY: `new` points to a kernel disposition without a handler, null says that the old one is not
    // asked for.
    call::once(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, MASK_SIZE) }).map(drop)
}

/// How many signals one call takes. Mostly one waits, and whoever gets fewer need not ask whether there are more.
pub const SIGNALS_AT_ONCE: usize = 8;

/// The signals that wait, as a descriptor.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// One signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub signal: Signal,
    /// From whom.
    pub sender: Sender,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The kernel: a terminal's keys, a child's end, the machine's power button.
    Kernel,
    /// A process; `None` for one outside our pid namespace.
    Process(Option<Pid>),
}

impl SignalFd {
    /// A descriptor for every signal that [`block_all`] blocks.
    #[doc(alias = "signalfd4")]
    pub fn new() -> io::Result<SignalFd> {
        SignalFd::open(listened())
    }

    /// A descriptor for these signals alone, which are blocked from here on.
    pub fn of(signals: &[Signal]) -> io::Result<SignalFd> {
        let mask = signals.iter().fold(0, |mask, signal| mask | bit(signal.number()));
        change_mask(libc::SIG_BLOCK, mask)?;
        SignalFd::open(mask)
    }

    fn open(mask: Mask) -> io::Result<SignalFd> {
        let (place, flags) = (&raw const mask, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
        // SAFETY: `place` points to a mask of the size that is given; -1 asks for a new descriptor.
        let answer = unsafe { libc::syscall(libc::SYS_signalfd4, -1, place, MASK_SIZE, flags) };
        let fd = call::once(answer)?;
        Ok(SignalFd(call::owned(RawFd::try_from(fd).map_err(|_| call::error(libc::EBADF)))?))
    }

    /// The next signal; `None` when none waits.
    pub fn next(&self) -> io::Result<Option<Arrived>> {
        Ok(self.read::<1>()?.pop())
    }

    /// The next signals, in one call: fewer than [`SIGNALS_AT_ONCE`] are all that wait.
    pub fn next_ones(&self) -> io::Result<Vec<Arrived>> {
        self.read::<SIGNALS_AT_ONCE>()
    }

    fn read<const N: usize>(&self) -> io::Result<Vec<Arrived>> {
        let mut room = [const { MaybeUninit::<libc::signalfd_siginfo>::zeroed() }; N];
        let (fd, size) = (self.0.as_raw_fd(), size_of_val(&room));
        // SAFETY: `room` has place for the `size` bytes that the kernel is told.
        let read = match call::retry(|| unsafe { libc::read(fd, room.as_mut_ptr().cast(), size) }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            answer => answer?.cast_unsigned(),
        };
        let filled = room.iter().take(read / size_of::<libc::signalfd_siginfo>());
        // SAFETY: it is all numbers, for which zero is valid too.
        Ok(filled.filter_map(|info| arrived(unsafe { info.assume_init_ref() })).collect())
    }
}

/// `None` for a number that is no signal's, which the kernel never gives.
fn arrived(info: &libc::signalfd_siginfo) -> Option<Arrived> {
    let number = libc::c_int::try_from(info.ssi_signo).unwrap_or(0);
    // SI_USER, SI_QUEUE and SI_TKILL, the senders that are processes, are not positive.
    let sender = match info.ssi_code {
        code if code > 0 => Sender::Kernel,
        _ => Sender::Process(Pid::new(info.ssi_pid.cast_signed())),
    };
    Signal::from_number(number).map(|signal| Arrived { signal, sender })
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! Starts the one child of a program that has no other, without an allocation and without a copy of anything.
//!
//! ```text
//!   parent ── clone(VM | VFORK) ──────── suspended ─────────▶ reads what the child left in `Shared`
//!                └─▶ child: group or session ▸ terminal ▸ LISTEN_PID ▸ signals ▸ execve along PATH ─▶ the program
//! ```
//!
//! What the service processes of an init need is `spawn`'s; this child gets everything as it is: descriptors, user,
//! directory, limits, and signals as they were before [`sigwait::take_all`](super::sigwait::take_all), to the bit.
//!
//! See [clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html) and
//! [exec(3)](https://man7.org/linux/man-pages/man3/exec.3.html), whose search along `PATH` is the C library's here.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::arguments::Arguments;
use super::digits::Digits;
use super::signals::{Disposition, IGNORED};
use super::sigwait::Before;
use super::terminal::Terminal;
use super::{call, close_on_exec, exec_words, files, process, processes, reap, terminal};
use crate::model::Pid;
use crate::model::spawn::Cause;

/// Room for the child's own frames: a few hundred bytes each in a release, a few thousand where nothing is optimised.
const STACK: usize = 32 << 10;

/// The longest path that the kernel takes, its NUL among it.
const PATH_ROOM: usize = 4096;

/// Where programs are looked for when `PATH` is not set: glibc's answer, which the Debian builds of others give.
const USUAL_PATH: &[u8] = b"/bin:/usr/bin";

/// A script without a `#!` line is for the shell, as `execvp` has it.
const SHELL: &CStr = c"/bin/sh";

/// Where the child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where its parent stands.
    Parents,
    /// It leads a group of its own.
    Group(Foreground),
    /// It leads a session of its own, and has the terminal if nobody else has.
    Session(Option<Terminal>),
}

/// Whose the terminal is from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreground {
    /// It is left to whom it belongs.
    Left,
    /// The child's group gets it.
    Taken(Terminal),
}

/// What is to be started.
#[derive(Debug)]
pub struct Command<'a> {
    /// The arguments of this process; the child's are the last of them.
    pub arguments: &'a mut Arguments,
    /// Where the child's begin: the command, and behind it what it is told.
    pub first: usize,
    /// Where it stands.
    pub place: Place,
    /// What signals do to it.
    pub signals: Before,
}

/// The child that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its number.
    pub pid: Pid,
    /// Why it has no terminal: an error number that is no reason not to run.
    pub no_terminal: Option<i32>,
}

/// Why there is no child.
#[derive(Debug)]
pub enum Refused {
    /// It could not be made.
    Clone(i32),
    /// It could not lead a group or a session.
    Place(i32),
    /// It could not be given the terminal.
    Terminal(i32),
    /// Its signals could not be restored.
    Signals(i32),
    /// The program could not be executed; where the number misleads, the second says it better.
    Exec(i32, Cause),
}

/// Memory that only a child uses, and only until its exec. Untouched pages of it cost nothing; on the parent's stack all of
/// them would be touched.
struct Room {
    taken: AtomicBool,
    stack: UnsafeCell<MaybeUninit<[u8; STACK]>>,
    path: UnsafeCell<[u8; PATH_ROOM]>,
}

// SAFETY: whoever uses what is in it has set `taken`, and nobody else does until it is unset.
unsafe impl Sync for Room {}

static ROOM: Room = Room {
    taken: AtomicBool::new(false),
    stack: UnsafeCell::new(MaybeUninit::uninit()),
    path: UnsafeCell::new([0; PATH_ROOM]),
};

/// What parent and child share. The parent made it; the child alone touches it until it is gone.
struct Shared {
    slots: *mut *const c_char,
    variables: *mut *const c_char,
    /// The places among the variables that tell a program that it was given sockets.
    listen: [Option<usize>; 2],
    listen_text: [u8; 32],
    search: &'static [u8],
    place: Place,
    signals: Before,
    no_terminal: Option<c_int>,
    failed: Option<Refusal>,
}

/// How far the child came: which step, and the error number.
type Refusal = (fn(c_int) -> Refused, c_int);

/// Starts it. When this answers a child, its exec has worked; when it answers an error there is none, and nothing to reap.
pub fn start(command: Command<'_>) -> Result<Started, Refused> {
    let name = command.arguments.get(command.first).unwrap_or_default();
    let search = command.arguments.variable(b"PATH").map_or(USUAL_PATH, CStr::to_bytes);
    let slots = command
        .arguments
        .slots_from(command.first)
        .ok_or(Refused::Exec(libc::ENOENT, Cause::Errno(libc::ENOENT)))?;
    let variables = command.arguments.variable_slots();
    let listen = listen_places(command.arguments);
    let mut shared = Shared {
        slots,
        variables,
        listen,
        listen_text: [0; 32],
        search,
        place: command.place,
        signals: command.signals,
        no_terminal: None,
        failed: None,
    };
    if ROOM.taken.swap(true, Ordering::Acquire) {
        return Err(Refused::Clone(libc::EBUSY));
    }
    let before = listen.map(|place| place.map(|place| (place, read_slot(variables, place))));
    let answer = clone(&mut shared);
    for (place, text) in before.into_iter().flatten() {
        write_slot(variables, place, text);
    }
    ROOM.taken.store(false, Ordering::Release);
    let pid = answer.map_err(Refused::Clone)?;
    match shared.failed {
        None => Ok(Started { pid, no_terminal: shared.no_terminal }),
        Some((refused, errno)) => {
            reap::bury(pid);
            Err(explained(refused(errno), name, search))
        }
    }
}

/// The parent is suspended until the child has executed its program or has given up.
fn clone(shared: &mut Shared) -> Result<Pid, c_int> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let top = ROOM.stack.get().cast::<u8>().wrapping_add(STACK);
    // Aligned as every calling convention wants it.
    let top = top.wrapping_sub(top.addr() % 16).cast::<c_void>();
    let argument: *mut Shared = shared;
    // SAFETY: the stack is nobody else's, as `taken` says, and large enough for `main`, which never returns. The argument
    // outlives the child's use of it.
    let answer = call::once(unsafe { libc::clone(main, top, flags, argument.cast()) });
    match answer {
        Ok(pid) => Pid::new(pid).ok_or(libc::ECHILD),
        Err(_) => Err(errno()),
    }
}

/// The kernel's word for a failed exec misleads where it is the interpreter that is not there.
fn explained(refused: Refused, name: &CStr, search: &[u8]) -> Refused {
    let Refused::Exec(errno, _) = refused else { return refused };
    let text = name.to_string_lossy();
    let found = files::find_program(&text, &String::from_utf8_lossy(search), Path::new("."));
    let path = found.ok().and_then(|path| call::c_path(&path).ok());
    Refused::Exec(errno, path.map_or(Cause::Errno(errno), |path| exec_words::explain(&path, None, errno)))
}

/// Where the variables stand that name this process as the one who was given sockets, if it is named.
#[doc(alias = "sd_listen_fds")]
fn listen_places(arguments: &Arguments) -> [Option<usize>; 2] {
    let place = |name: &[u8]| {
        let mut all = arguments.variables();
        all.find(|(_, text)| text.to_bytes().strip_prefix(name).is_some()).map(|(place, _)| place)
    };
    let own = Digits::new(processes::own_pid().get());
    match arguments.variable(b"LISTEN_PID") {
        // A newer manager names the process by its descriptor's number too; that of the child is not known beforehand.
        Some(named) if named.to_bytes() == own.as_bytes() => {
            [place(b"LISTEN_PID="), place(b"LISTEN_PIDFDID=")]
        }
        _ => [None, None],
    }
}

fn read_slot(list: *mut *const c_char, place: usize) -> *const c_char {
    // SAFETY: the places were found in this list, which ends behind them.
    let slot = unsafe { list.add(place) };
    // SAFETY: as above.
    unsafe { slot.read() }
}

fn write_slot(list: *mut *const c_char, place: usize, text: *const c_char) {
    // SAFETY: the places were found in this list, which ends behind them.
    let slot = unsafe { list.add(place) };
    // SAFETY: as above; the list is this program's to change.
    unsafe { slot.write(text) };
}

/// The child. `argument` is the [`Shared`] of its parent.
extern "C" fn main(argument: *mut c_void) -> c_int {
    // SAFETY: the parent gave a pointer to a `Shared` that it does not touch until the child has let go of it.
    let shared = unsafe { &mut *argument.cast::<Shared>() };
    shared.failed = run(shared).err();
    // SAFETY: it takes a number; unlike `exit` it runs nothing of the parent's.
    unsafe { libc::_exit(127) }
}

fn run(shared: &mut Shared) -> Result<(), Refusal> {
    match shared.place {
        Place::Parents => {}
        // SAFETY: no pointers; the first 0 is the caller, the second a group of its own.
        Place::Group(_) => check(unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) }, Refused::Place)?,
        // SAFETY: no pointers.
        Place::Session(_) => check(unsafe { libc::syscall(libc::SYS_setsid) }, Refused::Place)?,
    }
    shared.no_terminal = take_terminal(shared.place)?;
    name_child(shared);
    restore_signals(shared.signals)?;
    let errno = execute(shared);
    Err((|errno| Refused::Exec(errno, Cause::Errno(errno)), errno))
}

/// Signals are blocked, so that the terminal does not stop who asks for it from the background.
fn take_terminal(place: Place) -> Result<Option<c_int>, Refusal> {
    let answer = match place {
        Place::Parents | Place::Group(Foreground::Left) => return Ok(None),
        Place::Group(Foreground::Taken(terminal)) => terminal.take(),
        Place::Session(None) => return Ok(Some(libc::ENOTTY)),
        Place::Session(Some(terminal)) => terminal.take_control(),
    };
    match answer {
        Ok(()) => Ok(None),
        // Who leads a session takes the terminal if he can.
        Err(errno) if terminal::is_none(errno) || matches!(place, Place::Session(_)) => Ok(Some(errno)),
        Err(errno) => Err((Refused::Terminal, errno)),
    }
}

/// The program that was given sockets is the child, and not its parent.
fn name_child(shared: &mut Shared) {
    let Shared { listen: [Some(_), _], .. } = shared else { return };
    let number = Digits::new(processes::own_pid().get());
    let text = b"LISTEN_PID=".iter().chain(number.as_bytes());
    // There is room for the name, ten digits, and the NUL behind them.
    for (place, byte) in shared.listen_text.iter_mut().zip(text) {
        *place = *byte;
    }
    for place in shared.listen.into_iter().flatten() {
        write_slot(shared.variables, place, shared.listen_text.as_ptr().cast());
    }
}

/// Dispositions before the mask: a signal that waits meets what it would have met without its parent.
fn restore_signals(before: Before) -> Result<(), Refusal> {
    let size = size_of::<u64>();
    if before.ignored_children {
        let ignored = IGNORED;
        let (new, old) = (&raw const ignored, std::ptr::null::<Disposition>());
        // SAFETY: `new` points to a disposition without a handler; null says that the old one is not asked for.
        let answer = unsafe { libc::syscall(libc::SYS_rt_sigaction, libc::SIGCHLD, new, old, size) };
        check(answer, Refused::Signals)?;
    }
    let (new, old) = (&raw const before.mask, std::ptr::null::<u64>());
    // SAFETY: `new` points to a mask of the size that is given.
    let answer = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, size) };
    check(answer, Refused::Signals)
}

/// Answers only when it did not work: the error number.
fn execute(shared: &Shared) -> c_int {
    let name = read_slot(shared.slots, 0);
    // SAFETY: the first slot is there, as `start` made sure, and a string that ends with NUL.
    let text = unsafe { CStr::from_ptr(name) }.to_bytes();
    if text.is_empty() {
        return libc::ENOENT;
    }
    if text.contains(&b'/') {
        return execute_path(shared, name);
    }
    // SAFETY: `taken` says that the path is this child's.
    let room = unsafe { &mut *ROOM.path.get() };
    let mut last = libc::ENOENT;
    let mut denied = false;
    for directory in shared.search.split(|byte| *byte == b':') {
        let Some(path) = join(room, directory, text) else {
            last = libc::ENAMETOOLONG;
            continue;
        };
        last = execute_path(shared, path);
        match last {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
            errno => return errno,
        }
    }
    if denied { libc::EACCES } else { last }
}

/// Writes `directory/name`, and a NUL behind it; an empty directory is the one where the child stands.
fn join(room: &mut [u8], directory: &[u8], name: &[u8]) -> Option<*const c_char> {
    let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    let mut rest = &mut *room;
    for part in [directory, slash, name, b"\0"] {
        let (place, behind) = rest.split_at_mut_checked(part.len())?;
        place.copy_from_slice(part);
        rest = behind;
    }
    Some(room.as_ptr().cast())
}

fn execute_path(shared: &Shared, path: *const c_char) -> c_int {
    let errno = execve(path, shared.slots, shared.variables);
    if errno != libc::ENOEXEC {
        return errno;
    }
    let before = shared.slots.wrapping_sub(1);
    let kept = [read_slot(before, 0), read_slot(before, 1)];
    write_slot(before, 0, SHELL.as_ptr());
    write_slot(before, 1, path);
    let errno = execve(SHELL.as_ptr(), before, shared.variables);
    for (place, text) in kept.into_iter().enumerate() {
        write_slot(before, place, text);
    }
    errno
}

fn execve(path: *const c_char, arguments: *mut *const c_char, variables: *mut *const c_char) -> c_int {
    // SAFETY: a string that ends with NUL, and two lists of such that end with null.
    unsafe { libc::syscall(libc::SYS_execve, path, arguments, variables) };
    errno()
}

fn check(answer: c_long, refused: fn(c_int) -> Refused) -> Result<(), Refusal> {
    if answer == -1 { Err((refused, errno())) } else { Ok(()) }
}

fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// What the parent has left of its own to do once the child runs: it stands in no directory that somebody may want to unmount,
/// and holds no descriptor but 0 to 2. Nothing else in this program may hold one.
pub fn let_go() {
    // Where even `/` cannot be entered, it stays where it is.
    let _ = process::leave_directory();
    close_on_exec::close_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_joined_as_the_shell_does_and_one_that_is_too_long_is_none() {
        let mut room = [0xff_u8; 16];
        let mut joined = |directory: &[u8], name: &[u8]| {
            join(&mut room, directory, name)?;
            Some(CStr::from_bytes_until_nul(&room).unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(joined(b"/bin", b"ls").unwrap(), "/bin/ls");
        assert_eq!(joined(b"", b"ls").unwrap(), "ls");
        assert_eq!(joined(b"/0123456789", b"abc").unwrap(), "/0123456789/abc");
        assert_eq!(joined(b"/0123456789", b"abcd"), None);
    }
}

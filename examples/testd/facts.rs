//! What a process knows of itself, and the few system calls that no safe wrapper offers.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Whether SIGPIPE was ignored when this program was started. Rust's runtime ignores it before `main`, so it
/// is looked at before that.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_FIRST: extern "C" fn() = look_at_sigpipe;

extern "C" fn look_at_sigpipe() {
    // SAFETY: all zeroes is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action asks only; `action` is a valid place for the answer.
    unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut action) };
    SIGPIPE_WAS_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
}

/// Undoes what the runtime did, so that what is dumped is what was inherited.
pub fn restore_sigpipe() {
    if !SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: the default action is always a valid one.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
}

pub fn ignore(signal: Signal) {
    // SAFETY: ignoring is always a valid action.
    unsafe { libc::signal(signal as i32, libc::SIG_IGN) };
}

/// The default action again: the runtime has a handler of its own for some.
pub fn restore(signal: Signal) {
    // SAFETY: the default action is always a valid one.
    unsafe { libc::signal(signal as i32, libc::SIG_DFL) };
}

/// Dies of a signal by its number: there are more of them than have names.
pub fn die_of(signal: i32) {
    // SAFETY: the default action is always a valid one; a number that is no signal is an error, not a danger.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: as above.
    unsafe { libc::raise(signal) };
}

/// Nanoseconds on the monotonic clock, which all processes share.
pub fn nanoseconds() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the answer, and this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Writes to a descriptor by its number; answers how much was written, 0 on any error.
pub fn write(fd: i32, bytes: &[u8]) -> usize {
    // SAFETY: the pointer and the length are of one slice; an fd that is not open is an error, not a danger.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).unwrap_or(0)
}

/// Waits for one child, whichever.
pub fn reap_one() {
    // SAFETY: a null status is allowed.
    unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
}

/// Ends the process without running anything more of it.
pub fn leave() -> ! {
    // SAFETY: it never returns and touches no memory.
    unsafe { libc::_exit(0) }
}

/// All of it, as one JSON object.
pub fn gather() -> Value {
    let status = fields("/proc/self/status");
    let field = |name: &str| status.get(name).cloned().unwrap_or_default();
    let numbers = |name: &str| -> Vec<u64> {
        field(name).split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .map(|(key, value)| (key.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let here = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
    json!({
        "pid": nix::unistd::getpid().as_raw(),
        "parent": nix::unistd::getppid().as_raw(),
        "group": nix::unistd::getpgrp().as_raw(),
        "session": nix::unistd::getsid(None).map_or(-1, |sid| sid.as_raw()),
        "uids": numbers("Uid"),
        "gids": numbers("Gid"),
        "groups": numbers("Groups"),
        "blocked": field("SigBlk"),
        "ignored": field("SigIgn"),
        "umask": field("Umask"),
        "cpus": field("Cpus_allowed_list"),
        "directory": here,
        "environment": environment,
        "arguments": std::env::args().collect::<Vec<_>>(),
        "descriptors": descriptors(),
        "limits": limits(),
        "terminal": terminal(),
        "niceness": niceness(),
        "ioPriority": io_priority(),
        "oomScoreAdj": fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default().trim(),
    })
}

fn fields(path: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

/// Every open descriptor with what it leads to, but the one that reads the list.
fn descriptors() -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return BTreeMap::new() };
    let names: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    let target = |path: std::path::PathBuf| {
        let leads_to = fs::read_link(&path).ok()?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some((name, leads_to.display().to_string()))
    };
    names.into_iter().filter_map(target).filter(|(_, to)| !to.starts_with("/proc/")).collect()
}

/// `Max open files` → `["1024", "4096"]`, soft and hard.
fn limits() -> BTreeMap<String, [String; 2]> {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = |line: &str| {
        let name = line.get(..26)?.trim().to_owned();
        let mut words = line.get(26..)?.split_whitespace();
        Some((name, [words.next()?.to_owned(), words.next()?.to_owned()]))
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// The device number of its controlling terminal; 0 for none.
fn terminal() -> i64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().nth(4).and_then(|word| word.parse().ok()).unwrap_or(-1)
}

fn niceness() -> i32 {
    // SAFETY: it asks for this process's own niceness and touches no memory.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// As `ioprio_get(2)` gives it: class in the bits from 13 on, level below.
fn io_priority() -> i64 {
    // SAFETY: IOPRIO_WHO_PROCESS (1) of this process (0); it touches no memory.
    unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) }
}

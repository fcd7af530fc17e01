//! Makes a program the PID 1 of new namespaces, with a /proc, a /run and a loopback of its own.
//!
//! ```text
//!   harness ── chamber ──┬── waits, and ends as PID 1 ended (128 + n for a signal)
//!                        └── PID 1: mounts, loopback up, exec PROGRAM
//! ```
//!
//! When the harness dies the chamber is killed with it, and the kernel then kills all that is inside.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::process::exit;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{
    ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, execvp, fork, geteuid, getgid, getuid, setsid,
};

use crate::actions::publish;
use crate::facts::nanoseconds;

type Outcome = Result<(), String>;

/// `[--info FILE] [--stamp FILE] [--etc DIRECTORY] [--tty FILE] [--hold] -- PROGRAM ARGUMENTS`: the first file gets PID 1's number as
/// the outside sees it, the second the monotonic clock's nanoseconds just before PROGRAM; what is in the
/// directory is laid over /etc. PID 1 leads a session, as a
/// container manager would have it, with the terminal of `--tty` as descriptors 0 to 2 and no other. With `--hold` PROGRAM is run when USR1 comes, so that a tracer can be in place.
pub fn enter(words: &[String]) -> Outcome {
    let split = words.iter().position(|word| word == "--").ok_or("chamber wants -- and a program")?;
    let option = |name: &str| {
        let at = words[..split].iter().position(|word| word == name)?;
        words.get(at + 1).cloned()
    };
    let program: Result<Vec<CString>, _> =
        words[split + 1..].iter().map(|word| CString::new(word.as_str())).collect();
    let program = program.map_err(|e| e.to_string())?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("prctl: {e}"))?;
    leave_the_world()?;
    let held = words[..split].iter().any(|word| word == "--hold").then(|| SigSet::from(Signal::SIGUSR1));
    if let Some(held) = held {
        held.thread_block().map_err(|e| format!("hold: {e}"))?;
    }
    // SAFETY: this program has one thread.
    match unsafe { fork() }.map_err(|e| format!("fork: {e}"))? {
        ForkResult::Parent { child } => {
            if let Some(file) = option("--info") {
                publish(&file, &child.to_string())?;
            }
            exit(ending_of(child.as_raw()))
        }
        ForkResult::Child => {
            prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("prctl: {e}"))?;
            furnish(option("--etc").as_deref())?;
            lead_a_session(option("--tty").as_deref())?;
            if let Some(held) = held {
                held.wait().map_err(|e| format!("hold: {e}"))?;
                held.thread_unblock().map_err(|e| format!("hold: {e}"))?;
            }
            let stamp = option("--stamp").map(File::create).transpose().map_err(|e| format!("stamp: {e}"))?;
            let name = program.first().ok_or("chamber wants a program")?;
            if let Some(mut stamp) = stamp {
                // A benchmark whose stamp is empty says so itself.
                let _ = stamp.write_all(nanoseconds().to_string().as_bytes());
            }
            match execvp(name, &program) {
                Ok(never) => match never {},
                Err(errno) => Err(format!("{}: {errno}", name.to_string_lossy())),
            }
        }
    }
}

/// New namespaces; for who is not root a user namespace first, in which he is.
fn leave_the_world() -> Outcome {
    let (uid, gid) = (getuid(), getgid());
    if !geteuid().is_root() {
        unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| format!("a user namespace: {e}"))?;
        let write = |path: &str, text: String| fs::write(path, text).map_err(|e| format!("{path}: {e}"));
        write("/proc/self/setgroups", "deny".to_owned())?;
        write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    let all = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(all).map_err(|e| format!("namespaces: {e}"))
}

fn furnish(etc: Option<&str>) -> Outcome {
    let put = |kind: Option<&str>, at: &str, flags: MsFlags, data: Option<&str>| {
        mount(kind, at, kind, flags, data).map_err(|e| format!("cannot mount '{at}': {e}"))
    };
    put(None, "/", MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    put(Some("proc"), "/proc", MsFlags::empty(), None)?;
    put(Some("tmpfs"), "/run", MsFlags::empty(), Some("mode=0755"))?;
    if let Some(etc) = etc {
        let layers = format!("lowerdir={etc}:/etc");
        put(Some("overlay"), "/etc", MsFlags::empty(), Some(&layers))?;
    }
    loopback_up()
}

/// The terminal that the tests themselves run on is left behind.
fn lead_a_session(tty: Option<&str>) -> Outcome {
    setsid().map_err(|e| format!("setsid: {e}"))?;
    let Some(tty) = tty else { return Ok(()) };
    // Who leads a session without a terminal gets the first one that he opens.
    let opened = File::options().read(true).write(true).open(tty).map_err(|e| format!("{tty}: {e}"))?;
    dup2_stdin(&opened).and(dup2_stdout(&opened)).and(dup2_stderr(&opened)).map_err(|e| format!("{tty}: {e}"))
}

fn loopback_up() -> Outcome {
    let socket = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Datagram,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    );
    let socket = socket.map_err(|e| format!("socket: {e}"))?;
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which `request` is, and outlives the call.
    let done = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &request) };
    if done == 0 { Ok(()) } else { Err(format!("loopback: {}", nix::errno::Errno::last())) }
}

/// Waits for the one child. The number is kept raw: a signal above 31 is an ending like any other.
fn ending_of(child: i32) -> i32 {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the answer.
        let got = unsafe { libc::waitpid(child, &mut status, 0) };
        if got == child {
            return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + (status & 0x7f) };
        }
        if nix::errno::Errno::last() != nix::errno::Errno::EINTR {
            return 255;
        }
    }
}

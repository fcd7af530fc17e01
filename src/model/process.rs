//! What is said of processes: a pid, how one ended, whose it is, what bounds it.

use std::fmt;
use std::num::NonZeroI32;

use super::Signal;

/// A process id: never 0, never negative, so that it can never address a group or everybody by accident.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroI32);

impl Pid {
    /// A pid from the kernel's number; `None` for 0 and below.
    pub const fn new(number: i32) -> Option<Pid> {
        match NonZeroI32::new(number) {
            Some(n) if n.get() > 0 => Some(Pid(n)),
            _ => None,
        }
    }

    /// The kernel's number.
    pub const fn get(self) -> i32 {
        self.0.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a process ended: the raw word of `waitpid(2)`, kept whole because a real-time signal's number
/// does not survive some wrappers.
#[doc(alias = "WIFEXITED")]
#[doc(alias = "WIFSIGNALED")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitStatus(i32);

/// Beside the word of `waitpid`: the kernel killed it for want of memory.
const WANT_OF_MEMORY: i32 = 1 << 24;

/// [`ExitStatus`], taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It called `exit` with this code, 0 to 255.
    Code(u8),
    /// This signal killed it.
    Signal(Signal),
    /// Somebody else's child, which its own parent reaped: it ended, and how was not ours to learn.
    Unknown,
}

impl ExitStatus {
    /// The status of a process that another one reaped. No word of `waitpid` is negative.
    pub const UNKNOWN: ExitStatus = ExitStatus(-1);

    /// Wraps the word that `waitpid` filled in.
    pub const fn from_wait(raw: i32) -> ExitStatus {
        ExitStatus(raw)
    }

    /// The status of a process that exited with `code`.
    pub const fn exited(code: u8) -> ExitStatus {
        ExitStatus((code as i32) << 8)
    }

    /// The status of a process that `signal` killed.
    pub const fn killed(signal: Signal) -> ExitStatus {
        ExitStatus(signal.number())
    }

    /// The same end, brought about by the kernel for want of memory. No word of `waitpid` has this bit.
    pub const fn for_want_of_memory(self) -> ExitStatus {
        if self.0 == ExitStatus::UNKNOWN.0 { self } else { ExitStatus(self.0 | WANT_OF_MEMORY) }
    }

    /// Code or signal. A word that is neither (a stop, which sexton never asks for) reads as its code.
    pub const fn ending(self) -> Ending {
        if self.0 == ExitStatus::UNKNOWN.0 {
            return Ending::Unknown;
        }
        match Signal::from_number(self.0 & 0x7f) {
            Some(signal) => Ending::Signal(signal),
            None => Ending::Code(((self.0 >> 8) & 0xff) as u8),
        }
    }

    /// It exited with code 0. An end that nobody saw is no success.
    pub const fn is_success(self) -> bool {
        self.0 & 0xff7f == 0
    }

    /// What a shell, and sexton itself, would exit with: the code, or 128 + the signal; 1 for an end that nobody saw.
    pub const fn as_exit_code(self) -> u8 {
        match self.ending() {
            Ending::Code(code) => code,
            Ending::Signal(signal) => 128 + signal.number() as u8,
            Ending::Unknown => 1,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ending() {
            Ending::Code(code) => write!(f, "exited with code {code}"),
            Ending::Signal(signal) if self.0 & WANT_OF_MEMORY != 0 => {
                write!(f, "was killed by {signal}: it ran out of memory")
            }
            Ending::Signal(signal) if self.0 & 0x80 != 0 => write!(f, "was killed by {signal} (core dumped)"),
            Ending::Signal(signal) => write!(f, "was killed by {signal}"),
            Ending::Unknown => f.write_str("ended, and only its own parent, which is not sexton, knows how"),
        }
    }
}

impl fmt::Debug for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A user or a group as a unit names it. It is looked up in `/etc/passwd` or `/etc/group` at each start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// By name.
    Name(String),
    /// By number.
    Id(u32),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Name(name) => f.write_str(name),
            Account::Id(id) => id.fmt(f),
        }
    }
}

/// A resource that `setrlimit(2)` bounds.
#[allow(missing_docs, reason = "each is the RLIMIT_ of its name")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

impl Resource {
    /// Every resource, by the name that a unit gives it.
    pub const ALL: [(&'static str, Resource); 16] = [
        ("as", Resource::As),
        ("core", Resource::Core),
        ("cpu", Resource::Cpu),
        ("data", Resource::Data),
        ("fsize", Resource::Fsize),
        ("locks", Resource::Locks),
        ("memlock", Resource::Memlock),
        ("msgqueue", Resource::Msgqueue),
        ("nice", Resource::Nice),
        ("nofile", Resource::Nofile),
        ("nproc", Resource::Nproc),
        ("rss", Resource::Rss),
        ("rtprio", Resource::Rtprio),
        ("rttime", Resource::Rttime),
        ("sigpending", Resource::Sigpending),
        ("stack", Resource::Stack),
    ];
}

/// One bound: soft and hard, `None` for unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Which resource.
    pub resource: Resource,
    /// What the process starts with.
    pub soft: Option<u64>,
    /// What it may raise it to.
    pub hard: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_killed_for_want_of_memory_was_killed_and_it_is_said_why() {
        let killed = ExitStatus::killed(Signal::KILL).for_want_of_memory();
        assert_eq!(killed.to_string(), "was killed by SIGKILL: it ran out of memory");
        assert_eq!((killed.ending(), killed.as_exit_code()), (Ending::Signal(Signal::KILL), 137));
        assert!(!killed.is_success());
        assert_eq!(ExitStatus::UNKNOWN.for_want_of_memory(), ExitStatus::UNKNOWN);
    }

    #[test]
    fn a_killed_process_counts_as_128_and_its_signal() {
        assert_eq!(ExitStatus::killed(Signal::KILL).as_exit_code(), 137);
        assert_eq!(ExitStatus::killed(Signal::parse("RTMIN+30").unwrap()).as_exit_code(), 192);
        assert_eq!(ExitStatus::exited(3).as_exit_code(), 3);
        assert!(ExitStatus::exited(0).is_success());
        assert!(!ExitStatus::killed(Signal::TERM).is_success());
    }

    #[test]
    fn an_ending_is_said_in_words() {
        assert_eq!(ExitStatus::exited(78).to_string(), "exited with code 78");
        assert_eq!(ExitStatus::killed(Signal::TERM).to_string(), "was killed by SIGTERM");
        assert_eq!(ExitStatus::from_wait(0x80 | 11).to_string(), "was killed by SIGSEGV (core dumped)");
    }

    #[test]
    fn an_end_that_nobody_saw_is_neither_a_code_nor_a_success() {
        let unknown = ExitStatus::UNKNOWN;
        assert_eq!(
            (unknown.ending(), unknown.is_success(), unknown.as_exit_code()),
            (Ending::Unknown, false, 1)
        );
        assert_eq!(unknown.to_string(), "ended, and only its own parent, which is not sexton, knows how");
    }

    #[test]
    fn a_pid_is_positive() {
        assert!(Pid::new(0).is_none() && Pid::new(-1).is_none());
        assert_eq!(Pid::new(7).map(Pid::get), Some(7));
    }
}

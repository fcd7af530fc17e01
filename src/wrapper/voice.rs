//! What the wrapper says, in the words of whom it stands in for.
//!
//! A line is put together on the stack: once the child runs nothing is allocated. And it is dropped where nobody has room
//! for it: the child's signals do not wait for a reader of ours.

use std::fmt::{self, Write};

use crate::model::process::Ending;
use crate::model::spawn::{Cause, errno_words};
use crate::model::{ExitStatus, Pid, Signal};
use crate::sys::only_child::Refused;
use crate::sys::standard::{self, Stream};

/// Who speaks, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// tini: 0 says what is fatal, 1 warns too, 2 informs, 3 and 4 tell everything.
    Tini {
        /// How much.
        verbosity: i32,
        /// Is each orphan that was reaped worth a warning?
        reaped: Reaped,
    },
    /// dumb-init.
    DumbInit(Detail),
    /// sexton itself.
    Own(Detail),
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Only what is wrong.
    Errors,
    /// Each step.
    Steps,
}

/// What an orphan that was reaped is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaped {
    /// No word of its own.
    Traced,
    /// A warning.
    Warned,
}

/// What there is to say.
#[derive(Clone, Copy, Debug)]
pub(super) enum News<'a> {
    /// Nobody will reap orphans.
    AdoptsNobody,
    /// The child runs this program.
    Spawned(Pid, &'a [u8]),
    /// It runs without a terminal.
    NoTerminal(i32),
    /// The terminal was given up, with what the kernel says of that.
    TerminalLeft,
    /// This signal came.
    Received(Signal),
    /// It becomes another.
    Rewritten(Signal, Signal),
    /// It was passed on.
    Forwarded(Signal),
    /// It is not passed on.
    Dropped(Signal),
    /// TERM waits until those who send us work have heard of it.
    Drains,
    /// Nobody was there to take it.
    NobodyThere,
    /// This process stops itself, as its child did.
    Suspends,
    /// This child of ours ended.
    Ended(Pid, ExitStatus),
    /// It was one that we did not start.
    Orphan(Pid),
    /// So did the one that counts, and this is what we end with.
    Main(ExitStatus, u8),
    /// Whom it left behind is asked to end.
    Parting,
    /// And is killed.
    Killing,
}

/// Lines of what level tini takes them for.
const WARNING: i32 = 1;
const INFORMATION: i32 = 2;
const DEBUG: i32 = 3;
const TRACE: i32 = 4;

impl Voice {
    /// Says it, if it is worth saying.
    pub(super) fn tell(self, news: News<'_>) {
        match self {
            Voice::Tini { reaped: Reaped::Warned, verbosity } => tini(verbosity, news),
            _ if matches!(news, News::Orphan(_)) => {}
            Voice::Tini { verbosity, .. } => tini(verbosity, news),
            Voice::DumbInit(Detail::Steps) => dumb_init(news),
            Voice::Own(Detail::Steps) => own(news),
            Voice::DumbInit(Detail::Errors) | Voice::Own(Detail::Errors) => {}
        }
    }

    /// Why there is no child, and the status to end with.
    pub(super) fn refused(self, refused: &Refused, program: &[u8]) -> (String, u8) {
        let name = String::from_utf8_lossy(program);
        let me = std::process::id();
        let (step, errno, code) = match refused {
            Refused::Clone(errno) => ("fork", *errno, 1),
            Refused::Place(errno) if matches!(self, Voice::DumbInit(_)) => ("setsid", *errno, 1),
            Refused::Place(errno) => ("setpgid", *errno, 1),
            Refused::Terminal(errno) => ("tcsetpgrp", *errno, 1),
            Refused::Signals(errno) => ("sigprocmask", *errno, 1),
            Refused::Exec(errno, cause) => return self.no_program(*errno, cause, &name),
        };
        let cause = capital(errno);
        let text = match self {
            Voice::Tini { .. } => format!("[FATAL tini ({me})] {step} failed: {cause}\n"),
            Voice::DumbInit(_) => format!("[dumb-init] Unable to {step} (errno={errno} {cause}). Exiting.\n"),
            Voice::Own(_) => format!("sexton: cannot start '{name}': {step}: {}\n", errno_words(errno)),
        };
        (text, code)
    }

    fn no_program(self, errno: i32, cause: &Cause, name: &str) -> (String, u8) {
        let more = match cause {
            Cause::Words(words) => format!(" ({words})"),
            Cause::Errno(_) => String::new(),
        };
        let plain = capital(errno);
        match self {
            Voice::Tini { .. } => {
                let me = std::process::id();
                let code = match errno {
                    libc::ENOENT => 127,
                    libc::EACCES => 126,
                    _ => 1,
                };
                (format!("[FATAL tini ({me})] exec {name} failed: {plain}{more}\n"), code)
            }
            Voice::DumbInit(_) => (format!("[dumb-init] {name}: {plain}{more}\n"), 2),
            Voice::Own(_) => {
                let code = if errno == libc::ENOENT { 127 } else { 126 };
                (format!("sexton: cannot execute '{name}': {}{more}\n", errno_words(errno)), code)
            }
        }
    }
}

/// The C library's words for an error number.
fn capital(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn tini(verbosity: i32, news: News<'_>) {
    let level = match news {
        News::AdoptsNobody | News::NobodyThere | News::Orphan(_) => WARNING,
        News::Spawned(..) | News::Main(..) | News::Drains | News::Parting | News::Killing => INFORMATION,
        News::NoTerminal(_) | News::Received(_) | News::Ended(..) | News::Forwarded(_) => DEBUG,
        News::Rewritten(..) | News::Dropped(_) | News::Suspends => DEBUG,
        News::TerminalLeft => TRACE,
    };
    if verbosity < level {
        return;
    }
    let (stream, name) = match level {
        WARNING => (Stream::Errors, "WARN "),
        INFORMATION => (Stream::Output, "INFO "),
        DEBUG => (Stream::Output, "DEBUG"),
        _ => (Stream::Output, "TRACE"),
    };
    let me = std::process::id();
    say(stream, format_args!("[{name} tini ({me})] {}\n", TiniWords(news)));
}

/// tini's words.
struct TiniWords<'a>(News<'a>);

impl fmt::Display for TiniWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            News::AdoptsNobody => f.write_str(ADOPTS_NOBODY),
            News::Spawned(pid, name) => {
                write!(f, "Spawned child process '{}' with pid '{pid}'", Bytes(name))
            }
            News::NoTerminal(errno) => write!(f, "tcsetpgrp failed: no tty, errno {errno} (ok to proceed)"),
            News::Received(signal) => write!(f, "Received {signal}"),
            News::Forwarded(signal) => write!(f, "Passing signal: '{signal}'"),
            News::NobodyThere => f.write_str("Child was dead when forwarding signal"),
            News::Orphan(pid) => write!(f, "Reaped zombie process with pid={pid}"),
            News::Ended(pid, _) => write!(f, "Reaped child with pid: '{pid}'"),
            News::Main(status, _) => match status.ending() {
                Ending::Signal(signal) => write!(f, "Main child exited with signal (with signal '{signal}')"),
                _ => write!(f, "Main child exited normally (with status '{}')", status.as_exit_code()),
            },
            other => Plain(other).fmt(f),
        }
    }
}

const ADOPTS_NOBODY: &str = "Tini is not running as PID 1 and isn't registered as a child subreaper.\n\
    Zombie processes will not be re-parented to Tini, so zombie reaping won't work.\n\
    To fix the problem, use the -s option or set the environment variable TINI_SUBREAPER to register Tini as a \
    child subreaper, or run Tini as PID 1.";

fn dumb_init(news: News<'_>) {
    struct Words<'a>(News<'a>);
    impl fmt::Display for Words<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                News::Spawned(pid, _) => write!(f, "Child spawned with PID {pid}."),
                News::NoTerminal(errno) => write!(f, "Unable to attach to controlling tty (errno={errno})."),
                News::TerminalLeft => f.write_str(
                    "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we receive.",
                ),
                News::Received(signal) => write!(f, "Received signal {}.", signal.number()),
                News::Rewritten(from, to) => {
                    write!(f, "Translating signal {} to {}.", from.number(), to.number())
                }
                News::Forwarded(signal) => write!(f, "Forwarded signal {} to children.", signal.number()),
                News::Dropped(signal) => {
                    write!(f, "Not forwarding signal {} to children (ignored).", signal.number())
                }
                News::Suspends => f.write_str("Suspending self due to TTY signal."),
                News::Ended(pid, status) => match status.ending() {
                    Ending::Signal(signal) => {
                        write!(f, "A child with PID {pid} was terminated by signal {}.", signal.number())
                    }
                    _ => {
                        let code = status.as_exit_code();
                        write!(f, "A child with PID {pid} exited with exit status {code}.")
                    }
                },
                News::Main(_, code) => write!(f, "Child exited with status {code}. Goodbye."),
                other => Plain(other).fmt(f),
            }
        }
    }
    say(Stream::Errors, format_args!("[dumb-init] {}\n", Words(news)));
}

fn own(news: News<'_>) {
    say(Stream::Errors, format_args!("sexton: {}\n", Plain(news)));
}

/// sexton's own words, and those of what the others do not know.
struct Plain<'a>(News<'a>);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            News::AdoptsNobody => f.write_str("orphans are not reaped: not pid 1, and no subreaper"),
            News::Spawned(pid, name) => write!(f, "'{}' runs, pid {pid}", Bytes(name)),
            News::NoTerminal(errno) => write!(f, "there is no terminal to be had, errno {errno}"),
            News::TerminalLeft => f.write_str("the terminal is the child's"),
            News::Received(signal) => write!(f, "received {signal}"),
            News::Rewritten(from, to) => write!(f, "{from} is passed on as {to}"),
            News::Forwarded(signal) => write!(f, "passed {signal} on"),
            News::Dropped(signal) => write!(f, "{signal} is not passed on"),
            News::Drains => f.write_str("SIGTERM is held back until the delay has passed"),
            News::NobodyThere => f.write_str("nobody was there to take the signal"),
            News::Suspends => f.write_str("stopping, as the child did"),
            News::Ended(pid, status) => write!(f, "pid {pid} {status}"),
            News::Orphan(pid) => write!(f, "pid {pid} was an orphan"),
            News::Main(status, code) => write!(f, "the child {status}; the status is {code}"),
            News::Parting => f.write_str("asking whom it left behind to end"),
            News::Killing => f.write_str("killing whom it left behind"),
        }
    }
}

/// Bytes of somebody else's, with what a terminal would obey made harmless.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// A line on the stack; what does not fit is cut off.
struct Line {
    text: [u8; 512],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let rest = self.text.get_mut(self.length..).unwrap_or_default();
        let fits = part.len().min(rest.len());
        if let (Some(place), Some(part)) = (rest.get_mut(..fits), part.as_bytes().get(..fits)) {
            place.copy_from_slice(part);
        }
        self.length += fits;
        Ok(())
    }
}

fn say(stream: Stream, words: fmt::Arguments<'_>) {
    let mut line = Line { text: [0; 512], length: 0 };
    let _ = line.write_fmt(words); // It is cut off, and never fails.
    standard::write_if_room(stream, line.text.get(..line.length).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(voice: Voice, errno: i32) -> (String, u8) {
        voice.refused(&Refused::Exec(errno, Cause::Errno(errno)), b"foo")
    }

    #[test]
    fn a_program_that_cannot_be_executed_ends_as_it_does_with_each_of_the_three() {
        let tini = Voice::Tini { verbosity: 1, reaped: Reaped::Traced };
        let me = std::process::id();
        let (words, code) = exec(tini, libc::ENOENT);
        assert_eq!(
            (words, code),
            (format!("[FATAL tini ({me})] exec foo failed: No such file or directory\n"), 127)
        );
        assert_eq!([libc::EACCES, libc::ENOTDIR].map(|errno| exec(tini, errno).1), [126, 1]);
        let dumb_init = Voice::DumbInit(Detail::Errors);
        let (words, code) = exec(dumb_init, libc::EACCES);
        assert_eq!((words.as_str(), code), ("[dumb-init] foo: Permission denied\n", 2));
        let own = Voice::Own(Detail::Errors);
        let (words, code) = exec(own, libc::ENOENT);
        assert_eq!(
            (words.as_str(), code),
            ("sexton: cannot execute 'foo': no such file or directory\n", 127)
        );
        assert_eq!(exec(own, libc::ENOTDIR).1, 126);
    }

    #[test]
    fn each_step_that_fails_before_the_exec_is_named() {
        let own = Voice::Own(Detail::Errors);
        let words = |refused| own.refused(&refused, b"foo").0;
        let of = |step: &str, why: &str| format!("sexton: cannot start 'foo': {step}: {why}\n");
        let denied = "operation not permitted";
        assert_eq!(words(Refused::Place(libc::EPERM)), of("setpgid", denied));
        assert_eq!(words(Refused::Terminal(libc::EPERM)), of("tcsetpgrp", denied));
        assert_eq!(words(Refused::Signals(libc::EPERM)), of("sigprocmask", denied));
        assert_eq!(words(Refused::Clone(libc::EPERM)), of("fork", denied));
        let other = Voice::DumbInit(Detail::Errors).refused(&Refused::Place(libc::EPERM), b"foo");
        let text = "[dumb-init] Unable to setsid (errno=1 Operation not permitted). Exiting.\n";
        assert_eq!((other.0.as_str(), other.1), (text, 1));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_off() {
        let mut line = Line { text: [0; 512], length: 0 };
        for _ in 0..3 {
            line.write_str(&"x".repeat(200)).unwrap();
        }
        assert_eq!(line.length, 512);
    }

    #[test]
    fn foreign_bytes_reach_no_terminal_as_they_are() {
        assert_eq!(Bytes(b"a\x1b[2J\n").to_string(), "a\\x1b[2J\\n");
    }
}

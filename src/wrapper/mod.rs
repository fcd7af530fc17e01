//! The wrapper: one child, signals passed on, orphans reaped, and the child's status as its own.
//!
//! ```text
//!   argv[0], argv[1] ──▶ who are we? ──▶ tini │ dumb-init │ own ──▶ Settings ──▶ watch ⇄ shepherd (decides)
//! ```
//!
//! It comes before everything else, allocates nothing on its usual way, and holds nothing but descriptors 0 to 2 while it waits.
//! [docs/wrapper.md](../../docs/wrapper.md) is its manual.

mod dialects;
mod dumb_init;
mod own;
mod settings;
mod shepherd;
mod tini;
mod variables;
mod voice;
mod watch;
mod words;

use crate::sys::arguments::Arguments;
use crate::sys::standard::{self, Stream};
use dialects::Instead;
use settings::Settings;

/// What is around the wrapper; it asks only when it has to know.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Are there units to supervise?
    pub has_units: fn() -> bool,
    /// Is this process PID 1?
    pub is_pid_1: fn() -> bool,
    /// Is this word neither an option nor a command of sexton, so that PID 1 takes it for the command of a container?
    pub begins_command: fn(&[u8]) -> bool,
}

/// Looks who is called, and by which name. `None`: not the wrapper.
///
/// Where there are units, a command behind `--` is one of them, and PID 1's business.
pub fn early(arguments: &mut Arguments, around: Surroundings) -> Option<u8> {
    let first = arguments.bytes(1).unwrap_or_default();
    let role = match role(arguments) {
        Some(role) => role,
        None if !first.is_empty() && (around.begins_command)(first) && (around.is_pid_1)() => Role::Own,
        None => return None,
    };
    let read = match role {
        Role::Tini => tini::read,
        Role::DumbInit => dumb_init::read,
        Role::Own => match (own::has_options(first), (around.is_pid_1)()) {
            (false, true) if (around.has_units)() => return None,
            (false, false) if (around.has_units)() => return Some(refuse()),
            (true, true) if (around.has_units)() => {
                standard::write(Stream::Errors, LEFT_OUT);
                own::read
            }
            _ => own::read,
        },
    };
    Some(play(arguments, read))
}

/// Of two programs in one, the one that was not asked for says so.
const LEFT_OUT: &[u8] =
    b"sexton: the units of /etc/sexton/units are not started: an option before '--' is for the \
    command alone; leave it out to start both\n";

/// Somebody else is PID 1: `docker run --init`, or who runs here already. To leave the units out would be a guess, and so
/// would be to start them a second time.
fn refuse() -> u8 {
    let words = b"sexton: cannot tell whether to start the units of /etc/sexton/units, for this is not PID 1; 'sexton init -- \
        COMMAND' starts them with the command, 'sexton --grace 5s -- COMMAND' starts the command alone\n";
    standard::write(Stream::Errors, words);
    own::USAGE
}

fn play(arguments: &mut Arguments, read: fn(&mut Arguments) -> Result<Settings, Instead>) -> u8 {
    match read(arguments) {
        Ok(settings) => watch::run(arguments, &settings),
        Err(Instead { stream, text, code }) => {
            standard::write(stream, &text);
            code
        }
    }
}

/// As whom it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Tini,
    DumbInit,
    Own,
}

fn role(arguments: &Arguments) -> Option<Role> {
    let name = arguments.bytes(0)?.rsplit(|byte| *byte == b'/').next()?;
    match name {
        // The last is what Docker calls the init that `docker run --init` brings.
        b"tini" | b"tini-static" | b"docker-init" => Some(Role::Tini),
        b"dumb-init" => Some(Role::DumbInit),
        _ => own::begins_with(arguments.bytes(1)?).then_some(Role::Own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn of(texts: &[&'static CStr]) -> Option<Role> {
        role(&Arguments::of_test(texts, &[]))
    }

    #[test]
    fn the_name_decides_before_the_words_do() {
        for name in [c"tini", c"/sbin/tini", c"./tini-static", c"/usr/bin/docker-init"] {
            assert_eq!(of(&[name]), Some(Role::Tini), "{name:?}");
        }
        assert_eq!(of(&[c"/usr/bin/dumb-init", c"--", c"ls"]), Some(Role::DumbInit));
        assert_eq!(of(&[c"/sexton", c"--", c"ls"]), Some(Role::Own));
        assert_eq!(of(&[c"init", c"--grace=5s", c"--", c"ls"]), Some(Role::Own));
        for words in [&[c"sexton"] as &[&'static CStr], &[], &[c"tinier"], &[c"sexton", c"up", c"--", c"x"]] {
            assert_eq!(of(words), None);
        }
    }

    fn around(has_units: fn() -> bool, is_pid_1: fn() -> bool) -> Surroundings {
        Surroundings { has_units, is_pid_1, begins_command: |word| word != b"up" }
    }

    #[test]
    fn where_there_are_units_a_command_is_one_of_them() {
        let (yes, no) = (|| true, || false);
        let early = |words: &[&'static CStr], around| early(&mut Arguments::of_test(words, &[]), around);
        assert_eq!(early(&[c"sexton", c"--", c"ls"], around(yes, yes)), None);
        assert_eq!(early(&[c"sexton", c"ls"], around(yes, yes)), None);
        assert_eq!(early(&[c"sexton", c"--", c"ls"], around(yes, no)), Some(2), "it cannot tell");
        for words in [&[c"sexton", c"up"] as &[&'static CStr], &[c"sexton"], &[c"sexton", c""]] {
            assert_eq!(early(words, around(no, yes)), None);
        }
        assert_eq!(early(&[c"sexton", c"ls"], around(no, no)), None, "elsewhere it may be a slip of the pen");
    }
}

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
use crate::sys::standard;
use dialects::Instead;
use settings::Settings;

/// Looks who is called, and by which name. `None`: not the wrapper.
///
/// `has_units` tells whether there are units to supervise; then a command behind `--` is one of them, and an init's business.
pub fn early(arguments: &mut Arguments, has_units: fn() -> bool) -> Option<u8> {
    let role = role(arguments)?;
    if role == Role::Own && arguments.bytes(1) == Some(b"--") && has_units() {
        return None;
    }
    let read = match role {
        Role::Tini => tini::read,
        Role::DumbInit => dumb_init::read,
        Role::Own => own::read,
    };
    Some(play(arguments, read))
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

    #[test]
    fn where_there_are_units_a_command_is_one_of_them() {
        let mut arguments = Arguments::of_test(&[c"sexton", c"--", c"ls"], &[]);
        assert_eq!(early(&mut arguments, || true), None);
        assert_eq!(early(&mut Arguments::of_test(&[c"sexton", c"up"], &[]), || false), None);
    }
}

//! The wrapper called `tini`, `tini-static` or `docker-init`: the options and variables of tini 0.19, and what it says of them.

use super::dialects::{BEYOND, Instead, SEXTON, beyond, leading_number};
use super::settings::{Adopts, Settings, Target};
use super::voice::{Reaped, Voice};
use super::words::{Order, Word, Words};
use crate::model::Signal;
use crate::sys::arguments::Arguments;
use crate::sys::standard::Stream;

/// What `docker info` reads: it goes by the first words.
const VERSION: &[u8] = b"tini version 0.19.0";

/// Signals that tini has no name for.
const UNNAMED: [i32; 3] = [16, 29, 30];

/// Reads its command line and its variables.
pub(super) fn read(arguments: &mut Arguments) -> Result<Settings, Instead> {
    let name = arguments.bytes(0).unwrap_or_default();
    if arguments.len() == 2 && arguments.bytes(1) == Some(b"--version") {
        return Err(Instead::asked(Stream::Output, &[VERSION, b" (", SEXTON, b")\n"]));
    }
    let order = match arguments.variable(b"POSIXLY_CORRECT") {
        None => Order::Mixed,
        Some(_) => Order::Strict,
    };
    let environment = Environment::of(arguments);
    let mut verbosity = 1;
    let mut reaped = Reaped::Traced;
    let mut settings = Settings::new(Voice::Tini { verbosity, reaped });
    let mut words = Words::new(arguments, order);
    while let Some(word) = words.option() {
        match word {
            Word::Letter(b'h') => return Err(Instead::asked(Stream::Output, &usage(name))),
            Word::Letter(b'l') => return Err(Instead::asked(Stream::Output, &[SEXTON, LICENSE])),
            Word::Letter(b's') => settings.adopts = Adopts::OrFails,
            Word::Letter(b'v') => verbosity += 1,
            Word::Letter(b'w') => reaped = Reaped::Warned,
            Word::Letter(b'g') => settings.target = Target::Group,
            Word::Letter(letter @ (b'p' | b'e')) => valued(letter, &mut words, &mut settings, name)?,
            Word::Letter(letter) => return Err(invalid(name, letter)),
            Word::Long(option, inline) => match beyond(option, inline, &mut words, &mut settings) {
                Some(taken) => taken.map_err(|why| fatal(&why))?,
                None => return Err(invalid(name, b'-')),
            },
        }
    }
    settings.command = words.finish().ok_or_else(|| Instead::wrong(1, &usage(name)))?;
    environment.apply(&mut settings, &mut verbosity);
    settings.voice = Voice::Tini { verbosity, reaped };
    if !settings.grace.is_zero() && settings.adopts == Adopts::No {
        settings.adopts = Adopts::IfPossible;
    }
    Ok(settings)
}

/// tini's variables, which it looks at after its options.
struct Environment {
    verbosity: Option<i32>,
    subreaper: Option<Adopts>,
    group: Option<Target>,
}

impl Environment {
    fn of(arguments: &Arguments) -> Environment {
        let verbosity = arguments.variable(b"TINI_VERBOSITY");
        Environment {
            verbosity: verbosity.map(|text| match leading_number(text.to_bytes()) {
                // It is no signed number there, so a negative one says everything.
                Some((..0, _)) => i32::MAX,
                Some((number, _)) => number,
                None => 0,
            }),
            subreaper: arguments.variable(b"TINI_SUBREAPER").map(|_| Adopts::OrFails),
            group: arguments.variable(b"TINI_KILL_PROCESS_GROUP").map(|_| Target::Group),
        }
    }

    fn apply(self, settings: &mut Settings, verbosity: &mut i32) {
        *verbosity = self.verbosity.unwrap_or(*verbosity);
        settings.adopts = self.subreaper.unwrap_or(settings.adopts);
        settings.target = self.group.unwrap_or(settings.target);
    }
}

fn valued(letter: u8, words: &mut Words<'_>, settings: &mut Settings, name: &[u8]) -> Result<(), Instead> {
    let Some(value) = words.value() else {
        return Err(misused(name, b"option requires an argument -- '", letter));
    };
    let not_valid = || fatal(&[b"Not a valid option for -" as &[u8], &[letter], b": ", value].concat());
    match letter {
        b'p' => settings.parent_death = Some(signal(value).ok_or_else(not_valid)?),
        _ => settings.remaps.set(status(value).ok_or_else(not_valid)?, 0),
    }
    Ok(())
}

/// `SIGKILL`, and neither `KILL` nor `9`.
fn signal(name: &[u8]) -> Option<Signal> {
    let name = std::str::from_utf8(name).ok()?;
    let signal = Signal::parse(name)?;
    let known = signal.number() <= 31 && !UNNAMED.contains(&signal.number());
    (known && signal.to_string() == name).then_some(signal)
}

/// All of the text is a number from 0 to 255, as `strtol` reads it; of no text at all it says 0.
#[doc(alias = "strtol")]
fn status(text: &[u8]) -> Option<u8> {
    if text.is_empty() {
        return Some(0);
    }
    let (number, rest) = leading_number(text)?;
    if rest.is_empty() { u8::try_from(number).ok() } else { None }
}

fn fatal(why: &[u8]) -> Instead {
    let me = std::process::id().to_string();
    Instead::wrong(1, &[b"[FATAL tini (", me.as_bytes(), b")] ", why, b"\n"])
}

fn invalid(name: &[u8], letter: u8) -> Instead {
    misused(name, b"invalid option -- '", letter)
}

fn misused(name: &[u8], how: &[u8], letter: u8) -> Instead {
    Instead::wrong(1, &[&[name, b": ", how, &[letter], b"'\n"] as &[&[u8]], &usage(name)].concat())
}

fn usage(name: &[u8]) -> [&[u8]; 12] {
    let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    [
        name,
        b" (",
        VERSION,
        b")\nThis is ",
        SEXTON,
        b", which stands in for tini.\nUsage: ",
        name,
        b" [OPTIONS] PROGRAM -- [ARGS] | --version\n\n\
        Execute a program under the supervision of a valid init process (",
        name,
        OPTIONS,
        BEYOND,
        VARIABLES,
    ]
}

const OPTIONS: &[u8] = b")\n\nCommand line options:\n\n  --version: Show version and exit.\n  -h: Show this help message and exit.\n  \
  -s: Register as a process subreaper (requires Linux >= 3.4).\n  \
  -p SIGNAL: Trigger SIGNAL when parent dies, e.g. \"-p SIGKILL\".\n  \
  -v: Generate more verbose output. Repeat up to 3 times.\n  \
  -w: Print a warning when processes are getting reaped.\n  \
  -g: Send signals to the child's process group.\n  \
  -e EXIT_CODE: Remap EXIT_CODE (from 0 to 255) to 0.\n  -l: Show license and exit.\n";

const VARIABLES: &[u8] = b"\nEnvironment variables:\n\n  TINI_SUBREAPER: Register as a process subreaper (requires Linux >= 3.4).\n  \
  TINI_VERBOSITY: Set the verbosity level (default: 1).\n  \
  TINI_KILL_PROCESS_GROUP: Send signals to the child's process group.\n\n";

const LICENSE: &[u8] =
    b", which stands in for tini and has none of its code, is licensed under the MIT license or the \
    Apache License, Version 2.0, as you like.\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Signal;
    use std::ffi::CStr;
    use std::time::Duration;

    fn parse(
        options: &[&'static CStr],
        variables: &[&'static CStr],
    ) -> Result<(Settings, Vec<&'static str>), Instead> {
        let texts: Vec<&'static CStr> =
            std::iter::once(c"/sbin/tini").chain(options.iter().copied()).collect();
        let mut arguments = Arguments::of_test(&texts, variables);
        let settings = read(&mut arguments)?;
        let command = arguments.texts().split_off(settings.command);
        Ok((settings, command))
    }

    fn wrong(options: &[&'static CStr]) -> String {
        let instead = parse(options, &[]).unwrap_err();
        assert_eq!((instead.code, instead.stream), (1, Stream::Errors));
        String::from_utf8(instead.text).unwrap().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn every_option_is_read_and_may_stand_behind_the_command() {
        let options = [c"-sgw", c"-vv", c"-pSIGKILL", c"ls", c"-e", c"143", c"--grace", c"2s", c"--", c"-h"];
        let (settings, command) = parse(&options, &[]).unwrap();
        assert_eq!(command, ["ls", "-h"]);
        assert_eq!(settings.voice, Voice::Tini { verbosity: 3, reaped: Reaped::Warned });
        assert_eq!((settings.adopts, settings.target), (Adopts::OrFails, Target::Group));
        assert_eq!((settings.parent_death, settings.remaps.of(143)), (Some(Signal::KILL), 0));
        assert_eq!(settings.grace, Duration::from_secs(2));
        let (_, command) = parse(&[c"ls", c"-l"], &[c"POSIXLY_CORRECT="]).unwrap();
        assert_eq!(command, ["ls", "-l"]);
    }

    #[test]
    fn the_variables_have_the_last_word() {
        let variables = [c"TINI_VERBOSITY=0x", c"TINI_SUBREAPER=", c"TINI_KILL_PROCESS_GROUP=no"];
        let (settings, _) = parse(&[c"-vv", c"ls"], &variables).unwrap();
        assert_eq!(settings.voice, Voice::Tini { verbosity: 0, reaped: Reaped::Traced });
        assert_eq!((settings.adopts, settings.target), (Adopts::OrFails, Target::Group));
        let (settings, _) = parse(&[c"ls"], &[c"TINI_VERBOSITY=-1"]).unwrap();
        assert_eq!(settings.voice, Voice::Tini { verbosity: i32::MAX, reaped: Reaped::Traced });
        let (settings, _) = parse(&[c"ls"], &[]).unwrap();
        assert_eq!((settings.adopts, settings.target), (Adopts::No, Target::Child));
        assert_eq!(settings.voice, Voice::Tini { verbosity: 1, reaped: Reaped::Traced });
        assert_eq!(parse(&[c"--grace=1s", c"ls"], &[]).unwrap().0.adopts, Adopts::IfPossible);
    }

    #[test]
    fn what_tini_refuses_is_refused_in_its_words() {
        let fatal = format!("[FATAL tini ({})] Not a valid option for", std::process::id());
        for name in [c"9", c"KILL", c"sigkill", c"SIGRTMIN", c"SIGPWR", c"SIGIOT", c""] {
            assert_eq!(wrong(&[c"-p", name, c"x"]), format!("{fatal} -p: {}", name.to_str().unwrap()));
        }
        for code in [c"256", c"-1", c"x", c"1x", c" "] {
            assert_eq!(wrong(&[c"-e", code, c"x"]), format!("{fatal} -e: {}", code.to_str().unwrap()));
        }
        for code in [c"", c" 7", c"+7", c"-0"] {
            parse(&[c"-e", code, c"x"], &[]).unwrap();
        }
        assert_eq!(wrong(&[c"-z", c"x"]), "/sbin/tini: invalid option -- 'z'");
        assert_eq!(wrong(&[c"--long", c"x"]), "/sbin/tini: invalid option -- '-'");
        assert_eq!(wrong(&[c"--version", c"x"]), "/sbin/tini: invalid option -- '-'");
        assert_eq!(wrong(&[c"-p"]), "/sbin/tini: option requires an argument -- 'p'");
        assert_eq!(wrong(&[]), "tini (tini version 0.19.0)");
    }

    #[test]
    fn help_license_and_version_name_both() {
        for option in [c"-h", c"-l", c"--version"] {
            let instead = parse(&[option], &[]).unwrap_err();
            assert_eq!((instead.code, instead.stream), (0, Stream::Output));
            let text = String::from_utf8(instead.text).unwrap();
            assert!(text.contains("tini") && text.contains("sexton 0."), "{text}");
        }
    }
}

//! The wrapper called `dumb-init`: the options and variables of dumb-init 1.2.5, and what it says of them.

use super::dialects::{BEYOND, Instead, SEXTON, beyond, leading_number};
use super::settings::{Adopts, Settings, Stand, Target};
use super::voice::{Detail, Voice};
use super::words::{Order, Word, Words};
use crate::model::Signal;
use crate::sys::arguments::Arguments;
use crate::sys::standard::Stream;

const VERSION: &[u8] = b"dumb-init v1.2.5";

/// The last signal that may be rewritten, and the last that it may become.
const LAST: i32 = 31;

/// What the kernel sends to a group that asks for a terminal from the background. A group without a parent in its session
/// is not stopped by them, and the child leads such a one: it gets STOP instead.
const JOB_CONTROL: [i32; 3] = [libc::SIGTSTP, libc::SIGTTOU, libc::SIGTTIN];

/// Long names, each with its letter.
const LONG: [(&[u8], u8); 5] =
    [(b"help", b'h'), (b"single-child", b'c'), (b"rewrite", b'r'), (b"verbose", b'v'), (b"version", b'V')];

/// Reads its command line and its variables.
pub(super) fn read(arguments: &mut Arguments) -> Result<Settings, Instead> {
    let name = arguments.bytes(0).unwrap_or_default();
    let is =
        |variable: &[u8], value: &[u8]| arguments.variable(variable).is_some_and(|v| v.to_bytes() == value);
    let (debug, no_session) = (is(b"DUMB_INIT_DEBUG", b"1"), is(b"DUMB_INIT_SETSID", b"0"));
    let mut detail = if debug { Detail::Steps } else { Detail::Errors };
    let mut settings = Settings::new(Voice::DumbInit(detail));
    settings.stand = Stand::Session;
    let mut words = Words::new(arguments, Order::Strict);
    while let Some(word) = words.option() {
        let (letter, inline) = match word {
            Word::Letter(letter) if b"hcrvV".contains(&letter) => (letter, None),
            Word::Letter(letter) => {
                return Err(wrong(name, &[b"invalid option -- '", &[letter], b"'"]));
            }
            Word::Long(option, inline) => match beyond(option, inline, &mut words, &mut settings) {
                Some(taken) => {
                    taken.map_err(|why| wrong(name, &[&why]))?;
                    continue;
                }
                None => (long(name, option, inline)?, inline),
            },
        };
        match letter {
            b'h' => return Err(Instead::asked(Stream::Errors, &help(name))),
            b'V' => return Err(Instead::asked(Stream::Errors, &[VERSION, b" (", SEXTON, b")\n"])),
            b'v' => detail = Detail::Steps,
            b'c' => settings.stand = Stand::Beside,
            _ => {
                let value = inline.or_else(|| words.value());
                let missing = || match word {
                    Word::Letter(_) => wrong(name, &[b"option requires an argument -- 'r'"]),
                    Word::Long(..) => wrong(name, &[b"option '--rewrite' requires an argument"]),
                };
                rewrite(&mut settings, value.ok_or_else(missing)?)?;
            }
        }
    }
    let usage = || {
        let more = b" --help for full usage.\n";
        Instead::wrong(1, &[b"Usage: ", name, b" [option] program [args]\nTry ", name, more])
    };
    settings.command = words.finish().ok_or_else(usage)?;
    if no_session {
        settings.stand = Stand::Beside;
    }
    settings.voice = Voice::DumbInit(detail);
    finish(&mut settings);
    Ok(settings)
}

/// What follows from the rest.
fn finish(settings: &mut Settings) {
    if settings.stand == Stand::Session {
        settings.target = Target::Group;
        for signal in JOB_CONTROL.into_iter().filter_map(Signal::from_number) {
            settings.rewrites.set_default(signal, Signal::STOP);
        }
    }
    if !settings.grace.is_zero() {
        settings.adopts = Adopts::IfPossible;
    }
}

/// The letter of a long name, which may be shortened as far as it is clear.
fn long(name: &[u8], option: &[u8], inline: Option<&[u8]>) -> Result<u8, Instead> {
    let exact = LONG.iter().find(|(long, _)| *long == option);
    let mut meant = LONG.iter().filter(|(long, _)| long.starts_with(option));
    let (long, letter) = match (exact, meant.next(), meant.next()) {
        (Some(found), ..) | (None, Some(found), None) => found,
        (None, None, _) => return Err(wrong(name, &[b"unrecognized option '--", option, b"'"])),
        (None, Some(_), Some(_)) => return Err(wrong(name, &[b"option '--", option, b"' is ambiguous"])),
    };
    if inline.is_some() && *letter != b'r' {
        return Err(wrong(name, &[b"option '--", long, b"' doesn't allow an argument"]));
    }
    Ok(*letter)
}

/// `15:3`; what follows the second number is not looked at.
#[doc(alias = "sscanf")]
fn rewrite(settings: &mut Settings, value: &[u8]) -> Result<(), Instead> {
    let pair = leading_number(value).and_then(|(from, rest)| {
        let (to, _) = leading_number(rest.strip_prefix(b":")?)?;
        Some((from, to))
    });
    match pair {
        Some((from @ 1..=LAST, to @ 0..=LAST)) => {
            if let Some(from) = Signal::from_number(from) {
                settings.rewrites.set(from, Signal::from_number(to));
            }
            Ok(())
        }
        _ => Err(Instead::wrong(1, &[REWRITE_HELP])),
    }
}

const REWRITE_HELP: &[u8] =
    b"Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.\n\
    This option can be specified multiple times.\nUse --help for full usage.\n";

fn wrong(name: &[u8], why: &[&[u8]]) -> Instead {
    Instead::wrong(1, &[name, b": ", &why.concat(), b"\n"])
}

fn help(name: &[u8]) -> [&[u8]; 8] {
    let online = b"\nFull help is available online at https://github.com/Yelp/dumb-init\n";
    let whose = b", which stands in for dumb-init.\nUsage: ";
    [VERSION, b"\nThis is ", SEXTON, whose, name, HELP, BEYOND, online]
}

const HELP: &[u8] = b" [option] command [[arg] ...]\n\n\
dumb-init is a simple process supervisor that forwards signals to children.\n\
It is designed to run as PID1 in minimal container environments.\n\n\
Optional arguments:\n   \
   -c, --single-child   Run in single-child mode.\n                        \
In this mode, signals are only proxied to the\n                        \
direct child and not any of its descendants.\n   \
   -r, --rewrite s:r    Rewrite received signal s to new signal r before proxying.\n                        \
To ignore (not proxy) a signal, rewrite it to 0.\n                        \
This option can be specified multiple times.\n   \
   -v, --verbose        Print debugging information to stderr.\n   \
   -h, --help           Print this help message and exit.\n   \
   -V, --version        Print the current version and exit.\n";

#[cfg(test)]
mod tests {
    use super::super::settings::Rewritten;
    use super::*;
    use std::ffi::CStr;

    fn parse(
        options: &[&'static CStr],
        variables: &[&'static CStr],
    ) -> Result<(Settings, Vec<&'static str>), Instead> {
        let texts: Vec<&'static CStr> =
            std::iter::once(c"dumb-init").chain(options.iter().copied()).collect();
        let mut arguments = Arguments::of_test(&texts, variables);
        let settings = read(&mut arguments)?;
        let command = arguments.texts().split_off(settings.command);
        Ok((settings, command))
    }

    fn to(settings: &Settings, number: i32) -> Rewritten {
        settings.rewrites.of(Signal::from_number(number).unwrap())
    }

    #[test]
    fn every_option_is_read_and_the_command_ends_them() {
        let (settings, command) = parse(&[c"-vr15:3", c"--rew", c" 1:+0x", c"ls", c"-c"], &[]).unwrap();
        assert_eq!(command, ["ls", "-c"]);
        assert_eq!((settings.stand, settings.target), (Stand::Session, Target::Group));
        assert_eq!(settings.voice, Voice::DumbInit(Detail::Steps));
        assert_eq!(to(&settings, 15), Rewritten::To(Signal::QUIT));
        assert_eq!(to(&settings, 1), Rewritten::Dropped);
        for option in [c"-c", c"--single-child", c"--s"] {
            let (settings, _) = parse(&[option, c"ls"], &[]).unwrap();
            assert_eq!((settings.stand, settings.target), (Stand::Beside, Target::Child));
            assert_eq!(to(&settings, libc::SIGTSTP), Rewritten::Not);
        }
    }

    #[test]
    fn the_signals_of_job_control_become_stop_in_a_session_unless_somebody_says_otherwise() {
        let (settings, _) = parse(&[c"-r", c"20:15", c"ls"], &[]).unwrap();
        assert_eq!(to(&settings, libc::SIGTSTP), Rewritten::To(Signal::TERM));
        assert_eq!([21, 22].map(|number| to(&settings, number)), [Rewritten::To(Signal::STOP); 2]);
    }

    #[test]
    fn the_variables_count_only_with_their_one_value() {
        let (settings, _) = parse(&[c"ls"], &[c"DUMB_INIT_DEBUG=1", c"DUMB_INIT_SETSID=0"]).unwrap();
        assert_eq!((settings.voice, settings.stand), (Voice::DumbInit(Detail::Steps), Stand::Beside));
        let (settings, _) = parse(&[c"ls"], &[c"DUMB_INIT_DEBUG=yes", c"DUMB_INIT_SETSID=no"]).unwrap();
        assert_eq!((settings.voice, settings.stand), (Voice::DumbInit(Detail::Errors), Stand::Session));
    }

    #[test]
    fn what_dumb_init_refuses_is_refused_in_its_words() {
        let first = |options: &[&'static CStr]| {
            let instead = parse(options, &[]).unwrap_err();
            assert_eq!((instead.code, instead.stream), (1, Stream::Errors));
            String::from_utf8(instead.text).unwrap().lines().next().unwrap_or_default().to_owned()
        };
        let number = "Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.";
        for pair in [c"0:1", c"32:1", c"1:32", c"1:-1", c"1", c"1 :2", c"TERM:QUIT"] {
            assert_eq!(first(&[c"-r", pair, c"ls"]), number);
        }
        for (option, words) in [
            (c"-z", "invalid option -- 'z'"),
            (c"-r", "option requires an argument -- 'r'"),
            (c"--rewrite", "option '--rewrite' requires an argument"),
            (c"--other", "unrecognized option '--other'"),
            (c"--ver", "option '--ver' is ambiguous"),
            (c"--help=1", "option '--help' doesn't allow an argument"),
        ] {
            assert_eq!(first(&[option]), format!("dumb-init: {words}"));
        }
        assert_eq!(first(&[]), "Usage: dumb-init [option] program [args]");
    }

    #[test]
    fn help_and_version_name_both_and_go_where_dumb_init_sends_them() {
        for option in [c"-h", c"--help", c"-V", c"--vers"] {
            let instead = parse(&[option], &[]).unwrap_err();
            assert_eq!((instead.code, instead.stream), (0, Stream::Errors));
            let text = String::from_utf8(instead.text).unwrap();
            assert!(text.contains("dumb-init v1.2.5") && text.contains("sexton 0."), "{text}");
        }
    }
}

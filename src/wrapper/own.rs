//! The wrapper under its own name: `sexton [OPTIONS] -- COMMAND`.

use std::time::Duration;

use super::dialects::{Instead, beyond};
use super::settings::{Adopts, Settings, Target};
use super::voice::{Detail, Voice};
use super::words::{Order, Word, Words};
use crate::model::Signal;
use crate::sys::arguments::Arguments;

/// How long those that the child left behind have to end where nobody says otherwise: enough for a flush, and half of the
/// ten seconds after which a container manager kills all.
const GRACE: Duration = Duration::from_secs(5);

/// The status for a wrong command line, as of all commands of sexton.
pub(super) const USAGE: u8 = 2;

/// The options that only the wrapper has. A command line that begins with one of them, or with `--`, is the wrapper's.
const OPTIONS: [&[u8]; 7] = [b"grace", b"drain", b"remap", b"env-file", b"group", b"rewrite", b"verbose"];

/// Is this first word one of the wrapper's?
pub(super) fn begins_with(word: &[u8]) -> bool {
    let Some(name) = word.strip_prefix(b"--") else { return false };
    let name = name.split(|byte| *byte == b'=').next().unwrap_or_default();
    name.is_empty() || OPTIONS.contains(&name)
}

/// Is this first word an option of the wrapper's, and not the command or the `--` before it?
pub(super) fn has_options(word: &[u8]) -> bool {
    word.starts_with(b"-") && word != b"--"
}

/// Reads its command line.
pub(super) fn read(arguments: &mut Arguments) -> Result<Settings, Instead> {
    let mut settings = Settings::new(Voice::Own(Detail::Errors));
    settings.grace = GRACE;
    settings.adopts = Adopts::IfPossible;
    let mut words = Words::new(arguments, Order::Strict);
    while let Some(word) = words.option() {
        let (name, inline) = match word {
            Word::Long(name, inline) => (name, inline),
            Word::Letter(letter) => return Err(unknown(b"-", &[letter])),
        };
        match (name, inline) {
            (b"group", None) => settings.target = Target::Group,
            (b"verbose", None) => settings.voice = Voice::Own(Detail::Steps),
            (b"rewrite", inline) => {
                let value = inline.or_else(|| words.value());
                rewrite(&mut settings, value.ok_or_else(|| wrong(&[b"option '--rewrite' wants a value"]))?)?;
            }
            (name, inline) => match beyond(name, inline, &mut words, &mut settings) {
                Some(taken) => taken.map_err(|why| wrong(&[&why]))?,
                None => return Err(unknown(b"--", name)),
            },
        }
    }
    settings.command = words.finish().ok_or_else(|| wrong(&[b"there is no command behind '--'"]))?;
    Ok(settings)
}

/// `TERM:QUIT`, `RTMIN+3:15`, `HUP:0`.
fn rewrite(settings: &mut Settings, value: &[u8]) -> Result<(), Instead> {
    let (from, to) =
        std::str::from_utf8(value).ok().and_then(|text| text.split_once(':')).unwrap_or_default();
    match (Signal::parse(from), Signal::parse(to)) {
        (Some(from), to) if to.is_some() || value.ends_with(b":0") => {
            settings.rewrites.set(from, to);
            Ok(())
        }
        _ => Err(wrong(&[
            b"cannot read '--rewrite ",
            value,
            b"': it should be two signals, such as TERM:QUIT",
        ])),
    }
}

fn unknown(dashes: &[u8], name: &[u8]) -> Instead {
    wrong(&[b"unknown option '", dashes, name, b"' before the command"])
}

fn wrong(why: &[&[u8]]) -> Instead {
    let usage = b"\nUsage: sexton [OPTIONS] -- COMMAND [ARGUMENTS]\n";
    Instead::wrong(USAGE, &[b"sexton: ", &why.concat(), usage])
}

#[cfg(test)]
mod tests {
    use super::super::settings::Rewritten;
    use super::*;
    use std::ffi::CStr;

    fn parse(options: &[&'static CStr]) -> Result<(Settings, Vec<&'static str>), String> {
        let texts: Vec<&'static CStr> = std::iter::once(c"sexton").chain(options.iter().copied()).collect();
        let mut arguments = Arguments::of_test(&texts, &[]);
        let settings = read(&mut arguments).map_err(|instead| {
            assert_eq!(instead.code, 2);
            String::from_utf8(instead.text).unwrap().lines().next().unwrap_or_default().to_owned()
        })?;
        let command = arguments.texts().split_off(settings.command);
        Ok((settings, command))
    }

    #[test]
    fn every_option_is_read() {
        let options =
            [c"--group", c"--rewrite", c"TERM:QUIT", c"--rewrite=HUP:0", c"--drain=2s", c"--", c"--", c"-x"];
        let (settings, command) = parse(&options).unwrap();
        assert_eq!(command, ["--", "-x"]);
        assert_eq!(
            (settings.target, settings.drain, settings.grace),
            (Target::Group, Duration::from_secs(2), GRACE)
        );
        assert_eq!(settings.rewrites.of(Signal::TERM), Rewritten::To(Signal::QUIT));
        assert_eq!(settings.rewrites.of(Signal::HUP), Rewritten::Dropped);
        assert_eq!(parse(&[c"--verbose", c"ls"]).unwrap().0.voice, Voice::Own(Detail::Steps));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (options, words) in [
            (&[c"--"] as &[&'static CStr], "sexton: there is no command behind '--'"),
            (&[c"--rewrite"], "sexton: option '--rewrite' wants a value"),
            (
                &[c"--rewrite=15", c"x"],
                "sexton: cannot read '--rewrite 15': it should be two signals, such as TERM:QUIT",
            ),
            (
                &[c"--rewrite=TREM:15", c"x"],
                "sexton: cannot read '--rewrite TREM:15': it should be two signals, such as TERM:QUIT",
            ),
            (&[c"--grace=5s", c"-x", c"ls"], "sexton: unknown option '-x' before the command"),
            (&[c"--grace=5s", c"--x", c"ls"], "sexton: unknown option '--x' before the command"),
            (&[c"--group=1", c"ls"], "sexton: unknown option '--group' before the command"),
        ] {
            assert_eq!(parse(options).unwrap_err(), words);
        }
    }

    #[test]
    fn only_a_command_line_that_begins_so_is_the_wrappers() {
        for word in ["--", "--grace", "--grace=5s", "--rewrite"] {
            assert!(begins_with(word.as_bytes()), "{word}");
        }
        for word in ["", "-", "up", "--socket", "--graceful", "--help", "-v"] {
            assert!(!begins_with(word.as_bytes()), "{word}");
        }
    }
}

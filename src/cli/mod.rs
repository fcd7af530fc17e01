//! The commands that a person types: read here, answered by a running sexton, shown on a screen or to a program.
//!
//! ```text
//!   argv ── args::parse ──▶ Errand ── run ──▶ Talk ── a call ──▶ the control socket
//!                                              │
//!              Exit ◀── Screen ◀── render ◀────┘ types of the wire
//! ```

pub mod args;
mod builtin;
pub mod check;
pub mod chore;
mod commands;
pub mod container;
mod demo;
mod ending;
pub mod exit;
pub mod gateway;
mod help;
mod library;
mod live;
pub mod logs;
pub mod render;
pub mod screen;
pub mod style;
pub mod trouble;

pub use args::{Ask, Errand, Global, Local, Parsed, Supervise, parse};
pub use exit::Exit;
pub use screen::Screen;
pub use trouble::Trouble;

use std::io;

use crate::control::method::{Method, ShutdownKind};

use args::Shell;
use args::change::{ReloadArgs, RestartArgs, ScaleArgs, SignalArgs, StartArgs, StopArgs, SyncArgs};
use commands::Talk;

/// Does what was parsed, on the process's own standard output and error; the status to end with.
pub fn run(errand: &Errand) -> Exit {
    match errand {
        Errand::Local(global, command) => do_locally(global, command),
        Errand::Ask(global, question) => ask(global, question),
        Errand::Say { text, exit } => on_screen(&Global::default(), |screen| {
            if *exit == Exit::Done {
                screen.say(text)
            } else {
                screen.warn(text)
            }
            Ok(*exit)
        }),
    }
}

fn do_locally(global: &Global, command: &Local) -> Exit {
    on_screen(global, |screen| match command {
        Local::Check(args) => {
            let mut out = Vec::new();
            let exit = check::run(&args.paths, global.json, screen.style.colour, &mut out);
            screen.say(&String::from_utf8_lossy(&out));
            // Writing to memory does not fail.
            Ok(exit.unwrap_or(Exit::Failed))
        }
        Local::Logs(args) => logs::logs(global, args),
        Local::Library(args) => library::library(args, global.json, screen),
        Local::Add(args) => library::add(args, screen),
        Local::Diff(args) => library::diff(args, screen),
        Local::Gateway(args) => gateway::gateway(global, args, screen),
        Local::Demo => demo::demo(screen),
        Local::DemoInit(args) => Err(demo::become_init(args)),
        Local::DemoServer(args) => Ok(demo::serve(args, screen)),
        Local::Completions(args) => {
            screen.say(&completions(args.shell));
            Ok(Exit::Done)
        }
    })
}

fn ask(global: &Global, question: &Ask) -> Exit {
    on_screen(global, |screen| {
        let end = match question {
            Ask::Poweroff(args) => Some((ShutdownKind::PowerOff, args, false)),
            Ask::Halt(args) => Some((ShutdownKind::Halt, args, false)),
            Ask::Kexec(args) => Some((ShutdownKind::Kexec, args, false)),
            Ask::Reboot(args) => Some((ShutdownKind::Reboot, &args.end, args.firmware)),
            Ask::List(args) if args.builtin => return builtin::list(screen),
            _ => None,
        };
        if let Some((how, args, into_firmware)) = end {
            return ending::end(global, screen, how, args, into_firmware);
        }
        let mut talk = Talk::connect(global, screen)?;
        match question {
            Ask::Status(args) => talk.status(&args.units),
            Ask::List(args) => talk.list(&args.patterns),
            Ask::Tree(args) => talk.tree(args.unit.as_ref()),
            Ask::Why(args) => talk.why(&args.unit),
            Ask::Health(args) => talk.health(&args.units),
            Ask::Show(args) => talk.show_unit(&args.unit),
            Ask::Chart(args) => talk.chart(args.text),
            Ask::Events(args) => talk.events(&args.units),
            Ask::Start(StartArgs { units, no_wait }) => {
                talk.change(&Method::Start { units: units.names(), no_wait: *no_wait })
            }
            Ask::Stop(StopArgs { units, cascade, no_wait }) => {
                talk.follow(&Method::Stop { units: units.names(), cascade: *cascade, no_wait: *no_wait })
            }
            Ask::Restart(RestartArgs { units, rolling, gate }) => talk.follow(&Method::Restart {
                units: units.names(),
                rolling: *rolling,
                skip_configtest: gate.skip_configtest,
                no_wait: gate.no_wait,
            }),
            Ask::Reload(ReloadArgs { units, gate }) => talk.follow(&Method::Reload {
                units: units.names(),
                skip_configtest: gate.skip_configtest,
                no_wait: gate.no_wait,
            }),
            Ask::Sync(SyncArgs { gate }) => {
                talk.follow(&Method::Sync { skip_configtest: gate.skip_configtest, no_wait: gate.no_wait })
            }
            Ask::Scale(ScaleArgs { unit, count, gate }) => talk.follow(&Method::Scale {
                unit: unit.clone(),
                count: *count,
                skip_configtest: gate.skip_configtest,
                no_wait: gate.no_wait,
            }),
            Ask::Plan(args) => talk.plan(args),
            Ask::Signal(SignalArgs { signal, units }) => {
                talk.change(&Method::Signal { units: units.names(), signal: *signal })
            }
            Ask::Reset(units) => talk.change(&Method::Reset { units: units.names() }),
            // Done above: these have more to do than to ask.
            Ask::Poweroff(_) | Ask::Reboot(_) | Ask::Halt(_) | Ask::Kexec(_) => Ok(Exit::Usage),
        }
    })
}

fn on_screen(global: &Global, act: impl FnOnce(&mut Screen<'_>) -> Result<Exit, Trouble>) -> Exit {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let (style, error_style) = (screen::style_of(&out, global), screen::style_of(&err, global));
    let look = screen::look_of(&err);
    let mut screen = Screen::new((&mut out, style), (&mut err, error_style));
    screen.look = look;
    let exit = act(&mut screen).unwrap_or_else(|trouble| screen.complain(&trouble));
    screen.finish(exit)
}

fn completions(shell: Shell) -> String {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command(), "sexton", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The candidate that `word` was most likely meant to be, if one is near enough to be worth saying.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let (distance, candidate) = candidates.map(|candidate| (distance(candidate), candidate)).min()?;
    // A third of the word may be wrong: more, and it is another word.
    (distance <= word.chars().count().max(3) / 3).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_know_every_command_that_help_shows() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completions(shell);
            for command in help::command().get_subcommands().filter(|command| !command.is_hide_set()) {
                assert!(script.contains(command.get_name()), "{shell:?}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn a_word_is_near_only_when_most_of_it_is_right() {
        let names = ["web", "store", "greeter@moin"];
        assert_eq!(nearest("wbe", names.into_iter()), Some("web"));
        assert_eq!(nearest("stroe", names.into_iter()), Some("store"));
        assert_eq!(nearest("greter@mion", names.into_iter()), Some("greeter@moin"));
        assert_eq!(nearest("nginx", names.into_iter()), None);
    }
}

//! The command line, declared once: parsing, `--help` and completions are all made from here.
//!
//! ```text
//!   sexton [--socket PATH] [--json] [--color WHEN] [--timeout DURATION] COMMAND …
//!   poweroff │ reboot │ halt      called by such a name, the command of that name
//! ```

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::model::time;

use super::Exit;
use super::gateway::GatewayArgs;
use super::help::{command, help};
use super::logs::LogsArgs;

pub mod change;
pub mod demo;
pub mod library;

use change::{
    PlanArgs, ReloadArgs, RestartArgs, ScaleArgs, SignalArgs, StartArgs, StopArgs, SyncArgs, Units,
};
use demo::{ServerArgs, StageArgs};
use library::{AddArgs, DiffArgs, LibraryArgs};

/// A minimal init: reads declarative units, starts services in dependency order, reaps zombies, explains itself.
#[derive(Debug, Parser)]
#[command(name = "sexton", version, max_term_width = 100)]
struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Any>,
}

/// Options that stand before or after any command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Talk to sexton here, a path or vsock:CID:PORT [default: $SEXTON_CONTROL, or its usual place]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Colour the output; $NO_COLOR is honoured where this is not given
    #[arg(long, global = true, value_name = "WHEN", visible_alias = "colour")]
    pub color: Option<When>,
    /// Wait no longer than this for an answer: 500ms, 10s, 1m 30s
    #[arg(long, global = true, value_name = "DURATION", value_parser = time::parse_duration)]
    pub timeout: Option<Duration>,
}

/// When to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    #[value(help = None::<&str>)]
    Auto,
    /// Always.
    #[value(help = None::<&str>)]
    Always,
    /// Never.
    #[value(help = None::<&str>)]
    Never,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
enum Any {
    #[command(flatten)]
    Supervise(Supervise),
    #[command(flatten)]
    Local(Local),
    #[command(flatten)]
    Ask(Ask),
}

/// Being an init.
#[derive(Debug, Subcommand)]
pub enum Supervise {
    /// Supervise the units of one directory, as PID 1 or as a subreaper
    #[command(after_help = "\
Units come from DIR alone, settings from DIR/sexton.toml if it is there. TERM or INT stops everything in
reverse order; a second one cuts the waiting short.

Example:
  sexton up ./units --run-dir ./run      then, elsewhere: sexton --socket ./run/control status")]
    Up(UpArgs),
    /// Be the init: supervise the units of /etc/sexton/units and the other unit directories
    Init(InitArgs),
}

/// What needs no running sexton.
#[derive(Debug, Subcommand)]
pub enum Local {
    /// Find every error in unit files, with its place and the nearest right word
    #[command(after_help = "\
A PATH is a unit file or a directory of them; without one, the directories that init reads.
Exits with 0 when everything is right, with 1 when something is not.

Examples:
  sexton check                    everything that init would read
  sexton check ./units            a directory on its own
  sexton check --json ./units     the same, for a program")]
    Check(CheckArgs),
    /// Show what units have written to their log files
    #[command(after_help = "\
Reads the files of units with [log] to = \"file\", rotated ones too, in the order of their times; asks no running sexton.

Examples:
  sexton logs web                 all that is kept of web
  sexton logs -f 'redis@*'        the last lines of all instances, and what comes
  sexton logs --since 10m --grep 'error|panic'")]
    Logs(LogsArgs),
    /// List the units that sexton carries with it for real daemons, or search them
    #[command(after_help = "\
Examples:
  sexton library                  all of them
  sexton library http proxy       those about that
  sexton library show redis@      the unit itself")]
    Library(LibraryArgs),
    /// Copy a unit of the library to where own units are
    #[command(after_help = "\
A file that is there already is left alone, unless --force says otherwise. `sexton library` lists the names. Then
`sexton check` says what this machine lacks for it, and `sexton sync` has it started.

Examples:
  sexton add nginx
  sexton add memcached@ --instance 11212
  sexton add redis@6380           it says which file makes this instance")]
    Add(AddArgs),
    /// Show what is different between a copy and the unit of the library
    #[command(after_help = "\
Exits with 1 when something is, and with 2 when there is nothing to compare, as diff does.

Example:
  sexton diff nginx")]
    Diff(DiffArgs),
    /// Let the host of this virtual machine ask, over vsock or a port of virtio
    #[command(after_help = "\
It hands on what the host asks, in the same words as on the control socket, and refuses what would change anything
unless --allow-changes says otherwise. `sexton --vsock` is `sexton gateway --vsock`; without a PORT it is 1024.

Examples:
  sexton --vsock                  then, on the host: sexton --socket vsock:3:1024 status, for the guest 3
  sexton gateway --virtio-port org.example.control")]
    Gateway(GatewayArgs),
    /// Boot sexton as a real PID 1 in namespaces of its own and walk through what it does
    #[command(after_help = "\
Needs nothing installed and no root, takes less than fifteen seconds, leaves nothing behind. It ends with 0
only if everything that it says happened did happen.")]
    Demo,
    /// PID 1 of the demo, before it is sexton
    #[command(hide = true)]
    DemoInit(StageArgs),
    /// The daemon of the demo's units
    #[command(hide = true)]
    DemoServer(ServerArgs),
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  sexton completions bash > /usr/share/bash-completion/completions/sexton
  sexton completions zsh  > /usr/share/zsh/site-functions/_sexton
  sexton completions fish > /usr/share/fish/vendor_completions.d/sexton.fish")]
    Completions(CompletionsArgs),
}

/// What a running sexton is asked.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Say how sexton, or these units, are: state, reason, last output
    #[command(after_help = "\
Exits with 1 when one of the units named has failed; without units, when any has.
A UNIT may be a pattern: 'redis@*'.")]
    Status(OptionalUnits),
    /// List units, one a line
    #[command(after_help = "\
Examples:
  sexton list                     all units
  sexton list 'redis@*'           all instances of a template
  sexton list --json              one array, with every field")]
    List(Patterns),
    /// Draw what depends on what, with states
    Tree(OptionalUnit),
    /// Explain in words why a unit is as it is
    Why(OneUnit),
    /// Tell by the exit status whether all is ready that should be: for HEALTHCHECK and exec probes
    #[command(after_help = "\
Without units: all that is wanted is ready, and nothing has failed. Prints a line for each unit that is not, and
exits with 1. Waits for five seconds unless --timeout says otherwise.

Example:
  HEALTHCHECK CMD [\"/sexton\", \"health\"]")]
    Health(OptionalUnits),
    /// Print all that is known of a unit
    Show(OneUnit),
    /// Print each change of state as it happens, until interrupted
    #[command(after_help = "\
With --json, one object a line. Times are in UTC.")]
    Events(OptionalUnits),
    /// Draw the boot: what each unit waited for, and what the whole of it waited for
    #[command(after_help = "\
The picture is SVG, for any browser. On a terminal, or with --text, it is drawn with characters.

Examples:
  sexton chart > boot.svg
  sexton chart --text")]
    Chart(ChartArgs),
    /// Start units, and what they need before them; wait until they are ready
    #[command(after_help = "\
On failure this prints the reason and the last lines of the unit's output, and exits with 1.

Examples:
  sexton start web                wait until web is ready
  sexton start --no-wait web      only ask for it
  sexton start 'redis@*'          every instance")]
    Start(StartArgs),
    /// Stop units, after their pre-stop hooks; refused while running units need them
    #[command(after_help = "\
Pre-stop hooks run while the unit still serves. One that fails gives the stop up and undoes what the hooks did,
and so does Ctrl-C before anything was stopped: exit status 3.

Examples:
  sexton stop web
  sexton stop store --cascade     and everything that needs it, in order
  sexton plan stop store          what would happen")]
    Stop(StopArgs),
    /// Test units and all that needs them, then stop and start them again
    #[command(after_help = "\
Every configtest has to pass before anything is touched, then the pre-stop hooks run, then units are stopped and
started in order. A test that fails leaves everything as it is and shows what the daemon said: exit status 3.
Ctrl-C before anything was stopped gives it up and undoes what the hooks did: exit status 3 too.
A unit without a [configtest] is restarted untested; the answer says so.

Examples:
  sexton restart web              web, and the running units that need it
  sexton restart --rolling 'web@*'
                                  one instance after the other; the first that fails stops it
  sexton plan restart web         what would happen")]
    Restart(RestartArgs),
    /// Test units, then have them read their configuration again without a stop
    #[command(after_help = "\
A unit has to be alive and ready after it, or the reload has failed. A unit without [reload] is refused.

Examples:
  sexton reload web
  sexton reload 'redis@*'")]
    Reload(ReloadArgs),
    /// Read the unit files again: start what is new, stop what is gone, restart what is different
    #[command(after_help = "\
One error in the files refuses all of it. What did not change is not touched; what needs no restart is applied in
place. The configtests of all that would restart have to pass first.

Examples:
  sexton plan sync                what would happen
  sexton sync")]
    Sync(SyncArgs),
    /// Give a template of counted instances another number of them
    #[command(after_help = "\
It holds until the unit files say otherwise at the next sync.

Example:
  sexton scale web@ 4             web@1 to web@4")]
    Scale(ScaleArgs),
    /// Show what a change would do, and do nothing
    #[command(after_help = "\
Shows what is tested and what cannot be, which pre-stop hooks run, and what is stopped and started in which order.
Exits with 3 when the change would be refused now.

Examples:
  sexton plan restart web
  sexton plan restart --rolling 'web@*'
  sexton plan stop store --cascade
  sexton plan scale web@ 4
  sexton plan sync")]
    Plan(PlanArgs),
    /// Send a signal to the main process of units
    #[command(after_help = "\
A signal is a name or a number: HUP, SIGUSR1, 10, RTMIN+3.

Example:
  sexton signal HUP web")]
    Signal(SignalArgs),
    /// Forget the failures of units and their count of restarts
    Reset(Units),
    /// Stop everything and switch the machine off (in a container: end it)
    Poweroff(EndArgs),
    /// Stop everything and start the machine again (in a container: end it)
    Reboot(RebootArgs),
    /// Stop everything and halt the machine (in a container: end it)
    Halt(EndArgs),
    /// Stop everything and go over to the kernel that `kexec -l` loaded
    Kexec(EndArgs),
}

/// `sexton up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The directory of unit files
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// What `init` takes too.
    #[command(flatten)]
    pub init: InitArgs,
}

/// `sexton init`.
#[derive(Debug, Default, Args)]
pub struct InitArgs {
    /// Where the control socket and other run-time files are made [default: /run/sexton as root]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// A command that becomes the unit 'main': it starts when all others are ready, and its end ends sexton
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `sexton check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Unit files, or directories of them
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Any number of units.
#[derive(Debug, Args)]
pub struct OptionalUnits {
    /// Names of units, or patterns such as 'redis@*'
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
}

/// `sexton poweroff`, `halt`, `kexec`.
#[derive(Debug, Args)]
pub struct EndArgs {
    /// Kill units instead of stopping them; twice: ask nobody, only write what is in memory to the disks
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub force: u8,
}

/// `sexton reboot`.
#[derive(Debug, Args)]
pub struct RebootArgs {
    /// What the others take too.
    #[command(flatten)]
    pub end: EndArgs,
    /// Into the setup of an EFI firmware
    #[arg(long)]
    pub firmware: bool,
}

/// Any number of patterns.
#[derive(Debug, Args)]
pub struct Patterns {
    /// Only units whose name matches one of these
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// The units that sexton brings along for a machine, and the files that take their place
    #[arg(long, conflicts_with = "patterns")]
    pub builtin: bool,
}

/// Exactly one unit.
#[derive(Debug, Args)]
pub struct OneUnit {
    /// The name of a unit
    #[arg(value_name = "UNIT")]
    pub unit: String,
}

/// One unit or none.
#[derive(Debug, Args)]
pub struct OptionalUnit {
    /// The name of a unit; without it, every unit that no other needs
    #[arg(value_name = "UNIT")]
    pub unit: Option<String>,
}

/// `sexton completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `sexton chart`.
#[derive(Debug, Args)]
pub struct ChartArgs {
    /// Draw with characters
    #[arg(long)]
    pub text: bool,
}

/// A shell that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each is the shell of its name")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// What a command line came to.
#[derive(Debug)]
pub enum Parsed {
    /// To be an init.
    Supervise(Supervise),
    /// Something that is done and over: [`run`](super::run) does it.
    Errand(Errand),
}

/// Something that is done and over.
#[derive(Debug)]
pub enum Errand {
    /// A command that needs no running sexton.
    Local(Global, Local),
    /// A question or a request to a running sexton.
    Ask(Global, Ask),
    /// Printing this: help, the version, or what is wrong with the command line.
    Say {
        /// What to print: on standard output if `exit` is `Done`, else on standard error.
        text: String,
        /// What to end with.
        exit: Exit,
    },
}

/// Names that sexton can be called by, each of which stands for the command of that name.
const CALLED_BY: [&str; 3] = ["poweroff", "reboot", "halt"];

/// Reads a command line, the program's name first.
pub fn parse(argv: impl IntoIterator<Item = OsString>) -> Parsed {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    if argv.is_empty() {
        // The kernel allows an empty argv; nothing was asked for then.
        argv.push("sexton".into());
    }
    let called = argv.first().and_then(|name| Path::new(name).file_name());
    if let Some(name) = CALLED_BY.into_iter().find(|name| called.is_some_and(|called| called == *name)) {
        argv.insert(1, name.into());
    }
    if argv.get(1).is_some_and(|word| word == "--vsock" || word.as_bytes().starts_with(b"--vsock=")) {
        argv.insert(1, "gateway".into());
    }
    let line = command().try_get_matches_from(argv).and_then(|matches| Line::from_arg_matches(&matches));
    let errand = match line {
        Ok(Line { global, command: Some(Any::Supervise(how)) }) => match of_a_client(&global) {
            None => return Parsed::Supervise(how),
            Some(option) => Errand::Say {
                text: format!("error: '{option}' is for those who talk to a sexton, and this would be one\n"),
                exit: Exit::Usage,
            },
        },
        Ok(Line { global, command: Some(Any::Local(local)) }) => Errand::Local(global, local),
        Ok(Line { global, command: Some(Any::Ask(ask)) }) => Errand::Ask(global, ask),
        Ok(Line { command: None, .. }) => Errand::Say { text: help(), exit: Exit::Usage },
        Err(error) => Errand::Say {
            text: error.render().to_string(),
            exit: if error.use_stderr() { Exit::Usage } else { Exit::Done },
        },
    };
    Parsed::Errand(errand)
}

/// The first option here that means nothing to an init.
fn of_a_client(global: &Global) -> Option<&'static str> {
    let given = [
        ("--socket", global.socket.is_some()),
        ("--json", global.json),
        ("--timeout", global.timeout.is_some()),
    ];
    given.into_iter().find_map(|(option, is_given)| is_given.then_some(option))
}

/// The whole declaration, as it was derived.
pub(super) fn declaration() -> clap::Command {
    Line::command()
}

#[cfg(test)]
mod tests;

//! Arguments → role → exit status. The only place where the process ends.
//!
//! | role | chosen by |
//! | --- | --- |
//! | wrapper | the names `tini`, `tini-static`, `docker-init`, `dumb-init`; `sexton -- COMMAND`, or PID 1 with a command, without units |
//! | chore | `sexton chore NAME`, which units of sexton's own run on a machine |
//! | logger | `argv[0]` is the name that PID 1 gives its helper |
//! | init | pid 1 without arguments, or with a command and with units for it; `sexton init`; `sexton up DIR` |
//! | client | everything else, and the names `poweroff`, `reboot`, `halt` |

#![no_main]

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sexton::cli::args::{InitArgs, OptionalUnits, UpArgs};
use sexton::cli::{self, Ask, Errand, Exit, Global, Parsed, Supervise, container};
use sexton::logger;
use sexton::machine::early::Early;
use sexton::machine::ending;
use sexton::run::boot::BootError;
use sexton::run::ending::Ending;
use sexton::run::load::{OwnUnits, UnitPaths};
use sexton::run::{self, Options, directory};
use sexton::sys::allocator::Patient;
use sexton::sys::arguments::Arguments;
use sexton::sys::entries;
use sexton::sys::handover;
use sexton::sys::process;
use sexton::wrapper::{self, Surroundings};

sexton::begin_at!(wrap, run_as);

#[global_allocator]
static ALLOCATOR: Patient = Patient;

/// The wrapper comes before everything else: what it costs is paid by every container that it is in.
fn wrap(arguments: &mut Arguments) -> Option<u8> {
    let around = Surroundings {
        has_units: || entries::any_ends_with(c"/etc/sexton/units", b".toml"),
        is_pid_1: || std::process::id() == 1,
        begins_command: container::begins_command,
    };
    // What the kernel did not understand of its command line it leaves to its init: that is no command.
    let is_init =
        arguments.bytes(0).is_some_and(|name| name.rsplit(|byte| *byte == b'/').next() == Some(b"init"));
    if is_init && arguments.bytes(1).is_some_and(|word| !word.starts_with(b"-")) {
        return None;
    }
    wrapper::early(arguments, around)
}

/// Finds the role and plays it; answers the exit status.
fn run_as(argv: Vec<OsString>) -> u8 {
    if argv.first().is_some_and(|name| name == run::LOGGER) {
        return log();
    }
    let words = argv.get(1..).unwrap_or_default();
    if let [chore, name] = words
        && chore == "chore"
    {
        return cli::chore::run(name).code();
    }
    let mut early = None;
    if std::process::id() == 1 {
        early = run::boot::look_around();
        if early.is_some() && !words.first().is_some_and(|word| word == "init" || word == "up") {
            // Whatever else stands here the kernel did not understand and left over.
            return init(UnitPaths::system(), InitArgs::default(), early);
        }
        match container::command_in(words) {
            _ if words.is_empty() => return init(UnitPaths::system(), InitArgs::default(), None),
            Some(command) if UnitPaths::system().has_units() => {
                return init(
                    UnitPaths::system(),
                    InitArgs { command: command.to_vec(), ..InitArgs::default() },
                    None,
                );
            }
            _ => {}
        }
    }
    match plain(&argv).unwrap_or_else(|| cli::parse(argv)) {
        Parsed::Supervise(Supervise::Init(args)) => init(UnitPaths::system(), args, early),
        Parsed::Supervise(Supervise::Up(args)) => match std::path::absolute(&args.directory) {
            Ok(directory) => init(UnitPaths::directory(&directory), args.init, early),
            Err(error) => {
                complain(&format!("cannot find '{}': {error}", args.directory.display()), Exit::Usage)
            }
        },
        // Whoever closed standard output must not have it replaced by the connection to PID 1.
        Parsed::Errand(errand) => match process::tidy_descriptors() {
            Ok(()) => cli::run(&errand).code(),
            Err(error) => complain(&format!("cannot open descriptors 0 to 2: {error}"), Exit::Failed),
        },
    }
}

/// The calls that an init is mostly started with, and the one that is made every second, told apart without the parser of
/// all commands: building that costs the first service more than reading its unit.
fn plain(argv: &[OsString]) -> Option<Parsed> {
    let (name, words) = argv.split_first()?;
    if Path::new(name).file_name()? != "sexton" {
        return None;
    }
    match words {
        [init] if init == "init" => Some(Parsed::Supervise(Supervise::Init(InitArgs::default()))),
        [up, directory] if up == "up" && !directory.is_empty() && !directory.as_bytes().starts_with(b"-") => {
            let args = UpArgs { directory: directory.into(), init: InitArgs::default() };
            Some(Parsed::Supervise(Supervise::Up(args)))
        }
        [health, units @ ..] if health == "health" => {
            let units = units.iter().map(|unit| unit.to_str().map(str::to_owned));
            let units: Option<Vec<String>> = units.collect();
            let units = units.filter(|units| units.iter().all(|unit| !unit.starts_with('-')))?;
            let ask = Ask::Health(OptionalUnits { units });
            Some(Parsed::Errand(Errand::Ask(Global::default(), ask)))
        }
        _ => None,
    }
}

/// Runs as the logger, on the descriptors that PID 1 gave it.
fn log() -> u8 {
    match handover::inherited(run::CONTROL_FD) {
        Ok(control) => {
            let tails = handover::inherited(run::TAILS_FD).ok();
            logger::main(control, tails)
        }
        Err(error) => complain(&format!("the logger is started by sexton itself: {error}"), Exit::Usage),
    }
}

/// Runs as an init until everything is over.
fn init(paths: UnitPaths, args: InitArgs, early: Option<Early>) -> u8 {
    let own = if early.is_some() { OwnUnits::Machine } else { OwnUnits::None };
    let paths = match paths.with_command(args.command) {
        Ok(paths) => UnitPaths { own, ..paths },
        Err(word) => return complain(&format!("cannot run '{word}': it is not UTF-8"), Exit::Usage),
    };
    let run_directory = args.run_dir.unwrap_or_else(directory::own_run_directory);
    let run_directory = std::path::absolute(&run_directory).unwrap_or(run_directory);
    match run::boot::run(Options { paths, run_directory, early }) {
        Ok(Ending::Exit(code)) => code,
        Ok(Ending::Machine(plan)) => {
            // Where it does not end there is nothing to return to: an init that exits is a kernel panic, which at least is
            // seen.
            let error = ending::end(plan);
            complain(&format!("cannot end the machine: {error}"), Exit::Failed)
        }
        Err(error @ BootError::NoUnits { .. }) => complain(&error.to_string(), Exit::Usage),
        Err(error) => complain(&error.to_string(), Exit::Failed),
    }
}

fn complain(words: &str, exit: Exit) -> u8 {
    // Nobody is left to tell where standard error cannot be written to.
    let _ = writeln!(std::io::stderr(), "sexton: {words}");
    exit.code()
}

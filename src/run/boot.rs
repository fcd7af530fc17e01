//! The way from `main` to the loop.
//!
//! ```text
//!   signals blocked ─▶ descriptors 0–2 ─▶ chdir / ─▶ limits ─▶ subreaper ─▶ run directory, control socket
//!     ─▶ units read ─▶ engine ─▶ first wish: start what starts at boot ─▶ ══ the loop: from here on nothing exits ══
//! ```
//!
//! What cannot be done in a place is said once and kept as a limitation; only what nothing can be done without
//! (an epoll, a signalfd) ends the start.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::control::server::Server;
use crate::engine::{self, Engine, Event, OnEssential, Request, UnitId};
use crate::logger::client::LogPipes;
use crate::machine::early::{self, Early};
use crate::model::spawn::errno_words;
use crate::model::unit::{Entry, Stdin};
use crate::model::{Settings, UnitName};
use crate::sys::poll::{Interest, Poller, Token};
use crate::sys::signals::{self, SignalFd};
use crate::sys::spawn::Leads;
use crate::sys::{allocator, clock, limits, process, socket, terminal};
use crate::unitfile::diagnostic::Diagnostic;
use crate::unitfile::{Level, Loaded};

use super::capture::Captures;
use super::cgroups::Cgroups;
use super::children::Children;
use super::chronicle::Chronicle;
use super::deferrals::Deferrals;
use super::ending::Ending;
use super::environment::Environment;
use super::filters::Filters;
use super::fingerprint::Fingerprints;
use super::foreign::Foreign;
use super::launch::{Launcher, Terminal};
use super::load::{OwnUnits, UnitPaths};
use super::machine::{self, Machine};
use super::notify::NotifySockets;
use super::place::Place;
use super::readiness::Watcher;
use super::render::Renderer;
use super::requests::{Pending, Requests};
use super::watchdog::Guard;
use super::{Class, Init, Options, directory, load, logging, settings};

/// How often what nothing can be done without is asked for again: for two seconds.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// The ends of its pipe, its notify socket, and what readiness is seen by.
const DESCRIPTORS_A_UNIT: u64 = 4;
/// The loop's, the logger's, and those of clients.
const DESCRIPTORS_OF_SEXTON: u64 = 128;

/// Why sexton could not begin at all, or must not.
#[derive(Debug)]
pub enum BootError {
    /// Something that nothing can be done without.
    Cannot {
        /// What was to be done.
        what: &'static str,
        /// The kernel's word.
        error: io::Error,
    },
    /// The directory of units is not there. PID 1 goes on, and says so.
    NoUnits {
        /// The one that matters most.
        directory: PathBuf,
        /// What is there instead, or nothing.
        error: io::Error,
    },
    /// Another sexton has the run directory: this one would start everything again, and nobody could talk to it. PID 1
    /// goes on, and says so.
    Occupied {
        /// Where the other answers.
        socket: PathBuf,
    },
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::Cannot { what, error } => write!(f, "cannot {what}: {}", cause(error)),
            BootError::NoUnits { directory, error } => {
                write!(f, "cannot find units in '{}': {}", directory.display(), cause(error))
            }
            BootError::Occupied { socket } => write!(
                f,
                "cannot listen on '{}': another sexton answers there; nothing was started",
                socket.display()
            ),
        }
    }
}

impl std::error::Error for BootError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

/// What PID 1 looks at before everything else: is this a machine, which it has to make ready for itself?
pub fn look_around() -> Option<Early> {
    let proc = early::look();
    // Where there is no /proc to be had, there is nothing of a machine's to be done either.
    if Place::detect() == Place::Machine && Path::new("/proc/self").exists() {
        return Some(early::prepare());
    }
    proc.leave();
    None
}

/// Boots, runs until everything is over, and tells how to end.
pub fn run(options: Options) -> Result<Ending, BootError> {
    let failed = |what| move |error| BootError::Cannot { what, error };
    allocator::never_give_up();
    insist(signals::block_all).map_err(failed("block signals"))?;
    let mut limitations = Vec::new();
    note(&mut limitations, "open descriptors 0 to 2", process::tidy_descriptors());
    let null = insist(process::open_nothing).map_err(failed("open anything to read nothing from"))?;
    let place = options.early.as_ref().map_or_else(Place::detect, |_| Place::Machine);
    limitations.extend(options.early.iter().flat_map(|early| early.problems.clone()));
    if options.paths.command.is_none()
        && options.paths.own == OwnUnits::None
        && let Err(error) = find_directory(&options.paths)
    {
        if place == Place::Child {
            return Err(error);
        }
        limitations.push(error.to_string());
    }
    note(&mut limitations, "leave the working directory", process::leave_directory());
    let descriptors = limits::raise_descriptors();
    let most_descriptors = descriptors.as_ref().map_or(0, |most| *most);
    note(&mut limitations, "raise the limit of descriptors", descriptors.map(drop));
    if place == Place::Child {
        note(&mut limitations, "adopt orphans as a subreaper", process::become_subreaper());
    }
    if place == Place::Machine {
        note(&mut limitations, "take Ctrl-Alt-Del", process::take_ctrl_alt_del());
    }
    let poller = insist(Poller::new).map_err(failed("make an epoll"))?;
    let signals = insist(SignalFd::new).map_err(failed("make a signalfd"))?;
    let token = Token::new(Class::Signals as u8, 0);
    insist(|| poller.add(signals.as_fd(), token, Interest::Read)).map_err(failed("wait for signals"))?;
    let mut loaded = load::load(&options.paths);
    let timeout = std::env::var_os(settings::TIMEOUT);
    limitations.extend(settings::take_timeout(&mut loaded.settings, timeout.as_deref()));
    let machine = options.early.clone().map(|early| Machine::new(early, &mut loaded, clock::now()));
    let server = open_control(&options.run_directory, &loaded.settings, &mut limitations);
    if place == Place::Child && server.is_none() {
        find_no_other(&options.run_directory)?;
    }
    // What an init held goes with its process: closing a thousand pipes one by one would only delay the end.
    let mut init =
        ManuallyDrop::new(assemble(options, place, poller, signals, server, null, &loaded, limitations));
    init.machine = machine;
    if init.machine.is_some() {
        init.engine.answer_essential(OnEssential::Tell);
    }
    if place == Place::Machine {
        let wrong = init.limitations.clone();
        init.logs.use_kernel_log(&wrong);
    }
    init.say_what_is_wrong(&loaded);
    if most_descriptors < DESCRIPTORS_OF_SEXTON + DESCRIPTORS_A_UNIT * loaded.entries.len() as u64 {
        // The units could take what it needs, and then nobody would ever read why they wait.
        init.start_logger_first();
    }
    init.start_at_boot(&loaded.start);
    Ok(init.run())
}

/// Asks again for what nothing can be done without: at boot others may hold for a moment what it takes.
fn insist<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..TRIES {
        if let Ok(done) = act() {
            return Ok(done);
        }
        clock::pause(PAUSE);
    }
    act()
}

/// The kernel's word without its number.
pub(super) fn cause(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}

fn note(limitations: &mut Vec<String>, what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        limitations.push(format!("cannot {what}: {}", cause(&error)));
    }
}

#[allow(clippy::too_many_arguments, reason = "it is where the parts come together, once")]
fn assemble(
    options: Options,
    place: Place,
    poller: Poller,
    signals: SignalFd,
    server: Option<Server>,
    null: std::os::fd::OwnedFd,
    loaded: &Loaded,
    mut limitations: Vec<String>,
) -> Init {
    use std::os::unix::ffi::OsStringExt;
    let started = clock::now();
    let terminal = own_terminal(place, loaded, &mut limitations);
    // A ^C at our terminal is for sexton alone.
    let leads = if terminal::may_control_us() { Leads::Session } else { Leads::Group };
    let names: Vec<UnitName> = loaded.entries.iter().map(|entry| entry.name().clone()).collect();
    let environment = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let engine_options = engine::Options {
        shutdown_timeout: machine::time_for_units(place, loaded.settings.shutdown_timeout),
        random_seed: started.as_nanos() ^ u64::from(std::process::id()),
    };
    let usual = logging::usual(&loaded.settings, &options.run_directory, &mut limitations);
    Init {
        place,
        machine: None,
        engine: Engine::new(loaded.entries.clone(), engine_options),
        poller,
        signals,
        children: Children::default(),
        pending: super::pending::PendingChildren::default(),
        rest: super::rest::Rest::default(),
        foreign: Foreign::default(),
        deferrals: Deferrals::default(),
        said_of_files: HashSet::new(),
        launcher: Launcher::new(Environment::inherited(environment), null, leads, terminal),
        logs: LogPipes::new(names, usual, Class::Logger as u8),
        filters: Filters::default(),
        notify: NotifySockets::new(&options.run_directory, Class::Notify as u8),
        watcher: Watcher::new(Class::Readiness as u8),
        probing: BTreeSet::new(),
        heeded: super::heed::Heeded::default(),
        captures: Captures::new(Class::Capture as u8),
        renderer: Renderer::default(),
        unfinished: super::unfinished::Unfinished::default(),
        cgroups: Cgroups::default(),
        watchdog: Guard::new(loaded.settings.boot.watchdog.filter(|_| place == Place::Machine), started),
        fingerprints: Fingerprints::default(),
        server,
        requests: Requests::default(),
        status_texts: BTreeMap::new(),
        groups: Vec::new(),
        look_again_at: None,
        events: VecDeque::new(),
        effects: Vec::new(),
        orphans_reaped: 0,
        limitations,
        chronicle: Chronicle::new(started, loaded.entries.len()),
        now: started,
        started,
        read_at: started,
        ending: None,
        farewell: None,
        paths: options.paths,
        settings: loaded.settings.clone(),
        run_directory: options.run_directory,
    }
}

/// In a container the terminal is for the service that inherits it (`docker run -it`): it cannot be had as long as it is
/// sexton's own.
fn own_terminal(place: Place, loaded: &Loaded, limitations: &mut Vec<String>) -> Terminal {
    let inherits = |entry: &Entry| match entry {
        Entry::Unit(unit) => unit.program().is_some_and(|program| program.process.stdin == Stdin::Inherit),
        Entry::Broken { .. } => false,
    };
    if place != Place::Container || !loaded.entries.iter().any(inherits) {
        return Terminal::Kept;
    }
    match terminal::give_up(process::standard_input()) {
        Ok(true) => Terminal::GivenUp,
        Ok(false) => Terminal::Kept,
        Err(error) => {
            limitations.push(format!("cannot leave the terminal to a service: {}", cause(&error)));
            Terminal::Kept
        }
    }
}

/// One of the directories of units has to be there. Reading what is not there answers no units, which nobody has to wait for.
fn find_directory(paths: &UnitPaths) -> Result<(), BootError> {
    let look = |directory: &PathBuf| match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
        Err(error) => Err(error),
    };
    let Some(first) = paths.directories.first() else { return Ok(()) };
    match look(first) {
        Err(error) if !paths.directories.iter().skip(1).any(|directory| look(directory).is_ok()) => {
            Err(BootError::NoUnits { directory: first.clone(), error })
        }
        _ => Ok(()),
    }
}

/// Where this sexton cannot listen, does another? One that has no time for a connection is one all the same.
fn find_no_other(run_directory: &Path) -> Result<(), BootError> {
    let socket = run_directory.join(directory::CONTROL_SOCKET);
    match socket::connect_unix(&socket) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(()),
        _ => Err(BootError::Occupied { socket }),
    }
}

/// Makes the run directory and listens on the control socket. Without them sexton runs on, and cannot be talked to.
fn open_control(run_directory: &Path, settings: &Settings, limitations: &mut Vec<String>) -> Option<Server> {
    if let Err(error) = make_run_directory(run_directory) {
        limitations.push(format!(
            "cannot make the run directory '{}': {}; nobody can talk to this sexton",
            run_directory.display(),
            cause(&error)
        ));
        return None;
    }
    let path = run_directory.join(directory::CONTROL_SOCKET);
    let listener = match socket::listen_unix(&path, settings.socket_mode()) {
        Ok(listener) => listener,
        Err(error) => {
            limitations.push(format!(
                "cannot listen on '{}': {}; nobody can talk to this sexton",
                path.display(),
                cause(&error)
            ));
            return None;
        }
    };
    let (policy, problems) = settings::admit(&path, settings);
    limitations.extend(problems);
    Some(Server::new(listener, Class::Control as u8, policy))
}

/// The directory is ours alone to write, and others may pass through it to the sockets that they may use. One that
/// somebody else made is refused: what is in it could be theirs.
fn make_run_directory(path: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o711).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path)?;
        }
        other => return other,
    }
    let directory = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path)?;
    if directory.metadata()?.uid() != process::effective_uid() {
        return Err(io::Error::other("it belongs to another user"));
    }
    Ok(())
}

impl Init {
    /// Every error of a unit file, a line each, and what cannot be done here.
    fn say_what_is_wrong(&mut self, loaded: &Loaded) {
        for limitation in self.limitations.clone() {
            self.say(&limitation);
        }
        self.say_new_errors(loaded);
        if loaded.entries.is_empty() {
            self.say("there are no units; waiting for signals and reaping orphans");
        }
    }

    /// Says every error in the unit files that was not there when they were last read.
    pub(super) fn say_new_errors(&mut self, loaded: &Loaded) {
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error);
        let lines: Vec<String> = errors.map(Diagnostic::in_one_line).collect();
        for line in lines.iter().filter(|line| !self.said_of_files.contains(*line)) {
            self.logs.message(line, self.now);
        }
        self.said_of_files = lines.into_iter().collect();
    }

    pub(super) fn start_at_boot(&mut self, start: &[UnitName]) {
        let units: Vec<UnitId> = start.iter().filter_map(|name| self.engine.find(name.as_str())).collect();
        let id = self.requests.open(Pending::own());
        self.events.push_back(Event::Requested { id, request: Request::Boot { units } });
    }

    /// Reads the unit files again and takes in those that were not there before, or had errors. What runs is not
    /// touched.
    pub(super) fn find_new_units(&mut self) {
        if self.engine.is_syncing() {
            return; // The sync brings what is new.
        }
        let loaded = load::load(&self.paths);
        self.say_new_errors(&loaded);
        let mut entries = Vec::new();
        for entry in loaded.entries {
            match self.engine.find(entry.name().as_str()).map(|id| self.engine.unit(id).unit().is_some()) {
                Some(true) => continue,
                Some(false) => {}
                None => {
                    self.logs.message(&format!("found a new unit: {}", entry.name()), self.now);
                }
            }
            entries.push(entry);
        }
        if entries.is_empty() {
            return;
        }
        self.engine.extend(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_could_not_be_done_and_why() {
        let gone = || io::Error::from_raw_os_error(libc::ENOENT);
        let words = |error: BootError| error.to_string();
        let cannot = words(BootError::Cannot { what: "make an epoll", error: gone() });
        assert_eq!(cannot, "cannot make an epoll: no such file or directory");
        assert_eq!(
            words(BootError::NoUnits { directory: "/etc/x".into(), error: gone() }),
            "cannot find units in '/etc/x': no such file or directory"
        );
        assert_eq!(
            words(BootError::Occupied { socket: "/run/x".into() }),
            "cannot listen on '/run/x': another sexton answers there; nothing was started"
        );
    }

    #[test]
    fn one_directory_of_units_that_is_there_is_enough() {
        let paths = |directories: &[&str]| UnitPaths {
            directories: directories.iter().map(PathBuf::from).collect(),
            settings: PathBuf::new(),
            command: None,
            own: OwnUnits::None,
            library: crate::run::load::Library::Left,
        };
        for there in [&["/"][..], &["/no/such", "/"], &["/", "/no/such"], &["/proc/self/exe", "/"]] {
            assert!(find_directory(&paths(there)).is_ok(), "{there:?}");
        }
        for (missing, cause) in
            [("/no/such", "no such file or directory"), ("/proc/self/exe", "not a directory")]
        {
            let error = find_directory(&paths(&[missing, "/no/such/either"])).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot find units in '{missing}': {cause}"));
        }
    }
}

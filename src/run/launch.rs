//! From a unit and one of its commands to a running process: everything that has to be looked up, read and
//! settled before the clone.
//!
//! ```text
//!   account ─▶ env-files ─▶ environment ─▶ ${NAME} ─▶ program in PATH ─▶ Plan ─▶ sys::spawn
//! ```
//!
//! Each step has its [`ExecStage`], so that what cannot be started says where it broke.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use crate::engine::Reason;
use crate::model::spawn::Cause;
use crate::model::unit::{Process, Program, Stdin};
use crate::model::{Account, Command, ExecStage, Pid, SpawnError, Text, Unit};
use crate::sys::accounts::{Accounts, User};
use crate::sys::spawn::{self, Identity, Leads, Plan, Started};
use crate::sys::{files, process as own};

use super::environment::{DEFAULT_PATH, Environment, parse_env_file};

/// The largest environment file, in bytes; the same as for a unit file.
const ENV_FILE_LIMIT: u64 = 1 << 20;

/// One process that is to be started.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Whose it is.
    pub unit: &'a Unit,
    /// The unit's program, with its surroundings.
    pub program: &'a Program,
    /// What to run.
    pub command: &'a Command,
    /// Another user than the unit's.
    pub run_as: Option<&'a Account>,
    /// Is it the unit's own process, or something around it?
    pub part: Part,
    /// Why.
    pub reason: Reason,
    /// The unit's main process.
    pub main: Option<Pid>,
    /// Standard input of what is no main process; nothing when absent.
    pub input: Option<BorrowedFd<'a>>,
    /// Standard output and error.
    pub output: (BorrowedFd<'a>, BorrowedFd<'a>),
    /// The value of `NOTIFY_SOCKET`.
    pub notify: Option<&'a str>,
    /// The directory of the cgroup that it is born into.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// A descriptor that the process was promised.
    pub promised: Option<(RawFd, BorrowedFd<'a>)>,
}

/// What part a process plays in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The unit's own process: it gets the terminal, and what `[require]` says of its user is looked at.
    Main,
    /// A configuration test: what `[require]` says of its user is looked at.
    Test,
    /// A hook, a condition, a probe.
    Around,
}

/// What all launches share.
#[derive(Debug)]
pub struct Launcher {
    inherited: Environment,
    null: OwnedFd,
    leads: Leads,
    terminal: Terminal,
}

/// What became of the terminal that sexton was started on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// Nothing, or there was none: standard input is only a descriptor.
    Kept,
    /// It is standard input, and whoever inherits that takes it.
    GivenUp,
}

impl Launcher {
    /// `inherited` is what sexton itself was started with, `null` is open on `/dev/null`, `leads` is what each
    /// process leads.
    pub fn new(inherited: Environment, null: OwnedFd, leads: Leads, terminal: Terminal) -> Launcher {
        Launcher { inherited, null, leads, terminal }
    }

    /// `/dev/null`, or what stands for it.
    pub fn null(&self) -> BorrowedFd<'_> {
        self.null.as_fd()
    }

    /// What each process leads.
    pub fn leads(&self) -> Leads {
        self.leads
    }

    /// Starts a process. One of another user is on its way then, and not yet there.
    pub fn launch(&self, launch: &Launch<'_>) -> Result<Started, SpawnError> {
        let process = &*launch.program.process;
        let user = match launch.run_as.or(process.user.as_ref()) {
            Some(account) => Some(find_user(account)?),
            None => None,
        };
        let environment = self.environment(launch, user.as_ref())?;
        let settle = |text: &Text, key: &str| settle(text, &environment, key);
        let argv = launch.command.argv().iter().map(|text| settle(text, "exec").and_then(c_string));
        let argv: Vec<CString> = argv.collect::<Result<_, _>>()?;
        let Some(name) = argv.first() else {
            return Err(failed(ExecStage::Program, "", Cause::Words("the command is empty".to_owned())));
        };
        let program = find_program(name, &environment)?;
        let mut plan = Plan::new(program, argv, self.null());
        plan.leads = self.leads;
        plan.envp = environment.entries();
        plan.directory = match &process.directory {
            Some(directory) => Some(settle(directory, "directory").and_then(c_string)?),
            None => None,
        };
        (plan.stdout, plan.stderr) = (Some(launch.output.0), Some(launch.output.1));
        plan.promised.extend(launch.promised);
        plan.cgroup = launch.cgroup;
        plan.identity = identity(process, launch.run_as, user)?;
        // Who runs as somebody else is asked for by name, for what the unit's user may not.
        if launch.run_as.is_none() {
            plan.capabilities = process.capabilities;
            plan.no_new_privileges = process.no_new_privileges;
        }
        plan.limits.clone_from(&process.limits);
        (plan.nice, plan.io_class) = (process.nice, process.io_class);
        plan.cpus.clone_from(&process.cpus);
        (plan.oom_score_adj, plan.umask) = (process.oom_score_adj, process.umask);
        plan.stdin = match (launch.part, &process.stdin) {
            (Part::Main, Stdin::Tty(path)) => spawn::Stdin::Tty(c_string(path.clone())?),
            (Part::Main, Stdin::Inherit) => match self.terminal {
                Terminal::Kept => spawn::Stdin::Fd(own::standard_input()),
                Terminal::GivenUp => spawn::Stdin::Terminal(own::standard_input()),
            },
            _ => spawn::Stdin::Fd(launch.input.unwrap_or_else(|| self.null())),
        };
        if launch.part != Part::Around {
            let require = &launch.program.require;
            let paths = |texts: &[Text]| -> Result<Vec<CString>, SpawnError> {
                texts.iter().map(|text| settle(text, "require").and_then(c_string)).collect()
            };
            plan.readable = paths(&require.readable)?;
            plan.writable = paths(&require.writable)?;
        }
        spawn::start(plan)
    }

    /// The variables of a unit without those of one launch: for what is looked at before it starts, with the eyes of the
    /// same user.
    pub fn unit_environment(&self, unit: &Unit, process: &Process) -> Result<Environment, SpawnError> {
        let user = process.user.as_ref().map(find_user).transpose()?;
        self.environment_of(unit, process, user.as_ref())
    }

    /// Each step may use what the steps before it have set, and change it.
    fn environment_of(
        &self,
        unit: &Unit,
        process: &Process,
        user: Option<&User>,
    ) -> Result<Environment, SpawnError> {
        let mut environment = if process.env_clear { Environment::default() } else { self.inherited.clone() };
        if let Some(user) = user {
            set_login(&mut environment, user);
        }
        for file in &process.env_files {
            let path = settle(&file.path, &environment, "env-files")?;
            for (name, value) in read_env_file(&path, file.optional)? {
                environment.set(&name, &value);
            }
        }
        for (name, value) in &process.env {
            let value = settle(value, &environment, "env")?;
            environment.set(name, &value);
        }
        environment.set_default("PATH", DEFAULT_PATH);
        environment.set("SEXTON_UNIT", unit.name.as_str());
        if let Some(instance) = unit.name.instance() {
            environment.set("SEXTON_INSTANCE", instance);
        }
        Ok(environment)
    }

    fn environment(&self, launch: &Launch<'_>, user: Option<&User>) -> Result<Environment, SpawnError> {
        let process = &*launch.program.process;
        let mut environment = self.environment_of(launch.unit, process, user)?;
        if let (Part::Main, Some(path)) = (launch.part, &process.pid_file) {
            // It is watched once the process runs; that nothing can be watched is found out before.
            settle(path, &environment, "pid-file")?;
        }
        environment.set("SEXTON_REASON", launch.reason.as_str());
        if let Some(main) = launch.main {
            environment.set("SEXTON_MAINPID", &main.to_string());
        }
        if let Some(notify) = launch.notify {
            environment.set("NOTIFY_SOCKET", notify);
        }
        Ok(environment)
    }
}

/// What a login would set for the user: sexton's own HOME is of no use to another. What the unit sets comes after it.
fn set_login(environment: &mut Environment, user: &User) {
    let number = user.uid.to_string();
    let called = user.name.as_deref().unwrap_or(&number);
    for (name, value) in
        [("HOME", &*user.home), ("USER", called), ("LOGNAME", called), ("SHELL", &user.shell)]
    {
        environment.set(name, value);
    }
}

fn read_env_file(path: &str, optional: bool) -> Result<Vec<(String, String)>, SpawnError> {
    let failed = |cause| failed(ExecStage::EnvFile, path, cause);
    let text = match files::read_bounded(path.as_ref(), ENV_FILE_LIMIT) {
        Ok(bytes) => {
            String::from_utf8(bytes).map_err(|_| failed(Cause::Words("it is not UTF-8".to_owned())))?
        }
        Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(cause(&error))),
    };
    parse_env_file(&text).map_err(|words| failed(Cause::Words(words)))
}

/// Settles `${NAME}`; an error names the key it stands in.
pub fn settle(text: &Text, environment: &Environment, key: &str) -> Result<String, SpawnError> {
    text.expand(|name| environment.get(name))
        .map_err(|unset| failed(ExecStage::Expand, key, Cause::Words(unset.to_string())))
}

fn find_user(account: &Account) -> Result<User, SpawnError> {
    let failed = |cause| failed(ExecStage::Account, &account.to_string(), cause);
    match Accounts::default().user(account) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(failed(Cause::Words("no such user in /etc/passwd".to_owned()))),
        Err(error) => Err(failed(cause(&error))),
    }
}

fn find_group(account: &Account) -> Result<u32, SpawnError> {
    let failed = |cause| failed(ExecStage::Account, &account.to_string(), cause);
    match Accounts::default().group(account) {
        Ok(Some(gid)) => Ok(gid),
        Ok(None) => Err(failed(Cause::Words("no such group in /etc/group".to_owned()))),
        Err(error) => Err(failed(cause(&error))),
    }
}

/// Whose the process is; `None` when the unit names neither user nor group: it stays as sexton is.
fn identity(
    process: &Process,
    run_as: Option<&Account>,
    user: Option<User>,
) -> Result<Option<Identity>, SpawnError> {
    // Another user than the unit's brings his own groups: the unit's are not his.
    let (group, groups) = match run_as {
        Some(_) => (None, None),
        None => (process.group.as_ref(), process.groups.as_ref()),
    };
    if user.is_none() && group.is_none() && groups.is_none() {
        return Ok(None);
    }
    let mut identity = match &user {
        Some(user) => Identity { uid: user.uid, gid: user.gid, groups: Vec::new() },
        None => own_identity(),
    };
    if let Some(group) = group {
        identity.gid = find_group(group)?;
    }
    identity.groups = match (groups, &user) {
        (Some(groups), _) => groups.iter().map(find_group).collect::<Result<_, _>>()?,
        (None, Some(user)) => Accounts::default()
            .supplementary_groups(user, identity.gid)
            .map_err(|error| failed(ExecStage::Account, &identity.uid.to_string(), cause(&error)))?,
        (None, None) => Vec::new(),
    };
    Ok(Some(identity))
}

/// Whose the unit's directories are: its user and group, sexton's own where it names none.
pub fn owner(process: &Process) -> Result<(u32, u32), SpawnError> {
    let user = process.user.as_ref().map(find_user).transpose()?;
    let gid = process.group.as_ref().map(find_group).transpose()?;
    let own = own_identity();
    let uid = user.as_ref().map_or(own.uid, |user| user.uid);
    Ok((uid, gid.or(user.map(|user| user.gid)).unwrap_or(own.gid)))
}

fn own_identity() -> Identity {
    Identity { uid: own::effective_uid(), gid: own::effective_gid(), groups: Vec::new() }
}

/// A name with a slash in it is left to the kernel, which alone knows what the unit's user can execute.
fn find_program(name: &CString, environment: &Environment) -> Result<CString, SpawnError> {
    let Some(plain) = name.to_str().ok().filter(|name| !name.contains('/')) else { return Ok(name.clone()) };
    let search = environment.get("PATH").unwrap_or(DEFAULT_PATH);
    match files::find_program(plain, search, Path::new("/")) {
        Ok(path) => c_string(path.to_string_lossy().into_owned()),
        Err(files::NotFound::Nowhere) => {
            let words = format!("it is in no directory of PATH ({search})");
            Err(failed(ExecStage::Program, plain, Cause::Words(words)))
        }
        Err(error @ files::NotFound::NotExecutable(_)) => {
            Err(failed(ExecStage::Program, plain, Cause::Words(error.to_string())))
        }
    }
}

fn c_string(text: String) -> Result<CString, SpawnError> {
    CString::new(text).map_err(|error| {
        let text = String::from_utf8_lossy(&error.into_vec()).into_owned();
        failed(ExecStage::Expand, &text, Cause::Words("there is a NUL byte in it".to_owned()))
    })
}

/// The cause of an error of the kernel's side.
pub fn cause(error: &std::io::Error) -> Cause {
    error.raw_os_error().map_or_else(|| Cause::Words(error.to_string()), Cause::Errno)
}

fn failed(stage: ExecStage, subject: &str, cause: Cause) -> SpawnError {
    SpawnError { stage, subject: subject.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Finding, Purpose, UnitId};
    use crate::model::unit::Entry;
    use crate::run::inspect::inspect;
    use crate::run::load::{self, UnitPaths, scratch::Scratch};
    use crate::run::render::Renderer;
    use crate::run::unfinished::Unfinished;
    use std::rc::Rc;

    fn launcher() -> Launcher {
        let inherited =
            [("HOME", "/root"), ("PATH", "/bin")].map(|(name, value)| (name.into(), value.into()));
        let null = own::open_nothing().unwrap();
        Launcher::new(Environment::inherited(inherited.into_iter()), null, Leads::Group, Terminal::Kept)
    }

    fn unit(scratch: &Scratch, more: &str) -> Rc<Unit> {
        let text = format!("[service]\nexec = [\"/bin/true\"]\n{more}");
        scratch.file("units/x.toml", text);
        let loaded = load::load(&UnitPaths::directory(&scratch.path("units")));
        assert!(loaded.diagnostics.iter().all(|problem| problem.level != crate::unitfile::Level::Error));
        let mut found = loaded.entries.iter().filter_map(|entry| match entry {
            Entry::Unit(unit) => Some(unit.clone()),
            Entry::Broken { .. } => None,
        });
        found.next().unwrap()
    }

    fn environment(unit: &Unit) -> Environment {
        launcher().unit_environment(unit, &unit.program().unwrap().process).unwrap()
    }

    #[test]
    fn what_is_looked_at_before_a_start_is_looked_at_with_the_users_own_variables() {
        let scratch = Scratch::new();
        let unit = unit(&scratch, "[process]\nuser = \"nobody\"\n[require]\nexists = [\"${HOME}/.\"]\n");
        let program = unit.program().unwrap();
        let mut renderer = Renderer::default();
        let finding = inspect(
            UnitId(0),
            &unit,
            program,
            Purpose::Start,
            &launcher(),
            &mut renderer,
            &Unfinished::default(),
        );
        assert_eq!(finding.unwrap(), Finding::Unmet("'/nonexistent/.' does not exist".to_owned()));
        assert_eq!(environment(&unit).get("SEXTON_UNIT"), Some("x"));
    }

    #[test]
    fn what_the_unit_sets_comes_before_what_a_login_would_set() {
        let scratch = Scratch::new();
        scratch.file("env", "HOME=/srv/x\n");
        let file = scratch.path("env").display().to_string();
        let of_file = format!("[process]\nuser = \"nobody\"\nenv-files = [\"{file}\"]\n");
        assert_eq!(environment(&unit(&scratch, &of_file)).get("HOME"), Some("/srv/x"));
        let of_login = "[process]\nuser = \"nobody\"\nenv = { CACHE = \"${HOME}/cache\" }\n";
        let environment = environment(&unit(&scratch, of_login));
        assert_eq!(environment.get("CACHE"), Some("/nonexistent/cache"));
        assert_eq!((environment.get("USER"), environment.get("PATH")), (Some("nobody"), Some("/bin")));
    }

    #[test]
    fn a_pid_file_that_nobody_can_name_keeps_its_daemon_from_starting() {
        let scratch = Scratch::new();
        let unit = unit(&scratch, "[process]\npid-file = \"${NOPE}/x\"\n");
        let (program, launcher) = (unit.program().unwrap(), launcher());
        let null = launcher.null();
        let error = launcher.launch(&Launch {
            unit: &unit,
            program,
            command: &program.exec,
            run_as: None,
            part: Part::Main,
            reason: Reason::Start,
            main: None,
            input: None,
            output: (null, null),
            notify: None,
            cgroup: None,
            promised: None,
        });
        let words = error.unwrap_err().to_string();
        assert!(words.contains("pid-file") && words.contains("NOPE"), "{words}");
    }
}

//! A Docker Engine for as long as a test wants one, with all that it has in a scratch directory.
//!
//! Tests that run at the same time share it; the last one ends it, and everything that it started.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{needs, sexton, testd, until, within};

/// To start an engine, or to end one with its containers, on two cores that run many tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The image of the tests: sexton, the tests' daemon, and nothing else.
const IMAGE: &str = "sexton-test";

const DOCKERFILE: &str = "FROM scratch\nCOPY sexton testd /\nENTRYPOINT [\"/sexton\"]\n\
    HEALTHCHECK --interval=1s --timeout=20s --retries=1 CMD [\"/sexton\", \"health\"]\n";

static PRESENT: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A running engine.
pub struct Engine {
    scratch: PathBuf,
    daemon: Mutex<Child>,
    built: Mutex<BTreeSet<&'static str>>,
}

/// What `docker` said, and with which status.
pub struct Said {
    pub code: i32,
    pub out: String,
}

impl Said {
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "\n{}", self.out);
        self.out
    }
}

/// The engine that is there, or a new one.
pub fn engine() -> Arc<Engine> {
    let mut present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = present.upgrade() {
        return engine;
    }
    let engine = Arc::new(Engine::start());
    *present = Arc::downgrade(&engine);
    engine
}

fn number() -> u32 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Engine {
    fn start() -> Engine {
        assert!(nix::unistd::geteuid().is_root(), "a Docker Engine needs root; run this as root");
        let scratch = PathBuf::from(format!("/tmp/sexton-engine.{}.{}", std::process::id(), number()));
        fs::create_dir_all(&scratch).unwrap_or_else(|e| panic!("{}: {e}", scratch.display()));
        let log = File::create(scratch.join("log")).unwrap_or_else(|e| panic!("the engine's log: {e}"));
        let errors = log.try_clone().unwrap_or_else(|e| panic!("the engine's log: {e}"));
        // The machine's own configuration is for the machine's own engine.
        write(&scratch.join("daemon.json"), "{}");
        let below = |name: &str| scratch.join(name).display().to_string();
        // `docker run --init` brings it into the container by this name.
        fs::copy(sexton(), scratch.join("docker-init")).unwrap_or_else(|e| panic!("docker-init: {e}"));
        #[allow(clippy::disallowed_methods, reason = "the engine is a child of the test")]
        let daemon = Command::new(needs("dockerd", "docker.io"))
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"])
            .args(["--data-root", &below("data"), "--exec-root", &below("exec"), "--pidfile", &below("pid")])
            .args(["--host", &format!("unix://{}", below("socket"))])
            .args(["--config-file", &below("daemon.json"), "--init-path", &below("docker-init")])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|e| panic!("dockerd: {e}"));
        let engine = Engine { scratch, daemon: Mutex::new(daemon), built: Mutex::default() };
        within(PATIENCE, "the engine answers", || {
            engine.fail_if_over();
            (engine.docker(&["version"]).code == 0).then_some(())
        });
        engine.build(IMAGE, &engine.context(DOCKERFILE));
        engine
    }

    #[allow(clippy::disallowed_methods, reason = "the engine is a child of the test")]
    fn fail_if_over(&self) {
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Some(status)) = daemon.try_wait() {
            let log = fs::read_to_string(self.scratch.join("log")).unwrap_or_default();
            panic!("the engine ended with {status}:\n{log}");
        }
    }

    /// A directory to build an image from, with sexton and the tests' daemon in it.
    pub fn context(&self, dockerfile: &str) -> PathBuf {
        let directory = self.scratch.join(format!("context{}", number()));
        fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        for (from, to) in [(sexton(), "sexton"), (testd(), "testd")] {
            fs::copy(&from, directory.join(to)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        }
        write(&directory.join("Dockerfile"), dockerfile);
        directory
    }

    /// `docker build`. Nothing comes from the network: there is none.
    #[track_caller]
    pub fn build(&self, image: &str, context: &Path) {
        let context = context.display().to_string();
        self.docker(&["build", "--quiet", "--network=none", "--tag", image, &context]).expect(0);
    }

    /// Makes an image that several tests want, unless one of them has. The others wait for it.
    pub fn once(&self, image: &'static str, make: impl FnOnce()) {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if !built.contains(image) {
            make();
            built.insert(image);
        }
    }

    /// `docker WORDS`, yet to be run.
    pub fn client(&self, words: &[&str]) -> Command {
        // Debian's client, where there is another one as well: it fits Debian's engine.
        let client = Path::new("/usr/bin/docker");
        let client =
            if client.exists() { client.to_owned() } else { PathBuf::from(needs("docker", "docker.io")) };
        let host = format!("unix://{}", self.scratch.join("socket").display());
        let mut command = Command::new("timeout");
        command.args(["--foreground", "-s", "KILL", "300"]).arg(client).args(["--host", &host]).args(words);
        command.env("DOCKER_BUILDKIT", "0").env("DOCKER_CONFIG", &self.scratch);
        command
    }

    /// `docker WORDS`; what it says on both outputs.
    pub fn docker(&self, words: &[&str]) -> Said {
        let mut command = self.client(words);
        command.stdin(Stdio::null());
        #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
        let output = command.output().unwrap_or_else(|e| panic!("docker: {e}"));
        let mut out = String::from_utf8_lossy(&output.stdout).into_owned();
        out.push_str(&String::from_utf8_lossy(&output.stderr));
        Said { code: output.status.code().unwrap_or(255), out }
    }

    /// A container that is yet to be made of these unit files, each with its name.
    pub fn plan(self: &Arc<Engine>, units: &[(&str, &str)]) -> Plan {
        let shared = self.scratch.join(format!("shared{}", number()));
        let directory = shared.join("units");
        for directory in [&shared, &directory, &shared.join("out")] {
            fs::create_dir_all(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        }
        open_to_all(&shared.join("out"));
        for (name, text) in units {
            write(&directory.join(format!("{name}.toml")), text);
        }
        Plan { shared, ..self.bare() }
    }

    /// A container that is yet to be made, of nothing but its image.
    pub fn bare(self: &Arc<Engine>) -> Plan {
        Plan {
            engine: self.clone(),
            shared: PathBuf::new(),
            options: Vec::new(),
            image: IMAGE.to_owned(),
            words: Vec::new(),
        }
    }
}

impl Drop for Engine {
    /// The engine ends its containers and its containerd before it ends itself.
    #[allow(clippy::disallowed_methods, reason = "the engine is a child of the test")]
    fn drop(&mut self) {
        let daemon = self.daemon.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM); // It may have ended already.
        let _ = daemon.wait(); // As above.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.scratch); // What is left in /tmp does no harm.
        }
    }
}

/// Everybody may make files there.
pub fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(path, open).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

pub fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A container that is yet to be.
pub struct Plan {
    engine: Arc<Engine>,
    shared: PathBuf,
    options: Vec<String>,
    image: String,
    words: Vec<String>,
}

impl Plan {
    /// Options of `docker run`.
    pub fn options(mut self, options: &[&str]) -> Plan {
        self.options.extend(options.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Another image.
    pub fn image(mut self, image: &str) -> Plan {
        self.image = image.to_owned();
        self
    }

    /// What stands behind the image's name.
    pub fn command(mut self, words: &[&str]) -> Plan {
        self.words = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// `sexton.toml`.
    pub fn settings(self, text: &str) -> Plan {
        write(&self.shared.join("sexton.toml"), text);
        self
    }

    /// Where what it shares with the test is found in it.
    fn volumes(&self) -> Vec<String> {
        if self.shared.as_os_str().is_empty() {
            return Vec::new();
        }
        let settings = self.shared.join("sexton.toml");
        if !settings.exists() {
            write(&settings, "");
        }
        let places = [
            ("units", "/etc/sexton/units:ro"),
            ("out", "/out"),
            ("sexton.toml", "/etc/sexton/sexton.toml:ro"),
        ];
        let volume =
            |(from, to)| ["--volume".to_owned(), format!("{}:{to}", self.shared.join(from).display())];
        places.into_iter().flat_map(volume).collect()
    }

    /// The words of `docker run` with these options, and the container that they make.
    fn words(self, options: &[&str]) -> (Vec<String>, Container) {
        let name = format!("c{}", number());
        let mut words: Vec<String> = vec!["run".to_owned()];
        words.extend(options.iter().map(|word| (*word).to_owned()));
        words.extend(["--init=false", "--network=none", "--name", &name].map(str::to_owned));
        words.extend(self.volumes());
        words.extend(self.options);
        words.push(self.image);
        words.extend(self.words);
        (words, Container { engine: self.engine, name, shared: self.shared })
    }

    /// `docker run --detach`: units and settings in /etc/sexton, a directory that is shared with the test in /out.
    #[track_caller]
    pub fn start(self) -> Container {
        let (words, container) = self.words(&["--detach"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        container.engine.docker(&words).expect(0);
        container
    }

    /// `docker run -it` on this terminal; its client, which is yet to be waited for.
    pub fn start_on(self, terminal: OwnedFd) -> (Container, Child) {
        let (words, container) = self.words(&["--interactive", "--tty"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let copy = || terminal.try_clone().unwrap_or_else(|e| panic!("the terminal: {e}"));
        let mut client = container.engine.client(&words);
        client.stdin(copy()).stdout(copy()).stderr(copy());
        #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
        let client = client.spawn().unwrap_or_else(|e| panic!("docker: {e}"));
        (container, client)
    }
}

/// A container that was started.
pub struct Container {
    engine: Arc<Engine>,
    name: String,
    shared: PathBuf,
}

impl Container {
    /// `docker ACTION OPTIONS NAME`.
    #[track_caller]
    pub fn docker(&self, words: &[&str]) -> String {
        let mut all = words.to_vec();
        all.push(&self.name);
        self.engine.docker(&all).expect(0)
    }

    /// `docker exec NAME WORDS`.
    pub fn exec(&self, words: &[&str]) -> Said {
        let mut all = vec!["exec", &self.name];
        all.extend(words);
        self.engine.docker(&all)
    }

    /// A field of its state, as `docker inspect` gives it.
    #[track_caller]
    pub fn field(&self, field: &str) -> String {
        self.docker(&["inspect", "--format", &format!("{{{{{field}}}}}")]).trim().to_owned()
    }

    /// Waits for its end; its exit status.
    #[track_caller]
    pub fn end(&self) -> i32 {
        let said = self.docker(&["wait"]);
        said.trim().parse().unwrap_or_else(|e| panic!("{said}: {e}"))
    }

    /// What it has said.
    #[track_caller]
    pub fn logs(&self) -> String {
        self.docker(&["logs"])
    }

    /// Waits until it has said this.
    #[track_caller]
    pub fn await_logs(&self, text: &str) {
        within(PATIENCE, &format!("the container says '{text}'"), || {
            self.logs().contains(text).then_some(())
        });
    }

    /// Its PID 1, as the host counts.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let pid = self.field(".State.Pid");
        pid.parse().unwrap_or_else(|e| panic!("{pid}: {e}"))
    }

    /// Makes a file in the directory that it shares with the test.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.shared.join("out").join(name), text);
    }

    /// What a file in that directory holds; nothing where there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.shared.join("out").join(name)).unwrap_or_default()
    }

    /// A path in the directory that it shares with the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.shared.join("out").join(name)
    }

    /// Is a file there?
    pub fn shares(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Waits until a file in that directory holds something.
    #[track_caller]
    pub fn await_file(&self, name: &str) -> String {
        until(&format!("the file {name} is written"), || {
            Some(self.read(name)).filter(|text| !text.is_empty())
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.engine.docker(&["logs", &self.name]).out;
            #[allow(
                clippy::print_stderr,
                clippy::disallowed_macros,
                reason = "a test that fails shows what it saw"
            )]
            {
                eprintln!("━━━ {} said:\n{said}", self.name);
            }
        }
        let _ = self.engine.docker(&["rm", "--force", &self.name]); // The engine's end removes it as well.
    }
}

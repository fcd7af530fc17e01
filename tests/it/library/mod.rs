//! The units of `config/units`, each as it lies there: with its daemon, its real paths and its real client.
//!
//! ```text
//!   config/units/NAME.toml ─▶ a machine whose /etc, /var, /run and /dev/shm are its own: overlays in memory
//!       the configuration says "one" ── boot ──▶ its client gets "one"
//!       ── "two", "three" ── restart, reload ──▶ its client gets them
//!       ── broken ── restart, reload ──▶ refused with 3 and in the daemon's own words; the same process says "one"
//!       ── stop ── start ──▶ what it was given is there
//! ```

mod databases;
mod flush;
mod login;
mod names;
mod stores;
mod web;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Finished, Machine, Plan, needs, within};

/// A database makes its data directory first, and two cores run many tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit status of a command that was refused: nothing was touched.
const REFUSED: i32 = 3;

/// Mounts of the machine's own over all that a daemon writes, and over them the files that the test brings.
const PRIVATE: &str = "set -e
mkdir -p @DIR@/private @DIR@/root
mount -t tmpfs -o mode=0755 private @DIR@/private
for tree in etc var; do
  mkdir -p @DIR@/private/$tree @DIR@/private/$tree.work
  mount -t overlay -o lowerdir=/$tree,upperdir=@DIR@/private/$tree,workdir=@DIR@/private/$tree.work over /$tree
done
mount -t tmpfs -o mode=1777 memory /dev/shm
cp -r @DIR@/root/. /";

/// One unit of the library and how its daemon is spoken to.
struct Daemon {
    /// The file in `config/units`, without `.toml`.
    file: &'static str,
    /// The unit that comes of it.
    unit: &'static str,
    /// A program that it needs, and the package that has it.
    needs: &'static [(&'static str, &'static str)],
    /// The file that is changed, and its text: the word of the day is `@WORD@`.
    config: (&'static str, &'static str),
    /// Other files that the test brings.
    files: &'static [(&'static str, &'static str)],
    /// Lines of shell before the daemon is there.
    setup: &'static [&'static str],
    /// What its real client gets: the word of the day is in it.
    ask: fn(&Machine) -> Finished,
    reload: Reload,
    /// Texts that it must refuse.
    broken: &'static [Broken],
}

/// Whether the unit has a `[reload]`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reload {
    Has,
    HasNone,
}

/// A configuration that is not one.
struct Broken {
    text: &'static str,
    /// What the daemon itself says of it.
    says: &'static str,
    /// How its test ended, in sexton's words.
    ended: &'static str,
}

impl Daemon {
    /// A machine with this unit, whose word of the day is "one".
    fn plan(&self) -> Plan {
        for (program, package) in self.needs {
            needs(program, package);
        }
        let mut plan = library(self.file);
        for (path, text) in self.files {
            plan = plan.file(&format!("root{path}"), text);
        }
        plan = plan.file(&format!("root{}", self.config.0), &self.worded("one"));
        self.setup.iter().fold(plan, |plan, line| plan.setup(line))
    }

    /// Its machine, once the unit is ready and its client was told "one".
    fn up(&self) -> Machine {
        self.serving(self.plan())
    }

    /// As [`Daemon::up`], for a plan that has more in it.
    fn serving(&self, plan: Plan) -> Machine {
        let machine = plan.up();
        machine.await_state_within(PATIENCE, self.unit, "ready");
        self.says(&machine, "one");
        machine
    }

    /// The story of a good configuration: restarted with it, reloaded with the next, stopped, started again.
    #[track_caller]
    fn takes_what_is_good(&self) {
        let machine = self.up();
        self.restarts(&machine, "two");
        match self.reload {
            Reload::Has => self.reloads(&machine, "three"),
            Reload::HasNone => {
                self.configure(&machine, "three");
                let refused = machine.sexton(&["reload", self.unit]).expect(REFUSED).all();
                assert!(refused.contains("no [reload]"), "{refused}");
                self.says(&machine, "two");
            }
        }
        self.stops(&machine);
        self.returns(&machine, "three");
    }

    /// The story of broken ones: refused while it serves, and refused when it is to start.
    #[track_caller]
    fn refuses_what_is_broken(&self) {
        let machine = self.up();
        self.refuses(&machine, "restart");
        if self.reload == Reload::Has {
            self.refuses(&machine, "reload");
        }
        self.restarts(&machine, "two");
    }

    fn worded(&self, word: &str) -> String {
        self.config.1.replace("@WORD@", word)
    }

    /// Writes the configuration with another word.
    fn configure(&self, machine: &Machine, word: &str) {
        put(machine, self.config.0, &self.worded(word));
    }

    /// What was ready answers at the first attempt.
    #[track_caller]
    fn says(&self, machine: &Machine, word: &str) {
        let answer = (self.ask)(machine).all();
        assert!(answer.contains(word), "{} says '{answer}', not '{word}'", self.unit);
    }

    /// A reload is done when the daemon takes new work; old workers may give the last old answers.
    #[track_caller]
    fn comes_to_say(&self, machine: &Machine, word: &str) {
        within(PATIENCE, &format!("{} says '{word}'", self.unit), || {
            (self.ask)(machine).all().contains(word).then_some(())
        });
    }

    /// A good configuration is in force after a restart, in a new process.
    #[track_caller]
    fn restarts(&self, machine: &Machine, word: &str) {
        let old = machine.main_pid(self.unit);
        self.configure(machine, word);
        machine.sexton(&["restart", self.unit]).expect(0);
        self.says(machine, word);
        assert_ne!(machine.main_pid(self.unit), old, "{}", machine.console());
    }

    /// A good configuration is in force after a reload, in the process that was there.
    #[track_caller]
    fn reloads(&self, machine: &Machine, word: &str) {
        let old = machine.main_pid(self.unit);
        self.configure(machine, word);
        machine.sexton(&["reload", self.unit]).expect(0);
        self.comes_to_say(machine, word);
        assert_eq!(machine.main_pid(self.unit), old, "{}", machine.console());
    }

    /// Each broken configuration is refused by `verb`, in the daemon's own words, and the process serves as before.
    #[track_caller]
    fn refuses(&self, machine: &Machine, verb: &str) {
        let old = machine.main_pid(self.unit);
        for broken in self.broken {
            put(machine, self.config.0, broken.text);
            let refused = machine.sexton(&[verb, self.unit]).expect(REFUSED).all();
            for words in [broken.says, broken.ended] {
                assert!(refused.contains(words), "'{words}' is not in:\n{refused}");
            }
            assert_eq!(machine.main_pid(self.unit), old, "{refused}");
            self.says(machine, "one");
        }
        self.configure(machine, "one");
    }

    /// It ends by itself, within the steps of its unit.
    #[track_caller]
    fn stops(&self, machine: &Machine) {
        let pid = machine.main_pid(self.unit);
        machine.sexton(&["stop", self.unit]).expect(0);
        let status = machine.unit(self.unit);
        assert_eq!(status.state, "stopped", "{:?}", status.reason);
        assert!(!machine.lives(pid), "{} outlived its stop", self.unit);
        let ended = status.last_end.unwrap_or_default();
        assert!(!ended.contains("KILL"), "{} {ended}", self.unit);
    }

    /// It is told to start, and says `word`.
    #[track_caller]
    fn returns(&self, machine: &Machine, word: &str) {
        machine.sexton(&["start", self.unit]).expect(0);
        self.says(machine, word);
    }
}

/// A machine with one unit of the library.
fn library(file: &str) -> Plan {
    Plan::new().unit(file, &unit_text(file)).setup(PRIVATE)
}

/// A unit of the library as it lies there.
fn unit_text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/units").join(format!("{file}.toml"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Writes a file of the machine's own. It is copied inside: from outside a link in it would lead to the files outside.
#[track_caller]
fn put(machine: &Machine, path: &str, text: &str) {
    machine.write("new", text);
    machine.run(&["cp", &machine.path("new").display().to_string(), path]).expect(0);
}

/// What a page of a web server holds.
fn page(machine: &Machine, address: &str) -> Finished {
    machine.run(&["curl", "-s", "-S", "-m", "10", address])
}

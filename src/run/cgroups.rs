//! The cgroups of units: one for each unit with `[resources]`, below sexton's own, made before its process and removed
//! after it.
//!
//! ```text
//!   sexton's own cgroup ─┬─ sexton.self              sexton, where the kernel wants it out of the way
//!                        └─ sexton.units ─┬─ redis.unit
//!                                         └─ web.unit, web.unit.2      a restart that overlaps has two
//! ```
//!
//! Everything here is a file of the kernel's own, which no disk holds up. Lowering `memory.max` below what a unit has makes
//! the kernel take memory back before the write returns.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crate::control::wire::Usage;
use crate::engine::UnitId;
use crate::model::resources::{Need, Resources};
use crate::model::spawn::Cause;
use crate::model::unit::Kill;
use crate::model::{ExecStage, SpawnError, UnitName};
use crate::sys::files;

use super::exchange::exchange;
use super::launch::cause;

/// Whatever is bounded here.
const CONTROLLERS: [&str; 4] = ["cpu", "io", "memory", "pids"];
/// Where sexton itself goes when the kernel refuses controllers to a cgroup that has processes of its own.
const SELF: &str = "sexton.self";
/// Where those of the units are.
const UNITS: &str = "sexton.units";
/// The largest file that is read here: a line for each controller, or for each mount.
const LARGEST: u64 = 1 << 20;

/// All of them.
#[derive(Debug, Default)]
pub struct Cgroups {
    /// Found when the first unit asks.
    root: Option<Root>,
    held: BTreeMap<UnitId, Held>,
    /// Those in which somebody had not ended yet.
    leftovers: Vec<PathBuf>,
}

/// Where the cgroups of the units are, and what can be bounded there.
#[derive(Debug)]
struct Root {
    units: PathBuf,
    controllers: Vec<String>,
}

/// The cgroup of a run.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    directory: File,
    /// How many had been killed in it for want of memory before this run.
    kills_before: u64,
}

impl Cgroups {
    /// Makes the cgroup of a run and sets its bounds. Nothing is answered where the unit goes without.
    pub fn enter(
        &mut self,
        unit: UnitId,
        name: &UnitName,
        resources: &Resources,
    ) -> Result<Option<BorrowedFd<'_>>, SpawnError> {
        self.sweep();
        match self.make(unit, name, resources) {
            Ok(held) => {
                self.held.insert(unit, held);
                Ok(self.held.get(&unit).map(|held| held.directory.as_fd()))
            }
            Err(_) if resources.need == Need::Wished => Ok(None),
            Err(cause) => Err(SpawnError { stage: ExecStage::Cgroup, subject: name.to_string(), cause }),
        }
    }

    fn make(&mut self, unit: UnitId, name: &UnitName, resources: &Resources) -> Result<Held, Cause> {
        if self.root.is_none() {
            self.root = Some(Root::find()?);
        }
        let Some(root) = &self.root else { return Err(Cause::Errno(libc::ENOENT)) };
        let path = self.free_path(unit, &root.units, name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cause(&error)),
            _ => {}
        }
        let made =
            root.bound(&path, resources).and_then(|()| File::open(&path).map_err(|error| cause(&error)));
        match made {
            Ok(directory) => {
                let kills_before = oom_kills(&path);
                Ok(Held { path, directory, kills_before })
            }
            Err(cause) => {
                let _ = fs::remove_dir(&path); // Somebody of a run before may still be in it.
                Err(cause)
            }
        }
    }

    /// The first that no other run of the unit has.
    fn free_path(&self, unit: UnitId, units: &Path, name: &UnitName) -> PathBuf {
        let is_free = |path: &PathBuf| self.held.iter().all(|(id, held)| *id == unit || held.path != *path);
        let second = || units.join(format!("{name}.unit.2"));
        Some(units.join(format!("{name}.unit"))).filter(is_free).unwrap_or_else(second)
    }

    /// What a sync changed holds for those that run, too. Answers what could not be done.
    pub fn follow(&mut self, unit: UnitId, resources: &Resources) -> Option<Cause> {
        let (root, held) = (self.root.as_ref()?, self.held.get(&unit)?);
        root.bound(&held.path, resources).err()
    }

    /// KILL to all that are in it.
    #[doc(alias = "cgroup.kill")]
    pub fn kill(&self, unit: UnitId) {
        if let Some(held) = self.held.get(&unit) {
            kill_all(&held.path);
        }
    }

    /// The run is over: nobody outlives it but where the unit says that nobody is to be killed.
    pub fn leave(&mut self, unit: UnitId, kill: Kill) {
        let Some(held) = self.held.remove(&unit) else { return };
        if kill == Kill::Group {
            kill_all(&held.path);
        }
        self.leftovers.push(held.path);
        self.sweep();
    }

    /// Removes what is empty by now.
    fn sweep(&mut self) {
        let held = &self.held;
        self.leftovers.retain(|path| {
            let is_used = held.values().any(|held| held.path == *path);
            !is_used && fs::remove_dir(path).is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY))
        });
    }

    /// Has the kernel killed somebody of this run for want of memory?
    pub fn is_short_of_memory(&self, unit: UnitId) -> bool {
        self.held.get(&unit).is_some_and(|held| oom_kills(&held.path) > held.kills_before)
    }

    /// What the unit uses now.
    pub fn usage(&self, unit: UnitId) -> Option<Usage> {
        let held = self.held.get(&unit)?;
        let number = |file: &str| read(&held.path.join(file))?.trim().parse().ok();
        Some(Usage {
            cgroup: held.path.display().to_string(),
            memory_bytes: number("memory.current"),
            memory_peak_bytes: number("memory.peak"),
            memory_max_bytes: number("memory.max"),
            cpu_usec: read(&held.path.join("cpu.stat")).and_then(|text| field(&text, "usage_usec")),
            pids: number("pids.current"),
            oom_kills: oom_kills(&held.path).saturating_sub(held.kills_before),
        })
    }

    /// Two runs change places.
    pub fn exchange(&mut self, one: UnitId, other: UnitId) {
        exchange(&mut self.held, one, other);
    }
}

impl Root {
    fn find() -> Result<Root, Cause> {
        let words = |words: &str| Cause::Words(words.to_owned());
        let mounts = read("/proc/self/mountinfo".as_ref()).ok_or_else(|| words("/proc is not mounted"))?;
        let own = read("/proc/self/cgroup".as_ref()).unwrap_or_default();
        let base = own_cgroup(&mounts, &own).ok_or_else(|| words("no cgroup v2 is mounted"))?;
        let there = read(&base.join("cgroup.controllers")).unwrap_or_default();
        let controllers: Vec<&str> = CONTROLLERS
            .into_iter()
            .filter(|name| there.split_whitespace().any(|word| word == *name))
            .collect();
        let units = base.join(UNITS);
        let made = |error: io::Error| words(&format!("cannot make '{}': {error}", units.display()));
        match fs::create_dir(&units) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(made(error)),
            _ => {}
        }
        for controller in &controllers {
            if enable(&base, controller).is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY)) {
                step_aside(&base);
                let _ = enable(&base, controller); // What is not enabled is missed below, by its name.
            }
            let _ = enable(&units, controller); // As above.
        }
        let enabled = read(&units.join("cgroup.subtree_control")).unwrap_or_default();
        Ok(Root { units, controllers: enabled.split_whitespace().map(str::to_owned).collect() })
    }

    /// Writes the bounds of a cgroup; one that is asked for and cannot be had is an error.
    fn bound(&self, path: &Path, resources: &Resources) -> Result<(), Cause> {
        for setting in resources.settings() {
            let is_there = self.controllers.iter().any(|controller| controller == setting.controller);
            if !is_there && setting.is_asked && resources.need == Need::Required {
                let words =
                    format!("the controller '{}' of cgroup v2 is not to be had here", setting.controller);
                return Err(Cause::Words(words));
            }
            if is_there
                && let Err(error) = fs::write(path.join(setting.file), &setting.text)
                && setting.is_asked
                && resources.need == Need::Required
            {
                let words = format!("{} does not take {}: {error}", setting.file, setting.text);
                return Err(Cause::Words(words));
            }
        }
        Ok(())
    }
}

fn enable(cgroup: &Path, controller: &str) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.subtree_control"), format!("+{controller}"))
}

/// The kernel gives no controllers to children of a cgroup that has processes of its own, the root excepted: sexton and who
/// came with it go one down.
#[doc(alias = "no internal processes")]
fn step_aside(base: &Path) {
    let aside = base.join(SELF);
    let _ = fs::create_dir(&aside); // It may be there; what cannot be made is missed by the next line.
    let present = read(&base.join("cgroup.procs")).unwrap_or_default();
    for pid in present.lines() {
        let _ = fs::write(aside.join("cgroup.procs"), pid); // It may have ended.
    }
}

/// Where sexton's own cgroup is to be found. One that it has stepped aside to is not its own.
fn own_cgroup(mounts: &str, own: &str) -> Option<PathBuf> {
    let (mount, _) = mounts
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .find(|(_, what)| what.starts_with("cgroup2 "))?;
    let mut words = mount.split(' ').skip(3);
    let (root, place) = (words.next()?, words.next()?);
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = path.strip_suffix(SELF).unwrap_or(path);
    // Of a mount that shows a part of the tree, the part that is shown.
    let below = path.strip_prefix(root).unwrap_or(path);
    Some(Path::new(place).join(below.trim_matches('/')))
}

fn kill_all(cgroup: &Path) {
    if fs::write(cgroup.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    // Before Linux 5.14 they are counted and killed one by one.
    let present = read(&cgroup.join("cgroup.procs")).unwrap_or_default();
    for pid in present.lines().filter_map(|line| crate::model::Pid::new(line.parse().ok()?)) {
        let _ = crate::sys::kill::process(pid, crate::model::Signal::KILL); // It may have ended.
    }
}

fn oom_kills(cgroup: &Path) -> u64 {
    read(&cgroup.join("memory.events")).and_then(|text| field(&text, "oom_kill")).unwrap_or(0)
}

/// The number behind a word, of a file of such lines.
fn field(text: &str, name: &str) -> Option<u64> {
    let number = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    number?.trim().parse().ok()
}

fn read(path: &Path) -> Option<String> {
    String::from_utf8(files::read_bounded(path, LARGEST).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        31 24 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n";
    const PLAIN: &str = "31 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";

    #[test]
    fn sexton_finds_its_own_cgroup_wherever_that_is_mounted() {
        let found = |mounts, own| own_cgroup(mounts, own).map(|path| path.display().to_string());
        assert_eq!(found(PLAIN, "0::/\n").unwrap(), "/sys/fs/cgroup/");
        assert_eq!(found(PLAIN, "0::/a/b\n").unwrap(), "/sys/fs/cgroup/a/b");
        assert_eq!(found(PLAIN, "0::/a/sexton.self\n").unwrap(), "/sys/fs/cgroup/a");
        assert_eq!(found(HYBRID, "4:memory:/x\n0::/y\n").unwrap(), "/sys/fs/cgroup/unified/y");
        let part = PLAIN.replace(" / /sys", " /docker/7 /sys");
        assert_eq!(found(&part, "0::/docker/7\n").unwrap(), "/sys/fs/cgroup/");
        assert_eq!(found("", "0::/\n"), None);
        assert_eq!(found(PLAIN, "4:memory:/x\n"), None);
    }

    #[test]
    fn a_number_is_found_behind_the_whole_of_its_word() {
        let events = "low 0\noom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(
            (field(events, "oom_kill"), field(events, "oom"), field(events, "kill")),
            (Some(2), Some(3), None)
        );
    }
}

//! `fsck`, `root`, `swap` and `fstab`: what `/etc/fstab` says, in this order.
//!
//! ```text
//!   fsck (the root too, while it cannot be written) ─▶ root: remounted as said ─▶ swap
//!                                                        └─▶ fstab: all the others
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::MsFlags;

use super::Job;
use crate::machine::early::words;
use crate::machine::fstab::{self, Entry, Wish, flags_and_data};
use crate::machine::programs::{program, run};
use crate::machine::{mount_table, text, volumes};
use crate::model::Signal;
use crate::sys::clock;
use crate::sys::machine::swap_on;

/// The table; what is wrong in it is said by `fstab`, once.
fn table(job: &mut Job<'_>, say: Say) -> Vec<Entry> {
    match text::read_if_there(Path::new(fstab::PATH)) {
        Ok(text) => {
            let (entries, broken) = fstab::parse(&text.unwrap_or_default());
            if say == Say::Broken {
                broken.iter().for_each(|broken| job.say(&broken.to_string()));
            }
            entries
        }
        Err(problem) => {
            job.fail(&problem);
            Vec::new()
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Say {
    Nothing,
    Broken,
}

/// Checks file systems that are not in use, in the order of their passes.
pub(super) fn check(job: &mut Job<'_>) {
    let mut entries = table(job, Say::Nothing);
    entries.retain(|entry| entry.pass > 0 && entry.wish != Wish::Leave && entry.kind != "swap");
    entries.sort_by_key(|entry| entry.pass);
    let mounted = mount_table::read();
    for entry in entries {
        let in_use = mounted.iter().find(|mount| mount.target == entry.target);
        if in_use.is_some_and(|mount| !mount.is_read_only) {
            job.trace(&format!("'{}' is written to already and is not checked", entry.target));
            continue;
        }
        let Some(device) = volumes::await_device(&entry.source, entry.wait) else { continue };
        let kind = match entry.kind.as_str() {
            "auto" => volumes::look(&device).map(|volume| volume.kind.to_owned()).unwrap_or_default(),
            kind => kind.to_owned(),
        };
        check_one(job, &device, &kind);
    }
}

/// What `fsck` answers is a sum: 1 corrected, 2 restart the machine, 4 left as it was, 8 and above it could not work.
fn check_one(job: &mut Job<'_>, device: &Path, kind: &str) {
    let name = format!("fsck.{kind}");
    let Some(checker) = program(&name) else {
        return job.say(&format!("there is no '{name}': '{}' is not checked", device.display()));
    };
    let code = match run(Command::new(&checker).arg("-a").arg(device)) {
        Ok(status) => status.code().unwrap_or(8),
        Err(error) => return job.say(&format!("cannot run '{}': {}", checker.display(), words(&error))),
    };
    let device = device.display();
    match code {
        0 => job.trace(&format!("'{device}' is clean")),
        code if code & 2 != 0 => {
            job.say(&format!("'{device}' was corrected, and {name} wishes the machine to start again"));
            restart();
        }
        code if code & 4 != 0 => {
            job.fail(&format!("'{device}' has errors that {name} did not correct; it is left as it is"));
        }
        1 => job.say(&format!("'{device}' was corrected")),
        code => job.say(&format!("{name} could not check '{device}' (status {code}); it is used as it is")),
    }
}

/// Asks PID 1 for another start, and waits: nothing that needs this check is to begin.
fn restart() {
    let reboot = Signal::parse("RTMIN+5");
    if let (Some(signal), Some(init)) = (reboot, crate::model::Pid::new(1)) {
        let _ = crate::sys::kill::process(init, signal); // PID 1 is always there.
    }
    loop {
        clock::pause(std::time::Duration::from_secs(3600));
    }
}

/// Mounts the root anew with what is said of it, as a rule for writing.
pub(super) fn root(job: &mut Job<'_>) {
    let entries = table(job, Say::Nothing);
    let Some(entry) = entries.iter().find(|entry| entry.target == "/") else { return };
    let (flags, data) = flags_and_data(entry.options.iter().map(String::as_str));
    let flags = flags | MsFlags::MS_REMOUNT;
    let data = Some(data.as_str()).filter(|data| !data.is_empty());
    if let Err(error) = nix::mount::mount(None::<&str>, "/", None::<&str>, flags, data) {
        job.fail(&format!(
            "{}:{}: cannot mount '/' anew: {}",
            fstab::PATH,
            entry.number,
            words(&io::Error::from(error))
        ));
    }
}

/// Takes swap areas into use.
pub(super) fn swap(job: &mut Job<'_>) {
    let entries = table(job, Say::Nothing);
    for entry in entries.iter().filter(|entry| entry.kind == "swap" && entry.wish != Wish::Leave) {
        let options = || entry.options.iter();
        let priority = options().find_map(|option| option.strip_prefix("pri=")?.parse().ok());
        let discard = options().any(|option| option.starts_with("discard"));
        let done = match volumes::await_device(&entry.source, entry.wait) {
            Some(device) => swap_on(&device, priority, discard).map_err(|error| words(&error)),
            None => Err("it is not there".to_owned()),
        };
        match done {
            Ok(()) => job.trace(&format!("swapping to '{}'", entry.source)),
            Err(cause) => missed(job, entry, &format!("cannot swap to '{}': {cause}", entry.source)),
        }
    }
}

/// Mounts what is left.
pub(super) fn mount(job: &mut Job<'_>) {
    let entries = table(job, Say::Broken);
    let is_ours = |entry: &&Entry| {
        entry.wish != Wish::Leave
            && entry.kind != "swap"
            && entry.target.starts_with('/')
            && entry.target != "/"
    };
    for entry in entries.iter().filter(is_ours) {
        if mount_table::read().iter().any(|mount| mount.target == entry.target) {
            continue;
        }
        match mount_one(entry) {
            Ok(()) => job.trace(&format!("mounted '{}' on '{}'", entry.source, entry.target)),
            Err(cause) => {
                missed(
                    job,
                    entry,
                    &format!("cannot mount '{}' on '{}': {cause}", entry.source, entry.target),
                );
            }
        }
    }
}

fn missed(job: &mut Job<'_>, entry: &Entry, what: &str) {
    let line = format!("{}:{}: {what}", fstab::PATH, entry.number);
    match entry.wish {
        Wish::MayFail => job.say(&format!("{line}; nofail: the boot goes on")),
        Wish::Mount | Wish::Leave => job.fail(&line),
    }
}

fn mount_one(entry: &Entry) -> Result<(), String> {
    let is_device = volumes::is_device(&entry.source);
    let source = match is_device {
        true => volumes::await_device(&entry.source, entry.wait).ok_or("it is not there")?,
        false => PathBuf::from(&entry.source),
    };
    std::fs::create_dir_all(&entry.target).map_err(|error| words(&error))?;
    let has = |name: &str| entry.options.iter().any(|option| option == name);
    if has("loop") || program(&format!("mount.{}", entry.kind)).is_some() {
        return by_program(entry, &source);
    }
    let (flags, data) = flags_and_data(entry.options.iter().map(String::as_str));
    let mut last = "its kind of file system is not known".to_owned();
    for kind in kinds(entry, &source) {
        let data = Some(data.as_str()).filter(|data| !data.is_empty());
        match nix::mount::mount(Some(&source), entry.target.as_str(), Some(kind.as_str()), flags, data) {
            Ok(()) => return bound(entry, flags),
            Err(error) => last = words(&io::Error::from(error)),
        }
    }
    Err(last)
}

/// A second mount of the same place is made read-only, and the like, in a step of its own.
fn bound(entry: &Entry, flags: MsFlags) -> Result<(), String> {
    let rest = flags - (MsFlags::MS_BIND | MsFlags::MS_REC);
    if !flags.contains(MsFlags::MS_BIND) || rest.is_empty() {
        return Ok(());
    }
    let flags = rest | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    let done = nix::mount::mount(None::<&str>, entry.target.as_str(), None::<&str>, flags, None::<&str>);
    done.map_err(|error| words(&io::Error::from(error)))
}

fn kinds(entry: &Entry, source: &Path) -> Vec<String> {
    if entry.kind != "auto" {
        return entry.kind.split(',').map(str::to_owned).collect();
    }
    volumes::look(source).map(|volume| volume.kind.to_owned()).into_iter().collect()
}

/// Loop devices, network file systems and FUSE are the business of their own programs.
fn by_program(entry: &Entry, source: &Path) -> Result<(), String> {
    let mount = program("mount").ok_or("there is no program 'mount', which it takes")?;
    let mut command = Command::new(mount);
    command.args(["-t", &entry.kind]);
    if !entry.options.is_empty() {
        command.args(["-o", &entry.options.join(",")]);
    }
    let status = run(command.arg(source).arg(&entry.target)).map_err(|error| words(&error))?;
    if status.success() { Ok(()) } else { Err(format!("mount ended with {status}")) }
}

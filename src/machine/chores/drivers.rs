//! `modules` and `devices`: what `modules-load.d` names, and what the hardware that was found asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Job;
use crate::machine::modules::{Modules, NotLoaded, fits};
use crate::machine::text::{self, files_of, lines};

const DIRECTORIES: [&str; 4] = [
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
];

/// Devices that are looked at; a large server has some thousands.
const MOST_DEVICES: usize = 100_000;

/// Loads what is named.
pub(in crate::machine) fn named(job: &mut Job<'_>) {
    let mut files = files_of(&DIRECTORIES, ".conf");
    files.push(PathBuf::from("/etc/modules"));
    let mut modules = None;
    for file in files {
        let text = match text::read_if_there(&file) {
            Ok(text) => text.unwrap_or_default(),
            Err(problem) => {
                job.fail(&problem);
                continue;
            }
        };
        for line in lines(&text, &['#', ';']) {
            let (name, parameters) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
            let modules = modules.get_or_insert_with(Modules::of_this_kernel);
            match modules.load(name, parameters) {
                Ok(()) => job.trace(&format!("loaded the module {name}")),
                Err(why) => {
                    job.fail(&format!("{}:{}: cannot load '{name}': {why}", file.display(), line.number));
                }
            }
        }
    }
}

/// Loads what fits the hardware: in rounds, since a driver of a bus finds the devices on it.
pub(in crate::machine) fn found(job: &mut Job<'_>) {
    let mut modules = Modules::of_this_kernel();
    if modules.is_empty() {
        return;
    }
    let patterns = modules.aliases();
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        let new: Vec<String> = hardware().into_iter().filter(|alias| seen.insert(alias.clone())).collect();
        if new.is_empty() {
            break;
        }
        for alias in new {
            load_fitting(job, &mut modules, &patterns, &alias);
        }
    }
}

fn load_fitting(job: &mut Job<'_>, modules: &mut Modules, patterns: &[(String, String)], alias: &str) {
    let bus = alias.split(':').next().unwrap_or_default();
    // Most patterns are of another bus; that is seen before they are matched.
    let fitting = patterns.iter().filter(|(pattern, _)| {
        pattern.get(..bus.len().min(4)) == bus.get(..bus.len().min(4)) && fits(pattern, alias)
    });
    for (_, name) in fitting {
        match modules.load_for_hardware(name) {
            Ok(()) => job.trace(&format!("loaded the module {name} for {alias}")),
            Err(NotLoaded::Unknown) => {}
            // Hardware that a driver does not want after all is no fault of the boot.
            Err(why) => job.trace(&format!("cannot load '{name}' for {alias}: {why}")),
        }
    }
}

/// What each device says of itself.
fn hardware() -> Vec<String> {
    let mut aliases = Vec::new();
    let mut open = vec![PathBuf::from("/sys/devices")];
    let mut looked_at = 0;
    while let Some(directory) = open.pop() {
        looked_at += 1;
        let Ok(listing) = fs::read_dir(&directory) else { continue };
        for entry in listing.flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && looked_at < MOST_DEVICES {
                open.push(entry.path());
            } else if entry.file_name() == "modalias" {
                let text = text::read(Path::new(&entry.path())).unwrap_or_default();
                aliases.extend(Some(text.trim().to_owned()).filter(|alias| !alias.is_empty()));
            }
        }
    }
    aliases
}

//! The advice of units against the files of their daemons, for `sexton check`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::library::advice::{Advice, When, of};
use crate::model::{Text, Unit};
use crate::sys::accounts::Accounts;

/// A longer file is looked at so far.
const MOST_BYTES: u64 = 1 << 20;

/// So many files of a pattern are looked at.
const MOST_FILES: usize = 1000;

/// What is to be said: what was found, and what comes of it.
pub(in crate::cli) type Said = (String, String);

/// A file of a daemon, and what it says.
type Looked = (PathBuf, String);

/// The advice that `text`, the file of these units, has for them.
pub(in crate::cli) fn advice(text: &str, units: &[&Rc<Unit>]) -> Vec<Said> {
    let said = of(text).into_iter().flat_map(|advice| {
        let found = match advice.when {
            When::Shared => shared(&advice, units),
            When::Unwritable => units.iter().filter_map(|unit| unwritable(&advice, unit)).collect(),
            // The files of a pattern are those of all instances.
            When::Found | When::Missing if !advice.files.is_empty() => {
                units.first().and_then(|unit| plain(&advice, unit)).into_iter().collect()
            }
            When::Found | When::Missing => units.iter().filter_map(|unit| plain(&advice, unit)).collect(),
        };
        found.into_iter().map(move |words: String| (words, advice.says.clone()))
    });
    said.collect()
}

/// What is looked at: files, or the words of the command, each on a line.
fn texts(advice: &Advice, unit: &Unit) -> Vec<Looked> {
    if let (true, None, Some(program)) = (advice.files.is_empty(), &unit.instance_file, unit.program()) {
        let words: Vec<&str> = program.exec.argv().iter().map(Text::as_str).collect();
        return vec![(unit.source.to_path_buf(), words.join("\n"))];
    }
    let paths: Vec<PathBuf> = match (advice.files.is_empty(), &unit.instance_file) {
        (true, own) => own.iter().map(|path| path.to_path_buf()).collect(),
        (false, _) => glob::glob(&advice.files)
            .map(|found| found.flatten().take(MOST_FILES).collect())
            .unwrap_or_default(),
    };
    paths.into_iter().filter_map(|path| Some((path.clone(), read(&path)?))).collect()
}

/// A file's beginning. A pipe has none: nobody may wait for it.
fn read(path: &Path) -> Option<String> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What is there and should not be, or is not there and should be.
fn plain(advice: &Advice, unit: &Unit) -> Option<String> {
    let texts = texts(advice, unit);
    let found = texts.iter().find_map(|(path, text)| Some((path, advice.value(text)?)));
    match (advice.when, found) {
        (When::Found, Some((path, value))) => Some(format!("'{}' says '{value}'", path.display())),
        (When::Missing, None) => {
            let (path, _) = texts.first()?;
            let place =
                if advice.files.is_empty() { path.display().to_string() } else { advice.files.clone() };
            Some(format!("'{place}' lacks what '{}' needs", unit.name))
        }
        _ => None,
    }
}

fn shared(advice: &Advice, units: &[&Rc<Unit>]) -> Vec<String> {
    let mut owners: BTreeMap<String, Vec<&Rc<Unit>>> = BTreeMap::new();
    for unit in units {
        let texts = texts(advice, unit);
        let value = texts.iter().rev().find_map(|(_, text)| advice.value(text));
        let default = advice.default.as_deref().filter(|_| !texts.is_empty());
        if let Some(value) = value.or(default).filter(|value| !value.is_empty()) {
            owners.entry(value.to_owned()).or_default().push(unit);
        }
    }
    let clash = |(value, owners): (String, Vec<&Rc<Unit>>)| {
        let [first, .., last] = &owners[..] else { return None };
        let place = if first.instance_file.is_some() { "files" } else { "commands" };
        let both = if advice.default.as_ref() == Some(&value) { "come to" } else { "both say" };
        Some(format!("the {place} of '{}' and '{}' {both} '{value}'", first.name, last.name))
    };
    owners.into_iter().filter_map(clash).collect()
}

fn unwritable(advice: &Advice, unit: &Unit) -> Option<String> {
    let texts = texts(advice, unit);
    let (path, _) = texts.first()?;
    let process = &unit.program()?.process;
    let home = process.directory.as_ref().map_or("/", |directory| directory.as_str());
    let named = texts.iter().rev().find_map(|(_, text)| advice.value(text));
    let directory = Path::new(home).join(named.unwrap_or("."));
    let about = fs::metadata(&directory).ok()?;
    let user = Accounts::default().user(process.user.as_ref()?).ok()??;
    let groups = Accounts::default().supplementary_groups(&user, user.gid).unwrap_or_default();
    let may = match () {
        () if user.uid == 0 => 0o200,
        () if user.uid == about.uid() => about.mode() & 0o200,
        () if groups.contains(&about.gid()) => about.mode() & 0o020,
        () => about.mode() & 0o002,
    };
    let who = user.name.unwrap_or_else(|| user.uid.to_string());
    let words = match named {
        Some(named) => format!("'{who}' cannot write '{named}', which '{}' names", path.display()),
        None => format!("'{}' names no directory, and '{who}' cannot write '{home}'", path.display()),
    };
    (may == 0).then_some(words)
}

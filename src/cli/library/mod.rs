//! `sexton library`, `add` and `diff`: units that sexton carries with it, and copies of them.
//!
//! ```text
//!   library [WORD…]     a line a unit            library show NAME     its text
//!   add NAME            ▶ /etc/sexton/units      diff NAME             the copy against the library's
//! ```

mod advice;
mod installed;
mod lines;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Value;

use super::args::library::{AddArgs, DiffArgs, LibraryArgs, LibraryVerb};
use super::style::{Align, Ink, Table};
use super::{Exit, Screen, Trouble, nearest};
use crate::library::{self, Entry};

pub(super) use advice::advice;
pub(super) use installed::outside;

/// Where own units are.
const UNITS: &str = "/etc/sexton/units";

/// A unit of the library, for a program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'e> {
    name: &'e str,
    description: &'e str,
    product: &'e str,
    versions: &'e [String],
    tested: bool,
    untested: &'e str,
}

/// `sexton library`.
pub(super) fn library(args: &LibraryArgs, json: bool, screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    if let Some(LibraryVerb::Show(one)) = &args.verb {
        let (name, _) = find(&one.unit)?;
        screen.say(library::text(&name).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let found: Vec<Entry> = library::names()
        .into_iter()
        .filter(|name| matches(name, &args.words))
        .filter_map(library::entry)
        .collect();
    if json {
        let listed: Vec<Listed<'_>> = found.iter().map(listed).collect();
        let text = serde_json::to_string(&listed).map_err(|error| Trouble::Words(error.to_string()))?;
        screen.say(&format!("{text}\n"));
    } else {
        screen.say(&table(&found).render(&screen.style, 0));
    }
    Ok(if found.is_empty() { Exit::Failed } else { Exit::Done })
}

fn listed(entry: &Entry) -> Listed<'_> {
    Listed {
        name: &entry.name,
        description: &entry.description,
        product: &entry.product,
        versions: &entry.versions,
        tested: entry.tested,
        untested: &entry.untested,
    }
}

fn table(found: &[Entry]) -> Table {
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left]);
    let head = ["UNIT", "TESTED WITH", "DESCRIPTION"];
    table.row(head.map(|word| (Ink::Faint, word.to_owned())).to_vec());
    for entry in found {
        let tested = match (entry.tested, entry.versions.is_empty()) {
            (true, false) => (Ink::Good, format!("{} {}", entry.product, entry.versions.join(", "))),
            (true, true) => (Ink::Good, entry.product.clone()),
            (false, _) => (Ink::Faint, "untested".to_owned()),
        };
        let description = entry.description.replace("%i", "INSTANCE").replace("%{port}", "PORT");
        table.row(vec![(Ink::Plain, entry.name.clone()), tested, (Ink::Plain, description)]);
    }
    table
}

/// Does the unit hold all of these words, wherever?
fn matches(name: &str, words: &[String]) -> bool {
    let text = library::text(name).unwrap_or_default().to_lowercase();
    words.iter().all(|word| name.contains(word.as_str()) || text.contains(&word.to_lowercase()))
}

fn find(name: &str) -> Result<(String, Option<&str>), Trouble> {
    library::find(name).ok_or_else(|| {
        let all = library::names();
        let near = nearest(name, all.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        Trouble::Words(format!("there is no unit '{name}' in the library{near}"))
    })
}

/// `sexton add`.
pub(super) fn add(args: &AddArgs, screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    let (name, of_name) = find(&args.unit)?;
    let instance = args.instance.as_deref().or(of_name);
    if instance.is_some() && !name.ends_with('@') {
        return Err(Trouble::Usage(format!("'{name}' is no template: it has no instances")));
    }
    let directory = args.to.clone().unwrap_or_else(|| PathBuf::from(UNITS));
    let path = directory.join(format!("{name}.toml"));
    let written = if path.exists() && !args.force && instance.is_some() {
        false
    } else {
        write_new(&path, &with_header(&name), args.force)?;
        true
    };
    if written {
        screen.say(&format!("{}: written\n", path.display()));
    }
    if let Some(instance) = instance {
        let drop_in = directory.join(format!("{name}.d/instances.toml"));
        add_instance(&drop_in, instance)?;
        screen.say(&format!("{}: has '{instance}'\n", drop_in.display()));
    }
    if let Some(warning) = library::entry(&name).and_then(|entry| outside(&entry)) {
        screen.warn(&format!("sexton: {warning}\n"));
    }
    Ok(Exit::Done)
}

/// The text of a copy: where it comes from, then the unit as it is.
fn with_header(name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let text = library::text(name).unwrap_or_default();
    format!(
        "# From the library of sexton {version}: {name}. `sexton diff {name}` shows what is different since.\n{text}"
    )
}

/// Never over a file that is there, unless that is what is wanted.
fn write_new(path: &Path, text: &str, force: bool) -> Result<(), Trouble> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Trouble::Words(format!(
            "cannot write '{}': it is there already; --force writes over it",
            path.display()
        )),
        _ => Trouble::Words(format!("cannot write '{}': {error}", path.display())),
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// Adds an instance to the drop-in that lists them.
fn add_instance(path: &Path, instance: &str) -> Result<(), Trouble> {
    let known = fs::read_to_string(path).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let known = known.as_ref().and_then(|table| table.get("instances")?.get("names")?.as_array());
    let known = known.into_iter().flatten().filter_map(Value::as_str);
    let mut names: Vec<&str> = known.filter(|name| *name != instance).collect();
    names.push(instance);
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let text = format!("# Kept by `sexton add --instance`.\n[instances]\nnames = [{}]\n", names.join(", "));
    write_new(path, &text, true)
}

/// `sexton diff`: 0 where nothing is different, 1 where something is, as diff(1) has it.
pub(super) fn diff(args: &DiffArgs, screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    let (name, _) = find(&args.unit)?;
    let path = args.from.clone().unwrap_or_else(|| PathBuf::from(UNITS)).join(format!("{name}.toml"));
    let own = fs::read_to_string(&path)
        .map_err(|error| Trouble::Words(format!("cannot read '{}': {error}", path.display())))?;
    // The header says where the copy comes from: it is no difference.
    let own = match own.split_once('\n') {
        Some((first, rest)) if first.starts_with("# From the library of sexton") => rest,
        _ => &own,
    };
    let different = lines::difference(library::text(&name).unwrap_or_default(), own);
    if different.is_empty() {
        return Ok(Exit::Done);
    }
    screen.say(&format!("--- {}{name}.toml\n+++ {}\n{different}", library::PLACE, path.display()));
    Ok(Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_says_where_it_comes_from_and_is_else_the_same() {
        let text = with_header("nginx");
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.contains("From the library of sexton") && first.contains("nginx"));
        assert_eq!(Some(rest), library::text("nginx"));
    }

    #[test]
    fn words_are_looked_for_in_all_of_a_unit() {
        let found = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            library::names().into_iter().filter(|name| matches(name, &words)).collect::<Vec<_>>()
        };
        assert!(found(&["mqtt"]) == ["mosquitto"]);
        assert!(found(&["http", "proxy"]).contains(&"squid"));
        assert!(found(&["no such thing"]).is_empty());
    }
}

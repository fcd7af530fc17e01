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
use crate::model::name::check_instance;

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
    } else if found.is_empty() {
        let words = args.words.join("', '");
        let near = if let [word] = &args.words[..] { meant(word) } else { String::new() };
        return Err(Trouble::Words(format!("no unit of the library holds '{words}'{near}")));
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
        table.row(vec![
            (Ink::Plain, entry.name.clone()),
            tested,
            (Ink::Plain, placeless(&entry.description)),
        ]);
    }
    table
}

/// The description of a template, with a word for each parameter that an instance will set: `%i`, `%{port}`.
fn placeless(description: &str) -> String {
    let text = description.replace("%i", "INSTANCE");
    let mut parts = text.split("%{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once('}') {
        Some((name, rest)) => text + &name.to_uppercase() + rest,
        None => text + "%{" + part,
    })
}

/// Does the unit hold all of these words, wherever?
fn matches(name: &str, words: &[String]) -> bool {
    let text = library::text(name).unwrap_or_default().to_lowercase();
    words.iter().all(|word| name.contains(word.as_str()) || text.contains(&word.to_lowercase()))
}

fn find(name: &str) -> Result<(String, Option<&str>), Trouble> {
    let none = || Trouble::Words(format!("there is no unit '{name}' in the library{}", meant(name)));
    library::find(name).ok_or_else(none)
}

/// The name of the library that is nearest to a word, as a question.
fn meant(word: &str) -> String {
    let all = library::names();
    let near = nearest(word, all.iter().copied());
    near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"))
}

/// `sexton add`.
pub(super) fn add(args: &AddArgs, screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    let (name, of_name) = find(&args.unit)?;
    let instance = wanted_instance(&name, of_name, args.instance.as_deref())?;
    let directory = args.to.clone().unwrap_or_else(|| PathBuf::from(UNITS));
    let path = directory.join(format!("{name}.toml"));
    let is_kept = path.exists() && !args.force && instance.is_some();
    let text = if is_kept { read_own(&path)? } else { with_header(&name) };
    let instances = Instances::of(&text);
    if let (Instances::Counted, Some(_)) = (&instances, instance) {
        let words =
            format!("the instances of '{name}' are counted: [instances] count says how many there are");
        return Err(Trouble::Usage(words));
    }
    if !is_kept {
        write_new(&path, &text, args.force)?;
        screen.say(&format!("{}: written\n", path.display()));
    }
    match (instances, instance) {
        (Instances::Named(there), Some(instance)) => {
            // Those of a copy that is only now made were nobody's wish.
            let there = if is_kept { there } else { Vec::new() };
            let drop_in = directory.join(format!("{name}.d/instances.toml"));
            let names = add_instance(&drop_in, there, instance)?;
            screen.say(&format!("{}: has '{}'\n", drop_in.display(), names.join("', '")));
        }
        (Instances::Named(there), None) if name.ends_with('@') && there.is_empty() => {
            screen.say(&format!("it has no instance yet: `sexton add {name} --instance NAME` adds one\n"));
        }
        (Instances::OfFiles(pattern), Some(instance)) => {
            let file = pattern.replacen('*', instance, 1);
            let there = if Path::new(&file).exists() { "" } else { ", which is not there yet" };
            screen.say(&format!("{name}{instance} comes of its file: '{file}'{there}\n"));
        }
        (Instances::OfFiles(pattern), None) => {
            screen.say(&format!("each file '{pattern}' makes an instance\n"));
        }
        (Instances::Named(_) | Instances::Counted, _) => {}
    }
    if let Some(warning) = library::entry(&name).and_then(|entry| outside(&entry)) {
        screen.warn(&format!("sexton: {warning}\n"));
    }
    Ok(Exit::Done)
}

/// The instance that is meant, by the name or by the option.
fn wanted_instance<'a>(
    name: &str,
    of_name: Option<&'a str>,
    of_option: Option<&'a str>,
) -> Result<Option<&'a str>, Trouble> {
    let Some(instance) = of_option.or(of_name) else { return Ok(None) };
    if !name.ends_with('@') {
        return Err(Trouble::Usage(format!("'{name}' is no template: it has no instances")));
    }
    if let (Some(one), Some(other)) = (of_name, of_option)
        && one != other
    {
        return Err(Trouble::Usage(format!("'{one}' and '{other}' are two instances: say one")));
    }
    match check_instance(instance) {
        Ok(()) => Ok(Some(instance)),
        Err(error) => Err(Trouble::Usage(format!("'{instance}' cannot be an instance: {error}"))),
    }
}

/// How a template comes to its instances.
enum Instances {
    /// By `names`, or by whoever needs one.
    Named(Vec<String>),
    /// By `count`.
    Counted,
    /// By `files`, a pattern.
    OfFiles(String),
}

impl Instances {
    fn of(text: &str) -> Instances {
        let unit: toml::Table = text.parse().unwrap_or_default();
        let instances = unit.get("instances").and_then(Value::as_table);
        let files = instances.and_then(|instances| instances.get("files")?.as_str());
        match files {
            Some(pattern) => Instances::OfFiles(pattern.to_owned()),
            None if instances.is_some_and(|instances| instances.contains_key("count")) => Instances::Counted,
            None => Instances::Named(names_in(&unit)),
        }
    }
}

/// `[instances] names`.
fn names_in(unit: &toml::Table) -> Vec<String> {
    let names = unit.get("instances").and_then(|instances| instances.get("names")?.as_array());
    names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn read_own(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path)
        .map_err(|error| Trouble::Words(format!("cannot read '{}': {error}", path.display())))
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
        let unmade =
            |error| Trouble::Words(format!("cannot make the directory '{}': {error}", directory.display()));
        fs::create_dir_all(directory).map_err(unmade)?;
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

/// Adds an instance to the drop-in that lists them, or to `there` where none does, and gives the new list.
fn add_instance(path: &Path, there: Vec<String>, instance: &str) -> Result<Vec<String>, Trouble> {
    let known = if path.exists() { Some(read_own(path)?) } else { None };
    let mut names = match &known {
        Some(text) => names_in(&text.parse().unwrap_or_default()),
        None => there,
    };
    names.retain(|name| name != instance);
    names.push(instance.to_owned());
    let text = match known {
        Some(known) => with_names(&known, &names).ok_or_else(|| {
            let path = path.display();
            Trouble::Words(format!(
                "cannot change '{path}': it has no line of its own with the names; add '{instance}' to them"
            ))
        })?,
        None => format!("# Kept by `sexton add --instance`.\n[instances]\n{}\n", line_of(&names)),
    };
    write_new(path, &text, true)?;
    Ok(names)
}

fn line_of(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("names = [{}]", names.join(", "))
}

/// A drop-in with other names, and all else in it as it is; nothing where that takes more than a line.
fn with_names(text: &str, names: &[String]) -> Option<String> {
    let list = line_of(names);
    let lines = text.lines().map(|line| if line.starts_with("names") { &*list } else { line });
    let new: String = lines.flat_map(|line| [line, "\n"]).collect();
    let rest = |text: &str| {
        let mut unit: toml::Table = text.parse().ok()?;
        unit.get_mut("instances")?.as_table_mut()?.remove("names")?;
        Some(unit)
    };
    let is_kept = rest(text)? == rest(&new)? && names_in(&new.parse().ok()?) == names;
    is_kept.then_some(new)
}

/// `sexton diff`: 0 where nothing is different, 1 where something is, 2 where that cannot be told, as diff(1) has it.
pub(super) fn diff(args: &DiffArgs, screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    let (name, _) = find(&args.unit).map_err(|trouble| Trouble::Usage(trouble.to_string()))?;
    let directory = args.from.clone().unwrap_or_else(|| PathBuf::from(UNITS));
    let path = directory.join(format!("{name}.toml"));
    let own = fs::read_to_string(&path).map_err(|error| {
        let (path, directory) = (path.display(), directory.display());
        Trouble::Usage(match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no copy of '{name}' in '{directory}'; `sexton add {name}` makes one")
            }
            _ => format!("cannot read '{path}': {error}"),
        })
    })?;
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
    fn only_the_line_with_the_names_becomes_another() {
        let names = ["a".to_owned(), "b".to_owned()];
        let text = "# mine\n[instances]\nnames = [\"a\"]\n[instances.set.a]\nport = \"1\"\n";
        let new = with_names(text, &names).unwrap_or_default();
        assert_eq!(new, text.replace("[\"a\"]", "[\"a\", \"b\"]"));
        for text in
            ["[instances]\nnames = [\n\"a\",\n]\n", "instances.names = [\"a\"]\n", "names = 1\n", "no"]
        {
            assert_eq!(with_names(text, &names), None, "{text}");
        }
    }

    #[test]
    fn a_description_has_a_word_for_each_parameter() {
        assert_eq!(placeless("%{name} on %{port}, %i"), "NAME on PORT, INSTANCE");
        assert_eq!(placeless("100 %{"), "100 %{");
        for name in library::names() {
            let entry = library::entry(name).unwrap_or_default();
            assert!(!placeless(&entry.description).contains('%'), "{name}");
        }
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

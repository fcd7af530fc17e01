//! The units of `config/units`, which every sexton carries with it.
//!
//! ```text
//!   config/units/NAME.toml ──include_dir──▶ names(), text(NAME), entry(NAME): what its [library] says
//! ```
//!
//! A unit file of the same name always comes before it: the library is looked at only where somebody names a unit that has no
//! file.

pub mod advice;

use include_dir::{Dir, include_dir};
use toml::{Table, Value};

static UNITS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/units");

/// What a path of the library begins with, where a path is shown.
pub const PLACE: &str = "library:/";

/// What a unit says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as a file without `.toml`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// What the daemon is called by those who make it.
    pub product: String,
    /// Versions that it was tested with, by how they begin.
    pub versions: Vec<String>,
    /// It is run with its daemon by the tests.
    pub tested: bool,
    /// What was not tested, and why.
    pub untested: String,
    /// The package of each distribution.
    pub packages: Vec<(String, String)>,
}

/// The names of all units, sorted.
pub fn names() -> Vec<&'static str> {
    let files = UNITS.files().filter_map(|file| file.path().file_name()?.to_str()?.strip_suffix(".toml"));
    let mut names: Vec<&str> = files.collect();
    names.sort_unstable();
    names
}

/// The text of a unit.
pub fn text(name: &str) -> Option<&'static str> {
    UNITS.get_file(format!("{name}.toml"))?.contents_utf8()
}

/// The unit that a name means: the file of that name, or the template of an instance; and the instance.
pub fn find(name: &str) -> Option<(String, Option<&str>)> {
    match name.split_once('@') {
        Some((prefix, instance)) => {
            let template = format!("{prefix}@");
            text(&template)?;
            Some((template, Some(instance).filter(|instance| !instance.is_empty())))
        }
        None if text(name).is_some() => Some((name.to_owned(), None)),
        None => text(&format!("{name}@")).map(|_| (format!("{name}@"), None)),
    }
}

/// What a unit of the library says of itself.
pub fn entry(name: &str) -> Option<Entry> {
    read(name, text(name)?)
}

/// What a unit file says of itself in `[library]`; nothing where it has no such table.
pub fn read(name: &str, text: &str) -> Option<Entry> {
    let unit: Table = text.parse().ok()?;
    let library = unit.get("library")?.as_table()?;
    let word =
        |table: &Table, key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let versions = library.get("versions").and_then(Value::as_array);
    let packages = library.get("packages").and_then(Value::as_table);
    let package = |(name, package): (&String, &Value)| Some((name.clone(), package.as_str()?.to_owned()));
    Some(Entry {
        name: name.to_owned(),
        description: word(&unit, "description"),
        product: word(library, "product"),
        versions: versions.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        tested: library.get("tested").and_then(Value::as_bool).unwrap_or(false),
        untested: word(library, "untested"),
        packages: packages.into_iter().flatten().filter_map(package).collect(),
    })
}

/// Does a version, as a package has it (`1:10.11.14-0+deb12u2`), begin as one of these does?
pub fn is_among(version: &str, tested: &[String]) -> bool {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    tested.iter().any(|known| {
        let rest = upstream.strip_prefix(known.as_str());
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_unit_or_an_instance_of_a_template() {
        assert_eq!(find("nginx"), Some(("nginx".to_owned(), None)));
        assert_eq!(find("redis"), Some(("redis@".to_owned(), None)));
        assert_eq!(find("redis@"), Some(("redis@".to_owned(), None)));
        assert_eq!(find("redis@6380"), Some(("redis@".to_owned(), Some("6380"))));
        assert_eq!(find("nginx@x"), None);
        assert_eq!(find("no-such-daemon"), None);
    }

    #[test]
    fn a_version_is_told_by_how_it_begins() {
        let tested = ["1.22".to_owned(), "2".to_owned()];
        for version in ["1.22", "1.22.1-9", "1:2.4", "2~rc1"] {
            assert!(is_among(version, &tested), "{version}");
        }
        for version in ["1.220", "1.2", "12", "", "3:1.3"] {
            assert!(!is_among(version, &tested), "{version}");
        }
    }

    #[test]
    fn every_unit_of_the_library_says_what_it_is() {
        assert!(names().len() > 25);
        for name in names() {
            let entry = entry(name).unwrap();
            assert!(!entry.product.is_empty() && !entry.description.is_empty(), "{name}");
            assert!(entry.tested || !entry.untested.is_empty(), "{name}");
        }
        assert_eq!(read("x", "[service]\nexec = [\"x\"]\n"), None);
    }
}

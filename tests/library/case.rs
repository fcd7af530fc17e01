//! A case: how the daemon of one unit is prepared, changed, broken and spoken to. The story is the same for all.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// What is to be known of a daemon. In all texts `@WORD@` is the word of the day, which its client has to get.
pub struct Case {
    /// The file in `config/units`, without `.toml`.
    pub file: &'static str,
    /// The unit that comes of it: the same, or an instance.
    pub unit: &'static str,
    /// Other units of the library that it needs.
    pub beside: &'static [&'static str],
    /// Programs that it needs, and the packages that have them.
    pub needs: &'static [(&'static str, &'static str)],
    /// Lines of shell before sexton is there, in the machine's own /etc, /var and /run.
    pub setup: &'static [&'static str],
    /// Files that the test brings.
    pub files: &'static [(&'static str, &'static str)],
    /// Drop-ins, by their path among the units.
    pub drop_ins: &'static [(&'static str, &'static str)],
    /// The file that is changed, and its text.
    pub config: Option<(&'static str, &'static str)>,
    /// A line of shell: its real client. It prints the word of the day, or `answer` where the configuration cannot
    /// hold a word.
    pub ask: &'static str,
    /// What the client prints of a daemon that has no word.
    pub answer: &'static str,
    /// Does a reload bring a new configuration into force?
    pub reload: Reload,
    /// Texts of the changed file that must be refused, and what the daemon says of each.
    pub broken: &'static [(&'static str, &'static str)],
    /// The user of its main process.
    pub user: &'static str,
    /// Why the unit names no capabilities.
    pub unbounded: &'static str,
    /// What is kept over a stop.
    pub data: Option<Data>,
    /// What it keeps that is not looked at; empty where it keeps nothing.
    pub unseen: &'static str,
    /// Another instance, beside the first.
    pub twin: Option<Twin>,
    /// Debian's own init script, by its name in /etc/init.d.
    pub init: &'static str,
    /// Lines of shell without which that script cannot start its service.
    pub init_setup: &'static [&'static str],
}

/// A line of `setup`: what `scripts/test` has only unpacked lies over /usr.
pub const UNPACKED: &str = concat!(
    "mount -t overlay -o lowerdir=",
    env!("CARGO_MANIFEST_DIR"),
    "/target/unpacked/usr:/usr unpacked /usr"
);

/// What becomes of a reload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The new word is in force, in the same process.
    TakesWord,
    /// It succeeds, but the changed file is only read at a start.
    Partly,
    /// The unit has no `[reload]`, so it is refused.
    HasNone,
}

/// What is kept over a stop: lines of shell that write and read it, and what is read.
pub struct Data {
    pub write: &'static str,
    pub read: &'static str,
    pub holds: &'static str,
}

/// A second instance: its unit, its client, and what that prints.
pub struct Twin {
    pub unit: &'static str,
    pub ask: &'static str,
    pub answer: &'static str,
}

impl Case {
    /// What most cases do not have.
    pub const NONE: Case = Case {
        file: "",
        unit: "",
        beside: &[],
        needs: &[],
        setup: &[],
        files: &[],
        drop_ins: &[],
        config: None,
        ask: "",
        answer: "",
        reload: Reload::HasNone,
        broken: &[],
        user: "root",
        unbounded: "",
        data: None,
        unseen: "",
        twin: None,
        init: "",
        init_setup: &[],
    };

    /// The text of the changed file with this word.
    pub fn worded(&self, word: &str) -> Option<(&'static str, String)> {
        self.config.map(|(path, text)| (path, text.replace("@WORD@", word)))
    }

    /// What its client prints when this is the word of the day.
    pub fn expected<'w>(&self, word: &'w str) -> &'w str
    where
        'static: 'w,
    {
        if self.config.is_some_and(|(_, text)| text.contains("@WORD@")) { word } else { self.answer }
    }

    /// The unit as it lies in the library.
    pub fn text(&self) -> String {
        unit_text(self.file)
    }
}

/// Where the library lies.
pub fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/units")
}

/// A unit of the library.
pub fn unit_text(file: &str) -> String {
    let path = library().join(format!("{file}.toml"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The units of the library, by name.
pub fn all_units() -> Vec<String> {
    let entries = fs::read_dir(library()).unwrap_or_else(|e| panic!("config/units: {e}"));
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned)).collect();
    names.sort();
    names
}

/// A unit as tables.
pub fn tables(file: &str) -> Table {
    unit_text(file).parse().unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// A table of the unit; an empty one where there is none.
pub fn part(unit: &Table, name: &str) -> Table {
    unit.get(name).and_then(Value::as_table).cloned().unwrap_or_default()
}

/// A string of a table; empty where there is none.
pub fn word(table: &Table, name: &str) -> String {
    table.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The strings of an array of a table.
pub fn words(table: &Table, name: &str) -> Vec<String> {
    let items = table.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn every_unit_has_a_case_or_says_why_it_is_not_tested() {
    for name in all_units() {
        let library = part(&tables(&name), "library");
        let tested = library.get("tested").and_then(Value::as_bool).unwrap_or(false);
        let has_case = super::CASES.iter().any(|case| case.file == name);
        assert_eq!(
            tested, has_case,
            "{name}: [library] tested says {tested}, and there is a case: {has_case}"
        );
        let why = word(&library, "untested");
        assert!(tested || !why.is_empty(), "{name}: [library] untested does not say why it is not tested");
        for key in ["product", "source"] {
            assert!(!word(&library, key).is_empty(), "{name}: [library] {key} is missing");
        }
        assert!(!words(&library, "suits").is_empty(), "{name}: [library] suits nothing");
        assert!(!tested || !words(&library, "versions").is_empty(), "{name}: [library] versions is empty");
    }
}

/// The shells that Debian has, and what brings one along under another name.
const SHELLS: [&str; 14] = [
    "sh", "bash", "rbash", "dash", "ash", "ksh", "mksh", "zsh", "csh", "tcsh", "fish", "busybox", "su",
    "runuser",
];

/// The first word of a value in which a shell is named, by itself, by a path, or within a word that is a line of its own.
/// What is only said to people is not looked at.
fn shell_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => {
            let names = |word: &&str| SHELLS.contains(&word.rsplit('/').next().unwrap_or_default());
            text.split_whitespace().find(names).map(str::to_owned)
        }
        Value::Array(items) => items.iter().find_map(shell_in),
        Value::Table(table) => {
            let is_said = |key: &str| ["description", "docs", "library"].contains(&key);
            table.iter().filter(|(key, _)| !is_said(key)).find_map(|(_, value)| shell_in(value))
        }
        _ => None,
    }
}

#[test]
fn a_shell_is_found_wherever_a_unit_has_it() {
    let found = |text: &str| shell_in(&Value::Table(text.parse().unwrap_or_else(|e| panic!("{e}"))));
    for unit in [
        "[service]\nexec = [\"/bin/sh\", \"-c\", \"x\"]",
        "[service]\nexec = [\"/usr/bin/env\", \"-S\", \"bash -c x\"]",
        "[service]\nexec = [\"/usr/bin/timeout\", \"5\", \"/bin/busybox\", \"ash\"]",
        "[[pre-stop]]\nexec = [\"x\"]\nundo = [\"su\", \"x\"]",
        "[instances]\ndefaults = { program = \"/bin/dash\" }",
        "[process]\nenv = { SHELL = \"/bin/zsh\" }",
    ] {
        assert!(found(unit).is_some(), "{unit}");
    }
    assert_eq!(found("description = \"no sh\"\n[service]\nexec = [\"/usr/sbin/sshd\", \"--shell\"]"), None);
}

#[test]
fn no_unit_has_a_shell_and_each_says_what_it_may_do() {
    for name in all_units() {
        let unit = tables(&name);
        assert_eq!(shell_in(&Value::Table(unit.clone())), None, "{name} has a shell");
        let open = super::CASES.iter().any(|case| case.file == name && !case.unbounded.is_empty());
        let bounded = part(&unit, "security").contains_key("capabilities");
        assert_ne!(
            bounded, open,
            "{name}: its capabilities are bounded: {bounded}; the case says why not: {open}"
        );
        if !unit.contains_key("configtest") && unit.contains_key("service") {
            let why = word(&part(&unit, "library"), "untested");
            assert!(
                why.contains("configuration"),
                "{name} has no [configtest]; [library] untested says not why"
            );
        }
    }
}

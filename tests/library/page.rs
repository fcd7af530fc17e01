//! docs/library.md: what the library holds and what each unit of it was shown to do, made of the units and their cases.
//!
//! A cell says what the story of the case does; as long as the story is green, the cell is true. `scripts/library` writes
//! the page, `the_page_says_what_the_cases_do` fails when it is another.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use toml::{Table, Value};

use crate::CASES;
use crate::case::{Case, Reload, all_units, part, tables, word, words};

/// Between these two lines the page is made.
const BEGIN: &str = "<!-- made by scripts/library: what the cases show -->";
const END: &str = "<!-- end of what the cases show -->";

/// And between these the comparison with init scripts.
const SCRIPTS: &str = "<!-- made by scripts/library: what init scripts do -->";
const END_OF_SCRIPTS: &str = "<!-- end of what init scripts do -->";
const HEAD: &str = "| Service | Script, good file | Script, broken file | sexton, good file | sexton, broken file |\n\
                    | --- | --- | --- | --- | --- |\n";

/// The page.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/library.md")
}

/// The page with another text between two of its lines.
pub fn with_part(page: &str, begin: &str, end: &str, text: &str) -> String {
    let (before, rest) = page.split_once(begin).unwrap_or_else(|| panic!("docs/library.md lacks {begin}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("docs/library.md lacks {end}"));
    format!("{before}{begin}\n\n{text}\n{end}{after}")
}

/// Holds a part of the page to `text`, or writes it when `SEXTON_WRITE` is set.
#[track_caller]
pub fn hold(begin: &str, end: &str, text: &str) {
    let page = fs::read_to_string(path()).unwrap_or_else(|e| panic!("docs/library.md: {e}"));
    let wanted = with_part(&page, begin, end, text);
    if std::env::var_os("SEXTON_WRITE").is_some() {
        fs::write(path(), wanted).unwrap_or_else(|e| panic!("docs/library.md: {e}"));
    } else {
        assert_eq!(page, wanted, "docs/library.md is not current: run scripts/library");
    }
}

/// Writes one row of the comparison when `SEXTON_WRITE` is set; else holds sexton's half of it to what was measured. What a
/// script does may hang on who is faster, it or the daemon that it stops, and with that on the machine: a difference there is
/// printed.
#[track_caller]
pub fn hold_row(name: &str, script: &str, sexton: &str) {
    static PAGE: Mutex<()> = Mutex::new(());
    let _alone = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let page = fs::read_to_string(path()).unwrap_or_else(|e| panic!("docs/library.md: {e}"));
    let (_, made) = page.split_once(SCRIPTS).unwrap_or_else(|| panic!("docs/library.md lacks {SCRIPTS}"));
    let (made, _) = made.split_once(END_OF_SCRIPTS).unwrap_or((made, ""));
    let begins = format!("| {name} |");
    let measured = format!("{begins} {script} | {sexton} |");
    let mut rows: Vec<&str> = made.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    if std::env::var_os("SEXTON_WRITE").is_none() {
        let known = rows.iter().find(|row| row.starts_with(&begins));
        let Some(known) = known else { panic!("docs/library.md has no row of {name}: run scripts/library") };
        assert!(
            known.ends_with(&format!(" | {sexton} |")),
            "sexton did {sexton}, and docs/library.md says {known}"
        );
        if **known != measured {
            let words = format!(
                "the script of {name} did another thing here: {script}; docs/library.md says {known}\n"
            );
            let _ = std::io::stderr().write_all(words.as_bytes());
        }
        return;
    }
    rows.retain(|known| !known.starts_with(&begins));
    rows.push(&measured);
    rows.sort_unstable();
    let table = format!("{HEAD}{}\n", rows.join("\n"));
    hold(SCRIPTS, END_OF_SCRIPTS, &table);
}

fn case_of(file: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.file == file).copied()
}

/// The words of one row, cell by cell.
fn row(file: &str, unit: &Table, case: &Case) -> [String; 9] {
    let yes = |holds: bool, not: &str| if holds { "yes".to_owned() } else { not.to_owned() };
    let library = part(unit, "library");
    let tested = part(unit, "configtest").contains_key("exec");
    let refusals = match (tested, case.broken.len()) {
        (false, 0) => "has no test".to_owned(),
        (false, number) => format!("{number} of {number}, by its overlap"),
        (true, 1) => "1 of 1".to_owned(),
        (true, number) => format!("{number} of {number}"),
    };
    let reload = match case.reload {
        Reload::TakesWord => "in force, same process",
        Reload::Partly => "done, same process",
        Reload::HasNone => "refused: has none",
    };
    let security = part(unit, "security");
    let capabilities = words(&security, "capabilities").join(", ");
    let capabilities = match (security.contains_key("capabilities"), capabilities.is_empty()) {
        (false, _) => format!("not bounded: {}", case.unbounded),
        (true, true) => "none".to_owned(),
        (true, false) => capabilities,
    };
    [
        format!("`{file}`"),
        format!("{} {}", word(&library, "product"), words(&library, "versions").join(", ")),
        yes(true, ""),
        refusals,
        reload.to_owned(),
        match (&case.data, case.unseen) {
            (Some(_), _) => "yes".to_owned(),
            (None, "") => "keeps none".to_owned(),
            (None, unseen) => format!("not shown: {unseen}"),
        },
        yes(case.twin.is_some(), "no template"),
        case.user.to_owned(),
        capabilities,
    ]
}

/// Where a distribution lists its packages: the name of one belongs behind it.
fn list_of(distribution: &str) -> &'static str {
    match distribution {
        "debian" => "https://packages.debian.org/",
        "alpine" => "https://pkgs.alpinelinux.org/packages?name=",
        _ => "https://packages.fedoraproject.org/search?query=",
    }
}

/// What a row rests on.
fn known_by(is_run: bool, packages: &Table) -> String {
    let read: Vec<&str> =
        ["alpine", "fedora"].into_iter().filter(|name| packages.contains_key(*name)).collect();
    let debian = if is_run { "debian: run" } else { "debian: read, not run" };
    if read.is_empty() { debian.to_owned() } else { format!("{debian}; {}: read", read.join(", ")) }
}

#[test]
fn each_package_of_a_unit_suits_or_the_unit_says_what_differs() {
    for file in all_units() {
        let library = part(&tables(&file), "library");
        let (suits, differs) = (words(&library, "suits"), part(&library, "differs"));
        for name in part(&library, "packages").keys() {
            let said = (suits.contains(name), differs.contains_key(name));
            assert!(
                said.0 != said.1,
                "{file}, {name}: suits as it is: {}; says what differs: {}",
                said.0,
                said.1
            );
        }
    }
}

/// The part of the page that is made.
fn made() -> String {
    let mut text = String::from(
        "| Unit | Tested with | Started clean, restarted, stopped | Broken ones refused | Reload | Data kept | Two instances | User | Capabilities |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut untested = String::new();
    for file in all_units() {
        let unit = tables(&file);
        if let Some(case) = case_of(&file) {
            let _ = writeln!(text, "| {} |", row(&file, &unit, case).join(" | ")); // Into a String it cannot fail.
        }
        let library = part(&unit, "library");
        let why = word(&library, "untested");
        if !why.is_empty() {
            let _ = writeln!(untested, "| `{file}` | {why} | {} |", word(&library, "source")); // As above.
        }
    }
    let mut places =
        String::from("| Unit | Debian | Alpine | Fedora | Suits as it is | Elsewhere | Known by |\n");
    places.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for file in all_units() {
        let library = part(&tables(&file), "library");
        let packages = part(&library, "packages");
        let is_run = case_of(&file).is_some();
        let package = |name: &str| match packages.get(name).and_then(Value::as_str) {
            // What is not run here is not in Debian: its makers have the package.
            Some(package) if name == "debian" && !is_run => package.to_owned(),
            Some(package) => format!("[{package}]({}{package})", list_of(name)),
            None => "–".to_owned(),
        };
        let differs = part(&library, "differs");
        let differs = differs.iter().filter_map(|(name, how)| Some(format!("{name}: {}", how.as_str()?)));
        let cells = [
            format!("`{file}`"),
            package("debian"),
            package("alpine"),
            package("fedora"),
            words(&library, "suits").join(", "),
            differs.collect::<Vec<_>>().join("; "),
            known_by(is_run, &packages),
        ];
        let _ = writeln!(places, "| {} |", cells.join(" | ")); // As above.
    }
    format!(
        "{text}\nNot tested, and why:\n\n| Unit | What | Source |\n| --- | --- | --- |\n{untested}\n\
         What Debian 12 has was run, what Alpine and Fedora have was read, not run. A package leads to the list of packages in\n\
         which its distribution has it:\n\n{places}"
    )
}

#[test]
fn the_page_says_what_the_cases_do() {
    hold(BEGIN, END, &made());
}

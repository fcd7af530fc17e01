//! Holds over the source text what no compiler holds: who may know whom, what is pure, what no file may say.
//!
//! ```text
//!   main → cli → run → { engine, unitfile, control, logger, sys } → model
//! ```
//!
//! Each rule is a function from a file to the places that break it; each is also shown a file that breaks it,
//! so that a rule which can no longer fail is noticed.

#![allow(unreachable_pub, reason = "a test has no outside: `pub` says what its modules offer each other")]

mod rules;
mod source;

use std::collections::BTreeSet;
use std::path::Path;

use source::Source;

/// The tree: every Rust file taken apart, and every file that is text, as it lies there.
struct House {
    sources: Vec<Source>,
    files: Vec<(String, String)>,
}

impl House {
    fn read() -> House {
        let files = source::tree(Path::new(env!("CARGO_MANIFEST_DIR")));
        let sources = files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| Source::new(path, text))
            .collect();
        House { sources, files }
    }

    /// Fails with every place that `rule` names.
    fn hold(&self, rule: impl Fn(&Source) -> Vec<String>) {
        let broken: Vec<String> = self.sources.iter().flat_map(&rule).collect();
        assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
    }
}

#[test]
fn every_module_knows_only_what_stands_below_it() {
    let house = House::read();
    let tests = rules::test_only_files(&house.sources);
    house.hold(|source| rules::direction(source, &tests));
}

#[test]
fn the_model_the_unit_language_the_engine_and_the_protocol_are_pure() {
    let house = House::read();
    let tests = rules::test_only_files(&house.sources);
    for room in ["model", "unitfile", "engine", "control"] {
        assert!(house.sources.iter().any(|s| s.top_module() == Some(room)), "src/{room} is not there");
    }
    house.hold(|source| rules::purity(source, &tests));
}

#[test]
fn unsafe_stands_only_in_sys_and_says_why_it_is_sound() {
    House::read().hold(rules::unsafe_code);
}

#[test]
fn nothing_but_main_ends_the_process() {
    House::read().hold(rules::exits);
}

#[test]
fn the_transition_table_has_no_wildcard() {
    let house = House::read();
    let table: Vec<&Source> = house.sources.iter().filter(|s| s.path == rules::TRANSITION_TABLE).collect();
    let engine_is_there = house.sources.iter().any(|s| s.code.contains("impl Engine"));
    assert!(!table.is_empty() || !engine_is_there, "{} is not there", rules::TRANSITION_TABLE);
    house.hold(rules::wildcards);
}

#[test]
fn every_file_says_what_it_is_and_is_short_enough_to_be_read_whole() {
    House::read().hold(rules::shape);
}

#[test]
fn no_function_is_longer_than_a_screen() {
    House::read().hold(rules::long_functions);
}

#[test]
fn nothing_is_put_off_ignored_or_tied_to_one_machine() {
    let house = House::read();
    let broken: Vec<String> =
        house.files.iter().flat_map(|(path, text)| rules::forbidden_words(path, text)).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_trap_names_a_test_that_is_there() {
    let house = House::read();
    let tests: BTreeSet<&str> = house.sources.iter().flat_map(|s| rules::test_names(&s.code)).collect();
    let page = house.files.iter().find(|(path, _)| path == "docs/traps.md");
    let (_, text) = page.expect("docs/traps.md is not there");
    let named = rules::named_tests(text);
    assert!(named.len() > 20, "docs/traps.md names only {} tests", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/traps.md names tests that are not there: {missing:#?}");
}

//! docs/units.md against the schema: the same keys, types, defaults and meanings, and examples that load.

use super::*;
use crate::unitfile::schema::{Key, Kind, SETTINGS, UNIT};

const PAGE: &str = include_str!("../../../docs/units.md");

/// A row of the page for a key.
fn row(key: &Key) -> String {
    let default = if key.default.is_empty() { "–" } else { key.default };
    format!("| `{}` | {} | {default} | {} |", key.name, key.kind.words(), key.meaning)
}

/// Every table of keys, once each.
fn tables() -> Vec<&'static [Key]> {
    let mut tables = vec![UNIT, SETTINGS];
    let mut at = 0;
    while let Some(keys) = tables.get(at).copied() {
        at += 1;
        for below in keys.iter().map(|key| key.kind.keys()).filter(|keys| !keys.is_empty()) {
            if !tables.iter().any(|known| std::ptr::eq(*known, below)) {
                tables.push(below);
            }
        }
    }
    tables
}

/// The tables of keys on the page, in its order: the rows between a heading row and the next empty line.
fn page_tables() -> Vec<Vec<&'static str>> {
    let blocks = PAGE
        .split("\n\n")
        .filter_map(|block| block.trim().strip_prefix("| Key | Type | Default | Meaning |"));
    blocks.map(|block| block.lines().filter(|line| line.starts_with("| `")).collect()).collect()
}

/// The examples on the page, each after the last heading before it.
fn examples() -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for section in PAGE.split("\n## ") {
        let heading = section.lines().next().unwrap_or_default();
        let blocks = section.split("```toml\n").skip(1);
        found.extend(blocks.map(|block| (heading, block.split("```").next().unwrap_or_default())));
    }
    found
}

#[test]
fn the_page_and_the_schema_name_the_same_keys_with_the_same_words() {
    let on_page = page_tables();
    let known: Vec<Vec<String>> = tables().iter().map(|keys| keys.iter().map(row).collect()).collect();
    for rows in &known {
        let same = on_page.iter().any(|page| page.iter().eq(rows.iter()));
        assert!(same, "docs/units.md should have the table\n{}", rows.join("\n"));
    }
    for page in &on_page {
        let same = known.iter().any(|rows| page.iter().eq(rows.iter()));
        assert!(same, "the schema does not have the table\n{}", page.join("\n"));
    }
}

#[test]
fn every_key_stands_in_an_example() {
    let all: String = examples().iter().map(|(_, text)| *text).collect();
    // The other ways to be ready exclude each other, so they stand in a list of their own.
    let ways = PAGE.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for key in tables().into_iter().flatten() {
        let written = match key.kind {
            Kind::Table(_) => format!("[{}]", key.name),
            Kind::Tables(_) if !["steps", "advice"].contains(&key.name) => format!("[[{}]]", key.name),
            Kind::Maps => format!(".{}.", key.name),
            _ => format!("{} = ", key.name),
        };
        assert!(all.contains(&written) || ways.contains(&written), "no example of '{}'", key.name);
    }
}

#[test]
fn every_example_loads_without_an_error() {
    for (heading, example) in examples() {
        if heading.starts_with("`sexton.toml`") {
            let loaded = load(&[("sexton.toml", example), ("shop.toml", ""), ("redis@.toml", "")]);
            assert_eq!(said(&loaded), Vec::<String>::new(), "{example}");
            continue;
        }
        let has_program = example.contains("[service]") || example.contains("[task]");
        let of_process = example.lines().any(|line| line.starts_with('[')) && !has_program;
        let text =
            if of_process { format!("{example}[service]\nexec = [\"x\"]\n") } else { example.to_owned() };
        let name = if example.contains("[instances]") { "t@.toml" } else { "t.toml" };
        let mut files = vec![(name, text.as_str()), ("redis@.toml", "")];
        files.extend(
            ["database.toml", "syslog.toml", "migrate.toml", "proxy.toml", "shop-old.toml"].map(|f| (f, "")),
        );
        assert_eq!(said(&load(&files)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn each_of_the_other_ways_to_be_ready_loads() {
    let ways = PAGE.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(ways.lines().count(), 7);
    for way in ways.lines() {
        one(&format!("[service]\nexec = [\"x\"]\n[ready]\n{way}\n"));
    }
}

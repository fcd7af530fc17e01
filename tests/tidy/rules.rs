//! The rules, one function each: a file in, one line for each place that breaks the rule out.

use std::collections::BTreeSet;

use crate::source::{Mention, Source, matching_brace, mentions};

/// The one file that may change a unit's state.
pub const TRANSITION_TABLE: &str = "src/engine/transition.rs";

/// The longest file and the longest function, in lines: what a reader can hold at once.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// Whom each room may name. A room that is missing here may name nobody.
const BELOW: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("unitfile", &["model"]),
    ("engine", &["model"]),
    ("sys", &["model"]),
    ("control", &["model", "sys"]),
    ("logger", &["model", "sys"]),
    ("library", &["model", "unitfile"]),
    ("wrapper", &["model", "sys"]),
    ("machine", &["model", "sys"]),
    ("run", &["model", "unitfile", "engine", "control", "logger", "sys", "library", "machine"]),
    (
        "cli",
        &["model", "unitfile", "engine", "control", "logger", "sys", "library", "machine", "run", "wrapper"],
    ),
];

/// The files below `src` that only exist in a test build: `#[cfg(test)] mod simulation;`.
pub fn test_only_files(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|s| s.path.starts_with("src/")) {
        let mut rest = source.code.as_str();
        while let Some(start) = rest.find("#[cfg(test)]") {
            rest = &rest[start + "#[cfg(test)]".len()..];
            let item = rest.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let Some(name) = item.strip_prefix("mod ").and_then(|r| r.split_once(';')).map(|(n, _)| n.trim())
            else {
                continue;
            };
            if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let directory = source.path.trim_end_matches("mod.rs").trim_end_matches("lib.rs");
                let directory = match directory.strip_suffix(".rs") {
                    Some(own) => format!("{own}/"),
                    None => directory.to_owned(),
                };
                found.insert(format!("{directory}{name}"));
            }
        }
    }
    found
}

fn is_test_only(source: &Source, tests: &BTreeSet<String>) -> bool {
    let stem = source.path.trim_end_matches(".rs");
    tests.iter().any(|test| stem == test || stem.starts_with(&format!("{test}/")))
}

fn place(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}

/// `crate::x` is named only from above `x`.
pub fn direction(source: &Source, tests: &BTreeSet<String>) -> Vec<String> {
    let Some(room) = source.top_module().filter(|_| !is_test_only(source, tests)) else { return Vec::new() };
    let (own, allowed): (&str, &[&str]) = match room {
        "lib" => return Vec::new(),
        // `begin_at` is a macro of `sys`; the language puts those at the root.
        "main" => ("sexton::", &["cli", "run", "logger", "machine", "wrapper", "sys", "begin_at"]),
        _ => ("crate::", BELOW.iter().find(|(name, _)| *name == room).map_or(&[], |(_, below)| below)),
    };
    let judge = |mention: Mention| {
        let named = mention.path.strip_prefix(own)?.split("::").next()?.to_owned();
        let known = named == room || allowed.contains(&named.as_str());
        (!known).then(|| place(source, mention.line, &format!("{room} may not know {named}")))
    };
    mentions(&source.lean).into_iter().filter_map(judge).collect()
}

/// What pure code may not name, with what the name is a door to.
const IMPURE: [(&str, &str); 16] = [
    ("std::fs", "files"),
    ("std::net", "the network"),
    ("std::process", "processes"),
    ("std::env", "the environment"),
    ("std::thread", "threads"),
    ("std::sync", "shared state"),
    ("std::time::Instant", "the clock"),
    ("std::time::SystemTime", "the clock"),
    ("std::io::stdin", "the terminal"),
    ("std::io::stdout", "the terminal"),
    ("std::io::stderr", "the terminal"),
    ("std::os::unix", "the system"),
    ("std::os::fd", "the system"),
    ("nix", "the system"),
    ("caps", "the system"),
    ("glob::glob", "files"),
];

/// What stands under an impure name and is a plain value all the same.
const VALUES: [&str; 9] = [
    "std::net::SocketAddr",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::AddrParseError",
    "std::os::unix::ffi::OsStrExt",
    "std::os::unix::ffi::OsStringExt",
    "std::sync::Arc",
    "glob::glob_with_never",
];

const IMPURE_WORDS: [&str; 9] = [
    "static mut",
    "thread_local!",
    ".exists()",
    ".is_file()",
    ".is_dir()",
    ".canonicalize()",
    ".read_dir()",
    ".metadata()",
    "lazy_static!",
];

fn must_be_pure(path: &str) -> bool {
    let rooms = ["src/model/", "src/unitfile/", "src/engine/"];
    let of_control = ["description", "error", "framing", "method", "policy", "protocol", "wire"];
    rooms.iter().any(|room| path.starts_with(room))
        || path
            .strip_prefix("src/control/")
            .is_some_and(|rest| of_control.iter().any(|m| rest.starts_with(m)))
}

/// No I/O, no clock, no environment, no thread, no global, nothing unsafe, no system call.
pub fn purity(source: &Source, tests: &BTreeSet<String>) -> Vec<String> {
    if !must_be_pure(&source.path) || is_test_only(source, tests) {
        return Vec::new();
    }
    let mut broken = Vec::new();
    for Mention { line, path } in mentions(&source.lean) {
        let begins =
            |name: &str| path == name || path.strip_prefix(name).is_some_and(|r| r.starts_with("::"));
        if VALUES.iter().any(|value| begins(value)) {
            continue;
        }
        if let Some((_, door)) = IMPURE.iter().find(|(name, _)| begins(name)) {
            broken.push(place(source, line, &format!("{path} is a door to {door}; this room is pure")));
        }
        if path.strip_prefix("libc::").is_some_and(|name| !name.starts_with('E')) {
            broken.push(place(source, line, &format!("{path}: of libc only error numbers are pure")));
        }
    }
    for (index, line) in source.lean.lines().enumerate() {
        for word in IMPURE_WORDS.iter().filter(|word| line.contains(*word)) {
            broken.push(place(source, index + 1, &format!("{word} has no place in a pure room")));
        }
    }
    broken
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// `unsafe` only in `src/sys`, and in the programs that are measured against; each with a SAFETY above it.
pub fn unsafe_code(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    let at_home = source.path.starts_with("src/sys/") || source.path.starts_with("examples/");
    let raw: Vec<&str> = source.raw.lines().collect();
    for (index, line) in source.code.lines().enumerate() {
        let attribute = line.contains("#[unsafe(") || line.contains("#![") || line.contains("#[allow");
        if attribute || !words(line).any(|word| word == "unsafe") {
            continue;
        }
        if !at_home {
            broken.push(place(source, index + 1, "unsafe belongs into src/sys"));
        } else if line.contains("unsafe {") && !has_safety(&raw, index) {
            broken.push(place(source, index + 1, "an unsafe block without SAFETY above it"));
        }
    }
    broken
}

/// A comment directly above the statement, or above the lines of it that come before the block.
fn has_safety(raw: &[&str], index: usize) -> bool {
    raw[..=index].iter().rev().take(8).any(|line| line.contains("SAFETY:"))
}

/// Ways to end the process at once; `main` returns its status, `sys` may leave a child that never ran a program, and a
/// panic that would unwind has nowhere to go: what stands for the unwinder may abort, and nothing else may.
const EXITS: [&str; 5] =
    ["std::process::exit", "process::exit", "std::process::abort", "libc::abort", "nix::libc::_exit"];

pub fn exits(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || source.path == "src/main.rs" {
        return Vec::new();
    }
    let in_sys = source.path.starts_with("src/sys/");
    let is_unwinder = source.path == "src/sys/no_unwinding.rs";
    let ends = |path: &str| match path {
        "libc::_exit" => !in_sys,
        "std::process::abort" => !is_unwinder,
        path => EXITS.contains(&path) || path == "libc::exit",
    };
    let found = mentions(&source.lean).into_iter().filter(|mention| ends(&mention.path));
    found.map(|m| place(source, m.line, &format!("{}: only main ends the process", m.path))).collect()
}

/// Every pair of state and event is written out, so that a new one does not compile until somebody decides.
pub fn wildcards(source: &Source) -> Vec<String> {
    if source.path != TRANSITION_TABLE {
        return Vec::new();
    }
    let is_wild = |line: &&str| {
        let arm = line.trim_start().trim_start_matches('|').trim_start();
        let head = arm.split("=>").next().unwrap_or(arm).trim();
        let head = head.split(" if ").next().unwrap_or(head).trim();
        arm.contains("=>") && (head == "_" || head == "(_, _)" || head.ends_with("| _"))
    };
    let lines = source.lean.lines().enumerate().filter(|(_, line)| is_wild(line));
    lines.map(|(index, _)| place(source, index + 1, "a wildcard arm in the transition table")).collect()
}

/// A file opens with what it is, and ends before the reader does.
pub fn shape(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    let first = source.raw.lines().find(|line| !line.starts_with("#!"));
    if !first.is_some_and(|line| line.starts_with("//! ") && line.len() > 10) {
        broken.push(place(source, 1, "a file opens with `//!` and one line that says what it is"));
    }
    let lines = source.raw.lines().count();
    if lines > FILE_LINES {
        broken.push(place(source, lines, &format!("{lines} lines; {FILE_LINES} is the stop")));
    }
    broken
}

/// A function of more than 70 lines is two functions, the transition table excepted.
pub fn long_functions(source: &Source) -> Vec<String> {
    if source.path == TRANSITION_TABLE {
        return Vec::new();
    }
    let mut broken = Vec::new();
    let mut offset = 0;
    for (index, line) in source.code.lines().enumerate() {
        let here = offset;
        offset += line.len() + 1;
        let begins = words(line.trim_start())
            .find(|word| !word.is_empty())
            .is_some_and(|first| ["fn", "pub", "const", "async", "unsafe", "extern"].contains(&first));
        if !begins || !words(line).any(|word| word == "fn") {
            continue;
        }
        let rest = &source.code[here..];
        let Some(brace) = rest.find('{').filter(|brace| !rest[..*brace].contains(';')) else { continue };
        let body = &rest[..brace + matching_brace(&rest[brace..])];
        let lines = body.lines().count();
        if lines > FUNCTION_LINES {
            broken.push(place(
                source,
                index + 1,
                &format!("a function of {lines} lines; {FUNCTION_LINES} is the stop"),
            ));
        }
    }
    broken
}

/// Words that no file of the project may hold. They are put together here, so that this file does not hold them.
pub fn forbidden_words(path: &str, text: &str) -> Vec<String> {
    let unfinished = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["#[ign", "ore"].concat()];
    let elsewhere = [
        ["/wo", "rk/"].concat(),
        ["../sha", "red"].concat(),
        ["shared/", "design"].concat(),
        ["/tmp/con", "tract"].concat(),
    ];
    let all: Vec<&String> = unfinished.iter().chain(&elsewhere).collect();
    let mut broken = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in all.iter().filter(|word| line.contains(**word)) {
            broken.push(format!("{path}:{}: '{word}' has no place in the tree", index + 1));
        }
    }
    broken
}

/// The names of the functions that stand under `#[test]`.
pub fn test_names(code: &str) -> Vec<&str> {
    let after = code.split("#[test]").skip(1);
    after.filter_map(|rest| rest.split("fn ").nth(1)?.split('(').next()).collect()
}

/// Names in backticks that read like the claim of a test: small letters and at least three underscores.
pub fn named_tests(page: &str) -> Vec<&str> {
    let is_claim = |name: &&str| {
        name.matches('_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    page.split('`').skip(1).step_by(2).filter(is_claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&Source::new(path, text)).len()
    }

    #[test]
    fn the_direction_rule_can_fail() {
        let none = BTreeSet::new();
        let rule = |source: &Source| direction(source, &none);
        assert_eq!(judged(rule, "src/engine/a.rs", "use crate::sys::poll;"), 1);
        assert_eq!(judged(rule, "src/engine/a.rs", "use crate::{model::Pid, unitfile};"), 1);
        assert_eq!(judged(rule, "src/run/a.rs", "fn f() { crate::cli::go() }"), 1);
        assert_eq!(judged(rule, "src/main.rs", "use sexton::engine::Engine;"), 1);
        assert_eq!(judged(rule, "src/novel/a.rs", "use crate::model::Pid;"), 1);
        assert_eq!(judged(rule, "src/engine/a.rs", "use crate::model::Pid; use crate::engine::Phase;"), 0);
        assert_eq!(judged(rule, "src/engine/a.rs", "#[cfg(test)] mod tests { use crate::unitfile::x; }"), 0);
    }

    #[test]
    fn the_purity_rule_can_fail() {
        let none = BTreeSet::new();
        let rule = |source: &Source| purity(source, &none);
        for text in [
            "use std::{fs, fmt};",
            "let t = std::time::Instant::now();",
            "use std::time::{Duration, SystemTime};",
            "static mut X: u8 = 0;",
            "std::env::var(\"X\");",
            "use std::net::TcpStream;",
            "let n = unsafe_free(libc::getpid);",
            "if path.exists() {}",
            "thread_local! {}",
        ] {
            assert_eq!(judged(rule, "src/engine/a.rs", text), 1, "{text}");
        }
        for text in ["use std::net::SocketAddr;", "libc::EAGAIN", "use std::time::Duration;", "// std::fs"] {
            assert_eq!(judged(rule, "src/model/a.rs", text), 0, "{text}");
        }
        assert_eq!(judged(rule, "src/run/a.rs", "use std::fs;"), 0);
    }

    #[test]
    fn a_file_of_tests_is_known_by_how_it_is_declared() {
        let declared = [Source::new("src/engine/mod.rs", "#[cfg(test)]\nmod simulation;\nmod state;")];
        let tests = test_only_files(&declared);
        assert_eq!(tests.iter().collect::<Vec<_>>(), ["src/engine/simulation"]);
        let rule = |source: &Source| purity(source, &tests);
        assert_eq!(judged(rule, "src/engine/simulation/world.rs", "use std::env;"), 0);
        assert_eq!(judged(rule, "src/engine/state.rs", "use std::env;"), 1);
    }

    #[test]
    fn the_unsafe_rule_can_fail() {
        assert_eq!(judged(unsafe_code, "src/run/a.rs", "// SAFETY: no\nunsafe { x() }"), 1);
        assert_eq!(judged(unsafe_code, "src/sys/a.rs", "fn f() { unsafe { x() } }"), 1);
        assert_eq!(judged(unsafe_code, "src/sys/a.rs", "// SAFETY: x\nunsafe { x() }"), 0);
    }

    #[test]
    fn the_exit_rule_can_fail() {
        assert_eq!(judged(exits, "src/cli/a.rs", "std::process::exit(1)"), 1);
        assert_eq!(judged(exits, "src/run/a.rs", "unsafe { libc::_exit(1) }"), 1);
        assert_eq!(judged(exits, "src/main.rs", "std::process::exit(1)"), 0);
        assert_eq!(judged(exits, "src/sys/no_unwinding.rs", "std::process::abort()"), 0);
        assert_eq!(judged(exits, "src/sys/no_unwinding.rs", "std::process::exit(1)"), 1);
        assert_eq!(judged(exits, "src/sys/child.rs", "std::process::abort()"), 1);
    }

    #[test]
    fn the_wildcard_rule_can_fail() {
        for arm in ["_ => {}", "(_, _) => {}", "_ if x => {}", "A | _ => {}"] {
            assert_eq!(judged(wildcards, TRANSITION_TABLE, &format!("match x {{\n {arm}\n}}")), 1, "{arm}");
        }
        assert_eq!(judged(wildcards, TRANSITION_TABLE, "match x {\n (A, B { .. }) => {}\n}"), 0);
    }

    #[test]
    fn the_rules_of_shape_can_fail() {
        assert_eq!(judged(shape, "src/a.rs", "use x;\n"), 1);
        assert_eq!(judged(shape, "src/a.rs", &format!("//! What it is.\n{}", "\n".repeat(501))), 1);
        assert_eq!(judged(shape, "src/a.rs", "//! What it is.\n"), 0);
        let long = format!("pub fn f() {{\n{}}}\n", "    x();\n".repeat(70));
        assert_eq!(judged(long_functions, "src/a.rs", &long), 1);
        assert_eq!(judged(long_functions, "src/a.rs", "fn f() {\n x();\n}\n"), 0);
    }

    #[test]
    fn the_rule_of_words_can_fail() {
        let put_off = ["// TO", "DO: later"].concat();
        let outside = ["see /wo", "rk/x"].concat();
        assert_eq!(forbidden_words("a.md", &put_off).len(), 1);
        assert_eq!(forbidden_words("a.md", &outside).len(), 1);
        assert!(forbidden_words("a.md", "a workshop").is_empty());
    }

    #[test]
    fn the_page_of_traps_is_read_by_its_backticks() {
        assert_eq!(named_tests("the mask: `a_child_gets_the_mask` and `src/sys`"), ["a_child_gets_the_mask"]);
        assert_eq!(test_names("#[test]\nfn a_b() {}\n#[test]\n fn c() {}"), ["a_b", "c"]);
    }
}

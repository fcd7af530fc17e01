//! The command of a container as the unit `main`.

use std::rc::Rc;

use super::Memory;
use crate::model::unit::{Entry, LogTarget, RestartOn, Stdin};
use crate::model::{Unit, UnitName};
use crate::unitfile::Loaded;
use crate::unitfile::command::Command;

const SERVICE: &str = "[service]\nexec = [\"/bin/x\"]\n";

fn load(files: &[(&str, &str)], words: &[&str]) -> Loaded {
    let mut memory = Memory::new(files);
    let mut input = memory.input();
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    input.command = Some(Rc::new(Command { words, directory: Some("/srv/50%".to_owned()) }));
    crate::unitfile::load(&input, &mut memory)
}

fn main_of(loaded: &Loaded) -> &Unit {
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let unit = loaded.entries.iter().find_map(|entry| match entry {
        Entry::Unit(unit) if unit.name.as_str() == "main" => Some(unit),
        _ => None,
    });
    unit.expect("there is a main")
}

fn words(names: &[UnitName]) -> Vec<&str> {
    names.iter().map(UnitName::as_str).collect()
}

#[test]
fn without_a_file_it_is_what_it_would_be_without_an_init() {
    let loaded = load(&[("a.toml", SERVICE)], &["sh", "-c", "echo 50% $HOME \"x\"\n"]);
    let unit = main_of(&loaded);
    let program = unit.program().unwrap();
    let exec: Vec<&str> = program.exec.argv().iter().map(|text| text.as_str()).collect();
    assert_eq!(exec, ["sh", "-c", "echo 50% $$HOME \"x\"\n"]);
    assert_eq!(program.process.directory.as_ref().map(|text| text.as_str()), Some("/srv/50%"));
    assert_eq!((&program.process.stdin, program.log.to), (&Stdin::Inherit, LogTarget::Inherit));
    assert_eq!((program.restart.on, unit.essential), (RestartOn::Never, true));
    assert_eq!(words(&loaded.start), ["a", "main"]);
    assert_eq!(words(&unit.needs), ["a"]);
}

#[test]
fn a_file_says_all_but_what_is_run() {
    let file = "manual = true\n[service]\nexec = [\"/bin/default\"]\n[stop]\nsteps = [{ signal = \"QUIT\", wait = \"3s\" }]\n";
    let loaded =
        load(&[("main.toml", file), ("main.d/x.toml", "wants = [\"b\"]"), ("b.toml", SERVICE)], &["x"]);
    let unit = main_of(&loaded);
    let program = unit.program().unwrap();
    assert_eq!(program.exec.argv().iter().map(|text| text.as_str()).collect::<Vec<_>>(), ["x"]);
    assert_eq!((&program.process.stdin, &program.process.directory), (&Stdin::Null, &None));
    assert_eq!(program.stop.steps.len(), 1);
    assert_eq!(words(&unit.wants), ["b"]);
    assert!(unit.essential && !unit.manual && unit.needs.is_empty());
    assert_eq!(words(&loaded.start), ["b", "main"]);
}

#[test]
fn it_needs_what_starts_at_boot_and_does_not_come_after_it() {
    let files = [
        ("db.toml", SERVICE),
        ("exporter.toml", "needs = [\"main\"]\n[service]\nexec = [\"/bin/x\"]\n"),
        ("first.toml", "before = [\"main\"]\n[service]\nexec = [\"/bin/x\"]\n"),
        ("last.toml", "after = [\"exporter\"]\n[service]\nexec = [\"/bin/x\"]\n"),
        ("manual.toml", "manual = true\n[service]\nexec = [\"/bin/x\"]\n"),
        ("rival.toml", "conflicts = [\"main\"]\n[service]\nexec = [\"/bin/x\"]\n"),
        ("broken.toml", "nonsense = 1"),
    ];
    let loaded = load(&files[..5], &["x"]);
    assert_eq!(words(&main_of(&loaded).needs), ["db", "first"]);
    let broken = load(&files[..], &["x"]);
    let Some(Entry::Unit(unit)) = broken.entries.iter().find(|entry| entry.name().as_str() == "main") else {
        panic!("there is no main");
    };
    assert!(words(&unit.needs).contains(&"broken"), "who needs what cannot be read does not start");
}

#[test]
fn what_the_settings_start_is_what_it_needs() {
    let files = [("sexton.toml", "start = [\"db\"]"), ("db.toml", SERVICE), ("other.toml", SERVICE)];
    let loaded = load(&files, &["x"]);
    assert_eq!(words(&main_of(&loaded).needs), ["db"]);
    assert_eq!(words(&loaded.start), ["db", "main"]);
}

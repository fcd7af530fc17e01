//! New files by chance: units that come, go and change, and files that are exactly as they were.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use sexton::engine::Definitions;
use sexton::model::unit::{Entry, Kill, Kind, Program, Unit};
use sexton::model::{Command, UnitName};

use super::chance::Chance;
use super::files::Files;
use super::graphs;

/// The most units of a world.
const MAX_UNITS: usize = 12;

/// What the files say now, against what they said before.
pub(crate) fn definitions(chance: &mut Chance, files: &Files) -> Definitions {
    let is_whole = files.entries().all(|entry| matches!(entry, Entry::Unit(unit) if is_sound(unit, files)));
    if is_whole && chance.percent(25) {
        return unchanged(chance, files);
    }
    let restless = chance.percent(30);
    let mut staying: Vec<Entry> = files.entries().cloned().collect();
    staying.retain(|_| !chance.percent(if restless { 35 } else { 10 }));
    let mut numbers: Vec<usize> = staying.iter().map(|entry| graphs::number(entry.name())).collect();
    let new = new_numbers(chance, &numbers);
    numbers.extend(&new);
    numbers.sort_unstable();
    let mut units: Vec<Rc<Unit>> = staying.iter().map(|entry| changed(chance, entry, &numbers)).collect();
    units.extend(new.iter().map(|number| Rc::new(graphs::unit(chance, *number, &numbers))));
    let boot = units.iter().map(|unit| unit.name.clone()).filter(|name| {
        let is_new = new.contains(&graphs::number(name));
        if is_new { chance.percent(70) } else { files.boot().contains(name) != chance.percent(5) }
    });
    let boot = boot.collect();
    Definitions { units, boot }
}

/// Read anew from files that are as they were.
fn unchanged(chance: &mut Chance, files: &Files) -> Definitions {
    let same = |entry: &Entry| match entry {
        Entry::Unit(unit) if chance.percent(50) => Some(Rc::new(Unit::clone(unit))),
        Entry::Unit(unit) => Some(unit.clone()),
        Entry::Broken { .. } => None,
    };
    Definitions { units: files.entries().filter_map(same).collect(), boot: files.boot().to_vec() }
}

/// What somebody put beside the files that were read: new units, and others that are there already.
pub(crate) fn additions(chance: &mut Chance, files: &Files) -> Vec<Entry> {
    // What is new must not close a circle with a unit that names it already.
    let dangles = |entry: &Entry| matches!(entry, Entry::Unit(unit) if !is_sound(unit, files));
    if files.entries().any(dangles) {
        return Vec::new();
    }
    let mut numbers: Vec<usize> = files.entries().map(|entry| graphs::number(entry.name())).collect();
    let new = new_numbers(chance, &numbers);
    let mended = files.entries().filter(|entry| matches!(entry, Entry::Broken { .. }));
    let mut ours: Vec<usize> = mended.map(|entry| graphs::number(entry.name())).collect();
    ours.extend(numbers.iter().filter(|_| chance.percent(5)).copied().collect::<Vec<_>>());
    ours.extend(&new);
    numbers.extend(&new);
    numbers.sort_unstable();
    let ours: BTreeSet<usize> = ours.into_iter().collect();
    let entry = |number: usize| match chance.percent(10) {
        true => graphs::broken(number),
        false => Entry::Unit(Rc::new(graphs::unit(chance, number, &numbers))),
    };
    ours.into_iter().map(entry).collect()
}

/// Numbers of units that went are given again.
fn new_numbers(chance: &mut Chance, taken: &[usize]) -> Vec<usize> {
    let n_new = if chance.percent(50) { 1 + chance.below(2) as usize } else { 0 };
    let n_new = n_new.min(MAX_UNITS.saturating_sub(taken.len()));
    let from = if chance.percent(60) { 0 } else { taken.iter().max().map_or(0, |most| most + 1) };
    (from..).filter(|number| !taken.contains(number)).take(n_new.max(usize::from(taken.is_empty()))).collect()
}

/// Do all its edges lead to units that there are, and none in a circle?
fn is_sound(unit: &Unit, files: &Files) -> bool {
    let own = graphs::number(&unit.name);
    let is_there = |name: &UnitName| files.place(name.as_str()).is_some();
    let lower = unit.needs.iter().chain(unit.wants.iter()).chain(unit.after.iter());
    let higher = unit.before.iter().chain(unit.conflicts.iter());
    lower.clone().all(|name| is_there(name) && graphs::number(name) < own) && higher.clone().all(is_there)
}

/// A unit that stays, as its file is now.
fn changed(chance: &mut Chance, entry: &Entry, numbers: &[usize]) -> Rc<Unit> {
    let Entry::Unit(old) = entry else {
        return Rc::new(graphs::unit(chance, graphs::number(entry.name()), numbers));
    };
    let mut new = Unit::clone(old);
    let own = graphs::number(&old.name);
    let lower = |list: &[UnitName]| -> Rc<[UnitName]> {
        let stays = |name: &&UnitName| numbers.contains(&graphs::number(name)) && graphs::number(name) < own;
        list.iter().filter(stays).cloned().collect()
    };
    (new.needs, new.wants, new.after) = (lower(&old.needs), lower(&old.wants), lower(&old.after));
    let there = |list: &[UnitName]| -> Rc<[UnitName]> {
        list.iter().filter(|name| numbers.contains(&graphs::number(name))).cloned().collect()
    };
    (new.before, new.conflicts) = (there(&old.before), there(&old.conflicts));
    match chance.below(100) {
        0..14 => change_program(&mut new, |program| program.exec = other_command(&program.exec)),
        14..18 => return Rc::new(graphs::unit(chance, own, numbers)),
        18..24 => new.needs = graphs::lower(chance, own, numbers, 40),
        24..28 => new.after = graphs::lower(chance, own, numbers, 40),
        28..44 => amend(chance, &mut new),
        _ => {}
    }
    if new == **old { old.clone() } else { Rc::new(new) }
}

/// A change that a running process need not be started anew for.
fn amend(chance: &mut Chance, unit: &mut Unit) {
    let place = chance.below(match chance.with_overlaps {
        false => 6,
        // A task does not run twice at once.
        true if unit.is_task() => 7,
        true => 8,
    });
    change_program(unit, |program| match place {
        0 => Rc::make_mut(&mut program.restart).limit = chance.below(6) as u32,
        1 => program.configtest = chance.percent(70).then(|| Rc::new(graphs::configtest(chance))),
        2 => Rc::make_mut(&mut program.hooks).pre_stop = graphs::pre_stops(chance),
        3 => Rc::make_mut(&mut program.hooks).post_stop = graphs::hooks_of(chance, 60),
        6 => {
            Rc::make_mut(&mut program.stop).kill = if chance.percent(50) { Kill::Never } else { Kill::Group }
        }
        7 => Rc::make_mut(&mut program.restart).overlap ^= program.process.pid_file.is_none(),
        4 => Rc::make_mut(&mut program.stop).exec = chance.percent(50).then(graphs::command),
        _ => Rc::make_mut(&mut program.ready).timeout = Duration::from_millis(500 + chance.below(8000)),
    });
}

fn change_program(unit: &mut Unit, change: impl FnOnce(&mut Program)) {
    if let Kind::Service(program) | Kind::Task(program) = &mut unit.kind {
        let mut new = Program::clone(program);
        change(&mut new);
        *program = Rc::new(new);
    }
}

/// Another one than this.
fn other_command(old: &Command) -> Command {
    let words = Command::new(vec![graphs::text("x")]).expect("a command");
    if *old == words { Command::new(vec![graphs::text("y")]).expect("a command") } else { words }
}

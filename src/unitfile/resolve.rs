//! Ties all units together: names become units, cycles are found, `before` becomes `after` on the other side.
//!
//! ```text
//!   web: needs = ["db@%i", "cache@*"]      u ──→ v  means: u waits for v
//!   a needs b needs c after a              a cycle, shown whole; each of its units is broken
//! ```
//!
//! A wrong word in a template is said once, however many instances have it from there.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::command::later_ones;
use super::cycles::{Edge, Step, find_cycles};
use super::diagnostic::{Diagnostic, Level, Spot, nearest};
use super::pool::Pool;
use super::set::{Content, Slot, Start, Template, late};
use super::template;
use super::unit::{Dependency, Relation};
use super::{Files, Loaded, Own};
use crate::model::UnitName;
use crate::model::unit::Entry;

/// Looking for the nearest of all names costs their number; after this many wrong names it is not done any more.
const MOST_HINTS: usize = 50;

/// A template that was read.
#[derive(Clone, Copy, Debug)]
pub struct KnownTemplate<'t> {
    /// The part before `@`.
    pub prefix: &'t str,
    /// Its first error.
    pub broken: Option<&'t str>,
    /// The pattern of the files that make its instances.
    pub pattern: Option<&'t str>,
}

impl<'t> KnownTemplate<'t> {
    /// What is to be known of this one.
    pub fn of(template: &'t Template<'_>) -> KnownTemplate<'t> {
        let pattern = template::pattern(&template.root);
        KnownTemplate { prefix: &template.prefix, broken: template.broken.as_deref(), pattern }
    }
}

/// What is known beside the units.
#[derive(Debug)]
pub struct Given<'t> {
    /// The templates.
    pub templates: Vec<KnownTemplate<'t>>,
    /// What the settings start at boot.
    pub start: Option<Vec<Start>>,
    /// A unit that starts at boot when all others have.
    pub last: Option<&'static str>,
    /// The units of sexton's own.
    pub own: Option<Own>,
}

/// Resolves all dependencies and answers the units in the order of their names.
pub fn resolve(
    mut slots: Vec<Slot>,
    given: Given<'_>,
    pool: &mut Pool,
    files: &mut dyn Files,
    diagnostics: Vec<Diagnostic>,
) -> Loaded {
    slots.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<UnitName> = slots.iter().map(|slot| slot.name.clone()).collect();
    let mut resolver = Resolver::new(&names, given.templates, files, diagnostics);
    let mut edges: Vec<Vec<Edge>> = names.iter().map(|_| Vec::new()).collect();
    for (unit, slot) in slots.iter_mut().enumerate() {
        let Content::Draft(draft) = &slot.content else { continue };
        match resolver.edges_of(unit, &draft.dependencies) {
            Ok(found) => {
                for (from, edge) in found {
                    if let Some(list) = edges.get_mut(from) {
                        list.push(edge);
                    }
                }
            }
            Err(words) => slot.content = Content::Broken(words),
        }
    }
    resolver.cycles(&mut slots, &edges);
    fill(&mut slots, &names, &edges, pool);
    let mut start = resolver.start(given.start, &slots);
    if let Some(last) = given.last.and_then(|name| resolver.index.get(name)) {
        start_last(*last, &mut start, &mut slots, &names, &edges);
    }
    if let Some(own) = given.own {
        own_first(own, &resolver.index, &mut start, &mut slots, &edges, pool);
    }
    let mut diagnostics = resolver.diagnostics;
    sort(&mut diagnostics);
    let entries = slots.into_iter().map(|slot| match slot.content {
        Content::Draft(draft) => Entry::Unit(Rc::new(draft.unit)),
        Content::Broken(words) => Entry::Broken { name: slot.name, words },
    });
    Loaded { entries: entries.collect(), start, settings: Default::default(), diagnostics }
}

/// By file, then by place.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    let place = |d: &Diagnostic| d.place.as_ref().map_or((usize::MAX, 0), |place| (place.line, place.column));
    diagnostics.sort_by(|a, b| (&a.file, place(a)).cmp(&(&b.file, place(b))));
}

struct Resolver<'a> {
    names: &'a [UnitName],
    index: HashMap<&'a str, usize>,
    /// The instances of each prefix.
    instances: HashMap<&'a str, Vec<usize>>,
    templates: HashMap<&'a str, KnownTemplate<'a>>,
    files: &'a mut dyn Files,
    diagnostics: Vec<Diagnostic>,
    /// What was said of a place already, by its words, and in one line.
    said: HashMap<(Spot, String), String>,
    hints: usize,
}

impl<'a> Resolver<'a> {
    fn new(
        names: &'a [UnitName],
        templates: Vec<KnownTemplate<'a>>,
        files: &'a mut dyn Files,
        diagnostics: Vec<Diagnostic>,
    ) -> Resolver<'a> {
        let mut instances: HashMap<&str, Vec<usize>> = HashMap::new();
        for (unit, name) in names.iter().enumerate().filter(|(_, name)| name.instance().is_some()) {
            instances.entry(name.prefix()).or_default().push(unit);
        }
        Resolver {
            names,
            index: names.iter().enumerate().map(|(unit, name)| (name.as_str(), unit)).collect(),
            instances,
            templates: templates.into_iter().map(|template| (template.prefix, template)).collect(),
            files,
            diagnostics,
            said: HashMap::new(),
            hints: 0,
        }
    }

    /// What one unit waits for, and what waits for it by its `before`. The error is the first, in one line.
    fn edges_of(&mut self, unit: usize, dependencies: &[Dependency]) -> Result<Vec<(usize, Edge)>, String> {
        let mut found: Vec<(usize, Edge)> = Vec::with_capacity(dependencies.len());
        let mut seen: HashSet<(Relation, usize)> = HashSet::new();
        let mut first_error = None;
        for Dependency { relation, target, spot } in dependencies {
            let others = match self.units_of(target) {
                Ok(others) => others,
                Err(Wrong::Said(words)) => {
                    first_error.get_or_insert(words);
                    continue;
                }
                Err(Wrong::New(message, help)) => {
                    let words = self.say(spot, message, help);
                    first_error.get_or_insert(words);
                    continue;
                }
            };
            for other in others.into_iter().filter(|other| *other != unit && seen.insert((*relation, *other)))
            {
                let edge = |to| Edge { to, relation: *relation, spot: spot.clone() };
                found.push(if *relation == Relation::Before {
                    (other, edge(unit))
                } else {
                    (unit, edge(other))
                });
            }
        }
        for (relation, other) in seen.iter().filter(|(relation, _)| *relation != Relation::Conflicts) {
            let both = seen.contains(&(Relation::Conflicts, *other))
                && matches!(relation, Relation::Needs | Relation::Wants);
            let spot =
                found.iter().find(|(_, edge)| edge.to == *other && edge.relation == Relation::Conflicts);
            if let (true, Some((_, edge)), Some(name)) = (both, spot, self.names.get(*other)) {
                let message = format!("it {} '{name}' and can never be up with it", relation.as_str());
                let words = self.say(&edge.spot, message, None);
                first_error.get_or_insert(words);
            }
        }
        first_error.map_or(Ok(found), Err)
    }

    /// The units that a name, or `name@*`, stands for.
    fn units_of(&mut self, target: &str) -> Result<Vec<usize>, Wrong> {
        if let Some(unit) = self.index.get(target) {
            return Ok(vec![*unit]);
        }
        let (prefix, instance) = target.split_once('@').unwrap_or((target, ""));
        let template = self.templates.get(prefix).map(|template| template.broken);
        if instance == "*" {
            match (self.instances.get(prefix), template) {
                (Some(all), _) => return Ok(all.clone()),
                (None, Some(None)) => return Ok(Vec::new()),
                // Which instances there would be could not be read: what waits for all of them cannot start.
                (None, Some(Some(words))) => return Err(Wrong::Said(words.to_owned())),
                (None, None) => {}
            }
        }
        if template.is_some() && !instance.is_empty() && instance != "*" {
            return Err(Wrong::New(
                format!("the template '{prefix}@' has no instance '{instance}'"),
                self.siblings(prefix),
            ));
        }
        if template.is_some() {
            let help = format!(
                "'{prefix}' is a template: '{prefix}@*' is all its instances, '{prefix}@NAME' one of them"
            );
            return Err(Wrong::New(format!("there is no unit '{target}'"), Some(help)));
        }
        self.hints += 1;
        let near = (self.hints <= MOST_HINTS)
            .then(|| nearest(target, self.names.iter().map(UnitName::as_str)))
            .flatten();
        let help = near.map(|word| format!("did you mean '{word}'?"));
        Err(Wrong::New(format!("there is no unit '{target}'"), help))
    }

    /// Which instances of a template there are, and what makes them.
    fn siblings(&self, prefix: &str) -> Option<String> {
        let pattern = self.templates.get(prefix).and_then(|template| template.pattern);
        let made = pattern.map(|pattern| format!("each file '{pattern}' makes one"));
        let Some(all) = self.instances.get(prefix) else { return made };
        let mut names: Vec<&str> =
            all.iter().take(10).filter_map(|unit| self.names.get(*unit)?.instance()).collect();
        if all.len() > names.len() {
            names.push("…");
        }
        let there = format!("there is {}", names.join(", "));
        Some(match made {
            Some(made) => format!("{there}; {made}"),
            None => there,
        })
    }

    /// Finds cycles and breaks the units on them.
    fn cycles(&mut self, slots: &mut [Slot], edges: &[Vec<Edge>]) {
        let found = find_cycles(edges);
        let mut words_of: HashMap<usize, String> = HashMap::new();
        for way in &found.ways {
            let message = format!("a cycle: {}", self.path_words(way, edges));
            let Some(step) = way.first() else { continue };
            let Some(edge) = edges.get(step.unit).and_then(|edges| edges.get(step.edge)) else { continue };
            let words = clipped(self.say(&edge.spot, message, None));
            if let Some(circle) = found.circle_of.get(step.unit).copied().flatten() {
                words_of.entry(circle).or_insert(words);
            }
            if found.more > 0 && std::ptr::eq(way, found.ways.last().unwrap_or(way)) {
                let message = format!("and {} more cycles", found.more);
                self.diagnostics.push(Diagnostic::of_file(edge.spot.file.clone(), message));
            }
        }
        for (slot, circle) in slots.iter_mut().zip(&found.circle_of) {
            if let (Some(circle), Content::Draft(_)) = (circle, &slot.content) {
                let words = words_of.get(circle).map_or("it is part of a cycle", String::as_str);
                slot.content = Content::Broken(words.to_owned());
            }
        }
    }

    /// Says an error at its place, once, and answers it in one line.
    fn say(&mut self, spot: &Spot, message: String, help: Option<String>) -> String {
        if let Some(words) = self.said.get(&(spot.clone(), message.clone())) {
            return words.clone();
        }
        let diagnostic = late(self.files, spot, Level::Error, message.clone(), help);
        let words = diagnostic.in_one_line();
        self.diagnostics.push(diagnostic);
        self.said.insert((spot.clone(), message), words.clone());
        words
    }

    /// `a needs b after a`.
    fn path_words(&self, cycle: &[Step], edges: &[Vec<Edge>]) -> String {
        let name = |unit: usize| self.names.get(unit).map_or("", UnitName::as_str);
        let mut words = String::new();
        for Step { unit, edge } in cycle {
            let relation = edges.get(*unit).and_then(|edges| edges.get(*edge)).map(|edge| edge.relation);
            let relation =
                relation.filter(|relation| *relation != Relation::Before).unwrap_or(Relation::After).as_str();
            words.push_str(name(*unit));
            words.push(' ');
            words.push_str(relation);
            words.push(' ');
        }
        words + cycle.first().map_or("", |step| name(step.unit))
    }

    /// What starts at boot.
    fn start(&mut self, start: Option<Vec<Start>>, slots: &[Slot]) -> Vec<UnitName> {
        let Some(start) = start else {
            // A broken unit is Failed from the start, which is how one gets to know of it.
            let wanted = |slot: &&Slot| match &slot.content {
                Content::Draft(draft) => slot.at_boot && !draft.unit.manual,
                Content::Broken(_) => slot.at_boot,
            };
            return slots.iter().filter(wanted).map(|slot| slot.name.clone()).collect();
        };
        let mut list = Vec::new();
        let mut seen = HashSet::new();
        for (target, spot) in &start {
            match self.units_of(target) {
                Ok(units) => {
                    let fresh = units.into_iter().filter(|unit| seen.insert(*unit));
                    list.extend(fresh.filter_map(|unit| self.names.get(unit).cloned()));
                }
                // The template's own error is shown already.
                Err(Wrong::Said(_)) => {}
                Err(Wrong::New(message, help)) => drop(self.say(spot, message, help)),
            }
        }
        list
    }
}

/// What is wrong with a name.
enum Wrong {
    /// It was said already, in these words.
    Said(String),
    /// A message, and perhaps a hint.
    New(String, Option<String>),
}

/// Words that every unit on a cycle keeps for itself; the diagnostic has them whole.
fn clipped(mut words: String) -> String {
    if words.len() > 300 {
        words.truncate(words.floor_char_boundary(300));
        words.push('…');
    }
    words
}

/// Writes the names of the dependencies into the units.
fn fill(slots: &mut [Slot], names: &[UnitName], edges: &[Vec<Edge>], pool: &mut Pool) {
    let none = pool.names.share(Rc::from([]));
    let mut before: HashMap<usize, Vec<usize>> = HashMap::new();
    for (unit, list) in edges.iter().enumerate() {
        list.iter().filter(|edge| edge.relation == Relation::Before).for_each(|edge| {
            before.entry(edge.to).or_default().push(unit);
        });
    }
    for (unit, (slot, edges)) in slots.iter_mut().zip(edges).enumerate() {
        let Content::Draft(draft) = &mut slot.content else { continue };
        let mut list = |wanted: &[Relation]| {
            let chosen = edges.iter().filter(|edge| wanted.contains(&edge.relation)).map(|edge| edge.to);
            named(names, chosen, &none, pool)
        };
        draft.unit.needs = list(&[Relation::Needs]);
        draft.unit.wants = list(&[Relation::Wants]);
        draft.unit.after = list(&[Relation::After, Relation::Before]);
        draft.unit.conflicts = list(&[Relation::Conflicts]);
        let others = before.remove(&unit).unwrap_or_default();
        draft.unit.before = named(names, others.into_iter(), &none, pool);
    }
}

/// Has a unit start at boot, after all others that do: it needs them, unless it says itself what it needs. Who comes
/// after it, or conflicts with it, is none of them.
fn start_last(
    last: usize,
    start: &mut Vec<UnitName>,
    slots: &mut [Slot],
    names: &[UnitName],
    edges: &[Vec<Edge>],
) {
    let Some(name) = names.get(last) else { return };
    start.retain(|other| other != name);
    let waits = |edge: &&Edge| edge.relation != Relation::Conflicts;
    let own = [Relation::Needs, Relation::Wants, Relation::After];
    let says_itself =
        edges.get(last).is_some_and(|edges| edges.iter().any(|edge| own.contains(&edge.relation)));
    if let (false, Some(Slot { content: Content::Draft(draft), .. })) = (says_itself, slots.get_mut(last)) {
        let earlier: Vec<Vec<usize>> =
            edges.iter().map(|edges| edges.iter().filter(waits).map(|edge| edge.to).collect()).collect();
        let later = later_ones(last, &earlier);
        let conflicts = &draft.unit.conflicts;
        let earlier_one =
            |other: &&UnitName| names.binary_search(other).is_ok_and(|other| !later.contains(&other));
        let needs = start.iter().filter(earlier_one).filter(|other| !conflicts.contains(other));
        draft.unit.needs = needs.cloned().collect();
    }
    start.push(name.clone());
}

/// Has the units of sexton's own start at boot, and all that is not needed for their base come after it. Whoever the base
/// waits for, by whatever way, does not, so no circle can come of it.
fn own_first(
    own: Own,
    index: &HashMap<&str, usize>,
    start: &mut Vec<UnitName>,
    slots: &mut [Slot],
    edges: &[Vec<Edge>],
    pool: &mut Pool,
) {
    let Some(base) = index.get(own.base).copied() else { return };
    let later: Vec<Vec<usize>> = later_than(edges);
    let earlier = later_ones(base, &later);
    let Some(name) = slots.get(base).map(|slot| slot.name.clone()) else { return };
    let is_own = |slot: &Slot| own.names.contains(&slot.name.as_str());
    for (unit, slot) in
        slots.iter_mut().enumerate().filter(|(unit, slot)| !earlier.contains(unit) && !is_own(slot))
    {
        let waits = |relation: Relation| {
            edges
                .get(unit)
                .is_some_and(|edges| edges.iter().any(|edge| edge.to == base && edge.relation == relation))
        };
        if let (Content::Draft(draft), false) = (&mut slot.content, waits(Relation::Conflicts)) {
            let all = draft.unit.after.iter().filter(|other| **other != name).chain([&name]);
            draft.unit.after = pool.names.share(all.cloned().collect());
        }
    }
    let of_own = own.start.iter().filter_map(|name| slots.get(*index.get(name)?));
    let mut first: Vec<UnitName> = of_own.map(|slot| slot.name.clone()).collect();
    first.extend(start.drain(..).filter(|name| !own.start.contains(&name.as_str())));
    *start = first;
}

/// Who waits for each unit.
fn later_than(edges: &[Vec<Edge>]) -> Vec<Vec<usize>> {
    let mut later: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (unit, list) in edges.iter().enumerate() {
        for edge in list.iter().filter(|edge| edge.relation != Relation::Conflicts) {
            later.get_mut(edge.to).into_iter().for_each(|list| list.push(unit));
        }
    }
    later
}

fn named(
    names: &[UnitName],
    units: impl Iterator<Item = usize>,
    none: &Rc<[UnitName]>,
    pool: &mut Pool,
) -> Rc<[UnitName]> {
    let mut seen = HashSet::new();
    let list: Vec<UnitName> =
        units.filter(|unit| seen.insert(*unit)).filter_map(|unit| names.get(unit).cloned()).collect();
    if list.is_empty() { none.clone() } else { pool.names.share(list.into()) }
}

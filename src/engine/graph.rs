//! Who depends on whom: the edges of all units, both ways, in two flat arrays.
//!
//! ```text
//!   web ──needs──▶ db        outgoing(web) = [(db, Needs), (log, Wants)]
//!    └───wants──▶ log        incoming(db)  = [(web, Needs)]
//! ```
//!
//! An edge always points from what starts later to what starts earlier; between two units there is at
//! most one, the strongest. Everything here is settled when the units are read and never changes.

use std::collections::BTreeSet;

use crate::model::UnitName;
use crate::model::unit::Entry;

use super::event::UnitId;

/// What one unit is to another, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeKind {
    /// It must be up.
    Needs,
    /// It shall be started too, and first.
    Wants,
    /// It comes first, where both are to start.
    After,
}

/// One end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    /// The unit at the other end.
    pub(crate) unit: UnitId,
    /// What it is.
    pub(crate) kind: EdgeKind,
}

/// Lists of all units behind one another: those of unit `n` stand from `starts[n]` to `starts[n + 1]`.
#[derive(Debug)]
struct Lists<T> {
    starts: Box<[u32]>,
    items: Box<[T]>,
}

/// The edges, both ways, the conflicts, and the names.
#[derive(Debug)]
pub(crate) struct Graph {
    outgoing: Lists<Edge>,
    incoming: Lists<Edge>,
    conflicts: Lists<UnitId>,
    by_name: Box<[UnitId]>,
}

/// A unit whose dependencies make no sense, and why. The reader of unit files refuses these long before;
/// here they only must not hang the engine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Defect {
    /// Which unit.
    pub(crate) unit: UnitId,
    /// What is wrong with it.
    pub(crate) words: String,
}

impl Graph {
    /// Builds the graph of `entries`; a unit's place in them is its id, and a place may be empty.
    pub(crate) fn new(entries: &[Option<Entry>]) -> (Graph, Vec<Defect>) {
        Graph::beside_old(entries, &BTreeSet::new())
    }

    /// As [`Graph::new`], where some units go by old files yet and the others by new ones. Where both together lead back
    /// to themselves it is the edges of the `old` units that do not count: none of these is started any more.
    pub(crate) fn beside_old(entries: &[Option<Entry>], old: &BTreeSet<UnitId>) -> (Graph, Vec<Defect>) {
        let name_of = |id: &UnitId| entries.get(id.index())?.as_ref().map(Entry::name);
        let mut by_name: Vec<UnitId> = (0..entries.len()).map(UnitId::from_index).collect();
        by_name.retain(|id| name_of(id).is_some());
        by_name.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
        let find = |name: &UnitName| {
            let place = by_name.binary_search_by(|id| name_of(id).cmp(&Some(name))).ok()?;
            by_name.get(place).copied()
        };
        let mut defects = Vec::new();
        let mut edges = Vec::new();
        let mut conflicts = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let Some(Entry::Unit(unit)) = entry else { continue };
            let own = UnitId::from_index(index);
            for (names, kind) in [
                (&unit.needs, EdgeKind::Needs),
                (&unit.wants, EdgeKind::Wants),
                (&unit.after, EdgeKind::After),
            ] {
                for name in names.iter() {
                    match find(name) {
                        Some(other) => edges.push((own, Edge { unit: other, kind })),
                        None if kind == EdgeKind::Needs => {
                            let words = format!("it needs {name}, and there is no such unit");
                            defects.push(Defect { unit: own, words });
                        }
                        // What is only wanted, or only comes first, can be missing.
                        None => {}
                    }
                }
            }
            for other in unit.before.iter().filter_map(find) {
                edges.push((other, Edge { unit: own, kind: EdgeKind::After }));
            }
            for other in unit.conflicts.iter().filter_map(find).filter(|other| *other != own) {
                conflicts.extend([(own, other), (other, own)]);
            }
        }
        edges.sort_unstable();
        edges.dedup_by_key(|(from, edge)| (*from, edge.unit));
        conflicts.sort_unstable();
        conflicts.dedup();
        let mut cyclic = in_cycles(entries.len(), &edges);
        if !cyclic.is_empty() && !old.is_empty() {
            // That one unit comes after another may be said by either.
            let is_old = |from: &UnitId, edge: &Edge| {
                old.contains(from) || (edge.kind == EdgeKind::After && old.contains(&edge.unit))
            };
            edges.retain(|(from, edge)| {
                !(is_old(from, edge) && cyclic.contains(from) && cyclic.contains(&edge.unit))
            });
            cyclic = in_cycles(entries.len(), &edges);
        }
        let words = "its dependencies lead back to itself";
        defects.extend(cyclic.iter().map(|unit| Defect { unit: *unit, words: words.to_owned() }));
        edges.retain(|(from, edge)| !(cyclic.contains(from) && cyclic.contains(&edge.unit)));
        let mut reversed: Vec<(UnitId, Edge)> =
            edges.iter().map(|(from, edge)| (edge.unit, Edge { unit: *from, kind: edge.kind })).collect();
        reversed.sort_unstable();
        let graph = Graph {
            outgoing: Lists::new(entries.len(), edges),
            incoming: Lists::new(entries.len(), reversed),
            conflicts: Lists::new(entries.len(), conflicts),
            by_name: by_name.into(),
        };
        (graph, defects)
    }

    /// What a unit needs, wants and comes after.
    pub(crate) fn outgoing(&self, unit: UnitId) -> &[Edge] {
        self.outgoing.of(unit)
    }

    /// Who needs it, wants it and comes after it.
    pub(crate) fn incoming(&self, unit: UnitId) -> &[Edge] {
        self.incoming.of(unit)
    }

    /// Units it is never up with.
    pub(crate) fn conflicts(&self, unit: UnitId) -> &[UnitId] {
        self.conflicts.of(unit)
    }

    /// All units in the order of their names.
    pub(crate) fn by_name(&self) -> &[UnitId] {
        &self.by_name
    }
}

impl<T> Lists<T> {
    /// `pairs` is sorted by unit.
    fn new(units: usize, pairs: Vec<(UnitId, T)>) -> Lists<T> {
        let mut starts = vec![0_u32; units + 1];
        for (unit, _) in &pairs {
            if let Some(start) = starts.get_mut(unit.index() + 1) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Lists { starts: starts.into(), items: pairs.into_iter().map(|(_, item)| item).collect() }
    }

    fn of(&self, unit: UnitId) -> &[T] {
        let (from, to) = (self.starts.get(unit.index()), self.starts.get(unit.index() + 1));
        let (Some(from), Some(to)) = (from, to) else { return &[] };
        self.items.get(*from as usize..*to as usize).unwrap_or(&[])
    }
}

/// The units that are part of a cycle, or lie between two: what remains when every unit without an
/// unvisited dependency is taken away, from both ends.
fn in_cycles(units: usize, edges: &[(UnitId, Edge)]) -> Vec<UnitId> {
    let forward: Vec<(UnitId, UnitId)> =
        edges.iter().map(|(from, edge)| (from.to_owned(), edge.unit)).collect();
    let kept = peel(units, &forward);
    let mut backward: Vec<(UnitId, UnitId)> = forward
        .into_iter()
        .filter(|(from, to)| kept.get(from.index()) == Some(&true) && kept.get(to.index()) == Some(&true))
        .map(|(from, to)| (to, from))
        .collect();
    if backward.is_empty() {
        return Vec::new();
    }
    backward.sort_unstable();
    let left = peel(units, &backward);
    let both = kept.iter().zip(&left).enumerate().filter(|(_, (kept, left))| **kept && **left);
    both.map(|(index, _)| UnitId::from_index(index)).collect()
}

/// Takes away, again and again, what points to nothing; true stands for what is left. `pairs` is sorted.
fn peel(units: usize, pairs: &[(UnitId, UnitId)]) -> Vec<bool> {
    let mut degree = vec![0_u32; units];
    let mut reversed: Vec<(UnitId, UnitId)> = pairs.iter().map(|(from, to)| (*to, *from)).collect();
    reversed.sort_unstable();
    let pointing_at = Lists::new(units, reversed);
    for (from, _) in pairs {
        if let Some(degree) = degree.get_mut(from.index()) {
            *degree += 1;
        }
    }
    let mut free: Vec<UnitId> = (0..units).map(UnitId::from_index).collect();
    free.retain(|unit| degree.get(unit.index()) == Some(&0));
    while let Some(unit) = free.pop() {
        for from in pointing_at.of(unit) {
            let Some(degree) = degree.get_mut(from.index()) else { continue };
            *degree -= 1;
            if *degree == 0 {
                free.push(*from);
            }
        }
    }
    degree.into_iter().map(|degree| degree > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{self, Draft};

    fn graph(drafts: Vec<Draft>) -> (Graph, Vec<Defect>) {
        let entries: Vec<Option<Entry>> = fixture::entries(drafts).into_iter().map(Some).collect();
        Graph::new(&entries)
    }

    #[test]
    fn edges_stand_on_both_sides_and_the_strongest_wins() {
        let (graph, defects) = graph(vec![
            fixture::service("web").needs("db").after("db").wants("log"),
            fixture::service("db"),
            fixture::service("log").before("db"),
        ]);
        let [web, db, log] = [0, 1, 2].map(UnitId::from_index);
        let edge = |unit, kind| Edge { unit, kind };
        assert!(defects.is_empty());
        assert_eq!(graph.outgoing(web), [edge(db, EdgeKind::Needs), edge(log, EdgeKind::Wants)]);
        assert_eq!(graph.incoming(db), [edge(web, EdgeKind::Needs)]);
        assert_eq!(graph.incoming(log), [edge(web, EdgeKind::Wants), edge(db, EdgeKind::After)]);
        assert_eq!(graph.by_name(), [db, log, web]);
        assert_eq!(graph.outgoing(UnitId::from_index(99)), []);
    }

    #[test]
    fn a_conflict_holds_for_both_even_if_one_names_it() {
        let (graph, _) = graph(vec![fixture::service("a").conflicts("b"), fixture::service("b")]);
        assert_eq!(graph.conflicts(UnitId(0)), [UnitId(1)]);
        assert_eq!(graph.conflicts(UnitId(1)), [UnitId(0)]);
    }

    #[test]
    fn in_a_cycle_of_old_and_new_files_the_edges_of_the_old_ones_do_not_count() {
        let drafts = vec![
            fixture::service("old").needs("new"),
            fixture::service("new").needs("old"),
            fixture::service("other").before("new"),
        ];
        let entries: Vec<Option<Entry>> = fixture::entries(drafts).into_iter().map(Some).collect();
        let [old, new, other] = [0, 1, 2].map(UnitId::from_index);
        let (graph, defects) = Graph::beside_old(&entries, &BTreeSet::from([old]));
        assert!(defects.is_empty());
        assert_eq!(graph.outgoing(old), []);
        let edge = |unit, kind| Edge { unit, kind };
        assert_eq!(graph.outgoing(new), [edge(old, EdgeKind::Needs), edge(other, EdgeKind::After)]);
    }

    #[test]
    fn only_the_units_of_a_cycle_are_defective() {
        let (_, defects) = graph(vec![
            fixture::service("up").needs("a"),
            fixture::service("a").needs("b"),
            fixture::service("b").after("a").needs("down"),
            fixture::service("down"),
            fixture::service("lost").needs("nobody"),
        ]);
        let of = |index| defects.iter().filter(|d| d.unit == UnitId(index)).map(|d| d.words.as_str()).next();
        assert_eq!(of(1), Some("its dependencies lead back to itself"));
        assert_eq!(of(2), of(1));
        assert_eq!(of(4), Some("it needs nobody, and there is no such unit"));
        assert_eq!((of(0), of(3)), (None, None));
    }
}

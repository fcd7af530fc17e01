//! Finds the units that wait for each other in a circle, so that none could ever be the first.
//!
//! ```text
//!   a ──→ b ──→ c ──→ a     d ──→ a      {a, b, c} is a circle; d only waits for one
//! ```
//!
//! It is Tarjan's walk (1972): each edge is looked at once. It keeps its own stack, for a chain of 100,000 units must not
//! use up PID 1's. A template whose thousand instances wait for each other holds half a million circles, all of them by
//! one word in one file: that word is shown once.

use std::collections::HashSet;

use super::diagnostic::Spot;
use super::unit::Relation;

/// More ways than this are malice.
const MOST_WAYS: usize = 100;

/// All ways together are not longer than this, but for the first, which is shown however long it is.
const MOST_STEPS: usize = 250_000;

/// One unit waits for another, or (`Conflicts`) is never up with it.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) relation: Relation,
    pub(super) spot: Spot,
}

/// One step on the way round: a unit, and which of its edges is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) unit: usize,
    pub(super) edge: usize,
}

/// What the walk finds.
#[derive(Debug, Default)]
pub(super) struct Cycles {
    /// For each word in a unit file that closes a circle one way round, told from the first unit by name.
    pub(super) ways: Vec<Vec<Step>>,
    /// How many more such words there are.
    pub(super) more: usize,
    /// For each unit that is on a circle, the number of it: those with the same number wait for each other.
    pub(super) circle_of: Vec<Option<usize>>,
}

/// Walks the graph depth first. Costs the size of the graph and of the answer.
pub(super) fn find_cycles(edges: &[Vec<Edge>]) -> Cycles {
    let mut walk = Walk::new(edges);
    for root in 0..edges.len() {
        if walk.entered.get(root).is_some_and(Option::is_none) {
            walk.from(root);
        }
    }
    walk.found
}

struct Walk<'e> {
    edges: &'e [Vec<Edge>],
    found: Cycles,
    circles: usize,
    steps: usize,
    /// What closed a circle that is known: a word, or a pair of units.
    words: HashSet<&'e Spot>,
    pairs: HashSet<(usize, usize)>,
    /// When each unit was first come to.
    entered: Vec<Option<usize>>,
    clock: usize,
    /// The earliest unit still open that can be come to from here.
    low: Vec<usize>,
    /// Units that were come to and are not known to be on no circle.
    open: Vec<usize>,
    is_open: Vec<bool>,
    /// From the root to where the walk is, and where on it a unit stands.
    path: Vec<Step>,
    place: Vec<Option<usize>>,
}

impl<'e> Walk<'e> {
    fn new(edges: &'e [Vec<Edge>]) -> Walk<'e> {
        let found = Cycles { circle_of: vec![None; edges.len()], ..Cycles::default() };
        Walk {
            edges,
            found,
            circles: 0,
            steps: 0,
            words: HashSet::new(),
            pairs: HashSet::new(),
            entered: vec![None; edges.len()],
            clock: 0,
            low: vec![0; edges.len()],
            open: Vec::new(),
            is_open: vec![false; edges.len()],
            path: Vec::new(),
            place: vec![None; edges.len()],
        }
    }

    fn from(&mut self, root: usize) {
        self.enter(root);
        while let Some(step) = self.path.last().copied() {
            let edges = self.edges;
            match edges.get(step.unit).and_then(|edges| edges.get(step.edge)) {
                None => self.leave(step.unit),
                Some(edge) if edge.relation == Relation::Conflicts => self.go_on(),
                Some(edge) => match self.entered.get(edge.to).copied().flatten() {
                    None => self.enter(edge.to),
                    Some(when) => {
                        if self.is_open.get(edge.to) == Some(&true) {
                            self.lower(step.unit, when);
                            self.close(step.unit, edge);
                        }
                        self.go_on();
                    }
                },
            }
        }
    }

    fn enter(&mut self, unit: usize) {
        set(&mut self.entered, unit, Some(self.clock));
        set(&mut self.low, unit, self.clock);
        set(&mut self.is_open, unit, true);
        set(&mut self.place, unit, Some(self.path.len()));
        self.clock += 1;
        self.open.push(unit);
        self.path.push(Step { unit, edge: 0 });
    }

    fn go_on(&mut self) {
        self.path.last_mut().into_iter().for_each(|step| step.edge += 1);
    }

    fn lower(&mut self, unit: usize, to: usize) {
        self.low.get_mut(unit).into_iter().for_each(|low| *low = to.min(*low));
    }

    /// All edges of a unit are walked. Where none led to before it, what is open since then is one circle with it.
    fn leave(&mut self, unit: usize) {
        self.path.pop();
        set(&mut self.place, unit, None);
        let low = self.low.get(unit).copied().unwrap_or_default();
        if let Some(before) = self.path.last().copied() {
            self.lower(before.unit, low);
            self.go_on();
        }
        if self.entered.get(unit).copied().flatten() != Some(low) {
            return;
        }
        let from = self.open.iter().rposition(|open| *open == unit).unwrap_or_default();
        let circle = self.open.split_off(from);
        circle.iter().for_each(|unit| set(&mut self.is_open, *unit, false));
        if circle.len() > 1 {
            circle.iter().for_each(|unit| set(&mut self.found.circle_of, *unit, Some(self.circles)));
            self.circles += 1;
        }
    }

    /// An edge that leads back onto the path closes a circle.
    fn close(&mut self, unit: usize, edge: &'e Edge) {
        let Some(place) = self.place.get(edge.to).copied().flatten() else { return };
        // Two lists may name the same unit; one of them is enough to show the circle.
        if !self.words.insert(&edge.spot) || !self.pairs.insert((unit, edge.to)) {
            return;
        }
        let way = self.path.get(place..).unwrap_or_default();
        let fits = self.found.ways.len() < MOST_WAYS && self.steps + way.len() <= MOST_STEPS;
        if fits || self.found.ways.is_empty() {
            self.steps += way.len();
            self.found.ways.push(in_order(way));
        } else {
            self.found.more += 1;
        }
    }
}

/// A way round, told from its first unit by name.
fn in_order(way: &[Step]) -> Vec<Step> {
    let first = way.iter().enumerate().min_by_key(|(_, step)| step.unit).map_or(0, |(place, _)| place);
    let mut way = way.to_vec();
    way.rotate_left(first);
    way
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use super::*;

    /// Edges in pairs; each stands at a place of its own unless the places are given.
    fn graph(units: usize, pairs: &[(usize, usize)], spot: impl Fn(usize) -> u32) -> Vec<Vec<Edge>> {
        let file: Rc<Path> = Rc::from(Path::new("a.toml"));
        let mut edges: Vec<Vec<Edge>> = vec![Vec::new(); units];
        for (number, (from, to)) in pairs.iter().enumerate() {
            let spot = Spot { file: file.clone(), start: spot(number), end: spot(number) + 1 };
            edges[*from].push(Edge { to: *to, relation: Relation::After, spot });
        }
        edges
    }

    fn units(way: &[Step]) -> Vec<usize> {
        way.iter().map(|step| step.unit).collect()
    }

    #[test]
    fn units_are_on_one_circle_when_each_leads_to_the_other() {
        let pairs = [(0, 1), (1, 2), (2, 0), (3, 0), (2, 4), (4, 5), (5, 4), (6, 4), (3, 6)];
        let found = find_cycles(&graph(7, &pairs, |number| number as u32));
        let [first, second] = [found.circle_of[0], found.circle_of[4]];
        assert!(first.is_some() && second.is_some() && first != second);
        assert_eq!(found.circle_of, [first, first, first, None, second, second, None]);
        assert_eq!(found.ways.iter().map(|way| units(way)).collect::<Vec<_>>(), [vec![0, 1, 2], vec![4, 5]]);
    }

    /// What a circle is, said in another way: by the units that each unit can come to.
    #[test]
    fn the_walk_finds_what_reachability_says_in_random_graphs() {
        let mut state = 7_u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..2_000 {
            let count = 2 + random(9);
            let pairs: Vec<(usize, usize)> = (0..random(2 * count))
                .map(|_| (random(count), random(count)))
                .filter(|(from, to)| from != to)
                .collect();
            let found = find_cycles(&graph(count, &pairs, |number| number as u32));
            let mut reach = vec![vec![false; count]; count];
            pairs.iter().for_each(|(from, to)| reach[*from][*to] = true);
            for by in 0..count {
                for from in 0..count {
                    for to in 0..count {
                        reach[from][to] |= reach[from][by] && reach[by][to];
                    }
                }
            }
            let both = |one: usize, other: usize| reach[one][other] && reach[other][one];
            for (one, circle) in found.circle_of.iter().enumerate() {
                assert_eq!(circle.is_some(), both(one, one), "{one} in {pairs:?}");
                for (other, its) in found.circle_of.iter().enumerate() {
                    assert_eq!(
                        circle.is_some() && circle == its,
                        both(one, other),
                        "{one} {other} in {pairs:?}"
                    );
                }
            }
            assert_eq!(found.ways.is_empty(), found.circle_of.iter().all(Option::is_none), "{pairs:?}");
        }
    }

    #[test]
    fn one_word_that_closes_half_a_million_circles_is_one_way() {
        let pairs: Vec<(usize, usize)> = (0..1_000)
            .flat_map(|from| (0..1_000).map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .collect();
        let found = find_cycles(&graph(1_000, &pairs, |_| 9));
        assert_eq!((found.ways.len(), found.more), (1, 0));
        assert!(found.circle_of.iter().all(|circle| *circle == Some(0)));
    }

    #[test]
    fn more_ways_than_anybody_reads_are_counted() {
        let pairs: Vec<(usize, usize)> = (1..=150).flat_map(|leaf| [(0, leaf), (leaf, 0)]).collect();
        let found = find_cycles(&graph(151, &pairs, |number| number as u32));
        assert_eq!((found.ways.len(), found.more), (MOST_WAYS, 50));
    }
}

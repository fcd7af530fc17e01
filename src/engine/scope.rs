//! What a request touches, and what refuses it. Nothing is changed here, so that a plan is made of the same.
//!
//! ```text
//!   start U    U and what it needs must come up; what they want shall      refused: broken, conflict, busy
//!   stop U     U goes down; with cascade what runs and needs it, before    refused: needed by one that runs
//!   restart U  U and what runs and needs it go down, then start U          refused: as start
//!              what overlaps is replaced while it serves, and nothing goes down for it
//!   reload U   U                                                           refused: no [reload], not up, busy
//! ```

use std::collections::BTreeSet;

use super::Engine;
use super::event::{Dependents, UnitId};
use super::failure::{Failure, Refusal};
use super::graph::{EdgeKind, Graph};
use super::state::State;

/// What a start touches.
pub(super) struct StartScope {
    /// The named units and all that they need: these have to come up.
    pub(super) hard: Vec<UnitId>,
    /// What those want, with its needs: these shall come up.
    pub(super) soft: Vec<UnitId>,
}

/// What a restart touches.
pub(super) struct RestartScope {
    /// Down and up again: the named units, and what runs and needs them.
    pub(super) stops: Vec<UnitId>,
    /// Replaced while they serve: named units that can be, and that need nothing that goes down.
    pub(super) overlaps: Vec<UnitId>,
    pub(super) start: StartScope,
}

impl StartScope {
    pub(super) fn units(&self) -> impl Iterator<Item = UnitId> {
        self.hard.iter().chain(&self.soft).copied()
    }
}

impl RestartScope {
    /// All that it touches.
    pub(super) fn units(&self) -> impl Iterator<Item = UnitId> {
        self.stops.iter().chain(&self.overlaps).copied().chain(self.start.units())
    }

    /// All that gets a new process, and all that has to come up and is not up.
    pub(super) fn tests(&self, engine: &Engine) -> Vec<UnitId> {
        let mut tests = self.stops.clone();
        tests.extend(&self.overlaps);
        tests.extend(self.start.hard.iter().filter(|unit| !engine.cell(**unit).standing.satisfied));
        unique(&tests)
    }
}

impl Engine {
    /// Notes that this much was looked at.
    fn look(&self, n_looked_at: usize) {
        self.looked.set(self.looked.get() + n_looked_at as u64);
    }

    pub(super) fn start_scope(&self, units: &[UnitId]) -> StartScope {
        let mut seen: BTreeSet<UnitId> = units.iter().copied().collect();
        let mut hard = unique(units);
        self.follow(&mut hard, &mut seen, &[EdgeKind::Needs]);
        let mut all = hard.clone();
        self.follow(&mut all, &mut seen, &[EdgeKind::Needs, EdgeKind::Wants]);
        let soft = all.split_off(hard.len());
        StartScope { hard, soft }
    }

    pub(super) fn stop_scope(&self, units: &[UnitId], dependents: Dependents) -> Vec<UnitId> {
        let mut stops = unique(units);
        if dependents == Dependents::Stop {
            self.follow_dependents(&mut stops);
        }
        stops
    }

    pub(super) fn restart_scope(&self, units: &[UnitId]) -> RestartScope {
        // A successor waits for what its unit needs. Where nobody brings that up the restart has to, and its unit goes down.
        let waits_in_vain = |unit: &UnitId| {
            let mut needs = self.graph.outgoing(*unit).iter().filter(|edge| edge.kind == EdgeKind::Needs);
            needs.any(|edge| self.cell(edge.unit).is_dead())
        };
        let can = |unit: &UnitId| self.can_overlap(*unit) && !waits_in_vain(unit);
        let able: Vec<UnitId> = units.iter().copied().filter(can).collect();
        self.restart_scope_beside(units, &able)
    }

    /// As [`Engine::restart_scope`], where these are replaced while they serve.
    pub(super) fn restart_scope_beside(&self, units: &[UnitId], able: &[UnitId]) -> RestartScope {
        let (mut overlaps, mut stops): (Vec<UnitId>, Vec<UnitId>) =
            unique(units).into_iter().partition(|unit| able.contains(unit));
        self.follow_dependents(&mut stops);
        overlaps.retain(|unit| !stops.contains(unit));
        RestartScope { stops, overlaps, start: self.start_scope(units) }
    }

    fn follow(&self, units: &mut Vec<UnitId>, seen: &mut BTreeSet<UnitId>, kinds: &[EdgeKind]) {
        self.follow_in(&self.graph, units, seen, kinds);
    }

    /// Appends to `units` all that can be reached from them by edges of these kinds.
    pub(super) fn follow_in(
        &self,
        graph: &Graph,
        units: &mut Vec<UnitId>,
        seen: &mut BTreeSet<UnitId>,
        kinds: &[EdgeKind],
    ) {
        let mut next = 0;
        while let Some(unit) = units.get(next).copied() {
            next += 1;
            let edges = graph.outgoing(unit);
            self.look(edges.len());
            for edge in edges {
                if kinds.contains(&edge.kind) && seen.insert(edge.unit) {
                    units.push(edge.unit);
                }
            }
        }
    }

    pub(super) fn follow_dependents(&self, units: &mut Vec<UnitId>) {
        self.follow_dependents_in(&self.graph, units);
    }

    /// Appends the units that are up and need these, and those that need them.
    pub(super) fn follow_dependents_in(&self, graph: &Graph, units: &mut Vec<UnitId>) {
        let mut seen: BTreeSet<UnitId> = units.iter().copied().collect();
        let mut next = 0;
        while let Some(unit) = units.get(next).copied() {
            next += 1;
            let edges = graph.incoming(unit);
            self.look(edges.len());
            for edge in edges {
                if edge.kind == EdgeKind::Needs && self.cell(edge.unit).is_live() && seen.insert(edge.unit) {
                    units.push(edge.unit);
                }
            }
        }
    }

    pub(super) fn refuses_start(&self, units: &[UnitId]) -> Option<Refusal> {
        let together: BTreeSet<UnitId> = units.iter().copied().collect();
        for unit in units {
            let cell = self.cell(*unit);
            if let Some(Failure::Load(words)) = cell.failure.as_deref() {
                return Some(Refusal::Broken { unit: *unit, words: words.clone() });
            }
            if cell.unit().is_none() {
                return Some(Refusal::Broken { unit: *unit, words: "there is no such unit".to_owned() });
            }
            let conflicts = self.graph.conflicts(*unit).iter();
            let mut standing =
                conflicts.filter(|other| together.contains(other) || self.is_in_the_way(**other));
            if let Some(with) = standing.next() {
                return Some(Refusal::Conflict { unit: *unit, with: *with });
            }
        }
        None
    }

    /// A unit that conflicts with this one cannot be started.
    pub(super) fn is_in_the_way(&self, unit: UnitId) -> bool {
        self.cell(unit).is_live() || self.cell(unit).standing.active
    }

    pub(super) fn refuses_stop(&self, units: &[UnitId], dependents: Dependents) -> Option<Refusal> {
        if dependents == Dependents::Stop {
            return None;
        }
        let named: BTreeSet<UnitId> = units.iter().copied().collect();
        for unit in units {
            let edges = self.graph.incoming(*unit);
            self.look(edges.len());
            let needing = edges.iter().filter(|edge| edge.kind == EdgeKind::Needs).map(|edge| edge.unit);
            let by: Vec<UnitId> =
                needing.filter(|other| !named.contains(other) && self.cell(*other).is_live()).collect();
            if !by.is_empty() {
                return Some(Refusal::NeededBy { unit: *unit, by });
            }
        }
        None
    }

    /// What is up already conflicts with nothing; only what the restart brings up anew can.
    pub(super) fn refuses_restart(&self, scope: &StartScope, named: &[UnitId]) -> Option<Refusal> {
        let is_new = |unit: &&UnitId| named.contains(unit) || !self.cell(**unit).is_live();
        let new: Vec<UnitId> = scope.hard.iter().filter(is_new).copied().collect();
        self.refuses_start(&new)
    }

    /// As [`Engine::refuses_restart`], and while another request is busy with one of the units.
    pub(super) fn refuses_whole_restart(&self, scope: &RestartScope, named: &[UnitId]) -> Option<Refusal> {
        self.refuses_restart(&scope.start, named)
            .or_else(|| self.busy(scope.units()))
            .or_else(|| self.refuses_overlap(&scope.overlaps))
    }

    pub(super) fn refuses_reload(&self, units: &[UnitId]) -> Option<Refusal> {
        for unit in units.iter().copied() {
            let cell = self.cell(unit);
            if let Some(Failure::Load(words)) = cell.failure.as_deref() {
                return Some(Refusal::Broken { unit, words: words.clone() });
            }
            if cell.program().is_none_or(|program| program.reload.is_none()) {
                return Some(Refusal::NoReload { unit });
            }
            if !matches!(cell.state, State::Ready { main: Some(_) }) || cell.goes_down() {
                return Some(Refusal::NotUp { unit });
            }
        }
        self.busy(units.iter().copied())
    }
}

/// The units without repetitions, in their order.
pub(super) fn unique(units: &[UnitId]) -> Vec<UnitId> {
    let mut seen = BTreeSet::new();
    units.iter().copied().filter(|unit| seen.insert(*unit)).collect()
}

//! Going over to new unit files: what is new starts, what is gone stops, what changed restarts, all else stays.
//!
//! ```text
//!   gate ─▶ added, amended hold ─▶ Stopping ─▶ replaced, removed hold ─▶ Starting
//!    │       (old edges of what                  (all is as the files say)
//!    │        has to go still order its stop)
//!    └─ refused, given up: nothing was touched, the old definitions hold
//! ```
//!
//! A unit is told to stop by the definition that it was started with, and tested and started by the new one.

use std::collections::BTreeSet;

use std::rc::Rc;

use crate::model::unit::Entry;
use crate::model::{Unit, UnitName};

use super::Engine;
use super::cell::Body;
use super::difference::Difference;
use super::effect::Reason;
use super::event::{Definitions, Gate, RequestId, UnitId};
use super::exchange::entry_of;
use super::failure::{Outcome, Refusal};
use super::gate::{Members, Wish};
use super::graph::{EdgeKind, Graph};
use super::plan::Plan;
use super::progress::{Progress, TransactionPhase};
use super::scope::unique;
use super::state::{State, Wanted};
use super::transaction::{Step, Transaction};

/// A sync on its way.
#[derive(Debug)]
pub(super) struct Sync {
    difference: Difference,
    /// Units that a boot would start.
    boot: Vec<UnitName>,
    /// The places that the added units get.
    places: Vec<UnitId>,
}

/// What a sync touches.
struct SyncScope {
    /// What goes down: for good, or to come up again.
    stops: Vec<UnitId>,
    /// What is replaced while it serves.
    overlaps: Vec<UnitId>,
    /// What has to be up in the end.
    named: Vec<UnitId>,
    /// What comes up.
    starts: Vec<UnitId>,
    /// What is tried before.
    tests: Vec<UnitId>,
}

impl Sync {
    /// Units that nobody else may begin with until all of it holds.
    pub(super) fn units(&self) -> impl Iterator<Item = UnitId> {
        self.difference.units().chain(self.places.iter().copied())
    }

    /// By which definition a unit is tested and started, where it is another one than it has.
    pub(super) fn definition(&self, unit: UnitId) -> Option<&Rc<Unit>> {
        let mut added = self.places.iter().zip(&self.difference.added);
        let added = added.find(|(place, _)| **place == unit).map(|(_, new)| new);
        added.or_else(|| self.difference.definition(unit))
    }
}

impl Engine {
    /// Takes up a sync.
    pub(super) fn sync(&mut self, id: RequestId, definitions: Definitions, gate: Gate) -> Option<Outcome> {
        let sync = self.compare(definitions);
        let scope = self.sync_scope(&sync, self.overlaps_of(&sync.difference));
        if let Some(refusal) = self.refuses_sync(&sync, &scope) {
            return Some(Outcome::Refused(refusal));
        }
        if sync.difference.is_empty() && scope.named.is_empty() {
            self.boot = sync.boot;
            return Some(Outcome::Done);
        }
        self.syncing = Some(id);
        let wish = Wish::Sync { sync: Rc::new(sync) };
        let SyncScope { tests, stops, overlaps, .. } = scope;
        self.begin_gated(id, wish, gate, Members { tests, stops, overlaps });
        None
    }

    /// What a sync would do now.
    pub(super) fn plan_sync(&self, definitions: &Definitions, gate: Gate) -> Result<Plan, Refusal> {
        let sync = self.compare(definitions.clone());
        let scope = self.sync_scope(&sync, self.overlaps_of(&sync.difference));
        self.refuses_sync(&sync, &scope).map_or(Ok(()), Err)?;
        let named = |unit: &UnitId| match sync.definition(*unit) {
            Some(new) => Some(new.name.clone()),
            None => self.unit_name(*unit),
        };
        let definition = |unit: UnitId| sync.definition(unit).or_else(|| self.cell(unit).unit());
        let amended = sync.difference.amended.iter().map(|(unit, _)| *unit);
        Ok(Plan {
            tests: self.plan_tests_of(&scope.tests, gate, definition),
            starts: self.in_order(&scope.starts, &self.graph_with(&sync.difference), named),
            in_place: amended
                .filter(|unit| !scope.stops.contains(unit))
                .filter_map(|unit| named(&unit))
                .collect(),
            added: sync.difference.added.iter().map(|unit| unit.name.clone()).collect(),
            removed: sync.difference.removed.iter().filter_map(named).collect(),
            ..self.plan_stops(&scope.stops, &scope.overlaps)
        })
    }

    fn compare(&self, definitions: Definitions) -> Sync {
        let difference = self.difference(&definitions.units);
        let places = self.promised_places(difference.added.len());
        Sync { difference, boot: definitions.boot, places }
    }

    /// What another request has begun with must not change under it.
    fn refuses_sync(&self, sync: &Sync, scope: &SyncScope) -> Option<Refusal> {
        if self.syncing.is_some() {
            return Some(Refusal::SyncRunning);
        }
        let touched = scope.stops.iter().chain(&scope.overlaps).chain(&scope.starts).copied();
        self.busy(touched.chain(sync.difference.units()))
            .or_else(|| self.refuses_overlap(&scope.overlaps))
            .or_else(|| self.refuses_new_conflicts(sync))
    }

    /// Two units that are up, or on their way, and are not to be by the new files: which of them is meant to go is for
    /// whoever wrote that to say.
    pub(super) fn refuses_new_conflicts(&self, sync: &Sync) -> Option<Refusal> {
        let changed = sync.difference.replaced.iter().chain(&sync.difference.amended);
        changed.filter(|(_, new)| !new.conflicts.is_empty()).find_map(|(unit, new)| {
            let others = new.conflicts.iter().filter_map(|name| self.find(name.as_str()));
            let mut others = others.filter(|other| other != unit && !sync.difference.removed.contains(other));
            let clash = |other: &UnitId| {
                let is_live = |unit: UnitId| self.cell(unit).is_live();
                (is_live(*unit) && self.is_in_the_way(*other))
                    || (is_live(*other) && self.is_in_the_way(*unit))
            };
            others.find(clash).map(|with| Refusal::Conflict { unit: *unit, with })
        })
    }

    /// What goes down for this difference, when as many as can of `able` are replaced while they serve; these come second.
    fn stops_of(&self, difference: &Difference, able: Vec<UnitId>) -> (Vec<UnitId>, Vec<UnitId>) {
        let graph = self.graph_beside(&difference.at_first(), &difference.outdated());
        let changed = difference.replaced.iter().map(|(unit, _)| *unit);
        // What another restart holds down comes up by itself as soon as that lets go.
        let is_held = |unit: &UnitId| {
            let cell = self.cell(*unit);
            cell.state == State::Stopped && cell.wanted == Wanted::Up
        };
        let runs = |unit: &UnitId| !self.cell(*unit).standing.down || is_held(unit);
        let gone_or_changed: Vec<UnitId> =
            difference.removed.iter().copied().chain(changed).filter(runs).collect();
        let mut overlaps = able;
        loop {
            let mut stops = gone_or_changed.clone();
            stops.retain(|unit| !overlaps.contains(unit));
            self.follow_dependents_in(&graph, &mut stops);
            let n_before = overlaps.len();
            let stands =
                |name: &UnitName| self.find(name.as_str()).is_some_and(|need| !stops.contains(&need));
            let needs_stand =
                |unit: &UnitId| difference.definition(*unit).is_none_or(|new| new.needs.iter().all(stands));
            overlaps.retain(|unit| !stops.contains(unit) && needs_stand(unit));
            if overlaps.len() == n_before {
                return (stops, overlaps);
            }
        }
    }

    fn sync_scope(&self, sync: &Sync, able: Vec<UnitId>) -> SyncScope {
        let Sync { difference, boot, places } = sync;
        let removed: BTreeSet<UnitId> = difference.removed.iter().copied().collect();
        let changed = || difference.replaced.iter().map(|(unit, _)| *unit);
        let (stops, overlaps) = self.stops_of(difference, able);

        let at_boot: BTreeSet<&UnitName> = boot.iter().collect();
        let before: BTreeSet<&UnitName> = self.boot.iter().collect();
        let is_wished = |unit: &UnitId| self.cell(*unit).wanted == Wanted::Up;
        let mended =
            |unit: &UnitId| matches!(&self.cell(*unit).body, Body::Broken(name) if at_boot.contains(name));
        let has_failed = |unit: &UnitId| is_wished(unit) && self.cell(*unit).state == State::Failed;
        let added = places.iter().zip(&difference.added);
        let new_at_boot = boot.iter().filter(|name| !before.contains(name));
        let mut named: Vec<UnitId> = changed().filter(|unit| is_wished(unit) || mended(unit)).collect();
        named.extend(difference.amended.iter().map(|(unit, _)| *unit).filter(has_failed));
        named.extend(stops.iter().filter(|unit| is_wished(unit) && !removed.contains(unit)));
        named.extend(added.filter(|(_, new)| at_boot.contains(&new.name)).map(|(place, _)| *place));
        named.extend(new_at_boot.filter_map(|name| self.find(name.as_str())).filter(|unit| !is_wished(unit)));
        let named = unique(&named);

        let graph = self.graph_with(difference);
        let mut starts = named.clone();
        let mut seen: BTreeSet<UnitId> = named.iter().copied().collect();
        self.follow_in(&graph, &mut starts, &mut seen, &[EdgeKind::Needs, EdgeKind::Wants]);
        starts.retain(|unit| stops.contains(unit) || !self.cell(*unit).standing.satisfied);
        let again = stops.iter().filter(|unit| !removed.contains(unit)).copied();
        let tests: Vec<UnitId> =
            again.chain(overlaps.iter().copied()).chain(starts.iter().copied()).collect();
        SyncScope { tests: unique(&tests), stops, overlaps, named, starts }
    }

    /// What a sync touches when these are replaced while they serve.
    pub(super) fn sync_members(&self, sync: &Sync, able: Vec<UnitId>) -> Members {
        let SyncScope { tests, stops, overlaps, .. } = self.sync_scope(sync, able);
        Members { tests, stops, overlaps }
    }

    /// The graph as it will be.
    fn graph_with(&self, difference: &Difference) -> Graph {
        self.graph_beside(difference, &BTreeSet::new())
    }

    /// As [`Engine::graph_with`], while these go by old files.
    fn graph_beside(&self, difference: &Difference, old: &BTreeSet<UnitId>) -> Graph {
        let mut entries: Vec<Option<Entry>> = self.cells.iter().map(entry_of).collect();
        let mut set = |unit: UnitId, entry: Option<Entry>| {
            if entries.len() <= unit.index() {
                entries.resize(unit.index() + 1, None);
            }
            if let Some(place) = entries.get_mut(unit.index()) {
                *place = entry;
            }
        };
        for unit in &difference.removed {
            set(*unit, None);
        }
        for (unit, new) in difference.replaced.iter().chain(&difference.amended) {
            set(*unit, Some(Entry::Unit(new.clone())));
        }
        let places = self.promised_places(difference.added.len());
        for (unit, new) in places.into_iter().zip(&difference.added) {
            set(unit, Some(Entry::Unit(new.clone())));
        }
        Graph::beside_old(&entries, old).0
    }

    /// Tests and hooks are through: what has to go goes down.
    pub(super) fn sync_now(
        &mut self,
        id: RequestId,
        sync: Rc<Sync>,
        tested: Vec<UnitId>,
        overlaps: &[UnitId],
    ) {
        let replaced = self.take_over(id, overlaps);
        let SyncScope { stops, named, starts, .. } = self.sync_scope(&sync, overlaps.to_vec());
        self.outdated = sync.difference.outdated();
        self.to_come = starts.iter().copied().collect();
        self.exchange(sync.difference.at_first(), &starts);
        self.boot.clone_from(&sync.boot);
        if !stops.is_empty() || !replaced.is_empty() {
            self.tell(id, Progress::Phase(TransactionPhase::Stopping));
        }
        let removed: BTreeSet<UnitId> = sync.difference.removed.iter().copied().collect();
        for unit in &removed {
            self.displace(*unit, Wanted::Down, id);
        }
        for unit in stops.iter().copied() {
            self.displace(unit, if removed.contains(&unit) { Wanted::Down } else { Wanted::Up }, id);
            let cell = self.cell_mut(unit);
            cell.holds += 1;
            cell.reason = Reason::Restart;
            if removed.contains(&unit) {
                cell.wanted = Wanted::Down;
            }
            self.refresh(unit);
            self.look_at(unit);
        }
        let transaction = Transaction {
            to_stop: [stops, replaced].concat(),
            tested,
            sync: Some((sync, named)),
            ..Transaction::new(Wanted::Up, Step::Stopping)
        };
        self.begin_transaction(id, transaction);
    }

    /// All that goes or changes is down: the new definitions hold. Answers what has to come up.
    pub(super) fn finish_sync(&mut self, id: RequestId, sync: &Sync, named: &[UnitId]) -> Vec<UnitId> {
        self.outdated.clear();
        self.to_come.clear();
        self.exchange(sync.difference.at_last(), &[]);
        self.syncing = None;
        let scope = self.start_scope(named);
        self.wish_up(id, &scope, named, Reason::Start);
        for unit in &scope.hard {
            self.cell_mut(*unit).requests.push((id, Step::Starting));
        }
        scope.hard
    }

    /// A sync that is at its stops and has this unit in its hands: what began with it now would go by a definition that
    /// is about to change.
    pub(super) fn sync_at_stops_of(&self, unit: UnitId) -> Option<RequestId> {
        let id = self.syncing?;
        let transaction = self.transactions.get(&id)?;
        let (sync, named) = transaction.sync.as_ref()?;
        let is_its = sync.units().any(|own| own == unit);
        (is_its || transaction.to_stop.contains(&unit) || named.contains(&unit)).then_some(id)
    }

    /// It brings nothing up: who waits for that waits in vain.
    pub(super) fn sync_gave_up(&mut self) {
        self.to_come.clear();
        for unit in self.ids().collect::<Vec<_>>() {
            if let State::Waiting { .. } = self.cell(unit).state {
                self.look_at(unit);
            }
        }
    }

    /// Units are stopped while a sync is at its stops: it brings up nothing that would bring them up again.
    pub(super) fn leave_down(&mut self, stopped: &[UnitId], by: RequestId) {
        let Some(id) = self.syncing else { return };
        let Some((_, named)) = self.transactions.get(&id).and_then(|t| t.sync.as_ref()) else { return };
        let stays = |unit: &UnitId| !self.start_scope(&[*unit]).units().any(|unit| stopped.contains(&unit));
        let (n_named, named) = (named.len(), named.iter().copied().filter(stays).collect::<Vec<_>>());
        let is_less = named.len() < n_named;
        if let Some((_, old)) = self.transactions.get_mut(&id).and_then(|t| t.sync.as_mut()) {
            *old = named;
        }
        if is_less {
            self.conclude(id, Outcome::Replaced { by });
        }
    }

    /// New definitions are about to hold: nothing may be added to the old ones.
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }
}

//! What a request would do, without doing it. The transaction begins from the same plan.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::model::{Unit, UnitName};

use super::Engine;
use super::effect::Reason;
use super::event::{Gate, Request, RestartHow, UnitId};
use super::failure::Refusal;
use super::graph::Graph;
use super::pre_stop::hooks_before;
use super::scope::{StartScope, unique};

/// The steps of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Whose configuration is tested first, and whose is not.
    pub tests: Vec<(UnitName, Testing)>,
    /// The pre-stop hooks that run then, by their unit and their name.
    pub hooks: Vec<(UnitName, String)>,
    /// What goes down, in that order.
    pub stops: Vec<UnitName>,
    /// What comes up, in that order.
    pub starts: Vec<UnitName>,
    /// What is replaced while it serves: the new process is ready before the old one stops.
    pub overlaps: Vec<UnitName>,
    /// What is told to read its configuration again.
    pub reloads: Vec<UnitName>,
    /// What changes without being touched.
    pub in_place: Vec<UnitName>,
    /// What there was no unit file for.
    pub added: Vec<UnitName>,
    /// What there is no unit file for any more.
    pub removed: Vec<UnitName>,
}

/// Is a unit's configuration tested?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Testing {
    /// Yes, and its failure refuses the request.
    Enforced,
    /// It has no `[configtest]`.
    Untested,
    /// The request skips it.
    Skipped,
}

impl Engine {
    /// What this request would do now, or why it would be refused.
    pub fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match request {
            Request::Boot { units } => Ok(self.plan_start(&self.start_scope(units))),
            Request::Start { units } => {
                let scope = self.start_scope(units);
                refused(self.refuses_start(&scope.hard).or_else(|| self.busy(scope.units())))?;
                Ok(self.plan_start(&scope))
            }
            Request::Stop { units, dependents } => {
                refused(self.refuses_stop(units, *dependents))?;
                Ok(self.plan_stop(&self.stop_scope(units, *dependents), Reason::Stop))
            }
            Request::Restart { units, gate, how: RestartHow::Together } => {
                let scope = self.restart_scope(units);
                refused(self.refuses_whole_restart(&scope, units))?;
                let starts: Vec<UnitId> = scope.start.units().filter(|unit| self.is_down(*unit)).collect();
                let starts = unique(&[scope.stops.as_slice(), starts.as_slice()].concat());
                Ok(Plan {
                    tests: self.plan_tests(&scope.tests(self), *gate),
                    starts: self.in_start_order(&starts),
                    ..self.plan_stops(&scope.stops, &scope.overlaps)
                })
            }
            Request::Restart { units, gate, how: RestartHow::Rolling } => self.plan_roll(units, *gate),
            Request::Reload { units, gate } => {
                refused(self.refuses_reload(units))?;
                let units = unique(units);
                let reloads = units.iter().filter_map(|unit| self.unit_name(*unit)).collect();
                Ok(Plan { tests: self.plan_tests(&units, *gate), reloads, ..Plan::default() })
            }
            Request::Sync { definitions, gate } => self.plan_sync(definitions, *gate),
            Request::Shutdown(_) => {
                let all: Vec<UnitId> = self.ids().collect();
                Ok(self.plan_stop(&all, Reason::Shutdown))
            }
            Request::Reset { .. }
            | Request::Signal { .. }
            | Request::Abandon { .. }
            | Request::Forget { .. } => Ok(Plan::default()),
        }
    }

    fn plan_start(&self, scope: &StartScope) -> Plan {
        let units: Vec<UnitId> = scope.units().filter(|unit| self.is_down(*unit)).collect();
        Plan {
            tests: self.plan_tests(&units, Gate::Enforced),
            starts: self.in_start_order(&units),
            ..Plan::default()
        }
    }

    /// What a restart or a sync takes down, and what it replaces.
    pub(super) fn plan_stops(&self, stops: &[UnitId], overlaps: &[UnitId]) -> Plan {
        let mut plan = self.plan_stop(stops, Reason::Restart);
        plan.hooks.extend(overlaps.iter().flat_map(|unit| self.plan_hooks(*unit, Reason::Restart)));
        plan.overlaps = self.in_start_order(overlaps);
        plan
    }

    fn plan_hooks(&self, unit: UnitId, reason: Reason) -> impl Iterator<Item = (UnitName, String)> {
        let hooks = hooks_before(self.cell(unit), reason);
        hooks.filter_map(move |hook| Some((self.unit_name(unit)?, hook.name.clone())))
    }

    pub(super) fn plan_stop(&self, units: &[UnitId], reason: Reason) -> Plan {
        let active: Vec<UnitId> =
            units.iter().copied().filter(|unit| !self.cell(*unit).standing.down).collect();
        let mut plan = Plan { stops: self.in_start_order(&active), ..Plan::default() };
        plan.stops.reverse();
        for unit in active {
            plan.hooks.extend(self.plan_hooks(unit, reason));
        }
        plan
    }

    fn plan_tests(&self, units: &[UnitId], gate: Gate) -> Vec<(UnitName, Testing)> {
        self.plan_tests_of(units, gate, |unit| self.cell(unit).unit())
    }

    /// As they would be tested by these definitions.
    pub(super) fn plan_tests_of<'a>(
        &self,
        units: &[UnitId],
        gate: Gate,
        definition: impl Fn(UnitId) -> Option<&'a Rc<Unit>>,
    ) -> Vec<(UnitName, Testing)> {
        let planned = |unit: &UnitId| {
            let unit = definition(*unit)?;
            let program = unit.program()?;
            let testing = match (gate, &program.configtest) {
                (Gate::Skipped, Some(_)) => Testing::Skipped,
                (Gate::Enforced, Some(_)) => Testing::Enforced,
                (_, None) => Testing::Untested,
            };
            Some((unit.name.clone(), testing))
        };
        units.iter().filter_map(planned).collect()
    }

    /// A start would have something to do.
    fn is_down(&self, unit: UnitId) -> bool {
        let cell = self.cell(unit);
        cell.unit().is_some() && !cell.standing.satisfied
    }

    fn in_start_order(&self, units: &[UnitId]) -> Vec<UnitName> {
        self.in_order(units, &self.graph, |unit| self.unit_name(*unit))
    }

    /// Each after what it needs, wants and comes after; by name where that says nothing.
    pub(super) fn in_order(
        &self,
        units: &[UnitId],
        graph: &Graph,
        name: impl Fn(&UnitId) -> Option<UnitName>,
    ) -> Vec<UnitName> {
        let members: BTreeSet<UnitId> = units.iter().copied().collect();
        let earlier = |unit: UnitId| {
            let edges = graph.outgoing(unit).iter();
            edges.map(|edge| edge.unit).filter(|other| members.contains(other))
        };
        let mut missing: BTreeMap<UnitId, usize> =
            members.iter().map(|unit| (*unit, earlier(*unit).count())).collect();
        let named = |unit: &UnitId| Some((name(unit)?, *unit));
        let mut free: BTreeSet<(UnitName, UnitId)> =
            missing.iter().filter(|(_, n)| **n == 0).filter_map(|(unit, _)| named(unit)).collect();
        let mut order = Vec::new();
        while let Some((name, unit)) = free.pop_first() {
            order.push(name);
            for edge in graph.incoming(unit) {
                let Some(n_missing) = missing.get_mut(&edge.unit) else { continue };
                *n_missing = n_missing.saturating_sub(1);
                if *n_missing == 0 {
                    free.extend(named(&edge.unit));
                }
            }
        }
        order
    }
}

fn refused(refusal: Option<Refusal>) -> Result<(), Refusal> {
    refusal.map_or(Ok(()), Err)
}

//! Law 12: a step costs what it touches, however many units there are.

use std::time::Duration;

use sexton::engine::{
    Dependents, Effect, Engine, Event, Finding, Gate, Options, Phase, Request, RequestId, RestartHow, UnitId,
};
use sexton::model::unit::Entry;
use sexton::model::{ExitStatus, Moment, Pid};

use super::graphs;

const N_UNITS: usize = 10_000;

struct Machine {
    engine: Engine,
    next_pid: i32,
}

impl Machine {
    fn new(entries: Vec<Entry>) -> Machine {
        let options = Options { shutdown_timeout: Duration::from_secs(30), random_seed: 1 };
        Machine { engine: Engine::new(entries, options), next_pid: 1 }
    }

    /// Feeds an event and everything that follows; answers how much work that was.
    fn feed(&mut self, event: Event) -> u64 {
        let before = self.engine.tally().work;
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            self.engine.step(Moment::from_nanos(1), event, &mut effects);
            events.extend(effects.into_iter().filter_map(|effect| self.answer(effect)));
        }
        self.engine.tally().work - before
    }

    fn answer(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Inspect { unit, purpose, .. } => {
                Some(Event::Inspected { unit, purpose, finding: Finding::Met { prepare: Vec::new() } })
            }
            Effect::Spawn { unit, role, .. } => {
                self.next_pid += 1;
                Some(Event::Spawned { unit, role, pid: Pid::new(self.next_pid)? })
            }
            Effect::Signal { unit, pid, .. } => Some(Event::Exited {
                unit,
                role: sexton::engine::Role::Main,
                pid,
                status: ExitStatus::exited(0),
            }),
            Effect::ClearGroup { unit, group, .. } => Some(Event::GroupGone { unit, group }),
            _ => None,
        }
    }

    fn request(&mut self, id: u64, request: Request) -> u64 {
        self.feed(Event::Requested { id: RequestId(id), request })
    }

    fn all_are(&self, phase: Phase) -> bool {
        self.engine.ids().all(|unit| self.engine.unit(unit).phase() == phase)
    }
}

#[test]
fn stopping_one_of_ten_thousand_units_costs_no_more_than_stopping_one_of_ten() {
    let mut costs = Vec::new();
    for n_units in [10, N_UNITS] {
        let mut machine = Machine::new((0..n_units).map(|index| graphs::service(index, &[])).collect());
        machine.request(1, Request::Boot { units: machine.engine.ids().collect() });
        assert!(machine.all_are(Phase::Ready));
        let units = vec![UnitId::from_index(5)];
        let stop = machine.request(2, Request::Stop { units: units.clone(), dependents: Dependents::Refuse });
        let start = machine.request(3, Request::Start { units: units.clone() });
        let (gate, how) = (Gate::Enforced, RestartHow::Together);
        let restart = machine.request(4, Request::Restart { units, gate, how });
        costs.push([stop, start, restart]);
    }
    assert_eq!(costs[0], costs[1]);
}

#[test]
fn a_chain_of_ten_thousand_starts_and_stops_at_a_constant_cost_a_unit() {
    let chain = |index: usize| graphs::service(index, &if index == 0 { vec![] } else { vec![index - 1] });
    let mut machine = Machine::new((0..N_UNITS).map(chain).collect());
    let up = machine.request(1, Request::Start { units: vec![UnitId::from_index(N_UNITS - 1)] });
    assert!(machine.all_are(Phase::Ready));
    let units = vec![UnitId::from_index(0)];
    let down = machine.request(2, Request::Stop { units, dependents: Dependents::Stop });
    assert!(machine.all_are(Phase::Stopped));
    assert!(up.max(down) < 40 * N_UNITS as u64, "up {up}, down {down}");
}

#[test]
fn a_unit_that_all_others_need_starts_and_stops_at_a_constant_cost_a_unit() {
    let star = |index: usize| graphs::service(index, if index == 0 { &[] } else { &[0] });
    let mut machine = Machine::new((0..N_UNITS).map(star).collect());
    let up = machine.request(1, Request::Boot { units: machine.engine.ids().collect() });
    assert!(machine.all_are(Phase::Ready));
    let (gate, how) = (Gate::Enforced, RestartHow::Together);
    let restart = machine.request(2, Request::Restart { units: vec![UnitId::from_index(0)], gate, how });
    assert!(machine.all_are(Phase::Ready));
    assert!(up.max(restart) < 40 * N_UNITS as u64, "up {up}, restart {restart}");
}

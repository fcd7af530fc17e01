//! What people wish in a run: by chance, in a hurry or at leisure, and at last the shutdown.

use sexton::engine::{Dependents, Engine, Gate, Request, RequestId, RestartHow, Shutdown, UnitId};
use sexton::model::Signal;

use super::chance::Chance;

/// The wishes of a run, each with its moment in milliseconds.
pub(crate) fn wishes(chance: &mut Chance, engine: &Engine) -> Vec<(u64, Request)> {
    let all: Vec<UnitId> = engine.ids().collect();
    let some =
        |chance: &mut Chance| -> Vec<UnitId> { all.iter().copied().filter(|_| chance.percent(60)).collect() };
    let mut wishes = vec![(0, Request::Boot { units: some(chance) })];
    let hectic = chance.percent(60);
    let mut at = 0;
    for nth in 0..chance.below(12) {
        at += chance.below(if hectic { 1500 } else { 60_000 });
        let one = vec![all[chance.below(all.len() as u64) as usize]];
        let units = if chance.percent(80) { one } else { some(chance) };
        let dependents = if chance.percent(50) { Dependents::Stop } else { Dependents::Refuse };
        let gate = if chance.percent(90) { Gate::Enforced } else { Gate::Skipped };
        wishes.push((
            at,
            match chance.below(16) {
                0..3 => Request::Start { units },
                3..6 => Request::Stop { units, dependents },
                6..10 => Request::Restart { units, gate, how: RestartHow::Together },
                10..13 => Request::Reload { units, gate },
                13 => Request::Reset { units },
                14 => Request::Signal { units, signal: Signal::USR1 },
                // The one before it mostly, else any: also one that was answered, or never made.
                _ if chance.percent(70) => Request::Abandon { request: RequestId(nth + 1) },
                _ => Request::Abandon { request: RequestId(chance.below(14)) },
            },
        ));
    }
    at += chance.below(if hectic { 5_000 } else { 300_000 });
    let how = [Shutdown::Exit, Shutdown::PowerOff, Shutdown::Reboot][chance.below(3) as usize];
    wishes.push((at, Request::Shutdown(how)));
    if chance.percent(40) {
        wishes.push((at + chance.below(6_000), Request::Shutdown(how)));
    }
    if chance.percent(30) {
        wishes.push((at + chance.below(3_000), Request::Start { units: all.clone() }));
    }
    wishes
}

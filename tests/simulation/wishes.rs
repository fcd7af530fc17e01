//! What people wish in a run: by chance, in a hurry or at leisure, and at last the shutdown.

use sexton::engine::{Dependents, Engine, Gate, Request, RequestId, RestartHow, Shutdown, UnitId};
use sexton::model::Signal;

use super::chance::Chance;
use super::changes;
use super::files::Files;

/// Something that somebody does; what exactly is decided when the time has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Boot,
    Anything,
    /// New unit files are read and added to those that there are.
    Extend,
    End(Shutdown),
    StartAll,
}

/// The wishes of a run, each with its moment in milliseconds.
pub(crate) fn wishes(chance: &mut Chance) -> Vec<(u64, Wish)> {
    let mut wishes = vec![(0, Wish::Boot)];
    let hectic = chance.percent(60);
    let mut at = 0;
    for _ in 0..chance.below(14) {
        at += chance.below(if hectic { 1500 } else { 60_000 });
        wishes.push((at, if chance.percent(4) { Wish::Extend } else { Wish::Anything }));
    }
    at += chance.below(if hectic { 5_000 } else { 300_000 });
    let how = [Shutdown::Exit, Shutdown::PowerOff, Shutdown::Reboot][chance.below(3) as usize];
    wishes.push((at, Wish::End(how)));
    if chance.percent(40) {
        wishes.push((at + chance.below(6_000), Wish::End(how)));
    }
    if chance.percent(30) {
        wishes.push((at + chance.below(3_000), Wish::StartAll));
    }
    wishes
}

/// What is wished now. The last request that was made has the number `latest`.
pub(crate) fn request(
    wish: Wish,
    chance: &mut Chance,
    engine: &Engine,
    files: &Files,
    latest: u64,
) -> Request {
    let all: Vec<UnitId> = engine.ids().collect();
    match wish {
        Wish::Boot => Request::Boot { units: all.into_iter().filter(|_| chance.percent(60)).collect() },
        Wish::StartAll => Request::Start { units: all },
        Wish::End(how) => Request::Shutdown(how),
        Wish::Anything | Wish::Extend if all.is_empty() => sync(chance, files),
        Wish::Anything | Wish::Extend => anything(chance, &all, files, latest),
    }
}

fn anything(chance: &mut Chance, all: &[UnitId], files: &Files, latest: u64) -> Request {
    let one = vec![all[chance.below(all.len() as u64) as usize]];
    let units = match chance.percent(80) {
        true => one,
        false => all.iter().copied().filter(|_| chance.percent(60)).collect(),
    };
    let dependents = if chance.percent(50) { Dependents::Stop } else { Dependents::Refuse };
    let gate = if chance.percent(90) { Gate::Enforced } else { Gate::Skipped };
    let rolling = chance.percent(if units.len() > 1 { 50 } else { 5 });
    let how = if rolling { RestartHow::Rolling } else { RestartHow::Together };
    match chance.below(20) {
        0..3 => Request::Start { units },
        3..6 => Request::Stop { units, dependents },
        6..10 => Request::Restart { units, gate, how },
        10..13 => Request::Reload { units, gate },
        13 => Request::Reset { units },
        14 => Request::Signal { units, signal: Signal::USR1 },
        15 | 16 => abandon(chance, latest),
        _ => sync(chance, files),
    }
}

/// The one before it mostly, else any: also one that was answered, or never made.
fn abandon(chance: &mut Chance, latest: u64) -> Request {
    match chance.percent(70) {
        true if latest.is_multiple_of(3) => Request::Forget { request: RequestId(latest) },
        true => Request::Abandon { request: RequestId(latest) },
        false => Request::Abandon { request: RequestId(chance.below(16)) },
    }
}

fn sync(chance: &mut Chance, files: &Files) -> Request {
    let gate = if chance.percent(85) { Gate::Enforced } else { Gate::Skipped };
    Request::Sync { definitions: changes::definitions(chance, files), gate }
}

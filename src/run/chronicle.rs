//! When each unit did what while sexton booted: what `sexton chart` draws.
//!
//! ```text
//!   boot ──▶ recording: waiting, preparing, testing, starting, ready …, eight bytes each ──▶ all have settled: closed
//! ```
//!
//! It is closed when nothing is on its way any more, so that it costs nothing afterwards and shows the boot for as long
//! as sexton lives. A unit counts from the phase that it enters to the next; what lasts no time is not kept.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::control::wire::{BootChart, ChartBar, ChartMark};
use crate::engine::{Engine, Phase, Role, UnitId};
use crate::model::Moment;

use super::view::micros;

/// A boot in which units come back again and again must not fill PID 1's memory.
const MOST_MARKS_A_UNIT: usize = 16;

/// How fine times are kept.
const TICK: Duration = Duration::from_micros(10);

/// What a unit does from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Doing {
    Waiting,
    Preparing,
    Testing,
    Starting,
    Ready,
    Done,
    Skipped,
    Ending,
    Backoff,
    Failed,
    Stopped,
}

impl Doing {
    const ALL: [Doing; 11] = [
        Doing::Waiting,
        Doing::Preparing,
        Doing::Testing,
        Doing::Starting,
        Doing::Ready,
        Doing::Done,
        Doing::Skipped,
        Doing::Ending,
        Doing::Backoff,
        Doing::Failed,
        Doing::Stopped,
    ];

    fn of(phase: Phase) -> Doing {
        match phase {
            Phase::Waiting => Doing::Waiting,
            Phase::Preparing | Phase::Deferred => Doing::Preparing,
            Phase::Starting | Phase::PostStarting => Doing::Starting,
            Phase::Ready => Doing::Ready,
            Phase::Done => Doing::Done,
            Phase::Skipped => Doing::Skipped,
            Phase::Stopping | Phase::Killing | Phase::CleaningUp => Doing::Ending,
            Phase::Backoff => Doing::Backoff,
            Phase::Failed => Doing::Failed,
            Phase::Stopped => Doing::Stopped,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Doing::Waiting => "waiting",
            Doing::Preparing => "preparing",
            Doing::Testing => "testing",
            Doing::Starting => "starting",
            Doing::Ready => "ready",
            Doing::Done => "done",
            Doing::Skipped => "skipped",
            Doing::Ending => "ending",
            Doing::Backoff => "back-off",
            Doing::Failed => "failed",
            Doing::Stopped => "stopped",
        }
    }

    /// It will do something else by itself, soon.
    fn is_on_its_way(self) -> bool {
        match self {
            Doing::Waiting | Doing::Preparing | Doing::Testing | Doing::Starting | Doing::Ending => true,
            Doing::Ready | Doing::Done | Doing::Skipped | Doing::Backoff | Doing::Failed | Doing::Stopped => {
                false
            }
        }
    }

    /// What comes after it need wait no longer.
    fn is_settled(self) -> bool {
        matches!(self, Doing::Ready | Doing::Done | Doing::Skipped | Doing::Failed)
    }
}

/// From `at`, counted in [`TICK`]s, a unit does something. Eight bytes: there are thousands.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: u32,
    /// The unit's id, and in the lowest four bits what it does.
    what: u32,
}

impl Mark {
    fn unit(self) -> UnitId {
        UnitId::from_index((self.what >> 4) as usize)
    }

    fn doing(self) -> Doing {
        Doing::ALL.get((self.what & 15) as usize).copied().unwrap_or(Doing::Stopped)
    }

    fn after(self) -> Duration {
        TICK * self.at
    }
}

/// The record of a boot.
#[derive(Debug)]
pub struct Chronicle {
    started: Moment,
    marks: Vec<Mark>,
    most: usize,
    on_their_way: usize,
    is_open: bool,
}

impl Chronicle {
    /// A record of what `units` units do from `started` on.
    pub fn new(started: Moment, units: usize) -> Chronicle {
        // Waiting, starting, ready: to grow by doubling would take as much again.
        let marks = Vec::with_capacity(units.saturating_mul(3));
        let most = MOST_MARKS_A_UNIT.saturating_mul(units.max(64));
        Chronicle { started, marks, most, on_their_way: 0, is_open: true }
    }

    /// Is there anything to tell it yet?
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// A unit went from one phase to another.
    pub fn changed(&mut self, unit: UnitId, from: Phase, to: Phase, now: Moment) {
        let (from, to) = (Doing::of(from), Doing::of(to));
        match (from.is_on_its_way(), to.is_on_its_way()) {
            (false, true) => self.on_their_way += 1,
            (true, false) => self.on_their_way = self.on_their_way.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
        self.put(unit, to, now);
        if self.on_their_way == 0 {
            self.close();
        }
    }

    /// A process of a unit was ordered: a configtest has a colour of its own.
    pub fn spawned(&mut self, unit: UnitId, role: Role, now: Moment) {
        match role {
            Role::ConfigTest => self.put(unit, Doing::Testing, now),
            Role::Prepare(_) | Role::PreStart(_) | Role::Condition => self.put(unit, Doing::Preparing, now),
            Role::Main
            | Role::Trial(_)
            | Role::PostStart(_)
            | Role::Reload
            | Role::ReloadVerify
            | Role::PreStop(_)
            | Role::Undo(_)
            | Role::StopCommand
            | Role::PostStop(_) => {}
        }
    }

    /// The unit is no more; another may get its id.
    pub fn forget(&mut self, unit: UnitId) {
        self.marks.retain(|mark| mark.unit() != unit);
    }

    fn put(&mut self, unit: UnitId, doing: Doing, now: Moment) {
        let Ok(index) = u32::try_from(unit.index()) else { return };
        // A number that does not fit is a hidden run of a unit that has two.
        let Some(what) = index.checked_mul(16).map(|what| what | doing as u32) else { return };
        let ticks = now.since(self.started).as_micros() / TICK.as_micros();
        let mark = Mark { at: u32::try_from(ticks).unwrap_or(u32::MAX), what };
        let is_full = self.marks.len() >= self.most;
        match self.marks.last_mut() {
            _ if !self.is_open => {}
            Some(last) if last.what == what => {}
            Some(last) if last.unit() == unit && last.at == mark.at => *last = mark,
            _ if is_full => self.close(),
            _ => self.marks.push(mark),
        }
    }

    fn close(&mut self) {
        self.is_open = false;
        self.marks.shrink_to_fit();
    }

    /// All that is known, with the unit that each unit waited for longest.
    pub fn told(&self, engine: &Engine, wall_usec: u64) -> BootChart {
        let mut own: Marks = BTreeMap::new();
        self.marks.iter().for_each(|mark| own.entry(mark.unit()).or_default().push(*mark));
        let mut chart = BootChart {
            started_usec: wall_usec,
            length_usec: micros(self.marks.last().map(|mark| mark.after()).unwrap_or_default()),
            is_over: !self.is_open,
            bars: Vec::new(),
        };
        for id in engine.ids_by_name() {
            let Some(marks) = own.get(id) else { continue };
            chart.bars.push(ChartBar {
                unit: engine.unit(*id).name().to_string(),
                held_by: held_by(engine, *id, &own),
                marks: lasting(marks),
            });
        }
        chart
    }
}

/// The marks of each unit, in their order.
type Marks = BTreeMap<UnitId, Vec<Mark>>;

/// Whom a unit waited for: of those that it comes after the one that settled last before it went on.
fn held_by(engine: &Engine, id: UnitId, own: &Marks) -> Option<String> {
    let went_on = own.get(&id)?.iter().find(|mark| mark.doing() != Doing::Waiting)?.at;
    let unit = engine.unit(id).unit()?;
    let earlier = unit.needs.iter().chain(unit.wants.iter()).chain(unit.after.iter());
    let settled = earlier.filter_map(|name| {
        let other = engine.find(name.as_str())?;
        let at = own.get(&other)?.iter().find(|mark| mark.doing().is_settled())?.at;
        (at <= went_on && other != id).then_some((at, name))
    });
    settled.max_by_key(|(at, _)| *at).map(|(_, name)| name.to_string())
}

/// Marks as the wire has them, without those that lasted no time.
fn lasting(marks: &[Mark]) -> Vec<ChartMark> {
    let next = marks.iter().skip(1).map(Some).chain([None]);
    let kept = marks.iter().zip(next).filter(|(mark, next)| next.is_none_or(|next| next.at > mark.at));
    kept.map(|(mark, _)| ChartMark { doing: mark.doing().as_str().to_owned(), at_usec: micros(mark.after()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Options;
    use crate::run::load::{self, UnitPaths, scratch::Scratch};

    fn engine() -> Engine {
        let scratch = Scratch::new();
        scratch.file("units/a.toml", "");
        scratch.file("units/b.toml", "");
        scratch.file("units/c.toml", "needs = [\"a\", \"b\"]");
        let loaded = load::load(&UnitPaths::directory(&scratch.path("units")));
        Engine::new(loaded.entries, Options { shutdown_timeout: Duration::ZERO, random_seed: 0 })
    }

    fn at(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    /// In the order of their names.
    fn ids() -> [UnitId; 3] {
        [0, 1, 2].map(UnitId::from_index)
    }

    #[test]
    fn a_boot_is_told_with_whom_each_unit_waited_for_and_closed_when_all_have_settled() {
        use Phase::{Preparing, Ready, Starting, Stopped, Waiting};
        let [a, b, c] = ids();
        let mut chronicle = Chronicle::new(at(0), 3);
        for unit in [a, b, c] {
            chronicle.changed(unit, Stopped, Waiting, at(1));
        }
        for unit in [a, b] {
            chronicle.changed(unit, Waiting, Preparing, at(1));
        }
        chronicle.spawned(b, Role::ConfigTest, at(2));
        chronicle.changed(a, Preparing, Starting, at(3));
        chronicle.changed(b, Preparing, Starting, at(4));
        chronicle.changed(a, Starting, Ready, at(10));
        chronicle.changed(b, Starting, Ready, at(20));
        chronicle.changed(c, Waiting, Starting, at(20));
        assert!(chronicle.is_open());
        chronicle.changed(c, Starting, Ready, at(30));
        assert!(!chronicle.is_open());
        chronicle.changed(a, Ready, Phase::Stopping, at(99));

        let chart = chronicle.told(&engine(), 7);
        assert_eq!((chart.started_usec, chart.length_usec, chart.is_over), (7, 30_000, true));
        let told: Vec<String> = chart
            .bars
            .iter()
            .map(|bar| {
                let marks: Vec<String> =
                    bar.marks.iter().map(|mark| format!("{} {}", mark.doing, mark.at_usec)).collect();
                format!("{} ({}): {}", bar.unit, bar.held_by.as_deref().unwrap_or("-"), marks.join(", "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "a (-): preparing 1000, starting 3000, ready 10000",
                "b (-): preparing 1000, testing 2000, starting 4000, ready 20000",
                "c (b): waiting 1000, starting 20000, ready 30000",
            ]
        );
    }

    #[test]
    fn a_unit_that_comes_back_for_ever_fills_no_memory() {
        let [a, b, _] = ids();
        let mut chronicle = Chronicle::new(at(0), 1);
        chronicle.changed(a, Phase::Stopped, Phase::Waiting, at(0));
        for turn in 0..100_000 {
            chronicle.changed(b, Phase::Backoff, Phase::Starting, at(2 * turn));
            chronicle.changed(b, Phase::Starting, Phase::Backoff, at(2 * turn + 1));
        }
        assert!(chronicle.marks.len() <= 64 * MOST_MARKS_A_UNIT && !chronicle.is_open());
    }

    #[test]
    fn a_unit_that_is_no_more_leaves_nothing_to_who_gets_its_id() {
        let [a, b, _] = ids();
        let mut chronicle = Chronicle::new(at(0), 2);
        chronicle.changed(a, Phase::Stopped, Phase::Waiting, at(0));
        chronicle.changed(b, Phase::Stopped, Phase::Waiting, at(0));
        chronicle.forget(a);
        let names: Vec<String> = chronicle.told(&engine(), 0).bars.into_iter().map(|bar| bar.unit).collect();
        assert_eq!(names, ["b"]);
    }
}

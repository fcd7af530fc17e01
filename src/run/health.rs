//! Is all ready that should be? What a probe asks once a second.
//!
//! | | is asked for | well is |
//! | --- | --- | --- |
//! | without names | what is wanted up, and what has failed | ready, done or skipped |
//! | with names | each of them | the same |
//!
//! A sexton that shuts down is not well, whatever still serves: nobody should be sent to it any more.

use crate::control::wire::{Health, UnitStatus};
use crate::engine::{Engine, Phase, UnitId, Wanted};

use super::disk::OnDisk;
use super::view::{self, Times};

/// How the units named are, or all of them.
pub fn health(engine: &Engine, named: Option<&[UnitId]>, times: Times) -> Health {
    let is_asked_for = |id: &UnitId| {
        let view = engine.unit(*id);
        view.wanted() == Wanted::Up || view.phase() == Phase::Failed
    };
    let asked: Vec<UnitId> =
        named.map_or_else(|| engine.ids().filter(is_asked_for).collect(), <[UnitId]>::to_vec);
    let unwell = asked.into_iter().filter(|id| !is_well(engine.unit(*id).phase()));
    let units: Vec<UnitStatus> =
        unwell.map(|id| view::unit_status(engine, id, times, None, OnDisk::default())).collect();
    let state = match (engine.is_shutting_down(), units.is_empty()) {
        (true, _) => "shutting-down",
        (false, true) => "healthy",
        (false, false) => "unhealthy",
    };
    Health { state: state.to_owned(), units }
}

fn is_well(phase: Phase) -> bool {
    match phase {
        Phase::Ready | Phase::Done | Phase::Skipped => true,
        Phase::Stopped
        | Phase::Waiting
        | Phase::Preparing
        | Phase::Deferred
        | Phase::Starting
        | Phase::PostStarting
        | Phase::Stopping
        | Phase::Killing
        | Phase::CleaningUp
        | Phase::Backoff
        | Phase::Failed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Moment;

    #[test]
    fn who_may_be_relied_on_is_well_and_nobody_else() {
        let well = [Phase::Ready, Phase::Done, Phase::Skipped];
        assert!(well.into_iter().all(is_well));
        for phase in [Phase::Starting, Phase::PostStarting, Phase::Stopping, Phase::Backoff, Phase::Failed] {
            assert!(!is_well(phase), "{phase:?}");
        }
    }

    #[test]
    fn nothing_that_is_wanted_is_well() {
        let options = crate::engine::Options { shutdown_timeout: std::time::Duration::ZERO, random_seed: 0 };
        let engine = Engine::new(Vec::new(), options);
        let times = Times { now: Moment::default(), started: Moment::default() };
        assert_eq!(health(&engine, None, times).state, "healthy");
    }
}

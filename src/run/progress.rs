//! How far a request has come, in the words of the wire.

use crate::control::wire;
use crate::engine::{Engine, HookNews, Progress, Tested, TransactionPhase};
use crate::model::unit::Until;
use crate::model::{Moment, UnitName};

/// News of a request.
pub fn progress(engine: &Engine, progress: &Progress, now: Moment) -> wire::Progress {
    match progress {
        Progress::Phase(phase) => of_phase(phase),
        Progress::Tested { unit, passed } => wire::Progress {
            about: "test".to_owned(),
            news: match passed {
                Tested::Passed => "passed",
                Tested::Failed => "failed",
                Tested::Untested => "untested",
                Tested::Skipped => "skipped",
            }
            .to_owned(),
            unit: Some(unit.to_string()),
            ..wire::Progress::default()
        },
        Progress::Hook { unit, hook, news, until } => wire::Progress {
            unit: Some(unit.to_string()),
            hook: Some(hook.clone()),
            below: goal(engine, unit, hook),
            left_usec: Some(u64::try_from(until.since(now).as_micros()).unwrap_or(u64::MAX)),
            ..of_hook(news)
        },
    }
}

fn of_phase(phase: &TransactionPhase) -> wire::Progress {
    let news = |news: &str| wire::Progress {
        about: "phase".to_owned(),
        news: news.to_owned(),
        ..wire::Progress::default()
    };
    match phase {
        TransactionPhase::Testing => news("testing"),
        TransactionPhase::PreStopping => news("pre-stopping"),
        TransactionPhase::TestingAgain => news("testing-again"),
        TransactionPhase::Undoing => news("undoing"),
        TransactionPhase::Overlapping => news("overlapping"),
        TransactionPhase::Stopping => news("stopping"),
        TransactionPhase::Starting => news("starting"),
        TransactionPhase::Reloading => news("reloading"),
        TransactionPhase::Rolling { unit, nth, of } => {
            wire::Progress { unit: Some(unit.to_string()), nth: Some(*nth), of: Some(*of), ..news("rolling") }
        }
    }
}

fn of_hook(news: &HookNews) -> wire::Progress {
    let (word, reason, numbers) = match news {
        HookNews::Began => ("began", None, None),
        HookNews::Measured { first, now } => ("measured", None, Some((first.get(), now.get()))),
        HookNews::Done => ("done", None, None),
        HookNews::Failed(words) => ("failed", Some(words.clone()), None),
        HookNews::Undone => ("undone", None, None),
        HookNews::UndoFailed(words) => ("undo-failed", Some(words.clone()), None),
    };
    wire::Progress {
        about: "hook".to_owned(),
        news: word.to_owned(),
        reason,
        first: numbers.map(|(first, _)| first),
        now: numbers.map(|(_, now)| now),
        ..wire::Progress::default()
    }
}

/// Below which number a hook is done.
fn goal(engine: &Engine, unit: &UnitName, hook: &str) -> Option<f64> {
    let unit = engine.unit(engine.find(unit.as_str())?).unit()?;
    let hook = unit.program()?.hooks.pre_stop.iter().find(|one| one.name == hook)?;
    match &hook.until {
        Some(Until::NumberBelow(goal)) => Some(goal.get()),
        Some(Until::Exit(_) | Until::Matches(_)) | None => None,
    }
}

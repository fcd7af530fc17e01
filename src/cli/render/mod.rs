//! What each answer looks like to a person: types of the wire in, a screen out. Pure.
//!
//! ```text
//!   list     a line a unit                         answer   what came of a request; why; events
//!   status   sexton itself, a unit, all of a unit  tree     what depends on what
//!   plan     what a change would do                progress how one gets on
//!   chart    the boot, as text and as a picture
//! ```

mod answer;
pub mod chart;
mod health;
mod list;
mod plan;
mod progress;
mod status;
mod tree;

pub use answer::{event, explanation, report};
pub use health::health;
pub use list::list;
pub use plan::{plan, refused_plan};
pub use progress::{Board, Look};
pub use status::{details, manager, unit};
pub use tree::tree;

use std::time::Duration;

use crate::control::wire::UnitStatus;
use crate::model::time::Spoken;

/// The end of the year 9999: what comes after it has no RFC 3339 form.
const LAST_WRITABLE_USEC: u64 = 253_402_300_799_999_999;

/// A duration of the wire in words.
fn spoken(usec: u64) -> String {
    Spoken(Duration::from_micros(usec)).to_string()
}

/// `ready for 3 min 5 s, pid 7`.
fn state_in_words(unit: &UnitStatus) -> String {
    let mut words = format!("{} for {}", unit.state, spoken(unit.since_usec));
    if let Some(pid) = unit.main_pid {
        words += &format!(", pid {pid}");
    }
    words
}

/// What is to be known of a unit though its state says nothing of it, as a clause; `None` where there is nothing.
fn remark(unit: &UnitStatus) -> Option<String> {
    let gone =
        unit.file_gone.as_ref().map(|file| format!("its file is gone: {file}; the next sync stops it"));
    let changed = (!unit.changed_since_start.is_empty())
        .then(|| format!("{} changed since start", unit.changed_since_start.join(" and ")));
    let failed = unit.test_failed_ago_usec.map(|ago| format!("its last test failed {} ago", spoken(ago)));
    let clauses: Vec<String> = [gone, changed, failed].into_iter().flatten().collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

#[cfg(test)]
mod samples {
    use super::*;

    pub(super) fn unit(name: &str, state: &str, seconds: u64) -> UnitStatus {
        UnitStatus {
            name: name.into(),
            kind: "service".into(),
            state: state.into(),
            wanted: "up".into(),
            since_usec: seconds * 1_000_000,
            ..UnitStatus::default()
        }
    }

    pub(super) fn store() -> UnitStatus {
        UnitStatus {
            description: "Keeps what the others know".into(),
            main_pid: Some(7),
            ..unit("store", "ready", 185)
        }
    }

    pub(super) fn web() -> UnitStatus {
        UnitStatus {
            description: "The web application".into(),
            restarts: 5,
            reason: Some("exited with code 1 before it was ready".into()),
            last_end: Some("exited with code 1".into()),
            ..unit("web", "failed", 12)
        }
    }
}

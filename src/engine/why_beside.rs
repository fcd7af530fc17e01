//! Why, continued: what is done beside a unit, and what its configuration test said.

use crate::model::Moment;
use crate::model::time::Spoken;

use super::Engine;
use super::effect::Reason;
use super::errand::{Doing, Owner};
use super::event::{Role, UnitId};
use super::overlap::Which;
use super::state::Phase;
use super::transaction::Step;
use super::why::source;

impl Engine {
    /// What a request does beside the unit, and what it means for it.
    pub(super) fn explain_errand(&self, unit: UnitId, now: Moment, sentences: &mut Vec<String>) {
        let name = self.cell(unit).name();
        let Some(errand) = self.errands.get(&unit) else {
            if let Some(by) = self.claims.get(&unit) {
                sentences.push(format!(
                    "{} has begun with {name} and other units, and has not touched them",
                    asked_for(self.wish_of(*by))
                ));
            }
            return;
        };
        let wish = match errand.owner {
            Owner::Request(_) => asked_for(errand.reason),
            Owner::Shutdown => asked_for(Reason::Shutdown),
        };
        let left = Spoken(errand.limit.since(now));
        let pid = errand.process.pid().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        let hook = |place| self.hook_name(unit, place).unwrap_or_default();
        sentences.push(match (&errand.end, errand.doing) {
            (Some(_), _) => format!("what {wish} did beside {name} is being ended{pid}"),
            (None, Doing::Turn) => format!("{wish} tests the configuration of {name} once its own start has got further"),
            (None, Doing::Process(Role::PreStop(place)) | Doing::Pause(Role::PreStop(place))) => format!(
                "{wish} is running its pre-stop hook '{}'{pid}, which has another {left}; {name} serves until then",
                hook(place)
            ),
            (None, Doing::Process(Role::Undo(place))) => {
                format!("{wish} was given up, and the undo of its pre-stop hook '{}' runs{pid}", hook(place))
            }
            (None, Doing::Inspection) => format!("{wish} looks at what {name} requires; nothing was touched"),
            (None, Doing::Process(role @ Role::Trial(_))) => {
                format!("{wish} runs {role}{pid}, which has another {left}; nothing was touched")
            }
            (None, Doing::Process(role)) => format!("{wish} runs {role}{pid}, which has another {left}"),
            (None, Doing::Settle | Doing::Probe | Doing::Pause(_)) => {
                format!("{name} was told to read its configuration again, and has another {left} to show that it serves")
            }
        });
    }

    /// In an overlapping restart: the process that is to come, or the one that was before.
    pub(super) fn explain_other_run(&self, unit: UnitId, now: Moment, sentences: &mut Vec<String>) {
        let Some(run) = self.other_run(unit) else { return };
        let name = self.cell(unit).name();
        let pid = run.main_pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        let (phase, since) = (run.phase, Spoken(now.since(run.since)));
        sentences.push(match (run.which, run.phase) {
            (Which::Successor, Phase::Ready) => format!(
                "a restart has its successor{pid} ready for {since}, which takes over before {name} is told to stop"
            ),
            (Which::Successor, _) => format!(
                "a restart has had its successor{pid} {phase} for {since}; {name} serves until that is ready"
            ),
            (Which::Predecessor, _) => {
                format!("the process before{pid} that it took over from has been {phase} for {since}")
            }
        });
    }

    /// What is wanting for a start.
    pub(super) fn explain_deferred(&self, unit: UnitId, left: &str) -> String {
        let wanting = self.notes.get(&unit).and_then(|notes| notes.wanting.as_ref());
        let because = wanting.map(|error| format!(": {error}")).unwrap_or_default();
        format!(
            "{} cannot be started at the moment{because}; it is tried again{left}",
            self.cell(unit).name()
        )
    }

    /// What is not there.
    pub(super) fn explain_skipped(&self, unit: UnitId) -> String {
        let words = self.notes.get(&unit).and_then(|notes| notes.skipped.as_deref());
        let what = words.unwrap_or("something is not there");
        let cell = self.cell(unit);
        format!(
            "{} was skipped and counts as done: {what} (`skip-unless-exists`{})",
            cell.name(),
            source(cell)
        )
    }

    /// A hook that failed, or the stop command, in the present run or at its end.
    pub(super) fn explain_passed_over(&self, unit: UnitId, now: Moment, sentences: &mut Vec<String>) {
        let passed_over = self.notes.get(&unit).and_then(|notes| notes.passed_over.as_ref());
        if let Some((at, failure)) = passed_over {
            let ago = Spoken(now.since(*at));
            sentences.push(format!("{}, {ago} ago, and was passed over", self.words(failure)));
        }
    }

    /// The units that a restart stops before it lets go of this one.
    pub(super) fn holders_up(&self, unit: UnitId) -> Vec<UnitId> {
        let holding = self.cell(unit).requests.iter().filter(|(_, step)| *step == Step::Stopping);
        let transactions = holding.filter_map(|(id, _)| self.transactions.get(id));
        let units = transactions.flat_map(|transaction| transaction.to_stop.iter().copied());
        units.filter(|other| *other != unit && !self.cell(*other).standing.down).collect()
    }

    /// A test that failed since the unit was started: what holds every restart and reload back.
    pub(super) fn explain_last_test(&self, unit: UnitId, now: Moment, sentences: &mut Vec<String>) {
        let view = self.unit(unit);
        let Some((at, failure)) = view.last_test().and_then(|test| Some((test.at, test.failure?))) else {
            return;
        };
        let (name, ago) = (view.name(), Spoken(now.since(at)));
        sentences.push(format!("the last test of {name}, {ago} ago, failed: {}", self.words(failure)));
    }
}

/// `a restart that was asked for`.
fn asked_for(reason: Reason) -> &'static str {
    match reason {
        Reason::Start => "a start that was asked for",
        Reason::Restart => "a restart that was asked for",
        Reason::Reload => "a reload that was asked for",
        Reason::Stop => "a stop that was asked for",
        Reason::Shutdown => "the shutdown",
    }
}

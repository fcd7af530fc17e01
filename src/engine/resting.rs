//! After the end: clear what was left, run the post-stop hooks, and decide between restart and rest.
//!
//! ```text
//!   clear_group ─▶ GroupsTerminated ─1 s─▶ GroupsKilled ─5 s─▶ post_stop ─▶ … ─▶ finish
//!        ▲                                                                       │
//!        └──── the hooks left somebody ◀─────────────────────────────────────────┤
//!        wanted down, or held ─▶ Stopped ◀── Rest ◀──────────────────────────────┤ verdict
//!        a clean end ──────────▶ Stopped ◀── End ◀───────────────────────────────┤
//!        no policy, limit ─────▶ Failed  ◀── Fail ◀──────────────────────────────┤
//!        back-off ─────────────▶ Backoff ◀── Again ◀─────────────────────────────┘
//! ```

use std::time::Duration;

use crate::model::process::Ending as ProcessEnding;
use crate::model::unit::RestartOn;
use crate::model::{ExitStatus, Moment, Pid, SpawnError};

use super::Engine;
use super::cell::{LastEnd, Quality};
use super::effect::{Effect, NextRun};
use super::event::{Role, UnitId};
use super::failure::{Failure, Outcome};
use super::preparing::deferral;
use super::state::{Attempt, CleanStage, Ending, Process, State, Wanted};
use super::stopping::KILL_WAIT;

/// How often a post-stop hook that cannot be created is tried: about ten seconds, for a stop has to end.
const POST_STOP_TRIES: u16 = 20;

/// The most restarts that are remembered of one unit, so that its memory is bounded. A greater `limit`
/// counts as this.
const MAX_RESTART_TIMES: u32 = 1000;

/// What the end of a main process means, by its code alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It ended, which is no failure.
    Ended,
    /// It failed.
    Failed,
    /// It failed and says itself that trying again is useless.
    Final,
}

enum Verdict {
    Rest,
    End,
    Fail(Failure),
    Again(Duration),
}

impl Engine {
    /// What the unit's restart policy says of this end.
    pub(super) fn restarts_after(&self, unit: UnitId, status: ExitStatus) -> After {
        let Some(program) = self.cell(unit).program() else { return After::Failed };
        match status.ending() {
            ProcessEnding::Code(code) if program.restart.codes_final.contains(&code) => After::Final,
            ProcessEnding::Code(code) if program.restart.codes_ok.contains(&code) => After::Ended,
            ProcessEnding::Code(_) | ProcessEnding::Signal(_) | ProcessEnding::Unknown => After::Failed,
        }
    }

    /// Notes how the main process ended.
    pub(super) fn note_end(&mut self, unit: UnitId, status: ExitStatus) {
        let told = matches!(
            self.cell(unit).state,
            State::Stopping { ending: Ending::Told, .. } | State::Killing { ending: Ending::Told, .. }
        );
        let clean = match (told, self.cell(unit).program(), status.ending()) {
            (true, Some(program), ProcessEnding::Code(code)) => program.stop.codes_ok.contains(&code),
            (true, Some(program), ProcessEnding::Signal(signal)) => program.stop.signals_ok.contains(&signal),
            // It did what it was told, as far as anybody can say.
            (true, Some(_), ProcessEnding::Unknown) => true,
            _ => self.restarts_after(unit, status) == After::Ended,
        };
        let quality = if clean { Quality::Clean } else { Quality::Unclean };
        let at = self.now;
        self.cell_mut(unit).last_end = Some(LastEnd { status, at, quality });
    }

    /// Notes why the present run fails.
    pub(super) fn note_failure(&mut self, unit: UnitId, failure: Failure) {
        self.cell_mut(unit).failure = Some(Box::new(failure));
    }

    /// The run failed before any process of it was started.
    pub(super) fn run_failed(&mut self, unit: UnitId, failure: Failure) {
        self.note_failure(unit, failure);
        self.finish(unit, Ending::Failed);
    }

    /// The main process of a unit that is up ended by itself.
    pub(super) fn ready_exited(&mut self, unit: UnitId, main: Pid, pid: Pid, status: ExitStatus) {
        if main != pid {
            // A main process that named another one may end at any time.
            return;
        }
        self.note_end(unit, status);
        let cell = self.cell(unit);
        let stable = cell.program().map_or(Duration::MAX, |program| program.restart.stable);
        if self.now.since(cell.since) >= stable {
            self.cell_mut(unit).doublings = 0;
        }
        let ending = match self.restarts_after(unit, status) {
            After::Ended => Ending::Ended,
            After::Failed | After::Final => {
                self.note_failure(unit, Failure::Exited { role: Role::Main, status, before_ready: false });
                Ending::Failed
            }
        };
        self.clear_group(unit, Some(pid), ending);
    }

    /// The post-stop hook of this place; after the last one the run is over.
    pub(super) fn post_stop(&mut self, unit: UnitId, hook: u16, ending: Ending) {
        self.order_post_stop(unit, hook, 0, ending);
    }

    fn order_post_stop(&mut self, unit: UnitId, hook: u16, tries: u16, ending: Ending) {
        let there =
            self.cell(unit).program().is_some_and(|p| p.hooks.post_stop.get(usize::from(hook)).is_some());
        // They would tell of the end of a service whose old process serves on.
        if !there || self.is_hurried() || self.is_successor(unit) {
            return self.finish(unit, ending);
        }
        let stage = CleanStage::Hook { hook, process: Process::Ordered(tries) };
        self.enter(unit, State::CleaningUp { stage, ending });
        self.order(unit, Role::PostStop(hook), None);
    }

    pub(super) fn post_stop_spawned(&mut self, unit: UnitId, stage: CleanStage, ending: Ending, pid: Pid) {
        let CleanStage::Hook { hook, process: Process::Ordered(_) } = stage else { return self.impossible() };
        let stage = CleanStage::Hook { hook, process: Process::Running(pid) };
        self.amend(unit, State::CleaningUp { stage, ending });
        self.arm(unit, self.hook_timeout(unit, Role::PostStop(hook)));
        if self.is_hurried() {
            self.hurry_cleaning(unit, stage, ending);
        }
    }

    pub(super) fn post_stop_spawn_failed(
        &mut self,
        unit: UnitId,
        stage: CleanStage,
        ending: Ending,
        error: SpawnError,
    ) {
        let CleanStage::Hook { hook, process: Process::Ordered(tries) } = stage else {
            return self.impossible();
        };
        if error.is_transient() && tries < POST_STOP_TRIES && !self.is_hurried() {
            let stage = CleanStage::Hook { hook, process: Process::Deferred(tries) };
            self.amend(unit, State::CleaningUp { stage, ending });
            return self.arm(unit, deferral(tries));
        }
        self.pass_over(unit, Failure::Spawn { role: Role::PostStop(hook), error });
        self.post_stop(unit, hook.saturating_add(1), ending);
    }

    /// A post-stop hook ended. How it ended changes nothing: the unit is down all the same.
    pub(super) fn post_stop_exited(
        &mut self,
        unit: UnitId,
        stage: CleanStage,
        ending: Ending,
        pid: Pid,
        status: ExitStatus,
    ) {
        let CleanStage::Hook { hook, process } = stage else { return };
        if process.pid() != Some(pid) {
            return;
        }
        let role = Role::PostStop(hook);
        match process {
            Process::Killed(_) => self.post_stop_late(unit, role),
            _ if !status.is_success() => {
                self.pass_over(unit, Failure::Exited { role, status, before_ready: false });
            }
            _ => {}
        }
        self.post_stop(unit, hook.saturating_add(1), ending);
    }

    fn post_stop_late(&mut self, unit: UnitId, role: Role) {
        let after = self.hook_timeout(unit, role);
        self.pass_over(unit, Failure::TimedOut { role, after, output: Vec::new() });
    }

    pub(super) fn cleaning_deadline(&mut self, unit: UnitId, stage: CleanStage, ending: Ending) {
        match stage {
            CleanStage::GroupsTerminated { next } => self.kill_leftovers(unit, next, ending),
            CleanStage::GroupsKilled { next } => self.give_groups_up(unit, next, ending),
            CleanStage::Hook { hook, process: Process::Deferred(tries) } => {
                self.order_post_stop(unit, hook, tries.saturating_add(1), ending);
            }
            CleanStage::Hook { hook, process: Process::Running(pid) } => {
                self.kill_post_stop(unit, hook, pid, ending);
            }
            CleanStage::Hook { hook, process: Process::Killed(_) } => {
                self.tally.given_up += 1;
                self.post_stop_late(unit, Role::PostStop(hook));
                self.post_stop(unit, hook.saturating_add(1), ending);
            }
            CleanStage::Hook { process: Process::None | Process::Ordered(_) | Process::Gone(_), .. } => {
                self.impossible();
            }
        }
    }

    pub(super) fn hurry_cleaning(&mut self, unit: UnitId, stage: CleanStage, ending: Ending) {
        match stage {
            CleanStage::GroupsTerminated { next } => self.kill_leftovers(unit, next, ending),
            CleanStage::Hook { hook, process: Process::Running(pid) } => {
                self.kill_post_stop(unit, hook, pid, ending);
            }
            CleanStage::Hook { process: Process::Deferred(_), .. } => self.finish(unit, ending),
            CleanStage::GroupsKilled { .. } | CleanStage::Hook { .. } => {}
        }
    }

    fn kill_post_stop(&mut self, unit: UnitId, hook: u16, pid: Pid, ending: Ending) {
        self.kill_group(unit, pid);
        let stage = CleanStage::Hook { hook, process: Process::Killed(pid) };
        self.amend(unit, State::CleaningUp { stage, ending });
        self.arm(unit, KILL_WAIT);
    }

    /// Nothing of the run is left, but for what its last hooks left.
    pub(super) fn finish(&mut self, unit: UnitId, ending: Ending) {
        if self.has_groups(unit) {
            return self.clear_groups(unit, u16::MAX, ending);
        }
        self.cell_mut(unit).tested = false;
        if self.hidden_finished(unit, ending) {
            return;
        }
        let verdict = self.verdict(unit, ending);
        let follows = match verdict {
            Verdict::Again(_) => true,
            Verdict::Rest => self.cell(unit).wanted == Wanted::Up,
            Verdict::End | Verdict::Fail(_) => false,
        };
        let overlaps = self.overlaps.contains_key(&unit);
        let next = match follows {
            _ if overlaps => NextRun::Overlaps,
            true => NextRun::Follows,
            false => NextRun::None,
        };
        self.cell_mut(unit).kept = follows || overlaps;
        self.do_this(Effect::CleanUp { unit, next });
        match verdict {
            Verdict::Rest => self.rest(unit),
            Verdict::End => self.end(unit),
            Verdict::Fail(failure) => self.fail(unit, failure),
            Verdict::Again(delay) => self.back_off(unit, delay),
        }
    }

    fn verdict(&mut self, unit: UnitId, ending: Ending) -> Verdict {
        let cell = self.cell(unit);
        if let Some(by) = cell.doom {
            return Verdict::Fail(Failure::Dependency(by));
        }
        if self.awaits_successor(unit) {
            return Verdict::Rest;
        }
        let Some(program) = cell.program() else { return Verdict::Rest };
        let on = program.restart.on;
        if cell.goes_down() {
            return Verdict::Rest;
        }
        let failure = cell.failure.as_deref().cloned();
        match (ending, failure) {
            (Ending::Told | Ending::Completed, _) => Verdict::Rest,
            (Ending::Ended, _) if on != RestartOn::Always => Verdict::End,
            (Ending::Failed, Some(failure)) if on == RestartOn::Never || self.is_final(unit, &failure) => {
                Verdict::Fail(failure)
            }
            (Ending::Failed, Some(failure)) => self.again(unit, failure),
            (Ending::Ended | Ending::Failed, _) => match cell.last_end {
                Some(LastEnd { status, .. }) => {
                    self.again(unit, Failure::Exited { role: Role::Main, status, before_ready: false })
                }
                None => Verdict::End,
            },
        }
    }

    fn is_final(&self, unit: UnitId, failure: &Failure) -> bool {
        match failure {
            Failure::Unmet(_) => true,
            Failure::Exited { role: Role::Main, status, .. } => {
                self.restarts_after(unit, *status) == After::Final
            }
            _ => false,
        }
    }

    /// A restart, if the limit leaves one.
    fn again(&mut self, unit: UnitId, last: Failure) -> Verdict {
        let now = self.now;
        let Some(restart) = self.cell(unit).program().map(|program| program.restart.clone()) else {
            return Verdict::Rest;
        };
        let cell = self.cell_mut(unit);
        forget_before(&mut cell.restart_times, now, restart.window);
        let used = u32::try_from(cell.restart_times.len()).unwrap_or(u32::MAX);
        if used >= restart.limit.min(MAX_RESTART_TIMES) {
            let last = Box::new(last);
            return Verdict::Fail(Failure::RestartLimit { restarts: used, window: restart.window, last });
        }
        let base = restart.delay.saturating_mul(1 << cell.doublings.min(20)).min(restart.max_delay);
        cell.doublings = cell.doublings.saturating_add(1);
        let spread = base.saturating_mul(restart.jitter.min(1000)) / 1000;
        let chance = self.random.below(u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX));
        self.note_failure(unit, last);
        Verdict::Again(base.saturating_sub(Duration::from_nanos(chance)))
    }

    fn back_off(&mut self, unit: UnitId, delay: Duration) {
        self.attempt_failed(unit, Some(delay));
        if delay.is_zero() {
            return self.try_again(unit);
        }
        self.enter(unit, State::Backoff);
        self.arm(unit, delay);
    }

    /// The back-off has passed.
    pub(super) fn try_again(&mut self, unit: UnitId) {
        self.cell_mut(unit).reason = super::effect::Reason::Restart;
        self.enter(unit, State::Waiting { attempt: Attempt::Restart });
        self.look_at(unit);
    }

    /// Counts a restart at the moment when it begins; what the window has left behind is forgotten.
    pub(super) fn count_restart(&mut self, unit: UnitId) {
        let now = self.now;
        let window = self.cell(unit).program().map_or(Duration::ZERO, |program| program.restart.window);
        let cell = self.cell_mut(unit);
        forget_before(&mut cell.restart_times, now, window);
        cell.restart_times.push(now);
        cell.restarts = cell.restarts.saturating_add(1);
    }

    /// Down because somebody wished so; what is wished by now decides what follows.
    pub(super) fn rest(&mut self, unit: UnitId) {
        if let Some(by) = self.cell(unit).doom {
            return self.fail(unit, Failure::Dependency(by));
        }
        let stays = self.cell(unit).wanted == Wanted::Down;
        if stays {
            self.forget_kept(unit);
        }
        self.enter(unit, State::Stopped);
        self.look_at(unit);
        // Whoever came to need it while it went down waits in vain; what a sync takes down has its own edges yet.
        if stays && !self.is_syncing() {
            self.doom_dependents(unit);
        }
    }

    /// A service that ended well and is not to come back.
    fn end(&mut self, unit: UnitId) {
        self.cell_mut(unit).wanted = Wanted::Down;
        self.enter(unit, State::Stopped);
        if let Some(LastEnd { status, .. }) = self.cell(unit).last_end {
            let failure = Failure::Exited { role: Role::Main, status, before_ready: false };
            self.answer_wishes_up(unit, Outcome::Failed { unit, failure, retry_in: None });
        }
        self.ended_for_good(unit);
    }

    /// It failed and is not tried again by itself.
    pub(super) fn fail(&mut self, unit: UnitId, failure: Failure) {
        self.note_failure(unit, failure);
        self.cell_mut(unit).doom = None;
        self.drop_groups(unit);
        self.forget_kept(unit);
        self.enter(unit, State::Failed);
        self.attempt_failed(unit, None);
        self.ended_for_good(unit);
    }

    /// Directories that were kept for a next run go, when there is none.
    pub(super) fn forget_kept(&mut self, unit: UnitId) {
        if self.overlaps.contains_key(&unit) {
            return;
        }
        if std::mem::replace(&mut self.cell_mut(unit).kept, false) {
            self.do_this(Effect::CleanUp { unit, next: NextRun::None });
        }
    }

    fn ended_for_good(&mut self, unit: UnitId) {
        self.doom_dependents(unit);
        if self.cell(unit).unit().is_some_and(|unit| unit.essential) {
            self.decided = Some(unit);
        }
    }

    /// Those who wait for the unit to come up learn that an attempt failed.
    fn attempt_failed(&mut self, unit: UnitId, retry_in: Option<Duration>) {
        if let Some(failure) = self.cell(unit).failure.as_deref().cloned() {
            self.answer_wishes_up(unit, Outcome::Failed { unit, failure, retry_in });
        }
    }
}

/// Forgets what lies a whole window back.
fn forget_before(times: &mut Vec<Moment>, now: Moment, window: Duration) {
    times.retain(|time| *time + window > now);
}

//! The transition table: what each input does in each state, every pair written out.
//!
//! An input that cannot meet a state changes nothing and is counted. One that can, but comes too late to
//! matter (a readiness that was seen while the stop began), changes nothing and is not counted.
//!
//! The arms name what happens; the functions behind them stand in `starting`, `stopping` and `resting`.

#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

use std::time::Duration;

use crate::model::{ExitStatus, Pid, SpawnError};

use super::Engine;
use super::event::{Finding, Role, UnitId};
use super::failure::Failure;
use super::state::{Attempt, CleanStage, State};
use super::verdict::Verdict;

/// What a unit meets: an order of the engine itself (the first seven), or news from the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It is wanted, and nothing holds it down any longer.
    Await,
    /// All that it waits for is there.
    Start,
    /// Somebody wishes it up and does not care to wait.
    Retry,
    /// Its failure is forgotten.
    Reset,
    /// It cannot be started now.
    Deny(Failure),
    /// It has to end, and nothing that needs it runs any more.
    Stop,
    /// The waiting is over.
    Hurry,
    Inspected(Finding),
    Spawned(Role, Pid),
    SpawnFailed(Role, SpawnError),
    Exited(Role, Pid, ExitStatus),
    /// As `Exited`, of the configuration test of the unit's own start.
    Judged(Pid, ExitStatus, Verdict),
    BecameReady,
    MainPidChanged(Pid),
    Extended(Duration),
    /// Nothing is left of any of its groups.
    GroupGone,
    Deadline,
}

impl Engine {
    /// The table.
    #[rustfmt::skip]
    #[allow(clippy::too_many_lines, reason = "a table is read in one piece")]
    pub(super) fn transition(&mut self, unit: UnitId, input: Input) {
        use Input::*;
        use State::*;
        match (self.cell(unit).state, input) {
            (Stopped, Await) => self.enter(unit, Waiting { attempt: Attempt::Wished }),
            (Stopped, Deny(failure)) => self.fail(unit, failure),
            (Stopped, Stop) => self.rest(unit),
            (Stopped, Retry | Reset | Hurry | BecameReady | Extended(_)) => {}
            (Stopped, Start | Inspected(_) | Spawned(..) | SpawnFailed(..) | Exited(..) | Judged(..) | MainPidChanged(_)
                | GroupGone | Deadline) => self.impossible(),

            (Waiting { attempt }, Start) => self.begin(unit, attempt),
            (Waiting { .. }, Deny(failure)) => self.fail(unit, failure),
            (Waiting { .. }, Stop | Hurry) => self.rest(unit),
            (Waiting { .. }, Await | Retry | Reset | BecameReady | Extended(_)) => {}
            (Waiting { .. }, Inspected(_) | Spawned(..) | SpawnFailed(..) | Exited(..) | Judged(..) | MainPidChanged(_)
                | GroupGone | Deadline) => self.impossible(),

            (Inspecting { inspection }, Inspected(finding)) => self.inspected(unit, inspection, finding),
            (Inspecting { inspection }, Deadline) => self.inspect_again(unit, inspection),
            (Inspecting { inspection }, Stop | Hurry) => self.stop_inspecting(unit, inspection),
            (Inspecting { .. }, Await | Retry | Reset | BecameReady | Extended(_)) => {}
            (Inspecting { .. }, Start | Deny(_) | Spawned(..) | SpawnFailed(..) | Exited(..) | Judged(..) | MainPidChanged(_)
                | GroupGone) =>
                self.impossible(),

            (Preparing { role, due, process }, Spawned(_, pid)) => self.preparing_spawned(unit, role, due, process, pid),
            (Preparing { role, due, process }, SpawnFailed(_, error)) =>
                self.preparing_spawn_failed(unit, role, due, process, error),
            (Preparing { role, due, process }, Exited(_, pid, status)) =>
                self.preparing_exited(unit, role, due, process, pid, status),
            (Preparing { role, due, process }, Judged(pid, _, verdict)) =>
                self.preparing_judged(unit, role, due, process, pid, verdict),
            (Preparing { role, due, process }, Deadline) => self.preparing_deadline(unit, role, due, process),
            (Preparing { process, .. }, Stop | Hurry) => self.stop_preparing(unit, process),
            (Preparing { .. }, Await | Retry | Reset | BecameReady | Extended(_)) => {}
            (Preparing { .. }, Start | Deny(_) | Inspected(_) | MainPidChanged(_) | GroupGone) => self.impossible(),

            (Starting { main, .. }, Spawned(_, pid)) => self.main_spawned(unit, main, pid),
            (Starting { main, awaiting }, SpawnFailed(_, error)) =>
                self.main_spawn_failed(unit, main, awaiting, error),
            (Starting { main, awaiting }, Exited(role, pid, status)) =>
                self.starting_exited(unit, main, awaiting, role, pid, status),
            (Starting { main, awaiting }, BecameReady) => self.starting_ready(unit, main, awaiting),
            (Starting { main, awaiting }, MainPidChanged(pid)) =>
                self.starting_main_changed(unit, main, awaiting, pid),
            (Starting { main, .. }, Extended(by)) => self.extend_start(unit, main, by),
            (Starting { main, awaiting }, Deadline) => self.starting_deadline(unit, main, awaiting),
            (Starting { main, awaiting }, Stop | Hurry) => self.stop_starting(unit, main, awaiting),
            (Starting { .. }, Await | Retry | Reset) => {}
            (Starting { .. }, Start | Deny(_) | Inspected(_) | Judged(..) | GroupGone) => self.impossible(),

            (PostStarting { main, hook, process }, Spawned(_, pid)) =>
                self.post_start_spawned(unit, main, hook, process, pid),
            (PostStarting { main, hook, process }, SpawnFailed(_, error)) =>
                self.post_start_spawn_failed(unit, main, hook, process, error),
            (PostStarting { main, hook, process }, Exited(_, pid, status)) =>
                self.post_start_exited(unit, main, hook, process, pid, status),
            (PostStarting { main, hook, process }, Deadline) => self.post_start_deadline(unit, main, hook, process),
            (PostStarting { main: Some(main), hook, process }, MainPidChanged(pid)) => {
                self.hand_over(unit, main, pid);
                self.amend(unit, PostStarting { main: Some(pid), hook, process });
            }
            (PostStarting { main, process, .. }, Stop | Hurry) => self.stop_post_starting(unit, main, process),
            (PostStarting { .. }, Await | Retry | Reset | BecameReady | Extended(_)) => {}
            (PostStarting { main: None, .. }, MainPidChanged(_)) => self.impossible(),
            (PostStarting { .. }, Start | Deny(_) | Inspected(_) | Judged(..) | GroupGone) => self.impossible(),

            (Ready { main: Some(main) }, Exited(_, pid, status)) => self.ready_exited(unit, main, pid, status),
            (Ready { main: Some(main) }, MainPidChanged(pid)) => {
                self.hand_over(unit, main, pid);
                self.amend(unit, Ready { main: Some(pid) });
            }
            (Ready { main }, Stop | Hurry) => self.stop_ready(unit, main),
            (Ready { .. }, Await | Retry | Reset | BecameReady | Extended(_)) => {}
            (Ready { main: None }, Exited(..) | MainPidChanged(_)) => self.impossible(),
            (Ready { .. }, Start | Deny(_) | Inspected(_) | Spawned(..) | SpawnFailed(..) | Judged(..) | GroupGone | Deadline) =>
                self.impossible(),

            (Done, Stop | Hurry) => self.stop_done(unit),
            (Done, Deny(failure)) => self.fail(unit, failure),
            (Done, Await | Retry | Reset | BecameReady | Extended(_)) => {}
            (Done, Start | Inspected(_) | Spawned(..) | SpawnFailed(..) | Exited(..) | Judged(..) | MainPidChanged(_)
                | GroupGone | Deadline) => self.impossible(),

            (Skipped, Retry) => self.enter(unit, Stopped),
            (Skipped, Stop | Hurry) => self.rest(unit),
            (Skipped, Deny(failure)) => self.fail(unit, failure),
            (Skipped, Await | Reset | BecameReady | Extended(_)) => {}
            (Skipped, Start | Inspected(_) | Spawned(..) | SpawnFailed(..) | Exited(..) | Judged(..) | MainPidChanged(_)
                | GroupGone | Deadline) => self.impossible(),

            (Stopping { main, helper, stage, ending }, Spawned(role, pid)) =>
                self.stopping_spawned(unit, main, helper, stage, ending, role, pid),
            (Stopping { main, stage, ending, .. }, SpawnFailed(role, error)) =>
                self.stopping_spawn_failed(unit, main, stage, ending, role, error),
            (Stopping { main, helper, stage, ending }, Exited(role, pid, status)) =>
                self.stopping_exited(unit, main, helper, stage, ending, role, pid, status),
            (Stopping { main, helper, stage, ending }, MainPidChanged(pid)) =>
                self.stopping_main_changed(unit, main, helper, stage, ending, pid),
            (Stopping { stage, .. }, Extended(by)) => self.extend_stop(unit, stage, by),
            (Stopping { main, helper, stage, ending }, Deadline) =>
                self.stopping_deadline(unit, main, helper, stage, ending),
            (Stopping { main, helper, stage, ending }, Hurry) => self.hurry_stopping(unit, main, helper, stage, ending),
            (Stopping { stage, .. }, Inspected(_)) => self.stopping_inspected(unit, stage),
            (Stopping { .. }, Await | Retry | Reset | Stop | BecameReady) => {}
            (Stopping { .. }, Start | Deny(_) | Judged(..) | GroupGone) => self.impossible(),

            (Killing { main, helper, ending }, Spawned(role, pid)) =>
                self.killing_spawned(unit, main, helper, ending, role, pid),
            (Killing { main, helper, ending }, SpawnFailed(role, _)) =>
                self.killing_spawn_failed(unit, main, helper, ending, role),
            (Killing { main, helper, ending }, Exited(role, pid, status)) =>
                self.killing_exited(unit, main, helper, ending, role, pid, status),
            (Killing { main, helper, ending }, Judged(pid, status, _)) =>
                self.killing_exited(unit, main, helper, ending, Role::ConfigTest, pid, status),
            (Killing { .. }, Deadline) => self.killing_deadline(unit),
            (Killing { main, helper, ending }, MainPidChanged(pid)) =>
                self.killing_main_changed(unit, main, helper, ending, pid),
            (Killing { .. }, Await | Retry | Reset | Stop | Hurry | BecameReady | Extended(_)) => {}
            (Killing { .. }, Start | Deny(_) | Inspected(_) | GroupGone) => self.impossible(),

            (CleaningUp { stage: CleanStage::GroupsTerminated { next } | CleanStage::GroupsKilled { next }, ending },
                GroupGone) => self.groups_cleared(unit, next, ending),
            (CleaningUp { stage, ending }, Spawned(_, pid)) => self.post_stop_spawned(unit, stage, ending, pid),
            (CleaningUp { stage, ending }, SpawnFailed(_, error)) =>
                self.post_stop_spawn_failed(unit, stage, ending, error),
            (CleaningUp { stage, ending }, Exited(_, pid, status)) =>
                self.post_stop_exited(unit, stage, ending, pid, status),
            (CleaningUp { stage, ending }, Deadline) => self.cleaning_deadline(unit, stage, ending),
            (CleaningUp { stage, ending }, Hurry) => self.hurry_cleaning(unit, stage, ending),
            (CleaningUp { stage, .. }, MainPidChanged(pid)) => self.named_late(unit, stage, pid),
            (CleaningUp { .. }, Await | Retry | Reset | Stop | BecameReady | Extended(_)) => {}
            (CleaningUp { stage: CleanStage::Hook { .. }, .. }, GroupGone) => self.impossible(),
            (CleaningUp { .. }, Start | Deny(_) | Inspected(_) | Judged(..)) => self.impossible(),

            (Backoff, Retry) => self.enter(unit, Waiting { attempt: Attempt::Wished }),
            (Backoff, Deadline) => self.try_again(unit),
            (Backoff, Stop | Hurry) => self.rest(unit),
            (Backoff, Await | Reset | BecameReady | Extended(_)) => {}
            (Backoff, Start | Deny(_) | Inspected(_) | Spawned(..) | SpawnFailed(..) | Exited(..) | Judged(..)
                | MainPidChanged(_) | GroupGone) => self.impossible(),

            (Failed, Retry | Reset) => self.enter(unit, Stopped),
            (Failed, Deny(failure)) => self.fail(unit, failure),
            (Failed, Await | Stop | Hurry | BecameReady | Extended(_)) => {}
            (Failed, Start | Inspected(_) | Spawned(..) | SpawnFailed(..) | Exited(..) | Judged(..) | MainPidChanged(_)
                | GroupGone | Deadline) => self.impossible(),
        }
    }

    /// Counts what cannot happen.
    pub(super) fn impossible(&mut self) {
        self.tally.impossible += 1;
    }
}

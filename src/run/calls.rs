//! Calls on the control socket: each is answered from the tables at once, or becomes a request of the engine
//! (`changes`), whose outcome becomes an answer here.

use crate::control::error::MethodError;
use crate::control::method::Method;
use crate::control::server::{Call, ConnectionId, Server};
use crate::control::wire::{Explanation, UnitDetails, UnitStatus, Units};
use crate::engine::{Failure, Outcome, Phase, UnitId};
use crate::sys::clock;
use crate::sys::poll::Readiness;

use super::disk::OnDisk;
use super::event_loop::slot;
use super::health::health;
use super::report::{output_of, report, words_of};
use super::requests::{Held, Pending};
use super::{Init, view};

impl Init {
    pub(super) fn receive_calls(&mut self, readiness: &Readiness) {
        let Some(server) = &mut self.server else { return };
        server.handle(readiness);
    }

    /// Serves the calls that have come in. A connection's next call comes when its last one was answered, so this is
    /// done again after whatever may have answered one.
    pub(super) fn serve_calls(&mut self) {
        while let Some(call) = self.server.as_mut().and_then(Server::next_call) {
            if let Err(error) = self.serve(&call)
                && let Some(server) = &mut self.server
            {
                server.error(call.connection, &error);
            }
            self.process_events();
        }
        let cancelled = self.server.as_mut().map(Server::cancelled).unwrap_or_default();
        for cancelled in cancelled {
            self.cancel(cancelled);
            self.process_events();
        }
    }

    fn serve(&mut self, call: &Call) -> Result<(), MethodError> {
        let connection = call.connection;
        match &call.method {
            Method::Status => {
                let uptime = self.now.since(self.started);
                let status =
                    view::manager_status(&self.engine, uptime, self.orphans_reaped, &self.limitations);
                self.reply(connection, &status);
            }
            Method::List { units } => {
                let ids = match units {
                    Some(patterns) => self.select(patterns)?,
                    None => self.engine.ids_by_name().to_vec(),
                };
                let mut glance = self.glance();
                let look = |id| self.status_of(id, self.look_at_disk(id, &mut glance));
                let units = ids.into_iter().map(look).collect();
                self.reply(connection, &Units { units });
            }
            Method::Show { unit } => {
                let id = self.one(unit)?;
                let mut details = self.details_of(id);
                details.last_output = self.logs.tail(slot(id));
                self.reply(connection, &details);
            }
            Method::Why { unit } => {
                let id = self.one(unit)?;
                let explanation = self.explain(id);
                self.reply(connection, &explanation);
            }
            Method::Health { units } => {
                let named = units.as_ref().map(|patterns| self.select(patterns)).transpose()?;
                self.reply(connection, &health(&self.engine, named.as_deref(), self.times()));
            }
            Method::Chart => {
                let began = view::micros(self.now.since(self.started));
                let chart = self.chronicle.told(&self.engine, clock::wall_usec().saturating_sub(began));
                self.reply(connection, &chart);
            }
            // It is never answered: the server has noted the subscriber, and changes reach it as they come.
            Method::Events => {}
            Method::Start { .. }
            | Method::Stop { .. }
            | Method::Restart { .. }
            | Method::Reload { .. }
            | Method::Sync { .. }
            | Method::Scale { .. }
            | Method::Abandon
            | Method::Plan { .. }
            | Method::Reset { .. }
            | Method::Signal { .. }
            | Method::Shutdown { .. } => return self.change(call),
        }
        Ok(())
    }

    /// Sends an answer, or keeps it until the last output of the unit that failed is there.
    pub(super) fn answer_pending(&mut self, mut pending: Pending, outcome: Outcome) {
        // A unit that fails to start does so after all have gone over; one that does not stop, before.
        if let Outcome::Done | Outcome::Failed { .. } = &outcome
            && !matches!(outcome, Outcome::Failed { failure: Failure::Unkillable, .. })
            && let Some(files) = pending.files.take()
        {
            self.read_at = files.read_at;
            self.take_settings(files.settings);
            self.take_resources();
        }
        if pending.is_said {
            let report = report(&self.engine, &outcome, &pending);
            self.say(&format!("sync: {}: {}", report.outcome, report.message));
        }
        if pending.connection.is_none() {
            return;
        }
        if let Some(unit) = output_of(&outcome) {
            self.logs.request_flush(slot(unit), self.now);
            self.requests.hold(Held { pending, outcome, unit });
            return;
        }
        self.send_report(&pending, &outcome, None);
    }

    pub(super) fn release_reports(&mut self, unit: UnitId) {
        for held in self.requests.release(unit) {
            self.send_report(&held.pending, &held.outcome, Some(unit));
        }
    }

    fn send_report(&mut self, pending: &Pending, outcome: &Outcome, output_of: Option<UnitId>) {
        let Some(connection) = pending.connection else { return };
        let mut report = report(&self.engine, outcome, pending);
        let units = pending.units.iter().filter_map(|name| self.engine.find(name));
        report.units = units.map(|id| self.status_of(id, OnDisk::default())).collect();
        if let Some(unit) = output_of {
            report.last_output = self.logs.tail(slot(unit));
            if let Some(note) = self.readiness_note(unit) {
                report.message.push_str(&format!("; {note}"));
            }
        }
        self.reply(connection, &report);
    }

    pub(super) fn reply<T: serde::Serialize>(&mut self, connection: ConnectionId, parameters: &T) {
        if let Some(server) = &mut self.server {
            server.reply(connection, parameters);
        }
    }

    fn status_of(&self, id: UnitId, disk: OnDisk) -> UnitStatus {
        let status_text = self.status_texts.get(&id).map(String::as_str);
        view::unit_status(&self.engine, id, self.times(), status_text, disk)
    }

    /// All of a unit but for its last output.
    fn details_of(&self, id: UnitId) -> UnitDetails {
        let status_text = self.status_texts.get(&id).map(String::as_str);
        let disk = self.look_at_disk(id, &mut self.glance());
        let mut details = view::unit_details(&self.engine, id, self.times(), status_text, disk);
        details.filter = self.filters.words(slot(id), self.now);
        details.usage = self.cgroups.usage(id);
        details
    }

    fn times(&self) -> view::Times {
        view::Times { now: self.now, started: self.started }
    }

    fn explain(&self, id: UnitId) -> Explanation {
        let unit = self.engine.unit(id);
        let mut sentences = self.engine.why(id, self.now);
        if let Some(note) = self.readiness_note(id) {
            sentences.push(format!("its readiness was last looked for in vain: {note}"));
        }
        sentences.extend(view::remarks(&self.details_of(id)));
        if let Some(trouble) = self.filters.trouble(slot(id), self.now) {
            sentences.push(format!("its output should go through {trouble}"));
        }
        // What a failed test said is what explains its failure; the unit itself may have said nothing.
        let of_test = unit.last_test().and_then(|test| test.failure).map(words_of).unwrap_or_default();
        let of_failure = unit.failure().map(words_of).unwrap_or_default();
        let last_output = match unit.phase() {
            Phase::Ready => of_test.to_vec(),
            Phase::Failed | Phase::Backoff | Phase::Deferred if !of_failure.is_empty() => of_failure.to_vec(),
            Phase::Failed | Phase::Backoff | Phase::Starting | Phase::Deferred => self.logs.tail(slot(id)),
            _ => Vec::new(),
        };
        Explanation {
            unit: unit.name().to_string(),
            state: unit.phase().as_str().to_owned(),
            sentences,
            last_output,
        }
    }

    /// What was missing when the readiness of a unit was last looked for; `None` where that explains nothing.
    fn readiness_note(&self, id: UnitId) -> Option<String> {
        let unit = self.engine.unit(id);
        let was_late = matches!(unit.failure(), Some(Failure::NotReady { .. }));
        let explains = match unit.phase() {
            Phase::Starting => true,
            Phase::Failed | Phase::Backoff | Phase::Stopping | Phase::Killing | Phase::CleaningUp => was_late,
            _ => false,
        };
        self.watcher.last_note(id).filter(|_| explains)
    }
}

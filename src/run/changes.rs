//! Calls that change something: each becomes a request of the engine, and is answered when that has an outcome.
//!
//! ```text
//!   Method ──▶ Wish ──▶ Request ──▶ engine ──▶ Progress … Outcome ──▶ report ──▶ the client
//!               └─ Plan(Method) ──▶ PlanReport                 ▲
//!   Abandon, the client goes away ──▶ Request::Abandon, Forget ┘
//! ```

use crate::control::error::MethodError;
use crate::control::method::{Method, ShutdownKind};
use crate::control::server::{Call, Cancelled};
use crate::control::wire::{PlanReport, Report};
use crate::engine::{
    Definitions, Dependents, Event, Gate, Outcome, Progress, Request, RequestId, RestartHow, Shutdown, UnitId,
};

use super::Init;
use super::definitions::{Unfit, done_in_words};
use super::progress::progress;
use super::report::{plan_report, refused_plan};
use super::requests::{Files, Pending, Wish};
use super::settings::changes;
use crate::model::Settings;

impl Init {
    pub(super) fn change(&mut self, call: &Call) -> Result<(), MethodError> {
        match &call.method {
            Method::Shutdown { how } => self.shut_down_for(call, *how),
            Method::Plan { change } => self.plan(call, change)?,
            method => {
                let wish = match self.wish(method) {
                    Ok(wish) => wish,
                    Err(NoWish::Call(error)) => return Err(error),
                    Err(NoWish::Files(Unfit { message, diagnostics })) => {
                        let outcome = "refused".to_owned();
                        self.reply(
                            call.connection,
                            &Report { outcome, message, diagnostics, ..Report::default() },
                        );
                        return Ok(());
                    }
                };
                if method.skips_configtest() {
                    self.say(&format!(
                        "{}: no configtest is run, as {} wished",
                        wish_in_words(method, &wish),
                        peer_in_words(call)
                    ));
                }
                self.request(call, wish);
            }
        }
        Ok(())
    }

    /// What a call wishes of the engine.
    fn wish(&mut self, method: &Method) -> Result<Wish, NoWish> {
        let (request, done): (_, &str) = match method {
            Method::Start { units, .. } => {
                (Request::Start { units: self.select_or_find_new(units)? }, "started")
            }
            Method::Stop { units, cascade, .. } => {
                let dependents = if *cascade { Dependents::Stop } else { Dependents::Refuse };
                (Request::Stop { units: self.select(units)?, dependents }, "stopped")
            }
            Method::Restart { units, rolling, skip_configtest, .. } => {
                let how = if *rolling { RestartHow::Rolling } else { RestartHow::Together };
                let gate = gate(*skip_configtest);
                (Request::Restart { units: self.select(units)?, gate, how }, "restarted")
            }
            Method::Reload { units, skip_configtest, .. } => {
                (Request::Reload { units: self.select(units)?, gate: gate(*skip_configtest) }, "reloaded")
            }
            Method::Reset { units } => (Request::Reset { units: self.select(units)? }, "reset"),
            Method::Signal { units, signal } => {
                (Request::Signal { units: self.select(units)?, signal: *signal }, "signalled")
            }
            Method::Sync { skip_configtest, .. } => {
                let (definitions, settings) = self.read_definitions()?;
                return Ok(self.sync(definitions, Some(settings), gate(*skip_configtest)));
            }
            Method::Scale { unit, count, skip_configtest, .. } => {
                let definitions = self.scaled_definitions(unit, *count)?;
                return Ok(self.sync(definitions, None, gate(*skip_configtest)));
            }
            Method::Status
            | Method::List { .. }
            | Method::Show { .. }
            | Method::Why { .. }
            | Method::Health { .. }
            | Method::Chart
            | Method::Events
            | Method::Abandon
            | Method::Plan { .. }
            | Method::Shutdown { .. } => {
                return Err(MethodError::MethodNotImplemented(method.name().to_owned()).into());
            }
        };
        let units = self.named(&request);
        Ok(match request {
            // Where the units stand says nothing of a signal, which they may not have taken yet.
            Request::Signal { signal, .. } => {
                let done = format!("sent {signal} to {}", units.join(", "));
                Wish { request, units: Vec::new(), done, files: None }
            }
            request => Wish { request, units, done: done.to_owned(), files: None },
        })
    }

    /// Over to what the files say. What starts of them is what is shown when it is done. Without settings nothing was
    /// taken of the other files.
    pub(super) fn sync(&self, definitions: Definitions, settings: Option<Settings>, gate: Gate) -> Wish {
        let request = Request::Sync { definitions, gate };
        let new = settings.as_ref().map(|new| changes(&self.settings, new)).unwrap_or_default();
        let (units, done) = match self.engine.plan(&request) {
            Ok(plan) if plan.starts.is_empty() && plan.overlaps.is_empty() => {
                (Vec::new(), done_in_words(&plan, &new))
            }
            Ok(plan) => {
                let anew = plan.overlaps.iter().chain(&plan.starts);
                (anew.map(|unit| unit.to_string()).collect(), "in sync".to_owned())
            }
            Err(_) => (Vec::new(), String::new()), // The request itself is refused as well, and says why.
        };
        let files = settings.map(|settings| Files { read_at: self.now, settings });
        Wish { request, units, done, files }
    }

    fn named(&self, request: &Request) -> Vec<String> {
        let ids: &[UnitId] = match request {
            Request::Boot { units }
            | Request::Start { units }
            | Request::Stop { units, .. }
            | Request::Restart { units, .. }
            | Request::Reload { units, .. }
            | Request::Reset { units }
            | Request::Signal { units, .. } => units,
            Request::Sync { .. }
            | Request::Abandon { .. }
            | Request::Forget { .. }
            | Request::Shutdown(_) => &[],
        };
        ids.iter().map(|id| self.engine.unit(*id).name().to_owned()).collect()
    }

    fn request(&mut self, call: &Call, wish: Wish) {
        let definitions = match &wish.request {
            Request::Sync { definitions, .. } => definitions.units.clone(),
            _ => Vec::new(),
        };
        let id = self.requests.open(Pending {
            connection: Some(call.connection),
            units: wish.units,
            done: wish.done,
            definitions,
            files: wish.files,
            ..Pending::default()
        });
        self.events.push_back(Event::Requested { id, request: wish.request });
        if call.method.no_wait() {
            self.answer_without_waiting(id, &call.method);
        }
    }

    fn plan(&mut self, call: &Call, change: &Method) -> Result<(), MethodError> {
        let report = match self.wish(change) {
            Ok(wish) => match self.engine.plan(&wish.request) {
                Ok(plan) => {
                    let new = wish.files.map(|files| changes(&self.settings, &files.settings));
                    let report = plan_report(&self.engine, &wish.request, &plan);
                    PlanReport { settings: new.unwrap_or_default(), ..report }
                }
                Err(refusal) => refused_plan(&self.engine, &refusal),
            },
            Err(NoWish::Call(error)) => return Err(error),
            Err(NoWish::Files(Unfit { message, diagnostics })) => {
                PlanReport { outcome: "refused".to_owned(), message, diagnostics, ..PlanReport::default() }
            }
        };
        self.reply(call.connection, &report);
        Ok(())
    }

    /// Somebody does not want to wait any longer: what has not stopped anything yet is given up.
    pub(super) fn cancel(&mut self, cancelled: Cancelled) {
        let (Cancelled::Gone(connection) | Cancelled::Abandoned(connection)) = cancelled;
        for request in self.requests.of(connection) {
            let id = self.requests.open(Pending::own());
            let request = match cancelled {
                Cancelled::Gone(_) => Request::Forget { request },
                Cancelled::Abandoned(_) => Request::Abandon { request },
            };
            self.events.push_back(Event::Requested { id, request });
        }
        if let Cancelled::Gone(connection) = cancelled {
            self.requests.forget(connection);
        }
    }

    /// News of a request, for whoever waits for it and wants to hear.
    pub(super) fn inform(&mut self, id: RequestId, news: &Progress) {
        let Some(pending) = self.requests.get_mut(id) else { return };
        if let Progress::Tested { unit, passed } = news {
            pending.tested(unit, *passed);
        }
        // Who waits hears of what is done, not of what had nothing to do.
        if matches!(news, Progress::Phase(phase) if self.engine.went_by(id, phase)) {
            return;
        }
        let (Some(connection), Some(server)) = (pending.connection, &mut self.server) else { return };
        let progress = Some(progress(&self.engine, news, self.now));
        server.inform(connection, &Report { progress, ..Report::default() });
    }

    /// The answer is that it has begun: nobody is left to say that it is over.
    fn shut_down_for(&mut self, call: &Call, how: ShutdownKind) {
        self.reply(call.connection, &shutting_down());
        let how = match how {
            ShutdownKind::Exit => Shutdown::Exit,
            ShutdownKind::PowerOff => Shutdown::PowerOff,
            ShutdownKind::Reboot => Shutdown::Reboot,
            ShutdownKind::Halt => Shutdown::Halt,
            ShutdownKind::Kexec => Shutdown::Kexec,
        };
        self.shut_down(how, &format!("asked to by {}", peer_in_words(call)));
    }

    /// `--no-wait`: a refusal is still told where it comes at once; anything else is told to have begun.
    fn answer_without_waiting(&mut self, id: RequestId, method: &Method) {
        self.process_events();
        let Some(pending) = self.requests.get_mut(id) else { return };
        let begun = Pending {
            connection: pending.connection.take(),
            units: pending.units.clone(),
            done: format!("asked to {}", method.name().to_ascii_lowercase()),
            ..Pending::default()
        };
        self.answer_pending(begun, Outcome::Done);
    }
}

/// Why a call comes to no request.
pub(super) enum NoWish {
    /// The call is wrong.
    Call(MethodError),
    /// The unit files are.
    Files(Unfit),
}

impl From<MethodError> for NoWish {
    fn from(error: MethodError) -> NoWish {
        NoWish::Call(error)
    }
}

fn gate(skip_configtest: bool) -> Gate {
    if skip_configtest { Gate::Skipped } else { Gate::Enforced }
}

/// `restart web, api`.
fn wish_in_words(method: &Method, wish: &Wish) -> String {
    format!("{} {}", method.name().to_ascii_lowercase(), wish.units.join(", ")).trim_end().to_owned()
}

fn shutting_down() -> Report {
    let message = "sexton is shutting down".to_owned();
    Report { outcome: "done".to_owned(), message, ..Report::default() }
}

fn peer_in_words(call: &Call) -> String {
    match call.peer.pid {
        Some(pid) => format!("pid {pid} of uid {}", call.peer.uid),
        None => format!("uid {}", call.peer.uid),
    }
}

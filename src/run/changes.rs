//! Calls that change something: each becomes a request of the engine, and is answered when that has an outcome.

use crate::control::error::MethodError;
use crate::control::method::{Method, ShutdownKind};
use crate::control::server::{Call, ConnectionId};
use crate::control::wire::Report;
use crate::engine::{Dependents, Event, Gate, Outcome, Request, RequestId, RestartHow, Shutdown, UnitId};

use super::Init;
use super::requests::Pending;

impl Init {
    pub(super) fn change(&mut self, call: &Call) -> Result<(), MethodError> {
        let connection = call.connection;
        match &call.method {
            Method::Start { units, no_wait } => {
                let units = self.select_or_find_new(units)?;
                let id = self.request(connection, units.clone(), "started", Request::Start { units });
                if *no_wait {
                    self.answer_without_waiting(id);
                }
            }
            Method::Stop { units, cascade, no_wait } => {
                let units = self.select(units)?;
                let dependents = if *cascade { Dependents::Stop } else { Dependents::Refuse };
                let id =
                    self.request(connection, units.clone(), "stopped", Request::Stop { units, dependents });
                if *no_wait {
                    self.answer_without_waiting(id);
                }
            }
            Method::Restart { units, rolling, skip_configtest, no_wait } => {
                let units = self.select(units)?;
                let how = if *rolling { RestartHow::Rolling } else { RestartHow::Together };
                let request = Request::Restart { units: units.clone(), gate: gate(*skip_configtest), how };
                let id = self.request(connection, units, "restarted", request);
                if *no_wait {
                    self.answer_without_waiting(id);
                }
            }
            Method::Reload { units, skip_configtest, no_wait } => {
                let units = self.select(units)?;
                let request = Request::Reload { units: units.clone(), gate: gate(*skip_configtest) };
                let id = self.request(connection, units, "reloaded", request);
                if *no_wait {
                    self.answer_without_waiting(id);
                }
            }
            Method::Reset { units } => {
                let units = self.select(units)?;
                self.request(connection, units.clone(), "reset", Request::Reset { units });
            }
            Method::Signal { units, signal } => {
                let units = self.select(units)?;
                let request = Request::Signal { units: units.clone(), signal: *signal };
                self.request(connection, units, "signalled", request);
            }
            Method::Shutdown { how } => self.shut_down_for(call, *how),
            method => return Err(MethodError::MethodNotImplemented(method.name().to_owned())),
        }
        Ok(())
    }

    /// The answer is that it has begun: nobody is left to say that it is over.
    fn shut_down_for(&mut self, call: &Call, how: ShutdownKind) {
        self.reply(call.connection, &shutting_down());
        let how = match how {
            ShutdownKind::Exit => Shutdown::Exit,
            ShutdownKind::PowerOff => Shutdown::PowerOff,
            ShutdownKind::Reboot => Shutdown::Reboot,
            ShutdownKind::Halt => Shutdown::Halt,
        };
        self.shut_down(how, &format!("asked to by {}", peer_in_words(call)));
    }

    fn request(
        &mut self,
        connection: ConnectionId,
        units: Vec<UnitId>,
        done: &'static str,
        request: Request,
    ) -> RequestId {
        let id = self.requests.open(Pending { connection: Some(connection), units, done });
        self.events.push_back(Event::Requested { id, request });
        id
    }

    /// `--no-wait`: a refusal is still told where it comes at once; anything else is told to have begun.
    fn answer_without_waiting(&mut self, id: RequestId) {
        self.process_events();
        let Some(pending) = self.requests.get_mut(id) else { return };
        let begun = Pending {
            connection: pending.connection.take(),
            units: pending.units.clone(),
            done: "asked to start",
        };
        self.answer_pending(begun, Outcome::Done);
    }
}

fn gate(skip_configtest: bool) -> Gate {
    if skip_configtest { Gate::Skipped } else { Gate::Enforced }
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

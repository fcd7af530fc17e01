//! The commands that a running sexton answers: one call or a few, one screen or JSON.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::control::client::{CallError, Client, Heard};
use crate::control::method::{Method, ShutdownKind};
use crate::control::wire::{
    BootChart, Explanation, Health, ManagerStatus, PlanReport, Progress, Report, UnitDetails, UnitEvent,
    UnitStatus, Units,
};
use crate::model::Signal;
use crate::run::directory::{CONTROL_SOCKET, own_run_directory};
use crate::sys::signals::{self, SignalFd};

use super::args::Global;
use super::args::change::PlanArgs;
use super::live::Live;
use super::style::Style;
use super::{Exit, Screen, Trouble, render};

/// A connection, and where and how its answers are shown.
pub(super) struct Talk<'a, 'b> {
    client: Client,
    screen: &'a mut Screen<'b>,
    json: bool,
}

/// Where sexton listens, as far as can be told from here.
pub(super) fn socket(global: &Global) -> PathBuf {
    let variable = std::env::var_os("SEXTON_CONTROL").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = global.socket.clone().or(variable);
    named.unwrap_or_else(|| own_run_directory().join(CONTROL_SOCKET))
}

impl<'a, 'b> Talk<'a, 'b> {
    /// Connects to the sexton that is meant.
    pub(super) fn connect(global: &Global, screen: &'a mut Screen<'b>) -> Result<Talk<'a, 'b>, Trouble> {
        let mut client = Client::connect(&socket(global))?;
        if let Some(timeout) = global.timeout {
            client.set_timeout(timeout);
        }
        Ok(Talk { client, screen, json: global.json })
    }

    /// Shows an answer: as JSON on a line of its own, or as `render` sees it.
    fn show<T: Serialize>(&mut self, answer: &T, render: impl FnOnce(&Style, &T) -> String) {
        let text = if self.json { json_line(answer) } else { render(&self.screen.style, answer) };
        self.screen.say(&text);
    }

    fn units(&mut self, names: &[String]) -> Result<Vec<UnitStatus>, Trouble> {
        let units = if names.is_empty() { None } else { Some(names.to_vec()) };
        let Units { units } = self.client.call(&Method::List { units })?;
        Ok(units)
    }

    fn details(&mut self, units: Vec<UnitStatus>) -> Result<Vec<UnitDetails>, Trouble> {
        let show = |unit: UnitStatus| Ok(self.client.call(&Method::Show { unit: unit.name })?);
        units.into_iter().map(show).collect()
    }

    /// `sexton list`.
    pub(super) fn list(&mut self, patterns: &[String]) -> Result<Exit, Trouble> {
        let units = self.units(patterns)?;
        self.show(&units, |style, units| render::list(style, units));
        Ok(Exit::Done)
    }

    /// `sexton status`: a failed unit is told by the exit status too.
    pub(super) fn status(&mut self, names: &[String]) -> Result<Exit, Trouble> {
        let units = self.units(names)?;
        let failed = units.iter().any(|unit| unit.state == "failed");
        if names.is_empty() {
            let status: ManagerStatus = self.client.call(&Method::Status)?;
            self.show(&status, |style, status| render::manager(style, status, &units));
        } else {
            for (index, unit) in self.details(units)?.iter().enumerate() {
                if index > 0 && !self.json {
                    self.screen.say("\n");
                }
                self.show(unit, render::unit);
            }
        }
        Ok(if failed { Exit::Failed } else { Exit::Done })
    }

    /// `sexton tree`.
    pub(super) fn tree(&mut self, root: Option<&String>) -> Result<Exit, Trouble> {
        let roots: Vec<String> = root.into_iter().cloned().collect();
        if !roots.is_empty() {
            // A wrong name is answered with the right one before a thousand units are asked about.
            self.units(&roots)?;
        }
        let units = self.units(&[])?;
        let units = self.details(units)?;
        self.show(&units, |style, units| render::tree(style, units, &roots));
        Ok(Exit::Done)
    }

    /// `sexton show`.
    pub(super) fn show_unit(&mut self, unit: &str) -> Result<Exit, Trouble> {
        let details: UnitDetails = self.client.call(&Method::Show { unit: unit.to_owned() })?;
        self.show(&details, render::details);
        Ok(Exit::Done)
    }

    /// `sexton why`.
    pub(super) fn why(&mut self, unit: &str) -> Result<Exit, Trouble> {
        let why: Explanation = self.client.call(&Method::Why { unit: unit.to_owned() })?;
        self.show(&why, render::explanation);
        Ok(Exit::Done)
    }

    /// `sexton health`. Whoever probes has a limit for it: an answer that comes later is none.
    pub(super) fn health(&mut self, names: &[String]) -> Result<Exit, Trouble> {
        self.client.set_default_timeout(PROBE_TIMEOUT);
        let units = if names.is_empty() { None } else { Some(names.to_vec()) };
        let health: Health = self.client.call(&Method::Health { units })?;
        let is_well = health.state == "healthy";
        if self.json || !is_well {
            self.show(&health, render::health);
        }
        Ok(if is_well { Exit::Done } else { Exit::Failed })
    }

    /// `sexton chart`: a picture is for a file or another program, a terminal gets characters.
    pub(super) fn chart(&mut self, is_text: bool) -> Result<Exit, Trouble> {
        let chart: BootChart = self.client.call(&Method::Chart)?;
        let is_text = is_text || self.screen.style.width.is_some();
        self.show(&chart, |style, chart| {
            if is_text { render::chart::text(style, chart) } else { render::chart::svg(chart) }
        });
        Ok(Exit::Done)
    }

    /// `sexton events`: until sexton ends, or nobody reads them any more.
    pub(super) fn events(&mut self, names: &[String]) -> Result<Exit, Trouble> {
        let chosen: Option<BTreeSet<String>> = match names {
            [] => None,
            names => Some(self.units(names)?.into_iter().map(|unit| unit.name).collect()),
        };
        for event in self.client.stream::<UnitEvent>(&Method::Events)? {
            let event = match event {
                Ok(event) => event,
                Err(CallError::HungUp) => break,
                Err(CallError::TimedOut(waited)) => return Err(Trouble::NoEvent(waited)),
                Err(error) => return Err(error.into()),
            };
            if chosen.as_ref().is_none_or(|names| names.contains(&event.unit)) {
                let text =
                    if self.json { json_line(&event) } else { render::event(&self.screen.style, &event) };
                self.screen.say(&text);
            }
            if self.screen.is_lost() {
                break;
            }
        }
        Ok(Exit::Done)
    }

    /// A request that changes something and is answered by a report.
    pub(super) fn change(&mut self, method: &Method) -> Result<Exit, Trouble> {
        let report: Report = self.client.call(method)?;
        Ok(self.tell(&report))
    }

    /// A change that takes its time: its progress is shown, and the first Ctrl-C gives it up.
    pub(super) fn follow(&mut self, method: &Method) -> Result<Exit, Trouble> {
        let mut live = Live::new(self.screen.look);
        let heard = self.listen(method, &mut live);
        live.clear(self.screen);
        match heard? {
            Some(report) => Ok(self.tell(&report)),
            None => {
                self.screen.warn("sexton: left; `sexton status` tells how far it is\n");
                Ok(Exit::Failed)
            }
        }
    }

    /// Waits for the report of a change; `None` when nobody wants to wait for it any longer.
    fn listen(&mut self, method: &Method, live: &mut Live) -> Result<Option<Report>, CallError> {
        let interrupts = interrupts();
        let mut conversation = self.client.converse(method, interrupts.as_ref())?;
        let mut given_up = false;
        loop {
            match conversation.hear::<Report>(live.patience())? {
                Heard::Progress(Report { progress: Some(progress), .. }) if self.json => {
                    self.screen.say(&json_line(&News { progress }));
                }
                Heard::Progress(Report { progress: Some(progress), .. }) => live.take(self.screen, &progress),
                Heard::Progress(_) => {}
                Heard::Answer(report) => return Ok(Some(report)),
                Heard::Interrupted if given_up => return Ok(None),
                Heard::Interrupted => {
                    given_up = true;
                    conversation.abandon()?;
                    live.note(self.screen, GIVING_UP);
                }
                Heard::Nothing => live.tick(self.screen),
            }
        }
    }

    /// `sexton plan`.
    pub(super) fn plan(&mut self, args: &PlanArgs) -> Result<Exit, Trouble> {
        let change = args.change().map_err(Trouble::Usage)?;
        let plan: PlanReport = self.client.call(&Method::Plan { change: Box::new(change) })?;
        let refused = plan.outcome != "planned";
        if refused && !self.json {
            let text = render::refused_plan(&self.screen.error_style, &plan);
            self.screen.warn(&text);
        } else {
            self.show(&plan, render::plan);
        }
        Ok(if refused { Exit::Refused } else { Exit::Done })
    }

    /// Shows a report: where things stand on standard output, what went wrong on standard error.
    fn tell(&mut self, report: &Report) -> Exit {
        let exit = exit_of(report);
        if self.json || exit == Exit::Done {
            self.show(report, render::report);
        } else {
            let text = render::report(&self.screen.error_style, report);
            self.screen.warn(&text);
        }
        exit
    }

    /// `poweroff`, `reboot`, `halt`: an init that is gone before it could answer has done what was asked.
    pub(super) fn shutdown(&mut self, how: ShutdownKind) -> Result<Exit, Trouble> {
        match self.change(&Method::Shutdown { how }) {
            Err(Trouble::Call(CallError::HungUp)) => Ok(Exit::Done),
            answer => answer,
        }
    }
}

/// The limit of a probe that sets none itself.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said at the first Ctrl-C.
const GIVING_UP: &str = "^C: giving up and undoing; what has begun to stop goes on (^C again leaves)";

/// Ctrl-C as something that is heard of. Whoever started this command with it ignored wants it ignored.
fn interrupts() -> Option<SignalFd> {
    if signals::inherited().ignores(Signal::INT) {
        return None;
    }
    SignalFd::of(&[Signal::INT]).ok() // Without it Ctrl-C ends the command, which gives the change up as well.
}

/// How a change gets on, for programs: told apart from its report by the one field.
#[derive(Serialize)]
struct News {
    progress: Progress,
}

fn json_line<T: Serialize>(answer: &T) -> String {
    // No type of the wire can fail to be written: none has a map whose keys are not strings.
    serde_json::to_string(answer).unwrap_or_default() + "\n"
}

fn exit_of(report: &Report) -> Exit {
    match report.outcome.as_str() {
        "done" => Exit::Done,
        "refused" | "aborted" | "abandoned" => Exit::Refused,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_done_refused_and_failed_apart() {
        let exit = |outcome: &str| exit_of(&Report { outcome: outcome.into(), ..Report::default() });
        assert_eq!(exit("done"), Exit::Done);
        for outcome in ["refused", "aborted", "abandoned"] {
            assert_eq!(exit(outcome), Exit::Refused);
        }
        for outcome in ["failed", "replaced", "shutting-down", ""] {
            assert_eq!(exit(outcome), Exit::Failed);
        }
    }

    #[test]
    fn a_socket_that_is_named_is_the_one_that_is_asked() {
        let global = Global { socket: Some("/run/other".into()), ..Global::default() };
        assert_eq!(socket(&global), PathBuf::from("/run/other"));
    }

    #[test]
    fn json_is_one_line_an_answer() {
        let line = json_line(&UnitEvent { unit: "a\nb".into(), ..UnitEvent::default() });
        assert_eq!(line, "{\"timeUsec\":0,\"unit\":\"a\\nb\",\"from\":\"\",\"to\":\"\"}\n");
    }
}

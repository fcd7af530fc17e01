//! What the demo tells: six acts, each of which does something, shows it, and checks that it is so.
//!
//! A claim that turns out to be false ends the demo with an error: what stands on the screen has happened.

use std::time::Duration;

use crate::cli::render;
use crate::cli::style::Ink;
use crate::cli::{Screen, Trouble};
use crate::control::client::{CallError, Client, Stream};
use crate::control::method::{Method, ShutdownKind};
use crate::control::wire::{Explanation, ManagerStatus, Report, UnitDetails, UnitEvent, UnitStatus, Units};
use crate::model::Signal;
use crate::model::time::Spoken;

use super::chart::{chart, legend};
use super::server::ask;
use super::stage::Stage;

/// How wide the story is told where there is no terminal to fill.
const WIDTH: usize = 100;

/// How long a person is given to read an act. A pipe is given no time: nobody reads it as it comes.
const PAUSE: Duration = Duration::from_millis(1200);

/// Where the units' servers listen.
const STORE: u16 = 7000;
const WEB: u16 = 8080;

/// The one that is killed.
const VICTIM: &str = "greeter@moin";

/// The teller: a stage, a connection for calls, another for events.
pub(super) struct Story<'a, 'b> {
    screen: &'a mut Screen<'b>,
    stage: &'a mut Stage,
    client: Client,
    events: Stream<'a, UnitEvent>,
}

impl<'a, 'b> Story<'a, 'b> {
    /// A story on this stage. `listener` is a connection to it that hears the events.
    pub(super) fn new(
        screen: &'a mut Screen<'b>,
        stage: &'a mut Stage,
        listener: &'a mut Client,
    ) -> Result<Story<'a, 'b>, Trouble> {
        let client = stage.connect()?;
        let events = listener.stream(&Method::Events)?;
        Ok(Story { screen, stage, client, events })
    }

    /// Tells it, from the first act to the last.
    pub(super) fn tell(mut self) -> Result<(), Trouble> {
        self.boot()?;
        self.start()?;
        self.request()?;
        self.crash()?;
        self.failure()?;
        self.stop()
    }

    fn boot(&mut self) -> Result<(), Trouble> {
        let status: ManagerStatus = self.client.call(&Method::Status)?;
        claim(status.pid == 1, "sexton is PID 1")?;
        self.heading("A machine of its own");
        self.words(
            "This program made new namespaces and started sexton in them: a real PID 1, with its own processes, \
             network and /tmp. It read these unit files and waits.",
        );
        self.command("sexton list");
        let Units { units } = self.client.call(&Method::List { units: None })?;
        let instances = units.iter().filter(|unit| unit.name.starts_with("greeter@")).count();
        claim(instances == 3, "the template has three instances")?;
        self.show(&render::list(&self.screen.style, &units));
        self.words("greeter@ is one file, a template: each file in greeters/ made an instance of it.");
        Ok(())
    }

    fn start(&mut self) -> Result<(), Trouble> {
        self.heading("Start in order");
        self.command("sexton start web");
        let greeters = self.greeters()?;
        let report: Report = self.client.call(&start("web"))?;
        claim(report.outcome == "done", &format!("web started: {}", report.message))?;
        let events = self.events_until(|event| event.unit == "web" && event.to == "ready")?;
        self.show(&chart(&self.screen.style, &events, 2));
        let legend = legend(&self.screen.style);
        self.show(&format!("  {legend}\n"));
        let waited = |unit: &str, other: &str, to: &str| {
            let is_so = is_before(&events, (other, to), (unit, "starting"));
            claim(is_so, &format!("{unit} waited for {other}"))
        };
        waited("migrate", "store", "ready")?;
        for greeter in &greeters {
            waited(greeter, "migrate", "done")?;
            waited("web", greeter, "ready")?;
        }
        self.words(
            "web needs the greeters, they need the store brought up to date. Nothing starts before what it needs is \
             ready: here a port that answers, a task that exited with 0, a line of output, an HTTP request. What \
             does not depend on each other starts together.",
        );
        self.command("sexton tree web");
        let units = self.details()?;
        self.show(&render::tree(&self.screen.style, &units, &["web".to_owned()]));
        Ok(())
    }

    fn request(&mut self) -> Result<(), Trouble> {
        self.heading("It works");
        self.command(&format!("curl http://127.0.0.1:{WEB}/"));
        let answer = ask(WEB).map_err(|error| Trouble::Words(format!("cannot ask web: {error}")))?;
        claim(answer.matches("from greeter@").count() == 3, "web asked all greeters")?;
        self.show(&answer);
        Ok(())
    }

    fn crash(&mut self) -> Result<(), Trouble> {
        let before = self.list()?;
        let old = pid_of(&before, VICTIM)?;
        self.heading("A crash");
        self.command(&format!("sexton signal KILL {VICTIM}"));
        let signal = Method::Signal { units: vec![VICTIM.to_owned()], signal: Signal::KILL };
        let _: Report = self.client.call(&signal)?;
        let events = self.events_until(|event| event.unit == VICTIM && event.to == "ready")?;
        for event in &events {
            self.show(&render::event(&self.screen.style, event));
        }
        let after = self.list()?;
        let new = pid_of(&after, VICTIM)?;
        claim(new != old, &format!("{VICTIM} has a new process"))?;
        for unit in before.iter().filter(|unit| unit.name != VICTIM) {
            let same = after.iter().any(|now| now.name == unit.name && now.main_pid == unit.main_pid);
            claim(same, &format!("{} was left alone", unit.name))?;
        }
        let answer = ask(WEB).map_err(|error| Trouble::Words(format!("cannot ask web: {error}")))?;
        claim(answer.contains(&format!("{VICTIM}, pid {new}")), "web reaches the new process")?;
        let away = Duration::from_micros(span(&events));
        self.words(&format!(
            "Process {old} was killed, reaped and replaced by {new}: ready again after {}, the back-off of 300 ms \
             and its own start included. The others never stopped, and web reaches it again. If it went on dying, \
             it would be tried more and more rarely, and then no more.",
            Spoken(away)
        ));
        Ok(())
    }

    fn failure(&mut self) -> Result<(), Trouble> {
        self.heading("Something that cannot work");
        self.command("sexton start impostor");
        let report: Report = self.client.call(&start("impostor"))?;
        claim(report.outcome == "failed", "the impostor cannot start")?;
        self.show(&render::report(&self.screen.style, &report));
        self.command("sexton why impostor");
        let why: Explanation = self.client.call(&Method::Why { unit: "impostor".to_owned() })?;
        claim(!why.sentences.is_empty(), "sexton knows why")?;
        let said = why.last_output.iter().chain(&report.last_output);
        claim(said.into_iter().any(|line| line.contains("cannot listen")), "the impostor's words were kept")?;
        self.show(&render::explanation(&self.screen.style, &why));
        self.words(
            "web has that port. The reason is the daemon's own words, and nothing else was disturbed.",
        );
        Ok(())
    }

    fn stop(mut self) -> Result<(), Trouble> {
        self.heading("Stop in reverse");
        self.command("sexton poweroff");
        let greeters = self.greeters()?;
        // The events up to here belong to the acts before.
        let seen = self.events_until(|event| event.unit == "impostor" && event.to == "failed")?;
        claim(!seen.is_empty(), "the impostor's failure was an event")?;
        let _: Report = self.client.call(&Method::Shutdown { how: ShutdownKind::PowerOff })?;
        let mut events = Vec::new();
        for event in self.events.by_ref() {
            match event {
                Ok(event) => events.push(event),
                Err(CallError::HungUp) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.show(&chart(&self.screen.style, &events, 2));
        let waited = |unit: &str, other: &str| {
            let is_so = is_before(&events, (other, "stopped"), (unit, "stopping"));
            claim(is_so, &format!("{unit} was stopped after {other}"))
        };
        for greeter in &greeters {
            waited(greeter, "web")?;
            waited("store", greeter)?;
        }
        let code = self.stage.exit_code()?;
        claim(code == Some(0), &format!("PID 1 exited with 0, not with {code:?}"))?;
        claim(ask(STORE).is_err() && ask(WEB).is_err(), "nothing is left running")?;
        self.words(
            "web first, the store last: nothing is stopped while something that runs needs it. PID 1 exited with \
             status 0, the kernel took its namespaces away, and nothing of all this is left.",
        );
        self.screen.say("\n");
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<UnitStatus>, Trouble> {
        let Units { units } = self.client.call(&Method::List { units: None })?;
        Ok(units)
    }

    fn greeters(&mut self) -> Result<Vec<String>, Trouble> {
        let names = self.list()?.into_iter().map(|unit| unit.name);
        Ok(names.filter(|name| name.starts_with("greeter@")).collect())
    }

    fn details(&mut self) -> Result<Vec<UnitDetails>, Trouble> {
        let units = self.list()?;
        let show = |unit: UnitStatus| Ok(self.client.call(&Method::Show { unit: unit.name })?);
        units.into_iter().map(show).collect()
    }

    /// Every event up to the one that `is_last` names.
    fn events_until(&mut self, is_last: impl Fn(&UnitEvent) -> bool) -> Result<Vec<UnitEvent>, Trouble> {
        let mut events = Vec::new();
        loop {
            let event = self.events.next().unwrap_or(Err(CallError::HungUp))?;
            let last = is_last(&event);
            events.push(event);
            if last {
                return Ok(events);
            }
        }
    }

    fn heading(&mut self, words: &str) {
        if self.screen.style.width.is_some() {
            #[allow(clippy::disallowed_methods, reason = "a person reads what the act before has shown")]
            std::thread::sleep(PAUSE);
        }
        let heading = self.screen.style.paint(Ink::Strong, words);
        let rule = self.screen.style.paint(Ink::Faint, &"─".repeat(60usize.saturating_sub(words.len())));
        self.screen.say(&format!("\n{heading} {rule}\n"));
    }

    fn words(&mut self, words: &str) {
        let width = self.screen.style.width.unwrap_or(WIDTH).min(WIDTH);
        let style = crate::cli::style::Style { width: Some(width), ..self.screen.style };
        self.screen.say(&format!("\n{}\n", style.wrap(words, 0, 0)));
    }

    fn command(&mut self, line: &str) {
        let line = self.screen.style.paint(Ink::Strong, &format!("$ {line}"));
        self.screen.say(&format!("\n{line}\n"));
    }

    fn show(&mut self, text: &str) {
        self.screen.say(text);
    }
}

/// What the demo says must be so.
fn claim(is_so: bool, words: &str) -> Result<(), Trouble> {
    if is_so { Ok(()) } else { Err(Trouble::Words(format!("the demo failed: it is not so that {words}"))) }
}

fn start(unit: &str) -> Method {
    Method::Start { units: vec![unit.to_owned()], no_wait: false }
}

/// Did the first unit come to its state, and before the second came to its own?
fn is_before(events: &[UnitEvent], first: (&str, &str), second: (&str, &str)) -> bool {
    let place =
        |(unit, to): (&str, &str)| events.iter().position(|event| event.unit == unit && event.to == to);
    matches!((place(first), place(second)), (Some(first), Some(second)) if first < second)
}

fn span(events: &[UnitEvent]) -> u64 {
    match (events.first(), events.last()) {
        (Some(first), Some(last)) => last.time_usec.saturating_sub(first.time_usec),
        _ => 0,
    }
}

fn pid_of(units: &[UnitStatus], name: &str) -> Result<i32, Trouble> {
    let pid = units.iter().find(|unit| unit.name == name).and_then(|unit| unit.main_pid);
    pid.ok_or_else(|| Trouble::Words(format!("the demo failed: {name} has no process")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_claimed_only_of_what_happened() {
        let event =
            |unit: &str, to: &str| UnitEvent { unit: unit.into(), to: to.into(), ..UnitEvent::default() };
        let events = [event("store", "ready"), event("web", "starting")];
        assert!(is_before(&events, ("store", "ready"), ("web", "starting")));
        assert!(!is_before(&events, ("web", "starting"), ("store", "ready")));
        assert!(!is_before(&events, ("none", "ready"), ("web", "starting")));
        assert!(!is_before(&events, ("store", "ready"), ("none", "starting")));
    }

    #[test]
    fn a_claim_that_is_false_ends_the_demo() {
        assert!(claim(true, "water is wet").is_ok());
        let trouble = claim(false, "water is dry").unwrap_err();
        assert_eq!(trouble.to_string(), "the demo failed: it is not so that water is dry");
    }
}

//! The way up: laws 1, 2 and 8, and why each process is started.

use sexton::engine::{Engine, Phase, Reason, Role};
use sexton::model::Pid;
use sexton::model::unit::{Kind, Readiness, Unit};

use super::laws::{Laws, Verdict, law};

impl Laws {
    pub(crate) fn check_start(&self, unit: usize, role: Option<Role>) -> Verdict {
        if self.deadline.is_some() {
            return law(9, format!("u{unit} starts {role:?} in a shutdown"));
        }
        for need in &self.books[unit].needs {
            if !self.is_up(*need) {
                return law(2, format!("u{unit} starts {role:?} while u{need}, which it needs, is not up"));
            }
        }
        for other in &self.books[unit].conflicts {
            // A task that is done is not up; that its post-stop hooks run when it is stopped hinders nobody.
            let is_up =
                |(pid, role): (&Pid, &Role)| !matches!(role, Role::PostStop(_)) && self.counts(*other, *pid);
            if self.books[*other].running.iter().any(is_up) {
                return law(0, format!("u{unit} starts while u{other}, with which it conflicts, runs"));
            }
        }
        Ok(())
    }

    /// Up by the books: what the engine says, borne out by what happened.
    pub(crate) fn is_up(&self, unit: usize) -> bool {
        matches!(self.phases[unit], Phase::Ready | Phase::Done | Phase::Skipped)
    }

    pub(crate) fn check_spawn(
        &mut self,
        unit: usize,
        role: Role,
        main: Option<Pid>,
        engine: &Engine,
    ) -> Verdict {
        if let (Role::Condition | Role::Prepare(_) | Role::ConfigTest, true) =
            (role, self.gates.is_trying(unit) && !self.is_held(unit))
        {
            return law(0, format!("u{unit}: {role} beside its trial"));
        }
        match role {
            Role::Condition | Role::Prepare(_) | Role::ConfigTest | Role::PreStart(_) => {
                self.check_start(unit, Some(role))?;
            }
            Role::Main => {
                self.check_start(unit, Some(role))?;
                let step = self.step;
                let mut running = self.books[unit].running.iter();
                let runs = running.any(|(pid, role)| *role == Role::Main && self.counts(unit, *pid));
                let book = &mut self.books[unit];
                if runs || book.ordered.contains(&Role::Main) {
                    return law(1, format!("a second main process of u{unit}"));
                }
                if let Some(place) = self.overlaps.successor_of(unit).filter(|place| !self.is_held(*place)) {
                    return law(1, format!("u{unit} starts by itself beside its successor, {place}"));
                }
                let book = &mut self.books[unit];
                (book.main_ordered, book.is_amended) = (step, false);
            }
            Role::StopCommand => {
                if !self.hurried {
                    let permits = |id, unit| self.is_touchable(id, unit);
                    let is_doomed = self.is_doomed(unit) || self.needs_what_goes(unit, engine);
                    let needs = self.all_needs(unit);
                    self.gates.is_touched(unit, engine, is_doomed, "its stop command", &permits, &needs)?;
                }
                self.is_told_to_stop(unit, engine)?;
                self.check_stop(unit)?;
                self.books[unit].signalled = None;
            }
            _ => {}
        }
        if main.is_some_and(|pid| self.books[unit].main != Some(pid)) {
            return law(0, format!("u{unit}: {role} is told of a wrong main process"));
        }
        Ok(())
    }

    /// A start that failed is ended without the stop command: there is nothing that could answer.
    fn is_told_to_stop(&self, unit: usize, engine: &Engine) -> Verdict {
        let goes = self.is_doomed(unit) || self.gates.is_doomed(unit) || !self.is_wished(unit, engine);
        let is_anyones = self.requests.keys().any(|id| self.is_touchable(*id, unit));
        if self.books[unit].was_ready || goes || is_anyones || engine.is_shutting_down() {
            return Ok(());
        }
        law(0, format!("u{unit} gets its stop command, and nobody stops it"))
    }

    /// Why it is said that a process is started.
    pub(crate) fn check_reason(&self, unit: usize, role: Role, reason: Reason, engine: &Engine) -> Verdict {
        let book = &self.books[unit];
        let expected = match role {
            Role::StopCommand | Role::PostStop(_) if self.deadline.is_some() => Reason::Shutdown,
            // The step in which the shutdown begins.
            Role::StopCommand | Role::PostStop(_) if engine.is_shutting_down() => reason,
            // Whether it was doomed, or held down by a restart, in the middle of the step the books cannot tell.
            Role::StopCommand | Role::PostStop(_) if reason != Reason::Restart => Reason::Stop,
            Role::StopCommand | Role::PostStop(_) => Reason::Restart,
            _ => book.reason.unwrap_or(reason),
        };
        if reason == expected {
            return Ok(());
        }
        law(0, format!("u{unit}: {role} is said to be for a {reason:?}, and is for a {expected:?}"))
    }

    /// It begins anew after it failed, or ended: as often as it may.
    pub(crate) fn check_restarts(&mut self, unit: usize) -> Verdict {
        let now = self.now;
        let Some(program) = self.spec(unit).and_then(Unit::program) else { return Ok(()) };
        let (limit, window) = (program.restart.limit as usize, program.restart.window);
        let book = &mut self.books[unit];
        if !std::mem::take(&mut book.comes_back) {
            return Ok(());
        }
        let limit = limit.max(book.limit);
        book.restarts.retain(|at| *at + window > now);
        book.restarts.push(now);
        if book.restarts.len() > limit || !book.may_come_back {
            return law(
                8,
                format!(
                    "u{unit} was restarted {} times in {window:?}, {limit} are allowed",
                    book.restarts.len()
                ),
            );
        }
        Ok(())
    }

    /// Nobody is said to be up whose processes say otherwise.
    pub(crate) fn check_truth(&self, unit: usize, to: Phase) -> Verdict {
        let Some(own) = self.spec(unit) else {
            return law(0, format!("u{unit} is broken and {to}"));
        };
        let book = &self.books[unit];
        match (&own.kind, to) {
            (Kind::Target, _) => match book.needs.iter().find(|need| !self.is_up(**need)) {
                Some(need) => law(2, format!("u{unit} is ready without u{need}")),
                None => Ok(()),
            },
            (Kind::Service(program), Phase::Ready) => {
                let named = program.process.pid_file.is_none() || book.named;
                let shown = book.shown || program.ready.how == Readiness::Exec;
                let all = usize::from(book.hooks_done) == program.hooks.post_start.len();
                let hooks = self.ever_held.contains(&unit) || book.is_amended || all;
                if book.main.is_none() || !named || !shown || !hooks {
                    return law(
                        2,
                        format!(
                            "u{unit} is called ready, main {:?}, named {named}, shown {shown}, hooks {hooks}",
                            book.main
                        ),
                    );
                }
                Ok(())
            }
            (Kind::Task(_), Phase::Done) if book.task_ok => Ok(()),
            _ => law(2, format!("u{unit} is called {to}")),
        }
    }
}

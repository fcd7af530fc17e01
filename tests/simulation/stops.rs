//! The way down: law 3, law 6, and that whoever has to end does.

use std::time::Duration;

use sexton::engine::{Effect, Engine, Event, Phase, Request, Role, UnitId, Wanted};
use sexton::model::unit::{Kill, Kind, RestartOn, Unit};
use sexton::model::{Pid, Signal};

use super::gates::is_errands;
use super::laws::{Laws, Verdict, law};
use super::leftovers::Leftover;

impl Laws {
    pub(crate) fn check_signal(&mut self, unit: usize, pid: Pid, signal: Signal, engine: &Engine) -> Verdict {
        let book = &self.books[unit];
        if !book.running.contains_key(&pid) && !book.left.contains(&pid) && !self.gates.has(unit, pid) {
            return law(6, format!("{signal} to {pid}, which is no process of u{unit}"));
        }
        if signal == Signal::KILL {
            self.kills.entry(pid).or_insert((unit, self.now));
        }
        if Laws::is_harmless(signal) || self.books[unit].main != Some(pid) {
            return Ok(());
        }
        let kill = self.kill_policy(unit);
        if signal == Signal::KILL && kill == Kill::Never {
            return law(0, format!("KILL to u{unit}, which is never killed"));
        }
        if !self.hurried {
            let permits = |id, unit| self.is_touchable(id, unit);
            let is_doomed = self.is_doomed(unit) || self.needs_what_goes(unit, engine);
            let needs = self.all_needs(unit);
            self.gates.is_touched(unit, engine, is_doomed, &signal.to_string(), &permits, &needs)?;
        }
        if signal == Signal::HUP {
            self.books[unit].reload_ordered = self.step;
            return Ok(());
        }
        self.check_patience(unit, signal)?;
        self.books[unit].signalled = Some(signal);
        self.check_stop(unit)
    }

    /// All that it needs, and what that needs.
    pub(crate) fn all_needs(&self, unit: usize) -> Vec<usize> {
        let mut all = self.books[unit].needs.clone();
        let mut next = 0;
        while let Some(need) = all.get(next).copied() {
            next += 1;
            let new = self.books[need].needs.iter().filter(|other| !all.contains(other));
            all.extend(new.copied().collect::<Vec<_>>());
        }
        all
    }

    /// A sync has it need, or what it needs, a unit that nobody wishes up and that is on its way down.
    pub(crate) fn needs_what_goes(&self, unit: usize, engine: &Engine) -> bool {
        let goes = |need: usize| {
            let phase = self.phases[need];
            matches!(phase, Phase::Stopping | Phase::Killing | Phase::CleaningUp | Phase::Ready | Phase::Done)
                && !self.is_wished(need, engine)
        };
        self.starts_of([unit].into_iter()).into_iter().any(|need| need != unit && goes(need))
    }

    /// A daemon that asked for more time while it stops gets no further signal before that is over.
    fn check_patience(&self, unit: usize, signal: Signal) -> Verdict {
        let book = &self.books[unit];
        match book.extended {
            Some(until) if book.signalled.is_some() && self.now < until && !self.hurried => {
                law(5, format!("{signal} to u{unit} at {:?}, which asked for time up to {until:?}", self.now))
            }
            _ => Ok(()),
        }
    }

    /// `EXTEND_TIMEOUT_USEC=` of a unit that was told to stop by a signal.
    pub(crate) fn extension(&mut self, unit: usize, by: Duration) {
        let until = self.now + by;
        let (phase, book) = (self.phases[unit], &mut self.books[unit]);
        if phase == Phase::Stopping && book.signalled.is_some_and(|signal| signal != Signal::KILL) {
            book.extended = Some(book.extended.map_or(until, |other| other.max(until)));
        }
    }

    pub(crate) fn kill_policy(&self, unit: usize) -> Kill {
        self.spec(unit).and_then(Unit::program).map_or(Kill::Group, |program| program.stop.kill)
    }

    /// A unit that was up is told to stop: nothing that needs it may run.
    pub(crate) fn check_stop(&mut self, unit: usize) -> Verdict {
        let told = std::mem::replace(&mut self.books[unit].told, true);
        if told || !self.books[unit].was_ready || self.hurried {
            return Ok(());
        }
        let runs = |other: usize| {
            let target = self.spec(other).is_some_and(|unit| unit.kind == Kind::Target);
            // A process that outlives KILL is waited for no longer.
            let lives = self.books[other].running.keys().any(|pid| self.counts(other, *pid));
            lives || (target && self.phases[other] == Phase::Ready)
        };
        let counts = |other: usize| !self.is_old_circle(other, unit);
        if let Some(other) = self.books[unit].needed_by.iter().find(|other| runs(**other) && counts(**other))
        {
            return law(3, format!("u{unit} is told to stop while u{other} needs it and runs"));
        }
        let later = (0..self.books.len()).filter(|other| self.books[*other].order.contains(&unit));
        for other in later {
            if self.books[unit].in_shutdown && runs(other) && counts(other) {
                return law(3, format!("u{unit} is told to stop before u{other}, which comes after it"));
            }
        }
        Ok(())
    }

    /// Does the one go by old files, which lead back to itself together with the new ones? Then its edges do not count.
    fn is_old_circle(&self, from: usize, to: usize) -> bool {
        let mut all = vec![to];
        let mut next = 0;
        while let Some(unit) = all.get(next).copied().filter(|_| self.outdated.contains(&from)) {
            next += 1;
            let edges = self.books[unit].needs.iter().chain(&self.books[unit].order);
            let new: Vec<usize> = edges.copied().filter(|other| !all.contains(other)).collect();
            all.extend(new);
        }
        all.contains(&from)
    }

    pub(crate) fn check_change(&mut self, unit: usize, from: Phase, to: Phase, left: &[Leftover]) -> Verdict {
        if self.phases[unit] != from {
            return law(0, format!("u{unit} was {} and not {from}", self.phases[unit]));
        }
        self.phases[unit] = to;
        if to == Phase::Ready || to == Phase::Done {
            self.check_truth(unit, to)?;
        }
        let shutdown = self.deadline.is_some();
        let by_itself = self.latest.is_none();
        let policy = self.spec(unit).and_then(Unit::program).map(|program| &program.restart);
        let limit = policy.map_or(0, |restart| restart.limit as usize);
        let may = policy.is_some_and(|restart| restart.on != RestartOn::Never);
        let book = &mut self.books[unit];
        if !matches!(from, Phase::Stopping | Phase::Killing | Phase::CleaningUp) {
            book.in_shutdown = shutdown;
        }
        // A stop without a signal has begun all the same: who comes to need the unit from here on comes too late.
        if to == Phase::Stopping && matches!(from, Phase::Ready | Phase::PostStarting) {
            self.check_stop(unit)?;
        }
        let book = &mut self.books[unit];
        match to {
            Phase::Preparing => book.afresh = from == Phase::Waiting,
            Phase::Ready => book.was_ready = true,
            Phase::Starting => {
                (book.was_ready, book.told) = (false, false);
                (book.signalled, book.extended) = (None, None);
            }
            Phase::Waiting => {
                book.comes_back = by_itself && matches!(from, Phase::Backoff | Phase::CleaningUp);
                if from == Phase::CleaningUp {
                    (book.limit, book.may_come_back) = (limit, may);
                }
                match book.comes_back {
                    true => book.reason = Some(sexton::engine::Reason::Restart),
                    false if from != Phase::Stopped => book.reason = None,
                    false => {}
                }
            }
            Phase::Stopped | Phase::Failed | Phase::Backoff | Phase::Done | Phase::Skipped => {
                if to == Phase::Backoff {
                    (book.limit, book.may_come_back) = (limit, may);
                }
                self.check_nothing_left(unit, to, left)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A unit that is at rest has no process.
    fn check_nothing_left(&self, unit: usize, to: Phase, left: &[Leftover]) -> Verdict {
        let book = &self.books[unit];
        let runs = book.running.keys().any(|pid| self.counts(unit, *pid)) || !book.ordered.is_empty();
        if runs {
            return law(
                6,
                format!("u{unit} is {to} and has processes: {:?} {:?}", book.running, book.ordered),
            );
        }
        let program = self.spec(unit).and_then(Unit::program);
        let kills = program.is_some_and(|program| program.stop.kill == Kill::Group);
        // Who was left by what is not of the run need not be waited for, but was told.
        let beside = |role: Role| is_errands(role) || role == Role::ConfigTest || to == Phase::Failed;
        let stays = |left: &&Leftover| match left.role {
            Role::PostStart(_) if to == Phase::Done => false,
            role => {
                left.counts
                    && left.unit.index() == unit
                    && !(book.killed.contains(&left.group) && beside(role))
            }
        };
        if let Some(left) = left.iter().find(stays).filter(|_| kills) {
            return law(6, format!("u{unit} is {to} and left somebody in a group: {left:?}"));
        }
        Ok(())
    }

    /// Another process became the main one of a unit that ends: what the old one was told it is told too.
    pub(crate) fn was_killing_begun(&self, event: &Event, effects: &[Effect]) -> Verdict {
        let Event::MainPidChanged { unit, pid } = event else { return Ok(()) };
        if self.hurried {
            return Ok(());
        }
        let told = |wanted: Option<Signal>| {
            effects.iter().any(|effect| {
                matches!(effect, Effect::Signal { pid: own, signal, scope, .. }
                    if own == pid && wanted.is_none_or(|wanted| wanted == *signal)
                        && *scope == sexton::engine::Scope::Process)
            })
        };
        let book = &self.books[unit.index()];
        match (self.phases[unit.index()], book.signalled) {
            (Phase::Killing, _)
                if !told(Some(Signal::KILL)) && self.kill_policy(unit.index()) != Kill::Never =>
            {
                law(6, format!("u{} is killed, and its new main process is not", unit.index()))
            }
            (Phase::Stopping, Some(signal))
                if book.told && !told(None) && !self.is_unhurried(unit.index()) =>
            {
                law(6, format!("u{} got {signal}, and its new main process did not", unit.index()))
            }
            _ => Ok(()),
        }
    }

    fn is_unhurried(&self, unit: usize) -> bool {
        self.kill_policy(unit) == Kill::Never
    }

    /// The second wish to shut down: whatever runs and may be killed is, at once.
    pub(crate) fn check_ends(&self, event: &Event, effects: &[Effect]) -> Verdict {
        if !self.asked_again
            || !matches!(event, Event::Requested { request: Request::Shutdown(_), .. })
            || self.ended
        {
            return Ok(());
        }
        if effects.iter().any(|effect| matches!(effect, Effect::SignalEverybody { .. })) {
            return Ok(());
        }
        for (unit, book) in self.books.iter().enumerate() {
            let spared = |pid: &Pid| self.kills.contains_key(pid);
            let may_live = self.kill_policy(unit) == Kill::Never;
            let mut running = book.running.iter().filter(|(_, role)| !(may_live && **role == Role::Main));
            if let Some((pid, role)) = running.find(|(pid, role)| {
                !spared(pid) && (**role != Role::Main || book.main == Some(**pid)) && !may_live
            }) {
                return law(9, format!("haste is asked for, and {role} ({pid}) of u{unit} is not killed"));
            }
        }
        Ok(())
    }

    /// How a shutdown that a unit decided ends: what failed does not look like a success.
    pub(crate) fn check_exit(&self, code: u8, decided_by: Option<UnitId>, engine: &Engine) -> Verdict {
        let Some(unit) = decided_by else {
            return if code == 0 {
                Ok(())
            } else {
                law(9, format!("nobody decided the end, and it is {code}"))
            };
        };
        let is_essential = self.spec(unit.index()).is_some_and(|unit| unit.essential);
        if !is_essential {
            return law(9, format!("u{} is not essential, and decided the end", unit.index()));
        }
        let failed = engine.unit(unit).failure().is_some() && self.phases[unit.index()] == Phase::Failed;
        match failed && code == 0 {
            true => law(9, format!("u{} failed, and the end is a success", unit.index())),
            false => Ok(()),
        }
    }

    /// Whom nothing wishes down.
    pub(crate) fn is_wished(&self, unit: usize, engine: &Engine) -> bool {
        engine.unit(UnitId::from_index(unit)).wanted() == Wanted::Up
    }
}

//! Overlapping restarts among other wishes, in worlds by chance: two processes a unit at the most, every request answered
//! once, and in the end nobody is left behind.

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::engine::Failure;
use crate::engine::fixture::service;
use crate::model::UnitName;

const WORLDS: u64 = 1_000;
const STEPS: u64 = 250;

/// A small world with a mind of its own.
struct World {
    engine: Engine,
    now: Moment,
    state: u64,
    queue: VecDeque<Event>,
    running: BTreeMap<Pid, (UnitId, Role)>,
    /// Who was sent a signal, and who of them will end.
    told: BTreeSet<Pid>,
    dying: BTreeSet<Pid>,
    awaiting: BTreeSet<UnitId>,
    answers: BTreeMap<RequestId, u32>,
    next_pid: i32,
    next_request: u64,
    is_over: bool,
    trace: Vec<String>,
}

fn drafts(change: u64) -> Vec<Draft> {
    let web =
        service("web").needs("db").notify().overlap().configtest().pre_stop("drain").post_stop().render();
    let api = service("api").needs("web").overlap();
    let web = if change & 1 == 1 { web.renewed() } else { web };
    let api = if change & 2 == 2 { api.renewed() } else { api };
    let mut all =
        vec![service("db"), web, api, service("a@1").notify().overlap(), service("a@2").notify().overlap()];
    if change & 4 == 4 {
        all.push(service("late").overlap());
    }
    all
}

impl World {
    fn new(seed: u64) -> World {
        let options = Options { shutdown_timeout: Duration::from_secs(20), random_seed: seed };
        World {
            engine: Engine::new(fixture::entries(drafts(0)), options),
            now: Moment::from_nanos(1_000_000_000),
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            told: BTreeSet::new(),
            dying: BTreeSet::new(),
            awaiting: BTreeSet::new(),
            answers: BTreeMap::new(),
            next_pid: 1,
            next_request: 0,
            is_over: false,
            trace: Vec::new(),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let place = self.below(all.len().max(1) as u64);
        all.get(place as usize).copied()
    }

    fn feed(&mut self, event: Event) {
        self.trace.push(match &event {
            Event::Requested { id, request: Request::Sync { .. } } => format!("▶ {id:?} sync"),
            event => format!("▶ {event:?}"),
        });
        let mut effects = Vec::new();
        self.engine.step(self.now, event, &mut effects);
        for effect in effects {
            if !matches!(effect, Effect::Spawn { .. } | Effect::Inspect { .. }) {
                self.trace.push(format!("    {effect:?}"));
            }
            self.perform(effect);
        }
        self.check();
    }

    fn check(&self) {
        let tally = self.engine.tally();
        assert!(tally.impossible == 0 || tally.given_up > 0 || self.engine.is_shutting_down(), "impossible");
        let mains = self.running.values().filter(|(_, role)| *role == Role::Main).map(|(unit, _)| *unit);
        let mains: Vec<UnitId> = mains.collect();
        for unit in &mains {
            assert_eq!(mains.iter().filter(|other| *other == unit).count(), 1, "two processes of one run");
            let of = self.engine.stands_for(*unit);
            let is_shown = of != *unit || self.engine.ids().any(|id| id == of);
            assert!(is_shown, "a process of nobody");
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Inspect { unit, spec, purpose } => {
                let hooks = spec.program().map_or(0, |program| program.hooks.prepare.len());
                let finding = match self.below(40) {
                    0 => Finding::Unmet("'/x' does not exist".into()),
                    1 => Finding::Skip("'/y' does not exist".into()),
                    _ => Finding::Met { prepare: vec![true; hooks] },
                };
                self.queue.push_back(Event::Inspected { unit, purpose, finding });
            }
            Effect::Spawn { unit, role, .. } => self.spawn(unit, role),
            Effect::AwaitReadiness { unit } => drop(self.awaiting.insert(unit)),
            Effect::ForgetReadiness { unit } => drop(self.awaiting.remove(&unit)),
            Effect::Signal { pid, signal, .. } => {
                self.told.insert(pid);
                if signal == Signal::KILL || self.below(10) > 0 {
                    self.dying.insert(pid);
                }
            }
            Effect::ClearGroup { unit, group, .. } => {
                let gone = Event::GroupGone { unit, group };
                self.queue.retain(|event| *event != gone);
                self.queue.push_back(gone);
            }
            Effect::Exchanged { unit, with } => {
                self.running.values_mut().for_each(|(owner, _)| *owner = owner.counterpart(unit, with));
                self.queue.iter_mut().for_each(|event| event.exchange(unit, with));
                assert!(!self.awaiting.contains(&unit) && !self.awaiting.contains(&with));
            }
            Effect::Forget { unit } => {
                let left = self.running.values().any(|(owner, _)| *owner == unit);
                assert!(!left || self.engine.tally().given_up > 0, "forgotten with a process");
            }
            Effect::SignalEverybody { .. } => {
                self.dying.extend(self.running.keys().copied());
                self.queue.push_back(Event::NobodyLeft);
            }
            Effect::Reply { id, outcome } => self.answered(id, &outcome),
            Effect::Exit { .. } => self.is_over = true,
            _ => {}
        }
    }

    fn answered(&mut self, id: RequestId, outcome: &Outcome) {
        let times = self.answers.entry(id).or_default();
        *times += 1;
        assert_eq!(*times, 1, "answered twice");
        let because = match outcome {
            Outcome::RollStopped { because, .. } => because,
            other => other,
        };
        if let Outcome::Aborted { unit, failure: Failure::Successor(_), .. } = because
            && let Some(pid) = self.engine.unit(*unit).main_pid()
            && self.engine.unit(*unit).phase() == Phase::Ready
        {
            assert!(!self.told.contains(&pid), "the old process was told to stop");
        }
    }

    fn spawn(&mut self, unit: UnitId, role: Role) {
        if self.below(25) == 0 {
            let errno = if self.below(2) == 0 { libc::EAGAIN } else { libc::ENOENT };
            let cause = spawn::Cause::Errno(errno);
            let error = SpawnError { stage: ExecStage::Fork, subject: String::new(), cause };
            return self.queue.push_back(Event::SpawnFailed { unit, role, error });
        }
        self.next_pid += 1;
        let pid = Pid::new(self.next_pid).unwrap();
        self.running.insert(pid, (unit, role));
        self.queue.push_back(Event::Spawned { unit, role, pid });
    }

    fn ends(&mut self, pid: Pid, code: u8) {
        // Nobody hears of an end before he heard of the birth.
        while let Some(event) = self.queue.pop_front() {
            self.feed(event);
        }
        let Some((unit, role)) = self.running.remove(&pid) else { return };
        self.dying.remove(&pid);
        if role == Role::Main {
            self.awaiting.remove(&unit);
        }
        let status = ExitStatus::exited(code);
        let verdict = match code {
            0 => Verdict::Passed { number: None },
            _ => Verdict::Failed(Box::new(Complaint { cause: Cause::Status(status), output: Vec::new() })),
        };
        self.feed(match role.is_judged() {
            true => Event::Judged { unit, role, pid, status, verdict },
            false => Event::Exited { unit, role, pid, status },
        });
    }

    fn is_ready(&mut self, unit: UnitId) {
        self.awaiting.remove(&unit);
        self.queue.push_back(Event::BecameReady { unit });
    }

    fn tick(&mut self) -> bool {
        let Some(deadline) = self.engine.next_deadline() else { return false };
        self.now = self.now.max(deadline);
        self.feed(Event::Tick);
        true
    }

    fn wish(&mut self) {
        // What has come stays: this is not about units that others wait for and a sync takes away.
        let late = if self.engine.find("late").is_some() { 4 } else { 0 };
        let all: Vec<UnitId> = self.engine.ids().collect();
        let Some(unit) = self.one_of(&all) else { return };
        let other = self.one_of(&all).unwrap_or(unit);
        let gate = if self.below(4) == 0 { Gate::Skipped } else { Gate::Enforced };
        let units = if self.below(3) == 0 { vec![unit, other] } else { vec![unit] };
        let request = match self.below(16) {
            0..6 => Request::Restart { units, gate, how: RestartHow::Together },
            6..8 => Request::Restart { units: vec![unit, other], gate, how: RestartHow::Rolling },
            8..11 => Request::Sync { definitions: definitions(drafts(self.below(8) | late)), gate },
            11 => Request::Stop { units, dependents: Dependents::Stop },
            12 | 13 => Request::Start { units: all },
            _ => Request::Abandon { request: RequestId(self.next_request) },
        };
        self.request(request);
    }

    fn request(&mut self, request: Request) {
        self.next_request += 1;
        self.feed(Event::Requested { id: RequestId(self.next_request), request });
    }

    fn live(&mut self) {
        let next = if self.below(4) > 0 { self.queue.pop_front() } else { None };
        let Some(event) = next else {
            let running: Vec<Pid> = self.running.keys().copied().collect();
            let awaiting: Vec<UnitId> = self.awaiting.iter().copied().collect();
            match self.below(16) {
                0..3 => self.wish(),
                3..6 => drop(self.tick()),
                6..11 => {
                    if let Some(unit) = self.one_of(&awaiting) {
                        self.is_ready(unit);
                    }
                }
                _ => {
                    let dying: Vec<Pid> = self.dying.iter().copied().collect();
                    let ends = if self.below(3) > 0 { self.one_of(&dying) } else { self.one_of(&running) };
                    let code = if self.below(3) == 0 { 1 } else { 0 };
                    if let Some(pid) = ends {
                        self.ends(pid, code);
                    }
                }
            }
            return;
        };
        self.feed(event);
    }

    /// Whoever has something to do does it, until nobody has.
    fn come_to_rest(&mut self) {
        for _ in 0..5_000 {
            if let Some(event) = self.queue.pop_front() {
                self.feed(event);
            } else if let Some(unit) = self.awaiting.first().copied() {
                self.is_ready(unit);
            } else if let Some(pid) = self.dying.first().copied() {
                self.ends(pid, 0);
                self.dying.remove(&pid);
            } else if let Some(pid) =
                self.running.iter().find(|(_, (_, role))| *role != Role::Main).map(|(pid, _)| *pid)
            {
                self.ends(pid, 0);
            } else if !self.tick() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn run(&mut self) {
        let boot: Vec<UnitId> = self.engine.ids().collect();
        self.request(Request::Start { units: boot });
        for _ in 0..STEPS {
            self.live();
        }
        self.come_to_rest();
        let given_up = self.engine.tally().given_up > 0;
        for id in self.engine.ids().collect::<Vec<_>>() {
            let view = self.engine.unit(id);
            let rests =
                matches!(view.phase(), Phase::Ready | Phase::Stopped | Phase::Failed | Phase::Skipped);
            assert!(rests || given_up, "{} is {}", view.name(), view.phase());
            assert!(given_up || self.engine.hidden_of(id).is_none(), "{} still has two runs", view.name());
        }
        assert!(given_up || self.engine.hidden.len() == self.engine.gone.len(), "a run is left behind");
        assert!(self.engine.claims.is_empty(), "claimed for ever");
        for request in 1..=self.next_request {
            assert_eq!(self.answers.get(&RequestId(request)), Some(&1), "request {request}");
        }
        self.request(Request::Shutdown(Shutdown::Exit));
        self.come_to_rest();
        assert!(self.is_over, "the shutdown does not end");
    }
}

#[test]
fn whatever_comes_between_a_unit_has_two_processes_at_the_most_and_one_in_the_end() {
    for seed in 0..WORLDS {
        let mut world = World::new(seed);
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
        if let Err(cause) = end {
            let tail = world.trace.len().saturating_sub(60);
            let words = cause.downcast_ref::<String>().cloned();
            let words = words.or_else(|| cause.downcast_ref::<&str>().map(ToString::to_string));
            panic!("seed {seed}: {}\n{}", words.unwrap_or_default(), world.trace[tail..].join("\n"));
        }
    }
}

#[test]
fn the_places_that_a_sync_promised_are_not_given_to_successors() {
    let mut stage = stage(vec![service("a").notify().overlap()]);
    stage.start("a");
    stage.ready("a");
    stage.sync(vec![service("a").notify().overlap().renewed(), service("new")]);
    stage.ready("a'");
    stage.dies("a'");
    let names: Vec<UnitName> = stage
        .engine
        .ids()
        .filter_map(|id| stage.engine.unit(id).unit().map(|unit| unit.name.clone()))
        .collect();
    assert_eq!(names.iter().map(UnitName::as_str).collect::<Vec<_>>(), ["a", "new"]);
    assert_eq!((stage.phase("a"), stage.phase("new")), (Phase::Ready, Phase::Ready));
}

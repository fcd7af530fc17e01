//! Units by chance: small graphs with everything in them that the engine knows.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use sexton::model::unit::{
    ConfigTest, Entry, HalfMade, Hook, Hooks, Kill, Kind, Occasions, OnFailure, OnPreStopFailure, PreStop,
    Process, Program, Readiness, Ready, Reload, ReloadBy, Render, Require, Restart, RestartOn, Stop,
    StopStep, Unit, Until,
};
use sexton::model::{Command, Signal, Text, UnitName};

use super::chance::Chance;

pub(crate) fn name(index: usize) -> UnitName {
    UnitName::parse(&format!("u{index}")).expect("a name")
}

/// The number in the name of a unit: edges lead from greater to smaller ones.
pub(crate) fn number(name: &UnitName) -> usize {
    name.as_str().trim_start_matches('u').parse().expect("a number")
}

/// A graph of up to eight units. Edges lead to units of lower numbers, so there is no cycle but by a whim.
pub(crate) fn entries(chance: &mut Chance) -> Vec<Entry> {
    let n_units = 1 + chance.below(8) as usize;
    (0..n_units).map(|index| entry(chance, index, n_units)).collect()
}

fn entry(chance: &mut Chance, index: usize, n_units: usize) -> Entry {
    if chance.percent(3) {
        return broken(index);
    }
    let all: Vec<usize> = (0..n_units).collect();
    let mut unit = unit(chance, index, &all);
    if chance.percent(1) {
        // A name that nobody has, or a cycle: both make the unit defective.
        unit.needs = [name(n_units + 1 - chance.below(3) as usize)].into();
    }
    Entry::Unit(Rc::new(unit))
}

/// A unit whose file has errors.
pub(crate) fn broken(index: usize) -> Entry {
    Entry::Broken { name: name(index), words: "a.toml:1:1: unknown key".into() }
}

/// Some of the units that have a lower number.
pub(crate) fn lower(chance: &mut Chance, index: usize, all: &[usize], percent: u64) -> Rc<[UnitName]> {
    all.iter().filter(|other| **other < index && chance.percent(percent)).map(|other| name(*other)).collect()
}

/// A unit of this number, among units of these.
pub(crate) fn unit(chance: &mut Chance, index: usize, all: &[usize]) -> Unit {
    let needs = lower(chance, index, all, 25);
    let wants = lower(chance, index, all, 12);
    let after = lower(chance, index, all, 12);
    let higher = all.iter().find(|other| **other > index).filter(|_| chance.percent(5));
    let before: Rc<[UnitName]> = higher.map(|other| name(*other)).into_iter().collect();
    let conflicts: Rc<[UnitName]> = if chance.percent(5) {
        [name(all[chance.below(all.len() as u64) as usize])].into()
    } else {
        Rc::new([])
    };
    let kind = match chance.below(10) {
        0..7 => Kind::Service(Rc::new(program(chance))),
        7 | 8 => {
            let mut program = program(chance);
            Rc::make_mut(&mut program.restart).overlap = false;
            Kind::Task(Rc::new(program))
        }
        _ => Kind::Target,
    };
    Unit {
        name: name(index),
        description: "".into(),
        docs: Rc::new([]),
        source: Path::new("/units/u.toml").into(),
        instance_file: None,
        needs,
        wants,
        after,
        before,
        conflicts,
        manual: false,
        essential: chance.percent(3),
        kind,
    }
}

pub(crate) fn text(text: &str) -> Text {
    Text::parse(text).expect("a text")
}

pub(crate) fn command() -> Command {
    Command::new(vec![text("x")]).expect("a command")
}

/// A plain service of this name and needs, for graphs made by hand.
pub(crate) fn service(index: usize, needs: &[usize]) -> Entry {
    let mut chance = Chance::new(7);
    let mut program = program(&mut chance);
    program.hooks = Rc::default();
    program.require = Rc::default();
    program.process = Rc::default();
    program.ready = Rc::new(Ready::default());
    program.stop = Rc::new(Stop::default());
    (program.configtest, program.reload, program.renders) = (None, None, Rc::new([]));
    Entry::Unit(Rc::new(Unit {
        name: name(index),
        description: "".into(),
        docs: Rc::new([]),
        source: Path::new("/units/u.toml").into(),
        instance_file: None,
        needs: needs.iter().map(|index| name(*index)).collect(),
        wants: Rc::new([]),
        after: Rc::new([]),
        before: Rc::new([]),
        conflicts: Rc::new([]),
        manual: false,
        essential: false,
        kind: Kind::Service(Rc::new(program)),
    }))
}

pub(crate) fn hooks_of(chance: &mut Chance, percent: u64) -> Vec<Hook> {
    let n_hooks = if chance.percent(percent) { 1 + chance.below(2) } else { 0 };
    let hook = |chance: &mut Chance| Hook {
        exec: command(),
        creates: None,
        half_made: HalfMade::RunAgain,
        timeout: Duration::from_millis(100 + chance.below(3000)),
        on_failure: if chance.percent(50) { OnFailure::Fail } else { OnFailure::Continue },
        run_as: None,
    };
    (0..n_hooks).map(|_| hook(chance)).collect()
}

pub(crate) fn pre_stops(chance: &mut Chance) -> Vec<PreStop> {
    let n_hooks = if chance.percent(35) { 1 + chance.below(3) } else { 0 };
    let hook = |place: u64, chance: &mut Chance| PreStop {
        name: format!("hook{place}"),
        exec: command(),
        undo: chance.percent(70).then(command),
        until: chance.percent(40).then_some(Until::Exit(7)),
        every: Duration::from_millis(50 + chance.below(1500)),
        timeout: Duration::from_millis(200 + chance.below(6000)),
        on_failure: if chance.percent(60) { OnPreStopFailure::Abort } else { OnPreStopFailure::Continue },
        on: Occasions { restart: chance.percent(80), stop: chance.percent(80), shutdown: chance.percent(80) },
        run_as: None,
    };
    (0..n_hooks).map(|place| hook(place, chance)).collect()
}

pub(crate) fn configtest(chance: &mut Chance) -> ConfigTest {
    ConfigTest {
        exec: command(),
        codes_ok: vec![0],
        ok_output: None,
        fail_output: None,
        run_as: None,
        timeout: Duration::from_millis(100 + chance.below(3000)),
        files: Vec::new(),
    }
}

fn reload(chance: &mut Chance) -> Reload {
    let how = if chance.percent(50) { ReloadBy::Signal(Signal::HUP) } else { ReloadBy::Command(command()) };
    let (timeout, settle) = (500 + chance.below(4000), chance.below(800));
    Reload {
        how,
        timeout: Duration::from_millis(timeout),
        settle: Duration::from_millis(settle),
        verify: chance.percent(30).then(command),
        fail_output: settle.is_multiple_of(3).then(|| "failed".to_owned()),
    }
}

fn render() -> Render {
    Render { from: text("/t"), to: text("/f"), mode: 0o644, parameters: Rc::new([]) }
}

pub(crate) fn program(chance: &mut Chance) -> Program {
    let hooks = Hooks {
        prepare: hooks_of(chance, 10),
        pre_start: hooks_of(chance, 15),
        post_start: hooks_of(chance, 15),
        post_stop: hooks_of(chance, 15),
        pre_stop: pre_stops(chance),
    };
    let require = Require { condition: chance.percent(10).then(command), ..Require::default() };
    let process = Process { pid_file: chance.percent(12).then(|| text("/run/pid")), ..Process::default() };
    let how = if chance.percent(50) { Readiness::Exec } else { Readiness::Notify };
    let ready = Ready { how, timeout: Duration::from_millis(500 + chance.below(8000)), ..Ready::default() };
    let step = |chance: &mut Chance| StopStep {
        signal: if chance.percent(50) { Signal::TERM } else { Signal::INT },
        wait: Duration::from_millis(chance.below(3000)),
    };
    let stop = Stop {
        exec: chance.percent(15).then(command),
        exec_timeout: Duration::from_millis(200 + chance.below(3000)),
        steps: (0..chance.below(3)).map(|_| step(chance)).collect(),
        kill: match chance.below(20) {
            0 => Kill::Never,
            1 | 2 => Kill::Process,
            _ => Kill::Group,
        },
        ..Stop::default()
    };
    let restart = Restart {
        on: [RestartOn::Failure, RestartOn::Failure, RestartOn::Always, RestartOn::Never]
            [chance.below(4) as usize],
        codes_final: if chance.percent(20) { vec![78] } else { Vec::new() },
        delay: if chance.percent(30) { Duration::ZERO } else { Duration::from_millis(chance.below(2000)) },
        max_delay: Duration::from_secs(5),
        jitter: chance.below(1001) as u32,
        stable: Duration::from_secs(1 + chance.below(5)),
        limit: chance.below(6) as u32,
        window: Duration::from_secs(1 + chance.below(30)),
        overlap: chance.with_overlaps && process.pid_file.is_none() && chance.percent(25),
        ..Restart::default()
    };
    Program {
        exec: command(),
        process: Rc::new(process),
        require: Rc::new(require),
        dirs: Rc::new([]),
        hooks: Rc::new(hooks),
        ready: Rc::new(ready),
        stop: Rc::new(stop),
        restart: Rc::new(restart),
        configtest: chance.percent(40).then(|| Rc::new(configtest(chance))),
        reload: chance.percent(40).then(|| Rc::new(reload(chance))),
        renders: if chance.percent(25) { [render()].into() } else { Rc::new([]) },
        resources: None,
        log: Rc::default(),
    }
}

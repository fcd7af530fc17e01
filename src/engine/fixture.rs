//! Units for tests, in one line each: `service("web").needs("db").notify()`.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::model::unit::{
    ConfigTest, Entry, HalfMade, Hook, Hooks, Kill, Kind, Occasions, OnFailure, OnPreStopFailure, PreStop,
    Process, Program, Readiness, Ready, Reload, ReloadBy, Render, Require, Restart, RestartOn, Stop,
    StopStep, Unit, Until,
};
use crate::model::{Command, Number, Signal, Text, UnitName};

/// A unit in the making.
#[derive(Clone)]
pub(crate) struct Draft {
    name: UnitName,
    needs: Vec<UnitName>,
    wants: Vec<UnitName>,
    after: Vec<UnitName>,
    before: Vec<UnitName>,
    conflicts: Vec<UnitName>,
    essential: bool,
    form: Form,
    process: Process,
    require: Require,
    hooks: Hooks,
    ready: Ready,
    stop: Stop,
    restart: Restart,
    configtest: Option<ConfigTest>,
    reload: Option<Reload>,
    renders: Vec<Render>,
}

#[derive(Clone, Copy)]
enum Form {
    Target,
    Service,
    Task,
    Broken,
}

/// A service that is ready when it runs.
pub(crate) fn service(name: &str) -> Draft {
    draft(name, Form::Service)
}

/// A task.
pub(crate) fn task(name: &str) -> Draft {
    draft(name, Form::Task)
}

/// A target.
pub(crate) fn target(name: &str) -> Draft {
    draft(name, Form::Target)
}

/// A unit whose file has an error.
pub(crate) fn broken(name: &str) -> Draft {
    draft(name, Form::Broken)
}

/// What the engine is given.
pub(crate) fn entries(drafts: Vec<Draft>) -> Vec<Entry> {
    drafts.into_iter().map(Draft::entry).collect()
}

/// A command of one word.
pub(crate) fn command(program: &str) -> Command {
    Command::new(vec![Text::parse(program).unwrap()]).unwrap()
}

/// A hook that may take ten seconds.
pub(crate) fn hook(on_failure: OnFailure) -> Hook {
    Hook {
        exec: command("hook"),
        creates: None,
        half_made: HalfMade::RunAgain,
        timeout: Duration::from_secs(10),
        on_failure,
        run_as: None,
    }
}

fn draft(name: &str, form: Form) -> Draft {
    let restart = Restart { jitter: 0, ..Restart::default() };
    Draft {
        name: UnitName::parse(name).unwrap(),
        needs: Vec::new(),
        wants: Vec::new(),
        after: Vec::new(),
        before: Vec::new(),
        conflicts: Vec::new(),
        essential: false,
        form,
        process: Process::default(),
        require: Require::default(),
        hooks: Hooks::default(),
        ready: Ready::default(),
        stop: Stop::default(),
        restart,
        configtest: None,
        reload: None,
        renders: Vec::new(),
    }
}

fn names(list: &str) -> Vec<UnitName> {
    list.split_whitespace().map(|name| UnitName::parse(name).unwrap()).collect()
}

impl Draft {
    pub(crate) fn needs(mut self, list: &str) -> Draft {
        self.needs = names(list);
        self
    }

    pub(crate) fn wants(mut self, list: &str) -> Draft {
        self.wants = names(list);
        self
    }

    pub(crate) fn after(mut self, list: &str) -> Draft {
        self.after = names(list);
        self
    }

    pub(crate) fn before(mut self, list: &str) -> Draft {
        self.before = names(list);
        self
    }

    pub(crate) fn conflicts(mut self, list: &str) -> Draft {
        self.conflicts = names(list);
        self
    }

    /// Another process than before: only a new start brings it about.
    pub(crate) fn renewed(mut self) -> Draft {
        self.process.nice = Some(1);
        self
    }

    pub(crate) fn essential(mut self) -> Draft {
        self.essential = true;
        self
    }

    /// Ready when it says so; it has ten seconds.
    pub(crate) fn notify(mut self) -> Draft {
        self.ready.how = Readiness::Notify;
        self.ready.timeout = Duration::from_secs(10);
        self
    }

    pub(crate) fn pid_file(mut self) -> Draft {
        self.process.pid_file = Some(Text::parse("/run/pid").unwrap());
        self
    }

    pub(crate) fn condition(mut self) -> Draft {
        self.require.condition = Some(command("condition"));
        self
    }

    pub(crate) fn prepare(mut self, on_failure: OnFailure) -> Draft {
        self.hooks.prepare.push(hook(on_failure));
        self
    }

    pub(crate) fn pre_start(mut self, on_failure: OnFailure) -> Draft {
        self.hooks.pre_start.push(hook(on_failure));
        self
    }

    pub(crate) fn post_start(mut self, on_failure: OnFailure) -> Draft {
        self.hooks.post_start.push(hook(on_failure));
        self
    }

    pub(crate) fn post_stop(mut self) -> Draft {
        self.hooks.post_stop.push(hook(OnFailure::Continue));
        self
    }

    /// A stop command that, with the process after it, may take five seconds.
    pub(crate) fn stop_command(mut self) -> Draft {
        self.stop.exec = Some(command("stop"));
        self.stop.exec_timeout = Duration::from_secs(5);
        self
    }

    /// These signals, with a second of waiting after each.
    pub(crate) fn stop_steps(mut self, signals: &[Signal]) -> Draft {
        let wait = Duration::from_secs(1);
        self.stop.steps = signals.iter().map(|signal| StopStep { signal: *signal, wait }).collect();
        self
    }

    pub(crate) fn kill(mut self, kill: Kill) -> Draft {
        self.stop.kill = kill;
        self
    }

    pub(crate) fn restart(mut self, on: RestartOn) -> Draft {
        self.restart.on = on;
        self
    }

    pub(crate) fn restart_policy(mut self, change: impl FnOnce(&mut Restart)) -> Draft {
        change(&mut self.restart);
        self
    }

    /// Its successor comes up before it stops.
    pub(crate) fn overlap(self) -> Draft {
        self.restart_policy(|restart| restart.overlap = true)
    }

    /// A configuration test that may take five seconds.
    pub(crate) fn configtest(mut self) -> Draft {
        self.configtest = Some(ConfigTest {
            exec: command("test"),
            codes_ok: vec![0],
            ok_output: None,
            fail_output: None,
            run_as: None,
            timeout: Duration::from_secs(5),
            files: Vec::new(),
        });
        self
    }

    /// A pre-stop hook of this name that runs before every stop, once, can be undone and has ten seconds.
    pub(crate) fn pre_stop(self, name: &str) -> Draft {
        self.pre_stop_as(name, |_| {})
    }

    pub(crate) fn pre_stop_as(mut self, name: &str, change: impl FnOnce(&mut PreStop)) -> Draft {
        let mut hook = PreStop {
            name: name.to_owned(),
            exec: command("hook"),
            undo: Some(command("undo")),
            until: None,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            on_failure: OnPreStopFailure::Abort,
            on: Occasions::ALL,
            run_as: None,
        };
        change(&mut hook);
        self.hooks.pre_stop.push(hook);
        self
    }

    /// A pre-stop hook that runs each second until it prints a number below 15.
    pub(crate) fn pre_stop_until(self, name: &str) -> Draft {
        self.pre_stop_as(name, |hook| hook.until = Number::new(15.0).map(Until::NumberBelow))
    }

    /// Reloaded by HUP; half a second to settle, five for all.
    pub(crate) fn reload(self) -> Draft {
        self.reload_as(|_| {})
    }

    pub(crate) fn reload_as(mut self, change: impl FnOnce(&mut Reload)) -> Draft {
        let mut reload = Reload {
            how: ReloadBy::Signal(Signal::HUP),
            timeout: Duration::from_secs(5),
            settle: Duration::from_millis(500),
            verify: None,
            fail_output: None,
        };
        change(&mut reload);
        self.reload = Some(reload);
        self
    }

    /// A file made from a template.
    pub(crate) fn render(mut self) -> Draft {
        let [from, to] = ["/etc/template", "/run/made"].map(|path| Text::parse(path).unwrap());
        self.renders.push(Render { from, to, mode: 0o644, parameters: Rc::new([]) });
        self
    }

    fn entry(self) -> Entry {
        if let Form::Broken = self.form {
            return Entry::Broken { name: self.name, words: "/units/x.toml:1:1: unknown key 'x'".into() };
        }
        let program = Rc::new(Program {
            exec: command("daemon"),
            process: Rc::new(self.process),
            require: Rc::new(self.require),
            dirs: Rc::new([]),
            hooks: Rc::new(self.hooks),
            ready: Rc::new(self.ready),
            stop: Rc::new(self.stop),
            restart: Rc::new(self.restart),
            configtest: self.configtest.map(Rc::new),
            reload: self.reload.map(Rc::new),
            renders: self.renders.into(),
            resources: None,
            log: Rc::default(),
        });
        let kind = match self.form {
            Form::Target | Form::Broken => Kind::Target,
            Form::Service => Kind::Service(program),
            Form::Task => Kind::Task(program),
        };
        Entry::Unit(Rc::new(Unit {
            source: Path::new("/units").join(format!("{}.toml", self.name)).into(),
            name: self.name,
            description: "".into(),
            docs: Rc::new([]),
            instance_file: None,
            needs: self.needs.into(),
            wants: self.wants.into(),
            after: self.after.into(),
            before: self.before.into(),
            conflicts: self.conflicts.into(),
            manual: false,
            essential: self.essential,
            kind,
        }))
    }
}

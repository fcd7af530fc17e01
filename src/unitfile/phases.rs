//! What stands between a wish and the process: `[configtest]`, `[[pre-stop]]`, `[reload]`, `[[render]]`.
//!
//! ```text
//!   render ──→ configtest ──→ pre-stop, while it serves ──→ stop ──→ start
//!                    └──────→ reload ──→ settle, fail-output, ready, verify
//! ```

use std::rc::Rc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::diagnostic::Span;
use super::document::Value;
use super::program::SHORTEST;
use super::read::{Reader, in_order, items, table};
use super::schema::{OCCASIONS, PRE_STOP_ON_FAILURE, UNTIL_EXAMPLE};
use crate::model::unit::{
    CONFIGTEST_TIMEOUT, ConfigTest, HOOK_TIMEOUT, Occasions, OnPreStopFailure, PRE_STOP_EVERY, PreStop,
    RELOAD_SETTLE, RELOAD_TIMEOUT, Reload, ReloadBy, Render, Until,
};
use crate::model::{Command, Number, Signal, Text};

impl<'s> Reader<'_, 's> {
    /// Reads `[configtest]`.
    pub fn configtest(&mut self, root: &DeTable<'s>) -> Option<Rc<ConfigTest>> {
        let (keys, at) = table(root, "configtest")?;
        let exec = self.must_command(keys, &at);
        if let Some(value) = keys.get("codes-ok").filter(|value| is_empty(value)) {
            self.problems.error(&value.span(), "without an exit code that is good no test can pass");
        }
        let test = ConfigTest {
            codes_ok: self.codes(keys, "codes-ok").unwrap_or_else(|| vec![0]),
            ok_output: self.pattern(keys, "ok-output"),
            fail_output: self.pattern(keys, "fail-output"),
            run_as: keys.get("as").and_then(|value| self.account(value)),
            timeout: self.duration(keys, "timeout", SHORTEST).unwrap_or(CONFIGTEST_TIMEOUT),
            files: items(keys, "files").iter().filter_map(|item| self.file_pattern(item)).collect(),
            exec: exec?,
        };
        Some(self.pool.configtest.share(Rc::new(test)))
    }

    /// A regular expression; an empty one counts as none, so that a drop-in can take one away.
    fn pattern(&mut self, keys: &DeTable<'s>, key: &str) -> Option<String> {
        self.regex(keys, key).filter(|pattern| !pattern.is_empty())
    }

    /// An absolute path in which `*` and `?` stand for parts of a name and `**` for any number of directories.
    fn file_pattern(&mut self, value: &Value<'s>) -> Option<Text> {
        let path = self.path(value)?;
        let odd = |part: &str| part.contains("**") && part != "**";
        if path.as_str().split('/').any(odd) {
            let help = "write \"/etc/nginx/**\" for all files below a directory";
            self.problems.error_help(&value.span(), "'**' stands alone between two '/'", help);
            return None;
        }
        Some(path)
    }

    /// Reads every `[[pre-stop]]`.
    pub fn pre_stops(&mut self, root: &DeTable<'s>) -> Vec<PreStop> {
        let tables = items(root, "pre-stop");
        tables.iter().filter_map(|item| self.pre_stop(item.get_ref().as_table()?, &item.span())).collect()
    }

    fn pre_stop(&mut self, hook: &DeTable<'s>, at: &Span) -> Option<PreStop> {
        let exec = self.must_command(hook, at);
        let name = hook.get("name").and_then(|value| self.hook_name(value));
        let undo = self.command(hook, "undo");
        let until = hook.get("until").and_then(|value| self.until(value));
        let timeout = self.duration(hook, "timeout", SHORTEST).unwrap_or(HOOK_TIMEOUT);
        let every = self.every(hook, timeout);
        let on_failure = match self.choice(hook, "on-failure", PRE_STOP_ON_FAILURE) {
            Some(1) => OnPreStopFailure::Continue,
            _ => OnPreStopFailure::Abort,
        };
        let on = hook.get("on").map_or(Occasions::ALL, |value| self.occasions(hook, value));
        let run_as = hook.get("as").and_then(|value| self.account(value));
        let exec = exec?;
        let name = name.unwrap_or_else(|| base_name(&exec).to_owned());
        Some(PreStop { name, exec, undo, until, every, timeout, on_failure, on, run_as })
    }

    fn hook_name(&mut self, value: &Value<'s>) -> Option<String> {
        let name = self.plain(value)?;
        if name.trim().is_empty() || name.contains(char::is_control) {
            self.problems.error(&value.span(), "a name is one line of text");
            return None;
        }
        Some(name.into_owned())
    }

    fn every(&mut self, hook: &DeTable<'s>, timeout: Duration) -> Duration {
        let Some(value) = hook.get("every") else { return PRE_STOP_EVERY };
        if hook.get("until").is_none() {
            let help = format!("say what it is repeated for: until = {UNTIL_EXAMPLE}");
            self.problems.error_help(&value.span(), "'every' goes with 'until', which is not there", help);
        }
        let every = self.duration(hook, "every", SHORTEST).unwrap_or(PRE_STOP_EVERY);
        if every >= timeout {
            self.problems
                .error(&value.span(), "'every' is not shorter than 'timeout': it would run only once");
        }
        every
    }

    fn until(&mut self, value: &Value<'s>) -> Option<Until> {
        let keys = value.get_ref().as_table()?;
        let written = in_order(keys);
        match &written[..] {
            [] => {
                let help = format!("write until = {UNTIL_EXAMPLE}");
                self.problems.error_help(&value.span(), "'until' says nothing", help);
            }
            [_] => {}
            [(first, _), others @ ..] => {
                for (other, _) in others {
                    let message = format!(
                        "one end is enough: '{}' is there already, '{}' too",
                        first.get_ref(),
                        other.get_ref()
                    );
                    self.problems.error(&other.span(), message);
                }
            }
        }
        if let Some(number) = keys.get("number-below") {
            return self.number(number).map(Until::NumberBelow);
        }
        if let Some(code) = self.integer(keys, "exit", 0, 255) {
            return u8::try_from(code).ok().map(Until::Exit);
        }
        self.regex(keys, "matches").map(Until::Matches)
    }

    fn number(&mut self, value: &Value<'s>) -> Option<Number> {
        let (written, parsed) = match value.get_ref() {
            DeValue::Float(number) => (number.as_str(), number.as_str().parse::<f64>().ok()),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                (number.as_str(), parsed.ok().map(|number| number as f64))
            }
            _ => return None,
        };
        let number = parsed.and_then(Number::new);
        if number.is_none() {
            self.problems.error(&value.span(), format!("{written} is not a number to be below"));
        }
        number
    }

    fn occasions(&mut self, hook: &DeTable<'s>, value: &Value<'s>) -> Occasions {
        if is_empty(value) {
            let help = format!("write on = {OCCASIONS:?}, or some of them");
            self.problems.error_help(&value.span(), "a hook without an occasion never runs", help);
        }
        let words = items(hook, "on").iter();
        let found: Vec<usize> = words.filter_map(|item| self.word(item, "on", OCCASIONS)).collect();
        Occasions { restart: found.contains(&0), stop: found.contains(&1), shutdown: found.contains(&2) }
    }

    /// Reads `[reload]`.
    pub fn reload(&mut self, root: &DeTable<'s>) -> Option<Rc<Reload>> {
        let (keys, at) = table(root, "reload")?;
        let signal = keys.get("signal").and_then(|value| self.reload_signal(value));
        let command = self.command(keys, "exec");
        match (keys.get("signal"), keys.get("exec")) {
            (Some(_), Some(value)) => {
                let message = "one way to reload is enough: 'signal' is there already, 'exec' too";
                self.problems.error(&value.span(), message);
            }
            (None, None) => {
                let help = "write signal = \"HUP\" or exec = [\"program\", \"argument\"]";
                self.problems.error_help(&at, "[reload] does not say how", help);
            }
            (None, Some(value)) if is_empty(value) => {
                self.problems.error(&value.span(), "'exec' is empty");
            }
            _ => {}
        }
        let timeout = self.duration(keys, "timeout", SHORTEST).unwrap_or(RELOAD_TIMEOUT);
        let settle = self.duration(keys, "settle", Duration::ZERO);
        if let Some(value) = keys.get("settle").filter(|_| settle.is_some_and(|settle| settle >= timeout)) {
            self.problems
                .error(&value.span(), "'settle' is not shorter than 'timeout', of which it is a part");
        }
        // A short timeout leaves less than the usual time to settle.
        let settle = settle.unwrap_or_else(|| RELOAD_SETTLE.min(timeout / 2));
        let verify = self.command(keys, "verify");
        let fail_output = self.pattern(keys, "fail-output");
        let how = signal.map(ReloadBy::Signal).or_else(|| command.map(ReloadBy::Command))?;
        Some(self.pool.reload.share(Rc::new(Reload { how, timeout, settle, verify, fail_output })))
    }

    fn reload_signal(&mut self, value: &Value<'s>) -> Option<Signal> {
        let signal = self.signal(value)?;
        if [Signal::KILL, Signal::STOP].contains(&signal) {
            let message = format!("{signal} never reaches a process that could read its configuration");
            self.problems.error(&value.span(), message);
            return None;
        }
        Some(signal)
    }

    /// Reads every `[[render]]`.
    pub fn renders(&mut self, root: &DeTable<'s>) -> Rc<[Render]> {
        let tables = items(root, "render");
        if tables.is_empty() {
            return self.pool.renders.usual();
        }
        // Whatever the paths are, the template's text can name what is this instance's own.
        self.uses_names = true;
        let parameters = self.render_parameters();
        let mut list: Vec<Render> = Vec::with_capacity(tables.len());
        for item in tables {
            let Some(keys) = item.get_ref().as_table() else { continue };
            let Some(render) = self.render(keys, &item.span(), &parameters) else { continue };
            let at = keys.get("to").map_or(item.span(), |value| value.span());
            if render.from == render.to {
                self.problems.error(&at, "it would be made from itself");
            }
            if list.iter().any(|other| other.to == render.to) {
                self.problems.error(&at, format!("'{}' is made already, by another [[render]]", render.to));
            }
            list.push(render);
        }
        self.pool.renders.share(list.into())
    }

    fn render(
        &mut self,
        keys: &DeTable<'s>,
        at: &Span,
        parameters: &Rc<[(String, String)]>,
    ) -> Option<Render> {
        for key in ["from", "to"] {
            if keys.get(key).is_none() {
                let help = "write from = \"/etc/shop.conf.in\" and to = \"/run/shop/shop.conf\"";
                self.problems.error_help(at, format!("'{key}' is missing"), help);
            }
        }
        let from = keys.get("from").and_then(|value| self.path(value));
        let to = keys.get("to").and_then(|value| self.path(value));
        let mode = self.octal(keys, "mode", 0o777).unwrap_or(0o644);
        Some(Render { from: from?, to: to?, mode, parameters: parameters.clone() })
    }

    /// What `%{…}` can name in a template: as in the unit a parameter of the instance, and what `%i` and its
    /// kin stand for.
    fn render_parameters(&self) -> Rc<[(String, String)]> {
        let names = self.names;
        let mut list = names.parameters.clone();
        let own =
            [("i", names.instance), ("f", names.file), ("n", Some(names.name)), ("p", Some(names.prefix))];
        for (name, value) in own.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if !list.iter().any(|(known, _)| known == name) {
                list.push((name.to_owned(), value.to_owned()));
            }
        }
        list.into()
    }
}

fn is_empty(value: &Value<'_>) -> bool {
    value.get_ref().as_array().is_some_and(|items| items.is_empty())
}

/// The last part of a program's path.
fn base_name(command: &Command) -> &str {
    let program = command.argv().first().map_or("", Text::as_str);
    program.rsplit('/').next().unwrap_or(program)
}

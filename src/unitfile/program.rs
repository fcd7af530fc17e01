//! `[service]`, `[task]` and the tables around them: what runs, what must be there, how it is ready, how it stops.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use toml::de::DeTable;

use super::diagnostic::Span;
use super::document::Value;
use super::read::{Reader, in_order, items, table};
use crate::model::Text;
use crate::model::unit::{
    Directory, DirectoryKind, HOOK_TIMEOUT, HalfMade, Hook, Hooks, HttpTarget, Keep, Kill, OnFailure,
    Program, Readiness, Ready, Require, Restart, RestartOn, Stop, StopStep,
};

/// A timeout of nothing would fail everything; a probe without a pause would be a busy loop.
pub const SHORTEST: Duration = Duration::from_millis(1);

impl<'s> Reader<'_, 's> {
    /// Reads all that a service or a task runs; `run` is its `[service]` or `[task]`.
    pub fn program(&mut self, root: &DeTable<'s>, run: &DeTable<'s>, at: &Span) -> Option<Rc<Program>> {
        let exec = self.must_command(run, at);
        let process = self.part(|parts| &mut parts.process, |reader| reader.process(root));
        let require = self.part(|parts| &mut parts.require, |reader| reader.require(root));
        let dirs = self.part(|parts| &mut parts.dirs, |reader| reader.dirs(root));
        let hooks = self.part(|parts| &mut parts.hooks, |reader| reader.hooks(root));
        let ready = self.part(|parts| &mut parts.ready, |reader| reader.ready(root));
        let stop = self.part(|parts| &mut parts.stop, |reader| reader.stop(root));
        let restart = self.part(|parts| &mut parts.restart, |reader| reader.restart(root));
        let configtest = self.part(|parts| &mut parts.configtest, |reader| reader.configtest(root));
        let reload = self.part(|parts| &mut parts.reload, |reader| reader.reload(root));
        let renders = self.part(|parts| &mut parts.renders, |reader| reader.renders(root));
        let resources = self.part(|parts| &mut parts.resources, |reader| reader.resources(root));
        let log = self.part(|parts| &mut parts.log, |reader| reader.log(root));
        let program = Program {
            exec: exec?,
            process,
            require,
            dirs,
            hooks,
            ready,
            stop,
            restart,
            configtest,
            reload,
            renders,
            resources,
            log,
        };
        Some(self.pool.program.share(Rc::new(program)))
    }

    fn require(&mut self, root: &DeTable<'s>) -> Rc<Require> {
        let Some((require, _)) = table(root, "require") else { return self.pool.require.usual() };
        let mut free_space = Vec::new();
        if let Some((sizes, _)) = table(require, "free-space") {
            for (path, size) in in_order(sizes) {
                let text = self.text_at(path.get_ref(), &path.span());
                free_space.extend(text.zip(self.size(size)));
            }
        }
        let require = Require {
            exists: self.paths(require, "exists"),
            readable: self.paths(require, "readable"),
            writable: self.paths(require, "writable"),
            free_space,
            executable: self.texts(require, "executable"),
            condition: self.command(require, "condition"),
            skip_unless_exists: self.paths(require, "skip-unless-exists"),
        };
        self.pool.require.share(Rc::new(require))
    }

    fn dirs(&mut self, root: &DeTable<'s>) -> Rc<[Directory]> {
        let Some((dirs, _)) = table(root, "dirs") else { return self.pool.dirs.usual() };
        let mut list = Vec::new();
        for (kind, key, _) in DirectoryKind::ALL {
            list.extend(items(dirs, key).iter().filter_map(|item| self.directory(kind, item)));
        }
        self.pool.dirs.share(list.into())
    }

    fn directory(&mut self, kind: DirectoryKind, item: &Value<'s>) -> Option<Directory> {
        let usual = if kind == DirectoryKind::Runtime { Keep::Never } else { Keep::Always };
        let Some(entry) = item.get_ref().as_table() else {
            return Some(Directory { path: self.below(kind, item)?, kind, mode: 0o755, keep: usual });
        };
        let Some(path) = entry.get("path") else {
            self.problems.error(&item.span(), "'path' is missing");
            return None;
        };
        let path = self.below(kind, path);
        let mode = self.octal(entry, "mode", 0o7777);
        let keep = match (self.choice(entry, "keep", &["restart"]), kind) {
            (None, _) => usual,
            (Some(_), DirectoryKind::Runtime) => Keep::Restart,
            (Some(_), _) => {
                let at = entry.get("keep").map_or(item.span(), |value| value.span());
                self.problems
                    .error(&at, "only a runtime directory is ever removed: 'keep' says nothing here");
                usual
            }
        };
        Some(Directory { path: path?, kind, mode: mode.unwrap_or(0o755), keep })
    }

    fn below(&mut self, kind: DirectoryKind, value: &Value<'s>) -> Option<String> {
        let path = self.plain(value)?;
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if path.split('/').any(odd) {
            let message = format!("'{path}' is not a path below {}", kind.root());
            self.problems.error_help(&value.span(), message, "without a leading '/', without '.' and '..'");
            return None;
        }
        Some(format!("{}/{path}", kind.root()))
    }

    fn hooks(&mut self, root: &DeTable<'s>) -> Rc<Hooks> {
        let hooks = Hooks {
            prepare: self.hook_list(root, "prepare", OnFailure::Fail),
            pre_start: self.hook_list(root, "pre-start", OnFailure::Fail),
            post_start: self.hook_list(root, "post-start", OnFailure::Fail),
            pre_stop: self.pre_stops(root),
            post_stop: self.hook_list(root, "post-stop", OnFailure::Continue),
        };
        self.pool.hooks.share(Rc::new(hooks))
    }

    fn hook_list(&mut self, root: &DeTable<'s>, key: &str, usual: OnFailure) -> Vec<Hook> {
        let tables = items(root, key);
        tables.iter().filter_map(|item| self.hook(item.get_ref().as_table()?, &item.span(), usual)).collect()
    }

    fn hook(&mut self, hook: &DeTable<'s>, at: &Span, usual: OnFailure) -> Option<Hook> {
        let exec = self.must_command(hook, at);
        let creates = hook.get("creates").and_then(|value| self.path(value));
        let timeout = self.duration(hook, "timeout", SHORTEST).unwrap_or(HOOK_TIMEOUT);
        let on_failure = match self.choice(hook, "on-failure", &["fail", "continue"]) {
            Some(0) => OnFailure::Fail,
            Some(_) => OnFailure::Continue,
            None => usual,
        };
        let run_as = hook.get("as").and_then(|value| self.account(value));
        let half_made = match self.choice(hook, "half-made", &["run-again", "refuse"]) {
            Some(1) => HalfMade::Refuse,
            _ => HalfMade::RunAgain,
        };
        Some(Hook { exec: exec?, creates, half_made, timeout, on_failure, run_as })
    }

    fn ready(&mut self, root: &DeTable<'s>) -> Rc<Ready> {
        let Some((keys, _)) = table(root, "ready") else { return self.pool.ready.usual() };
        let mut ready = Ready::default();
        ready.timeout = self.duration(keys, "timeout", SHORTEST).unwrap_or(ready.timeout);
        ready.interval = self.duration(keys, "interval", SHORTEST).unwrap_or(ready.interval);
        let mut ways: Vec<(&str, Span)> = Vec::new();
        for (key, value) in in_order(keys) {
            let Some(how) = self.way(key.get_ref(), value, keys) else { continue };
            if ways.is_empty() {
                ready.how = how;
            }
            ways.push((key.get_ref(), key.span()));
        }
        if let [(first, _), others @ ..] = &ways[..] {
            for (other, span) in others {
                self.problems.error(
                    span,
                    format!("one way to be ready is enough: '{first}' is there already, '{other}' too"),
                );
            }
        }
        if let (Some(value), None) = (keys.get("matches"), keys.get("exec")) {
            self.problems.error(&value.span(), "'matches' goes with 'exec', which is not there");
        }
        self.pool.ready.share(Rc::new(ready))
    }

    /// The way that one key of `[ready]` stands for.
    fn way(&mut self, key: &str, value: &Value<'s>, keys: &DeTable<'s>) -> Option<Readiness> {
        match key {
            "notify" => self.flag(keys, key).filter(|yes| *yes).map(|_| Readiness::Notify),
            "fd" => self.integer(keys, key, 3, 1023).and_then(|fd| i32::try_from(fd).ok()).map(Readiness::Fd),
            "tcp" => self.address(value).map(Readiness::Tcp),
            "unix" => self.path(value).map(Readiness::Unix),
            "http" => self.http(value).map(Readiness::Http),
            "exec" => {
                let matches = self.regex(keys, "matches");
                self.command(keys, key).map(|exec| Readiness::Command { exec, matches })
            }
            "log" => self.regex(keys, key).map(Readiness::Log),
            "file" => self.path(value).map(Readiness::File),
            _ => None,
        }
    }

    fn address(&mut self, value: &Value<'s>) -> Option<SocketAddr> {
        let text = self.plain(value)?;
        let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        if address.is_none() {
            let message = format!("'{text}' is no address to connect to");
            let help = "write \"127.0.0.1:6379\" or \"[::1]:6379\"; names are not looked up";
            self.problems.error_help(&value.span(), message, help);
        }
        address
    }

    fn http(&mut self, value: &Value<'s>) -> Option<HttpTarget> {
        let text = self.plain(value)?;
        let target = parse_http(&text);
        if target.is_none() {
            let message = format!("'{text}' is no address to ask");
            let help =
                "write \"http://127.0.0.1:8080/health\"; names are not looked up and TLS is not spoken";
            self.problems.error_help(&value.span(), message, help);
        }
        target
    }

    fn stop(&mut self, root: &DeTable<'s>) -> Rc<Stop> {
        let Some((keys, _)) = table(root, "stop") else { return self.pool.stop.usual() };
        let mut stop = Stop::default();
        stop.exec = self.command(keys, "exec");
        stop.exec_timeout = self.duration(keys, "timeout", SHORTEST).unwrap_or(stop.exec_timeout);
        if let (Some(value), None) = (keys.get("timeout"), keys.get("exec")) {
            let help =
                "how long a signal is waited for stands in steps = [{ signal = \"TERM\", wait = \"30s\" }]";
            self.problems.error_help(&value.span(), "'timeout' goes with 'exec', which is not there", help);
        }
        if let Some(value) = keys.get("steps").filter(|value| value.get_ref().is_array()) {
            stop.steps = items(keys, "steps").iter().filter_map(|item| self.step(item)).collect();
            if items(keys, "steps").is_empty() {
                self.problems.error(&value.span(), "at least one step is needed");
            }
        }
        stop.kill = match self.choice(keys, "kill", &["group", "process", "never"]) {
            Some(1) => Kill::Process,
            Some(2) => Kill::Never,
            _ => stop.kill,
        };
        stop.codes_ok = self.codes(keys, "codes-ok").unwrap_or(stop.codes_ok);
        if keys.get("signals-ok").is_some_and(|value| value.get_ref().is_array()) {
            stop.signals_ok = items(keys, "signals-ok").iter().filter_map(|item| self.signal(item)).collect();
        }
        self.pool.stop.share(Rc::new(stop))
    }

    fn step(&mut self, item: &Value<'s>) -> Option<StopStep> {
        let step = item.get_ref().as_table()?;
        for key in ["signal", "wait"] {
            if step.get(key).is_none() {
                let help = "write { signal = \"TERM\", wait = \"30s\" }";
                self.problems.error_help(&item.span(), format!("'{key}' is missing"), help);
            }
        }
        let signal = step.get("signal").and_then(|value| self.signal(value));
        let wait = self.duration(step, "wait", Duration::ZERO);
        Some(StopStep { signal: signal?, wait: wait? })
    }

    fn restart(&mut self, root: &DeTable<'s>) -> Rc<Restart> {
        let Some((keys, _)) = table(root, "restart") else { return self.pool.restart.usual() };
        let mut restart = Restart::default();
        restart.on = match self.choice(keys, "on", &["always", "failure", "never"]) {
            Some(0) => RestartOn::Always,
            Some(2) => RestartOn::Never,
            _ => RestartOn::Failure,
        };
        restart.codes_ok = self.codes(keys, "codes-ok").unwrap_or(restart.codes_ok);
        restart.codes_final = self.codes(keys, "codes-final").unwrap_or(restart.codes_final);
        restart.delay = self.duration(keys, "delay", Duration::ZERO).unwrap_or(restart.delay);
        let longest = self.duration(keys, "max-delay", Duration::ZERO);
        if let Some(value) =
            keys.get("max-delay").filter(|_| longest.is_some_and(|most| most < restart.delay))
        {
            self.problems.error(&value.span(), "'max-delay' is shorter than 'delay'");
        }
        restart.max_delay = longest.unwrap_or(restart.max_delay).max(restart.delay);
        restart.jitter =
            keys.get("jitter").and_then(|value| self.thousandths(value)).unwrap_or(restart.jitter);
        restart.stable = self.duration(keys, "stable", Duration::ZERO).unwrap_or(restart.stable);
        let limit = self.integer(keys, "limit", 0, 1_000_000).and_then(|limit| u32::try_from(limit).ok());
        restart.limit = limit.unwrap_or(restart.limit);
        restart.window = self.duration(keys, "window", SHORTEST).unwrap_or(restart.window);
        restart.overlap = self.flag(keys, "overlap").unwrap_or(restart.overlap);
        self.pool.restart.share(Rc::new(restart))
    }

    fn thousandths(&mut self, value: &Value<'s>) -> Option<u32> {
        let written = match value.get_ref() {
            toml::de::DeValue::Float(number) => number.as_str(),
            toml::de::DeValue::Integer(number) => number.as_str(),
            _ => return None,
        };
        let number = written.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
        if number.is_none() {
            self.problems.error(&value.span(), format!("{written} is not a number from 0 to 1"));
        }
        number.map(|number| (number * 1000.0).round() as u32)
    }
}

/// Reads `http://ADDRESS[:PORT][/path]`.
fn parse_http(text: &str) -> Option<HttpTarget> {
    let rest = text.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = host.parse().or_else(|_| format!("{host}:80").parse::<SocketAddr>()).ok()?;
    // The path becomes a part of the request's first line.
    if address.port() == 0 || path.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let path = if path.is_empty() { "/" } else { path };
    Some(HttpTarget { address, host: host.to_owned(), path: path.to_owned() })
}

/// Is `text` a path that two units cannot both have? Variables and relative paths are not compared.
pub fn settled(text: &Text) -> Option<&str> {
    Some(text.as_str()).filter(|path| path.starts_with('/') && !path.contains('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_target_is_an_address_and_a_path() {
        let target = parse_http("http://127.0.0.1:8080/health?x=1").unwrap();
        assert_eq!((target.address.to_string().as_str(), &*target.path), ("127.0.0.1:8080", "/health?x=1"));
        let target = parse_http("http://[::1]").unwrap();
        assert_eq!(
            (target.address.to_string().as_str(), &*target.host, &*target.path),
            ("[::1]:80", "[::1]", "/")
        );
        for text in [
            "https://127.0.0.1/",
            "http://localhost/",
            "http://127.0.0.1/a b",
            "http://1.1.1.1:0/",
            "http://",
        ] {
            assert!(parse_http(text).is_none(), "{text}");
        }
    }
}

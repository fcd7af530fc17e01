//! `[process]`: user, environment, limits.

use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::diagnostic::nearest;
use super::document::Value;
use super::read::{Reader, in_order, items, scalar, table};
use crate::model::Text;
use crate::model::process::{Limit, Resource};
use crate::model::unit::{EnvFile, IoClass, Process, Stdin};

/// The kernel's `CPU_SETSIZE` in every C library: more processors than these need a set made at run time.
const MOST_CPUS: u32 = 1024;

impl<'s> Reader<'_, 's> {
    /// Reads `[process]`.
    pub fn process(&mut self, root: &DeTable<'s>) -> Rc<Process> {
        let (capabilities, no_new_privileges) = self.security(root);
        let nothing = DeTable::new();
        let process = match table(root, "process") {
            Some((process, _)) => process,
            None if capabilities.is_none() && !no_new_privileges => return self.pool.process.usual(),
            None => &nothing,
        };
        let process = Process {
            user: process.get("user").and_then(|value| self.account(value)),
            group: process.get("group").and_then(|value| self.account(value)),
            groups: process
                .get("groups")
                .and_then(|value| value.get_ref().as_array())
                .map(|_| items(process, "groups").iter().filter_map(|item| self.account(item)).collect()),
            directory: process.get("directory").and_then(|value| self.path(value)),
            umask: self.octal(process, "umask", 0o777),
            nice: self.small(process, "nice", -20, 19),
            oom_score_adj: self.small(process, "oom-score-adj", -1000, 1000),
            cpus: process.get("cpus").and_then(|value| self.cpus(value)),
            io_class: process.get("io-class").and_then(|value| self.io_class(value)),
            env: self.env(process),
            env_files: items(process, "env-files").iter().filter_map(|item| self.env_file(item)).collect(),
            env_clear: self.flag(process, "env-clear").unwrap_or(false),
            stdin: process.get("stdin").and_then(|value| self.stdin(value)).unwrap_or_default(),
            limits: self.limits(process),
            pid_file: process.get("pid-file").and_then(|value| self.path(value)),
            capabilities,
            no_new_privileges,
        };
        self.pool.process.share(Rc::new(process))
    }

    fn small(&mut self, table: &DeTable<'s>, key: &str, least: i64, most: i64) -> Option<i32> {
        self.integer(table, key, least, most).and_then(|number| i32::try_from(number).ok())
    }

    fn env(&mut self, process: &DeTable<'s>) -> Vec<(String, Text)> {
        let Some((env, _)) = table(process, "env") else { return Vec::new() };
        let mut variables = Vec::with_capacity(env.len());
        for (key, value) in in_order(env) {
            let name = key.get_ref();
            if name.is_empty() || name.contains(['=', '\0']) {
                self.problems.error(&key.span(), format!("{name:?} cannot be the name of a variable"));
                continue;
            }
            let Some(written) = scalar(value.get_ref()) else { continue };
            if let Some(text) = self.text_at(&written, &value.span()) {
                variables.push((name.clone().into_owned(), text));
            }
        }
        variables
    }

    fn env_file(&mut self, value: &Value<'s>) -> Option<EnvFile> {
        let written = value.get_ref().as_str()?;
        let (written, optional) = match written.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (written, false),
        };
        let path = self.text_at(written, &value.span())?;
        if !path.as_str().starts_with(['/', '$']) {
            self.problems.error(&value.span(), format!("'{path}' is not an absolute path"));
            return None;
        }
        Some(EnvFile { path, optional })
    }

    fn stdin(&mut self, value: &Value<'s>) -> Option<Stdin> {
        let text = self.plain(value)?;
        match (&*text, text.strip_prefix("tty:")) {
            ("null", _) => Some(Stdin::Null),
            ("inherit", _) => Some(Stdin::Inherit),
            (_, Some(device)) if device.starts_with('/') => Some(Stdin::Tty(device.to_owned())),
            _ => {
                let message = format!("'{text}' is no standard input");
                self.problems.error_help(
                    &value.span(),
                    message,
                    "write \"null\", \"inherit\" or \"tty:/dev/ttyS0\"",
                );
                None
            }
        }
    }

    fn io_class(&mut self, value: &Value<'s>) -> Option<IoClass> {
        let text = self.plain(value)?;
        let (class, level) = text.split_once(':').unwrap_or((&text, "4"));
        let level = level.parse::<u8>().ok().filter(|level| *level < 8);
        match (class, level) {
            ("realtime", Some(level)) => Some(IoClass::Realtime(level)),
            ("best-effort", Some(level)) => Some(IoClass::BestEffort(level)),
            ("idle", _) if &*text == "idle" => Some(IoClass::Idle),
            _ => {
                let help = "write \"realtime:0\", \"best-effort:4\" (levels 0 to 7) or \"idle\"";
                self.problems.error_help(&value.span(), format!("'{text}' is no I/O class"), help);
                None
            }
        }
    }

    fn cpus(&mut self, value: &Value<'s>) -> Option<Vec<u32>> {
        let text = self.plain(value)?;
        let cpus = parse_cpus(&text);
        if cpus.is_none() {
            let help = format!("write \"0-3,5\"; processors are counted from 0 to {}", MOST_CPUS - 1);
            self.problems.error_help(&value.span(), format!("'{text}' names no processors"), help);
        }
        cpus
    }

    fn limits(&mut self, process: &DeTable<'s>) -> Vec<Limit> {
        let Some((limits, _)) = table(process, "limits") else { return Vec::new() };
        let mut list = Vec::with_capacity(limits.len());
        for (key, value) in limits.iter() {
            match Resource::ALL.iter().find(|(name, _)| name == key.get_ref()) {
                Some((_, resource)) => list.extend(self.limit(*resource, value)),
                None => {
                    let message = format!("unknown limit '{key}'");
                    match nearest(key.get_ref(), Resource::ALL.map(|(name, _)| name)) {
                        Some(word) => {
                            self.problems.error_help(&key.span(), message, format!("did you mean '{word}'?"));
                        }
                        None => self.problems.error(&key.span(), message),
                    }
                }
            }
        }
        list
    }

    fn limit(&mut self, resource: Resource, value: &Value<'s>) -> Option<Limit> {
        let (soft, hard) = match value.get_ref().as_array() {
            Some(pair) => match &pair[..] {
                [soft, hard] => (self.bound(soft)?, self.bound(hard)?),
                _ => {
                    self.problems.error(&value.span(), "a limit of two is written [soft, hard]");
                    return None;
                }
            },
            None => {
                let both = self.bound(value)?;
                (both, both)
            }
        };
        if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
            self.problems.error(&value.span(), "the soft limit is above the hard one");
            return None;
        }
        Some(Limit { resource, soft, hard })
    }

    /// One bound; the inner `None` is "unlimited".
    fn bound(&mut self, value: &Value<'s>) -> Option<Option<u64>> {
        match value.get_ref() {
            DeValue::String(text) if text == "unlimited" => Some(None),
            DeValue::String(_) | DeValue::Integer(_) => self.size(value).map(Some),
            _ => {
                let message = "a limit is a number, \"64MiB\", \"unlimited\" or [soft, hard]";
                self.problems.error(&value.span(), message);
                None
            }
        }
    }
}

/// Reads `0-3,5`; the numbers come sorted and once each.
fn parse_cpus(text: &str) -> Option<Vec<u32>> {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|cpu| *cpu < MOST_CPUS);
    let mut cpus = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                cpus.extend(first..=last);
            }
            None => cpus.push(number(part)?),
        }
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_in_ranges() {
        assert_eq!(parse_cpus("0-3,5"), Some(vec![0, 1, 2, 3, 5]));
        assert_eq!(parse_cpus("7, 1,1-2"), Some(vec![1, 2, 7]));
        for text in ["", "a", "3-1", "0-1024", "-1", "1,", "0-4294967295"] {
            assert_eq!(parse_cpus(text), None, "{text}");
        }
    }
}

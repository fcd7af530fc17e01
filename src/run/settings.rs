//! What `sexton.toml` says of sexton itself, and how a sync takes over what is new in it.
//!
//! ```text
//!   [shutdown] timeout   at the next shutdown          [control] group, mode   for connections from now on
//!   [log] directory, group   from now on, by another logger         [log], the rest   for each unit when it is started next
//! ```

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::control::policy::Policy;
use crate::model::log::LogTarget;
use crate::model::time::{self, Spoken};
use crate::model::{ExecStage, Settings, SpawnError};
use crate::sys::accounts::Accounts;
use crate::sys::process;

use super::machine::time_for_units;
use super::{Init, directory, logging};

/// The variable that says how long a shutdown may take, over `[shutdown] timeout`.
pub const TIMEOUT: &str = "SEXTON_SHUTDOWN_TIMEOUT";

/// Takes the timeout from the environment: whoever starts a container knows its grace, and who wrote its image does not.
/// Answers what is wrong with a value that is none.
pub fn take_timeout(settings: &mut Settings, value: Option<&OsStr>) -> Option<String> {
    let value = value?.to_string_lossy();
    match time::parse_duration(&value) {
        Ok(timeout) if !timeout.is_zero() => {
            settings.shutdown_timeout = timeout;
            None
        }
        _ => Some(format!(
            "cannot read {TIMEOUT} '{value}': it should be a duration, such as 8s; a shutdown may take {}",
            Spoken(settings.shutdown_timeout)
        )),
    }
}

/// What differs between two settings, as words that say what holds from now on.
pub fn changes(old: &Settings, new: &Settings) -> Vec<String> {
    let mut changes = Vec::new();
    if old.shutdown_timeout != new.shutdown_timeout {
        changes.push(format!("[shutdown] timeout is {}", Spoken(new.shutdown_timeout)));
    }
    if old.control_group != new.control_group {
        changes.push(match &new.control_group {
            Some(group) => format!("[control] group is {group}"),
            None => "[control] group is none".to_owned(),
        });
    }
    if old.socket_mode() != new.socket_mode() {
        changes.push(format!("[control] mode is {:04o}", new.socket_mode()));
    }
    if old.log.to != new.log.to {
        let to = match new.log.to {
            LogTarget::Console | LogTarget::Default => "console",
            LogTarget::File => "file",
            LogTarget::Inherit => "inherit",
            LogTarget::Null => "null",
        };
        changes.push(format!("[log] to is {to}, for units that start from now on"));
    } else if old.log != new.log {
        changes.push("[log] has other words, for units that start from now on".to_owned());
    }
    if old.log_directory != new.log_directory {
        let directory = new.log_directory.as_deref().unwrap_or("the usual one");
        changes.push(format!("[log] directory is {directory}; older files stay where they are"));
    }
    if old.log_group != new.log_group {
        let group = new.log_group.as_ref().map_or_else(|| "none".to_owned(), |group| group.to_string());
        changes.push(format!("[log] group is {group}, for files that are made from now on"));
    }
    changes
}

/// Who may speak to sexton: gives the socket to the group, and then lets in whom its mode names. What could not be done
/// is the second answer, a line each.
pub fn admit(socket: &Path, settings: &Settings) -> (Policy, Vec<String>) {
    let mut problems = Vec::new();
    let group = settings.control_group.as_ref().and_then(|group| match Accounts::default().group(group) {
        Ok(Some(gid)) => Some(gid),
        Ok(None) | Err(_) => {
            problems.push(format!("cannot find the control group '{group}'; only root may change things"));
            None
        }
    });
    // While it changes hands it is ours alone: who is let in is decided by both together.
    let changed = set_mode(socket, 0o600)
        .and_then(|()| give(socket, group.unwrap_or_else(process::effective_gid)))
        .and_then(|()| set_mode(socket, settings.socket_mode()));
    if let Err(error) = changed {
        problems.push(format!("cannot open '{}' to those who may use it: {error}", socket.display()));
    }
    (Policy { group, readable_by_all: settings.is_readable_by_all() }, problems)
}

fn give(path: &Path, group: u32) -> io::Result<()> {
    // Where the user's own group is none of this namespace's, nothing could be given to it, and it has the file.
    if std::fs::metadata(path)?.gid() == group {
        return Ok(());
    }
    std::os::unix::fs::chown(path, None, Some(group))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

impl Init {
    /// A sync went over to these.
    pub(super) fn take_settings(&mut self, mut new: Settings) {
        let _ = take_timeout(&mut new, std::env::var_os(TIMEOUT).as_deref()); // A wrong one was told at the start.
        let changes = changes(&self.settings, &new);
        if changes.is_empty() {
            return;
        }
        self.engine.set_shutdown_timeout(time_for_units(self.place, new.shutdown_timeout));
        let mut problems = Vec::new();
        self.logs.set_usual(logging::usual(&new, &self.run_directory, &mut problems));
        problems.iter().for_each(|problem| self.say(problem));
        let is_other_door = self.settings.control_group != new.control_group
            || self.settings.socket_mode() != new.socket_mode();
        if let Some(server) = self.server.as_mut().filter(|_| is_other_door) {
            let socket = self.run_directory.join(directory::CONTROL_SOCKET);
            let (policy, problems) = admit(&socket, &new);
            server.set_policy(policy);
            problems.iter().for_each(|problem| self.say(problem));
        }
        self.settings = new;
        self.say(&format!("sexton.toml: {}", changes.join("; ")));
    }
}

impl Init {
    /// Bounds that a sync changed hold at once for those that run.
    pub(super) fn take_resources(&mut self) {
        for id in self.engine.ids().collect::<Vec<_>>() {
            let Some(unit) = self.engine.unit(id).unit().cloned() else { continue };
            let resources = unit.program().and_then(|program| program.resources.as_ref());
            if let Some(cause) = resources.and_then(|resources| self.cgroups.follow(id, resources)) {
                let subject = unit.name.to_string();
                let error = SpawnError { stage: ExecStage::Cgroup, subject, cause };
                self.say(&format!("{error}; it runs on with the bounds that it had"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Account;
    use crate::model::log::Log;
    use std::time::Duration;

    #[test]
    fn the_environment_has_the_last_word_on_the_timeout_and_a_wrong_one_is_told() {
        let with = |value: &str| {
            let mut settings = Settings { shutdown_timeout: Duration::from_secs(20), ..Settings::default() };
            let told = take_timeout(&mut settings, Some(OsStr::new(value)));
            (settings.shutdown_timeout.as_secs(), told)
        };
        assert_eq!(with("8s"), (8, None));
        for wrong in ["soon", "0s", "8", ""] {
            let words = format!(
                "cannot read SEXTON_SHUTDOWN_TIMEOUT '{wrong}': it should be a duration, such as 8s; a shutdown may take 20 s"
            );
            assert_eq!(with(wrong), (20, Some(words)));
        }
        let mut settings = Settings::default();
        assert_eq!(take_timeout(&mut settings, None), None);
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn what_is_new_in_the_settings_is_said_and_nothing_else() {
        let old = Settings::default();
        assert_eq!(changes(&old, &old), [""; 0]);
        let new = Settings {
            shutdown_timeout: Duration::from_secs(20),
            control_group: Some(Account::Name("adm".into())),
            control_mode: None,
            log: Log { to: LogTarget::Null, ..Log::default() },
            ..Settings::default()
        };
        let said = [
            "[shutdown] timeout is 20 s",
            "[control] group is adm",
            "[control] mode is 0660",
            "[log] to is null, for units that start from now on",
        ];
        assert_eq!(changes(&old, &new), said);
        assert_eq!(changes(&new, &old)[1], "[control] group is none");
        let keep = Settings { log: Log { keep: Some(9), ..old.log.clone() }, ..Settings::default() };
        assert_eq!(changes(&old, &keep), ["[log] has other words, for units that start from now on"]);
        let elsewhere = Settings { log_directory: Some("/srv".into()), ..Settings::default() };
        assert_eq!(changes(&old, &elsewhere), ["[log] directory is /srv; older files stay where they are"]);
        let grouped = Settings { log_group: Some(Account::Id(4)), ..Settings::default() };
        assert_eq!(changes(&old, &grouped), ["[log] group is 4, for files that are made from now on"]);
        assert_eq!(changes(&grouped, &old), ["[log] group is none, for files that are made from now on"]);
        // A mode that is spelt out and is the usual one is no change.
        let spelt = Settings { control_mode: Some(0o600), ..Settings::default() };
        assert_eq!(changes(&old, &spelt), [""; 0]);
    }
}

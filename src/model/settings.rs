//! What `sexton.toml` says of sexton itself.

use std::rc::Rc;
use std::time::Duration;

use super::Account;
use super::log::{Log, LogTarget};
use super::machine::{Boot, Interface};

/// The settings, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the order to shut down to the end, whatever the units do.
    pub shutdown_timeout: Duration,
    /// A group whose members may change things, as root may.
    pub control_group: Option<Account>,
    /// Permission bits of the control socket, where they are given.
    pub control_mode: Option<u32>,
    /// What holds for the output of units that do not say otherwise; its target is never [`LogTarget::Default`].
    pub log: Log,
    /// Where log files are, where it is said.
    pub log_directory: Option<Rc<str>>,
    /// A group whose members may read log files.
    pub log_group: Option<Account>,
    /// How a machine boots.
    pub boot: Boot,
    /// What the network interfaces of a machine are given.
    pub network: Vec<Interface>,
}

impl Settings {
    /// May everybody who can connect see what is there? To connect takes the right to write to the socket's file.
    pub fn is_readable_by_all(&self) -> bool {
        self.socket_mode() & 0o002 != 0
    }

    /// Permission bits of the control socket: the owner's alone, and the group's where there is one.
    pub fn socket_mode(&self) -> u32 {
        let usual = if self.control_group.is_some() { 0o660 } else { 0o600 };
        self.control_mode.unwrap_or(usual)
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            // What systemd and Docker's users expect of a whole stop; one unit may take as long by default.
            shutdown_timeout: Duration::from_secs(90),
            control_group: None,
            control_mode: None,
            log: Log { to: LogTarget::Console, ..Log::default() },
            log_directory: None,
            log_group: None,
            boot: Boot::default(),
            network: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_open_to_all_who_may_connect() {
        let of = |control_mode| Settings { control_mode, ..Settings::default() }.is_readable_by_all();
        assert!(of(Some(0o666)) && of(Some(0o662)));
        assert!(!of(None) && !of(Some(0o660)) && !of(Some(0o664)));
    }
}

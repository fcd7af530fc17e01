//! `[boot]` and `[[network]]` of `sexton.toml`: their keys, and how they are read.

use std::time::Duration;

use toml::de::DeTable;

use super::kind::Kind;
use super::read::{Reader, items, table};
use super::schema::{Key, key};
use crate::model::Settings;
use crate::model::machine::{Interface, OnBootFailure, Prefix, Route};

/// How long an interface is waited for that is not there yet: a driver that was just loaded needs a moment.
const WAIT: Duration = Duration::from_secs(5);

/// `[boot]`.
pub static BOOT: &[Key] = &[
    key(
        "timeout",
        Kind::Duration,
        "none",
        "by when everything that starts at boot has settled, or the boot has failed",
    ),
    key(
        "on-failure",
        Kind::Choice(&OnBootFailure::WORDS),
        "`\"rescue\"`",
        "what a failed boot is answered with: `\"rescue\"`: a shell on the console; `\"reboot\"`: another boot; `\"hold\"`: nothing; `\"poweroff\"`",
    ),
    key(
        "watchdog",
        Kind::Duration,
        "none",
        "after how long `/dev/watchdog` resets a machine whose init has stopped",
    ),
    key(
        "tries",
        Kind::Integer(1, 1000),
        "3",
        "with `\"reboot\"`: boots in a row that may fail; after the last one comes the shell",
    ),
];

/// `[[network]]`.
pub static NETWORK: &[Key] = &[
    key("interface", Kind::Text, "", "the kernel's name of it; must be given"),
    key("addresses", Kind::Texts, "[]", "its addresses, as `\"10.0.2.15/24\"`"),
    key(
        "routes",
        Kind::Texts,
        "[]",
        "what is reached through it: `\"default via 10.0.2.2\"`, `\"10.9.0.0/16 via 10.0.2.9\"`, `\"10.9.0.0/16\"`",
    ),
    key("mtu", Kind::Integer(68, 65_535), "the kernel's", "the largest packet, in bytes"),
    key("wait", Kind::Duration, "`\"5s\"`", "how long it is waited for where it is not there yet"),
];

impl<'s> Reader<'_, 's> {
    /// Reads what only a machine uses.
    pub fn machine_settings(&mut self, root: &DeTable<'s>, settings: &mut Settings) {
        if let Some((keys, _)) = table(root, "boot") {
            let boot = &mut settings.boot;
            boot.timeout = self.duration(keys, "timeout", Duration::from_secs(1));
            boot.watchdog = self.duration(keys, "watchdog", Duration::from_secs(2));
            let answer = self.choice(keys, "on-failure", &OnBootFailure::WORDS);
            boot.on_failure =
                answer.and_then(|word| OnBootFailure::ALL.get(word).copied()).unwrap_or(boot.on_failure);
            let tries = self.integer(keys, "tries", 1, 1000).and_then(|tries| u32::try_from(tries).ok());
            boot.tries = tries.unwrap_or(boot.tries);
        }
        for item in items(root, "network") {
            if let Some(keys) = item.get_ref().as_table() {
                let interface = self.interface(keys, &item.span());
                settings.network.extend(interface);
            }
        }
    }

    fn interface(&mut self, keys: &DeTable<'s>, at: &super::diagnostic::Span) -> Option<Interface> {
        let Some(value) = keys.get("interface") else {
            self.problems.error(at, "an interface has no name: 'interface' must be given");
            return None;
        };
        let name = self.plain(value)?;
        // The kernel's own limit is 15 bytes, and a slash would make another path of it.
        if name.is_empty() || name.len() > 15 || name.contains(['/', ' ', '%']) || name.starts_with('.') {
            self.problems.error(&value.span(), format!("'{name}' cannot be the name of an interface"));
            return None;
        }
        let addresses = self.each(keys, "addresses", "an address, such as \"10.0.2.15/24\"", Prefix::parse);
        let routes = self.each(keys, "routes", "a route, such as \"default via 10.0.2.2\"", Route::parse);
        let mtu = self.integer(keys, "mtu", 68, 65_535).and_then(|mtu| u32::try_from(mtu).ok());
        let wait = self.duration(keys, "wait", Duration::ZERO).unwrap_or(WAIT);
        Some(Interface { name: name.as_ref().into(), addresses, routes, mtu, wait })
    }

    fn each<T>(
        &mut self,
        keys: &DeTable<'s>,
        key: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for item in items(keys, key) {
            let Some(text) = self.plain(item) else { continue };
            match parse(&text) {
                Some(one) => found.push(one),
                None => self.problems.error(&item.span(), format!("'{text}' is not {what}")),
            }
        }
        found
    }
}

//! The variables that a process starts with.
//!
//! ```text
//!   sexton's own  ◀  env-files, in order  ◀  env  ◀  HOME USER LOGNAME SHELL  ◀  SEXTON_* NOTIFY_SOCKET
//!   (unless env-clear)                               (of the unit's user, where not set)
//! ```
//!
//! The later wins. What the caller of sexton was told of its own sockets never reaches a service: it would
//! answer somebody else's questions.

use std::ffi::{CStr, CString};
use std::rc::Rc;

pub use crate::model::env_file::parse as parse_env_file;

/// Variables of sexton's own environment that are meant for sexton alone.
const OWN: [&str; 9] = [
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "SEXTON_CONTROL",
    "SEXTON_SHUTDOWN_TIMEOUT",
    "MAINPID",
];

/// Where programs are looked for when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables as `execve(2)` takes them. Each is shared: a thousand services inherit one copy.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    entries: Vec<Rc<CStr>>,
}

impl Environment {
    /// What sexton itself was started with, less what was meant for it alone.
    pub fn inherited(variables: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in variables {
            if !OWN.iter().any(|own| own.as_bytes() == name) {
                environment.set_bytes(&name, &value);
            }
        }
        environment
    }

    /// Sets a variable, over what it was. A value with a NUL byte in it cannot be passed on and is left out.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_bytes(name.as_bytes(), value.as_bytes());
    }

    fn set_bytes(&mut self, name: &[u8], value: &[u8]) {
        let mut text = Vec::with_capacity(name.len() + value.len() + 2);
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
        let Ok(entry) = CString::new(text) else { return };
        let entry: Rc<CStr> = entry.into();
        match self.position(name) {
            Some(place) => {
                if let Some(slot) = self.entries.get_mut(place) {
                    *slot = entry;
                }
            }
            None => self.entries.push(entry),
        }
    }

    /// Sets a variable unless it is there already.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.position(name.as_bytes()).is_none() {
            self.set(name, value);
        }
    }

    /// The value of a variable, where it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let entry = self.entries.get(self.position(name.as_bytes())?)?;
        std::str::from_utf8(entry.to_bytes().get(name.len() + 1..)?).ok()
    }

    /// The names of the variables that are UTF-8.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| Some(entry.to_str().ok()?.split_once('=')?.0))
    }

    /// The variables, each as `NAME=value`.
    pub fn entries(&self) -> &[Rc<CStr>] {
        &self.entries
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        // Where the name ends is looked at first: it rules nearly all of them out at once.
        self.entries.iter().position(|entry| {
            let text = entry.to_bytes();
            text.get(name.len()) == Some(&b'=') && text.starts_with(name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited() -> Environment {
        let variables = [("PATH", "/bin"), ("NOTIFY_SOCKET", "/x"), ("A", "1")];
        Environment::inherited(variables.into_iter().map(|(n, v)| (n.into(), v.into())))
    }

    #[test]
    fn the_later_wins_and_a_prefix_of_a_name_is_another_name() {
        let mut environment = inherited();
        environment.set("A", "2");
        environment.set("AB", "3");
        environment.set_default("A", "4");
        assert_eq!(
            (environment.get("A"), environment.get("AB"), environment.get("B")),
            (Some("2"), Some("3"), None)
        );
        assert_eq!(environment.entries().len(), 3);
    }

    #[test]
    fn what_was_meant_for_sexton_alone_is_not_passed_on() {
        assert_eq!(inherited().get("NOTIFY_SOCKET"), None);
        assert_eq!(inherited().get("PATH"), Some("/bin"));
    }

    #[test]
    fn a_value_with_a_nul_byte_is_left_out_and_the_others_stay() {
        let mut environment = inherited();
        environment.set("BAD", "a\0b");
        assert_eq!((environment.get("BAD"), environment.get("A")), (None, Some("1")));
    }
}

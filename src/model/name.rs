//! The name of a unit, of a template and of an instance: `nginx`, `redis@`, `redis@6380`.
//!
//! ```text
//!   redis@6380          prefix = "redis"   instance = "6380"
//!   └─┬─┘ └┬─┘          prefix: [A-Za-z0-9_.:-]     instance: also + , =
//! ```
//!
//! A name is part of file names, of socket paths and of lines on a terminal, so what it may hold is
//! checked once, here, and trusted everywhere else.

use std::fmt;
use std::rc::Rc;

/// The longest name, in bytes. It leaves room for a directory and a suffix in a socket's path, which
/// the kernel bounds at 108 bytes, by way of the run directory's own hashing of long names.
pub const MAX_LEN: usize = 128;

/// A name that was checked: of a plain unit (`nginx`) or of one instance (`redis@6380`), never of a template.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(Rc<str>);

impl UnitName {
    /// Checks `text` and keeps it. `redis@` (a template) and `redis@*` (a selection) are not names of units.
    pub fn parse(text: &str) -> Result<UnitName, NameError> {
        let (prefix, instance) = match text.split_once('@') {
            Some((prefix, instance)) => (prefix, Some(instance)),
            None => (text, None),
        };
        check_prefix(prefix)?;
        if let Some(instance) = instance {
            check_instance(instance)?;
        }
        if text.len() > MAX_LEN {
            return Err(NameError::TooLong(text.len()));
        }
        Ok(UnitName(text.into()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `@`, the whole name where there is none (`%p`).
    pub fn prefix(&self) -> &str {
        self.0.split_once('@').map_or(&*self.0, |(prefix, _)| prefix)
    }

    /// The part after `@` (`%i`).
    pub fn instance(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, instance)| instance)
    }
}

/// Checks the part before `@`.
pub fn check_prefix(text: &str) -> Result<(), NameError> {
    check(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'))
}

/// Checks the part after `@`.
pub fn check_instance(text: &str) -> Result<(), NameError> {
    check(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | '+' | ',' | '='))
}

fn check(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_LEN {
        return Err(NameError::TooLong(text.len()));
    }
    if let Some(first) = text.chars().next().filter(|c| matches!(c, '.' | '-')) {
        return Err(NameError::Leading(first));
    }
    if text.contains("..") {
        return Err(NameError::DotDot);
    }
    match text.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing where a name, or an instance, should be.
    Empty,
    /// More than [`MAX_LEN`] bytes; holds how many.
    TooLong(usize),
    /// It begins with `.` or `-`.
    Leading(char),
    /// It holds `..`.
    DotDot,
    /// It holds a character that a name may not hold.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => write!(f, "a name cannot be empty"),
            NameError::TooLong(len) => write!(f, "a name has at most {MAX_LEN} bytes, this has {len}"),
            NameError::Leading(c) => write!(f, "a name cannot begin with '{c}'"),
            NameError::DotDot => write!(f, "a name cannot hold '..'"),
            NameError::Character(c) => {
                write!(f, "a name cannot hold {c:?}; letters, digits and _ . : - can be used")
            }
        }
    }
}

impl std::error::Error for NameError {}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::borrow::Borrow<str> for UnitName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_prefix_and_perhaps_an_instance() {
        let name = UnitName::parse("redis@6380").unwrap();
        assert_eq!((name.prefix(), name.instance()), ("redis", Some("6380")));
        let name = UnitName::parse("nginx").unwrap();
        assert_eq!((name.prefix(), name.instance()), ("nginx", None));
        assert_eq!(UnitName::parse("tor@a+b,c=d").unwrap().instance(), Some("a+b,c=d"));
    }

    #[test]
    fn what_could_leave_its_directory_is_no_name() {
        for text in [
            "../x", "a/b", "a..b", ".hidden", "-rf", "", "a b", "a\n", "a\0", "a@", "a@*", "a@b@c", "ü",
            "a+b",
        ] {
            assert!(UnitName::parse(text).is_err(), "{text:?}");
        }
        assert!(UnitName::parse(&"x".repeat(MAX_LEN)).is_ok());
        assert!(UnitName::parse(&"x".repeat(MAX_LEN + 1)).is_err());
    }

    #[test]
    fn each_reason_is_one_sentence() {
        let say = |e: NameError| e.to_string();
        assert_eq!(say(NameError::Empty), "a name cannot be empty");
        assert_eq!(say(NameError::TooLong(200)), "a name has at most 128 bytes, this has 200");
        assert_eq!(say(NameError::Leading('-')), "a name cannot begin with '-'");
        assert_eq!(say(NameError::DotDot), "a name cannot hold '..'");
        assert_eq!(
            say(NameError::Character('/')),
            "a name cannot hold '/'; letters, digits and _ . : - can be used"
        );
    }
}

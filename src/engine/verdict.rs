//! What a process whose output is read has shown: a configuration test, a pre-stop hook, a reload.

use std::fmt;

use crate::model::{ExitStatus, Number};

/// The verdict on one that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well; for a hook with `until`: it is met.
    Passed {
        /// The first number of its output, where that was asked for.
        number: Option<Number>,
    },
    /// It worked, and its `until` is not met yet.
    NotYet {
        /// As above.
        number: Option<Number>,
    },
    /// It failed.
    Failed(Box<Complaint>),
}

/// With what a process found fault, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What makes it a failure.
    pub cause: Cause,
    /// The last lines that it wrote.
    pub output: Vec<String>,
}

/// What makes the end of a process a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// How it ended.
    Status(ExitStatus),
    /// Its output does not match this pattern, and has to.
    NoMatch(String),
    /// Its output matches this pattern, and must not.
    Matched(String),
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Status(status) => status.fmt(f),
            Cause::NoMatch(pattern) => write!(f, "printed nothing that matches '{pattern}'"),
            Cause::Matched(pattern) => write!(f, "printed what matches '{pattern}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_complaint_is_a_clause() {
        let say = |cause| Complaint { cause, output: Vec::new() }.to_string();
        assert_eq!(say(Cause::Status(ExitStatus::exited(1))), "exited with code 1");
        assert_eq!(say(Cause::NoMatch("ok".into())), "printed nothing that matches 'ok'");
        assert_eq!(say(Cause::Matched("[Ee]rror".into())), "printed what matches '[Ee]rror'");
    }
}

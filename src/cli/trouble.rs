//! Why a command came to nothing: what is said, how to go on, and with which status it ends.

use std::fmt;
use std::time::Duration;

use crate::control::client::{CallError, Cause, ConnectError};
use crate::control::error::MethodError;
use crate::model::time::Spoken;

use super::Exit;

/// Why a command came to nothing.
#[derive(Debug)]
pub enum Trouble {
    /// There is no connection to the control socket.
    Connect(ConnectError),
    /// There is no answer, or it is an error.
    Call(CallError),
    /// Nothing happened for as long as somebody wanted to wait for the next event.
    NoEvent(Duration),
    /// Something that is not a matter of the control socket, in words.
    Words(String),
    /// The command line is wrong, in words.
    Usage(String),
}

impl Trouble {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Trouble::Connect(ConnectError { cause: Cause::Denied, .. })
            | Trouble::Call(CallError::Method(MethodError::PermissionDenied)) => Exit::Refused,
            Trouble::Connect(_) => Exit::NoInit,
            Trouble::Call(CallError::TimedOut(_)) | Trouble::NoEvent(_) => Exit::TimedOut,
            Trouble::Call(_) | Trouble::Words(_) => Exit::Failed,
            Trouble::Usage(_) => Exit::Usage,
        }
    }

    /// How to go on, where there is something to try.
    pub fn hint(&self) -> Option<&'static str> {
        match self.exit() {
            Exit::NoInit => {
                Some("`sexton up DIR` starts one; --socket or SEXTON_CONTROL names one that is elsewhere")
            }
            // Who only listened asked for nothing that could go on.
            Exit::TimedOut if matches!(self, Trouble::NoEvent(_)) => None,
            Exit::TimedOut => Some(
                "what has stopped nothing yet is given up, else it goes on; `sexton status` tells how far it is",
            ),
            Exit::Usage => Some("`sexton COMMAND --help` says what it takes"),
            Exit::Done | Exit::Failed | Exit::Refused => None,
        }
    }
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Trouble {
        Trouble::Connect(error)
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Trouble {
        Trouble::Call(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Connect(error) => error.fmt(f),
            Trouble::Call(error) => error.fmt(f),
            Trouble::NoEvent(waited) => write!(f, "nothing happened for {}", Spoken(*waited)),
            Trouble::Words(words) | Trouble::Usage(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_ends_with_the_status_that_scripts_wait_for() {
        let connect = |cause| Trouble::Connect(ConnectError { path: "/run/sexton/control".into(), cause });
        let unknown = MethodError::NoSuchUnit { name: "wbe".into(), nearest: Some("web".into()) };
        for (trouble, exit) in [
            (connect(Cause::Missing), Exit::NoInit),
            (connect(Cause::Refused), Exit::NoInit),
            (connect(Cause::Denied), Exit::Refused),
            (Trouble::Call(CallError::TimedOut(Duration::from_secs(1))), Exit::TimedOut),
            (Trouble::NoEvent(Duration::from_secs(1)), Exit::TimedOut),
            (Trouble::Call(CallError::HungUp), Exit::Failed),
            (Trouble::Call(CallError::Method(unknown)), Exit::Failed),
            (Trouble::Call(CallError::Method(MethodError::PermissionDenied)), Exit::Refused),
            (Trouble::Words("cannot do it".into()), Exit::Failed),
            (Trouble::Usage("it is not said which units".into()), Exit::Usage),
        ] {
            assert_eq!(trouble.exit(), exit, "{trouble}");
        }
    }

    #[test]
    fn who_finds_no_init_is_told_how_to_find_one() {
        let missing = ConnectError { path: "/run/sexton/control".into(), cause: Cause::Missing };
        let trouble = Trouble::from(missing);
        assert_eq!(trouble.to_string(), "no sexton is running here ('/run/sexton/control' does not exist)");
        assert!(trouble.hint().is_some_and(|hint| hint.contains("sexton up DIR")));
        assert_eq!(Trouble::Words("cannot do it".into()).to_string(), "cannot do it");
        assert_eq!(Trouble::from(CallError::HungUp).hint(), None);
        let silence = Trouble::NoEvent(Duration::from_secs(1));
        assert_eq!((silence.to_string().as_str(), silence.hint()), ("nothing happened for 1 s", None));
    }
}

//! The exit statuses of a command: one table, which `--help` prints and every command ends by.
//!
//! `sexton up` and `sexton init` are not in it: they end with the status of what they supervised.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is so.
    Done = 0,
    /// It was tried and is not so, or it cannot be answered.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It was refused or given up before anything was stopped; what hooks did is undone.
    Refused = 3,
    /// There is no sexton to talk to.
    NoInit = 4,
    /// `--timeout` passed before there was an answer.
    TimedOut = 5,
}

impl Exit {
    /// Every status, by its number.
    pub const ALL: [Exit; 6] =
        [Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::NoInit, Exit::TimedOut];

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for `--help`.
    pub const fn words(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failed => "failed, or a unit that was asked about has failed",
            Exit::Usage => "wrong usage",
            Exit::Refused => "refused or given up; nothing was touched, or it was undone",
            Exit::NoInit => "no init to talk to",
            Exit::TimedOut => "timed out",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statuses_are_the_documented_numbers_and_each_has_words_of_its_own() {
        let table: Vec<(u8, Exit)> = Exit::ALL.into_iter().map(|exit| (exit.code(), exit)).collect();
        assert_eq!(
            table,
            [
                (0, Exit::Done),
                (1, Exit::Failed),
                (2, Exit::Usage),
                (3, Exit::Refused),
                (4, Exit::NoInit),
                (5, Exit::TimedOut)
            ]
        );
        for exit in Exit::ALL {
            assert_eq!(Exit::ALL.iter().filter(|other| other.words() == exit.words()).count(), 1);
        }
    }
}

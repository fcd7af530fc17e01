//! How far a request has come, for whoever waits for its answer.

use crate::model::{Moment, Number, UnitName};

/// Something new of a request that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It came to its next part.
    Phase(TransactionPhase),
    /// A trial is over.
    Tested {
        /// Whose.
        unit: UnitName,
        /// What came of it.
        passed: Tested,
    },
    /// News of a pre-stop hook.
    Hook {
        /// Whose.
        unit: UnitName,
        /// Its name.
        hook: String,
        /// What is new.
        news: HookNews,
        /// When its time is over.
        until: Moment,
    },
}

/// What came of a trial.
#[allow(missing_docs, reason = "each is the word")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    Passed,
    Failed,
    /// There is no `[configtest]`; everything else that a start looks at is fine.
    Untested,
    /// It was not run, for the request said so.
    Skipped,
}

/// The part that a request has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionPhase {
    /// Configuration tests; nothing was touched.
    Testing,
    /// Pre-stop hooks, while everything serves.
    PreStopping,
    /// Configuration tests once more, because the hooks took their time.
    TestingAgain,
    /// The hooks are undone; nothing was stopped.
    Undoing,
    /// New processes start beside those that serve.
    Overlapping,
    /// Units go down.
    Stopping,
    /// Units come up.
    Starting,
    /// Daemons were told to read their configuration.
    Reloading,
    /// A rolling restart came to its next unit.
    Rolling {
        /// Which.
        unit: UnitName,
        /// Counted from 1.
        nth: u32,
        /// How many there are.
        of: u32,
    },
}

/// What is new of a pre-stop hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookNews {
    /// It runs.
    Began,
    /// It printed a number, and has not come to its end.
    Measured {
        /// The first that it printed.
        first: Number,
        /// The latest.
        now: Number,
    },
    /// It is over, and all is well.
    Done,
    /// It failed, as these words say.
    Failed(String),
    /// What it did was taken back.
    Undone,
    /// That failed, as these words say.
    UndoFailed(String),
}

//! What the steps of a start are done to, for people.
//!
//! ```text
//!   Plan ──of──▶ Subjects ──error(Fault)──▶ SpawnError: cannot change to directory '/srv/app': permission denied
//! ```
//!
//! It is kept for as long as a child is on its way, and the descriptors of the plan are not.

use std::ffi::{CStr, CString};

use super::fault::Fault;
use super::spawn::{Identity, Plan, Stdin};
use super::{exec_words, limits};
use crate::model::process::Limit;
use crate::model::security::Capabilities;
use crate::model::spawn::Cause;
use crate::model::{ExecStage, SpawnError};

/// What a plan would do, without what it would do it with.
#[derive(Debug)]
pub(super) struct Subjects {
    program: CString,
    directory: Option<CString>,
    terminal: Option<CString>,
    identity: Option<Identity>,
    limits: Vec<Limit>,
    nice: Option<i32>,
    oom_score_adj: Option<i32>,
    readable: Vec<CString>,
    writable: Vec<CString>,
}

impl Subjects {
    pub(super) fn of(plan: Plan<'_>) -> Subjects {
        Subjects {
            program: plan.program,
            directory: plan.directory,
            terminal: match plan.stdin {
                Stdin::Tty(path) => Some(path),
                Stdin::Fd(_) | Stdin::Terminal(_) => None,
            },
            identity: plan.identity,
            limits: plan.limits,
            nice: plan.nice,
            oom_score_adj: plan.oom_score_adj,
            readable: plan.readable,
            writable: plan.writable,
        }
    }

    /// What a child that gave up met, in words.
    pub(super) fn error(&self, fault: Fault) -> SpawnError {
        let cause = match fault.stage {
            ExecStage::Exec => exec_words::explain(&self.program, self.directory.as_deref(), fault.errno),
            _ => Cause::Errno(fault.errno),
        };
        SpawnError { stage: fault.stage, subject: self.subject(fault.stage, fault.index), cause }
    }

    /// The exec did not happen, for a reason that no system call gave.
    pub(super) fn no_exec(&self, words: String) -> SpawnError {
        SpawnError { stage: ExecStage::Exec, subject: lossy(&self.program), cause: Cause::Words(words) }
    }

    fn subject(&self, stage: ExecStage, index: usize) -> String {
        let path = |path: Option<&CString>| path.map_or_else(String::new, |path| lossy(path));
        match stage {
            ExecStage::Descriptors => index.to_string(),
            ExecStage::Terminal => path(self.terminal.as_ref()),
            ExecStage::Limits => limits::name(self.limits.get(index)).to_owned(),
            ExecStage::Nice => self.nice.map_or_else(String::new, |nice| nice.to_string()),
            ExecStage::OomScore => self.oom_score_adj.map_or_else(String::new, |score| score.to_string()),
            ExecStage::Capabilities => capability(index),
            ExecStage::Group => self.identity.as_ref().map_or_else(String::new, |who| who.gid.to_string()),
            ExecStage::User => self.identity.as_ref().map_or_else(String::new, |who| who.uid.to_string()),
            ExecStage::Directory => path(self.directory.as_ref()),
            ExecStage::Readable => path(self.readable.get(index)),
            ExecStage::Writable => path(self.writable.get(index)),
            ExecStage::Exec => lossy(&self.program),
            _ => String::new(),
        }
    }
}

/// The name of the one that could not be had; nothing where it was no single one.
fn capability(index: usize) -> String {
    let number = index.checked_sub(1).and_then(|number| u8::try_from(number).ok());
    number.map_or_else(String::new, Capabilities::name)
}

fn lossy(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

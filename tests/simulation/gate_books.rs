//! The books of `gates`: what is known of each unit and of each request from events and effects alone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sexton::engine::{Reason, Request, RequestId, Role};
use sexton::model::Pid;

/// What is known of one unit.
#[derive(Default)]
pub(crate) struct Unit {
    /// Errands' processes that were ordered, and those that run.
    pub(crate) ordered: Vec<Role>,
    pub(crate) running: BTreeMap<Pid, Role>,
    /// The latest trial: by which definition, the step in which it was ordered, and what it showed.
    pub(crate) tried_by: Option<Rc<sexton::model::unit::Unit>>,
    pub(crate) tried_at: u64,
    pub(crate) found: Option<Found>,
    pub(crate) test_passed: bool,
    pub(crate) fault: bool,
    /// Hooks that were ordered, and those that ran, for the present stop.
    pub(crate) tried: BTreeSet<u16>,
    pub(crate) ran: BTreeSet<u16>,
    pub(crate) ran_twice: Option<u16>,
    pub(crate) hooks_of: Option<RequestId>,
    /// For which kind of stop they were ordered last.
    pub(crate) hooks_reason: Option<Reason>,
    pub(crate) last_undo: Option<u16>,
    pub(crate) is_unsettled: bool,
    /// The hooks of the shutdown have begun.
    pub(crate) is_last_stop: bool,
    /// Since which step it is up without a break, and since which it is wished up.
    pub(crate) ready_since: Option<u64>,
    /// Its main process was ordered, and it is not told to stop.
    pub(crate) is_coming: bool,
    /// When it came up last.
    pub(crate) came_up: u64,
    pub(crate) wished_since: u64,
    /// When another definition of it came to hold.
    pub(crate) exchanged_at: u64,
    /// Something that it needs ended for good while it was up: it goes down, even if that comes back.
    pub(crate) is_doomed: bool,
    /// It was up when the present step began.
    pub(crate) was_ready: bool,
    pub(crate) proven_at: u64,
    /// What it writes is looked at: since it was told to reload, and until that is over.
    pub(crate) is_heeded: bool,
    /// When it was last looked at from the start, and when it said that it had not taken its configuration.
    pub(crate) heeded_at: u64,
    pub(crate) denied_at: u64,
    pub(crate) was_cut: bool,
    /// A process that has read its configuration is to replace the one that it has.
    pub(crate) has_successor: bool,
    /// When one did last.
    pub(crate) replaced_at: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Met,
    Skip,
}

/// What is known of one request.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) at: u64,
    /// The unit of a roll whose turn it is.
    pub(crate) turn: Option<usize>,
    pub(crate) passed: BTreeSet<usize>,
    /// Units of which it said that they are not tested, for it asked for that.
    pub(crate) left_out: BTreeSet<sexton::model::UnitName>,
    pub(crate) failed: bool,
    pub(crate) begun: BTreeSet<(usize, u16)>,
    pub(crate) undone: BTreeSet<(usize, u16)>,
    pub(crate) touched_at: Option<u64>,
    /// All that it stops is down.
    pub(crate) has_stopped: bool,
}

impl Asked {
    pub(crate) fn new(request: Request, at: u64) -> Asked {
        Asked {
            request,
            at,
            turn: None,
            passed: BTreeSet::new(),
            left_out: BTreeSet::new(),
            failed: false,
            begun: BTreeSet::new(),
            undone: BTreeSet::new(),
            touched_at: None,
            has_stopped: false,
        }
    }
}

//! What a request would do, without doing it. The transaction begins from the same plan.

use crate::model::UnitName;

use super::Engine;
use super::event::Request;
use super::failure::Refusal;

/// The steps of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Whose configuration is tested first, and whose is not.
    pub tests: Vec<(UnitName, Testing)>,
    /// The pre-stop hooks that run then, by their unit and their name.
    pub hooks: Vec<(UnitName, String)>,
    /// What goes down, in that order.
    pub stops: Vec<UnitName>,
    /// What comes up, in that order.
    pub starts: Vec<UnitName>,
    /// What is told to read its configuration again.
    pub reloads: Vec<UnitName>,
    /// What changes without being touched.
    pub in_place: Vec<UnitName>,
    /// What there was no unit file for.
    pub added: Vec<UnitName>,
    /// What there is no unit file for any more.
    pub removed: Vec<UnitName>,
}

/// Is a unit's configuration tested?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Testing {
    /// Yes, and its failure refuses the request.
    Enforced,
    /// It has no `[configtest]`.
    Untested,
    /// The request skips it.
    Skipped,
}

impl Engine {
    /// What this request would do now, or why it would be refused.
    pub fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        let _ = request;
        Ok(Plan::default())
    }
}

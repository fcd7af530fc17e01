//! What a template says for all of its instances: a part in which no `%` stands is lowered once.
//!
//! ```text
//!   redis@.toml   exec = ["redis-server", "%f"]   [stop] …        redis@a   own exec ─┐
//!                                                                 redis@b   own exec ─┼── one Stop
//!                                                                 redis@c   own exec ─┘
//! ```
//!
//! A part that has an error is not kept: each instance has to have it.

use std::rc::Rc;

use super::read::Reader;
use crate::model::resources::Resources;
use crate::model::unit::{
    ConfigTest, Directory, Hooks, Log, Process, Program, Ready, Reload, Render, Require, Restart, Stop,
};

/// The parts of one document that are the same for each of its instances, as far as they were met.
#[derive(Debug, Default)]
pub struct Parts {
    /// `description`.
    pub description: Option<Rc<str>>,
    /// `docs`.
    pub docs: Option<Rc<[String]>>,
    /// All that runs; nothing in it where the unit runs nothing.
    pub program: Option<Option<Rc<Program>>>,
    /// `[process]`.
    pub process: Option<Rc<Process>>,
    /// `[require]`.
    pub require: Option<Rc<Require>>,
    /// `[dirs]`.
    pub dirs: Option<Rc<[Directory]>>,
    /// `[[prepare]]` and its kin.
    pub hooks: Option<Rc<Hooks>>,
    /// `[ready]`.
    pub ready: Option<Rc<Ready>>,
    /// `[stop]`.
    pub stop: Option<Rc<Stop>>,
    /// `[restart]`.
    pub restart: Option<Rc<Restart>>,
    /// `[configtest]`; nothing in it where there is none.
    pub configtest: Option<Option<Rc<ConfigTest>>>,
    /// `[reload]`; nothing in it where there is none.
    pub reload: Option<Option<Rc<Reload>>>,
    /// `[[render]]`.
    pub renders: Option<Rc<[Render]>>,
    /// `[resources]`; nothing in it where there is none.
    pub resources: Option<Option<Rc<Resources>>>,
    /// `[log]`.
    pub log: Option<Rc<Log>>,
}

impl Reader<'_, '_> {
    /// The part that has its place in `slot`: as an instance before this one had it, or as `lower` makes it.
    pub fn part<T: Clone>(
        &mut self,
        slot: fn(&mut Parts) -> &mut Option<T>,
        lower: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if let Some(known) = slot(self.parts) {
            return known.clone();
        }
        let errors = self.problems.errors();
        // A part may stand in a part: what the inner one uses, the outer one uses.
        let used_outside = std::mem::take(&mut self.uses_names);
        let part = lower(self);
        if !self.uses_names && self.problems.errors() == errors {
            *slot(self.parts) = Some(part.clone());
        }
        self.uses_names |= used_outside;
        part
    }
}

//! What units have in common is kept once: a thousand units then cost little more than their differences.
//!
//! Texts are looked up; groups of keys are compared with the few that were read last, because units that are
//! alike stand together: the instances of a template, the files of one author.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::model::command::SyntaxError;
use crate::model::resources::Resources;
use crate::model::unit::{
    ConfigTest, Directory, Hooks, Log, Process, Program, Ready, Reload, Render, Require, Restart, Stop,
};
use crate::model::{Command, Text, UnitName};

/// How many groups of a kind are remembered. Looking at one costs a comparison that mostly ends at its first field.
const REMEMBERED: usize = 6;

/// Everything that was read so far and may come again.
#[derive(Debug, Default)]
pub struct Pool {
    texts: HashMap<Box<str>, Text>,
    lines: HashSet<Rc<str>>,
    commands: Recent<Command>,
    /// `docs`.
    pub docs: Recent<Rc<[String]>>,
    /// Lists of dependencies.
    pub names: Recent<Rc<[UnitName]>>,
    /// `[dirs]`.
    pub dirs: Recent<Rc<[Directory]>>,
    /// `[process]`.
    pub process: Recent<Rc<Process>>,
    /// `[require]`.
    pub require: Recent<Rc<Require>>,
    /// `[[prepare]]` and its kin.
    pub hooks: Recent<Rc<Hooks>>,
    /// `[ready]`.
    pub ready: Recent<Rc<Ready>>,
    /// `[stop]`.
    pub stop: Recent<Rc<Stop>>,
    /// `[restart]`.
    pub restart: Recent<Rc<Restart>>,
    /// `[configtest]`.
    pub configtest: Recent<Rc<ConfigTest>>,
    /// `[reload]`.
    pub reload: Recent<Rc<Reload>>,
    /// `[[render]]`.
    pub renders: Recent<Rc<[Render]>>,
    /// `[resources]`.
    pub resources: Recent<Rc<Resources>>,
    /// `[log]`.
    pub log: Recent<Rc<Log>>,
    /// All of the above: the instances of a template by count are often the same to the letter.
    pub program: Recent<Rc<Program>>,
}

impl Pool {
    /// A text whose `$` syntax is checked, once for each different text.
    pub fn text(&mut self, text: &str) -> Result<Text, SyntaxError> {
        if let Some(known) = self.texts.get(text) {
            return Ok(known.clone());
        }
        let parsed = Text::parse(text)?;
        self.texts.insert(text.into(), parsed.clone());
        Ok(parsed)
    }

    /// A line for people.
    pub fn line(&mut self, text: &str) -> Rc<str> {
        if let Some(known) = self.lines.get(text) {
            return known.clone();
        }
        let line: Rc<str> = text.into();
        self.lines.insert(line.clone());
        line
    }

    /// A command; `None` when it is empty.
    pub fn command(&mut self, argv: Vec<Text>) -> Option<Command> {
        Command::new(argv).map(|command| self.commands.share(command))
    }
}

/// The values of a kind that were read last.
#[derive(Debug)]
pub struct Recent<T> {
    usual: Option<T>,
    values: Vec<T>,
    next: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Recent<T> {
        Recent { usual: None, values: Vec::new(), next: 0 }
    }
}

impl<T: Default + Clone> Recent<T> {
    /// What holds where nothing is said.
    pub fn usual(&mut self) -> T {
        self.usual.get_or_insert_with(T::default).clone()
    }
}

impl<T: PartialEq + Clone> Recent<T> {
    /// `value`, or the equal one that is there already.
    pub fn share(&mut self, value: T) -> T {
        if let Some(known) = self.values.iter().find(|known| **known == value) {
            return known.clone();
        }
        match self.values.get_mut(self.next) {
            Some(oldest) => *oldest = value.clone(),
            None => self.values.push(value.clone()),
        }
        self.next = (self.next + 1) % REMEMBERED;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_groups_are_the_same_group() {
        let mut pool = Pool::default();
        let first = pool.stop.share(Rc::new(Stop::default()));
        let second = pool.stop.share(Rc::new(Stop::default()));
        assert!(Rc::ptr_eq(&first, &second));
    }

    #[test]
    fn only_the_last_few_are_remembered() {
        let mut recent = Recent::default();
        (0..100).for_each(|n| assert_eq!(recent.share(n), n));
        assert_eq!(recent.values.len(), REMEMBERED);
    }
}

//! The command that a container is started with, as the unit `main`.
//!
//! ```text
//!   no main.toml     a unit of the command alone ─┐
//!   main.toml        the file, with this exec     ├─▶ main.d/*.toml ─▶ main, essential
//!   needs, wants, after: the unit's own; where it has none, all that starts at boot and does not come after it
//! ```
//!
//! It is written as the text of a unit file, so that drop-ins, diagnostics and syncs know no second way.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;
use std::rc::Rc;

use super::diagnostic::Diagnostic;
use super::{Files, Input, UnitFile};

/// The name of the unit.
pub const MAIN: &str = "main";

/// What stands for the path of a unit file that there is not.
pub const SOURCE: &str = "the command line";

/// What stands for the path of what is laid over the files.
const OVER: &str = "the command";

/// A command with its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Where it was given: its working directory.
    pub directory: Option<String>,
}

impl Command {
    /// The files that there are, and this.
    pub(super) fn beside(&self, input: &Input) -> Input {
        let mut input = input.clone();
        let path = |name: &str| Rc::from(Path::new(name));
        if !input.units.iter().any(|file| file.stem == MAIN) {
            input.units.push(UnitFile { stem: MAIN.to_owned(), path: path(SOURCE), at_boot: true });
        }
        input.drop_ins.entry(MAIN.to_owned()).or_default().push(path(OVER));
        input
    }

    /// What is laid over the files of the unit.
    fn over(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        format!("essential = true\nmanual = false\n[service]\nexec = [{}]\n", words.join(", "))
    }

    /// The unit file, where there is none: what the command would have without an init before it.
    fn text(&self) -> String {
        let mut text = self.over() + "[process]\nstdin = \"inherit\"\n";
        if let Some(directory) = &self.directory {
            // Writing to a string does not fail.
            let _ = writeln!(text, "directory = {}", quoted(directory));
        }
        text + "[restart]\non = \"never\"\n[log]\nto = \"inherit\"\n"
    }
}

/// A word as a TOML string in which neither `%` nor `$` means anything.
fn quoted(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for c in word.chars() {
        match c {
            '%' | '$' => text.extend([c, c]),
            '"' | '\\' => text.extend(['\\', c]),
            // Writing to a string does not fail.
            c if c.is_control() => drop(write!(text, "\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The files, and the command among them.
pub(super) struct WithCommand<'f> {
    pub(super) command: &'f Command,
    pub(super) files: &'f mut dyn Files,
}

impl Files for WithCommand<'_> {
    fn read(&mut self, path: &Rc<Path>) -> Result<String, Box<Diagnostic>> {
        match path.to_str() {
            Some(SOURCE) => Ok(self.command.text()),
            Some(OVER) => Ok(self.command.over()),
            _ => self.files.read(path),
        }
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, String> {
        self.files.list(directory)
    }

    fn exists(&mut self, path: &str) -> bool {
        self.files.exists(path)
    }
}

/// Who comes after a unit, itself included. `earlier` gives the units that each one waits for.
pub(super) fn later_ones(unit: usize, earlier: &[Vec<usize>]) -> HashSet<usize> {
    let mut later: Vec<Vec<usize>> = vec![Vec::new(); earlier.len()];
    for (one, others) in earlier.iter().enumerate() {
        for other in others {
            later.get_mut(*other).into_iter().for_each(|list| list.push(one));
        }
    }
    let mut found = HashSet::from([unit]);
    let mut open = vec![unit];
    while let Some(unit) = open.pop() {
        let next = later.get(unit).into_iter().flatten();
        open.extend(next.filter(|next| found.insert(**next)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_itself_whatever_is_in_it() {
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("50% $HOME \"x\" \\ \n"), r#""50%% $$HOME \"x\" \\ \u000a""#);
    }

    #[test]
    fn whoever_comes_after_a_unit_is_found_by_whatever_way() {
        // 1 after 0, 2 after 1, 3 after nothing, 4 after 3 and 2, 0 and 4 in a ring.
        let earlier = vec![vec![4], vec![0], vec![1], vec![], vec![3, 2]];
        let mut found: Vec<usize> = later_ones(1, &earlier).into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 4]);
        assert_eq!(later_ones(3, &earlier).len(), 5);
    }
}

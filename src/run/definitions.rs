//! What the unit files say now, as a sync takes it: all of them, or what is wrong with them.

use crate::engine::{Definitions, Plan};
use crate::model::Settings;
use crate::model::unit::Entry;
use crate::unitfile::render::{Colour, render};
use crate::unitfile::{Level, Loaded};

/// How many lines of what is wrong are told: an answer is read by a person, and `sexton check` tells all of it.
const MOST_LINES: usize = 200;

/// Files that no sync goes over to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// In one sentence.
    pub message: String,
    /// What is wrong, as lines.
    pub diagnostics: Vec<String>,
}

/// The definitions that were read, and the settings; one error is enough to refuse all of them.
pub fn definitions(loaded: Loaded) -> Result<(Definitions, Settings), Unfit> {
    let (errors, _) = loaded.counts();
    let mut units = Vec::with_capacity(loaded.entries.len());
    let mut broken = Vec::new();
    for entry in loaded.entries {
        match entry {
            Entry::Unit(unit) => units.push(unit),
            Entry::Broken { words, .. } => broken.push(words),
        }
    }
    if errors == 0 && broken.is_empty() {
        return Ok((Definitions { units, boot: loaded.start }, loaded.settings));
    }
    let wrong = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error);
    let told: Vec<String> = wrong.map(|diagnostic| render(diagnostic, Colour::Plain)).collect();
    let told = if told.is_empty() { broken } else { told };
    let number = if told.len() == 1 { "an error".to_owned() } else { format!("{} errors", told.len()) };
    let lines = told.iter().flat_map(|text| text.trim_end().lines());
    Err(Unfit {
        message: format!("the unit files have {number}"),
        diagnostics: lines.take(MOST_LINES).map(str::to_owned).collect(),
    })
}

/// What a sync that starts nothing has done; `settings` are those of sexton itself that are new.
pub fn done_in_words(plan: &Plan, settings: &[String]) -> String {
    let parts = [
        (plan.stops.len(), "stopped"),
        (plan.in_place.len(), "changed in place"),
        (plan.removed.len(), "removed"),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    let parts = parts.map(|(number, word)| format!("{number} {word}"));
    let parts: Vec<String> = parts.chain(settings.iter().cloned()).collect();
    if parts.is_empty() { "nothing has changed".to_owned() } else { format!("in sync: {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unitfile::Diagnostic;

    #[test]
    fn one_error_refuses_all_files_and_is_told_with_its_place() {
        let loaded = Loaded {
            diagnostics: vec![Diagnostic::of_file(std::path::Path::new("/u/web.toml").into(), "it is odd")],
            ..Loaded::default()
        };
        let unfit = definitions(loaded).unwrap_err();
        assert_eq!(unfit.message, "the unit files have an error");
        let told = unfit.diagnostics.join("\n");
        assert!(told.contains("it is odd") && told.contains("/u/web.toml"), "{told}");
        assert!(definitions(Loaded::default()).is_ok());
    }

    #[test]
    fn a_sync_says_what_it_did() {
        assert_eq!(done_in_words(&Plan::default(), &[]), "nothing has changed");
        let settings = ["[shutdown] timeout is 20 s".to_owned()];
        assert_eq!(done_in_words(&Plan::default(), &settings), "in sync: [shutdown] timeout is 20 s");
        let name = || crate::model::UnitName::parse("web").unwrap();
        let plan =
            Plan { stops: vec![name()], removed: vec![name()], in_place: vec![name()], ..Plan::default() };
        assert_eq!(done_in_words(&plan, &[]), "in sync: 1 stopped, 1 changed in place, 1 removed");
    }
}

//! Which units the names and patterns of a call mean. Whoever may only read asks this too, so it costs little whatever
//! is asked.

use std::collections::HashSet;

use crate::control::error::MethodError;
use crate::engine::UnitId;
use crate::model::name::MAX_LEN;
use crate::unitfile::diagnostic::nearest;

use super::Init;

/// Each pattern is held against every unit; more than these a call are somebody's mistake, or mischief.
const MOST_PATTERNS: usize = 64;

/// A word of a call.
#[derive(Debug)]
enum Word {
    Name,
    Pattern(glob::Pattern),
    /// Nothing has a name of this length, and nothing is compared with it.
    TooLong,
}

impl Word {
    fn of(word: &str) -> Word {
        if word.len() > MAX_LEN {
            return Word::TooLong;
        }
        let pattern = word.contains(['*', '?', '[']).then(|| glob::Pattern::new(word));
        pattern.and_then(Result::ok).map_or(Word::Name, Word::Pattern)
    }
}

impl Init {
    /// The unit of this name.
    pub(super) fn one(&self, name: &str) -> Result<UnitId, MethodError> {
        self.engine.find(name).ok_or_else(|| self.no_such_unit(name))
    }

    /// The units that names and patterns (`redis@*`) select, each once, in the order of the patterns.
    pub(super) fn select(&self, words: &[String]) -> Result<Vec<UnitId>, MethodError> {
        let mut selected = Vec::new();
        let mut n_patterns = 0;
        for word in words {
            let before = selected.len();
            match Word::of(word) {
                Word::Pattern(_) if n_patterns >= MOST_PATTERNS => return Err(too_many_patterns()),
                Word::Pattern(glob) => {
                    n_patterns += 1;
                    let ids = self.engine.ids_by_name().iter().copied();
                    selected.extend(ids.filter(|id| glob.matches(self.engine.unit(*id).name())));
                }
                Word::Name => selected.extend(self.engine.find(word)),
                Word::TooLong => {}
            }
            if selected.len() == before {
                return Err(self.no_such_unit(word));
            }
        }
        let mut seen = HashSet::new();
        selected.retain(|id| seen.insert(*id));
        Ok(selected)
    }

    /// As [`Init::select`]; when a name is unknown, or the file of a selected unit or of one that it depends on had errors,
    /// the unit files are read again: who drops in `redis_6381.conf` and starts `redis@6381`, or has mended a typo, should
    /// not have to say it twice.
    pub(super) fn select_or_find_new(&mut self, words: &[String]) -> Result<Vec<UnitId>, MethodError> {
        match self.select(words) {
            Ok(units) if self.are_fine(&units) => Ok(units),
            Ok(_) | Err(MethodError::NoSuchUnit { .. }) => {
                self.find_new_units();
                self.select(words)
            }
            Err(error) => Err(error),
        }
    }

    /// Do these units, and all that they depend on, come from files without errors?
    fn are_fine(&self, units: &[UnitId]) -> bool {
        let mut seen: HashSet<UnitId> = units.iter().copied().collect();
        let mut to_visit = units.to_vec();
        while let Some(id) = to_visit.pop() {
            let Some(unit) = self.engine.unit(id).unit() else { return false };
            for name in unit.needs.iter().chain(unit.wants.iter()) {
                to_visit.extend(self.engine.find(name.as_str()).filter(|id| seen.insert(*id)));
            }
        }
        true
    }

    fn no_such_unit(&self, name: &str) -> MethodError {
        let known = self.engine.ids().map(|id| self.engine.unit(id).name());
        MethodError::NoSuchUnit { name: name.to_owned(), nearest: nearest(name, known).map(str::to_owned) }
    }
}

fn too_many_patterns() -> MethodError {
    MethodError::InvalidParameter("units".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_longer_than_any_name_is_compared_with_nothing() {
        assert!(matches!(Word::of(&"*".repeat(MAX_LEN + 1)), Word::TooLong));
        assert!(matches!(Word::of(&"x".repeat(MAX_LEN + 1)), Word::TooLong));
        assert!(matches!(Word::of("redis@*"), Word::Pattern(_)));
        assert!(matches!(Word::of("["), Word::Name), "what is no pattern is looked for as it stands");
        assert!(matches!(Word::of("web"), Word::Name));
    }
}

//! The commands that a person types: read here, answered by a running sexton, shown on a screen or to a program.

pub mod args;
pub mod exit;
pub mod render;
pub mod style;

pub use args::{Ask, Errand, Global, Local, Parsed, Supervise, parse};
pub use exit::Exit;

/// The candidate that `word` was most likely meant to be, if one is near enough to be worth saying.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let (distance, candidate) = candidates.map(|candidate| (distance(candidate), candidate)).min()?;
    // A third of the word may be wrong: more, and it is another word.
    (distance <= word.chars().count().max(3) / 3).then_some(candidate)
}

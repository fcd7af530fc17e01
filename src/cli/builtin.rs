//! `sexton list --builtin`: the units that a machine has of sexton's own, and which files take their place.

use crate::machine::units;
use crate::run::load::{self, UnitPaths};

use super::{Exit, Screen, Trouble};

/// Lists them; no init is asked.
pub(super) fn list(screen: &mut Screen<'_>) -> Result<Exit, Trouble> {
    let (input, _) = load::find(&UnitPaths::system());
    let width = units::NAMES.iter().map(|name| name.len()).max().unwrap_or(0);
    for (name, text) in units::UNITS {
        let file = input.units.iter().find(|file| file.stem == **name);
        let words = match file {
            Some(file) => format!("replaced by {}", file.path.display()),
            None => description(text).to_owned(),
        };
        screen.say(&format!("{name:width$}  {words}\n"));
    }
    Ok(Exit::Done)
}

/// The line for people, which each of them has.
fn description(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.strip_prefix("description = \""));
    line.unwrap_or_default().trim_end_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_sextons_own_has_a_line_for_people() {
        for (name, text) in units::UNITS {
            assert!(!description(text).is_empty(), "{name}");
        }
    }
}

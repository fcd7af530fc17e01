//! `sexton tree`: a unit, below it what it needs and wants, below those what they need and want.
//!
//! Each unit is opened out once; where it stands again it is marked, so that the tree is never longer than the
//! dependencies are many. A graph of units has no cycles, and one would end here all the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::wire::UnitDetails;

use super::super::style::{Ink, Style, safe};
use super::spoken;

/// How deep a tree is drawn: no screen shows more, and a chain of thousands would cost a square of its length.
const MAX_DEPTH: usize = 64;

/// A place in the tree that is still to be drawn.
struct Place<'a> {
    name: &'a str,
    /// What stands before the branch: the lines of the places above.
    prefix: String,
    /// The branch itself, and what continues it below.
    branch: (&'static str, &'static str),
    /// It is only wanted, not needed.
    wanted: bool,
    depth: usize,
}

/// The trees of `roots`; without any, of every unit that no other needs or wants.
pub fn tree(style: &Style, units: &[UnitDetails], roots: &[String]) -> String {
    let by_name: BTreeMap<&str, &UnitDetails> = units.iter().map(|u| (u.status.name.as_str(), u)).collect();
    let dependencies: BTreeSet<&str> =
        units.iter().flat_map(|u| u.needs.iter().chain(&u.wants)).map(String::as_str).collect();
    let roots: Vec<&str> = match roots {
        [] => by_name.keys().copied().filter(|name| !dependencies.contains(name)).collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    let mut out = String::new();
    let mut opened = BTreeSet::new();
    let root = |name| Place { name, prefix: String::new(), branch: ("", ""), wanted: false, depth: 0 };
    let mut places: Vec<Place> = roots.into_iter().rev().map(root).collect();
    while let Some(place) = places.pop() {
        let details = by_name.get(place.name).copied();
        let below = details.map_or(0, |u| u.needs.len() + u.wants.len());
        let closed = below > 0 && (place.depth >= MAX_DEPTH || !opened.insert(place.name));
        out += &line(style, &place, details, closed);
        let (false, Some(details)) = (closed, details) else { continue };
        let prefix = format!("{}{}", place.prefix, place.branch.1);
        let names = details.needs.iter().map(|name| (name, false));
        let names: Vec<_> = names.chain(details.wants.iter().map(|name| (name, true))).collect();
        for (index, (name, wanted)) in names.into_iter().enumerate().rev() {
            let branch = if index + 1 == below { ("└── ", "    ") } else { ("├── ", "│   ") };
            places.push(Place { name, prefix: prefix.clone(), branch, wanted, depth: place.depth + 1 });
        }
    }
    out
}

fn line(style: &Style, place: &Place<'_>, details: Option<&UnitDetails>, closed: bool) -> String {
    let branch = style.paint(Ink::Faint, &format!("{}{}", place.prefix, place.branch.0));
    let mut line = format!("{branch}{}", safe(place.name));
    if let Some(UnitDetails { status, .. }) = details {
        let words = format!("{} {}", status.state, spoken(status.since_usec));
        line += &format!("  {}", style.paint(Ink::of_state(&status.state), &safe(&words)));
    }
    if place.wanted {
        line += &style.paint(Ink::Faint, "  wanted");
    }
    if closed {
        line += &style.paint(Ink::Faint, if place.depth >= MAX_DEPTH { "  …" } else { "  ↑ above" });
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn unit(name: &str, state: &str, needs: &[&str], wants: &[&str]) -> UnitDetails {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let status = samples::unit(name, state, 3);
        UnitDetails { status, needs: names(needs), wants: names(wants), ..UnitDetails::default() }
    }

    #[test]
    fn a_tree_opens_each_unit_once_and_marks_where_it_stands_again() {
        let units = [
            unit("web", "waiting", &["app@1", "app@2"], &["log"]),
            unit("app@1", "ready", &["store"], &[]),
            unit("app@2", "starting", &["store"], &[]),
            unit("store", "ready", &["migrate"], &[]),
            unit("migrate", "done", &[], &[]),
            unit("log", "failed", &[], &[]),
            unit("cron", "stopped", &[], &[]),
        ];
        assert_eq!(
            tree(&Style::PLAIN, &units, &[]),
            "\
cron  stopped 3 s
web  waiting 3 s
├── app@1  ready 3 s
│   └── store  ready 3 s
│       └── migrate  done 3 s
├── app@2  starting 3 s
│   └── store  ready 3 s  ↑ above
└── log  failed 3 s  wanted
"
        );
        assert_eq!(
            tree(&Style::PLAIN, &units, &["store".into(), "gone".into()]),
            "store  ready 3 s\n└── migrate  done 3 s\ngone\n"
        );
    }

    #[test]
    fn a_cycle_or_an_endless_chain_would_still_end() {
        let cycle = [unit("a", "ready", &["b"], &[]), unit("b", "ready", &["a"], &[])];
        assert_eq!(
            tree(&Style::PLAIN, &cycle, &["a".into()]),
            "a  ready 3 s\n└── b  ready 3 s\n    └── a  ready 3 s  ↑ above\n"
        );
        let chain: Vec<UnitDetails> =
            (0..1000).map(|n| unit(&format!("u{n}"), "ready", &[&format!("u{}", n + 1)], &[])).collect();
        let drawn = tree(&Style::PLAIN, &chain, &["u0".into()]);
        assert_eq!(drawn.lines().count(), MAX_DEPTH + 1);
        assert!(drawn.ends_with("  …\n"), "{drawn}");
    }
}

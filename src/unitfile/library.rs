//! `[library]`: what a unit of the library says of itself. It is for people and for `check`; PID 1 keeps none of it.

use super::kind::Kind;
use super::schema::{Key, key};

/// `[library]`.
pub(super) static LIBRARY: &[Key] = &[
    key("product", Kind::Text, "", "what the daemon is called by those who make it"),
    key("versions", Kind::Texts, "[]", "versions that it was tested with; `\"1.22\"` stands for 1.22.1 too"),
    key("tested", Kind::Flag, "false", "`true`: it is run with its daemon by the tests of sexton"),
    key("untested", Kind::Text, "", "what was not tested, and why"),
    key("source", Kind::Text, "", "where the daemon comes from, or what the unit was written after"),
    key("packages", Kind::Map, "{}", "by distribution: the package that brings the daemon"),
    key("suits", Kind::Texts, "[]", "distributions whose paths and users are the unit's"),
    key("differs", Kind::Map, "{}", "by distribution: what has to be changed there"),
];

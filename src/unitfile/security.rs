//! `[security]`: its keys, and how they are read. They bound the unit's processes as `[process]` surrounds them.

use toml::de::DeTable;

use super::diagnostic::nearest;
use super::kind::Kind;
use super::read::{Reader, items, table};
use super::schema::{Key, key};
use crate::model::security::{Bound, Capabilities};

/// `[security]`.
pub(super) static SECURITY: &[Key] = &[
    key(
        "capabilities",
        Kind::Texts,
        "sexton's own",
        "the only capabilities that its processes can have; with a leading `-` one may be missing",
    ),
    key("no-new-privileges", Kind::Flag, "false", "`true`: nothing that they execute gives them more"),
];

impl<'s> Reader<'_, 's> {
    /// `capabilities` and `no-new-privileges`.
    pub fn security(&mut self, root: &DeTable<'s>) -> (Option<Bound>, bool) {
        let Some((security, _)) = table(root, "security") else { return (None, false) };
        let bounded = security.get("capabilities").is_some_and(|value| value.get_ref().is_array());
        let mut bound = Bound::default();
        for item in items(security, "capabilities") {
            let Some(name) = self.plain(item) else { continue };
            let (name, set) = match name.strip_prefix('-') {
                Some(name) => (name, &mut bound.wanted),
                None => (&*name, &mut bound.needed),
            };
            match set.with(name) {
                Some(more) => *set = more,
                None => {
                    let names = Capabilities::names();
                    let help = match nearest(name, names.iter().map(String::as_str)) {
                        Some(word) => format!("did you mean \"{word}\"?"),
                        None => {
                            "they are listed in capabilities(7): \"net_bind_service\", \"chown\"".to_owned()
                        }
                    };
                    self.problems.error_help(&item.span(), format!("'{name}' is no capability"), help);
                }
            }
        }
        (bounded.then_some(bound), self.flag(security, "no-new-privileges").unwrap_or(false))
    }
}

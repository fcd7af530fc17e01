//! `[resources]`: what the cgroup of a unit is held to.

use std::rc::Rc;

use toml::de::DeTable;

use super::document::Value;
use super::kind::Kind;
use super::read::{Reader, table};
use super::schema::{Key, key};
use crate::model::resources::{Need, Resources};

/// `[resources]`.
pub(super) static RESOURCES: &[Key] = &[
    key("memory-max", Kind::Size, "none", "when it needs more, the kernel kills one of its processes"),
    key("memory-high", Kind::Size, "none", "when it has more, it is slowed down and memory is taken back"),
    key(
        "cpu-max",
        Kind::Text,
        "none",
        "processors it may use up, such as `\"50%\"`, or `\"150%\"` for one and a half",
    ),
    key("pids-max", Kind::Integer(1, MOST_PIDS), "none", "processes and threads it may have"),
    key("io-weight", Kind::Integer(1, 10_000), "100", "its share of the disk beside others"),
    key("required", Kind::Flag, "true", "`false`: where the kernel cannot bound these, it starts without"),
];

/// The kernel's `PID_MAX_LIMIT`.
const MOST_PIDS: i64 = 4_194_304;

/// In hundredths of a processor: what 1,000 of them have.
const MOST_CPU: u32 = 100_000;

impl<'s> Reader<'_, 's> {
    /// Reads `[resources]`. An empty table is a cgroup without bounds: what the unit uses is known, and it ends whole.
    pub fn resources(&mut self, root: &DeTable<'s>) -> Option<Rc<Resources>> {
        let (resources, _) = table(root, "resources")?;
        let number = |number: i64| u32::try_from(number).ok();
        let resources = Resources {
            memory_max: resources.get("memory-max").and_then(|value| self.size(value)),
            memory_high: resources.get("memory-high").and_then(|value| self.size(value)),
            cpu_max: resources.get("cpu-max").and_then(|value| self.percent(value)),
            pids_max: self.integer(resources, "pids-max", 1, MOST_PIDS).and_then(number),
            io_weight: self.integer(resources, "io-weight", 1, 10_000).and_then(number),
            need: match self.flag(resources, "required") {
                Some(false) => Need::Wished,
                Some(true) | None => Need::Required,
            },
        };
        Some(self.pool.resources.share(Rc::new(resources)))
    }

    fn percent(&mut self, value: &Value<'s>) -> Option<u32> {
        let text = self.plain(value)?;
        let number = text.strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok());
        let number = number.filter(|number| (1..=MOST_CPU).contains(number));
        if number.is_none() {
            let help = "write \"50%\" for half a processor, \"200%\" for two";
            self.problems.error_help(&value.span(), format!("'{text}' is no share of the processors"), help);
        }
        number
    }
}

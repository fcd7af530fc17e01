//! `sexton.toml`.

use toml::de::DeTable;

use super::diagnostic::Spot;
use super::read::{Reader, items, table};
use crate::model::Settings;
use std::time::Duration;

impl<'s> Reader<'_, 's> {
    /// Reads the settings. What starts at boot comes as words with their places.
    pub fn settings(&mut self, root: &DeTable<'s>) -> (Settings, Option<Vec<(String, Spot)>>) {
        let mut settings = Settings::default();
        let start = root.get("start").filter(|value| value.get_ref().is_array()).map(|_| {
            let words = items(root, "start").iter().filter_map(|item| {
                let word = self.plain(item)?.into_owned();
                Some((word, self.problems.sources.spot(&item.span())?))
            });
            words.collect()
        });
        if let Some((keys, _)) = table(root, "shutdown") {
            let timeout = self.duration(keys, "timeout", Duration::from_secs(1));
            settings.shutdown_timeout = timeout.unwrap_or(settings.shutdown_timeout);
        }
        if let Some((keys, _)) = table(root, "control") {
            settings.control_group = keys.get("group").and_then(|value| self.account(value));
            settings.control_mode = self.octal(keys, "mode", 0o777);
        }
        self.log_settings(root, &mut settings);
        self.machine_settings(root, &mut settings);
        (settings, start)
    }
}

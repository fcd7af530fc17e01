//! The units of sexton's own that a machine has: unit files, embedded, each replaced by a unit file of its name.

use std::path::Path;

/// What stands before the name of a unit where others have the path of their file.
pub const SOURCE: &str = "builtin:";

/// What every other unit comes after.
pub const BASE: &str = "base";

/// What starts at boot.
pub const START: &[&str] = &["base", "console", "power-button"];

/// The shell for when the boot fails.
pub const RESCUE: &str = "rescue";

/// The login that makes place for it.
pub const CONSOLE: &str = "console";

/// What counts a boot that failed.
pub const BOOT_FAILED: &str = "boot-failed";

/// What forgets that count.
pub const BOOT_DONE: &str = "boot-done";

macro_rules! units {
    ($($name:literal),* $(,)?) => {
        /// The name of each.
        pub const NAMES: &[&str] = &[$($name),*];

        /// Name and text of each.
        pub const UNITS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config/machine/", $name, ".toml")))),*
        ];
    };
}

units![
    "base",
    "boot-done",
    "boot-failed",
    "clock",
    "console",
    "devices",
    "fsck",
    "fstab",
    "hostname",
    "loopback",
    "machine-id",
    "modules",
    "mounts",
    "network",
    "power-button",
    "rescue",
    "root",
    "seed",
    "swap",
    "sysctl",
    "tmpfiles",
];

/// What stands for the path of a unit of this name.
pub fn source(name: &str) -> String {
    format!("{SOURCE}{name}.toml")
}

/// The text behind such a path.
pub fn text(path: &Path) -> Option<&'static str> {
    let name = path.to_str()?.strip_prefix(SOURCE)?.strip_suffix(".toml")?;
    UNITS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_at_boot_is_there() {
        for name in START.iter().chain([&BASE, &RESCUE]) {
            assert!(text(Path::new(&source(name))).is_some(), "{name}");
        }
        assert_eq!(text(Path::new("/etc/sexton/units/base.toml")), None);
    }
}

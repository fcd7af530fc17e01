//! Which version of a daemon is installed, from the package manager's own files: nothing is run for it.
//!
//! dpkg and apk keep a text that can be read; rpm keeps a database that cannot, so nothing is said on Fedora.

use std::fs;

use crate::library::{self, Entry};

/// Where each of them keeps what is installed, whose packages those are, and how a name and a version begin.
const KEPT: [(&str, &str, &str, &str); 2] = [
    ("debian", "/var/lib/dpkg/status", "Package: ", "Version: "),
    ("alpine", "/lib/apk/db/installed", "P:", "V:"),
];

/// What is to be said where the daemon that is installed is none of those that the unit was tested with.
pub(in crate::cli) fn outside(entry: &Entry) -> Option<String> {
    if entry.versions.is_empty() {
        return None;
    }
    KEPT.iter().find_map(|(distribution, path, name, version)| {
        let (_, package) = entry.packages.iter().find(|(known, _)| known == distribution)?;
        let installed = version_in(&fs::read_to_string(path).ok()?, package, name, version)?;
        let Entry { product, versions, .. } = entry;
        let words = format!(
            "{product} {installed} is installed; the unit '{}' was tested with {}",
            entry.name,
            versions.join(", ")
        );
        (!library::is_among(&installed, versions)).then_some(words)
    })
}

/// The version of a package in such a text: paragraphs of lines, one paragraph a package.
fn version_in(text: &str, package: &str, name: &str, version: &str) -> Option<String> {
    let is_it = |block: &&str| block.lines().any(|line| line.strip_prefix(name) == Some(package));
    let block = text.split("\n\n").find(is_it)?;
    block.lines().find_map(|line| line.strip_prefix(version)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_that_of_the_package_of_just_this_name() {
        let text = "Package: nginx-common\nVersion: 9\n\nPackage: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n";
        let version = |package| version_in(text, package, "Package: ", "Version: ");
        assert_eq!(version("nginx").as_deref(), Some("1.22.1-9"));
        assert_eq!(version("ngin"), None);
        let text = "C:Q1\nP:nginx\nV:1.26.2-r4\n\nP:redis\nV:7\n";
        assert_eq!(version_in(text, "nginx", "P:", "V:").as_deref(), Some("1.26.2-r4"));
    }
}

//! Configuration files of others: read with a bound, line by line, whatever is in them.

use std::io;
use std::path::{Path, PathBuf};

use crate::sys::files;

/// More than this is no configuration.
pub const LARGEST: u64 = 1 << 20;

/// A line that says something, with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// Without the space around it.
    pub text: String,
}

/// The lines of a text that are neither empty nor begin with one of `comments`.
pub fn lines(text: &str, comments: &[char]) -> Vec<Line> {
    let all = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let said = all.filter(|(_, line)| !line.is_empty() && !line.starts_with(comments));
    said.map(|(number, line)| Line { number, text: line.to_owned() }).collect()
}

/// The text of a file; what is no UTF-8 in it is replaced.
pub fn read(path: &Path) -> io::Result<String> {
    files::read_bounded(path, LARGEST).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of a file that need not be there, and, when it cannot be read for another reason, why.
pub fn read_if_there(path: &Path) -> Result<Option<String>, String> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read '{}': {}", path.display(), cause(&error))),
    }
}

fn cause(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EFBIG) => format!("it is larger than {} KiB", LARGEST >> 10),
        Some(libc::EINVAL) => "it is not a regular file".to_owned(),
        _ => super::early::words(error),
    }
}

/// The files of these directories whose names end so, in the order of their names; of those with the same name the one of
/// the first directory.
#[doc(alias = "sysctl.d")]
pub fn files_of(directories: &[&str], ending: &str) -> Vec<PathBuf> {
    let mut found = std::collections::BTreeMap::new();
    for directory in directories {
        let Ok(listing) = std::fs::read_dir(directory) else { continue };
        for entry in listing.take(10_000).flatten() {
            let name = entry.file_name();
            let bytes = name.as_encoded_bytes();
            if bytes.ends_with(ending.as_bytes()) && !bytes.starts_with(b".") {
                found.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_nothing_are_passed_over_and_counted() {
        let found = lines("\n# a\n  b c \r\n;d\n\te", &['#', ';']);
        let found: Vec<(usize, &str)> = found.iter().map(|line| (line.number, line.text.as_str())).collect();
        assert_eq!(found, [(3, "b c"), (5, "e")]);
        assert_eq!(lines("", &['#']), []);
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why_and_one_that_is_missing_says_nothing() {
        assert_eq!(read_if_there(Path::new("/no/such")), Ok(None));
        assert_eq!(
            read_if_there(Path::new("/dev/zero")),
            Err("cannot read '/dev/zero': it is not a regular file".into())
        );
        let huge = std::env::temp_dir().join(format!("sexton-huge-{}", std::process::id()));
        std::fs::File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(read_if_there(&huge).unwrap_err().ends_with("it is larger than 1024 KiB"));
        std::fs::remove_file(huge).unwrap();
    }

    #[test]
    fn the_first_directory_wins_and_names_make_the_order() {
        let root = std::env::temp_dir().join(format!("sexton-files-of-{}", std::process::id()));
        for (directory, name) in
            [("a", "2.conf"), ("b", "1.conf"), ("b", "2.conf"), ("b", "x.bak"), ("b", ".3.conf")]
        {
            std::fs::create_dir_all(root.join(directory)).unwrap();
            std::fs::write(root.join(directory).join(name), "").unwrap();
        }
        let (a, b) = (root.join("a").display().to_string(), root.join("b").display().to_string());
        assert_eq!(files_of(&[&a, "/no/such", &b], ".conf"), [root.join("b/1.conf"), root.join("a/2.conf")]);
        std::fs::remove_dir_all(root).unwrap();
    }
}

//! `--env-file`: more variables for the child, over those that the wrapper was started with.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::model::env_file;
use crate::sys::arguments::Arguments;
use crate::sys::files;

/// The longest file that is read: what PID 1 reads is bounded.
const LIMIT: u64 = 1 << 20;

/// Adds what the files say to the variables; the later wins.
pub(super) fn add(arguments: &mut Arguments, files: &[&[u8]]) -> Result<(), String> {
    if files.is_empty() {
        return Ok(());
    }
    let mut entries = arguments.copied_variables();
    for file in files {
        let path = Path::new(OsStr::from_bytes(file));
        let cannot = |why: String| format!("cannot read '{}': {why}", path.display());
        let text = files::read_bounded(path, LIMIT).map_err(|error| cannot(words(&error)))?;
        let text = String::from_utf8(text).map_err(|_| cannot("it is not UTF-8".to_owned()))?;
        for (name, value) in env_file::parse(&text).map_err(cannot)? {
            let whose = format!("{name}=");
            entries.retain(|entry| !entry.to_bytes().starts_with(whose.as_bytes()));
            let entry = CString::new(whose + &value);
            entries.push(entry.map_err(|_| cannot(format!("the value of {name} has a NUL byte in it")))?);
        }
    }
    arguments.set_variables(entries);
    Ok(())
}

fn words(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), crate::model::spawn::errno_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &[u8]) -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("sexton-variables-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path.into_os_string().into_encoded_bytes()
    }

    #[test]
    fn the_later_wins_and_what_no_file_names_stays() {
        let (one, two) = (file("one", b"A=1\nAB='x y'\n"), file("two", b"A=2\n"));
        let mut arguments = Arguments::of_test(&[c"x"], &[c"A=0", c"C=\xff"]);
        add(&mut arguments, &[&one, &two]).unwrap();
        let value = |name: &[u8]| arguments.variable(name).map(|value| value.to_bytes());
        assert_eq!(
            (value(b"A"), value(b"AB"), value(b"C")),
            (Some(b"2" as &[u8]), Some(b"x y" as &[u8]), Some(b"\xff" as &[u8]))
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_the_reason() {
        let mut arguments = Arguments::of_test(&[c"x"], &[]);
        let mut why = |path: &[u8]| add(&mut arguments, &[path]).unwrap_err();
        assert_eq!(why(b"/no/such"), "cannot read '/no/such': no such file or directory");
        assert!(why(&file("no-utf8", b"A=\xff")).ends_with("': it is not UTF-8"));
        assert!(why(&file("no-value", b"A")).contains("': line 1: there is no = in it"));
        assert!(why(&file("nul", b"A=\0")).ends_with("': the value of A has a NUL byte in it"));
    }
}

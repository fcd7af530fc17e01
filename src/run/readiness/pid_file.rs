//! The pid file of a daemon that forks: read strictly, and believed only of the unit's own processes.

use std::path::Path;

use super::attempt::words;
use crate::model::Pid;
use crate::sys::files::read_bounded;

/// More than any pid with its newline and what daemons add in further lines.
const MAX_SIZE: u64 = 4096;

/// Reads the file once. The error is a line for people.
pub(super) fn look(path: &Path, belongs: &dyn Fn(Pid) -> bool) -> Result<Pid, String> {
    let shown = path.display();
    let text =
        read_bounded(path, MAX_SIZE).map_err(|error| format!("pid file '{shown}': {}", words(&error)))?;
    let pid = parse(&text).ok_or_else(|| format!("pid file '{shown}': its first line is no process id"))?;
    if belongs(pid) {
        return Ok(pid);
    }
    Err(format!("pid file '{shown}': {pid} is no process of this unit"))
}

/// The number in the first line, which holds nothing else but blanks around it.
fn parse(text: &[u8]) -> Option<Pid> {
    let line = text.split(|byte| *byte == b'\n').next()?.trim_ascii();
    if line.is_empty() || !line.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(line).ok()?.parse().ok().and_then(Pid::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_stands_alone_in_the_first_line() {
        for text in ["4711", "4711\n", "   4711 \n", "4711\r\n", "4711\n/usr/sbin/sendmail -bd\n"] {
            assert_eq!(parse(text.as_bytes()).map(Pid::get), Some(4711), "{text:?}");
        }
        for text in ["", "\n4711", "0", "-1", "+1", "12 34", "12abc", "0x10", "99999999999", "\0", "12\0"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        let mut random = crate::logger::random::Random::new(7);
        for _ in 0..10_000 {
            assert!(parse(&random.text(b"0129 \n\0\xff-", 20)).is_none_or(|pid| pid.get() > 0));
        }
    }

    #[test]
    fn a_file_that_cannot_be_believed_says_why() {
        let path = std::env::temp_dir().join(format!("sexton-pid-file-{}", std::process::id()));
        let said = |belongs: bool| {
            look(&path, &|_| belongs).map_err(|note| note.replace(&*path.to_string_lossy(), "P"))
        };
        assert_eq!(said(true).unwrap_err(), "pid file 'P': no such file or directory");
        std::fs::write(&path, "soon").unwrap();
        assert_eq!(said(true).unwrap_err(), "pid file 'P': its first line is no process id");
        std::fs::write(&path, "7\n").unwrap();
        assert_eq!(said(false).unwrap_err(), "pid file 'P': 7 is no process of this unit");
        assert_eq!(said(true).map(Pid::get), Ok(7));
        std::fs::remove_file(path).unwrap();
    }
}

//! `sysctl`: settings of the kernel out of `sysctl.d`.
//!
//! ```text
//!   net.ipv4.ip_forward = 1     a dot is a slash      net/ipv4/conf/eth0.1/x = 1   where a slash comes first, it stays
//!   -kernel.x = 1               may fail              net.ipv4.conf.*.rp_filter = 2   each that matches
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use super::Job;
use crate::machine::early::words;
use crate::machine::text::{self, Line, files_of, lines};

const DIRECTORIES: [&str; 4] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];
const ROOT: &str = "/proc/sys";

pub(super) fn act(job: &mut Job<'_>) {
    let mut files = files_of(&DIRECTORIES, ".conf");
    files.push(PathBuf::from("/etc/sysctl.conf"));
    for file in files {
        match text::read_if_there(&file) {
            Ok(text) => {
                for line in lines(&text.unwrap_or_default(), &['#', ';']) {
                    set(job, &file, &line);
                }
            }
            Err(problem) => job.fail(&problem),
        }
    }
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    /// Below `/proc/sys`; it may be a pattern.
    path: String,
    value: String,
    may_fail: bool,
}

fn parse(line: &str) -> Option<Setting> {
    let (line, may_fail) = line.strip_prefix('-').map_or((line, false), |rest| (rest, true));
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-/*?[]:@".contains(c);
    let path = match name.find(['.', '/']).map(|at| name.as_bytes().get(at)) {
        Some(Some(b'/')) => name.to_owned(),
        // A slash then stands for the dot that a name has in it.
        _ => name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
    };
    let leads_out = path.split('/').any(|part| part == ".." || part.is_empty());
    let is_name = !name.is_empty() && name.chars().all(is_fit) && !leads_out;
    is_name.then(|| Setting { path, value: value.trim().to_owned(), may_fail })
}

fn set(job: &mut Job<'_>, file: &Path, line: &Line) {
    let place = format!("{}:{}", file.display(), line.number);
    let Some(setting) = parse(&line.text) else {
        return job.say(&format!("{place}: this is no 'name = value'; this line is passed over"));
    };
    let whole = format!("{ROOT}/{}", setting.path);
    let targets: Vec<PathBuf> = match whole.contains(['*', '?', '[']) {
        true => glob::glob(&whole).map(|found| found.flatten().collect()).unwrap_or_default(),
        false => vec![PathBuf::from(whole)],
    };
    for target in targets {
        if let Err(error) = fs::write(&target, format!("{}\n", setting.value))
            && !setting.may_fail
        {
            job.say(&format!(
                "{place}: cannot set '{}' to '{}': {}",
                setting.path.replace('/', "."),
                setting.value,
                words(&error)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, String, bool)> {
        parse(line).map(|setting| (setting.path, setting.value, setting.may_fail))
    }

    #[test]
    fn a_dot_is_a_slash_unless_a_slash_comes_first() {
        let of = |path: &str, value: &str, may_fail| Some((path.to_owned(), value.to_owned(), may_fail));
        assert_eq!(read("net.ipv4.ip_forward=1"), of("net/ipv4/ip_forward", "1", false));
        assert_eq!(read("-kernel.x = a b "), of("kernel/x", "a b", true));
        assert_eq!(read("net/ipv4/conf/eth0.1/x = 2"), of("net/ipv4/conf/eth0.1/x", "2", false));
        assert_eq!(read("net.ipv4.conf.eth0/1.x=2"), of("net/ipv4/conf/eth0.1/x", "2", false));
    }

    #[test]
    fn what_is_no_setting_is_nothing_and_leads_nowhere_else() {
        for line in [
            "",
            "=",
            "x",
            "= 1",
            "../../etc/passwd = x",
            "a/../../b = 1",
            "/etc/passwd = x",
            "a b = 1",
            "a..b = 1",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}

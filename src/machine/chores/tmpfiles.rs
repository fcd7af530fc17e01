//! `tmpfiles`: files and directories that somebody wants to be there after a boot, out of `tmpfiles.d`.
//!
//! | type | is made |
//! | --- | --- |
//! | `d`, `D` | a directory; `D` is emptied first |
//! | `f`, `F` | a file with this text; `F` anew |
//! | `L` | a link to this path, where nothing is; `L+` in place of what is |
//! | `w` | nothing: this text is written into a file that is there |
//! | `r`, `R` | nothing: it is removed; `R` with all that is in it |
//! | `z`, `m` | nothing: mode and owner are set |
//!
//! Other types, and lines with `%`, are for the program of that name; they are passed over.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use super::Job;
use crate::machine::early::words;
use crate::machine::mount_table::unescape;
use crate::machine::text::{self, files_of, lines};
use crate::model::Account;
use crate::sys::accounts::Accounts;

const DIRECTORIES: [&str; 3] = ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d"];

/// One line.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    kind: char,
    replaces: bool,
    path: String,
    mode: Option<u32>,
    user: Option<String>,
    group: Option<String>,
    argument: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    Wish(Wish),
    /// For somebody else.
    Others,
    Broken,
}

pub(super) fn act(job: &mut Job<'_>) {
    for file in files_of(&DIRECTORIES, ".conf") {
        let text = match text::read_if_there(&file) {
            Ok(text) => text.unwrap_or_default(),
            Err(problem) => {
                job.fail(&problem);
                continue;
            }
        };
        for line in lines(&text, &['#']) {
            let place = format!("{}:{}", file.display(), line.number);
            match parse(&line.text) {
                Read::Wish(wish) => {
                    if let Err(error) = fulfil(&wish) {
                        job.say(&format!("{place}: cannot make '{}': {}", wish.path, words(&error)));
                    }
                }
                Read::Others => job.trace(&format!("{place}: passed over")),
                Read::Broken => {
                    job.say(&format!("{place}: this is no line of tmpfiles.d; it is passed over"))
                }
            }
        }
    }
}

fn parse(line: &str) -> Read {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        word
    };
    let (kind, path) = (word(), word());
    let (mode, user, group, _age) = (word(), word(), word(), word());
    let argument = rest.trim();
    let mut letters = kind.chars();
    let Some(letter) = letters.next() else { return Read::Broken };
    if !path.starts_with('/') && !path.starts_with('"') {
        return Read::Broken;
    }
    let modifiers: String = letters.collect();
    let is_ours = "dDfFLwrRzm".contains(letter) && modifiers.chars().all(|c| "+!-".contains(c));
    if !is_ours || line.contains('%') || path.contains(['*', '?', '[', '"']) {
        return Read::Others;
    }
    if path.split('/').any(|part| part == "..") {
        return Read::Broken;
    }
    let given = |word: &str| Some(word.to_owned()).filter(|word| !word.is_empty() && word != "-");
    let mode = match given(mode) {
        None => None,
        Some(digits) => match u32::from_str_radix(digits.trim_start_matches(['~', ':']), 8) {
            Ok(mode) if mode <= 0o7777 => Some(mode),
            _ => return Read::Broken,
        },
    };
    let (user, group) = (given(user), given(group));
    let replaces = modifiers.contains('+');
    Read::Wish(Wish {
        kind: letter,
        replaces,
        path: unescape(path),
        mode,
        user,
        group,
        argument: argument.to_owned(),
    })
}

fn fulfil(wish: &Wish) -> io::Result<()> {
    let path = Path::new(&wish.path);
    let is_there = fs::symlink_metadata(path).is_ok();
    match wish.kind {
        'd' | 'D' => {
            if wish.kind == 'D' && is_there {
                empty(path)?;
            }
            fs::create_dir_all(path)?;
            own(wish, path, 0o755)
        }
        'f' | 'F' => {
            if is_there && wish.kind == 'f' && !wish.replaces {
                return own(wish, path, 0o644);
            }
            above(path)?;
            let flags = libc::O_NOFOLLOW;
            let opened = File::options()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o644)
                .custom_flags(flags)
                .open(path);
            opened?.write_all(unescape(&wish.argument).as_bytes())?;
            own(wish, path, 0o644)
        }
        'L' if is_there && !wish.replaces => Ok(()),
        'L' => {
            above(path)?;
            if is_there {
                remove(path, true)?;
            }
            symlink(&wish.argument, path)
        }
        'w' if is_there => {
            File::options().write(true).open(path)?.write_all(unescape(&wish.argument).as_bytes())
        }
        'r' | 'R' if is_there => remove(path, wish.kind == 'R'),
        'z' | 'm' if is_there => own(wish, path, fs::metadata(path)?.permissions().mode() & 0o7777),
        _ => Ok(()),
    }
}

fn above(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn remove(path: &Path, whole: bool) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true if whole => fs::remove_dir_all(path),
        true => fs::remove_dir(path),
        false => fs::remove_file(path),
    }
}

fn empty(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        remove(&entry?.path(), true)?;
    }
    Ok(())
}

/// Mode and owner. A link is never followed: what lies in a directory of somebody else's may lead anywhere.
fn own(wish: &Wish, path: &Path, usual: u32) -> io::Result<()> {
    let unknown = || io::Error::other("there is no such user or group");
    let user = match &wish.user {
        Some(name) => Some(Accounts::default().user(&account(name))?.ok_or_else(unknown)?.uid),
        None => None,
    };
    let group = match &wish.group {
        Some(name) => Some(Accounts::default().group(&account(name))?.ok_or_else(unknown)?),
        None => None,
    };
    if user.is_some() || group.is_some() {
        lchown(path, user, group)?;
    }
    if fs::symlink_metadata(path)?.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(wish.mode.unwrap_or(usual)))
}

fn account(name: &str) -> Account {
    name.parse().map_or_else(|_| Account::Name(name.to_owned()), Account::Id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_ours_or_somebody_elses_or_none() {
        let Read::Wish(wish) = parse("d /run/lock 1777 root root - ") else { panic!() };
        assert_eq!((wish.kind, wish.path.as_str(), wish.mode), ('d', "/run/lock", Some(0o1777)));
        let Read::Wish(wish) = parse("L+  /etc/mtab - - - - ../proc/self/mounts") else { panic!() };
        assert!(wish.replaces && wish.argument == "../proc/self/mounts" && wish.mode.is_none());
        for others in
            ["x /tmp/x", "d /run/user/%u 0755", "a+ /var/log - - - - x", "r! /tmp/.X*-lock", "Q /srv"]
        {
            assert_eq!(parse(others), Read::Others, "{others}");
        }
        for broken in ["", "d", "d relative", "d /x 99", "d /x 77777", "d /a/../b"] {
            assert_eq!(parse(broken), Read::Broken, "{broken}");
        }
    }

    #[test]
    fn what_is_wished_for_is_made_and_what_is_there_is_kept() {
        let root = std::env::temp_dir().join(format!("sexton-tmpfiles-{}", std::process::id()));
        let path = |name: &str| root.join(name);
        let act = |line: &str| match parse(&line.replace('@', root.to_str().unwrap())) {
            Read::Wish(wish) => fulfil(&wish).unwrap(),
            other => panic!("{other:?}"),
        };
        act("d @/a 0700");
        assert_eq!(fs::metadata(path("a")).unwrap().permissions().mode() & 0o7777, 0o700);
        act("f @/a/x 0600 - - - one\\040two");
        act("f @/a/x 0640 - - - three");
        assert_eq!(fs::read_to_string(path("a/x")).unwrap(), "one two");
        act("w @/a/x - - - - 5");
        act("L @/l - - - - a/x");
        assert_eq!(fs::read_to_string(path("l")).unwrap(), "5ne two");
        act("D @/a");
        assert!(!path("a/x").exists());
        act("R @/a");
        act("r @/none");
        assert!(!path("a").exists());
        fs::remove_dir_all(root).unwrap();
    }
}

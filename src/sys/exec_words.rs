//! Why a program could not be executed, when the kernel's own word for it misleads.
//!
//! `ENOENT` is said of a program whose interpreter is missing, though the program is there; `ENOEXEC` of a
//! script that does not begin with `#!`. Shells run such a script themselves; sexton does not.
//!
//! See [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html).

use std::ffi::{CStr, OsStr};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::model::spawn::Cause;

/// How much of a program is read: a `#!` line is at most 255 bytes, and an ELF file has its program headers
/// and the interpreter's name right after its first.
const HEAD: usize = 4096;

/// The words for `errno`, or the number itself where it says enough. A relative program is one of `directory`.
pub(super) fn explain(program: &CStr, directory: Option<&CStr>, errno: i32) -> Cause {
    let path = path(program);
    let path = directory.map_or_else(|| path.to_owned(), |directory| self::path(directory).join(path));
    match errno {
        libc::ENOENT if path.exists() => match interpreter(&head(&path)) {
            Some(name) => Cause::Words(format!("its interpreter '{}' does not exist", name.display())),
            None => Cause::Words("its interpreter does not exist".to_owned()),
        },
        libc::ENOEXEC if !head(&path).starts_with(b"\x7fELF") => {
            Cause::Words("not an executable: no #! line".to_owned())
        }
        libc::ENOEXEC => Cause::Words("not an executable of this machine".to_owned()),
        errno => Cause::Errno(errno),
    }
}

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// The beginning of a file; empty when it cannot be read.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    let file = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    if let Ok(file) = file.and_then(|file| file.metadata().map(|about| about.is_file().then_some(file)))
        && let Some(file) = file
    {
        // What could not be read is not looked at.
        let _ = file.take(HEAD as u64).read_to_end(&mut head);
    }
    head
}

/// What the beginning of a program names as its interpreter.
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let name = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
        return Some(PathBuf::from(OsStr::from_bytes(name)));
    }
    elf_interpreter(head)
}

/// `PT_INTERP` of a 64-bit ELF file in the byte order of this machine.
///
/// See [elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html).
fn elf_interpreter(head: &[u8]) -> Option<PathBuf> {
    const INTERPRETER: u64 = 3;
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = head.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let entry = usize::try_from(table.checked_add(size.checked_mul(index)?)?).ok()?;
        if number(entry, 4)? == INTERPRETER {
            let start = usize::try_from(number(entry.checked_add(8)?, 8)?).ok()?;
            let name = head.get(start..)?.split(|byte| *byte == 0).next()?;
            return Some(PathBuf::from(OsStr::from_bytes(name)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_and_of_a_program_is_named() {
        let name = |head: &[u8]| interpreter(head).map(|path| path.display().to_string());
        assert_eq!(name(b"#!/bin/sh\n"), Some("/bin/sh".to_owned()));
        assert_eq!(name(b"#! /usr/bin/env python3\n"), Some("/usr/bin/env".to_owned()));
        assert_eq!(name(b"#!"), None);
        assert_eq!(name(b"echo"), None);
        let shell = head(Path::new("/bin/sh"));
        assert!(name(&shell).is_some_and(|name| name.contains("ld-")), "{:?}", name(&shell));
    }

    #[test]
    fn an_elf_file_cut_off_anywhere_is_no_crash() {
        let shell = head(Path::new("/bin/sh"));
        for length in 0..shell.len().min(1024) {
            let _ = interpreter(&shell[..length]);
        }
        let mut hostile = shell;
        hostile[32..40].fill(0xff);
        assert_eq!(interpreter(&hostile), None);
    }
}

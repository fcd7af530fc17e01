//! A source file as the rules see it: its words without comments, without texts and without its unit tests.
//!
//! ```text
//!   raw    as it lies on the disk: for rules about comments, length and forbidden words
//!   code   comments and the insides of texts blanked, every line where it was: for rules about tokens
//!   lean   code without `#[cfg(test)]` modules: for rules that only what is shipped must keep
//! ```

use std::fs;
use std::path::{Path, PathBuf};

/// One file of the tree.
pub struct Source {
    /// Below the root, with `/` between the parts.
    pub path: String,
    pub raw: String,
    pub code: String,
    pub lean: String,
}

/// A path as the code names it, `std::fs::read`, with the line that it stands on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub line: usize,
    pub path: String,
}

impl Source {
    pub fn new(path: &str, raw: &str) -> Source {
        let code = blank_comments_and_texts(raw);
        let lean = blank_test_modules(&code);
        Source { path: path.to_owned(), raw: raw.to_owned(), code, lean }
    }

    /// The first part of a path below `src`: `engine` of `src/engine/state.rs`, `wrapper` of `src/wrapper.rs`.
    pub fn top_module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        Some(below.split('/').next().unwrap_or(below).trim_end_matches(".rs"))
    }
}

/// All files under `root` that are the project's own, in the order of their names.
pub fn tree(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        for entry in entries {
            let path = entry.unwrap_or_else(|e| panic!("{}: {e}", directory.display())).path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if name == "target" || name == ".git" || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                found.push((below, text));
            }
        }
    }
    found.sort();
    found
}

/// Blanks comments and what stands inside texts and characters; newlines stay, so that lines keep their numbers.
pub fn blank_comments_and_texts(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &raw[at..];
        let (skipped, keep_ends) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), 0)
        } else if rest.starts_with("/*") {
            (block_comment(rest), 0)
        } else if let Some(len) = raw_text(rest).filter(|_| !follows_word(raw, at)) {
            (len, 1)
        } else if rest.starts_with('"') {
            (quoted(rest), 1)
        } else if let Some(len) = character(rest) {
            (len, 1)
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
            continue;
        };
        let inside = &rest[..skipped];
        let blanked: String = inside
            .chars()
            .flat_map(|c| if c == '\n' { vec!['\n'] } else { vec![' '; c.len_utf8()] })
            .collect();
        if keep_ends == 1 && inside.len() >= 2 {
            out.push('"');
            out.push_str(&blanked[1..blanked.len() - 1]);
            out.push('"');
        } else {
            out.push_str(&blanked);
        }
        at += skipped;
    }
    out
}

fn follows_word(raw: &str, at: usize) -> bool {
    raw[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_text(rest: &str) -> Option<usize> {
    let body =
        rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).or_else(|| rest.strip_prefix("cr"))?;
    let prefix = rest.len() - body.len();
    let hashes = body.bytes().take_while(|b| *b == b'#').count();
    let inner = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inner.find(&close).map_or(inner.len(), |end| end + close.len());
    Some(prefix + hashes + 1 + end)
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `'x'` or `'\n'`; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    let mut chars = body.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        return body[2..].find('\'').map(|end| end + 4);
    }
    let (index, second) = chars.next()?;
    (second == '\'').then_some(1 + index + 1)
}

/// Blanks every `#[cfg(test)]` item that has a body in braces.
fn blank_test_modules(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let tail = &out[start..];
        let end = match (tail.find('{'), tail.find(';')) {
            (Some(brace), semicolon) if semicolon.is_none_or(|s| brace < s) => {
                start + brace + matching_brace(&tail[brace..])
            }
            (_, Some(semicolon)) => start + semicolon + 1,
            _ => out.len(),
        };
        let blank: String = out[start..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// How many bytes from an opening brace to just after the one that closes it.
pub fn matching_brace(text: &str) -> usize {
    let mut depth = 0usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return index + 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// Every path of two parts or more, `use` groups taken apart.
pub fn mentions(code: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut at = 0;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = code.as_bytes();
    while at < bytes.len() {
        if !is_word(bytes[at]) || (at > 0 && is_word(bytes[at - 1])) {
            at += 1;
            continue;
        }
        let line = 1 + code[..at].bytes().filter(|b| *b == b'\n').count();
        let len = path_at(&code[at..], "", line, &mut found);
        at += len.max(1);
    }
    found
}

/// Reads one path, following a group in braces; answers how many bytes it took.
fn path_at(text: &str, prefix: &str, line: usize, found: &mut Vec<Mention>) -> usize {
    let word = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let path =
        if prefix.is_empty() { text[..word].to_owned() } else { format!("{prefix}::{}", &text[..word]) };
    let Some(after) = text[word..].strip_prefix("::") else {
        if path.contains("::") {
            found.push(Mention { line, path });
        }
        return word;
    };
    let taken = word + 2;
    if !after.starts_with('{') {
        if !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            found.push(Mention { line, path: format!("{path}::*") });
            return taken;
        }
        return taken + path_at(after, &path, line, found);
    }
    let end = matching_brace(after);
    let group = &after[..end];
    let mut at = 1;
    while at < end.saturating_sub(1) {
        let line = line + group[..at].bytes().filter(|b| *b == b'\n').count();
        let starts = group.as_bytes()[at].is_ascii_alphanumeric() || group.as_bytes()[at] == b'_';
        at += if starts { path_at(&group[at..], &path, line, found).max(1) } else { 1 };
    }
    taken + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        mentions(code).into_iter().map(|mention| mention.path).collect()
    }

    #[test]
    fn comments_texts_and_characters_are_blanked_and_lines_stay() {
        let code = blank_comments_and_texts(
            "let a = \"std::fs\"; // std::fs\nlet b = r#\"unsafe \" \"#; /* a /* b */ c */\nlet c = '\"'; let d: &'static str = x;",
        );
        assert!(!code.contains("fs") && !code.contains("unsafe") && !code.contains("c */"), "{code}");
        assert!(code.contains("&'static str = x;"), "{code}");
        assert_eq!(code.lines().count(), 3);
    }

    #[test]
    fn groups_are_taken_apart_and_lines_are_counted() {
        assert_eq!(
            paths("use std::{fs, io::{Read, Write},\n collections::HashMap};"),
            ["std::fs", "std::io::Read", "std::io::Write", "std::collections::HashMap"]
        );
        assert_eq!(mentions("a\n\nstd::fs::read(x)")[0], Mention { line: 3, path: "std::fs::read".into() });
        assert_eq!(paths("use super::*;"), ["super::*"]);
    }

    #[test]
    fn a_test_module_is_no_part_of_what_is_shipped() {
        let source = Source::new(
            "src/x.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { std::fs::x(); } }\nfn c() {}\n",
        );
        assert!(source.code.contains("std::fs") && !source.lean.contains("std::fs"));
        assert!(source.lean.contains("fn c()"));
    }
}

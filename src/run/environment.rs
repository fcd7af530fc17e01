//! The variables that a process starts with.
//!
//! ```text
//!   sexton's own  ◀  env-files, in order  ◀  env  ◀  HOME USER LOGNAME SHELL  ◀  SEXTON_* NOTIFY_SOCKET
//!   (unless env-clear)                               (of the unit's user, where not set)
//! ```
//!
//! The later wins. What the caller of sexton was told of its own sockets never reaches a service: it would
//! answer somebody else's questions.

use std::ffi::{CStr, CString};
use std::rc::Rc;

/// Variables of sexton's own environment that are meant for sexton alone.
const OWN: [&str; 8] = [
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "SEXTON_CONTROL",
    "MAINPID",
];

/// Where programs are looked for when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables as `execve(2)` takes them. Each is shared: a thousand services inherit one copy.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    entries: Vec<Rc<CStr>>,
}

impl Environment {
    /// What sexton itself was started with, less what was meant for it alone.
    pub fn inherited(variables: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in variables {
            if !OWN.iter().any(|own| own.as_bytes() == name) {
                environment.set_bytes(&name, &value);
            }
        }
        environment
    }

    /// Sets a variable, over what it was. A value with a NUL byte in it cannot be passed on and is left out.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_bytes(name.as_bytes(), value.as_bytes());
    }

    fn set_bytes(&mut self, name: &[u8], value: &[u8]) {
        let mut text = Vec::with_capacity(name.len() + value.len() + 2);
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
        let Ok(entry) = CString::new(text) else { return };
        let entry: Rc<CStr> = entry.into();
        match self.position(name) {
            Some(place) => {
                if let Some(slot) = self.entries.get_mut(place) {
                    *slot = entry;
                }
            }
            None => self.entries.push(entry),
        }
    }

    /// Sets a variable unless it is there already.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.position(name.as_bytes()).is_none() {
            self.set(name, value);
        }
    }

    /// The value of a variable, where it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let entry = self.entries.get(self.position(name.as_bytes())?)?;
        std::str::from_utf8(entry.to_bytes().get(name.len() + 1..)?).ok()
    }

    /// The names of the variables that are UTF-8.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| Some(entry.to_str().ok()?.split_once('=')?.0))
    }

    /// The variables, each as `NAME=value`.
    pub fn entries(&self) -> &[Rc<CStr>] {
        &self.entries
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        // Where the name ends is looked at first: it rules nearly all of them out at once.
        self.entries.iter().position(|entry| {
            let text = entry.to_bytes();
            text.get(name.len()) == Some(&b'=') && text.starts_with(name)
        })
    }
}

/// Reads a file of `KEY=value` lines: `#` comments, an optional `export`, quotes and backslashes as `sh` reads
/// them, but nothing is expanded and an unquoted value runs to the end of its line.
///
/// An error names the line, counted from 1.
pub fn parse_env_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut variables = Vec::new();
    let mut lines = text.split('\n').enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let at = |what: &str| format!("line {}: {what}", index + 1);
        let Some((name, rest)) = line.split_once('=') else {
            return Err(at("there is no = in it; it should be KEY=value"));
        };
        if !is_variable_name(name) {
            return Err(at("a variable's name is letters, digits and _ and does not begin with a digit"));
        }
        let mut value = Value::default();
        let mut open = value.read(rest);
        while open {
            let Some((_, next)) = lines.next() else { return Err(at("a quote is not closed")) };
            open = value.read(next);
        }
        variables.push((name.to_owned(), value.finish()));
    }
    Ok(variables)
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A value on its way out of its quotes.
#[derive(Default)]
struct Value {
    text: String,
    quote: Option<char>,
    /// How much of `text` must survive trimming: up to the last quoted or escaped character.
    solid: usize,
}

impl Value {
    /// Takes one line; true when the value goes on in the next.
    fn read(&mut self, line: &str) -> bool {
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (self.quote, c) {
                (None, '\'' | '"') => self.open(c),
                (Some(quote), c) if c == quote => self.close(),
                (Some('\''), c) => self.text.push(c),
                (Some(_), '\\') => match chars.next() {
                    Some(next @ ('$' | '`' | '"' | '\\')) => self.text.push(next),
                    Some(next) => self.text.extend(['\\', next]),
                    None => return true,
                },
                (None, '\\') => match chars.next() {
                    Some(next) => {
                        self.text.push(next);
                        self.solid = self.text.len();
                    }
                    None => return true,
                },
                (None, '#') if self.text.ends_with([' ', '\t']) => return false,
                (_, c) => self.text.push(c),
            }
        }
        if self.quote.is_some() {
            self.text.push('\n');
        }
        self.quote.is_some()
    }

    fn open(&mut self, quote: char) {
        self.quote = Some(quote);
        self.solid = self.text.len();
    }

    fn close(&mut self) {
        self.quote = None;
        self.solid = self.text.len();
    }

    fn finish(mut self) -> String {
        let trimmed = self.text.trim_end().len().max(self.solid);
        self.text.truncate(trimmed);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited() -> Environment {
        let variables = [("PATH", "/bin"), ("NOTIFY_SOCKET", "/x"), ("A", "1")];
        Environment::inherited(variables.into_iter().map(|(n, v)| (n.into(), v.into())))
    }

    #[test]
    fn the_later_wins_and_a_prefix_of_a_name_is_another_name() {
        let mut environment = inherited();
        environment.set("A", "2");
        environment.set("AB", "3");
        environment.set_default("A", "4");
        assert_eq!(
            (environment.get("A"), environment.get("AB"), environment.get("B")),
            (Some("2"), Some("3"), None)
        );
        assert_eq!(environment.entries().len(), 3);
    }

    #[test]
    fn what_was_meant_for_sexton_alone_is_not_passed_on() {
        assert_eq!(inherited().get("NOTIFY_SOCKET"), None);
        assert_eq!(inherited().get("PATH"), Some("/bin"));
    }

    #[test]
    fn a_value_with_a_nul_byte_is_left_out_and_the_others_stay() {
        let mut environment = inherited();
        environment.set("BAD", "a\0b");
        assert_eq!((environment.get("BAD"), environment.get("A")), (None, Some("1")));
    }

    #[test]
    fn quotes_are_read_as_sh_reads_them() {
        let text = "# comment\n\nA=1\nexport B='it is' \nC=\"a \\\"b\\\" \\$x \\n\"\nD=plain words  # why\nE=a\\ b\\\n c\nF='two\nlines'\nG=a#b\nH=\n";
        let read: Vec<(String, String)> = parse_env_file(text).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            read,
            [
                ("A", "1"),
                ("B", "it is"),
                ("C", "a \"b\" $x \\n"),
                ("D", "plain words"),
                ("E", "a b c"),
                ("F", "two\nlines"),
                ("G", "a#b"),
                ("H", "")
            ]
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(
            parse_env_file("A=1\nwhat").unwrap_err(),
            "line 2: there is no = in it; it should be KEY=value"
        );
        assert!(parse_env_file("1A=1").unwrap_err().starts_with("line 1: a variable's name"));
        assert_eq!(parse_env_file("A='x\ny").unwrap_err(), "line 1: a quote is not closed");
    }
}

//! What a template becomes: `%{name}` and `%{env.NAME}` are replaced, and nothing else.
//!
//! ```text
//!   listen %{port};        ─▶  listen 8080;          a parameter, or i, f, n, p
//!   root %{env.ROOT};      ─▶  root /srv;            a variable of the unit's environment
//!   set $x $host;          ─▶  set $x $host;         $ is the daemon's own
//!   width 50%; # 100%%     ─▶  width 50%; # 100%%    so is % without a brace
//!   "%%{User-Agent}i"      ─▶  "%{User-Agent}i"      before a brace two are one: what is not meant for sexton
//! ```
//!
//! A template is bytes: what is not UTF-8 in it stays as it is.

use std::fmt;

use crate::model::unit::Render;
use crate::unitfile::diagnostic::nearest;

use super::environment::Environment;

/// A configuration file is some kilobytes; one that is larger than this is a mistake.
pub const LARGEST: usize = 1 << 20;

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillError {
    /// Its line, counted from 1.
    pub line: usize,
    /// Its column in characters, counted from 1.
    pub column: usize,
    /// What it is.
    pub mistake: Mistake,
}

/// What is wrong in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// There is nothing of this name.
    Unknown {
        /// The name.
        name: String,
        /// The one that may have been meant.
        meant: Option<String>,
    },
    /// A `%{` without its `}` in the same line.
    Open,
    /// What comes of it is larger than [`LARGEST`].
    TooLarge,
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        match &self.mistake {
            Mistake::Unknown { name, meant: Some(meant) } => {
                write!(f, "there is nothing called '%{{{name}}}'; did you mean '%{{{meant}}}'?")
            }
            Mistake::Unknown { name, meant: None } => write!(
                f,
                "there is nothing called '%{{{name}}}'; if it is not meant for sexton, write '%%{{{name}}}'"
            ),
            Mistake::Open => f.write_str("this '%{' has no '}' in its line"),
            Mistake::TooLarge => write!(f, "the file would be larger than {} KiB", LARGEST >> 10),
        }
    }
}

impl std::error::Error for FillError {}

/// Fills a template.
pub fn fill(template: &[u8], render: &Render, environment: &Environment) -> Result<Vec<u8>, Box<FillError>> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some(brace) = rest.windows(2).position(|two| two == b"%{") {
        let at = template.len() - rest.len() + brace;
        let mistake = |mistake| Box::new(place(template, at, mistake));
        let (before, braced) = rest.split_at(brace + 1);
        let text = without_percents(before);
        let percents = before.len() - text.len();
        out.extend_from_slice(text);
        out.extend(std::iter::repeat_n(b'%', percents / 2));
        rest = braced;
        if percents % 2 == 1 {
            let inner = braced.get(1..).unwrap_or_default();
            let line = inner.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let end = line.iter().position(|byte| *byte == b'}').ok_or_else(|| mistake(Mistake::Open))?;
            let name = String::from_utf8_lossy(inner.get(..end).unwrap_or_default());
            let known = value(&name, render, environment);
            let value = known.ok_or_else(|| mistake(unknown(&name, render, environment)))?;
            out.extend_from_slice(value.as_bytes());
            rest = inner.get(end + 1..).unwrap_or_default();
        }
        if out.len() > LARGEST {
            return Err(mistake(Mistake::TooLarge));
        }
    }
    out.extend_from_slice(rest);
    if out.len() > LARGEST {
        return Err(Box::new(place(template, template.len(), Mistake::TooLarge)));
    }
    Ok(out)
}

fn without_percents(text: &[u8]) -> &[u8] {
    let kept = text.iter().rposition(|byte| *byte != b'%').map_or(0, |last| last + 1);
    text.get(..kept).unwrap_or_default()
}

/// What `%{env.NAME}` begins with. A parameter cannot be called so: there is no dot in its name.
const ENV: &str = "env.";

fn value<'v>(name: &str, render: &'v Render, environment: &'v Environment) -> Option<&'v str> {
    match name.strip_prefix(ENV) {
        Some(variable) => environment.get(variable),
        None => render.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()),
    }
}

fn unknown(name: &str, render: &Render, environment: &Environment) -> Mistake {
    let meant = match name.strip_prefix(ENV) {
        Some(variable) => nearest(variable, environment.names()).map(|meant| format!("{ENV}{meant}")),
        None => {
            let known = render.parameters.iter().map(|(known, _)| known.as_str());
            nearest(name, known.filter(|known| known.len() > 1)).map(str::to_owned)
        }
    };
    Mistake::Unknown { name: name.to_owned(), meant }
}

fn place(template: &[u8], at: usize, mistake: Mistake) -> FillError {
    let before = template.get(..at).unwrap_or(template);
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1;
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    FillError { line, column, mistake }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Text;

    fn filled(template: &[u8]) -> Result<Vec<u8>, String> {
        let parameters = [("port", "8080"), ("i", "a"), ("odd", "%{port}")];
        let render = Render {
            from: Text::parse("/from").unwrap(),
            to: Text::parse("/to").unwrap(),
            mode: 0o640,
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        let mut environment = Environment::default();
        environment.set("ROOT", "/srv");
        fill(template, &render, &environment).map_err(|error| error.to_string())
    }

    fn text(template: &str) -> String {
        String::from_utf8(filled(template.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn names_and_variables_are_replaced_once() {
        assert_eq!(text("listen %{port};%{port}\nroot %{env.ROOT}/%{i};"), "listen 8080;8080\nroot /srv/a;");
        assert_eq!(text("%{odd}"), "%{port}", "a value is no template");
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for same in ["", "set $x ${host} $$;", "50%", "100%% %i %f %n {x} % {y}", "%", "%%", "a\r\n%\n"] {
            assert_eq!(text(same), same);
        }
        assert_eq!(filled(b"\xff%{port}\xfe\0").unwrap(), b"\xff8080\xfe\0");
    }

    #[test]
    fn before_a_brace_two_percent_signs_are_one() {
        assert_eq!(text("%%{User-Agent}i"), "%{User-Agent}i");
        assert_eq!(text("50%%%{port}"), "50%8080");
        assert_eq!(text("%%%%{x} %%{"), "%%{x} %{");
    }

    #[test]
    fn a_mistake_is_said_with_its_line_and_column() {
        let said = |template: &str| filled(template.as_bytes()).unwrap_err();
        assert_eq!(
            said("a\n  ü %{prot}\n"),
            "2:5: there is nothing called '%{prot}'; did you mean '%{port}'?"
        );
        assert_eq!(
            said("%{env.ROTO}"),
            "1:1: there is nothing called '%{env.ROTO}'; did you mean '%{env.ROOT}'?"
        );
        assert_eq!(
            said("LogFormat \"%{User-Agent}i\""),
            "1:12: there is nothing called '%{User-Agent}'; if it is not meant for sexton, write '%%{User-Agent}'"
        );
        assert_eq!(said("%{port\n}"), "1:1: this '%{' has no '}' in its line");
        assert!(said("%{}").starts_with("1:1: there is nothing called '%{}'"));
    }

    #[test]
    fn what_grows_too_large_is_a_mistake() {
        let large = "x".repeat(LARGEST);
        assert_eq!(text(&large).len(), LARGEST);
        assert_eq!(
            filled(format!("{large}%{{port}}").as_bytes()).unwrap_err(),
            format!("1:{}: the file would be larger than 1024 KiB", LARGEST + 1)
        );
    }
}

//! A command: a program and its arguments, each with `$` substitutions that are settled at the start.
//!
//! ```text
//!   ${NAME}              the variable; unset is an error that names it
//!   ${NAME:-default}     the default where it is unset or empty
//!   ${NAME:?message}     the error's words where it is unset or empty
//!   $$                   a dollar sign
//! ```
//!
//! No shell is involved and nothing is split afterwards: one text in, one argument out. A default is
//! taken as it stands and may not hold `}`.

use std::fmt;
use std::rc::Rc;

/// A string value whose `$` syntax was checked when the unit was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text(Rc<str>);

/// A program and its arguments; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    argv: Rc<[Text]>,
}

impl Command {
    /// A command from its texts; `None` when there are none.
    pub fn new(argv: Vec<Text>) -> Option<Command> {
        if argv.is_empty() { None } else { Some(Command { argv: argv.into() }) }
    }

    /// The program and the arguments, before substitution.
    pub fn argv(&self) -> &[Text] {
        &self.argv
    }
}

impl fmt::Display for Command {
    /// As one would type it, quoted where a shell would need it, and `$$` as the `$` that it stands for. For people, never
    /// for execution.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, text) in self.argv.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            let plain = !text.0.is_empty()
                && text.0.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,${}".contains(c));
            let shown = text.0.replace("$$", "$");
            if plain { f.write_str(&shown)? } else { write!(f, "'{}'", shown.replace('\'', r"'\''"))? }
        }
        Ok(())
    }
}

impl Text {
    /// Checks the `$` syntax of `text`. The error holds the byte offset of what is wrong.
    pub fn parse(text: &str) -> Result<Text, SyntaxError> {
        for piece in pieces(text) {
            piece?;
        }
        Ok(Text(text.into()))
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with each variable replaced by what `lookup` says of it.
    pub fn expand<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> Result<String, Unset> {
        let mut out = String::with_capacity(self.0.len());
        for piece in pieces(&self.0) {
            // The syntax was checked when the text was made; a piece that fails here cannot be met.
            let Ok(piece) = piece else { continue };
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Variable { name, fallback } => match (lookup(name), fallback) {
                    (Some(value), Fallback::None) => out.push_str(value),
                    (Some(value), _) if !value.is_empty() => out.push_str(value),
                    (_, Fallback::Default(default)) => out.push_str(default),
                    (_, Fallback::Message(message)) => {
                        return Err(Unset { name: name.into(), message: Some(message.into()) });
                    }
                    (None, Fallback::None) => return Err(Unset { name: name.into(), message: None }),
                },
            }
        }
        Ok(out)
    }

    /// The names of the variables in it, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        pieces(&self.0).filter_map(|piece| match piece {
            Ok(Piece::Variable { name, .. }) => Some(name),
            _ => None,
        })
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A variable that a text needs and the environment does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// The variable's name.
    pub name: String,
    /// The words of `${NAME:?words}`.
    pub message: Option<String>,
}

impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.name),
            None => write!(f, "the variable {} is not set", self.name),
        }
    }
}

/// Where the `$` syntax of a text is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The byte offset of the `$`.
    pub offset: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

enum Piece<'a> {
    Literal(&'a str),
    Variable { name: &'a str, fallback: Fallback<'a> },
}

enum Fallback<'a> {
    None,
    Default(&'a str),
    Message(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, SyntaxError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        if rest.is_empty() {
            return None;
        }
        let offset = at;
        let Some(after) = rest.strip_prefix('$') else {
            let len = rest.find('$').unwrap_or(rest.len());
            at += len;
            return Some(Ok(Piece::Literal(&rest[..len])));
        };
        if after.starts_with('$') {
            at += 2;
            return Some(Ok(Piece::Literal("$")));
        }
        let piece = variable(after);
        at = match &piece {
            Ok((_, len)) => at + 1 + len,
            Err(_) => text.len(),
        };
        Some(piece.map(|(piece, _)| piece).map_err(|what| SyntaxError { offset, what }))
    })
}

/// Reads `{NAME…}`; answers the piece and how many bytes it took.
fn variable(text: &str) -> Result<(Piece<'_>, usize), &'static str> {
    let inner = text.strip_prefix('{').ok_or("a dollar sign is written $$, a variable ${NAME}")?;
    let end = inner.find('}').ok_or("this ${ has no closing }")?;
    let body = &inner[..end];
    let name_len = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let (name, rest) = body.split_at(name_len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a variable's name is letters, digits and _ and does not begin with a digit");
    }
    let fallback = match rest {
        "" => Fallback::None,
        _ => match (rest.strip_prefix(":-"), rest.strip_prefix(":?")) {
            (Some(default), _) => Fallback::Default(default),
            (_, Some(message)) => Fallback::Message(message),
            _ => return Err("after a variable's name only :-default or :?message can stand"),
        },
    };
    Ok((Piece::Variable { name, fallback }, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, Unset> {
        Text::parse(text).unwrap().expand(|name| match name {
            "HOME" => Some("/root"),
            "EMPTY" => Some(""),
            _ => None,
        })
    }

    #[test]
    fn variables_defaults_and_dollars_are_replaced() {
        assert_eq!(expand("a ${HOME}/b $$5").unwrap(), "a /root/b $5");
        assert_eq!(expand("${NONE:-x y}").unwrap(), "x y");
        assert_eq!(expand("${EMPTY:-x}").unwrap(), "x");
        assert_eq!(expand("[${EMPTY}]").unwrap(), "[]");
        assert_eq!(expand("${HOME:?no}").unwrap(), "/root");
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(expand("${NONE}").unwrap_err().to_string(), "the variable NONE is not set");
        assert_eq!(
            expand("${NONE:?set it in /etc/default/x}").unwrap_err().to_string(),
            "NONE: set it in /etc/default/x"
        );
    }

    #[test]
    fn what_is_no_variable_is_an_error_with_its_place() {
        for (text, offset) in
            [("a $HOME", 2), ("${", 0), ("x${1A}", 1), ("${A:=b}", 0), ("ab$", 2), ("${}", 0)]
        {
            assert_eq!(Text::parse(text).unwrap_err().offset, offset, "{text}");
        }
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let argv = ["echo", "it's", "", "a-b"].map(|t| Text::parse(t).unwrap());
        assert_eq!(Command::new(argv.into()).unwrap().to_string(), r"echo 'it'\''s' '' a-b");
        assert!(Command::new(Vec::new()).is_none());
    }
}

//! `%` in string values: settled when units are read, once for each instance.
//!
//! ```text
//!   %i instance    %f its file    %n the unit's name    %p the part before @    %{name} parameter    %% a percent sign
//! ```

use std::borrow::Cow;

use super::diagnostic::nearest;

/// What `%` stands for in one unit.
#[derive(Clone, Debug, Default)]
pub struct Names<'n> {
    /// `%n`.
    pub name: &'n str,
    /// `%p`.
    pub prefix: &'n str,
    /// `%i`.
    pub instance: Option<&'n str>,
    /// `%f`.
    pub file: Option<&'n str>,
    /// `%{name}`, with what each stands for.
    pub parameters: Vec<(String, String)>,
    /// The same where `$` is settled later, if that makes a difference: a `$` in the name of the instance's file is doubled.
    pub doubled: Vec<(String, String)>,
    /// Every parameter that any instance has, for the error about one that this does not have.
    pub known: &'n [String],
}

/// Where `$` means a variable later on, it is doubled in what comes from a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dollar {
    /// The value is used as it is.
    Plain,
    /// `$` is settled at the start.
    Later,
}

/// What is wrong with a `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubstituteError {
    /// The byte offset of the `%`.
    pub offset: usize,
    /// How many bytes belong to it.
    pub len: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Replaces every `%…` of `text`. A text without one is handed back as it is.
pub fn expand<'t>(text: &'t str, names: &Names<'_>, dollar: Dollar) -> Result<Cow<'t, str>, SubstituteError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let offset = text.len() - rest.len() + at;
        let len = one(&rest[at + 1..], names, dollar, &mut out)
            .map_err(|(len, message, help)| SubstituteError { offset, len: len + 1, message, help })?;
        rest = &rest[at + 1 + len..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// What stands after a `%`, and how many bytes it took.
fn one(
    after: &str,
    names: &Names<'_>,
    dollar: Dollar,
    out: &mut String,
) -> Result<usize, (usize, String, Option<String>)> {
    let absent =
        |what: &str, why: &str| (1, format!("'{what}' stands for nothing here"), Some(why.to_owned()));
    let mut push_name = |value: &str| match dollar {
        Dollar::Plain => out.push_str(value),
        Dollar::Later => out.push_str(&value.replace('$', "$$")),
    };
    match after.chars().next() {
        Some('%') => out.push('%'),
        // What nothing follows can mean nothing else, and `150%` is what people write.
        None => {
            out.push('%');
            return Ok(0);
        }
        Some('n') => out.push_str(names.name),
        Some('p') => out.push_str(names.prefix),
        Some('i') => {
            push_name(names.instance.ok_or_else(|| absent("%i", "only an instance of a template has one"))?)
        }
        Some('f') => {
            push_name(
                names
                    .file
                    .ok_or_else(|| absent("%f", "only an instance made by [instances] files has a file"))?,
            );
        }
        Some('{') => {
            let end = after.find('}').ok_or((1, "this %{ has no closing }".to_owned(), None))?;
            out.push_str(parameter(&after[1..end], end + 1, names, dollar)?);
            return Ok(end + 1);
        }
        _ => {
            let help = "%i, %f, %n, %p and %{name} are replaced; a percent sign is written %%";
            let len = after.chars().next().map_or(0, char::len_utf8);
            return Err((len, "a single percent sign".to_owned(), Some(help.to_owned())));
        }
    }
    Ok(1)
}

fn parameter<'n>(
    name: &str,
    len: usize,
    names: &'n Names<'_>,
    dollar: Dollar,
) -> Result<&'n str, (usize, String, Option<String>)> {
    let values =
        if dollar == Dollar::Later && !names.doubled.is_empty() { &names.doubled } else { &names.parameters };
    if let Some((_, value)) = values.iter().find(|(known, _)| known == name) {
        return Ok(value);
    }
    if names.known.iter().any(|known| known == name) {
        let help = format!(
            "set it in [instances] defaults, or in [instances.set.{}]",
            names.instance.unwrap_or("NAME")
        );
        return Err((len, format!("the instance '{}' has no parameter '{name}'", names.name), Some(help)));
    }
    let help = match nearest(name, names.known.iter().map(String::as_str)) {
        Some(word) => Some(format!("did you mean '%{{{word}}}'?")),
        None => Some("parameters are given in [instances] defaults and [instances.set.NAME]".to_owned()),
    };
    Err((len, format!("unknown parameter '{name}'"), help))
}

/// The names in the `%{name}` of a text.
pub fn parameters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find('%')?;
            let after = &rest[at + 1..];
            match (after.strip_prefix('{'), after.chars().next()) {
                (Some(inner), _) => {
                    let end = inner.find('}')?;
                    rest = &inner[end + 1..];
                    return Some(&inner[..end]);
                }
                (None, Some(c)) => rest = &after[c.len_utf8()..],
                (None, None) => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &[String]) -> Names<'_> {
        Names {
            name: "redis@a",
            prefix: "redis",
            instance: Some("a"),
            file: Some("/etc/$x.conf"),
            parameters: vec![("port".into(), "6379".into())],
            doubled: Vec::new(),
            known,
        }
    }

    #[test]
    fn every_percent_is_replaced() {
        let names = names(&[]);
        let text = expand("%p %i %n %f %{port}%% ü", &names, Dollar::Plain).unwrap();
        assert_eq!(text, "redis a redis@a /etc/$x.conf 6379% ü");
        assert!(matches!(expand("plain", &names, Dollar::Plain), Ok(Cow::Borrowed("plain"))));
    }

    #[test]
    fn a_dollar_in_a_files_name_stays_a_dollar() {
        assert_eq!(expand("%f", &names(&[]), Dollar::Later).unwrap(), "/etc/$$x.conf");
    }

    #[test]
    fn a_percent_sign_that_nothing_follows_is_one() {
        for (text, shown) in [("150%", "150%"), ("150%%", "150%"), ("%", "%"), ("%p%", "redis%")] {
            assert_eq!(expand(text, &names(&[]), Dollar::Plain).unwrap(), shown, "{text}");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_an_error_with_its_place() {
        let known = ["port".to_owned(), "memory".to_owned()];
        let say = |text: &str| {
            let error = expand(text, &names(&known), Dollar::Plain).unwrap_err();
            (error.offset, error.len, error.message, error.help.unwrap_or_default())
        };
        assert_eq!(say("a %{prt}").3, "did you mean '%{port}'?");
        assert_eq!(&say("a %{prt}").2, "unknown parameter 'prt'");
        assert_eq!((say("a %{prt}").0, say("a %{prt}").1), (2, 6));
        assert_eq!(&say("%{memory}").2, "the instance 'redis@a' has no parameter 'memory'");
        assert_eq!(&say("%{port").2, "this %{ has no closing }");
        assert_eq!(&say("50% of it").2, "a single percent sign");
        assert_eq!(&say("50%ü").2, "a single percent sign");
        let plain = Names { name: "web", prefix: "web", ..Names::default() };
        assert_eq!(expand("%i", &plain, Dollar::Plain).unwrap_err().message, "'%i' stands for nothing here");
        assert_eq!(expand("%f", &plain, Dollar::Plain).unwrap_err().message, "'%f' stands for nothing here");
    }

    #[test]
    fn the_parameters_of_a_text_are_found() {
        assert_eq!(parameters("%{a} %%{b} %i%{c} %{d").collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(parameters("ü%ü%").count(), 0);
    }
}

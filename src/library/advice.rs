//! What a unit says in `[[library.advice]]`: what its daemon is to be told in its own configuration, because no signal and no
//! test can. Pure: the texts of the files come from outside.

use regex_lite::Regex;
use toml::{Table, Value};

/// What is looked for in the daemon's own files, and what is said then.
#[derive(Debug)]
pub struct Advice {
    /// A pattern of files; empty for the file of the instance.
    pub files: String,
    /// When it is said.
    pub when: When,
    /// What is to be done, or what comes of it.
    pub says: String,
    /// What holds where no text says anything.
    pub default: Option<String>,
    find: Regex,
}

/// When an advice is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Some file has it.
    Found,
    /// No file has it.
    Missing,
    /// Two instances have the same.
    Shared,
    /// It names a directory that the user of the unit cannot write. Where no file has it, it is the working directory.
    Unwritable,
}

impl Advice {
    /// What a text has of it: the first group of the expression, or all that matches where it has none. The last one holds.
    /// It is empty where something matches beside the group.
    pub fn value<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = self.find.captures_iter(text).last()?;
        let value = if found.len() > 1 { found.get(1) } else { found.get(0) };
        Some(value.map_or("", |value| value.as_str().trim()))
    }
}

/// The advice of a unit file. One that is written wrong is none: `check` says so elsewhere.
pub fn of(text: &str) -> Vec<Advice> {
    let unit: Table = text.parse().unwrap_or_default();
    let library = unit.get("library").and_then(Value::as_table);
    let items = library.and_then(|library| library.get("advice")?.as_array());
    items.into_iter().flatten().filter_map(|item| one(item.as_table()?)).collect()
}

fn one(item: &Table) -> Option<Advice> {
    let word = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let when = match word("when") {
        "found" => When::Found,
        "missing" => When::Missing,
        "shared" => When::Shared,
        "unwritable" => When::Unwritable,
        _ => return None,
    };
    let find = Regex::new(word("find")).ok()?;
    let default = item.get("default").and_then(Value::as_str).map(str::to_owned);
    Some(Advice { files: word("files").to_owned(), when, says: word("says").to_owned(), default, find })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_holds_and_a_group_stands_for_it() {
        let text = "[library]\nadvice = [{ find = '(?m)^port (\\d+)', when = \"shared\", says = \"x\" },\n\
                    { find = 'b.', when = \"found\", says = \"x\" }, { find = '(', when = \"found\" }, { find = 'x' }]\n";
        let advice = of(text);
        let [port, word] = &advice[..] else { panic!("{advice:?}") };
        assert_eq!(port.value("port 1\n# port 3\nport 2\n"), Some("2"));
        assert_eq!((port.value("nothing"), word.value("abc")), (None, Some("bc")));
        let [port] = &of("[library]\nadvice = [{ find = 'port (?:0|(\\d+))', when = \"shared\" }]")[..]
        else {
            panic!()
        };
        assert_eq!((port.value("port 0"), port.value("port 0 port 7")), (Some(""), Some("7")));
        assert!(of("[service]\nexec = [\"x\"]\n").is_empty() && of("no = ").is_empty());
    }

    #[test]
    fn each_advice_of_the_library_can_be_read() {
        for name in crate::library::names() {
            let text = crate::library::text(name).unwrap();
            assert_eq!(of(text).len(), text.matches("when = \"").count(), "{name}");
        }
    }
}

//! Environment files: `KEY=value` lines, quoted as in `sh`, with nothing expanded.

/// Reads a file of `KEY=value` lines: `#` comments, an optional `export`, quotes and backslashes as `sh` reads
/// them, but nothing is expanded and an unquoted value runs to the end of its line.
///
/// An error names the line, counted from 1.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
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

    #[test]
    fn quotes_are_read_as_sh_reads_them() {
        let text = "# comment\n\nA=1\nexport B='it is' \nC=\"a \\\"b\\\" \\$x \\n\"\nD=plain words  # why\nE=a\\ b\\\n c\nF='two\nlines'\nG=a#b\nH=\n";
        let read: Vec<(String, String)> = parse(text).unwrap();
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
        assert_eq!(parse("A=1\nwhat").unwrap_err(), "line 2: there is no = in it; it should be KEY=value");
        assert!(parse("1A=1").unwrap_err().starts_with("line 1: a variable's name"));
        assert_eq!(parse("A='x\ny").unwrap_err(), "line 1: a quote is not closed");
    }
}

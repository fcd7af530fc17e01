//! What a key of the unit language takes: the types, in words and by example.

use super::schema::Key;

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A string.
    Text,
    /// An array of strings.
    Texts,
    /// An array of strings, the program first.
    Command,
    /// `true` or `false`.
    Flag,
    /// A whole number between two others.
    Integer(i64, i64),
    /// A number from 0 to 1.
    Fraction,
    /// Any number.
    Number,
    /// `"30s"`.
    Duration,
    /// A number of bytes.
    Size,
    /// An array of exit codes.
    Codes,
    /// A signal.
    Signal,
    /// An array of signals.
    Signals,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An array of these words.
    Words(&'static [&'static str]),
    /// A user or group, by name or number.
    Account,
    /// An array of them.
    Accounts,
    /// A table of keys that the user chooses, with strings or numbers.
    Map,
    /// A table of tables of keys that the user chooses.
    Maps,
    /// A table of paths with sizes.
    Sizes,
    /// A table of resource limits.
    Limits,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table with exactly one of these keys, and how such tables are written.
    OneOf(&'static [Key], &'static str),
    /// An array of tables with these keys.
    Tables(&'static [Key]),
    /// An array of tables with these keys, where a string stands for a table with `path`.
    Directories(&'static [Key]),
}

impl Kind {
    /// The type in words, as docs/units.md names it and as errors do.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Texts => "array of strings",
            Kind::Command => "command",
            Kind::Flag => "boolean",
            Kind::Integer(..) => "integer",
            Kind::Fraction => "number from 0 to 1",
            Kind::Number => "number",
            Kind::Duration => "duration",
            Kind::Size => "size",
            Kind::Codes => "array of exit codes",
            Kind::Signal => "signal",
            Kind::Signals => "array of signals",
            Kind::Choice(_) => "word",
            Kind::Words(_) => "array of words",
            Kind::Account => "name or number",
            Kind::Accounts => "array of names or numbers",
            Kind::Map => "table of values",
            Kind::Maps => "table of tables",
            Kind::Sizes => "table of sizes",
            Kind::Limits => "table of limits",
            Kind::Table(_) | Kind::OneOf(..) => "table",
            Kind::Tables(_) => "array of tables",
            Kind::Directories(_) => "array of directories",
        }
    }

    /// How a value of it is written, for whoever wrote something else.
    pub fn example(self) -> &'static str {
        match self {
            Kind::Text | Kind::Choice(_) => "\"text\"",
            Kind::Texts => "[\"one\", \"two\"]",
            Kind::Command => "[\"program\", \"argument\"]",
            Kind::Flag => "true or false, without quotes",
            Kind::Integer(..) => "5, without quotes",
            Kind::Fraction => "0.1",
            Kind::Number => "15 or 0.5, without quotes",
            Kind::Duration => "\"30s\", \"100ms\" or \"1h 30m\"",
            Kind::Size => "\"10MiB\"",
            Kind::Codes => "[0, 143]",
            Kind::Signal => "\"HUP\"",
            Kind::Signals => "[\"TERM\", \"INT\"]",
            Kind::Words(_) => "[\"one\", \"two\"]",
            Kind::Account => "\"redis\" or 999",
            Kind::Accounts => "[\"audio\", 999]",
            Kind::Map => "{ NAME = \"value\" }",
            Kind::Maps => "{ one = { name = \"value\" } }",
            Kind::Sizes => "{ \"/var/lib/redis\" = \"64MiB\" }",
            Kind::Limits => "{ nofile = 65536, core = [0, \"unlimited\"] }",
            Kind::Table(_) => "a table of its own",
            Kind::OneOf(_, example) => example,
            Kind::Tables(_) => "one or more tables with doubled brackets",
            Kind::Directories(_) => "[{ path = \"redis\", mode = \"0750\" }]",
        }
    }

    /// The keys below it, where the language has a say in them.
    pub fn keys(self) -> &'static [Key] {
        match self {
            Kind::Table(keys) | Kind::OneOf(keys, _) | Kind::Tables(keys) | Kind::Directories(keys) => keys,
            _ => &[],
        }
    }
}

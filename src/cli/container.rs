//! The command that a container is started with, told apart from the commands of sexton.
//!
//! | PID 1 is called with | it is |
//! | --- | --- |
//! | `-- nginx -g 'daemon off;'` | a command |
//! | `nginx -g 'daemon off;'` (an image's `CMD`) | a command |
//! | `status`, `check`, … | what sexton itself is asked; behind `--` it would be a command |
//! | `--help` | an option of sexton |

use std::ffi::OsString;

/// The commands of sexton, as the parser knows them; building that costs more than a container's start.
const COMMANDS: [&str; 34] = [
    "add",
    "chart",
    "check",
    "completions",
    "demo",
    "demo-init",
    "demo-server",
    "diff",
    "events",
    "gateway",
    "halt",
    "health",
    "help",
    "init",
    "kexec",
    "library",
    "list",
    "logs",
    "plan",
    "poweroff",
    "reboot",
    "reload",
    "reset",
    "restart",
    "scale",
    "show",
    "signal",
    "start",
    "status",
    "stop",
    "sync",
    "tree",
    "up",
    "why",
];

/// The words of a container's own command; `None` where they are meant for sexton. The program's name is not among them.
pub fn command_in(words: &[OsString]) -> Option<&[OsString]> {
    let (first, rest) = words.split_first()?;
    if first == "--" {
        return (!rest.is_empty()).then_some(rest);
    }
    begins_command(first.as_encoded_bytes()).then_some(words)
}

/// Is this first word of PID 1's the command of a container, and neither an option nor a command of sexton?
pub fn begins_command(word: &[u8]) -> bool {
    !word.starts_with(b"-") && !COMMANDS.iter().any(|command| command.as_bytes() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Option<Vec<OsString>> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        command_in(&words).map(<[OsString]>::to_vec)
    }

    #[test]
    fn what_sexton_knows_is_its_own_and_all_else_is_a_command() {
        assert_eq!(command("nginx -g x").unwrap(), ["nginx", "-g", "x"]);
        assert_eq!(command("-- status").unwrap(), ["status"]);
        assert_eq!(command("/usr/bin/status").unwrap(), ["/usr/bin/status"]);
        for line in ["", "--", "status", "--help", "-h", "up /units", "health web"] {
            assert_eq!(command(line), None, "{line}");
        }
    }

    #[test]
    fn every_command_of_the_parser_is_known() {
        let declaration = crate::cli::args::declaration();
        let mut names: Vec<&str> = declaration.get_subcommands().map(clap::Command::get_name).collect();
        names.push("help");
        names.sort_unstable();
        assert_eq!(names, COMMANDS);
    }
}

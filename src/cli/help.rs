//! `sexton --help`: what clap cannot lay out by itself, the commands in groups and the exit statuses.

use super::Exit;
use super::args::declaration;

/// The commands as `--help` lists them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Supervise", &["up", "init", "check", "demo"]),
    ("Look", &["status", "list", "tree", "why", "show", "logs", "events", "chart", "plan", "health"]),
    ("Change", &["start", "stop", "restart", "reload", "sync", "scale", "signal", "reset"]),
    ("Library", &["library", "add", "diff"]),
    ("End, and the rest", &["poweroff", "reboot", "halt", "kexec", "gateway", "completions"]),
];

/// What `sexton --help` prints.
pub(super) fn help() -> String {
    command().render_long_help().to_string()
}

/// The declaration, with the help that clap cannot make by itself: commands in groups, and the exit statuses.
pub(super) fn command() -> clap::Command {
    let command = declaration();
    let mut groups = String::new();
    for (heading, names) in GROUPS {
        groups += &format!("\n{heading}:\n");
        for name in names {
            let about = command.find_subcommand(name).and_then(|c| c.get_about());
            let about = about.map(ToString::to_string).unwrap_or_default();
            groups += &format!("  {name:<12} {about}\n");
        }
    }
    let mut statuses = String::from("Exit status:\n");
    for exit in Exit::ALL {
        statuses += &format!("  {}  {}\n", exit.code(), exit.words());
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{groups}\nOptions:\n{{options}}\n\n\
         Examples:\n  sexton demo                     see it at work\n  \
         sexton up ./units               supervise the units of a directory\n  \
         sexton start web                start web, and what it needs before it\n  \
         sexton restart web              test its configuration, then restart it\n  \
         sexton why web                  why is web as it is?\n  \
         sexton -- COMMAND               run one command as tini does\n\n\
         Of `sexton [OPTION]… -- COMMAND`:\n  \
         --grace DURATION    those that the command leaves behind have so long to end [default: 5s]\n  \
         --drain DURATION    hold the first SIGTERM back for so long [default: 0]\n  \
         --remap FROM=TO     end with TO where the command ended with FROM\n  \
         --rewrite FROM:TO   pass the signal FROM on as TO; HUP:0 passes HUP on to nobody\n  \
         --env-file FILE     more variables, as KEY=value lines\n  \
         --group, --verbose  signals go to the whole process group; say each step\n\n\
         {statuses}\n`sexton COMMAND --help` says more of a command.\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn help_names_every_command_once_in_its_group_and_every_exit_status() {
        let text = help();
        for command in command().get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
            let line = format!("\n  {:<12} ", command.get_name());
            assert_eq!(text.matches(&line).count(), 1, "{}\n{text}", command.get_name());
        }
        for exit in Exit::ALL {
            assert!(text.contains(&format!("\n  {}  {}\n", exit.code(), exit.words())), "{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        assert!(!text.contains("demo-server"));
    }
}

//! Job control on a real terminal: keys, the foreground, and a shell that notices what is stopped.
//!
//! ```text
//!   test ── master │ slave ── bash -i ── tini ── cat
//! ```

use nix::unistd::ttyname;

use crate::harness::pty::{CTRL_C, CTRL_D, CTRL_Z, Screen};
use crate::harness::{Machine, Plan, until};

/// A machine and its terminal.
struct Terminal {
    screen: Screen,
    machine: Machine,
}

impl Terminal {
    /// One that controls PID 1, which becomes `command`.
    fn of(command: &[&str]) -> Terminal {
        let (screen, slave) = Screen::open();
        let name = ttyname(&slave).unwrap_or_else(|e| panic!("ttyname: {e}"));
        let mut plan = Plan::new().setup("mkdir -p -m 777 @DIR@/out; stty -echo; PS1='[$?] '; export PS1");
        for name in ["sexton", "tini", "dumb-init"] {
            plan = plan.setup(&format!("ln -s @SEXTON@ @DIR@/out/{name}"));
        }
        let machine = plan.on_terminal(&name.display().to_string()).command(command).boot();
        Terminal { screen, machine }
    }

    fn types(&mut self, text: &str) {
        self.screen.types(&self.machine.fill(text));
    }

    #[track_caller]
    fn shows(&mut self, text: &str) {
        self.screen.shows(text);
    }
}

const SHELL: [&str; 5] = ["bash", "--norc", "--noprofile", "--noediting", "-i"];

/// A job of a shell is stopped by its key, comes back in the foreground, and is ended by another key.
fn stops_and_comes_back(wrapped: &str) {
    let mut terminal = Terminal::of(&SHELL);
    terminal.shows("] ");
    terminal.types(&format!("@DIR@/out/{wrapped} cat\n"));
    terminal.types("one\n");
    terminal.shows("one");
    terminal.types(CTRL_Z);
    terminal.shows("Stopped");
    terminal.types("echo at-$((1 + 1))\n");
    terminal.shows("at-2");
    terminal.types("fg\n");
    terminal.types("two\n");
    terminal.shows("two");
    terminal.types(CTRL_C);
    terminal.shows("[130] ");
}

#[test]
fn a_job_of_a_shell_stops_comes_back_and_ends_by_its_keys() {
    stops_and_comes_back("sexton --");
    stops_and_comes_back("tini -s --");
}

#[test]
fn a_job_in_the_background_does_not_take_the_terminal_and_stops_when_it_reads() {
    for wrapped in ["sexton --", "tini -s --"] {
        let mut terminal = Terminal::of(&SHELL);
        terminal.shows("] ");
        terminal.types(&format!("@DIR@/out/{wrapped} cat &\n"));
        terminal.shows("] ");
        // The shell still has the terminal, and hears that its job was stopped.
        terminal.types("until jobs | grep Stop; do sleep 0.05; done; echo at-$((1 + 1))\n");
        terminal.shows("Stopped");
        terminal.shows("at-2");
        terminal.types("fg\n");
        terminal.types("one\n");
        terminal.shows("one");
        terminal.types(CTRL_D);
        terminal.shows("[0] ");
    }
}

/// The wrapper is PID 1 and leads the session, as under `docker run -t`; its child is the shell.
fn shell_has_job_control(wrapper: &[&str]) {
    let words = [wrapper, &SHELL].concat();
    let mut terminal = Terminal::of(&words);
    terminal.shows("] ");
    assert!(!terminal.screen.seen.contains("no job control"), "{}", terminal.screen.seen);
    terminal.types("cat\none\n");
    terminal.shows("one");
    terminal.types(CTRL_Z);
    terminal.shows("Stopped");
    terminal.types("fg\n");
    terminal.types("two\n");
    terminal.shows("two");
    terminal.types(CTRL_C);
    terminal.shows("[130] ");
    terminal.types("exit 9\n");
    assert_eq!(terminal.machine.end(), 9);
}

#[test]
fn a_shell_below_pid_1_has_job_control() {
    shell_has_job_control(&["@SEXTON@", "--"]);
    shell_has_job_control(&["@DIR@/out/tini", "--"]);
    shell_has_job_control(&["@DIR@/out/dumb-init", "--"]);
}

#[test]
fn a_key_reaches_the_child_of_pid_1_once_and_the_terminals_hand_off_does_not_end_it() {
    for name in ["sexton", "tini", "dumb-init"] {
        let wrapper = format!("@DIR@/out/{name}");
        let daemon =
            ["--", "@TESTD@", "trap", "INT", "@DIR@/out/marks", "-1", "trap", "HUP", "@DIR@/out/hangs", "-1"];
        let words = [
            &[wrapper.as_str()],
            &daemon[..],
            &["trap", "QUIT", "@DIR@/out/marks", "7", "say", "ready", "wait"],
        ];
        let mut terminal = Terminal::of(&words.concat());
        terminal.shows("ready");
        terminal.types(CTRL_C);
        until("the key's signal", || terminal.machine.read("out/marks").contains("SIGINT").then_some(()));
        terminal.types("\x1c");
        assert_eq!(terminal.machine.end(), 7, "{name}");
        let marks = terminal.machine.read("out/marks");
        assert_eq!((marks.matches("SIGINT").count(), marks.matches("SIGQUIT").count()), (1, 1), "{name}");
        assert_eq!(terminal.machine.read("out/hangs"), "", "{name}");
    }
}

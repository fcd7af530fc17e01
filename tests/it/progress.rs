//! What somebody at a terminal sees of a change, and that ^C gives it up.

use std::process::Child;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{OpenptyResult, Winsize, openpty};

use crate::harness::{Machine, Plan, until};

/// A hook that says how many pages the test says there are.
const HOOK: &str = "[[pre-stop]]\nname = \"dirty pages\"\nexec = [\"/bin/cat\", \"@DIR@/dirty\"]\nuntil = { number-below = 100 }\n\
     every = \"20ms\"\ntimeout = \"5m\"\nundo = [\"/bin/cp\", \"@DIR@/dirty\", \"@DIR@/undone\"]\n";

/// A terminal with a command on it.
struct Terminal {
    pty: OpenptyResult,
    client: Child,
    seen: String,
}

impl Terminal {
    /// `sexton WORDS` on a terminal of its own, which controls it.
    fn of(machine: &Machine, words: &str) -> Terminal {
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a terminal can be made");
        for end in [&pty.master, &pty.slave] {
            // Another test's machine must not inherit it.
            let flag = FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
            fcntl(end, flag).expect("the terminal can be kept to ourselves");
        }
        fcntl(&pty.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("nobody has to wait for it");
        let name = nix::unistd::ttyname(&pty.slave).expect("it has a name").display().to_string();
        let line = format!("exec setsid --ctty --wait @SEXTON@ {words} < {name} > {name} 2>&1");
        let client = machine.start("client", &["/bin/sh", "-c", &machine.fill(&line)]);
        Terminal { pty, client, seen: String::new() }
    }

    /// Waits until all of these were on it since it was last asked.
    #[track_caller]
    fn shows(&mut self, texts: &[&str]) {
        until(&format!("the terminal shows {texts:?}"), || {
            self.read();
            texts.iter().all(|text| self.seen.contains(text)).then_some(())
        });
        self.seen.clear();
    }

    fn read(&mut self) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = nix::unistd::read(&self.pty.master, &mut bytes) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// The command's exit code, and what came last.
    #[allow(clippy::disallowed_methods, reason = "the client is a child of the test")]
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.client.wait().expect("it is a child of ours").code();
        self.read();
        (code, self.seen)
    }
}

fn up() -> Machine {
    Plan::new().file("dirty", "4000").daemon("x", "wait", HOOK).up()
}

#[test]
fn on_a_terminal_a_hook_has_its_numbers_a_bar_a_trend_and_the_time_that_is_left() {
    let machine = up();
    let old = machine.ready_pid("x");
    let mut terminal = Terminal::of(&machine, "restart x");
    terminal.shows(&["running pre-stop hooks", "dirty pages", "4 000", "░", "min"]);
    machine.write("dirty", "2050");
    terminal.shows(&["4 000 → 2 050", "██", "░░", "↓ ", "/s", " left"]);
    machine.write("dirty", "99");
    let (code, last) = terminal.end();
    assert_eq!(code, Some(0), "{last}");
    assert!(last.contains(": 4 000 → 99 in "), "{last}");
    assert_ne!(machine.ready_pid("x"), old);
    assert_eq!(machine.read("undone"), "");
}

#[test]
fn ctrl_c_at_the_terminal_gives_up_and_undoes_before_anything_stops() {
    let machine = up();
    let old = machine.ready_pid("x");
    let mut terminal = Terminal::of(&machine, "stop x");
    terminal.shows(&["4 000"]);
    nix::unistd::write(&terminal.pty.master, b"\x03").expect("a ^C can be typed");
    let (code, last) = terminal.end();
    assert_eq!(code, Some(3), "{last}");
    assert!(
        last.contains("giving up and undoing") && last.contains("given up before anything was stopped"),
        "{last}"
    );
    assert_eq!(machine.read("undone"), "4000");
    assert_eq!(machine.ready_pid("x"), old);
}

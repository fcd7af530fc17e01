//! `console` and `rescue`: somebody at the console gets a login, or, when all else fails, a shell.
//!
//! ```text
//!   console: agetty, getty ─▶ login ─▶ a shell, behind root's password where one is set
//!   rescue:  what failed and why ─▶ sulogin ─▶ a shell, behind root's password where one is set
//! ```

use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Job;
use crate::machine::early::words;
use crate::machine::programs::{program, run};
use crate::machine::{RUN, text};
use crate::sys::{clock, password, terminal};

/// Where PID 1 leaves what went wrong.
pub const SUMMARY: &str = "boot-failure";

/// A wrong password costs this much time, and after as many tries the terminal is let go.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);
const TRIES: u32 = 3;

/// Offers a login on the console.
pub(super) fn console(job: &mut Job<'_>) {
    let _ = on_the_terminal(); // What it cannot take over it says by itself.
    if let Some(getty) = program("agetty") {
        let mut command = Command::new(getty);
        command.args(["--noclear", "--keep-baud", "115200,57600,38400,9600", "-", "linux"]);
        return become_it(job, command);
    }
    match program("login") {
        Some(login) => become_it(job, Command::new(login)),
        None => shell(job, become_it),
    }
}

/// Offers a shell, and tells first why.
pub(super) fn rescue(job: &mut Job<'_>) {
    let _ = on_the_terminal(); // as above
    let what = text::read(&Path::new(RUN).join(SUMMARY));
    let what = what.unwrap_or_else(|_| "The rescue shell was asked for.\n".to_owned());
    print(&format!(
        "\n{what}`sexton status` tells more. At the end of this shell, with `exit`, the boot goes on, or, if it \
         has failed, the machine starts again.\n"
    ));
    match program("sulogin")
        .filter(|_| text::read(Path::new("/etc/passwd")).is_ok_and(|text| knows_root(&text)))
    {
        Some(sulogin) => stay_with(job, Command::new(sulogin)),
        None => shell(job, stay_with),
    }
}

/// Can a `sulogin` know whom to ask? Busybox' knows no line without a word where the password is, or `x` for it, and would
/// end without a shell.
fn knows_root(passwd: &str) -> bool {
    let after = passwd.lines().find_map(|line| line.strip_prefix("root:"));
    after.is_some_and(|rest| !rest.starts_with(':'))
}

/// Standard output and error go where the input comes from.
fn on_the_terminal() -> io::Result<()> {
    terminal::answer_on_input()
}

fn print(words: &str) {
    let mut out = io::stdout();
    // Nobody is left to tell that the terminal is gone.
    let _ = out.write_all(words.replace('\n', "\r\n").as_bytes()).and_then(|()| out.flush());
}

fn shell(job: &mut Job<'_>, act: fn(&mut Job<'_>, Command)) {
    match entry_of_root().as_deref() {
        None | Some("") => {}
        Some(hash) if !password::is_known(hash) => {
            return job.fail(&format!(
                "no shell: root has a password, there is no 'sulogin' to ask for it, and sexton does not know its kind ({})",
                kind_of(hash)
            ));
        }
        Some(hash) => {
            if !is_let_in(hash) {
                return job.fail("no shell: that was not root's password");
            }
        }
    }
    let mut command = Command::new("/bin/sh");
    command.arg0("-sh").env("HOME", "/root").env("TERM", "linux");
    let home = Path::new("/root");
    command.current_dir(if home.is_dir() { home } else { Path::new("/") });
    act(job, command);
}

/// Where there is no shadow, the password stands in the other file, if it stands anywhere.
fn entry_of_root() -> Option<String> {
    let read = |path: &str| text::read(Path::new(path)).ok();
    match read("/etc/shadow") {
        Some(text) => hash_of_root(&text),
        None => hash_of_root(&read("/etc/passwd")?).filter(|hash| hash != "x"),
    }
}

/// Asks for root's password.
fn is_let_in(hash: &str) -> bool {
    for _ in 0..TRIES {
        // Before the question: what is typed as soon as it is there is the answer, and nobody shall read it.
        let quiet = terminal::Quiet::begin();
        print("Password of root: ");
        let mut line = String::new();
        let got = io::stdin().lock().read_line(&mut line);
        drop(quiet);
        print("\n");
        if got.is_ok_and(|length| length > 0) && password::is_right(line.trim_end_matches(['\n', '\r']), hash)
        {
            return true;
        }
        clock::pause(PAUSE);
    }
    false
}

/// The second word of root's line. A locked account (`!`, `*`) has no password that could be asked for: its shell is open to
/// whoever stands before the machine only where nothing else is set.
fn hash_of_root(shadow: &str) -> Option<String> {
    let line = shadow.lines().find_map(|line| line.strip_prefix("root:"))?;
    let hash = line.split(':').next()?;
    Some(hash.to_owned()).filter(|hash| !hash.starts_with(['!', '*']))
}

fn kind_of(hash: &str) -> String {
    let kind = hash.split('$').nth(1).unwrap_or("?");
    format!("'${kind}$'")
}

fn become_it(job: &mut Job<'_>, mut command: Command) {
    let name = command.get_program().to_string_lossy().into_owned();
    let error = command.stdin(Stdio::inherit()).exec();
    job.fail(&format!("cannot run '{name}': {}", words(&error)));
}

/// However it ends, it was there: only one that cannot be had is a failure.
fn stay_with(job: &mut Job<'_>, mut command: Command) {
    let name = command.get_program().to_string_lossy().into_owned();
    if let Err(error) = run(command.stdin(Stdio::inherit())) {
        job.fail(&format!("cannot run '{name}': {}", words(&error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_password_is_found_and_a_locked_account_has_none() {
        let of = |text: &str| hash_of_root(text);
        assert_eq!(of("bin:*:1::::::\nroot:$6$ab$cd:19000::::::\n"), Some("$6$ab$cd".into()));
        assert_eq!(of("root::1::::::"), Some(String::new()));
        for none in ["", "root:*:1::", "root:!:", "root:!$6$a$b:", "rooty:x:"] {
            assert_eq!(of(none), None, "{none}");
        }
        assert!(knows_root("bin:x:1:\nroot:x:0:0::/:/bin/sh\n"));
        assert!(!knows_root("bin:x:1:\n") && !knows_root("root::0:0::/:/bin/sh\n"));
        assert_eq!(kind_of("$y$j9T$x"), "'$y$'");
    }
}

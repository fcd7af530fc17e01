//! Programs of the system that do what is not sexton's business: check a file system, unpack a module, ask for a password.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Where programs of the system are.
const PROGRAMS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The program of this name, where there is one.
pub fn program(name: &str) -> Option<PathBuf> {
    PROGRAMS.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.exists())
}

/// Runs a program to its end.
#[allow(
    clippy::disallowed_methods,
    reason = "a chore is no init: its children are its own, and it has no other waiter"
)]
pub fn run(command: &mut Command) -> io::Result<ExitStatus> {
    command.status()
}

/// Runs a program to its end; what it said, and no more of it than `most` bytes.
#[allow(clippy::disallowed_methods, reason = "as in run")]
pub fn output_of(command: &mut Command, most: u64) -> io::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut said = Vec::new();
    // Its pipe is closed before it is waited for: one that says more ends by that.
    let read = child.stdout.take().map_or(Ok(0), |out| out.take(most + 1).read_to_end(&mut said));
    let status = child.wait()?;
    read?;
    if said.len() as u64 > most {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    if status.success() { Ok(said) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_is_taken_whole_or_not_at_all() {
        let say = |most| output_of(Command::new("/bin/echo").arg("four"), most);
        assert_eq!(say(5).unwrap(), b"four\n");
        assert_eq!(say(4).unwrap_err().raw_os_error(), Some(libc::EFBIG));
        let failed = output_of(&mut Command::new("/bin/false"), 9).unwrap_err();
        assert!(failed.to_string().contains("it ended with exit status: 1"), "{failed}");
        let endless = output_of(Command::new("/usr/bin/yes").stderr(Stdio::null()), 1 << 20);
        assert_eq!(endless.unwrap_err().raw_os_error(), Some(libc::EFBIG));
    }
}

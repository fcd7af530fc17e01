//! The second serial line: commands go in, what they say comes out. In the machine a shell reads it (`agent.sh`).
//!
//! ```text
//!   test ── "7 sexton list\n" ──▶ agent        agent ── "units…\n@end 7 0@\n" ──▶ test
//! ```

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tree::said;
use crate::harness::needs;

/// What the agent says when it is there.
const HERE: &str = "@agent@";

/// The end of the line that is outside of the machine.
pub struct Channel {
    into: File,
    out: File,
    heard: String,
    asked: u32,
    present: bool,
}

/// How a command inside ended, and what it said on both outputs.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
}

impl Said {
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "\n{}", self.out);
        self.out
    }

    /// What it said when it has ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        self.expect(0)
    }
}

/// The two pipes of a serial line: `NAME.in` and `NAME.out`.
pub fn pipes(scratch: &Path, name: &str) -> [PathBuf; 2] {
    ["in", "out"].map(|end| {
        let path = scratch.join(format!("{name}.{end}"));
        said(Command::new(needs("mkfifo", "coreutils")).arg(&path));
        path
    })
}

/// Opens a pipe for both directions: it never ends, and nobody waits for the other side.
pub fn open_pipe(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    options.open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Channel {
    pub fn new([into, out]: &[PathBuf; 2]) -> Channel {
        Channel { into: open_pipe(into), out: open_pipe(out), heard: String::new(), asked: 0, present: false }
    }

    /// What was said since the last look is taken over. Terminals end their lines as typewriters do.
    fn listen(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.out.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => self.heard.push_str(&String::from_utf8_lossy(&buffer[..n]).replace('\r', "")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the channel: {error}"),
            }
        }
    }

    /// Is somebody there to ask?
    pub fn is_open(&mut self) -> bool {
        self.listen();
        self.present |= self.heard.contains(HERE);
        self.present
    }

    /// Sends a command off; its number.
    pub fn ask(&mut self, line: &str) -> u32 {
        assert!(!line.contains('\n'), "one line: {line}");
        self.asked += 1;
        self.heard.clear();
        writeln!(self.into, "{} {line}", self.asked).unwrap_or_else(|e| panic!("the channel: {e}"));
        self.asked
    }

    /// The answer to it, when it is complete.
    pub fn answer(&mut self, number: u32) -> Option<Said> {
        self.listen();
        let mark = format!("\n@end {number} ");
        let (out, rest) = self.heard.split_once(&mark)?;
        let (code, _) = rest.split_once('@')?;
        let code = code.parse().unwrap_or_else(|e| panic!("{code}: {e}"));
        Some(Said { code, out: out.to_owned() })
    }
}

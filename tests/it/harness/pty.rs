//! A terminal with somebody who types and reads.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::openpty;

use super::until;

pub const CTRL_C: &str = "\x03";
pub const CTRL_Z: &str = "\x1a";
pub const CTRL_D: &str = "\x04";

/// The side of the keyboard and the screen.
pub struct Screen {
    master: File,
    /// What the screen shows, less what was waited for.
    pub seen: String,
}

impl Screen {
    /// A new terminal: this side of it, and the one for a program.
    pub fn open() -> (Screen, OwnedFd) {
        let pty = openpty(None, None).unwrap_or_else(|e| panic!("openpty: {e}"));
        // Another test's program must not inherit the terminal, or it would never hang up.
        for end in [pty.master.as_fd(), pty.slave.as_fd()] {
            let flag = FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC);
            fcntl(end, flag).unwrap_or_else(|e| panic!("fcntl: {e}"));
        }
        let flag = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
        fcntl(pty.master.as_fd(), flag).unwrap_or_else(|e| panic!("fcntl: {e}"));
        (Screen { master: pty.master.into(), seen: String::new() }, pty.slave)
    }

    pub fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap_or_else(|e| panic!("the terminal: {e}"));
    }

    /// Waits until the screen shows this, and forgets what came before it.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        let what = format!("the terminal shows {text:?}");
        let (master, seen) = (&mut self.master, &mut self.seen);
        let at = until(&what, || {
            let mut some = [0; 4096];
            if let Ok(count) = master.read(&mut some) {
                seen.push_str(&String::from_utf8_lossy(&some[..count]));
            }
            seen.find(text)
        });
        self.seen.drain(..at + text.len());
    }
}

//! Words on the console when there is no logger: before the first unit, and after the last.
//!
//! Nothing here waits for a console that takes nothing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// The console, and the kernel's log beside it.
#[derive(Debug, Default)]
pub struct Console {
    terminal: Option<File>,
    log: Option<File>,
}

impl Console {
    /// Opens both, as far as they are there.
    #[doc(alias = "kmsg")]
    pub fn open() -> Console {
        let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
        let open = |path| OpenOptions::new().write(true).custom_flags(flags).open(path).ok();
        Console { terminal: open("/dev/console"), log: open("/dev/kmsg") }
    }

    /// Says a line. What neither takes is lost: nobody is waited for.
    pub fn say(&mut self, line: &str) {
        if let Some(terminal) = &mut self.terminal {
            let _ = terminal.write_all(format!("sexton: {line}\n").as_bytes()); // as said above
        }
        if let Some(log) = &mut self.log {
            // 3 << 3 is a daemon's, 6 "informational": below what the kernel itself shows on a quiet console.
            let _ = log.write_all(format!("<30>sexton: {line}\n").as_bytes()); // as said above
        }
    }
}

//! The logger as a child: started from sexton's own executable, and again whenever it dies.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use crate::sys::process;
use crate::sys::spawn::{Plan, spawn};

use super::Init;
use super::children::Owner;

/// The name by which the logger knows itself, as `argv[0]`.
pub const LOGGER: &str = "sexton-logger";

/// The descriptor at which the logger finds its connection to PID 1.
pub const CONTROL_FD: i32 = 3;
/// The descriptor at which it finds the memory of the last lines.
pub const TAILS_FD: i32 = 4;

impl Init {
    /// Starts the logger when there is none. A failure is no reason to stop: the pipes hold what is written
    /// until it is there.
    pub(super) fn keep_logger(&mut self) {
        if self.logs.needs_logger(self.now) {
            self.start_logger_first();
        }
    }

    /// Starts it though nobody has anything to say yet.
    pub(super) fn start_logger_first(&mut self) {
        match self.start_logger() {
            Ok(pid) => {
                self.children.insert(pid, Owner::Logger);
                // Without its descriptor in the loop only flushes and matched lines would be missed.
                let _ = self.logs.attached(pid, &self.poller, self.now);
            }
            Err(_) => self.logs.not_attached(self.now),
        }
    }

    fn start_logger(&mut self) -> Result<crate::model::Pid, String> {
        let program = CString::new(process::own_executable().as_os_str().as_bytes());
        let (program, name) =
            program.and_then(|program| Ok((program, CString::new(LOGGER)?))).map_err(|e| e.to_string())?;
        let parts = self.logs.parts().map_err(|error| error.to_string())?;
        let mut plan = Plan::new(program, vec![name], self.launcher.null());
        plan.leads = self.launcher.leads();
        plan.promised.push((CONTROL_FD, parts.control));
        plan.promised.extend(parts.tails.map(|tails| (TAILS_FD, tails)));
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        plan.stdout = Some(std::os::fd::AsFd::as_fd(&stdout));
        plan.stderr = Some(std::os::fd::AsFd::as_fd(&stderr));
        spawn(plan).map_err(|error| error.to_string())
    }
}

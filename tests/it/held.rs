//! A process that the kernel holds: it takes no KILL, and nobody waits for it for ever.
//!
//! The freezer of cgroup v1 holds it. Where that is not to be had there is nothing to look at: that of v2 lets KILL through,
//! and no other uninterruptible wait can be begun and ended at will.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::harness::{Machine, Plan, until};

const FREEZER: &str = "/sys/fs/cgroup/freezer";

/// Holds one process for as long as it is there.
struct Ice(PathBuf);

impl Ice {
    /// `None` where nothing can be frozen.
    fn around(machine: &Machine, unit: &str) -> Option<Ice> {
        let group = Path::new(FREEZER).join(format!("sexton-it.{}", process::id()));
        if !Path::new(FREEZER).join("cgroup.procs").exists() || fs::create_dir(&group).is_err() {
            return None;
        }
        let ice = Ice(group);
        let pid = machine.ready_pid(unit);
        let (procs, state) = (ice.0.join("cgroup.procs"), ice.0.join("freezer.state"));
        let freeze = format!("echo {pid} > {} && echo FROZEN > {}", procs.display(), state.display());
        let frozen = machine.run(&["/bin/sh", "-c", &freeze]);
        if frozen.code != 0 {
            return None;
        }
        let is_frozen = || fs::read_to_string(&state).is_ok_and(|state| state.trim() == "FROZEN");
        until("it is frozen", || is_frozen().then_some(()));
        Some(ice)
    }

    fn thaw(&self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
    }
}

impl Drop for Ice {
    fn drop(&mut self) {
        self.thaw();
        for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(Path::new(FREEZER).join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_stop_says_that_the_kernel_holds_the_process_and_what_depends_goes_on_once_it_has_ended() {
    let stop = "[stop]\nsteps = [{ signal = \"TERM\", wait = \"10ms\" }]\n";
    let plan = Plan::new().daemon("db", "wait", stop).daemon("log", "wait", stop);
    let machine = plan.daemon("web", "wait", &format!("needs = [\"db\"]\n---{stop}")).up();
    let Some(ice) = Ice::around(&machine, "db") else { return };
    let log = machine.ready_pid("log");
    // The web goes down with it; the log, which the same request would restart, comes up again.
    let failed = machine.sexton(&["restart", "db", "log"]).expect(1).all();
    assert!(
        failed.contains("db failed: it was sent SIGKILL and has not ended; the kernel holds it"),
        "{failed}"
    );
    machine.await_replacement("log", log);
    let again = machine.sexton(&["stop", "--cascade", "db"]).expect(1).all();
    assert!(again.contains("the kernel holds it"), "{again}");
    let why = machine.sexton(&["why", "db"]).expect(0).all();
    assert!(why.contains("nobody waits for that any longer"), "{why}");
    // It cannot be now; it is wished all the same.
    machine.sexton(&["start", "web"]).expect(1);
    ice.thaw();
    machine.await_state("db", "ready");
    machine.await_state("web", "ready");
}

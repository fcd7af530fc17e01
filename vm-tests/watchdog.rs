//! The hardware watchdog: it resets a machine whose PID 1 has stopped, and no other.

use crate::kernel::Kernel;
use crate::machine::Plan;
use crate::vm::End;

/// A kernel's own stand-in for the hardware, which ends the machine in the same way.
fn watched(timeout: &str) -> Plan {
    Plan::new(Kernel::Cloud).modules(&["softdog"]).settings(&format!("[boot]\nwatchdog = \"{timeout}\"\n"))
}

#[test]
fn a_machine_whose_pid_1_has_stopped_is_reset_and_one_that_turns_is_not() {
    let mut vm = watched("4s").up();
    vm.until("[ \"$(cat /sys/class/watchdog/watchdog0/timeout)\" = 4 ]");
    // Three times as long as it would wait for an init that does not turn.
    vm.run("cut -d. -f1 /proc/uptime >/run/then").ok();
    vm.until("[ $(cut -d. -f1 /proc/uptime) -gt $(($(cat /run/then) + 12)) ]");
    assert_eq!(vm.run("cat /sys/class/watchdog/watchdog0/state").ok().trim(), "active");
    // No signal stops PID 1; the freezer does.
    vm.send("cd /sys/fs/cgroup && mkdir ice && echo 1 >ice/cgroup.procs && echo 1 >ice/cgroup.freeze");
    assert_eq!(vm.end(), End::Reset);
}

#[test]
fn a_shutdown_has_its_whole_time_and_the_watchdog_ends_what_takes_longer() {
    let slow = "trap \"\" TERM; touch /run/slow; while :; do sleep 1; done";
    let stop = "[ready]\nfile = \"/run/slow\"\n[stop]\nsteps = [{ signal = \"TERM\", wait = \"6s\" }]\n";
    let mut vm = watched("3s").shell("slow", slow, stop).up();
    vm.await_state("slow", "ready");
    vm.until("[ \"$(cat /sys/class/watchdog/watchdog0/timeout)\" = 3 ]");
    vm.send("sexton poweroff");
    // What takes longer to stop than the watchdog would wait does not reset the machine.
    assert_eq!(vm.end(), End::PowerOff);
}

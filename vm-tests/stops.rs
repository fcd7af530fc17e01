//! Ends: in order, in time, by keys, and by the loss of power.

use crate::kernel::Kernel;
use crate::machine::{Plan, Root};
use crate::places::superblock;
use crate::tree::Tree;
use crate::vm::End;

#[test]
fn services_stop_in_reverse_and_what_they_write_is_kept() {
    let says = |name: &str| {
        format!(
            "trap \"echo {name} >> /var/order; exit 0\" TERM; touch /run/{name}; while :; do sleep 0.1; done"
        )
    };
    let ready = |name: &str| format!("[ready]\nfile = \"/run/{name}\"\n");
    let mut vm = Plan::new(Kernel::Uml)
        .root(Root::Ext4)
        .shell("store", &says("store"), &ready("store"))
        .shell("app", &says("app"), &format!("needs = [\"store\"]---{}", ready("app")))
        .shell("web", &says("web"), &format!("needs = [\"app\"]---{}", ready("web")))
        .up();
    vm.await_state("web", "ready");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
    let mut vm = vm.again().up();
    assert_eq!(vm.run("cat /var/order").ok().trim(), "web\napp\nstore");
}

#[test]
fn a_service_that_refuses_to_die_is_killed_and_the_machine_ends() {
    let mut vm = Plan::new(Kernel::Uml)
        .shell(
            "deaf",
            "trap \"\" TERM; touch /run/deaf; while :; do sleep 1; done",
            "[ready]\nfile = \"/run/deaf\"\n",
        )
        .settings("[shutdown]\ntimeout = \"2s\"\n")
        .up();
    vm.await_state("deaf", "ready");
    vm.send("sexton reboot");
    assert_eq!(vm.end(), End::Reboot);
}

#[test]
fn ctrl_alt_del_reboots_in_order() {
    let mut vm = Plan::new(Kernel::Cloud)
        .shell(
            "web",
            "trap \"echo web ends >/dev/console; exit 0\" TERM; touch /run/web; while :; do sleep 0.1; done",
            "[ready]\nfile = \"/run/web\"\n",
        )
        .up();
    vm.await_state("web", "ready");
    vm.monitor("sendkey ctrl-alt-delete");
    assert_eq!(vm.end(), End::Reboot);
    assert!(vm.console().contains("web ends"));
}

#[test]
fn after_a_loss_of_power_in_the_middle_of_work_what_was_synced_is_there_and_services_run() {
    let work = "n=0; while :; do n=$((n + 1)); echo $n > /var/n.new; mv /var/n.new /var/n; echo line $n >> /var/log; done";
    let mut vm = Plan::new(Kernel::Cloud).root(Root::Ext4).shell("work", work, "").up();
    vm.await_state("work", "ready");
    let before: u64 = vm.run("sync; cat /var/n; sync").ok().trim().parse().unwrap_or(0);
    assert!(before > 0, "it was at work");
    vm.cut();
    let mut vm = vm.again().up();
    vm.await_state("work", "ready");
    vm.await_state("agent", "ready");
    let lines: u64 = vm.run("wc -l < /var/log").ok().trim().parse().unwrap_or(0);
    assert!(lines >= before, "{lines} lines after {before} were synced");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}

#[test]
fn an_ordered_end_leaves_a_file_system_that_needs_no_recovery_and_says_how_long_each_step_took() {
    let work = "while :; do echo line >>/var/log; done";
    let mut vm = Plan::new(Kernel::Cloud).root(Root::Ext4).shell("work", work, "").up();
    vm.await_state("work", "ready");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
    let journal = superblock(&vm.disk(0));
    assert!(!journal.contains("needs_recovery"), "{journal}");
    assert!(vm.console().contains("the end took"), "{}", vm.console());
}

#[test]
fn the_power_button_switches_the_machine_off_in_order() {
    let plan = Plan::new(Kernel::Cloud).with(|tree| Kernel::Cloud.add_modules(tree, &["button", "evdev"]));
    let mut vm = plan.shell("web", "exec sleep 1000", "").up();
    vm.await_state("power-button", "ready");
    vm.until("[ -e /dev/input/event0 ]");
    vm.monitor("system_powerdown");
    assert_eq!(vm.end(), End::PowerOff);
    assert!(vm.console().contains("web has stopped"));
}

#[test]
fn ctrl_alt_del_pressed_twice_waits_for_nobody() {
    let deaf = "trap \"\" TERM; touch /run/deaf; while :; do sleep 1; done";
    let stop = "[ready]\nfile = \"/run/deaf\"\n[stop]\nsteps = [{ signal = \"TERM\", wait = \"1h\" }]\n";
    let mut vm =
        Plan::new(Kernel::Cloud).shell("deaf", deaf, stop).settings("[shutdown]\ntimeout = \"1h\"\n").up();
    vm.await_state("deaf", "ready");
    vm.monitor("sendkey ctrl-alt-delete");
    vm.monitor("sendkey ctrl-alt-delete");
    assert_eq!(vm.end(), End::Reboot);
}

/// Whoever writes to a frozen file system sleeps uninterruptibly, and no signal reaches it: as with a server that is gone.
#[test]
fn a_process_that_no_signal_ends_and_a_disk_that_cannot_be_unmounted_do_not_keep_the_machine() {
    let mut data = Tree::default();
    data.directory("d", 0o755);
    let plan = Plan::new(Kernel::Cloud).file("etc/fstab", "/dev/vda /data ext4 defaults 0 0\n");
    let image = data.ext4(&plan.scratch, "data", 16);
    let plan =
        plan.modules(&["virtio_pci", "virtio_blk"]).with(|tree| tree.directory("data", 0o755)).disk(&image);
    let stuck = "fsfreeze --freeze /data; touch /run/frozen; exec dd if=/dev/zero of=/data/d/x bs=1k count=1";
    let mut vm = plan
        .shell(
            "stuck",
            stuck,
            "[ready]\nfile = \"/run/frozen\"\n[stop]\nsteps = [{ signal = \"TERM\", wait = \"1s\" }]\n",
        )
        .settings("[shutdown]\ntimeout = \"20s\"\n")
        .up();
    vm.await_state("stuck", "ready");
    vm.until("grep -q '^State:.D' /proc/[0-9]*/status");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}

#[test]
fn asked_twice_by_force_it_ends_at_once_with_what_was_written_and_stops_nobody() {
    let script = "trap 'echo stopping >/asked; exit 0' TERM; while :; do sleep 1; done";
    for (words, end) in [("poweroff --force --force", End::PowerOff), ("reboot --force --force", End::Reboot)]
    {
        let mut vm = Plan::new(Kernel::Uml).root(Root::Ext4).shell("web", script, "").up();
        vm.await_state("web", "ready");
        vm.send(&format!("echo written >/file; sexton {words}"));
        assert_eq!(vm.end(), end, "{words}");
        let mut vm = vm.again().up();
        assert_eq!(vm.run("cat /file").ok().trim(), "written", "{words}");
        vm.run("ls /asked").expect(1);
    }
}

#[test]
fn the_power_that_fails_switches_the_machine_off_in_order() {
    let mut vm = Plan::new(Kernel::Uml).shell("web", "exec sleep 1000", "").up();
    vm.await_state("web", "ready");
    vm.send("kill -PWR 1");
    assert_eq!(vm.end(), End::PowerOff);
    assert!(vm.console().contains("web has stopped"));
}

//! What the machine finds when its units start: mounts, controllers, disks of `/etc/fstab`, the root that an initramfs
//! leads to.

use std::path::Path;
use std::process::Command;

use crate::harness::needs;
use crate::kernel::Kernel;
use crate::machine::{Plan, Root};
use crate::tree::{Tree, said};
use crate::vm::{End, Vm};

/// The type of what is mounted at a place.
fn mounted(vm: &mut Vm, place: &str) -> String {
    let line = format!("awk '$2 == \"{place}\" {{ kind = $3 }} END {{ print kind }}' /proc/mounts");
    vm.run(&line).ok().trim().to_owned()
}

/// What the journal and the superblock of an ext4 image say.
pub fn superblock(image: &Path) -> String {
    said(Command::new(needs("dumpe2fs", "e2fsprogs")).arg("-h").arg(image))
}

/// A machine with one disk more, which has a label of its own, and a file on it.
pub fn data_disk(plan: Plan) -> Plan {
    let mut tree = Tree::default();
    tree.text("there", "data\n");
    let image = tree.ext4(&plan.scratch, "data", 16);
    plan.disk(&image)
}

#[test]
fn everything_that_the_kernel_provides_is_mounted_and_the_controllers_are_enabled() {
    for kernel in [Kernel::Uml, Kernel::Cloud] {
        let mut vm = Plan::new(kernel).up();
        vm.await_state("base", "ready");
        for (place, kind) in [
            ("/proc", "proc"),
            ("/sys", "sysfs"),
            ("/dev", "devtmpfs"),
            ("/dev/pts", "devpts"),
            ("/dev/shm", "tmpfs"),
            ("/run", "tmpfs"),
            ("/tmp", "tmpfs"),
            ("/sys/fs/cgroup", "cgroup2"),
        ] {
            assert_eq!(mounted(&mut vm, place), kind, "{place} on {kernel:?}");
        }
        let (there, enabled) =
            ("cat /sys/fs/cgroup/cgroup.controllers", "cat /sys/fs/cgroup/cgroup.subtree_control");
        let (there, enabled) = (vm.run(there).ok(), vm.run(enabled).ok());
        for controller in ["memory", "pids", "cpu", "io"].into_iter().filter(|name| there.contains(name)) {
            assert!(enabled.contains(controller), "{controller} of {there} in {enabled} on {kernel:?}");
        }
        assert!(vm.run("ifconfig lo").ok().contains("127.0.0.1"));
    }
}

#[test]
fn disks_of_fstab_are_found_by_label_and_one_that_may_be_missing_keeps_nobody() {
    let fstab = "# a comment\nLABEL=data /data ext4 defaults,x-mount.mkdir 0 2\n\
        UUID=00000000-0000-0000-0000-000000000000 /gone ext4 nofail,x-sexton.timeout=1s 0 2\nshared /mnt tmpfs size=1m 0 0\n";
    let plan = Plan::new(Kernel::Uml)
        .root(Root::Ext4)
        .file("etc/fstab", fstab)
        .with(|tree| tree.directory("data", 0o755));
    let mut vm = data_disk(plan).shell("web", "cat /data/there >/run/seen; exec sleep 1000", "").up();
    vm.await_state("web", "ready");
    assert_eq!(vm.until("[ -s /run/seen ] && cat /run/seen").trim(), "data");
    assert_eq!((mounted(&mut vm, "/data").as_str(), mounted(&mut vm, "/mnt").as_str()), ("ext4", "tmpfs"));
    assert_eq!(mounted(&mut vm, "/gone"), "");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
    assert!(!superblock(&vm.disk(1)).contains("needs_recovery"));
}

#[test]
fn a_line_of_fstab_that_is_broken_is_told_and_the_others_are_mounted() {
    let fstab = "this-is-no-line\nshared /mnt tmpfs size=1m 0 0\n";
    let mut vm = Plan::new(Kernel::Uml).file("etc/fstab", fstab).up();
    vm.await_console("/etc/fstab:1: ");
    vm.until("grep -q '^shared /mnt' /proc/mounts");
}

#[test]
fn without_fsck_the_disks_are_mounted_as_they_are() {
    let fstab = "/dev/ubda / ext4 rw 0 1\nLABEL=data /data ext4 defaults 0 2\n";
    let plan = Plan::new(Kernel::Uml).root(Root::Ext4).file("etc/fstab", fstab).with(|tree| {
        tree.directory("data", 0o755);
        for place in ["sbin/fsck", "bin/fsck", "usr/sbin/fsck", "sbin/fsck.ext4"] {
            tree.remove(place);
        }
    });
    let mut vm = data_disk(plan).up();
    vm.until("grep -q ' /data ext4' /proc/mounts");
    vm.await_state("base", "ready");
}

#[test]
fn sexton_in_an_initramfs_loads_the_modules_and_leads_to_the_real_root() {
    let plan = Plan::new(Kernel::Cloud).root(Root::Ext4).led_by_sexton().words("root=LABEL=root rw rootwait");
    let mut vm = plan.shell("web", "exec sleep 1000", "").up();
    vm.await_state("web", "ready");
    assert_eq!(mounted(&mut vm, "/"), "ext4");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
    assert!(!superblock(&vm.disk(0)).contains("needs_recovery"));
}

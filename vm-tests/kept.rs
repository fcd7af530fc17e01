//! What is kept over boots, what is lent and given back at the end, and what is said before there is a logger.

use std::fs;
use std::process::Command;

use crate::archive::archive;
use crate::harness::needs;
use crate::kernel::Kernel;
use crate::machine::{Plan, Root};
use crate::places::superblock;
use crate::tree::{Tree, said};
use crate::vm::{End, Vm};

fn power_off(vm: &mut Vm) {
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}

#[test]
fn what_is_said_before_there_is_a_logger_stands_in_the_kernels_log() {
    for kernel in [Kernel::Uml, Kernel::Cloud] {
        let mut vm = Plan::new(kernel).words("sexton.nonsense").up();
        let log = vm.until("dmesg | grep \"means nothing here\"");
        assert!(log.contains("sexton: 'sexton.nonsense' on the kernel's command line"), "{kernel:?}: {log}");
    }
}

#[test]
fn a_random_seed_is_kept_at_the_end_credited_once_at_the_next_boot_and_another_one_kept() {
    let seed = "md5sum </var/lib/sexton/seed";
    let mut vm = Plan::new(Kernel::Uml).root(Root::Ext4).words("sexton.debug").up();
    vm.await_console("there is no seed of a last boot");
    vm.await_state("base", "ready");
    assert_eq!(vm.run("stat -c '%a %s' /var/lib/sexton/seed").ok().trim(), "600 512");
    let first = vm.run(seed).ok();
    power_off(&mut vm);
    let mut vm = vm.again().up();
    vm.await_console("the seed of the last boot is in the pool");
    vm.await_state("base", "ready");
    assert_ne!(vm.run(seed).ok(), first);
}

#[test]
fn the_clock_never_goes_behind_the_end_of_the_last_boot() {
    // This machine has no clock with a battery: the host's time, which its kernel begins with, is long before that.
    let later = 2_000_000_000_u64;
    let mut vm = Plan::new(Kernel::Uml).root(Root::Ext4).up();
    vm.await_state("base", "ready");
    vm.run(&format!("date -s @{later}")).ok();
    power_off(&mut vm);
    let mut vm = vm.again().up();
    vm.await_state("base", "ready");
    let now: u64 = vm.run("date +%s").ok().trim().parse().unwrap_or(0);
    assert!(now >= later, "{now}");
}

#[test]
fn a_swap_area_of_fstab_is_in_use_after_the_boot_and_no_longer_at_the_end() {
    let plan = Plan::new(Kernel::Uml).file("etc/fstab", "/dev/ubda none swap sw,pri=7 0 0\n");
    let area = plan.scratch.join("swap");
    fs::write(&area, vec![0; 8 << 20]).unwrap_or_else(|e| panic!("{}: {e}", area.display()));
    said(Command::new(needs("mkswap", "util-linux")).arg(&area));
    let mut vm = plan.disk(&area).up();
    vm.await_state("base", "ready");
    let used = vm.run("cat /proc/swaps").ok();
    assert!(used.contains("/dev/ubda") && used.trim_end().ends_with('7'), "{used}");
    power_off(&mut vm);
    assert!(vm.console().contains("swap off: 1 done"));
}

#[test]
fn a_loop_device_lets_go_of_its_file_before_the_root_is_made_read_only() {
    let plan = Plan::new(Kernel::Uml).root(Root::Ext4).file("etc/modules", "loop\n");
    let inner = Tree::default().ext4(&plan.scratch, "inner", 4);
    let plan = plan.with(|tree| {
        tree.copy(&inner, "inner.img");
        Kernel::Uml.add_modules(tree, &["loop"]);
    });
    let mut vm = plan.up();
    vm.await_state("base", "ready");
    vm.run("losetup /dev/loop0 /inner.img && mount /dev/loop0 /mnt && echo kept >/mnt/file").ok();
    power_off(&mut vm);
    assert!(vm.console().contains("detached 'loop0'"));
    let root = superblock(&vm.disk(0));
    assert!(!root.contains("needs_recovery"), "{root}\n{}", vm.console());
    let mut vm = vm.again().up();
    vm.await_state("base", "ready");
    vm.run("losetup /dev/loop0 /inner.img && mount -o ro /dev/loop0 /mnt").ok();
    assert_eq!(vm.run("cat /mnt/file").ok().trim(), "kept");
}

#[test]
fn kexec_goes_over_to_the_kernel_that_was_loaded_and_says_when_there_is_none() {
    let mut second = Tree::default();
    second.busybox(&Kernel::Cloud.busybox());
    second.directory("dev", 0o755);
    second.device("dev/console", 0o600, 5, 1);
    second.file(
        "init",
        0o755,
        "#!/bin/sh\necho the second $((20 + 1))st kernel\nexec poweroff -f\n".as_bytes(),
    );
    let plan = Plan::new(Kernel::Cloud).with(|tree| {
        tree.copy(&Kernel::Cloud.image(), "second/kernel");
        tree.file("second/initramfs", 0o644, archive(&second));
    });
    let mut vm = plan.shell("web", "exec sleep 1000", "").up();
    vm.await_state("web", "ready");
    let none = vm.run("sexton kexec");
    assert!(none.code != 0 && none.out.contains("no kernel is loaded"), "{none:?}");
    let line = "console=ttyS0 quiet panic=-1 no_timer_check";
    vm.run(&format!("testd kexec /second/kernel /second/initramfs '{line}'")).ok();
    vm.send("sexton kexec");
    vm.await_console("the second 21st kernel");
    assert_eq!(vm.end(), End::PowerOff);
    assert!(vm.console().contains("web has stopped"));
}

//! Chores of the boot that are not shown by what is mounted: checks of disks, modules, addresses, settings of the kernel,
//! what `tmpfiles.d` wishes, and devices that are let go of at the end.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::needs;
use crate::kernel::Kernel;
use crate::machine::{Plan, Root};
use crate::places::{data_disk, superblock};
use crate::tree::{Tree, said};
use crate::vm::{End, Vm};

/// A machine with a data disk and a checker of its file system that answers with this script.
fn checked_by(script: &str, plan: Plan) -> Plan {
    let plan = plan.file("etc/fstab", "LABEL=data /data ext4 defaults 0 2\n");
    let checker = format!("#!/bin/sh\n{script}\n");
    data_disk(plan.with(|tree| tree.file("sbin/fsck.ext4", 0o755, checker.into_bytes())))
}

fn power_off(vm: &mut Vm) {
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}

#[test]
fn a_check_that_wishes_it_starts_the_machine_again_before_its_disk_is_mounted() {
    let script = "[ -e /checked ] && exit 0\necho seen >/checked; sync; grep -q ' /data ' /proc/mounts && exit 0\nexit 3";
    let plan = checked_by(script, Plan::new(Kernel::Uml).root(Root::Ext4));
    let mut vm = plan.boot();
    assert_eq!(vm.end(), End::Reboot);
    assert!(vm.console().contains("was corrected, and fsck.ext4 wishes the machine to start again"));
    let mut vm = vm.again().up();
    vm.await_state("base", "ready");
    assert_eq!(vm.run("cat /data/there").ok().trim(), "data");
    power_off(&mut vm);
}

#[test]
fn a_check_that_leaves_errors_fails_the_boot_and_one_that_corrected_them_does_not() {
    let settings = "[boot]\non-failure = \"poweroff\"\n";
    let mut vm = checked_by("exit 4", Plan::new(Kernel::Uml)).settings(settings).boot();
    assert_eq!(vm.end(), End::PowerOff);
    let console = vm.console();
    assert!(console.contains("has errors that fsck.ext4 did not correct; it is left as it is"), "{console}");
    let mut vm = checked_by("echo \"$@\" >/run/asked; exit 1", Plan::new(Kernel::Uml)).up();
    vm.await_state("base", "ready");
    assert!(vm.console().contains("'/dev/ubda' was corrected"));
    assert_eq!(vm.run("cat /run/asked /data/there").ok(), "-a /dev/ubda\ndata\n");
}

#[test]
fn interfaces_have_the_addresses_and_routes_of_the_settings_and_one_that_is_missing_is_told() {
    let settings = "[[network]]\ninterface = \"dummy0\"\naddresses = [\"10.9.0.15/24\", \"fd00:9::15/64\"]\n\
        routes = [\"default via 10.9.0.2\", \"10.10.0.0/16\"]\nmtu = 1400\n\
        [[network]]\ninterface = \"gone0\"\naddresses = [\"10.8.0.1/24\"]\nwait = \"100ms\"\n";
    let plan = Plan::new(Kernel::Uml).settings(settings).file("etc/modules-load.d/net.conf", "ipv6\ndummy\n");
    let mut vm = plan.with(|tree| Kernel::Uml.add_modules(tree, &["dummy", "ipv6"])).up();
    vm.await_console("[[network]] gone0: it is not there");
    let seen = vm.run("ip address show dummy0; ip -6 address show dummy0; ip route").ok();
    for part in [
        "mtu 1400",
        "UP",
        "inet 10.9.0.15/24 brd 10.9.0.255",
        "inet6 fd00:9::15/64",
        "default via 10.9.0.2 dev dummy0",
        "10.10.0.0/16 dev dummy0",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    vm.await_state("network", "failed");
    vm.await_state("base", "ready");
}

#[test]
fn packed_modules_and_those_that_they_need_are_loaded_and_those_that_cannot_be_are_told() {
    let plan = Plan::new(Kernel::Uml).file(
        "etc/modules-load.d/some.conf",
        "# what somebody wishes\ndm-snapshot\ndummy numdummies=3\nno-such-module\nloop\n",
    );
    let scratch = plan.scratch.clone();
    let plan = plan.with(|tree| {
        add_packed(tree, &scratch, "dm-snapshot", "xz");
        add_packed(tree, &scratch, "dummy", "gz");
        add_packed(tree, &scratch, "loop", "zst");
        for program in ["modprobe", "insmod", "zstd"] {
            tree.remove(&format!("sbin/{program}"));
            tree.remove(&format!("bin/{program}"));
        }
    });
    let mut vm = plan.up();
    vm.await_state("base", "ready");
    let loaded = vm.run("cut -d' ' -f1 /proc/modules; ls -1 /sys/class/net").ok();
    for name in ["dm_snapshot", "dm_bufio", "dm_mod", "dummy", "dummy2"] {
        assert!(loaded.lines().any(|line| line == name), "{name}: {loaded}");
    }
    vm.await_console(
        "/etc/modules-load.d/some.conf:4: cannot load 'no-such-module': there is no such module",
    );
    vm.await_console("loop.ko.zst': this kernel cannot unpack modules, and there is no 'zstd' to do it");
    assert_eq!(vm.unit("modules").state, "failed");
}

/// A module and all that it needs, packed, for a kernel that cannot unpack them; what is known of others is kept.
fn add_packed(tree: &mut Tree, scratch: &Path, name: &str, form: &str) {
    let from = Kernel::Uml.modules();
    let below = format!("lib/modules/{}", from.file_name().unwrap_or_default().to_string_lossy());
    let packer = match form {
        "gz" => ("gzip", "gzip"),
        "xz" => ("xz", "xz-utils"),
        _ => ("zstd", "zstd"),
    };
    let mut listed = tree.text_of(&format!("{below}/modules.dep"));
    let mut closure = Kernel::Uml.closure(&[name]);
    for path in &closure {
        let file = scratch.join(path.rsplit('/').next().unwrap_or(path));
        fs::copy(from.join(path), &file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        said(Command::new(needs(packer.0, packer.1)).arg("-qf").arg(&file));
        let packed = format!("{}.{form}", file.display());
        tree.copy(Path::new(&packed), &format!("{below}/{path}.{form}"));
    }
    // As depmod writes it: what is needed by others stands behind them.
    while !closure.is_empty() {
        let needs: Vec<String> = closure.iter().rev().skip(1).map(|need| format!(" {need}.{form}")).collect();
        let name = closure.pop().unwrap_or_default();
        listed.push_str(&format!("{name}.{form}:{}\n", needs.concat()));
    }
    tree.text(&format!("{below}/modules.dep"), &listed);
}

#[test]
fn settings_of_the_kernel_and_what_tmpfiles_wishes_are_made_and_broken_lines_are_told() {
    let sysctl = "vm.swappiness = 13\nthis is none\nkernel.no_such = 1\n-kernel.nor_this = 1\n";
    let tmpfiles = "d /run/lock 1777 root root -\nf /run/made 0640 root nogroup - text\nd relative\n\
        f /run/whose 0644 nobody-knows - - x\n";
    let plan = Plan::new(Kernel::Uml)
        .file("etc/sysctl.d/10-own.conf", sysctl)
        .file("etc/sysctl.d/20-later.conf", "net/ipv4/ip_forward = 1\n")
        .file("etc/tmpfiles.d/own.conf", tmpfiles);
    let mut vm = plan.up();
    vm.await_state("base", "ready");
    assert_eq!(vm.run("cat /proc/sys/vm/swappiness /proc/sys/net/ipv4/ip_forward").ok(), "13\n1\n");
    let made = vm.run("stat -c '%a %u %g' /run/lock /run/made; cat /run/made").ok();
    assert_eq!(made, "1777 0 0\n640 0 65534\ntext");
    for line in [
        "/etc/sysctl.d/10-own.conf:2: this is no 'name = value'; this line is passed over",
        "/etc/sysctl.d/10-own.conf:3: cannot set 'kernel.no_such' to '1': ",
        "/etc/tmpfiles.d/own.conf:3: this is no line of tmpfiles.d; it is passed over",
        "/etc/tmpfiles.d/own.conf:4: cannot make '/run/whose': there is no such user or group",
    ] {
        vm.await_console(line);
    }
    assert!(!vm.console().contains("nor_this"));
}

#[test]
fn a_device_of_the_device_mapper_lets_go_of_its_disk_at_the_end() {
    let plan = Plan::new(Kernel::Uml).file("etc/modules", "dm-mod\n").with(|tree| {
        Kernel::Uml.add_modules(tree, &["dm-mod"]);
        tree.program("dmsetup", "dmsetup");
    });
    let mut vm = data_disk(plan).up();
    vm.await_state("base", "ready");
    let create = "dmsetup create held --noudevsync --noudevrules --table \"0 $(cat /sys/block/ubda/size) linear /dev/ubda 0\" && dmsetup mknodes";
    vm.run(create).ok();
    vm.run("mount /dev/mapper/held /mnt && echo kept >/mnt/file").ok();
    power_off(&mut vm);
    let console = vm.console();
    assert!(console.contains("detached 'held'"), "{console}");
    assert!(!superblock(&vm.disk(0)).contains("needs_recovery"), "{console}");
}

#[test]
fn a_machine_has_its_name_its_number_is_kept_and_it_ends_by_the_names_that_people_type() {
    let plan = Plan::new(Kernel::Uml).root(Root::Ext4).words("sexton.log=null");
    let plan = plan.file("etc/hostname", "# a comment\nlighthouse\n").shell(
        "web",
        "echo unheard-$((6 * 7)); exec sleep 1000",
        "",
    );
    let mut vm = plan.with(|tree| tree.link("sbin/reboot", "/sbin/init")).up();
    vm.await_state("web", "ready");
    assert_eq!(vm.run("hostname").ok().trim(), "lighthouse");
    let number = vm.run("cat /etc/machine-id").ok();
    assert_eq!(
        (number.trim().len(), number.trim().replace(|c: char| c.is_ascii_hexdigit(), "")),
        (32, String::new())
    );
    let firmware = vm.run("sexton reboot --firmware");
    assert!(firmware.code == 1 && firmware.out.contains("no EFI firmware"), "{firmware:?}");
    vm.send("/sbin/reboot");
    assert_eq!(vm.end(), End::Reboot);
    assert!(!vm.console().contains("unheard-42"), "sexton.log= sends it elsewhere");
    let mut vm = vm.again().up();
    vm.await_state("base", "ready");
    assert_eq!(vm.run("cat /etc/machine-id").ok(), number);
}

//! `[resources]` on cgroup v2: bounds, the end of the whole cgroup, what is killed for want of memory, what is used.

use crate::kernel::Kernel;
use crate::machine::Plan;
use crate::vm::Vm;

/// A cgroup v2 where the kernel's own init would have it.
fn with_cgroups(kernel: Kernel) -> Plan {
    let mounts = "set -e\n[ -e /proc/self ] || mount -t proc proc /proc\n[ -e /sys/kernel ] || mount -t sysfs sys /sys\n\
        [ -e /sys/fs/cgroup/cgroup.procs ] || mount -t cgroup2 cgroup /sys/fs/cgroup\n";
    Plan::new(kernel)
        .file("etc/cgroups.sh", mounts)
        .unit("cgroups", "[task]\nexec = [\"/bin/sh\", \"/etc/cgroups.sh\"]\n")
}

/// A service behind that, with these bounds.
fn bounded(plan: Plan, name: &str, script: &str, bounds: &str) -> Plan {
    plan.shell(name, script, &format!("needs = [\"cgroups\"]---[resources]\n{bounds}\n"))
}

fn file(vm: &mut Vm, unit: &str, name: &str) -> String {
    vm.run(&format!("cat /sys/fs/cgroup/sexton.units/{unit}.unit/{name}")).ok().trim().to_owned()
}

#[test]
fn bounds_are_set_before_the_process_is_born_into_its_cgroup_and_changed_in_place() {
    let bounds =
        "memory-max = \"64MiB\"\nmemory-high = \"48MiB\"\ncpu-max = \"150%\"\npids-max = 20\nio-weight = 50";
    let mut vm = bounded(
        with_cgroups(Kernel::Cloud),
        "web",
        "cat /proc/self/cgroup >/run/mine; exec sleep 1000",
        bounds,
    )
    .up();
    let pid = vm.await_state("web", "ready").main_pid;
    assert_eq!(vm.until("[ -s /run/mine ] && cat /run/mine").trim(), "0::/sexton.units/web.unit");
    for (name, value) in [
        ("memory.max", "67108864"),
        ("memory.high", "50331648"),
        ("cpu.max", "150000 100000"),
        ("pids.max", "20"),
        ("io.weight", "default 50"),
    ] {
        assert_eq!(file(&mut vm, "web", name), value, "{name}");
    }
    let status = vm.run("sexton status web").ok();
    assert!(
        status.contains("of 64.0 MiB of memory") && status.contains("1 processes and threads"),
        "{status}"
    );
    // What is given in place reaches the process that runs; what is no longer said is lifted.
    vm.run("sed -i -e s/64MiB/32MiB/ -e /pids-max/d /etc/sexton/units/web.toml && sexton sync").ok();
    assert_eq!(file(&mut vm, "web", "memory.max"), "33554432");
    assert_eq!(file(&mut vm, "web", "pids.max"), "max");
    assert_eq!(vm.unit("web").main_pid, pid);
}

#[test]
fn whoever_wants_more_memory_than_its_bound_is_killed_and_that_is_said() {
    let hungry = "[service]\nexec = [\"/bin/testd\", \"eat\", \"64\", \"wait\"]\n[resources]\nmemory-max = \"16MiB\"\n\
        [restart]\non = \"never\"\n";
    let mut vm = with_cgroups(Kernel::Uml).unit("hungry", &format!("needs = [\"cgroups\"]\n{hungry}")).up();
    let status = vm.await_state("hungry", "failed");
    assert_eq!(status.last_end.as_deref(), Some("was killed by SIGKILL: it ran out of memory"));
    let why = vm.run("sexton why hungry").out;
    assert!(why.contains("it ran out of memory"), "{why}");
    vm.await_console("it ran out of memory");
    // A child of the main process costs that child alone, and is shown while the unit serves.
    let parent = "/bin/testd eat 64 || true; touch /run/lives; exec sleep 1000";
    vm.run(&format!("echo '{parent}' >/etc/parent.sh")).ok();
    let unit = "printf '[service]\\nexec = [\"/bin/sh\", \"/etc/parent.sh\"]\\n[resources]\\nmemory-max = \"16MiB\"\\n' \
        >/etc/sexton/units/parent.toml && sexton sync";
    vm.run(unit).ok();
    vm.until("[ -e /run/lives ]");
    let status = vm.run("sexton status parent").ok();
    assert!(status.contains("killed 1 of its processes for want of memory"), "{status}");
    assert!(vm.run("sexton why parent").out.contains("for want of memory"));
}

#[test]
fn nobody_outlives_the_unit_that_its_cgroup_belongs_to() {
    let leaves = "setsid sh -c \"trap : TERM HUP; while :; do sleep 1000; done\" & echo $! >/run/left; exec sleep 1000";
    let mut vm = bounded(with_cgroups(Kernel::Uml), "daemon", leaves, "pids-max = 50").up();
    vm.await_state("daemon", "ready");
    vm.until("[ -s /run/left ] && kill -0 $(cat /run/left)");
    vm.run("sexton stop daemon").ok();
    vm.until("! kill -0 $(cat /run/left) 2>/dev/null");
    // The next run finds room for its cgroup, or the one that is still there.
    vm.run("sexton start daemon").ok();
    assert!(file(&mut vm, "daemon", "cgroup.procs").lines().count() >= 1);
}

#[test]
fn a_bomb_of_processes_stays_within_its_bound() {
    let bomb = "sh -c \"i=0; while [ \\$i -lt 100 ]; do sleep 1000 & i=\\$((i + 1)); done\"; exec sleep 1000";
    let mut vm = bounded(with_cgroups(Kernel::Uml), "bomb", bomb, "pids-max = 10").up();
    vm.until("grep -q \"max [1-9]\" /sys/fs/cgroup/sexton.units/bomb.unit/pids.events");
    let pids: u32 = file(&mut vm, "bomb", "pids.current").parse().unwrap_or(0);
    assert!(pids <= 10, "{pids}");
}

#[test]
fn without_cgroup_v2_a_start_fails_with_that_reason_unless_it_may_do_without() {
    let plan = Plan::new(Kernel::Uml).with(|tree| tree.text("etc/no-cgroup", ""));
    let unit = |more: &str| {
        format!("[service]\nexec = [\"/bin/sleep\", \"1000\"]\n[resources]\nmemory-max = \"8MiB\"\n{more}")
    };
    let mut vm = plan
        .words("cgroup_disable=memory")
        .unit("strict", &unit(""))
        .unit("easy", &unit("required = false\n"))
        .up();
    vm.await_state("easy", "ready");
    let why = vm.until("sexton why strict | grep -e cgroup");
    assert!(why.contains("cannot enter the cgroup of 'strict'"), "{why}");
}

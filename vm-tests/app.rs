//! `app@` of the library on cgroup v2: an instance that eats more memory than it may is ended and started again, alone.

use crate::kernel::Kernel;
use crate::machine::Plan;

#[test]
fn an_instance_of_app_that_eats_its_memory_is_started_again_and_the_other_serves_on() {
    let mounts = "set -e\n[ -e /proc/self ] || mount -t proc proc /proc\n\
        [ -e /sys/fs/cgroup/cgroup.procs ] || mount -t cgroup2 cgroup /sys/fs/cgroup\n";
    // The first of the instances grows when it is told to, once.
    let program = "#!/bin/sh\nif [ $INSTANCE = 1 ] && [ -e /run/hungry ]; then exec /bin/testd notify READY=1 eat 64 wait; fi\n\
        exec /bin/testd notify READY=1 wait\n";
    let mut vm = Plan::new(Kernel::Uml)
        .file("etc/cgroups.sh", mounts)
        .unit("cgroups", "[task]\nexec = [\"/bin/sh\", \"/etc/cgroups.sh\"]\n")
        .unit("app@", include_str!("../config/units/app@.toml"))
        .file(
            "etc/sexton/units/app@.d/small.toml",
            "needs = [\"cgroups\"]\n[instances]\ndefaults = { program = \"/etc/app\", user = \"nobody\", memory = \"16MiB\" }\n",
        )
        .with(|tree| tree.file("etc/app", 0o755, program.as_bytes()))
        .up();
    let other = vm.await_state("app@2", "ready").main_pid;
    vm.await_state("app@1", "ready");
    assert_eq!(vm.run("cat /sys/fs/cgroup/sexton.units/app@1.unit/memory.max").ok().trim(), "16777216");
    vm.run("touch /run/hungry; sexton signal KILL app@1").ok();
    vm.await_console("it ran out of memory");
    vm.run("rm /run/hungry").ok();
    vm.await_state("app@1", "ready");
    assert_eq!(vm.unit("app@2").main_pid, other, "the other was ended too");
}

//! The roots that are booted: the same twenty services, each time under another init.

use std::path::Path;

use crate::Boot;
use crate::harness::{built, needs};
use crate::kernel::Kernel;
use crate::tree::Tree;

/// How many services there are.
pub const SERVICES: usize = 20;

/// What stands on `/proc`, `/sys`, `/dev` and `/run`.
const MOUNTS: &str = "#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
";

/// What else sexton's chores do on a machine without disks, as a script does it.
const CHORES: &str = "mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo +$controller >/sys/fs/cgroup/cgroup.subtree_control
done
hostname -F /etc/hostname
ifconfig lo 127.0.0.1 up
sysctl -q -p /etc/sysctl.conf
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
cat /var/lib/seed >/dev/urandom 2>/dev/null
dd if=/dev/urandom of=/var/lib/seed bs=512 count=1 2>/dev/null
";

/// Makes the root of an init, with all chores or with the mounts alone.
type Root = fn(Kernel, bool) -> Tree;

/// One init, with its root and what its boots showed.
pub struct Subject {
    pub name: &'static str,
    pub file: String,
    pub tree: Tree,
    pub chores: bool,
    pub ours: bool,
    pub boots: Vec<Boot>,
}

/// All who are booted, the least of chores last.
pub fn all(kernel: Kernel) -> Vec<Subject> {
    let inits: [(&'static str, Root); 3] = [("sexton", sexton), ("busybox init", busybox), ("runit", runit)];
    let subject = |chores: bool, (name, root): (&'static str, Root)| Subject {
        name,
        file: format!("{name}-{chores}").replace(' ', "-"),
        tree: root(kernel, chores),
        chores,
        ours: name == "sexton",
        boots: Vec::new(),
    };
    [true, false].iter().flat_map(|chores| inits.map(|init| subject(*chores, init))).collect()
}

/// What every root has. The kernel starts `/init`, which is the stamp before `/sbin/init`.
fn base(kernel: Kernel) -> Tree {
    let mut tree = Tree::default();
    tree.busybox(&kernel.busybox());
    let command = "cargo build --release --target x86_64-unknown-linux-musl --examples";
    tree.copy(&built("SEXTON_STAMP", "examples/stamp", command), "bin/stamp");
    tree.link("init", "/bin/stamp");
    for directory in ["dev", "proc", "sys", "run", "tmp", "var/lib", "root", "etc"] {
        tree.directory(directory, 0o755);
    }
    tree.text("etc/passwd", "root::0:0:root:/root:/bin/sh\n");
    tree.text("etc/group", "root:x:0:\n");
    tree.text("etc/hostname", "bench\n");
    tree.text("etc/sysctl.conf", "kernel.panic = 0\n");
    tree.device("dev/console", 0o600, 5, 1);
    tree.device("dev/null", 0o666, 1, 3);
    tree
}

fn sexton(kernel: Kernel, chores: bool) -> Tree {
    let mut tree = base(kernel);
    tree.copy(&kernel.sexton(), "sbin/init");
    for number in 1..=SERVICES {
        let unit = format!("[service]\nexec = [\"/bin/stamp\", \"{number}\", \"of\", \"{SERVICES}\"]\n");
        tree.text(&format!("etc/sexton/units/s{number}.toml"), &unit);
    }
    if !chores {
        let nothing = "manual = true\n[task]\nexec = [\"/bin/true\"]\n";
        tree.text("etc/sexton/units/base.toml", "description = \"nothing is done at boot\"\n");
        tree.text("etc/sexton/units/console.toml", nothing);
        tree.text("etc/sexton/units/power-button.toml", nothing);
    }
    tree
}

fn script(chores: bool) -> String {
    format!("{MOUNTS}{}", if chores { CHORES } else { "" })
}

fn busybox(kernel: Kernel, chores: bool) -> Tree {
    let mut tree = base(kernel);
    tree.link("sbin/init", "/bin/busybox");
    tree.file("etc/rcS", 0o755, script(chores).into_bytes());
    let mut table = "::sysinit:/etc/rcS\n".to_owned();
    for number in 1..=SERVICES {
        table.push_str(&format!("::respawn:/bin/stamp {number} of {SERVICES}\n"));
    }
    if chores {
        table.push_str("::respawn:-/bin/sh\n");
    }
    tree.text("etc/inittab", &table);
    tree
}

fn runit(kernel: Kernel, chores: bool) -> Tree {
    let mut tree = base(kernel);
    for program in ["runit", "runsvdir", "runsv"] {
        tree.program(program, "runit");
    }
    tree.copy(Path::new(&needs("runit", "runit")), "sbin/init");
    tree.file("etc/runit/1", 0o755, script(chores).into_bytes());
    let second = "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec runsvdir -P /etc/service\n";
    tree.file("etc/runit/2", 0o755, second.as_bytes());
    tree.file("etc/runit/3", 0o755, "#!/bin/sh\n".as_bytes());
    let mut service = |name: &str, line: &str| {
        let run = format!("#!/bin/sh\nexec {line}\n");
        tree.file(&format!("etc/service/{name}/run"), 0o755, run.into_bytes());
    };
    for number in 1..=SERVICES {
        service(&format!("s{number}"), &format!("/bin/stamp {number} of {SERVICES}"));
    }
    if chores {
        service("console", "/bin/sh </dev/console >/dev/console 2>&1");
    }
    tree
}

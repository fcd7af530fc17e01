//! A machine that is put together and booted.
//!
//! ```text
//!   Plan ── units, files, disks, words for the kernel ──▶ boot ──▶ Vm
//! ```

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::archive::archive;
use crate::channel::{Channel, open_pipe, pipes};
use crate::harness::{needs, testd};
use crate::kernel::Kernel;
use crate::tree::Tree;
use crate::vm::Vm;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A machine that is yet to be booted.
pub struct Plan {
    pub kernel: Kernel,
    pub scratch: PathBuf,
    tree: Tree,
    root: Root,
    leader: Leader,
    root_disk: Option<PathBuf>,
    disks: Vec<PathBuf>,
    words: Vec<String>,
    modules: Vec<&'static str>,
    console: bool,
    port: Option<&'static str>,
}

/// Who leads from the archive of the kernel to a root on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    /// A script, as in most initramfs.
    Shell,
    /// sexton itself, by what the kernel's command line says.
    Sexton,
}

/// Where the root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The archive that the kernel unpacks.
    Memory,
    /// The first disk, which can be written.
    Ext4,
    /// The first disk, which is squashfs, with memory over it.
    Squashfs,
}

impl Plan {
    /// A machine with busybox, sexton as its init, and a shell on the second serial line.
    pub fn new(kernel: Kernel) -> Plan {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let scratch = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("target/vm/run.{}.{number}", std::process::id()));
        fs::create_dir_all(&scratch).unwrap_or_else(|e| panic!("{}: {e}", scratch.display()));
        Plan {
            kernel,
            tree: base(kernel),
            scratch,
            root: Root::Memory,
            leader: Leader::Shell,
            root_disk: None,
            disks: Vec::new(),
            words: Vec::new(),
            modules: Vec::new(),
            console: true,
            port: None,
        }
    }

    /// A unit file.
    pub fn unit(self, name: &str, text: &str) -> Plan {
        self.file(&format!("etc/sexton/units/{name}.toml"), text)
    }

    /// A service that runs a script; what `more` has before `---` stands before the tables.
    pub fn shell(self, name: &str, script: &str, more: &str) -> Plan {
        let (head, tail) = more.split_once("---").unwrap_or(("", more));
        self.file(&format!("etc/{name}.sh"), script)
            .unit(name, &format!("{head}\n[service]\nexec = [\"/bin/sh\", \"/etc/{name}.sh\"]\n{tail}\n"))
    }

    /// A file that is text.
    pub fn file(mut self, path: &str, text: &str) -> Plan {
        self.tree.text(path, text);
        self
    }

    /// `sexton.toml`.
    pub fn settings(self, text: &str) -> Plan {
        self.file("etc/sexton/sexton.toml", text)
    }

    /// Words on the command line of the kernel.
    pub fn words(mut self, words: &str) -> Plan {
        self.words.push(words.to_owned());
        self
    }

    /// Modules that are loaded before sexton is there.
    pub fn modules(mut self, modules: &[&'static str]) -> Plan {
        self.modules.extend(modules);
        self
    }

    /// Changes what lies in the root.
    pub fn with(mut self, change: impl FnOnce(&mut Tree)) -> Plan {
        change(&mut self.tree);
        self
    }

    /// Where the root is to be.
    pub fn root(mut self, root: Root) -> Plan {
        self.root = root;
        self
    }

    /// sexton is in the initramfs, with nothing but modules.
    pub fn led_by_sexton(mut self) -> Plan {
        self.leader = Leader::Sexton;
        self
    }

    /// A further disk.
    pub fn disk(mut self, image: &Path) -> Plan {
        self.disks.push(image.to_owned());
        self
    }

    /// Nobody opens the console for it.
    pub fn without_console(mut self) -> Plan {
        self.console = false;
        self
    }

    /// A port of virtio under this name, whose other end is the socket `port` beside the machine's other files.
    pub fn port(mut self, name: &'static str) -> Plan {
        self.port = Some(name);
        self.modules(&["virtio_pci", "virtio_console"])
    }

    /// Boots it. Its disks outlive it, and can be booted again.
    pub fn boot(mut self) -> Vm {
        self.make_root();
        let first = self.initramfs();
        let control = pipes(&self.scratch, "control");
        let channel = Channel::new(&control);
        let [typed, _] = pipes(&self.scratch, "console");
        let keyboard = open_pipe(&typed);
        let mut command = self.command(first.as_deref(), &control);
        let input = fs::OpenOptions::new().read(true).write(true).open(&typed);
        let input = input.unwrap_or_else(|e| panic!("{}: {e}", typed.display()));
        let console = self.scratch.join("console");
        let output = File::create(&console).unwrap_or_else(|e| panic!("{}: {e}", console.display()));
        let errors = output.try_clone().unwrap_or_else(|e| panic!("{}: {e}", console.display()));
        command.stdin(input).stdout(output).stderr(errors).env("TMPDIR", "/dev/shm").process_group(0);
        #[allow(clippy::disallowed_methods, reason = "the machine is a child of the test")]
        let process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Vm::new(self, process, channel, keyboard)
    }

    /// Boots it and waits until its shell answers.
    #[track_caller]
    pub fn up(self) -> Vm {
        let mut vm = self.boot();
        vm.await_channel();
        vm
    }

    /// The same machine with its disks as they are now, and what else it is made of anew.
    pub fn again(&self) -> Plan {
        let mut plan = Plan::new(self.kernel);
        plan.root = self.root;
        plan.words.clone_from(&self.words);
        plan.modules.clone_from(&self.modules);
        let keep = |disk: &PathBuf| {
            let kept = plan.scratch.join(disk.file_name().unwrap_or_default());
            fs::rename(disk, &kept).unwrap_or_else(|e| panic!("{}: {e}", kept.display()));
            kept
        };
        (plan.root_disk, plan.disks) =
            (self.root_disk.as_ref().map(keep), self.disks.iter().map(keep).collect());
        plan.leader = self.leader;
        plan
    }

    /// The disk of the root, where it has none yet.
    fn make_root(&mut self) {
        if self.root_disk.is_none() {
            self.root_disk = match self.root {
                Root::Memory => None,
                Root::Ext4 => Some(self.tree.ext4(&self.scratch, "root", 96)),
                Root::Squashfs => Some(self.tree.squashfs(&self.scratch, "root")),
            };
        }
    }

    /// All disks, in the order in which the kernel counts them.
    pub fn all_disks(&self) -> impl Iterator<Item = &PathBuf> {
        self.root_disk.iter().chain(&self.disks)
    }

    /// The archive that the kernel starts with, where it needs one.
    fn initramfs(&self) -> Option<PathBuf> {
        let mut modules = self.modules.clone();
        if self.all_disks().next().is_some() {
            modules.extend(self.kernel.disk_modules());
        }
        if self.root == Root::Squashfs {
            modules.extend(["squashfs", "overlay"]);
        }
        let bytes = match self.root {
            Root::Ext4 if self.kernel == Kernel::Uml => return None,
            Root::Memory if modules.is_empty() => archive(&self.tree),
            Root::Memory => {
                let mut tree = self.tree.clone();
                self.add_first_script(&mut tree, &modules, "exec /sbin/init");
                archive(&tree)
            }
            Root::Ext4 | Root::Squashfs if self.leader == Leader::Sexton => {
                let mut tree = Tree::default();
                tree.copy(&self.kernel.sexton(), "init");
                tree.device("dev/console", 0o600, 5, 1);
                self.kernel.add_modules(&mut tree, &modules);
                archive(&tree)
            }
            Root::Ext4 | Root::Squashfs => {
                let mut tree = Tree::default();
                tree.busybox(&self.kernel.busybox());
                let device = self.kernel.disk(0);
                let mount = if self.root == Root::Ext4 {
                    format!("mount -o rw {device} /root")
                } else {
                    format!(
                        "mkdir /below /over; mount -t squashfs {device} /below; mount -t tmpfs over /over\n\
                         mkdir /over/up /over/work\n\
                         mount -t overlay -o lowerdir=/below,upperdir=/over/up,workdir=/over/work root /root"
                    )
                };
                let rest =
                    format!("mkdir -p /root\n{mount}\numount /proc /dev\nexec switch_root /root /sbin/init");
                self.add_first_script(&mut tree, &modules, &rest);
                archive(&tree)
            }
        };
        let path = self.scratch.join("initramfs");
        fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Some(path)
    }

    /// What runs before sexton where modules have to be loaded before it: a shell, as in other initramfs.
    fn add_first_script(&self, tree: &mut Tree, modules: &[&str], rest: &str) {
        let mut script =
            "#!/bin/sh\nmkdir -p /dev /proc\nmount -t devtmpfs dev /dev\nmount -t proc proc /proc\n"
                .to_owned();
        for path in self.kernel.closure(modules) {
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            tree.copy(&self.kernel.modules().join(&path), &format!("first/{name}"));
            script.push_str(&format!("insmod /first/{name}\n"));
        }
        if self.root == Root::Memory {
            script.push_str("umount /proc /dev\n");
        }
        script.push_str(rest);
        script.push('\n');
        for directory in ["dev", "proc"] {
            tree.directory(directory, 0o755);
        }
        tree.device("dev/console", 0o600, 5, 1);
        tree.file("init", 0o755, script.into_bytes());
    }

    fn command(&self, first: Option<&Path>, control: &[PathBuf; 2]) -> Command {
        match self.kernel {
            Kernel::Uml => self.user_mode_linux(first, control),
            Kernel::Cloud | Kernel::CloudArm => self.qemu(first, control),
        }
    }

    fn user_mode_linux(&self, first: Option<&Path>, [into, out]: &[PathBuf; 2]) -> Command {
        // The descriptors of the second line are opened by the shell: a process is started with three.
        let script = "in=$1 out=$2; shift 2; exec \"$@\" 3<>\"$in\" 4<>\"$out\"";
        let mut command = dying_with_us();
        command.args(["/bin/sh", "-c", script, "sh"]).arg(into).arg(out).arg(self.kernel.image());
        command.args([
            "mem=128M",
            "con1=null",
            "con=null",
            "ssl=null",
            "ssl0=fd:3,fd:4",
            "quiet",
            "panic=-1",
        ]);
        command.arg(if self.console { "con0=fd:0,fd:1" } else { "con0=null" });
        if let Some(first) = first {
            command.arg(format!("initrd={}", first.display()));
        }
        for (number, image) in self.all_disks().enumerate() {
            command.arg(format!("ubd{number}={}", image.display()));
        }
        if self.root == Root::Ext4 {
            command.args(["root=/dev/ubda", "rootfstype=ext4", "rw"]);
        }
        command.args(self.words.iter().flat_map(|words| words.split(' ')));
        command
    }

    fn qemu(&self, first: Option<&Path>, [into, _]: &[PathBuf; 2]) -> Command {
        let pipe = into.with_extension("");
        let is_arm = self.kernel == Kernel::CloudArm;
        let (program, package, console) = if is_arm {
            ("qemu-system-aarch64", "qemu-system-arm", "ttyAMA0")
        } else {
            ("qemu-system-x86_64", "qemu-system-x86", "ttyS0")
        };
        let mut command = dying_with_us();
        command.arg(needs(program, package));
        command.args(["-accel", "tcg", "-m", "256", "-display", "none", "-no-reboot", "-nodefaults"]);
        command
            .args(["-serial", "stdio", "-chardev"])
            .arg(format!("pipe,id=control,path={}", pipe.display()));
        command
            .arg("-monitor")
            .arg(format!("unix:{},server=on,wait=off", self.scratch.join("monitor").display()));
        if is_arm {
            command.args(["-M", "virt", "-cpu", "cortex-a57"]);
            command.args(["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=control"]);
        } else {
            command.args(["-M", "pc", "-cpu", "qemu64", "-serial", "chardev:control"]);
        }
        if let Some(name) = self.port {
            let socket = self.scratch.join("port");
            command.args(["-device", "virtio-serial-pci", "-chardev"]);
            command.arg(format!("socket,id=port,path={},server=on,wait=off", socket.display()));
            command.args(["-device", &format!("virtserialport,chardev=port,name={name}")]);
        }
        for (number, image) in self.all_disks().enumerate() {
            let drive = format!("if=none,format=raw,id=disk{number},file={}", image.display());
            command.args(["-drive", &drive, "-device", &format!("virtio-blk-pci,drive=disk{number}")]);
        }
        command.arg("-kernel").arg(self.kernel.image());
        if let Some(first) = first {
            command.arg("-initrd").arg(first);
        }
        let console = if self.console { format!("console={console}") } else { "console=tty9".to_owned() };
        // On a busy machine the emulated timer comes too late for a kernel that looks whether it comes.
        let usual = "quiet panic=-1 no_timer_check";
        command.arg("-append").arg(format!("{console} {usual} {}", self.words.join(" ")));
        command
    }
}

/// A test that is killed shall leave no machine behind.
fn dying_with_us() -> Command {
    let mut command = Command::new(needs("setpriv", "util-linux"));
    command.args(["--pdeathsig", "KILL", "--"]);
    command
}

/// What every root has.
fn base(kernel: Kernel) -> Tree {
    let mut tree = Tree::default();
    tree.busybox(&kernel.busybox());
    tree.copy(&kernel.sexton(), "sbin/init");
    tree.link("bin/sexton", "/sbin/init");
    tree.link("init", "/sbin/init");
    if kernel != Kernel::CloudArm {
        tree.copy(&testd(), "bin/testd");
    }
    for directory in ["dev", "proc", "sys", "run", "tmp", "var", "root", "mnt", "etc/sexton/units"] {
        tree.directory(directory, 0o755);
    }
    tree.text("etc/passwd", "root::0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n");
    tree.text("etc/shadow", "root::19000:0:99999:7:::\n");
    tree.text("etc/group", "root:x:0:\nnogroup:x:65534:\n");
    tree.device("dev/console", 0o600, 5, 1);
    tree.device("dev/null", 0o666, 1, 3);
    let (major, minor) = kernel.channel_number();
    tree.device(&format!("dev/{}", kernel.channel_device()), 0o600, major, minor);
    tree.text("agent.sh", include_str!("agent.sh"));
    let agent = format!(
        "[service]\nexec = [\"/bin/sh\", \"/agent.sh\", \"/dev/{}\"]\n[log]\nto = \"null\"\n",
        kernel.channel_device()
    );
    tree.text("etc/sexton/units/agent.toml", &agent);
    tree
}

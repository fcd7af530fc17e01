//! The kernels that are booted, and their modules.
//!
//! | kernel | what it is | a boot |
//! | --- | --- | --- |
//! | `Uml` | Debian's user-mode-linux: a kernel that is a process | 2 s |
//! | `Cloud` | Debian's cloud kernel for amd64 under QEMU, whose TCG needs no help of the processor | 8 s |
//! | `CloudArm` | the one for arm64 | 20 s |

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{needs, sexton};
use crate::tree::Tree;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    Uml,
    Cloud,
    CloudArm,
}

impl Kernel {
    /// The device of the second serial line, by which a test speaks with what it has booted.
    pub fn channel_device(self) -> &'static str {
        match self {
            Kernel::Uml => "ttyS0",
            Kernel::Cloud => "ttyS1",
            Kernel::CloudArm => "hvc0",
        }
    }

    /// The number of that device, for a root without devtmpfs.
    pub fn channel_number(self) -> (u32, u32) {
        match self {
            Kernel::Uml => (4, 64),
            Kernel::Cloud => (4, 65),
            Kernel::CloudArm => (229, 0),
        }
    }

    /// The modules by which it finds its disks.
    pub fn disk_modules(self) -> &'static [&'static str] {
        match self {
            Kernel::Uml => &[],
            Kernel::Cloud | Kernel::CloudArm => &["virtio_pci", "virtio_blk"],
        }
    }

    /// The device of a disk, counted from 0.
    pub fn disk(self, number: usize) -> String {
        let letter = char::from(b'a' + number as u8);
        match self {
            Kernel::Uml => format!("/dev/ubd{letter}"),
            Kernel::Cloud | Kernel::CloudArm => format!("/dev/vd{letter}"),
        }
    }

    fn package(self) -> PathBuf {
        let arch = if self == Kernel::CloudArm { "arm64" } else { "amd64" };
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/vm/kernel-{arch}"));
        let kernel = place.display();
        assert!(place.join("complete").exists(), "{kernel} is not there; run vm-tests/fetch-kernels {arch}");
        place
    }

    /// The kernel itself.
    pub fn image(self) -> PathBuf {
        match self {
            Kernel::Uml => PathBuf::from(needs("linux.uml", "user-mode-linux")),
            Kernel::Cloud | Kernel::CloudArm => only_entry(&self.package().join("boot"), "vmlinuz-"),
        }
    }

    /// The directory of its modules on this machine.
    pub fn modules(self) -> PathBuf {
        match self {
            Kernel::Uml => only_entry(Path::new("/usr/lib/uml/modules"), ""),
            Kernel::Cloud | Kernel::CloudArm => only_entry(&self.package().join("lib/modules"), ""),
        }
    }

    /// A module and all that it needs, in the order in which they go in: paths below [`Kernel::modules`].
    pub fn closure(self, names: &[&str]) -> Vec<String> {
        let listed = self.modules().join("modules.dep");
        let listed = fs::read_to_string(&listed).unwrap_or_else(|e| panic!("{}: {e}", listed.display()));
        let line_of = |path: &str| listed.lines().find(|line| line.split(':').next() == Some(path));
        let mut order: Vec<String> = Vec::new();
        for name in names {
            let ends = format!("/{name}.ko");
            let found =
                listed.lines().filter_map(|line| line.split(':').next()).find(|path| path.ends_with(&ends));
            let found = found.unwrap_or_else(|| panic!("{self:?} has no module {name}"));
            let mut waiting = VecDeque::from([found.to_owned()]);
            let mut needed = Vec::new();
            while let Some(path) = waiting.pop_front() {
                let line = line_of(&path).unwrap_or_default();
                waiting.extend(line.split_whitespace().skip(1).map(str::to_owned));
                needed.retain(|known| *known != path);
                needed.push(path);
            }
            for path in needed.into_iter().rev() {
                if !order.contains(&path) {
                    order.push(path);
                }
            }
        }
        order
    }

    /// Lays modules and all that they need where the kernel's version says, with what says who needs whom.
    pub fn add_modules(self, tree: &mut Tree, names: &[&str]) {
        let from = self.modules();
        let version = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let below = format!("lib/modules/{version}");
        for path in self.closure(names).iter().map(String::as_str).chain([
            "modules.dep",
            "modules.alias",
            "modules.builtin",
        ]) {
            tree.copy(&from.join(path), &format!("{below}/{path}"));
        }
    }

    /// A busybox for it.
    pub fn busybox(self) -> PathBuf {
        match self {
            Kernel::Uml | Kernel::Cloud => PathBuf::from(needs("busybox", "busybox-static")),
            Kernel::CloudArm => self.package().join("bin/busybox"),
        }
    }

    /// The binary under test for it.
    pub fn sexton(self) -> PathBuf {
        if self != Kernel::CloudArm {
            return sexton();
        }
        let usual = Path::new(env!("CARGO_MANIFEST_DIR"));
        let usual = usual.join("target/aarch64-unknown-linux-musl/release/sexton");
        let path = std::env::var_os("SEXTON_ARM_BIN").map_or(usual, PathBuf::from);
        let command = "cargo build --release --target aarch64-unknown-linux-musl --bins";
        assert!(path.exists(), "{} is not there; build it first: {command}", path.display());
        path
    }
}

fn only_entry(directory: &Path, begins: &str) -> PathBuf {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let found = entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(begins));
    found
        .unwrap_or_else(|| panic!("{} holds nothing that begins with '{begins}'", directory.display()))
        .path()
}

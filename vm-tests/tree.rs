//! What lies in a root file system, put together in memory; it becomes an archive, an ext4 image or a squashfs image.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use crate::harness::needs;

/// A file, a directory, a link or a device.
#[derive(Clone)]
pub struct Node {
    pub kind: Kind,
    pub mode: u32,
}

#[derive(Clone)]
pub enum Kind {
    Directory,
    File(Rc<[u8]>),
    Link(String),
    /// A character device.
    Device(u32, u32),
}

/// Paths without the slash in front; a directory stands before what is in it.
#[derive(Clone, Default)]
pub struct Tree(BTreeMap<String, Node>);

impl Tree {
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    pub fn directory(&mut self, path: &str, mode: u32) {
        self.put(path, Node { kind: Kind::Directory, mode });
    }

    pub fn file(&mut self, path: &str, mode: u32, content: impl Into<Rc<[u8]>>) {
        self.put(path, Node { kind: Kind::File(content.into()), mode });
    }

    pub fn text(&mut self, path: &str, text: &str) {
        self.file(path, 0o644, text.as_bytes());
    }

    pub fn link(&mut self, path: &str, target: &str) {
        self.put(path, Node { kind: Kind::Link(target.to_owned()), mode: 0o777 });
    }

    pub fn device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        self.put(path, Node { kind: Kind::Device(major, minor), mode });
    }

    pub fn remove(&mut self, path: &str) {
        self.0.remove(path.trim_start_matches('/'));
    }

    fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_start_matches('/');
        for (place, _) in path.match_indices('/') {
            let above = &path[..place];
            if !self.0.contains_key(above) {
                self.0.insert(above.to_owned(), Node { kind: Kind::Directory, mode: 0o755 });
            }
        }
        self.0.insert(path.to_owned(), node);
    }

    /// A file of this machine.
    pub fn copy(&mut self, from: &Path, path: &str) {
        let content = fs::read(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        let mode = fs::metadata(from).map_or(0o755, |found| found.permissions().mode() & 0o777);
        self.file(path, mode, content);
    }

    /// A file's text; nothing where it is not there.
    pub fn text_of(&self, path: &str) -> String {
        match self.0.get(path).map(|node| &node.kind) {
            Some(Kind::File(content)) => String::from_utf8_lossy(content).into_owned(),
            _ => String::new(),
        }
    }

    /// A program of this machine and the libraries that its loader finds for it, each where it lies here.
    pub fn program(&mut self, name: &str, package: &str) {
        let path = needs(name, package);
        self.copy(Path::new(&path), &path);
        let listed = said(Command::new("ldd").arg(&path));
        for word in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            self.copy(Path::new(word), word);
        }
    }

    /// Busybox, under all of its names.
    pub fn busybox(&mut self, from: &Path) {
        self.copy(from, "bin/busybox");
        let here = needs("busybox", "busybox-static");
        for name in said(Command::new(here).arg("--list-full")).lines() {
            let place = name.trim_start_matches("usr/");
            if place != "bin/busybox" && place != "sbin/init" {
                self.link(place, "/bin/busybox");
            }
        }
    }

    /// Lays it out in a directory; devices are left to what the kernel mounts on /dev.
    fn lay_out(&self, directory: &Path) {
        let failed = |path: &Path, error: std::io::Error| panic!("{}: {error}", path.display());
        for (path, node) in self.nodes() {
            let path = directory.join(path);
            let laid = match &node.kind {
                Kind::Directory => fs::create_dir_all(&path),
                Kind::File(content) => fs::write(&path, content),
                Kind::Link(target) => symlink(target, &path),
                Kind::Device(..) => continue,
            };
            laid.unwrap_or_else(|e| failed(&path, e));
            if !matches!(node.kind, Kind::Link(_)) {
                let mode = fs::Permissions::from_mode(node.mode);
                fs::set_permissions(&path, mode).unwrap_or_else(|e| failed(&path, e));
            }
        }
    }

    /// An ext4 image of so many MiB, with a label by which it can be named.
    pub fn ext4(&self, scratch: &Path, name: &str, mebibytes: u32) -> PathBuf {
        let (stage, image) = (scratch.join(format!("{name}.d")), scratch.join(name));
        fs::create_dir_all(&stage).unwrap_or_else(|e| panic!("{}: {e}", stage.display()));
        self.lay_out(&stage);
        let mut make = Command::new(needs("mke2fs", "e2fsprogs"));
        make.args(["-q", "-t", "ext4", "-L", name, "-d"]).arg(&stage).args(["-E", "root_owner=0:0"]);
        said(make.arg(&image).arg(format!("{mebibytes}M")));
        discard(&stage);
        image
    }

    /// A squashfs image.
    pub fn squashfs(&self, scratch: &Path, name: &str) -> PathBuf {
        let (stage, image) = (scratch.join(format!("{name}.d")), scratch.join(name));
        fs::create_dir_all(&stage).unwrap_or_else(|e| panic!("{}: {e}", stage.display()));
        self.lay_out(&stage);
        let mut make = Command::new(needs("mksquashfs", "squashfs-tools"));
        make.arg(&stage).arg(&image).args(["-quiet", "-no-progress", "-all-root", "-comp", "gzip"]);
        said(&mut make);
        discard(&stage);
        image
    }
}

fn discard(stage: &Path) {
    let _ = fs::remove_dir_all(stage); // What is left below target does no harm.
}

/// What a program of this machine prints; it has to end with 0.
#[track_caller]
pub fn said(command: &mut Command) -> String {
    #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

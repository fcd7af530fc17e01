//! What stands in for `debian:12-slim`: the files of this machine that the examples need, for there is no registry.
//!
//! ```text
//!   programs ── ldd ──▶ their libraries ──▶ a directory ── tar ──▶ docker import ──▶ debian:12-slim
//! ```
//!
//! Its `apt-get` does nothing, and rightly so: what it would install is there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::{Engine, open_to_all, write};
use crate::harness::needs;

/// The name that the examples begin with.
pub const IMAGE: &str = "debian:12-slim";

/// Programs, each with the package that brings it.
const PROGRAMS: [(&str, &str); 14] = [
    ("nginx", "nginx-light"),
    ("php-fpm8.2", "php8.2-fpm"),
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("curl", "curl"),
    ("bash", "bash"),
    ("sh", "dash"),
    ("cat", "coreutils"),
    ("install", "coreutils"),
    ("mkdir", "coreutils"),
    ("rm", "coreutils"),
    ("sleep", "coreutils"),
    ("true", "coreutils"),
    ("env", "coreutils"),
];

/// Directories and files that programs read.
const FILES: [&str; 6] =
    ["/etc/nginx", "/etc/php", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/usr/lib/php"];

/// Makes the image, unless this engine has it.
pub fn import(engine: &Engine) {
    engine.once(IMAGE, || {
        let root = engine.context("");
        let tar = root.with_extension("tar");
        fill(&root);
        let (from, to) = (root.display().to_string(), tar.display().to_string());
        said(Command::new("tar").args(["-C", &from, "-cf", &to, "."]));
        engine.docker(&["import", &to, IMAGE]).expect(0);
    });
}

fn fill(root: &Path) {
    for name in ["sexton", "testd", "Dockerfile"] {
        fs::remove_file(root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        make(&root.join("usr").join(name));
        symlink(format!("usr/{name}"), root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for name in ["tmp", "run", "proc", "sys", "dev", "var/lib/apt/lists"] {
        make(&root.join(name));
    }
    open_to_all(&root.join("tmp"));
    let mut files: Vec<PathBuf> = PROGRAMS.iter().map(|(name, from)| needs(name, from).into()).collect();
    FILES.iter().for_each(|path| files_below(Path::new(path), &mut files));
    let libraries = libraries(files.iter().filter(|path| is_elf(path)));
    for path in files.iter().chain(&libraries) {
        copy(path, root);
    }
    let apt = root.join("usr/bin/apt-get");
    write(&apt, "#!/bin/sh\nexit 0\n");
    fs::set_permissions(&apt, fs::Permissions::from_mode(0o755)).unwrap_or_else(|e| panic!("apt-get: {e}"));
}

fn make(path: &Path) {
    fs::create_dir_all(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn files_below(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        return files.push(path.to_owned());
    }
    let entries = fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    // A link that leads nowhere is somebody else's matter.
    entries
        .flatten()
        .filter(|entry| entry.path().exists())
        .for_each(|entry| files_below(&entry.path(), files));
}

fn is_elf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

/// What `ldd` lists: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the loader by its path alone.
fn libraries<'a>(programs: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
    let listed = said(Command::new("ldd").args(programs));
    let lines = listed.lines().filter(|line| line.starts_with('\t'));
    let paths = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

/// To the same place below the root; links are followed, and `/lib` is `/usr/lib`.
fn copy(path: &Path, root: &Path) {
    let mut inner = path.strip_prefix("/").unwrap_or(path).to_owned();
    if !(inner.starts_with("usr") || inner.starts_with("etc")) {
        inner = Path::new("usr").join(inner);
    }
    let to = root.join(inner);
    make(to.parent().unwrap_or(root));
    fs::copy(path, &to).unwrap_or_else(|e| panic!("{} to {}: {e}", path.display(), to.display()));
}

/// Runs a command to its end; what it said.
#[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

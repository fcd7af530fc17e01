//! A directory that runc runs again and again, without an engine around it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::engine::write;
use crate::harness::{needs, sexton, testd};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A root file system with sexton, the tests' daemon and units in it.
pub struct Bundle {
    directory: PathBuf,
    runs: AtomicU32,
}

impl Bundle {
    /// One with these unit files.
    pub fn new(units: &[(&str, &str)]) -> Bundle {
        assert!(nix::unistd::geteuid().is_root(), "runc needs root here; run this as root");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = PathBuf::from(format!("/tmp/sexton-bundle.{}.{number}", std::process::id()));
        let below = directory.join("rootfs/etc/sexton/units");
        fs::create_dir_all(&below).unwrap_or_else(|e| panic!("{}: {e}", below.display()));
        for (from, to) in [(sexton(), "rootfs/sexton"), (testd(), "rootfs/testd")] {
            fs::copy(&from, directory.join(to)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        }
        for (name, text) in units {
            write(&below.join(format!("{name}.toml")), text);
        }
        Bundle { directory, runs: AtomicU32::new(0) }
    }

    /// Runs `/sexton WORDS` as PID 1 to its end, in a configuration that `change` has changed; its status, and what it said.
    pub fn run(&self, words: &[&str], change: impl FnOnce(&mut Value)) -> (i32, String) {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let mut config = self.configuration();
        let mut args = vec!["/sexton"];
        args.extend(words);
        config["process"]["args"] = json!(args);
        change(&mut config);
        // Each run has a bundle of its own around the one root, so that two may run at once.
        let bundle = self.directory.join(format!("run{run}"));
        fs::create_dir_all(&bundle).unwrap_or_else(|e| panic!("{}: {e}", bundle.display()));
        write(&bundle.join("config.json"), &config.to_string());
        let id =
            format!("sexton-{}-{run}", self.directory.file_name().and_then(|n| n.to_str()).unwrap_or("x"));
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "120", &needs("runc", "runc")]);
        command
            .arg("--root")
            .arg(self.directory.join("state"))
            .args(["run", "--bundle"])
            .arg(&bundle)
            .arg(id);
        #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
        let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("runc: {e}"));
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(255), String::from_utf8_lossy(&text).into_owned())
    }

    /// What `runc spec` writes, without a terminal and with a /run that can be written.
    fn configuration(&self) -> Value {
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": { "uid": 0, "gid": 0 },
                "env": ["PATH=/"],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "root": { "path": self.directory.join("rootfs"), "readonly": true },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
                { "destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            ],
            "linux": {
                "namespaces": [
                    { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
                ],
            },
        })
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory); // What is left in /tmp does no harm.
    }
}

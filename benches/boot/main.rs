//! How long sexton, busybox init and runit take from the kernel's start of init to twenty services, and what each holds.
//!
//! ```text
//!   cargo bench --bench boot [-- --rounds N] [--kernel uml|cloud]
//!
//!   roots: one archive a subject ── boot, in turns ── examples/stamp: /init … the last of 20 services ── "@boot …"
//! ```
//!
//! | | who is booted |
//! | --- | --- |
//! | all chores | sexton as it is; the others behind a script that does by hand what sexton's chores do |
//! | mounts only | `/proc`, `/sys`, `/dev`, `/run` and nothing else; sexton's `base` replaced by a unit file |
//!
//! The services are the same static program everywhere, `examples/stamp`, which is ready when it runs; the time is the
//! kernel's, taken before init is executed and in every service. Boots alternate, so that whatever else the machine does
//! befalls all of them; medians are printed. User-Mode Linux is booted, or Debian's cloud kernel under QEMU.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "a program for a person, with parts of the tests of machines"
)]

#[path = "../../vm-tests/archive.rs"]
mod archive;
#[path = "../../tests/it/harness/mod.rs"]
mod harness;
#[path = "../../vm-tests/kernel.rs"]
mod kernel;
mod report;
mod subjects;
#[path = "../../vm-tests/tree.rs"]
mod tree;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use kernel::Kernel;
use subjects::Subject;

/// A boot that takes longer than this is none.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one boot showed.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// From before init was executed until the last service ran.
    pub microseconds: f64,
    /// KiB of PID 1 that no file stands behind.
    pub own: f64,
    /// PID 1's share of all memory, in KiB.
    pub share: f64,
    /// The share of the whole init: PID 1, supervisors, loggers.
    pub whole: f64,
    /// And how many processes that is.
    pub processes: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().skip_while(|word| *word != name).nth(1);
    let rounds = after("--rounds").and_then(|word| word.parse().ok()).unwrap_or(7);
    let kernel = match after("--kernel").map(String::as_str) {
        Some("cloud") => Kernel::Cloud,
        _ => Kernel::Uml,
    };
    let scratch = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/boot.{}", std::process::id()));
    fs::create_dir_all(&scratch).unwrap_or_else(|e| panic!("{}: {e}", scratch.display()));
    let mut subjects = subjects::all(kernel);
    for subject in &subjects {
        let path = scratch.join(&subject.file);
        fs::write(&path, archive::archive(&subject.tree))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    for _ in 0..rounds {
        for subject in &mut subjects {
            let boot = boot(kernel, &scratch, subject);
            subject.boots.push(boot);
        }
    }
    report::print(kernel, &subjects);
    // What is left below target does no harm.
    let _ = fs::remove_dir_all(&scratch);
}

/// Boots it once, until it has told its result.
fn boot(kernel: Kernel, scratch: &Path, subject: &Subject) -> Boot {
    let console = scratch.join("console");
    let output = File::create(&console).unwrap_or_else(|e| panic!("{}: {e}", console.display()));
    let errors = output.try_clone().unwrap_or_else(|e| panic!("{}: {e}", console.display()));
    let mut command = command(kernel, &scratch.join(&subject.file));
    // Whoever reads the console shall not find its end.
    let (input, _kept) = std::io::pipe().unwrap_or_else(|e| panic!("a pipe: {e}"));
    command.stdin(input).stdout(output).stderr(errors).env("TMPDIR", "/dev/shm").process_group(0);
    let mut machine = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let began = Instant::now();
    let found = loop {
        let text = String::from_utf8_lossy(&fs::read(&console).unwrap_or_default()).into_owned();
        if let Some(boot) = parse(&text) {
            break Ok(boot);
        }
        if began.elapsed() > PATIENCE {
            break Err(text);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let _ = killpg(Pid::from_raw(machine.id().cast_signed()), Signal::SIGKILL); // It may have ended.
    let _ = machine.wait(); // As above.
    found.unwrap_or_else(|text| panic!("{} has not come up:\n{text}", subject.name))
}

fn parse(console: &str) -> Option<Boot> {
    let (result, _) = console.split_once("@boot ")?.1.split_once('@')?;
    let numbers: Vec<f64> = result.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [microseconds, own, share, whole, processes] = numbers.try_into().ok()?;
    Some(Boot { microseconds, own, share, whole, processes })
}

/// The machine, which ends with this program.
fn command(kernel: Kernel, root: &Path) -> Command {
    let mut command = Command::new(harness::needs("setpriv", "util-linux"));
    command.args(["--pdeathsig", "KILL", "--"]);
    if kernel == Kernel::Uml {
        command.arg(kernel.image()).args(["mem=128M", "con=null", "con0=fd:0,fd:1", "ssl=null", "quiet"]);
        command.args(["panic=-1", &format!("initrd={}", root.display())]);
        return command;
    }
    command.arg(harness::needs("qemu-system-x86_64", "qemu-system-x86"));
    command.args(["-accel", "tcg", "-m", "256", "-display", "none", "-no-reboot", "-nodefaults"]);
    command.args(["-serial", "stdio", "-M", "pc", "-cpu", "qemu64", "-kernel"]).arg(kernel.image());
    command.arg("-initrd").arg(root);
    command.args(["-append", "console=ttyS0 quiet panic=-1 no_timer_check"]);
    command
}

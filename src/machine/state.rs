//! What a machine keeps over its boots: what time it was, and something that nobody can guess.
//!
//! | file | written | used |
//! | --- | --- | --- |
//! | `/var/lib/sexton/clock` | at the end: when it was touched is the time | at boot the clock is never set before it |
//! | `/var/lib/sexton/seed` | at boot, once the last one is used, and at the end | at boot, and credited once |

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::STATE;
use crate::sys::{clock, files, machine};

/// As much as the kernel's pool holds.
const SEED: usize = 512;

/// The battery's clock.
pub const BATTERY: &str = "/dev/rtc0";

/// Where one of the files is.
pub fn path(name: &str) -> PathBuf {
    Path::new(STATE).join(name)
}

/// When the machine last knew what time it was.
pub fn last_known_time() -> Option<Duration> {
    let touched = fs::metadata(path("clock")).ok()?.modified().ok()?;
    touched.duration_since(UNIX_EPOCH).ok()
}

/// Keeps what time it is, for a machine without a battery, and tells the battery where there is one.
pub fn keep_time() -> io::Result<()> {
    let now = Duration::from_micros(clock::wall_usec());
    let _ = machine::set_battery_clock(Path::new(BATTERY), now); // Many machines have none.
    fs::create_dir_all(STATE)?;
    let file = File::options()
        .create(true)
        .append(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path("clock"))?;
    file.set_modified(SystemTime::now())
}

/// The seed of the last boot. It is gone from then on: none is used twice.
pub fn take_seed() -> io::Result<Vec<u8>> {
    let path = path("seed");
    let seed = files::read_bounded(&path, SEED as u64)?;
    // One that cannot be removed, or is empty, is of no use to anybody twice.
    fs::remove_file(&path)?;
    File::open(STATE)?.sync_all()?;
    Ok(seed)
}

/// Keeps a seed for the next boot, if the kernel's pool has one to give by now.
pub fn keep_seed() -> io::Result<()> {
    let mut seed = [0; SEED];
    machine::random(&mut seed)?;
    fs::create_dir_all(STATE)?;
    let (path, new) = (path("seed"), path("seed.new"));
    let _ = fs::remove_file(&new); // What a power cut left.
    let mut file =
        File::options().create_new(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(&new)?;
    file.write_all(&seed)?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// Mixes what is there into the pool without saying that it is worth anything.
pub fn stir() {
    let mut bytes = Vec::new();
    for file in ["/proc/cpuinfo", "/sys/class/dmi/id/product_uuid", "/etc/machine-id", "/proc/interrupts"] {
        // Each that is there is one more that another machine does not have.
        let _ = File::open(file).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    }
    let _ = File::options().write(true).open("/dev/urandom").and_then(|mut pool| pool.write_all(&bytes)); // as above
}

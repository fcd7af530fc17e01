//! What `benches/boot` measures with: stands before an init and in each of its services, and says what time it is.
//!
//! ```text
//!   kernel ── /init: the time into /began ── exec /sbin/init ── … ── stamp 7 of 20: the time into /stamps, and waits
//!                                                                └ the last of them: the result, on the console
//! ```
//!
//! It is no part of what is shipped.

#![allow(
    clippy::disallowed_methods,
    unsafe_code,
    reason = "a program of a benchmark: it asks the kernel, and sleeps"
)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// The machine is looked at when it has come to rest.
const REST: Duration = Duration::from_millis(1500);

/// Microseconds since the kernel was started, by a clock that nobody sets.
fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that lives until the call returns.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, number, "of", all] => serve(number, all.parse().unwrap_or(0)),
        _ => {
            let kept = fs::write("/began", now().to_string());
            let error = Command::new("/sbin/init").exec();
            panic!("/sbin/init: {error}; {kept:?}");
        }
    }
}

/// A service: it is ready as soon as it runs.
fn serve(number: &str, all: usize) {
    let line = format!("{} {number}\n", now());
    let kept = OpenOptions::new().append(true).create(true).open("/stamps");
    let kept = kept.and_then(|mut file| file.write_all(line.as_bytes()));
    let stamps = fs::read_to_string("/stamps").unwrap_or_default();
    if stamps.ends_with(&line) && stamps.lines().count() == all {
        std::thread::sleep(REST);
        tell(&stamps);
    }
    loop {
        std::thread::sleep(Duration::from_secs(if kept.is_ok() { 1000 } else { 1 }));
    }
}

/// The whole result, as one line of numbers.
fn tell(stamps: &str) {
    let number =
        |text: &str| text.split_whitespace().next().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
    let began = number(&fs::read_to_string("/began").unwrap_or_default());
    let last = stamps.lines().map(number).max().unwrap_or(0);
    let (mut all, mut processes) = (0, 0);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let own = memory(pid, "Pss:");
        // Neither the services, nor the shell of the console, nor the kernel's own.
        if own > 0 && name.trim() != "stamp" && name.trim() != "sh" {
            all += own;
            processes += 1;
        }
    }
    let [own, resident] = ["Anonymous:", "Pss:"].map(|name| memory(1, name));
    let result = format!("\n@boot {} {own} {resident} {all} {processes} @\n", last - began);
    let console = OpenOptions::new().write(true).open("/dev/console");
    let _ = console.and_then(|mut console| console.write_all(result.as_bytes())); // Who waits for it sees that it is missing.
}

/// So many KiB of a process are of this kind.
fn memory(pid: u32, kind: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix(kind)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

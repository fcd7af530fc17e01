//! `power-button`: waits until somebody presses it, and asks PID 1 to switch the machine off.
//!
//! ```text
//!   /dev/input/event* with KEY_POWER ── pressed ──▶ SIGRTMIN+4 to PID 1
//!   /dev/input: one more device ──▶ looked for again
//! ```

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Job;
use crate::machine::early::words;
use crate::model::{Pid, Signal};
use crate::sys::poll::{Interest, Poller, Token};
use crate::sys::{kill, machine};

const INPUT: &str = "/dev/input";
const EV_KEY: u16 = 1;
/// `KEY_POWER` and `KEY_POWER2`.
const POWER: [u16; 2] = [116, 356];
/// `struct input_event` where times have 64 bits: two of them, then kind, code and value.
const EVENT: usize = 24;
/// More devices than a machine has keyboards.
const MOST: u32 = 64;

/// The number of what tells of new devices, among those of the devices.
const NEWS: u32 = u32::MAX;

pub(super) fn act(job: &mut Job<'_>) {
    if let Err(error) = watch(job) {
        job.fail(&format!("cannot wait for the power button: {}", words(&error)));
    }
}

fn watch(job: &mut Job<'_>) -> std::io::Result<()> {
    let poller = Poller::new()?;
    let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let _ = fs::create_dir(INPUT); // It is there, or is watched from now on.
    news.add_watch(INPUT, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ATTRIB)?;
    poller.add(news.as_fd(), Token::new(0, NEWS), Interest::Read)?;
    let mut devices = find(job, &poller);
    let mut ready = Vec::new();
    loop {
        poller.wait(&mut ready, None)?;
        for one in ready.drain(..) {
            if one.token.index() == NEWS {
                let _ = news.read_events(); // What is new is looked for in the directory.
                devices = find(job, &poller);
                break;
            }
            let device = devices.get_mut(one.token.index() as usize).and_then(Option::as_mut);
            match device.map(is_pressed) {
                Some(Ok(true)) => press(job),
                Some(Ok(false)) => {}
                Some(Err(_)) | None => {
                    // It was pulled out: what is closed leaves the poller.
                    devices.get_mut(one.token.index() as usize).into_iter().for_each(|place| *place = None);
                }
            }
        }
    }
}

/// Every device with a key of that kind. Those of before are closed, and leave the poller so.
fn find(job: &mut Job<'_>, poller: &Poller) -> Vec<Option<File>> {
    let mut found = Vec::new();
    let listing = fs::read_dir(INPUT).into_iter().flatten().flatten();
    for entry in listing.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"event")) {
        let Some(device) = open(&entry.path()) else { continue };
        let number = u32::try_from(found.len()).unwrap_or(MOST);
        if number < MOST && poller.add(device.as_fd(), Token::new(0, number), Interest::Read).is_ok() {
            job.trace(&format!("'{}' has a power button", entry.path().display()));
            found.push(Some(device));
        }
    }
    found
}

fn open(path: &Path) -> Option<File> {
    let device = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let keys = machine::keys_of(&device).ok()?;
    let has = |key: &u16| keys.get(usize::from(*key / 8)).is_some_and(|byte| byte & (1 << (key % 8)) != 0);
    POWER.iter().any(has).then_some(device)
}

fn is_pressed(device: &mut File) -> std::io::Result<bool> {
    let mut events = [0; EVENT * 16];
    match device.read(&mut events) {
        Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
        Ok(length) => Ok(events.get(..length).unwrap_or_default().chunks_exact(EVENT).any(is_press)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// A key goes down with 1, up with 0, and repeats with 2.
fn is_press(event: &[u8]) -> bool {
    let half = |at: usize| {
        let bytes = event.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u16::from_ne_bytes)
    };
    half(16) == EV_KEY && POWER.contains(&half(18)) && event.get(20..24) == Some(&1_i32.to_ne_bytes())
}

fn press(job: &mut Job<'_>) {
    job.say("the power button was pressed");
    if let (Some(init), Some(power_off)) = (Pid::new(1), Signal::parse("RTMIN+4")) {
        let _ = kill::process(init, power_off); // PID 1 is always there.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_power_key_that_goes_down_is_a_press() {
        let event = |kind: u16, code: u16, value: i32| {
            let mut bytes = vec![0; 16];
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(code.to_ne_bytes());
            bytes.extend(value.to_ne_bytes());
            bytes
        };
        assert!(is_press(&event(1, 116, 1)) && is_press(&event(1, 356, 1)));
        assert!(!is_press(&event(1, 116, 0)) && !is_press(&event(1, 30, 1)) && !is_press(&event(0, 116, 1)));
        assert!(!is_press(&[]));
    }
}

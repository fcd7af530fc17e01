//! `hostname`, `machine-id` and `loopback`: who the machine is.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use nix::mount::MsFlags;

use super::Job;
use crate::machine::early::words;
use crate::machine::text;
use crate::sys::{machine, namespace};

/// The kernel takes no more.
const LONGEST_NAME: usize = 64;

/// Gives the machine the name that stands in `/etc/hostname`.
pub(super) fn host(job: &mut Job<'_>) {
    let path = Path::new("/etc/hostname");
    let name = match text::read_if_there(path) {
        Ok(text) => text.and_then(|text| name_in(&text)),
        Err(problem) => {
            job.fail(&problem);
            None
        }
    };
    // Without one, programs get the kernel's "(none)".
    let name = name.unwrap_or_else(|| "localhost".to_owned());
    if let Err(error) = machine::set_host_name(&name) {
        job.fail(&format!("cannot set the host name '{name}': {}", words(&error)));
    }
}

/// The first word that can be a name.
fn name_in(text: &str) -> Option<String> {
    let line = text::lines(text, &['#']).into_iter().next()?;
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let name = line.text.split_whitespace().next()?.to_owned();
    (name.len() <= LONGEST_NAME && name.chars().all(is_fit)).then_some(name)
}

/// Takes `lo` up.
pub(super) fn loopback(job: &mut Job<'_>) {
    if let Err(error) = namespace::bring_loopback_up() {
        job.fail(&format!("cannot take the interface 'lo' up: {}", words(&error)));
    }
}

/// Makes a number by which this machine is known, where it has none.
pub(super) fn machine_id(job: &mut Job<'_>) {
    let path = Path::new("/etc/machine-id");
    if text::read(path).is_ok_and(|text| is_id(text.trim())) {
        return;
    }
    let id = match new_id() {
        Ok(id) => id,
        Err(error) => return job.fail(&format!("cannot read '/dev/urandom': {}", words(&error))),
    };
    if fs::write(path, &id).is_ok() {
        return job.say("this machine has a new machine-id");
    }
    // A root that cannot be written gets one until the machine ends, over the file, where there is one.
    let here = Path::new("/run/machine-id");
    let laid = fs::write(here, &id).and_then(|()| {
        nix::mount::mount(Some(here), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(io::Error::from)
    });
    match laid {
        Ok(()) => job.say("this machine has a machine-id until it ends: '/etc' cannot be written"),
        Err(error) => job.fail(&format!("cannot write '{}': {}", path.display(), words(&error))),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn new_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // As a random UUID says of itself that it is one.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_first_word_that_can_be_one() {
        assert_eq!(name_in("# mine\n box-1.example \n"), Some("box-1.example".into()));
        for wrong in ["", "\n", "a/b", "b\u{f6}x", &"x".repeat(65)] {
            assert_eq!(name_in(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_new_id_is_one_and_no_other_text_is() {
        let id = new_id().unwrap();
        assert!(is_id(id.trim()) && id != new_id().unwrap());
        assert!(!is_id("") && !is_id("uninitialized") && !is_id(&"g".repeat(32)));
    }
}

//! `clock` and `seed`: what the machine kept of its last boot comes back.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::Job;
use crate::machine::early::words;
use crate::machine::state;
use crate::sys::{clock, machine};

/// The clock as it runs, as it was kept, and as the battery says.
#[derive(Clone, Copy, Debug)]
struct Times {
    now: Duration,
    last: Option<Duration>,
    battery: Option<Duration>,
}

/// What the clock is to be set to, and by whom; nothing where it is right.
fn decide(times: Times) -> Option<(Duration, &'static str)> {
    let Times { now, last, battery } = times;
    let (time, by) = match battery {
        Some(battery) if battery.abs_diff(now) > Duration::from_secs(2) => (battery, "the battery's clock"),
        _ => (now, ""),
    };
    let (time, by) = match last {
        Some(last) if last > time => (last, "the end of the last boot: what the clock says is before it"),
        _ => (time, by),
    };
    (!by.is_empty() && time != now).then_some((time, by))
}

/// Sets the clock.
pub(super) fn time(job: &mut Job<'_>) {
    let now = Duration::from_micros(clock::wall_usec());
    let battery = machine::battery_clock(Path::new(state::BATTERY)).ok();
    // A kernel that has read it by itself has done so with all its driver knows.
    let is_read = fs::read_to_string("/sys/class/rtc/rtc0/hctosys").is_ok_and(|text| text.trim() == "1");
    let battery = battery.filter(|_| !is_read);
    if let Some((time, by)) = decide(Times { now, last: state::last_known_time(), battery }) {
        match machine::set_clock(time) {
            Ok(()) => job.say(&format!("the clock is set by {by}")),
            Err(error) => job.fail(&format!("cannot set the clock: {}", words(&error))),
        }
    }
}

/// Gives the kernel what the last boot left for this one, and keeps something for the next.
pub(super) fn seed(job: &mut Job<'_>) {
    state::stir();
    let credited = state::take_seed().and_then(|seed| {
        let pool = File::options().write(true).open("/dev/urandom")?;
        machine::credit_seed(&pool, &seed)
    });
    match credited {
        Ok(()) => job.trace("the seed of the last boot is in the pool"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            job.trace("there is no seed of a last boot")
        }
        Err(error) => job.say(&format!("cannot use the seed of the last boot: {}", words(&error))),
    }
    if let Err(error) = state::keep_seed() {
        job.trace(&format!("no seed is kept for the next boot yet: {}", words(&error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_battery_and_never_goes_behind_what_was_known() {
        let at = Duration::from_secs;
        let decide = |now, last: Option<u64>, battery: Option<u64>| {
            let times = Times { now: at(now), last: last.map(at), battery: battery.map(at) };
            decide(times).map(|(time, _)| time.as_secs())
        };
        assert_eq!(decide(100, None, None), None);
        assert_eq!(decide(0, None, Some(500)), Some(500));
        assert_eq!(decide(0, Some(700), Some(500)), Some(700));
        assert_eq!(decide(0, Some(700), None), Some(700));
        assert_eq!(decide(900, Some(700), None), None);
        assert_eq!(decide(900, Some(700), Some(901)), None);
        assert_eq!(decide(900, Some(700), Some(800)), Some(800));
    }
}

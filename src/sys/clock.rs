//! The two clocks: one that never jumps, for deadlines, and the one on the wall, for people.
//!
//! See [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html).

use crate::model::Moment;

/// The monotonic clock. It stands still while the machine sleeps, as deadlines of services should.
#[doc(alias = "CLOCK_MONOTONIC")]
pub fn now() -> Moment {
    let time = read(libc::CLOCK_MONOTONIC);
    Moment::from_nanos(seconds(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(time)))
}

/// The wall clock, in microseconds since 1970. It jumps: never wait by it.
#[doc(alias = "CLOCK_REALTIME")]
pub fn wall_usec() -> u64 {
    let time = read(libc::CLOCK_REALTIME);
    seconds(time.tv_sec).saturating_mul(1_000_000).saturating_add(part(time) / 1000)
}

/// The time of `clock`; zero where the kernel has no such clock, which Linux never lacks.
fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer. An error leaves it at zero and is none that can be
    // met: both clocks exist on every Linux.
    let _ = unsafe { libc::clock_gettime(clock, &mut time) };
    time
}

fn seconds(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}

fn part(time: libc::timespec) -> u64 {
    u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Does nothing for so long. Only where there is nothing to wait for: before the loop, or when not even memory is to be had.
#[doc(alias = "nanosleep")]
pub fn pause(duration: std::time::Duration) {
    let wished = libc::timespec {
        tv_sec: i32::try_from(duration.as_secs()).unwrap_or(i32::MAX).into(),
        tv_nsec: libc::c_long::from(duration.subsec_nanos().cast_signed()),
    };
    // SAFETY: `wished` is a valid time; what would be left of it is not asked for.
    unsafe { libc::nanosleep(&wished, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_runs_and_the_wall_clock_knows_the_century() {
        let first = now();
        while now() == first {}
        assert!(now() > first);
        let year_2020 = 1_577_836_800_000_000;
        assert!((year_2020..year_2020 * 3).contains(&wall_usec()));
    }
}

//! Moments on a clock that never jumps, and durations and sizes as people write them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the monotonic clock, counted in nanoseconds from a start that means nothing.
///
/// The engine never asks for the time; it is told, with every event. Deadlines are never on the wall
/// clock, which jumps at boot and whenever somebody sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// A moment from nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturates: the end of the clock, 584 years away, stands for "never".
    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A duration as people read it: `200 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`, `5 d 3 h`.
#[derive(Clone, Copy, Debug)]
pub struct Spoken(pub Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..10 if self.0.subsec_millis() >= 100 => {
                write!(f, "{}.{} s", seconds, self.0.subsec_millis() / 100)
            }
            1..60 => write!(f, "{seconds} s"),
            60..3600 => two(f, seconds / 60, "min", seconds % 60, "s"),
            3600..86_400 => two(f, seconds / 3600, "h", seconds % 3600 / 60, "min"),
            _ => two(f, seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
        }
    }
}

fn two(f: &mut fmt::Formatter<'_>, big: u64, big_unit: &str, small: u64, small_unit: &str) -> fmt::Result {
    match small {
        0 => write!(f, "{big} {big_unit}"),
        _ => write!(f, "{big} {big_unit} {small} {small_unit}"),
    }
}

/// Reads `100ms`, `30s`, `1h 30m`. A number without a unit is refused: seconds or milliseconds?
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|e| e.to_string())
}

/// Reads `64KiB`, `10MiB`, `10MB`, `512` (bytes). Binary suffixes count in 1024, decimal ones in 1000.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let factor: u64 = match suffix.trim() {
        "" | "B" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "TiB" | "T" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_people_write_them() {
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert!(parse_duration("30").is_err());
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("10MB"), Some(10_000_000));
        assert_eq!(parse_size("512"), Some(512));
        for text in ["", "MiB", "10 parsecs", "-1", "99999999999999TiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_is_said_with_at_most_two_units() {
        let say = |ms| Spoken(Duration::from_millis(ms)).to_string();
        assert_eq!(say(200), "200 ms");
        assert_eq!(say(4_250), "4.2 s");
        assert_eq!(say(42_000), "42 s");
        assert_eq!(say(185_000), "3 min 5 s");
        assert_eq!(say(7_800_000), "2 h 10 min");
        assert_eq!(say(86_400_000 * 5), "5 d");
    }

    #[test]
    fn the_end_of_the_clock_stands_for_never() {
        assert_eq!(Moment::from_nanos(1) + Duration::MAX, Moment::from_nanos(u64::MAX));
        assert_eq!(Moment::from_nanos(5).since(Moment::from_nanos(9)), Duration::ZERO);
    }
}

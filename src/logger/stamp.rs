//! The time of a line: RFC 3339 in UTC with microseconds, and never earlier than the line before.
//!
//! The wall clock is set back now and then; lines that were read one after the other must not change places when
//! somebody sorts them. While it is behind, each stamp is one microsecond after the last.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The end of the year 9999: what can be written.
const LAST_USEC: u64 = 253_402_300_799_999_999;

/// Makes the times of lines.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    last: u64,
    text: String,
}

impl Stamps {
    /// The time of what was read now; `wall` is the wall clock in microseconds since 1970.
    pub(super) fn at(&mut self, wall: u64) -> &str {
        let time = wall.max(self.last + u64::from(wall < self.last)).min(LAST_USEC);
        if time != self.last || self.text.is_empty() {
            self.last = time;
            self.text.clear();
            let time = humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_micros(time));
            let _ = write!(self.text, "{time}"); // Writing to memory does not fail.
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_changes_no_order() {
        let mut stamps = Stamps::default();
        let noon = 1_790_000_000_123_456;
        assert_eq!(stamps.at(noon), "2026-09-21T14:13:20.123456Z");
        let texts: Vec<String> =
            [noon, noon - 5_000_000, noon - 1, noon + 1, noon + 9].map(|at| stamps.at(at).to_owned()).into();
        assert_eq!(texts[0], "2026-09-21T14:13:20.123456Z");
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(texts[4], "2026-09-21T14:13:20.123465Z");
        assert_eq!(stamps.at(u64::MAX), "9999-12-31T23:59:59.999999Z");
    }
}

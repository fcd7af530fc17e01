//! Which way the lines of a pipe go, as PID 1 tells the logger. Pure.
//!
//! ```text
//!   [log] of the unit, settled ──▶ Route ──▶ 27 bytes of an attachment ──▶ Route ──▶ an outlet
//! ```

use crate::model::log::{KEEP, Log, LogFormat, LogTarget, MAX_LINE, MAX_SIZE, MIN_LINE, MOST_LINE, Rate};

/// Bytes of a route in a message.
pub(super) const ROUTE_SIZE: usize = 1 + 1 + 4 + 4 + 4 + 8 + 4;

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Nowhere: they are kept in the tail and looked at for a pattern.
    Silent,
    /// sexton's own output.
    Console,
    /// The unit's files: the size of one, and how many full ones are kept.
    File { max_size: u64, keep: u32 },
}

/// Where lines go, in what form and in what measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) goal: Goal,
    pub(super) format: LogFormat,
    pub(super) rate: Option<Rate>,
    pub(super) max_line: u32,
}

/// What a unit has a pipe for, though its output is not logged: a line of it says that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be logged.
    Log,
    /// To be looked at and shown as it came.
    Show,
    /// To be looked at.
    Look,
}

impl Route {
    /// The way of a unit whose settled `[log]` this is.
    pub(super) fn of(log: &Log, purpose: Purpose) -> Route {
        let format = log.format.unwrap_or_default();
        let max_line = log.max_line.unwrap_or(MAX_LINE);
        let (goal, format) = match (purpose, log.to) {
            (Purpose::Look, _) => (Goal::Silent, format),
            (Purpose::Show, _) => (Goal::Console, LogFormat::Raw),
            (Purpose::Log, LogTarget::File) => {
                let (max_size, keep) = (log.max_size.unwrap_or(MAX_SIZE), log.keep.unwrap_or(KEEP));
                (Goal::File { max_size, keep }, format)
            }
            (Purpose::Log, _) => (Goal::Console, format),
        };
        Route { goal, format, rate: log.rate, max_line }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (goal, max_size, keep) = match self.goal {
            Goal::Silent => (0, 0, 0),
            Goal::Console => (1, 0, 0),
            Goal::File { max_size, keep } => (2, max_size, keep),
        };
        let format = match self.format {
            LogFormat::Raw => 0,
            LogFormat::Prefix => 1,
            LogFormat::Json => 2,
        };
        let (lines, seconds) = self.rate.map_or((0, 0), |rate| (rate.lines, rate.seconds));
        out.extend([goal, format]);
        out.extend(self.max_line.to_le_bytes());
        out.extend(lines.to_le_bytes());
        out.extend(seconds.to_le_bytes());
        out.extend(max_size.to_le_bytes());
        out.extend(keep.to_le_bytes());
    }

    pub(super) fn decode(bytes: &[u8; ROUTE_SIZE]) -> Option<Route> {
        let [goal, format, rest @ ..] = bytes;
        let number = |at: usize| {
            let field = rest.get(at..at + 4).and_then(|field| field.try_into().ok());
            field.map_or(0, u32::from_le_bytes)
        };
        let rate = Some(Rate { lines: number(4), seconds: number(8) });
        Some(Route {
            goal: match goal {
                0 => Goal::Silent,
                1 => Goal::Console,
                2 => Goal::File {
                    max_size: u64::from(number(12)) | u64::from(number(16)) << 32,
                    keep: number(20),
                },
                _ => return None,
            },
            format: match format {
                0 => LogFormat::Raw,
                1 => LogFormat::Prefix,
                2 => LogFormat::Json,
                _ => return None,
            },
            rate: rate.filter(|rate| rate.lines > 0 && rate.seconds > 0),
            max_line: number(0).clamp(MIN_LINE, MOST_LINE),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_as_it_was_written() {
        let rate = Rate::parse("5/m");
        let log =
            |to, format| Log { to, format: Some(format), rate, max_size: Some(1 << 33), ..Log::default() };
        for (to, format, purpose) in [
            (LogTarget::File, LogFormat::Json, Purpose::Log),
            (LogTarget::Console, LogFormat::Prefix, Purpose::Log),
            (LogTarget::Inherit, LogFormat::Raw, Purpose::Show),
            (LogTarget::Null, LogFormat::Raw, Purpose::Look),
        ] {
            let route = Route::of(&log(to, format), purpose);
            let mut bytes = Vec::new();
            route.encode(&mut bytes);
            assert_eq!(Route::decode(bytes.as_slice().try_into().unwrap()), Some(route));
        }
        assert_eq!(Route::decode(&[9; ROUTE_SIZE]), None);
    }

    #[test]
    fn what_is_not_said_is_as_the_page_says() {
        let log = Log { to: LogTarget::File, ..Log::default() };
        let route = Route::of(&log, Purpose::Log);
        assert_eq!(route.goal, Goal::File { max_size: 10 << 20, keep: 5 });
        assert_eq!((route.format, route.rate, route.max_line), (LogFormat::Prefix, None, 16 << 10));
    }
}

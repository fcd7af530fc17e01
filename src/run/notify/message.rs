//! What a daemon says of itself: `READY=1` and its kin, one assignment a line. Pure.
//!
//! Unknown assignments are passed over, and so is what is malformed: a daemon that says something wrong has
//! said nothing. Each kind counts once a message, so a message yields a bounded number of notifications.
//!
//! See [sd_notify(3)](https://man7.org/linux/man-pages/man3/sd_notify.3.html).

use std::time::Duration;

use crate::model::Pid;

/// The longest status text that is kept.
pub const MAX_STATUS: usize = 256;

/// One thing that a daemon said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// `MAINPID=`: this process, which is one of the unit's own, is its main one now.
    MainPid(Pid),
    /// `EXTEND_TIMEOUT_USEC=`: it needs this long from now.
    ExtendTimeout(Duration),
    /// `STATUS=`: a line for people, printable and at most [`MAX_STATUS`] bytes.
    Status(String),
    /// `RELOADING=1`.
    Reloading,
    /// `READY=1`.
    Ready,
    /// `STOPPING=1`.
    Stopping,
}

/// Reads a message. The main process comes first, because what follows is said of it.
pub fn parse(message: &[u8]) -> Vec<Notification> {
    let mut found: [Option<Notification>; 6] = Default::default();
    for line in message.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default());
        let notification = assignment(key, value);
        let place = notification.as_ref().and_then(|said| found.get_mut(rank(said)));
        if let Some(place) = place {
            *place = notification;
        }
    }
    found.into_iter().flatten().collect()
}

fn assignment(key: &[u8], value: &[u8]) -> Option<Notification> {
    match (key, value) {
        (b"READY", b"1") => Some(Notification::Ready),
        (b"RELOADING", b"1") => Some(Notification::Reloading),
        (b"STOPPING", b"1") => Some(Notification::Stopping),
        (b"STATUS", text) => Some(Notification::Status(printable(text))),
        (b"MAINPID", number) => {
            let pid = i32::try_from(digits(number)?).ok().and_then(Pid::new)?;
            Some(Notification::MainPid(pid))
        }
        (b"EXTEND_TIMEOUT_USEC", number) => {
            Some(Notification::ExtendTimeout(Duration::from_micros(digits(number)?)))
        }
        _ => None,
    }
}

fn rank(notification: &Notification) -> usize {
    match notification {
        Notification::MainPid(_) => 0,
        Notification::ExtendTimeout(_) => 1,
        Notification::Status(_) => 2,
        Notification::Reloading => 3,
        Notification::Ready => 4,
        Notification::Stopping => 5,
    }
}

/// Digits and nothing else: no sign, no space.
fn digits(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The text as it can be shown on a terminal: what is no UTF-8 or controls one becomes a mark.
fn printable(text: &[u8]) -> String {
    let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = String::from_utf8_lossy(text).chars().take(MAX_STATUS).map(harmless).collect();
    shown.truncate(shown.floor_char_boundary(MAX_STATUS));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::random::Random;

    #[test]
    fn a_message_says_several_things_and_the_main_process_comes_first() {
        let message = b"READY=1\nSTATUS=serving 5 clients\nEXTEND_TIMEOUT_USEC=1500000\nMAINPID=4711\nX=y\n";
        assert_eq!(
            parse(message),
            [
                Notification::MainPid(Pid::new(4711).unwrap()),
                Notification::ExtendTimeout(Duration::from_millis(1500)),
                Notification::Status("serving 5 clients".into()),
                Notification::Ready,
            ]
        );
        assert_eq!(parse(b"RELOADING=1"), [Notification::Reloading]);
        assert_eq!(parse(b"STOPPING=1"), [Notification::Stopping]);
    }

    #[test]
    fn what_is_not_exactly_right_says_nothing() {
        for message in [
            "",
            "\n\n",
            "READY",
            "READY=",
            "READY=0",
            "READY=11",
            " READY=1",
            "ready=1",
            "READY=1\0",
            "\0",
            "MAINPID=",
            "MAINPID=0",
            "MAINPID=-1",
            "MAINPID=+7",
            "MAINPID= 7",
            "MAINPID=99999999999",
            "=1",
            "EXTEND_TIMEOUT_USEC=99999999999999999999999",
            "WATCHDOG=1",
            "FDSTORE=1",
            "BARRIER=1",
            "NOTIFYACCESS=all",
            "ERRNO=2",
            "WATCHDOG_USEC=5",
        ] {
            assert_eq!(parse(message.as_bytes()), [], "{message:?}");
        }
    }

    #[test]
    fn a_status_is_printable_and_short() {
        let status = |text: &[u8]| match parse(text).as_slice() {
            [Notification::Status(text)] => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(status(b"STATUS=a\x1b[2Jb\xff\0c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
        assert_eq!(status(&[b"STATUS=".as_slice(), &[b'x'; 4000]].concat()).len(), MAX_STATUS);
        let wide = format!("STATUS={}", "ü".repeat(1000));
        assert!(status(wide.as_bytes()).len() <= MAX_STATUS);
        assert_eq!(status(b"STATUS="), "");
        assert_eq!(status(b"STATUS=one\nSTATUS=two"), "two");
    }

    #[test]
    fn random_messages_yield_few_and_harmless_notifications() {
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let pieces: [&[u8]; 8] =
                [b"READY=1", b"STATUS=", b"MAINPID=", b"\n", b"7", b"\0", b"EXTEND_TIMEOUT_USEC=", b"\xff"];
            let message: Vec<u8> =
                (0..random.below(30)).flat_map(|_| pieces[random.below(8)].to_vec()).collect();
            let said = parse(&message);
            assert!(said.len() <= 6);
            let plain = |said: &Notification| match said {
                Notification::Status(text) => text.len() <= MAX_STATUS && !text.contains(char::is_control),
                _ => true,
            };
            assert!(said.iter().all(plain));
        }
    }
}

//! The little of HTTP that a probe speaks: one request, and the status of the answer. Pure.

use crate::model::unit::HttpTarget;

/// The most of an answer's head that is looked at: the status stands in its first line.
pub(super) const MAX_HEAD: usize = 4096;

/// The request. 1.0, so that the answer ends with the connection and no part of it is sent in chunks.
pub(super) fn request(target: &HttpTarget) -> Vec<u8> {
    let HttpTarget { host, path, .. } = target;
    format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: sexton\r\nConnection: close\r\n\r\n").into()
}

/// What the beginning of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// More has to be read.
    Unfinished,
    /// This status, 100 to 999.
    Status(u16),
    /// It is no HTTP.
    Nonsense,
}

impl Answer {
    /// Reads the beginning of an answer, of which no more than [`MAX_HEAD`] bytes are looked at.
    pub(super) fn read(head: &[u8]) -> Answer {
        const START: &[u8] = b"HTTP/1.";
        let compared = head.len().min(START.len());
        if head.get(..compared) != START.get(..compared) {
            return Answer::Nonsense;
        }
        // HTTP/1.1 200 and one more byte, so that 2000 is not read as 200.
        let Some(line) = head.get(..13) else { return Answer::Unfinished };
        let [.., version, b' ', a, b, c, after] = line else { return Answer::Nonsense };
        let digits = [a, b, c].map(|digit| digit.is_ascii_digit().then(|| u16::from(digit - b'0')));
        match (version.is_ascii_digit(), digits, after) {
            (true, [Some(a), Some(b), Some(c)], b' ' | b'\r' | b'\n') if a > 0 => {
                Answer::Status(a * 100 + b * 10 + c)
            }
            _ => Answer::Nonsense,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logger::random::Random;

    #[test]
    fn the_request_names_the_host_as_the_unit_wrote_it() {
        let target = HttpTarget {
            address: "127.0.0.1:80".parse().unwrap(),
            host: "app".into(),
            path: "/h?a=1".into(),
        };
        let text = String::from_utf8(request(&target)).unwrap();
        assert!(text.starts_with("GET /h?a=1 HTTP/1.0\r\nHost: app\r\n") && text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn the_status_is_read_and_nothing_else_is_taken_for_one() {
        assert_eq!(Answer::read(b"HTTP/1.1 200 OK\r\n"), Answer::Status(200));
        assert_eq!(Answer::read(b"HTTP/1.0 503\r\n\r\n"), Answer::Status(503));
        for part in ["", "H", "HTTP/1.", "HTTP/1.1 200"] {
            assert_eq!(Answer::read(part.as_bytes()), Answer::Unfinished, "{part}");
        }
        for text in
            ["SSH-2.0-OpenSSH", "HTTP/2.0 200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 abc OK", "HTTP/1.1  200 "]
        {
            assert_eq!(Answer::read(text.as_bytes()), Answer::Nonsense, "{text}");
        }
        assert_eq!(Answer::read(b"HTTP/1.1 099 OK"), Answer::Nonsense);
    }

    #[test]
    fn random_answers_are_a_status_or_none() {
        let mut random = Random::new(6);
        for _ in 0..20_000 {
            let head = [b"HTTP/1.".as_slice(), &random.text(b"01 29\r\nx\xff", 12)].concat();
            if let Answer::Status(status) = Answer::read(&head) {
                assert!((100..1000).contains(&status));
            }
        }
    }
}

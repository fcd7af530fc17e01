//! A number as programs print it and people write it: `15`, `-3`, `48211.5`.

use std::fmt;

/// A finite number. It can be compared and ordered, which `f64` by itself cannot.
#[derive(Clone, Copy, Debug)]
pub struct Number(f64);

impl Number {
    /// A number; `None` for what is infinite or none.
    pub fn new(value: f64) -> Option<Number> {
        // Two zeros would be equal and yet not the same.
        value.is_finite().then_some(Number(value + 0.0))
    }

    /// The first number in a text: digits with an optional sign before and an optional fraction after them.
    pub fn first_in(text: &str) -> Option<Number> {
        let bytes = text.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let start = (0..bytes.len()).find(|at| digit(*at))?;
        let mut end = start;
        while digit(end) {
            end += 1;
        }
        if bytes.get(end) == Some(&b'.') && digit(end + 1) {
            end += 1;
            while digit(end) {
                end += 1;
            }
        }
        let negative = start.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'-');
        let value: f64 = text.get(start..end)?.parse().ok()?;
        Number::new(if negative { -value } else { value })
    }

    /// Its value.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_text_is_found_whatever_stands_around_it() {
        for (text, number) in [
            ("15", Some(15.0)),
            ("dirty pages: 48211 of 98304", Some(48211.0)),
            ("Innodb_buffer_pool_pages_dirty\t120\n", Some(120.0)),
            ("lag -3.5 s", Some(-3.5)),
            ("1.", Some(1.0)),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(Number::first_in(text), number.and_then(Number::new), "{text}");
        }
    }

    #[test]
    fn zero_has_no_sign_and_infinity_is_no_number() {
        assert_eq!(Number::new(-0.0), Number::new(0.0));
        assert_eq!(Number::new(f64::INFINITY), None);
        assert_eq!(Number::new(f64::NAN), None);
        assert!(Number::new(14.9) < Number::new(15.0));
    }
}

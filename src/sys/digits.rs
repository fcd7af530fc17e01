//! A number as text, for a child that may not allocate.

/// A number as text, without an allocation of its own.
pub(super) struct Digits {
    text: [u8; 12],
    start: usize,
}

impl Digits {
    pub(super) fn new(number: i32) -> Digits {
        let mut digits = Digits { text: [0; 12], start: 12 };
        let mut rest = number.unsigned_abs();
        loop {
            digits.push(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            digits.push(b'-');
        }
        digits
    }

    fn push(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.text.get_mut(self.start) {
            *place = byte;
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
    }
}

//! The simulation's own dice, apart from those of the engine.

/// A sequence for each seed. Source: xorshift64*, Vigna, 2016.
pub(crate) struct Chance {
    state: u64,
    /// Some units are replaced while they serve.
    pub(crate) with_overlaps: bool,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d | 1;
        Chance { state, with_overlaps: false }
    }

    fn bits(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

//! Medians, and goals with what became of them.

/// The middle of what was measured.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What was to be reached, and what was.
pub struct Goals(Vec<(String, f64, f64)>);

impl Goals {
    pub fn new() -> Goals {
        Goals(Vec::new())
    }

    pub fn at_most(&mut self, what: &str, measured: f64, bound: f64) {
        self.0.push((what.to_owned(), measured, bound));
    }

    /// Prints them all; answers how many were missed.
    pub fn print(&self) -> usize {
        println!("\n{:<50} {:>9} {:>9}", "goal", "measured", "at most");
        let mut missed = 0;
        for (what, measured, bound) in &self.0 {
            let met = measured <= bound;
            missed += usize::from(!met);
            println!("{what:<50} {measured:>9.2} {bound:>9.2}  {}", if met { "met" } else { "MISSED" });
        }
        missed
    }
}

//! Why a unit is as it is: sentences, the most immediate first, each cause after what it caused.
use crate::model::Moment;

use super::Engine;
use super::event::UnitId;

impl Engine {
    /// Why this unit is as it is.
    pub fn why(&self, id: UnitId, now: Moment) -> Vec<String> {
        let _ = (id, now);
        Vec::new()
    }
}

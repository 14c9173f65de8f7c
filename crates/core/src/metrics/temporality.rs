//! What a point is about: what happened since the last collection, or since the beginning.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    Delta = 1,
    Cumulative = 2,
}

/// The times at which points start.
pub struct Interval {
    start: u64,
    last_collection: u64,
}

impl Interval {
    pub fn new(now: u64) -> Self {
        Self { start: now, last_collection: now }
    }

    /// The start of the point that is collected now.
    pub fn start(&mut self, temporality: Temporality, now: u64) -> u64 {
        match temporality {
            Temporality::Delta => std::mem::replace(&mut self.last_collection, now),
            Temporality::Cumulative => self.start,
        }
    }
}

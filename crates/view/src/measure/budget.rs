//! The sum of what a decoder is going to allocate.

use super::shapes::Shape;

/// Why a request is not decoded.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    TooLarge,
    /// serde takes an array of the fields' values for an object, which no sender writes and this walk does not follow.
    ArrayForObject,
}

pub struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// What the allocator adds to a small allocation, at most.
    const PER_ALLOCATION: usize = 16;

    pub fn charge(&mut self, bytes: usize) -> Result<(), Unfit> {
        self.left = self.left.checked_sub(bytes).ok_or(Unfit::TooLarge)?;
        Ok(())
    }

    /// For a string or bytes with an allocation of its own.
    pub fn charge_text(&mut self, bytes: usize) -> Result<(), Unfit> {
        if bytes == 0 { Ok(()) } else { self.charge(bytes + Self::PER_ALLOCATION) }
    }

    /// For one more item in a `Vec` of so many: its growth, which is by doubling from 4 on.
    pub fn charge_item(&mut self, items_before: usize, size: usize) -> Result<(), Unfit> {
        match items_before {
            0 => self.charge(4 * size + Self::PER_ALLOCATION),
            1..4 => Ok(()),
            _ if items_before.is_power_of_two() => self.charge(items_before * size),
            _ => Ok(()),
        }
    }

    pub fn spent(&self) -> usize {
        self.limit - self.left
    }
}

/// How many of each repeated field a message has so far, by the field's place in its shape.
#[derive(Default)]
pub struct Counts([usize; Shape::MAX_FIELDS]);

impl Counts {
    /// The number before this one.
    pub fn next(&mut self, field: usize) -> usize {
        let count = &mut self.0[field];
        *count += 1;
        *count - 1
    }
}

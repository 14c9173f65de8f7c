//! What both kinds of histograms keep besides buckets.

use std::cmp::Ordering;

use crate::otlp::Number;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub count: u64,
    pub sum: Number,
    /// Infinite if they are not recorded, as in the Python SDK.
    pub min: Number,
    pub max: Number,
}

impl Summary {
    pub const EMPTY: Self = Self {
        count: 0,
        sum: Number::ZERO,
        min: Number::Double(f64::INFINITY),
        max: Number::Double(f64::NEG_INFINITY),
    };

    #[inline]
    pub fn add(&mut self, value: Number, record_min_max: bool) {
        self.count += 1;
        self.sum = self.sum.plus(value);
        if record_min_max {
            self.widen(value, value);
        }
    }

    pub fn merge(&mut self, later: &Self) {
        self.count += later.count;
        // In the order of the Python SDK: it matters for which of two equal numbers stays.
        self.sum = later.sum.plus(self.sum);
        let (min, max) = (self.min, self.max);
        (self.min, self.max) = (later.min, later.max);
        self.widen(min, max);
    }

    #[inline]
    fn widen(&mut self, min: Number, max: Number) {
        if min.compare(self.min) == Ordering::Less {
            self.min = min;
        }
        if max.compare(self.max) == Ordering::Greater {
            self.max = max;
        }
    }
}

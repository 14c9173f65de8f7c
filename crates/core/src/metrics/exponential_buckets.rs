//! The counts of neighbouring exponential buckets, in a ring that grows at either end.

/// The Python SDK hands out the whole ring, so the ring's size is part of what is exported: it doubles up to the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExponentialBuckets {
    counts: Vec<u64>,
    /// The bucket whose count comes first in the ring.
    base: i64,
    first: i64,
    last: i64,
}

impl Default for ExponentialBuckets {
    fn default() -> Self {
        Self { counts: vec![0], base: 0, first: 0, last: 0 }
    }
}

impl ExponentialBuckets {
    /// Buckets of the same shape that count nothing.
    pub fn emptied(&self) -> Self {
        Self { counts: vec![0; self.counts.len()], ..*self }
    }

    pub fn is_empty(&self) -> bool {
        self.first == self.last && self.counts[self.place(self.first)] == 0
    }

    /// The first and the last bucket at a scale that is lower by `change`; None if nothing was counted.
    pub fn range(&self, change: u32) -> Option<(i64, i64)> {
        (self.counts != [0]).then_some((self.first >> change, self.last >> change))
    }

    pub fn offset(&self) -> i64 {
        self.first
    }

    /// The counts from the first bucket on, to the end of the ring.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = self.counts.clone();
        counts.rotate_right((self.base - self.first) as usize);
        counts
    }

    /// How many buckets there would be with this one among them, as the range from the first to the last.
    pub fn range_with(&self, bucket: i64) -> (i64, i64) {
        if self.is_empty() { (bucket, bucket) } else { (self.first.min(bucket), self.last.max(bucket)) }
    }

    /// Adds to the count of a bucket. With it there must be no more than `max_size`.
    pub fn add(&mut self, bucket: i64, count: u64, max_size: usize) {
        if self.is_empty() {
            (self.base, self.first, self.last) = (bucket, bucket, bucket);
        }
        if bucket < self.first || bucket > self.last {
            let (first, last) = self.range_with(bucket);
            let needed = (last - first + 1) as usize;
            if needed > self.counts.len() {
                self.grow(needed, max_size);
            }
            (self.first, self.last) = (first, last);
        }
        let place = self.place(bucket);
        self.counts[place] += count;
    }

    /// Adds the counts of buckets whose scale is higher by `change`.
    pub fn merge(&mut self, other: &Self, change: u32, max_size: usize) {
        for bucket in other.first..=other.last {
            let count = other.counts[other.place(bucket)];
            if count > 0 {
                self.add(bucket >> change, count, max_size);
            }
        }
    }

    /// Lowers the scale by `change`: joins each `2^change` buckets to one.
    pub fn downscale(&mut self, change: u32) {
        if change == 0 {
            return;
        }
        let counts = self.counts();
        let mut joined = vec![0; counts.len()];
        let first = self.first >> change;
        for (bucket, count) in std::iter::zip(self.first..=self.last, counts) {
            joined[((bucket >> change) - first) as usize] += count;
        }
        *self = Self { counts: joined, base: first, first, last: self.last >> change };
    }

    fn place(&self, bucket: i64) -> usize {
        (bucket - self.base).rem_euclid(self.counts.len() as i64) as usize
    }

    fn grow(&mut self, needed: usize, max_size: usize) {
        let size = needed.next_power_of_two().min(max_size);
        let before_base = (self.base - self.first) as usize;
        // What is before the base stays at the end of the ring.
        let from = self.counts.len() - before_base;
        self.counts.splice(from..from, std::iter::repeat_n(0, size - self.counts.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_added_at_both_ends() {
        let mut buckets = ExponentialBuckets::default();
        assert!(buckets.is_empty());
        for bucket in [5, 7, 4, 5, -1] {
            buckets.add(bucket, 1, 160);
        }
        assert_eq!((buckets.offset(), buckets.range(0)), (-1, Some((-1, 7))));
        assert_eq!(buckets.counts(), [1, 0, 0, 0, 0, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_lower_scale_joins_buckets() {
        let mut buckets = ExponentialBuckets::default();
        for bucket in -3..=4 {
            buckets.add(bucket, (bucket + 4) as u64, 8);
        }
        assert_eq!(buckets.counts(), [1, 2, 3, 4, 5, 6, 7, 8]);
        buckets.downscale(1);
        assert_eq!((buckets.offset(), buckets.range(0)), (-2, Some((-2, 2))));
        assert_eq!(buckets.counts()[..5], [1, 2 + 3, 4 + 5, 6 + 7, 8]);
    }

    #[test]
    fn merging_adds_at_the_lower_scale() {
        let (mut one, mut other) = (ExponentialBuckets::default(), ExponentialBuckets::default());
        one.add(1, 1, 160);
        [2, 3, 9].iter().for_each(|bucket| other.add(*bucket, 1, 160));
        one.merge(&other, 1, 160);
        assert_eq!((one.offset(), &one.counts()[..4]), (1, &[3, 0, 0, 1][..]));
        let before = one.counts();
        one.merge(&other.emptied(), 1, 160);
        assert_eq!(one.counts(), before);
    }
}

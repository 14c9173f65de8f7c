//! Counts of measurements in buckets with given bounds.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::metrics::summary::Summary;
use crate::metrics::temporality::{Interval, Temporality};
use crate::otlp::Number;

/// As the Python SDK's `_ExplicitBucketHistogramAggregation` of a synchronous instrument.
pub struct ExplicitHistogram {
    bounds: Arc<[Number]>,
    record_min_max: bool,
    /// Since the last collection: None if nothing was measured.
    counts: Option<Box<[u64]>>,
    summary: Summary,
    previous_counts: Box<[u64]>,
    previous: Summary,
    interval: Interval,
}

pub struct ExplicitPoint {
    pub start_time_unix_nano: u64,
    pub bucket_counts: Box<[u64]>,
    pub summary: Summary,
}

/// The first bucket whose bound is not below the value.
#[inline]
pub fn bucket_of(bounds: &[Number], value: Number) -> usize {
    let is_below = |bound: Number| bound.compare(value) == Ordering::Less;
    match value {
        // Next to always both are doubles: then a search is a few instructions.
        Number::Double(double) => bounds.partition_point(|bound| match *bound {
            Number::Double(bound) => bound < double,
            bound => is_below(bound),
        }),
        Number::Int(_) => bounds.partition_point(|bound| is_below(*bound)),
    }
}

impl ExplicitHistogram {
    pub fn new(bounds: Arc<[Number]>, record_min_max: bool, now: u64) -> Self {
        let empty = || vec![0; bounds.len() + 1].into_boxed_slice();
        Self {
            record_min_max,
            counts: None,
            summary: Summary::EMPTY,
            previous_counts: empty(),
            previous: Summary::EMPTY,
            interval: Interval::new(now),
            bounds,
        }
    }

    /// Returns the value's bucket.
    #[inline]
    pub fn add(&mut self, value: Number) -> usize {
        let buckets = self.bounds.len() + 1;
        let counts = self.counts.get_or_insert_with(|| vec![0; buckets].into());
        let bucket = bucket_of(&self.bounds, value);
        counts[bucket] += 1;
        self.summary.add(value, self.record_min_max);
        bucket
    }

    pub fn collect(&mut self, temporality: Temporality, now: u64) -> Option<ExplicitPoint> {
        let counts = self.counts.take();
        let summary = std::mem::replace(&mut self.summary, Summary::EMPTY);
        let start_time_unix_nano = self.interval.start(temporality, now);
        if temporality == Temporality::Delta {
            return Some(ExplicitPoint { start_time_unix_nano, bucket_counts: counts?, summary });
        }
        if let Some(counts) = counts {
            std::iter::zip(&mut self.previous_counts, &counts).for_each(|(sum, count)| *sum += count);
        }
        self.previous.merge(&summary);
        let bucket_counts = self.previous_counts.clone();
        Some(ExplicitPoint { start_time_unix_nano, bucket_counts, summary: self.previous })
    }
}

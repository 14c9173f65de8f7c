//! Counts of measurements in buckets with given bounds.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::metrics::summary::Summary;
use crate::metrics::temporality::{Interval, Temporality};
use crate::otlp::Number;

/// As the Python SDK's `_ExplicitBucketHistogramAggregation` of a synchronous instrument.
pub struct ExplicitHistogram {
    bounds: Arc<[Number]>,
    record_min_max: bool,
    /// As the next point has them.
    counts: Box<[u64]>,
    /// Since the last collection.
    summary: Summary,
    /// Before it, for cumulative points. Apart, because the Python SDK adds up in this order.
    previous: Summary,
    interval: Interval,
}

pub struct ExplicitPoint<'a> {
    pub start_time_unix_nano: u64,
    pub bucket_counts: Cow<'a, [u64]>,
    pub summary: Summary,
}

impl ExplicitPoint<'_> {
    pub fn into_owned(self) -> ExplicitPoint<'static> {
        ExplicitPoint { bucket_counts: Cow::Owned(self.bucket_counts.into_owned()), ..self }
    }
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
        Self {
            record_min_max,
            counts: vec![0; bounds.len() + 1].into(),
            summary: Summary::EMPTY,
            previous: Summary::EMPTY,
            interval: Interval::new(now),
            bounds,
        }
    }

    /// Returns the value's bucket.
    #[inline]
    pub fn add(&mut self, value: Number) -> usize {
        let bucket = bucket_of(&self.bounds, value);
        self.counts[bucket] += 1;
        self.summary.add(value, self.record_min_max);
        bucket
    }

    /// Hands the point to `take`, if there is one.
    pub fn collect<R>(
        &mut self,
        temporality: Temporality,
        now: u64,
        take: impl FnOnce(ExplicitPoint<'_>) -> R,
    ) -> Option<R> {
        let mut summary = std::mem::replace(&mut self.summary, Summary::EMPTY);
        let start_time_unix_nano = self.interval.start(temporality, now);
        let has_measurements = summary.count > 0;
        match temporality {
            Temporality::Delta if !has_measurements => return None,
            Temporality::Delta => {}
            Temporality::Cumulative => {
                if has_measurements {
                    self.previous.merge(&summary);
                }
                summary = self.previous;
            }
        }
        let bucket_counts = Cow::Borrowed(&*self.counts);
        let taken = take(ExplicitPoint { start_time_unix_nano, bucket_counts, summary });
        if temporality == Temporality::Delta {
            self.counts.fill(0);
        }
        Some(taken)
    }
}

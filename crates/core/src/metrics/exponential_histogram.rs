//! Counts of measurements in buckets whose bounds grow by a factor, with a scale that adapts to the values.

use std::cmp::Ordering;

use crate::metrics::exponential_buckets::ExponentialBuckets;
use crate::metrics::scale::Scale;
use crate::metrics::summary::Summary;
use crate::metrics::temporality::{Interval, Temporality};
use crate::otlp::Number;

#[derive(Clone, Copy)]
pub struct ExponentialSettings {
    /// At most so many buckets for positive, and so many for negative values.
    pub max_size: usize,
    pub max_scale: i32,
    pub record_min_max: bool,
}

/// As the Python SDK's `_ExponentialBucketHistogramAggregation` of a synchronous instrument.
pub struct ExponentialHistogram {
    settings: ExponentialSettings,
    scale: Scale,
    current: Option<Counts>,
    previous: Option<Counts>,
    interval: Interval,
}

#[derive(Clone)]
struct Counts {
    positive: ExponentialBuckets,
    negative: ExponentialBuckets,
    zeros: u64,
    summary: Summary,
    scale: i32,
}

pub struct ExponentialPoint {
    pub start_time_unix_nano: u64,
    pub scale: i32,
    pub zero_count: u64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
    pub summary: Summary,
}

impl ExponentialHistogram {
    pub fn new(settings: ExponentialSettings, now: u64) -> Self {
        let scale = Scale::new(settings.max_scale);
        Self { settings, scale, current: None, previous: None, interval: Interval::new(now) }
    }

    /// Returns whether the value may be an exemplar: as in the Python SDK, a zero is none.
    pub fn add(&mut self, value: Number) -> bool {
        let ExponentialSettings { max_size, record_min_max, .. } = self.settings;
        let current = self.current.get_or_insert_with(|| Counts::new(self.scale.scale));
        current.summary.add(value, record_min_max);
        let sign = value.compare(Number::ZERO);
        if sign == Ordering::Equal {
            current.zeros += 1;
            if current.zeros == current.summary.count {
                current.scale = 0;
            }
            return false;
        }
        let magnitude = value.as_f64().abs();
        let buckets = if sign == Ordering::Greater { &current.positive } else { &current.negative };
        let (first, last) = buckets.range_with(self.scale.bucket(magnitude));
        let change = scale_change(first, last, max_size);
        if change > 0 {
            current.positive.downscale(change);
            current.negative.downscale(change);
            self.scale = Scale::new(self.scale.scale - change as i32);
        }
        current.scale = self.scale.scale;
        let buckets = if sign == Ordering::Greater { &mut current.positive } else { &mut current.negative };
        buckets.add(self.scale.bucket(magnitude), 1, max_size);
        true
    }

    pub fn collect(&mut self, temporality: Temporality, now: u64) -> Option<ExponentialPoint> {
        let current = self.current.take();
        let start = self.interval.start(temporality, now);
        if temporality == Temporality::Delta {
            return current.map(|counts| counts.point(start));
        }
        if let Some(current) = current {
            match &mut self.previous {
                Some(previous) => previous.merge(&current, self.settings.max_size),
                none => *none = Some(current),
            }
        }
        self.previous.clone().map(|counts| counts.point(start))
    }
}

impl Counts {
    fn new(scale: i32) -> Self {
        let (positive, negative) = (ExponentialBuckets::default(), ExponentialBuckets::default());
        Self { positive, negative, zeros: 0, summary: Summary::EMPTY, scale }
    }

    fn merge(&mut self, later: &Self, max_size: usize) {
        let common = self.scale.min(later.scale);
        let changed = |scale: i32| (scale - common) as u32;
        let needed = |mine: &ExponentialBuckets, theirs: &ExponentialBuckets| {
            let ranges = [mine.range(changed(self.scale)), theirs.range(changed(later.scale))];
            let range = ranges.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            range.map_or(0, |(first, last)| scale_change(first, last, max_size))
        };
        let change = needed(&self.positive, &later.positive).max(needed(&self.negative, &later.negative));
        let scale = common - change as i32;
        let (mine, theirs) = ((self.scale - scale) as u32, (later.scale - scale) as u32);
        self.positive.downscale(mine);
        self.negative.downscale(mine);
        self.positive.merge(&later.positive, theirs, max_size);
        self.negative.merge(&later.negative, theirs, max_size);
        self.zeros += later.zeros;
        self.summary.merge(&later.summary);
        self.scale = scale;
    }

    fn point(self, start_time_unix_nano: u64) -> ExponentialPoint {
        let Self { positive, negative, zeros: zero_count, summary, scale } = self;
        ExponentialPoint { start_time_unix_nano, scale, zero_count, positive, negative, summary }
    }
}

/// By how much the scale must be lower for all buckets to have room.
fn scale_change(mut first: i64, mut last: i64, max_size: usize) -> u32 {
    let mut change = 0;
    while last - first >= max_size as i64 {
        first >>= 1;
        last >>= 1;
        change += 1;
    }
    change
}

//! One metric of one reader: the series of an instrument as a view shapes them.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use crate::metrics::attribute_set::{AttributeSet, Item, Scalar, hash_of};
use crate::metrics::exemplars::{Exemplar, Offer, Reservoir, ReservoirKind};
use crate::metrics::explicit_histogram::{ExplicitHistogram, ExplicitPoint};
use crate::metrics::exponential_histogram::{ExponentialHistogram, ExponentialPoint, ExponentialSettings};
use crate::metrics::series_map::{Series, SeriesMap};
use crate::metrics::sum::{LastValue, Sum};
use crate::metrics::temporality::Temporality;
use crate::otlp::{Metric, Number};
use crate::process::PerProcess;
use crate::process::report::{Kind, Level, Source, report};
use crate::process::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

#[derive(Clone)]
pub enum Aggregation {
    Sum { is_monotonic: bool },
    LastValue,
    Explicit { bounds: Arc<[Number]>, record_min_max: bool },
    Exponential(ExponentialSettings),
}

impl Aggregation {
    /// The field of a data point that its attributes go into.
    fn attributes_field(&self) -> u8 {
        match self {
            Self::Sum { .. } | Self::LastValue => 7,
            Self::Explicit { .. } => 9,
            Self::Exponential(_) => 1,
        }
    }

    fn state(&self, is_synchronous: bool, now: u64) -> State {
        match self {
            Self::Sum { .. } => State::Sum(Sum::new(is_synchronous, now)),
            Self::LastValue => State::LastValue(LastValue::new(is_synchronous)),
            Self::Explicit { bounds, record_min_max } => {
                State::Explicit(Box::new(ExplicitHistogram::new(Arc::clone(bounds), *record_min_max, now)))
            }
            Self::Exponential(settings) => State::Exponential(Box::new(ExponentialHistogram::new(*settings, now))),
        }
    }

    /// What a series takes in memory besides its attributes, at most.
    fn size(&self) -> usize {
        let histogram = match self {
            Self::Sum { .. } | Self::LastValue => 0,
            Self::Explicit { bounds, .. } => size_of::<ExplicitHistogram>() + 8 * (bounds.len() + 1),
            Self::Exponential(settings) => size_of::<ExponentialHistogram>() + 4 * 8 * settings.max_size,
        };
        size_of::<Series<Mutex<Cell>>>() + histogram
    }
}

pub struct Shape {
    pub name: String,
    pub description: String,
    pub unit: String,
    pub aggregation: Aggregation,
    pub temporality: Temporality,
    pub is_synchronous: bool,
    /// Other attributes do not tell series apart.
    pub attribute_keys: Option<HashSet<String>>,
    pub reservoir: ReservoirKind,
    /// At most so many series; what is beyond it is measured together.
    pub max_series: usize,
}

/// Memory for the series of a provider.
pub struct Budget {
    max_bytes: usize,
    used: PerProcess<AtomicUsize>,
    /// Measurements that went into an overflow series for want of room.
    overflowed: AtomicU64,
    source: Source,
}

impl Budget {
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, used: PerProcess::new(), overflowed: AtomicU64::new(0), source: Source::unique() }
    }

    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let used = self.used.get_or_make(|| AtomicUsize::new(0));
        let taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.max_bytes)
        });
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        if let Some(used) = self.used.get() {
            let _ = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used - bytes));
        }
    }

    fn count_overflow(&self, metric: &str) {
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        report(Level::Warning, Kind::TooManySeries, self.source, || {
            format!(
                "Too many series: measurements of `{metric}` with new attributes are counted together, with the \
                 attribute otel.metric.overflow. Leave out attributes with many values by a view, or raise \
                 OTEL_RS_METRICS_CARDINALITY_LIMIT or OTEL_RS_METRICS_MAX_BYTES ({} bytes)",
                self.max_bytes
            )
        });
    }
}

/// Told of each new series, by which a process begins to have something to collect.
pub trait Reader: Send + Sync {
    fn has_something(&self);
}

pub struct Stream {
    shape: Shape,
    head: Arc<[u8]>,
    budget: Arc<Budget>,
    reader: Option<Weak<dyn Reader>>,
    /// A forked child starts with none.
    series: PerProcess<SeriesMap<Mutex<Cell>>>,
    /// How long its metric was when it was last written.
    written_len: AtomicU64,
}

struct Cell {
    state: State,
    exemplars: Option<Box<Reservoir>>,
}

enum State {
    Sum(Sum),
    LastValue(LastValue),
    Explicit(Box<ExplicitHistogram>),
    Exponential(Box<ExponentialHistogram>),
}

pub enum Point<'a> {
    /// A gauge has no start time.
    Number {
        start_time_unix_nano: Option<u64>,
        value: Number,
    },
    Explicit(ExplicitPoint<'a>),
    Exponential(ExponentialPoint),
}

impl Point<'_> {
    pub fn into_owned(self) -> Point<'static> {
        match self {
            Self::Number { start_time_unix_nano, value } => Point::Number { start_time_unix_nano, value },
            Self::Explicit(point) => Point::Explicit(point.into_owned()),
            Self::Exponential(point) => Point::Exponential(point),
        }
    }
}

pub struct Collected<'a> {
    pub attributes: &'a AttributeSet,
    pub point: Point<'a>,
    pub exemplars: Vec<Exemplar>,
}

const OVERFLOW: [Item<'static>; 1] = [Item { key: "otel.metric.overflow", value: Scalar::Bool(true) }];

impl Stream {
    pub fn new(shape: Shape, budget: Arc<Budget>, reader: Option<Weak<dyn Reader>>) -> Self {
        let head = Metric::head(&shape.name, &shape.description, &shape.unit);
        Self { shape, head, budget, reader, series: PerProcess::new(), written_len: AtomicU64::new(0) }
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Takes a measurement. `hash` is that of `items`; `now` is called for the start of a new series.
    #[inline]
    pub fn measure(
        &self,
        items: &[Item<'_>],
        hash: u64,
        value: Number,
        offer: Option<&Offer<'_>>,
        now: impl Fn() -> u64,
    ) {
        match &self.shape.attribute_keys {
            None => self.measure_in(items, hash, value, offer, now),
            Some(keys) => {
                let kept: Vec<Item<'_>> = items.iter().filter(|item| keys.contains(item.key)).copied().collect();
                self.measure_in(&kept, hash_of(&kept), value, offer, now);
            }
        }
    }

    #[inline]
    fn measure_in(
        &self,
        items: &[Item<'_>],
        hash: u64,
        value: Number,
        offer: Option<&Offer<'_>>,
        now: impl Fn() -> u64,
    ) {
        let all = self.series.get_or_make(SeriesMap::default);
        let (series, overflows) = match all.find(items, hash) {
            Some(series) => (series, false),
            None => match self.add(all, items, hash, &now) {
                Some(added) => added,
                None => return,
            },
        };
        let mut cell = lock(&series.value);
        // The bucket, if there are buckets; None if the measurement cannot be an exemplar.
        let bucket = match &mut cell.state {
            State::Sum(sum) => {
                sum.add(value);
                Some(0)
            }
            State::LastValue(last) => {
                last.set(value);
                Some(0)
            }
            State::Explicit(histogram) => Some(histogram.add(value)),
            State::Exponential(histogram) => histogram.add(value).then_some(0),
        };
        if let (Some(offer), Some(bucket)) = (offer, bucket) {
            let make = || Box::new(Reservoir::new(self.shape.reservoir, hash ^ now()));
            let reservoir = cell.exemplars.get_or_insert_with(make);
            // Else the series has these items, which are all.
            let lacks_some = overflows || items.len() != offer.attributes.len();
            reservoir.offer(offer, bucket, lacks_some.then_some(&series.attributes), &now);
        }
    }

    /// The new series of these attributes; or the one of all that is too many, and true.
    #[cold]
    fn add<'a>(
        &self,
        all: &'a SeriesMap<Mutex<Cell>>,
        items: &[Item<'_>],
        hash: u64,
        now: impl Fn() -> u64,
    ) -> Option<(&'a Series<Mutex<Cell>>, bool)> {
        let Shape { aggregation, is_synchronous, max_series, .. } = &self.shape;
        let make = |items: &[Item<'_>], hash| {
            let attributes = AttributeSet::new(items, hash, aggregation.attributes_field()).ok()?;
            let state = aggregation.state(*is_synchronous, now());
            Some(Series { attributes, value: Mutex::new(Cell { state, exemplars: None }) })
        };
        let within_bounds = |count| {
            if count >= max_series.saturating_sub(1) {
                return None;
            }
            // Before it is made: it may be larger than what there is.
            let size = AttributeSet::size_of(items) + aggregation.size();
            if !self.budget.take(size) {
                return None;
            }
            let series = make(items, hash);
            if series.is_none() {
                self.budget.give_back(size);
            }
            series
        };
        let added = all.find_or_add(items, hash, within_bounds).map(|series| (series, false)).or_else(|| {
            self.budget.count_overflow(&self.shape.name);
            let hash = hash_of(&OVERFLOW);
            Some((all.find_or_add(&OVERFLOW, hash, |_| make(&OVERFLOW, hash))?, true))
        });
        if let Some(reader) = self.reader.as_ref().and_then(Weak::upgrade) {
            reader.has_something();
        }
        added
    }

    pub fn has_series(&self) -> bool {
        self.series.get().is_some_and(|series| !series.is_empty())
    }

    /// The metric's fields besides its points.
    pub fn head(&self) -> &Arc<[u8]> {
        &self.head
    }

    /// How long its metric was when it was last written: most likely it will be again.
    pub fn written_len(&self) -> usize {
        self.written_len.load(Ordering::Relaxed) as usize
    }

    pub fn set_written_len(&self, len: usize) {
        self.written_len.store(len as u64, Ordering::Relaxed);
    }

    /// Hands the points since the last collection to `take`, in the order in which their series were first measured. Who
    /// measures in a series waits while its point is taken.
    pub fn collect(&self, now: u64, mut take: impl FnMut(Collected<'_>)) {
        for series in &self.series.get_or_make(SeriesMap::default).all() {
            self.collect_series(series, now, &mut take);
        }
    }

    #[inline]
    fn collect_series(&self, series: &Series<Mutex<Cell>>, now: u64, take: &mut impl FnMut(Collected<'_>)) {
        let temporality = self.shape.temporality;
        let mut cell = lock(&series.value);
        let Cell { state, exemplars } = &mut *cell;
        let mut take = |point: Point<'_>| {
            let exemplars = exemplars.as_mut().map(|reservoir| reservoir.collect()).unwrap_or_default();
            take(Collected { attributes: &series.attributes, point, exemplars });
        };
        match state {
            State::Sum(sum) => {
                let point = sum.collect(temporality, now);
                point.map(|(start, value)| take(Point::Number { start_time_unix_nano: Some(start), value }))
            }
            State::LastValue(last) => {
                let value = last.collect(temporality);
                value.map(|value| take(Point::Number { start_time_unix_nano: None, value }))
            }
            State::Explicit(histogram) => histogram.collect(temporality, now, |point| take(Point::Explicit(point))),
            State::Exponential(histogram) => {
                histogram.collect(temporality, now).map(|point| take(Point::Exponential(point)))
            }
        };
    }
}

fn lock(cell: &Mutex<Cell>) -> MutexGuard<'_, Cell> {
    cell.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(aggregation: Aggregation, max_series: usize, max_bytes: usize) -> Stream {
        let shape = Shape {
            name: "metric".into(),
            description: String::new(),
            unit: String::new(),
            aggregation,
            temporality: Temporality::Cumulative,
            is_synchronous: true,
            attribute_keys: None,
            reservoir: ReservoirKind::FixedSize(1),
            max_series,
        };
        Stream::new(shape, Arc::new(Budget::new(max_bytes)), None)
    }

    fn count(stream: &Stream, key: i64, value: i64) {
        let items = [Item { key: "key", value: Scalar::Int(key) }];
        stream.measure(&items, hash_of(&items), Number::Int(value), None, || 1);
    }

    fn values(stream: &Stream) -> Vec<Number> {
        let mut values = Vec::new();
        stream.collect(2, |collected| match collected.point {
            Point::Number { value, .. } => values.push(value),
            _ => panic!("a sum is a number"),
        });
        values
    }

    /// Of one measurement, as an exemplar: its filtered attributes that have these keys.
    fn filtered(stream: &Stream, items: &[Item<'_>], keys: [&str; 3]) -> [bool; 3] {
        let offer = Offer { value: Number::Int(1), trace_and_span: None, attributes: items };
        stream.measure(items, hash_of(items), offer.value, Some(&offer), || 1);
        let mut exemplars = Vec::new();
        stream.collect(2, |collected| exemplars.extend(collected.exemplars));
        let filtered = exemplars.swap_remove(0).filtered_attributes.unwrap();
        keys.map(|key| filtered.has(key))
    }

    const SUM: Aggregation = Aggregation::Sum { is_monotonic: true };

    #[test]
    fn an_exemplar_has_what_its_point_lacks() {
        let items = ["a", "b", "c"].map(|key| Item { key, value: Scalar::Int(1) });
        let whole = stream(SUM, 2000, usize::MAX);
        assert_eq!(filtered(&whole, &items, ["a", "b", "c"]), [false; 3]);
        let mut parts = stream(SUM, 2000, usize::MAX);
        parts.shape.attribute_keys = Some(["b".to_owned(), "d".to_owned()].into());
        assert_eq!(filtered(&parts, &items, ["a", "b", "c"]), [true, false, true]);
        // Also with as many attributes as the series of what is too many has.
        let none = stream(SUM, 1, usize::MAX);
        for number in 1..=3 {
            let keys = ["a", "b", "otel.metric.overflow"];
            assert_eq!(filtered(&none, &items[..number], keys), [true, number > 1, false]);
        }
        assert_eq!(filtered(&none, &OVERFLOW, ["a", "b", "otel.metric.overflow"]), [false; 3]);
    }

    #[test]
    fn threads_lose_nothing() {
        const COUNT: i64 = if cfg!(miri) { 50 } else { 10_000 };
        let stream = stream(SUM, 2000, usize::MAX);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..COUNT).for_each(|number| count(&stream, number % 10, 1)));
            }
        });
        assert_eq!(values(&stream), [Number::Int(8 * COUNT / 10); 10]);
    }

    #[test]
    fn beyond_either_bound_all_is_measured_together() {
        for stream in [stream(SUM, 4, usize::MAX), stream(SUM, 2000, 900)] {
            (0..100).for_each(|key| count(&stream, key, 1));
            let all = values(&stream);
            assert!(all.len() < 10, "{all:?}");
            assert_eq!(all.iter().fold(Number::ZERO, |sum, value| sum.plus(*value)), Number::Int(100));
            let mut last_overflows = false;
            stream.collect(3, |collected| last_overflows = collected.attributes.has("otel.metric.overflow"));
            assert!(last_overflows);
            assert_eq!(stream.budget.overflowed() as usize, 100 - (all.len() - 1));
        }
    }
}

//! What a stream of measurements must come to, found by going through all of them again.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{self as proto, exemplar, number_data_point};
use otel_rs_core::metrics::{Aggregation, ExponentialSettings, ReservoirKind, Shape, Temporality};
use otel_rs_core::otlp::Number;
use prost::Message;

use super::input::key_value;
use super::model::assert_same;

pub struct Measurement<'a> {
    pub attributes: &'a [KeyValue],
    pub value: Number,
    /// The ids of its span, if it may become an exemplar.
    pub offered: Option<Option<(u128, u64)>>,
    pub time_unix_nano: u64,
}

pub enum Point {
    Number(proto::NumberDataPoint),
    Explicit(proto::HistogramDataPoint),
    Exponential(proto::ExponentialHistogramDataPoint),
}

/// Of one point: all that were offered, if there was room for so many.
pub struct Exemplars {
    offered: Vec<proto::Exemplar>,
    room: usize,
}

fn assert_all_same(found: &[proto::Exemplar], expected: &[proto::Exemplar]) {
    assert_eq!(found.len(), expected.len());
    std::iter::zip(found, expected).for_each(|(found, expected)| assert_same(found, expected));
}

impl Exemplars {
    pub fn check(&self, found: &[proto::Exemplar]) {
        if self.offered.len() <= self.room {
            assert_all_same(found, &self.offered);
            return;
        }
        assert_eq!(found.len(), self.room);
        let mut offered: Vec<_> = self.offered.iter().map(Message::encode_to_vec).collect();
        for exemplar in found.iter().map(Message::encode_to_vec) {
            let at = offered.iter().position(|offered| *offered == exemplar).expect("it was offered, and once");
            offered.remove(at);
        }
    }
}

pub struct Account {
    /// No series has room, but the one for them all.
    no_room: bool,
    pub overflowed: u64,
    series: Vec<Series>,
}

struct Series {
    identity: Vec<(String, Vec<u8>)>,
    attributes: Vec<KeyValue>,
    created: u64,
    last_collection: u64,
    /// The last one is still open.
    intervals: Vec<Vec<Number>>,
    offered: Vec<(Number, proto::Exemplar)>,
    /// Of the point before, of an observed sum.
    previous: Number,
    scale: Option<i32>,
    exponential: Option<Exponential>,
}

/// The same for attributes that are the same, in whatever order.
fn identity(attributes: &[KeyValue]) -> Vec<(String, Vec<u8>)> {
    let value = |attribute: &KeyValue| match &attribute.value {
        Some(AnyValue { value: Some(Value::DoubleValue(value)) }) if *value == 0.0 => b"zero".to_vec(),
        value => value.as_ref().map(Message::encode_to_vec).unwrap_or_default(),
    };
    let mut identity: Vec<_> = attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect();
    identity.sort();
    identity
}

impl Account {
    pub fn new(no_room: bool) -> Self {
        Self { no_room, overflowed: 0, series: Vec::new() }
    }

    pub fn measure(&mut self, shape: &Shape, measurement: &Measurement<'_>) {
        let Measurement { attributes, value, time_unix_nano, .. } = *measurement;
        let is_kept =
            |attribute: &&KeyValue| shape.attribute_keys.as_ref().is_none_or(|keys| keys.contains(&attribute.key));
        let kept: Vec<KeyValue> = attributes.iter().filter(is_kept).cloned().collect();
        let place = self.find(&kept).unwrap_or_else(|| {
            // One series less, for the one that has the others.
            if !self.no_room && self.series.len() + 1 < shape.max_series {
                return self.add(kept, time_unix_nano);
            }
            self.overflowed += 1;
            let value = AnyValue { value: Some(Value::BoolValue(true)) };
            let overflow = vec![key_value(("otel.metric.overflow".to_owned(), value))];
            self.find(&overflow).unwrap_or_else(|| self.add(overflow, time_unix_nano))
        });
        let series = &mut self.series[place];
        series.intervals.last_mut().expect("one is open").push(value);
        let cannot_be = matches!(shape.aggregation, Aggregation::Exponential(_)) && as_f64(value) == 0.0;
        if let Some(ids) = measurement.offered
            && !cannot_be
        {
            let is_lacking = |attribute: &&KeyValue| series.attributes.iter().all(|known| known.key != attribute.key);
            let filtered_attributes = attributes.iter().filter(is_lacking).cloned().collect();
            let (trace_id, span_id) =
                ids.map(|(trace, span)| (trace.to_be_bytes().into(), span.to_be_bytes().into())).unwrap_or_default();
            let sent = Some(match value {
                Number::Int(value) => exemplar::Value::AsInt(value),
                Number::Double(value) => exemplar::Value::AsDouble(value),
            });
            let exemplar = proto::Exemplar { filtered_attributes, time_unix_nano, span_id, trace_id, value: sent };
            series.offered.push((value, exemplar));
        }
    }

    fn find(&self, attributes: &[KeyValue]) -> Option<usize> {
        let identity = identity(attributes);
        self.series.iter().position(|series| series.identity == identity)
    }

    fn add(&mut self, attributes: Vec<KeyValue>, now: u64) -> usize {
        self.series.push(Series {
            identity: identity(&attributes),
            attributes,
            created: now,
            last_collection: now,
            intervals: vec![vec![]],
            offered: Vec::new(),
            previous: Number::Int(0),
            scale: None,
            exponential: None,
        });
        self.series.len() - 1
    }

    pub fn collect(&mut self, shape: &Shape, now: u64) -> Vec<(Point, Exemplars)> {
        self.series.iter_mut().filter_map(|series| series.collect(shape, now)).collect()
    }
}

impl Series {
    fn collect(&mut self, shape: &Shape, now: u64) -> Option<(Point, Exemplars)> {
        let exemplars = self.exemplars(shape);
        let is_delta = shape.temporality == Temporality::Delta;
        let interval = self.intervals.last().expect("one is open").clone();
        self.intervals.push(vec![]);
        let start_time_unix_nano = if is_delta { self.last_collection } else { self.created };
        // An observable instrument that did not observe a series has no interval, either.
        if shape.is_synchronous || !interval.is_empty() {
            self.last_collection = now;
        }
        let needs_some = is_delta || !shape.is_synchronous;
        if needs_some && interval.is_empty() {
            return None;
        }
        let intervals = if is_delta { vec![interval.clone()] } else { self.intervals.clone() };
        let point = match &shape.aggregation {
            Aggregation::Sum { .. } => Point::Number(self.sum(shape, &intervals, start_time_unix_nano, now)),
            Aggregation::LastValue => {
                Point::Number(self.number(*intervals.iter().flatten().last().expect("it was measured"), 0, now))
            }
            Aggregation::Explicit { bounds, record_min_max } => {
                let values: Vec<Number> = intervals.iter().flatten().copied().collect();
                let mut bucket_counts = vec![0; bounds.len() + 1];
                values.iter().for_each(|value| bucket_counts[bucket_of(bounds, *value)] += 1);
                let (min, max) = extremes(&intervals, *record_min_max);
                Point::Explicit(proto::HistogramDataPoint {
                    attributes: self.attributes.clone(),
                    start_time_unix_nano,
                    time_unix_nano: now,
                    count: values.len() as u64,
                    sum: Some(as_f64(total(&intervals))),
                    bucket_counts,
                    explicit_bounds: bounds.iter().map(|bound| as_f64(*bound)).collect(),
                    min: Some(min),
                    max: Some(max),
                    ..Default::default()
                })
            }
            Aggregation::Exponential(settings) => {
                let counted = self.exponential(settings, &interval, is_delta)?;
                let (min, max) = extremes(&intervals, settings.record_min_max);
                Point::Exponential(proto::ExponentialHistogramDataPoint {
                    attributes: self.attributes.clone(),
                    start_time_unix_nano,
                    time_unix_nano: now,
                    count: intervals.iter().map(|interval| interval.len() as u64).sum(),
                    sum: Some(as_f64(total(&intervals))),
                    scale: counted.scale,
                    zero_count: counted.zeros,
                    positive: Some(counted.positive.buckets()),
                    negative: Some(counted.negative.buckets()),
                    min: Some(min),
                    max: Some(max),
                    ..Default::default()
                })
            }
        };
        Some((point, exemplars))
    }

    fn number(&self, value: Number, start_time_unix_nano: u64, time_unix_nano: u64) -> proto::NumberDataPoint {
        let value = Some(match value {
            Number::Int(value) => number_data_point::Value::AsInt(value),
            Number::Double(value) => number_data_point::Value::AsDouble(value),
        });
        let attributes = self.attributes.clone();
        proto::NumberDataPoint { attributes, start_time_unix_nano, time_unix_nano, value, ..Default::default() }
    }

    fn sum(&mut self, shape: &Shape, intervals: &[Vec<Number>], start: u64, now: u64) -> proto::NumberDataPoint {
        if shape.is_synchronous {
            return self.number(total(intervals), start, now);
        }
        // The whole was observed, now and before.
        let closed = &self.intervals[self.intervals.len() - 2];
        let whole = total(std::slice::from_ref(closed));
        if shape.temporality == Temporality::Cumulative {
            return self.number(whole, start, now);
        }
        let previous = std::mem::replace(&mut self.previous, whole);
        self.number(minus(whole, previous), start, now)
    }

    fn exemplars(&mut self, shape: &Shape) -> Exemplars {
        let offered = std::mem::take(&mut self.offered);
        match shape.reservoir {
            ReservoirKind::FixedSize(room) => {
                Exemplars { offered: offered.into_iter().map(|(_, exemplar)| exemplar).collect(), room }
            }
            ReservoirKind::AlignedWithBuckets => {
                let bounds = match &shape.aggregation {
                    Aggregation::Explicit { bounds, .. } => bounds,
                    _ => &[][..],
                };
                let last: BTreeMap<_, _> =
                    offered.into_iter().map(|(value, exemplar)| (bucket_of(bounds, value), exemplar)).collect();
                Exemplars { offered: last.into_values().collect(), room: usize::MAX }
            }
        }
    }

    fn exponential(
        &mut self,
        settings: &ExponentialSettings,
        interval: &[Number],
        is_delta: bool,
    ) -> Option<Exponential> {
        if !interval.is_empty() {
            let scale = self.scale.get_or_insert(settings.max_scale);
            let mut counted = Exponential::of(interval, *scale);
            while !counted.fits(settings.max_size) {
                *scale -= 1;
                counted = Exponential::of(interval, *scale);
            }
            // As in the Python SDK.
            if counted.zeros == interval.len() as u64 {
                counted.scale = 0;
            }
            self.exponential = Some(match self.exponential.take() {
                Some(previous) if !is_delta => previous.and(counted, settings.max_size),
                _ => counted,
            });
        }
        self.exponential.clone()
    }
}

#[derive(Clone)]
struct Exponential {
    scale: i32,
    zeros: u64,
    positive: Counts,
    negative: Counts,
}

#[derive(Clone, Default)]
struct Counts(BTreeMap<i64, u64>);

impl Counts {
    fn add(&mut self, bucket: i64, count: u64) {
        *self.0.entry(bucket).or_default() += count;
    }

    fn fits(&self, max_size: usize) -> bool {
        let ends = self.0.keys().next().zip(self.0.keys().last());
        ends.is_none_or(|(first, last)| last - first < max_size as i64)
    }

    fn at_lower_scale(&self, change: i32) -> Self {
        let mut lower = Self::default();
        self.0.iter().for_each(|(bucket, count)| lower.add(bucket >> change, *count));
        lower
    }

    fn buckets(&self) -> proto::exponential_histogram_data_point::Buckets {
        let offset = self.0.keys().next().copied().unwrap_or(0);
        let mut bucket_counts = Vec::new();
        for (bucket, count) in &self.0 {
            bucket_counts.resize((bucket - offset) as usize, 0);
            bucket_counts.push(*count);
        }
        proto::exponential_histogram_data_point::Buckets { offset: offset as i32, bucket_counts }
    }
}

impl Exponential {
    fn of(values: &[Number], scale: i32) -> Self {
        let mut counted = Self { scale, zeros: 0, positive: Counts::default(), negative: Counts::default() };
        for value in values.iter().map(|value| as_f64(*value)) {
            match value.partial_cmp(&0.0).expect("no NaN is measured") {
                Ordering::Equal => counted.zeros += 1,
                Ordering::Greater => counted.positive.add(exponential_bucket(value, scale), 1),
                Ordering::Less => counted.negative.add(exponential_bucket(-value, scale), 1),
            }
        }
        counted
    }

    fn fits(&self, max_size: usize) -> bool {
        self.positive.fits(max_size) && self.negative.fits(max_size)
    }

    fn and(self, later: Self, max_size: usize) -> Self {
        let mut scale = self.scale.min(later.scale);
        loop {
            let joined = |mine: &Counts, theirs: &Counts| {
                let mut joined = mine.at_lower_scale(self.scale - scale);
                theirs
                    .at_lower_scale(later.scale - scale)
                    .0
                    .iter()
                    .for_each(|(bucket, count)| joined.add(*bucket, *count));
                joined
            };
            let both = Self {
                scale,
                zeros: self.zeros + later.zeros,
                positive: joined(&self.positive, &later.positive),
                negative: joined(&self.negative, &later.negative),
            };
            if both.fits(max_size) {
                return both;
            }
            scale -= 1;
        }
    }
}

/// The `i` of `2^(i / 2^scale) < value <= 2^((i + 1) / 2^scale)`. All below the normal numbers are as the least of those.
fn exponential_bucket(value: f64, scale: i32) -> i64 {
    let value = value.max(f64::MIN_POSITIVE);
    let exponent = (value.to_bits() >> 52) as i64 - 1023;
    let mantissa = f64::from_bits(value.to_bits() & ((1 << 52) - 1) | 1023 << 52);
    // In units of the highest scale's buckets, of which each other one is a whole number.
    let exact = (exponent << 20) + (mantissa.log2() * f64::from(1 << 20)).floor() as i64;
    (exact - i64::from(mantissa == 1.0)) >> (20 - scale)
}

fn bucket_of(bounds: &[Number], value: Number) -> usize {
    bounds.iter().position(|bound| compare(value, *bound).is_le()).unwrap_or(bounds.len())
}

pub fn as_f64(number: Number) -> f64 {
    match number {
        Number::Int(value) => value as f64,
        Number::Double(value) => value,
    }
}

/// Of numbers that are finite.
pub fn compare(a: Number, b: Number) -> Ordering {
    // The whole part, and whether something is left: a double that has some is far within an i128.
    let parts = |number| match number {
        Number::Int(value) => (i128::from(value), 0.0),
        Number::Double(value) => (value.floor() as i128, value - value.floor()),
    };
    match (a, b) {
        (Number::Double(a), Number::Double(b)) => a.partial_cmp(&b).expect("no NaN is measured"),
        _ => parts(a).partial_cmp(&parts(b)).expect("no NaN is measured"),
    }
}

fn plus(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) if a.checked_add(b).is_some() => Number::Int(a + b),
        _ => Number::Double(as_f64(a) + as_f64(b)),
    }
}

fn minus(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) if a.checked_sub(b).is_some() => Number::Int(a - b),
        _ => Number::Double(as_f64(a) - as_f64(b)),
    }
}

/// Each interval's values are added up by themselves: it matters for doubles.
fn total(intervals: &[Vec<Number>]) -> Number {
    let sum = |values: &[Number]| values.iter().fold(Number::Int(0), |sum, value| plus(sum, *value));
    intervals.iter().fold(Number::Int(0), |before, interval| plus(sum(interval), before))
}

/// The least and the greatest; of zeros, which alone differ in sign, the first of the last interval.
fn extremes(intervals: &[Vec<Number>], are_recorded: bool) -> (f64, f64) {
    let (mut min, mut max) = (Number::Double(f64::INFINITY), Number::Double(f64::NEG_INFINITY));
    for value in intervals.iter().rev().flatten().filter(|_| are_recorded) {
        if compare(*value, min).is_lt() {
            min = *value;
        }
        if compare(*value, max).is_gt() {
            max = *value;
        }
    }
    (as_f64(min), as_f64(max))
}

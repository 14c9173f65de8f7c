//! Metrics as OTLP messages (opentelemetry/proto/metrics/v1/metrics.proto).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::otlp::batch::{Resource, Scope};
use crate::otlp::wire::{self, Fields, Value, fixed64_tag, len_tag, varint_tag};

/// A point's fields that have another number in each kind of point.
pub struct PointFields {
    pub attributes: u8,
    pub exemplars: u8,
}

pub const NUMBER_POINT: PointFields = PointFields { attributes: 7, exemplars: 5 };
pub const HISTOGRAM_POINT: PointFields = PointFields { attributes: 9, exemplars: 8 };
pub const EXPONENTIAL_HISTOGRAM_POINT: PointFields = PointFields { attributes: 1, exemplars: 11 };
pub const EXEMPLAR_ATTRIBUTES: u8 = 7;

/// `data_points` of `Gauge`, `Sum` and the histograms.
const DATA_POINTS: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    fn put(self, out: &mut Vec<u8>, double: u8, int: u8) {
        match self {
            Number::Int(value) => wire::put_fixed64(out, fixed64_tag(int), value as u64),
            Number::Double(value) => wire::put_fixed64(out, fixed64_tag(double), value.to_bits()),
        }
    }
}

pub struct Exemplar<'a> {
    pub time_unix_nano: u64,
    pub value: Number,
    pub trace_and_span: Option<(u128, u64)>,
    /// Framed `KeyValue`s.
    pub filtered_attributes: &'a [u8],
}

impl Exemplar<'_> {
    /// Appends the exemplar as a field of a point.
    pub fn frame(&self, out: &mut Vec<u8>, point: &PointFields) {
        let start = out.len();
        put_time(out, 2, self.time_unix_nano);
        self.value.put(out, 3, 6);
        if let Some((trace_id, span_id)) = self.trace_and_span {
            wire::put_bytes(out, len_tag(4), &span_id.to_be_bytes());
            wire::put_bytes(out, len_tag(5), &trace_id.to_be_bytes());
        }
        out.extend_from_slice(self.filtered_attributes);
        wire::frame_from(out, start, len_tag(point.exemplars));
    }
}

/// What all kinds of points have.
pub struct Point<'a> {
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    /// Framed `KeyValue`s.
    pub attributes: &'a [u8],
    /// Framed, as `Exemplar::frame` does it.
    pub exemplars: &'a [u8],
}

impl Point<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        put_time(out, 2, self.start_time_unix_nano);
        put_time(out, 3, self.time_unix_nano);
        out.extend_from_slice(self.attributes);
        out.extend_from_slice(self.exemplars);
    }
}

pub struct Histogram<'a> {
    pub count: u64,
    pub sum: Option<f64>,
    pub bucket_counts: &'a [u64],
    pub explicit_bounds: &'a [f64],
    pub min: Option<f64>,
    pub max: Option<f64>,
}

pub struct ExponentialHistogram {
    pub count: u64,
    pub sum: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub positive: Option<Buckets>,
    pub negative: Option<Buckets>,
    pub flags: u32,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

pub struct Buckets {
    pub offset: i32,
    pub counts: Vec<u64>,
}

impl Buckets {
    fn frame(&self, out: &mut Vec<u8>, field: u8) {
        let start = out.len();
        wire::put_uint(out, varint_tag(1), zigzag(self.offset));
        let counts = out.len();
        self.counts.iter().for_each(|count| wire::put_varint(out, *count));
        wire::frame_from(out, counts, len_tag(2));
        wire::frame_from(out, start, len_tag(field));
    }
}

/// Framed data points, and where each ends.
#[derive(Default)]
pub struct Points {
    framed: Vec<u8>,
    ends: Vec<usize>,
}

impl Points {
    pub fn push_number(&mut self, point: &Point<'_>, value: Number) {
        self.push(|out| {
            point.put(out);
            value.put(out, 4, 6);
        });
    }

    pub fn push_histogram(&mut self, point: &Point<'_>, histogram: &Histogram<'_>) {
        self.push(|out| {
            point.put(out);
            put_time(out, 4, histogram.count);
            put_double(out, 5, histogram.sum);
            put_packed(out, 6, histogram.bucket_counts.iter().copied());
            put_packed(out, 7, histogram.explicit_bounds.iter().map(|bound| bound.to_bits()));
            put_double(out, 11, histogram.min);
            put_double(out, 12, histogram.max);
        });
    }

    pub fn push_exponential_histogram(&mut self, point: &Point<'_>, histogram: &ExponentialHistogram) {
        self.push(|out| {
            point.put(out);
            put_time(out, 4, histogram.count);
            put_double(out, 5, histogram.sum);
            wire::put_uint(out, varint_tag(6), zigzag(histogram.scale));
            put_time(out, 7, histogram.zero_count);
            if let Some(buckets) = &histogram.positive {
                buckets.frame(out, 8);
            }
            if let Some(buckets) = &histogram.negative {
                buckets.frame(out, 9);
            }
            wire::put_uint(out, varint_tag(10), u64::from(histogram.flags));
            put_double(out, 12, histogram.min);
            put_double(out, 13, histogram.max);
        });
    }

    fn push(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let start = self.framed.len();
        put(&mut self.framed);
        wire::frame_from(&mut self.framed, start, len_tag(DATA_POINTS));
        self.ends.push(self.framed.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn part(&self, part: Range<usize>) -> Self {
        let start = if part.start == 0 { 0 } else { self.ends[part.start - 1] };
        let ends: Vec<usize> = self.ends[part].iter().map(|end| end - start).collect();
        let end = start + ends.last().copied().unwrap_or(0);
        Self { framed: self.framed[start..end].to_vec(), ends }
    }
}

/// The field of `Metric` that the points are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MetricKind {
    Gauge = 5,
    Sum = 7,
    Histogram = 9,
    ExponentialHistogram = 10,
}

impl MetricKind {
    const FIELDS: [u32; 4] =
        [Self::Gauge as u32, Self::Sum as u32, Self::Histogram as u32, Self::ExponentialHistogram as u32];
}

pub struct Metric {
    /// `name`, `description` and `unit`, encoded.
    pub head: Arc<[u8]>,
    pub kind: MetricKind,
    /// `AggregationTemporality`: 1 delta, 2 cumulative.
    pub temporality: u64,
    pub is_monotonic: bool,
    pub points: Points,
}

impl Metric {
    pub fn head(name: &str, description: &str, unit: &str) -> Arc<[u8]> {
        let mut head = Vec::with_capacity(name.len() + description.len() + unit.len() + 16);
        for (field, text) in [(1, name), (2, description), (3, unit)] {
            if !text.is_empty() {
                wire::put_bytes(&mut head, len_tag(field), text.as_bytes());
            }
        }
        head.into()
    }

    fn part(&self, part: Range<usize>) -> Self {
        Self { head: Arc::clone(&self.head), points: self.points.part(part), ..*self }
    }

    fn frame(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.head);
        // A metric without points has no kind on the wire: so does the Python SDK's.
        if !self.points.is_empty() {
            let data = out.len();
            out.extend_from_slice(&self.points.framed);
            wire::put_uint(out, varint_tag(2), self.temporality);
            wire::put_uint(out, varint_tag(3), u64::from(self.is_monotonic));
            wire::frame_from(out, data, len_tag(self.kind as u8));
        }
        wire::frame_from(out, start, len_tag(2));
    }
}

/// How many data points an encoded metric has.
pub fn points_of(metric: &[u8]) -> u64 {
    let is_point = |(field, _): &(u32, Value<'_>)| *field == u32::from(DATA_POINTS);
    let data = Fields::of(metric).filter_map(|(field, value)| match value {
        Value::Bytes(data) if MetricKind::FIELDS.contains(&field) => Some(data),
        _ => None,
    });
    data.map(|data| Fields::of(data).filter(is_point).count() as u64).sum()
}

#[derive(Default)]
pub struct Metrics {
    pub resources: Vec<ResourceMetrics>,
}

pub struct ResourceMetrics {
    pub resource: Arc<Resource>,
    pub scopes: Vec<ScopeMetrics>,
}

pub struct ScopeMetrics {
    pub scope: Arc<Scope>,
    pub metrics: Vec<Metric>,
}

impl Metrics {
    /// How many data points there are.
    pub fn points(&self) -> usize {
        let scopes = self.resources.iter().flat_map(|resource| &resource.scopes);
        scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.points.len()).sum()
    }

    /// Parts of at most so many data points, in their order; what has no point is in none.
    pub fn split(self, max_points: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut open = Self::default();
        let mut room = max_points;
        for resource in &self.resources {
            for scope in &resource.scopes {
                for metric in &scope.metrics {
                    let mut done = 0;
                    while done < metric.points.len() {
                        let until = metric.points.len().min(done + room);
                        open.add(&resource.resource, &scope.scope, metric.part(done..until));
                        room -= until - done;
                        done = until;
                        if room == 0 {
                            parts.push(std::mem::take(&mut open));
                            room = max_points;
                        }
                    }
                }
            }
        }
        if !open.resources.is_empty() {
            parts.push(open);
        }
        parts
    }

    fn add(&mut self, resource: &Arc<Resource>, scope: &Arc<Scope>, metric: Metric) {
        if !self.resources.last().is_some_and(|last| Arc::ptr_eq(&last.resource, resource)) {
            self.resources.push(ResourceMetrics { resource: Arc::clone(resource), scopes: Vec::new() });
        }
        let scopes = &mut self.resources.last_mut().expect("pushed if there was none").scopes;
        if !scopes.last().is_some_and(|last| Arc::ptr_eq(&last.scope, scope)) {
            scopes.push(ScopeMetrics { scope: Arc::clone(scope), metrics: Vec::new() });
        }
        scopes.last_mut().expect("pushed if there was none").metrics.push(metric);
    }

    /// The `ExportMetricsServiceRequest`.
    pub fn request(&self) -> Bytes {
        let mut out = Vec::new();
        for resource in &self.resources {
            let start = out.len();
            wire::put_bytes(&mut out, len_tag(1), &resource.resource.message);
            for scope in &resource.scopes {
                let start = out.len();
                wire::put_bytes(&mut out, len_tag(1), &scope.scope.message);
                scope.metrics.iter().for_each(|metric| metric.frame(&mut out));
                put_schema_url(&mut out, &scope.scope.schema_url);
                wire::frame_from(&mut out, start, len_tag(2));
            }
            put_schema_url(&mut out, &resource.resource.schema_url);
            wire::frame_from(&mut out, start, len_tag(1));
        }
        out.into()
    }
}

fn put_schema_url(out: &mut Vec<u8>, url: &str) {
    if !url.is_empty() {
        wire::put_bytes(out, len_tag(3), url.as_bytes());
    }
}

/// A fixed64 field, left out when it is zero, protobuf's default.
fn put_time(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        wire::put_fixed64(out, fixed64_tag(field), value);
    }
}

/// An optional double: zero is a value.
fn put_double(out: &mut Vec<u8>, field: u8, value: Option<f64>) {
    if let Some(value) = value {
        wire::put_fixed64(out, fixed64_tag(field), value.to_bits());
    }
}

fn put_packed(out: &mut Vec<u8>, field: u8, values: impl ExactSizeIterator<Item = u64>) {
    if values.len() > 0 {
        wire::put_head(out, len_tag(field), values.len() as u64 * 8);
        let start = out.len();
        out.resize(start + values.len() * 8, 0);
        let places = out[start..].chunks_exact_mut(8);
        std::iter::zip(places, values).for_each(|(place, value)| place.copy_from_slice(&value.to_le_bytes()));
    }
}

/// Protobuf's form of a signed number: small ones of either sign are short.
fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::attributes::Attributes;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::{self as proto, metric::Data};
    use prost::Message;

    fn point<'a>(attributes: &'a [u8], exemplars: &'a [u8]) -> Point<'a> {
        Point { start_time_unix_nano: 10, time_unix_nano: 20, attributes, exemplars }
    }

    fn sum(name: &str, values: Range<i64>) -> Metric {
        let mut points = Points::default();
        values.for_each(|value| points.push_number(&point(&[], &[]), Number::Int(value)));
        Metric { head: Metric::head(name, "", "s"), kind: MetricKind::Sum, temporality: 2, is_monotonic: true, points }
    }

    fn scope() -> Arc<Scope> {
        let resource = Arc::new(Resource { message: vec![], schema_url: "r".into() });
        Arc::new(Scope { resource, message: vec![], schema_url: "s".into() })
    }

    fn all(metrics: Vec<Metric>) -> Metrics {
        let scope = scope();
        let resource = Arc::clone(&scope.resource);
        Metrics { resources: vec![ResourceMetrics { resource, scopes: vec![ScopeMetrics { scope, metrics }] }] }
    }

    fn decoded(metrics: &Metrics) -> proto::ResourceMetrics {
        ExportMetricsServiceRequest::decode(metrics.request()).unwrap().resource_metrics.remove(0)
    }

    #[test]
    fn histograms_decode_to_what_was_put_in() {
        let mut attributes = Attributes::new(HISTOGRAM_POINT.attributes, None);
        attributes.set("k", 1, b"\x0a\x01v", false);
        let mut exemplars = Vec::new();
        let value = Number::Double(0.0);
        Exemplar { time_unix_nano: 15, value, trace_and_span: Some((1, 2)), filtered_attributes: &[] }
            .frame(&mut exemplars, &HISTOGRAM_POINT);
        let mut points = Points::default();
        let (bucket_counts, explicit_bounds) = (&[1, 2, 0][..], &[-0.5, 9.0][..]);
        let (sum, min) = (Some(0.0), Some(-3.5));
        let histogram = Histogram { count: 3, sum, bucket_counts, explicit_bounds, min, max: None };
        points.push_histogram(&point(&attributes.bytes(), &exemplars), &histogram);
        let (head, temporality) = (Metric::head("h", "about", ""), 1);
        let explicit = Metric { head, kind: MetricKind::Histogram, temporality, is_monotonic: false, points };

        let mut attributes = Attributes::new(EXPONENTIAL_HISTOGRAM_POINT.attributes, None);
        attributes.set("k", 1, b"\x0a\x01v", false);
        let mut points = Points::default();
        let positive = Some(Buckets { offset: -7, counts: vec![300, 0, 1] });
        let (count, scale, zero_count, flags) = (301, -2, 9, 1);
        let (negative, max) = (None, Some(f64::INFINITY));
        let histogram =
            ExponentialHistogram { count, sum: None, scale, zero_count, positive, negative, flags, min: None, max };
        points.push_exponential_histogram(&point(&attributes.bytes(), &[]), &histogram);
        let (head, kind) = (Metric::head("e", "", ""), MetricKind::ExponentialHistogram);
        let exponential = Metric { head, kind, temporality, is_monotonic: false, points };

        let resource = decoded(&all(vec![explicit, exponential]));
        assert_eq!((resource.schema_url.as_str(), resource.scope_metrics[0].schema_url.as_str()), ("r", "s"));
        let [explicit, exponential] = &resource.scope_metrics[0].metrics[..] else { panic!("two metrics") };
        assert_eq!((explicit.name.as_str(), explicit.description.as_str(), explicit.unit.as_str()), ("h", "about", ""));
        let Some(Data::Histogram(data)) = &explicit.data else { panic!("a histogram") };
        assert_eq!(data.aggregation_temporality, 1);
        let point = &data.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano, point.count), (10, 20, 3));
        assert_eq!((point.sum, point.min, point.max), (Some(0.0), Some(-3.5), None));
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (bucket_counts, explicit_bounds));
        assert_eq!(point.attributes[0].key, "k");
        let exemplar = &point.exemplars[0];
        assert_eq!((exemplar.trace_id[15], exemplar.span_id[7], exemplar.time_unix_nano), (1, 2, 15));
        assert_eq!(exemplar.value, Some(proto::exemplar::Value::AsDouble(0.0)));
        let Some(Data::ExponentialHistogram(data)) = &exponential.data else { panic!("an exponential histogram") };
        let point = &data.data_points[0];
        assert_eq!((point.scale, point.zero_count, point.count, point.flags), (-2, 9, 301, 1));
        assert_eq!((point.sum, point.min, point.max), (None, None, Some(f64::INFINITY)));
        let positive = point.positive.as_ref().unwrap();
        assert_eq!((positive.offset, &positive.bucket_counts[..]), (-7, &[300, 0, 1][..]));
        assert_eq!((point.negative.is_none(), point.attributes[0].key.as_str()), (true, "k"));
    }

    #[test]
    fn parts_have_at_most_so_many_points_and_all_of_them_in_order() {
        for max in 1..9 {
            let metrics = all(vec![sum("a", 0..3), sum("none", 0..0), sum("b", 3..4), sum("c", 4..8)]);
            let parts = metrics.split(max);
            let mut values = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                let before = values.len();
                for metric in &decoded(part).scope_metrics[0].metrics {
                    let Some(Data::Sum(data)) = &metric.data else { panic!("a sum") };
                    assert!(data.is_monotonic && data.aggregation_temporality == 2 && metric.unit == "s");
                    values.extend(data.data_points.iter().map(|point| (metric.name.clone(), point.value)));
                }
                assert!(values.len() - before == max || at == parts.len() - 1);
            }
            let expected: Vec<_> = [("a", 0..3), ("b", 3..4), ("c", 4..8)]
                .into_iter()
                .flat_map(|(name, values)| values.map(move |value| (name.to_owned(), value)))
                .map(|(name, value)| (name, Some(proto::number_data_point::Value::AsInt(value))))
                .collect();
            assert_eq!(values, expected, "{max}");
        }
    }

    #[test]
    fn zigzag_is_protobufs() {
        let pairs = [(0, 0), (-1, 1), (1, 2), (i32::MAX, 0xffff_fffe), (i32::MIN, 0xffff_ffff)];
        assert!(pairs.iter().all(|(signed, encoded)| zigzag(*signed) == *encoded));
    }
}

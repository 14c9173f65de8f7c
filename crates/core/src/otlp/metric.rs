//! Metrics as OTLP messages (opentelemetry/proto/metrics/v1/metrics.proto).

use std::sync::Arc;

use bytes::Bytes;

use crate::otlp::batch::{Resource, Scope};
use crate::otlp::memory::{OutOfMemory, make_room};
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
        // Two numbers and two ids.
        let expected = 2 * FIXED64_FIELD + 28 + self.filtered_attributes.len();
        wire::put_framed(out, len_tag(point.exemplars), expected, |out| {
            put_time(out, 2, self.time_unix_nano);
            self.value.put(out, 3, 6);
            if let Some((trace_id, span_id)) = self.trace_and_span {
                wire::put_bytes(out, len_tag(4), &span_id.to_be_bytes());
                wire::put_bytes(out, len_tag(5), &trace_id.to_be_bytes());
            }
            out.extend_from_slice(self.filtered_attributes);
        });
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
    /// Appends a point of a gauge or a sum, as a field of its metric's data.
    pub fn frame_number(&self, out: &mut Vec<u8>, value: Number) -> Result<(), OutOfMemory> {
        self.frame(out, 0, 0, |out| value.put(out, 4, 6))
    }

    pub fn frame_histogram(&self, out: &mut Vec<u8>, histogram: &Histogram<'_>) -> Result<(), OutOfMemory> {
        let Histogram { count, sum, bucket_counts, explicit_bounds, min, max } = *histogram;
        let expected = 8 * bucket_counts.len() + explicit_bounds.len() + 4 * FIXED64_FIELD;
        self.frame(out, expected, 0, |out| {
            put_time(out, 4, count);
            put_double(out, 5, sum);
            put_packed(out, 6, bucket_counts.iter().copied());
            out.extend_from_slice(explicit_bounds);
            put_double(out, 11, min);
            put_double(out, 12, max);
        })
    }

    pub fn frame_exponential_histogram(
        &self,
        out: &mut Vec<u8>,
        histogram: &ExponentialHistogram,
    ) -> Result<(), OutOfMemory> {
        let buckets = [&histogram.positive, &histogram.negative].into_iter().flatten();
        let counts: usize = buckets.map(|buckets| buckets.counts.len()).sum();
        // A count is one byte, or some more.
        let more = counts * (wire::MAX_VARINT_LEN - 1) + 2 * HEADS;
        self.frame(out, counts + 5 * FIXED64_FIELD, more, |out| {
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
        })
    }

    /// What `put` appends is about `expected` bytes long, and at most `more` than that.
    #[inline]
    fn frame(
        &self,
        out: &mut Vec<u8>,
        expected: usize,
        more: usize,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), OutOfMemory> {
        let expected = self.attributes.len() + self.exemplars.len() + 3 * FIXED64_FIELD + expected;
        make_room(out, HEADS + expected + more)?;
        wire::put_framed(out, len_tag(DATA_POINTS), expected, |out| {
            put_time(out, 2, self.start_time_unix_nano);
            put_time(out, 3, self.time_unix_nano);
            out.extend_from_slice(self.attributes);
            out.extend_from_slice(self.exemplars);
            put(out);
        });
        Ok(())
    }
}

/// A tag and a value.
const FIXED64_FIELD: usize = 9;

pub struct Histogram<'a> {
    pub count: u64,
    pub sum: Option<f64>,
    pub bucket_counts: &'a [u64],
    /// Framed, as `frame_explicit_bounds` does it.
    pub explicit_bounds: &'a [u8],
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// As the field of a histogram's point.
pub fn frame_explicit_bounds(bounds: &[f64]) -> Vec<u8> {
    let mut framed = Vec::new();
    put_packed(&mut framed, 7, bounds.iter().map(|bound| bound.to_bits()));
    framed
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
        wire::put_framed(out, len_tag(field), HEADS + self.counts.len(), |out| {
            wire::put_uint(out, varint_tag(1), zigzag(self.offset));
            wire::put_framed(out, len_tag(2), self.counts.len(), |out| {
                self.counts.iter().for_each(|count| wire::put_varint(out, *count));
            });
        });
    }
}

/// Framed data points.
#[derive(Default)]
pub struct Points {
    framed: Vec<u8>,
    len: usize,
}

impl Points {
    /// So many points that are framed already.
    pub fn of(framed: Vec<u8>, len: usize) -> Self {
        Self { framed, len }
    }

    pub fn push_number(&mut self, point: &Point<'_>, value: Number) -> Result<(), OutOfMemory> {
        point.frame_number(&mut self.framed, value)?;
        self.len += 1;
        Ok(())
    }

    pub fn push_histogram(&mut self, point: &Point<'_>, histogram: &Histogram<'_>) -> Result<(), OutOfMemory> {
        point.frame_histogram(&mut self.framed, histogram)?;
        self.len += 1;
        Ok(())
    }

    pub fn push_exponential_histogram(
        &mut self,
        point: &Point<'_>,
        histogram: &ExponentialHistogram,
    ) -> Result<(), OutOfMemory> {
        point.frame_exponential_histogram(&mut self.framed, histogram)?;
        self.len += 1;
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where each point begins, and where the last one ends.
    fn places(&self) -> Vec<usize> {
        let mut fields = Fields::of(&self.framed);
        let ends = std::iter::from_fn(|| fields.next().map(|_| self.framed.len() - fields.rest().len()));
        std::iter::once(0).chain(ends).collect()
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

    /// With these of its points, which are framed.
    fn part(&self, framed: &[u8], len: usize) -> Result<Self, OutOfMemory> {
        let mut copy = Vec::new();
        make_room(&mut copy, framed.len())?;
        copy.extend_from_slice(framed);
        Ok(Self { head: Arc::clone(&self.head), points: Points::of(copy, len), ..*self })
    }

    /// How long it is with its frame, at most.
    pub fn expected_len(&self) -> usize {
        self.head.len() + self.points.framed.len() + HEADS
    }

    /// Appends the metric with its points, and returns how many there are.
    pub fn frame(&self, out: &mut Vec<u8>) -> Result<usize, OutOfMemory> {
        let Points { framed, len } = &self.points;
        self.frame_with(out, framed.len(), |out| {
            make_room(out, framed.len())?;
            out.extend_from_slice(framed);
            Ok(*len)
        })
    }

    /// Appends the metric with the points that `put` appends; these take `expected` bytes, about. `put` returns how many
    /// there are.
    pub fn frame_with(
        &self,
        out: &mut Vec<u8>,
        expected: usize,
        put: impl FnOnce(&mut Vec<u8>) -> Result<usize, OutOfMemory>,
    ) -> Result<usize, OutOfMemory> {
        make_room(out, self.head.len() + HEADS)?;
        wire::put_framed(out, len_tag(2), self.head.len() + expected, |out| {
            out.extend_from_slice(&self.head);
            let data = out.len();
            let points = wire::put_framed(out, len_tag(self.kind as u8), expected, |out| {
                let points = put(out)?;
                make_room(out, HEADS)?;
                wire::put_uint(out, varint_tag(2), self.temporality);
                wire::put_uint(out, varint_tag(3), u64::from(self.is_monotonic));
                Ok::<_, OutOfMemory>(points)
            })?;
            if points == 0 {
                // A metric without points has no kind on the wire: so does the Python SDK's.
                out.truncate(data);
            }
            Ok(points)
        })
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

/// Metrics, or what becomes a metric when it is written.
pub struct Metrics<M = Metric> {
    pub resources: Vec<ResourceMetrics<M>>,
}

pub struct ResourceMetrics<M = Metric> {
    pub resource: Arc<Resource>,
    pub scopes: Vec<ScopeMetrics<M>>,
}

pub struct ScopeMetrics<M = Metric> {
    pub scope: Arc<Scope>,
    pub metrics: Vec<M>,
}

impl<M> Default for Metrics<M> {
    fn default() -> Self {
        Self { resources: Vec::new() }
    }
}

/// Tags and lengths of a message with a few fields, at most.
const HEADS: usize = 32;

impl<M> FromIterator<(Arc<Scope>, M)> for Metrics<M> {
    /// Grouped by scope and resource, in the order in which those come first.
    fn from_iter<I: IntoIterator<Item = (Arc<Scope>, M)>>(metrics: I) -> Self {
        let mut scopes: Vec<ScopeMetrics<M>> = Vec::new();
        for (scope, metric) in metrics {
            match scopes.iter_mut().find(|known| Arc::ptr_eq(&known.scope, &scope)) {
                Some(known) => known.metrics.push(metric),
                None => scopes.push(ScopeMetrics { scope, metrics: vec![metric] }),
            }
        }
        let mut resources: Vec<ResourceMetrics<M>> = Vec::new();
        for scope in scopes {
            let resource = &scope.scope.resource;
            match resources.iter_mut().find(|known| Arc::ptr_eq(&known.resource, resource)) {
                Some(known) => known.scopes.push(scope),
                None => resources.push(ResourceMetrics { resource: Arc::clone(resource), scopes: vec![scope] }),
            }
        }
        Self { resources }
    }
}

impl<M> Metrics<M> {
    /// Appends the `ExportMetricsServiceRequest`. `put` appends a metric, whose length is `expected`, about; or nothing.
    /// A scope or resource with no other metrics is left out. Without memory for all of it what is in `out` is no
    /// message.
    pub fn put(
        &self,
        out: &mut Vec<u8>,
        expected: impl Fn(&M) -> usize,
        mut put: impl FnMut(&mut Vec<u8>, &M) -> Result<(), OutOfMemory>,
    ) -> Result<(), OutOfMemory> {
        make_room(out, self.resources.iter().map(|resource| resource.expected_len(&expected)).sum())?;
        self.resources.iter().try_for_each(|resource| resource.put(out, &expected, &mut put))
    }
}

impl<M> ResourceMetrics<M> {
    fn expected_len(&self, expected: &impl Fn(&M) -> usize) -> usize {
        let scopes: usize = self.scopes.iter().map(|scope| scope.expected_len(expected)).sum();
        HEADS + self.resource.message.len() + self.resource.schema_url.len() + scopes
    }

    fn put(
        &self,
        out: &mut Vec<u8>,
        expected: &impl Fn(&M) -> usize,
        put: &mut impl FnMut(&mut Vec<u8>, &M) -> Result<(), OutOfMemory>,
    ) -> Result<(), OutOfMemory> {
        let Resource { message, schema_url } = &*self.resource;
        put_group(out, 1, self.expected_len(expected), message, schema_url, &self.scopes, |out, scope| {
            scope.put(out, expected, put)
        })
    }
}

impl<M> ScopeMetrics<M> {
    fn expected_len(&self, expected: &impl Fn(&M) -> usize) -> usize {
        HEADS
            + self.scope.message.len()
            + self.scope.schema_url.len()
            + self.metrics.iter().map(expected).sum::<usize>()
    }

    fn put(
        &self,
        out: &mut Vec<u8>,
        expected: &impl Fn(&M) -> usize,
        put: &mut impl FnMut(&mut Vec<u8>, &M) -> Result<(), OutOfMemory>,
    ) -> Result<(), OutOfMemory> {
        let Scope { message, schema_url, .. } = &*self.scope;
        put_group(out, 2, self.expected_len(expected), message, schema_url, &self.metrics, put)
    }
}

/// Appends what describes a resource or a scope, and its members; nothing, if it has members but none appends anything.
fn put_group<T>(
    out: &mut Vec<u8>,
    field: u8,
    expected: usize,
    message: &[u8],
    schema_url: &str,
    members: &[T],
    mut put: impl FnMut(&mut Vec<u8>, &T) -> Result<(), OutOfMemory>,
) -> Result<(), OutOfMemory> {
    let start = out.len();
    make_room(out, message.len() + HEADS)?;
    let is_empty = wire::put_framed(out, len_tag(field), expected, |out| {
        wire::put_bytes(out, len_tag(1), message);
        let before = out.len();
        members.iter().try_for_each(|member| put(out, member))?;
        make_room(out, schema_url.len() + HEADS)?;
        let is_empty = out.len() == before;
        if !schema_url.is_empty() {
            wire::put_bytes(out, len_tag(3), schema_url.as_bytes());
        }
        Ok::<_, OutOfMemory>(is_empty)
    })?;
    if is_empty && !members.is_empty() {
        out.truncate(start);
    }
    Ok(())
}

impl Metrics {
    /// How many data points there are.
    pub fn points(&self) -> usize {
        let scopes = self.resources.iter().flat_map(|resource| &resource.scopes);
        scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.points.len()).sum()
    }

    /// Parts of at most so many data points, in their order; what has no point is in none.
    pub fn split(self, max_points: usize) -> Result<Vec<Self>, OutOfMemory> {
        let mut parts = Vec::new();
        let mut open = Self::default();
        let mut room = max_points;
        for resource in &self.resources {
            for scope in &resource.scopes {
                for metric in &scope.metrics {
                    let places = metric.points.places();
                    let mut done = 0;
                    while done < metric.points.len() {
                        let until = metric.points.len().min(done + room);
                        let framed = &metric.points.framed[places[done]..places[until]];
                        open.add(&resource.resource, &scope.scope, metric.part(framed, until - done)?);
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
        Ok(parts)
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
    pub fn request(&self) -> Result<Bytes, OutOfMemory> {
        let mut out = Vec::new();
        self.put(&mut out, Metric::expected_len, |out, metric| metric.frame(out).map(drop))?;
        Ok(out.into())
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
    use std::ops::Range;

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
        values.for_each(|value| points.push_number(&point(&[], &[]), Number::Int(value)).unwrap());
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
        ExportMetricsServiceRequest::decode(metrics.request().unwrap()).unwrap().resource_metrics.remove(0)
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
        let (bucket_counts, bounds) = (&[1, 2, 0][..], &[-0.5, 9.0][..]);
        let explicit_bounds = &frame_explicit_bounds(bounds);
        let (sum, min) = (Some(0.0), Some(-3.5));
        let histogram = Histogram { count: 3, sum, bucket_counts, explicit_bounds, min, max: None };
        points.push_histogram(&point(&attributes.bytes(), &exemplars), &histogram).unwrap();
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
        points.push_exponential_histogram(&point(&attributes.bytes(), &[]), &histogram).unwrap();
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
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (bucket_counts, bounds));
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
            let parts = metrics.split(max).unwrap();
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

//! `metrics::Stream`: what is collected and encoded after any program of measurements is what an account of them says
//! that keeps every measurement.

use std::collections::HashSet;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1 as proto;
use otel_rs_core::metrics::{
    Aggregation, Budget, ExponentialSettings, Item, MAX_SCALE, MIN_SCALE, Offer, ReservoirKind, Scalar, Shape, Stream,
    Temporality, hash_of, metric, put_metric,
};
use otel_rs_core::otlp::{Metrics, Number, Resource, Scope};
use prost::Message;

use super::account::{Account, Measurement, Point, compare};
use super::input::{Input, key_value};
use super::model::assert_same;

pub fn measurements(data: &[u8]) {
    let mut input = Input::of(data);
    let no_room = input.byte() == 0;
    let budget = Arc::new(Budget::new(if no_room { 0 } else { usize::MAX }));
    let mut pairs: Vec<_> = (0..1 + input.below(3)).map(|_| Pair::new(&mut input, &budget, no_room)).collect();
    let mut now = 1;
    while !input.is_empty() {
        now += 1 + input.byte() as u64;
        match input.byte() {
            0..0x30 => {
                let at = input.below(pairs.len() as u8);
                pairs[at].collect(now);
            }
            _ => {
                let attributes = read_attributes(&mut input);
                let offered = input.maybe(|input| input.maybe(|input| (input.number().into(), input.number())));
                // As an instrument does it: each of its streams has the measurement.
                let value = read_value(&mut input);
                pairs.iter_mut().for_each(|pair| pair.measure(&attributes, value, offered, now));
            }
        }
    }
    pairs.iter_mut().for_each(|pair| pair.collect(now + 1));
    assert_eq!(budget.overflowed(), pairs.iter().map(|pair| pair.account.overflowed).sum::<u64>());
}

/// A stream, beside an account of it.
struct Pair {
    stream: Stream,
    account: Account,
}

impl Pair {
    fn new(input: &mut Input<'_>, budget: &Arc<Budget>, no_room: bool) -> Self {
        let stream = Stream::new(read_shape(input), Arc::clone(budget), None);
        Self { stream, account: Account::new(no_room) }
    }

    fn measure(
        &mut self,
        attributes: &[KeyValue],
        value: Values,
        offered: Option<Option<(u128, u64)>>,
        time_unix_nano: u64,
    ) {
        // The account knows the buckets of values whose logarithms are far from those of the bounds.
        let is_exponential = matches!(self.stream.shape().aggregation, Aggregation::Exponential(_));
        let value = if is_exponential { value.simple } else { value.any };
        let messages: Vec<Vec<u8>> = attributes.iter().map(message_of).collect();
        let items: Vec<Item<'_>> = std::iter::zip(attributes, &messages)
            .map(|(attribute, message)| Item { key: &attribute.key, value: scalar_of(attribute, message) })
            .collect();
        let offer = offered.map(|trace_and_span| Offer { value, trace_and_span, attributes: &items });
        self.stream.measure(&items, hash_of(&items), value, offer.as_ref(), || time_unix_nano);
        let measurement = Measurement { attributes, value, offered, time_unix_nano };
        self.account.measure(self.stream.shape(), &measurement);
    }

    /// How many points there are, and the request with them.
    fn taken(&self, now: u64) -> (usize, Vec<u8>) {
        let mut points = 0;
        let metric = metric(&self.stream, now, &mut points).unwrap();
        let metrics: Metrics = metric.map(|metric| (scope(), metric)).into_iter().collect();
        assert_eq!(metrics.points(), points);
        (points, metrics.request().unwrap().into())
    }

    fn written(&self, now: u64) -> (usize, Vec<u8>) {
        let metrics: Metrics<&Stream> = std::iter::once((scope(), &self.stream)).collect();
        let (mut points, mut request) = (0, Vec::new());
        let put = |out: &mut Vec<u8>, stream: &&Stream| put_metric(stream, now, out, &mut points);
        metrics.put(&mut request, |stream| stream.written_len(), put).unwrap();
        (points, request)
    }

    fn collect(&mut self, now: u64) {
        let shape = self.stream.shape();
        let expected = self.account.collect(shape, now);
        // Either way of the product: by itself, for whoever collects with Python; or straight into a request.
        let (points, request) = if now.is_multiple_of(2) { self.taken(now) } else { self.written(now) };
        assert_eq!(points, expected.len());
        let request = ExportMetricsServiceRequest::decode(&*request).expect("what we write is well-formed");
        assert_eq!(request.resource_metrics.len(), usize::from(points > 0));
        if points == 0 {
            return;
        }
        let found: &proto::Metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        let (expected, exemplars): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
        let (found, found_exemplars) = without_exemplars(found);
        assert_same(&found, &metric_of(shape, expected));
        assert_eq!(found_exemplars.len(), exemplars.len());
        std::iter::zip(&exemplars, &found_exemplars).for_each(|(exemplars, found)| exemplars.check(found));
    }
}

fn scope() -> Arc<Scope> {
    let resource = Arc::new(Resource { message: vec![], schema_url: String::new() });
    Arc::new(Scope { resource, message: vec![], schema_url: String::new() })
}

fn metric_of(shape: &Shape, points: Vec<Point>) -> proto::Metric {
    use proto::metric::Data;
    let aggregation_temporality = shape.temporality as i32;
    macro_rules! of {
        ($kind:ident) => {
            points
                .into_iter()
                .map(|point| if let Point::$kind(point) = point { point } else { unreachable!() })
                .collect()
        };
    }
    let data = match &shape.aggregation {
        Aggregation::Sum { is_monotonic } => {
            Data::Sum(proto::Sum { data_points: of!(Number), aggregation_temporality, is_monotonic: *is_monotonic })
        }
        Aggregation::LastValue => Data::Gauge(proto::Gauge { data_points: of!(Number) }),
        Aggregation::Explicit { .. } => {
            Data::Histogram(proto::Histogram { data_points: of!(Explicit), aggregation_temporality })
        }
        Aggregation::Exponential(_) => Data::ExponentialHistogram(proto::ExponentialHistogram {
            data_points: of!(Exponential),
            aggregation_temporality,
        }),
    };
    let Shape { name, description, unit, .. } = shape;
    let (name, description, unit) = (name.clone(), description.clone(), unit.clone());
    proto::Metric { name, description, unit, metadata: vec![], data: Some(data) }
}

/// The metric, and the exemplars of each of its points. How many buckets are empty at the ends does not count.
fn without_exemplars(metric: &proto::Metric) -> (proto::Metric, Vec<Vec<proto::Exemplar>>) {
    use proto::metric::Data;
    let mut metric = metric.clone();
    let mut exemplars = Vec::new();
    match metric.data.as_mut().expect("there are points") {
        Data::Gauge(proto::Gauge { data_points }) | Data::Sum(proto::Sum { data_points, .. }) => {
            data_points.iter_mut().for_each(|point| exemplars.push(std::mem::take(&mut point.exemplars)));
        }
        Data::Histogram(data) => {
            data.data_points.iter_mut().for_each(|point| exemplars.push(std::mem::take(&mut point.exemplars)));
        }
        Data::ExponentialHistogram(data) => {
            for point in &mut data.data_points {
                exemplars.push(std::mem::take(&mut point.exemplars));
                for buckets in [&mut point.positive, &mut point.negative] {
                    let buckets = buckets.as_mut().expect("both are written");
                    let len = buckets.bucket_counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
                    buckets.bucket_counts.truncate(len);
                    if len == 0 {
                        buckets.offset = 0;
                    }
                }
            }
        }
        Data::Summary(_) => panic!("we have no summaries"),
    }
    (metric, exemplars)
}

fn read_shape(input: &mut Input<'_>) -> Shape {
    let record_min_max = input.flag();
    let aggregation = match input.below(4) {
        0 => Aggregation::Sum { is_monotonic: input.flag() },
        1 => Aggregation::LastValue,
        2 => {
            let mut bounds: Vec<Number> = (0..input.below(10)).map(|_| read_value(input).any).collect();
            bounds.sort_by(|a, b| compare(*a, *b));
            bounds.dedup_by(|a, b| compare(*a, *b).is_eq());
            Aggregation::Explicit { bounds: bounds.into(), record_min_max }
        }
        _ => Aggregation::Exponential(ExponentialSettings {
            max_size: 2 + input.below(20),
            max_scale: MIN_SCALE + input.below((MAX_SCALE - MIN_SCALE + 1) as u8) as i32,
            record_min_max,
        }),
    };
    let is_histogram = matches!(aggregation, Aggregation::Explicit { .. } | Aggregation::Exponential(_));
    Shape {
        name: input.text(),
        description: input.maybe(Input::text).unwrap_or_default(),
        unit: input.maybe(Input::text).unwrap_or_default(),
        aggregation,
        temporality: if input.flag() { Temporality::Cumulative } else { Temporality::Delta },
        // There are no observable histograms.
        is_synchronous: is_histogram || input.flag(),
        attribute_keys: input.maybe(|input| (0..input.below(4)).map(|_| read_key(input)).collect::<HashSet<_>>()),
        reservoir: match input.below(5) {
            0 => ReservoirKind::AlignedWithBuckets,
            size => ReservoirKind::FixedSize(size),
        },
        max_series: input.maybe(|input| input.below(6)).unwrap_or(usize::MAX),
    }
}

/// A few, so that series come again; also that of the series of what is too many.
fn read_key(input: &mut Input<'_>) -> String {
    match input.below(6) {
        5 => "otel.metric.overflow".to_owned(),
        number => format!("key {number}"),
    }
}

fn read_attributes(input: &mut Input<'_>) -> Vec<KeyValue> {
    let mut attributes: Vec<KeyValue> = Vec::new();
    for _ in 0..input.below(5) {
        let (key, value) = (read_key(input), read_attribute_value(input));
        if attributes.iter().all(|attribute| attribute.key != key) {
            attributes.push(key_value((key, value)));
        }
    }
    attributes
}

/// Of the same few numbers, texts and kinds.
fn read_attribute_value(input: &mut Input<'_>) -> AnyValue {
    let number = input.below(3);
    let value = match input.below(8) {
        0 => return AnyValue { value: None },
        1 => Value::BoolValue(number > 0),
        2 => Value::IntValue(number as i64),
        3 => Value::DoubleValue([0.0, -0.0, 1.0][number]),
        4 => Value::StringValue(number.to_string()),
        5 => Value::BytesValue(number.to_string().into()),
        6 => Value::DoubleValue([f64::NAN, f64::INFINITY, 0.5][number]),
        _ => match input.any_value().value {
            Some(Value::DoubleValue(value)) if value.is_nan() => Value::DoubleValue(f64::NAN),
            value => return AnyValue { value },
        },
    };
    AnyValue { value: Some(value) }
}

fn message_of(attribute: &KeyValue) -> Vec<u8> {
    attribute.value.as_ref().map(Message::encode_to_vec).unwrap_or_default()
}

/// As from a dict with plain values, or, of others, as the encoder has made them.
fn scalar_of<'a>(attribute: &'a KeyValue, message: &'a [u8]) -> Scalar<'a> {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::IntValue(value)) => Scalar::Int(*value),
        Some(Value::StringValue(text)) => Scalar::Text(text),
        _ => Scalar::of_message(message),
    }
}

/// What is measured by exponential histograms, and by all others.
#[derive(Clone, Copy)]
struct Values {
    simple: Number,
    any: Number,
}

fn read_value(input: &mut Input<'_>) -> Values {
    const MANTISSAS: [f64; 4] = [1.0, 1.25, 1.5, 1.75];
    const INTS: [i64; 8] = [0, 1, 2, 3, 5, 7, 40, 1 << 60];
    let (kind, sign) = (input.byte(), if input.flag() { -1 } else { 1 });
    let simple = match kind % 4 {
        0 => Number::Int(INTS[input.below(8)] * sign),
        1 => Number::Double(0.0 * f64::from(sign as i32)),
        _ => {
            let exponent = if kind & 4 == 0 { input.below(20) as i32 - 10 } else { input.number() as i32 % 1023 };
            Number::Double(MANTISSAS[input.below(4)] * 2f64.powi(exponent) * f64::from(sign as i32))
        }
    };
    let any = match kind >> 3 & 3 {
        0 => Number::Int(input.number() as i64),
        1 => Number::Double(Some(input.double()).filter(|double| double.is_finite()).unwrap_or(0.25)),
        _ => simple,
    };
    Values { simple, any }
}

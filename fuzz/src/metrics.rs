//! `otlp::metric`: all kinds of points, whole and in parts.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{self as proto, metric::Data};
use otel_rs_core::otlp::{
    Buckets, EXEMPLAR_ATTRIBUTES, EXPONENTIAL_HISTOGRAM_POINT, Exemplar, ExponentialHistogram, HISTOGRAM_POINT,
    Histogram, Metric, MetricKind, Metrics, NUMBER_POINT, Number, Point, PointFields, Points, ResourceMetrics,
    ScopeMetrics, frame_explicit_bounds,
};
use prost::Message;

use super::input::Input;
use super::json::assert_is_json;
use super::model::{self, Pair, assert_decodes_to, assert_same};

pub fn metrics(data: &[u8]) {
    let mut input = Input::of(data);
    let max_points = 1 + input.below(20);
    let mut metrics = Metrics::default();
    let mut expected = ExportMetricsServiceRequest::default();
    for scope in model::scopes(&mut input) {
        let (ours, decoded): (Vec<_>, Vec<_>) = (0..input.below(6)).map(|_| read_metric(&mut input)).unzip();
        let (resource, schema_url) = model::resource_of(&scope);
        let resource = proto::ResourceMetrics { resource, schema_url, scope_metrics: vec![] };
        let (of, schema_url) = model::scope_of(&scope);
        let decoded = proto::ScopeMetrics { scope: of, schema_url, metrics: decoded };
        // As the exporter is given them: resource by resource.
        let known = metrics.resources.iter().position(|known| Arc::ptr_eq(&known.resource, &scope.resource));
        let at = known.unwrap_or_else(|| {
            let resource_metrics = ResourceMetrics { resource: Arc::clone(&scope.resource), scopes: vec![] };
            metrics.resources.push(resource_metrics);
            expected.resource_metrics.push(resource);
            metrics.resources.len() - 1
        });
        metrics.resources[at].scopes.push(ScopeMetrics { scope, metrics: ours });
        expected.resource_metrics[at].scope_metrics.push(decoded);
    }
    assert_decodes_to(&metrics.request().unwrap(), &expected);
    assert_is_json(&expected);
    let whole = flat(&expected);
    assert_eq!(metrics.points(), whole.len());
    let mut parts = Vec::new();
    let split = metrics.split(max_points).unwrap();
    for (at, part) in split.iter().enumerate() {
        let part = ExportMetricsServiceRequest::decode(part.request().unwrap()).expect("what we write is well-formed");
        let points = flat(&part);
        assert!(points.len() == max_points || (at == split.len() - 1 && (1..max_points).contains(&points.len())));
        parts.extend(points);
    }
    assert_eq!(parts.len(), whole.len());
    parts.iter().zip(&whole).for_each(|(part, whole)| assert_same(part, whole));
}

/// Each data point in a request of its own.
fn flat(request: &ExportMetricsServiceRequest) -> Vec<ExportMetricsServiceRequest> {
    let mut all = Vec::new();
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            for metric in &scope.metrics {
                all.extend(points_of(metric.data.as_ref()).into_iter().map(|data| {
                    let metric = proto::Metric { data: Some(data), ..metric.clone() };
                    let scope = proto::ScopeMetrics { metrics: vec![metric], ..scope.clone() };
                    let resource = proto::ResourceMetrics { scope_metrics: vec![scope], ..resource.clone() };
                    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
                }));
            }
        }
    }
    all
}

fn points_of(data: Option<&Data>) -> Vec<Data> {
    macro_rules! each {
        ($kind:ident, $data:expr) => {
            $data
                .data_points
                .iter()
                .map(|point| Data::$kind(proto::$kind { data_points: vec![point.clone()], ..$data.clone() }))
                .collect()
        };
    }
    match data {
        Some(Data::Gauge(data)) => data
            .data_points
            .iter()
            .map(|point| Data::Gauge(proto::Gauge { data_points: vec![point.clone()] }))
            .collect(),
        Some(Data::Sum(data)) => each!(Sum, data),
        Some(Data::Histogram(data)) => each!(Histogram, data),
        Some(Data::ExponentialHistogram(data)) => each!(ExponentialHistogram, data),
        Some(Data::Summary(_)) => panic!("we have no summaries"),
        None => vec![],
    }
}

fn read_metric(input: &mut Input<'_>) -> (Metric, proto::Metric) {
    let kind =
        [MetricKind::Gauge, MetricKind::Sum, MetricKind::Histogram, MetricKind::ExponentialHistogram][input.below(4)];
    let (name, description, unit) = (input.text(), input.maybe(Input::text), input.maybe(Input::text));
    let (description, unit) = (description.unwrap_or_default(), unit.unwrap_or_default());
    let temporality = if kind == MetricKind::Gauge { 0 } else { input.below(3) as u64 };
    let is_monotonic = kind == MetricKind::Sum && input.flag();
    let mut points = Points::default();
    let aggregation_temporality = temporality as i32;
    let count = input.below(8);
    let data = match kind {
        MetricKind::Gauge => {
            Data::Gauge(proto::Gauge { data_points: (0..count).map(|_| push_number(input, &mut points)).collect() })
        }
        MetricKind::Sum => {
            let data_points = (0..count).map(|_| push_number(input, &mut points)).collect();
            Data::Sum(proto::Sum { data_points, aggregation_temporality, is_monotonic })
        }
        MetricKind::Histogram => {
            let data_points = (0..count).map(|_| push_histogram(input, &mut points)).collect();
            Data::Histogram(proto::Histogram { data_points, aggregation_temporality })
        }
        MetricKind::ExponentialHistogram => {
            let data_points = (0..count).map(|_| push_exponential_histogram(input, &mut points)).collect();
            Data::ExponentialHistogram(proto::ExponentialHistogram { data_points, aggregation_temporality })
        }
    };
    assert_eq!((points.len(), points.is_empty()), (count, count == 0));
    let head = Metric::head(&name, &description, &unit);
    // As the Python SDK, without points we write no kind either.
    let data = (count > 0).then_some(data);
    let expected = proto::Metric { name, description, unit, metadata: vec![], data };
    (Metric { head, kind, temporality, is_monotonic, points }, expected)
}

/// What all kinds of points have.
struct Common {
    start_time_unix_nano: u64,
    time_unix_nano: u64,
    attributes: Pair,
    framed_attributes: Vec<u8>,
    framed_exemplars: Vec<u8>,
    exemplars: Vec<proto::Exemplar>,
}

impl Common {
    fn read(input: &mut Input<'_>, fields: &PointFields) -> Self {
        let (start_time_unix_nano, time_unix_nano) = (input.number(), input.number());
        let attributes = Pair::read(input, fields.attributes);
        let mut framed_exemplars = Vec::new();
        let exemplars = (0..input.below(3)).map(|_| frame_exemplar(input, &mut framed_exemplars, fields)).collect();
        let framed_attributes = attributes.ours.bytes().into_owned();
        Self { start_time_unix_nano, time_unix_nano, attributes, framed_attributes, framed_exemplars, exemplars }
    }

    fn point(&self) -> Point<'_> {
        Point {
            start_time_unix_nano: self.start_time_unix_nano,
            time_unix_nano: self.time_unix_nano,
            attributes: &self.framed_attributes,
            exemplars: &self.framed_exemplars,
        }
    }
}

fn frame_exemplar(input: &mut Input<'_>, out: &mut Vec<u8>, fields: &PointFields) -> proto::Exemplar {
    let attributes = Pair::read(input, EXEMPLAR_ATTRIBUTES);
    let trace_and_span = input.maybe(|input| (u128::from(input.number()), input.number()));
    let (time_unix_nano, value) = (input.number(), read_number(input));
    Exemplar { time_unix_nano, value, trace_and_span, filtered_attributes: &attributes.ours.bytes() }
        .frame(out, fields);
    let (trace_id, span_id) =
        trace_and_span.map(|(trace, span)| (trace.to_be_bytes().into(), span.to_be_bytes().into())).unwrap_or_default();
    let value = Some(match value {
        Number::Int(value) => proto::exemplar::Value::AsInt(value),
        Number::Double(value) => proto::exemplar::Value::AsDouble(value),
    });
    proto::Exemplar { filtered_attributes: attributes.key_values(), time_unix_nano, span_id, trace_id, value }
}

fn read_number(input: &mut Input<'_>) -> Number {
    match input.flag() {
        true => Number::Double(input.double()),
        false => Number::Int(input.number() as i64),
    }
}

fn push_number(input: &mut Input<'_>, points: &mut Points) -> proto::NumberDataPoint {
    let common = Common::read(input, &NUMBER_POINT);
    let value = read_number(input);
    points.push_number(&common.point(), value).unwrap();
    let value = Some(match value {
        Number::Int(value) => proto::number_data_point::Value::AsInt(value),
        Number::Double(value) => proto::number_data_point::Value::AsDouble(value),
    });
    proto::NumberDataPoint {
        attributes: common.attributes.key_values(),
        start_time_unix_nano: common.start_time_unix_nano,
        time_unix_nano: common.time_unix_nano,
        exemplars: common.exemplars,
        flags: 0,
        value,
    }
}

fn push_histogram(input: &mut Input<'_>, points: &mut Points) -> proto::HistogramDataPoint {
    let common = Common::read(input, &HISTOGRAM_POINT);
    let bucket_counts = read_counts(input);
    let explicit_bounds: Vec<_> = (0..input.below(40)).map(|_| input.double()).collect();
    let (count, sum) = (input.number(), input.maybe(Input::double));
    let (min, max) = (input.maybe(Input::double), input.maybe(Input::double));
    let histogram = Histogram {
        count,
        sum,
        bucket_counts: &bucket_counts,
        explicit_bounds: &frame_explicit_bounds(&explicit_bounds),
        min,
        max,
    };
    points.push_histogram(&common.point(), &histogram).unwrap();
    proto::HistogramDataPoint {
        attributes: common.attributes.key_values(),
        start_time_unix_nano: common.start_time_unix_nano,
        time_unix_nano: common.time_unix_nano,
        count,
        sum,
        bucket_counts,
        explicit_bounds,
        exemplars: common.exemplars,
        flags: 0,
        min,
        max,
    }
}

fn push_exponential_histogram(input: &mut Input<'_>, points: &mut Points) -> proto::ExponentialHistogramDataPoint {
    let common = Common::read(input, &EXPONENTIAL_HISTOGRAM_POINT);
    let buckets = |input: &mut Input<'_>| Buckets { offset: input.number() as i32, counts: read_counts(input) };
    let histogram = ExponentialHistogram {
        count: input.number(),
        sum: input.maybe(Input::double),
        scale: input.number() as i32,
        zero_count: input.number(),
        positive: input.maybe(buckets),
        negative: input.maybe(buckets),
        flags: input.number() as u32,
        min: input.maybe(Input::double),
        max: input.maybe(Input::double),
    };
    points.push_exponential_histogram(&common.point(), &histogram).unwrap();
    let expected_buckets =
        |Buckets { offset, counts }| proto::exponential_histogram_data_point::Buckets { offset, bucket_counts: counts };
    proto::ExponentialHistogramDataPoint {
        attributes: common.attributes.key_values(),
        start_time_unix_nano: common.start_time_unix_nano,
        time_unix_nano: common.time_unix_nano,
        count: histogram.count,
        sum: histogram.sum,
        scale: histogram.scale,
        zero_count: histogram.zero_count,
        positive: histogram.positive.map(expected_buckets),
        negative: histogram.negative.map(expected_buckets),
        flags: histogram.flags,
        exemplars: common.exemplars,
        min: histogram.min,
        max: histogram.max,
        zero_threshold: 0.0,
    }
}

fn read_counts(input: &mut Input<'_>) -> Vec<u64> {
    (0..input.below(40)).map(|_| input.number()).collect()
}

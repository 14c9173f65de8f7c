//! The points of a stream as OTLP messages.

use std::sync::Arc;

use crate::metrics::exemplars::Exemplar;
use crate::metrics::exponential_buckets::ExponentialBuckets;
use crate::metrics::stream::{Aggregation, Collected, Point, Shape, Stream};
use crate::metrics::summary::Summary;
use crate::otlp::{
    self, EXPONENTIAL_HISTOGRAM_POINT, HISTOGRAM_POINT, Metric, MetricKind, NUMBER_POINT, Number, PointFields, Points,
};

/// The metric with the points since the last collection; None if there are none.
pub fn metric(stream: &Stream, time_unix_nano: u64) -> Option<Metric> {
    let Shape { aggregation, temporality, .. } = stream.shape();
    // The same for each point.
    let bounds: Vec<f64> = match aggregation {
        Aggregation::Explicit { bounds, .. } => bounds.iter().map(|bound| bound.as_f64()).collect(),
        _ => Vec::new(),
    };
    let (mut points, mut exemplars) = (Points::default(), Vec::new());
    for collected in stream.collect(time_unix_nano) {
        exemplars.clear();
        push(&collected, time_unix_nano, &bounds, &mut exemplars, &mut points);
    }
    if points.is_empty() {
        return None;
    }
    let (kind, is_monotonic) = match aggregation {
        Aggregation::Sum { is_monotonic } => (MetricKind::Sum, *is_monotonic),
        Aggregation::LastValue => (MetricKind::Gauge, false),
        Aggregation::Explicit { .. } => (MetricKind::Histogram, false),
        Aggregation::Exponential(_) => (MetricKind::ExponentialHistogram, false),
    };
    let temporality = if kind == MetricKind::Gauge { 0 } else { *temporality as u64 };
    Some(Metric { head: Arc::clone(stream.head()), kind, temporality, is_monotonic, points })
}

fn push(
    collected: &Collected,
    time_unix_nano: u64,
    explicit_bounds: &[f64],
    exemplars: &mut Vec<u8>,
    points: &mut Points,
) {
    let fields = match &collected.point {
        Point::Number { .. } => &NUMBER_POINT,
        Point::Explicit(_) => &HISTOGRAM_POINT,
        Point::Exponential(_) => &EXPONENTIAL_HISTOGRAM_POINT,
    };
    collected.exemplars.iter().for_each(|exemplar| frame(exemplar, fields, exemplars));
    let point = |start_time_unix_nano| {
        let attributes = collected.series.attributes().wire();
        otlp::Point { start_time_unix_nano, time_unix_nano, attributes, exemplars }
    };
    match &collected.point {
        Point::Number { start_time_unix_nano, value } => {
            points.push_number(&point(start_time_unix_nano.unwrap_or(0)), *value);
        }
        Point::Explicit(histogram) => {
            let Summary { count, sum, min, max } = histogram.summary;
            let message = otlp::Histogram {
                count,
                sum: Some(sum.as_f64()),
                bucket_counts: &histogram.bucket_counts,
                explicit_bounds,
                min: Some(min.as_f64()),
                max: Some(max.as_f64()),
            };
            points.push_histogram(&point(histogram.start_time_unix_nano), &message);
        }
        Point::Exponential(histogram) => {
            let Summary { count, sum, min, max } = histogram.summary;
            let message = otlp::ExponentialHistogram {
                count,
                sum: Some(sum.as_f64()),
                scale: histogram.scale,
                zero_count: histogram.zero_count,
                positive: Some(buckets(&histogram.positive)),
                negative: Some(buckets(&histogram.negative)),
                flags: 0,
                min: Some(min.as_f64()),
                max: Some(max.as_f64()),
            };
            points.push_exponential_histogram(&point(histogram.start_time_unix_nano), &message);
        }
    }
}

fn buckets(buckets: &ExponentialBuckets) -> otlp::Buckets {
    otlp::Buckets { offset: buckets.offset() as i32, counts: buckets.counts() }
}

fn frame(exemplar: &Exemplar, point: &PointFields, out: &mut Vec<u8>) {
    let Exemplar { value, time_unix_nano, trace_and_span, filtered_attributes } = exemplar;
    let filtered_attributes = filtered_attributes.as_ref().map_or(&[][..], |attributes| attributes.wire());
    let (value, time_unix_nano, trace_and_span): (Number, _, _) = (*value, *time_unix_nano, *trace_and_span);
    otlp::Exemplar { time_unix_nano, value, trace_and_span, filtered_attributes }.frame(out, point);
}

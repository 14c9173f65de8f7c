//! The points of a stream as OTLP messages.

use std::sync::Arc;

use crate::metrics::exemplars::Exemplar;
use crate::metrics::exponential_buckets::ExponentialBuckets;
use crate::metrics::stream::{Aggregation, Collected, Point, Shape, Stream};
use crate::metrics::summary::Summary;
use crate::otlp::{
    self, EXPONENTIAL_HISTOGRAM_POINT, HISTOGRAM_POINT, Metric, MetricKind, NUMBER_POINT, OutOfMemory, PointFields,
    Points, frame_explicit_bounds,
};

/// The metric with the points since the last collection; None if there are none. Adds to `points` how many there are,
/// also without memory for them: their deltas are lost then.
pub fn metric(stream: &Stream, time_unix_nano: u64, points: &mut usize) -> Result<Option<Metric>, OutOfMemory> {
    let (mut framed, before) = (Vec::new(), *points);
    put_points(stream, time_unix_nano, &mut framed, points)?;
    let len = *points - before;
    Ok((len > 0).then(|| Metric { points: Points::of(framed, len), ..without_points(stream) }))
}

/// Appends the metric with the points since the last collection; nothing if there are none. Adds to `points` as
/// `metric` does.
pub fn put_metric(
    stream: &Stream,
    time_unix_nano: u64,
    out: &mut Vec<u8>,
    points: &mut usize,
) -> Result<(), OutOfMemory> {
    let (start, before) = (out.len(), *points);
    let len = without_points(stream).frame_with(out, stream.written_len(), |out| {
        put_points(stream, time_unix_nano, out, points)?;
        Ok(*points - before)
    })?;
    if len == 0 {
        out.truncate(start);
    } else {
        stream.set_written_len(out.len() - start);
    }
    Ok(())
}

fn without_points(stream: &Stream) -> Metric {
    let Shape { aggregation, temporality, .. } = stream.shape();
    let (kind, is_monotonic) = match aggregation {
        Aggregation::Sum { is_monotonic } => (MetricKind::Sum, *is_monotonic),
        Aggregation::LastValue => (MetricKind::Gauge, false),
        Aggregation::Explicit { .. } => (MetricKind::Histogram, false),
        Aggregation::Exponential(_) => (MetricKind::ExponentialHistogram, false),
    };
    let temporality = if kind == MetricKind::Gauge { 0 } else { *temporality as u64 };
    Metric { head: Arc::clone(stream.head()), kind, temporality, is_monotonic, points: Points::default() }
}

fn put_points(stream: &Stream, time_unix_nano: u64, out: &mut Vec<u8>, points: &mut usize) -> Result<(), OutOfMemory> {
    // The same for each point.
    let bounds = match &stream.shape().aggregation {
        Aggregation::Explicit { bounds, .. } => {
            frame_explicit_bounds(&bounds.iter().map(|bound| bound.as_f64()).collect::<Vec<_>>())
        }
        _ => Vec::new(),
    };
    let (mut exemplars, mut result) = (Vec::new(), Ok(()));
    stream.collect(time_unix_nano, |collected| {
        *points += 1;
        if result.is_ok() {
            exemplars.clear();
            result = frame(&collected, time_unix_nano, &bounds, &mut exemplars, out);
        }
    });
    result
}

#[inline]
fn frame(
    collected: &Collected<'_>,
    time_unix_nano: u64,
    explicit_bounds: &[u8],
    exemplars: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), OutOfMemory> {
    let fields = match &collected.point {
        Point::Number { .. } => &NUMBER_POINT,
        Point::Explicit(_) => &HISTOGRAM_POINT,
        Point::Exponential(_) => &EXPONENTIAL_HISTOGRAM_POINT,
    };
    collected.exemplars.iter().for_each(|exemplar| frame_exemplar(exemplar, fields, exemplars));
    let point = |start_time_unix_nano| {
        let attributes = collected.attributes.wire();
        otlp::Point { start_time_unix_nano, time_unix_nano, attributes, exemplars }
    };
    match &collected.point {
        Point::Number { start_time_unix_nano, value } => {
            point(start_time_unix_nano.unwrap_or(0)).frame_number(out, *value)
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
            point(histogram.start_time_unix_nano).frame_histogram(out, &message)
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
            point(histogram.start_time_unix_nano).frame_exponential_histogram(out, &message)
        }
    }
}

fn buckets(buckets: &ExponentialBuckets) -> otlp::Buckets {
    otlp::Buckets { offset: buckets.offset() as i32, counts: buckets.counts() }
}

fn frame_exemplar(exemplar: &Exemplar, point: &PointFields, out: &mut Vec<u8>) {
    let Exemplar { value, time_unix_nano, trace_and_span, filtered_attributes } = exemplar;
    let filtered_attributes = filtered_attributes.as_ref().map_or(&[][..], |attributes| attributes.wire());
    let (value, time_unix_nano, trace_and_span) = (*value, *time_unix_nano, *trace_and_span);
    otlp::Exemplar { time_unix_nano, value, trace_and_span, filtered_attributes }.frame(out, point);
}

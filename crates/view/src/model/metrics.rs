//! The series of all metrics: what each says now, and how it came there.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use prost::Message;

use crate::attributes::{service_name, value_text};
use crate::text::clip;

const MAX_SERIES: usize = 2_000;
/// Of one series.
const MAX_POINTS: usize = 60;
const MAX_SERVICE_CHARS: usize = 60;
const MAX_NAME_CHARS: usize = 120;
const MAX_UNIT_CHARS: usize = 20;
const MAX_ATTRIBUTES: usize = 20;
const MAX_VALUE_CHARS: usize = 60;

/// In the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    pub service: Arc<str>,
    pub name: Arc<str>,
    /// `key=value`, separated by spaces.
    pub attributes: String,
    /// Of the attributes as they are: long texts are cut.
    hash: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    Number(f64),
    Distribution { count: u64, sum: f64, min: Option<f64>, max: Option<f64> },
}

pub struct Series {
    pub unit: String,
    pub now: Measured,
    /// When, in nanoseconds since 1970, and how much: a gauge's value, how much a counter has grown since the last time,
    /// the mean of what a histogram has taken since then.
    pub points: VecDeque<(u64, f64)>,
}

#[derive(Default)]
pub struct Metrics {
    series: BTreeMap<SeriesKey, Series>,
    /// Points of series that had no room.
    pub dropped: u64,
}

/// A data point of whatever kind.
struct Point<'a> {
    attributes: &'a [KeyValue],
    time: u64,
    measured: Measured,
}

/// How a series goes on from its last point.
#[derive(Clone, Copy)]
enum Course {
    /// Each value stands for itself.
    Gauge,
    /// A total since the beginning, of what only grows.
    Total,
    /// What came since the last point.
    Increase,
}

impl Metrics {
    /// Takes the points of a request, and says of which series they are.
    pub fn add(&mut self, request: &ExportMetricsServiceRequest) -> Vec<SeriesKey> {
        let mut touched = Vec::new();
        for resource in &request.resource_metrics {
            let service: Arc<str> = clip(service_name(resource.resource.as_ref()), MAX_SERVICE_CHARS).into();
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                let name: Arc<str> = clip(&metric.name, MAX_NAME_CHARS).into();
                let (course, points) = points(metric);
                for point in points {
                    let key = key(&service, &name, point.attributes);
                    if self.add_point(&key, &metric.unit, course, &point) {
                        touched.push(key);
                    }
                }
            }
        }
        touched
    }

    fn add_point(&mut self, key: &SeriesKey, unit: &str, course: Course, point: &Point) -> bool {
        if let Some(series) = self.series.get_mut(key) {
            series.add(course, point);
            return true;
        }
        if self.series.len() >= MAX_SERIES {
            self.dropped += 1;
            return false;
        }
        let unit = if unit == "1" { "" } else { unit.trim_start_matches('{').trim_end_matches('}') };
        let unit = clip(unit, MAX_UNIT_CHARS);
        let points = VecDeque::from([(point.time, height(point.measured))]);
        self.series.insert(key.clone(), Series { unit, now: point.measured, points });
        true
    }

    pub fn get(&self, key: &SeriesKey) -> Option<&Series> {
        self.series.get(key)
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&SeriesKey, &Series)> {
        self.series.iter()
    }
}

impl Series {
    fn add(&mut self, course: Course, point: &Point) {
        let (now, increase) = match course {
            Course::Gauge => (point.measured, point.measured),
            Course::Total => (point.measured, difference(point.measured, self.now)),
            Course::Increase => (sum(self.now, point.measured), point.measured),
        };
        self.now = now;
        self.points.push_back((point.time, height(increase)));
        if self.points.len() > MAX_POINTS {
            self.points.pop_front();
        }
    }
}

fn key(service: &Arc<str>, name: &Arc<str>, attributes: &[KeyValue]) -> SeriesKey {
    let mut hasher = DefaultHasher::new();
    let mut texts = Vec::new();
    for attribute in attributes {
        attribute.encode_to_vec().hash(&mut hasher);
        if texts.len() < MAX_ATTRIBUTES {
            let value = value_text(attribute.value.as_ref(), MAX_VALUE_CHARS);
            texts.push(format!("{}={value}", clip(&attribute.key, MAX_VALUE_CHARS)));
        }
    }
    SeriesKey { service: service.clone(), name: name.clone(), attributes: texts.join(" "), hash: hasher.finish() }
}

fn points(metric: &Metric) -> (Course, Vec<Point<'_>>) {
    let distribution = |attributes, time, count, sum, min, max| Point {
        attributes,
        time,
        measured: Measured::Distribution { count, sum, min, max },
    };
    match metric.data.as_ref() {
        None => (Course::Gauge, Vec::new()),
        Some(Data::Gauge(gauge)) => (Course::Gauge, gauge.data_points.iter().filter_map(number).collect()),
        Some(Data::Sum(sum)) => {
            let course = match is_delta(sum.aggregation_temporality) {
                true => Course::Increase,
                false if sum.is_monotonic => Course::Total,
                false => Course::Gauge,
            };
            (course, sum.data_points.iter().filter_map(number).collect())
        }
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter().map(|point| {
                let sum = point.sum.unwrap_or(f64::NAN);
                distribution(&point.attributes[..], point.time_unix_nano, point.count, sum, point.min, point.max)
            });
            (course_of_histogram(histogram.aggregation_temporality), points.collect())
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.iter().map(|point| {
                let sum = point.sum.unwrap_or(f64::NAN);
                distribution(&point.attributes[..], point.time_unix_nano, point.count, sum, point.min, point.max)
            });
            (course_of_histogram(histogram.aggregation_temporality), points.collect())
        }
        Some(Data::Summary(summary)) => {
            let points = summary.data_points.iter().map(|point| {
                distribution(&point.attributes[..], point.time_unix_nano, point.count, point.sum, None, None)
            });
            (Course::Total, points.collect())
        }
    }
}

fn is_delta(temporality: i32) -> bool {
    temporality == AggregationTemporality::Delta as i32
}

fn course_of_histogram(temporality: i32) -> Course {
    if is_delta(temporality) { Course::Increase } else { Course::Total }
}

/// `None` for a point that says that there is no value.
fn number(point: &NumberDataPoint) -> Option<Point<'_>> {
    let value = match point.value? {
        Value::AsDouble(value) => value,
        Value::AsInt(value) => value as f64,
    };
    Some(Point { attributes: &point.attributes, time: point.time_unix_nano, measured: Measured::Number(value) })
}

/// What came between two totals; the later one itself where the count began anew.
fn difference(later: Measured, earlier: Measured) -> Measured {
    match (later, earlier) {
        (Measured::Number(later), Measured::Number(earlier)) if later >= earlier => Measured::Number(later - earlier),
        (
            Measured::Distribution { count, sum, min, max },
            Measured::Distribution { count: earlier_count, sum: earlier_sum, .. },
        ) if count >= earlier_count => {
            Measured::Distribution { count: count - earlier_count, sum: sum - earlier_sum, min, max }
        }
        _ => later,
    }
}

fn sum(total: Measured, more: Measured) -> Measured {
    match (total, more) {
        (Measured::Number(total), Measured::Number(more)) => Measured::Number(total + more),
        (
            Measured::Distribution { count, sum, min, max },
            Measured::Distribution { count: more, sum: more_sum, min: new_min, max: new_max },
        ) => Measured::Distribution {
            count: count.saturating_add(more),
            sum: sum + more_sum,
            min: min.zip(new_min).map(|(a, b)| a.min(b)),
            max: max.zip(new_max).map(|(a, b)| a.max(b)),
        },
        _ => more,
    }
}

/// In a picture.
fn height(measured: Measured) -> f64 {
    match measured {
        Measured::Number(value) => value,
        Measured::Distribution { count: 0, .. } => 0.0,
        Measured::Distribution { count, sum, .. } if sum.is_nan() => count as f64,
        Measured::Distribution { count, sum, .. } => sum / count as f64,
    }
}

impl Series {
    /// `7 By`, or `count=3 mean=0.5 s min=0.1 max=1`.
    pub fn text(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        match self.now {
            Measured::Number(value) => format!("{}{unit}", number_text(value)),
            Measured::Distribution { count, sum, min, max } => {
                let mut text = format!("count={count}");
                if count > 0 && !sum.is_nan() {
                    text.push_str(&format!(" mean={}{unit}", number_text(sum / count as f64)));
                }
                for (name, value) in [("min", min), ("max", max)] {
                    if let Some(value) = value {
                        text.push_str(&format!(" {name}={}", number_text(value)));
                    }
                }
                text
            }
        }
    }
}

/// Four digits that count; whole numbers as they are.
fn number_text(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || (value.fract() == 0.0 && size < 1e15) {
        return value.to_string();
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{
        Histogram, HistogramDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    };

    use super::*;

    fn request(data: metric::Data, unit: &str) -> ExportMetricsServiceRequest {
        let metric = Metric { name: "m".to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
        }
    }

    fn counter(value: i64, temporality: AggregationTemporality) -> ExportMetricsServiceRequest {
        let point = NumberDataPoint { value: Some(Value::AsInt(value)), ..NumberDataPoint::default() };
        let sum = Sum { data_points: vec![point], aggregation_temporality: temporality as i32, is_monotonic: true };
        request(metric::Data::Sum(sum), "{request}")
    }

    fn heights(metrics: &Metrics) -> Vec<f64> {
        metrics.iter().flat_map(|(_, series)| series.points.iter().map(|(_, height)| *height)).collect()
    }

    fn text(metrics: &Metrics) -> String {
        metrics.iter().map(|(_, series)| series.text()).collect()
    }

    #[test]
    fn a_counter_shows_its_total_and_draws_what_came() {
        let mut cumulative = Metrics::default();
        for value in [5, 7, 7, 2] {
            cumulative.add(&counter(value, AggregationTemporality::Cumulative));
        }
        assert_eq!((text(&cumulative).as_str(), heights(&cumulative)), ("2 request", vec![5.0, 2.0, 0.0, 2.0]));
        let mut delta = Metrics::default();
        for value in [5, 2] {
            delta.add(&counter(value, AggregationTemporality::Delta));
        }
        assert_eq!((text(&delta).as_str(), heights(&delta)), ("7 request", vec![5.0, 2.0]));
    }

    #[test]
    fn a_histogram_shows_its_mean() {
        let mut metrics = Metrics::default();
        for (count, sum) in [(1, 0.25), (3, 1.25)] {
            let point = HistogramDataPoint {
                count,
                sum: Some(sum),
                min: Some(0.1),
                max: Some(1.0),
                ..HistogramDataPoint::default()
            };
            let cumulative = AggregationTemporality::Cumulative as i32;
            let histogram = Histogram { data_points: vec![point], aggregation_temporality: cumulative };
            metrics.add(&request(metric::Data::Histogram(histogram), "s"));
        }
        assert_eq!(text(&metrics), "count=3 mean=0.4167 s min=0.1 max=1");
        assert_eq!(heights(&metrics), [0.25, 0.5]);
    }

    #[test]
    fn what_has_no_room_is_counted_and_what_has_goes_on() {
        let mut metrics = Metrics::default();
        let with = |number: usize| {
            let attributes = vec![KeyValue { key: number.to_string(), ..KeyValue::default() }];
            let point = NumberDataPoint { value: Some(Value::AsInt(1)), attributes, ..NumberDataPoint::default() };
            let gauge = opentelemetry_proto::tonic::metrics::v1::Gauge { data_points: vec![point] };
            request(metric::Data::Gauge(gauge), "1")
        };
        for number in 0..MAX_SERIES + 3 {
            metrics.add(&with(number));
        }
        for _ in 0..2 * MAX_POINTS {
            assert_eq!(metrics.add(&with(0)).len(), 1);
        }
        assert_eq!((metrics.len(), metrics.dropped), (MAX_SERIES, 3));
        assert_eq!(metrics.iter().map(|(_, series)| series.points.len()).max(), Some(MAX_POINTS));
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown = [0.0, -3.0, 1234567.0, 1234567.9, 12.3456, 0.000123456, 1e-9, 1e300, f64::NAN].map(number_text);
        assert_eq!(shown, ["0", "-3", "1234567", "1234568", "12.35", "0.0001235", "1.000e-9", "1.000e300", "NaN"]);
    }
}

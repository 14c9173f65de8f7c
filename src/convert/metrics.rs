//! `opentelemetry.sdk.metrics.export.MetricsData` as OTLP messages.

use std::sync::Arc;

use otel_rs_core::otlp::{
    Buckets, EXEMPLAR_ATTRIBUTES, EXPONENTIAL_HISTOGRAM_POINT, Exemplar, ExponentialHistogram, HISTOGRAM_POINT,
    Histogram, Metric, MetricKind, Metrics, NUMBER_POINT, Point, PointFields, Points, ResourceMetrics, ScopeMetrics,
    frame_explicit_bounds,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyString, PyTuple, PyType};

use crate::convert::attributes::frame;
use crate::convert::fields::{nanos, number, text};
use crate::convert::scope::{resource_of, scope_in};
use crate::convert::value::as_i64;
use crate::py::exception;
use crate::py::log;
use crate::py::once::get_or_make;
use crate::py::once::intern;
use crate::py::text::type_name;
use crate::py::upstream::{EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM};

/// Reads everything; what cannot be encoded costs itself and a log line.
pub fn metrics(data: &Bound<'_, PyAny>) -> PyResult<Metrics> {
    let py = data.py();
    let mut resources = Vec::new();
    for_each(&data.getattr(intern!(py, "resource_metrics"))?, "Metrics of a resource", |item| {
        let resource = resource_of(&item.getattr(intern!(py, "resource"))?)?;
        let mut scopes = Vec::new();
        for_each(&item.getattr(intern!(py, "scope_metrics"))?, "Metrics of a scope", |item| {
            let scope = scope_in(Arc::clone(&resource), &item.getattr(intern!(py, "scope"))?)?;
            let mut metrics = Vec::new();
            for_each(&item.getattr(intern!(py, "metrics"))?, "A metric", |item| {
                metrics.push(metric(item)?);
                Ok(())
            })?;
            scopes.push(ScopeMetrics { scope, metrics });
            Ok(())
        })?;
        resources.push(ResourceMetrics { resource, scopes });
        Ok(())
    })?;
    Ok(Metrics { resources })
}

/// Calls `read` for each item; one that raises costs itself and a log line.
fn for_each<'py>(
    items: &Bound<'py, PyAny>,
    what: &str,
    mut read: impl FnMut(&Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    for item in items.try_iter()? {
        if let Err(error) = read(&item?) {
            exception::swallow(items.py(), &format!("{what} could not be encoded"), error);
        }
    }
    Ok(())
}

/// The classes that say what a metric's data is.
struct MetricClasses {
    gauge: Py<PyType>,
    sum: Py<PyType>,
    histogram: Py<PyType>,
    exponential_histogram: Py<PyType>,
}

impl MetricClasses {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static CLASSES: PyOnceLock<MetricClasses> = PyOnceLock::new();
        get_or_make(py, &CLASSES, || {
            Ok(MetricClasses {
                gauge: GAUGE.class(py)?,
                sum: SUM.class(py)?,
                histogram: HISTOGRAM.class(py)?,
                exponential_histogram: EXPONENTIAL_HISTOGRAM.class(py)?,
            })
        })
    }

    fn of(&self, data: &Bound<'_, PyAny>) -> PyResult<Option<MetricKind>> {
        let py = data.py();
        for (class, kind) in [
            (&self.gauge, MetricKind::Gauge),
            (&self.histogram, MetricKind::Histogram),
            (&self.sum, MetricKind::Sum),
            (&self.exponential_histogram, MetricKind::ExponentialHistogram),
        ] {
            if data.is_instance(class.bind(py))? {
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }
}

pub fn metric<'py>(metric: &Bound<'py, PyAny>) -> PyResult<Metric> {
    let py = metric.py();
    let attribute = |name: &Bound<'py, PyString>| metric.getattr(name);
    let (name, description) = (attribute(intern!(py, "name"))?, attribute(intern!(py, "description"))?);
    let unit = attribute(intern!(py, "unit"))?;
    let head = Metric::head(&text(&name)?, &text(&description)?, &text(&unit)?);
    let data = attribute(intern!(py, "data"))?;
    let Some(kind) = MetricClasses::get(py)?.of(&data)? else {
        log::warning(py, &format!("unsupported data type {}", type_name(&data)));
        let points = Points::default();
        return Ok(Metric { head, kind: MetricKind::Gauge, temporality: 0, is_monotonic: false, points });
    };
    let mut points = Points::default();
    let mut scratch = Scratch::default();
    let what = format!("A data point of the metric `{}`", text(&name)?);
    for_each(&data.getattr(intern!(py, "data_points"))?, &what, |point| match kind {
        MetricKind::Gauge | MetricKind::Sum => push_number(point, kind, &mut scratch, &mut points),
        MetricKind::Histogram => push_histogram(point, &mut scratch, &mut points),
        MetricKind::ExponentialHistogram => push_exponential_histogram(point, &mut scratch, &mut points),
    })?;
    let temporality = match kind {
        MetricKind::Gauge => 0,
        _ => data.getattr(intern!(py, "aggregation_temporality"))?.extract()?,
    };
    let is_monotonic = kind == MetricKind::Sum && data.getattr(intern!(py, "is_monotonic"))?.is_truthy()?;
    Ok(Metric { head, kind, temporality, is_monotonic, points })
}

/// Room for the parts of one point after the other.
#[derive(Default)]
struct Scratch<'py> {
    attributes: Vec<u8>,
    exemplars: Vec<u8>,
    explicit_bounds: ExplicitBounds<'py>,
}

/// The bounds of a histogram's points, framed; as a rule all points have the same tuple.
#[derive(Default)]
struct ExplicitBounds<'py> {
    tuple: Option<Bound<'py, PyAny>>,
    framed: Vec<u8>,
}

impl<'py> ExplicitBounds<'py> {
    fn set(&mut self, bounds: Bound<'py, PyAny>) -> PyResult<()> {
        if self.tuple.as_ref().is_some_and(|known| known.is(&bounds)) {
            return Ok(());
        }
        let values: Vec<f64> = bounds.try_iter()?.map(|bound| bound?.extract()).collect::<PyResult<_>>()?;
        self.framed = frame_explicit_bounds(&values);
        // Nothing else is sure to be the same when it is seen again.
        self.tuple = bounds.is_exact_instance_of::<PyTuple>().then_some(bounds);
        Ok(())
    }
}

fn push_number<'py>(
    point: &Bound<'py, PyAny>,
    kind: MetricKind,
    scratch: &mut Scratch<'py>,
    points: &mut Points,
) -> PyResult<()> {
    let value = number(&point.getattr(intern!(point.py(), "value"))?)?;
    let mut common = read_point(point, &NUMBER_POINT, scratch)?;
    if kind == MetricKind::Gauge {
        // As the Python SDK does: a gauge has no start time.
        common.start_time_unix_nano = 0;
    }
    points.push_number(&common.with(scratch), value).map_err(exception::out_of_memory)
}

fn push_histogram<'py>(point: &Bound<'py, PyAny>, scratch: &mut Scratch<'py>, points: &mut Points) -> PyResult<()> {
    let py = point.py();
    let bucket_counts = counts(&point.getattr(intern!(py, "bucket_counts"))?)?;
    scratch.explicit_bounds.set(point.getattr(intern!(py, "explicit_bounds"))?)?;
    let (count, sum) = (count(&point.getattr(intern!(py, "count"))?)?, double(point, intern!(py, "sum"))?);
    let (min, max) = (double(point, intern!(py, "min"))?, double(point, intern!(py, "max"))?);
    let common = read_point(point, &HISTOGRAM_POINT, scratch)?;
    let explicit_bounds = &scratch.explicit_bounds.framed;
    let histogram = Histogram { count, sum, bucket_counts: &bucket_counts, explicit_bounds, min, max };
    points.push_histogram(&common.with(scratch), &histogram).map_err(exception::out_of_memory)
}

fn push_exponential_histogram<'py>(
    point: &Bound<'py, PyAny>,
    scratch: &mut Scratch<'py>,
    points: &mut Points,
) -> PyResult<()> {
    let py = point.py();
    let histogram = ExponentialHistogram {
        count: count(&point.getattr(intern!(py, "count"))?)?,
        sum: double(point, intern!(py, "sum"))?,
        scale: point.getattr(intern!(py, "scale"))?.extract()?,
        zero_count: count(&point.getattr(intern!(py, "zero_count"))?)?,
        positive: buckets(&point.getattr(intern!(py, "positive"))?)?,
        negative: buckets(&point.getattr(intern!(py, "negative"))?)?,
        flags: point.getattr(intern!(py, "flags"))?.extract()?,
        min: double(point, intern!(py, "min"))?,
        max: double(point, intern!(py, "max"))?,
    };
    let common = read_point(point, &EXPONENTIAL_HISTOGRAM_POINT, scratch)?;
    points.push_exponential_histogram(&common.with(scratch), &histogram).map_err(exception::out_of_memory)
}

/// Buckets without counts are left out.
fn buckets(buckets: &Bound<'_, PyAny>) -> PyResult<Option<Buckets>> {
    let py = buckets.py();
    let counts = counts(&buckets.getattr(intern!(py, "bucket_counts"))?)?;
    if counts.is_empty() {
        return Ok(None);
    }
    Ok(Some(Buckets { offset: buckets.getattr(intern!(py, "offset"))?.extract()?, counts }))
}

fn counts(counts: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    match counts.cast_exact::<PyTuple>() {
        Ok(tuple) => tuple.iter_borrowed().map(|object| count(&object)).collect(),
        Err(_) => counts.try_iter()?.map(|object| count(&object?)).collect(),
    }
}

#[inline]
fn count(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    let int = object.cast_exact::<PyInt>().ok().and_then(as_i64).and_then(|int| u64::try_from(int).ok());
    int.map_or_else(|| object.extract(), Ok)
}

/// A number that may be None.
fn double(point: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<Option<f64>> {
    point.getattr(name)?.extract()
}

/// What all kinds of points have, besides what is in the scratch.
struct Common {
    start_time_unix_nano: u64,
    time_unix_nano: u64,
}

impl Common {
    fn with<'a>(&self, scratch: &'a Scratch<'_>) -> Point<'a> {
        let Self { start_time_unix_nano, time_unix_nano } = *self;
        let Scratch { attributes, exemplars, .. } = scratch;
        Point { start_time_unix_nano, time_unix_nano, attributes, exemplars }
    }
}

fn read_point(point: &Bound<'_, PyAny>, fields: &PointFields, scratch: &mut Scratch<'_>) -> PyResult<Common> {
    let py = point.py();
    scratch.attributes.clear();
    frame_attributes(&point.getattr(intern!(py, "attributes"))?, fields.attributes, &mut scratch.attributes);
    scratch.exemplars.clear();
    frame_exemplars(&point.getattr(intern!(py, "exemplars"))?, fields, &mut scratch.exemplars)?;
    Ok(Common {
        start_time_unix_nano: nanos(&point.getattr(intern!(py, "start_time_unix_nano"))?),
        time_unix_nano: nanos(&point.getattr(intern!(py, "time_unix_nano"))?),
    })
}

fn frame_attributes(attributes: &Bound<'_, PyAny>, field: u8, out: &mut Vec<u8>) {
    if !attributes.is_none() {
        frame(attributes, field, out);
    }
}

fn frame_exemplars(exemplars: &Bound<'_, PyAny>, point: &PointFields, out: &mut Vec<u8>) -> PyResult<()> {
    let py = exemplars.py();
    let mut filtered = Vec::new();
    for_each(exemplars, "An exemplar", |exemplar| {
        let value = number(&exemplar.getattr(intern!(py, "value"))?)?;
        filtered.clear();
        frame_attributes(&exemplar.getattr(intern!(py, "filtered_attributes"))?, EXEMPLAR_ATTRIBUTES, &mut filtered);
        let trace_id: Option<u128> = exemplar.getattr(intern!(py, "trace_id"))?.extract()?;
        let span_id: Option<u64> = exemplar.getattr(intern!(py, "span_id"))?.extract()?;
        let exemplar = Exemplar {
            time_unix_nano: nanos(&exemplar.getattr(intern!(py, "time_unix_nano"))?),
            value,
            trace_and_span: trace_id.zip(span_id),
            filtered_attributes: &filtered,
        };
        exemplar.frame(out, point);
        Ok(())
    })
}

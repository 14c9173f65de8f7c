//! `opentelemetry.sdk.metrics.export.MetricsData` as OTLP messages.

use std::sync::Arc;

use otel_rs_core::otlp::{
    Buckets, EXEMPLAR_ATTRIBUTES, EXPONENTIAL_HISTOGRAM_POINT, Exemplar, ExponentialHistogram, HISTOGRAM_POINT,
    Histogram, Metric, MetricKind, Metrics, NUMBER_POINT, Point, PointFields, Points, ResourceMetrics, ScopeMetrics,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

use crate::convert::attributes::PyAttributes;
use crate::convert::fields::{nanos, number, text};
use crate::convert::scope::{resource_of, scope_in};
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
    let what = format!("A data point of the metric `{}`", text(&name)?);
    for_each(&data.getattr(intern!(py, "data_points"))?, &what, |point| match kind {
        MetricKind::Gauge | MetricKind::Sum => push_number(point, kind, &mut points),
        MetricKind::Histogram => push_histogram(point, &mut points),
        MetricKind::ExponentialHistogram => push_exponential_histogram(point, &mut points),
    })?;
    let temporality = match kind {
        MetricKind::Gauge => 0,
        _ => data.getattr(intern!(py, "aggregation_temporality"))?.extract()?,
    };
    let is_monotonic = kind == MetricKind::Sum && data.getattr(intern!(py, "is_monotonic"))?.is_truthy()?;
    Ok(Metric { head, kind, temporality, is_monotonic, points })
}

fn push_number(point: &Bound<'_, PyAny>, kind: MetricKind, points: &mut Points) -> PyResult<()> {
    let value = number(&point.getattr(intern!(point.py(), "value"))?)?;
    with_point(point, &NUMBER_POINT, |mut common| {
        if kind == MetricKind::Gauge {
            // As the Python SDK does: a gauge has no start time.
            common.start_time_unix_nano = 0;
        }
        points.push_number(&common, value);
        Ok(())
    })
}

fn push_histogram(point: &Bound<'_, PyAny>, points: &mut Points) -> PyResult<()> {
    let py = point.py();
    let bucket_counts = counts(&point.getattr(intern!(py, "bucket_counts"))?)?;
    let explicit_bounds = point.getattr(intern!(py, "explicit_bounds"))?;
    let explicit_bounds: Vec<f64> =
        explicit_bounds.try_iter()?.map(|bound| bound?.extract()).collect::<PyResult<_>>()?;
    let histogram = Histogram {
        count: point.getattr(intern!(py, "count"))?.extract()?,
        sum: double(point, intern!(py, "sum"))?,
        bucket_counts: &bucket_counts,
        explicit_bounds: &explicit_bounds,
        min: double(point, intern!(py, "min"))?,
        max: double(point, intern!(py, "max"))?,
    };
    with_point(point, &HISTOGRAM_POINT, |common| {
        points.push_histogram(&common, &histogram);
        Ok(())
    })
}

fn push_exponential_histogram(point: &Bound<'_, PyAny>, points: &mut Points) -> PyResult<()> {
    let py = point.py();
    let histogram = ExponentialHistogram {
        count: point.getattr(intern!(py, "count"))?.extract()?,
        sum: double(point, intern!(py, "sum"))?,
        scale: point.getattr(intern!(py, "scale"))?.extract()?,
        zero_count: point.getattr(intern!(py, "zero_count"))?.extract()?,
        positive: buckets(&point.getattr(intern!(py, "positive"))?)?,
        negative: buckets(&point.getattr(intern!(py, "negative"))?)?,
        flags: point.getattr(intern!(py, "flags"))?.extract()?,
        min: double(point, intern!(py, "min"))?,
        max: double(point, intern!(py, "max"))?,
    };
    with_point(point, &EXPONENTIAL_HISTOGRAM_POINT, |common| {
        points.push_exponential_histogram(&common, &histogram);
        Ok(())
    })
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
    counts.try_iter()?.map(|count| count?.extract()).collect()
}

/// A number that may be None.
fn double(point: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<Option<f64>> {
    point.getattr(name)?.extract()
}

/// Reads what all kinds of points have.
fn with_point(
    point: &Bound<'_, PyAny>,
    fields: &PointFields,
    push: impl FnOnce(Point<'_>) -> PyResult<()>,
) -> PyResult<()> {
    let py = point.py();
    let attributes = attributes(&point.getattr(intern!(py, "attributes"))?, fields.attributes);
    let exemplars = exemplars(&point.getattr(intern!(py, "exemplars"))?, fields)?;
    push(Point {
        start_time_unix_nano: nanos(&point.getattr(intern!(py, "start_time_unix_nano"))?),
        time_unix_nano: nanos(&point.getattr(intern!(py, "time_unix_nano"))?),
        attributes: &attributes.wire.bytes(),
        exemplars: &exemplars,
    })
}

fn attributes(attributes: &Bound<'_, PyAny>, field: u8) -> PyAttributes {
    let mut converted = PyAttributes::new(field, None);
    if !attributes.is_none() {
        converted.extend(attributes, None);
    }
    converted
}

fn exemplars(exemplars: &Bound<'_, PyAny>, point: &PointFields) -> PyResult<Vec<u8>> {
    let py = exemplars.py();
    let mut framed = Vec::new();
    for_each(exemplars, "An exemplar", |exemplar| {
        let value = number(&exemplar.getattr(intern!(py, "value"))?)?;
        let filtered = attributes(&exemplar.getattr(intern!(py, "filtered_attributes"))?, EXEMPLAR_ATTRIBUTES);
        let trace_id: Option<u128> = exemplar.getattr(intern!(py, "trace_id"))?.extract()?;
        let span_id: Option<u64> = exemplar.getattr(intern!(py, "span_id"))?.extract()?;
        let exemplar = Exemplar {
            time_unix_nano: nanos(&exemplar.getattr(intern!(py, "time_unix_nano"))?),
            value,
            trace_and_span: trace_id.zip(span_id),
            filtered_attributes: &filtered.wire.bytes(),
        };
        exemplar.frame(&mut framed, point);
        Ok(())
    })?;
    Ok(framed)
}

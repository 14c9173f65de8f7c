//! A native stream as Python holds it: one metric of one reader.

use std::sync::{Arc, Weak};

use otel_rs_core::metrics::{
    Aggregation, Collected, Exemplar, ExponentialBuckets, ExponentialSettings, Offer, Point, Reader, ReservoirKind,
    Shape, Stream as Inner, Summary, Temporality, hash_of, metric,
};
use otel_rs_core::otlp::{Fields, OutOfMemory, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{Borrowed, IntoPyObjectExt};

use crate::convert::fields::{now, number, number_object};
use crate::convert::read::put_key_value;
use crate::export::collection::Collection;
use crate::metrics::consumer::MeasurementConsumer;
use crate::metrics::exemplar_filter::Within;
use crate::metrics::items::with_items;
use crate::py::attributes::from_attributes;
use crate::py::boundary::contained;
use crate::py::upstream::upstream;

/// `otel_rs.metrics._stream.StreamConfig`, which has been checked there.
pub struct StreamConfig<'py> {
    name: String,
    description: String,
    unit: String,
    aggregation: String,
    is_monotonic: bool,
    is_synchronous: bool,
    /// `AggregationTemporality`: 1 delta, 2 cumulative.
    temporality: u8,
    attribute_keys: Option<Vec<String>>,
    bounds: Vec<Bound<'py, PyAny>>,
    max_size: usize,
    max_scale: i32,
    record_min_max: bool,
    reservoir_size: Option<usize>,
    max_series: usize,
}

impl<'py> FromPyObject<'_, 'py> for StreamConfig<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(from_attributes!(
            object,
            name,
            description,
            unit,
            aggregation,
            is_monotonic,
            is_synchronous,
            temporality,
            attribute_keys,
            bounds,
            max_size,
            max_scale,
            record_min_max,
            reservoir_size,
            max_series,
        ))
    }
}

impl StreamConfig<'_> {
    fn aggregation(&self) -> PyResult<Aggregation> {
        let Self { max_size, max_scale, record_min_max, is_monotonic, .. } = *self;
        match self.aggregation.as_str() {
            "sum" => Ok(Aggregation::Sum { is_monotonic }),
            "last value" => Ok(Aggregation::LastValue),
            "explicit" => {
                let bounds = self.bounds.iter().map(number).collect::<PyResult<Arc<[_]>>>()?;
                Ok(Aggregation::Explicit { bounds, record_min_max })
            }
            "exponential" => Ok(Aggregation::Exponential(ExponentialSettings { max_size, max_scale, record_min_max })),
            other => Err(PyValueError::new_err(format!("no aggregation is called {other}"))),
        }
    }

    fn shape(&self) -> PyResult<Shape> {
        Ok(Shape {
            name: self.name.clone(),
            description: self.description.clone(),
            unit: self.unit.clone(),
            aggregation: self.aggregation()?,
            temporality: if self.temporality == 1 { Temporality::Delta } else { Temporality::Cumulative },
            is_synchronous: self.is_synchronous,
            attribute_keys: self.attribute_keys.clone().map(|keys| keys.into_iter().collect()),
            reservoir: self.reservoir_size.map_or(ReservoirKind::AlignedWithBuckets, ReservoirKind::FixedSize),
            max_series: self.max_series,
        })
    }
}

#[pyclass(frozen, module = "otel_rs._native")]
pub struct Stream {
    inner: Arc<Inner>,
}

impl Stream {
    pub fn read_by(
        reader: Option<Weak<dyn Reader>>,
        consumer: &Bound<'_, MeasurementConsumer>,
        config: &StreamConfig<'_>,
    ) -> PyResult<Self> {
        let budget = Arc::clone(consumer.get().budget());
        Ok(Self { inner: Arc::new(Inner::new(config.shape()?, budget, reader)) })
    }

    pub fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

#[pymethods]
impl Stream {
    /// A stream that Python collects.
    #[new]
    fn new(consumer: &Bound<'_, MeasurementConsumer>, config: StreamConfig<'_>) -> PyResult<Self> {
        Self::read_by(None, consumer, &config)
    }

    /// Takes a measurement whose value has been checked. `time` is now if it is None.
    #[pyo3(signature = (consumer, value, attributes, context, time=None, sampled=None))]
    fn measure(
        &self,
        consumer: &Bound<'_, MeasurementConsumer>,
        value: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
        time: Option<u64>,
        sampled: Option<bool>,
    ) -> PyResult<()> {
        let py = consumer.py();
        let time = || time.unwrap_or_else(now);
        contained(
            py,
            "measure",
            || {
                let value = number(value)?;
                let upstream = upstream(py)?;
                let filter = consumer.get().exemplar_filter();
                let within = context.map_or(Within::Current, Within::Context);
                let span = match sampled {
                    None => filter.sample(py, upstream, value, time, attributes, within),
                    Some(true) => Some(within.span(py, upstream)?),
                    Some(false) => None,
                };
                with_items(attributes, |items| {
                    let offer = span.map(|trace_and_span| Offer { value, trace_and_span, attributes: items });
                    self.inner.measure(items, hash_of(items), value, offer.as_ref(), time);
                });
                Ok(())
            },
            || Ok(()),
        )
    }

    /// Adds the points since the last collection to what a native exporter gets.
    fn collect_into(
        &self,
        collection: &Bound<'_, Collection>,
        scope: &Bound<'_, PyAny>,
        time_unix_nano: u64,
    ) -> PyResult<()> {
        let mut points = 0;
        match scope.py().detach(|| metric(&self.inner, time_unix_nano, &mut points)) {
            Ok(Some(metric)) => collection.get().add(scope, metric),
            Ok(None) => Ok(()),
            Err(OutOfMemory) => {
                collection.get().add_lost(points);
                Ok(())
            }
        }
    }

    /// A tuple for each point, of what upstream's class for it has besides the time.
    fn collect<'py>(&self, py: Python<'py>, time_unix_nano: u64) -> PyResult<Bound<'py, PyList>> {
        let points = py.detach(|| {
            let mut points = Vec::new();
            self.inner.collect(time_unix_nano, |collected| points.push(Taken::from(collected)));
            points
        });
        let points = points.iter().map(|taken| point(py, taken));
        PyList::new(py, points.collect::<PyResult<Vec<_>>>()?)
    }
}

/// A collected point, taken from its series: while one is locked no Python object may be made.
struct Taken {
    attributes: Box<[u8]>,
    point: Point<'static>,
    exemplars: Vec<Exemplar>,
}

impl From<Collected<'_>> for Taken {
    fn from(Collected { attributes, point, exemplars }: Collected<'_>) -> Self {
        Self { attributes: attributes.wire().into(), point: point.into_owned(), exemplars }
    }
}

fn point<'py>(py: Python<'py>, taken: &Taken) -> PyResult<Bound<'py, PyTuple>> {
    let attributes = attributes(py, &taken.attributes)?;
    let exemplars = taken.exemplars.iter().map(|exemplar| self::exemplar(py, exemplar));
    let exemplars = PyList::new(py, exemplars.collect::<PyResult<Vec<_>>>()?)?;
    match &taken.point {
        Point::Number { start_time_unix_nano, value } => {
            (attributes, exemplars, *start_time_unix_nano, number_object(py, *value)?).into_pyobject(py)
        }
        Point::Explicit(histogram) => {
            let Summary { count, sum, min, max } = histogram.summary;
            let [sum, min, max] = [sum, min, max].map(|value| number_object(py, value));
            let counts = PyTuple::new(py, &*histogram.bucket_counts)?;
            let start = histogram.start_time_unix_nano;
            (attributes, exemplars, start, count, sum?, counts, min?, max?).into_pyobject(py)
        }
        Point::Exponential(histogram) => {
            let Summary { count, sum, min, max } = histogram.summary;
            let [sum, min, max] = [sum, min, max].map(|value| number_object(py, value));
            let start = histogram.start_time_unix_nano;
            let (positive, negative) = (buckets(&histogram.positive), buckets(&histogram.negative));
            let (scale, zeros) = (histogram.scale, histogram.zero_count);
            (attributes, exemplars, start, count, sum?, scale, zeros, positive, negative, min?, max?).into_pyobject(py)
        }
    }
}

fn buckets(buckets: &ExponentialBuckets) -> (i64, Vec<u64>) {
    (buckets.offset(), buckets.counts())
}

fn attributes<'py>(py: Python<'py>, wire: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let attributes = PyDict::new(py);
    for (_, field) in Fields::of(wire) {
        if let Value::Bytes(key_value) = field {
            put_key_value(&attributes, key_value)?;
        }
    }
    Ok(attributes)
}

fn exemplar<'py>(py: Python<'py>, exemplar: &Exemplar) -> PyResult<Bound<'py, PyAny>> {
    let filtered = exemplar.filtered_attributes.as_ref().map(|filtered| attributes(py, filtered.wire())).transpose()?;
    let (trace_id, span_id) = exemplar.trace_and_span.unzip();
    (filtered, number_object(py, exemplar.value)?, exemplar.time_unix_nano, span_id, trace_id).into_bound_py_any(py)
}

//! A span that is not sampled: it passes its context on and does nothing else.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::py::upstream::upstream;
use crate::trace::span_context::SpanContext;

/// See `opentelemetry.trace.NonRecordingSpan`; made by a tracer as an instance of `otel_rs.trace.NonRecordingSpan`.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct NonRecordingSpan {
    pub context: SpanContext,
}

#[pymethods]
impl NonRecordingSpan {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Err(PyTypeError::new_err("made by tracers; use opentelemetry.trace.NonRecordingSpan"))
    }

    fn get_span_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.context.object(py, upstream(py)?)?.clone())
    }

    #[getter]
    fn _context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.get_span_context(py)
    }

    /// Copying and pickling give the API's own `NonRecordingSpan`.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyType>, (Bound<'py, PyAny>,))> {
        Ok((upstream(py)?.non_recording_span.clone_ref(py), (self.get_span_context(py)?,)))
    }

    fn is_recording(&self) -> bool {
        false
    }

    #[pyo3(signature = (end_time=None))]
    fn end(&self, end_time: Option<&Bound<'_, PyAny>>) {
        let _ = end_time;
    }

    fn set_attribute(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
        let _ = (key, value);
    }

    fn set_attributes(&self, attributes: &Bound<'_, PyAny>) {
        let _ = attributes;
    }
}

//! The Python classes of native spans, which derive from the API's and the SDK's span classes so that every isinstance
//! check in the wild holds.

use pyo3::impl_::pymethods::tp_new_impl;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::py::once::get_or_make;
use crate::py::upstream::subclass_or;
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;

struct Classes {
    span: Py<PyType>,
    non_recording_span: Py<PyType>,
    tracer: Py<PyType>,
}

#[inline]
fn classes(py: Python<'_>) -> PyResult<&'static Classes> {
    static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
    get_or_make(py, &CLASSES, || {
        let module = py.import("otel_rs.trace")?;
        let class = |name: &str| PyResult::Ok(module.getattr(name)?.cast_into::<PyType>()?);
        Ok(Classes {
            span: subclass_or::<Span>(&class("Span")?),
            non_recording_span: subclass_or::<NonRecordingSpan>(&class("NonRecordingSpan")?),
            tracer: class("Tracer")?.unbind(),
        })
    })
}

/// `otel_rs.trace.Span`.
#[inline]
pub fn span(py: Python<'_>) -> PyResult<&'static Py<PyType>> {
    Ok(&classes(py)?.span)
}

/// `otel_rs.trace.Tracer`.
#[inline]
pub fn tracer(py: Python<'_>) -> PyResult<&'static Py<PyType>> {
    Ok(&classes(py)?.tracer)
}

/// An instance of `otel_rs.trace.Span`. No `__new__` or `__init__` runs.
#[inline]
pub fn new_span(py: Python<'_>, value: Span) -> PyResult<Bound<'_, Span>> {
    let class = classes(py)?.span.bind(py);
    #[allow(unsafe_code)]
    // SAFETY: `class` is a subclass of the native class (`Upstream` takes no other), and the result is a
    // new reference to an instance of it. PyO3's own `#[new]` is made of this function; it is hidden from the
    // documentation, so an upgrade of PyO3 may ask for another way, at compile time.
    unsafe {
        let object = tp_new_impl::<_, Span>(py, PyClassInitializer::from(value), class.as_type_ptr())?;
        Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked())
    }
}

/// An instance of `otel_rs.trace.NonRecordingSpan`.
#[inline]
pub fn new_non_recording_span(py: Python<'_>, value: NonRecordingSpan) -> PyResult<Bound<'_, PyAny>> {
    let class = classes(py)?.non_recording_span.bind(py);
    #[allow(unsafe_code)]
    // SAFETY: as above.
    unsafe {
        let object = tp_new_impl::<_, NonRecordingSpan>(py, PyClassInitializer::from(value), class.as_type_ptr())?;
        Ok(Bound::from_owned_ptr(py, object))
    }
}

//! Makes native spans as instances of their Python subclasses, which derive from the API's and the SDK's span classes
//! so that every isinstance check in the wild holds.

use pyo3::impl_::pymethods::tp_new_impl;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;

/// An instance of `otel_rs.trace.Span`. No `__new__` or `__init__` runs.
#[inline]
pub fn span<'py>(py: Python<'py>, class: &Bound<'py, PyType>, value: Span) -> PyResult<Bound<'py, Span>> {
    #[allow(unsafe_code)]
    // SAFETY: `class` is a subclass of the native class (`Api` takes no other), and the result is a
    // new reference to an instance of it. PyO3's own `#[new]` is made of this function; it is hidden from the
    // documentation, so an upgrade of PyO3 may ask for another way, at compile time.
    unsafe {
        let object = tp_new_impl::<_, Span>(py, PyClassInitializer::from(value), class.as_type_ptr())?;
        Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked())
    }
}

/// An instance of `otel_rs.trace.NonRecordingSpan`.
#[inline]
pub fn non_recording_span<'py>(
    py: Python<'py>,
    class: &Bound<'py, PyType>,
    value: NonRecordingSpan,
) -> PyResult<Bound<'py, PyAny>> {
    #[allow(unsafe_code)]
    // SAFETY: as above.
    unsafe {
        let object = tp_new_impl::<_, NonRecordingSpan>(py, PyClassInitializer::from(value), class.as_type_ptr())?;
        Ok(Bound::from_owned_ptr(py, object))
    }
}

//! Python objects as the plain values that messages are made of.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString};

use crate::convert::text::utf8;
use crate::otlp::metric::Number;

/// A text as it is, lone surrogates replaced; None as an empty one; `str()` of anything else.
pub fn text<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
    if object.is_none() {
        return Ok(Cow::Borrowed(""));
    }
    match object.cast::<PyString>() {
        Ok(text) => Ok(utf8(text)),
        Err(_) => Ok(Cow::Owned(utf8(&object.str()?).into_owned())),
    }
}

/// Nanoseconds; what is none becomes the epoch.
pub fn nanos(object: &Bound<'_, PyAny>) -> u64 {
    object.extract::<u64>().or_else(|_| object.extract::<f64>().map(|nanos| nanos as u64)).unwrap_or(0)
}

/// An int if it is one and fits, else the nearest double. Fails for what is no number.
pub fn number(object: &Bound<'_, PyAny>) -> PyResult<Number> {
    if let Ok(float) = object.cast::<PyFloat>() {
        return Ok(Number::Double(float.value()));
    }
    if object.is_instance_of::<PyInt>()
        && let Ok(int) = object.extract()
    {
        return Ok(Number::Int(int));
    }
    Ok(Number::Double(object.extract()?))
}

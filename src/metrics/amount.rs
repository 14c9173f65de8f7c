//! What is measured, as a number.

use otel_rs_core::otlp::Number;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

use crate::convert::fields::number;
use crate::convert::value::as_i64;

/// Fails for what is no number.
#[inline]
pub fn amount(object: &Bound<'_, PyAny>) -> PyResult<Number> {
    if let Ok(float) = object.cast_exact::<PyFloat>() {
        return Ok(Number::Double(float.value()));
    }
    if let Ok(int) = object.cast_exact::<PyInt>()
        && let Some(int) = as_i64(int)
    {
        return Ok(Number::Int(int));
    }
    number(object)
}

pub fn is_finite(amount: Number) -> bool {
    match amount {
        Number::Int(_) => true,
        Number::Double(value) => value.is_finite(),
    }
}

pub fn is_negative(amount: Number) -> bool {
    match amount {
        Number::Int(value) => value < 0,
        Number::Double(value) => value < 0.0,
    }
}

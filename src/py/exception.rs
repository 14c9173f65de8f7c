//! Exceptions of telemetry code, which do not reach the application.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::py::text::{shown, type_name};
use crate::py::{interrupt, log};

/// Logs an exception that telemetry code (a processor, a value's `__str__`) raised, so that it does not reach the
/// application. What is not an `Exception` (KeyboardInterrupt) is for the application, and is kept as an interrupt.
#[cold]
pub fn swallow(py: Python<'_>, doing: &str, error: PyErr) {
    if error.is_instance_of::<PyException>(py) {
        let value = error.value(py);
        log::warning(py, &format!("{doing}: {}: {}", type_name(value), shown(value)));
    } else {
        interrupt::keep_interrupt(py, error);
    }
}

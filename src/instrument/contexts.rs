//! What instrumentations ask of the current context.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::py::context;
use crate::py::once::{get_or_make, intern};
use crate::py::upstream::{SUPPRESS_HTTP_INSTRUMENTATION_KEY, SUPPRESS_INSTRUMENTATION_KEYS, upstream};

/// See `opentelemetry.instrumentation.utils`.
#[pyfunction]
pub fn is_instrumentation_enabled(py: Python<'_>) -> PyResult<bool> {
    no_value_is_set(py, &suppressing(py)?[..2])
}

/// See `opentelemetry.instrumentation.utils`.
#[pyfunction]
pub fn is_http_instrumentation_enabled(py: Python<'_>) -> PyResult<bool> {
    no_value_is_set(py, suppressing(py)?)
}

/// The keys that suppress instrumentation, the last one that of HTTP alone.
pub fn suppressing(py: Python<'_>) -> PyResult<&'static [Py<PyAny>; 3]> {
    static KEYS: PyOnceLock<[Py<PyAny>; 3]> = PyOnceLock::new();
    get_or_make(py, &KEYS, || {
        let [all, plain] = &SUPPRESS_INSTRUMENTATION_KEYS;
        let look_up = |name: &crate::py::upstream::Name| PyResult::Ok(name.look_up(py)?.unbind());
        Ok([look_up(all)?, look_up(plain)?, look_up(&SUPPRESS_HTTP_INSTRUMENTATION_KEY)?])
    })
}

/// Whether the current context has none of these keys with a value that is true.
fn no_value_is_set(py: Python<'_>, keys: &[Py<PyAny>]) -> PyResult<bool> {
    let current = context::current(py, upstream(py)?)?;
    for key in keys {
        let value = match current.cast::<PyDict>() {
            Ok(current) => current.get_item(key)?,
            // Any object with `get` will do, as upstream.
            Err(_) => Some(current.call_method1(intern!(py, "get"), (key,))?),
        };
        if value.is_some_and(|value| value.is_truthy().unwrap_or(true)) {
            return Ok(false);
        }
    }
    Ok(true)
}

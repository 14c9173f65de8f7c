//! Exceptions: those of the user's telemetry code, which stay here, and those of the application, which are recorded.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::log;

/// Logs an exception that a processor or sampler raised, so that it does not reach the application. What is not an
/// `Exception` (KeyboardInterrupt, SystemExit) was meant for the application and is passed on.
pub fn contain(py: Python<'_>, doing: &str, error: PyErr) -> PyResult<()> {
    if error.is_instance_of::<PyException>(py) {
        log::exception(py, doing, error);
        return Ok(());
    }
    Err(error)
}

/// The attributes of an exception's event, by the semantic conventions.
pub fn event_attributes<'py>(
    exception: &Bound<'py, PyAny>,
    escaped: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = exception.py();
    let class = exception.get_type();
    let qualified = class.qualname()?.to_string();
    let module = class.getattr("__module__")?;
    let kind = if !module.is_truthy()? || module.eq("builtins")? {
        qualified
    } else {
        format!("{}.{qualified}", module.str()?.to_string_lossy())
    };
    let attributes = PyDict::new(py);
    attributes.set_item("exception.type", kind)?;
    attributes.set_item("exception.message", exception.str()?)?;
    let lines = py.import("traceback")?.call_method1("format_exception", (exception,))?;
    attributes.set_item("exception.stacktrace", pyo3::types::PyString::new(py, "").call_method1("join", (lines,))?)?;
    attributes.set_item("exception.escaped", escaped.str()?)?;
    Ok(attributes)
}

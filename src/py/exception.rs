//! Exceptions of telemetry code, which do not reach the application.

use otel_rs_core::otlp::OutOfMemory;
use pyo3::exceptions::{PyException, PyMemoryError};
use pyo3::ffi;
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

/// Without memory for something large, as Python says it.
#[cold]
pub fn out_of_memory(error: OutOfMemory) -> PyErr {
    PyMemoryError::new_err(error.to_string())
}

/// Does the work of a destructor, which Python may call while an exception is on its way: that one stays, and what the
/// work raises is shown like an exception of `__del__`.
#[cold]
pub fn in_destructor(py: Python<'_>, work: impl FnOnce() -> PyResult<()>) {
    let _on_its_way = OnItsWay::put_aside(py);
    if let Err(error) = work() {
        error.write_unraisable(py, None);
    }
}

/// The exception that is raised in this thread, if any; raised again when this is dropped.
struct OnItsWay<'py> {
    _attached: Python<'py>,
    parts: [*mut ffi::PyObject; 3],
}

#[allow(deprecated)] // the newer functions are not in Python 3.11
#[allow(unsafe_code)]
impl<'py> OnItsWay<'py> {
    fn put_aside(py: Python<'py>) -> Self {
        let mut parts = [std::ptr::null_mut(); 3];
        let [kind, value, traceback] = &mut parts;
        // SAFETY: the thread is attached; the call fills the three with new references or null.
        unsafe { ffi::PyErr_Fetch(kind, value, traceback) };
        Self { _attached: py, parts }
    }
}

#[allow(deprecated)]
#[allow(unsafe_code)]
impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let [kind, value, traceback] = self.parts;
        // SAFETY: the thread is attached; the three are those that `PyErr_Fetch` gave, whose references are given back.
        unsafe { ffi::PyErr_Restore(kind, value, traceback) };
    }
}

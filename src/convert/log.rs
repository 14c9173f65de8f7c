//! Lines for Python's `logging`. Logging may run any handler, so it is never done under a Rust lock; what a handler
//! raises is not the application's business.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::report::{self, Level};

/// The logger of everything that is said on the application's threads about spans.
const TRACE_LOGGER: &str = "otel_rs.trace";
/// The logger of what is reported from the pipeline.
const EXPORT_LOGGER: &str = "otel_rs.export";

fn logger<'py>(py: Python<'py>, cell: &'static PyOnceLock<Py<PyAny>>, name: &str) -> PyResult<&'py Bound<'py, PyAny>> {
    let make = || Ok::<_, PyErr>(py.import("logging")?.call_method1("getLogger", (name,))?.unbind());
    Ok(cell.get_or_try_init(py, make)?.bind(py))
}

#[cold]
pub fn warning(py: Python<'_>, message: &str) {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let _ = logger(py, &LOGGER, TRACE_LOGGER).and_then(|l| l.call_method1(intern!(py, "warning"), ("%s", message)));
}

/// Says what was being done when Python code (a processor, a sampler, a value's `__str__`) raised, and goes on.
#[cold]
pub fn exception(py: Python<'_>, doing: &str, error: PyErr) {
    let kind = error.get_type(py).qualname().map_or_else(|_| "exception".to_owned(), |name| name.to_string());
    // `str` of the exception is the user's code as well.
    let text = error.value(py).str().map_or_else(|_| "?".to_owned(), |text| text.to_string_lossy().into_owned());
    warning(py, &format!("{doing}: {kind}: {text}"));
}

/// Hands what the pipeline reported to `logging`, on a thread that may.
#[inline]
pub fn drain_reports(py: Python<'_>) {
    if report::waiting() {
        drain(py);
    }
}

#[cold]
fn drain(py: Python<'_>) {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Ok(logger) = logger(py, &LOGGER, EXPORT_LOGGER) else { return };
    for report in report::take() {
        let method = match report.level {
            Level::Warning => intern!(py, "warning"),
            Level::Error => intern!(py, "error"),
        };
        let _ = logger.call_method1(method, ("%s", report.message));
    }
}

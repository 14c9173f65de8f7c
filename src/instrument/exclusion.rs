//! URLs of which a program wants to have no spans.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::py::once::{get_or_make, intern};

/// Tells whether a URL is excluded; None where none is, so that nobody has to put the URL together.
#[pyfunction]
pub fn exclusion<'py>(excluded_urls: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static EXCLUDE_LIST: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = excluded_urls.py();
    if !excluded_urls.is_truthy()? {
        return Ok(None);
    }
    let class =
        get_or_make(py, &EXCLUDE_LIST, || Ok(py.import("opentelemetry.util.http")?.getattr("ExcludeList")?.unbind()))?;
    if excluded_urls.get_type().is(class) && !excluded_urls.getattr(intern!(py, "_excluded_urls"))?.is_truthy()? {
        return Ok(None);
    }
    excluded_urls.getattr(intern!(py, "url_disabled")).map(Some)
}

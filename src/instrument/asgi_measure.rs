//! What is measured of a request to an ASGI application.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::instrument::asgi::asgi_header;
use crate::py::call;
use crate::py::context;
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// The length that a scope's or message's headers tell; None if they tell none, and False where contrib has to look.
#[pyfunction]
pub fn asgi_content_length<'py>(carrier: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = carrier.py();
    let header = asgi_header(carrier, "content-length")?;
    let Ok(text) = header.cast::<PyString>() else { return Ok(header) };
    let text = text.to_str()?;
    // Python takes spaces, signs and more.
    let is_plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(length) if is_plain => Ok(length.into_pyobject(py)?.into_any()),
        _ => Ok(false.into_pyobject(py)?.to_owned().into_any()),
    }
}

/// Records a request's duration and sizes in those of the middleware's histograms that there are, with their attributes
/// by old and by new names.
#[pyfunction]
#[pyo3(signature = (middleware, span, seconds, old, new, request_size))]
pub fn asgi_measure<'py>(
    middleware: &Bound<'py, PyAny>,
    span: &Bound<'py, PyAny>,
    seconds: f64,
    old: Option<&Bound<'py, PyDict>>,
    new: Option<&Bound<'py, PyDict>>,
    request_size: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = middleware.py();
    // For the exemplars.
    let within = context::with_span(upstream(py)?, span)?;
    let names = PyTuple::new(py, [intern!(py, "context")])?;
    let none = py.None().into_bound(py);
    let record = |name: &Bound<'py, PyString>, amount: &Bound<'py, PyAny>, labels: Option<&Bound<'py, PyDict>>| {
        let histogram = middleware.getattr(name)?;
        if histogram.is_truthy()? {
            let labels = labels.map_or(&none, |labels| labels.as_any());
            call::method(intern!(py, "record"), [&histogram, amount, labels, &within], Some(&names))?;
        }
        PyResult::Ok(())
    };
    // As Python rounds.
    let milliseconds = ((seconds * 1000.0).round_ties_even() as i64).max(0).into_pyobject(py)?.into_any();
    record(intern!(py, "duration_histogram_old"), &milliseconds, old)?;
    record(intern!(py, "duration_histogram_new"), &seconds.max(0.0).into_pyobject(py)?.into_any(), new)?;
    let response_size = middleware.getattr(intern!(py, "content_length_header"))?;
    if response_size.is_truthy()? {
        record(intern!(py, "server_response_size_histogram"), &response_size, old)?;
        record(intern!(py, "server_response_body_size_histogram"), &response_size, new)?;
    }
    if let Some(size) = request_size {
        record(intern!(py, "server_request_size_histogram"), size, old)?;
        record(intern!(py, "server_request_body_size_histogram"), size, new)?;
    }
    Ok(())
}

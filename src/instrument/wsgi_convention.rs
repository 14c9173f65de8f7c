//! What the instrumentations of WSGI applications do with a request and a response, in a mode of the semantic
//! conventions.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyString};

use crate::instrument::attributes::{put_response_code, selected_attributes};
use crate::instrument::originals::{Originals, is_set, lists_are_known};
use crate::instrument::server_span::is_recording;
use crate::instrument::wsgi::wsgi_request_attributes;
use crate::py::call;
use crate::py::context;
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// The first code of a response that makes a server's span an error.
const ERRORS_FROM: u32 = 500;

/// `otel_rs.instrument._wsgi` makes one of each mode.
#[pyclass(frozen, subclass, module = "otel_rs._native")]
pub struct WsgiConvention {
    #[pyo3(get)]
    mode: Py<PyAny>,
    /// Whether the old names are reported, and whether the new ones.
    #[pyo3(get)]
    old: bool,
    #[pyo3(get)]
    new: bool,
    /// The attributes that metrics have.
    keys: Keys,
    /// Contrib's functions.
    collect_request_attributes: Py<Originals>,
    add_response_attributes: Py<Originals>,
    /// The API's function.
    set_span_in_context: Py<Originals>,
    request_headers: Headers,
    response_headers: Headers,
}

/// Keys by the metric and by the names, old and new.
struct Keys {
    active_old: Py<PyFrozenSet>,
    active_new: Py<PyFrozenSet>,
    duration_old: Py<PyFrozenSet>,
    duration_new: Py<PyFrozenSet>,
}

extract_from_attributes!(Keys { active_old, active_new, duration_old, duration_new });

/// Headers that the program wants to be captured.
struct Headers {
    /// Reads the variable that names them.
    names: Py<PyAny>,
    /// Puts them into a span.
    capture: Py<PyAny>,
}

extract_from_attributes!(Headers { names, capture });

#[pymethods]
impl WsgiConvention {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        mode: Py<PyAny>,
        old: bool,
        new: bool,
        keys: Keys,
        collect_request_attributes: Py<Originals>,
        add_response_attributes: Py<Originals>,
        set_span_in_context: Py<Originals>,
        request_headers: Headers,
        response_headers: Headers,
    ) -> Self {
        Self {
            mode,
            old,
            new,
            keys,
            collect_request_attributes,
            add_response_attributes,
            set_span_in_context,
            request_headers,
            response_headers,
        }
    }

    /// `collect_request_attributes`.
    pub fn request_attributes<'py>(&self, environ: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = environ.py();
        let contribs = self.collect_request_attributes.get();
        if lists_are_known(py)? && contribs.are_there(py)? {
            let attributes = wsgi_request_attributes(environ, self.old, self.new)?;
            // A mapping that is empty would be another one than a request's.
            if let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) {
                return Ok(attributes.into_any());
            }
        }
        contribs.call(py, (environ, &self.mode))
    }

    /// Those that the requests under way are counted by: the old ones before the new ones.
    pub fn counted<'py>(&self, attributes: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let py = attributes.py();
        let keys = if self.old { &self.keys.active_old } else { &self.keys.active_new };
        let selected = selected_attributes(attributes, keys.bind(py))?;
        if self.old && self.new {
            selected.update(selected_attributes(attributes, self.keys.active_new.bind(py))?.as_mapping())?;
        }
        Ok(selected)
    }

    /// Of a span that is recorded. Returns whether there are any.
    pub fn capture_request_headers(&self, span: &Bound<'_, PyAny>, environ: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Headers { names, capture } = &self.request_headers;
        let py = span.py();
        Ok(is_set(names.bind(py))? && capture.bind(py).call1((span, environ))?.is_truthy()?)
    }

    /// Whether the program wants to have headers of the response in this span.
    pub fn wants_response_headers(&self, span: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(is_set(self.response_headers.names.bind(span.py()))? && is_recording(span)?)
    }

    pub fn capture_response_headers(&self, span: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        self.response_headers.capture.bind(span.py()).call1((span, headers)).map(drop)
    }

    /// Puts the code of a response that is no error into its span and attributes. Of any other it returns false.
    pub fn put_response_code(
        &self,
        span: &Bound<'_, PyAny>,
        code: &Bound<'_, PyAny>,
        attributes: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        // Contrib sets the span's status to unset, too, which changes nothing.
        Ok(self.add_response_attributes.get().are_there(span.py())?
            && put_response_code(span, code, attributes, ERRORS_FROM, self.old, self.new)?)
    }

    /// `add_response_attributes`, and the headers that the program wants to be captured.
    pub fn add_response_attributes(
        &self,
        span: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        attributes: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let py = span.py();
        let is_put = match code_of(status) {
            Some(code) => self.put_response_code(span, &code.into_pyobject(py)?.into_any(), attributes)?,
            None => false,
        };
        if !is_put {
            let contribs = self.add_response_attributes.get();
            contribs.call(py, (span, status, headers, attributes, &self.mode))?;
        }
        if self.wants_response_headers(span)? {
            self.capture_response_headers(span, headers)?;
        }
        Ok(())
    }

    /// Records how long a request took in the histograms that there are, with the route if there is one.
    #[pyo3(signature = (seconds, attributes, span, old=None, new=None, route=None))]
    pub fn record_duration<'py>(
        &self,
        seconds: f64,
        attributes: &Bound<'py, PyDict>,
        span: &Bound<'py, PyAny>,
        old: Option<&Bound<'py, PyAny>>,
        new: Option<&Bound<'py, PyAny>>,
        route: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = span.py();
        // For the exemplars.
        let apis = self.set_span_in_context.get();
        let within =
            if apis.are_there(py)? { context::with_span(upstream(py)?, span)? } else { apis.call(py, (span,))? };
        let names = pyo3::types::PyTuple::new(py, [intern!(py, "context")])?;
        let route = route.map(|route| route.str()).transpose()?;
        let record = |histogram, amount: &Bound<'py, PyAny>, keys: &Py<PyFrozenSet>, name: &Bound<'py, PyString>| {
            let labels = selected_attributes(attributes, keys.bind(py))?;
            if let Some(route) = &route {
                labels.set_item(name, route)?;
            }
            let arguments = [histogram, amount, labels.as_any(), &within];
            call::method(intern!(py, "record"), arguments, Some(&names)).map(drop)
        };
        if let Some(histogram) = old.filter(|histogram| histogram.is_truthy().unwrap_or(true)) {
            // As Python rounds.
            let milliseconds = (seconds * 1000.0).round_ties_even() as i64;
            let amount = milliseconds.into_pyobject(py)?.into_any();
            record(histogram, &amount, &self.keys.duration_old, intern!(py, "http.target"))?;
        }
        if let Some(histogram) = new.filter(|histogram| histogram.is_truthy().unwrap_or(true)) {
            let amount = seconds.into_pyobject(py)?.into_any();
            record(histogram, &amount, &self.keys.duration_new, intern!(py, "http.route"))?;
        }
        Ok(())
    }
}

/// 200 of `200 OK`; None where contrib has to look.
fn code_of(status: &Bound<'_, PyAny>) -> Option<u32> {
    let status = status.cast_exact::<PyString>().ok()?.to_str().ok()?;
    let code = status.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
    (status.as_bytes().get(3) == Some(&b' ')).then(|| code.parse().ok()).flatten()
}

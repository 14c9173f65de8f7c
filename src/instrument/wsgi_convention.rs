//! What the instrumentations of WSGI applications do with a request and a response, in a mode of the semantic
//! conventions.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::instrument::attributes::put_response_code;
use crate::instrument::measure::{Keys, Measurement};
use crate::instrument::originals::{Originals, is_set, lists_are_known};
use crate::instrument::server_span::is_recording;
use crate::instrument::wsgi::wsgi_request_attributes;
use crate::metrics::exemplar_filter::Within;
use crate::py::once::intern;

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
    keys: MetricKeys,
    /// Contrib's functions.
    collect_request_attributes: Py<Originals>,
    add_response_attributes: Py<Originals>,
    /// The API's function.
    set_span_in_context: Py<Originals>,
    request_headers: Headers,
    response_headers: Headers,
}

/// The attributes that metrics have.
struct MetricKeys {
    /// Those that the requests under way are counted by.
    counted: Keys,
    duration_old: Keys,
    duration_new: Keys,
}

extract_from_attributes!(MetricKeys { counted, duration_old, duration_new });

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
        keys: MetricKeys,
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

    /// Those that the requests under way are counted by.
    fn counted<'py>(&self, attributes: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        self.keys.counted.selected(attributes)
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

    /// Records how long a request took in the histograms that there are: in the span, if one is given, and otherwise in
    /// the current one. `target` and `route` are more attributes of the old and of the new one.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (seconds, attributes, old=None, new=None, span=None, target=None, route=None))]
    pub fn record_duration<'py>(
        &self,
        seconds: f64,
        attributes: &Bound<'py, PyDict>,
        old: Option<&Bound<'py, PyAny>>,
        new: Option<&Bound<'py, PyAny>>,
        span: Option<&Bound<'py, PyAny>>,
        target: Option<&Bound<'py, PyAny>>,
        route: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = attributes.py();
        let with_span = self.set_span_in_context.get();
        let replaced;
        let within = match span {
            None => Within::Current,
            Some(span) if with_span.are_there(py)? => Within::Span(span),
            Some(span) => {
                replaced = with_span.call(py, (span,))?;
                Within::Context(&replaced)
            }
        };
        let measurement = Measurement { attributes, keys: &self.keys.duration_old, more: None, within };
        if let Some(histogram) = old.filter(|histogram| histogram.is_truthy().unwrap_or(true)) {
            let more = target.map(|target| (intern!(py, "http.target"), target));
            Measurement { more, ..measurement }.record_milliseconds(histogram, seconds)?;
        }
        if let Some(histogram) = new.filter(|histogram| histogram.is_truthy().unwrap_or(true)) {
            let more = route.map(|route| (intern!(py, "http.route"), route));
            Measurement { more, keys: &self.keys.duration_new, ..measurement }.record_seconds(histogram, seconds)?;
        }
        Ok(())
    }
}

impl WsgiConvention {
    /// Counts a request that has begun, or one that has ended.
    pub fn count<'py>(&self, counter: &Bound<'py, PyAny>, by: i64, attributes: &Bound<'py, PyDict>) -> PyResult<()> {
        Measurement { attributes, keys: &self.keys.counted, more: None, within: Within::Current }.add(counter, by)
    }
}

/// 200 of `200 OK`; None where contrib has to look.
fn code_of(status: &Bound<'_, PyAny>) -> Option<u32> {
    let status = status.cast_exact::<PyString>().ok()?.to_str().ok()?;
    let code = status.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
    (status.as_bytes().get(3) == Some(&b' ')).then(|| code.parse().ok()).flatten()
}

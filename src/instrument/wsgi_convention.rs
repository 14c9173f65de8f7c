//! What the instrumentations of WSGI applications do with a request and a response, in a mode of the semantic
//! conventions.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::instrument::attributes::{Names, put_response_code};
use crate::instrument::collected::{Collect, Collected};
use crate::instrument::measure::{Keys, Measurement};
use crate::instrument::originals::{Originals, is_set, lists_are_known};
use crate::instrument::server_span::is_recording;
use crate::instrument::wsgi;
use crate::metrics::exemplar_filter::Within;
use crate::metrics::items::Given;
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
    fn request_attributes<'py>(&self, environ: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.usual_attributes(environ, PyDict::new(environ.py()))? {
            // A mapping that is empty would be another one than a request's.
            Some(attributes) if !attributes.is_empty() => Ok(attributes.into_any()),
            _ => self.contribs_attributes(environ),
        }
    }

    /// Those that the requests under way are counted by.
    fn counted<'py>(&self, attributes: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        self.keys.counted.selected(attributes.py(), Given::Dict(attributes))
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
    #[pyo3(name = "put_response_code")]
    fn put_response_code_in_dict<'py>(
        &self,
        span: &Bound<'py, PyAny>,
        code: &Bound<'py, PyAny>,
        mut attributes: Bound<'py, PyDict>,
    ) -> PyResult<bool> {
        self.put_response_code(span, code, &mut attributes)
    }

    /// `add_response_attributes`, and the headers that the program wants to be captured.
    #[pyo3(name = "add_response_attributes")]
    fn add_response_attributes_to_dict<'py>(
        &self,
        span: &Bound<'py, PyAny>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        mut attributes: Bound<'py, PyDict>,
    ) -> PyResult<()> {
        self.add_response_attributes(span, status, headers, &mut attributes)
    }

    /// Records how long a request took in the histograms that there are: in the span, if one is given, and otherwise in
    /// the current one. `target` is one more attribute of the old one.
    #[pyo3(name = "record_duration", signature = (seconds, attributes, old=None, new=None, span=None, target=None))]
    fn record_duration_by_dict<'py>(
        &self,
        seconds: f64,
        attributes: &Bound<'py, PyDict>,
        old: Option<&Bound<'py, PyAny>>,
        new: Option<&Bound<'py, PyAny>>,
        span: Option<&Bound<'py, PyAny>>,
        target: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = attributes.py();
        self.record_duration(py, seconds, Given::Dict(attributes), [old, new], span, [target, None])
    }
}

impl WsgiConvention {
    /// `collect_request_attributes`, where no Python code has to see them.
    pub fn collected(&self, environ: &Bound<'_, PyAny>) -> PyResult<Collected> {
        match self.usual_attributes(environ, Collected::default())? {
            Some(attributes) if !attributes.pairs().is_empty() => Ok(attributes),
            _ => Collected::of(self.contribs_attributes(environ)?.cast()?),
        }
    }

    /// None where contrib's own code has to run.
    fn usual_attributes<'py, C: Collect<'py>>(&self, environ: &Bound<'py, PyAny>, result: C) -> PyResult<Option<C>> {
        let py = environ.py();
        if !lists_are_known(py)? || !self.collect_request_attributes.get().are_there(py)? {
            return Ok(None);
        }
        wsgi::collected(environ, Names { result, old: self.old, new: self.new })
    }

    fn contribs_attributes<'py>(&self, environ: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.collect_request_attributes.get().call(environ.py(), (environ, &self.mode))
    }

    fn put_response_code<'py>(
        &self,
        span: &Bound<'py, PyAny>,
        code: &Bound<'py, PyAny>,
        attributes: &mut impl Collect<'py>,
    ) -> PyResult<bool> {
        // Contrib sets the span's status to unset, too, which changes nothing.
        Ok(self.add_response_attributes.get().are_there(span.py())?
            && put_response_code(span, code, attributes, ERRORS_FROM, self.old, self.new)?)
    }

    pub fn add_response_attributes<'py>(
        &self,
        span: &Bound<'py, PyAny>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        attributes: &mut impl Collect<'py>,
    ) -> PyResult<()> {
        let py = span.py();
        let is_put = match code_of(status) {
            Some(code) => self.put_response_code(span, &code.into_pyobject(py)?.into_any(), attributes)?,
            None => false,
        };
        if !is_put {
            let contribs = self.add_response_attributes.get();
            attributes.change(py, |attributes| {
                contribs.call(py, (span, status, headers, attributes, &self.mode)).map(drop)
            })?;
        }
        if self.wants_response_headers(span)? {
            self.capture_response_headers(span, headers)?;
        }
        Ok(())
    }

    /// `histograms` and `more`, their target and route, are those of the old names and of the new ones.
    pub fn record_duration<'py>(
        &self,
        py: Python<'py>,
        seconds: f64,
        attributes: Given<'_, 'py>,
        histograms: [Option<&Bound<'py, PyAny>>; 2],
        span: Option<&Bound<'py, PyAny>>,
        more: [Option<&Bound<'py, PyAny>>; 2],
    ) -> PyResult<()> {
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
        let [old, new] = histograms.map(|it| it.filter(|histogram| histogram.is_truthy().unwrap_or(true)));
        let [target, route] = more;
        let measurement = Measurement { attributes, keys: &self.keys.duration_old, more: None, within };
        if let Some(histogram) = old {
            let more = target.map(|target| (intern!(py, "http.target"), target));
            Measurement { more, ..measurement }.record_milliseconds(histogram, seconds)?;
        }
        if let Some(histogram) = new {
            let more = route.map(|route| (intern!(py, "http.route"), route));
            Measurement { more, keys: &self.keys.duration_new, ..measurement }.record_seconds(histogram, seconds)?;
        }
        Ok(())
    }

    /// Counts a request that has begun, or one that has ended.
    pub fn count<'py>(&self, counter: &Bound<'py, PyAny>, by: i64, attributes: Given<'_, 'py>) -> PyResult<()> {
        Measurement { attributes, keys: &self.keys.counted, more: None, within: Within::Current }.add(counter, by)
    }
}

/// 200 of `200 OK`; None where contrib has to look.
fn code_of(status: &Bound<'_, PyAny>) -> Option<u32> {
    let status = status.cast_exact::<PyString>().ok()?.to_str().ok()?;
    let code = status.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
    (status.as_bytes().get(3) == Some(&b' ')).then(|| code.parse().ok()).flatten()
}

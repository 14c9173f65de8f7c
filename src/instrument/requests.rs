//! What contrib's instrumentation of `requests` does with a request that is sent.

use std::time::Instant;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::attributes::{Names, put_response_code};
use crate::instrument::client;
use crate::instrument::client_span::{Attributes, ClientSpan};
use crate::instrument::collected::{Collect, Collected};
use crate::instrument::contexts::{is_http_instrumentation_enabled, suppressing};
use crate::instrument::measure::{Keys, Measurement};
use crate::instrument::originals::{Originals, lists_are_known};
use crate::instrument::server_span::propagation;
use crate::metrics::exemplar_filter::Within;
use crate::metrics::items::Given;
use crate::propagate::functions::{inject_into, is_native_inject};
use crate::py::call;
use crate::py::context;
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// The first code of a response that makes a client's span an error.
const ERRORS_FROM: u32 = 400;

/// How `requests` is instrumented, without hooks and captured headers.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct RequestsClient {
    options: Options,
    durations: Vec<Duration>,
    /// `Session.send` as it was, and as contrib's is.
    send: Py<PyAny>,
    in_contrib: Py<PyAny>,
}

/// What it is made of, as attributes of an object.
struct Options {
    tracer: Py<PyAny>,
    mode: Py<PyAny>,
    /// Whether the old names are reported, and whether the new ones.
    old: bool,
    new: bool,
    /// Contrib's functions, which a program may replace.
    replaceable: Py<Originals>,
    set_status_code: Py<PyAny>,
    response: Py<PyType>,
    /// The class of a request's headers whose `_store` has them by their names in lower case; None in a release of
    /// requests that may have another.
    headers: Option<Py<PyType>>,
}

extract_from_attributes!(Options { tracer, mode, old, new, replaceable, set_status_code, response, headers });

/// A histogram of how long requests take, whether in milliseconds, and the keys that it has.
type Duration = (Py<PyAny>, bool, Keys);

#[pymethods]
impl RequestsClient {
    #[new]
    fn new(options: Options, durations: Vec<Duration>, send: Py<PyAny>, in_contrib: Py<PyAny>) -> Self {
        Self { options, durations, send, in_contrib }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.options.tracer)?;
        visit.call(&self.send)?;
        visit.call(&self.in_contrib)
    }

    /// `Session.send`.
    fn send<'py>(
        &self,
        session: &Bound<'py, PyAny>,
        request: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = session.py();
        let arguments = PyTuple::new(py, [session, request])?;
        if !is_http_instrumentation_enabled(py)? {
            return self.send.bind(py).call(arguments, Some(options));
        }
        let headers = request.getattr(intern!(py, "headers"))?;
        if let Some((span_attributes, labels)) = self.attributes(request, &headers)? {
            let method = request.getattr(intern!(py, "method"))?;
            let mut is_marked = false;
            let complete = |span: &Bound<'py, PyAny>, context: &Bound<'py, PyDict>| {
                is_marked = self.is_injected(&headers, context)?;
                if is_marked { mark(span, context) } else { Ok(()) }
            };
            let tracer = self.options.tracer.bind(py);
            if let Some(span) =
                ClientSpan::start_in(tracer, &method, Attributes::Collected(&span_attributes), complete)?
            {
                let result = self.observed(span.span.bind(py), is_marked, &headers, labels, &arguments, options);
                return span.leave(py, result);
            }
        }
        self.in_contrib.bind(py).call(arguments, Some(options))
    }
}

impl RequestsClient {
    /// Those of the span and of the metrics; None where contrib's code has to run.
    fn attributes<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Collected, Collected)>> {
        let py = request.py();
        let options = &self.options;
        let is_usual = !headers.is_none()
            // Within another instrumented request contrib does more.
            && !context::current(py, upstream(py)?)?.contains(state_key(py))?
            && lists_are_known(py)?
            && options.replaceable.get().are_there(py)?;
        if !is_usual {
            return Ok(None);
        }
        let method = request.getattr(intern!(py, "method"))?;
        let url = request.getattr(intern!(py, "url"))?;
        let names = Names { result: Collected::default(), old: options.old, new: options.new };
        client::collected(&method, &url, &self.user_agent(headers)?, names, Collected::default(), true)
    }

    fn user_agent<'py>(&self, headers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = headers.py();
        if let Some(class) = &self.options.headers
            && headers.get_type().is(class)
            && let Ok(store) = headers.getattr(intern!(py, "_store"))?.cast::<PyDict>()
        {
            return match store.get_item(intern!(py, "user-agent"))? {
                Some(pair) => pair.get_item(1),
                None => Ok(py.None().into_bound(py)),
            };
        }
        headers.call_method1(intern!(py, "get"), (intern!(py, "User-Agent"),))
    }

    /// Whether the headers name the span of this context now: unless some code runs then that would see that the context
    /// is not the current one.
    fn is_injected<'py>(&self, headers: &Bound<'py, PyAny>, context: &Bound<'py, PyDict>) -> PyResult<bool> {
        let is_known = self.options.headers.as_ref().is_some_and(|class| headers.get_type().is(class));
        Ok(is_known && is_native_inject(&inject(headers.py())?) && inject_into(headers, Some(context))?)
    }

    /// Sends the request within its span, whose context may have the marks.
    fn observed<'py>(
        &self,
        span: &Bound<'py, PyAny>,
        is_marked: bool,
        headers: &Bound<'py, PyAny>,
        mut labels: Collected,
        arguments: &Bound<'py, PyTuple>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = span.py();
        let token = if is_marked {
            None
        } else {
            call::function(&inject(py)?, [headers], None)?;
            Some(attach_marks(span)?)
        };
        let start = Instant::now();
        let result = self.send.bind(py).call(arguments, Some(options));
        let elapsed = start.elapsed().as_secs_f64();
        if let Some(token) = token {
            context::detach(py, upstream(py)?, token);
        }
        let response = match &result {
            Ok(response) => Some(response.clone()),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                error.value(py).getattr_opt(intern!(py, "response"))?
            }
            // The program is to end.
            Err(_) => return result,
        };
        if let Some(response) = response
            && response.is_instance(self.options.response.bind(py))?
        {
            self.observe_response(span, &response, &mut labels)?;
        }
        if let Err(error) = &result
            && self.options.new
        {
            let kind = error.get_type(py).qualname()?;
            labels.set(intern!(py, "error.type"), &kind)?;
            span.call_method1(intern!(py, "set_attribute"), (intern!(py, "error.type"), kind))?;
        }
        for (histogram, in_milliseconds, keys) in &self.durations {
            let (histogram, within) = (histogram.bind(py), Within::Current);
            let measurement = Measurement { attributes: Given::Pairs(labels.pairs()), keys, more: None, within };
            if *in_milliseconds {
                measurement.record_milliseconds(histogram, elapsed)?;
            } else {
                measurement.record_seconds(histogram, elapsed)?;
            }
        }
        result
    }

    fn observe_response<'py>(
        &self,
        span: &Bound<'py, PyAny>,
        response: &Bound<'py, PyAny>,
        labels: &mut Collected,
    ) -> PyResult<()> {
        let py = span.py();
        let Options { mode, old, new, set_status_code, .. } = &self.options;
        let code = response.getattr(intern!(py, "status_code"))?;
        if !put_response_code(span, &code, labels, ERRORS_FROM, *old, *new)? {
            labels.change(py, |labels| set_status_code.bind(py).call1((span, &code, labels, mode)).map(drop))?;
        }
        let Some(version) = response.getattr(intern!(py, "raw"))?.getattr_opt(intern!(py, "version"))? else {
            return Ok(());
        };
        if !version.is_truthy()? {
            return Ok(());
        }
        let version = if version.eq(11)? { intern!(py, "1.1") } else { intern!(py, "1.0") };
        if *old {
            labels.set(intern!(py, "http.flavor"), version)?;
        }
        if *new {
            labels.set(intern!(py, "network.protocol.version"), version)?;
            let attributes = PyDict::new(py);
            if *old {
                attributes.set_item(intern!(py, "http.flavor"), version)?;
            }
            attributes.set_item(intern!(py, "network.protocol.version"), version)?;
            span.call_method1(intern!(py, "set_attributes"), (attributes,))?;
        }
        Ok(())
    }
}

/// `opentelemetry.util.http.httplib._STATE_KEY`.
fn state_key<'py>(py: Python<'py>) -> &'py Bound<'py, PyString> {
    intern!(py, "httpbase_instrumentation_state")
}

/// `opentelemetry.propagate.inject`, or what a program has put in its place.
fn inject(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    propagation(py)?.bind(py).as_any().get_item(intern!(py, "inject"))
}

/// What contrib attaches one by one: whose span gets the peer's address, and that no other span is made.
fn mark<'py>(span: &Bound<'py, PyAny>, context: &Bound<'py, PyDict>) -> PyResult<()> {
    let py = span.py();
    let state = PyDict::new(py);
    state.set_item(intern!(py, "need_ip"), [span])?;
    context.set_item(state_key(py), state)?;
    context.set_item(&suppressing(py)?[2], true)
}

fn attach_marks(span: &Bound<'_, PyAny>) -> PyResult<context::Token> {
    let py = span.py();
    let upstream = upstream(py)?;
    let current = context::current(py, upstream)?;
    let marked = context::copied(py, upstream, current.cast().ok())?;
    mark(span, &marked)?;
    context::attach(upstream, &marked)
}

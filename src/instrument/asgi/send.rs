//! `_get_otel_send`: the server's `send`, with a span for each message.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::asgi::message_span::message_span;
use crate::instrument::asgi::module::{AsgiModule, ERRORS_FROM, Reported, entry, is, message_name};
use crate::instrument::asgi::wrapped::Wrapped;
use crate::instrument::attributes::put_response_code;
use crate::py::call;
use crate::py::once::{get_or_make, intern};

/// The `send` that the application gets. All but the end of the span is done when it is called: what it returns is the
/// server's own coroutine where nothing is left to do after it.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct AsgiSend {
    pub module: Py<AsgiModule>,
    pub middleware: Py<PyAny>,
    pub reported: Reported,
    pub span: Py<PyAny>,
    /// Of the server's span.
    pub name: Py<PyAny>,
    pub message_name: PyOnceLock<Py<PyAny>>,
    pub scope: Py<PyAny>,
    pub send: Wrapped,
    pub attributes: Py<PyDict>,
    pub expects_trailers: AtomicBool,
}

#[pymethods]
impl AsgiSend {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.middleware)?;
        visit.call(&self.span)?;
        visit.call(&self.scope)?;
        visit.call(&self.attributes)?;
        self.send.traverse(&visit)
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.send.get(name)
    }

    fn __setattr__(&self, py: Python<'_>, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.send.set(py, name, value)
    }

    #[getter]
    fn __dict__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.send.attributes(py)
    }

    fn __call__<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = message.py();
        let names = self.module.get().names();
        let kind = message.get_item(intern!(py, "type"))?;
        self.observe(message, &kind)?;
        let sent = call::function(self.send.original.bind(py), [message], None)?;
        if self.is_last(message, &kind)? {
            return call::function(names.finished.bind(py), [&sent, self.span.bind(py)], None);
        }
        if sent.get_type().is(&names.coroutine) {
            return Ok(sent);
        }
        call::function(names.awaiting.bind(py), [&sent], None)
    }
}

impl AsgiSend {
    /// All that is done before the message is sent.
    fn observe<'py>(&self, message: &Bound<'py, PyAny>, kind: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = message.py();
        let (module, middleware) = (self.module.get(), self.middleware.bind(py));
        let code = if is(kind, "http.response.start")? {
            Some(message.get_item(intern!(py, "status"))?)
        } else if is(kind, "websocket.send")? {
            Some(PyInt::new(py, 200).into_any())
        } else {
            None
        };
        let is_usual = module.names().set_status_code.get().are_there(py)?;
        if !middleware.getattr(intern!(py, "exclude_send_span"))?.is_truthy()? {
            self.make_span(message, kind, code.as_ref(), is_usual)?;
        }
        let captured = middleware.getattr(intern!(py, "http_capture_headers_server_response"))?;
        let must_put = match &code {
            // Without a code and headers to capture nothing is set.
            None => false,
            Some(code) if !code.is_truthy()? => false,
            Some(code) => {
                let (span, attributes) = (self.span.bind(py), self.attributes.bind(py));
                let Reported { old, new } = self.reported;
                // Contrib sets it after the headers.
                captured.is_truthy()?
                    || !(is_usual && put_response_code(span, code, &mut attributes.clone(), ERRORS_FROM, old, new)?)
            }
        };
        if must_put || captured.is_truthy()? {
            let code = code.unwrap_or_else(|| py.None().into_bound(py));
            let arguments = (&self.span, message, code, &self.attributes);
            middleware.call_method1(intern!(py, "_set_server_span"), arguments)?;
        }
        if let Some(propagator) = module.response_propagator(py)? {
            module.names().inject.bind(py).call1((propagator, message, &self.span))?;
        }
        if message.contains(intern!(py, "headers"))?
            && let Some(length) = module.content_length(message)?
        {
            middleware.setattr(intern!(py, "content_length_header"), length)?;
        }
        Ok(())
    }

    fn make_span<'py>(
        &self,
        message: &Bound<'py, PyAny>,
        kind: &Bound<'py, PyAny>,
        code: Option<&Bound<'py, PyAny>>,
        is_usual: bool,
    ) -> PyResult<()> {
        let py = message.py();
        let middleware = self.middleware.bind(py);
        if is_usual && middleware.getattr(intern!(py, "client_response_hook"))?.is_none() {
            let tracer = middleware.getattr(intern!(py, "tracer"))?;
            let name = get_or_make(py, &self.message_name, || {
                let kind = self.scope.bind(py).get_item(intern!(py, "type"))?;
                Ok(message_name(self.name.bind(py), &kind, "send")?.unbind())
            })?;
            let Reported { old, new } = self.reported;
            if let Some(is_recording) = message_span(&tracer, name.bind(py), kind, code, old, new)? {
                if is_recording && is(kind, "http.response.start")? {
                    self.expect_trailers(entry(message, intern!(py, "trailers"))?)?;
                }
                return Ok(());
            }
        }
        let expects = self.expects_trailers.load(Ordering::Relaxed);
        let arguments = (&self.name, &self.scope, &self.send.original, message, code, expects);
        self.expect_trailers(Some(middleware.call_method1(intern!(py, "_set_send_span"), arguments)?))
    }

    fn expect_trailers(&self, expects: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let expects = expects.map_or(Ok(false), |expects| expects.is_truthy())?;
        self.expects_trailers.store(expects, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the server's span ends once the message is sent.
    fn is_last<'py>(&self, message: &Bound<'py, PyAny>, kind: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = message.py();
        let (last, more) = if self.expects_trailers.load(Ordering::Relaxed) {
            ("http.response.trailers", intern!(py, "more_trailers"))
        } else {
            ("http.response.body", intern!(py, "more_body"))
        };
        Ok(is(kind, last)? && !entry(message, more)?.map_or(Ok(false), |more| more.is_truthy())?)
    }
}

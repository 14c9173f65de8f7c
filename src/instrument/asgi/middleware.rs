//! `OpenTelemetryMiddleware.__call__`: the application, measured and in a span.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyMapping, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::asgi::measure::Measured;
use crate::instrument::asgi::module::{AsgiModule, Reported, is};
use crate::instrument::asgi::receive::AsgiReceive;
use crate::instrument::asgi::send::AsgiSend;
use crate::instrument::asgi::wrapped::Wrapped;
use crate::instrument::attributes::are_attributes_kept;
use crate::instrument::contexts::is_http_instrumentation_enabled;
use crate::instrument::exclusion::exclusion;
use crate::instrument::server_span::{
    Started, end_span, is_ours, is_recording, start_internal_or_server_span, use_span,
};
use crate::py::boundary::contained;
use crate::py::context::{self, Token};
use crate::py::once::intern;
use crate::py::upstream::upstream;
use crate::py::{call, exception};
use crate::trace::current_span::{AtExit, leave};

/// A request that is under way.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct AsgiRequest {
    module: Py<AsgiModule>,
    middleware: Py<PyAny>,
    reported: Reported,
    scope: Py<PyAny>,
    span: Py<PyAny>,
    name: Py<PyAny>,
    attributes: Py<PyDict>,
    start: Instant,
    /// Until it ends.
    open: Mutex<Option<Open>>,
}

struct Open {
    /// Restores the context from before, if one came with the request.
    token: Option<Token>,
    /// The block in which the span is current.
    activation: Activation,
    /// Whether the request counts as one that is under way, as one of HTTP.
    is_counted: bool,
}

/// What the application was called with.
struct Call<'a, 'py> {
    middleware: &'a Bound<'py, PyAny>,
    scope: &'a Bound<'py, PyAny>,
    receive: &'a Bound<'py, PyAny>,
    send: &'a Bound<'py, PyAny>,
}

#[pymethods]
impl AsgiModule {
    /// Begins a request. Returns it, or None if it is not measured, and what the application returned, to be awaited.
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        middleware: &Bound<'py, PyAny>,
        scope: &Bound<'py, PyAny>,
        receive: &Bound<'py, PyAny>,
        send: &Bound<'py, PyAny>,
    ) -> PyResult<(Option<Bound<'py, AsgiRequest>>, Bound<'py, PyAny>)> {
        let py = slf.py();
        let start = Instant::now();
        let call = Call { middleware, scope, receive, send };
        let Some(is_http) = call.is_http_if_measured(slf.get())? else {
            return Ok((None, call.application(receive, send)?));
        };
        let request = Bound::new(py, call.started(slf, is_http, start)?)?;
        match request.get().enter(&call) {
            Ok(awaitable) => Ok((Some(request), awaitable)),
            Err(error) => {
                // Not `value`: before Python 3.12 PyO3 keeps the traceback beside the value.
                let exception = error.clone_ref(py).into_value(py).into_bound(py);
                request.get().end(py, Some(exception.as_any()))?;
                Err(error)
            }
        }
    }
}

impl<'py> Call<'_, 'py> {
    fn application(&self, receive: &Bound<'py, PyAny>, send: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let application = self.middleware.getattr(intern!(self.scope.py(), "app"))?;
        call::function(&application, [self.scope, receive, send], None)
    }

    /// Whether it is a request of HTTP, and not of a websocket; None of what is not measured.
    fn is_http_if_measured(&self, module: &AsgiModule) -> PyResult<Option<bool>> {
        let py = self.scope.py();
        if !is_http_instrumentation_enabled(py)? {
            return Ok(None);
        }
        let kind = self.scope.get_item(intern!(py, "type"))?;
        let is_http = is(&kind, "http")?;
        if !is_http && !is(&kind, "websocket")? {
            return Ok(None);
        }
        if let Some(is_excluded) = exclusion(&self.middleware.getattr(intern!(py, "excluded_urls"))?)? {
            let url = module.contribs(intern!(py, "get_host_port_url_tuple"))?.call1((self.scope,))?.get_item(2)?;
            if is_excluded.call1((url,))?.is_truthy()? {
                return Ok(None);
            }
        }
        Ok(Some(is_http))
    }

    /// The request, with its span, which is not current yet.
    fn started(&self, module: &Bound<'py, AsgiModule>, is_http: bool, start: Instant) -> PyResult<AsgiRequest> {
        let (py, middleware) = (self.scope.py(), self.middleware);
        let details = call::function(&middleware.getattr(intern!(py, "default_span_details"))?, [self.scope], None)?;
        let (name, more_attributes) = pair(&details)?;
        let mode = middleware.getattr(intern!(py, "_sem_conv_opt_in_mode"))?;
        let reported = module.get().reported(&mode);
        let attributes = module.get().request_attributes(self.scope, &mode, reported)?;
        match more_attributes.cast::<PyMapping>() {
            Ok(more) => attributes.update(more)?,
            Err(_) => drop(attributes.call_method1(intern!(py, "update"), (more_attributes,))?),
        }
        let tracer = middleware.getattr(intern!(py, "tracer"))?;
        let getter = module.get().contribs(intern!(py, "asgi_getter"))?;
        let Started { span, token } =
            start_internal_or_server_span(&tracer, &name, None, self.scope, &getter, Some(&attributes))?;
        if is_http {
            count(module.get(), middleware, 1, &attributes, reported)?;
        }
        Ok(AsgiRequest {
            module: module.clone().unbind(),
            middleware: middleware.clone().unbind(),
            reported,
            scope: self.scope.clone().unbind(),
            span: span.unbind(),
            name: name.unbind(),
            attributes: attributes.unbind(),
            start,
            open: Mutex::new(Some(Open { token, activation: Activation::None, is_counted: is_http })),
        })
    }
}

impl AsgiRequest {
    /// Makes its span the current one, and calls the application.
    fn enter<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let (py, middleware) = (call.scope.py(), call.middleware);
        let span = self.span.bind(py);
        let activation = Activation::of(span)?;
        if let Some(open) = self.lock().as_mut() {
            // Nothing is replaced.
            open.activation = activation;
        }
        let names = self.module.get().names();
        if is_recording(span)? {
            let attributes = self.attributes.bind(py);
            // Whatever a sampler or a processor has made of them.
            if !are_attributes_kept(&middleware.getattr(intern!(py, "tracer"))?, attributes)? {
                for (key, value) in attributes.copy()? {
                    span.call_method1(intern!(py, "set_attribute"), (key, value))?;
                }
            }
            if middleware.getattr(intern!(py, "http_capture_headers_server_request"))?.is_truthy()? {
                names.capture_request_headers.bind(py).call1((middleware, span, call.scope))?;
            }
        }
        let hook = middleware.getattr(intern!(py, "server_request_hook"))?;
        if hook.is_callable() {
            hook.call1((span, call.scope))?;
        }
        let receive = self.receiving(call)?;
        let send = Bound::new(
            py,
            AsgiSend {
                module: self.module.clone_ref(py),
                middleware: self.middleware.clone_ref(py),
                reported: self.reported,
                span: self.span.clone_ref(py),
                name: self.name.clone_ref(py),
                message_name: PyOnceLock::new(),
                scope: self.scope.clone_ref(py),
                send: Wrapped::new(call.send.clone().unbind(), names.send_pattern.clone_ref(py)),
                attributes: self.attributes.clone_ref(py),
                expects_trailers: AtomicBool::new(false),
            },
        )?;
        call.application(&receive, send.as_any())
    }

    fn receiving<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = call.scope.py();
        if call.middleware.getattr(intern!(py, "exclude_receive_span"))?.is_truthy()? {
            return Ok(call.receive.clone());
        }
        let receive = AsgiReceive {
            module: self.module.clone_ref(py),
            middleware: self.middleware.clone_ref(py),
            name: self.name.clone_ref(py),
            scope: self.scope.clone_ref(py),
            receive: Wrapped::new(
                call.receive.clone().unbind(),
                self.module.get().names().receive_pattern.clone_ref(py),
            ),
        };
        Ok(Bound::new(py, receive)?.into_any())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn measure(&self, py: Python<'_>) -> PyResult<()> {
        let seconds = self.start.elapsed().as_secs_f64();
        let (module, middleware, attributes) = (self.module.get(), self.middleware.bind(py), self.attributes.bind(py));
        count(module, middleware, -1, attributes, self.reported)?;
        Measured { middleware, span: self.span.bind(py), scope: self.scope.bind(py), attributes, seconds }
            .record(module, self.reported)
    }
}

#[pymethods]
impl AsgiRequest {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.middleware)?;
        visit.call(&self.scope)?;
        visit.call(&self.span)?;
        visit.call(&self.attributes)?;
        match self.open.try_lock() {
            Ok(open) => open.iter().try_for_each(|open| {
                open.token.iter().try_for_each(|token| token.traverse(&visit))?;
                open.activation.traverse(&visit)
            }),
            Err(_) => Ok(()),
        }
    }

    /// Ends the request: the application is done, or it raised an exception.
    #[pyo3(signature = (exception=None))]
    fn end(&self, py: Python<'_>, exception: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(Open { token, activation, is_counted }) = self.lock().take() else { return Ok(()) };
        let span = self.span.bind(py);
        // All are done, whichever of them fails.
        let left = activation.leave(span, exception);
        let measured = if is_counted { self.measure(py) } else { Ok(()) };
        if let Some(token) = token {
            context::detach(py, upstream(py)?, token);
        }
        if is_recording(span)? {
            end_span(span)?;
        }
        left.and(measured)
    }
}

impl Drop for AsgiRequest {
    /// Nobody ended it: a signal's handler raised an exception before the application was awaited.
    fn drop(&mut self) {
        if self.open.get_mut().is_ok_and(|open| open.is_some()) {
            // Python deallocates in attached threads; where it cannot be attached, it is going away.
            Python::try_attach(|py| exception::in_destructor(py, || self.end(py, None)));
        }
    }
}

/// The block in which the span is current.
enum Activation {
    None,
    Ours(Token),
    /// A context manager.
    Other(Py<PyAny>),
}

impl Activation {
    fn of(span: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = span.py();
        if is_ours(span) {
            return Ok(Self::Ours(context::attach_span(py, upstream(py)?, span)?));
        }
        let manager = use_span(span, false)?;
        manager.call_method0(intern!(py, "__enter__"))?;
        Ok(Self::Other(manager.unbind()))
    }

    fn leave(self, span: &Bound<'_, PyAny>, exception: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = span.py();
        match self {
            Self::None => Ok(()),
            Self::Ours(token) => {
                let at_exit = AtExit { end: false, record_exception: true, set_status: true };
                contained(py, "__exit__", || leave(span, token, exception, at_exit), || Ok(()))
            }
            Self::Other(manager) => {
                let kind = exception.map(|exception| exception.get_type());
                let traceback = exception.map(|error| error.getattr(intern!(py, "__traceback__"))).transpose()?;
                manager.call_method1(py, intern!(py, "__exit__"), (kind, exception, traceback)).map(drop)
            }
        }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::None => Ok(()),
            Self::Ours(token) => token.traverse(visit),
            Self::Other(manager) => visit.call(manager),
        }
    }
}

fn count<'py>(
    module: &AsgiModule,
    middleware: &Bound<'py, PyAny>,
    by: i64,
    attributes: &Bound<'py, PyDict>,
    reported: Reported,
) -> PyResult<()> {
    let counter = middleware.getattr(intern!(middleware.py(), "active_requests_counter"))?;
    module.count(&counter, by, attributes, reported)
}

/// `first, second = object`.
fn pair<'py>(object: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(tuple) = object.cast_exact::<PyTuple>()
        && tuple.len() == 2
    {
        return Ok((tuple.get_item(0)?, tuple.get_item(1)?));
    }
    let all = object.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    match <[_; 2]>::try_from(all) {
        Ok([first, second]) => Ok((first, second)),
        Err(all) if all.len() > 2 => Err(PyValueError::new_err("too many values to unpack (expected 2)")),
        Err(all) => Err(PyValueError::new_err(format!("not enough values to unpack (expected 2, got {})", all.len()))),
    }
}

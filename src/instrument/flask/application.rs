//! The application, measured, and what it calls to start its response.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::collected::Collected;
use crate::instrument::flask::module::{FlaskModule, entry, is_excluded};
use crate::instrument::wsgi_convention::WsgiConvention;
use crate::metrics::items::Given;
use crate::py::call;
use crate::py::once::intern;

/// What `_rewrapped_app` returns.
#[pyclass(frozen, dict, weakref, module = "otel_rs._native")]
pub struct FlaskApplication {
    /// `Flask.wsgi_app` as it was.
    application: Py<PyAny>,
    module: Py<FlaskModule>,
    convention: Py<WsgiConvention>,
    active_requests: Py<PyAny>,
    duration_old: Option<Py<PyAny>>,
    duration_new: Option<Py<PyAny>>,
    response_hook: Option<Py<PyAny>>,
    is_excluded: Option<Py<PyAny>>,
}

#[pymethods]
impl FlaskApplication {
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        application: Py<PyAny>,
        module: Py<FlaskModule>,
        convention: Py<WsgiConvention>,
        active_requests: Py<PyAny>,
        duration_old: Option<Py<PyAny>>,
        duration_new: Option<Py<PyAny>>,
        response_hook: Option<Py<PyAny>>,
        is_excluded: Option<Py<PyAny>>,
    ) -> Self {
        Self {
            application,
            module,
            convention,
            active_requests,
            duration_old,
            duration_new,
            response_hook,
            is_excluded,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.application)?;
        visit.call(&self.active_requests)?;
        visit.call(&self.duration_old)?;
        visit.call(&self.duration_new)?;
        visit.call(&self.response_hook)?;
        visit.call(&self.is_excluded)
    }

    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        environ: &Bound<'py, PyAny>,
        start_response: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let convention = this.convention.get();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        environ.set_item(&this.module.get().names().start_time, now.as_nanos() as u64)?;
        let start = Instant::now();
        let attributes = convention.collected(environ)?;
        let counter = this.active_requests.bind(py);
        convention.count(counter, 1, Given::Pairs(attributes.pairs()))?;
        let response = Bound::new(
            py,
            FlaskResponse {
                application: slf.clone().unbind(),
                start_response,
                seen: Mutex::new(Seen { is_traced: true, route: None, attributes }),
            },
        )?;
        let result = call::function(this.application.bind(py), [environ, response.as_any()], None);
        let seconds = start.elapsed().as_secs_f64();
        // Whoever starts the response later changes no metric.
        let seen = std::mem::take(&mut *response.get().seen());
        let measured = if result.is_ok() { this.measure(environ, &seen, seconds) } else { Ok(()) };
        convention.count(counter, -1, Given::Pairs(seen.attributes.pairs()))?;
        measured.and(result)
    }
}

impl FlaskApplication {
    fn measure(&self, environ: &Bound<'_, PyAny>, seen: &Seen, seconds: f64) -> PyResult<()> {
        let py = environ.py();
        if !seen.is_traced {
            return Ok(());
        }
        let span = entry(environ, &self.module.get().names().span)?.unwrap_or_else(|| py.None().into_bound(py));
        let histograms =
            [&self.duration_old, &self.duration_new].map(|it| it.as_ref().map(|histogram| histogram.bind(py)));
        let route = seen.route.as_ref().map(|route| route.bind(py).str()).transpose()?;
        let route = route.as_ref().map(|route| route.as_any());
        let attributes = Given::Pairs(seen.attributes.pairs());
        self.convention.get().record_duration(py, seconds, attributes, histograms, Some(&span), [route, route])
    }
}

/// The `start_response` that the application gets.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct FlaskResponse {
    application: Py<FlaskApplication>,
    start_response: Py<PyAny>,
    seen: Mutex<Seen>,
}

/// What it sees of the request when the application calls it.
#[derive(Default)]
struct Seen {
    is_traced: bool,
    route: Option<Py<PyAny>>,
    /// The attributes of the metrics.
    attributes: Collected,
}

#[pymethods]
impl FlaskResponse {
    #[pyo3(signature = (status, response_headers, *args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        status: &Bound<'py, PyAny>,
        response_headers: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = self.application.get().module.get().request_if_any(py)?;
        match &request {
            Some(request) if self.is_traced(request)? => self.observe(request, status, response_headers)?,
            _ => self.seen().is_traced = false,
        }
        let start_response = self.start_response.bind(py);
        if args.is_empty() && kwargs.is_none() {
            return call::function(start_response, [status, response_headers], None);
        }
        let all = [status.clone(), response_headers.clone()].into_iter().chain(args.iter());
        start_response.call(PyTuple::new(py, all.collect::<Vec<_>>())?, kwargs)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.application)?;
        visit.call(&self.start_response)?;
        match self.seen.try_lock() {
            Ok(seen) => {
                visit.call(&seen.route)?;
                seen.attributes.traverse(&visit)
            }
            Err(_) => Ok(()),
        }
    }
}

impl FlaskResponse {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn is_traced(&self, request: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(request.is_truthy()? && !is_excluded(self.application.get().is_excluded.as_ref(), request)?)
    }

    fn observe<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = request.py();
        let application = self.application.get();
        let module = application.module.get();
        let rule = request.getattr(intern!(py, "url_rule"))?;
        let route = if rule.is_truthy()? { Some(rule.unbind()) } else { None };
        let replaced = {
            let mut seen = self.seen();
            seen.is_traced = true;
            std::mem::replace(&mut seen.route, route)
        };
        // Not under the lock: its end may run Python code.
        drop(replaced);
        let span = entry(&request.getattr(intern!(py, "environ"))?, &module.names().span)?;
        let propagator = module.response_propagator(py)?;
        if propagator.is_truthy()? {
            let setter = PyDict::new(py);
            setter.set_item(intern!(py, "setter"), module.response_setter(py)?)?;
            propagator.call_method(intern!(py, "inject"), (headers,), Some(&setter))?;
        }
        match &span {
            Some(span) => {
                // Taken out, for what is called may be Python code.
                let mut attributes = std::mem::take(&mut self.seen().attributes);
                let convention = application.convention.get();
                let added = convention.add_response_attributes(span, status, headers, &mut attributes);
                self.seen().attributes = attributes;
                added?;
            }
            None => {
                module.names().warn_of_missing_span.bind(py).call1((status,))?;
            }
        }
        if let Some(hook) = &application.response_hook {
            hook.bind(py).call1((span, status, headers))?;
        }
        Ok(())
    }
}

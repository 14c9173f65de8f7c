//! The application, measured, and what it calls to start its response.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::flask::module::{FlaskModule, entry, is_excluded};
use crate::instrument::wsgi_convention::WsgiConvention;
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
        let attributes = convention.request_attributes(environ)?.cast_into::<PyDict>()?;
        let counter = this.active_requests.bind(py);
        convention.count(counter, 1, &attributes)?;
        let response = Bound::new(
            py,
            FlaskResponse {
                application: slf.clone().unbind(),
                start_response,
                attributes: attributes.clone().unbind(),
                seen: Mutex::new(Seen { is_traced: true, route: None }),
            },
        )?;
        let result = this.measured(environ, &response, &attributes, start);
        convention.count(counter, -1, &attributes)?;
        result
    }
}

impl FlaskApplication {
    fn measured<'py>(
        &self,
        environ: &Bound<'py, PyAny>,
        response: &Bound<'py, FlaskResponse>,
        attributes: &Bound<'py, PyDict>,
        start: Instant,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = environ.py();
        let result = call::function(self.application.bind(py), [environ, response.as_any()], None)?;
        let seconds = start.elapsed().as_secs_f64();
        let (is_traced, route) = {
            let seen = response.get().seen();
            (seen.is_traced, seen.route.as_ref().map(|route| route.clone_ref(py)))
        };
        if is_traced {
            let span = entry(environ, &self.module.get().names().span)?.unwrap_or_else(|| py.None().into_bound(py));
            let bind =
                |histogram: &'_ Option<Py<PyAny>>| histogram.as_ref().map(|histogram| histogram.bind(py).clone());
            let (old, new) = (bind(&self.duration_old), bind(&self.duration_new));
            let route = route.map(|route| route.bind(py).str()).transpose()?;
            let route = route.as_ref().map(|route| route.as_any());
            let (old, new) = (old.as_ref(), new.as_ref());
            self.convention.get().record_duration(seconds, attributes, old, new, Some(&span), route, route)?;
        }
        Ok(result)
    }
}

/// The `start_response` that the application gets.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct FlaskResponse {
    application: Py<FlaskApplication>,
    start_response: Py<PyAny>,
    attributes: Py<PyDict>,
    seen: Mutex<Seen>,
}

/// What it sees of the request when the application calls it.
struct Seen {
    is_traced: bool,
    route: Option<Py<PyAny>>,
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
        visit.call(&self.attributes)?;
        match self.seen.try_lock() {
            Ok(seen) => visit.call(&seen.route),
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
        let replaced = std::mem::replace(&mut *self.seen(), Seen { is_traced: true, route });
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
                let attributes = self.attributes.bind(py);
                application.convention.get().add_response_attributes(span, status, headers, attributes)?;
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

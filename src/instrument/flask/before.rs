//! Before a request's handler: its span is started.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::attributes::{are_attributes_kept, is_known_method};
use crate::instrument::flask::module::{FlaskModule, is_excluded};
use crate::instrument::server_span::{Started, is_recording, start_internal_or_server_span, use_span};
use crate::instrument::use_span::UseSpan;
use crate::instrument::wsgi_convention::WsgiConvention;
use crate::py::context;
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// What `_wrapped_before_request` returns.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct FlaskBeforeRequest {
    module: Py<FlaskModule>,
    convention: Py<WsgiConvention>,
    tracer: Py<PyAny>,
    request_hook: Option<Py<PyAny>>,
    is_excluded: Option<Py<PyAny>>,
    /// Which parts of a comment in SQL statements are left out; None where there are no comments.
    commenter_options: Option<Py<PyAny>>,
}

#[pymethods]
impl FlaskBeforeRequest {
    #[new]
    fn new(
        module: Py<FlaskModule>,
        convention: Py<WsgiConvention>,
        tracer: Py<PyAny>,
        request_hook: Option<Py<PyAny>>,
        is_excluded: Option<Py<PyAny>>,
        commenter_options: Option<Py<PyAny>>,
    ) -> Self {
        Self { module, convention, tracer, request_hook, is_excluded, commenter_options }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.tracer)?;
        visit.call(&self.request_hook)?;
        visit.call(&self.is_excluded)?;
        visit.call(&self.commenter_options)
    }

    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let request = self.module.get().request(py)?;
        if is_excluded(self.is_excluded.as_ref(), &request)? {
            return Ok(());
        }
        let environ = request.getattr(intern!(py, "environ"))?;
        let rule = request.getattr(intern!(py, "url_rule"))?;
        let rule = if rule.is_truthy()? { Some(rule.getattr(intern!(py, "rule"))?) } else { None };
        let Started { span, token } = self.start(&environ, rule.as_ref())?;

        let names = self.module.get().names();
        let activation = use_span(&span, true)?;
        match activation.cast::<UseSpan>() {
            Ok(ours) => ours.get().enter(py)?,
            Err(_) => drop(activation.call_method0(intern!(py, "__enter__"))?),
        }
        environ.set_item(&names.activation, activation)?;
        environ.set_item(&names.request_context, self.module.get().request_context_ref(py)?)?;
        environ.set_item(&names.span, span)?;
        environ.set_item(&names.token, token.map(|token| token.into_object()))?;
        if let Some(options) = &self.commenter_options {
            let comment = names.comment.bind(py).call1((request, rule, options))?;
            context::attach_value(upstream(py)?, intern!(py, "SQLCOMMENTER_ORM_TAGS_AND_VALUES"), &comment)?;
        }
        Ok(())
    }
}

impl FlaskBeforeRequest {
    fn start<'py>(&self, environ: &Bound<'py, PyAny>, rule: Option<&Bound<'py, PyAny>>) -> PyResult<Started<'py>> {
        let py = environ.py();
        let (module, convention, tracer) = (self.module.get(), self.convention.get(), self.tracer.bind(py));
        let attributes = convention.request_attributes(environ)?;
        if let Some(rule) = rule {
            attributes.set_item(intern!(py, "http.route"), rule)?;
        }
        let started = start_internal_or_server_span(
            tracer,
            &self.span_name(environ, rule)?,
            super::module::entry(environ, &module.names().start_time)?.as_ref(),
            environ,
            &module.wsgi_getter(py)?,
            Some(&attributes),
        )?;
        let span = &started.span;
        if let Some(hook) = &self.request_hook {
            hook.bind(py).call1((span, environ))?;
        }
        if is_recording(span)? {
            // Whatever a hook, a sampler or a processor has made of them.
            let are_kept = self.request_hook.is_none()
                && attributes.cast::<PyDict>().is_ok_and(|all| are_attributes_kept(tracer, all).unwrap_or(false));
            if !are_kept {
                span.call_method1(intern!(py, "set_attributes"), (&attributes,))?;
            }
            convention.capture_request_headers(span, environ)?;
        }
        Ok(started)
    }

    /// `get_default_span_name`, unless somebody has put another in its place.
    fn span_name<'py>(
        &self,
        environ: &Bound<'py, PyAny>,
        rule: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = environ.py();
        let contribs = self.module.get().names().default_span_name.get();
        if let Some(rule) = rule
            && let Ok(environ) = environ.cast_exact::<PyDict>()
            && let Some(method) = environ.get_item(intern!(py, "REQUEST_METHOD"))?
            && let (Ok(method), Ok(rule)) = (method.cast_exact::<PyString>(), rule.cast_exact::<PyString>())
            && is_known_method(method)
            && contribs.are_there(py)?
        {
            return Ok(PyString::new(py, &format!("{} {}", method.to_str()?, rule.to_str()?)).into_any());
        }
        contribs.call(py, ())
    }
}

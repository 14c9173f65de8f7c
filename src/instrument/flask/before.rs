//! Before a request's handler: its span is started.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::attributes::is_known_method;
use crate::instrument::collected::Collect;
use crate::instrument::flask::module::{FlaskModule, is_excluded};
use crate::instrument::server_span::{Parent, is_recording, keeps_attributes, use_span};
use crate::instrument::use_span::UseSpan;
use crate::instrument::wsgi_convention::WsgiConvention;
use crate::py::context::{self, Token};
use crate::py::once::intern;
use crate::py::upstream::upstream;
use crate::trace::span::Span;

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
        let Started { span, token, parent } = self.start(&environ, rule.as_ref())?;
        let comment = self.comment(&request, rule.as_ref())?;

        let names = self.module.get().names();
        let activation = use_span(&span, true)?;
        match (activation.cast::<UseSpan>(), parent) {
            (Ok(ours), Some(parent)) => ours.get().enter_with(&self.context(&parent, &span, comment)?)?,
            (Ok(ours), None) => {
                ours.get().enter(py)?;
                attach_comment(comment)?;
            }
            (Err(_), _) => {
                activation.call_method0(intern!(py, "__enter__"))?;
                attach_comment(comment)?;
            }
        }
        environ.set_item(&names.activation, activation)?;
        environ.set_item(&names.request_context, self.module.get().request_context_ref(py)?)?;
        environ.set_item(&names.span, span)?;
        environ.set_item(&names.token, token.map(|token| token.into_object()))
    }
}

/// The span of a request.
struct Started<'py> {
    span: Bound<'py, PyAny>,
    token: Option<Token>,
    /// The context that it was started in, where that was not made the current one: nobody would have seen it.
    parent: Option<Bound<'py, PyDict>>,
}

impl FlaskBeforeRequest {
    fn start<'py>(&self, environ: &Bound<'py, PyAny>, rule: Option<&Bound<'py, PyAny>>) -> PyResult<Started<'py>> {
        let py = environ.py();
        let (module, convention, tracer) = (self.module.get(), self.convention.get(), self.tracer.bind(py));
        let parent = Parent::of(environ, &module.wsgi_getter(py)?)?;
        let name = self.span_name(environ, rule)?;
        let start_time = super::module::entry(environ, &module.names().start_time)?;
        let collected = || {
            let mut attributes = convention.collected(environ)?;
            if let Some(rule) = rule {
                attributes.set(intern!(py, "http.route"), rule)?;
            }
            PyResult::Ok(attributes)
        };
        // By no hook, sampler or processor.
        if self.request_hook.is_none()
            && keeps_attributes(tracer)
            && let Ok(context) = parent.context.cast::<PyDict>()
        {
            let span = parent.start(tracer, &name, start_time.as_ref(), None)?;
            if let Ok(recorded) = span.cast::<Span>() {
                collected()?.set_in(recorded)?;
                convention.capture_request_headers(&span, environ)?;
            }
            return Ok(Started { span, token: None, parent: Some(context.clone()) });
        }
        let attributes = collected()?.dict(py)?.into_any();
        let token = parent.attach()?;
        let span = parent.start(tracer, &name, start_time.as_ref(), Some(&attributes))?;
        if let Some(hook) = &self.request_hook {
            hook.bind(py).call1((&span, environ))?;
        }
        if is_recording(&span)? {
            // Whatever a hook, a sampler or a processor has made of them.
            span.call_method1(intern!(py, "set_attributes"), (&attributes,))?;
            convention.capture_request_headers(&span, environ)?;
        }
        Ok(Started { span, token, parent: None })
    }

    /// What a comment in SQL statements says of the request, unless the program wants none.
    fn comment<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        rule: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = request.py();
        let Some(options) = &self.commenter_options else { return Ok(None) };
        let names = self.module.get().names();
        if !options.bind(py).cast_exact::<PyDict>().is_ok_and(|options| options.is_empty()) {
            return names.comment.bind(py).call1((request, rule, options)).map(Some);
        }
        let comment = PyDict::new(py);
        comment.set_item(intern!(py, "framework"), &names.framework)?;
        let endpoint = request.getattr(intern!(py, "endpoint"))?;
        if endpoint.is_truthy()? {
            comment.set_item(intern!(py, "controller"), endpoint)?;
        }
        if let Some(rule) = rule
            && rule.is_truthy()?
        {
            comment.set_item(intern!(py, "route"), rule)?;
        }
        Ok(Some(comment.into_any()))
    }

    /// The context of a request, with its span and the comment in it.
    fn context<'py>(
        &self,
        parent: &Bound<'py, PyDict>,
        span: &Bound<'py, PyAny>,
        comment: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let upstream = upstream(parent.py())?;
        let context = context::copied(parent.py(), upstream, Some(parent))?;
        context.set_item(&upstream.span_key, span)?;
        if let Some(comment) = comment {
            context.set_item(comment_key(parent.py()), comment)?;
        }
        Ok(context)
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

fn comment_key<'py>(py: Python<'py>) -> &'py Bound<'py, PyString> {
    intern!(py, "SQLCOMMENTER_ORM_TAGS_AND_VALUES")
}

/// As contrib does: what comes before is attached again at the end of the request.
fn attach_comment(comment: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let Some(comment) = comment else { return Ok(()) };
    let py = comment.py();
    context::attach_value(upstream(py)?, comment_key(py), &comment).map(drop)
}

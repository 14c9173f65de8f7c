//! `start_as_current_span`: a span that is current for a block or a function.

use std::sync::Mutex;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::convert::log;
use crate::trace::api::api;
use crate::trace::context::{self, Token};
use crate::trace::exception;
use crate::trace::span::{Span, is_error};
use crate::trace::tracer::{Start, Tracer};

pub struct Arguments {
    pub tracer: Py<Tracer>,
    pub name: Py<PyAny>,
    pub context: Option<Py<PyAny>>,
    pub kind: Option<Py<PyAny>>,
    pub attributes: Option<Py<PyAny>>,
    pub links: Option<Py<PyAny>>,
    pub start_time: Option<Py<PyAny>>,
    pub record_exception: bool,
    pub set_status_on_exception: bool,
    pub end_on_exit: bool,
}

#[pyclass(frozen, module = "otel_rs._native")]
pub struct CurrentSpan {
    arguments: Arguments,
    entered: Mutex<Option<Entered>>,
}

struct Entered {
    span: Py<PyAny>,
    token: Token,
}

impl CurrentSpan {
    pub fn new(arguments: Arguments) -> Self {
        Self { arguments, entered: Mutex::new(None) }
    }

    fn entered(&self) -> std::sync::MutexGuard<'_, Option<Entered>> {
        self.entered.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// As upstream, for any object the tracer may have returned.
    fn record(&self, span: &Bound<'_, PyAny>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let Arguments { record_exception, set_status_on_exception, .. } = self.arguments;
        match span.cast::<Span>() {
            Ok(span) if span.get().has_ended() => Ok(()),
            Ok(span) => Span::record_escaped(span, exception, record_exception, set_status_on_exception),
            // The other spans that a tracer returns do not record.
            Err(_) => Ok(()),
        }
    }
}

#[pymethods]
impl CurrentSpan {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Arguments { tracer, name, context, kind, attributes, links, start_time, .. } = &self.arguments;
        let bind = |argument: &'_ Option<Py<PyAny>>| argument.as_ref().map(|object| object.bind(py).clone());
        let (context, kind, attributes) = (bind(context), bind(kind), bind(attributes));
        let (links, start_time) = (bind(links), bind(start_time));
        let span = Tracer::start(
            tracer.bind(py),
            &Start {
                name: name.bind(py),
                context: context.as_ref(),
                kind: kind.as_ref(),
                attributes: attributes.as_ref(),
                links: links.as_ref(),
                start_time: start_time.as_ref(),
                record_exception: self.arguments.record_exception,
                set_status_on_exception: self.arguments.set_status_on_exception,
            },
        )?;
        let token = context::attach_span(py, api(py)?, &span)?;
        let entered = Entered { span: span.clone().unbind(), token };
        let before = self.entered().replace(entered);
        drop(before);
        Ok(span)
    }

    #[pyo3(signature = (_kind=None, exception=None, _traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let Some(Entered { span, token }) = self.entered().take() else {
            return Err(PyRuntimeError::new_err("start_as_current_span was not entered"));
        };
        let span = span.bind(py);
        context::detach(py, api(py)?, token);
        let mut result = Ok(());
        if let Some(exception) = exception
            && is_error(exception)
            && let Err(error) = self.record(span, exception)
        {
            result = exception::contain(py, "The exception was not recorded", error);
        }
        if self.arguments.end_on_exit {
            let ended = match span.cast::<Span>() {
                // A subclass's `end`, or one set on the object, counts; ours needs no look-up.
                Ok(ours) if span.get_type().is(&api(py)?.our_span) => Span::end(ours, None),
                _ => span.call_method0(intern!(py, "end")).map(drop),
            };
            result = result.and(ended);
        }
        log::drain_reports(py);
        result.map(|()| false)
    }

    /// Decorates a function, a coroutine function included: every call gets a span of its own.
    fn __call__<'py>(&self, py: Python<'py>, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let a = &self.arguments;
        let keywords = pyo3::types::PyDict::new(py);
        keywords.set_item("context", &a.context)?;
        keywords.set_item("kind", &a.kind)?;
        keywords.set_item("attributes", &a.attributes)?;
        keywords.set_item("links", &a.links)?;
        keywords.set_item("start_time", &a.start_time)?;
        keywords.set_item("record_exception", a.record_exception)?;
        keywords.set_item("set_status_on_exception", a.set_status_on_exception)?;
        keywords.set_item("end_on_exit", a.end_on_exit)?;
        let decorate = py.import("otel_rs.trace._decorator")?.getattr("in_span")?;
        decorate.call1((&a.tracer, &a.name, keywords, function))
    }
}

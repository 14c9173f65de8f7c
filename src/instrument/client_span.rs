//! The span of a call to another service: the current one while the call is under way.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};

use crate::instrument::collected::Collected;
use crate::instrument::server_span::{keeps_attributes, ours};
use crate::py::boundary::contained;
use crate::py::context::{self, Token};
use crate::py::upstream::upstream;
use crate::trace::current_span::{AtExit, leave};
use crate::trace::span::Span;
use crate::trace::start::{Start, start_contained};

/// What a span starts with.
pub enum Attributes<'a, 'py> {
    Object(Option<&'a Bound<'py, PyAny>>),
    Collected(&'a Collected),
}

/// What `start_as_current_span` does, with `SpanKind.CLIENT`, for a block of native code.
pub struct ClientSpan {
    pub span: Py<PyAny>,
    token: Token,
}

impl ClientSpan {
    /// None for a tracer of somebody else's.
    pub fn start<'py>(
        tracer: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        attributes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Self>> {
        Self::start_in(tracer, name, Attributes::Object(attributes), |_, _| Ok(()))
    }

    /// The same; `complete` gets the span and the context that is about to be the current one, unless a program has a
    /// context runtime of its own.
    pub fn start_in<'py>(
        tracer: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        attributes: Attributes<'_, 'py>,
        complete: impl FnOnce(&Bound<'py, PyAny>, &Bound<'py, PyDict>) -> PyResult<()>,
    ) -> PyResult<Option<Self>> {
        let py = tracer.py();
        let Some(ours) = ours(tracer)? else { return Ok(None) };
        let upstream = upstream(py)?;
        let start = |attributes| {
            let kind = Some(upstream.kinds[2].bind(py));
            let (record_exception, set_status_on_exception) = (true, true);
            let (context, links, start_time) = (None, None, None);
            let start =
                Start { name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception };
            start_contained(ours, &start)
        };
        let span = match attributes {
            Attributes::Object(attributes) => start(attributes)?,
            Attributes::Collected(attributes) if keeps_attributes(tracer) => {
                let span = start(None)?;
                if let Ok(recorded) = span.cast::<Span>() {
                    attributes.set_in(recorded)?;
                }
                span
            }
            Attributes::Collected(attributes) => start(Some(attributes.dict(py)?.as_any()))?,
        };
        let context = context::with_span(upstream, &span)?;
        let completed = context.cast::<PyDict>().map_or(Ok(()), |context| complete(&span, context));
        let started = Self { token: context::attach(upstream, &context)?, span: span.unbind() };
        match completed {
            Ok(()) => Ok(Some(started)),
            Err(error) => started.leave(py, Err(error)),
        }
    }

    /// Ends the span and hands the block's result on. An exception is recorded.
    pub fn leave<R>(self, py: Python<'_>, result: PyResult<R>) -> PyResult<R> {
        // Not `value`: before Python 3.12 PyO3 keeps the traceback beside the value.
        let exception = result.as_ref().err().map(|error| error.clone_ref(py).into_value(py).into_bound(py).into_any());
        self.leave_with(py, exception.as_ref())?;
        result
    }

    /// Ends the span, with the exception that left the block.
    pub fn leave_with(self, py: Python<'_>, exception: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let at_exit = AtExit { end: true, record_exception: true, set_status: true };
        let leave = || leave(self.span.bind(py), self.token, exception, at_exit);
        contained(py, "__exit__", leave, || Ok(()))
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.span)?;
        self.token.traverse(visit)
    }
}

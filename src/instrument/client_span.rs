//! The span of a call to another service: the current one while the call is under way.

use pyo3::prelude::*;

use crate::instrument::server_span::ours;
use crate::py::boundary::contained;
use crate::py::context::{self, Token};
use crate::py::upstream::upstream;
use crate::trace::current_span::{AtExit, leave};
use crate::trace::start::{Start, start_contained};

/// What `start_as_current_span` does, with `SpanKind.CLIENT`, for a block of native code.
pub struct ClientSpan<'py> {
    pub span: Bound<'py, PyAny>,
    token: Token,
}

impl<'py> ClientSpan<'py> {
    /// None for a tracer of somebody else's.
    pub fn start(
        tracer: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        attributes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Self>> {
        let py = tracer.py();
        let Some(ours) = ours(tracer)? else { return Ok(None) };
        let upstream = upstream(py)?;
        let start = Start {
            name,
            context: None,
            kind: Some(upstream.kinds[2].bind(py)),
            attributes,
            links: None,
            start_time: None,
            record_exception: true,
            set_status_on_exception: true,
        };
        let span = start_contained(ours, &start)?;
        let token = context::attach_span(py, upstream, &span)?;
        Ok(Some(Self { span, token }))
    }

    /// Ends the span and hands the block's result on. An exception is recorded.
    pub fn leave<R>(self, result: PyResult<R>) -> PyResult<R> {
        let py = self.span.py();
        let at_exit = AtExit { end: true, record_exception: true, set_status: true };
        // Not `value`: before Python 3.12 PyO3 keeps the traceback beside the value.
        let exception = result.as_ref().err().map(|error| error.clone_ref(py).into_value(py).into_bound(py).into_any());
        let leave = || leave(&self.span, self.token, exception.as_ref(), at_exit);
        contained(py, "__exit__", leave, || Ok(()))?;
        result
    }
}

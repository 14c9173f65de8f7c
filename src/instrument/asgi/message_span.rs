//! The span of a message that an ASGI application sends.

use pyo3::prelude::*;

use crate::instrument::asgi::module::ERRORS_FROM;
use crate::instrument::attributes::{is_usual_code, set_response_code};
use crate::instrument::server_span::ours;
use crate::py::once::intern;
use crate::trace::span::Span;
use crate::trace::start::{Start, start_contained};

/// The span that contrib makes of a message that was sent: starts it, sets its attributes and ends it. Whether it is
/// recorded; None where contrib's code has to make it.
///
/// Contrib makes the span current meanwhile, which nobody can see: without a hook no other code runs.
pub fn message_span<'py>(
    tracer: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    kind: &Bound<'py, PyAny>,
    code: Option<&Bound<'py, PyAny>>,
    old: bool,
    new: bool,
) -> PyResult<Option<bool>> {
    let py = tracer.py();
    let Some(ours) = ours(tracer)? else { return Ok(None) };
    if !code.is_none_or(|code| is_usual_code(code, ERRORS_FROM)) {
        return Ok(None);
    }
    let start = Start {
        name,
        context: None,
        kind: None,
        attributes: None,
        links: None,
        start_time: None,
        record_exception: true,
        set_status_on_exception: true,
    };
    let started = start_contained(ours, &start)?;
    let Ok(span) = started.cast::<Span>() else { return Ok(Some(false)) };
    // One that a processor has ended at its start records no more.
    let is_recording = !span.get().has_ended();
    if is_recording {
        span.get().set_one(py, intern!(py, "asgi.event.type"), kind)?;
        if let Some(code) = code {
            set_response_code(span, code, old, new)?;
        }
    }
    Span::end_contained(span)?;
    Ok(Some(is_recording))
}

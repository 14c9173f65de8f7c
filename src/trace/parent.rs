//! The span that is current in a context.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::py::once::intern;
use crate::py::upstream::Upstream;
use crate::py::{call, context};
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;
use crate::trace::span::part::Part;
use crate::trace::span_context::SpanContext;

/// The context of the span that is current in the given context, or in the current one.
#[inline]
pub fn parent_of<'py>(
    py: Python<'py>,
    upstream: &Upstream,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<SpanContext>> {
    match span_in(py, upstream, context)? {
        Some(span) => parent_context(py, upstream, &span),
        None => Ok(None),
    }
}

/// The trace id, the span id and the flags of the span that is current in the given context, or in the current one.
#[inline]
pub fn ids_of<'py>(
    py: Python<'py>,
    upstream: &Upstream,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<(u128, u64, u8)>> {
    match span_in(py, upstream, context)? {
        Some(span) => ids_of_span(py, upstream, &span),
        None => Ok(None),
    }
}

/// The same of a span, whosever it is.
#[inline]
pub fn ids_of_span(py: Python<'_>, upstream: &Upstream, span: &Bound<'_, PyAny>) -> PyResult<Option<(u128, u64, u8)>> {
    let ids = |context: &SpanContext| (context.trace_id, context.span_id, context.flags);
    match native_context(py, span) {
        Some(context) => Ok(context.is_valid().then(|| ids(context))),
        None => Ok(parent_context(py, upstream, span)?.as_ref().map(ids)),
    }
}

#[inline]
fn span_in<'py>(
    py: Python<'py>,
    upstream: &Upstream,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match context {
        Some(context) => context::span_in(upstream, context),
        None => context::span_in(upstream, &context::current(py, upstream)?),
    }
}

/// The context of one of our spans, unless Python has put another one in its place.
#[inline]
pub fn native_context<'a>(py: Python<'_>, span: &'a Bound<'_, PyAny>) -> Option<&'a SpanContext> {
    match span.cast::<Span>() {
        Ok(span) if span.get().part(py, Part::Context).is_some() => None,
        Ok(span) => Some(&span.get().context),
        Err(_) => span.cast::<NonRecordingSpan>().ok().map(|span| &span.get().context),
    }
}

/// The context of a parent span; None if it is not a span, or not a valid one.
#[inline]
fn parent_context(py: Python<'_>, upstream: &Upstream, span: &Bound<'_, PyAny>) -> PyResult<Option<SpanContext>> {
    if let Some(context) = native_context(py, span) {
        return Ok(context.is_valid().then(|| context.clone_ref(py)));
    }
    let context = if span.get_type().is(&upstream.non_recording_span) {
        // What a propagator puts there for a remote parent: its `get_span_context` returns this.
        span.getattr(intern!(py, "_context"))?
    } else if span.is_instance(upstream.span.bind(py))? {
        call::method(intern!(py, "get_span_context"), [span], None)?
    } else {
        return Ok(None);
    };
    if context.is_none() {
        return Ok(None);
    }
    if !context.is_instance(upstream.span_context.bind(py))? {
        return Err(PyTypeError::new_err("parent_span_context must be a SpanContext or None."));
    }
    SpanContext::of_object(py, upstream, &context)
}

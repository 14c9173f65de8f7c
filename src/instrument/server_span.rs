//! The span of a request to a server: how it is started, and what is asked of it whoever made it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::instrument::use_span::UseSpan;
use crate::py::call;
use crate::py::context::{self, Token};
use crate::py::once::{get_or_make, intern};
use crate::py::upstream::{Upstream, upstream};
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;
use crate::trace::start::{Start, start_contained};
use crate::trace::tracer::Tracer;
use crate::trace::{classes, methods};

/// The span of a request, and what restores the context from before, if one came with the request.
pub struct Started<'py> {
    pub span: Bound<'py, PyAny>,
    pub token: Option<Token>,
}

/// `opentelemetry.instrumentation.utils._start_internal_or_server_span`: in a trace that is under way a span within it,
/// and otherwise a server's span within the trace that the request names.
pub fn start_internal_or_server_span<'py>(
    tracer: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    start_time: Option<&Bound<'py, PyAny>>,
    carrier: &Bound<'py, PyAny>,
    getter: &Bound<'py, PyAny>,
    attributes: Option<&Bound<'py, PyAny>>,
) -> PyResult<Started<'py>> {
    let parent = Parent::of(carrier, getter)?;
    let token = parent.attach()?;
    Ok(Started { span: parent.start(tracer, name, start_time, attributes)?, token })
}

/// What the span of a request is started in.
pub struct Parent<'py> {
    pub context: Bound<'py, PyAny>,
    /// Whether a trace is under way, whose context is the current one.
    is_within: bool,
}

impl<'py> Parent<'py> {
    pub fn of(carrier: &Bound<'py, PyAny>, getter: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = carrier.py();
        let upstream = upstream(py)?;
        let current = context::current(py, upstream)?;
        let is_within = has_span(upstream, &current)?;
        Ok(Self { context: if is_within { current } else { extract(carrier, getter)? }, is_within })
    }

    /// Makes its context the current one, unless it is.
    pub fn attach(&self) -> PyResult<Option<Token>> {
        let upstream = upstream(self.context.py())?;
        if self.is_within { Ok(None) } else { context::attach(upstream, &self.context).map(Some) }
    }

    pub fn start(
        &self,
        tracer: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        start_time: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = tracer.py();
        // `SpanKind`: internal is the first, server the second.
        let kind = upstream(py)?.kinds[usize::from(!self.is_within)].bind(py);
        let start = Start {
            name,
            context: Some(&self.context),
            kind: Some(kind),
            attributes,
            links: None,
            start_time,
            record_exception: true,
            set_status_on_exception: true,
        };
        start_by(tracer, &start)
    }
}

/// Whether `get_current_span` finds another span than the invalid one.
fn has_span(upstream: &Upstream, current: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Some(span) = context::span_in(upstream, current)? else { return Ok(false) };
    if span.is_none() || span.is(&upstream.invalid_span) {
        return Ok(false);
    }
    Ok(is_ours(&span) || span.is_instance(upstream.span.bind(span.py()))?)
}

/// Whether it is a span of one of our classes.
pub fn is_ours(span: &Bound<'_, PyAny>) -> bool {
    span.is_instance_of::<Span>() || span.is_instance_of::<NonRecordingSpan>()
}

fn extract<'py>(carrier: &Bound<'py, PyAny>, getter: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = carrier.py();
    let extract = propagation(py)?.bind(py).as_any().get_item(intern!(py, "extract"))?;
    let names = PyTuple::new(py, [intern!(py, "getter")])?;
    call::function(&extract, [carrier, getter], Some(&names))
}

/// What the module `opentelemetry.propagate` has.
pub fn propagation(py: Python<'_>) -> PyResult<&'static Py<PyDict>> {
    static PROPAGATE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    get_or_make(py, &PROPAGATE, || Ok(py.import("opentelemetry.propagate")?.dict().unbind()))
}

/// Starts a span by any tracer.
fn start_by<'py>(tracer: &Bound<'py, PyAny>, start: &Start<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = tracer.py();
    if let Some(ours) = ours(tracer)? {
        return start_contained(ours, start);
    }
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "name"), start.name)?;
    arguments.set_item(intern!(py, "context"), start.context)?;
    arguments.set_item(intern!(py, "kind"), start.kind)?;
    arguments.set_item(intern!(py, "start_time"), start.start_time)?;
    arguments.set_item(intern!(py, "attributes"), start.attributes)?;
    tracer.call_method(intern!(py, "start_span"), (), Some(&arguments))
}

/// The tracer, if it is ours and nobody has replaced a method of it or of its spans.
pub fn ours<'a, 'py>(tracer: &'a Bound<'py, PyAny>) -> PyResult<Option<&'a Bound<'py, Tracer>>> {
    let is_plain = tracer.get_type().is(classes::tracer(tracer.py())?) && !methods::are_looked_up();
    Ok(tracer.cast::<Tracer>().ok().filter(|_| is_plain))
}

/// Whether a span of this tracer's, once it has started, can be given the attributes of a request with nobody noticing
/// that it did not have them before.
pub fn keeps_attributes(tracer: &Bound<'_, PyAny>) -> bool {
    const MORE_THAN_A_REQUEST_HAS: usize = 32;
    ours(tracer).is_ok_and(|ours| ours.is_some_and(|tracer| tracer.get().keeps_attributes(MORE_THAN_A_REQUEST_HAS)))
}

/// `span.is_recording()`.
pub fn is_recording(span: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = span.py();
    if !methods::are_looked_up() {
        if span.get_type().is(classes::span(py)?) {
            return Ok(span.cast::<Span>().is_ok_and(|span| !span.get().has_ended()));
        }
        if span.is_instance_of::<NonRecordingSpan>() {
            return Ok(false);
        }
    }
    span.call_method0(intern!(py, "is_recording"))?.is_truthy()
}

/// `span.set_attributes(attributes)`.
pub fn set_attributes(span: &Bound<'_, PyAny>, attributes: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = span.py();
    match span.cast::<Span>() {
        // Not a subclass: no need to look it up.
        Ok(ours) if span.get_type().is(classes::span(py)?) && !methods::are_looked_up() => {
            ours.get().set_attributes(py, attributes.as_any())
        }
        _ => span.call_method1(intern!(py, "set_attributes"), (attributes,)).map(drop),
    }
}

/// `span.end()`.
pub fn end_span(span: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = span.py();
    match span.cast::<Span>() {
        // Not a subclass: no need to look its `end` up.
        Ok(ours) if span.get_type().is(classes::span(py)?) && !methods::are_looked_up() => Span::end_contained(ours),
        _ => span.call_method0(intern!(py, "end")).map(drop),
    }
}

/// `opentelemetry.trace.use_span`, natively for spans of ours.
pub fn use_span<'py>(span: &Bound<'py, PyAny>, end_on_exit: bool) -> PyResult<Bound<'py, PyAny>> {
    let py = span.py();
    if is_ours(span) {
        return Ok(Bound::new(py, UseSpan::of(span.clone().unbind(), end_on_exit))?.into_any());
    }
    py.import("opentelemetry.trace")?.getattr("use_span")?.call1((span, end_on_exit))
}

/// See `opentelemetry.instrumentation.utils`.
#[pyfunction(name = "start_internal_or_server_span")]
#[pyo3(signature = (tracer, span_name, start_time, context_carrier, context_getter, attributes=None))]
pub fn started_span<'py>(
    tracer: &Bound<'py, PyAny>,
    span_name: &Bound<'py, PyAny>,
    start_time: Option<&Bound<'py, PyAny>>,
    context_carrier: &Bound<'py, PyAny>,
    context_getter: &Bound<'py, PyAny>,
    attributes: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Option<Py<PyAny>>)> {
    let started =
        start_internal_or_server_span(tracer, span_name, start_time, context_carrier, context_getter, attributes)?;
    Ok((started.span, started.token.map(Token::into_object)))
}

/// See `opentelemetry.trace.use_span`.
#[pyfunction(name = "use_span")]
#[pyo3(signature = (span, end_on_exit=false))]
pub fn used_span<'py>(span: &Bound<'py, PyAny>, end_on_exit: bool) -> PyResult<Bound<'py, PyAny>> {
    use_span(span, end_on_exit)
}

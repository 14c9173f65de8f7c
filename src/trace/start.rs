//! Starts spans, in named steps: parent, sampler, and a span that is recorded or one that is not.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::fields::time_or_now;
use crate::py::boundary::contained;
use crate::py::fastcall::{Call, fast_method};
use crate::py::fork::refresh_after_fork;
use crate::py::once::Interned;
use crate::py::upstream::{GET_CURRENT_SPAN, NON_RECORDING_SPAN, Upstream, position, upstream};
use crate::py::{exception, log};
use crate::trace::arguments::{Flag, flag, given};
use crate::trace::classes;
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::parent::parent_of;
use crate::trace::sampler::{Decision, SamplingParameters, SamplingResult};
use crate::trace::span::Span;
use crate::trace::span::state::SpanState;
use crate::trace::span_context::{RANDOM_TRACE_ID, SAMPLED, SpanContext};
use crate::trace::tracer::{Settings, Tracer};

/// The arguments of `start_span`, borrowed.
pub struct Start<'a, 'py> {
    pub name: &'a Bound<'py, PyAny>,
    pub context: Option<&'a Bound<'py, PyAny>>,
    pub kind: Option<&'a Bound<'py, PyAny>>,
    pub attributes: Option<&'a Bound<'py, PyAny>>,
    pub links: Option<&'a Bound<'py, PyAny>>,
    pub start_time: Option<&'a Bound<'py, PyAny>>,
    pub record_exception: bool,
    pub set_status_on_exception: bool,
}

/// Starts a span whatever happens: if we fail, the application goes on with one that does nothing.
pub fn start_contained<'py>(tracer: &Bound<'py, Tracer>, start: &Start<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = tracer.py();
    contained(py, "start_span", || start_span(tracer, start), || disabled_span(py, start.context))
}

#[inline]
fn start_span<'py>(tracer: &Bound<'py, Tracer>, start: &Start<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = tracer.py();
    let upstream = upstream(py)?;
    refresh_after_fork(py);
    let settings = tracer.get().settings();
    if !tracer.get().is_enabled() {
        return disabled_span(py, start.context);
    }
    let parent = parent_of(py, upstream, start.context)?;
    let ids = &settings.id_generator;
    let (trace_id, is_random, span_id) = match &parent {
        Some(parent) => (parent.trace_id, parent.flags & RANDOM_TRACE_ID != 0, None),
        None => ids.trace_id(py),
    };
    let sampling = sample(py, upstream, settings, start, parent.as_ref(), trace_id);
    let mut flags = if sampling.decision == Decision::RecordAndSample { SAMPLED } else { 0 };
    if is_random {
        flags |= RANDOM_TRACE_ID;
    }
    let span_id = span_id.unwrap_or_else(|| ids.span_id(py));
    let context = SpanContext::local(trace_id, span_id, flags, sampling.trace_state);
    let end_metrics = record_start(py, upstream, tracer.get(), parent.as_ref(), sampling.decision);
    if sampling.decision == Decision::Drop {
        return classes::new_non_recording_span(py, NonRecordingSpan { context });
    }
    new_recording_span(tracer, upstream, start, context, parent, sampling.attributes, end_metrics)
}

/// Asks the sampler. One that raises costs the span, not the application.
#[inline]
fn sample<'py>(
    py: Python<'py>,
    upstream: &Upstream,
    settings: &Settings,
    start: &Start<'_, 'py>,
    parent: Option<&SpanContext>,
    trace_id: u128,
) -> SamplingResult<'py> {
    let no_links;
    let links = match start.links {
        Some(links) => links,
        None => {
            no_links = PyTuple::empty(py).into_any();
            &no_links
        }
    };
    let parameters = SamplingParameters {
        context: start.context,
        parent,
        trace_id,
        name: start.name,
        kind: start.kind.unwrap_or(upstream.kinds[0].bind(py)),
        attributes: start.attributes,
        links,
    };
    settings.sampler.sample(py, upstream, &parameters).unwrap_or_else(|error| {
        exception::swallow(py, "The sampler raised, the span is not sampled", error);
        let trace_state = parent.and_then(|parent| parent.trace_state.as_ref());
        let trace_state = trace_state.map(|state| state.clone_ref(py));
        SamplingResult { decision: Decision::Drop, attributes: None, trace_state }
    })
}

#[inline]
fn new_recording_span<'py>(
    tracer: &Bound<'py, Tracer>,
    upstream: &Upstream,
    start: &Start<'_, 'py>,
    context: SpanContext,
    parent: Option<SpanContext>,
    attributes: Option<Bound<'py, PyAny>>,
    end_metrics: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = tracer.py();
    let limits = tracer.get().limits();
    let kind = start.kind.map_or(Some(0), |kind| position(&upstream.kinds, kind));
    let mut state = SpanState::new(start.name.clone().unbind(), limits.span_attributes);
    if let Some(attributes) = &attributes
        && !attributes.is_none()
    {
        state.attributes.extend(attributes, limits.span_value_len);
    }
    let mut span = Span {
        tracer: tracer.clone().unbind(),
        origin: Arc::clone(&tracer.get().settings().origin),
        context,
        parent,
        kind: kind.unwrap_or_else(|| unknown_kind(py)) as u8,
        start_time: 0,
        record_exception: AtomicBool::new(start.record_exception),
        set_status_on_exception: AtomicBool::new(start.set_status_on_exception),
        end_metrics,
        has_parts: AtomicBool::new(false),
        origin_was_read: AtomicBool::new(false),
        state: Mutex::new(state),
    };
    if let Some(links) = start.links
        && let Err(error) = span.add_links(py, upstream, links)
    {
        exception::swallow(py, "The links were dropped", error);
    }
    // The clock is read last, so that the span does not measure our own work.
    span.start_time = time_or_now(start.start_time);
    let span = classes::new_span(py, span)?.into_any();
    let processors = tracer.get().processors();
    if !processors.python.is_empty() {
        processors.on_start(&span, start.context)?;
    }
    Ok(span)
}

/// A span that passes on the parent's context and records nothing.
fn disabled_span<'py>(py: Python<'py>, context: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let parent = GET_CURRENT_SPAN.look_up(py)?.call1((context,))?.call_method0("get_span_context")?;
    NON_RECORDING_SPAN.look_up(py)?.call1((parent,))
}

/// Counts the start in the SDK's own metrics, where they are on; returns what is called at the end.
#[inline]
fn record_start(
    py: Python<'_>,
    upstream: &Upstream,
    tracer: &Tracer,
    parent: Option<&SpanContext>,
    decision: Decision,
) -> Option<Py<PyAny>> {
    let metrics = tracer.metrics()?;
    let record = || {
        let parent = parent.map(|parent| parent.object(py, upstream)).transpose()?;
        metrics.call_method1(py, "start_span", (parent, &upstream.decisions[decision as usize]))
    };
    record().map_err(|error| exception::swallow(py, "The SDK's own metrics raised", error)).ok()
}

#[cold]
fn unknown_kind(py: Python<'_>) -> usize {
    log::warning(py, "Invalid span kind, expected a SpanKind; INTERNAL is taken.");
    0
}

fast_method!(pub static START_SPAN: Tracer, "start_span", start_by_call);

static PARAMETERS: [Interned; 8] = [
    Interned::new("name"),
    Interned::new("context"),
    Interned::new("kind"),
    Interned::new("attributes"),
    Interned::new("links"),
    Interned::new("start_time"),
    Interned::new("record_exception"),
    Interned::new("set_status_on_exception"),
];

fn start_by_call<'py>(tracer: &Bound<'py, Tracer>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some([Some(name), context, kind, attributes, links, start_time, record, set_status]) =
        call.arguments(&PARAMETERS)
    else {
        return Ok(None);
    };
    let start = Start {
        name: &name,
        context: given(&context),
        kind: given(&kind),
        attributes: given(&attributes),
        links: given(&links),
        start_time: given(&start_time),
        record_exception: flag(record)?,
        set_status_on_exception: flag(set_status)?,
    };
    start_contained(tracer, &start).map(Some)
}

#[pymethods]
impl Tracer {
    /// Starts a span without making it the current one.
    #[pyo3(signature = (name, context=None, kind=None, attributes=None, links=None, start_time=None,
                        record_exception=Flag(true), set_status_on_exception=Flag(true)))]
    #[allow(clippy::too_many_arguments)]
    fn start_span<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyAny>>,
        kind: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        links: Option<&Bound<'py, PyAny>>,
        start_time: Option<&Bound<'py, PyAny>>,
        record_exception: Flag,
        set_status_on_exception: Flag,
    ) -> PyResult<Bound<'py, PyAny>> {
        let start = Start {
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception: record_exception.0,
            set_status_on_exception: set_status_on_exception.0,
        };
        start_contained(slf, &start)
    }
}

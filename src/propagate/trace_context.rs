//! `TraceContextTextMapPropagator`.

use otel_rs_core::propagate::TraceParent;
use otel_rs_core::propagate::trace_state::{self, Members, Unread};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::propagate::field::Field;
use crate::propagate::getter::Getter;
use crate::propagate::header::{First, Header};
use crate::propagate::held::Held;
use crate::propagate::known::KnownClass;
use crate::propagate::names;
use crate::propagate::objects::{Objects, objects};
use crate::propagate::replaced::{EXTRACT_TRACE_CONTEXT, INJECT_TRACE_CONTEXT};
use crate::propagate::setter::Setter;
use crate::py::once::intern;
use crate::py::upstream::Upstream;
use crate::py::{call, context, text};
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::parent::native_context;
use crate::trace::span::Span;
use crate::trace::span_context::SpanContext;
use crate::trace::{classes, methods};

pub static CLASS: KnownClass = KnownClass::new(0, |class| {
    Ok(EXTRACT_TRACE_CONTEXT.is_replaced_in(class)?
        && INJECT_TRACE_CONTEXT.is_replaced_in(class)?
        && has_defaults(class)?)
});

/// The expressions that `TraceParent::read` stands for.
const FORMATS: [&str; 2] = [
    "^[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?[ \t]*$",
    "^[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:(-.*)|[ \t]*)$",
];
/// Of opentelemetry-api 1.45.2: longer ones are reported.
const MAX_TRACE_PARENT: usize = 512;

fn has_defaults(propagator: &Bound<'_, PyAny>) -> PyResult<bool> {
    let format = propagator.getattr("_TRACEPARENT_HEADER_FORMAT_RE")?.getattr("pattern")?;
    let max = propagator.getattr_opt("_TRACEPARENT_MAXIMUM_LENGTH")?;
    Ok(FORMATS.iter().any(|known| format.eq(known).unwrap_or(false))
        && propagator.getattr("_TRACEPARENT_HEADER_NAME")?.eq(Field::TraceParent.name())?
        && propagator.getattr("_TRACESTATE_HEADER_NAME")?.eq(Field::TraceState.name())?
        && max.is_none_or(|max| max.eq(MAX_TRACE_PARENT).unwrap_or(false)))
}

#[inline]
fn is_plain(propagator: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(CLASS.is_class_of(propagator) || has_defaults(propagator)?)
}

#[inline]
pub fn extract<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    getter: &Getter<'_, 'py>,
    mut held: Held<'py>,
) -> PyResult<Held<'py>> {
    if is_plain(propagator)? {
        return extract_natively(propagator, upstream, getter, held);
    }
    EXTRACT_TRACE_CONTEXT.extract(propagator, getter.carrier, &mut held, getter.object)
}

/// Of a propagator whose names and limits are the API's.
#[inline]
pub fn extract_natively<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    getter: &Getter<'_, 'py>,
    held: Held<'py>,
) -> PyResult<Held<'py>> {
    let py = propagator.py();
    let header = getter.read(Field::TraceParent)?;
    let text = match header.first() {
        First::Missing => return held.or_empty(py, upstream),
        First::Text(text) => text,
        First::Other => return as_upstream(propagator, getter, held, &[(Field::TraceParent, &header)]),
    };
    let header_text = text::plain_utf8(&text);
    let may_be_long = header_text.is_none_or(|text| text.len() > MAX_TRACE_PARENT);
    if may_be_long
        && text.len()? > MAX_TRACE_PARENT
        && propagator.hasattr(intern!(py, "_TRACEPARENT_MAXIMUM_LENGTH"))?
    {
        return as_upstream(propagator, getter, held, &[(Field::TraceParent, &header)]);
    }
    let Some(parent) = header_text.and_then(TraceParent::read) else { return held.or_empty(py, upstream) };
    let held = held.or_empty(py, upstream)?;
    if held.dict(upstream).is_none() {
        return as_upstream(propagator, getter, held, &[(Field::TraceParent, &header)]);
    }
    let objects = objects(py, upstream)?;
    let states = getter.read(Field::TraceState)?;
    let Some(trace_state) = read_trace_state(py, objects, &states)? else {
        return as_upstream(propagator, getter, held, &[(Field::TraceParent, &header), (Field::TraceState, &states)]);
    };
    let mut context = SpanContext::local(parent.trace_id, parent.span_id, parent.flags, trace_state);
    context.is_remote = true;
    let span = objects.new_span(context.make_object(py, upstream)?.bind(py))?;
    held.with(py, upstream, upstream.span_key.bind(py), &span)
}

#[cold]
fn as_upstream<'py>(
    propagator: &Bound<'py, PyAny>,
    getter: &Getter<'_, 'py>,
    mut held: Held<'py>,
    read: &[(Field, &Header<'py>)],
) -> PyResult<Held<'py>> {
    EXTRACT_TRACE_CONTEXT.extract(propagator, getter.carrier, &mut held, &getter.after(read)?)
}

/// The trace state, or None for the default one; the outer None if all of it is upstream's to read.
#[inline]
fn read_trace_state(py: Python<'_>, objects: &Objects, header: &Header<'_>) -> PyResult<Option<Option<Py<PyAny>>>> {
    if matches!(header, Header::Missing) {
        return Ok(Some(None));
    }
    let Some(texts) = header.texts() else { return Ok(None) };
    let commas = texts.len().saturating_sub(1);
    let bytes = texts.iter().map(|text| text::plain_utf8(text).map_or(usize::MAX, str::len));
    // No text has more characters than bytes.
    if bytes.fold(commas, usize::saturating_add) > trace_state::MAX_LEN {
        let characters = texts.iter().map(|text| text.len()).sum::<PyResult<usize>>()?;
        if commas + characters > trace_state::MAX_LEN {
            return Ok(None);
        }
    }
    let mut members = Members::new();
    for text in &texts {
        let text = text::plain_utf8(text).unwrap_or("=");
        // opentelemetry-api 1.45.0 reports blanks before the first member.
        let read =
            if text.starts_with([' ', '\t']) { Err(Unread::Reported) } else { trace_state::read(text, &mut members) };
        match read {
            Ok(()) => {}
            Err(Unread::Duplicate) => {
                members.clear();
                break;
            }
            Err(Unread::Reported) => {
                let class = objects.trace_state.bind(py);
                let state = class.call_method1(intern!(py, "from_header"), (header.returned(py)?,))?;
                return Ok(Some(Some(state.unbind())));
            }
        }
    }
    let dict = PyDict::new(py);
    for (key, value) in members {
        dict.set_item(names::NAMES.text(py, key)?, text::new(py, value)?)?;
    }
    Ok(Some(Some(objects.new_trace_state(&dict)?.unbind())))
}

/// What goes into the headers.
struct Identity<'py> {
    parent: TraceParent,
    /// None stands for one without members.
    trace_state: Option<Bound<'py, PyAny>>,
}

#[inline]
pub fn inject<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    setter: &Setter<'_, 'py>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    match context {
        _ if !is_plain(propagator)? => INJECT_TRACE_CONTEXT.inject(propagator, setter.carrier, context, setter.object),
        Some(context) => inject_natively(propagator, upstream, setter, context),
        None => inject_natively(propagator, upstream, setter, &context::current(propagator.py(), upstream)?),
    }
}

/// By a propagator whose names and limits are the API's.
#[inline]
pub fn inject_natively<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    setter: &Setter<'_, 'py>,
    context: &Bound<'py, PyAny>,
) -> PyResult<()> {
    match context::span_in(upstream, context)? {
        Some(span) => inject_span(propagator, upstream, setter, context, &span),
        None => Ok(()),
    }
}

/// As `inject_natively`, of the span that the context has.
#[inline]
pub fn inject_span<'py>(
    propagator: &Bound<'py, PyAny>,
    upstream: &Upstream,
    setter: &Setter<'_, 'py>,
    context: &Bound<'py, PyAny>,
    span: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = propagator.py();
    let as_upstream = || INJECT_TRACE_CONTEXT.inject(propagator, setter.carrier, Some(context), setter.object);
    let identity = match native(py, span)? {
        Some(context) => of_native(py, context),
        None if !span.is_instance(upstream.span.bind(py))? => return Ok(()),
        None => of_object(py, upstream, span)?,
    };
    let Some(identity) = identity else { return as_upstream() };
    let header = text::of_ascii(py, &identity.parent.write()).expect("digits and dashes")?;
    setter.set(Field::TraceParent, &header)?;
    let Some(state) = identity.trace_state else { return Ok(()) };
    if let Some(members) = objects(py, upstream)?.members(&state)?
        && let Some(header) = joined(&members)
    {
        return if header.is_empty() {
            Ok(())
        } else {
            setter.set(Field::TraceState, text::new(py, &header)?.as_any())
        };
    }
    if state.is_truthy()? {
        setter.set(Field::TraceState, &call::method(intern!(py, "to_header"), [&state], None)?)?;
    }
    Ok(())
}

/// The context of a span of one of our classes, not of a subclass, whose methods may be its own.
#[inline]
fn native<'a>(py: Python<'_>, span: &'a Bound<'_, PyAny>) -> PyResult<Option<&'a SpanContext>> {
    let is_ours = span.get_type().is(classes::span(py)?) && span.is_instance_of::<Span>();
    let is_known = (is_ours || span.is_instance_of::<NonRecordingSpan>()) && !methods::are_looked_up();
    Ok(if is_known { native_context(py, span) } else { None })
}

#[inline]
fn of_native<'py>(py: Python<'py>, context: &SpanContext) -> Option<Identity<'py>> {
    context.is_valid().then(|| Identity {
        parent: TraceParent { trace_id: context.trace_id, span_id: context.span_id, flags: context.flags },
        trace_state: context.trace_state.as_ref().map(|state| state.bind(py).clone()),
    })
}

/// None if its context is not what we know to be valid.
fn of_object<'py>(py: Python<'py>, upstream: &Upstream, span: &Bound<'py, PyAny>) -> PyResult<Option<Identity<'py>>> {
    let context = if span.get_type().is(&upstream.non_recording_span) {
        span.getattr(intern!(py, "_context"))?
    } else {
        call::method(intern!(py, "get_span_context"), [span], None)?
    };
    if !upstream.span_context_is_tuple || !context.get_type().is(&upstream.span_context) {
        return Ok(None);
    }
    let Ok(fields) = context.cast::<PyTuple>() else { return Ok(None) };
    let read = || {
        Some(TraceParent {
            trace_id: fields.get_item(0).ok()?.extract().ok()?,
            span_id: fields.get_item(1).ok()?.extract().ok()?,
            flags: fields.get_item(3).ok()?.extract().ok()?,
        })
    };
    let Some(parent) = read().filter(|parent| parent.trace_id != 0 && parent.span_id != 0) else { return Ok(None) };
    let state = fields.get_item(4)?;
    let trace_state = (!state.is_none() && !state.is(&upstream.default_trace_state)).then_some(state);
    Ok(Some(Identity { parent, trace_state }))
}

/// None if something in it is no text that has UTF-8.
fn joined(members: &Bound<'_, PyDict>) -> Option<String> {
    let mut header = String::new();
    for member in members.items() {
        let (key, value) = member.extract::<(Bound<'_, PyString>, Bound<'_, PyString>)>().ok()?;
        if !header.is_empty() {
            header.push(',');
        }
        header.push_str(key.to_str().ok()?);
        header.push('=');
        header.push_str(value.to_str().ok()?);
    }
    Some(header)
}

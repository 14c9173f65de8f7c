//! A stock ReadableSpan as a framed span, read through its properties.

use std::sync::Arc;

use otel_rs_core::otlp::{self, EVENT_ATTRIBUTES, LINK_ATTRIBUTES, Messages, SPAN_ATTRIBUTES, Scope, StatusCode};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert::attributes::PyAttributes;
use crate::convert::fields;
use crate::convert::scope::ScopeCache;
use crate::convert::value::is_mapping;
use crate::py::call;
use crate::py::exception;
use crate::py::once::intern;
use crate::py::text;
use crate::py::upstream::{Upstream, position, upstream};

/// Appends the span to `out`, framed; returns its resource and scope.
pub fn frame_stock_span(span: &Bound<'_, PyAny>, scopes: &ScopeCache, out: &mut Vec<u8>) -> PyResult<Arc<Scope>> {
    let py = span.py();
    let upstream = upstream(py)?;
    let context = span.call_method0(intern!(py, "get_span_context"))?;
    let parent = span.getattr(intern!(py, "parent"))?;
    let parent = (!parent.is_none()).then_some(parent);
    let attributes = attributes_of(span, SPAN_ATTRIBUTES)?;
    let dropped = |name: &Bound<'_, PyString>| PyResult::Ok(span.getattr(name)?.extract().unwrap_or(0));
    let events = events(&span.getattr(intern!(py, "events"))?, dropped(intern!(py, "dropped_events"))?)?;
    let links = links(upstream, &span.getattr(intern!(py, "links"))?, dropped(intern!(py, "dropped_links"))?)?;
    let status = span.getattr(intern!(py, "status"))?;
    let (status, status_message) =
        if status.is_none() { (StatusCode::Unset, None) } else { self::status(upstream, &status)? };
    let context = identifiers(&context)?;
    let parent = parent.map(|parent| identifiers(&parent)).transpose()?;
    otlp::Span {
        trace_id: context.trace_id,
        span_id: context.span_id,
        trace_state: &context.trace_state,
        parent_span_id: parent.as_ref().map(|parent| parent.span_id),
        parent_is_remote: parent.as_ref().is_some_and(|parent| parent.is_remote),
        name: &text::utf8(&fields::name(&span.getattr(intern!(py, "name"))?)),
        kind: position(&upstream.kinds, &span.getattr(intern!(py, "kind"))?).unwrap_or(0) as u8 + 1,
        start_time_unix_nano: time(&span.getattr(intern!(py, "start_time"))?),
        end_time_unix_nano: time(&span.getattr(intern!(py, "end_time"))?),
        attributes: &attributes.wire,
        events: Some(&events),
        links: Some(&links),
        status,
        status_message: &status_message.as_ref().map(text::utf8).unwrap_or_default(),
    }
    .try_frame(out)
    .map_err(exception::out_of_memory)?;
    let scope = span.getattr(intern!(py, "instrumentation_scope"))?;
    scopes.get(&span.getattr(intern!(py, "resource"))?, &scope)
}

/// `attributes` and `dropped_attributes` of a span, an event or a link.
fn attributes_of(object: &Bound<'_, PyAny>, field: u8) -> PyResult<PyAttributes> {
    let py = object.py();
    let mut converted = PyAttributes::new(field, None);
    let attributes = object.getattr(intern!(py, "attributes"))?;
    if !attributes.is_none() {
        converted.extend(&attributes, None);
    }
    converted.wire.count_dropped(object.getattr(intern!(py, "dropped_attributes"))?.extract().unwrap_or(0));
    Ok(converted)
}

/// The fields of an API SpanContext.
pub struct Identifiers {
    pub trace_id: u128,
    pub span_id: u64,
    /// The W3C tracestate header.
    pub trace_state: String,
    pub is_remote: bool,
}

pub fn identifiers(context: &Bound<'_, PyAny>) -> PyResult<Identifiers> {
    let py = context.py();
    Ok(Identifiers {
        trace_id: context.getattr(intern!(py, "trace_id"))?.extract()?,
        span_id: context.getattr(intern!(py, "span_id"))?.extract()?,
        trace_state: trace_state_header(context)?,
        is_remote: context.getattr(intern!(py, "is_remote"))?.is_truthy()?,
    })
}

/// An API Status, and its description if that is a text.
pub fn status<'py>(
    upstream: &Upstream,
    status: &Bound<'py, PyAny>,
) -> PyResult<(StatusCode, Option<Bound<'py, PyString>>)> {
    let py = status.py();
    let code = position(&upstream.status_codes, &status.getattr(intern!(py, "status_code"))?);
    let code = [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][code.unwrap_or(0)];
    Ok((code, status.getattr(intern!(py, "description"))?.cast_into::<PyString>().ok()))
}

/// Events, as any iterable of them.
pub fn events(all: &Bound<'_, PyAny>, dropped: u32) -> PyResult<Messages> {
    let py = all.py();
    let mut events = Messages::new(None);
    let mut framed = Vec::new();
    for event in all.try_iter()? {
        let event = event?;
        let attributes = attributes_of(&event, EVENT_ATTRIBUTES)?;
        let name = fields::name(&event.getattr(intern!(py, "name"))?);
        framed.clear();
        let name = text::utf8(&name);
        otlp::make_room_for_entry(&mut framed, name.len(), &attributes.wire).map_err(exception::out_of_memory)?;
        otlp::put_event(&mut framed, &name, time(&event.getattr(intern!(py, "timestamp"))?), &attributes.wire);
        events.try_push(&framed).map_err(exception::out_of_memory)?;
    }
    events.count_dropped(dropped);
    Ok(events)
}

/// Links, as any iterable of them.
pub fn links(upstream: &Upstream, all: &Bound<'_, PyAny>, dropped: u32) -> PyResult<Messages> {
    let py = all.py();
    let mut links = Messages::new(None);
    let mut framed = Vec::new();
    for link in all.try_iter()? {
        let link = link?;
        framed.clear();
        put_link(
            upstream,
            &link.getattr(intern!(py, "context"))?,
            &attributes_of(&link, LINK_ATTRIBUTES)?,
            &mut framed,
        )?;
        links.try_push(&framed).map_err(exception::out_of_memory)?;
    }
    links.count_dropped(dropped);
    Ok(links)
}

/// Appends a link to an API SpanContext. Ids that are out of range become zero.
pub fn put_link(
    upstream: &Upstream,
    context: &Bound<'_, PyAny>,
    attributes: &PyAttributes,
    out: &mut Vec<u8>,
) -> PyResult<()> {
    let py = context.py();
    let trace_id = context.getattr(intern!(py, "trace_id"))?.extract().unwrap_or(0);
    let span_id = context.getattr(intern!(py, "span_id"))?.extract().unwrap_or(0);
    let is_remote = context.getattr(intern!(py, "is_remote"))?.is_truthy()?;
    let trace_state = context.getattr(intern!(py, "trace_state"))?;
    let header =
        if trace_state.is(&upstream.default_trace_state) { String::new() } else { trace_state_header(context)? };
    otlp::make_room_for_entry(out, header.len(), &attributes.wire).map_err(exception::out_of_memory)?;
    otlp::put_link(out, trace_id, span_id, &header, is_remote, &attributes.wire);
    Ok(())
}

/// The W3C tracestate header of an API SpanContext. Some give the header or a plain mapping in place of the TraceState.
fn trace_state_header(context: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = context.py();
    let trace_state = context.getattr(intern!(py, "trace_state"))?;
    if let Ok(header) = trace_state.cast::<PyString>() {
        return Ok(text::utf8(header).into_owned());
    }
    if !trace_state.is_truthy()? {
        return Ok(String::new());
    }
    if !trace_state.hasattr(intern!(py, "to_header"))? && is_mapping(&trace_state)? {
        let members = trace_state.call_method0(intern!(py, "items"))?.try_iter()?.map(|member| {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = member?.extract()?;
            Ok(format!("{}={}", text::shown(&key), text::shown(&value)))
        });
        return Ok(members.collect::<PyResult<Vec<_>>>()?.join(","));
    }
    call::method(intern!(py, "to_header"), [&trace_state], None)?.extract()
}

/// Nanoseconds; a span that has not ended has none.
fn time(object: &Bound<'_, PyAny>) -> u64 {
    if object.is_none() { 0 } else { fields::time(object) }
}

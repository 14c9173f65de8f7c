//! What a span's parts change on the wire.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use otel_rs_core::otlp::{self, Messages, SPAN_ATTRIBUTES, Scope, StatusCode};
use pyo3::prelude::*;

use crate::convert::attributes::PyAttributes;
use crate::convert::fields;
use crate::convert::stock_span::{self, Identifiers};
use crate::py::upstream::{Upstream, position, upstream};
use crate::py::{exception, text};
use crate::trace::span::Span;
use crate::trace::span::part::{Part, Parts, dropped};

impl Span {
    /// What the parts change. One that cannot be used is left out, with a log line.
    pub fn overrides(&self, py: Python<'_>) -> Option<Box<Overrides>> {
        if !self.has_parts.load(Ordering::Acquire) {
            return None;
        }
        let parts = self.lock().parts.as_ref()?.clone_ref(py);
        let upstream = upstream(py).ok()?;
        let mut overrides = Box::<Overrides>::default();
        for (at, object) in parts.0.iter().enumerate() {
            if let Some(object) = object
                && let Err(error) = overrides.take(self, upstream, &parts, at, object.bind(py))
            {
                exception::swallow(py, "A part of a span was not exported", error);
            }
        }
        Some(overrides)
    }
}

/// Fields of the wire form that parts replace.
#[derive(Default)]
pub struct Overrides {
    context: Option<Identifiers>,
    parent: Option<Option<Identifiers>>,
    kind: Option<u8>,
    start_time: Option<u64>,
    attributes: Option<PyAttributes>,
    events: Option<Messages>,
    links: Option<Messages>,
    status: Option<(StatusCode, String)>,
    pub scope: Option<Arc<Scope>>,
}

impl Overrides {
    fn take(
        &mut self,
        span: &Span,
        upstream: &Upstream,
        parts: &Parts,
        at: usize,
        object: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = object.py();
        let is = |part: Part| at == part as usize;
        if is(Part::Context) {
            self.context = Some(stock_span::identifiers(object)?);
        } else if is(Part::Parent) {
            let parent = (!object.is_none()).then(|| stock_span::identifiers(object)).transpose()?;
            self.parent = Some(parent);
        } else if is(Part::Kind) {
            self.kind = position(&upstream.kinds, object).map(|kind| kind as u8);
        } else if is(Part::StartTime) {
            self.start_time = Some(fields::time(object));
        } else if is(Part::Attributes) {
            let mut converted = PyAttributes::new(SPAN_ATTRIBUTES, None);
            if !object.is_none() {
                converted.extend(object, None);
            }
            converted.wire.count_dropped(dropped(object));
            self.attributes = Some(converted);
        } else if is(Part::Events) {
            self.events = Some(stock_span::events(object, dropped(object))?);
        } else if is(Part::Links) {
            self.links = Some(stock_span::links(upstream, object, dropped(object))?);
        } else if is(Part::Status) {
            let (code, message) = stock_span::status(upstream, object)?;
            let message = message.map(|message| text::utf8(&message).into_owned()).unwrap_or_default();
            self.status = Some((code, message));
        } else if is(Part::Resource) || is(Part::InstrumentationScope) {
            let tracer = span.tracer.get();
            let resource = match parts.get(Part::Resource) {
                Some(resource) => resource.clone_ref(py),
                None => span.origin.resource(py),
            };
            let scope = match parts.get(Part::InstrumentationScope) {
                Some(scope) => scope.clone_ref(py),
                None => tracer.instrumentation_scope(py),
            };
            let as_started = &span.origin.scope;
            self.scope = Some(tracer.scopes().encoded_anew(resource.bind(py), scope.bind(py), as_started)?);
        }
        Ok(())
    }

    pub fn apply<'a>(&'a self, span: &mut otlp::Span<'a>) {
        if let Some(context) = &self.context {
            (span.trace_id, span.span_id) = (context.trace_id, context.span_id);
            span.trace_state = &context.trace_state;
        }
        if let Some(parent) = &self.parent {
            span.parent_span_id = parent.as_ref().map(|parent| parent.span_id);
            span.parent_is_remote = parent.as_ref().is_some_and(|parent| parent.is_remote);
        }
        span.kind = self.kind.map_or(span.kind, |kind| kind + 1);
        span.start_time_unix_nano = self.start_time.unwrap_or(span.start_time_unix_nano);
        span.attributes = self.attributes.as_ref().map_or(span.attributes, |attributes| &attributes.wire);
        span.events = self.events.as_ref().or(span.events);
        span.links = self.links.as_ref().or(span.links);
        if let Some((code, message)) = &self.status {
            (span.status, span.status_message) = (*code, message);
        }
    }
}

//! The span as it goes to batch processors and exporters.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use otel_rs_core::otlp::{self, OutOfMemory, Scope};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert::fields;
use crate::py::once::intern;
use crate::py::{exception, text};
use crate::trace::span::Span;
use crate::trace::span::part::Part;
use crate::trace::span::state::SpanState;
use crate::trace::span_context::SAMPLED;

impl Span {
    pub fn is_sampled(&self, py: Python<'_>) -> PyResult<bool> {
        match self.part(py, Part::Context) {
            None => Ok(self.context.is_sampled()),
            Some(context) if context.is_none(py) => Ok(false),
            Some(context) => {
                let flags: u8 = context.getattr(py, intern!(py, "trace_flags"))?.extract(py)?;
                Ok(flags & SAMPLED != 0)
            }
        }
    }

    /// Of the origin. Python code that read its objects may have changed what is in them.
    fn scope(&self, py: Python<'_>) -> Arc<Scope> {
        let as_started = &self.origin.scope;
        if !self.origin_was_read.load(Ordering::Relaxed) {
            return Arc::clone(as_started);
        }
        let (resource, scope) = (self.origin.resource(py), self.instrumentation_scope(py));
        self.tracer.get().scopes().encoded_anew(resource.bind(py), scope.bind(py), as_started).unwrap_or_else(|error| {
            exception::swallow(py, "The resource is exported as it was when the span started", error);
            Arc::clone(as_started)
        })
    }

    /// The wire form of a sampled span of which no Python code has changed more than the attributes, and that has nothing
    /// which Python code would have to be asked for. Nearly all spans are so.
    #[inline]
    pub fn plain_wire<'a>(&'a self, py: Python<'a>, state: &'a SpanState) -> Option<otlp::Span<'a>> {
        let is_as_started = state.parts.is_none() && !self.origin_was_read.load(Ordering::Relaxed);
        if !is_as_started || !self.context.is_sampled() || self.context.trace_state.is_some() {
            return None;
        }
        let name = state.name.bind(py).cast_exact::<PyString>().ok()?;
        let message = match &state.status_message {
            Some(message) => text::plain_utf8(message.bind(py))?,
            None => "",
        };
        Some(self.wire(state, text::plain_utf8(name)?, "", message))
    }

    #[inline]
    fn wire<'a>(
        &self,
        state: &'a SpanState,
        name: &'a str,
        trace_state: &'a str,
        status_message: &'a str,
    ) -> otlp::Span<'a> {
        otlp::Span {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            trace_state,
            parent_span_id: self.parent.as_ref().map(|parent| parent.span_id),
            parent_is_remote: self.parent.as_ref().is_some_and(|parent| parent.is_remote),
            name,
            kind: self.kind + 1,
            start_time_unix_nano: self.start_time,
            end_time_unix_nano: state.end_time.unwrap_or_default(),
            attributes: &state.attributes.wire,
            events: state.events.as_ref().map(|events| &events.messages),
            links: state.links.as_ref().map(|links| &links.messages),
            status: state.status,
            status_message,
        }
    }

    /// Appends the span to `out` as batch processors and exporters take it; returns its resource and scope.
    pub fn frame(&self, py: Python<'_>, out: &mut Vec<u8>) -> Result<Arc<Scope>, OutOfMemory> {
        // All that may run Python code comes before the lock.
        let overrides = self.overrides(py);
        let trace_state = self.context.trace_state_header(py).unwrap_or_else(|error| {
            exception::swallow(py, "A trace state was not exported", error);
            String::new()
        });
        let (name, message) = {
            let state = self.lock();
            (state.name.clone_ref(py), state.status_message.as_ref().map(|message| message.clone_ref(py)))
        };
        let name = fields::name(name.bind(py));
        let name = text::utf8(&name);
        let message = message.as_ref().map(|message| text::utf8(message.bind(py)));
        let state = self.lock();
        let mut span = self.wire(&state, &name, &trace_state, message.as_deref().unwrap_or_default());
        if let Some(overrides) = &overrides {
            overrides.apply(&mut span);
        }
        let framed = span.try_frame(out);
        drop(state);
        framed.map(|()| overrides.and_then(|overrides| overrides.scope).unwrap_or_else(|| self.scope(py)))
    }
}

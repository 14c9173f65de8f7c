//! How much a span keeps.

use std::sync::Arc;

use otel_rs_core::process::Shared;
use pyo3::prelude::*;

static LIMITS: Shared<SpanLimits> = Shared::new();

/// `opentelemetry.sdk.trace.SpanLimits`, read once; None is no limit.
#[derive(PartialEq, Eq)]
pub struct SpanLimits {
    pub events: Option<usize>,
    pub links: Option<usize>,
    pub span_attributes: Option<usize>,
    pub event_attributes: Option<usize>,
    pub link_attributes: Option<usize>,
    /// Characters of a text in an event's or link's attributes.
    pub value_len: Option<usize>,
    /// Characters of a text in the span's own attributes.
    pub span_value_len: Option<usize>,
}

impl SpanLimits {
    pub fn of(limits: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        let limit = |name: &str| limits.getattr(name)?.extract();
        Ok(LIMITS.of(Self {
            events: limit("max_events")?,
            links: limit("max_links")?,
            span_attributes: limit("max_span_attributes")?,
            event_attributes: limit("max_event_attributes")?,
            link_attributes: limit("max_link_attributes")?,
            value_len: limit("max_attribute_length")?,
            span_value_len: limit("max_span_attribute_length")?,
        }))
    }
}

//! The wire: OTLP messages, encoded as they are made.

#![forbid(unsafe_code)]

pub mod any_value;
mod attributes;
mod batch;
mod json;
mod log_record;
mod memory;
pub(crate) mod metric;
pub(crate) mod span;
pub(crate) mod wire;

pub use any_value::Scalar;
pub use attributes::{Attribute, Attributes, Version, key_value_parts};
pub use batch::{Batch, Framed, Resource, Scope};
pub use json::{as_json, to_json, write_json};
pub use log_record::{LOG_RECORD_ATTRIBUTES, LogRecord};
pub use memory::{OutOfMemory, Output, make_room};
pub use metric::{
    Buckets, EXEMPLAR_ATTRIBUTES, EXPONENTIAL_HISTOGRAM_POINT, Exemplar, ExponentialHistogram, HISTOGRAM_POINT,
    Histogram, Metric, MetricKind, Metrics, NUMBER_POINT, Number, Point, PointFields, Points, ResourceMetrics,
    ScopeMetrics, frame_explicit_bounds,
};
pub use span::{
    EVENT_ATTRIBUTES, LINK_ATTRIBUTES, MeasuredSpan, Messages, SPAN_ATTRIBUTES, Span, StatusCode, make_room_for_entry,
    put_event, put_link, span_flags, span_name,
};
pub use wire::{
    Fields, Value, fixed64_tag, frame_from, len_tag, put_bytes, put_fixed64, put_head, put_key_value, put_varint,
    varint_len, varint_tag,
};

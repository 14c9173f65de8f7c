//! OTLP's messages: how large each is in memory, and which of its fields hold messages or several items.
//!
//! All other fields are numbers, strings or bytes, one of each, and need no entry.

use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, SummaryDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

pub struct Shape {
    /// Of the message itself, as an item of a `Vec`; zero if it is only ever part of another message.
    pub size: usize,
    fields: &'static [Field],
}

pub struct Field {
    number: u32,
    json_name: &'static str,
    pub content: Content,
}

#[derive(Clone, Copy)]
pub enum Content {
    /// A message that is stored in the one around it.
    One(&'static Shape),
    Many(&'static Shape),
    Strings,
    /// Numbers of 8 bytes that are one byte and more on the wire.
    Varints,
    /// Numbers of 8 bytes that are as many on the wire.
    Fixed,
}

impl Shape {
    pub const MAX_FIELDS: usize = 6;

    pub fn by_number(&self, number: u32) -> Option<(usize, &'static Field)> {
        self.fields.iter().enumerate().find(|(_, field)| field.number == number)
    }

    pub fn by_json_name(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json_name == name)
    }
}

const fn shape(size: usize, fields: &'static [Field]) -> Shape {
    assert!(fields.len() <= Shape::MAX_FIELDS);
    Shape { size, fields }
}

const fn field(number: u32, json_name: &'static str, content: Content) -> Field {
    Field { number, json_name, content }
}

use Content::{Fixed, Many, One, Strings, Varints};

pub static TRACES: Shape = shape(0, &[field(1, "resourceSpans", Many(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Shape = shape(
    size_of::<ResourceSpans>(),
    &[field(1, "resource", One(&RESOURCE)), field(2, "scopeSpans", Many(&SCOPE_SPANS))],
);
static SCOPE_SPANS: Shape =
    shape(size_of::<ScopeSpans>(), &[field(1, "scope", One(&SCOPE)), field(2, "spans", Many(&SPAN))]);
pub static SPAN: Shape = shape(
    size_of::<Span>(),
    &[
        field(9, "attributes", Many(&KEY_VALUE)),
        field(11, "events", Many(&EVENT)),
        field(13, "links", Many(&LINK)),
        field(15, "status", One(&LEAF)),
    ],
);
static EVENT: Shape = shape(size_of::<Event>(), &[field(3, "attributes", Many(&KEY_VALUE))]);
static LINK: Shape = shape(size_of::<Link>(), &[field(4, "attributes", Many(&KEY_VALUE))]);
static LEAF: Shape = shape(0, &[]);

static RESOURCE: Shape =
    shape(0, &[field(1, "attributes", Many(&KEY_VALUE)), field(3, "entityRefs", Many(&ENTITY_REF))]);
static ENTITY_REF: Shape =
    shape(size_of::<EntityRef>(), &[field(3, "idKeys", Strings), field(4, "descriptionKeys", Strings)]);
static SCOPE: Shape = shape(0, &[field(3, "attributes", Many(&KEY_VALUE))]);
static KEY_VALUE: Shape = shape(size_of::<KeyValue>(), &[field(2, "value", One(&ANY_VALUE))]);
static ANY_VALUE: Shape = shape(
    size_of::<AnyValue>(),
    &[field(5, "arrayValue", One(&ARRAY_VALUE)), field(6, "kvlistValue", One(&KEY_VALUE_LIST))],
);
static ARRAY_VALUE: Shape = shape(0, &[field(1, "values", Many(&ANY_VALUE))]);
static KEY_VALUE_LIST: Shape = shape(0, &[field(1, "values", Many(&KEY_VALUE))]);

pub static LOGS: Shape = shape(0, &[field(1, "resourceLogs", Many(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Shape =
    shape(size_of::<ResourceLogs>(), &[field(1, "resource", One(&RESOURCE)), field(2, "scopeLogs", Many(&SCOPE_LOGS))]);
static SCOPE_LOGS: Shape =
    shape(size_of::<ScopeLogs>(), &[field(1, "scope", One(&SCOPE)), field(2, "logRecords", Many(&LOG_RECORD))]);
pub static LOG_RECORD: Shape =
    shape(size_of::<LogRecord>(), &[field(5, "body", One(&ANY_VALUE)), field(6, "attributes", Many(&KEY_VALUE))]);

pub static METRICS: Shape = shape(0, &[field(1, "resourceMetrics", Many(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Shape = shape(
    size_of::<ResourceMetrics>(),
    &[field(1, "resource", One(&RESOURCE)), field(2, "scopeMetrics", Many(&SCOPE_METRICS))],
);
static SCOPE_METRICS: Shape =
    shape(size_of::<ScopeMetrics>(), &[field(1, "scope", One(&SCOPE)), field(2, "metrics", Many(&METRIC))]);
static METRIC: Shape = shape(
    size_of::<Metric>(),
    &[
        field(5, "gauge", One(&NUMBERS)),
        field(7, "sum", One(&NUMBERS)),
        field(9, "histogram", One(&HISTOGRAM)),
        field(10, "exponentialHistogram", One(&EXPONENTIAL_HISTOGRAM)),
        field(11, "summary", One(&SUMMARY)),
        field(12, "metadata", Many(&KEY_VALUE)),
    ],
);
static NUMBERS: Shape = shape(0, &[field(1, "dataPoints", Many(&NUMBER_DATA_POINT))]);
static HISTOGRAM: Shape = shape(0, &[field(1, "dataPoints", Many(&HISTOGRAM_DATA_POINT))]);
static EXPONENTIAL_HISTOGRAM: Shape = shape(0, &[field(1, "dataPoints", Many(&EXPONENTIAL_HISTOGRAM_DATA_POINT))]);
static SUMMARY: Shape = shape(0, &[field(1, "dataPoints", Many(&SUMMARY_DATA_POINT))]);
static NUMBER_DATA_POINT: Shape = shape(
    size_of::<NumberDataPoint>(),
    &[field(7, "attributes", Many(&KEY_VALUE)), field(5, "exemplars", Many(&EXEMPLAR))],
);
static HISTOGRAM_DATA_POINT: Shape = shape(
    size_of::<HistogramDataPoint>(),
    &[
        field(9, "attributes", Many(&KEY_VALUE)),
        field(6, "bucketCounts", Fixed),
        field(7, "explicitBounds", Fixed),
        field(8, "exemplars", Many(&EXEMPLAR)),
    ],
);
static EXPONENTIAL_HISTOGRAM_DATA_POINT: Shape = shape(
    size_of::<ExponentialHistogramDataPoint>(),
    &[
        field(1, "attributes", Many(&KEY_VALUE)),
        field(8, "positive", One(&BUCKETS)),
        field(9, "negative", One(&BUCKETS)),
        field(11, "exemplars", Many(&EXEMPLAR)),
    ],
);
static BUCKETS: Shape = shape(0, &[field(2, "bucketCounts", Varints)]);
static SUMMARY_DATA_POINT: Shape = shape(
    size_of::<SummaryDataPoint>(),
    &[field(7, "attributes", Many(&KEY_VALUE)), field(6, "quantileValues", Many(&VALUE_AT_QUANTILE))],
);
static VALUE_AT_QUANTILE: Shape = shape(size_of::<ValueAtQuantile>(), &[]);
static EXEMPLAR: Shape = shape(size_of::<Exemplar>(), &[field(7, "filteredAttributes", Many(&KEY_VALUE))]);

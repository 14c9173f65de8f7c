//! What was received, as the page wants it. Its texts are escaped and cut as in the terminal: the page shows what a
//! reader can see.

use std::collections::{BTreeSet, HashMap};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::Serialize;

use super::store::Store;
use crate::attributes::value_text;
use crate::model::{Forest, Parent, ReceivedLog, ReceivedSpan, Rows, Trace, first_line, severity};
use crate::question::List;
use crate::text::{clip, hex};

const MAX_TRACES: usize = 200;
const MAX_SERVICES: usize = 100;
const MAX_SPANS: usize = 2_000;
/// Of the texts of a trace. Escaped they are several times as long as they were.
const MAX_TRACE_BYTES: usize = 16 * 1024 * 1024;
const MAX_SERIES: usize = 300;
const MAX_LOGS: usize = 300;
/// Of one span, event or record.
const MAX_ATTRIBUTES: usize = 100;
const MAX_EVENTS: usize = 50;
const MAX_NAME_CHARS: usize = 200;
const MAX_TEXT_CHARS: usize = 4_000;

#[derive(Serialize)]
struct Listed<T> {
    version: u64,
    dropped_traces: u64,
    dropped_logs: u64,
    dropped_points: u64,
    /// How many there are besides.
    more: usize,
    items: Vec<T>,
    services: Vec<String>,
}

#[derive(Serialize)]
struct TraceItem {
    id: String,
    name: String,
    services: Vec<String>,
    spans: usize,
    logs: usize,
    errors: usize,
    start_millis: f64,
    duration_micros: f64,
}

#[derive(Serialize)]
struct TraceDetail {
    version: u64,
    id: String,
    start_millis: f64,
    duration_micros: f64,
    more_spans: usize,
    spans: Vec<SpanDetail>,
    /// Of spans that are not there.
    logs: Vec<LogItem>,
}

#[derive(Serialize)]
struct SpanDetail {
    id: String,
    name: String,
    service: String,
    kind: &'static str,
    depth: usize,
    /// Where its parent is, if not above it.
    parent: String,
    offset_micros: f64,
    duration_micros: f64,
    /// `OK`, `ERROR` or nothing.
    status: &'static str,
    message: String,
    attributes: Vec<(String, String)>,
    events: Vec<EventItem>,
    links: Vec<String>,
    logs: Vec<LogItem>,
}

#[derive(Serialize)]
struct EventItem {
    name: String,
    offset_micros: f64,
    attributes: Vec<(String, String)>,
}

#[derive(Serialize)]
struct LogItem {
    time_millis: f64,
    service: String,
    severity: String,
    severity_number: i32,
    text: String,
    attributes: Vec<(String, String)>,
}

#[derive(Serialize)]
struct SeriesItem {
    service: String,
    name: String,
    attributes: String,
    value: String,
    points: Vec<(f64, f64)>,
}

impl SpanDetail {
    fn text_bytes(&self) -> usize {
        let bytes =
            |pairs: &[(String, String)]| pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        let events = self.events.iter().map(|event| event.name.len() + bytes(&event.attributes)).sum::<usize>();
        let logs = self.logs.iter().map(|log| log.text.len() + bytes(&log.attributes)).sum::<usize>();
        self.name.len() + self.message.len() + bytes(&self.attributes) + events + logs
    }
}

pub fn list(store: &Store, list: &List) -> String {
    match list {
        List::Traces(filter) => {
            let mut wanted = store.traces.newest_first().filter(|trace| trace.logs_in(filter).is_some());
            let items = wanted.by_ref().take(MAX_TRACES).map(trace_item).collect();
            listed(store, items, wanted.count())
        }
        List::Metrics => {
            let items = store.metrics.iter().take(MAX_SERIES).map(|(key, series)| SeriesItem {
                service: key.service.to_string(),
                name: key.name.to_string(),
                attributes: key.attributes.clone(),
                value: series.text(),
                points: series.points.iter().map(|(time, height)| (millis(*time), *height)).collect(),
            });
            listed(store, items.collect(), store.metrics.len().saturating_sub(MAX_SERIES))
        }
        List::Logs => {
            let mut records = store.logs.newest_first();
            let items = records.by_ref().take(MAX_LOGS).map(log_item).collect();
            listed(store, items, records.count())
        }
    }
}

fn listed<T: Serialize>(store: &Store, items: Vec<T>, more: usize) -> String {
    let services: BTreeSet<&str> =
        store.traces.newest_first().flat_map(|trace| &trace.spans).map(|received| &*received.service).collect();
    text(&Listed {
        version: store.version,
        dropped_traces: store.dropped_traces,
        dropped_logs: store.logs.dropped,
        dropped_points: store.metrics.dropped,
        more,
        items,
        services: services.into_iter().take(MAX_SERVICES).map(|name| clip(name, MAX_NAME_CHARS)).collect(),
    })
}

/// `null` if there is no such trace any more.
pub fn trace(store: &Store, id: &[u8]) -> String {
    text(&store.traces.get(id).map(|trace| trace_detail(trace, store.version)))
}

fn text(value: &impl Serialize) -> String {
    // Nothing in it that JSON cannot say: serde_json writes null for a number that is none.
    serde_json::to_string(value).unwrap_or_default()
}

fn trace_item(trace: &Trace) -> TraceItem {
    let (start, end) = trace.times();
    let first = trace
        .spans
        .iter()
        .min_by_key(|received| (!received.span.parent_span_id.is_empty(), received.span.start_time_unix_nano));
    let services: BTreeSet<&str> = trace.spans.iter().map(|received| &*received.service).collect();
    TraceItem {
        id: plain_hex(&trace.id),
        name: first.map(|received| name(&received.span.name)).unwrap_or_default(),
        services: services.into_iter().take(MAX_SERVICES).map(|name| clip(name, MAX_NAME_CHARS)).collect(),
        spans: trace.spans.len(),
        logs: trace.logs.len(),
        errors: trace.spans.iter().filter(|received| status(received) == "ERROR").count(),
        start_millis: millis(start),
        duration_micros: micros(start, end),
    }
}

fn trace_detail(trace: &Trace, version: u64) -> TraceDetail {
    let (start, end) = trace.times();
    let mut logs: HashMap<&[u8], Vec<&ReceivedLog>> = HashMap::new();
    for received in &trace.logs {
        logs.entry(&received.record.span_id).or_default().push(received);
    }
    let forest = Forest::new(&trace.spans);
    let mut spans = Vec::new();
    let mut bytes = 0;
    for row in Rows::new(&forest, &trace.spans).take(MAX_SPANS) {
        let received = &trace.spans[row.node.index];
        let logs = logs.remove(received.span.span_id.as_slice()).unwrap_or_default();
        let span = span_detail(received, row.depth, row.node.parent, start, logs);
        bytes += span.text_bytes();
        if bytes > MAX_TRACE_BYTES {
            break;
        }
        spans.push(span);
    }
    TraceDetail {
        version,
        id: plain_hex(&trace.id),
        start_millis: millis(start),
        duration_micros: micros(start, end),
        more_spans: trace.spans.len() - spans.len(),
        spans,
        logs: logs.into_values().flatten().take(MAX_LOGS).map(log_item).collect(),
    }
}

fn span_detail(
    received: &ReceivedSpan,
    depth: usize,
    parent: Parent,
    trace_start: u64,
    logs: Vec<&ReceivedLog>,
) -> SpanDetail {
    let span = &received.span;
    let parent = match parent {
        Parent::Above => String::new(),
        Parent::Elsewhere => format!("{} elsewhere", hex(&span.parent_span_id)),
        Parent::Below => format!("{} in a cycle", hex(&span.parent_span_id)),
    };
    let events = span.events.iter().take(MAX_EVENTS).map(|event| EventItem {
        name: name(&event.name),
        offset_micros: micros(span.start_time_unix_nano, event.time_unix_nano),
        attributes: attributes(&event.attributes),
    });
    let links = span.links.iter().take(MAX_EVENTS);
    SpanDetail {
        id: hex(&span.span_id),
        name: name(&span.name),
        service: clip(&received.service, MAX_NAME_CHARS),
        kind: SpanKind::try_from(span.kind).map_or("", |kind| kind.as_str_name().trim_start_matches("SPAN_KIND_")),
        depth,
        parent,
        offset_micros: micros(trace_start, span.start_time_unix_nano),
        duration_micros: micros(span.start_time_unix_nano, span.end_time_unix_nano),
        status: status(received),
        message: span.status.as_ref().map(|status| clip(&status.message, MAX_TEXT_CHARS)).unwrap_or_default(),
        attributes: attributes(&span.attributes),
        events: events.collect(),
        links: links.map(|link| format!("{} / {}", hex(&link.trace_id), hex(&link.span_id))).collect(),
        logs: logs.into_iter().take(MAX_LOGS).map(log_item).collect(),
    }
}

fn log_item(received: &ReceivedLog) -> LogItem {
    let record = &received.record;
    let time = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    LogItem {
        time_millis: millis(time),
        service: clip(&received.service, MAX_NAME_CHARS),
        severity: severity(record),
        severity_number: record.severity_number,
        text: first_line(record, MAX_TEXT_CHARS),
        attributes: attributes(&record.attributes),
    }
}

fn attributes(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let pair = |attribute: &KeyValue| {
        (clip(&attribute.key, MAX_NAME_CHARS), value_text(attribute.value.as_ref(), MAX_TEXT_CHARS))
    };
    attributes.iter().take(MAX_ATTRIBUTES).map(pair).collect()
}

fn status(received: &ReceivedSpan) -> &'static str {
    match received.span.status.as_ref().map(|status| StatusCode::try_from(status.code)) {
        Some(Ok(StatusCode::Error)) => "ERROR",
        Some(Ok(StatusCode::Ok)) => "OK",
        _ => "",
    }
}

fn name(name: &str) -> String {
    if name.is_empty() { "(no name)".to_owned() } else { clip(name, MAX_NAME_CHARS) }
}

/// Whole, because it is what the page asks with.
fn plain_hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn micros(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;
    use crate::decoding::Export;

    fn stored(spans: Vec<Span>) -> Store {
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let mut store = Store::default();
        store.take(Export::Traces(ExportTraceServiceRequest { resource_spans }));
        store
    }

    #[test]
    fn a_trace_of_very_long_texts_is_cut() {
        let text = Value::StringValue("\u{1b}".repeat(4_000));
        let attribute =
            KeyValue { key: "k".to_owned(), value: Some(AnyValue { value: Some(text) }), ..KeyValue::default() };
        let span = |number: u16| Span {
            trace_id: vec![1; 16],
            span_id: number.to_be_bytes().to_vec(),
            attributes: vec![attribute.clone(); 50],
            ..Span::default()
        };
        let store = stored((0..200).map(span).collect());
        let json = trace(&store, &[1; 16]);
        // Each backslash is escaped again.
        assert!(json.len() < 2 * MAX_TRACE_BYTES, "{}", json.len());
        let detail: serde_json::Value = serde_json::from_str(&json).unwrap();
        let shown = detail["spans"].as_array().unwrap().len();
        assert!((50..200).contains(&shown), "{shown}");
        assert_eq!(detail["more_spans"], 200 - shown);
    }

    #[test]
    fn a_trace_of_very_many_spans_is_cut() {
        let span =
            |number: u16| Span { trace_id: vec![1; 16], span_id: number.to_be_bytes().to_vec(), ..Span::default() };
        let detail: serde_json::Value =
            serde_json::from_str(&trace(&stored((0..5_000).map(span).collect()), &[1; 16])).unwrap();
        assert_eq!(detail["spans"].as_array().unwrap().len(), MAX_SPANS);
        assert_eq!(detail["more_spans"], 3_000);
    }
}

//! What a request takes in memory is known before it is decoded, whatever it is made of.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::encoding::{WireType, encode_key, encode_varint};

use super::*;

const LIMIT: usize = 1 << 20;
const FLOOD: usize = 100_000;

/// `body` as the field that the path leads to, from the outermost message to the innermost.
fn nested(path: &[u32], body: Vec<u8>) -> Vec<u8> {
    path.iter().rev().fold(body, |body, number| {
        let mut message = Vec::new();
        encode_key(*number, WireType::LengthDelimited, &mut message);
        encode_varint(body.len() as u64, &mut message);
        message.extend(body);
        message
    })
}

fn protobuf(signal: Signal, bytes: &[u8]) -> Result<usize, Unfit> {
    decoded_bytes(signal, Encoding::Protobuf, bytes, LIMIT)
}

fn json(signal: Signal, text: &str) -> Result<usize, Unfit> {
    decoded_bytes(signal, Encoding::Json, text.as_bytes(), LIMIT)
}

#[test]
fn a_flood_of_any_kind_of_message_is_too_large_in_protobuf() {
    use Signal::{Logs, Metrics, Traces};
    // The last number is the field that is repeated, empty.
    let floods: &[(Signal, &[u32])] = &[
        (Traces, &[1]),
        (Traces, &[1, 2]),
        (Traces, &[1, 2, 2]),
        (Traces, &[1, 1, 1]),
        (Traces, &[1, 1, 3]),
        (Traces, &[1, 1, 3, 3]),
        (Traces, &[1, 1, 3, 4]),
        (Traces, &[1, 2, 1, 3]),
        (Traces, &[1, 2, 2, 9]),
        (Traces, &[1, 2, 2, 11]),
        (Traces, &[1, 2, 2, 11, 3]),
        (Traces, &[1, 2, 2, 13]),
        (Traces, &[1, 2, 2, 13, 4]),
        (Traces, &[1, 2, 2, 9, 2, 5, 1]),
        (Traces, &[1, 2, 2, 9, 2, 6, 1]),
        (Logs, &[1]),
        (Logs, &[1, 2]),
        (Logs, &[1, 2, 2]),
        (Logs, &[1, 2, 2, 6]),
        (Logs, &[1, 2, 2, 5, 5, 1]),
        (Metrics, &[1]),
        (Metrics, &[1, 2]),
        (Metrics, &[1, 2, 2]),
        (Metrics, &[1, 2, 2, 12]),
        (Metrics, &[1, 2, 2, 5, 1]),
        (Metrics, &[1, 2, 2, 5, 1, 5]),
        (Metrics, &[1, 2, 2, 5, 1, 5, 7]),
        (Metrics, &[1, 2, 2, 7, 1, 7]),
        (Metrics, &[1, 2, 2, 9, 1]),
        (Metrics, &[1, 2, 2, 9, 1, 8]),
        (Metrics, &[1, 2, 2, 9, 1, 9]),
        (Metrics, &[1, 2, 2, 10, 1]),
        (Metrics, &[1, 2, 2, 10, 1, 1]),
        (Metrics, &[1, 2, 2, 10, 1, 11]),
        (Metrics, &[1, 2, 2, 11, 1]),
        (Metrics, &[1, 2, 2, 11, 1, 6]),
        (Metrics, &[1, 2, 2, 11, 1, 7]),
    ];
    for (signal, path) in floods {
        let (last, path) = path.split_last().unwrap();
        let flood = nested(path, nested(&[*last], Vec::new()).repeat(FLOOD));
        assert_eq!(protobuf(*signal, &flood), Err(Unfit::TooLarge), "{signal:?} {path:?} {last}");
    }
}

#[test]
fn numbers_that_are_shorter_on_the_wire_are_counted_as_they_are_in_memory() {
    let packed = nested(&[1, 2, 2, 10, 1, 8, 2], vec![1; FLOOD]);
    assert_eq!(protobuf(Signal::Metrics, &packed), Err(Unfit::TooLarge));
    let single = nested(&[1, 2, 2, 10, 1, 8], [0x10, 1].repeat(FLOOD));
    assert_eq!(protobuf(Signal::Metrics, &single), Err(Unfit::TooLarge));
}

#[test]
fn a_flood_of_any_kind_of_message_is_too_large_in_json() {
    let attribute = |value: &str| {
        format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"a","value":{value}}}]}}}}]}}"#)
    };
    let metric = |data: &str| format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{data}}}]}}]}}]}}"#);
    let floods = [
        (Signal::Traces, r#"{"resourceSpans":[FLOOD]}"#.to_owned(), "{}"),
        (Signal::Traces, r#"{"resourceSpans":[{"scopeSpans":[{"spans":[FLOOD]}]}]}"#.to_owned(), "{}"),
        (Signal::Traces, attribute(r#"{"arrayValue":{"values":[FLOOD]}}"#), "{}"),
        (Signal::Traces, attribute(r#"{"kvlistValue":{"values":[FLOOD]}}"#), "{}"),
        // serde keeps what it does not know here, until it has seen all of it.
        (Signal::Traces, attribute(r#"{"unknown":[FLOOD]}"#), "1"),
        (Signal::Metrics, metric(r#""gauge":{"dataPoints":[FLOOD]}"#), "{}"),
        (Signal::Metrics, metric(r#""histogram":{"dataPoints":[{"bucketCounts":[FLOOD]}]}"#), "1"),
        (Signal::Logs, r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[FLOOD]}]}]}"#.to_owned(), "{}"),
    ];
    for (signal, around, item) in floods {
        let flood = around.replace("FLOOD", &vec![item; FLOOD].join(","));
        assert_eq!(json(signal, &flood), Err(Unfit::TooLarge), "{around}");
        assert!(json(signal, &around.replace("FLOOD", item)).is_ok());
    }
}

/// As serde would take it for a span.
#[test]
fn an_array_for_an_object_is_not_decoded() {
    let spans = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[[],[]]}]}]}"#;
    assert_eq!(json(Signal::Traces, spans), Err(Unfit::ArrayForObject));
}

#[test]
fn what_breaks_off_or_is_too_deep_is_left_to_the_decoder() {
    let whole = nested(&[1, 2, 2, 5], vec![b'x'; 100]);
    assert!(protobuf(Signal::Traces, &whole[..20]).is_ok());
    let deep =
        (0..50_000).fold(Vec::new(), |inner, _| if inner.len() < 60_000 { nested(&[5, 1], inner) } else { inner });
    assert!(protobuf(Signal::Logs, &nested(&[1, 2, 2, 5], deep)).is_ok());
    assert!(json(Signal::Logs, &"[".repeat(100_000)).is_err());
    assert!(json(Signal::Logs, &r#"{"a":"#.repeat(1_000)).is_ok());
    assert!(json(Signal::Logs, "{").is_ok());
}

#[test]
fn what_applications_send_is_a_few_times_as_large_in_memory() {
    let text = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    let attribute = |i| KeyValue { key: format!("http.key.{i}"), value: text("some value"), ..KeyValue::default() };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "GET /things/{id}".to_owned(),
        attributes: (0..8).map(attribute).collect(),
        ..Span::default()
    };
    let scope_spans = ScopeSpans { spans: vec![span.clone(); 512], ..ScopeSpans::default() };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() }],
    };
    let bytes = request.encode_to_vec();
    let held = decoded_bytes(Signal::Traces, Encoding::Protobuf, &bytes, usize::MAX).unwrap();
    assert!(held > 512 * size_of::<Span>() && held < 12 * bytes.len(), "{held} of {}", bytes.len());
    assert!(512 * span_bytes(&span) > held / 2);
    let text = otel_rs_core::otlp::to_json(&request).unwrap();
    let held = decoded_bytes(Signal::Traces, Encoding::Json, text.as_bytes(), usize::MAX).unwrap();
    assert!(held < 16 * text.len(), "{held} of {}", text.len());
}

//! `--json`: OTLP's JSON mapping, with nothing of a peer that a terminal would obey.

use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use serde_json::json;

use super::*;
use crate::decoding::Export;

fn line(export: Export) -> String {
    let mut line = Vec::new();
    crate::json::write_line(&export, &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

fn every_field() -> ExportTraceServiceRequest {
    let nested = vec![AnyValue { value: Some(Value::IntValue(-1)) }, AnyValue { value: None }];
    let mut full = span(2, 1, "full\n");
    full.flags = 0x301;
    full.kind = 3;
    full.trace_state = "a=b".to_owned();
    full.start_time_unix_nano = u64::MAX;
    full.attributes = vec![
        attribute("int", Value::IntValue(i64::MIN)),
        attribute("double", Value::DoubleValue(0.5)),
        attribute("bool", Value::BoolValue(true)),
        attribute("bytes", Value::BytesValue(vec![0xfb, 0xff, 0x00])),
        attribute("list", Value::ArrayValue(ArrayValue { values: nested })),
        attribute(
            "map",
            Value::KvlistValue(KeyValueList { values: vec![attribute("k", Value::StringValue("v".to_owned()))] }),
        ),
    ];
    full.events = vec![Event { time_unix_nano: 5, name: "e".to_owned(), ..Event::default() }];
    full.links = vec![Link { trace_id: vec![0xcd; 16], span_id: vec![0xef; 8], flags: 1, ..Link::default() }];
    full.status = Some(Status { message: "boom".to_owned(), code: 2 });
    traces(vec![full])
}

#[test]
fn json_follows_the_otlp_mapping() {
    let line = line(Export::Traces(every_field()));
    assert_eq!(line.find('\n'), Some(line.len() - 1));
    let request: serde_json::Value = serde_json::from_str(&line).unwrap();
    let resource = &request["resourceSpans"][0]["resource"];
    assert_eq!(resource["attributes"], json!([{"key": "service.name", "value": {"stringValue": "shop"}}]));
    let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let expected = json!({
        "traceId": "abababababababababababababababab",
        "spanId": "0202020202020202",
        "traceState": "a=b",
        "parentSpanId": "0101010101010101",
        "flags": 0x301,
        "name": "full\n",
        "kind": 3,
        "startTimeUnixNano": "18446744073709551615",
        "endTimeUnixNano": "10",
        "attributes": [
            {"key": "int", "value": {"intValue": "-9223372036854775808"}},
            {"key": "double", "value": {"doubleValue": 0.5}},
            {"key": "bool", "value": {"boolValue": true}},
            {"key": "bytes", "value": {"bytesValue": "+/8A"}},
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "-1"}, {}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
        ],
        "droppedAttributesCount": 0,
        "events": [{"timeUnixNano": "5", "name": "e", "attributes": [], "droppedAttributesCount": 0}],
        "droppedEventsCount": 0,
        "links": [{
            "traceId": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            "spanId": "efefefefefefefef",
            "traceState": "",
            "attributes": [],
            "droppedAttributesCount": 0,
            "flags": 1,
        }],
        "droppedLinksCount": 0,
        "status": {"message": "boom", "code": 2},
    });
    assert_eq!(span, &expected);
}

#[test]
fn json_spells_doubles_that_are_not_numbers() {
    let mut strange = span(1, 0, "x");
    strange.attributes =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| attribute("d", Value::DoubleValue(value))).to_vec();
    let line = line(Export::Traces(traces(vec![strange])));
    let request: serde_json::Value = serde_json::from_str(&line).unwrap();
    let attributes = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"];
    let values: Vec<_> = (0..3).map(|i| &attributes[i]["value"]["doubleValue"]).collect();
    assert_eq!(values, ["NaN", "Infinity", "-Infinity"]);
}

#[test]
fn json_of_metrics_and_logs_follows_the_otlp_mapping() {
    let line = |export| serde_json::from_str::<serde_json::Value>(&line(export)).unwrap();
    let request = line(Export::Metrics(metrics()));
    let metric = &request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
    assert_eq!(metric["name"], "queue.size");
    assert_eq!(metric["gauge"]["dataPoints"][0]["asInt"], "7");
    let request = line(Export::Logs(logs()));
    let record = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["severityNumber"], 9);
    assert_eq!(record["body"], json!({"stringValue": "ready\nsecond line"}));
}

#[tokio::test]
async fn http_takes_json_and_prints_the_same_json() {
    let running = Running::json();
    let line = line(Export::Traces(every_field()));
    let response = running.post("/v1/traces", "application/json; charset=utf-8", line.clone()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), "{}");
    assert_eq!(running.stop().await, line);
}

#[test]
fn json_escapes_what_a_terminal_would_obey_or_hide_and_still_says_the_same() {
    let evil =
        "\x1b]0;t\x07\x7f\u{9b}31m\u{202e}\u{2066}\u{200b}\u{2028}\u{ad}\u{feff}\u{e0041}\u{115f}\u{3164}\u{fe0f}";
    let visible = "\"\\ naïve 漢字 👍";
    let mut request = every_field();
    let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
    span.name = format!("{evil}{visible}");
    span.trace_state = evil.to_owned();
    span.attributes = vec![attribute(evil, Value::StringValue(evil.to_owned()))];
    let line = line(Export::Traces(request.clone()));
    assert!(line.trim_end_matches('\n').chars().all(|char| !crate::text::is_hidden(char)), "{line:?}");
    assert!(line.contains(r"\u001b]0;t\u0007\u007f\u009b31m\u202e") && line.contains(r"\udb40\udc41"), "{line}");
    assert!(line.contains("naïve 漢字 👍"), "{line}");
    assert_eq!(serde_json::from_str::<ExportTraceServiceRequest>(&line).unwrap(), request);
}

//! `otlp::json`: whatever decodes can be written, and is JSON.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otel_rs_core::otlp::to_json;
use prost::Message;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The signal, and the rest is a request.
pub fn json(data: &[u8]) {
    let Some((signal, request)) = data.split_first() else { return };
    match signal % 3 {
        0 => transcode::<ExportTraceServiceRequest>(request),
        1 => transcode::<ExportMetricsServiceRequest>(request),
        _ => transcode::<ExportLogsServiceRequest>(request),
    }
}

fn transcode<M: Message + Default + Serialize>(request: &[u8]) {
    if let Ok(message) = M::decode(request) {
        assert_is_json(&message);
    }
}

pub fn assert_is_json<M: Serialize>(message: &M) {
    let json = to_json(message).expect("a message has nothing that JSON has not");
    assert!(!json.contains('\n'), "{json}");
    serde_json::from_str::<IgnoredAny>(&json).expect("what we write is JSON");
    // Not the deepest ones: serde_json stops at 128 levels, and prost at 100 of its own, which are fewer than JSON's.
    if let Ok(value) = serde_json::from_str::<Value>(&json) {
        assert!(!has_null(&value), "{json}");
    }
}

/// What is not set is left out, for the Collector refuses it as `null`.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

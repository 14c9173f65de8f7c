//! OTLP/JSON on the wire, judged by a JSON parser.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::*;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use serde_json::{Value, json};

use super::collector::{answer, http};
use super::*;

const BIG: u64 = u64::MAX;

/// The body that arrives when `message` is exported, with the fields that the mapping lets a writer leave out.
async fn sent(signal: Signal, message: &impl Message) -> Value {
    let server = http(|_| Some(answer(200, &[("content-type", "application/json")], "{}"))).await;
    let mut config = config(Protocol::HttpJson, server.address);
    config.signal = signal;
    let client = Client::new(&config).unwrap();
    let (_shutdown, no_retry) = watch::channel(false);
    let outcome = client.export(message.encode_to_vec().into(), &no_retry).await;
    assert_eq!(outcome, delivered());
    let received = &server.received()[0];
    assert_eq!(received.headers["content-type"], "application/json");
    assert!(!received.message.windows(4).any(|bytes| bytes == b"null"), "what is not set is left out");
    serde_json::from_slice(&received.message).unwrap()
}

/// `value` without fields that have their default, which mean the same as none.
fn without_defaults(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, without_defaults(value)));
            Value::Object(fields.filter(|(_, value)| !is_default(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_defaults).collect()),
        value => value,
    }
}

fn is_default(value: &Value) -> bool {
    *value == json!(0) || *value == json!(0.0) || *value == json!("") || *value == json!([]) || *value == json!("0")
}

fn any(value: opentelemetry_proto::tonic::common::v1::any_value::Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn attribute(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A span that sets what there is to set.
fn full_span() -> Span {
    let list = KeyValueList { values: vec![attribute("k", any(BytesValue(vec![0xfb, 0xff])))] };
    let array = ArrayValue { values: vec![any(IntValue(i64::MIN)).unwrap(), AnyValue::default()] };
    Span {
        trace_id: (0..16).collect(),
        span_id: vec![0xab; 8],
        parent_span_id: vec![0xcd; 8],
        trace_state: "a=b".to_owned(),
        flags: 0x101,
        name: "a \"span\"\n".to_owned(),
        kind: span::SpanKind::Server as i32,
        start_time_unix_nano: BIG,
        end_time_unix_nano: 1,
        attributes: vec![
            attribute("int", any(IntValue(i64::MAX))),
            attribute("double", any(DoubleValue(1.5))),
            attribute("nan", any(DoubleValue(f64::NAN))),
            attribute("inf", any(DoubleValue(f64::NEG_INFINITY))),
            attribute("bool", any(BoolValue(true))),
            attribute("empty", Some(AnyValue::default())),
            attribute("none", None),
            attribute("list", any(KvlistValue(list))),
            attribute("array", any(ArrayValue(array))),
        ],
        dropped_attributes_count: 3,
        events: vec![span::Event { time_unix_nano: 5, name: "event".to_owned(), ..Default::default() }],
        links: vec![span::Link { trace_id: vec![1; 16], span_id: vec![2; 8], ..Default::default() }],
        status: Some(Status { code: 2, message: "bad".to_owned() }),
        ..Span::default()
    }
}

/// The request with it.
fn full_span_as_json() -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "s", "value": {"stringValue": "t"}}]},
        "schemaUrl": "url",
        "scopeSpans": [{"spans": [{
            "traceId": "000102030405060708090a0b0c0d0e0f",
            "spanId": "abababababababab",
            "parentSpanId": "cdcdcdcdcdcdcdcd",
            "traceState": "a=b",
            "flags": 257,
            "name": "a \"span\"\n",
            "kind": 2,
            "startTimeUnixNano": "18446744073709551615",
            "endTimeUnixNano": "1",
            "attributes": [
                {"key": "int", "value": {"intValue": "9223372036854775807"}},
                {"key": "double", "value": {"doubleValue": 1.5}},
                {"key": "nan", "value": {"doubleValue": "NaN"}},
                {"key": "inf", "value": {"doubleValue": "-Infinity"}},
                {"key": "bool", "value": {"boolValue": true}},
                {"key": "empty", "value": {}},
                {"key": "none"},
                {"key": "list", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"bytesValue": "+/8="}}]}}},
                {"key": "array", "value": {"arrayValue": {"values": [{"intValue": "-9223372036854775808"}, {}]}}},
            ],
            "droppedAttributesCount": 3,
            "events": [{"timeUnixNano": "5", "name": "event"}],
            "links": [{"traceId": "01010101010101010101010101010101", "spanId": "0202020202020202"}],
            "status": {"code": 2, "message": "bad"},
        }]}],
    }]})
}

#[tokio::test]
async fn spans() {
    bounded(async {
        let resource =
            Resource { attributes: vec![attribute("s", any(StringValue("t".to_owned())))], ..Resource::default() };
        let message = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans { spans: vec![full_span()], ..ScopeSpans::default() }],
                schema_url: "url".to_owned(),
            }],
        };
        assert_eq!(without_defaults(sent(Signal::Traces, &message).await), full_span_as_json());
    })
    .await;
}

#[tokio::test]
async fn logs() {
    bounded(async {
        let record = LogRecord {
            time_unix_nano: BIG,
            observed_time_unix_nano: 2,
            severity_number: 17,
            severity_text: "ERROR".to_owned(),
            body: any(StringValue("text".to_owned())),
            flags: 1,
            trace_id: vec![0xaa; 16],
            span_id: vec![0xbb; 8],
            event_name: "happened".to_owned(),
            ..LogRecord::default()
        };
        let message = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                scope_logs: vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }],
                ..ResourceLogs::default()
            }],
        };
        let expected = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
            "timeUnixNano": "18446744073709551615",
            "observedTimeUnixNano": "2",
            "severityNumber": 17,
            "severityText": "ERROR",
            "body": {"stringValue": "text"},
            "flags": 1,
            "traceId": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "spanId": "bbbbbbbbbbbbbbbb",
            "eventName": "happened",
        }]}]}]});
        assert_eq!(without_defaults(sent(Signal::Logs, &message).await), expected);
    })
    .await;
}

/// One of each kind.
fn all_kinds() -> [Data; 5] {
    let exemplar = Exemplar {
        time_unix_nano: 9,
        span_id: vec![1; 8],
        trace_id: vec![2; 16],
        value: Some(exemplar::Value::AsInt(-3)),
        ..Exemplar::default()
    };
    let number = |value| NumberDataPoint {
        start_time_unix_nano: 1,
        time_unix_nano: BIG,
        value: Some(value),
        exemplars: vec![exemplar.clone()],
        ..NumberDataPoint::default()
    };
    let gauge = Gauge { data_points: vec![number(number_data_point::Value::AsDouble(f64::INFINITY))] };
    let sum = Sum {
        data_points: vec![number(number_data_point::Value::AsInt(i64::MIN)), NumberDataPoint::default()],
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    let histogram = HistogramDataPoint {
        count: BIG,
        sum: Some(1.5),
        bucket_counts: vec![1, BIG],
        explicit_bounds: vec![0.5],
        min: Some(0.25),
        max: Some(f64::INFINITY),
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        count: 3,
        scale: -2,
        zero_count: BIG,
        positive: Some(Buckets { offset: -1, bucket_counts: vec![BIG] }),
        zero_threshold: 0.125,
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint {
        count: 4,
        sum: 2.5,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: f64::NAN }],
        ..SummaryDataPoint::default()
    };
    [
        Data::Gauge(gauge),
        Data::Sum(sum),
        Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
        Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![exponential], aggregation_temporality: 1 }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ]
}

/// The request with them.
fn all_kinds_as_json() -> Value {
    let exemplar = json!({
        "timeUnixNano": "9", "spanId": "0101010101010101", "traceId": "02020202020202020202020202020202", "asInt": "-3",
    });
    let max = "18446744073709551615";
    let metric = |name: &str, data: Value| json!({"name": "m", "unit": "s", name: data});
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        metric("gauge", json!({"dataPoints": [
            {"startTimeUnixNano": "1", "timeUnixNano": max, "asDouble": "Infinity", "exemplars": [exemplar]}]})),
        metric("sum", json!({"dataPoints": [
            {"startTimeUnixNano": "1", "timeUnixNano": max, "asInt": "-9223372036854775808", "exemplars": [exemplar]}, {}],
            "aggregationTemporality": 2, "isMonotonic": true})),
        metric("histogram", json!({"dataPoints": [
            {"count": max, "sum": 1.5, "bucketCounts": ["1", max], "explicitBounds": [0.5], "min": 0.25,
             "max": "Infinity"}], "aggregationTemporality": 1})),
        metric("exponentialHistogram", json!({"dataPoints": [
            {"count": "3", "scale": -2, "zeroCount": max, "positive": {"offset": -1, "bucketCounts": [max]},
             "zeroThreshold": 0.125}], "aggregationTemporality": 1})),
        metric("summary", json!({"dataPoints": [
            {"count": "4", "sum": 2.5, "quantileValues": [{"quantile": 0.5, "value": "NaN"}]}]})),
    ]}]}]})
}

#[tokio::test]
async fn metrics() {
    bounded(async {
        let metrics = all_kinds().map(|data| Metric {
            name: "m".to_owned(),
            unit: "s".to_owned(),
            data: Some(data),
            ..Metric::default()
        });
        let message = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics { metrics: metrics.to_vec(), ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            }],
        };
        assert_eq!(without_defaults(sent(Signal::Metrics, &message).await), all_kinds_as_json());
    })
    .await;
}

#[tokio::test]
async fn the_body_is_compressed_and_the_same_for_all_attempts() {
    bounded(async {
        let server = http(|number| {
            Some(match number {
                0 => answer(503, &[("retry-after", "0")], ""),
                _ => answer(200, &[], ""),
            })
        })
        .await;
        let mut config = config(Protocol::HttpJson, server.address);
        config.compression = Compression::Zstd;
        assert_eq!(export_once(&config).await, delivered());
        let received = server.received();
        assert_eq!(received[0].message, received[1].message);
        let json: Value = serde_json::from_slice(&zstd::decode_all(&*received[0].message).unwrap()).unwrap();
        assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len(), 100);
    })
    .await;
}

#[tokio::test]
async fn partial_success_is_read_from_json() {
    bounded(async {
        let bodies = [
            r#"{"partialSuccess":{"rejectedSpans":"7","errorMessage":"too\nold"}}"#,
            r#"{"partialSuccess":{"errorMessage":"too old"}}"#,
        ];
        for protocol in [Protocol::HttpJson, Protocol::HttpProtobuf] {
            let headers = [("content-type", "application/json; charset=utf-8")];
            let server = http(move |number| Some(answer(200, &headers, bodies[number]))).await;
            let client = Client::new(&config(protocol, server.address)).unwrap();
            assert_eq!(export(&client).await, partly_delivered(7, "too old"));
            assert_eq!(export(&client).await, partly_delivered(0, "too old"));
        }
        // Without a content type the answer is taken to be in the request's.
        let server = http(move |number| Some(answer(200, &[], bodies[number]))).await;
        let outcome = export_once(&config(Protocol::HttpJson, server.address)).await;
        assert_eq!(outcome, partly_delivered(7, "too old"));
    })
    .await;
}

#[tokio::test]
async fn an_error_is_read_from_json() {
    bounded(async {
        let headers = [("content-type", "application/json")];
        let status = r#"{"code":3,"message":"no tenant for s3cret","details":[]}"#;
        let server = http(move |_| Some(answer(400, &headers, status))).await;
        let mut config = config(Protocol::HttpJson, server.address);
        config.headers = vec![header("x-key", "s3cret")];
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, "HTTP 400 Bad Request: no tenant for [redacted]");
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_no_message_is_not_sent() {
    bounded(async {
        let server = http(|_| Some(answer(200, &[], ""))).await;
        let client = Client::new(&config(Protocol::HttpJson, server.address)).unwrap();
        let (_shutdown, no_retry) = watch::channel(false);
        let outcome = client.export(Bytes::from_static(b"\xff"), &no_retry).await;
        assert_contains(&reason(outcome), "the request cannot be written as JSON");
        assert_eq!(server.count(), 0);
    })
    .await;
}

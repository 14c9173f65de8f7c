//! The receiver as its peers see it: real gRPC and HTTP requests to a receiver on ports of the system's choice.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// What the receiver has printed so far.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct Running {
    grpc: SocketAddr,
    http: SocketAddr,
    printed: Printed,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), ReceiverError>>,
}

impl Running {
    fn start(format: Format, max_request_bytes: usize) -> Self {
        let any = || Some("127.0.0.1:0".to_owned());
        let config = ReceiverConfig { grpc: any(), http: any(), format, max_request_bytes };
        let receiver = Receiver::bind(config).unwrap();
        let printed = Printed::default();
        let (stop, stopped) = oneshot::channel();
        Self {
            grpc: receiver.grpc_addr().unwrap(),
            http: receiver.http_addr().unwrap(),
            printed: printed.clone(),
            stop,
            task: tokio::spawn(receiver.serve(printed, async { stopped.await.unwrap_or(()) })),
        }
    }

    fn json() -> Self {
        Self::start(Format::Json, DEFAULT_MAX_REQUEST_BYTES)
    }

    fn tree() -> Self {
        Self::start(Format::Tree(Paint::PLAIN), DEFAULT_MAX_REQUEST_BYTES)
    }

    fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        client.post(format!("http://{}{path}", self.http)).header("content-type", content_type).body(body)
    }

    /// Everything printed, including what was pending at the end.
    async fn stop(self) -> String {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
        self.printed.text()
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    let attributes = vec![attribute("service.name", Value::StringValue("shop".to_owned()))];
    Some(Resource { attributes, ..Resource::default() })
}

fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }],
    }
}

fn span(id: u8, parent: u8, name: &str) -> Span {
    Span {
        trace_id: vec![0xab; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: id.into(),
        end_time_unix_nano: 10,
        ..Span::default()
    }
}

fn metrics() -> ExportMetricsServiceRequest {
    let point = NumberDataPoint { value: Some(number_data_point::Value::AsInt(7)), ..NumberDataPoint::default() };
    let gauge = Gauge { data_points: vec![point] };
    let metric = |name: &str| Metric {
        name: name.to_owned(),
        data: Some(metric::Data::Gauge(gauge.clone())),
        ..Metric::default()
    };
    let scope_metrics =
        vec![ScopeMetrics { metrics: vec![metric("queue.size"), metric("up")], ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }],
    }
}

fn logs() -> ExportLogsServiceRequest {
    let record = |severity_number, body: &str| LogRecord {
        severity_number,
        body: Some(AnyValue { value: Some(Value::StringValue(body.to_owned())) }),
        ..LogRecord::default()
    };
    let log_records = vec![record(9, "ready\nsecond line"), record(17, "bad \x1b[2J")];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }],
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzEncoder::new(bytes, Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

const PROTOBUF: &str = "application/x-protobuf";

#[tokio::test]
async fn spans_of_one_trace_in_two_grpc_requests_are_one_tree() {
    let running = Running::tree();
    let mut client = TraceServiceClient::connect(running.grpc_url()).await.unwrap();
    client.export(traces(vec![span(2, 1, "child")])).await.unwrap();
    let response = client.export(traces(vec![span(1, 0, "root")])).await.unwrap();
    assert_eq!(response.into_inner().partial_success, None);
    assert_eq!(
        running.stop().await,
        "trace abababababababababababababababab  shop  2 spans  9 ns\n\
         └─ root  INTERNAL  9 ns\n   └─ child  INTERNAL  8 ns\n"
    );
}

#[tokio::test]
async fn a_quiet_trace_is_printed_without_being_asked() {
    let running = Running::tree();
    let mut client = TraceServiceClient::connect(running.grpc_url()).await.unwrap();
    client.export(traces(vec![span(1, 0, "root")])).await.unwrap();
    let printed = async {
        while !running.printed.text().contains("root") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, printed).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn all_three_signals_are_accepted_over_grpc_compressed() {
    let running = Running::tree();
    let url = running.grpc_url();
    let gzip = CompressionEncoding::Gzip;
    TraceServiceClient::connect(url.clone())
        .await
        .unwrap()
        .send_compressed(gzip)
        .export(traces(vec![span(1, 0, "root")]))
        .await
        .unwrap();
    MetricsServiceClient::connect(url.clone()).await.unwrap().send_compressed(gzip).export(metrics()).await.unwrap();
    LogsServiceClient::connect(url).await.unwrap().send_compressed(gzip).export(logs()).await.unwrap();
    let printed = running.stop().await;
    assert!(printed.contains("metrics  shop  2 metrics  queue.size, up\n"), "{printed}");
    assert!(printed.contains("logs  shop  2 records\n├─ INFO  ready\n└─ ERROR  bad \\u{1b}[2J\n"), "{printed}");
    assert!(printed.contains("└─ root"), "{printed}");
}

#[tokio::test]
async fn a_grpc_request_is_bounded_before_and_after_decompression() {
    let running = Running::start(Format::Json, 4096);
    let mut client = TraceServiceClient::connect(running.grpc_url()).await.unwrap();
    let large = traces(vec![span(1, 0, &"x".repeat(100_000))]);
    assert_eq!(client.export(large.clone()).await.unwrap_err().code(), Code::OutOfRange);
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    assert_eq!(client.export(large).await.unwrap_err().code(), Code::ResourceExhausted);
    client.export(traces(vec![span(1, 0, "small")])).await.unwrap();
    assert_eq!(running.stop().await.lines().count(), 1);
}

#[tokio::test]
async fn http_takes_protobuf_plain_and_gzip_and_answers_in_kind() {
    let running = Running::json();
    let body = traces(vec![span(1, 0, "root")]).encode_to_vec();
    let requests = [
        running.post("/v1/traces", PROTOBUF, body.clone()),
        running.post("/v1/traces", PROTOBUF, gzip(&body)).header("content-encoding", "gzip"),
        running.post("/v1/metrics", PROTOBUF, metrics().encode_to_vec()),
        running.post("/v1/logs", PROTOBUF, logs().encode_to_vec()),
    ];
    for request in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], PROTOBUF);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    let printed = running.stop().await;
    let keys: Vec<_> = printed.lines().map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(keys, ["resourceSpans", "resourceSpans", "resourceMetrics", "resourceLogs"]);
}

#[tokio::test]
async fn http_takes_json_and_prints_the_same_json() {
    let running = Running::json();
    let line = json::line(&intake::Export::Traces(every_field())).unwrap();
    let response = running.post("/v1/traces", "application/json; charset=utf-8", line.clone()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), "{}");
    assert_eq!(running.stop().await, line + "\n");
}

#[tokio::test]
async fn http_refuses_what_it_cannot_take_with_an_rpc_status() {
    let running = Running::start(Format::Json, 4096);
    let large = traces(vec![span(1, 0, &"x".repeat(100_000))]).encode_to_vec();
    let cases = [
        (running.post("/v1/traces", PROTOBUF, "\x0a\x7fnot protobuf"), 400, Code::InvalidArgument),
        (running.post("/v1/traces", PROTOBUF, "x").header("content-encoding", "gzip"), 400, Code::InvalidArgument),
        (running.post("/v1/traces", PROTOBUF, large.clone()), 413, Code::ResourceExhausted),
        (
            running.post("/v1/traces", PROTOBUF, gzip(&large)).header("content-encoding", "gzip"),
            413,
            Code::ResourceExhausted,
        ),
        (running.post("/v1/traces", "text/plain", ""), 415, Code::InvalidArgument),
        (running.post("/v1/traces", PROTOBUF, "").header("content-encoding", "br"), 415, Code::InvalidArgument),
    ];
    for (request, http, code) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), http);
        assert_eq!(response.headers()["content-type"], PROTOBUF);
        // Field 1 of google.rpc.Status, a varint below 128.
        assert_eq!(response.bytes().await.unwrap()[..2], [0x08, code as u8]);
    }
    let response = running.post("/v1/traces", "application/json", "{").send().await.unwrap();
    assert_eq!(response.status(), 400);
    let status: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(status["code"], 3);
    assert_eq!(running.post("/v1/profiles", PROTOBUF, "").send().await.unwrap().status(), 404);
    assert_eq!(running.stop().await, "");
}

#[tokio::test]
async fn the_receiver_ends_quietly_when_nobody_reads_its_output() {
    struct ClosedPipe;
    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let config = ReceiverConfig {
        grpc: Some("127.0.0.1:0".to_owned()),
        http: None,
        format: Format::Json,
        ..ReceiverConfig::default()
    };
    let receiver = Receiver::bind(config).unwrap();
    let url = format!("http://{}", receiver.grpc_addr().unwrap());
    let task = tokio::spawn(receiver.serve(ClosedPipe, std::future::pending()));
    let mut client = TraceServiceClient::connect(url).await.unwrap();
    client.export(traces(vec![span(1, 0, "root")])).await.unwrap();
    timeout(DEADLINE, task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_receiver_from_ending() {
    let running = Running::json();
    let mut half_sent = std::net::TcpStream::connect(running.http).unwrap();
    half_sent.write_all(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 100\r\n").unwrap();
    running.stop().await;
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = ReceiverConfig { grpc: None, http: Some(address.clone()), ..ReceiverConfig::default() };
    let error = Receiver::bind(config).err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen on http {address}: address in use"));
}

#[test]
fn with_both_servers_off_there_is_nothing_to_do() {
    let config = ReceiverConfig { grpc: None, http: None, ..ReceiverConfig::default() };
    assert!(matches!(Receiver::bind(config), Err(ReceiverError::NoListener)));
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
    let line = json::line(&intake::Export::Traces(every_field())).unwrap();
    assert!(!line.contains('\n'));
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
    let line = json::line(&intake::Export::Traces(traces(vec![strange]))).unwrap();
    let request: serde_json::Value = serde_json::from_str(&line).unwrap();
    let attributes = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"];
    let values: Vec<_> = (0..3).map(|i| &attributes[i]["value"]["doubleValue"]).collect();
    assert_eq!(values, ["NaN", "Infinity", "-Infinity"]);
}

#[test]
fn json_of_metrics_and_logs_follows_the_otlp_mapping() {
    let line = |export| serde_json::from_str::<serde_json::Value>(&json::line(&export).unwrap()).unwrap();
    let request = line(intake::Export::Metrics(metrics()));
    let metric = &request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
    assert_eq!(metric["name"], "queue.size");
    assert_eq!(metric["gauge"]["dataPoints"][0]["asInt"], "7");
    let request = line(intake::Export::Logs(logs()));
    let record = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["severityNumber"], 9);
    assert_eq!(record["body"], json!({"stringValue": "ready\nsecond line"}));
}

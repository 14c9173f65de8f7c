//! What a well-meaning peer sends, and gets.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::ArrayValue;
use prost::Message;
use tonic::codec::CompressionEncoding;

use super::*;

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
    assert!(printed.contains("metric  shop  queue.size  7\nmetric  shop  up  7\n"), "{printed}");
    assert!(printed.contains("logs  shop  2 records\n├─ INFO  ready\n└─ ERROR  bad \\u{1b}[2J\n"), "{printed}");
    assert!(printed.contains("└─ root"), "{printed}");
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

/// The printing thread has a small stack.
#[tokio::test]
async fn a_value_nested_as_deep_as_is_decoded_is_printed() {
    let deep = |depth| {
        let mut value = Value::IntValue(7);
        for _ in 0..depth {
            value = Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] });
        }
        let mut span = span(1, 0, "deep");
        span.attributes = vec![attribute("deep", value)];
        traces(vec![span]).encode_to_vec()
    };
    let is_decoded = |depth: &usize| ExportTraceServiceRequest::decode(&deep(*depth)[..]).is_ok();
    let depth = (0..100).rev().find(is_decoded).unwrap();
    for format in [Format::Json, Format::Terminal(Screen::default())] {
        let running = Running::start(format, Limits::default());
        assert_eq!(running.post("/v1/traces", PROTOBUF, deep(depth)).send().await.unwrap().status(), 200);
        assert_eq!(running.post("/v1/traces", PROTOBUF, deep(depth + 1)).send().await.unwrap().status(), 400);
        assert!(running.stop().await.contains("deep"));
    }
}

//! What a peer makes the receiver hold is bounded, by what it is in memory.

use flate2::read::{DeflateEncoder, ZlibEncoder};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::*;

type Compress = fn(&[u8]) -> Vec<u8>;

const ITEMS: usize = 10_000;

fn small() -> Limits {
    Limits { decoded_bytes: 1 << 20, ..Limits::default() }
}

/// Small on the wire, and several MiB in memory.
fn empty_spans() -> ExportTraceServiceRequest {
    traces(vec![Span::default(); ITEMS])
}

#[tokio::test]
async fn a_flood_of_items_is_refused_over_grpc_whatever_the_signal() {
    let running = Running::start(Format::Json, small());
    let url = running.grpc_url();
    let gzip = CompressionEncoding::Gzip;
    let mut spans = TraceServiceClient::connect(url.clone()).await.unwrap().send_compressed(gzip);
    assert_eq!(spans.export(empty_spans()).await.unwrap_err().code(), Code::ResourceExhausted);
    let mut many = metrics();
    many.resource_metrics[0].scope_metrics[0].metrics = vec![Metric::default(); ITEMS];
    let mut client = MetricsServiceClient::connect(url.clone()).await.unwrap().send_compressed(gzip);
    assert_eq!(client.export(many).await.unwrap_err().code(), Code::ResourceExhausted);
    let mut many = logs();
    many.resource_logs[0].scope_logs[0].log_records = vec![LogRecord::default(); ITEMS];
    let mut client = LogsServiceClient::connect(url).await.unwrap();
    assert_eq!(client.export(many).await.unwrap_err().code(), Code::ResourceExhausted);

    running.told(&["TraceService/Export", "MetricsService/Export", "LogsService/Export", "ResourceExhausted"]).await;
    spans.export(traces(vec![span(1, 0, "still here")])).await.unwrap();
    assert!(running.stop().await.contains("still here"));
}

#[tokio::test]
async fn a_flood_of_items_is_refused_over_http_however_it_is_encoded() {
    let running = Running::start(Format::Json, small());
    let body = empty_spans().encode_to_vec();
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, vec!["{}"; ITEMS].join(","));
    let json_type = "application/json";
    let requests = [
        running.post("/v1/traces", PROTOBUF, body.clone()),
        running.post("/v1/traces", PROTOBUF, gzip(&body)).header("content-encoding", "gzip"),
        running.post("/v1/traces", PROTOBUF, zlib(&body)).header("content-encoding", "deflate"),
        running.post("/v1/traces", PROTOBUF, zstd(&body)).header("content-encoding", "zstd"),
        running.post("/v1/traces", json_type, json.clone()),
        running.post("/v1/traces", json_type, gzip(json.as_bytes())).header("content-encoding", "gzip"),
    ];
    for request in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 413);
    }
    running.told(&["POST /v1/traces", "http 413: the decoded request is larger than 1048576 bytes"]).await;
    assert_eq!(running.stop().await, "");
}

#[tokio::test]
async fn every_compression_is_taken_over_http_and_bounded() {
    let limits = Limits { request_bytes: 100_000, ..Limits::default() };
    let running = Running::start(Format::Json, limits);
    let raw_deflate = |body: &[u8]| read_all(DeflateEncoder::new(body, Compression::fast()));
    let codings: [(&str, Compress); 4] = [("gzip", gzip), ("deflate", zlib), ("deflate", raw_deflate), ("zstd", zstd)];
    for (name, compress) in codings {
        for (length, status) in [(1, 200), (50_000, 200), (200_000, 413)] {
            let body = compress(&traces(vec![span(1, 0, &"x".repeat(length))]).encode_to_vec());
            let request = running.post("/v1/traces", PROTOBUF, body).header("content-encoding", name);
            assert_eq!(request.send().await.unwrap().status(), status, "{name} {length}");
        }
    }
    assert_eq!(running.stop().await.lines().count(), 8);
}

/// A request that is too large is read to its end, so that its sender sees the answer and no broken pipe.
#[tokio::test]
async fn a_sender_of_far_too_much_gets_its_answer() {
    let running = Running::start(Format::Json, Limits { request_bytes: 1000, ..Limits::default() });
    let response = running.post("/v1/traces", PROTOBUF, vec![0; 20 << 20]).send().await.unwrap();
    assert_eq!(response.status(), 413);
    running.stop().await;
}

#[tokio::test]
async fn bodies_that_arrive_at_once_have_one_bound_together() {
    let running = Running::start(Format::Json, Limits { bodies_bytes: 100_000, ..Limits::default() });
    let mut slow = TcpStream::connect(running.http).await.unwrap();
    let head = format!("POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: {PROTOBUF}\r\n");
    slow.write_all(format!("{head}content-length: 90000\r\n\r\n").as_bytes()).await.unwrap();
    slow.write_all(&[0; 80_000]).await.unwrap();

    let post = || running.post("/v1/traces", PROTOBUF, traces(vec![span(1, 0, &"x".repeat(50_000))]).encode_to_vec());
    let until = async |status| while post().send().await.unwrap().status() != status {};
    timeout(DEADLINE, until(503)).await.unwrap();
    drop(slow);
    timeout(DEADLINE, until(200)).await.unwrap();
    running.stop().await;
}

fn read_all(mut encoder: impl Read) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.read_to_end(&mut out).unwrap();
    out
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    read_all(ZlibEncoder::new(bytes, Compression::fast()))
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

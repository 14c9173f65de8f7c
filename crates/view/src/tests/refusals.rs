//! What cannot be taken: the peer gets the right status, the user a line with the remedy.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::*;

#[tokio::test]
async fn a_grpc_request_is_bounded_before_and_after_decompression() {
    let running = Running::start(Format::Json, Limits { request_bytes: 4096, ..Limits::default() });
    let mut client = TraceServiceClient::connect(running.grpc_url()).await.unwrap();
    let large = traces(vec![span(1, 0, &"x".repeat(100_000))]);
    assert_eq!(client.export(large.clone()).await.unwrap_err().code(), Code::ResourceExhausted);
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    assert_eq!(client.export(large).await.unwrap_err().code(), Code::ResourceExhausted);
    client.export(traces(vec![span(1, 0, "small")])).await.unwrap();
    assert_eq!(running.stop().await.lines().count(), 1);
}

#[tokio::test]
async fn http_refuses_what_it_cannot_take_with_an_rpc_status() {
    let running = Running::start(Format::Json, Limits { request_bytes: 4096, ..Limits::default() });
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
async fn whoever_is_at_the_wrong_place_gets_the_remedy_and_so_does_the_user() {
    let running = Running::json();
    let post = |path: &str, content_type: &str| running.post(path, content_type, "\x0a\x7fx");
    let get = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
    let (http, grpc) = (running.http, running.grpc);
    let cases = [
        (
            post("/v1/trace", PROTOBUF),
            404,
            "POST /v1/trace from 127.0.0.1 is refused, http 404: no such path: spans go to",
        ),
        (get.get(format!("http://{http}/")), 404, "GET / from 127.0.0.1 is refused, http 404: no such path"),
        (get.get(format!("http://{http}/v1/logs")), 405, "http 405: only POST is taken"),
        (
            post("/v1/logs", "text/csv"),
            415,
            "Content-Type is text/csv: it must be application/x-protobuf or application/json",
        ),
        (
            post("/v1/metrics", PROTOBUF),
            400,
            "POST /v1/metrics from 127.0.0.1 is refused, http 400: the body cannot be decoded",
        ),
    ];
    for (request, status, told) in cases {
        assert_eq!(request.send().await.unwrap().status(), status, "{told}");
        running.told(&[told]).await;
    }
    let request = get.post(format!("http://{grpc}/v1/traces")).header("content-type", PROTOBUF);
    assert_eq!(request.send().await.unwrap().status(), 415);
    running.told(&[&format!("this port takes OTLP/gRPC; OTLP/HTTP goes to http://{http}")]).await;
    let mut client = TraceServiceClient::connect(format!("http://{http}")).await.unwrap();
    let error = client.export(traces(vec![])).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    running.told(&[&format!("this port takes OTLP/HTTP; OTLP/gRPC goes to http://{grpc}")]).await;
    assert_eq!(running.stop().await, "");
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    let running = Running::json();
    for (address, bytes) in [
        (running.http, &b"\x16\x03\x01\x02\x00"[..]),
        (running.grpc, b"\x16\x03\x01"),
        (running.http, b"hello\r\n\r\n"),
    ] {
        std::net::TcpStream::connect(address).unwrap().write_all(bytes).unwrap();
    }
    running
        .told(&[
            &format!("speaks TLS to {}, which is plain", running.http),
            &format!("speaks TLS to {}, which is plain", running.grpc),
            "what 127.0.0.1 sends to the http port is no HTTP",
        ])
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_flood_of_refused_requests_is_told_in_a_few_lines_without_control_characters() {
    let running = Running::json();
    for i in 0..50 {
        let request = running.post(&format!("/{i}"), "evil\u{85}type", "");
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
    assert_eq!(running.post("/v1/logs", PROTOBUF, "").send().await.unwrap().status(), 200);
    let told = running.told.clone();
    running.stop().await;
    assert_eq!(told.text().lines().count(), 9, "{}", told.text());
    assert!(told.text().ends_with("otel-rs view: 42 more lines like the last ones left out\n"));
}

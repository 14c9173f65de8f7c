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

//! By which names the receiver is addressed: a page that rebinds its own name to 127.0.0.1 is turned away.

use std::str::FromStr;

use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;

use super::*;
use crate::hosts::Hosts;

fn is_allowed(listened_on: &str, allowed: &[&str], host: &str, local: &str) -> bool {
    let allowed: Vec<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
    let request = ::http::Request::builder().header("host", host).body(()).unwrap();
    Hosts::new([listened_on], &allowed).check(&request.into_parts().0, local.parse().unwrap()).is_ok()
}

#[test]
fn loopback_and_what_is_listened_on_are_allowed() {
    for host in [
        "localhost",
        "LocalHost:4318",
        "localhost.",
        "app.localhost",
        "127.0.0.1:1",
        "127.8.9.10",
        "[::1]:4318",
        "[::ffff:127.0.0.1]",
    ] {
        assert!(is_allowed("127.0.0.1:4318", &[], host, "127.0.0.1"), "{host}");
    }
    assert!(is_allowed("192.0.2.1:4318", &[], "192.0.2.1:4318", "192.0.2.1"));
    assert!(is_allowed("Box.lan:4318", &[], "box.lan:4318", "192.0.2.1"));
    assert!(is_allowed("127.0.0.1:4318", &["otel-view"], "Otel-View:4318", "127.0.0.1"));
}

#[test]
fn no_other_name_is_allowed() {
    for host in [
        "evil.example",
        "evil.example:4318",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "127.0.0.1@evil.example",
        "192.0.2.1",
        "0.0.0.0:4318",
        "",
        "a b",
        "\u{e9}",
    ] {
        assert!(!is_allowed("127.0.0.1:4318", &[], host, "127.0.0.1"), "{host}");
    }
}

#[test]
fn on_all_addresses_any_address_leads_here_and_a_name_must_be_allowed() {
    for listened_on in ["0.0.0.0:4318", "[::]:4318"] {
        assert!(is_allowed(listened_on, &[], "198.51.100.7:4318", "172.17.0.2"));
        assert!(!is_allowed(listened_on, &[], "evil.example", "172.17.0.2"));
        assert!(is_allowed(listened_on, &["otel-view"], "otel-view", "172.17.0.2"));
    }
}

#[tokio::test]
async fn a_rebound_name_is_forbidden_on_http_and_told() {
    let running = Running::json();
    let body = traces(vec![span(1, 0, "x")]).encode_to_vec();
    let response = running.post("/v1/traces", PROTOBUF, body).header("host", "evil.example").send().await.unwrap();
    assert_eq!(response.status(), 403);
    running.told(&["the host evil.example is neither loopback nor", "--allow-host evil.example"]).await;
    assert_eq!(running.stop().await, "");
}

#[tokio::test]
async fn a_rebound_name_is_forbidden_on_grpc() {
    let running = Running::json();
    let origin = "http://evil.example:4317".parse().unwrap();
    let channel = Endpoint::from_str(&running.grpc_url()).unwrap().origin(origin).connect().await.unwrap();
    let error = TraceServiceClient::new(channel).export(traces(vec![span(1, 0, "x")])).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    assert!(error.message().contains("evil.example"), "{error}");

    // The same without tonic, which turns the HTTP status into its own.
    let stream = TokioIo::new(TcpStream::connect(running.grpc).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = ::http::Request::post("http://evil.example/x").header("content-type", "application/grpc");
    let response =
        send.send_request(request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(running.stop().await, "");
}

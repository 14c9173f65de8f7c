//! The client against real servers on the loopback interface.

mod collector;
mod config;
mod grpc;
mod http;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Client, ClientConfig, Compression, Outcome, Protocol, Signal};

/// No test hangs.
async fn bounded<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.expect("the test ends in time")
}

fn config(protocol: Protocol, address: SocketAddr) -> ClientConfig {
    let endpoint = match protocol {
        Protocol::Grpc => format!("http://{address}"),
        Protocol::HttpProtobuf => format!("http://{address}/v1/traces"),
    };
    ClientConfig {
        signal: Signal::Traces,
        protocol,
        endpoint,
        headers: Vec::new(),
        timeout: Duration::from_secs(30),
        compression: Compression::None,
        user_agent: "otel-rs-test/1.2.3".to_owned(),
    }
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn request() -> ExportTraceServiceRequest {
    let spans = (1..=100u8).map(|n| Span {
        trace_id: vec![n; 16],
        span_id: vec![n; 8],
        name: format!("span {n}"),
        ..Span::default()
    });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn encoded() -> Bytes {
    request().encode_to_vec().into()
}

/// One export that is not disturbed by a shutdown.
async fn export(client: &Client) -> Outcome {
    let (_shutdown, no_retry) = watch::channel(false);
    client.export(encoded(), &no_retry).await
}

async fn export_once(config: &ClientConfig) -> Outcome {
    export(&Client::new(config).unwrap()).await
}

fn delivered() -> Outcome {
    Outcome::Delivered { rejected: 0, message: String::new() }
}

fn partly_delivered(rejected: u64, message: &str) -> Outcome {
    Outcome::Delivered { rejected, message: message.to_owned() }
}

#[track_caller]
fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::TooLarge { reason } | Outcome::Failed { reason } => reason,
        Outcome::Delivered { .. } => panic!("delivered"),
    }
}

#[track_caller]
fn assert_contains(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in {text:?}");
}

/// An address where nothing listens.
async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

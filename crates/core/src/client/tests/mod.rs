//! The client against real servers on the loopback interface.

mod addresses;
mod bundles;
mod certificates;
mod channel;
mod collector;
mod compression;
mod config;
mod fault;
mod faults;
mod flood;
mod flood_tls;
mod floods;
mod grpc;
mod http;
mod identity;
mod json;
mod names;
mod proxy;
mod relay;
mod remedies;
mod tls;
mod too_large;
mod unix;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{
    Cause, Client, ClientConfig, Compression, GrpcCodes, Outcome, Protocol, Signal, Status, TlsFiles, TrustedFile,
};

/// No test hangs.
async fn bounded<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.expect("the test ends in time")
}

fn config(protocol: Protocol, address: SocketAddr) -> ClientConfig {
    let endpoint = match protocol {
        Protocol::Grpc => format!("http://{address}"),
        Protocol::HttpProtobuf | Protocol::HttpJson => format!("http://{address}/v1/traces"),
    };
    ClientConfig {
        signal: Signal::Traces,
        protocol,
        endpoint,
        headers: Vec::new(),
        timeout: Duration::from_secs(30),
        compression: Compression::None,
        user_agent: "otel-rs-test/1.2.3".to_owned(),
        tls: TlsFiles::default(),
        retryable_codes: None,
        proxy: None,
    }
}

fn trusted(path: impl Into<std::path::PathBuf>) -> TrustedFile {
    TrustedFile { path: path.into(), source: "certificate_file".to_owned() }
}

fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.into())
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
        Outcome::Failed { reason, .. } => reason,
        outcome => panic!("{outcome:?}"),
    }
}

#[track_caller]
fn cause(outcome: Outcome) -> Cause {
    match outcome {
        Outcome::Failed { cause, .. } | Outcome::TooLarge { cause, .. } => cause,
        outcome => panic!("{outcome:?}"),
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

const PROTOCOLS: [Protocol; 3] = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];

/// A server for any protocol that takes what it is sent.
enum Willing {
    Grpc(collector::GrpcServer),
    Http(collector::HttpServer),
}

impl Willing {
    async fn start(protocol: Protocol) -> Willing {
        Self::on(collector::loopback().await, protocol)
    }

    fn on(listener: TcpListener, protocol: Protocol) -> Willing {
        match protocol {
            Protocol::Grpc => Willing::Grpc(collector::grpc_on(listener, |_| Some(Ok(Default::default())))),
            _ => Willing::Http(collector::http_on(listener, |_| Some(collector::answer(200, &[], "")))),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Willing::Grpc(server) => server.address,
            Willing::Http(server) => server.address,
        }
    }

    fn count(&self) -> usize {
        match self {
            Willing::Grpc(server) => server.count(),
            Willing::Http(server) => server.count(),
        }
    }

    async fn stop(self) {
        match self {
            Willing::Grpc(server) => server.stop().await,
            Willing::Http(server) => server.stop().await,
        }
    }
}

/// A folder that is removed with its files.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Folder {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("otel-rs-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: &str) -> std::path::PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `test`, which must ask [`is_child`] what to do, in a process of its own with these variables: the environment
/// is not to be changed in a process with threads.
async fn in_a_process_with(test: &'static str, variables: &[(&'static str, String)]) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").envs(variables.iter().map(|(k, v)| (k, v)));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

const CHILD: &str = "OTEL_RS_TEST_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

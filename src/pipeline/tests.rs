use super::*;
use crate::otlp::batch::Resource;
use crate::otlp::client::{ClientConfig, Compression, Protocol, Signal};
use axum::http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::sync::Mutex;

/// A real HTTP server on its own thread, which answers `status` and keeps what it was sent.
struct Receiver {
    address: std::net::SocketAddr,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Receiver {
    fn start(status: StatusCode) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let batches = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&batches);
        let handler = move |body: bytes::Bytes| async move {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
            seen.lock().unwrap().push(scopes.map(|s| s.spans.len()).sum());
            status
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let router = axum::Router::new().route("/v1/traces", axum::routing::post(handler));
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await
            })
        });
        Self { address, batches }
    }

    fn spans(&self) -> usize {
        self.batches.lock().unwrap().iter().sum()
    }
}

fn pipeline(address: std::net::SocketAddr, config: PipelineConfig) -> Pipeline {
    let exporter = Exporter::new(ClientConfig {
        signal: Signal::Traces,
        protocol: Protocol::HttpProtobuf,
        endpoint: format!("http://{address}/v1/traces"),
        headers: vec![],
        timeout: Duration::from_secs(5),
        compression: Compression::None,
        user_agent: "test".into(),
    });
    Pipeline::new(config, Arc::new(exporter.unwrap()))
}

fn config(max_queue_size: usize, max_export_batch_size: usize) -> PipelineConfig {
    PipelineConfig {
        max_queue_size,
        max_export_batch_size,
        schedule_delay: Duration::from_secs(3600),
        export_timeout: Duration::from_secs(10),
        max_queue_bytes: usize::MAX,
    }
}

fn scope() -> Arc<Scope> {
    let resource = Arc::new(Resource { message: vec![], schema_url: String::new() });
    Arc::new(Scope { resource, message: vec![], schema_url: String::new() })
}

/// A span with nothing but a name of four bytes, framed.
const FRAMED: &[u8] = b"\x12\x06\x2a\x04span";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn flush_delivers_everything_in_batches() {
    let receiver = Receiver::start(StatusCode::OK);
    let pipeline = pipeline(receiver.address, config(100, 10));
    let scope = scope();
    for _ in 0..25 {
        pipeline.push(&scope, FRAMED);
    }
    let ticket = pipeline.start_flush();
    assert!(pipeline.wait(ticket, soon()));
    assert_eq!(*receiver.batches.lock().unwrap(), [10, 10, 5]);
    let expected = Counts { created: 25, exported: 25, rejected: 0, failed: 0, dropped: 0, pending: 0 };
    assert_eq!(pipeline.counts(), expected);
}

#[test]
fn a_full_batch_goes_without_a_flush() {
    let receiver = Receiver::start(StatusCode::OK);
    let pipeline = pipeline(receiver.address, config(100, 10));
    let scope = scope();
    for _ in 0..10 {
        pipeline.push(&scope, FRAMED);
    }
    let deadline = soon();
    while receiver.spans() < 10 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn little_goes_after_the_schedule_delay() {
    let receiver = Receiver::start(StatusCode::OK);
    let config = PipelineConfig { schedule_delay: Duration::from_millis(10), ..config(100, 10) };
    let pipeline = pipeline(receiver.address, config);
    pipeline.push(&scope(), FRAMED);
    let deadline = soon();
    while receiver.spans() < 1 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    // Nothing listens there: the spans stay.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let by_number = pipeline(nowhere, config(4, 100));
    let scope = scope();
    for _ in 0..10 {
        by_number.push(&scope, FRAMED);
    }
    assert_eq!((by_number.counts().dropped, by_number.counts().pending), (6, 4));
    let by_bytes = pipeline(nowhere, PipelineConfig { max_queue_bytes: 3 * FRAMED.len(), ..config(100, 100) });
    for _ in 0..10 {
        by_bytes.push(&scope, FRAMED);
    }
    assert_eq!((by_bytes.counts().dropped, by_bytes.counts().pending), (7, 3));
    by_bytes.abandon();
    assert_eq!((by_bytes.counts().dropped, by_bytes.counts().pending), (10, 0));
}

#[test]
fn failed_exports_are_counted() {
    let receiver = Receiver::start(StatusCode::BAD_REQUEST);
    let pipeline = pipeline(receiver.address, config(100, 10));
    pipeline.push(&scope(), FRAMED);
    let ticket = pipeline.start_flush();
    assert!(pipeline.wait(ticket, soon()));
    assert_eq!((pipeline.counts().failed, pipeline.counts().exported), (1, 0));
}

#[test]
fn shutdown_delivers_and_then_takes_nothing() {
    let receiver = Receiver::start(StatusCode::OK);
    let pipeline = pipeline(receiver.address, config(100, 10));
    let scope = scope();
    for _ in 0..15 {
        pipeline.push(&scope, FRAMED);
    }
    let ticket = pipeline.start_shutdown();
    assert!(pipeline.wait(ticket, soon()));
    pipeline.push(&scope, FRAMED);
    let counts = pipeline.counts();
    assert_eq!((counts.exported, counts.dropped, counts.pending), (15, 1, 0));
    assert!(pipeline.is_shut_down());
}

#[test]
fn a_wait_keeps_its_deadline() {
    // Accepts connections (the kernel does) and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pipeline = pipeline(silent.local_addr().unwrap(), config(100, 10));
    pipeline.push(&scope(), FRAMED);
    let started = Instant::now();
    let ticket = pipeline.start_flush();
    assert!(!pipeline.wait(ticket, started + Duration::from_millis(50)));
    assert!(started.elapsed() < Duration::from_secs(4));
    let counts = pipeline.counts();
    assert_eq!((counts.pending, counts.created), (1, 1));
}

#[test]
fn a_dropped_pipeline_still_delivers() {
    let receiver = Receiver::start(StatusCode::OK);
    let pipeline = pipeline(receiver.address, config(100, 10));
    pipeline.push(&scope(), FRAMED);
    drop(pipeline);
    let deadline = soon();
    while receiver.spans() < 1 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

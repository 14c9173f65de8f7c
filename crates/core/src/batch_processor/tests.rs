use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::client::{ClientConfig, Compression, Protocol, Signal};
use crate::export::Exporter;
use crate::otlp::Attributes;
use crate::otlp::Resource;
use axum::http::StatusCode;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use crate::client::{Cause, Outcome};
use crate::export::exporter::StandIn;
use crate::export::split;
use crate::otlp::{Scope, span, span_name};
use crate::process::report;
use crate::process::sync::{AtomicBool, Ordering, watch};

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

fn exporter(endpoint: &str) -> Exporter {
    let exporter = Exporter::new(ClientConfig {
        signal: Signal::Traces,
        protocol: Protocol::HttpProtobuf,
        endpoint: endpoint.to_owned(),
        headers: vec![],
        timeout: Duration::from_secs(5),
        compression: Compression::None,
        user_agent: "test".into(),
        tls: Default::default(),
        retryable_codes: None,
        proxy: None,
    });
    exporter.unwrap()
}

fn processor(address: std::net::SocketAddr, config: BatchProcessorConfig) -> BatchProcessor {
    BatchProcessor::new(config, Arc::new(exporter(&format!("http://{address}/v1/traces"))))
}

/// A batch processor whose requests are answered by a function, with a destination of its own for the reports.
fn answered_by<F>(
    name: &str,
    config: BatchProcessorConfig,
    answer: impl Fn(Bytes) -> F + Send + Sync + 'static,
) -> BatchProcessor
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let stand_in: StandIn = Box::new(move |request| Box::pin(answer(request)));
    let mut exporter = exporter(&format!("http://{name}.test/v1/traces"));
    exporter.stand_in = Some(stand_in);
    BatchProcessor::new(config, Arc::new(exporter))
}

fn delivered() -> Outcome {
    Outcome::Delivered { rejected: 0, message: String::new() }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned(), cause: Cause::Other }
}

fn too_large(reason: &str) -> Outcome {
    Outcome::TooLarge { reason: reason.to_owned(), cause: Cause::Other }
}

/// What was reported with `part` in it. Tests run side by side, and each takes what the others left.
fn said(part: &str) -> Vec<String> {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap();
    said.extend(report::take_reports().into_iter().map(|report| report.message));
    said.iter().filter(|line| line.contains(part)).cloned().collect()
}

/// A span with nothing but a name, framed.
fn named(name: &str) -> Vec<u8> {
    let span = span::Span {
        trace_id: 1,
        span_id: 2,
        trace_state: "",
        parent_span_id: None,
        parent_is_remote: false,
        name,
        kind: 1,
        start_time_unix_nano: 0,
        end_time_unix_nano: 0,
        attributes: &Attributes::new(span::SPAN_ATTRIBUTES, None),
        events: None,
        links: None,
        status: span::StatusCode::Unset,
        status_message: "",
    };
    let mut framed = Vec::new();
    span.frame(&mut framed);
    framed
}

fn names_in(request: &[u8]) -> Vec<String> {
    split::items(request).map(|item| span_name(item).into_owned()).collect()
}

fn flush(processor: &BatchProcessor) {
    let ticket = processor.start_flush();
    assert!(processor.wait(ticket, soon()));
}

/// Everything that was created is in one of the others, and nothing is under way.
fn assert_settled(counts: Counts) {
    let Counts { created, exported, rejected, failed, dropped, pending, in_flight } = counts;
    assert_eq!((created, pending, in_flight), (exported + rejected + failed + dropped, 0, 0), "{counts:?}");
}

fn config(max_queue_size: usize, max_export_batch_size: usize) -> BatchProcessorConfig {
    BatchProcessorConfig {
        max_queue_size,
        max_export_batch_size,
        schedule_delay: Duration::from_secs(3600),
        export_timeout: Duration::from_secs(10),
        max_queue_bytes: usize::MAX,
        max_request_bytes: usize::MAX,
        max_concurrent_exports: 1,
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
    let processor = processor(receiver.address, config(100, 10));
    let scope = scope();
    for _ in 0..25 {
        processor.push(&scope, FRAMED);
    }
    let ticket = processor.start_flush();
    assert!(processor.wait(ticket, soon()));
    assert_eq!(*receiver.batches.lock().unwrap(), [10, 10, 5]);
    let expected = Counts { created: 25, exported: 25, ..Counts::default() };
    assert_eq!(processor.counts(), expected);
}

#[test]
fn a_full_batch_goes_without_a_flush() {
    let receiver = Receiver::start(StatusCode::OK);
    let processor = processor(receiver.address, config(100, 10));
    let scope = scope();
    for _ in 0..10 {
        processor.push(&scope, FRAMED);
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
    let config = BatchProcessorConfig { schedule_delay: Duration::from_millis(10), ..config(100, 10) };
    let processor = processor(receiver.address, config);
    processor.push(&scope(), FRAMED);
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
    let by_number = processor(nowhere, config(4, 100));
    let scope = scope();
    for _ in 0..10 {
        by_number.push(&scope, FRAMED);
    }
    assert_eq!((by_number.counts().dropped, by_number.counts().pending), (6, 4));
    let by_bytes = processor(nowhere, BatchProcessorConfig { max_queue_bytes: 3 * FRAMED.len(), ..config(100, 100) });
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
    let processor = processor(receiver.address, config(100, 10));
    processor.push(&scope(), FRAMED);
    let ticket = processor.start_flush();
    assert!(processor.wait(ticket, soon()));
    assert_eq!((processor.counts().failed, processor.counts().exported), (1, 0));
}

#[test]
fn shutdown_delivers_and_then_takes_nothing() {
    let receiver = Receiver::start(StatusCode::OK);
    let processor = processor(receiver.address, config(100, 10));
    let scope = scope();
    for _ in 0..15 {
        processor.push(&scope, FRAMED);
    }
    let ticket = processor.start_shutdown();
    assert!(processor.wait(ticket, soon()));
    processor.push(&scope, FRAMED);
    let counts = processor.counts();
    assert_eq!((counts.exported, counts.dropped, counts.pending), (15, 1, 0));
    assert!(processor.is_shut_down());
}

#[test]
fn a_wait_keeps_its_deadline() {
    // Accepts connections (the kernel does) and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let processor = processor(silent.local_addr().unwrap(), config(100, 10));
    processor.push(&scope(), FRAMED);
    let started = Instant::now();
    let ticket = processor.start_flush();
    assert!(!processor.wait(ticket, started + Duration::from_millis(50)));
    assert!(started.elapsed() < Duration::from_secs(4));
    let counts = processor.counts();
    assert_eq!((counts.pending, counts.created), (1, 1));
}

#[test]
fn a_dropped_processor_still_delivers() {
    let receiver = Receiver::start(StatusCode::OK);
    let processor = processor(receiver.address, config(100, 10));
    processor.push(&scope(), FRAMED);
    drop(processor);
    let deadline = soon();
    while receiver.spans() < 1 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

// --- Requests that are too large -------------------------------------------------------------------------------------

/// A receiver that takes requests up to a length, and keeps the names of the spans in them.
fn takes_up_to(
    max_bytes: usize,
    taken: &Arc<Mutex<Vec<Vec<String>>>>,
) -> impl Fn(Bytes) -> std::future::Ready<Outcome> + use<> {
    let taken = Arc::clone(taken);
    move |request| {
        std::future::ready(match request.len() {
            len if len > max_bytes => too_large(&format!("{len} bytes are too many")),
            _ => {
                taken.lock().unwrap().push(names_in(&request));
                delivered()
            }
        })
    }
}

#[test]
fn what_the_receiver_finds_too_large_goes_in_parts() {
    let taken = Arc::default();
    let processor = answered_by("parts", config(1000, 100), takes_up_to(2000, &taken));
    let scope = scope();
    let names: Vec<String> = (0..100).map(|number| format!("{number:0100}")).collect();
    names.iter().for_each(|name| processor.push(&scope, &named(name)));
    flush(&processor);
    let taken = taken.lock().unwrap();
    assert_eq!(taken.concat(), names);
    assert!(taken.iter().all(|part| (5..=13).contains(&part.len())), "about the half that fits: {taken:?}");
    assert_eq!(processor.counts(), Counts { created: 100, exported: 100, ..Counts::default() });
}

#[test]
fn a_span_that_is_too_large_alone_is_dropped_by_name() {
    let taken = Arc::default();
    let processor = answered_by("alone", config(1000, 100), takes_up_to(3000, &taken));
    let scope = scope();
    let large = "large".repeat(1000);
    for name in ["a", "b", &large, "c", "d", "e"] {
        processor.push(&scope, &named(name));
    }
    flush(&processor);
    assert_eq!(taken.lock().unwrap().concat(), ["a", "b", "c", "d", "e"]);
    assert_settled(processor.counts());
    assert_eq!((processor.counts().exported, processor.counts().dropped), (5, 1));
    let lines = said("largelarge");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let expected =
        format!("Dropping the span \"{}...\" of 5059 bytes, which is too large for the receiver: 50", &large[..200]);
    assert!(line.starts_with(&expected), "{line}");
}

#[test]
fn a_receiver_that_finds_everything_too_large_gets_each_span_alone_once() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&requests);
    let processor = answered_by("nothing-fits", config(1000, 100), move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        std::future::ready(too_large("whatever its size"))
    });
    let scope = scope();
    (0..100).for_each(|_| processor.push(&scope, FRAMED));
    flush(&processor);
    assert_eq!(processor.counts(), Counts { created: 100, dropped: 100, ..Counts::default() });
    let requests = requests.load(Ordering::Relaxed);
    assert!((100..=110).contains(&requests), "{requests}");
    assert_eq!(said("whatever its size").len(), 1);
}

#[test]
fn a_processor_learns_what_its_receiver_takes() {
    let taken = Arc::default();
    let processor = answered_by("learns", config(10_000, 1000), takes_up_to(150 * 1024, &taken));
    let scope = scope();
    let span = named(&"x".repeat(1000));
    for _ in 0..2 {
        (0..500).for_each(|_| processor.push(&scope, &span));
        flush(&processor);
    }
    let refused = processor.exporter.counts().bytes as usize - 1000 * span.len();
    let batch = 500 * span.len();
    assert!((batch..=batch * 2 + 100).contains(&refused), "the first time in two steps, then no more: {refused}");
    assert_eq!(processor.counts().exported, 1000);
    assert!(taken.lock().unwrap().len() <= 4 + 5);
}

#[test]
fn parts_have_their_own_outcomes() {
    let processor = answered_by("own-outcomes", config(1000, 8), |request: Bytes| {
        std::future::ready(match names_in(&request)[..] {
            [ref name] if name == "x0" => delivered(),
            [ref name] if name == "x1" => Outcome::Delivered { rejected: 1, message: "x1 is bad".into() },
            [ref name] if name == "x2" => too_large("x2 is large"),
            [_] => failed("x3 broke"),
            [..] => too_large("more than one"),
        })
    });
    let scope = scope();
    (0..8).for_each(|number| processor.push(&scope, &named(&format!("x{}", number % 4))));
    flush(&processor);
    let expected = Counts { created: 8, exported: 2, rejected: 2, dropped: 2, failed: 2, ..Counts::default() };
    assert_eq!(processor.counts(), expected);
    let exports = processor.exporter.counts();
    assert_eq!((exports.exported, exports.rejected, exports.dropped, exports.failed), (2, 2, 2, 2));
}

#[test]
fn batches_are_closed_before_a_request_would_be_too_long() {
    let taken = Arc::default();
    let config = BatchProcessorConfig { max_request_bytes: 2000, ..config(1000, 100) };
    let processor = answered_by("closed", config, takes_up_to(2000, &taken));
    let scope = scope();
    (0..100).for_each(|_| processor.push(&scope, &named(&"x".repeat(100))));
    flush(&processor);
    assert_eq!(processor.counts().exported, 100);
    let sizes: Vec<usize> = taken.lock().unwrap().iter().map(Vec::len).collect();
    assert!(sizes.len() <= 10 && sizes[..sizes.len() - 1].iter().all(|size| *size >= 11), "{sizes:?}");
    assert_eq!(processor.exporter.counts().dropped, 0);
}

// --- Several exports at a time ---------------------------------------------------------------------------------------

/// Requests wait in there until they are let go.
#[derive(Clone)]
struct Gate {
    open: watch::Sender<bool>,
    inside: Arc<AtomicUsize>,
    most_inside: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self { open: watch::Sender::new(false), inside: Arc::default(), most_inside: Arc::default() }
    }

    fn answer(&self) -> impl Fn(Bytes) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> + use<> {
        let gate = self.clone();
        move |_| {
            let gate = gate.clone();
            Box::pin(async move {
                let inside = gate.inside.fetch_add(1, Ordering::SeqCst) + 1;
                gate.most_inside.fetch_max(inside, Ordering::SeqCst);
                let _ = gate.open.subscribe().wait_for(|open| *open).await;
                gate.inside.fetch_sub(1, Ordering::SeqCst);
                delivered()
            })
        }
    }

    fn wait_for(&self, inside: usize) {
        let deadline = soon();
        while self.inside.load(Ordering::SeqCst) < inside {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
    }
}

#[test]
fn as_many_exports_as_allowed_are_under_way() {
    for allowed in [1, 2, 5] {
        let gate = Gate::new();
        let config = BatchProcessorConfig { max_concurrent_exports: allowed, ..config(1000, 10) };
        let processor = answered_by("gate", config, gate.answer());
        let scope = scope();
        (0..100).for_each(|_| processor.push(&scope, FRAMED));
        gate.wait_for(allowed);
        let counts = processor.counts();
        assert_eq!((counts.in_flight, counts.pending), (10 * allowed as u64, 100));
        assert_eq!(processor.processed().queue_size, 100 - 10 * allowed as u64);
        gate.open.send_replace(true);
        flush(&processor);
        assert_eq!(gate.most_inside.load(Ordering::SeqCst), allowed);
        assert_eq!(processor.counts(), Counts { created: 100, exported: 100, ..Counts::default() });
        assert_eq!(processor.processed(), Processed { processed: 100, ..Processed::default() });
    }
}

#[test]
fn a_flush_waits_for_its_own_spans_and_no_others() {
    let gate = Gate::new();
    let (hold, pass) = (gate.answer(), Gate { open: watch::Sender::new(true), ..Gate::new() });
    let pass = pass.answer();
    let config = BatchProcessorConfig { max_concurrent_exports: 2, ..config(1000, 10) };
    let processor = answered_by("own-spans", config, move |request: Bytes| match &names_in(&request)[0][..] {
        "hold" => hold(request),
        _ => pass(request),
    });
    let scope = scope();
    processor.push(&scope, &named("first"));
    let first = processor.start_flush();
    processor.push(&scope, &named("hold"));
    let held = processor.start_flush();
    processor.push(&scope, &named("last"));
    let last = processor.start_flush();
    assert!(processor.wait(first, soon()));
    gate.wait_for(1);
    let deadline = soon();
    while processor.counts().exported < 2 {
        assert!(Instant::now() < deadline, "the last overtakes the one that is held");
        std::thread::yield_now();
    }
    for ticket in [held, last] {
        assert!(!processor.wait(ticket, Instant::now()));
    }
    gate.open.send_replace(true);
    assert!(processor.wait(last, soon()));
    assert_settled(processor.counts());
}

#[test]
fn giving_up_breaks_off_all_exports_under_way() {
    let gate = Gate::new();
    let config = BatchProcessorConfig { max_concurrent_exports: 3, ..config(1000, 10) };
    let processor = answered_by("given-up", config, gate.answer());
    let scope = scope();
    (0..50).for_each(|_| processor.push(&scope, FRAMED));
    gate.wait_for(3);
    let ticket = processor.start_shutdown();
    assert!(!processor.wait(ticket, Instant::now()));
    processor.abandon();
    assert!(processor.wait(ticket, soon()));
    assert_eq!(processor.counts(), Counts { created: 50, failed: 30, dropped: 20, ..Counts::default() });
}

#[test]
fn a_destination_that_hangs_does_not_hold_up_another() {
    let gate = Gate::new();
    let hangs = answered_by("hangs", config(1000, 10), gate.answer());
    let receiver = Receiver::start(StatusCode::OK);
    let works = processor(receiver.address, config(1000, 10));
    let scope = scope();
    for _ in 0..100 {
        hangs.push(&scope, FRAMED);
        works.push(&scope, FRAMED);
    }
    gate.wait_for(1);
    flush(&works);
    assert_eq!((works.counts().exported, hangs.counts().pending), (100, 100));
}

#[test]
fn an_export_that_panics_costs_its_batch() {
    let processor = answered_by("panics", config(1000, 10), |request: Bytes| async move {
        assert_ne!(names_in(&request)[0], "bad", "on purpose");
        delivered()
    });
    let scope = scope();
    for name in ["good", "bad", "good"] {
        (0..10).for_each(|_| processor.push(&scope, &named(name)));
    }
    flush(&processor);
    assert_eq!(processor.counts(), Counts { created: 30, exported: 20, failed: 10, ..Counts::default() });
    flush(&processor);
    assert_eq!(said("on purpose").len(), 1);
}

// --- What is said ----------------------------------------------------------------------------------------------------

#[test]
fn an_outage_costs_a_line_and_its_end_another() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let processor = answered_by("outage", config(1000, 10), move |_| {
        std::future::ready(if is_down.load(Ordering::SeqCst) { failed("outage: no route") } else { delivered() })
    });
    let scope = scope();
    let export = || {
        processor.push(&scope, FRAMED);
        flush(&processor);
    };
    (0..3).for_each(|_| export());
    down.store(false, Ordering::SeqCst);
    (0..3).for_each(|_| export());
    let expected = [
        "Failed to export 1 spans: outage: no route",
        "OTLP/HTTP export of traces to http://outage.test/v1/traces works again: 3 failed, with 3 spans",
    ];
    assert_eq!(said("outage"), expected);
    // Within the period its next failure is not said, so neither is its end.
    down.store(true, Ordering::SeqCst);
    export();
    down.store(false, Ordering::SeqCst);
    export();
    assert_eq!(said("outage"), expected);
    assert_settled(processor.counts());
}
